-- Tokens of universal identity. `token_id` says where a token stands in its tree: a child's id is
-- its parent's with four characters more, so a branch is a range of ids. `revoked` and `event_at`
-- are right where the body says otherwise: a whole branch is revoked by one statement.
CREATE TABLE uid_tokens (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    method BIGINT NOT NULL REFERENCES auth_methods (id) ON DELETE CASCADE,
    token_id TEXT NOT NULL,
    revoked BIGINT,
    -- When its newest value ends, so that what is long dead can be forgotten.
    ends BIGINT NOT NULL,
    event_at BIGINT,
    body TEXT NOT NULL,
    UNIQUE (method, token_id)
);
CREATE INDEX uid_tokens_by_event ON uid_tokens (event_at) WHERE event_at IS NOT NULL;
CREATE INDEX uid_tokens_by_end ON uid_tokens (ends);
