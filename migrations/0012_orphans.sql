-- Objects that no row refers to. They are deleted when this database has seen them without for long, whatever their age:
-- after a restore, files of the lost future are such.
CREATE TABLE orphans (
    sha256         BYTEA       NOT NULL,
    size           BIGINT      NOT NULL,
    first_seen_at  TIMESTAMPTZ NOT NULL,
    -- Committed before the object is deleted; the row goes when that is confirmed. Meanwhile nobody refers to the object.
    deleting_since TIMESTAMPTZ,
    CONSTRAINT orphans_pkey PRIMARY KEY (sha256),
    CONSTRAINT orphans_sha256_check CHECK (octet_length(sha256) = 32)
);
CREATE INDEX orphans_first_seen_at_idx ON orphans (first_seen_at);

-- Which installation this is. The same is written into its store of files, so that no other one collects them.
ALTER TABLE feed ADD COLUMN installation_id UUID NOT NULL DEFAULT gen_random_uuid();
