//! `PostEntries`: one answer for each entry, in order, and the same answer that `PostEntry` gives.

use prost::Message as _;
use safelane::rpc::pb;
use safelane::rpc::pb::entry::Action;
use safelane::rpc::pb::post_entries_response::Outcome;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use crate::desk::{Desk, bad_fields, reason, usd};
use crate::harness::{fresh_id, in_world};

type Answers = Streaming<pb::PostEntriesResponse>;

/// Opens a stream that goes on until the sender is dropped.
async fn open(desk: &Desk) -> (mpsc::Sender<pb::PostEntriesRequest>, Answers) {
    let (sender, receiver) = mpsc::channel(16);
    let answers = desk.funding.clone().post_entries(ReceiverStream::new(receiver)).await.unwrap();
    (sender, answers.into_inner())
}

/// Sends entries, half-closes and takes every answer.
async fn exchange(desk: &Desk, entries: &[pb::Entry]) -> Vec<pb::PostEntriesResponse> {
    let sent: Vec<_> =
        entries.iter().map(|entry| pb::PostEntriesRequest { entry: Some(entry.clone()) }).collect();
    let answers = desk.funding.clone().post_entries(tokio_stream::iter(sent)).await.unwrap();
    rest(answers.into_inner()).await
}

async fn rest(mut answers: Answers) -> Vec<pb::PostEntriesResponse> {
    let mut all = Vec::new();
    while let Some(answer) = answers.message().await.unwrap() {
        all.push(answer);
    }
    all
}

fn accepted(answer: &pb::PostEntriesResponse) -> pb::PostEntryResponse {
    match answer.outcome.as_ref().expect("an outcome") {
        Outcome::Accepted(accepted) => accepted.read().expect("an entry"),
        Outcome::Refused(refused) => panic!("refused: {refused:?}"),
    }
}

/// A refusal in the stream as the status that it stands for.
fn refused(answer: &pb::PostEntriesResponse) -> Status {
    match answer.outcome.as_ref().expect("an outcome") {
        Outcome::Accepted(accepted) => panic!("accepted: {accepted:?}"),
        Outcome::Refused(refused) => {
            let details = refused.encode_to_vec().into();
            Status::with_details(Code::from(refused.code), refused.message.clone(), details)
        }
    }
}

#[tokio::test]
async fn a_refused_entry_is_answered_in_its_place_and_the_stream_goes_on() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        desk.fund().await;
        let (held, promised) = (fresh_id(), fresh_id());
        let from_held = pb::Obligate { reservation_id: held.clone(), ..desk.obligate(&promised, "T1", 80) };
        let spent = desk.entry(Action::Expend(desk.pay(pb::ExpendSource::Obligated, &promised, 30)));
        let entries = [
            desk.entry(desk.reserve(&held, "T1", 100)),
            desk.entry(desk.disburse(&promised, 1)),
            desk.entry(Action::Obligate(from_held)),
            desk.entry(desk.release(&held, 21)),
            desk.entry(desk.release(&held, 20)),
            pb::Entry { entry_id: "not an id".to_owned(), ..desk.entry(desk.authorize(0)) },
            spent.clone(),
            desk.entry(desk.reverse(&spent.entry_id)),
            desk.entry(desk.reverse(&spent.entry_id)),
            desk.entry(desk.deobligate(&promised, 80)),
        ];
        let answers = exchange(&desk, &entries).await;
        assert_eq!(answers.len(), entries.len());
        for (answer, entry) in answers.iter().zip(&entries) {
            assert_eq!(answer.entry_id, entry.entry_id);
        }
        for (place, code, name) in [
            (1, Code::NotFound, "NOT_FOUND"),
            (3, Code::FailedPrecondition, "INSUFFICIENT_RESERVED"),
            (5, Code::InvalidArgument, "FIELD_INVALID"),
            (8, Code::FailedPrecondition, "ALREADY_REVERSED"),
        ] {
            let status = refused(&answers[place]);
            assert_eq!((status.code(), reason(&status).0.as_str()), (code, name), "answer {place}");
        }
        let first = accepted(&answers[0]).revision;
        let revisions = [2, 4, 6, 7, 9].map(|place| accepted(&answers[place]).revision - first);
        assert_eq!(revisions, [1, 2, 3, 4, 5], "revisions are in the order of the requests");
        assert_eq!(desk.buckets("T1").await.available, 40_000_000);
    })
    .await;
}

#[tokio::test]
async fn a_refusal_in_the_stream_is_the_status_of_the_unary_call() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        desk.fund().await;
        let taken = desk.entry(desk.allocate("T1", 1));
        desk.post_entry(taken.clone()).await.unwrap();
        let entries = [
            desk.entry(desk.allocate("T1", 2_000_000_000)),
            desk.entry(desk.release(&fresh_id(), 1)),
            desk.entry(desk.deallocate("P", 1)),
            pb::Entry { note: "another".to_owned(), ..taken },
            pb::Entry { program_id: fresh_id(), ..desk.entry(desk.authorize(1)) },
            pb::Entry { effective_on: None, note: "\u{0}".to_owned(), ..desk.entry(desk.authorize(-1)) },
            pb::Entry::default(),
        ];
        let answers = exchange(&desk, &entries).await;
        for (answer, entry) in answers.iter().zip(entries) {
            let unary = desk.post_entry(entry).await.unwrap_err();
            let streamed = refused(answer);
            assert_eq!((streamed.code(), streamed.message()), (unary.code(), unary.message()));
            assert_eq!(reason(&streamed), reason(&unary));
            assert_eq!(bad_fields(&streamed), bad_fields(&unary));
        }
        let (sender, answers) = open(&desk).await;
        sender.send(pb::PostEntriesRequest { entry: None }).await.unwrap();
        drop(sender);
        let answers = rest(answers).await;
        assert_eq!(bad_fields(&refused(&answers[0])), ["entry"]);
    })
    .await;
}

