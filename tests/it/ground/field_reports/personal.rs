//! Details of victims: where they are, where they are not, and that erasing them leaves every hash as it was.

use std::collections::BTreeSet;

use prost::Message as _;
use prost_reflect::{DescriptorPool, MessageDescriptor};
use safelane::rpc::pb::field_report::Body;
use safelane::rpc::pb::sync_reports_response::Outcome;
use safelane::rpc::{DESCRIPTOR, pb};
use safelane::store::audit::run_audit;
use sha2::{Digest as _, Sha256};
use sqlx::Connection as _;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::rig::{Tablet, edited, hash, outbox, outcome, stored};
use crate::expect::refuses;
use crate::harness::{World, fresh_id, in_world};
use crate::searching::tables_with;

/// A name that stands nowhere else.
pub(super) const NAME: &str = "Nyasha Zvobgo-Ncube";
/// What everybody may read, to see that the search finds what is there.
const NOTE: &str = "The lane was marked wrongly";

pub(super) fn details(name: &str) -> pb::VictimDetails {
    pb::VictimDetails {
        salt: fresh_id().into_bytes(),
        name: name.to_owned(),
        identification: "63-1234567-X-42".to_owned(),
        group: pb::PersonGroup::Woman.into(),
        born_on: Some(pb::Date { year: 1961, month: 4, day: 18 }),
        address: "Behind the mill at Chitora".to_owned(),
        outcome: pb::VictimOutcome::Injured.into(),
        activity: "Fetching water".to_owned(),
        tampering: pb::Tampering::No.into(),
    }
}

/// A victim with details, whose hash is left to the server.
pub(super) fn victim(name: &str) -> pb::Victim {
    pb::Victim { victim_id: fresh_id(), details_sha256: Vec::new(), details: Some(details(name)) }
}

/// An accident with these victims.
pub(super) fn accident(tablet: &Tablet, victims: Vec<pb::Victim>) -> pb::FieldReport {
    let body = Body::Accident(pb::AccidentReport {
        kind: pb::AccidentKind::CivilianAccident.into(),
        category: pb::OrdnanceCategory::ApMine.into(),
        description: NOTE.to_owned(),
        victims,
        ..pb::AccidentReport::default()
    });
    tablet.report(body)
}

/// The same report as it is kept.
pub(super) fn kept(report: &pb::FieldReport) -> pb::FieldReport {
    let mut kept = report.clone();
    let Some(Body::Accident(accident)) = &mut kept.body else { panic!("an accident") };
    for victim in &mut accident.victims {
        if let Some(details) = victim.details.take() {
            victim.details_sha256 = Sha256::digest(details.encode_to_vec()).to_vec();
        }
    }
    kept
}

pub(super) fn victims(report: &pb::FieldReport) -> &[pb::Victim] {
    let Some(Body::Accident(accident)) = &report.body else { panic!("an accident") };
    &accident.victims
}

pub(super) async fn read(tablet: &Tablet, report: &str) -> Result<Vec<pb::VictimRecord>, Status> {
    let purpose = "Referral to the hospital".to_owned();
    let request = pb::ReadVictimsRequest { report_id: report.to_owned(), purpose };
    Ok(tablet.service.clone().read_victims(request).await?.into_inner().victims)
}

pub(super) fn erasing(report: &pb::FieldReport, victim: &pb::Victim) -> pb::EraseVictimRequest {
    pb::EraseVictimRequest {
        request_id: fresh_id(),
        report_id: report.report_id.clone(),
        victim_id: victim.victim_id.clone(),
        reason: "She asked for it".to_owned(),
    }
}

pub(super) async fn erase(
    tablet: &Tablet,
    request: &pb::EraseVictimRequest,
) -> Result<pb::EraseVictimResponse, Status> {
    Ok(tablet.service.clone().erase_victim(request.clone()).await?.into_inner())
}

#[tokio::test]
async fn details_are_kept_sealed_and_stand_in_no_table_no_event_and_no_answer() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let unnamed = pb::Victim { victim_id: fresh_id(), details_sha256: vec![9; 32], details: None };
        let report = accident(&tablet, vec![victim(NAME), unnamed]);
        let answer = tablet.submit(&report).await.unwrap();
        assert_eq!(
            (outcome(&answer), &answer.receipt.unwrap().content_sha256),
            ("STORED", &hash(&kept(&report)))
        );
        let got = tablet.get(&report.report_id, 0).await;
        assert_eq!((got.report.as_ref(), &got.content_sha256), (Some(&kept(&report)), &hash(&kept(&report))));
        let list = pb::ListReportsRequest {
            operator_id: tablet.works.desk.operator_id.clone(),
            ..pb::ListReportsRequest::default()
        };
        let listed = tablet.service.clone().list_reports(list).await.unwrap().into_inner();
        assert_eq!(listed.reports[0].report, Some(kept(&report)));

        let shown = read(&tablet, &report.report_id).await.unwrap();
        assert_eq!(shown.len(), 1, "of the other nothing was sent");
        assert_eq!(shown[0].victim_id, victims(&report)[0].victim_id);
        assert_eq!((shown[0].version, &shown[0].details), (1, &victims(&report)[0].details));
        // What everybody may read is found, so the search would find the rest.
        assert_eq!(
            tables_with(world, NOTE).await,
            BTreeSet::from(["journal".into(), "report_versions".into()])
        );
        for secret in [NAME, "63-1234567-X-42", "mill at Chitora", "Fetching water"] {
            assert_eq!(tables_with(world, secret).await, BTreeSet::new(), "{secret}");
        }
    })
    .await;
}

