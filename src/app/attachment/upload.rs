//! One upload: chunks are hashed while those before them are written, and when it ends, however that is, everything that was
//! read is durable.

use std::mem::take;

use bytes::Bytes;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::app::attachment::keeping::{Mark, Verified};
use crate::app::attachment::opening::open;
use crate::app::attachment::writers::Writing;
use crate::app::attachment::{Found, UploadState, key_of};
use crate::app::rights::may_act_for;
use crate::app::seats::Seat;
use crate::domain::caller::Caller;
use crate::domain::ids::{OrganizationId, ReportId};
use crate::error::{Error, Violations};
use crate::files::content::Content;
use crate::files::objects::io_away;
use crate::files::staged::Staged;
use crate::files::{Sha256Sum, UploadKey, hex};
use crate::store::attachment::Present;

/// While so many bytes wait to be written, no more are read.
const WAITING_BYTES: usize = 512 * 1024;
/// What a chunk takes beside its bytes, with room to spare: a client may send them one byte each.
const CHUNK_BYTES: usize = 1024;

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Where it begins.
    pub write_offset: i64,
    /// Its bytes.
    pub content: Bytes,
}

/// What becomes of a call that begins an upload.
pub enum Begun {
    /// Nothing is to be done.
    Present(UploadState),
    /// Chunks may come.
    Upload(Box<Upload>),
}

/// An upload that is open. Whoever opens one must end it.
pub struct Upload {
    app: App,
    operator: OrganizationId,
    key: UploadKey,
    sent_by: String,
    mark: Mark,
    /// What all that was taken in comes to.
    content: Content,
    /// None while something is written.
    staged: Option<Staged>,
    writing: Option<JoinHandle<(Staged, Result<(), Error>)>>,
    /// What is to be written next, and the memory that it takes.
    waiting: Vec<Bytes>,
    waiting_bytes: usize,
    writer: Writing,
    _seat: Seat,
}

impl App {
    /// Begins an upload, or goes on with it, when nobody else writes it.
    ///
    /// # Errors
    /// `NotFound` when the caller sees no such report, or it declares no such file; `Forbidden` when it is another
    /// operator's; a quota for too many uploads or too much that is not finished; `Files` when the folder fails or is full;
    /// `Contended` when another process writes it.
    pub async fn begin_upload(
        &self,
        caller: &Caller,
        report: ReportId,
        file: Sha256Sum,
    ) -> Result<Begun, Error> {
        self.feed.expect_open()?;
        let Found { operator, declared, mut present, mark } = self.find_file(caller, report, file).await?;
        may_act_for(caller, operator)?;
        let seat = self.attachments.uploads.take(caller)?;
        let key = key_of(operator, &declared);
        let writer = if let Some(writer) = self.attachments.writers.try_take(key) {
            writer
        } else {
            let writer = self.attachments.writers.take(key).await;
            // Whoever wrote it may have finished it meanwhile.
            present = self.present(operator, file).await?;
            writer
        };
        if let Some(present) = self.still_there(present).await? {
            return Ok(Begun::Present(UploadState::present(&present)));
        }
        let (staging, resting) = (self.attachments.staging.clone(), self.attachments.resting.clone());
        let (staged, content) = self.block(move || open(&staging, &resting, &key)).await?;
        Ok(Begun::Upload(Box::new(Upload {
            app: self.clone(),
            operator,
            key,
            sent_by: caller.subject().to_owned(),
            mark,
            content,
            staged: Some(staged),
            writing: None,
            waiting: Vec::new(),
            waiting_bytes: 0,
            writer,
            _seat: seat,
        })))
    }
}

impl Upload {
    /// Whether a write is under way.
    #[must_use]
    pub const fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// Cancelled when somebody waits for this upload, from which nothing came for long.
    #[must_use]
    pub fn stop(&self) -> CancellationToken {
        self.writer.stop().clone()
    }

    /// Takes in chunks. They are written when those before them are; what is there already is skipped. Hashing a group of
    /// them, which `rpc` keeps small, takes a few tenths of a millisecond (a text that is all markup a few): where processors
    /// are short that is less than to hand it to another thread and to wait for it.
    ///
    /// # Errors
    /// `Invalid` for a chunk that does not fit; those before it are taken in.
    pub fn take(&mut self, chunks: Vec<Chunk>) -> Result<(), Error> {
        self.writer.heard();
        let taken = chunks.into_iter().try_for_each(|chunk| self.take_one(chunk));
        if !self.is_writing() && !self.waiting.is_empty() {
            self.write()?;
        }
        taken
    }

    fn take_one(&mut self, chunk: Chunk) -> Result<(), Error> {
        // All of a chunk is held while a part of it is.
        let held = chunk.content.len();
        let piece = new_of(chunk, self.content.length(), self.key.size)?;
        if !piece.is_empty() {
            self.content.update(&piece);
            self.waiting_bytes += held + CHUNK_BYTES;
            self.waiting.push(piece);
        }
        Ok(())
    }

    /// Whether chunks may come. Not before some are written when many wait.
    #[must_use]
    pub const fn has_room(&self) -> bool {
        self.waiting_bytes < WAITING_BYTES
    }

