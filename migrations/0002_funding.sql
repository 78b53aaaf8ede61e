-- Programs and their money. What one row can show is checked here; what spans rows is checked by
-- src/store/audit.sql. Amounts are minor units of the program's currency.

CREATE TABLE organizations (
    organization_id UUID        NOT NULL,
    kind            TEXT        NOT NULL,
    code            TEXT        COLLATE "C" NOT NULL,
    name            TEXT        NOT NULL,
    -- ISO 3166-1 alpha-2; null for an international body.
    country_code    CHAR(2),
    created_at      TIMESTAMPTZ NOT NULL,
    revision        BIGINT      NOT NULL,
    CONSTRAINT organizations_pkey PRIMARY KEY (organization_id),
    CONSTRAINT organizations_code_key UNIQUE (code),
    CONSTRAINT organizations_kind_check CHECK (kind IN ('FUNDER', 'OFFICE', 'AUTHORITY', 'OPERATOR'))
);

CREATE TABLE programs (
    program_id    UUID        NOT NULL,
    code          TEXT        COLLATE "C" NOT NULL,
    title         TEXT        NOT NULL,
    funder_id     UUID        NOT NULL,
    office_id     UUID        NOT NULL,
    currency_code CHAR(3)     NOT NULL,
    created_at    TIMESTAMPTZ NOT NULL,
    revision      BIGINT      NOT NULL,
    CONSTRAINT programs_pkey PRIMARY KEY (program_id),
    CONSTRAINT programs_code_key UNIQUE (code),
    CONSTRAINT programs_funder_id_fkey FOREIGN KEY (funder_id) REFERENCES organizations,
    CONSTRAINT programs_office_id_fkey FOREIGN KEY (office_id) REFERENCES organizations
);

-- For the list of a party's programs.
CREATE INDEX programs_funder_id_idx ON programs (funder_id, code);
CREATE INDEX programs_office_id_idx ON programs (office_id, code);

CREATE TABLE periods (
    program_id             UUID   NOT NULL,
    period_id              UUID   NOT NULL,
    code                   TEXT   COLLATE "C" NOT NULL,
    title                  TEXT   NOT NULL,
    first_day              DATE   NOT NULL,
    last_day               DATE   NOT NULL,
    root_allocation_id     UUID   NOT NULL,
    state                  TEXT   NOT NULL,
    -- Sum of the authorize entries that stand.
    original               BIGINT NOT NULL,
    -- What the root has received.
    authorized             BIGINT NOT NULL,
    -- Revision at which one of the two last changed.
    authorization_revision BIGINT NOT NULL,
    -- Revision at which the state last changed.
    revision               BIGINT NOT NULL,
    CONSTRAINT periods_pkey PRIMARY KEY (program_id, period_id),
    CONSTRAINT periods_program_id_code_key UNIQUE (program_id, code),
    CONSTRAINT periods_program_id_fkey FOREIGN KEY (program_id) REFERENCES programs,
    CONSTRAINT periods_days_check CHECK (first_day <= last_day),
    CONSTRAINT periods_state_check CHECK (state IN ('OPEN', 'EXPIRED', 'CLOSED')),
    CONSTRAINT periods_original_check CHECK (0 <= original),
    CONSTRAINT periods_authorized_check CHECK (0 <= authorized)
);