#[tokio::test]
async fn details_with_another_hash_are_refused_with_the_path() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let told = pb::Victim { details_sha256: vec![9; 32], ..victim(NAME) };
        let report = accident(&tablet, vec![victim(NAME), told]);
        let refused = tablet.submit(&report).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        let bad = refused.get_error_details().bad_request().unwrap().field_violations.clone();
        assert_eq!(bad.len(), 1);
        assert_eq!(bad[0].field, "report.accident.victims[1].details_sha256");
        assert!(!format!("{refused:?}").contains(NAME));
        let answers = tablet.sync(&[report, tablet.find()]).await;
        let Some(Outcome::Refused(refused)) = &answers[0].outcome else { panic!("{answers:?}") };
        assert_eq!(Code::from(refused.code), Code::InvalidArgument);
        assert_eq!(outcome(stored(&answers[1])), "STORED");
    })
    .await;
}

#[tokio::test]
async fn details_may_come_later_with_the_same_report_and_every_version_has_its_own() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let report = accident(&tablet, vec![victim(NAME)]);
        assert_eq!(outcome(&tablet.submit(&kept(&report)).await.unwrap()), "STORED");
        assert_eq!(read(&tablet, &report.report_id).await.unwrap(), []);
        for _ in 0..2 {
            assert_eq!(outcome(&tablet.submit(&report).await.unwrap()), "ALREADY_STORED");
            let shown = read(&tablet, &report.report_id).await.unwrap();
            assert_eq!((shown[0].version, &shown[0].details), (1, &victims(&report)[0].details));
        }
        let again = pb::Victim { details: Some(details("Nyasha Zvobgo")), ..victims(&report)[0].clone() };
        let mut second = edited(&tablet, &report, 1, "her name was spelt wrongly");
        let Some(Body::Accident(of)) = &mut second.body else { panic!("an accident") };
        of.victims = vec![again.clone()];
        let answers = tablet.sync(std::slice::from_ref(&second)).await;
        assert_eq!(outcome(stored(&answers[0])), "NEW_VERSION");
        let shown = read(&tablet, &report.report_id).await.unwrap();
        assert_eq!((shown.len(), shown[0].version, &shown[0].details), (1, 2, &again.details));
    })
    .await;
}

#[tokio::test]
async fn what_was_erased_is_gone_in_all_versions_and_never_comes_back() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let (gone, stays) = (victim(NAME), victim("Tendai"));
        let report = accident(&tablet, vec![gone.clone(), stays.clone()]);
        tablet.submit(&report).await.unwrap();
        let second = edited(&tablet, &report, 1, "once more");
        tablet.submit(&second).await.unwrap();
        let before = tablet.get(&report.report_id, 0).await;

        let request = erasing(&report, &gone);
        let first = erase(&tablet, &request).await.unwrap();
        let erased = first.erased.clone().unwrap();
        assert_eq!((&*erased.reason, erased.revision), ("She asked for it", first.revision));
        assert_eq!(erase(&tablet, &request).await.unwrap(), first, "the same call has the same answer");
        let again = erase(&tablet, &erasing(&report, &gone)).await.unwrap();
        assert_eq!(again.erased.as_ref(), Some(&erased), "erasing again changes nothing");
        let other = pb::EraseVictimRequest { victim_id: stays.victim_id.clone(), ..request };
        let facts = [("kind", "request"), ("id", &*other.request_id), ("differs", "victim_id")];
        refuses(erase(&tablet, &other).await, Code::AlreadyExists, "ID_TAKEN", &facts);

        // Whoever still has the details sends them again: with the same versions, and with a new one.
        for version in [&report, &second] {
            assert_eq!(outcome(&tablet.submit(version).await.unwrap()), "ALREADY_STORED");
        }
        let third = edited(&tablet, &report, 2, "and once more");
        assert_eq!(outcome(&tablet.submit(&third).await.unwrap()), "NEW_VERSION");
        let mut shown = read(&tablet, &report.report_id).await.unwrap();
        shown.sort_by_key(|record| record.erased.is_none());
        assert_eq!((shown.len(), &shown[0].details, &shown[0].erased), (2, &None, &Some(erased)));
        assert_eq!((shown[1].version, &shown[1].details), (3, &stays.details));
        assert_eq!(records(world).await, 3, "those of the other victim");
        let now = tablet.get(&report.report_id, 2).await;
        assert_eq!((now.content_sha256, now.report), (before.content_sha256, before.report));
        // The audit at the end of every test checks the hashes of the journal.
    })
    .await;
}

