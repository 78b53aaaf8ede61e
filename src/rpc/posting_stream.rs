//! `PostEntries`: takes what has arrived, books it together, and answers in order.
//!
//! Flow control bounds memory both ways: a stream is read only while its entries that wait fit the byte
//! budget, and booked only while its answers find room.

use std::sync::Arc;

use prost::Message as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};
use tracing::Instrument as _;

use crate::app::seats::Seat;
use crate::domain::caller::Caller;
use crate::error::{Away, Error};
use crate::rpc::convert::entry_out::posted_entry;
use crate::rpc::funding::FundingRpc;
use crate::rpc::pb;
use crate::rpc::pb::post_entries_response::Outcome;
use crate::rpc::status::{in_band, not_taken_in};

/// The most entries of one stream that are taken together.
const ENTRIES_TOGETHER_MAX: usize = 256;
/// The most bytes of one stream's entries that wait, decoded or being booked. Above the largest message.
const BYTES_WAITING_MAX: u32 = 1024 * 1024;
/// Answers that wait for a slow client before its stream is no longer read.
const ANSWERS_WAITING_MAX: usize = 256;

type Answers = mpsc::Sender<Result<pb::PostEntriesResponse, Status>>;

/// An entry that was read, with its share of the byte budget.
struct Arrived {
    entry: Option<pb::Entry>,
    #[expect(dead_code, reason = "held until the entry is booked")]
    share: OwnedSemaphorePermit,
}

impl FundingRpc {
    /// Answers until the client half-closes, or the server drains. Entries that were read are booked even
    /// when the client is gone: it may have sent them and lost the link.
    pub(super) fn answer_entries(
        &self,
        caller: Caller,
        sent: Streaming<pb::PostEntriesRequest>,
    ) -> Result<ReceiverStream<Result<pb::PostEntriesResponse, Status>>, Error> {
        let place = self.app.take_seat(&caller)?;
        let (answers, receiver) = mpsc::channel(ANSWERS_WAITING_MAX);
        let (reader, arrived) = mpsc::channel(ENTRIES_TOGETHER_MAX);
        let drain = self.app.feed().drain().clone();
        tokio::spawn(async move {
            let reading = read(sent, reader.clone());
            if drain.run_until_cancelled(reading).await.is_none() {
                // Nobody takes it when the stream has ended.
                let _ended = reader.send(Err(Error::Unavailable(Away::Draining).into())).await;
            }
        });
        let rpc = self.clone();
        tokio::spawn(async move { rpc.book_all(&caller, arrived, answers, place).await }.in_current_span());
        Ok(ReceiverStream::new(receiver))
    }

    async fn book_all(
        &self,
        caller: &Caller,
        mut arrived: mpsc::Receiver<Result<Arrived, Status>>,
        answers: Answers,
        _seat: Seat,
    ) {
        let mut together = Vec::with_capacity(ENTRIES_TOGETHER_MAX);
        while arrived.recv_many(&mut together, ENTRIES_TOGETHER_MAX).await != 0 {
            let (mut entries, mut last) = (Vec::with_capacity(together.len()), None);
            for next in together.drain(..) {
                match next {
                    Ok(next) => entries.push(next),
                    Err(status) => last = Some(Err(status)),
                }
            }
            let booked = self.book(caller, entries).await.into_iter().map(Ok);
            for answer in booked.chain(last.clone()) {
                // Whoever is gone gets no answer; what was read is booked all the same.
                let _gone = answers.send(answer).await;
            }
            if last.is_some() {
                return;
            }
        }
    }

    async fn book(&self, caller: &Caller, arrived: Vec<Arrived>) -> Vec<pb::PostEntriesResponse> {
        let (mut ids, mut read, mut entries) = (Vec::new(), Vec::new(), Vec::new());
        for next in &arrived {
            ids.push(next.entry.as_ref().map(|entry| entry.entry_id.clone()).unwrap_or_default());
            match self.read_entry(caller, next.entry.clone()).await {
                Ok(entry) => {
                    entries.push(entry);
                    read.push(Ok(()));
                }
                Err(error) => read.push(Err(error)),
            }
        }
        let mut booked = self.app.post_entries(caller, entries).await.into_iter();
        let outcome = |verdict: Result<(), Error>| {
            let done = match verdict {
                Ok(()) => booked.next().unwrap_or_else(|| Err(Error::bug("a posting without an outcome"))),
                Err(error) => Err(error),
            };
            match done {
                Ok(posted) => Outcome::Accepted(posted_entry(&posted)),
                Err(error) => Outcome::Refused(in_band(&error)),
            }
        };
        let outcomes = read.into_iter().map(outcome);
        let answer = |(entry_id, outcome)| pb::PostEntriesResponse { entry_id, outcome: Some(outcome) };
        ids.into_iter().zip(outcomes).map(answer).collect()
    }
}

/// Reads while the byte budget lasts. A message that cannot be decoded ends the stream.
async fn read(mut sent: Streaming<pb::PostEntriesRequest>, arrived: mpsc::Sender<Result<Arrived, Status>>) {
    let budget = Arc::new(Semaphore::new(BYTES_WAITING_MAX as usize));
    while let Some(next) = sent.next().await {
        let (next, ends) = match next {
            Ok(request) => {
                let bytes = u32::try_from(request.encoded_len()).unwrap_or(BYTES_WAITING_MAX);
                let share = Arc::clone(&budget).acquire_many_owned(bytes.min(BYTES_WAITING_MAX));
                // The budget is never closed.
                let Ok(share) = share.await else { return };
                (Ok(Arrived { entry: request.entry, share }), false)
            }
            Err(status) => (Err(not_taken_in(&status).unwrap_or(status)), true),
        };
        if arrived.send(next).await.is_err() || ends {
            return;
        }
    }
}
