//! Files that reports declare: how far an upload is, and who may ask. Whoever asks for a file names a report of theirs that
//! declares it, and what one operator has says nothing about another.
//!
//! An upload ([`upload`]) writes to a folder, one writer for each file ([`writers`]). When all of it is there and its hash is
//! right it is put into the object store (`keeping.rs`), and one transaction says so in the operator's journal (`noting.rs`).
//! What is left of uploads that nobody finished, and objects that no row refers to, are collected ([`orphans`]).

pub mod download;
mod keeping;
mod noting;
mod opening;
pub mod orphans;
pub mod upload;
pub mod writers;

use std::time::Instant;

use crate::app::App;
use crate::app::attachment::keeping::Mark;
use crate::app::attachment::noting::Waiting;
use crate::app::attachment::writers::Writers;
use crate::app::seats::Seats;
use crate::domain::caller::Caller;
use crate::domain::field_report::Attachment;
use crate::domain::ids::{OrganizationId, ReportId};
use crate::domain::kind::Kind;
use crate::error::Error;
use crate::files::objects::{Objects, io_away};
use crate::files::resting::Resting;
use crate::files::staging::Staging;
use crate::files::{Sha256Sum, UploadKey, hex};
use crate::store::attachment::{Known, Present, find_known, list_present};

/// The most uploads that one caller may have open on this server.
pub const UPLOADS_PER_CALLER_MAX: u64 = 16;
/// The most uploads that are open on this server: each holds up to two mebibytes.
pub const UPLOADS_MAX: u64 = 256;
/// The most questions for the state of an upload that one caller may have open on this server.
pub const STATES_PER_CALLER_MAX: u64 = 16;
/// The most such questions that are open on this server: each may flush the disk.
pub const STATES_MAX: u64 = 64;
/// The most downloads that one caller may have open on this server.
pub const DOWNLOADS_PER_CALLER_MAX: u64 = 16;
/// The most downloads that are open on this server: each holds up to a mebibyte.
pub const DOWNLOADS_MAX: u64 = 256;

/// What use cases of files need.
#[derive(Debug, Clone)]
pub struct Attachments {
    pub(super) objects: Objects,
    pub(super) staging: Staging,
    pub(super) resting: Resting,
    pub(super) writers: Writers,
    pub(super) waiting: Waiting,
    pub(super) uploads: Seats,
    pub(super) states: Seats,
    pub(super) downloads: Seats,
}

impl Attachments {
    /// With an open store and the folder of uploads.
    #[must_use]
    pub fn new(objects: Objects, staging: Staging) -> Self {
        Self {
            objects,
            staging,
            resting: Resting::default(),
            writers: Writers::default(),
            waiting: Waiting::default(),
            uploads: Seats::of("open uploads of a caller", UPLOADS_PER_CALLER_MAX, UPLOADS_MAX),
            states: Seats::of("open questions of a caller for uploads", STATES_PER_CALLER_MAX, STATES_MAX),
            downloads: Seats::of("open downloads of a caller", DOWNLOADS_PER_CALLER_MAX, DOWNLOADS_MAX),
        }
    }

    /// Asks the store for something, and warns when it does not answer: a service without its files is better than none.
    pub async fn probe(&self) {
        if let Err(told) = self.objects.probe().await {
            tracing::warn!(%told, "the store of attachments does not answer; see --attachments (SAFELANE_ATTACHMENTS)");
        }
    }
}

/// What there is of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadState {
    /// Its hash.
    pub sha256: Sha256Sum,
    /// Its size: as declared until it is present, then as it is.
    pub size: i64,
    /// All bytes before it are there for good.
    pub durable_offset: i64,
    /// Whether it is whole.
    pub present: bool,
}

impl UploadState {
    pub(super) const fn present(file: &Present) -> Self {
        Self { sha256: file.sha256, size: file.size, durable_offset: file.size, present: true }
    }
}

/// What there is of a file that a report declares.
struct Found {
    operator: OrganizationId,
    declared: Attachment,
    present: Option<Present>,
    mark: Mark,
}

impl App {
    /// How far the upload of a file is that a report declares. A file that the store has lost is not present.
    ///
    /// # Errors
    /// `NotFound` when the caller sees no such report, or it declares no such file; `Files` when the folder or the store
    /// fails; a quota for too many such questions.
    pub async fn get_upload_state(
        &self,
        caller: &Caller,
        report: ReportId,
        file: Sha256Sum,
    ) -> Result<UploadState, Error> {
        let Found { operator, declared, present, .. } = self.find_file(caller, report, file).await?;
        let _seat = self.attachments.states.take(caller)?;
        if let Some(present) = self.still_there(present).await? {
            return Ok(UploadState::present(&present));
        }
        let Attachments { staging, resting, .. } = self.attachments.clone();
        let key = key_of(operator, &declared);
        let durable = self.block(move || match resting.durable(&key) {
            Some(durable) => Ok(durable),
            None => staging.durable(&key).map_err(|error| io_away(&error)),
        });
        let durable_offset = i64::try_from(durable.await?).unwrap_or(declared.size).min(declared.size);
        // It may have become whole since it was looked for, and then nothing is staged any more.
        if durable_offset == 0
            && let Some(present) = self.still_there(self.present(operator, file).await?).await?
        {
            return Ok(UploadState::present(&present));
        }
        Ok(UploadState { sha256: file, size: declared.size, durable_offset, present: false })
    }

    /// What there is of a file that a report declares which the caller may see.
    async fn find_file(&self, caller: &Caller, report: ReportId, file: Sha256Sum) -> Result<Found, Error> {
        let asked_at = Instant::now();
        let known = find_known(self.store.keyed(), report, file).await?;
        let Known { operator, declared, present, is_marked } =
            known.ok_or_else(|| Error::not_found(Kind::Report, report))?;
        self.expect_seen(caller, operator, Kind::Report, report).await?;
        let declared = declared.ok_or_else(|| Error::not_found(Kind::Attachment, hex(&file)))?;
        Ok(Found { operator, declared, present, mark: Mark { is_marked, asked_at } })
    }

    /// The file, if the store still has it: what it has lost can be sent again.
    async fn still_there(&self, file: Option<Present>) -> Result<Option<Present>, Error> {
        let Some(file) = file else { return Ok(None) };
        let size = self.attachments.objects.size_of(&file.sha256).await?;
        let is_there = size == Some(file.size.unsigned_abs());
        if !is_there {
            tracing::error!(sha256 = hex(&file.sha256), ?size, "the store of attachments has lost a file");
        }
        Ok(is_there.then_some(file))
    }

    async fn present(&self, operator: OrganizationId, file: Sha256Sum) -> Result<Option<Present>, Error> {
        Ok(list_present(self.store.keyed(), operator, &[file]).await?.pop())
    }

    /// Runs work that blocks on a thread for such, to its end.
    async fn block<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|lost| Err(Error::Internal(Box::new(lost))))
    }
}

const fn key_of(operator: OrganizationId, declared: &Attachment) -> UploadKey {
    UploadKey { operator: operator.uuid(), sha256: declared.sha256, size: declared.size }
}
