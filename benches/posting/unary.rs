//! `PostEntry`: one call for each entry.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use tokio::task::JoinSet;

use crate::Failure;
use crate::answer;
use crate::entry::{Entries, Sent};
use crate::schedule::{Pacer, Schedule};
use crate::tally::Shared;
use crate::wire::Line;

const METHOD: &str = "PostEntry";
/// Calls at once on a connection: what the service allows.
const CALLS_EACH: usize = 100;
/// Connections of an open loop, whose calls at once nobody bounds.
const OPEN_LINES: usize = 4;

/// All callers draw from one source, so that ids grow.
type Source = Arc<Mutex<Entries>>;

/// `in_flight` callers, each of which sends its next entry when the last one is answered.
pub(crate) async fn closed(
    address: &str,
    entries: Entries,
    in_flight: usize,
    tally: &Shared,
) -> Result<(), Failure> {
    let lines = connect(address, in_flight.div_ceil(CALLS_EACH)).await?;
    let (source, until) = (Arc::new(Mutex::new(entries)), tally.lock().window.until);
    let mut callers = JoinSet::new();
    for line in lines.iter().cycle().take(in_flight) {
        let (mut line, source, tally) = (line.clone(), Arc::clone(&source), tally.clone());
        callers.spawn(async move {
            while Instant::now() < until {
                let (sent, framed) = draw(&source, Instant::now());
                post(&mut line, sent, framed, &tally).await?;
            }
            Ok(())
        });
    }
    all(callers).await
}

/// Calls at their scheduled times, however many are still out.
pub(crate) async fn open(
    address: &str,
    entries: Entries,
    schedule: Schedule,
    tally: &Shared,
) -> Result<(), Failure> {
    let lines = connect(address, OPEN_LINES).await?;
    let (source, until) = (Arc::new(Mutex::new(entries)), tally.lock().window.until);
    let (pacer, mut calls) = (Pacer::start(), JoinSet::new());
    for (place, line) in (0..schedule.due(until)).zip(lines.iter().cycle()) {
        while schedule.due(Instant::now()) <= place {
            pacer.tick().await;
        }
        while let Some(done) = calls.try_join_next() {
            done??;
        }
        let (mut line, tally) = (line.clone(), tally.clone());
        let (mut sent, framed) = draw(&source, Instant::now());
        // From here its latency counts, not from when we got round to it.
        sent.at = schedule.at(place);
        calls.spawn(async move { post(&mut line, sent, framed, &tally).await });
    }
    all(calls).await
}

async fn connect(address: &str, count: usize) -> Result<Vec<Line>, Failure> {
    let mut lines = Vec::new();
    for _ in 0..count {
        lines.push(Line::connect(address, METHOD).await?);
    }
    Ok(lines)
}

fn draw(source: &Source, now: Instant) -> (Sent, Bytes) {
    let mut entries = source.lock().unwrap_or_else(PoisonError::into_inner);
    let mut framed = entries.room(1);
    let sent = entries.write(&mut framed, now);
    (sent, framed.freeze())
}

async fn post(line: &mut Line, sent: Sent, framed: Bytes, tally: &Shared) -> Result<(), Failure> {
    let message = line.call(framed).await?;
    tally.lock().take(&sent, answer::posted(&message)?, Instant::now())
}

async fn all(mut callers: JoinSet<Result<(), Failure>>) -> Result<(), Failure> {
    while let Some(done) = callers.join_next().await {
        done??;
    }
    Ok(())
}
