//! The numbers that bound what one client, or all of them, can cost the transport.
//!
//! Every limit of the accept loop is here, set on purpose, so that no upstream default decides.
//! It must not know what the service does: message sizes, quotas and page sizes belong to `rpc`.

use std::time::Duration;

use hyper_util::rt::TokioTimer;
use hyper_util::server::conn::auto;

/// Limits of the accept loop and of each connection. `Limits::default()` suits a small server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections at the same time. At the cap the loop stops accepting: further clients
    /// wait in the kernel's backlog. Keep it well under the process's file limit.
    /// At least 1 is used. Default 10,000.
    pub max_connections: usize,
    /// Time from accept until the first 24 bytes (the length of the HTTP/2 preface) have come.
    /// Default 10 s.
    pub preface_timeout: Duration,
    /// HTTP/1 only: time to send one whole request head. The wait for the next request on a
    /// kept-alive connection counts too, so this is also the idle limit. Default 30 s.
    pub header_read_timeout: Duration,
    /// HTTP/2 streams (calls) open at the same time on one connection, announced in SETTINGS.
    /// Default 100.
    pub max_concurrent_streams: u32,
    /// Streams that the peer reset before they were handled; above it the connection is closed
    /// (rapid reset, CVE-2023-44487). Default 20.
    pub max_pending_accept_reset_streams: usize,
    /// Streams that this side reset because the peer broke the protocol; above it the connection
    /// is closed (RUSTSEC-2024-0003). Default 1,024.
    pub max_local_error_reset_streams: usize,
    /// Bytes buffered for one stream that its client does not read. The worst case of a
    /// connection is this times `max_concurrent_streams`. At most `u32::MAX`; a larger value is
    /// lowered to it. hyper's own default is 400 KiB. Default 64 KiB.
    pub max_send_buf_size: usize,
    /// Bytes of request headers after decompression, as HTTP/2 counts them. Default 16 KiB.
    pub max_header_list_size: u32,
    /// Bytes that a client may send on one stream ahead of the handler, which works on some while others come. Default
    /// 512 KiB.
    pub stream_window: u32,
    /// Bytes that a client may send on one connection ahead of all handlers. Default 1 MiB.
    pub connection_window: u32,
    /// The most bytes of a HTTP/2 frame that a client may send. A message in one frame is read with fewer calls of the kernel:
    /// the largest chunk of a file fits. A value that HTTP/2 does not allow is changed to the next one that it does, from
    /// 16 KiB to 16 MiB (RFC 9113, 6.5.2). A connection may hold one that has not come in full, whoever it is. Default 68 KiB.
    pub max_frame_size: u32,
    /// Time between pings on an HTTP/2 connection, idle or not. Default 60 s.
    pub keepalive_interval: Duration,
    /// Time to wait for the answer to such a ping before the connection is dropped. Default 20 s.
    pub keepalive_timeout: Duration,
    /// While stopping: time that an HTTP/2 connection without open streams gets to answer the
    /// GOAWAY and to take its last bytes. Default 5 s.
    pub goodbye_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            preface_timeout: Duration::from_secs(10),
            header_read_timeout: Duration::from_secs(30),
            max_concurrent_streams: 100,
            max_pending_accept_reset_streams: 20,
            max_local_error_reset_streams: 1_024,
            max_send_buf_size: 64 * 1_024,
            max_header_list_size: 16 * 1_024,
            stream_window: 512 * 1_024,
            connection_window: 1_024 * 1_024,
            max_frame_size: 68 * 1_024,
            keepalive_interval: Duration::from_mins(1),
            keepalive_timeout: Duration::from_secs(20),
            goodbye_timeout: Duration::from_secs(5),
        }
    }
}

impl Limits {
    /// A connection builder with every limit set. Both protocols need the timer: without one
    /// hyper panics at the first keepalive and ignores the header time limit.
    pub(super) fn builder<E>(&self, executor: E) -> auto::Builder<E> {
        let mut builder = auto::Builder::new(executor);
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.header_read_timeout)
            .max_buf_size(self.http1_buffer());
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(self.max_concurrent_streams)
            .max_pending_accept_reset_streams(self.max_pending_accept_reset_streams)
            .max_local_error_reset_streams(self.max_local_error_reset_streams)
            .max_send_buf_size(self.send_buffer())
            .max_header_list_size(self.max_header_list_size)
            .max_frame_size(self.frame())
            .initial_stream_window_size(self.stream_window)
            .initial_connection_window_size(self.connection_window)
            .keep_alive_interval(self.keepalive_interval)
            .keep_alive_timeout(self.keepalive_timeout);
        builder
    }

    /// hyper panics above `u32::MAX`.
    fn send_buffer(&self) -> usize {
        self.max_send_buf_size.min(u32::MAX as usize)
    }

    /// h2 panics beyond what HTTP/2 allows.
    fn frame(&self) -> u32 {
        const ALLOWED: (u32, u32) = (16 * 1_024, 16 * 1_024 * 1_024 - 1);
        self.max_frame_size.clamp(ALLOWED.0, ALLOWED.1)
    }

    /// HTTP/1 has one buffer for head and body; hyper panics below 8 KiB.
    fn http1_buffer(&self) -> usize {
        const HYPER_MINIMUM: usize = 8_192;
        usize::try_from(self.max_header_list_size).unwrap_or(usize::MAX).max(HYPER_MINIMUM)
    }
}
