//! HTTP/2 without a gRPC library above it: one frame out, one frame in. The generator shares the processors
//! with the service, so it does no more than the protocol asks for.

use std::future::poll_fn;

use bytes::{Buf as _, Bytes, BytesMut};
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, StatusCode};
use tokio::net::TcpStream;

use crate::Failure;

/// What the service may send ahead of us, on a call and on a connection.
const WINDOW: u32 = 8 * 1024 * 1024;
/// Flag and length before each message.
const PREFIX: usize = 5;

/// A connection that makes calls of one method.
#[derive(Clone)]
pub(crate) struct Line {
    sender: SendRequest<Bytes>,
    head: Request<()>,
}

impl Line {
    pub(crate) async fn connect(address: &str, method: &str) -> Result<Self, Failure> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(WINDOW).initial_connection_window_size(WINDOW).enable_push(false);
        let (sender, connection) = builder.handshake(socket).await?;
        // A connection that breaks fails the calls on it, which tell.
        tokio::spawn(connection);
        let head = Request::post(format!("http://{address}/safelane.v1.FundingService/{method}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())?;
        Ok(Self { sender: sender.ready().await?, head })
    }

    /// Begins a call.
    pub(crate) async fn open(&mut self) -> Result<(ResponseFuture, SendStream<Bytes>), Failure> {
        poll_fn(|context| self.sender.poll_ready(context)).await?;
        Ok(self.sender.send_request(self.head.clone(), false)?)
    }

    /// A whole unary call: a framed message out, the message that came back, without its frame.
    pub(crate) async fn call(&mut self, framed: Bytes) -> Result<Bytes, Failure> {
        let (answer, mut out) = self.open().await?;
        out.send_data(framed, true)?;
        let mut body = body(answer).await?;
        let mut rest = BytesMut::new();
        while let Some(part) = next(&mut body).await? {
            rest.extend_from_slice(&part);
        }
        end(&mut body).await?;
        match (message(&mut rest)?, rest.is_empty()) {
            (Some(message), true) => Ok(message),
            _ => Err("a call was not answered by exactly one message".into()),
        }
    }
}

/// The body of an answer. A refusal without a body has its status here.
pub(crate) async fn body(answer: ResponseFuture) -> Result<RecvStream, Failure> {
    let answer = answer.await?;
    if answer.status() != StatusCode::OK || answer.headers().contains_key("grpc-status") {
        return Err(refusal(answer.headers()));
    }
    Ok(answer.into_body())
}

/// The next bytes of a body.
pub(crate) async fn next(body: &mut RecvStream) -> Result<Option<Bytes>, Failure> {
    let Some(part) = body.data().await.transpose()? else { return Ok(None) };
    body.flow_control().release_capacity(part.len())?;
    Ok(Some(part))
}

/// What stands at the end of an answer must be the status OK.
pub(crate) async fn end(body: &mut RecvStream) -> Result<(), Failure> {
    let trailers = body.trailers().await?.ok_or("an answer without a status")?;
    if trailers.get("grpc-status").is_some_and(|status| status == "0") {
        return Ok(());
    }
    Err(refusal(&trailers))
}

/// Takes one framed message off the front, when it is there as a whole.
pub(crate) fn message(rest: &mut BytesMut) -> Result<Option<Bytes>, Failure> {
    let Some(&[flag, a, b, c, d]) = rest.first_chunk::<PREFIX>() else { return Ok(None) };
    if flag != 0 {
        return Err("an answer is compressed, which nobody asked for".into());
    }
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d]))?;
    if rest.len() < PREFIX + length {
        return Ok(None);
    }
    rest.advance(PREFIX);
    Ok(Some(rest.split_to(length).freeze()))
}

fn refusal(headers: &HeaderMap) -> Failure {
    format!("a call was refused: {headers:?}").into()
}
