//! Sending reports: over one stream with a bounded number in flight, or one call each where streams do not pass.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::cli::client::Connection;
use crate::cli::field::capture::Device;
use crate::cli::field::clock;
use crate::cli::field::link::patiently;
use crate::cli::field::outbox::{Due, Entry, Refused, Verdict};
use crate::cli::field::shown;
use crate::cli::field::sync::fate::{self, Fate, Why};
use crate::cli::field::sync::flying::{Flying, next_answers};
use crate::cli::field::sync::{Event, Pace, Summary, Tell, Trouble};
use crate::rpc::pb;
use crate::rpc::pb::field_report_service_client::FieldReportServiceClient;
use crate::rpc::pb::sync_reports_response::Outcome;

/// What sends the reports of one round.
pub(super) struct Sending<'a> {
    pub(super) device: &'a Device,
    pub(super) pace: &'a Pace,
    pub(super) tell: &'a Tell,
    pub(super) summary: &'a mut Summary,
    pub(super) client: FieldReportServiceClient<Connection>,
    /// Why the service put off the last of those that it did, and for how long at least.
    pub(super) put_off: Option<(String, Option<Duration>)>,
}

impl Sending<'_> {
    /// Hears what the service has of the numbering. What it lost, such as by a backup that was restored, is sent again.
    pub(super) async fn hear_state(&mut self) -> Result<(), Trouble> {
        let device_id = self.device.outbox.settings()?.device_id;
        let request = pb::GetSyncStateRequest { device_id: device_id.clone() };
        let answer = patiently(self.pace.patience, self.client.get_sync_state(request)).await?;
        let state = answer.into_inner().sync_state.filter(|state| state.device_id == device_id);
        let Some(state) = state else {
            self.summary.foreign += 1;
            return Err(Trouble::Link("an answer that is not about this device".to_owned(), None));
        };
        let missing = state.missing.iter().map(|range| (range.first, range.last));
        let lost: Vec<_> = missing.chain([(state.highest + 1, i64::MAX)]).collect();
        self.device.outbox.send_again(&lost)?;
        self.device.outbox.set_sync_state(&state, &clock::reading(&*self.device.clock))?;
        Ok(())
    }

    /// Sends what waits over one stream.
    pub(super) async fn stream(&mut self) -> Result<(), Trouble> {
        let mut due: VecDeque<Due> = self.device.outbox.due()?.into();
        if due.is_empty() {
            return Ok(());
        }
        let (sending, sent) = mpsc::channel(self.pace.in_flight);
        let opened = self.client.sync_reports(ReceiverStream::new(sent));
        let mut answers = patiently(self.pace.patience, opened).await?.into_inner();
        let mut flying = Flying::default();
        loop {
            // Half of the room at once: each time costs a flush of the disk.
            if flying.entries.len() <= self.pace.in_flight / 2 {
                let next = flying.room_for(&mut due, self.pace.in_flight);
                for entry in self.device.outbox.sending(&next)? {
                    let request = pb::SyncReportsRequest {
                        report: Some(entry.report.clone()),
                        sent: Some(clock::reading(&*self.device.clock)),
                    };
                    flying.add(entry);
                    if sending.send(request).await.is_err() {
                        // The stream ended; its end says why.
                        break;
                    }
                }
            }
            if flying.entries.is_empty() {
                if due.is_empty() {
                    break;
                }
                // What was taken is not to be sent any more.
                continue;
            }
            let (heard, end) = next_answers(self.pace.within(flying.bytes), &mut answers).await;
            self.take(heard, &mut flying)?;
            if let Some(end) = end {
                return Err(end);
            }
        }
        drop(sending);
        // Its good end is no news: every answer came.
        patiently(self.pace.patience, answers.message()).await.map(drop).or(Ok(()))
    }

    /// Sends what waits, one call each.
    pub(super) async fn one_by_one(&mut self) -> Result<(), Trouble> {
        for due in self.device.outbox.due()? {
            let Some(entry) = self.device.outbox.sending(&[due.entry])?.pop() else { continue };
            let request = pb::SubmitReportRequest {
                report: Some(entry.report.clone()),
                sent: Some(clock::reading(&*self.device.clock)),
            };
            let within = self.pace.within(prost::Message::encoded_len(&entry.report));
            let answer = patiently(within, self.client.submit_report(request)).await;
            let verdict = match answer {
                Ok(stored) => Some(self.judge_stored(&entry, stored.into_inner())?),
                Err(status) => match fate::of_status(&status) {
                    Fate::Later(..) => return Err(status.into()),
                    fate => self.judge_refused(&entry, fate)?,
                },
            };
            self.settle(verdict.map(|verdict| (entry, verdict)).into_iter().collect())?;
        }
        Ok(())
    }

    /// Takes answers: those that are right are noted even when one beside them is not.
    fn take(&mut self, heard: Vec<pb::SyncReportsResponse>, flying: &mut Flying) -> Result<(), Trouble> {
        let (mut verdicts, mut trouble) = (Vec::new(), None);
        for answer in heard {
            match self.judge(answer, flying) {
                Ok(judged) => verdicts.extend(judged),
                Err(told) => trouble = Some(told),
            }
        }
        self.settle(verdicts)?;
        trouble.map_or(Ok(()), Err)
    }

    fn judge(
        &mut self,
        answer: pb::SyncReportsResponse,
        flying: &mut Flying,
    ) -> Result<Option<(Entry, Verdict)>, Trouble> {
        let Some(entry) = flying.take(answer.device_sequence, &answer.report_id) else {
            // One that was answered before: whoever sits between may deliver twice.
            return Ok(None);
        };
        match answer.outcome {
            Some(Outcome::Stored(stored)) => {
                let verdict = self.judge_stored(&entry, stored)?;
                Ok(Some((entry, verdict)))
            }
            Some(Outcome::Refused(status)) => {
                let verdict = self.judge_refused(&entry, fate::of_answer(&status))?;
                Ok(verdict.map(|verdict| (entry, verdict)))
            }
            None => self.foreign("an answer that says nothing"),
        }
    }

    /// What was refused for good stays refused; what was put off is sent again in another round, and does not keep others
    /// waiting. What was acknowledged before and is another operator's now is not lost: it is the caller who is wrong.
    fn judge_refused(&mut self, entry: &Entry, fate: Fate) -> Result<Option<Verdict>, Trouble> {
        match fate {
            Fate::Final(told, Why::Elsewhere) if entry.earlier.is_some() || entry.partly.is_some() => {
                self.device.outbox.restore_acknowledged()?;
                Err(Trouble::Stop(format!(
                    "the service refuses a report that it acknowledged before: {told}; this token is of another operator"
                )))
            }
            // It has it whole, and knows fewer fields now: whatever is sent in its place would be less.
            Fate::Final(told, Why::Taken) if entry.earlier.is_some() && entry.partly.is_none() => {
                self.put_off = Some((told, None));
                Ok(None)
            }
            // It knows fields now that it did not know before. The id is this device's own: what is under it without a base
            // came from here, also when the answer to it was not heard.
            Fate::Final(_, Why::Taken) if entry.partly.is_some() || entry.report.base_version == 0 => {
                Ok(Some(Verdict::Anew))
            }
            Fate::Final(_, Why::Replaced(_)) if entry.partly.is_some() => Ok(Some(Verdict::Anew)),
            Fate::Final(told, why) => Ok(Some(Verdict::Refused(Refused {
                told,
                newest: if let Why::Replaced(newest) = why { newest } else { None },
                is_taken: why == Why::Taken,
                is_closed: why == Why::Closed,
            }))),
            Fate::PutOff(told, wait) | Fate::Later(told, wait) => {
                let before = self.put_off.take().and_then(|(_, wait)| wait);
                self.put_off = Some((told, wait.max(before)));
                Ok(None)
            }
            Fate::Denied(told) => Err(Trouble::Stop(told)),
        }
    }

    /// Only a receipt with the report's id and the hash of what was sent counts.
    fn judge_stored(&mut self, entry: &Entry, stored: pb::SubmitReportResponse) -> Result<Verdict, Trouble> {
        let named = stored.receipt.as_ref().filter(|receipt| receipt.report_id == entry.report.report_id);
        let known = stored.outcome() != pb::ReportOutcome::Unspecified;
        match named.filter(|_| known) {
            Some(receipt) if receipt.content_sha256 == entry.content_sha256 => {
                Ok(Verdict::Acknowledged(Box::new(stored)))
            }
            Some(receipt) if is_of_less(receipt, &entry.report) => Ok(Verdict::Partly(Box::new(stored))),
            _ => self
                .foreign("an answer that does not name the report and its content: it is not of the service"),
        }
    }

    fn foreign<T>(&mut self, told: &str) -> Result<T, Trouble> {
        self.summary.foreign += 1;
        Err(Trouble::Link(told.to_owned(), None))
    }

    fn settle(&mut self, judged: Vec<(Entry, Verdict)>) -> Result<(), Trouble> {
        let (reports, verdicts): (Vec<_>, Vec<_>) =
            judged.into_iter().map(|(entry, verdict)| (entry.report, (entry.entry, verdict))).unzip();
        if verdicts.is_empty() {
            return Ok(());
        }
        self.device.outbox.settle(&verdicts, &clock::reading(&*self.device.clock))?;
        for (report, (_, verdict)) in reports.into_iter().zip(verdicts) {
            self.tell(report, verdict);
        }
        Ok(())
    }

    fn tell(&mut self, report: pb::FieldReport, verdict: Verdict) {
        let halt = match &verdict {
            Verdict::Acknowledged(answer) | Verdict::Partly(answer) => {
                self.summary.held += u64::from(is_held(answer));
                shown::halt(&report, answer).map(|(told, _)| told).unwrap_or_default()
            }
            Verdict::Anew => String::new(),
            Verdict::Refused(_) => {
                shown::refused_halt(&report).map(|told| format!("; {told}")).unwrap_or_default()
            }
        };
        let report_id = report.report_id;
        (self.tell)(match verdict {
            Verdict::Acknowledged(answer) => {
                self.summary.acknowledged += 1;
                let held = answer.holds.into_iter().map(|hold| hold.text).collect();
                let details = answer.details_not_kept.map(|of| of.text).unwrap_or_default();
                let reference = answer.receipt.map(|receipt| receipt.reference).unwrap_or_default();
                Event::Acknowledged { reference, held, details, halt }
            }
            Verdict::Partly(answer) => {
                let told = shown::partly(&answer);
                let held = answer.holds.into_iter().map(|hold| hold.text).collect();
                let details = answer.details_not_kept.map(|of| of.text).unwrap_or_default();
                Event::Partly { report_id, told, held, details, halt }
            }
            Verdict::Anew => Event::Anew { report_id },
            Verdict::Refused(refused) => {
                self.summary.refused += 1;
                Event::Refused { report_id, told: refused.told + &halt }
            }
        });
    }
}

fn is_held(answer: &pb::SubmitReportResponse) -> bool {
    answer.outcome() == pb::ReportOutcome::Held || !answer.holds.is_empty()
}

/// Whether a receipt is a whole one of this very version, although its hash is another: then it is of a service that dropped
/// fields which it does not know.
fn is_of_less(receipt: &pb::Receipt, report: &pb::FieldReport) -> bool {
    receipt.version == report.base_version + 1
        && receipt.reference == shown::short(&report.report_id)
        && receipt.received_at.is_some()
        && receipt.content_sha256.len() == 32
}
