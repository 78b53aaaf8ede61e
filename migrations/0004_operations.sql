-- Sites, tasks, teams and assignments. What one row can show is checked here; what spans rows is checked by
-- src/store/audit.sql. Every key that is not global begins with, or contains, the scope. Days are inclusive;
-- a last day that is null is open-ended.

-- uuid and text in exclusion constraints. The extension is part of PostgreSQL's own distribution and trusted: the
-- owner of the database may create it.
CREATE EXTENSION IF NOT EXISTS btree_gist;

-- Kind 6 is a change of the operations side; its message holds the whole request, so it needs no digest.
ALTER TABLE journal
    DROP CONSTRAINT journal_kind_check,
    DROP CONSTRAINT journal_digest_check,
    ADD CONSTRAINT journal_kind_check CHECK (kind BETWEEN 1 AND 6),
    ADD CONSTRAINT journal_digest_check CHECK ((digest IS NULL) = (kind IN (5, 6)) AND octet_length(digest) = 16);

-- Which records a change is about: the way from a record to its history, and from a revision to what it touched.
CREATE TABLE change_subjects (
    scope_id   UUID   NOT NULL,
    revision   BIGINT NOT NULL,
    -- Clients make ids, so two records of different kinds may share one.
    subject_id UUID   NOT NULL,
    -- Word of the kind of record, such as TASK.
    kind       TEXT   NOT NULL,
    CONSTRAINT change_subjects_pkey PRIMARY KEY (scope_id, revision, subject_id, kind)
);
CREATE INDEX change_subjects_scope_id_subject_id_idx ON change_subjects (scope_id, subject_id, revision);

-- Teams -----------------------------------------------------------------------------------------------------------

CREATE TABLE teams (
    organization_id UUID        NOT NULL,
    team_id         UUID        NOT NULL,
    code            TEXT        COLLATE "C" NOT NULL,
    name            TEXT        NOT NULL,
    type            TEXT        NOT NULL,
    state           TEXT        NOT NULL,
    note            TEXT        NOT NULL,
    created_at      TIMESTAMPTZ NOT NULL,
    revision        BIGINT      NOT NULL,
    CONSTRAINT teams_pkey PRIMARY KEY (team_id),
    CONSTRAINT teams_organization_id_code_key UNIQUE (organization_id, code),
    CONSTRAINT teams_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations,
    CONSTRAINT teams_state_check CHECK (state IN ('ACTIVE', 'DISBANDED'))
);

-- A person belongs to one operator; the name is that of the last membership that was written.
CREATE TABLE people (
    organization_id UUID NOT NULL,
    person_id       UUID NOT NULL,
    name            TEXT NOT NULL,
    CONSTRAINT people_pkey PRIMARY KEY (person_id),
    CONSTRAINT people_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations
);

CREATE TABLE members (
    organization_id UUID        NOT NULL,
    member_id       UUID        NOT NULL,
    team_id         UUID        NOT NULL,
    person_id       UUID        NOT NULL,
    role            TEXT        NOT NULL,
    first_day       DATE        NOT NULL,
    last_day        DATE,
    created_at      TIMESTAMPTZ NOT NULL,
    revision        BIGINT      NOT NULL,
    CONSTRAINT members_pkey PRIMARY KEY (member_id),
    CONSTRAINT members_team_id_fkey FOREIGN KEY (team_id) REFERENCES teams,
    CONSTRAINT members_person_id_fkey FOREIGN KEY (person_id) REFERENCES people,
    CONSTRAINT members_days_check CHECK (first_day <= last_day),
    -- A person is in one team once at a time.
    CONSTRAINT members_overlap_excl
        EXCLUDE USING gist (team_id WITH =, person_id WITH =, daterange(first_day, last_day, '[]') WITH &&)
);
CREATE INDEX members_person_id_idx ON members (person_id);
-- For lists.
CREATE INDEX members_organization_id_idx ON members (organization_id, member_id);
CREATE INDEX members_team_id_idx ON members (team_id, member_id);

