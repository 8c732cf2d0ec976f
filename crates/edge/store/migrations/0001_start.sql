-- The first schema. Moments are milliseconds since 1970 in UTC, digests are hexadecimal text, states are the words of
-- the domain, lists are JSON with a version of its own: {"v":1,"d":...}.
-- Foreign keys are checked when a transaction ends, so that the order of writes inside it is free.

CREATE TABLE products (
    id           TEXT PRIMARY KEY,
    name         TEXT NOT NULL,
    boards       TEXT NOT NULL,
    support_ends INTEGER,
    exposure     TEXT NOT NULL
) STRICT;

CREATE TABLE devices (
    id                TEXT PRIMARY KEY,
    product           TEXT NOT NULL REFERENCES products (id) DEFERRABLE INITIALLY DEFERRED,
    hardware          TEXT NOT NULL,
    criticality       TEXT NOT NULL,
    sensitivity       TEXT NOT NULL,
    segment           TEXT,
    installed_image   TEXT,
    installed_version TEXT,
    confirmed_image   TEXT,
    confirmed_version TEXT,
    slot              TEXT,
    state             TEXT NOT NULL,
    generation        INTEGER NOT NULL,
    report_counter    INTEGER NOT NULL,
    enrolled_at       INTEGER NOT NULL
) STRICT;
CREATE INDEX devices_by_product ON devices (product, confirmed_image, confirmed_version);
CREATE INDEX devices_by_image ON devices (confirmed_image);
CREATE INDEX devices_by_state ON devices (state);

