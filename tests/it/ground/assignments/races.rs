//! Callers who want the same team, person or asset at the same moment: exactly one of each conflicting set wins.

use std::time::Instant;

use jiff::ToSpan as _;
use jiff::civil::{Date, date};
use safelane::rpc::pb;
use safelane::rpc::pb::team_service_client::TeamServiceClient;
use safelane::seeded::Bug;
use tokio::task::JoinSet;
use tonic::Code;
use tonic::transport::Channel;

use super::yard::Yard;
use crate::binary::{Service, safelane};
use crate::desk::reason;
use crate::evidence::chance::Chance;
use crate::harness::{World, connect, in_world};

/// How often callers meet.
const TRIALS: u32 = 1_000;
const SEED: u64 = 1_998;
/// Each trial has days of its own, so that it does not depend on the ones before.
const WINDOW_DAYS: i64 = 12;
/// What the database says when it is the one that found a conflict.
const AT_THE_SAME_MOMENT: &str = "at the same moment";

/// What the callers of a trial share.
#[derive(Debug, Clone, Copy)]
enum Shared {
    Team,
    Person,
    Asset,
}

/// Teams that share nothing, a driver, or a detector.
struct Crews {
    apart: Vec<String>,
    with_one_driver: Vec<String>,
}

/// What came of one call.
struct Outcome {
    days: (Date, Date),
    accepted: bool,
    /// Whether the answer is one that a service without bugs gives.
    in_order: bool,
    by_the_database: bool,
}

impl Outcome {
    fn meets(&self, other: &Self) -> bool {
        self.days.0 <= other.days.1 && other.days.0 <= self.days.1
    }
}

async fn crews(yard: &mut Yard) -> Crews {
    yard.run(
        "UPDATE tasks SET last_day = '2199-12-31';
         UPDATE assets SET valid_until = NULL, shared_tasks_max = 20 WHERE kind = 'AMBULANCE';
         UPDATE assets SET valid_until = '2199-12-31' WHERE kind = 'DETECTOR'"
            .to_owned(),
    )
    .await;
    let medics = yard.new_team("MED-9", "MEDICAL").await;
    let shared = yard.new_member(&medics, "Shared", "OTHER").await;
    let mut crews = Crews { apart: Vec::new(), with_one_driver: Vec::new() };
    for number in 0..8 {
        let team = yard.new_team(&format!("MT-1{number}"), "MANUAL").await;
        yard.new_member(&team, &format!("Driver {number}"), "DRIVER").await;
        yard.accredit("TEAM", &team, "1998-06-14", None).await;
        if number < 4 {
            crews.apart.push(team);
        } else {
            yard.join(&team, &shared, "DRIVER", "1998-06-01", None).await;
            crews.with_one_driver.push(team);
        }
    }
    crews
}

/// The calls of one trial: two to four, on random days of its window.
fn trial(yard: &Yard, crews: &Crews, chance: &mut Chance, number: u32) -> Vec<pb::Assignment> {
    let shared = *chance.pick(&[Shared::Team, Shared::Person, Shared::Asset]);
    let begin = date(2030, 1, 1).saturating_add((i64::from(number) * WINDOW_DAYS).days());
    let callers = usize::try_from(2 + chance.below(3)).unwrap();
    let one = |caller: usize| {
        let mut asked = yard.assignment("06-15", "06-15");
        asked.team_id = match shared {
            Shared::Team => crews.apart[0].clone(),
            Shared::Person => crews.with_one_driver[caller].clone(),
            Shared::Asset => crews.apart[caller].clone(),
        };
        if !matches!(shared, Shared::Asset) {
            asked.asset_ids.clear();
        }
        let first = i64::try_from(chance.below(9)).unwrap();
        let length = i64::try_from(chance.below(4)).unwrap();
        let day = |offset: i64| {
            let day = begin.saturating_add(offset.days());
            pb::Date { year: day.year().into(), month: day.month().into(), day: day.day().into() }
        };
        (asked.first_day, asked.last_day) = (Some(day(first)), Some(day(first + length)));
        asked
    };
    (0..callers).map(one).collect()
}

fn civil(day: Option<pb::Date>) -> Date {
    let pb::Date { year, month, day } = day.unwrap();
    date(year.try_into().unwrap(), month.try_into().unwrap(), day.try_into().unwrap())
}

async fn call(mut teams: TeamServiceClient<Channel>, asked: pb::Assignment) -> Outcome {
    let days = (civil(asked.first_day), civil(asked.last_day));
    let request = pb::AssignTeamRequest { assignment: Some(asked), ..Default::default() };
    match teams.assign_team(request).await {
        Ok(_) => Outcome { days, accepted: true, in_order: true, by_the_database: false },
        Err(status) => {
            let in_order =
                status.code() == Code::FailedPrecondition && reason(&status).0 == "ASSIGNMENT_REFUSED";
            let by_the_database = status.message().contains(AT_THE_SAME_MOMENT);
            Outcome { days, accepted: false, in_order, by_the_database }
        }
    }
}

