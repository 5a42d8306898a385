-- Who may configure a gateway cluster besides administrators.
CREATE TABLE gateway_access (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    cluster BIGINT NOT NULL REFERENCES gateway_clusters (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (cluster, name)
);