#[tokio::test]
async fn an_entry_is_answered_at_once_and_half_close_answers_the_rest() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let (sender, mut answers) = open(&desk).await;
        let request = || pb::PostEntriesRequest { entry: Some(desk.entry(desk.authorize(1))) };
        for _ in 0..3 {
            sender.send(request()).await.unwrap();
            accepted(&answers.message().await.unwrap().expect("an answer while the stream is open"));
        }
        for _ in 0..5 {
            sender.send(request()).await.unwrap();
        }
        drop(sender);
        assert_eq!(rest(answers).await.iter().map(accepted).count(), 5);
        assert_eq!(desk.state().await.1.authorization, 8);
        assert!(exchange(&desk, &[]).await.is_empty(), "an empty stream ends well");
    })
    .await;
}

#[tokio::test]
async fn two_thousand_entries_in_flight_are_each_booked_once_and_in_order() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        desk.fund().await;
        let mut entries: Vec<pb::Entry> =
            (0..2_000).map(|_| desk.entry(Action::Expend(desk.expend("T1", 1)))).collect();
        // Some stand in the stream twice, near and far.
        entries.insert(1, entries[0].clone());
        entries.push(entries[700].clone());
        let answers = exchange(&desk, &entries).await;
        assert_eq!(answers.len(), 2_002);
        assert_eq!(accepted(&answers[0]), accepted(&answers[1]));
        assert_eq!(accepted(&answers[700]), accepted(&answers[2_001]));
        let revisions: Vec<i64> = answers[1..2_001].iter().map(|answer| accepted(answer).revision).collect();
        assert!(revisions.windows(2).all(|pair| pair[0] + 1 == pair[1]));
        assert_eq!(desk.buckets("T1").await.expended, 2_000);
        let again = exchange(&desk, &entries).await;
        assert!(again == answers, "the stream sent again is answered as before");
        assert_eq!(desk.buckets("T1").await.expended, 2_000);
        let unary = desk.post_entry(entries[42].clone()).await.unwrap();
        assert_eq!(unary, accepted(&answers[42]), "a unary retry gets the answer of the stream");
    })
    .await;
}

#[tokio::test]
async fn other_content_under_an_id_of_the_same_stream_is_refused() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let first = desk.entry(desk.authorize(5));
        let other = pb::Authorize { period_id: desk.period_id.clone(), amount: usd(6) };
        let other = pb::Entry { action: Some(Action::Authorize(other)), ..first.clone() };
        let answers = exchange(&desk, &[first.clone(), other, first]).await;
        let (name, metadata) = reason(&refused(&answers[1]));
        assert_eq!((&*name, &*metadata["differs"]), ("ID_TAKEN", "entry.authorize.amount.minor_units"));
        assert_eq!(accepted(&answers[0]), accepted(&answers[2]));
        assert_eq!(desk.state().await.1.authorization, 5);
    })
    .await;
}

#[tokio::test]
async fn a_client_that_goes_away_loses_nothing_that_was_acknowledged() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        desk.fund().await;
        let entries: Vec<pb::Entry> =
            (0..500).map(|_| desk.entry(Action::Expend(desk.expend("T1", 1)))).collect();
        let (sender, mut answers) = open(&desk).await;
        let sent = entries.clone();
        let sending = tokio::spawn(async move {
            for entry in sent {
                if sender.send(pb::PostEntriesRequest { entry: Some(entry) }).await.is_err() {
                    return;
                }
            }
        });
        let mut acknowledged = Vec::new();
        for _ in 0..100 {
            acknowledged.push(accepted(&answers.message().await.unwrap().unwrap()));
        }
        sending.abort();
        drop(answers);
        for (posted, entry) in acknowledged.iter().zip(&entries) {
            let request = pb::GetEntryRequest {
                program_id: desk.program_id.clone(),
                entry_id: entry.entry_id.clone(),
                min_revision: posted.revision,
            };
            let found = desk.funding.clone().get_entry(request).await.unwrap().into_inner();
            let stored = found.posted.unwrap().stored;
            assert_eq!(&pb::PostEntryResponse::decode(stored).unwrap(), posted);
        }
        let again = exchange(&desk, &entries).await;
        assert!(again.iter().zip(&acknowledged).all(|(answer, first)| &accepted(answer) == first));
        assert_eq!(again.iter().map(accepted).count(), 500);
        assert_eq!(desk.buckets("T1").await.expended, 500);
    })
    .await;
}