CREATE TABLE assets (
    organization_id  UUID        NOT NULL,
    asset_id         UUID        NOT NULL,
    kind             TEXT        NOT NULL,
    code             TEXT        COLLATE "C" NOT NULL,
    description      TEXT        NOT NULL,
    valid_until      DATE,
    shared_tasks_max INTEGER     NOT NULL,
    state            TEXT        NOT NULL,
    created_at       TIMESTAMPTZ NOT NULL,
    revision         BIGINT      NOT NULL,
    CONSTRAINT assets_pkey PRIMARY KEY (asset_id),
    CONSTRAINT assets_organization_id_code_key UNIQUE (organization_id, code),
    CONSTRAINT assets_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations,
    CONSTRAINT assets_state_check CHECK (state IN ('IN_USE', 'WITHDRAWN')),
    CONSTRAINT assets_shared_check CHECK ((kind = 'AMBULANCE') = (0 < shared_tasks_max)),
    CONSTRAINT assets_valid_until_check
        CHECK (valid_until IS NOT NULL OR kind NOT IN ('DETECTOR', 'DOG', 'EXPLOSIVES_STORE'))
);

CREATE TABLE accreditations (
    organization_id  UUID        NOT NULL,
    accreditation_id UUID        NOT NULL,
    level            TEXT        NOT NULL,
    subject_id       UUID        NOT NULL,
    authority_id     UUID        NOT NULL,
    activity         TEXT        NOT NULL,
    certificate      TEXT        NOT NULL,
    first_day        DATE        NOT NULL,
    last_day         DATE,
    state            TEXT        NOT NULL,
    -- Null for what was never more than an application.
    granted_at       TIMESTAMPTZ,
    withdrawn_on     DATE,
    withdrawal_reason TEXT,
    created_at       TIMESTAMPTZ NOT NULL,
    revision         BIGINT      NOT NULL,
    CONSTRAINT accreditations_pkey PRIMARY KEY (accreditation_id),
    CONSTRAINT accreditations_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations,
    CONSTRAINT accreditations_authority_id_fkey FOREIGN KEY (authority_id) REFERENCES organizations,
    CONSTRAINT accreditations_level_check CHECK (level IN ('ORGANIZATION', 'TEAM', 'PERSON')),
    CONSTRAINT accreditations_state_check CHECK (state IN
        ('APPLIED', 'DESK_REVIEW', 'FIELD_ASSESSMENT', 'ACCREDITED', 'SUSPENDED', 'WITHDRAWN')),
    CONSTRAINT accreditations_granted_check CHECK
        (CASE state WHEN 'WITHDRAWN' THEN true
                    ELSE (granted_at IS NOT NULL) = (state IN ('ACCREDITED', 'SUSPENDED')) END),
    CONSTRAINT accreditations_withdrawn_check CHECK
        ((withdrawn_on IS NOT NULL) = (state = 'WITHDRAWN')
         AND (withdrawal_reason IS NOT NULL) = (state = 'WITHDRAWN')),
    CONSTRAINT accreditations_days_check CHECK (first_day <= last_day)
);
-- For the check of an assignment.
CREATE INDEX accreditations_subject_id_idx ON accreditations (subject_id, activity);
CREATE INDEX accreditations_organization_id_idx ON accreditations (organization_id, accreditation_id);

CREATE TABLE suspensions (
    accreditation_id UUID NOT NULL,
    first_day        DATE NOT NULL,
    last_day         DATE,
    reason           TEXT NOT NULL,
    CONSTRAINT suspensions_pkey PRIMARY KEY (accreditation_id, first_day),
    CONSTRAINT suspensions_accreditation_id_fkey FOREIGN KEY (accreditation_id) REFERENCES accreditations,
    CONSTRAINT suspensions_days_check CHECK (first_day <= last_day),
    CONSTRAINT suspensions_overlap_excl
        EXCLUDE USING gist (accreditation_id WITH =, daterange(first_day, last_day, '[]') WITH &&)
);

