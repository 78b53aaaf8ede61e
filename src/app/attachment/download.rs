//! Downloads: a range of a file, in pieces, no faster than its reader takes them.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::timeout;
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
/// A download from which its reader takes nothing for so long is ended.
const SLOW_MAX: Duration = Duration::from_mins(2);

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
    /// Its pieces, in order and without gaps.
    pub pieces: mpsc::Receiver<Piece>,
    /// What comes after them when they are not all: why.
    pub cut: mpsc::Receiver<Error>,
}

impl App {
    /// Begins to send a range of a file; a limit of 0 is all that is left.
    ///
    /// # Errors
    /// `NotFound` when the caller sees no such report, it declares no such file, or the file is not present; `Lost` when it
    /// was, and the store has lost it; `Invalid` for an offset behind its end; a quota for too many downloads.
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
        let present = self.still_there(Some(present)).await?.ok_or_else(|| lost(&file))?;
        let (sender, pieces) = mpsc::channel(PIECES_WAITING_MAX);
        let (last, cut) = mpsc::channel(1);
        let app = self.clone();
        let sending = async move {
            let drain = app.feed.drain().clone();
            let done = drain.run_until_cancelled(app.send(file, from..until, &sender)).await;
            drop(seat);
            if let Err(error) = done.unwrap_or(Err(Error::Unavailable(Away::Draining))) {
                // There is room for one, and nobody hears of it when the reader is gone.
                let _gone = last.try_send(error);
            }
        };
        tokio::spawn(sending.in_current_span());
        let media_type = served(&declared.media_type, &present.media_type);
        Ok(Download { size: present.size, media_type, name: declared.name, pieces, cut })
    }

    async fn send(
        &self,
        file: Sha256Sum,
        range: std::ops::Range<u64>,
        sender: &mpsc::Sender<Piece>,
    ) -> Result<(), Error> {
        let mut read_offset = range.start;
        while read_offset < range.end {
            let to = (read_offset + READ_BYTES).min(range.end);
            let read = self.attachments.objects.read(&file, read_offset, to).await?;
            let mut read = read.filter(|read| !read.is_empty()).ok_or_else(|| lost(&file))?;
            while !read.is_empty() {
                let content = read.split_to(read.len().min(PIECE_BYTES));
                let length = content.len() as u64;
                if !deliver(sender, Piece { read_offset, content }).await? {
                    return Ok(());
                }
                read_offset += length;
            }
        }
        Ok(())
    }
}

fn lost(file: &Sha256Sum) -> Error {
    Error::Lost { sha256: hex(file) }
}

/// Gives a piece to a reader. False when the reader is gone; an error when it takes nothing for long.
async fn deliver(sender: &mpsc::Sender<Piece>, piece: Piece) -> Result<bool, Error> {
    let taken = timeout(SLOW_MAX, sender.send(piece)).await;
    taken.map(|sent| sent.is_ok()).map_err(|_| Error::DeadlineExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_reads_nothing_for_long_is_let_go() {
        let (sender, mut pieces) = mpsc::channel(PIECES_WAITING_MAX);
        let piece = || Piece { read_offset: 0, content: Bytes::from_static(b"x") };
        for _ in 0..PIECES_WAITING_MAX {
            assert!(deliver(&sender, piece()).await.unwrap());
        }
        let begun = tokio::time::Instant::now();
        assert!(matches!(deliver(&sender, piece()).await, Err(Error::DeadlineExceeded)));
        assert_eq!(begun.elapsed(), SLOW_MAX);
        assert!(pieces.recv().await.is_some());
        assert!(deliver(&sender, piece()).await.unwrap(), "a slow reader is no problem");
        drop(pieces);
        assert!(!deliver(&sender, piece()).await.unwrap());
    }
}
