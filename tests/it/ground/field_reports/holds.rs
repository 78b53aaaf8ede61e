//! The quarantine: reports of work that breaks a rule are stored, and say why they are held.

use safelane::rpc::pb;
use safelane::rpc::pb::field_report::Body;
use safelane::rpc::pb::safety_stop::Target;

use super::personal::{accident, victim};
use super::rig::{Tablet, item, outcome, reasons};
use crate::bad_input::day;
use crate::ground::sites;
use crate::ground::tasks::Works;
use crate::ground::teams::recorded_team;
use crate::harness::{World, fresh_id, in_world};

/// Expects that a report is stored and held for exactly these reasons.
pub(super) async fn held(tablet: &Tablet, report: &pb::FieldReport, expected: &[&str]) -> Vec<pb::Hold> {
    let answer = tablet.submit(report).await.expect("it is stored all the same");
    assert_eq!((outcome(&answer), reasons(&answer.holds)), ("HELD", expected.to_vec()));
    let stored = tablet.get(&report.report_id, 0).await;
    assert_eq!((stored.state(), stored.holds.clone()), (pb::ReportState::Held, answer.holds));
    stored.holds
}

#[tokio::test]
async fn work_of_an_unknown_team_task_or_site_is_held() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let other = pb::FieldReport { task_id: fresh_id(), ..tablet.find() };
        let holds = held(&tablet, &other, &["UNKNOWN_TASK"]).await;
        assert_eq!(holds[0].subject_id, other.task_id);
        let mut elsewhere = tablet.progress(100);
        if let Some(pb::field_report::Body::Progress(progress)) = &mut elsewhere.body {
            progress.areas[0].site_id = fresh_id();
        }
        held(&tablet, &elsewhere, &["UNKNOWN_SITE"]).await;
        // The task of a draft was not ordered from anybody.
        let draft = tablet.works.create(tablet.works.task("T-9")).await.unwrap();
        let early = pb::FieldReport { task_id: draft.task_id, ..tablet.find() };
        held(&tablet, &early, &["UNKNOWN_TASK"]).await;
    })
    .await;
}

#[tokio::test]
async fn work_that_nobody_was_sent_to_or_accredited_for_is_held() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let team = recorded_team(world, &tablet.works.desk.operator_id, "MT-2").await;
        let others = pb::FieldReport { team_id: team, ..tablet.find() };
        held(&tablet, &others, &["NOT_ASSIGNED", "ACCREDITATION_LAPSED"]).await;
        let before = pb::FieldReport { work_date: Some(day(1998, 5, 31)), ..tablet.find() };
        held(&tablet, &before, &["NOT_ASSIGNED"]).await;
        world.clock.set("1998-09-20T12:00:00Z");
        let lapsed = pb::FieldReport { work_date: Some(day(1998, 9, 16)), ..tablet.find() };
        held(&tablet, &lapsed, &["ACCREDITATION_LAPSED"]).await;
        let last = pb::FieldReport { work_date: Some(day(1998, 9, 15)), ..tablet.find() };
        assert_eq!(outcome(&tablet.submit(&last).await.unwrap()), "STORED");
    })
    .await;
}

#[tokio::test]
async fn work_on_a_task_that_was_not_begun_is_held() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let waiting = tablet.works.walked("T-2", &["Plan", "Issue", "Accept"]).await;
        let early = pb::FieldReport { task_id: waiting.task_id, ..tablet.find() };
        held(&tablet, &early, &["NOT_ASSIGNED", "NO_MEDICAL_COVER", "TASK_NOT_AT_WORK"]).await;
        tablet.works.step(&tablet.task, "Suspend").await.unwrap();
        assert_eq!(outcome(&tablet.submit(&tablet.find()).await.unwrap()), "STORED");
    })
    .await;
}

#[tokio::test]
async fn days_that_cannot_be_right_are_held_and_today_is_that_of_the_site() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        // It is the 16th in Harare, and still the 15th in Greenwich.
        world.clock.set("1998-06-15T22:30:00Z");
        let at = |date| pb::FieldReport { work_date: Some(date), ..tablet.find() };
        assert_eq!(outcome(&tablet.submit(&at(day(1998, 6, 16))).await.unwrap()), "STORED");
        held(&tablet, &at(day(1998, 6, 17)), &["FUTURE_DATE"]).await;
        held(&tablet, &at(day(1970, 1, 1)), &["NOT_ASSIGNED", "ACCREDITATION_LAPSED", "IMPLAUSIBLE_DATE"])
            .await;
        held(&tablet, &at(day(9999, 12, 31)), &["NOT_ASSIGNED", "ACCREDITATION_LAPSED", "FUTURE_DATE"]).await;
        held(&tablet, &at(day(1, 1, 1)), &["NOT_ASSIGNED", "ACCREDITATION_LAPSED", "IMPLAUSIBLE_DATE"]).await;
    })
    .await;
}