CREATE TABLE refreshers (
    organization_id UUID        NOT NULL,
    refresher_id    UUID        NOT NULL,
    person_id       UUID        NOT NULL,
    held_on         DATE        NOT NULL,
    note            TEXT        NOT NULL,
    created_at      TIMESTAMPTZ NOT NULL,
    revision        BIGINT      NOT NULL,
    CONSTRAINT refreshers_pkey PRIMARY KEY (refresher_id),
    CONSTRAINT refreshers_person_id_fkey FOREIGN KEY (person_id) REFERENCES people
);
CREATE INDEX refreshers_person_id_idx ON refreshers (person_id, held_on);
CREATE INDEX refreshers_organization_id_idx ON refreshers (organization_id, refresher_id);

CREATE TABLE licences (
    organization_id UUID        NOT NULL,
    licence_id      UUID        NOT NULL,
    authority_id    UUID        NOT NULL,
    program_id      UUID        NOT NULL,
    task_id         UUID        NOT NULL,
    certificate     TEXT        NOT NULL,
    first_day       DATE        NOT NULL,
    last_day        DATE,
    created_at      TIMESTAMPTZ NOT NULL,
    revision        BIGINT      NOT NULL,
    CONSTRAINT licences_pkey PRIMARY KEY (licence_id),
    CONSTRAINT licences_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations,
    CONSTRAINT licences_days_check CHECK (first_day <= last_day)
);
CREATE INDEX licences_organization_id_task_id_idx ON licences (organization_id, task_id);
CREATE INDEX licences_organization_id_idx ON licences (organization_id, licence_id);

-- Sites -----------------------------------------------------------------------------------------------------------

CREATE TABLE sites (
    authority_id        UUID        NOT NULL,
    site_id             UUID        NOT NULL,
    country_code        CHAR(2)     NOT NULL,
    code                TEXT        COLLATE "C" NOT NULL,
    name                TEXT        NOT NULL,
    former_names        TEXT[]      NOT NULL,
    class               TEXT        NOT NULL,
    status              TEXT        NOT NULL,
    -- Always the sum of its movements.
    area_m2             BIGINT      NOT NULL,
    computed_area_m2    BIGINT,
    boundary_geojson    TEXT,
    -- What the text filter looks into: code, name and former names in lower case, one a line.
    searched            TEXT        NOT NULL,
    latitude_e7         INTEGER,
    longitude_e7        INTEGER,
    accuracy_m          INTEGER,
    -- The box of the boundary, or the position, or of the site that it was split from: degrees times ten million.
    south_e7            INTEGER,
    west_e7             INTEGER,
    north_e7            INTEGER,
    east_e7             INTEGER,
    time_zone           TEXT        NOT NULL,
    information_on      DATE        NOT NULL,
    -- Day of the last evidence of danger, which a release must answer.
    evidence_on         DATE        NOT NULL,
    evidence            TEXT        NOT NULL,
    came_from_id        UUID,
    suspension_cause    TEXT,
    release_type        TEXT,
    released_on         DATE,
    released_by         TEXT,
    release_survey_id   UUID,
    release_depth_cm    INTEGER,
    release_control     TEXT,
    handed_over_on      DATE,
    conflict            TEXT        NOT NULL,
    created_at          TIMESTAMPTZ NOT NULL,
    revision            BIGINT      NOT NULL,
    CONSTRAINT sites_pkey PRIMARY KEY (site_id),
    CONSTRAINT sites_authority_id_code_key UNIQUE (authority_id, code),
    CONSTRAINT sites_authority_id_fkey FOREIGN KEY (authority_id) REFERENCES organizations,
    CONSTRAINT sites_came_from_id_fkey FOREIGN KEY (came_from_id) REFERENCES sites,
    -- A site that comes from itself would be a cycle.
    CONSTRAINT sites_came_from_check CHECK (came_from_id <> site_id),
    CONSTRAINT sites_class_check CHECK (class IN ('SHA', 'CHA')),
    CONSTRAINT sites_status_check CHECK (status IN ('OPEN', 'SUSPENDED', 'CLOSED', 'HANDED_OVER')),
    CONSTRAINT sites_suspension_check CHECK ((suspension_cause IS NOT NULL) = (status = 'SUSPENDED')),
    CONSTRAINT sites_handed_over_check CHECK ((handed_over_on IS NOT NULL) = (status = 'HANDED_OVER')),
    CONSTRAINT sites_area_check CHECK (0 <= area_m2 AND (status IN ('OPEN', 'SUSPENDED') OR area_m2 = 0)),
    CONSTRAINT sites_boundary_check CHECK ((boundary_geojson IS NULL) = (computed_area_m2 IS NULL)),
    CONSTRAINT sites_box_check CHECK (south_e7 <= north_e7 AND west_e7 <= east_e7
        AND num_nulls(south_e7, west_e7, north_e7, east_e7) IN (0, 4))
);
-- For lists by bounding box. box is PostgreSQL's own type, so nothing has to be installed.
CREATE INDEX sites_box_idx ON sites USING gist (box(point(west_e7, south_e7), point(east_e7, north_e7)));
-- For pages in order: holds all that a list filters by, so that what is not on the page is never fetched.
CREATE INDEX sites_listing_idx ON sites (code, site_id)
    INCLUDE (authority_id, country_code, class, status, south_e7, west_e7, north_e7, east_e7);
