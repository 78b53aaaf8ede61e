//! Uploading files: the smallest first, each from the byte that the service has, with at most so many bytes on their way
//! without an answer. So a cut costs no more than those.

use std::collections::HashMap;

use tokio_stream::iter;

use crate::cli::client::Connection;
use crate::cli::field::capture::Device;
use crate::cli::field::link::patiently;
use crate::cli::field::outbox::{Upload, UploadEnd, hex};
use crate::cli::field::shown;
use crate::cli::field::sync::{Event, Pace, Summary, Tell, Trouble};
use crate::rpc::pb;
use crate::rpc::pb::field_report_service_client::FieldReportServiceClient;
use crate::rpc::pb::upload_attachment_request::Part;

/// The most bytes of one chunk.
const CHUNK_BYTES: usize = 64 * 1_024;
/// On a link that breaks again and again less is sent at once, but not less than this.
const LEAST_BYTES: usize = 4 * 1_024;

/// What uploads know from one round to the next.
#[derive(Debug)]
pub(super) struct Progress {
    /// How far each file was sent, whether it arrived or not.
    sent_to: HashMap<[u8; 32], i64>,
    /// Bytes of this file that were sent again since the last cut.
    again: u64,
    /// Bytes that are sent without an answer, now.
    at_once: usize,
}

impl Progress {
    pub(super) fn new(pace: &Pace) -> Self {
        Self { sent_to: HashMap::new(), again: 0, at_once: pace.unanswered_bytes.max(1) }
    }

    /// After a cut: less at once, so that something arrives between two cuts.
    pub(super) fn cut(&mut self, pace: &Pace) {
        self.at_once = (self.at_once / 2).max(LEAST_BYTES).min(pace.unanswered_bytes.max(1));
    }
}

/// What uploads the files of one round.
pub(super) struct Uploading<'a> {
    pub(super) device: &'a Device,
    pub(super) pace: &'a Pace,
    pub(super) tell: &'a Tell,
    pub(super) summary: &'a mut Summary,
    pub(super) progress: &'a mut Progress,
    pub(super) client: FieldReportServiceClient<Connection>,
}

impl Uploading<'_> {
    /// Uploads what waits. A file that is refused or put off does not keep the others waiting.
    pub(super) async fn upload_all(&mut self) -> Result<(), Trouble> {
        let mut ended = Ok(());
        for upload in self.device.outbox.uploads()? {
            match self.upload(&upload).await {
                Err(trouble @ (Trouble::Refused(_) | Trouble::PutOff(..))) => ended = Err(trouble),
                other => other?,
            }
        }
        ended
    }

    async fn upload(&mut self, upload: &Upload) -> Result<(), Trouble> {
        let mut state = self.state_of(upload).await?;
        if !state.present && !self.device.outbox.is_whole(&upload.sha256) {
            let told = "its copy in the outbox changed or is gone; attach the file again with `amend`";
            self.device.outbox.end_upload(&upload.sha256, &UploadEnd::Broken(told.to_owned()))?;
            let broken = self.device.outbox.broken_files()?;
            for file in broken.iter().filter(|file| file.sha256 == upload.sha256) {
                (self.tell)(Event::Broken { told: shown::broken(file) });
            }
            return Ok(());
        }
        self.progress.again = 0;
        while !state.present {
            let next = self.part(upload, state.durable_offset).await?;
            if !next.present && next.durable_offset <= state.durable_offset {
                let told = format!("file {} does not go on: the service began it anew", hex(&upload.sha256));
                return Err(Trouble::Refused(told));
            }
            self.note(upload, &state, &next)?;
            self.progress.at_once = (self.progress.at_once * 2).min(self.pace.unanswered_bytes.max(1));
            state = next;
        }
        self.device.outbox.end_upload(&upload.sha256, &UploadEnd::Present)?;
        self.progress.sent_to.remove(&upload.sha256);
        self.summary.files += 1;
        (self.tell)(Event::Uploaded { sha256: hex(&upload.sha256) });
        Ok(())
    }

    /// What the service has of a file, which may be more than was heard of.
    async fn state_of(&mut self, upload: &Upload) -> Result<pb::UploadState, Trouble> {
        let request =
            pb::GetUploadStateRequest { report_id: upload.report_id.clone(), sha256: upload.sha256.to_vec() };
        let answer = patiently(self.pace.patience, self.client.get_upload_state(request)).await?;
        let state = self.of_this(upload, answer.into_inner().upload)?;
        let known = pb::UploadState { durable_offset: upload.durable_offset, ..state.clone() };
        self.note(upload, &known, &state)?;
        Ok(state)
    }

    /// Sends the next bytes and waits until they are durable.
    async fn part(&mut self, upload: &Upload, offset: i64) -> Result<pb::UploadState, Trouble> {
        let bytes = self.device.outbox.part_of(&upload.sha256, offset, self.progress.at_once)?;
        let count = bytes.len();
        let begin = pb::UploadBegin { report_id: upload.report_id.clone(), sha256: upload.sha256.to_vec() };
        let mut parts = vec![Part::Begin(begin)];
        let mut write_offset = offset;
        for chunk in bytes.chunks(CHUNK_BYTES) {
            parts.push(Part::Chunk(pb::UploadChunk { write_offset, content: chunk.to_vec().into() }));
            write_offset += i64::try_from(chunk.len()).unwrap_or(0);
        }
        let parts = parts.into_iter().map(|part| pb::UploadAttachmentRequest { part: Some(part) });
        self.summary.sent_bytes += count as u64;
        self.count_again(upload, offset, write_offset);
        let answer = patiently(self.pace.within(count), self.client.upload_attachment(iter(parts))).await?;
        self.of_this(upload, answer.into_inner().upload)
    }

    /// Counts bytes that are sent although they were sent before.
    fn count_again(&mut self, upload: &Upload, from: i64, to: i64) {
        let sent_to = self.progress.sent_to.entry(upload.sha256).or_insert(0);
        let again = u64::try_from(to.min(*sent_to) - from).unwrap_or(0);
        *sent_to = to.max(*sent_to);
        self.progress.again += again;
        self.summary.again_bytes += again;
        self.summary.again_bytes_max = self.summary.again_bytes_max.max(self.progress.again);
    }

    /// Only an answer about this very file counts.
    fn of_this(
        &mut self,
        upload: &Upload,
        state: Option<pb::UploadState>,
    ) -> Result<pb::UploadState, Trouble> {
        let named = |state: &pb::UploadState| {
            state.sha256 == upload.sha256
                && state.size == upload.size
                && (0..=upload.size).contains(&state.durable_offset)
        };
        state.filter(named).ok_or_else(|| {
            self.summary.foreign += 1;
            Trouble::Link("an answer that is not about this file: it is not of the service".to_owned(), None)
        })
    }

    fn note(&self, upload: &Upload, before: &pb::UploadState, now: &pb::UploadState) -> Result<(), Trouble> {
        if now.durable_offset == before.durable_offset {
            return Ok(());
        }
        self.device.outbox.set_durable(&upload.sha256, now.durable_offset)?;
        let bytes = u64::try_from(now.durable_offset - before.durable_offset).unwrap_or(0);
        (self.tell)(Event::Durable { bytes });
        Ok(())
    }
}
