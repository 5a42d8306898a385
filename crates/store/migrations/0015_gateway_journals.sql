-- How far the reads that gateways answered by themselves are in the audit log. `taken` is the number of
-- the last one, `seen` when it came, `gateway` the SHA-256 of the gateway's key.
CREATE TABLE gateway_journals (
    journal BLOB NOT NULL PRIMARY KEY,
    gateway BLOB NOT NULL,
    taken BIGINT NOT NULL,
    seen BIGINT NOT NULL
);