CREATE INDEX sites_country_code_idx ON sites (country_code, code, site_id);
CREATE INDEX sites_came_from_id_idx ON sites (came_from_id);

CREATE TABLE surveys (
    authority_id UUID        NOT NULL,
    survey_id    UUID        NOT NULL,
    site_id      UUID        NOT NULL,
    kind         TEXT        NOT NULL,
    surveyed_on  DATE        NOT NULL,
    result       TEXT        NOT NULL,
    note         TEXT        NOT NULL,
    kept_unsafe  BOOLEAN     NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL,
    revision     BIGINT      NOT NULL,
    CONSTRAINT surveys_pkey PRIMARY KEY (survey_id),
    CONSTRAINT surveys_site_id_fkey FOREIGN KEY (site_id) REFERENCES sites
);
CREATE INDEX surveys_site_id_idx ON surveys (site_id, surveyed_on, survey_id);

-- The land ledger: square metres that came to a site or left it. Append-only. The sign is that of the effect on the
-- site's area. What is split out of one site is split into others in the same revision.
CREATE TABLE land_movements (
    authority_id UUID   NOT NULL,
    revision     BIGINT NOT NULL,
    -- Place within the revision.
    ordinal      INTEGER NOT NULL,
    site_id      UUID   NOT NULL,
    country_code CHAR(2) NOT NULL,
    kind         TEXT   NOT NULL,
    area_m2      BIGINT NOT NULL,
    effective_on DATE   NOT NULL,
    -- The task that the area belongs to, when it came from approved work; null otherwise.
    task_id      UUID,
    note         TEXT   NOT NULL,
    CONSTRAINT land_movements_pkey PRIMARY KEY (authority_id, revision, ordinal),
    CONSTRAINT land_movements_site_id_fkey FOREIGN KEY (site_id) REFERENCES sites,
    CONSTRAINT land_movements_kind_check CHECK (kind IN
        ('IDENTIFIED', 'REMEASURED', 'CANCELLED', 'REDUCED', 'CLEARED', 'SPLIT_IN', 'SPLIT_OUT')),
    CONSTRAINT land_movements_sign_check CHECK (CASE
        WHEN kind IN ('IDENTIFIED', 'SPLIT_IN') THEN 0 < area_m2
        WHEN kind = 'REMEASURED' THEN area_m2 <> 0
        ELSE area_m2 < 0 END)
);
CREATE INDEX land_movements_site_id_idx ON land_movements (site_id, effective_on);
CREATE INDEX land_movements_authority_id_idx ON land_movements (authority_id, effective_on);
CREATE INDEX land_movements_country_code_idx ON land_movements (country_code, effective_on);

