-- The journal: one mechanism for order, history, streams and proof. See ARCHITECTURE.md.

-- One row: which history this database holds, and the key that authenticates page and resume tokens.
-- The epoch is renewed after a backup is restored, so that tokens of the lost future are refused.
CREATE TABLE feed (
    one       BOOLEAN PRIMARY KEY DEFAULT TRUE,
    epoch     UUID    NOT NULL,
    -- 32 random bytes. gen_random_uuid() draws from the server's strong random source.
    token_key BYTEA   NOT NULL,
    CONSTRAINT feed_one_check CHECK (one),
    CONSTRAINT feed_token_key_check CHECK (octet_length(token_key) = 32)
);
INSERT INTO feed (epoch, token_key)
VALUES (gen_random_uuid(), sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())));

-- One row a scope. It is the mutex of the scope, its clock and its log position: whoever writes to a scope
-- locks this row first. Half-filled pages keep its updates on one page.
CREATE TABLE journal_head (
    scope_id    UUID        NOT NULL,
    revision    BIGINT      NOT NULL,
    -- When the last revision was recorded; it never goes back.
    recorded_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT journal_head_pkey PRIMARY KEY (scope_id),
    CONSTRAINT journal_head_revision_check CHECK (0 <= revision)
) WITH (fillfactor = 50);

-- Every change of a scope, append-only, numbered without gaps in commit order.
CREATE TABLE journal (
    scope_id    UUID        NOT NULL,
    revision    BIGINT      NOT NULL,
    -- 1 organization created, 2 program created, 3 period changed, 4 allocation created, 5 entry posted.
    kind        SMALLINT    NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    -- The message that clients receive, encoded once.
    payload     BYTEA       NOT NULL,
    -- SHA-256 of a zero byte and the payload: a leaf of RFC 6962.
    leaf_hash   BYTEA       NOT NULL,
    CONSTRAINT journal_pkey PRIMARY KEY (scope_id, revision),
    CONSTRAINT journal_revision_check CHECK (0 < revision),
    CONSTRAINT journal_kind_check CHECK (kind BETWEEN 1 AND 5),
    CONSTRAINT journal_leaf_hash_check CHECK (octet_length(leaf_hash) = 32)
);

-- Which write made which revision, so that a retry gets the first answer. The key is the only index: with
-- another one the planner may choose it for a look-up by id and keep that plan.
CREATE TABLE request (
    scope_id   UUID   NOT NULL,
    request_id UUID   NOT NULL,
    revision   BIGINT NOT NULL,
    -- First half of the SHA-256 of the typed request.
    digest     BYTEA  NOT NULL,
    CONSTRAINT request_pkey PRIMARY KEY (scope_id, request_id),
    CONSTRAINT request_digest_check CHECK (octet_length(digest) = 16)
);
