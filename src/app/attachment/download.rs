//! Downloads: a range of a file, in pieces, no faster than its reader takes them.

use bytes::Bytes;
use tokio::sync::mpsc;
use tracing::Instrument as _;

use crate::app::App;
use crate::app::attachment::Found;
use crate::domain::caller::Caller;
use crate::domain::field_report::media::served;
use crate::domain::ids::ReportId;
use crate::domain::kind::Kind;
use crate::error::{Away, Error, Violations};
use crate::files::{Sha256Sum, hex};

/// The most bytes of a piece.
pub const PIECE_BYTES: usize = 64 * 1024;
/// Bytes that are read from the store at a time.
const READ_BYTES: u64 = 512 * 1024;
/// Pieces that wait for a slow reader.
const PIECES_WAITING_MAX: usize = 4;

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Where it begins.
    pub read_offset: u64,
    /// Its bytes.
    pub content: Bytes,
}

/// A file on its way.
#[derive(Debug)]
pub struct Download {
    /// Bytes of the whole file.
    pub size: i64,
    /// What it may be shown as.
    pub media_type: &'static str,
    /// A name for people.
    pub name: String,
    /// Its pieces, in order and without gaps; an error is the last.
    pub pieces: mpsc::Receiver<Result<Piece, Error>>,
}

impl App {
    /// Begins to send a range of a file; a limit of 0 is all that is left.
    ///
    /// # Errors
    /// `NotFound` when the caller sees no such report, it declares no such file, or the file is not present; `Invalid` for an
    /// offset behind its end; a quota for too many downloads.
    pub async fn open_download(
        &self,
        caller: &Caller,
        report: ReportId,
        file: Sha256Sum,
        (from, limit): (u64, u64),
    ) -> Result<Download, Error> {
        self.feed.expect_open()?;
        let Found { declared, present, .. } = self.find_file(caller, report, file).await?;
        let present = present.ok_or_else(|| Error::not_found(Kind::Attachment, hex(&file)))?;
        let size = u64::try_from(present.size).unwrap_or(0);
        if size < from {
            let rule = format!("is {from}, but the file has {size} bytes; read from 0 to {size}");
            return Err(Violations::one("read_offset", rule));
        }
        let until = if limit == 0 { size } else { from.saturating_add(limit).min(size) };
        let seat = self.attachments.downloads.take(caller)?;
        let (sender, pieces) = mpsc::channel(PIECES_WAITING_MAX);
        let app = self.clone();
        let sending = async move {
            let drain = app.feed.drain().clone();
            let done = drain.run_until_cancelled(app.send(file, from..until, &sender)).await;
            let last = done.unwrap_or(Err(Error::Unavailable(Away::Draining)));
            if let Err(error) = last {
                // Nobody hears of it when the reader is gone.
                let _gone = sender.send(Err(error)).await;
            }
            drop(seat);
        };
        tokio::spawn(sending.in_current_span());
        let media_type = served(&declared.media_type, &present.media_type);
        Ok(Download { size: present.size, media_type, name: declared.name, pieces })
    }

    async fn send(
        &self,
        file: Sha256Sum,
        range: std::ops::Range<u64>,
        sender: &mpsc::Sender<Result<Piece, Error>>,
    ) -> Result<(), Error> {
        let mut read_offset = range.start;
        while read_offset < range.end {
            let to = (read_offset + READ_BYTES).min(range.end);
            let mut read = self.attachments.objects.read(&file, read_offset, to).await?;
            if read.is_empty() {
                return Err(Error::bug(format!("attachment {} is shorter than it was", hex(&file))));
            }
            while !read.is_empty() {
                let content = read.split_to(read.len().min(PIECE_BYTES));
                let length = content.len() as u64;
                if sender.send(Ok(Piece { read_offset, content })).await.is_err() {
                    return Ok(());
                }
                read_offset += length;
            }
        }
        Ok(())
    }
}
