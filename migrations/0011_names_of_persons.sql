-- Names of persons, apart from everything else that is known of them, so that they can be erased for good.

-- The name of a person, encrypted when the service has a key. Whoever has no row was erased.
CREATE TABLE person_names (
    organization_id UUID  NOT NULL,
    person_id       UUID  NOT NULL,
    -- SHA-256 of 'safelane person name', the salt and the name. It stands in the journal in place of the name.
    digest          BYTEA NOT NULL,
    -- Without a key: the name, and the random bytes that were drawn once for the person.
    name            TEXT,
    salt            BYTEA,
    -- With one: nonce and ciphertext of salt and name, and what names the key; see src/app/personal_key.rs. The salt is
    -- inside, since whoever knows it can try names against the digest.
    sealed          BYTEA,
    key_id          TEXT,
    CONSTRAINT person_names_pkey PRIMARY KEY (organization_id, person_id),
    CONSTRAINT person_names_person_id_fkey FOREIGN KEY (person_id) REFERENCES people,
    CONSTRAINT person_names_kept_check CHECK (num_nonnulls(name, salt) + num_nonnulls(sealed, key_id) = 2
                                              AND (name IS NULL) = (salt IS NULL)),
    CONSTRAINT person_names_digest_check CHECK (octet_length(digest) = 32 AND octet_length(salt) = 32)
);
-- For sealing what came while there was no key.
CREATE INDEX person_names_plain_idx ON person_names (organization_id, person_id) WHERE name IS NOT NULL;

INSERT INTO person_names (organization_id, person_id, digest, name, salt)
SELECT p.organization_id, p.person_id,
       sha256(convert_to('safelane person name', 'UTF8') || p.salt || convert_to(p.name, 'UTF8')), p.name, p.salt
  FROM (SELECT organization_id, person_id, name,
               uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) AS salt
          FROM people) p;

-- Planner statistics would keep copies of what is erased.
ALTER TABLE person_names ALTER COLUMN name SET STATISTICS 0, ALTER COLUMN salt SET STATISTICS 0;

-- What was overridden said the person by the name of then. Whatever stands before the words of the rule is that name; a
-- text without them keeps its reason only.
UPDATE overridden_findings
   SET text = 'person ' || subject_id || coalesce(
           substring(text FROM '( (?:is not accredited for|has stood down since|is no PARAMEDIC of the operator on|works as|is in the team of assignment|is the paramedic of assignment) .*)$'),
           ': ' || reason)
 WHERE reason IN ('PERSON_NOT_ACCREDITED', 'PERSON_STOOD_DOWN', 'PARAMEDIC_UNFIT', 'PARAMEDIC_BUSY');
ANALYZE overridden_findings;

-- At once and not one release later, as the README has it: names must not stay here, and nothing was released before. A
-- column that is dropped leaves its bytes in the rows; rows that were updated are removed by the next vacuum.
UPDATE people SET name = '';
ALTER TABLE people DROP COLUMN name;

-- What remains of a person whose name was erased.
CREATE TABLE erased_persons (
    organization_id UUID        NOT NULL,
    person_id       UUID        NOT NULL,
    reason          TEXT        NOT NULL,
    erased_by       TEXT        NOT NULL,
    erased_at       TIMESTAMPTZ NOT NULL,
    revision        BIGINT      NOT NULL,
    CONSTRAINT erased_persons_pkey PRIMARY KEY (organization_id, person_id),
    CONSTRAINT erased_persons_person_id_fkey FOREIGN KEY (person_id) REFERENCES people
);

-- Names of members that were read by others than their operator are noted like details of victims: of no report, and
-- with the method as the purpose.
ALTER TABLE personal_access
    ALTER COLUMN report_id DROP NOT NULL,
    ADD COLUMN person_ids UUID[] NOT NULL DEFAULT '{}';
