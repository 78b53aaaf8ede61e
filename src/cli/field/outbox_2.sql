-- The history of the service that the team feed named last.
ALTER TABLE device ADD COLUMN feed_epoch TEXT NOT NULL DEFAULT '';
-- File with the certificates that the service is known by; none for those of the system.
ALTER TABLE device ADD COLUMN ca_file TEXT;
-- Whether reports may go over a network in the clear.
ALTER TABLE device ADD COLUMN insecure INTEGER NOT NULL DEFAULT 0;
-- The answer to a version that is sent once more although it was acknowledged.
ALTER TABLE reports ADD COLUMN earlier BLOB;
-- Why the service does not keep the details of the victims; they stay in the content until it does.
ALTER TABLE reports ADD COLUMN details_told TEXT;
