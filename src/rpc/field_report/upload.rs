//! `UploadAttachment` and `GetUploadState`. An upload is read and written in a task of its own, so that what was read is
//! durable although the client, or its link, is gone.

use std::time::Duration;

use tokio::time::timeout;
use tokio_stream::StreamExt as _;
use tonic::{Status, Streaming};

use crate::app::App;
use crate::app::attachment::UploadState;
use crate::app::attachment::upload::{Begun, Chunk, Upload};
use crate::domain::caller::Caller;
use crate::domain::ids::ReportId;
use crate::error::{Away, Error, Violations};
use crate::files::Sha256Sum;
use crate::rpc::convert::field_report::{read_sha256, upload_state};
use crate::rpc::groups::{End, Group, read_group};
use crate::rpc::pb;
use crate::rpc::pb::upload_attachment_request::Part;
use crate::rpc::read::Reader;
use crate::rpc::status::not_taken_in;

/// The most bytes of a chunk.
const CHUNK_BYTES_MAX: usize = 64 * 1024;
/// The most chunks that are read at once.
const GROUP_CHUNKS_MAX: usize = 64;
/// A group that has this many bytes is not filled further.
const GROUP_BYTES_MAX: u32 = 256 * 1024;
/// An upload from which nothing comes for so long is ended.
const IDLE_MAX: Duration = Duration::from_mins(2);

pub(super) async fn state(
    app: &App,
    caller: &Caller,
    sent: &pb::GetUploadStateRequest,
) -> Result<pb::GetUploadStateResponse, Error> {
    let (report, file) = read_file(("report_id", &sent.report_id), ("sha256", &sent.sha256))?;
    let state = app.get_upload_state(caller, report, file).await?;
    Ok(pb::GetUploadStateResponse { upload: Some(upload_state(&state)) })
}

/// Which file of which report is meant.
pub(super) fn read_file(report: (&str, &str), file: (&str, &[u8])) -> Result<(ReportId, Sha256Sum), Error> {
    let mut reader = Reader::default();
    let report = reader.id(report.0, report.1, ReportId::new);
    let file = read_sha256(&mut reader, file.0, file.1);
    reader.finish(report.zip(file))
}

pub(super) async fn upload(
    app: &App,
    caller: Caller,
    mut sent: Streaming<pb::UploadAttachmentRequest>,
) -> Result<pb::UploadAttachmentResponse, Status> {
    let (report, file) = read_begin(first(&mut sent).await?)?;
    // Begun in the task as well: whoever waits for another writer may be gone when its turn comes.
    let work = {
        let app = app.clone();
        Box::pin(async move {
            match app.begin_upload(&caller, report, file).await? {
                Begun::Present(state) => Ok(Ok(state)),
                Begun::Upload(upload) => Ok(Box::pin(receive(&app, *upload, sent)).await),
            }
        })
    };
    let state = app.detach(work).await.map_err(Status::from)??;
    Ok(pb::UploadAttachmentResponse { upload: Some(upload_state(&state)) })
}

async fn first(sent: &mut Streaming<pb::UploadAttachmentRequest>) -> Result<Option<Part>, Status> {
    match timeout(IDLE_MAX, sent.next()).await {
        Ok(Some(Ok(first))) => Ok(first.part),
        Ok(Some(Err(status))) => Err(not_taken_in(&status).unwrap_or(status)),
        Ok(None) => Ok(None),
        Err(_) => Err(Error::DeadlineExceeded.into()),
    }
}

fn read_begin(first: Option<Part>) -> Result<(ReportId, Sha256Sum), Error> {
    match first {
        Some(Part::Begin(begin)) => {
            read_file(("begin.report_id", &begin.report_id), ("begin.sha256", &begin.sha256))
        }
        Some(Part::Chunk(_)) => {
            Err(Violations::one("chunk", "comes before begin; say first which file it is"))
        }
        None => Err(Violations::one("begin", "is missing; say first which file it is")),
    }
}

/// Reads chunks until the client has no more, is gone or wrong, or has to make room. The end is the same: what was read
/// is durable.
async fn receive(
    app: &App,
    mut upload: Upload,
    mut sent: Streaming<pb::UploadAttachmentRequest>,
) -> Result<UploadState, Status> {
    let told = receive_all(app, &mut upload, &mut sent).await;
    let ended = upload.end(told.is_err()).await;
    // What is wrong with the file comes before how the stream ended; a client that is gone hears neither.
    match (told, ended) {
        (_, Err(error)) => Err(error.into()),
        (Err(status), Ok(state)) if !state.present => Err(status),
        (_, Ok(state)) => Ok(state),
    }
}

async fn receive_all(
    app: &App,
    upload: &mut Upload,
    sent: &mut Streaming<pb::UploadAttachmentRequest>,
) -> Result<(), Status> {
    let (drain, stop) = (app.feed().drain().clone(), upload.stop());
    loop {
        let full = (GROUP_CHUNKS_MAX, GROUP_BYTES_MAX);
        let group = tokio::select! {
            written = upload.written(), if upload.is_writing() => {
                written?;
                continue;
            }
            // Nothing is lost when this is dropped: a group holds nothing while it waits.
            group = timeout(IDLE_MAX, read_group(sent, full, with_share)), if upload.has_room() => match group {
                Ok(group) => group,
                Err(_) => return Err(Error::DeadlineExceeded.into()),
            },
            () = drain.cancelled() => return Err(Error::Unavailable(Away::Draining).into()),
            () = stop.cancelled() => return Err(Error::Contended.into()),
        };
        let Group { requests, last, .. } = group;
        let (chunks, wrong) = read_chunks(requests);
        if !chunks.is_empty() {
            upload.take(chunks)?;
        }
        wrong?;
        match last {
            Some(End::HalfClosed) => return Ok(()),
            Some(End::Failed(status)) => return Err(status),
            None => {}
        }
    }
}

fn with_share(request: pb::UploadAttachmentRequest) -> (pb::UploadAttachmentRequest, u32) {
    let share = match &request.part {
        Some(Part::Chunk(chunk)) => u32::try_from(chunk.content.len()).unwrap_or(GROUP_BYTES_MAX),
        _ => 0,
    };
    (request, share)
}

/// The chunks of a group up to the first one that is wrong, and what that is.
fn read_chunks(requests: Vec<pb::UploadAttachmentRequest>) -> (Vec<Chunk>, Result<(), Error>) {
    let mut chunks = Vec::with_capacity(requests.len());
    for request in requests {
        match read_chunk(request) {
            Ok(chunk) => chunks.push(chunk),
            Err(error) => return (chunks, Err(error)),
        }
    }
    (chunks, Ok(()))
}

fn read_chunk(request: pb::UploadAttachmentRequest) -> Result<Chunk, Error> {
    let chunk = match request.part {
        Some(Part::Chunk(chunk)) => chunk,
        Some(Part::Begin(_)) => {
            return Err(Violations::one(
                "begin",
                "comes a second time; open another upload for another file",
            ));
        }
        None => return Err(Violations::one("chunk", "is missing")),
    };
    let mut violations = Violations::default();
    if chunk.write_offset < 0 {
        let rule = format!("is {}; a file begins at 0", chunk.write_offset);
        violations.add("chunk.write_offset", rule);
    }
    if chunk.content.is_empty() || CHUNK_BYTES_MAX < chunk.content.len() {
        let rule = format!("has {} bytes; give 1 to {CHUNK_BYTES_MAX}", chunk.content.len());
        violations.add("chunk.content", rule);
    }
    violations.check()?;
    Ok(Chunk { write_offset: chunk.write_offset, content: chunk.content })
}
