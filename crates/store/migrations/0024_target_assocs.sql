-- Targets that remote access may reach with an item, beside the target that the item uses. An item or target
-- that goes takes its rows along.
CREATE TABLE target_assocs (
    id TEXT NOT NULL PRIMARY KEY,
    account BLOB NOT NULL REFERENCES accounts (id),
    item BIGINT NOT NULL REFERENCES items (id) ON DELETE CASCADE,
    target BIGINT NOT NULL REFERENCES items (id) ON DELETE CASCADE,
    created BIGINT NOT NULL,
    UNIQUE (item, target)
) WITHOUT ROWID;
CREATE INDEX target_assocs_by_target ON target_assocs (target, item);
CREATE INDEX target_assocs_by_account ON target_assocs (account);
