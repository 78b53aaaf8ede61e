//! Names of members: where they are, who reads them, what a call that is sent again gets, and that erasing them leaves
//! every hash as it was.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use prost::Message as _;
use safelane::app::personal_key::hex;
use safelane::domain::ids::ScopeId;
use safelane::rpc::pb;
use safelane::rpc::pb::changed_record::Record;
use safelane::rpc::pb::team_service_client::TeamServiceClient;
use safelane::store::audit::run_audit;
use safelane::store::journal::list_events;
use safelane::store::{Store, migrate};
use sha2::{Digest as _, Sha256};
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Connection as _};
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::members::{added, day, member};
use super::teams::{organization, recorded_team};
use crate::desk::reason;
use crate::expect::{refuses, says_no};
use crate::gate::Gate;
use crate::harness::{PERSONAL_KEY, TestDatabase, World, fresh_id, in_world};
use crate::searching::tables_with;

/// Names that stand nowhere else.
const NAME: &str = "Nomvula Hlatshwayo-Banda";
const OTHER: &str = "Sipho Hlatshwayo-Banda";
const SETTING: (&str, &str) = ("setting", "--personal-key-file (SAFELANE_PERSONAL_KEY_FILE)");

/// An operator with one team, and somebody who is in it in January 1998.
struct Crew {
    operator: String,
    team: String,
    /// As it was sent, and as it was answered.
    sent: pb::Member,
    member: pb::Member,
    teams: TeamServiceClient<Channel>,
}

impl Crew {
    async fn open(world: &World) -> Self {
        let operator = organization(world, pb::OrganizationKind::Operator, "OP-1", "ZW").await;
        let team = recorded_team(world, &operator, "MT-01").await;
        let sent =
            pb::Member { name: NAME.to_owned(), last_day: day("1998-01-31"), ..member(&team, &fresh_id()) };
        Self { operator, team, member: added(world, sent.clone()).await, sent, teams: world.teams() }
    }

    fn adding(&self) -> pb::AddMemberRequest {
        pb::AddMemberRequest { member: Some(self.sent.clone()) }
    }

    fn naming(&self, name: &str) -> pb::UpdateMemberRequest {
        pb::UpdateMemberRequest {
            request_id: fresh_id(),
            member: Some(pb::Member { name: name.to_owned(), ..self.member.clone() }),
            update_mask: Some(prost_types::FieldMask { paths: vec!["name".to_owned()] }),
            expected_revision: self.member.revision,
        }
    }

    fn erasing(&self) -> pb::ErasePersonRequest {
        pb::ErasePersonRequest {
            request_id: fresh_id(),
            person_id: self.member.person_id.clone(),
            reason: "She asked for it".to_owned(),
        }
    }

    fn listing(&self) -> pb::ListMembersRequest {
        pb::ListMembersRequest { organization_id: self.operator.clone(), ..Default::default() }
    }

    async fn add(&self, request: pb::AddMemberRequest) -> Result<pb::Member, Status> {
        Ok(self.teams.clone().add_member(request).await?.into_inner().member.unwrap())
    }

    async fn update(&self, request: pb::UpdateMemberRequest) -> Result<pb::Member, Status> {
        Ok(self.teams.clone().update_member(request).await?.into_inner().member.unwrap())
    }

    async fn erase(&self, request: pb::ErasePersonRequest) -> Result<pb::ErasePersonResponse, Status> {
        Ok(self.teams.clone().erase_person(request).await?.into_inner())
    }

    async fn list(&self) -> Vec<pb::Member> {
        self.teams.clone().list_members(self.listing()).await.unwrap().into_inner().members
    }
}

/// The refusal of a call whose name differs from that of the first time.
fn differs<T: std::fmt::Debug>(answer: Result<T, Status>, kind: &str, id: &str) {
    let facts = [("kind", kind), ("id", id), ("differs", "member.name")];
    refuses(answer, Code::AlreadyExists, "ID_TAKEN", &facts);
}