#[tokio::test]
async fn a_second_report_of_the_same_work_is_held_and_names_the_first() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let first = tablet.progress(400);
        tablet.submit(&first).await.unwrap();
        let second = tablet.progress(390);
        let holds = held(&tablet, &second, &["POSSIBLE_DUPLICATE"]).await;
        assert_eq!(holds[0].subject_id, first.report_id);
        // Several in one group, the first of which is not in the database yet.
        let yesterday = |report| pb::FieldReport { work_date: Some(day(1998, 6, 14)), ..report };
        let pair = [yesterday(tablet.progress(400)), yesterday(tablet.progress(400))];
        let answers = tablet.sync(&pair).await;
        assert_eq!(outcome(super::rig::stored(&answers[0])), "STORED");
        let held = super::rig::stored(&answers[1]);
        assert_eq!(reasons(&held.holds), ["POSSIBLE_DUPLICATE"]);
        assert_eq!(held.holds[0].subject_id, pair[0].report_id);
        // A rejected one is in nobody's way, and an edit not in its own.
        Works::run(world, "UPDATE reports SET state = 'REJECTED'".to_owned()).await;
        let third = tablet.progress(400);
        assert_eq!(outcome(&tablet.submit(&third).await.unwrap()), "STORED");
        let edit = super::rig::edited(&tablet, &third, 1, "measured again");
        assert_eq!(outcome(&tablet.submit(&edit).await.unwrap()), "NEW_VERSION");
    })
    .await;
}

#[tokio::test]
async fn a_find_that_was_sent_twice_under_two_ids_is_held_and_two_finds_of_a_day_are_not() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let (first, other) = (tablet.find(), tablet.find());
        for report in [&first, &other] {
            assert_eq!(outcome(&tablet.submit(report).await.unwrap()), "STORED");
        }
        let again = |of: &pb::FieldReport| pb::FieldReport {
            report_id: fresh_id(),
            device_sequence: tablet.next(),
            captured: Some(super::rig::clock("1998-06-15T11:00:03Z")),
            ..of.clone()
        };
        let twice = again(&first);
        let holds = held(&tablet, &twice, &["POSSIBLE_DUPLICATE"]).await;
        assert_eq!(holds[0].subject_id, first.report_id);
        // The next day the same may happen again; and what is told in other words is not the same.
        let tomorrow = pb::FieldReport { work_date: Some(day(1998, 6, 14)), ..again(&first) };
        assert_eq!(outcome(&tablet.submit(&tomorrow).await.unwrap()), "STORED");
        let edit = super::rig::edited(&tablet, &twice, 1, "another lane");
        assert_eq!(outcome(&tablet.submit(&edit).await.unwrap()), "NEW_VERSION");
        // Both in one group, none of which is in the database yet.
        let pair = [tablet.find(), tablet.find()];
        let pair = [pair[0].clone(), pair[1].clone(), again(&pair[0])];
        let answers = tablet.sync(&pair).await;
        assert_eq!(outcome(super::rig::stored(&answers[1])), "STORED");
        let held = super::rig::stored(&answers[2]);
        assert_eq!(reasons(&held.holds), ["POSSIBLE_DUPLICATE"]);
        assert_eq!(held.holds[0].subject_id, pair[0].report_id);
        // A rejected one is in nobody's way.
        Works::run(world, "UPDATE reports SET state = 'REJECTED'".to_owned()).await;
        assert_eq!(outcome(&tablet.submit(&again(&other)).await.unwrap()), "STORED");
    })
    .await;
}

