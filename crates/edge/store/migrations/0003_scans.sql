-- Scan reports: what scanners saw on devices, and the addresses that devices had, by which hosts of a report are known.

-- Where a device was, and when. A row is closed (until) with the last sign of life before the device changed its address; the
-- newest one stays open, and its end is the device's last sign of life.
CREATE TABLE device_addresses (
    device  TEXT NOT NULL REFERENCES devices (id) DEFERRABLE INITIALLY DEFERRED,
    address TEXT NOT NULL,
    since   INTEGER NOT NULL,
    until   INTEGER,
    PRIMARY KEY (device, since, address)
) STRICT, WITHOUT ROWID;

INSERT INTO device_addresses (device, address, since, until)
SELECT device, address, coalesce(last_seen, 0), NULL FROM heartbeats WHERE address IS NOT NULL;

-- Triggers, because signs of life are written in several ways, and each of them must leave its trace.
CREATE TRIGGER device_addresses_begin AFTER INSERT ON heartbeats WHEN new.address IS NOT NULL BEGIN
    INSERT INTO device_addresses (device, address, since, until)
    VALUES (new.device, new.address, coalesce(new.last_seen, 0), NULL)
    ON CONFLICT DO NOTHING;
END;

CREATE TRIGGER device_addresses_change AFTER UPDATE OF address ON heartbeats WHEN new.address IS NOT old.address BEGIN
    UPDATE device_addresses SET until = coalesce(old.last_seen, since) WHERE device = old.device AND until IS NULL;
    INSERT INTO device_addresses (device, address, since, until)
    SELECT new.device, new.address, coalesce(new.last_seen, 0), NULL WHERE new.address IS NOT NULL
    ON CONFLICT DO NOTHING;
    -- An address that changes daily is told apart for two months; older changes go.
    DELETE FROM device_addresses WHERE device = new.device AND since < (
        SELECT coalesce(min(since), 0) FROM (
            SELECT since FROM device_addresses WHERE device = new.device ORDER BY since DESC LIMIT 64
        )
    );
END;

CREATE TABLE scans (
    id           TEXT PRIMARY KEY,
    digest       TEXT NOT NULL,
    scanner      TEXT NOT NULL,
    label        TEXT NOT NULL,
    profile      TEXT,
    at           INTEGER NOT NULL,
    imported_at  INTEGER NOT NULL,
    items        INTEGER NOT NULL,
    severities   TEXT NOT NULL,
    cve_mentions INTEGER NOT NULL,
    cves         INTEGER NOT NULL,
    hosts        INTEGER NOT NULL,
    -- What the scan looked for and left out, so that an older report that comes later is judged by it.
    plugins      TEXT NOT NULL,
    qod_min      INTEGER NOT NULL,
    written      TEXT NOT NULL
) STRICT;
CREATE INDEX scans_by_time ON scans (at, id);

CREATE TABLE scan_hosts (
    scan      TEXT NOT NULL REFERENCES scans (id) DEFERRABLE INITIALLY DEFERRED,
    name      TEXT NOT NULL,
    addresses TEXT NOT NULL,
    macs      TEXT NOT NULL,
    names     TEXT NOT NULL,
    items     INTEGER NOT NULL,
    -- A device and by what it was known, or why none was.
    device    TEXT REFERENCES devices (id) DEFERRABLE INITIALLY DEFERRED,
    tie       TEXT,
    why_not   TEXT NOT NULL,
    complete     INTEGER NOT NULL,
    credentialed INTEGER NOT NULL,
    ranges       TEXT NOT NULL,
    ports        TEXT NOT NULL,
    PRIMARY KEY (scan, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX scan_hosts_by_device ON scan_hosts (device, scan) WHERE device IS NOT NULL;

CREATE TABLE sightings (
    device       TEXT NOT NULL REFERENCES devices (id) DEFERRABLE INITIALLY DEFERRED,
    weakness     TEXT NOT NULL,
    port         INTEGER NOT NULL,
    protocol     TEXT NOT NULL,
    scanner      TEXT NOT NULL,
    plugin       TEXT NOT NULL,
    title        TEXT NOT NULL,
    severity     TEXT NOT NULL,
    score        INTEGER,
    vector       TEXT,
    qod          INTEGER,
    exploit      TEXT NOT NULL,
    detail       TEXT NOT NULL,
    solution     TEXT NOT NULL,
    credentialed INTEGER NOT NULL,
    profile      TEXT,
    first_seen   INTEGER NOT NULL,
    last_seen    INTEGER NOT NULL,
    scan         TEXT NOT NULL REFERENCES scans (id) DEFERRABLE INITIALLY DEFERRED,
    closed_at    INTEGER,
    closed_by    TEXT REFERENCES scans (id) DEFERRABLE INITIALLY DEFERRED,
    PRIMARY KEY (device, weakness, port, protocol, scanner, plugin)
) STRICT, WITHOUT ROWID;
CREATE INDEX sightings_by_scan ON sightings (scan);
