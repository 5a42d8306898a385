-- A version that a rotation has stored, and that nobody reads until the target is known to take it.
ALTER TABLE item_versions ADD COLUMN candidate BIGINT NOT NULL DEFAULT 0;

-- Where the rotations of each rotated secret stand. `due` is when something is to be done by a gateway of
-- `cluster` (0: by any gateway), and is right where the body says otherwise.
CREATE TABLE credential_rotations (
    item BIGINT NOT NULL PRIMARY KEY REFERENCES items (id) ON DELETE CASCADE,
    account BLOB NOT NULL REFERENCES accounts (id),
    cluster BIGINT NOT NULL,
    due BIGINT,
    body TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX credential_rotations_by_due ON credential_rotations (cluster, due) WHERE due IS NOT NULL;
