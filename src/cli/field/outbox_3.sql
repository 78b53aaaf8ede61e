-- The answer of a service that keeps a version without fields that it does not know. The version is sent again in each sync,
-- until the service keeps it whole.
ALTER TABLE reports ADD COLUMN partly BLOB;
-- Whether that was heard in this sync.
ALTER TABLE reports ADD COLUMN rests INTEGER NOT NULL DEFAULT 0;
