//! Streams with something wrong in them: what is wrong is refused alone, and what waits at half-close is answered.

use std::time::{Duration, Instant};

use prost::Message as _;
use safelane::rpc::pb;
use safelane::rpc::pb::entry::Action;
use safelane::rpc::pb::funding_service_client::FundingServiceClient;
use safelane::rpc::pb::post_entries_response::Outcome;
use sqlx::AssertSqlSafe;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

use crate::evidence::clerk::Clerk;
use crate::evidence::finding::Verdict;
use crate::evidence::history::{Answer, History};
use crate::evidence::link::lazily;
use crate::evidence::reading::examine;
use crate::evidence::rig::{Rig, let_go};
use crate::evidence::wire::{PATH, RawCodec};

/// Entries that wait together.
const TOGETHER: usize = 60;
/// The places of the entries that are to be refused: by the database itself, and by the rules.
const POISONED: usize = 20;
const INVALID: usize = 40;
/// Callers beside the stream.
const CALLERS: usize = 12;
/// What arrives within this time is booked together; what comes later is right as well, and shows less.
const GATHERED_MICROS: u64 = 400_000;
const PATIENCE: Duration = Duration::from_secs(30);

type Answers = Streaming<pb::PostEntriesResponse>;

/// The database itself refuses every entry on country C. It fails the whole transaction, and must fail only its
/// own entries: those around them in the stream, and calls beside it, are booked.
pub(crate) async fn one_bad_entry(rig: &mut Rig) -> Verdict {
    poison(rig).await;
    let service = rig.service().await;
    let (history, door) = (History::default(), lazily(service.address));
    let held = rig.hold_head().await;
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let mut clerk = Clerk::new(&rig.desk, rig.chance.fork(), &history, std::slice::from_ref(&door));
        let entry = expense(rig, "B", 5);
        callers.spawn(async move {
            clerk.settle(&entry).await;
        });
    }
    let entries: Vec<pb::Entry> = (0..TOGETHER)
        .map(|place| match place {
            POISONED => expense(rig, "C", 5),
            INVALID => expense(rig, "B", 0),
            _ => expense(rig, "B", 5),
        })
        .collect();
    let invoked = Instant::now();
    let (streamed, funding) = (entries.clone(), FundingServiceClient::new(door.clone()));
    let exchanged = tokio::spawn(async move { exchange(funding, streamed).await });
    rig.chance.pause(GATHERED_MICROS).await;
    let_go(held).await;
    callers.join_all().await;
    let answers =
        exchanged.await.expect("no panic").map_err(|status| format!("the stream fails: {status:?}"))?;
    if answers.len() != TOGETHER {
        history.complain(format!("{} answers to {TOGETHER} entries", answers.len()));
    }
    for (place, (entry, answer)) in entries.into_iter().zip(answers).enumerate() {
        let right = match (place, &answer) {
            (POISONED, Answer::Fault(_)) => true,
            (INVALID, Answer::Refused(refused)) => refused.reason == "FIELD_INVALID",
            (_, Answer::Accepted(_)) => place != POISONED && place != INVALID,
            _ => false,
        };
        if !right {
            history.complain(format!("entry {place} of the stream was {}", answer.told()));
        }
        // A fault is a finding everywhere else.
        if place != POISONED {
            history.record(entry, invoked, answer);
        }
    }
    examine(rig, &history, &[door]).await
}

/// Makes the database refuse what touches country C.
async fn poison(rig: &Rig) {
    let leaf = rig.desk.node("C");
    let sql = format!(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$BEGIN RAISE EXCEPTION 'poisoned'; END$$;
         CREATE TRIGGER poison BEFORE UPDATE ON allocations FOR EACH ROW
            WHEN (NEW.allocation_id = '{leaf}' AND NEW.expended <> OLD.expended) EXECUTE FUNCTION refuse()"
    );
    let mut connection = rig.world.database.connect().await;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.expect("the trigger is made");
    let_go(connection).await;
}

