-- What each commit touched of that which control planes and gateways keep in memory, oldest first;
-- a row for each commit that did. Kept for a while only: whoever has not followed so long forgets all.
CREATE TABLE changes (
    number INTEGER PRIMARY KEY,
    time BIGINT NOT NULL,
    body TEXT NOT NULL
);
