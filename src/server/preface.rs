//! A byte stream that must say something soon.
//!
//! A client can connect and stay silent, or send half of the HTTP/2 preface. hyper has no time
//! limit for that, and waits for it without bound in a graceful shutdown (hyper#4170). This
//! wrapper fails the read instead. It must not know HTTP beyond the length of the preface.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Bytes of the HTTP/2 client preface. A gRPC-Web request over HTTP/1 is never shorter.
const PREFACE_LENGTH: usize = 24;

/// Reads fail with `TimedOut` if the first 24 bytes are not there in time. Writes pass through.
pub(super) struct FirstBytes<T> {
    stream: T,
    missing: usize,
    /// `None` once the bytes have come: a long-lived connection then carries no timer.
    limit: Option<Pin<Box<Sleep>>>,
}

impl<T> FirstBytes<T> {
    pub(super) fn within(limit: Duration, stream: T) -> Self {
        Self { stream, missing: PREFACE_LENGTH, limit: Some(Box::pin(sleep(limit))) }
    }

    fn note(&mut self, read: usize) {
        self.missing = self.missing.saturating_sub(read);
        if self.missing == 0 {
            self.limit = None;
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for FirstBytes<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.note(buffer.filled().len() - before);
        // The limit is looked at only while nothing comes; one slow byte does not renew it.
        if polled.is_pending()
            && let Some(limit) = self.limit.as_mut()
            && limit.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for FirstBytes<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    // Both are forwarded because h2 sends large messages as chained buffers: the defaults would
    // make one write call for each.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
