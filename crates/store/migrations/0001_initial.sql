-- The first schema. Columns hold what is searched for; `body` is the JSON of the domain value.
-- Where a column and the body say the same thing, the column is right: bulk changes (moving a
-- folder, setting a state) change columns only. Times are milliseconds since the epoch.

CREATE TABLE meta (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE accounts (
    id BLOB NOT NULL PRIMARY KEY,
    settings TEXT NOT NULL,
    body TEXT NOT NULL
);

CREATE TABLE auth_methods (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account BLOB NOT NULL REFERENCES accounts (id),
    path TEXT NOT NULL,
    access_id TEXT NOT NULL UNIQUE,
    email TEXT,
    modified BIGINT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (account, path),
    UNIQUE (account, email)
);
CREATE INDEX auth_methods_by_email ON auth_methods (email);

CREATE TABLE roles (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account BLOB NOT NULL REFERENCES accounts (id),
    path TEXT NOT NULL,
    modified BIGINT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (account, path)
);

CREATE TABLE assocs (
    id TEXT NOT NULL PRIMARY KEY,
    account BLOB NOT NULL REFERENCES accounts (id),
    role BIGINT NOT NULL REFERENCES roles (id) ON DELETE CASCADE,
    method BIGINT NOT NULL REFERENCES auth_methods (id) ON DELETE CASCADE,
    -- Claims and letter case in one text: two associations that differ in nothing are one.
    condition TEXT NOT NULL,
    created BIGINT NOT NULL,
    UNIQUE (role, method, condition)
);
CREATE INDEX assocs_by_account ON assocs (account);
CREATE INDEX assocs_by_method ON assocs (method);

CREATE TABLE items (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account BLOB NOT NULL REFERENCES accounts (id),
    display_id TEXT NOT NULL,
    path TEXT NOT NULL,
    folder TEXT NOT NULL,
    protection_key BIGINT REFERENCES items (id),
    deletion_at BIGINT,
    modified BIGINT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (account, path),
    UNIQUE (account, display_id)
);
CREATE INDEX items_by_folder ON items (account, folder, path);
CREATE INDEX items_by_protection_key ON items (protection_key) WHERE protection_key IS NOT NULL;
CREATE INDEX items_by_deletion ON items (deletion_at) WHERE deletion_at IS NOT NULL;

CREATE TABLE item_versions (
    item BIGINT NOT NULL REFERENCES items (id) ON DELETE CASCADE,
    version BIGINT NOT NULL,
    state TEXT NOT NULL,
    key_id BLOB NOT NULL,
    body TEXT NOT NULL,
    ciphertext BLOB NOT NULL,
    PRIMARY KEY (item, version)
);
CREATE INDEX item_versions_by_key ON item_versions (key_id, item);

CREATE TABLE folders (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account BLOB NOT NULL REFERENCES accounts (id),
    path TEXT NOT NULL,
    modified BIGINT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (account, path)
);

CREATE TABLE keys (
    key_id BLOB NOT NULL,
    version BIGINT NOT NULL,
    account BLOB NOT NULL REFERENCES accounts (id),
    state TEXT NOT NULL,
    key_group TEXT NOT NULL,
    customer_fragment BLOB,
    managers BIGINT NOT NULL,
    threshold BIGINT NOT NULL,
    created BIGINT NOT NULL,
    manifest BLOB NOT NULL,
    PRIMARY KEY (key_id, version)
);

CREATE TABLE revoked_tokens (
    token BLOB NOT NULL PRIMARY KEY,
    account BLOB NOT NULL,
    expires BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX revoked_tokens_by_expiry ON revoked_tokens (expires);

-- One row per audited request. The id is the chain's number times 2^40 plus the record's number in
-- its chain, so the hottest insert of the system appends to one tree and has no second index.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    link BLOB NOT NULL,
    record BLOB NOT NULL
);

-- The newest signed head of each account's chain. No foreign key: requests that name no known
-- account are chained under the zero account.
CREATE TABLE audit_heads (
    account BLOB NOT NULL PRIMARY KEY,
    chain BIGINT NOT NULL UNIQUE,
    seq BIGINT NOT NULL,
    time BIGINT NOT NULL,
    link BLOB NOT NULL,
    signature BLOB NOT NULL
) WITHOUT ROWID;
