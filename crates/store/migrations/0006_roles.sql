-- Groups of bearers. `alias` is their short name.
CREATE TABLE bearer_groups (
    id TEXT NOT NULL PRIMARY KEY,
    account BLOB NOT NULL REFERENCES accounts (id),
    path TEXT NOT NULL,
    alias TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (account, path),
    UNIQUE (account, alias)
);