async fn meet(doors: &[TeamServiceClient<Channel>], calls: Vec<pb::Assignment>) -> Vec<Outcome> {
    let mut waiting = JoinSet::new();
    for (index, asked) in calls.into_iter().enumerate() {
        waiting.spawn(call(doors[index % doors.len()].clone(), asked));
    }
    waiting.join_all().await
}

/// Nobody and nothing is in two places, in the tables themselves.
async fn expect_no_double_booking(yard: &mut Yard) {
    for (table, what) in
        [("assignments", "team_id"), ("assignment_people", "person_id"), ("assignment_assets", "asset_id")]
    {
        let double = yard
            .count(&format!(
                "(SELECT first_day, lag(last_day) OVER (PARTITION BY {what} ORDER BY first_day) AS before
                    FROM {table}) AS days WHERE first_day <= before"
            ))
            .await;
        assert_eq!(double, 0, "{what} in two places");
    }
}

fn expect_apart(outcomes: &[Outcome], number: u32) {
    let accepted: Vec<&Outcome> = outcomes.iter().filter(|of| of.accepted).collect();
    for (index, one) in accepted.iter().enumerate() {
        for other in &accepted[index + 1..] {
            assert!(!one.meets(other), "trial {number}: two of {:?} were accepted", (one.days, other.days));
        }
    }
}

#[tokio::test]
async fn of_concurrent_assignments_that_conflict_exactly_one_wins() {
    in_world(async |world| {
        println!("seed {SEED}, {TRIALS} trials");
        let (start, mut chance) = (Instant::now(), Chance::new(SEED));
        let mut yard = Yard::open(world).await;
        let crews = crews(&mut yard).await;
        let doors = [TeamServiceClient::new(connect(world.address).await), world.teams()];
        let (mut accepted, mut refused) = (0, 0);
        for number in 0..TRIALS {
            let outcomes = meet(&doors, trial(&yard, &crews, &mut chance, number)).await;
            expect_apart(&outcomes, number);
            for lost in outcomes.iter().filter(|of| !of.accepted) {
                assert!(lost.in_order, "trial {number}: a conflict is told as one");
                let won = outcomes.iter().any(|of| of.accepted && of.meets(lost));
                assert!(won, "trial {number}: {:?} was refused for nothing", lost.days);
            }
            accepted += outcomes.iter().filter(|of| of.accepted).count();
            refused += outcomes.iter().filter(|of| !of.accepted).count();
        }
        expect_no_double_booking(&mut yard).await;
        println!("{accepted} accepted, {refused} refused in {:?}", start.elapsed());
        let least = usize::try_from(TRIALS).unwrap();
        assert!(least / 2 < refused && least < accepted, "{accepted} and {refused}");
    })
    .await;
}

/// Without the lock of the head two callers check at once and both find everything free. The exclusion constraints
/// are then the last word. Calls that do not conflict may fail, since their revisions collide; that is the bug.
#[tokio::test]
async fn without_the_head_lock_the_database_alone_keeps_everyone_in_one_place() {
    let world = World::start(None).await;
    let mut chance = Chance::new(SEED);
    let mut yard = Yard::open(&world).await;
    let crews = crews(&mut yard).await;
    let mut command = safelane(&["serve", "--log", "off"]);
    command.env("DATABASE_URL", world.database.url()).env("SAFELANE_SEEDED_BUG", Bug::ForgetHeadLock.name());
    let service = Service::start(command).await;
    let mut doors = Vec::new();
    for _ in 0..4 {
        doors.push(TeamServiceClient::new(connect(service.address).await));
    }
    let (mut accepted, mut by_the_database) = (0, 0);
    for number in 0..TRIALS {
        let outcomes = meet(&doors, trial(&yard, &crews, &mut chance, number)).await;
        expect_apart(&outcomes, number);
        accepted += outcomes.iter().filter(|of| of.accepted).count();
        by_the_database += outcomes.iter().filter(|of| of.by_the_database).count();
    }
    expect_no_double_booking(&mut yard).await;
    println!("seed {SEED}: {accepted} accepted, {by_the_database} refused by the database");
    assert!(
        0 < by_the_database && usize::try_from(TRIALS).unwrap() <= accepted,
        "the constraints were never asked: {by_the_database}"
    );
    drop(doors);
    drop(service);
    world.finish().await;
}
