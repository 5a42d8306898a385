-- Which target a dynamic secret makes its users on. A target that goes takes its rows along.
CREATE TABLE item_targets (
    item BIGINT NOT NULL REFERENCES items (id) ON DELETE CASCADE,
    target BIGINT NOT NULL REFERENCES items (id) ON DELETE CASCADE,
    PRIMARY KEY (item, target)
) WITHOUT ROWID;
CREATE INDEX item_targets_by_target ON item_targets (target, item);

-- Temporary credentials, from before they are made on their target until they are gone there. Columns are
-- right where the body says otherwise. `due` is when something is to be done by a gateway of `cluster` (0:
-- by any gateway); its index is all there is of a timer, so there is nothing to load at a start.
CREATE TABLE credential_leases (
    id BLOB NOT NULL PRIMARY KEY,
    account BLOB NOT NULL REFERENCES accounts (id),
    item BIGINT NOT NULL REFERENCES items (id),
    cluster BIGINT NOT NULL,
    state TEXT NOT NULL,
    due BIGINT,
    attempts BIGINT NOT NULL,
    settled BIGINT NOT NULL,
    body TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX credential_leases_by_due ON credential_leases (cluster, due) WHERE due IS NOT NULL;
CREATE INDEX credential_leases_by_item ON credential_leases (item, id);
