-- One row an event. The table `request` is merged into the journal: a row of its own cost each entry a second
-- insert and 150 bytes (a second tuple header, and scope and revision once more), which is more than the
-- entry's money. Columns are in the order that needs no padding. No release knew the old table, so that it goes
-- in one step.
-- The heads first, as writers do: a service that still runs must not write between the copy and the end.
LOCK TABLE journal_head, journal, request IN ACCESS EXCLUSIVE MODE;

CREATE TABLE journal_of_one_row (
    scope_id    UUID        NOT NULL,
    revision    BIGINT      NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    -- The id of the write that made the revision, so that a retry gets the first answer.
    request_id  UUID        NOT NULL,
    -- 1 organization created, 2 program created, 3 period changed, 4 allocation created, 5 entry posted.
    kind        SMALLINT    NOT NULL,
    -- SHA-256 of a zero byte and the message: a leaf of RFC 6962.
    leaf_hash   BYTEA       NOT NULL,
    -- The message that clients receive, encoded once. Ids in it are packed, see src/store/journal/packed.rs.
    payload     BYTEA       NOT NULL,
    -- First half of the SHA-256 of the typed request. Null for entries: their message holds all of the request.
    digest      BYTEA,
    CONSTRAINT journal_revision_check CHECK (0 < revision),
    CONSTRAINT journal_kind_check CHECK (kind BETWEEN 1 AND 5),
    CONSTRAINT journal_leaf_hash_check CHECK (octet_length(leaf_hash) = 32),
    CONSTRAINT journal_digest_check CHECK ((digest IS NULL) = (kind = 5) AND octet_length(digest) = 16)
);

INSERT INTO journal_of_one_row (scope_id, revision, recorded_at, request_id, kind, leaf_hash, payload, digest)
SELECT j.scope_id, j.revision, j.recorded_at, r.request_id, j.kind, j.leaf_hash, j.payload,
       CASE WHEN j.kind <> 5 THEN r.digest END
  FROM journal j JOIN request r ON r.scope_id = j.scope_id AND r.revision = j.revision
 ORDER BY j.scope_id, j.revision;

-- An event without a request would be lost in the join.
DO $$ BEGIN
    IF (SELECT count(*) FROM journal) <> (SELECT count(*) FROM journal_of_one_row) THEN
        RAISE EXCEPTION 'journal and request do not match; run the audit of the version before';
    END IF;
END $$;

DROP TABLE request;
DROP TABLE journal;
ALTER TABLE journal_of_one_row RENAME TO journal;
ALTER TABLE journal ADD CONSTRAINT journal_pkey PRIMARY KEY (scope_id, revision);
-- The request comes first: then no other index serves a look-up by request ids, whatever the planner believes
-- about the table's size. The scope makes the key ready for tables that are partitioned or distributed by it.
ALTER TABLE journal ADD CONSTRAINT journal_request_id_scope_id_key UNIQUE (request_id, scope_id);
