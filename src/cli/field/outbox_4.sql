-- The newest version of the report that the service named when it refused this one, since another had replaced its base.
ALTER TABLE reports ADD COLUMN newest INTEGER;
-- Whether the service takes no more versions of the report from a device.
ALTER TABLE reports ADD COLUMN closed INTEGER NOT NULL DEFAULT 0;
