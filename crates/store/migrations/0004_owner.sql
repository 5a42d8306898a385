-- Wrong logins of people, so that a restart forgives nobody. `subject` is a keyed hash of the
-- address that was tried, whether it exists or not, and for a place known to belong to the person
-- of that too: the table tells nothing about who exists.
CREATE TABLE login_guards (
    subject BLOB NOT NULL PRIMARY KEY,
    failures BIGINT NOT NULL,
    locked_until BIGINT NOT NULL,
    last_failure BIGINT NOT NULL
) WITHOUT ROWID;

-- Networks that people signed in from lately, as keyed hashes.
CREATE TABLE login_places (
    subject BLOB NOT NULL,
    place BLOB NOT NULL,
    seen BIGINT NOT NULL,
    PRIMARY KEY (subject, place)
) WITHOUT ROWID;

-- Second factors of people. `sealed` is the seed under control's own key; `last_step` the newest
-- time step whose code was used; `recovery` a JSON array with the hashes of unused recovery codes.
CREATE TABLE second_factors (
    method BIGINT NOT NULL PRIMARY KEY REFERENCES auth_methods (id) ON DELETE CASCADE,
    sealed BLOB NOT NULL,
    confirmed BIGINT NOT NULL,
    last_step BIGINT NOT NULL,
    recovery TEXT NOT NULL,
    created BIGINT NOT NULL
);
