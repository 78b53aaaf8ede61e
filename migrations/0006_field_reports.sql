-- Field reports. Versions are added and never changed; what a report is now is in `reports`. Personal data and files are
-- not here.

-- Kind 7 is a report that was received; its message holds the whole request, so it needs no digest.
ALTER TABLE journal
    DROP CONSTRAINT journal_kind_check,
    DROP CONSTRAINT journal_digest_check,
    ADD CONSTRAINT journal_kind_check CHECK (kind BETWEEN 1 AND 7),
    ADD CONSTRAINT journal_digest_check CHECK ((digest IS NULL) = (kind IN (5, 6, 7)) AND octet_length(digest) = 16);

-- A tablet that moves to another operator has a numbering there of its own.
CREATE TABLE devices (
    device_id       UUID        NOT NULL,
    organization_id UUID        NOT NULL,
    -- First and last numbers of the runs that were received, the lowest first.
    run_firsts      BIGINT[]    NOT NULL,
    run_lasts       BIGINT[]    NOT NULL,
    seen_at         TIMESTAMPTZ NOT NULL,
    CONSTRAINT devices_pkey PRIMARY KEY (device_id, organization_id),
    CONSTRAINT devices_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations,
    CONSTRAINT devices_runs_check CHECK (cardinality(run_firsts) = cardinality(run_lasts))
);

CREATE TABLE reports (
    organization_id UUID        NOT NULL,
    report_id       UUID        NOT NULL,
    -- Order in which reports were received first: the revision of the first event.
    first_revision  BIGINT      NOT NULL,
    device_id       UUID        NOT NULL,
    team_id         UUID        NOT NULL,
    task_id         UUID,
    -- Null when the task is not known.
    program_id      UUID,
    kind            TEXT        NOT NULL,
    work_date       DATE        NOT NULL,
    newest_version  INTEGER     NOT NULL,
    state           TEXT        NOT NULL,
    hold_reasons    TEXT[]      NOT NULL,
    revision        BIGINT      NOT NULL,
    CONSTRAINT reports_pkey PRIMARY KEY (report_id),
    CONSTRAINT reports_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations,
    CONSTRAINT reports_state_check CHECK (state IN
        ('RECEIVED', 'HELD', 'UNDER_REVIEW', 'RETURNED', 'APPROVED', 'REJECTED', 'VOIDED')),
    CONSTRAINT reports_held_check CHECK (state <> 'HELD' OR 0 < cardinality(hold_reasons))
);
-- For the queue of a reviewer, and lists.
CREATE INDEX reports_organization_id_idx ON reports (organization_id, first_revision, report_id);
CREATE INDEX reports_state_idx ON reports (organization_id, state, first_revision, report_id);
CREATE INDEX reports_task_id_idx ON reports (task_id, first_revision, report_id);
-- The business key: possible duplicates.
CREATE INDEX reports_alike_idx ON reports (team_id, task_id, work_date, kind);

CREATE TABLE report_versions (
    report_id       UUID        NOT NULL,
    version         INTEGER     NOT NULL,
    device_id       UUID        NOT NULL,
    device_sequence BIGINT      NOT NULL,
    content         BYTEA       NOT NULL,
    content_sha256  BYTEA       NOT NULL,
    received_at     TIMESTAMPTZ NOT NULL,
    received_by     TEXT        NOT NULL,
    clock_offset_ms BIGINT,
    captured_at     TIMESTAMPTZ,
    -- In the order of the contract: why this version was held when it came.
    hold_reasons    TEXT[]      NOT NULL,
    hold_texts      TEXT[]      NOT NULL,
    -- The nil id where a reason has no subject.
    hold_subjects   UUID[]      NOT NULL,
    revision        BIGINT      NOT NULL,
    CONSTRAINT report_versions_pkey PRIMARY KEY (report_id, version),
    CONSTRAINT report_versions_report_id_fkey FOREIGN KEY (report_id) REFERENCES reports,
    CONSTRAINT report_versions_version_check CHECK (1 <= version),
    CONSTRAINT report_versions_sha256_check CHECK (octet_length(content_sha256) = 32),
    CONSTRAINT report_versions_holds_check CHECK (cardinality(hold_reasons) = cardinality(hold_texts)
        AND cardinality(hold_reasons) = cardinality(hold_subjects))
);
-- Not unique: a device that lost its numbering sends other reports under old numbers, and they are held, not lost.
CREATE INDEX report_versions_device_id_idx ON report_versions (device_id, device_sequence);

CREATE TABLE report_attachments (
    report_id  UUID    NOT NULL,
    version    INTEGER NOT NULL,
    ordinal    INTEGER NOT NULL,
    sha256     BYTEA   NOT NULL,
    size       BIGINT  NOT NULL,
    media_type TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    CONSTRAINT report_attachments_pkey PRIMARY KEY (report_id, version, ordinal),
    CONSTRAINT report_attachments_version_fkey FOREIGN KEY (report_id, version) REFERENCES report_versions,
    CONSTRAINT report_attachments_sha256_check CHECK (octet_length(sha256) = 32)
);
CREATE INDEX report_attachments_sha256_idx ON report_attachments (sha256);