CREATE TABLE allocations (
    program_id       UUID        NOT NULL,
    allocation_id    UUID        NOT NULL,
    period_id        UUID        NOT NULL,
    -- Null for the root of a period.
    parent_id        UUID,
    code             TEXT        COLLATE "C" NOT NULL,
    title            TEXT        NOT NULL,
    purpose          TEXT        NOT NULL,
    country_code     CHAR(2),
    recipient_id     UUID,
    task_id          UUID,
    -- Codes from the root down to this one; its order is the order of the tree.
    path             TEXT[]      COLLATE "C" NOT NULL,
    created_at       TIMESTAMPTZ NOT NULL,
    -- Revision at which it was added: a report of an earlier revision does not show it.
    created_revision BIGINT      NOT NULL,
    -- Allocations right below. Only an allocation without any is spent from.
    child_count      INTEGER     NOT NULL,
    received         BIGINT      NOT NULL,
    available        BIGINT      NOT NULL,
    allocated_out    BIGINT      NOT NULL,
    reserved         BIGINT      NOT NULL,
    obligated        BIGINT      NOT NULL,
    advanced         BIGINT      NOT NULL,
    expended         BIGINT      NOT NULL,
    received_in      BIGINT      NOT NULL,
    returned_out     BIGINT      NOT NULL,
    expended_in      BIGINT      NOT NULL,
    expended_out     BIGINT      NOT NULL,
    open_obligations INTEGER     NOT NULL,
    -- Revision at which the balance last changed.
    revision         BIGINT      NOT NULL,
    CONSTRAINT allocations_pkey PRIMARY KEY (program_id, allocation_id),
    CONSTRAINT allocations_program_id_period_id_code_key UNIQUE (program_id, period_id, code),
    CONSTRAINT allocations_program_id_period_id_path_key UNIQUE (program_id, period_id, path),
    CONSTRAINT allocations_program_id_period_id_fkey
        FOREIGN KEY (program_id, period_id) REFERENCES periods,
    CONSTRAINT allocations_program_id_parent_id_fkey
        FOREIGN KEY (program_id, parent_id) REFERENCES allocations,
    CONSTRAINT allocations_purpose_check
        CHECK (purpose IN ('ROOT', 'COUNTRY', 'GRANT', 'TASK', 'SUPPORT')),
    CONSTRAINT allocations_root_check CHECK ((purpose = 'ROOT') = (parent_id IS NULL)),
    CONSTRAINT allocations_sum_check
        CHECK (received = available + allocated_out + reserved + obligated + advanced + expended),
    CONSTRAINT allocations_buckets_check
        CHECK (0 <= LEAST(available, allocated_out, reserved, obligated, advanced, expended)),
    CONSTRAINT allocations_turnover_check
        CHECK (received = received_in - returned_out AND expended = expended_in - expended_out
               AND 0 <= LEAST(received_in, returned_out, expended_in, expended_out)),
    CONSTRAINT allocations_leaf_check
        CHECK (child_count = 0 OR reserved = 0 AND obligated = 0 AND advanced = 0 AND expended = 0),
    CONSTRAINT allocations_child_count_check CHECK (0 <= child_count),
    CONSTRAINT allocations_open_obligations_check CHECK (0 <= open_obligations)
) WITH (fillfactor = 70);
-- For a push-down, which shares an increase among the children of the root.
CREATE INDEX allocations_program_id_parent_id_idx ON allocations (program_id, parent_id);

CREATE TABLE reservations (
    program_id     UUID   NOT NULL,
    reservation_id UUID   NOT NULL,
    allocation_id  UUID   NOT NULL,
    remaining      BIGINT NOT NULL,
    CONSTRAINT reservations_pkey PRIMARY KEY (program_id, reservation_id),
    CONSTRAINT reservations_program_id_allocation_id_fkey
        FOREIGN KEY (program_id, allocation_id) REFERENCES allocations,
    CONSTRAINT reservations_remaining_check CHECK (0 <= remaining)
) WITH (fillfactor = 70);

CREATE TABLE obligations (
    program_id    UUID   NOT NULL,
    obligation_id UUID   NOT NULL,
    allocation_id UUID   NOT NULL,
    payee_name    TEXT   NOT NULL,
    payee_id      UUID,
    reference     TEXT   NOT NULL,
    obligated     BIGINT NOT NULL,
    advanced      BIGINT NOT NULL,
    expended      BIGINT NOT NULL,
    -- Revision of the last change.
    revision      BIGINT NOT NULL,
    CONSTRAINT obligations_pkey PRIMARY KEY (program_id, obligation_id),
    CONSTRAINT obligations_program_id_allocation_id_fkey
        FOREIGN KEY (program_id, allocation_id) REFERENCES allocations,
    CONSTRAINT obligations_amounts_check CHECK (0 <= LEAST(obligated, advanced, expended))
) WITH (fillfactor = 70);
-- For the list of an allocation's obligations.
CREATE INDEX obligations_program_id_allocation_id_idx ON obligations (program_id, allocation_id, obligation_id);

-- Entries that were undone. The key makes a second reversal of one entry impossible.
CREATE TABLE reversals (
    program_id  UUID NOT NULL,
    entry_id    UUID NOT NULL,
    reversed_by UUID NOT NULL,
    CONSTRAINT reversals_pkey PRIMARY KEY (program_id, entry_id),
    CONSTRAINT reversals_program_id_reversed_by_key UNIQUE (program_id, reversed_by)
);
