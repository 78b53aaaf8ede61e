//! Land and people against what the records say: who is in the team, and how many days people and machines were sent.

use safelane::rpc::pb;
use safelane::rpc::pb::field_report::Body;

use super::holds::held;
use super::rig::{Tablet, outcome};
use crate::bad_input::day;
use crate::ground::assets::{detector, registered};
use crate::ground::members::{added, member};
use crate::ground::tasks::Works;
use crate::ground::teams::recorded_team;
use crate::harness::{World, fresh_id, in_world};

/// A member who needs no accreditation.
fn hand(tablet: &Tablet) -> pb::Member {
    pb::Member { role: pb::MemberRole::Driver.into(), ..member(&tablet.team, &fresh_id()) }
}

/// A team of so many people, whom the assignment of the tablet sends as long as the team.
async fn crew(world: &World, tablet: &Tablet, count: usize) {
    for _ in 0..count {
        added(world, hand(tablet)).await;
    }
    let statement = format!(
        "DELETE FROM assignment_people;
         INSERT INTO assignment_people (assignment_id, person_id, first_day, last_day, role)
         SELECT a.assignment_id, m.person_id, a.first_day, a.last_day, m.role
           FROM assignments a JOIN members m ON m.team_id = a.team_id WHERE a.team_id = '{}'",
        tablet.team
    );
    Works::run(world, statement).await;
}

/// The end of the task on a day of June, and so much land that was released in all.
fn completion(tablet: &Tablet, date: i32, area_m2: i64) -> pb::FieldReport {
    let Some(Body::Progress(worked)) = tablet.progress(area_m2).body else { panic!("a day's work") };
    let body = pb::CompletionReport {
        reference: "CR-1".to_owned(),
        areas: worked.areas,
        ..pb::CompletionReport::default()
    };
    pb::FieldReport { work_date: Some(day(1998, 6, date)), ..tablet.report(Body::Completion(body)) }
}

async fn goes(tablet: &Tablet, report: &pb::FieldReport) {
    let answer = tablet.submit(report).await.unwrap();
    assert_eq!(outcome(&answer), "STORED", "{answer:?}");
}

#[tokio::test]
async fn more_people_who_search_than_the_team_has_members_are_held() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let on = |date| pb::FieldReport { work_date: Some(day(1998, 6, date)), ..tablet.progress(400) };
        // Eight people are told. Nobody knows who is in the team.
        goes(&tablet, &on(15)).await;
        crew(world, &tablet, 7).await;
        let holds = held(&tablet, &on(14), &["IMPLAUSIBLE_AREA"]).await;
        let text = &holds[0].text;
        assert!(text.contains("8 people who search are more than the 7 members"), "{text}");
        // One who joins on the 12th is none of those of the 11th.
        let mut eighth = hand(&tablet);
        eighth.first_day = Some(day(1998, 6, 12));
        added(world, eighth).await;
        held(&tablet, &on(11), &["IMPLAUSIBLE_AREA"]).await;
        goes(&tablet, &on(12)).await;
    })
    .await;
}

#[tokio::test]
async fn land_of_a_completion_is_held_against_the_days_of_people_and_machines() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        goes(&tablet, &completion(&tablet, 1, 9_000)).await;
        crew(world, &tablet, 3).await;
        // Three people from the 1st to the 15th, 200 m2 each.
        let holds = held(&tablet, &completion(&tablet, 15, 9_001), &["IMPLAUSIBLE_AREA"]).await;
        let text = &holds[0].text;
        assert!(text.contains("9001 m2 are more than 9000 m2, the most for the 45 days of people and 0"), "{text}");
        held(&tablet, &completion(&tablet, 14, 9_000), &["IMPLAUSIBLE_AREA"]).await;
        goes(&tablet, &completion(&tablet, 13, 7_800)).await;
        Works::run(world, "UPDATE reports SET state = 'REJECTED'".to_owned()).await;
        goes(&tablet, &completion(&tablet, 15, 9_000)).await;
        // With a machine for two days it may be more.
        let operator = &tablet.works.desk.operator_id;
        let mut machine = detector(operator, "F-1");
        (machine.kind, machine.valid_until) = (pb::AssetKind::Machine.into(), None);
        let machine = registered(world, machine).await.asset_id;
        let sent = format!(
            "INSERT INTO assignment_assets (assignment_id, asset_id, first_day, last_day)
             SELECT assignment_id, '{machine}', first_day, last_day FROM assignments"
        );
        Works::run(world, sent).await;
        goes(&tablet, &completion(&tablet, 2, 9_900)).await;
        Works::run(world, "DELETE FROM assignment_assets".to_owned()).await;
        held(&tablet, &completion(&tablet, 3, 9_900), &["IMPLAUSIBLE_AREA"]).await;
        // Another team was sent, and nobody noted who was in it.
        let other = recorded_team(world, operator, "MT-2").await;
        let beside = format!(
            "INSERT INTO assignments SELECT (jsonb_populate_record(a, jsonb_build_object('assignment_id', '{}',
                    'team_id', '{other}'))).* FROM assignments a",
            fresh_id()
        );
        Works::run(world, beside).await;
        goes(&tablet, &completion(&tablet, 4, 9_900)).await;
    })
    .await;
}