-- Tasks -----------------------------------------------------------------------------------------------------------

CREATE TABLE tasks (
    program_id          UUID        NOT NULL,
    task_id             UUID        NOT NULL,
    allocation_id       UUID,
    code                TEXT        COLLATE "C" NOT NULL,
    title               TEXT        NOT NULL,
    activity            TEXT,
    depth_cm            INTEGER     NOT NULL,
    planned_area_m2     BIGINT      NOT NULL,
    team_type           TEXT,
    first_day           DATE,
    last_day            DATE,
    operator_id         UUID,
    authority_id        UUID,
    country_code        CHAR(2),
    instructions        TEXT        NOT NULL,
    state               TEXT        NOT NULL,
    -- The state to which a suspended task goes back.
    resumes_to          TEXT,
    order_reference     TEXT        NOT NULL,
    -- MedicalCover: all or none.
    paramedic_id        UUID,
    ambulance_id        UUID,
    hospital            TEXT,
    evacuation_minutes  INTEGER,
    drill_on            DATE,
    suspension_cause    TEXT,
    completed_on        DATE,
    completion_reference TEXT,
    not_done            TEXT,
    handed_over_on      DATE,
    created_at          TIMESTAMPTZ NOT NULL,
    revision            BIGINT      NOT NULL,
    -- Revision at which it was issued: what came before is not the operator's to read.
    issued_revision     BIGINT,
    CONSTRAINT tasks_pkey PRIMARY KEY (task_id),
    CONSTRAINT tasks_program_id_code_key UNIQUE (program_id, code),
    CONSTRAINT tasks_program_id_fkey FOREIGN KEY (program_id) REFERENCES programs,
    CONSTRAINT tasks_program_id_allocation_id_fkey FOREIGN KEY (program_id, allocation_id) REFERENCES allocations,
    CONSTRAINT tasks_operator_id_fkey FOREIGN KEY (operator_id) REFERENCES organizations,
    CONSTRAINT tasks_state_check CHECK (state IN ('DRAFT', 'PLANNED', 'ISSUED', 'ACCEPTED', 'MOBILISED', 'ACTIVE',
        'SUSPENDED', 'COMPLETED', 'QC_PASSED', 'QC_FAILED', 'HANDED_OVER', 'CLOSED', 'CANCELLED')),
    CONSTRAINT tasks_bound_check CHECK (state IN ('DRAFT', 'CANCELLED') OR
        (allocation_id IS NOT NULL AND operator_id IS NOT NULL AND activity IS NOT NULL
         AND first_day IS NOT NULL AND last_day IS NOT NULL)),
    CONSTRAINT tasks_suspension_check CHECK ((state = 'SUSPENDED') = (suspension_cause IS NOT NULL)
        AND (state = 'SUSPENDED') = (resumes_to IS NOT NULL)),
    CONSTRAINT tasks_cover_check CHECK (num_nulls(paramedic_id, ambulance_id, hospital, evacuation_minutes) IN (0, 4)),
    CONSTRAINT tasks_days_check CHECK (first_day <= last_day),
    CONSTRAINT tasks_issued_check CHECK ((issued_revision IS NULL) = (order_reference = '')),
    CONSTRAINT tasks_depth_check CHECK (0 <= depth_cm AND 0 <= planned_area_m2)
);
CREATE INDEX tasks_program_id_code_idx ON tasks (program_id, code, task_id);
CREATE INDEX tasks_operator_id_code_idx ON tasks (operator_id, code, task_id);