#[tokio::test]
async fn a_call_that_is_sent_again_has_the_name_of_the_first_time_and_is_answered_with_the_present_one() {
    in_world(async |world| {
        let crew = Crew::open(world).await;
        let id = crew.member.member_id.clone();
        assert_eq!(crew.add(crew.adding()).await.unwrap(), crew.member);
        let mut other = crew.adding();
        other.member.as_mut().unwrap().name = OTHER.to_owned();
        differs(crew.add(other.clone()).await, "member", &id);

        let rename = crew.naming(OTHER);
        let renamed = crew.update(rename.clone()).await.unwrap();
        assert_eq!(renamed.name, OTHER);
        assert_ne!(renamed.name_digest, crew.member.name_digest);
        assert_eq!(crew.list().await, std::slice::from_ref(&renamed));
        // Still the name of the first time; the answer has the one of now.
        let again = crew.add(crew.adding()).await.unwrap();
        assert_eq!(again, pb::Member { name: OTHER.to_owned(), ..crew.member.clone() });
        differs(crew.add(other).await, "member", &id);
        assert_eq!(crew.update(rename.clone()).await.unwrap(), renamed);
        let mut wrong = rename.clone();
        wrong.member.as_mut().unwrap().name = NAME.to_owned();
        differs(crew.update(wrong).await, "request", &rename.request_id);

        // A name that the mask does not name is not looked at, and stands nowhere either.
        let mut role = crew.naming(NAME);
        role.expected_revision = renamed.revision;
        role.update_mask = Some(prost_types::FieldMask { paths: vec!["role".to_owned()] });
        let first = crew.update(role.clone()).await.unwrap();
        assert_eq!((&*first.name, &first.name_digest), (OTHER, &renamed.name_digest));
        role.member.as_mut().unwrap().name = "Anybody".to_owned();
        assert_eq!(crew.update(role).await.unwrap(), first);
        for name in [NAME, OTHER] {
            assert_eq!(tables_with(world, name).await, BTreeSet::new(), "{name}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_second_membership_gives_the_name_in_all() {
    in_world(async |world| {
        let crew = Crew::open(world).await;
        let later = pb::Member {
            member_id: fresh_id(),
            name: OTHER.to_owned(),
            first_day: day("1998-03-01"),
            ..crew.member.clone()
        };
        let later =
            crew.add(pb::AddMemberRequest { member: Some(pb::Member { last_day: None, ..later }) }).await;
        let later = later.unwrap();
        let names: Vec<String> = crew.list().await.into_iter().map(|of| of.name).collect();
        assert_eq!(names, [OTHER, OTHER]);
        let rename = pb::UpdateMemberRequest {
            expected_revision: later.revision,
            member: Some(pb::Member { name: NAME.to_owned(), ..later }),
            ..crew.naming(NAME)
        };
        // The salt is the person's, so the same name has the same digest.
        assert_eq!(crew.update(rename).await.unwrap().name_digest, crew.member.name_digest);
    })
    .await;
}

#[tokio::test]
async fn who_was_erased_has_no_name_any_more_and_gets_none_again() {
    in_world(async |world| {
        let crew = Crew::open(world).await;
        let person = crew.member.person_id.clone();
        let request = crew.erasing();
        let first = crew.erase(request.clone()).await.unwrap();
        let erased = first.erased.clone().unwrap();
        assert_eq!((&erased.person_id, &erased.organization_id), (&person, &crew.operator));
        assert_eq!((&*erased.reason, erased.revision), ("She asked for it", first.revision));
        assert_eq!(crew.erase(request.clone()).await.unwrap(), first, "the same call has the same answer");
        let again = crew.erase(crew.erasing()).await.unwrap();
        assert_eq!(again.erased.as_ref(), Some(&erased), "erasing again changes nothing");
        let other = pb::ErasePersonRequest { reason: "Another".to_owned(), ..request };
        let facts = [("kind", "request"), ("id", &*other.request_id), ("differs", "reason")];
        refuses(crew.erase(other.clone()).await, Code::AlreadyExists, "ID_TAKEN", &facts);

        let nameless = pb::Member { name: String::new(), name_digest: Vec::new(), ..crew.member.clone() };
        assert_eq!(crew.list().await, std::slice::from_ref(&nameless));
        // The first answer again, without the name. Nobody can tell any more whether it is the same.
        let nameless = pb::Member { name_digest: crew.member.name_digest.clone(), ..nameless };
        let mut resent = crew.adding();
        assert_eq!(crew.add(resent.clone()).await.unwrap(), nameless);
        resent.member.as_mut().unwrap().name = OTHER.to_owned();
        assert_eq!(crew.add(resent).await.unwrap(), nameless);
        let back = pb::Member { first_day: day("1998-06-01"), ..member(&crew.team, &person) };
        let facts = [("person_id", &*person)];
        says_no(crew.add(pb::AddMemberRequest { member: Some(back) }).await, "PERSON_ERASED", &facts);
        says_no(crew.update(crew.naming(OTHER)).await, "PERSON_ERASED", &facts);
        for name in [NAME, OTHER] {
            assert_eq!(tables_with(world, name).await, BTreeSet::new(), "{name}");
        }
        let digest = tables_with(world, &hex(&crew.member.name_digest)).await;
        assert_eq!(digest, BTreeSet::from(["journal".to_owned()]), "the event stays as it was");
        // The audit at the end of every test checks the hashes of the journal.
    })
    .await;
}

#[tokio::test]
async fn nobody_is_erased_who_is_in_a_team_or_will_be() {
    in_world(async |world| {
        let crew = Crew::open(world).await;
        let person = crew.member.person_id.clone();
        let coming = pb::Member { first_day: day("1998-08-01"), ..member(&crew.team, &person) };
        let coming = crew.add(pb::AddMemberRequest { member: Some(coming) }).await.unwrap();
        let facts = [("kind", "person"), ("id", &*person), ("action", "be erased")];
        let refused = crew.erase(crew.erasing()).await;
        assert!(refused.as_ref().unwrap_err().message().contains(&coming.member_id), "{refused:?}");
        says_no(refused, "NOT_READY", &facts);
        let remove = pb::RemoveMemberRequest {
            request_id: fresh_id(),
            member_id: coming.member_id,
            last_day: day("1998-08-01"),
            expected_revision: coming.revision,
        };
        crew.teams.clone().remove_member(remove).await.unwrap();
        world.clock.set("1998-08-01T23:59:59Z");
        says_no(crew.erase(crew.erasing()).await, "NOT_READY", &facts);
        world.clock.set("1998-08-02T00:00:00Z");
        crew.erase(crew.erasing()).await.unwrap();
        let nobody = fresh_id();
        let request = pb::ErasePersonRequest { person_id: nobody.clone(), ..crew.erasing() };
        let facts = [("kind", "person"), ("id", &*nobody)];
        refuses(crew.erase(request).await, Code::NotFound, "NOT_FOUND", &facts);
        let empty = pb::ErasePersonRequest { reason: String::new(), ..crew.erasing() };
        assert!(crew.erase(empty).await.unwrap_err().message().contains("reason: "));
    })
    .await;
}

#[tokio::test]
async fn whoever_adds_and_whoever_erases_at_the_same_moment_agree() {
    in_world(async |world| {
        let crew = Crew::open(world).await;
        for _ in 0..10 {
            let person = fresh_id();
            let new = || pb::Member {
                name: NAME.to_owned(),
                last_day: day("1998-01-31"),
                ..member(&crew.team, &person)
            };
            crew.add(pb::AddMemberRequest { member: Some(new()) }).await.unwrap();
            let later = pb::Member { first_day: day("1998-02-01"), last_day: None, ..new() };
            let erase = pb::ErasePersonRequest { person_id: person.clone(), ..crew.erasing() };
            let (joined, erased) =
                tokio::join!(crew.add(pb::AddMemberRequest { member: Some(later) }), crew.erase(erase));
            assert_ne!(joined.is_ok(), erased.is_ok());
            let lost = joined.err().or(erased.err()).unwrap();
            assert!(["PERSON_ERASED", "NOT_READY"].contains(&&*reason(&lost).0), "{lost:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_audit_finds_names_that_came_back_and_erasures_of_which_the_journal_says_nothing() {
    in_world(async |world| {
        let crew = Crew::open(world).await;
        let mut sql = world.database.connect().await;
        sqlx::raw_sql("CREATE TEMP TABLE stolen AS TABLE person_names").execute(&mut sql).await.unwrap();
        crew.erase(crew.erasing()).await.unwrap();
        for fault in ["INSERT INTO person_names TABLE stolen", "UPDATE erased_persons SET revision = 1"] {
            sqlx::raw_sql("BEGIN").execute(&mut sql).await.unwrap();
            sqlx::raw_sql(fault).execute(&mut sql).await.unwrap();
            let found = run_audit(&mut sql, None).await.unwrap();
            let rules: Vec<&str> = found.iter().map(|finding| &*finding.invariant).collect();
            assert_eq!(rules, ["an_erased_person_stays_erased"], "after {fault}");
            sqlx::raw_sql("ROLLBACK").execute(&mut sql).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn only_the_operator_erases_and_whoever_else_reads_names_is_noted() {
    in_world(async |world| {
        let crew = Crew::open(world).await;
        let own = &crew.operator;
        let authority = organization(world, pb::OrganizationKind::Authority, "NMAA", "ZW").await;
        let office = organization(world, pb::OrganizationKind::Office, "OFFICE", "").await;
        let stranger = organization(world, pb::OrganizationKind::Operator, "OTHER", "ZW").await;
        let gate = Gate::open(world).await;
        let (mut teams, mut reports) = (gate.server.teams(), gate.server.field_reports());
        // An administrator added the member, and was answered with the name.
        let mut noted = vec![(String::new(), "admin".to_owned(), "AddMember")];
        for (role, of, name) in [
            ("coordinator", own, NAME),
            ("field", own, NAME),
            ("auditor", own, ""),
            ("auditor", &office, ""),
            ("coordinator", &authority, NAME),
            ("coordinator", &office, NAME),
            ("admin", &stranger, NAME),
        ] {
            let found = teams.list_members(gate.sent(role, of, crew.listing())).await.unwrap().into_inner();
            assert_eq!(found.members[0].name, name, "{role}");
            if !name.is_empty() && of != own {
                noted.insert(0, (of.clone(), role.to_owned(), "ListMembers"));
            }
        }
        let accesses = pb::ListPersonalAccessRequest {
            operator_id: own.clone(),
            person_id: crew.member.person_id.clone(),
            ..Default::default()
        };
        let told = reports.list_personal_access(gate.sent("coordinator", own, accesses.clone())).await;
        let told = told.unwrap().into_inner().accesses;
        let expected: Vec<_> =
            noted.iter().map(|(of, role, method)| (of.as_str(), role.as_str(), *method)).collect();
        let who: Vec<_> = told.iter().map(|of| (&*of.organization_id, &*of.role, &*of.purpose)).collect();
        assert_eq!(who, expected);
        for of in &told {
            assert_eq!((&*of.report_id, of.victim_ids.len()), ("", 0));
            assert_eq!(of.person_ids, std::slice::from_ref(&crew.member.person_id));
        }
        let nobody = pb::ListPersonalAccessRequest { person_id: fresh_id(), ..accesses };
        let told = reports.list_personal_access(gate.sent("coordinator", own, nobody)).await.unwrap();
        assert_eq!(told.into_inner().accesses, []);

        let hidden = teams.erase_person(gate.sent("coordinator", &stranger, crew.erasing())).await;
        let facts = [("kind", "person"), ("id", &*crew.member.person_id)];
        refuses(hidden.map(|_| ()), Code::NotFound, "NOT_FOUND", &facts);
        for (role, of) in [
            ("field", own),
            ("auditor", own),
            ("funder", own),
            ("coordinator", &authority),
            ("coordinator", &office),
        ] {
            let denied = teams.erase_person(gate.sent(role, of, crew.erasing())).await.unwrap_err();
            assert_eq!((denied.code(), &*reason(&denied).0), (Code::PermissionDenied, "PERMISSION_DENIED"));
        }
        let erased = teams.erase_person(gate.sent("coordinator", own, crew.erasing())).await.unwrap();
        assert_eq!(erased.into_inner().erased.unwrap().erased_by, "coordinator");
        drop((teams, reports));
        gate.server.finish().await;
    })
    .await;
}

/// Salt and name of a person as they are kept while there is no key.
async fn plain(world: &World, person: &str) -> Option<(Vec<u8>, String)> {
    let mut conn = world.database.connect().await;
    let sql = "SELECT salt, name FROM person_names WHERE person_id = $1::text::uuid AND name IS NOT NULL";
    sqlx::query_as(sql).bind(person).fetch_optional(&mut conn).await.unwrap()
}

/// The event of a member in the journal of an operator, and the request in it.
async fn event(world: &World, member: &pb::Member) -> (pb::Member, pb::AddMemberRequest) {
    let mut conn = world.database.connect().await;
    let scope = ScopeId::new(member.organization_id.parse().unwrap());
    let events = list_events(&mut conn, scope, member.revision - 1, 1).await.unwrap();
    let change = pb::Change::decode(events[0].payload.clone()).unwrap();
    let Some(Record::Member(recorded)) = change.records[0].record.clone() else { panic!("{change:?}") };
    (recorded, pb::AddMemberRequest::decode(&*change.request).unwrap())
}

#[tokio::test]
async fn without_a_key_names_are_kept_in_plain_apart_and_sealed_once_there_is_one() {
    let world = World::start_without_personal_keys().await;
    let crew = Crew::open(&world).await;
    let kept = crew.member.clone();
    let (salt, name) = plain(&world, &kept.person_id).await.unwrap();
    assert_eq!((salt.len(), &*name), (32, NAME));
    let digest = Sha256::digest([b"safelane person name", &salt[..], NAME.as_bytes()].concat());
    let (recorded, request) = event(&world, &kept).await;
    assert_eq!(recorded, pb::Member { name: String::new(), name_digest: digest.to_vec(), ..kept.clone() });
    assert_eq!(request.member.unwrap().name, "");
    let only = BTreeSet::from(["person_names".to_owned()]);
    assert_eq!(tables_with(&world, NAME).await, only);
    assert_eq!(crew.list().await, std::slice::from_ref(&kept));

    let keyed = world.replica_with_personal_keys(PERSONAL_KEY).await;
    let sealed = async {
        while plain(&world, &kept.person_id).await.is_some() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), sealed).await.expect("it is sealed at the start");
    assert_eq!(tables_with(&world, NAME).await, BTreeSet::new());
    let shown = keyed.teams().list_members(crew.listing()).await.unwrap().into_inner().members;
    assert_eq!(shown, std::slice::from_ref(&kept), "salt and digest stay");

    // Whoever lacks the key refuses what needs it, and ends a membership all the same.
    let refused = crew.teams.clone().list_members(crew.listing()).await;
    let key_id = reason(refused.as_ref().unwrap_err()).1["key_id"].clone();
    let facts = [SETTING, ("key_id", &*key_id)];
    says_no(refused, "PERSONAL_KEY_MISSING", &facts);
    says_no(crew.update(crew.naming(OTHER)).await, "PERSONAL_KEY_MISSING", &facts);
    let remove = pb::RemoveMemberRequest {
        request_id: fresh_id(),
        member_id: kept.member_id.clone(),
        last_day: day("1998-01-30"),
        expected_revision: kept.revision,
    };
    let removed = crew.teams.clone().remove_member(remove).await.unwrap().into_inner().member.unwrap();
    assert_eq!((&*removed.name, &removed.name_digest), ("", &kept.name_digest));
    crew.erase(crew.erasing()).await.unwrap();
    keyed.finish().await;
    drop(crew);
    world.finish().await;
}

/// A database as the migration before left it.
async fn before_names() -> TestDatabase {
    let database = TestDatabase::create_empty().await;
    let dir = tempfile::TempDir::new().unwrap();
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    for entry in std::fs::read_dir(all).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name < "0011" {
            std::fs::copy(&path, dir.path().join(name)).unwrap();
        }
    }
    let mut conn = database.connect().await;
    Migrator::new(dir.path()).await.unwrap().run(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    database
}

#[tokio::test]
async fn names_from_before_are_moved_and_taken_out_of_what_was_overridden() {
    const RULE: &str = "is not accredited for MANUAL_CLEARANCE on 2026-01-05; the authority grants that";
    let database = before_names().await;
    let [operator, team, member_id, person, assignment] = std::array::from_fn(|_| fresh_id());
    let mut conn = database.connect().await;
    let rows = format!(
        "INSERT INTO organizations (organization_id, code, name, kind, country_code, created_at, revision)
           VALUES ('{operator}', 'OP-1', 'OP-1', 'OPERATOR', 'ZW', now(), 1);
         INSERT INTO teams VALUES ('{operator}', '{team}', 'MT-1', 'MT-1', 'MANUAL', 'ACTIVE', '', now(), 1);
         INSERT INTO people VALUES ('{operator}', '{person}', '{NAME}');
         INSERT INTO members VALUES ('{operator}', '{member_id}', '{team}', '{person}', 'DEMINER', '1998-01-01', NULL,
                now(), 1);
         ALTER TABLE overridden_findings DROP CONSTRAINT overridden_findings_assignment_id_fkey;
         INSERT INTO overridden_findings (assignment_id, ordinal, reason, text, subject_id)
           VALUES ('{assignment}', 1, 'PERSON_NOT_ACCREDITED', '{NAME} {RULE}', '{person}'),
                  ('{assignment}', 2, 'PERSON_NOT_ACCREDITED', 'As She Was Before {RULE}', '{person}'),
                  ('{assignment}', 3, 'PARAMEDIC_UNFIT', '{NAME} in other words', '{person}'),
                  ('{assignment}', 4, 'AMBULANCE_FULL', 'AMBULANCE A-1 would cover 3 tasks', '{person}')"
    );
    sqlx::raw_sql(AssertSqlSafe(rows)).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    let store = Store::new(database.options.clone(), 2);
    migrate::migrate(&store).await.unwrap();
    store.close().await;
    let world = World::start_on(database, None).await;
    let list = pb::ListMembersRequest { organization_id: operator, ..Default::default() };
    let found = world.teams().list_members(list).await.unwrap().into_inner().members;
    assert_eq!((found.len(), &*found[0].name, found[0].name_digest.len()), (1, NAME, 32));
    let mut conn = world.database.connect().await;
    let texts = "SELECT text FROM overridden_findings ORDER BY ordinal";
    let texts: Vec<String> = sqlx::query_scalar(texts).fetch_all(&mut conn).await.unwrap();
    let rule = format!("person {person} {RULE}");
    let other = format!("person {person}: PARAMEDIC_UNFIT");
    assert_eq!(texts, [&rule, &rule, &other, "AMBULANCE A-1 would cover 3 tasks"]);
    conn.close().await.unwrap();
    world.finish().await;
}
