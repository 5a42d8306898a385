-- Keys get further versions, and what older versions wrap is wrapped anew.

-- Which version of the key wraps a value. Before this there was only the first one.
ALTER TABLE item_versions ADD COLUMN key_version BIGINT NOT NULL DEFAULT 1;
DROP INDEX item_versions_by_key;
CREATE INDEX item_versions_by_key ON item_versions (key_id, key_version, item, version);

-- One row per key version that was asked for, which is how its number is taken for good. `state` is
-- `reserved` while the managers make it, `running` from when it is recorded until nothing is
-- wrapped by older versions, and then `finished`.
CREATE TABLE key_rotations (
    key_id BLOB NOT NULL,
    version BIGINT NOT NULL,
    account BLOB NOT NULL REFERENCES accounts (id),
    state TEXT NOT NULL,
    access_id TEXT NOT NULL,
    started BIGINT NOT NULL,
    finished BIGINT,
    values_found BIGINT NOT NULL,
    problem TEXT NOT NULL,
    PRIMARY KEY (key_id, version)
);
CREATE INDEX key_rotations_running ON key_rotations (started) WHERE state = 'running';
