//! Who may see victims, and that whoever did is known.

use safelane::rpc::pb;
use sqlx::{AssertSqlSafe, Connection as _};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::personal::{NAME, accident, erase, erasing, read, records, victim, victims};
use super::rig::Tablet;
use crate::desk::reason;
use crate::expect::refuses;
use crate::gate::Gate;
use crate::ground::teams::organization;
use crate::harness::{World, in_world};

fn reading(report: &pb::FieldReport, purpose: &str) -> pb::ReadVictimsRequest {
    pb::ReadVictimsRequest { report_id: report.report_id.clone(), purpose: purpose.to_owned() }
}

fn denied<T: std::fmt::Debug>(answer: Result<T, Status>, who: &str) {
    let status = answer.expect_err(who);
    assert_eq!((status.code(), &*reason(&status).0), (Code::PermissionDenied, "PERMISSION_DENIED"), "{who}");
}

/// Subject and purpose of every reading of victims, the newest first.
async fn accesses(tablet: &Tablet) -> Vec<(String, String)> {
    let request = pb::ListPersonalAccessRequest {
        operator_id: tablet.works.desk.operator_id.clone(),
        ..pb::ListPersonalAccessRequest::default()
    };
    let listed = tablet.service.clone().list_personal_access(request).await.unwrap().into_inner();
    let victims = listed.accesses.into_iter().filter(|access| !access.report_id.is_empty());
    victims.map(|access| (access.subject, access.purpose)).collect()
}

#[tokio::test]
async fn only_who_looks_after_victims_reads_them_and_every_reading_is_noted() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let report = accident(&tablet, vec![victim(NAME)]);
        tablet.submit(&report).await.unwrap();
        let gate = Gate::open(world).await;
        let mut service = gate.server.field_reports();
        let (own, office) = (&tablet.works.desk.operator_id, &tablet.works.desk.office_id);
        let (authority, funder) = (&tablet.works.authority_id, &tablet.works.desk.funder_id);
        let stranger = organization(world, pb::OrganizationKind::Operator, "OTHER", "ZW").await;
        for (role, of) in [("funder", funder), ("auditor", own), ("field", own), ("coordinator", office)] {
            denied(service.read_victims(gate.sent(role, of, reading(&report, "no"))).await, role);
        }
        let facts = [("kind", "report"), ("id", &*report.report_id)];
        let hidden = service.read_victims(gate.sent("coordinator", &stranger, reading(&report, "no"))).await;
        refuses(hidden.map(|_| ()), Code::NotFound, "NOT_FOUND", &facts);
        assert_eq!(accesses(&tablet).await, [], "who saw nothing is not noted");
        for (role, of, purpose) in [
            ("coordinator", own, "Referral"),
            ("coordinator", authority, "Register"),
            ("admin", own, "Repair"),
        ] {
            let shown = service.read_victims(gate.sent(role, of, reading(&report, purpose))).await;
            let shown = shown.unwrap().into_inner().victims;
            assert_eq!(shown[0].details, victims(&report)[0].details, "{role}");
        }
        let noted = [("admin", "Repair"), ("coordinator", "Register"), ("coordinator", "Referral")];
        let noted = noted.map(|(subject, purpose)| (subject.to_owned(), purpose.to_owned()));
        assert_eq!(accesses(&tablet).await, noted);

        let erase = erasing(&report, &victims(&report)[0]);
        for (role, of) in [
            ("funder", funder),
            ("auditor", own),
            ("field", own),
            ("coordinator", office),
            ("coordinator", authority),
        ] {
            denied(service.erase_victim(gate.sent(role, of, erase.clone())).await, role);
        }
        let hidden = service.erase_victim(gate.sent("coordinator", &stranger, erase.clone())).await;
        refuses(hidden.map(|_| ()), Code::NotFound, "NOT_FOUND", &facts);
        assert_eq!(records(world).await, 1);
        let erased = service.erase_victim(gate.sent("coordinator", own, erase)).await.unwrap().into_inner();
        assert_eq!(erased.erased.unwrap().erased_by, "coordinator");
        drop(service);
        gate.server.finish().await;
    })
    .await;
}