CREATE TABLE task_sites (
    task_id UUID    NOT NULL,
    site_id UUID    NOT NULL,
    ordinal INTEGER NOT NULL,
    CONSTRAINT task_sites_pkey PRIMARY KEY (task_id, site_id),
    CONSTRAINT task_sites_task_id_fkey FOREIGN KEY (task_id) REFERENCES tasks,
    CONSTRAINT task_sites_site_id_fkey FOREIGN KEY (site_id) REFERENCES sites
);
CREATE INDEX task_sites_site_id_idx ON task_sites (site_id);

CREATE TABLE quality_controls (
    task_id      UUID    NOT NULL,
    revision     BIGINT  NOT NULL,
    inspected_on DATE    NOT NULL,
    passed       BOOLEAN NOT NULL,
    reference    TEXT    NOT NULL,
    sampled_m2   BIGINT  NOT NULL,
    remarks      TEXT    NOT NULL,
    CONSTRAINT quality_controls_pkey PRIMARY KEY (task_id, revision),
    CONSTRAINT quality_controls_task_id_fkey FOREIGN KEY (task_id) REFERENCES tasks
);

CREATE TABLE safety_stops (
    safety_stop_id     UUID        NOT NULL,
    -- The journal of the target: a program, an authority or an operator.
    scope_id           UUID        NOT NULL,
    target             TEXT        NOT NULL,
    -- The task, site or operator.
    target_id          UUID        NOT NULL,
    cause              TEXT        NOT NULL,
    reason             TEXT        NOT NULL,
    issued_by          TEXT        NOT NULL,
    issued_at          TIMESTAMPTZ NOT NULL,
    lifted_by          TEXT,
    lifted_at          TIMESTAMPTZ,
    lift_reason        TEXT,
    suspended_task_ids UUID[]      NOT NULL,
    -- Every journal that holds it. Whoever was told that it was issued is told that it is lifted.
    told_scope_ids     UUID[]      NOT NULL DEFAULT '{}',
    revision           BIGINT      NOT NULL,
    CONSTRAINT safety_stops_pkey PRIMARY KEY (safety_stop_id),
    CONSTRAINT safety_stops_target_check CHECK (target IN ('TASK', 'SITE', 'OPERATOR')),
    CONSTRAINT safety_stops_lifted_check CHECK (num_nulls(lifted_by, lifted_at, lift_reason) IN (0, 3))
);
-- For the question whether one is in force, and for lists.
CREATE INDEX safety_stops_target_id_idx ON safety_stops (target_id);
CREATE INDEX safety_stops_told_scope_ids_idx ON safety_stops USING gin (told_scope_ids);

-- Assignments -----------------------------------------------------------------------------------------------------

CREATE TABLE assignments (
    organization_id    UUID        NOT NULL,
    assignment_id      UUID        NOT NULL,
    team_id            UUID        NOT NULL,
    program_id         UUID        NOT NULL,
    task_id            UUID        NOT NULL,
    first_day          DATE        NOT NULL,
    last_day           DATE        NOT NULL,
    state              TEXT        NOT NULL,
    paramedic_id       UUID        NOT NULL,
    ambulance_id       UUID        NOT NULL,
    hospital           TEXT        NOT NULL,
    evacuation_minutes INTEGER     NOT NULL,
    drill_on           DATE,
    override_reason    TEXT,
    override_by        TEXT,
    end_reason         TEXT,
    created_at         TIMESTAMPTZ NOT NULL,
    revision           BIGINT      NOT NULL,
    CONSTRAINT assignments_pkey PRIMARY KEY (assignment_id),
    CONSTRAINT assignments_team_id_fkey FOREIGN KEY (team_id) REFERENCES teams,
    CONSTRAINT assignments_task_id_fkey FOREIGN KEY (task_id) REFERENCES tasks,
    CONSTRAINT assignments_state_check CHECK (state IN ('STANDING', 'ENDED', 'CANCELLED')),
    CONSTRAINT assignments_override_check CHECK ((override_reason IS NULL) = (override_by IS NULL)),
    CONSTRAINT assignments_days_check CHECK (first_day <= last_day),
    -- No team in two places, whatever the code above believes.
    CONSTRAINT assignments_team_excl EXCLUDE USING gist
        (team_id WITH =, daterange(first_day, last_day, '[]') WITH &&) WHERE (state <> 'CANCELLED')
);
-- For the check of an assignment. It asks for what is still to come, so its indexes end with the last day: however
-- much a team has behind it, only what lies ahead is read.
CREATE INDEX assignments_team_id_idx ON assignments (team_id, last_day) WHERE state <> 'CANCELLED';
-- For a team's feed: what it has to do, however much it did.
CREATE INDEX assignments_standing_idx ON assignments (team_id) WHERE state = 'STANDING';
-- For lists.
CREATE INDEX assignments_team_id_first_day_idx ON assignments (team_id, first_day, assignment_id);
CREATE INDEX assignments_task_id_idx ON assignments (task_id, first_day);
CREATE INDEX assignments_organization_id_idx ON assignments (organization_id, first_day, assignment_id);
CREATE INDEX assignments_ambulance_id_idx ON assignments (ambulance_id, last_day) WHERE state <> 'CANCELLED';
CREATE INDEX assignments_paramedic_id_idx ON assignments (paramedic_id, last_day) WHERE state <> 'CANCELLED';

