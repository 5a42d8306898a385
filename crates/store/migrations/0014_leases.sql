-- What only one instance of a cluster may do at a time, who does it, and how far that work came. A
-- lease that has ended stays, for its number; a place is written only under the newest number.
CREATE TABLE gateway_leases (
    cluster BIGINT NOT NULL REFERENCES gateway_clusters (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (cluster, name)
);

CREATE TABLE gateway_places (
    cluster BIGINT NOT NULL REFERENCES gateway_clusters (id) ON DELETE CASCADE,
    lease TEXT NOT NULL,
    name TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (cluster, lease, name)
);
