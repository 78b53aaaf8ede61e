//! A gRPC status as the last frame of a body that has already begun.
//!
//! It must not know why a call ended.

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use tonic::Status;

/// The trailers frame for `status`. Fails only if its text cannot be a header value, which the
/// fixed texts of this layer rule out; hyper then resets the stream.
pub(super) fn trailers(status: &Status) -> Result<Frame<Bytes>, Status> {
    let mut headers = HeaderMap::new();
    status.add_header(&mut headers)?;
    Ok(Frame::trailers(headers))
}
