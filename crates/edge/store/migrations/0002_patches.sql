-- How far the patches are built that the fleet could use, and what an update cost beside its bytes.

CREATE TABLE patch_jobs (
    base         TEXT NOT NULL,
    result       TEXT NOT NULL,
    product      TEXT NOT NULL REFERENCES products (id) DEFERRABLE INITIALLY DEFERRED,
    base_version TEXT NOT NULL,
    devices      INTEGER NOT NULL,
    state        TEXT NOT NULL,
    step         TEXT,
    attempts     INTEGER NOT NULL,
    reason       TEXT NOT NULL,
    wanted_at    INTEGER NOT NULL,
    started_at   INTEGER,
    ended_at     INTEGER,
    again_at     INTEGER,
    unused_since INTEGER,
    PRIMARY KEY (result, base)
) STRICT;
CREATE INDEX patch_jobs_by_product ON patch_jobs (product);
-- Patches that are there already are built.
INSERT INTO patch_jobs (base, result, product, base_version, devices, state, attempts, reason, wanted_at)
    SELECT p.base, p.result, r.product, b.version, 0, 'built', 0, 'it was built before', r.added_at
    FROM patches p JOIN firmware r ON r.image = p.result JOIN firmware b ON b.image = p.base;
CREATE INDEX patches_by_digest ON patches (digest);

-- Absent where the agent does not tell, or where too little was loaded to know how fast the line is.
ALTER TABLE directives ADD COLUMN way TEXT;
ALTER TABLE directives ADD COLUMN loading_millis INTEGER NOT NULL DEFAULT 0;
ALTER TABLE directives ADD COLUMN applying_millis INTEGER NOT NULL DEFAULT 0;
ALTER TABLE directives ADD COLUMN saved_millis INTEGER;
CREATE INDEX directives_by_release ON directives (release);
