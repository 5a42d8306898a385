-- What signed in once and must not again, where several control planes share a database: the first half
-- of a keyless hash, and from when on it is refused by its own time.
CREATE TABLE used_proofs (
    mark BLOB NOT NULL PRIMARY KEY,
    until BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX used_proofs_by_end ON used_proofs (until);
