//! What is on its way over a stream of reports, and the answers that come back.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tonic::Streaming;

use crate::cli::field::link::patiently;
use crate::cli::field::outbox::{Due, Entry};
use crate::cli::field::sync::{BYTES_IN_FLIGHT, Trouble};
use crate::rpc::pb;

/// Versions that were sent and not answered, by number.
#[derive(Default)]
pub(super) struct Flying {
    pub(super) entries: HashMap<i64, Entry>,
    pub(super) bytes: usize,
}

impl Flying {
    /// Takes the next places that have room beside what is flying: one report always has when nothing is.
    pub(super) fn room_for(&self, due: &mut VecDeque<Due>, at_most: usize) -> Vec<i64> {
        let (mut next, mut bytes) = (Vec::new(), self.bytes);
        while self.entries.len() + next.len() < at_most
            && let Some(first) = due.front()
            && (bytes == 0 || bytes + first.bytes <= BYTES_IN_FLIGHT)
        {
            bytes += first.bytes.max(1);
            next.push(first.entry);
            due.pop_front();
        }
        next
    }

    /// Notes one that is sent.
    pub(super) fn add(&mut self, entry: Entry) {
        self.bytes += prost::Message::encoded_len(&entry.report);
        self.entries.insert(entry.report.device_sequence, entry);
    }

    /// The version that an answer names, which flies no more.
    pub(super) fn take(&mut self, number: i64, report_id: &str) -> Option<Entry> {
        if self.entries.get(&number)?.report.report_id != report_id {
            return None;
        }
        let entry = self.entries.remove(&number)?;
        self.bytes = self.bytes.saturating_sub(prost::Message::encoded_len(&entry.report));
        Some(entry)
    }
}

/// The next answer and those that came with it, and the end of the stream when it came.
pub(super) async fn next_answers(
    within: Duration,
    answers: &mut Streaming<pb::SyncReportsResponse>,
) -> (Vec<pb::SyncReportsResponse>, Option<Trouble>) {
    let mut heard = Vec::new();
    let mut next = patiently(within, answers.message()).await;
    loop {
        match next {
            Ok(Some(answer)) => heard.push(answer),
            Ok(None) => {
                let told = "the stream ended before every answer came";
                return (heard, Some(Trouble::Link(told.to_owned(), None)));
            }
            Err(status) => return (heard, Some(status.into())),
        }
        let Ok(ready) = tokio::time::timeout(Duration::ZERO, answers.message()).await else {
            return (heard, None);
        };
        next = ready;
    }
}
