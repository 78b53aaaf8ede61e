//! More calls than a service may hold: it says so at once, and it works again when they are gone.

use std::time::{Duration, Instant};

use safelane::app::writer::QUEUE_ENTRIES_MAX;
use safelane::rpc::pb;
use safelane::rpc::pb::entry::Action;
use safelane::rpc::pb::funding_service_client::FundingServiceClient;
use safelane::seeded::Bug;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::evidence::clerk::Clerk;
use crate::evidence::finding::Verdict;
use crate::evidence::history::{Answer, History};
use crate::evidence::link::lazily;
use crate::evidence::reading::examine;
use crate::evidence::rig::{Rig, let_go};

/// Calls, over connections that each carry a hundred at a time. More than the queue takes.
const CALLS: usize = QUEUE_ENTRIES_MAX + 800;
const CALLS_A_CONNECTION: usize = 100;
/// A refusal costs no work, so it comes at once. A call beside it that is refused by a queue of thousands must
/// not wait for it; this is slack for a busy machine.
const QUICK: Duration = Duration::from_secs(5);
/// The service should work again within a second of the load's end. A debug build that shares two cores with
/// other tests gets some more; the run prints what it took.
const RECOVERED_WITHIN: Duration = Duration::from_secs(5);

/// How long it may take until the first call is refused. Nothing else can happen meanwhile: the program's head is
/// held. Far more than a debug build on a busy machine needs to take the calls in; a run that is to notice that
/// no call is ever refused need not wait as long.
pub(crate) fn patience(bug: Option<Bug>) -> Duration {
    Duration::from_secs(if bug.is_some() { 5 } else { 60 })
}

/// Sends calls while nothing can proceed, until some are refused; then lets go and posts.
pub(crate) async fn send_too_much(rig: &mut Rig, patience: Duration) -> Verdict {
    let service = rig.service().await;
    let (history, door) = (History::default(), lazily(service.address));
    let mut clerk = Clerk::new(&rig.desk, rig.chance.fork(), &history, std::slice::from_ref(&door));
    clerk.settle(&draw(rig)).await;
    let held = rig.hold_head().await;
    let (refused, mut told) = mpsc::unbounded_channel();
    let mut calls = JoinSet::new();
    for _ in 0..CALLS.div_ceil(CALLS_A_CONNECTION) {
        let funding = FundingServiceClient::new(lazily(service.address));
        for _ in 0..CALLS_A_CONNECTION {
            calls.spawn(call(funding.clone(), draw(rig), history.clone(), refused.clone()));
        }
    }
    let first = tokio::time::timeout(patience, told.recv()).await;
    let Ok(Some(first)) = first else {
        calls.shutdown().await;
        let_go(held).await;
        return Err(format!("{CALLS} calls wait and none was refused in {patience:?}"));
    };
    check_refusal(&first, &history);
    // The queue is full now, so one more call hears so at once.
    let asked = Instant::now();
    match clerk.attempt(&draw(rig)).await {
        Answer::Unknown(Code::Unavailable, reason) if reason == "OVERLOADED" => {}
        other => history.complain(format!("a call to a full queue was {}", other.told())),
    }
    if QUICK < asked.elapsed() {
        history.complain(format!("a call to a full queue was refused after {:?}", asked.elapsed()));
    }
    calls.shutdown().await;
    let_go(held).await;
    recover(rig, &mut clerk).await?;
    examine(rig, &history, &[door]).await
}

/// Posts until an entry is accepted.
async fn recover(rig: &mut Rig, clerk: &mut Clerk) -> Verdict {
    let (start, entry) = (Instant::now(), draw(rig));
    while start.elapsed() < RECOVERED_WITHIN {
        if let Answer::Accepted(_) = clerk.attempt(&entry).await {
            println!("works again {:?} after the load", start.elapsed());
            return Ok(());
        }
        rig.chance.pause(20_000).await;
    }
    Err(format!("nothing is accepted {RECOVERED_WITHIN:?} after the load"))
}

/// Small enough that nothing is refused for lack of money.
fn draw(rig: &mut Rig) -> pb::Entry {
    pb::Entry { entry_id: rig.chance.id(), ..rig.desk.entry(Action::Expend(rig.desk.expend("C", 1))) }
}

/// A call; the status goes to whoever waits for the first refusal. A call that is given up leaves no attempt, so
/// it is recorded beforehand as one that nobody knows of.
async fn call(
    mut funding: FundingServiceClient<tonic::transport::Channel>,
    entry: pb::Entry,
    history: History,
    refused: mpsc::UnboundedSender<Status>,
) {
    let invoked = Instant::now();
    history.record(entry.clone(), invoked, Answer::Unknown(Code::Cancelled, "given up".to_owned()));
    let answer = funding.post_entry(pb::PostEntryRequest { entry: Some(entry.clone()) }).await;
    if let Err(status) = &answer {
        // Nobody listens after the first one.
        refused.send(status.clone()).ok();
    }
    history.record(entry, invoked, Answer::of(answer.map(tonic::Response::into_inner)));
}

/// The refusal says what it is and when to come again, in the details and in the trailer.
fn check_refusal(status: &Status, history: &History) {
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.clone()).unwrap_or_default();
    if (status.code(), reason.as_str()) != (Code::Unavailable, "ERROR_REASON_OVERLOADED") {
        history.complain(format!("the first refusal under overload is {status:?}"));
    }
    let wait = details.retry_info().and_then(|info| info.retry_delay).map(|wait| wait.as_millis());
    let pushback = status.metadata().get("grpc-retry-pushback-ms");
    let pushback = pushback.and_then(|text| text.to_str().ok()).and_then(|text| text.parse().ok());
    if wait.is_none() || wait != pushback {
        history.complain(format!("RetryInfo says {wait:?} ms, and the trailer {pushback:?}"));
    }
}