    fn write(&mut self) -> Result<(), Error> {
        let pieces = take(&mut self.waiting);
        self.waiting_bytes = 0;
        let mut staged = self.staged.take().ok_or_else(|| Error::bug("an upload without its writer"))?;
        self.writing = Some(tokio::task::spawn_blocking(move || {
            let done = staged.append(&pieces);
            (staged, done.map_err(|error| io_away(&error)))
        }));
        Ok(())
    }

    /// Waits for the write that is under way, and begins the next one if chunks wait. May be dropped and asked again.
    ///
    /// # Errors
    /// `Files` when it could not be written.
    pub async fn written(&mut self) -> Result<(), Error> {
        let Some(writing) = &mut self.writing else { return Ok(()) };
        let done = writing.await;
        self.writing = None;
        let (staged, done) = done.map_err(|lost| Error::Internal(Box::new(lost)))?;
        self.staged = Some(staged);
        done?;
        if self.waiting.is_empty() { Ok(()) } else { self.write() }
    }

    async fn all_written(&mut self) -> Result<(), Error> {
        while self.is_writing() {
            self.written().await?;
        }
        Ok(())
    }

    /// Ends it: makes durable what is there and, if that is all, keeps the file. After something `went_wrong` the file may
    /// be there all the same, since somebody else sent it.
    ///
    /// # Errors
    /// `Invalid` when the whole file has another hash; `Files` when it cannot be kept now, or could not be written.
    pub async fn end(mut self, went_wrong: bool) -> Result<UploadState, Error> {
        let told = self.all_written().await;
        let staged = self.staged.take().ok_or_else(|| Error::bug("an upload without its writer"))?;
        if let Some(error) = staged.broken() {
            return self.sent_by_others(went_wrong).await?.ok_or_else(|| io_away(&error));
        }
        if staged.is_whole() {
            let content = take(&mut self.content);
            let verified = self.verify(staged, content).await?;
            self.app.keep(self.operator, &verified, self.mark, self.sent_by).await?;
            let Verified { file, staged, .. } = verified;
            self.app.discard(staged, self.writer);
            told?;
            return Ok(UploadState::present(&file));
        }
        let durable_offset = self.leave(staged).await?;
        if let Some(state) = self.sent_by_others(went_wrong).await? {
            return Ok(state);
        }
        told?;
        let UploadKey { sha256, size, .. } = self.key;
        Ok(UploadState { sha256, size, durable_offset, present: false })
    }

    async fn sent_by_others(&self, went_wrong: bool) -> Result<Option<UploadState>, Error> {
        if !went_wrong {
            return Ok(None);
        }
        let file = self.app.present(self.operator, self.key.sha256).await?;
        Ok(self.app.still_there(file).await?.map(|file| UploadState::present(&file)))
    }

    /// Makes durable what is there, and leaves it to the next call.
    async fn leave(&mut self, mut staged: Staged) -> Result<i64, Error> {
        let offset = i64::try_from(staged.offset()).unwrap_or(i64::MAX);
        let (resting, content) = (self.app.attachments.resting.clone(), take(&mut self.content));
        let left = self.app.block(move || {
            staged.sync().map_err(|error| io_away(&error))?;
            resting.put(staged, content);
            Ok(offset)
        });
        left.await
    }

    /// The whole file, durable, if its hash is right. If not, it is of no use to anybody. Where nothing has to be asked
    /// before, it is put into the store at once, on the same thread.
    async fn verify(&self, mut staged: Staged, content: Content) -> Result<Verified, Error> {
        let UploadKey { size, sha256: wanted, .. } = self.key;
        let (objects, mark) = (self.app.attachments.objects.clone(), self.mark);
        let looked = self.app.block(move || {
            let (sha256, media_type) = staged.look(content).map_err(|error| io_away(&error))?;
            if sha256 == wanted {
                let file = Present { sha256, size, media_type: media_type.to_owned() };
                let is_put = mark.is_clear() && objects.put_here(&staged);
                return Ok(Ok(Verified { file, staged, is_put }));
            }
            staged.discard().map_err(|error| io_away(&error))?;
            Ok(Err(sha256))
        });
        looked.await?.map_err(|sha256| {
            let rule = format!(
                "makes a file of {size} bytes with the SHA-256 {}, not {}; the report declares another file, or bytes \
                 were changed on the way: begin again from byte 0",
                hex(&sha256),
                hex(&wanted)
            );
            Violations::one("chunk.content", rule)
        })
    }
}

/// What a chunk adds to a file of which so many bytes are there.
fn new_of(chunk: Chunk, there: u64, size: i64) -> Result<Bytes, Error> {
    let there = i64::try_from(there).unwrap_or(i64::MAX);
    let Chunk { write_offset, content } = chunk;
    if there < write_offset {
        let rule = format!("is {write_offset}, but there are {there} bytes; go on from there or before");
        return Err(Violations::one("chunk.write_offset", rule));
    }
    let end = i64::try_from(content.len()).ok().and_then(|length| write_offset.checked_add(length));
    let Some(end) = end.filter(|end| *end <= size) else {
        let rule = format!(
            "has {} bytes from byte {write_offset}, beyond the {size} bytes that the report declares; send no more",
            content.len()
        );
        return Err(Violations::one("chunk.content", rule));
    };
    let left = usize::try_from(end - there).unwrap_or(0).min(content.len());
    Ok(content.slice(content.len() - left..))
}
