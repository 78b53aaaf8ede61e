-- Reviews of field reports: what was decided, and what approved reports count for.

ALTER TABLE reports
    -- The version that counts; null while none does. A report whose amendment waits has both this and a newer version.
    ADD COLUMN approved_version INTEGER,
    -- What the newest version claims, in the order of domain::field_report::outputs; null when it claims nothing.
    ADD COLUMN claimed          BIGINT[],
    -- Remarks of the last return, side by side.
    ADD COLUMN remark_fields    TEXT[]      NOT NULL DEFAULT '{}',
    ADD COLUMN remark_texts     TEXT[]      NOT NULL DEFAULT '{}',
    ADD COLUMN reviewed_by      TEXT        NOT NULL DEFAULT '',
    ADD COLUMN reviewed_at      TIMESTAMPTZ,
    ADD COLUMN decision         TEXT        NOT NULL DEFAULT '',
    ADD CONSTRAINT reports_remarks_check CHECK (cardinality(remark_fields) = cardinality(remark_texts)),
    ADD CONSTRAINT reports_approved_check CHECK (CASE
        WHEN state = 'APPROVED' THEN approved_version IS NOT NULL
        WHEN state IN ('REJECTED', 'VOIDED') THEN approved_version IS NULL
        ELSE true END);
-- For the queue of a reviewer, and for what is provisional.
CREATE INDEX reports_queue_idx ON reports (organization_id, first_revision, report_id)
    WHERE state IN ('RECEIVED', 'HELD', 'UNDER_REVIEW');
CREATE INDEX reports_provisional_idx ON reports (program_id, task_id)
    WHERE state IN ('RECEIVED', 'UNDER_REVIEW', 'RETURNED') AND approved_version IS NULL AND claimed IS NOT NULL
      AND hold_reasons = '{}';
-- For lists of days.
CREATE INDEX reports_work_date_idx ON reports (organization_id, work_date, first_revision, report_id);
-- What a team has to mend.
CREATE INDEX reports_returned_idx ON reports (team_id, report_id) WHERE state = 'RETURNED';

-- Why an approved report was amended; empty for versions that a device sent.
ALTER TABLE report_versions ADD COLUMN amendment TEXT NOT NULL DEFAULT '';

-- What the approved reports of a task count for, and the revision of the program's journal that changed it last.
ALTER TABLE tasks
    ADD COLUMN approved          BIGINT[] NOT NULL DEFAULT '{}',
    ADD COLUMN approved_revision BIGINT   NOT NULL DEFAULT 0;

-- What an approved version of a report counts for in its program. A row is added at the approval, ended once when the
-- version is replaced or voided, and never changed otherwise, so that every past report can be made again.
CREATE TABLE credits (
    program_id        UUID        NOT NULL,
    report_id         UUID        NOT NULL,
    version           INTEGER     NOT NULL,
    organization_id   UUID        NOT NULL,
    task_id           UUID        NOT NULL,
    allocation_id     UUID        NOT NULL,
    work_date         DATE        NOT NULL,
    outputs           BIGINT[]    NOT NULL,
    -- The entry that paid an expense claim.
    entry_id          UUID,
    -- Revisions of the program's journal.
    approved_revision BIGINT      NOT NULL,
    approved_at       TIMESTAMPTZ NOT NULL,
    approved_by       TEXT        NOT NULL,
    ended_revision    BIGINT,
    ended_at          TIMESTAMPTZ,
    ended_by          TEXT,
    ended_reason      TEXT,
    CONSTRAINT credits_pkey PRIMARY KEY (program_id, report_id, version),
    CONSTRAINT credits_report_version_fkey FOREIGN KEY (report_id, version) REFERENCES report_versions,
    CONSTRAINT credits_task_id_fkey FOREIGN KEY (task_id) REFERENCES tasks,
    CONSTRAINT credits_ended_check CHECK (num_nulls(ended_revision, ended_at, ended_by, ended_reason) IN (0, 4)
        AND approved_revision < ended_revision)
);
-- A report counts once.
CREATE UNIQUE INDEX credits_standing_key ON credits (report_id) WHERE ended_revision IS NULL;
CREATE INDEX credits_allocation_id_idx ON credits (program_id, allocation_id);
CREATE INDEX credits_work_date_idx ON credits (program_id, work_date);

-- Land of an approved version, part by part: no ground is credited twice, whichever site it is recorded as.
CREATE TABLE credited_areas (
    program_id       UUID    NOT NULL,
    report_id        UUID    NOT NULL,
    version          INTEGER NOT NULL,
    ordinal          INTEGER NOT NULL,
    authority_id     UUID    NOT NULL,
    site_id          UUID    NOT NULL,
    release_type     TEXT    NOT NULL,
    area_m2          BIGINT  NOT NULL,
    -- False when a measurement after the work had the land already.
    moved            BOOLEAN NOT NULL,
    boundary_geojson TEXT,
    -- The box of the boundary: degrees times ten million.
    south_e7         INTEGER,
    west_e7          INTEGER,
    north_e7         INTEGER,
    east_e7          INTEGER,
    CONSTRAINT credited_areas_pkey PRIMARY KEY (program_id, report_id, version, ordinal),
    CONSTRAINT credited_areas_credit_fkey FOREIGN KEY (program_id, report_id, version) REFERENCES credits,
    CONSTRAINT credited_areas_site_id_fkey FOREIGN KEY (site_id) REFERENCES sites,
    CONSTRAINT credited_areas_box_check CHECK (num_nulls(boundary_geojson, south_e7, west_e7, north_e7, east_e7) IN (0, 5))
);
CREATE INDEX credited_areas_site_id_idx ON credited_areas (site_id);
CREATE INDEX credited_areas_box_idx ON credited_areas
    USING gist (box(point(west_e7, south_e7), point(east_e7, north_e7))) WHERE boundary_geojson IS NOT NULL;

-- A voided or amended report gives its land back, with the sign turned.
ALTER TABLE land_movements
    ADD COLUMN report_id UUID,
    DROP CONSTRAINT land_movements_sign_check,
    ADD CONSTRAINT land_movements_sign_check CHECK (CASE
        WHEN kind IN ('IDENTIFIED', 'SPLIT_IN') THEN 0 < area_m2
        WHEN kind = 'REMEASURED' THEN area_m2 <> 0
        WHEN report_id IS NOT NULL AND kind IN ('CANCELLED', 'REDUCED', 'CLEARED') THEN area_m2 <> 0
        ELSE area_m2 < 0 END);
