-- Personal data of victims, apart from the reports that name them, and who read it; and the order in which reports
-- changed, for those who follow them.

-- Details of a victim as they came with one version of a report, encrypted. The report holds only their salted hash.
CREATE TABLE personal_records (
    organization_id UUID        NOT NULL,
    report_id       UUID        NOT NULL,
    victim_id       UUID        NOT NULL,
    version         INTEGER     NOT NULL,
    -- Nonce and ciphertext of XChaCha20-Poly1305; see src/app/personal_key.rs for what is bound to it.
    sealed          BYTEA       NOT NULL,
    -- Names the key, and says nothing about it.
    key_id          TEXT        NOT NULL,
    stored_at       TIMESTAMPTZ NOT NULL,
    CONSTRAINT personal_records_pkey PRIMARY KEY (organization_id, report_id, victim_id, version),
    CONSTRAINT personal_records_version_fkey FOREIGN KEY (report_id, version) REFERENCES report_versions,
    -- Nonce and tag alone have 40 bytes.
    CONSTRAINT personal_records_sealed_check CHECK (40 < octet_length(sealed))
);

-- What remains of a victim whose details were erased. Details that are sent again find it, and are not stored.
CREATE TABLE erased_victims (
    organization_id UUID        NOT NULL,
    report_id       UUID        NOT NULL,
    victim_id       UUID        NOT NULL,
    reason          TEXT        NOT NULL,
    erased_by       TEXT        NOT NULL,
    erased_at       TIMESTAMPTZ NOT NULL,
    revision        BIGINT      NOT NULL,
    CONSTRAINT erased_victims_pkey PRIMARY KEY (organization_id, report_id, victim_id),
    CONSTRAINT erased_victims_report_id_fkey FOREIGN KEY (report_id) REFERENCES reports
);

-- Every reading of details, written before they are shown.
CREATE TABLE personal_access (
    organization_id UUID        NOT NULL,
    access_id       BIGINT      GENERATED ALWAYS AS IDENTITY,
    report_id       UUID        NOT NULL,
    subject         TEXT        NOT NULL,
    role            TEXT        NOT NULL,
    -- Organization of the reader; null for an administrator of none.
    reader_id       UUID,
    purpose         TEXT        NOT NULL,
    accessed_at     TIMESTAMPTZ NOT NULL,
    victim_ids      UUID[]      NOT NULL,
    CONSTRAINT personal_access_pkey PRIMARY KEY (organization_id, access_id),
    CONSTRAINT personal_access_report_id_fkey FOREIGN KEY (report_id) REFERENCES reports,
    CONSTRAINT personal_access_purpose_check CHECK (purpose <> '')
);

-- For those who follow an operator's reports. What they filter by is in it, so that a filter reads no rows in vain.
CREATE INDEX reports_revision_idx ON reports (organization_id, revision, report_id) INCLUDE (task_id, state);