#[tokio::test]
async fn an_accident_that_was_tapped_twice_with_new_ids_of_its_victims_is_held() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let first = accident(&tablet, vec![victim("Nyasha Ncube")]);
        assert_eq!(outcome(&tablet.submit(&first).await.unwrap()), "STORED");
        // Id and salt are drawn anew.
        let again = accident(&tablet, vec![victim("Nyasha Ncube")]);
        let holds = held(&tablet, &again, &["POSSIBLE_DUPLICATE"]).await;
        assert_eq!(holds[0].subject_id, first.report_id);
        // With another number of victims it is another accident, and with other words.
        let two = accident(&tablet, vec![victim("Nyasha Ncube"), victim("Tendai Moyo")]);
        let words =
            pb::FieldReport { note: "at the ford".to_owned(), ..accident(&tablet, vec![victim("N")]) };
        for other in [two, words] {
            assert_eq!(outcome(&tablet.submit(&other).await.unwrap()), "STORED");
        }
    })
    .await;
}

#[tokio::test]
async fn more_land_than_hours_or_site_allow_is_held_with_the_figures() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let holds = held(&tablet, &tablet.progress(9_000), &["IMPLAUSIBLE_AREA"]).await;
        assert!(holds[0].text.contains("9000 m2 are more than 1600 m2"), "{}", holds[0].text);
        let mut beyond = pb::FieldReport { work_date: Some(day(1998, 6, 14)), ..tablet.progress(10_001) };
        if let Some(pb::field_report::Body::Progress(progress)) = &mut beyond.body {
            progress.machine_minutes = 480;
        }
        let holds = held(&tablet, &beyond, &["AREA_BEYOND_SITE"]).await;
        assert_eq!(holds[0].subject_id, tablet.site());
        let position = Some(pb::Position { latitude: -18.0, longitude: 32.8, accuracy_m: 5 });
        held(&tablet, &pb::FieldReport { position, ..tablet.find() }, &["FAR_FROM_SITE"]).await;
        let position = Some(pb::Position { latitude: -19.101, longitude: 32.801, accuracy_m: 5 });
        let near = pb::FieldReport { position, ..tablet.find() };
        assert_eq!(outcome(&tablet.submit(&near).await.unwrap()), "STORED");
    })
    .await;
}

async fn stop(world: &World, tablet: &Tablet, target: Target) -> pb::SafetyStop {
    let stop = pb::SafetyStop {
        safety_stop_id: fresh_id(),
        target: Some(target),
        cause: pb::SafetyStopCause::Accident.into(),
        reason: "A deminer was hurt".to_owned(),
        ..pb::SafetyStop::default()
    };
    let request = pb::IssueSafetyStopRequest { safety_stop: Some(stop) };
    let mut tasks = tablet.works.tasks.clone();
    let stop = tasks.issue_safety_stop(request).await.unwrap().into_inner().safety_stop.unwrap();
    world.clock.set("1998-06-16T12:00:00Z");
    stop
}

#[tokio::test]
async fn work_on_a_day_of_a_safety_stop_is_held_also_after_it_was_lifted() {
    for of_site in [true, false] {
        in_world(async |world| {
            let tablet = Tablet::open(world).await;
            let operator = tablet.works.desk.operator_id.clone();
            let target = if of_site { Target::SiteId(tablet.site()) } else { Target::OperatorId(operator) };
            let stop = stop(world, &tablet, target).await;
            let on = |date| pb::FieldReport { work_date: Some(day(1998, 6, date)), ..tablet.find() };
            let holds = held(&tablet, &on(15), &["AFTER_SAFETY_STOP"]).await;
            assert_eq!(holds[0].subject_id, stop.safety_stop_id);
            held(&tablet, &on(16), &["AFTER_SAFETY_STOP"]).await;
            assert_eq!(outcome(&tablet.submit(&on(14)).await.unwrap()), "STORED");
            tablet.works.tasks.clone().lift_safety_stop(lift(&stop)).await.unwrap();
            world.clock.set("1998-06-17T12:00:00Z");
            held(&tablet, &on(16), &["AFTER_SAFETY_STOP"]).await;
            assert_eq!(outcome(&tablet.submit(&on(17)).await.unwrap()), "STORED");
        })
        .await;
    }
}

fn lift(stop: &pb::SafetyStop) -> pb::LiftSafetyStopRequest {
    pb::LiftSafetyStopRequest {
        request_id: fresh_id(),
        safety_stop_id: stop.safety_stop_id.clone(),
        reason: "The cause was found".to_owned(),
        expected_revision: stop.revision,
    }
}

