//! What a device makes of refusals: of one report, of all of them, and of a token that is not its own.

use safelane::cli::field::outbox::EntryState;
use safelane::cli::field::status::Gap;
use safelane::cli::field::sync::Until;
use safelane::rpc::pb;
use safelane::rpc::pb::field_report::Body;
use sqlx::Connection as _;

use super::devices::{LONG, Pad, find};
use super::rig::Tablet;
use crate::gate::Gate;
use crate::ground::teams::organization;
use crate::harness::{World, in_world};

/// A report that the service never takes: another model has to be named.
fn unnamed(tablet: &Tablet, note: &str) -> pb::FieldReport {
    let mut report = find(tablet, note);
    if let Some(Body::Ordnance(of)) = &mut report.body {
        of.items[0].category = pb::OrdnanceCategory::Other.into();
        of.items[0].model = String::new();
    }
    report
}

#[tokio::test]
async fn a_token_of_another_operator_takes_no_acknowledgement_away() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let gate = Gate::open(world).await;
        let own = tablet.works.desk.operator_id.clone();
        let stranger = organization(world, pb::OrganizationKind::Operator, "OTHER", "ZW").await;
        let pad = Pad::with_token(&tablet.team, gate.server.address, &gate.token("field", "field", &own));
        pad.capture(find(&tablet, "one"), &[]);
        pad.capture(find(&tablet, "two"), &[]);
        assert_eq!(pad.sync_all().await.acknowledged, 2);
        pad.file("token", gate.token("field", "field", &stranger).as_bytes());
        let summary = pad.sync(LONG).await;
        assert!(summary.trouble.contains("this token is of another operator"), "{summary:?}");
        assert_eq!(summary.refused, 0, "{summary:?}");
        let kept = |count| {
            let entries = pad.status().entries;
            assert!(entries.iter().all(|entry| entry.answer.is_some() && entry.earlier.is_none()));
            assert_eq!(pad.states(), vec![EntryState::Acknowledged; count]);
        };
        kept(2);
        pad.file("token", gate.token("field", "field", &own).as_bytes());
        pad.capture(find(&tablet, "three"), &[]);
        pad.sync_all().await;
        kept(3);
        let numbering = pad.status().numbering.expect("it was heard").told;
        assert_eq!((numbering.durable_through, Tablet::count(world).await), (3, 3));
        gate.server.finish().await;
    })
    .await;
}

/// Lets the database fail at whatever is to store a report with this note.
async fn fail_at(world: &World, note: &str) {
    let statement = format!(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken'; END $$;
         CREATE TRIGGER fails BEFORE INSERT ON report_versions FOR EACH ROW
           WHEN (position('{note}'::bytea IN NEW.content) <> 0) EXECUTE FUNCTION fail()"
    );
    crate::ground::tasks::Works::run(world, statement).await;
}

#[tokio::test]
async fn a_report_that_the_service_puts_off_keeps_neither_others_nor_photos_waiting() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let pad = Pad::new(&tablet.team, world.address);
        fail_at(world, "breaks it").await;
        pad.capture(find(&tablet, "breaks it"), &[]);
        pad.capture(find(&tablet, "one"), &[pad.file("lane.jpg", b"\xFF\xD8\xFF\xE0lane")]);
        pad.capture(find(&tablet, "two"), &[]);
        let others = async {
            let mut conn = world.database.connect().await;
            loop {
                let there =
                    "SELECT (SELECT count(*) FROM report_versions), (SELECT count(*) FROM attachments)";
                let there: (i64, i64) = sqlx::query_as(there).fetch_one(&mut conn).await.expect("counts");
                if there == (2, 1) {
                    break;
                }
                tokio::task::yield_now().await;
            }
            sqlx::raw_sql("DROP TRIGGER fails ON report_versions; DROP FUNCTION fail")
                .execute(&mut conn)
                .await
                .expect("it is dropped");
            conn.close().await.expect("it closes");
        };
        let syncing = pad.sync(LONG);
        tokio::pin!(syncing);
        tokio::select! {
            ended = &mut syncing => panic!("others never arrived: {ended:?}"),
            () = others => {}
        }
        let summary = syncing.await;
        assert_eq!((summary.left, summary.refused, Tablet::count(world).await), (0, 0, 3), "{summary:?}");
    })
    .await;
}

#[tokio::test]
async fn a_new_version_takes_the_place_of_every_refused_one_of_its_report() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let pad = Pad::new(&tablet.team, world.address);
        let id = pad.capture(unnamed(&tablet, "first"), &[]).report.report_id;
        pad.device.amend(&id, unnamed(&tablet, "second"), &[]).expect("it is captured");
        assert_eq!(pad.sync(Until::Once).await.refused, 2);
        pad.device.amend(&id, find(&tablet, "third"), &[]).expect("it is captured");
        pad.sync_all().await;
        let replaced = EntryState::Replaced;
        assert_eq!(pad.states(), [replaced, replaced, EntryState::Acknowledged]);
    })
    .await;
}

#[tokio::test]
async fn a_number_of_a_refused_report_is_not_lost() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let pad = Pad::new(&tablet.team, world.address);
        pad.capture(unnamed(&tablet, "refused"), &[]);
        pad.capture(find(&tablet, "stored"), &[]);
        pad.sync(Until::Once).await;
        assert_eq!(pad.status().gaps(), [(1, 1, Gap::Free)]);
        let told = pad.status().text(false);
        assert!(told.contains("misses number 1, which was of a refused report"), "{told}");
        pad.capture(find(&tablet, "takes it"), &[]);
        assert_eq!(pad.status().gaps(), [(1, 1, Gap::Waits)]);
        pad.sync_all().await;
        assert_eq!(pad.status().gaps(), []);
    })
    .await;
}
