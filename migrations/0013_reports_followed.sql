-- Whoever follows an operator's reports asks for the newest version of each: with it in the index, the walk reads no rows
-- of the table.
DROP INDEX reports_revision_idx;
CREATE INDEX reports_revision_idx ON reports (organization_id, revision, report_id)
    INCLUDE (task_id, state, newest_version);