#[tokio::test]
async fn a_demolition_on_a_day_on_which_all_work_was_stopped_is_held_with_and_without_a_task() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let operator = tablet.works.desk.operator_id.clone();
        let stop = stop(world, &tablet, Target::OperatorId(operator)).await;
        let spot =
            pb::SpotTaskReport { place: "The well".to_owned(), items: vec![item()], ..Default::default() };
        let spot = |date| pb::FieldReport {
            work_date: Some(day(1998, 6, date)),
            ..tablet.report(Body::SpotTask(spot.clone()))
        };
        let nowhere = |report| pb::FieldReport { task_id: String::new(), ..report };
        for on in [15, 16] {
            let with_task = held(&tablet, &spot(on), &["AFTER_SAFETY_STOP"]).await;
            let without = held(&tablet, &nowhere(spot(on)), &["AFTER_SAFETY_STOP"]).await;
            assert_eq!(
                (&with_task[0].subject_id, &without[0].subject_id),
                (&stop.safety_stop_id, &stop.safety_stop_id)
            );
        }
        // What was found on the road, and work on a task that nobody ordered, are work as well.
        held(&tablet, &nowhere(tablet.find()), &["AFTER_SAFETY_STOP"]).await;
        let unknown = pb::FieldReport { task_id: fresh_id(), ..spot(15) };
        held(&tablet, &unknown, &["UNKNOWN_TASK", "AFTER_SAFETY_STOP"]).await;
        // Of the day before it is not, and what is no work never is.
        assert_eq!(outcome(&tablet.submit(&spot(14)).await.unwrap()), "STORED");
        assert_eq!(outcome(&tablet.submit(&nowhere(spot(14))).await.unwrap()), "STORED");
        let session = pb::RiskEducationReport {
            topic: "What to do in a minefield".to_owned(),
            minutes: 45,
            ..pb::RiskEducationReport::default()
        };
        let session = nowhere(tablet.report(Body::RiskEducation(session)));
        assert_eq!(outcome(&tablet.submit(&session).await.unwrap()), "STORED");
        // After it was lifted work goes on.
        tablet.works.tasks.clone().lift_safety_stop(lift(&stop)).await.unwrap();
        world.clock.set("1998-06-20T12:00:00Z");
        assert_eq!(outcome(&tablet.submit(&nowhere(spot(17))).await.unwrap()), "STORED");
    })
    .await;
}

#[tokio::test]
async fn a_stop_of_a_site_holds_demolitions_of_its_tasks_and_none_that_name_no_task() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        stop(world, &tablet, Target::SiteId(tablet.site())).await;
        let spot =
            pb::SpotTaskReport { place: "The well".to_owned(), items: vec![item()], ..Default::default() };
        let with_task = tablet.report(Body::SpotTask(spot.clone()));
        held(&tablet, &with_task, &["AFTER_SAFETY_STOP"]).await;
        let without = pb::FieldReport { task_id: String::new(), ..tablet.report(Body::SpotTask(spot)) };
        assert_eq!(outcome(&tablet.submit(&without).await.unwrap()), "STORED");
    })
    .await;
}

#[tokio::test]
async fn what_was_found_on_a_site_under_a_stop_is_held_without_a_task_and_beside_it() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let beside = sites::site(&tablet.works.authority_id, "ZW-0044", 10_000);
        let beside = sites::created(world, beside).await.site_id;
        let stop = stop(world, &tablet, Target::SiteId(beside.clone())).await;
        let on = |site: &str, task: &str| {
            let mut report = pb::FieldReport { task_id: task.to_owned(), ..tablet.find() };
            let Some(Body::Ordnance(found)) = &mut report.body else { panic!("a find") };
            found.site_id = site.to_owned();
            report
        };
        let holds = held(&tablet, &on(&beside, ""), &["AFTER_SAFETY_STOP"]).await;
        assert_eq!(holds[0].subject_id, stop.safety_stop_id);
        held(&tablet, &on(&beside, &fresh_id()), &["UNKNOWN_TASK", "AFTER_SAFETY_STOP"]).await;
        held(&tablet, &on(&beside, &tablet.task.task_id), &["UNKNOWN_SITE", "AFTER_SAFETY_STOP"]).await;
        // Others of the same group are under no stop, and it is no stop of the day before.
        let early = pb::FieldReport { work_date: Some(day(1998, 6, 14)), ..on(&beside, "") };
        let others = [on(&beside, ""), on(&tablet.site(), ""), on("", ""), tablet.find(), early];
        let answers = tablet.sync(&others).await;
        let outcomes: Vec<_> = answers.iter().map(|of| outcome(super::rig::stored(of))).collect();
        assert_eq!(outcomes, ["HELD", "STORED", "STORED", "STORED", "STORED"]);
    })
    .await;
}
