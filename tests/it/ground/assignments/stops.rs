//! Safety stops against assignments at the same moment: no team is sent after a stop is answered.

use jiff::ToSpan as _;
use jiff::civil::date;
use safelane::rpc::pb;
use tonic::Code;

use super::yard::{Yard, names};
use crate::evidence::chance::Chance;
use crate::harness::{World, fresh_id, in_world};

const ROUNDS: i64 = 100;
const SEED: u64 = 1_998;
/// The longest that either of the two waits before it calls, in microseconds.
const HEAD_START_MICROS: u64 = 30_000;

fn stop(target: pb::safety_stop::Target) -> pb::IssueSafetyStopRequest {
    let stop = pb::SafetyStop {
        safety_stop_id: fresh_id(),
        target: Some(target),
        cause: pb::SafetyStopCause::Accident.into(),
        reason: "An accident on the lane.".to_owned(),
        ..Default::default()
    };
    pb::IssueSafetyStopRequest { safety_stop: Some(stop) }
}

fn targets(yard: &Yard) -> [pb::safety_stop::Target; 3] {
    let task = pb::StoppedTask { program_id: yard.desk.program_id.clone(), task_id: yard.task.clone() };
    [
        pb::safety_stop::Target::Task(task),
        pb::safety_stop::Target::SiteId(yard.site.clone()),
        pb::safety_stop::Target::OperatorId(yard.operator.clone()),
    ]
}

/// Where an event about a record is in the operator's journal.
async fn revision_of(yard: &mut Yard, subject: &str) -> i64 {
    let found: Option<i64> = sqlx::query_scalar(
        "SELECT min(revision) FROM change_subjects WHERE scope_id = $1::uuid AND subject_id = $2::uuid",
    )
    .bind(&yard.operator)
    .bind(subject)
    .fetch_one(&mut yard.sql)
    .await
    .unwrap();
    found.expect("it is in the operator's journal")
}

async fn lift(yard: &mut Yard) {
    yard.run(
        "UPDATE safety_stops SET lifted_at = now(), lifted_by = 'x', lift_reason = 'Safe' WHERE lifted_at IS NULL;
         UPDATE sites SET status = 'OPEN', suspension_cause = NULL WHERE status = 'SUSPENDED'"
            .to_owned(),
    )
    .await;
}

#[tokio::test]
async fn no_team_is_sent_after_a_stop_is_answered() {
    in_world(async |world: &World| {
        println!("seed {SEED}");
        let (mut chance, mut yard) = (Chance::new(SEED), Yard::open(world).await);
        // A team of whom nobody stands down.
        let team = yard.new_team("MT-2", "MANUAL").await;
        yard.new_member(&team, "Farai", "DRIVER").await;
        yard.accredit("TEAM", &team, "1998-06-14", None).await;
        let mut sent = 0;
        for round in 0..ROUNDS {
            let day = date(1998, 6, 15).saturating_add(round.days());
            let day = pb::Date { year: day.year().into(), month: day.month().into(), day: day.day().into() };
            let mut asked = yard.assignment("06-15", "06-15");
            (asked.first_day, asked.last_day, asked.asset_ids) = (Some(day), Some(day), Vec::new());
            asked.team_id.clone_from(&team);
            let request = stop(chance.pick(&targets(&yard)).clone());
            let stop_id = request.safety_stop.as_ref().unwrap().safety_stop_id.clone();
            let (mut teams, mut tasks) = (yard.teams.clone(), world.tasks());
            let (mut early, mut late) = (chance.fork(), chance.fork());
            let new = pb::AssignTeamRequest { assignment: Some(asked.clone()), ..Default::default() };
            let (assigned, stopped) = tokio::join!(
                async {
                    early.pause(HEAD_START_MICROS).await;
                    teams.assign_team(new).await
                },
                async {
                    late.pause(HEAD_START_MICROS).await;
                    tasks.issue_safety_stop(request).await
                }
            );
            stopped.expect("a stop is always taken");
            if let Ok(assigned) = assigned {
                sent += 1;
                let stopped_at = revision_of(&mut yard, &stop_id).await;
                let assigned_at = assigned.into_inner().revision;
                assert!(
                    assigned_at < stopped_at,
                    "round {round}: sent at {assigned_at}, stopped at {stopped_at}"
                );
            } else if let Err(refused) = assigned {
                assert_eq!(refused.code(), Code::FailedPrecondition, "round {round}: {refused:?}");
            }
            asked.assignment_id = fresh_id();
            let found = yard.check(asked.clone()).await.unwrap().findings;
            assert!(names(&found).contains(&"SAFETY_STOP"), "round {round}: {found:?}");
            yard.assign(asked).await.expect_err("the stop was answered");
            lift(&mut yard).await;
        }
        println!("{sent} of {ROUNDS} came before the stop");
        assert!(0 < sent && sent < ROUNDS, "{sent} of {ROUNDS} came first: it was no race");
    })
    .await;
}