-- Days of people in assignments that were not cancelled: rows of a cancelled one are removed, those of one that ended
-- early are cut.
CREATE TABLE assignment_people (
    assignment_id UUID NOT NULL,
    person_id     UUID NOT NULL,
    first_day     DATE NOT NULL,
    last_day      DATE NOT NULL,
    -- In the team on these days. Only work in roles that need accreditation keeps it from lapsing.
    role          TEXT NOT NULL,
    CONSTRAINT assignment_people_pkey PRIMARY KEY (assignment_id, person_id, first_day),
    CONSTRAINT assignment_people_assignment_id_fkey FOREIGN KEY (assignment_id) REFERENCES assignments,
    CONSTRAINT assignment_people_days_check CHECK (first_day <= last_day),
    CONSTRAINT assignment_people_person_excl EXCLUDE USING gist
        (person_id WITH =, daterange(first_day, last_day, '[]') WITH &&)
);
-- When did a person last work?
CREATE INDEX assignment_people_person_id_idx ON assignment_people (person_id, last_day);

-- The same of assets. An ambulance that gives medical cover is not among them: it is shared up to its capacity.
CREATE TABLE assignment_assets (
    assignment_id UUID NOT NULL,
    asset_id      UUID NOT NULL,
    first_day     DATE NOT NULL,
    last_day      DATE NOT NULL,
    CONSTRAINT assignment_assets_pkey PRIMARY KEY (assignment_id, asset_id),
    CONSTRAINT assignment_assets_assignment_id_fkey FOREIGN KEY (assignment_id) REFERENCES assignments,
    CONSTRAINT assignment_assets_asset_id_fkey FOREIGN KEY (asset_id) REFERENCES assets,
    CONSTRAINT assignment_assets_days_check CHECK (first_day <= last_day),
    CONSTRAINT assignment_assets_asset_excl EXCLUDE USING gist
        (asset_id WITH =, daterange(first_day, last_day, '[]') WITH &&)
);
CREATE INDEX assignment_assets_asset_id_idx ON assignment_assets (asset_id, last_day);
-- Whether a task needs a licence at all.
CREATE INDEX licences_task_id_idx ON licences (task_id, organization_id);

-- The findings that a coordinator overrode, as they were shown.
CREATE TABLE overridden_findings (
    assignment_id UUID    NOT NULL,
    ordinal       INTEGER NOT NULL,
    reason        TEXT    NOT NULL,
    text          TEXT    NOT NULL,
    subject_id    UUID    NOT NULL,
    first_day     DATE,
    blocking_id   UUID,
    CONSTRAINT overridden_findings_pkey PRIMARY KEY (assignment_id, ordinal),
    CONSTRAINT overridden_findings_assignment_id_fkey FOREIGN KEY (assignment_id) REFERENCES assignments
);
