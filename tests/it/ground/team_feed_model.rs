//! A random world of operators and teams: what a tablet holds after any changes, cuts and reconnects is what a fresh
//! snapshot shows, and that is what the test itself knows that the team sees.

use std::collections::{BTreeMap, BTreeSet};

use safelane::domain::kind::Kind;
use safelane::rpc::pb::StreamTeamFeedResponse;
use safelane::rpc::pb::stream_team_feed_response::Message;
use tonic::Streaming;

use super::feed_rig::{QUIET_MAX, Rig, Subject, Tablet, about, next, open, with_teams};
use crate::evidence::chance::Chance;

/// Changes that are made.
const CHANGES: usize = 200;
/// The same every time; change it to try another history.
const SEED: u64 = 4;

/// What the test knows.
#[derive(Default)]
struct Known {
    sites: Vec<String>,
    /// Operator (by index) and sites of each task.
    tasks: BTreeMap<String, (usize, Vec<String>)>,
    /// Team and task of each standing assignment.
    standing: BTreeMap<String, (String, String)>,
    /// Target of each stop in force: its word and id.
    stops: BTreeMap<String, (&'static str, String)>,
    /// The stop of each operator that tells how far a feed is.
    marks: Vec<String>,
    /// What each team ever saw.
    ever: BTreeMap<String, BTreeSet<String>>,
}

/// What a team sees, by kind.
type Seen = [BTreeSet<String>; 4];

impl Known {
    fn sees(&self, operator: &str, team: &str) -> Seen {
        let own = self.standing.iter().filter(|(_, (of, _))| of == team);
        let assignments = own.clone().map(|(id, _)| id.clone()).collect();
        let tasks: BTreeSet<String> = own.map(|(_, (_, task))| task.clone()).collect();
        let sites: BTreeSet<String> = tasks.iter().flat_map(|task| self.tasks[task].1.clone()).collect();
        let on_it = |target: &(&str, String)| match target.0 {
            "TASK" => tasks.contains(&target.1),
            "SITE" => sites.contains(&target.1),
            _ => target.1 == operator,
        };
        let stops = self.stops.iter().filter(|(_, target)| on_it(target)).map(|(id, _)| id.clone()).collect();
        [stops, assignments, tasks, sites]
    }