/// How many sealed records there are.
pub(super) async fn records(world: &World) -> i64 {
    let mut conn = world.database.connect().await;
    sqlx::query_scalar("SELECT count(*) FROM personal_records").fetch_one(&mut conn).await.unwrap()
}

#[tokio::test]
async fn a_victim_of_whom_nothing_was_sent_can_be_erased_beforehand_and_one_whom_nobody_names_cannot() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let report = accident(&tablet, vec![victim(NAME)]);
        let named = victims(&report)[0].clone();
        tablet.submit(&kept(&report)).await.unwrap();
        let stranger = pb::Victim { victim_id: fresh_id(), ..named.clone() };
        let facts = [("kind", "victim"), ("id", &*stranger.victim_id)];
        refuses(erase(&tablet, &erasing(&report, &stranger)).await, Code::NotFound, "NOT_FOUND", &facts);
        erase(&tablet, &erasing(&report, &named)).await.unwrap();
        assert_eq!(outcome(&tablet.submit(&report).await.unwrap()), "ALREADY_STORED");
        assert_eq!(records(world).await, 0);
    })
    .await;
}

#[tokio::test]
async fn whoever_erases_while_the_details_are_sent_again_wins() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        for _ in 0..20 {
            let report = accident(&tablet, vec![victim(NAME)]);
            tablet.submit(&report).await.unwrap();
            let request = erasing(&report, &victims(&report)[0]);
            let send = || async { tablet.submit(&report).await.map(|_| ()) };
            let (one, erased, two) = tokio::join!(send(), erase(&tablet, &request), send());
            one.and(two).unwrap();
            erased.unwrap();
        }
        assert_eq!(records(world).await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_stream_of_many_reports_stores_the_details_of_each() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let reports: Vec<_> = (0..30).map(|_| accident(&tablet, vec![victim(NAME), victim(NAME)])).collect();
        let sent: Vec<_> = reports.iter().chain(&reports).cloned().map(outbox).collect();
        let mut answers =
            tablet.service.clone().sync_reports(tokio_stream::iter(sent)).await.unwrap().into_inner();
        while let Some(answer) = answers.message().await.unwrap() {
            stored(&answer);
        }
        assert_eq!(records(world).await, 60);
        for report in &reports {
            let shown = read(&tablet, &report.report_id).await.unwrap();
            for told in victims(report) {
                let found = shown.iter().find(|record| record.victim_id == told.victim_id).unwrap();
                assert_eq!(found.details, told.details);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_audit_finds_details_that_came_back_and_erasures_of_which_the_journal_says_nothing() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let report = accident(&tablet, vec![victim(NAME)]);
        tablet.submit(&report).await.unwrap();
        let mut sql = world.database.connect().await;
        sqlx::raw_sql("CREATE TEMP TABLE stolen AS TABLE personal_records").execute(&mut sql).await.unwrap();
        erase(&tablet, &erasing(&report, &victims(&report)[0])).await.unwrap();
        for fault in ["INSERT INTO personal_records TABLE stolen", "UPDATE erased_victims SET revision = 1"] {
            sqlx::raw_sql("BEGIN").execute(&mut sql).await.unwrap();
            sqlx::raw_sql(fault).execute(&mut sql).await.unwrap();
            let found = run_audit(&mut sql, None).await.unwrap();
            let rules: Vec<&str> = found.iter().map(|finding| &*finding.invariant).collect();
            assert_eq!(rules, ["an_erased_victim_stays_erased"], "after {fault}");
            sqlx::raw_sql("ROLLBACK").execute(&mut sql).await.unwrap();
        }
        sql.close().await.unwrap();
    })
    .await;
}

/// Whether a message can hold another, however deep.
fn reaches(message: &MessageDescriptor, wanted: &str, seen: &mut BTreeSet<String>) -> bool {
    message.full_name() == wanted
        || seen.insert(message.full_name().to_owned())
            && message
                .fields()
                .filter_map(|field| field.kind().as_message().cloned())
                .any(|inner| reaches(&inner, wanted, seen))
}

/// What can hold details by its type: `ReadVictims`, and whatever holds a report, which is read from what is stored
/// without them. A new way out has to be looked at.
#[test]
fn details_can_leave_only_by_ways_that_are_known() {
    let pool = DescriptorPool::decode(DESCRIPTOR).unwrap();
    let ours = pool.services().filter(|service| service.package_name() == "safelane.v1");
    let methods = ours.flat_map(|service| service.methods().collect::<Vec<_>>());
    let holds = |method: &prost_reflect::MethodDescriptor, wanted: &str| {
        reaches(&method.output(), wanted, &mut BTreeSet::new())
    };
    let mut apart = BTreeSet::new();
    for method in methods.filter(|method| holds(method, "safelane.v1.VictimDetails")) {
        if !holds(&method, "safelane.v1.StoredReport") {
            apart.insert(method.name().to_owned());
        }
    }
    assert_eq!(apart, BTreeSet::from(["ReadVictims".to_owned()]));
}