/// Entries wait for the program's head when the client half-closes: each is still booked and answered.
pub(crate) async fn half_close(rig: &mut Rig) -> Verdict {
    let service = rig.service().await;
    let (history, door) = (History::default(), lazily(service.address));
    let held = rig.hold_head().await;
    let mut clerk = Clerk::new(&rig.desk, rig.chance.fork(), &history, std::slice::from_ref(&door));
    let entries: Vec<pb::Entry> = (0..10 * TOGETHER).map(|_| clerk.draw()).collect();
    let streaming = tokio::spawn(async move {
        clerk.stream(&entries).await;
    });
    rig.chance.pause(GATHERED_MICROS).await;
    let_go(held).await;
    streaming.await.expect("no panic");
    let (accepted, refused, open) = history.tally();
    println!("half-closed: accepted, refused, open: {:?}", (accepted, refused, open));
    if open != 0 {
        history.complain(format!("{open} entries that waited at half-close have no answer"));
    }
    examine(rig, &history, &[door]).await
}

/// A message that is none ends its stream, after the answers to what came before. Another stream of the same
/// connection goes on.
pub(crate) async fn malformed_message(rig: &mut Rig) -> Verdict {
    let service = rig.service().await;
    let (history, door) = (History::default(), lazily(service.address));
    let (good, receiver) = mpsc::channel(4);
    let mut funding = FundingServiceClient::new(door.clone());
    let before = expense(rig, "B", 1);
    send(&good, &before).await;
    let goes_on = funding.post_entries(ReceiverStream::new(receiver)).await;
    let mut goes_on = goes_on.map_err(|status| format!("the good stream fails: {status:?}"))?.into_inner();
    accepted(&mut goes_on, &before, &history).await?;
    let (first, never) = (expense(rig, "B", 2), expense(rig, "B", 3));
    let garbage = vec![0x0A, 0x7F, 0x01];
    let message = |entry: &pb::Entry| pb::PostEntriesRequest { entry: Some(entry.clone()) }.encode_to_vec();
    let sent = tokio_stream::iter([message(&first), garbage, message(&never)]);
    let mut grpc = tonic::client::Grpc::new(door.clone());
    grpc.ready().await.map_err(|error| error.to_string())?;
    let path = http::uri::PathAndQuery::from_static(PATH);
    let ends = grpc.streaming(tonic::Request::new(sent), path, RawCodec).await;
    let mut ends = ends.map_err(|status| format!("the bad stream does not open: {status:?}"))?.into_inner();
    accepted(&mut ends, &first, &history).await?;
    match tokio::time::timeout(PATIENCE, ends.message()).await {
        Ok(Err(status)) if status.code() == Code::InvalidArgument => {}
        other => history.complain(format!("a malformed message was told {other:?}")),
    }
    let after = expense(rig, "B", 4);
    send(&good, &after).await;
    accepted(&mut goes_on, &after, &history).await?;
    examine(rig, &history, &[door]).await
}

async fn send(to: &mpsc::Sender<pb::PostEntriesRequest>, entry: &pb::Entry) {
    to.send(pb::PostEntriesRequest { entry: Some(entry.clone()) }).await.expect("the stream is open");
}

/// Takes the next answer of a stream, which accepts an entry.
async fn accepted(answers: &mut Answers, entry: &pb::Entry, history: &History) -> Verdict {
    let invoked = Instant::now();
    let told = tokio::time::timeout(PATIENCE, answers.message()).await;
    match told {
        Ok(Ok(Some(pb::PostEntriesResponse { outcome: Some(Outcome::Accepted(posted)), entry_id })))
            if entry_id == entry.entry_id =>
        {
            let outcome = Some(Outcome::Accepted(posted));
            history.record(entry.clone(), invoked, Answer::of_streamed(outcome));
            Ok(())
        }
        other => Err(format!("entry {} was told {other:?}", entry.entry_id)),
    }
}

/// Sends entries through one stream and takes every answer.
async fn exchange(
    mut funding: FundingServiceClient<Channel>,
    entries: Vec<pb::Entry>,
) -> Result<Vec<Answer>, Status> {
    let sent: Vec<_> =
        entries.into_iter().map(|entry| pb::PostEntriesRequest { entry: Some(entry) }).collect();
    let mut told = funding.post_entries(tokio_stream::iter(sent)).await?.into_inner();
    let mut answers = Vec::new();
    while let Some(answer) = told.message().await? {
        answers.push(Answer::of_streamed(answer.outcome));
    }
    Ok(answers)
}

fn expense(rig: &mut Rig, leaf: &str, minor_units: i64) -> pb::Entry {
    let entry_id = rig.chance.id();
    pb::Entry { entry_id, ..rig.desk.entry(Action::Expend(rig.desk.expend(leaf, minor_units))) }
}