-- A table of its own, narrow and without further indexes: a sign of life costs a third to a fifth of what it would
-- cost in the wide, indexed row of the device.
CREATE TABLE heartbeats (
    device    TEXT PRIMARY KEY REFERENCES devices (id) DEFERRABLE INITIALLY DEFERRED,
    last_seen INTEGER,
    address   TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE attributes (
    device TEXT PRIMARY KEY REFERENCES devices (id) DEFERRABLE INITIALLY DEFERRED,
    vals   TEXT NOT NULL
) STRICT;

CREATE TABLE firmware (
    image      TEXT PRIMARY KEY,
    product    TEXT NOT NULL REFERENCES products (id) DEFERRABLE INITIALLY DEFERRED,
    version    TEXT NOT NULL,
    size       INTEGER NOT NULL,
    added_at   INTEGER NOT NULL,
    components TEXT
) STRICT;
CREATE INDEX firmware_by_product ON firmware (product, added_at);

CREATE TABLE patches (
    base   TEXT NOT NULL,
    result TEXT NOT NULL,
    digest TEXT NOT NULL,
    size   INTEGER NOT NULL,
    PRIMARY KEY (result, base)
) STRICT;

CREATE TABLE advisories (
    id           TEXT PRIMARY KEY,
    aliases      TEXT NOT NULL,
    summary      TEXT NOT NULL,
    published    INTEGER NOT NULL,
    modified     INTEGER NOT NULL,
    withdrawn    INTEGER,
    cvss         TEXT,
    exploitation TEXT NOT NULL,
    automatable  TEXT,
    affected     TEXT NOT NULL,
    known_at     INTEGER NOT NULL
) STRICT;

-- One alias may belong to several advisories: a CVE to that of its vendor and to that of a distribution.
CREATE TABLE advisory_aliases (
    alias    TEXT NOT NULL,
    advisory TEXT NOT NULL REFERENCES advisories (id) DEFERRABLE INITIALLY DEFERRED,
    PRIMARY KEY (alias, advisory)
) STRICT, WITHOUT ROWID;
CREATE INDEX advisory_aliases_by_advisory ON advisory_aliases (advisory);

CREATE TABLE findings (
    image     TEXT NOT NULL,
    advisory  TEXT NOT NULL REFERENCES advisories (id) DEFERRABLE INITIALLY DEFERRED,
    component TEXT NOT NULL,
    path      TEXT NOT NULL,
    product   TEXT NOT NULL,
    reason    TEXT NOT NULL,
    fixed_in  TEXT,
    PRIMARY KEY (image, advisory, component, path)
) STRICT;
CREATE INDEX findings_by_advisory ON findings (advisory, image);

-- The finding that opened a case is copied into it: the case outlives the firmware's findings as evidence.
CREATE TABLE cases (
    id            TEXT PRIMARY KEY,
    device        TEXT NOT NULL REFERENCES devices (id) DEFERRABLE INITIALLY DEFERRED,
    image         TEXT NOT NULL,
    product       TEXT NOT NULL,
    advisory      TEXT NOT NULL REFERENCES advisories (id) DEFERRABLE INITIALLY DEFERRED,
    component     TEXT NOT NULL,
    path          TEXT NOT NULL,
    reason        TEXT NOT NULL,
    fixed_in      TEXT,
    priority      TEXT NOT NULL,
    priority_rank INTEGER NOT NULL,
    deadline      INTEGER,
    -- The deadline, or the last moment that can be told: what has none comes last.
    due           INTEGER NOT NULL,
    rule          TEXT NOT NULL,
    factors       TEXT NOT NULL,
    opened_at     INTEGER NOT NULL,
    protection    TEXT,
    protected_at  INTEGER
) STRICT;
CREATE INDEX cases_by_rank ON cases (priority_rank, due, id);
CREATE INDEX cases_by_device ON cases (device, advisory);
CREATE INDEX cases_by_advisory ON cases (advisory, device);
CREATE INDEX cases_open ON cases (priority, device) WHERE protection IS NULL;

CREATE TABLE releases (
    id         TEXT PRIMARY KEY,
    product    TEXT NOT NULL REFERENCES products (id) DEFERRABLE INITIALLY DEFERRED,
    version    TEXT NOT NULL,
    image      TEXT NOT NULL,
    counter    INTEGER NOT NULL,
    state      TEXT NOT NULL,
    reason     TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (product, counter)
) STRICT;

CREATE TABLE lab_runs (
    release  TEXT NOT NULL REFERENCES releases (id) DEFERRABLE INITIALLY DEFERRED,
    scenario TEXT NOT NULL,
    at       INTEGER NOT NULL,
    outcome  TEXT NOT NULL,
    detail   TEXT NOT NULL,
    PRIMARY KEY (release, scenario, at)
) STRICT;

CREATE TABLE rollouts (
    id            TEXT PRIMARY KEY,
    release       TEXT NOT NULL REFERENCES releases (id) DEFERRABLE INITIALLY DEFERRED,
    phases        TEXT NOT NULL,
    window_start  INTEGER,
    window_length INTEGER,
    state         TEXT NOT NULL,
    reason        TEXT NOT NULL,
    phase         INTEGER NOT NULL,
    good_since    INTEGER,
    accepted_until INTEGER,
    generation    INTEGER NOT NULL,
    created_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX rollouts_by_state ON rollouts (state);

CREATE TABLE members (
    rollout TEXT NOT NULL REFERENCES rollouts (id) DEFERRABLE INITIALLY DEFERRED,
    device  TEXT NOT NULL REFERENCES devices (id) DEFERRABLE INITIALLY DEFERRED,
    phase   INTEGER NOT NULL,
    state   TEXT NOT NULL,
    since   INTEGER NOT NULL,
    action  INTEGER,
    PRIMARY KEY (rollout, device)
) STRICT;
CREATE INDEX members_by_device ON members (device);

CREATE TABLE directives (
    action     INTEGER PRIMARY KEY,
    rollout    TEXT NOT NULL REFERENCES rollouts (id) DEFERRABLE INITIALLY DEFERRED,
    device     TEXT NOT NULL REFERENCES devices (id) DEFERRABLE INITIALLY DEFERRED,
    todo       TEXT NOT NULL,
    release    TEXT NOT NULL REFERENCES releases (id) DEFERRABLE INITIALLY DEFERRED,
    generation INTEGER NOT NULL,
    state      TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    closed_at  INTEGER,
    image      TEXT NOT NULL,
    downloaded INTEGER NOT NULL,
    full_size  INTEGER NOT NULL
) STRICT;
CREATE INDEX directives_by_device ON directives (device, action);
CREATE INDEX directives_by_rollout ON directives (rollout, action);

CREATE TABLE feedback (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    action    INTEGER NOT NULL REFERENCES directives (action) DEFERRABLE INITIALLY DEFERRED,
    at        INTEGER NOT NULL,
    execution TEXT NOT NULL,
    finished  TEXT NOT NULL,
    messages  TEXT NOT NULL
) STRICT;
CREATE INDEX feedback_by_action ON feedback (action, id);

CREATE TABLE alerts (
    id          TEXT PRIMARY KEY,
    device      TEXT NOT NULL REFERENCES devices (id) DEFERRABLE INITIALLY DEFERRED,
    kind        TEXT NOT NULL,
    sensor      TEXT NOT NULL,
    at          INTEGER NOT NULL,
    destination TEXT NOT NULL,
    reason      TEXT NOT NULL
) STRICT;
CREATE INDEX alerts_by_time ON alerts (at, id);
CREATE INDEX alerts_by_device ON alerts (device, at);

CREATE TABLE shields (
    id         TEXT PRIMARY KEY,
    device     TEXT NOT NULL REFERENCES devices (id) DEFERRABLE INITIALLY DEFERRED,
    reason     TEXT NOT NULL,
    advisories TEXT NOT NULL,
    state      TEXT NOT NULL,
    since      INTEGER NOT NULL
) STRICT;
CREATE INDEX shields_by_device ON shields (device, state);

-- Absent subjects are empty texts: they can be compared, and an id is never empty.
CREATE TABLE events (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    stage   TEXT NOT NULL,
    device  TEXT NOT NULL,
    release TEXT NOT NULL,
    rollout TEXT NOT NULL,
    what    TEXT NOT NULL,
    reason  TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_time ON events (at);
CREATE INDEX events_by_device ON events (device, id) WHERE device <> '';
CREATE INDEX events_by_release ON events (release, id) WHERE release <> '';
CREATE INDEX events_by_rollout ON events (rollout, id) WHERE rollout <> '';

CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    data TEXT NOT NULL
) STRICT;

-- Numbers that only ever grow, also over a restart.
CREATE TABLE sequences (
    name TEXT PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT;

-- Only hashes of secrets are kept: who reads the database can log in nowhere.
CREATE TABLE login_links (
    hash    TEXT PRIMARY KEY,
    expires INTEGER NOT NULL,
    used_at INTEGER
) STRICT;

CREATE TABLE sessions (
    hash    TEXT PRIMARY KEY,
    expires INTEGER NOT NULL
) STRICT;

CREATE TABLE tokens (
    id      TEXT PRIMARY KEY,
    hash    TEXT NOT NULL,
    name    TEXT NOT NULL,
    expires INTEGER
) STRICT;

CREATE TABLE enrolments (
    hash        TEXT PRIMARY KEY,
    product     TEXT NOT NULL REFERENCES products (id) DEFERRABLE INITIALLY DEFERRED,
    hardware    TEXT NOT NULL,
    criticality TEXT NOT NULL,
    sensitivity TEXT NOT NULL,
    segment     TEXT,
    uses_left   INTEGER NOT NULL,
    expires     INTEGER NOT NULL
) STRICT;
