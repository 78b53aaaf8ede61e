-- Reporting periods: days of which figures were told to somebody, at a revision of the program's journal. What is known of
-- those days later is a restatement; all of it is worked out from credits, which never change.
CREATE TABLE reporting_periods (
    program_id          UUID        NOT NULL,
    reporting_period_id UUID        NOT NULL,
    code                TEXT        COLLATE "C" NOT NULL,
    first_day           DATE        NOT NULL,
    last_day            DATE        NOT NULL,
    -- What was told, in the order of domain::field_report::outputs.
    told                BIGINT[]    NOT NULL,
    frozen_revision     BIGINT      NOT NULL,
    frozen_at           TIMESTAMPTZ NOT NULL,
    frozen_by           TEXT        NOT NULL,
    CONSTRAINT reporting_periods_pkey PRIMARY KEY (program_id, reporting_period_id),
    CONSTRAINT reporting_periods_code_key UNIQUE (program_id, code),
    CONSTRAINT reporting_periods_program_id_fkey FOREIGN KEY (program_id) REFERENCES programs,
    CONSTRAINT reporting_periods_days_check CHECK (first_day <= last_day)
);