#[tokio::test]
async fn who_read_is_told_to_the_operator_and_to_auditors_in_pages() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let (one, other) = (accident(&tablet, vec![victim(NAME)]), accident(&tablet, vec![]));
        for report in [&one, &other] {
            tablet.submit(report).await.unwrap();
        }
        for _ in 0..3 {
            read(&tablet, &one.report_id).await.unwrap();
            assert_eq!(read(&tablet, &other.report_id).await.unwrap(), []);
        }
        let gate = Gate::open(world).await;
        let mut service = gate.server.field_reports();
        let (own, office) = (&tablet.works.desk.operator_id, &tablet.works.desk.office_id);
        let stranger = organization(world, pb::OrganizationKind::Operator, "OTHER", "ZW").await;
        let all =
            pb::ListPersonalAccessRequest { operator_id: own.clone(), page_size: 4, ..Default::default() };
        for (role, of) in [("coordinator", own), ("auditor", office), ("admin", office)] {
            let first =
                service.list_personal_access(gate.sent(role, of, all.clone())).await.unwrap().into_inner();
            let page_token = first.next_page_token.clone();
            let rest = pb::ListPersonalAccessRequest { page_token, ..all.clone() };
            let rest = service.list_personal_access(gate.sent(role, of, rest)).await.unwrap().into_inner();
            // An administrator added the member of the team.
            assert_eq!((first.accesses.len(), rest.accesses.len(), &*rest.next_page_token), (4, 3, ""));
            let (shown, added) = (&rest.accesses[1], &rest.accesses[2]);
            assert_eq!((&shown.report_id, shown.victim_ids.len()), (&one.report_id, 1));
            assert_eq!((&*added.report_id, &*added.purpose), ("", "AddMember"));
        }
        let told =
            service.list_personal_access(gate.sent("admin", own, all.clone())).await.unwrap().into_inner();
        let page_token = told.next_page_token;
        let mixed =
            pb::ListPersonalAccessRequest { report_id: one.report_id.clone(), page_token, ..all.clone() };
        let refused = service.list_personal_access(gate.sent("admin", own, mixed)).await;
        assert_eq!(reason(&refused.unwrap_err()).0, "PAGE_TOKEN_INVALID");
        let count = async |filter: pb::ListPersonalAccessRequest| {
            let mut service = tablet.service.clone();
            service.list_personal_access(filter).await.unwrap().into_inner().accesses.len()
        };
        let of = pb::ListPersonalAccessRequest { page_size: 0, ..all.clone() };
        let victim_id = victims(&one)[0].victim_id.clone();
        assert_eq!(count(pb::ListPersonalAccessRequest { victim_id, ..of.clone() }).await, 3);
        assert_eq!(
            count(pb::ListPersonalAccessRequest { report_id: other.report_id, ..of.clone() }).await,
            3
        );
        assert_eq!(count(pb::ListPersonalAccessRequest { subject: "nobody".to_owned(), ..of }).await, 0);
        denied(service.list_personal_access(gate.sent("coordinator", office, all.clone())).await, "office");
        denied(service.list_personal_access(gate.sent("funder", office, all.clone())).await, "funder");
        let facts = [("kind", "organization"), ("id", &**own)];
        let hidden = service.list_personal_access(gate.sent("coordinator", &stranger, all)).await;
        refuses(hidden.map(|_| ()), Code::NotFound, "NOT_FOUND", &facts);
        drop(service);
        gate.server.finish().await;
    })
    .await;
}

