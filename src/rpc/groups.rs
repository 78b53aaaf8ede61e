//! Streams in both directions whose requests are taken in as groups of whatever has arrived, and answered in order.
//!
//! Flow control bounds memory both ways: a stream is read only while its requests that are not answered fit its byte
//! budget, and a client that does not take its answers soon holds the whole budget.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Status, Streaming};

use crate::error::{Away, Error};
use crate::rpc::status::not_taken_in;

/// Requests that were read together, with their share of the byte budget.
pub(super) struct Group<R> {
    pub(super) requests: Vec<R>,
    pub(super) bytes: u32,
    /// How the stream ends after them, if it does.
    pub(super) last: Option<End>,
}

impl<R> Group<R> {
    /// What is left to tell when the server drains.
    pub(super) fn drained() -> Self {
        let last = Some(End::Failed(Error::Unavailable(Away::Draining).into()));
        Self { requests: Vec::new(), bytes: 0, last }
    }
}

/// How a stream ends.
pub(super) enum End {
    HalfClosed,
    Failed(Status),
}

/// Waits for a request, and takes what else has arrived by then, until there are `most` or so many bytes. A message that
/// cannot be decoded ends the stream. `keep` says what of a request is kept, and what that takes of the byte budget; the
/// rest is gone before the next is read.
pub(super) async fn read_group<R, K>(
    sent: &mut Streaming<R>,
    (most, most_bytes): (usize, u32),
    keep: impl Fn(R) -> (K, u32),
) -> Group<K> {
    let mut group = Group { requests: Vec::new(), bytes: 0, last: None };
    let mut next = sent.next().await;
    loop {
        match next {
            Some(Ok(request)) => {
                let (kept, share) = keep(request);
                group.bytes = group.bytes.saturating_add(share);
                group.requests.push(kept);
            }
            Some(Err(status)) => group.last = Some(End::Failed(not_taken_in(&status).unwrap_or(status))),
            None => group.last = Some(End::HalfClosed),
        }
        let full = most <= group.requests.len() || most_bytes <= group.bytes;
        if full || group.last.is_some() {
            return group;
        }
        let arrived = poll_fn(|context| Poll::Ready(Pin::new(&mut *sent).poll_next(context))).await;
        match arrived {
            Poll::Ready(arrived) => next = arrived,
            Poll::Pending => return group,
        }
    }
}

/// Answers of one group, with its share of the byte budget, or how the stream ends.
pub(super) type Answered<T> = Result<(Vec<T>, OwnedSemaphorePermit), End>;

/// The answers of one stream, in the order of its requests.
pub struct GroupedAnswers<T> {
    groups: mpsc::Receiver<Answered<T>>,
    current: VecDeque<T>,
    /// The share of the byte budget that the current answers hold.
    share: Option<OwnedSemaphorePermit>,
    /// Whether the end was told.
    ended: bool,
}

impl<T> GroupedAnswers<T> {
    pub(super) const fn of(groups: mpsc::Receiver<Answered<T>>) -> Self {
        Self { groups, current: VecDeque::new(), share: None, ended: false }
    }
}

impl<T: Unpin> Stream for GroupedAnswers<T> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(answer) = self.current.pop_front() {
                return Poll::Ready(Some(Ok(answer)));
            }
            self.share = None;
            match self.groups.poll_recv(context) {
                Poll::Ready(Some(Ok((answers, share)))) => {
                    self.current = answers.into();
                    self.share = Some(share);
                }
                Poll::Ready(Some(Err(End::HalfClosed))) => {
                    self.ended = true;
                    return Poll::Ready(None);
                }
                Poll::Ready(Some(Err(End::Failed(status)))) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(status)));
                }
                Poll::Ready(None) if self.ended => return Poll::Ready(None),
                // A task of the stream panicked: an end in good order would hide the answers that are missing.
                Poll::Ready(None) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(Error::Panicked.into())));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