    /// The same, and keeps it among what the team ever saw.
    fn remember(&mut self, operator: &str, team: &str) -> Seen {
        let seen = self.sees(operator, team);
        self.ever.entry(team.to_owned()).or_default().extend(seen.iter().flatten().cloned());
        seen
    }
}

/// A team whose tablet is online.
struct Online {
    operator: usize,
    team: String,
    tablet: Tablet,
    feed: Streaming<StreamTeamFeedResponse>,
    /// What the tablet was at some moments, also in the middle of batches.
    before: Vec<Tablet>,
}

#[tokio::test]
async fn what_a_tablet_holds_is_what_a_fresh_snapshot_shows() {
    with_teams(&[2, 2, 2], async |rig| {
        let (mut chance, mut known) = (Chance::new(SEED), Known::default());
        for _ in 0..8 {
            known.sites.push(rig.site().await);
        }
        let mut online = Vec::new();
        for (index, (operator, teams)) in rig.operators.iter().enumerate() {
            known.marks.push(String::new());
            mark(rig, &mut known, index).await;
            for team in teams {
                known.remember(operator, team);
                let feed = open(rig.world.teams(), team, "").await.unwrap();
                let (tablet, team) = (Tablet::default(), team.clone());
                online.push(Online { operator: index, team, tablet, feed, before: Vec::new() });
            }
        }
        for _ in 0..CHANGES {
            let touched = change(rig, &mut known, &mut chance).await;
            for index in touched {
                mark(rig, &mut known, index).await;
                for one in online.iter_mut().filter(|one| one.operator == index) {
                    check(rig, &mut known, &mut chance, one).await;
                }
            }
        }
        assert!(40 < known.ever.values().map(BTreeSet::len).min().unwrap(), "the world was lively");
    })
    .await;
}

/// Brings a tablet up to date, now and then from an older state, and compares.
async fn check(rig: &Rig<'_>, known: &mut Known, chance: &mut Chance, one: &mut Online) {
    let operator = &rig.operators[one.operator].0;
    let mark = known.marks[one.operator].clone();
    let seen = known.remember(operator, &one.team);
    let ever = &known.ever[&one.team];
    let mut complete = false;
    if !one.before.is_empty() && chance.one_in(4) {
        one.tablet = chance.pick(&one.before).clone();
        one.feed = open(rig.world.teams(), &one.team, &one.tablet.cursor).await.unwrap();
        if chance.one_in(2) {
            // Cut once more, soon.
            let messages = usize::try_from(chance.below(5)).unwrap();
            complete = catches_up(&mut one.feed, &mut one.tablet, &mark, ever, messages).await;
            one.feed = open(rig.world.teams(), &one.team, &one.tablet.cursor).await.unwrap();
        }
    }
    while !complete {
        complete = catches_up(&mut one.feed, &mut one.tablet, &mark, ever, 1).await;
        if !complete && chance.one_in(8) {
            one.before.push(one.tablet.clone());
        }
    }
    let mut fresh = Tablet::default();
    let mut feed = open(rig.world.teams(), &one.team, "").await.unwrap();
    catches_up(&mut feed, &mut fresh, &mark, ever, usize::MAX).await;
    assert_eq!(one.tablet.held, fresh.held);
    let held = &fresh.held;
    let ids: Seen = [
        held.stops.keys().cloned().collect(),
        held.assignments.keys().cloned().collect(),
        held.tasks.keys().cloned().collect(),
        held.sites.keys().cloned().collect(),
    ];
    assert_eq!(ids, seen);
    if chance.one_in(4) {
        one.before.push(one.tablet.clone());
    }
}

/// Reads until the batch that holds the mark is complete, or so many messages. True when it is.
async fn catches_up(
    feed: &mut Streaming<StreamTeamFeedResponse>,
    tablet: &mut Tablet,
    mark: &str,
    ever: &BTreeSet<String>,
    messages: usize,
) -> bool {
    for _ in 0..messages {
        let sent = next(feed).await;
        tablet.quiet = if matches!(sent.message, Some(Message::Progress(_))) { tablet.quiet + 1 } else { 0 };
        assert!(tablet.quiet < QUIET_MAX, "the mark does not come");
        let message = sent.message.as_ref().unwrap();
        let (kind, id) = about(message);
        let plain = matches!(kind, "begin" | "end" | "progress" | "lifted");
        assert!(plain || ever.contains(&id), "{kind} {id} was never this team's");
        let moved = sent.cursor != tablet.cursor && !matches!(message, Message::Begin(_));
        tablet.take(sent);
        if moved && tablet.held.stops.contains_key(mark) {
            return true;
        }
    }
    false
}

/// Replaces the stop of an operator that tells how far its feeds are, and wakes them.
async fn mark(rig: &Rig<'_>, known: &mut Known, index: usize) {
    let operator = &rig.operators[index].0;
    let (stop, statement) = rig.stopping("OPERATOR", operator);
    let (mut statements, mut subjects) = (vec![statement], vec![(stop.clone(), Kind::SafetyStop)]);
    let old = std::mem::replace(&mut known.marks[index], stop.clone());
    if !old.is_empty() {
        statements.push(Rig::lifting(&old));
        subjects.push((old.clone(), Kind::SafetyStop));
        known.stops.remove(&old);
    }
    known.stops.insert(stop, ("OPERATOR", operator.clone()));
    rig.write(operator, statements, subjects).await;
    rig.add_team(operator).await;
}

/// Makes one random change and answers the operators whose journals it touched.
async fn change(rig: &Rig<'_>, known: &mut Known, chance: &mut Chance) -> Vec<usize> {
    let index = usize::try_from(chance.below(3)).unwrap();
    let (operator, teams) = &rig.operators[index];
    let own_tasks: Vec<String> =
        known.tasks.iter().filter(|(_, (of, _))| *of == index).map(|(id, _)| id.clone()).collect();
    let everywhere: Vec<usize> = (0..rig.operators.len()).collect();
    match chance.below(12) {
        _ if own_tasks.len() < 2 => add_task(rig, known, chance, index).await,
        0 => add_task(rig, known, chance, index).await,
        1..=4 => {
            let (team, task) = (chance.pick(teams).clone(), chance.pick(&own_tasks).clone());
            let assignment = rig.assign(operator, &team, &task).await;
            known.standing.insert(assignment, (team, task));
        }
        5..=7 => return end_some(rig, known, chance, index).await,
        8 => {
            let name = format!("Place {}", chance.below(1_000_000));
            let site = chance.pick(&known.sites).clone();
            let operators: Vec<&str> = rig.operators.iter().map(|(id, _)| id.as_str()).collect();
            rig.rename(&operators, &site, &name).await;
            return everywhere;
        }
        9 => {
            let task = chance.pick(&own_tasks).clone();
            rig.instruct(operator, &task, &format!("Go {}", chance.below(1_000_000))).await;
        }
        10 => {
            let task = chance.pick(&own_tasks).clone();
            let site = chance.pick(&known.sites).clone();
            let (word, id) = *chance.pick(&[("TASK", &task), ("SITE", &site), ("OPERATOR", operator)]);
            let touched = if word == "SITE" { everywhere } else { vec![index] };
            let operators: Vec<&str> = touched.iter().map(|index| rig.operators[*index].0.as_str()).collect();
            let stop = rig.stop(&operators, word, id).await;
            known.stops.insert(stop, (word, id.clone()));
            return touched;
        }
        _ => {
            let lasting: Vec<String> =
                known.stops.keys().filter(|id| !known.marks.contains(id)).cloned().collect();
            if !lasting.is_empty() {
                let stop = chance.pick(&lasting).clone();
                let operators: Vec<&str> = rig.operators.iter().map(|(id, _)| id.as_str()).collect();
                rig.lift(&operators, &stop).await;
                known.stops.remove(&stop);
                return everywhere;
            }
        }
    }
    vec![index]
}

async fn add_task(rig: &Rig<'_>, known: &mut Known, chance: &mut Chance, index: usize) {
    let mut sites = known.sites.clone();
    chance.shuffle(&mut sites);
    sites.truncate(usize::try_from(chance.up_to(3)).unwrap());
    let task = rig.task(&rig.operators[index].0, &sites).await;
    known.tasks.insert(task, (index, sites));
}

/// Ends one or two assignments in one revision, and now and then makes one that is cancelled at once.
async fn end_some(rig: &Rig<'_>, known: &mut Known, chance: &mut Chance, index: usize) -> Vec<usize> {
    let (operator, teams) = &rig.operators[index];
    let mut standing: Vec<String> = known
        .standing
        .iter()
        .filter(|(_, (team, _))| teams.contains(team))
        .map(|(id, _)| id.clone())
        .collect();
    chance.shuffle(&mut standing);
    standing.truncate(usize::try_from(chance.up_to(2)).unwrap());
    let state = *chance.pick(&["ENDED", "CANCELLED"]);
    let statements = standing
        .iter()
        .map(|id| format!("UPDATE assignments SET state = '{state}' WHERE assignment_id = '{id}'"));
    let subjects: Vec<Subject> = standing.iter().map(|id| (id.clone(), Kind::Assignment)).collect();
    if !standing.is_empty() {
        rig.write(operator, statements.collect(), subjects).await;
    }
    for id in standing {
        known.standing.remove(&id);
    }
    vec![index]
}
