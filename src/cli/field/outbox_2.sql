-- The history of the service that the team feed named last.
ALTER TABLE device ADD COLUMN feed_epoch TEXT NOT NULL DEFAULT '';
-- The answer to a version that is sent once more although it was acknowledged.
ALTER TABLE reports ADD COLUMN earlier BLOB;
-- Why the service does not keep the details of the victims; they stay in the content until it does.
ALTER TABLE reports ADD COLUMN details_told TEXT;
