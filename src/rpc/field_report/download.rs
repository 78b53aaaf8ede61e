//! `DownloadAttachment`.

use std::pin::Pin;

use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::Status;

use crate::app::App;
use crate::app::attachment::download::Piece;
use crate::domain::caller::Caller;
use crate::error::Error;
use crate::rpc::pb;
use crate::rpc::pb::download_attachment_response::Part;
use crate::rpc::read::Reader;

use super::upload::read_file;

/// The messages of a download.
pub(super) type Downloading =
    Pin<Box<dyn Stream<Item = Result<pb::DownloadAttachmentResponse, Status>> + Send>>;

pub(super) async fn open(
    app: &App,
    caller: &Caller,
    sent: &pb::DownloadAttachmentRequest,
) -> Result<Downloading, Error> {
    let (report, file) = read_file(("report_id", &sent.report_id), ("sha256", &sent.sha256))?;
    let mut reader = Reader::default();
    let from = reader.within("read_offset", sent.read_offset, 0, i64::MAX);
    let limit = reader.within("read_limit", sent.read_limit, 0, i64::MAX);
    let (from, limit) = reader.finish(from.zip(limit))?;
    let range = (from.unsigned_abs(), limit.unsigned_abs());
    let download = app.open_download(caller, report, file, range).await?;
    let begin = Part::File(pb::DownloadedFile {
        sha256: file.to_vec(),
        size: download.size,
        media_type: download.media_type.to_owned(),
        name: download.name,
    });
    let begin = pb::DownloadAttachmentResponse { part: Some(begin) };
    let pieces = ReceiverStream::new(download.pieces).map(|piece| Ok(chunk(piece)));
    let cut = ReceiverStream::new(download.cut).map(|why| Err(why.into()));
    Ok(Box::pin(tokio_stream::once(Ok(begin)).chain(pieces).chain(cut)))
}

fn chunk(piece: Piece) -> pb::DownloadAttachmentResponse {
    let read_offset = i64::try_from(piece.read_offset).unwrap_or(i64::MAX);
    let chunk = pb::DownloadChunk { read_offset, content: piece.content };
    pb::DownloadAttachmentResponse { part: Some(Part::Chunk(chunk)) }
}
