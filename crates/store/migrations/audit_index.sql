-- The index of the audit chains, in a file of its own: everything in it is worked out from the
-- chains and may be thrown away. It is never changed, only made anew when its version is another.

CREATE TABLE meta (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- How far each chain is indexed: `segments` whole segments, and the uses of all records up to
-- `used`. The links are those of the last records of both, which tell whether it is still the
-- chain that was indexed.
CREATE TABLE positions (
    chain BIGINT NOT NULL PRIMARY KEY,
    account BLOB NOT NULL,
    segments BIGINT NOT NULL,
    segments_link BLOB NOT NULL,
    used BIGINT NOT NULL,
    used_link BLOB NOT NULL
) WITHOUT ROWID;

-- A segment's id is its chain's number times 2^30 plus its own; the times are of its records.
CREATE TABLE segments (
    id INTEGER PRIMARY KEY,
    earliest BIGINT NOT NULL,
    latest BIGINT NOT NULL
);
CREATE TABLE segment_terms (
    id INTEGER PRIMARY KEY,
    terms BLOB NOT NULL
);

-- Which terms a group of segments has at all. The id is (chain * 2^24 + group) * 2^8 plus the top
-- byte of the terms; the terms are their other three bytes, ascending.
CREATE TABLE group_terms (
    id INTEGER PRIMARY KEY,
    terms BLOB NOT NULL
);

-- The last use of an object: `i/` and an item's id, `m/` and an access id.
CREATE TABLE uses (
    account BLOB NOT NULL,
    object TEXT NOT NULL,
    time BIGINT NOT NULL,
    access_id TEXT NOT NULL,
    unique_id TEXT NOT NULL,
    PRIMARY KEY (account, object)
) WITHOUT ROWID;

-- Requests of a day (since the epoch, UTC), summed up.
CREATE TABLE days (
    account BLOB NOT NULL,
    day BIGINT NOT NULL,
    access_id TEXT NOT NULL,
    unique_id TEXT NOT NULL,
    access_type TEXT NOT NULL,
    action TEXT NOT NULL,
    status BIGINT NOT NULL,
    requests BIGINT NOT NULL,
    micros BIGINT NOT NULL,
    PRIMARY KEY (account, day, access_id, unique_id, access_type, action, status)
) WITHOUT ROWID;