async fn run(world: &World, statement: &'static str) {
    sqlx::raw_sql(statement).execute(&mut world.database.connect().await).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_noted_is_not_shown() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let report = accident(&tablet, vec![victim(NAME)]);
        tablet.submit(&report).await.unwrap();
        run(world, "ALTER TABLE personal_access ADD CONSTRAINT full_check CHECK (FALSE) NOT VALID").await;
        let refused = read(&tablet, &report.report_id).await.unwrap_err();
        assert_eq!(refused.code(), Code::Internal);
        assert!(!format!("{refused:?}").contains(NAME));
        run(world, "ALTER TABLE personal_access DROP CONSTRAINT full_check").await;
        // What was changed behind the service's back does not open, and is no reading.
        run(world, "UPDATE personal_records SET victim_id = gen_random_uuid()").await;
        let refused = read(&tablet, &report.report_id).await.unwrap_err();
        assert_eq!((refused.code(), accesses(&tablet).await), (Code::Internal, vec![]));
    })
    .await;
}

#[tokio::test]
async fn a_reading_has_a_purpose_and_an_erasure_a_reason() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let report = accident(&tablet, vec![victim(NAME)]);
        tablet.submit(&report).await.unwrap();
        for purpose in [String::new(), " ".to_owned(), "x".repeat(501)] {
            let refused = tablet.service.clone().read_victims(reading(&report, &purpose)).await.unwrap_err();
            let bad = refused.get_error_details().bad_request().unwrap().field_violations.clone();
            assert_eq!(bad[0].field, "purpose");
        }
        let nameless =
            pb::EraseVictimRequest { reason: String::new(), ..erasing(&report, &victims(&report)[0]) };
        let refused = erase(&tablet, &nameless).await.unwrap_err();
        assert_eq!(refused.get_error_details().bad_request().unwrap().field_violations[0].field, "reason");
    })
    .await;
}

#[tokio::test]
async fn who_is_erased_while_somebody_reads_is_shown_once_and_as_erased() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let report = accident(&tablet, vec![victim(NAME)]);
        tablet.submit(&report).await.unwrap();
        let (mut locking, mut watch) = (world.database.connect().await, world.database.connect().await);
        // A reading that has read the details waits for what was erased, and then finds her there.
        let erased = format!(
            "BEGIN; LOCK TABLE erased_victims IN ACCESS EXCLUSIVE MODE;
             INSERT INTO erased_victims (organization_id, report_id, victim_id, reason, erased_by, erased_at, revision)
             VALUES ('{}', '{}', '{}', 'She asked for it', 'tester', now(), 1)",
            tablet.works.desk.operator_id,
            report.report_id,
            victims(&report)[0].victim_id
        );
        sqlx::raw_sql(AssertSqlSafe(erased)).execute(&mut locking).await.unwrap();
        let commit = async {
            let waits =
                "SELECT count(*) FROM pg_locks WHERE relation = 'erased_victims'::regclass AND NOT granted";
            while sqlx::query_scalar::<_, i64>(waits).fetch_one(&mut watch).await.unwrap() == 0 {}
            sqlx::raw_sql("COMMIT").execute(&mut locking).await.unwrap();
        };
        let reading = read(&tablet, &report.report_id);
        tokio::pin!(reading);
        tokio::select! {
            shown = &mut reading => panic!("it does not look who was erased: {shown:?}"),
            () = commit => {}
        }
        let shown = reading.await.unwrap();
        assert!(shown.len() == 1 && shown[0].details.is_none() && shown[0].erased.is_some(), "{shown:?}");
        let noted = "SELECT cardinality(victim_ids) FROM personal_access";
        assert_eq!(sqlx::query_scalar::<_, i32>(noted).fetch_one(&mut watch).await.unwrap(), 0);
        // Nobody erased her by a change of the journal.
        sqlx::raw_sql("DELETE FROM erased_victims").execute(&mut locking).await.unwrap();
        for conn in [locking, watch] {
            conn.close().await.unwrap();
        }
    })
    .await;
}
