-- Files that reports declare. The files themselves are in an object store; here is which of them are whole.

-- Kind 8 is a file that was stored. Its message holds everything, so it needs no digest.
ALTER TABLE journal
    DROP CONSTRAINT journal_kind_check,
    DROP CONSTRAINT journal_digest_check,
    ADD CONSTRAINT journal_kind_check CHECK (kind BETWEEN 1 AND 8),
    ADD CONSTRAINT journal_digest_check
        CHECK ((digest IS NULL) = (kind IN (5, 6, 7, 8)) AND octet_length(digest) = 16);

-- One row for each operator that uploaded the file: nobody learns what others have. The object is the same for all.
CREATE TABLE attachments (
    organization_id UUID        NOT NULL,
    sha256          BYTEA       NOT NULL,
    size            BIGINT      NOT NULL,
    -- What the content itself shows, whatever reports say.
    media_type      TEXT        NOT NULL,
    stored_at       TIMESTAMPTZ NOT NULL,
    stored_by       TEXT        NOT NULL,
    revision        BIGINT      NOT NULL,
    CONSTRAINT attachments_pkey PRIMARY KEY (organization_id, sha256),
    CONSTRAINT attachments_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations,
    CONSTRAINT attachments_sha256_check CHECK (octet_length(sha256) = 32),
    CONSTRAINT attachments_size_check CHECK (size BETWEEN 1 AND 52428800)
);
-- Whether anybody still refers to an object.
CREATE INDEX attachments_sha256_idx ON attachments (sha256);
