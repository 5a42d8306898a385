-- Gateways as clusters, and the processes in them. `config` is an envelope that gateways made; control
-- has no key to it. `config_key` says under which key of the account. Its version counts from 0, where
-- there is none. `last_seen` is written seldom.
CREATE TABLE gateway_clusters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account BLOB NOT NULL REFERENCES accounts (id),
    access_id TEXT NOT NULL,
    name TEXT NOT NULL,
    body TEXT NOT NULL,
    config_version BIGINT NOT NULL,
    config_key TEXT NOT NULL,
    config BLOB NOT NULL,
    UNIQUE (account, access_id, name)
);

CREATE TABLE gateway_instances (
    spki BLOB NOT NULL PRIMARY KEY,
    cluster BIGINT NOT NULL REFERENCES gateway_clusters (id) ON DELETE CASCADE,
    last_seen BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX gateway_instances_by_cluster ON gateway_instances (cluster);
