//! A caller's socket, shared between the HTTP machinery that reads and writes it
//! and the watch that notices when the caller has gone.
//!
//! hyper does not read while it waits for an answer of ours (half-close is allowed,
//! see below), so it cannot see that a caller reset the connection. The watch asks
//! the operating system instead, without reading a byte.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, timeout_at};

use super::ListenSettings;
use super::limits::Permit;
use super::tap::Tap;

/// How long a closed connection is still drained: per wait, and in all.
const LINGER: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(10));

/// The connection itself; it counts against the limits until its descriptor is closed.
struct Open {
    stream: TcpStream,
    silence_after_fin: Duration,
    _place: Permit,
}

/// One accepted TCP connection; errs when the peer takes nothing for too long.
pub(crate) struct CallerSocket {
    open: Arc<Open>,
    write_stall: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl CallerSocket {
    pub(super) fn new(stream: TcpStream, place: Permit, settings: &ListenSettings) -> Self {
        Self {
            open: Arc::new(Open {
                stream,
                silence_after_fin: settings.silence_after_fin,
                _place: place,
            }),
            write_stall: settings.write_stall,
            stalled: None,
        }
    }

    pub(crate) fn watch(&self) -> CallerWatch {
        CallerWatch {
            open: Some(Arc::clone(&self.open)),
            tap: Tap::default(),
        }
    }

    /// Runs a write attempt; while the peer's window stays shut, the stall clock runs.
    fn poll_write_with(
        &mut self,
        cx: &mut Context<'_>,
        mut attempt: impl FnMut(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            if self.open.stream.poll_write_ready(cx)?.is_pending() {
                let limit = self.write_stall;
                let timer = self
                    .stalled
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
                ready!(timer.as_mut().poll(cx));
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the caller stopped reading",
                )));
            }
            match attempt(&self.open.stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => {
                    self.stalled = None;
                    return Poll::Ready(outcome);
                }
            }
        }
    }
}

impl AsyncRead for CallerSocket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.open.stream.poll_read_ready(cx))?;
            match self.open.stream.try_read(buf.initialize_unfilled()) {
                Ok(count) => {
                    buf.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for CallerSocket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut()
            .poll_write_with(cx, |stream| stream.try_write(buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut()
            .poll_write_with(cx, |stream| stream.try_write_vectored(bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match socket2::SockRef::from(&self.open.stream).shutdown(Shutdown::Write) {
            Err(error) if error.kind() != io::ErrorKind::NotConnected => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(())),
        }
    }
}

/// Tells when the caller of an HTTP/1 request has gone while it waits for us.
#[derive(Clone)]
pub struct CallerWatch {
    /// `None` where the HTTP machinery itself notices (HTTP/2 reads all the time).
    open: Option<Arc<Open>>,
    /// What is known about the request that the caller sends.
    tap: Tap,
}

impl CallerWatch {
    /// A watch that never fires.
    pub fn never() -> Self {
        Self {
            open: None,
            tap: Tap::default(),
        }
    }

    /// The same watch, told by `tap` how far a request has been read.
    pub(super) fn with_tap(self, tap: Tap) -> Self {
        Self { tap, ..self }
    }

    /// Completes at once on a reset, or [`silence_after_fin`] after a FIN. While a body
    /// is being read, a FIN is only the end of it and starts nothing.
    ///
    /// [`silence_after_fin`]: ListenSettings::silence_after_fin
    ///
    /// Start it anew after each byte sent to the caller.
    pub async fn gone(&self) {
        let Some(open) = &self.open else {
            return std::future::pending().await;
        };
        tokio::select! {
            () = reset(&open.stream) => {}
            () = silent_after_fin(open, &self.tap) => {}
        }
    }

    /// Prepares the socket for a tunnel, after the caller turned out to be a host.
    pub fn tune_for_tunnel(&self) {
        if let Some(open) = &self.open {
            crate::tunnel::tune_socket(&open.stream);
        }
    }

    /// Reads and forgets what the caller still sends after our last byte.
    ///
    /// Closing a socket with unread bytes resets the connection, and a reset takes
    /// from the caller an answer it has not read yet (RFC 9112 section 9.6).
    pub(super) async fn linger(&self) {
        let Some(open) = &self.open else { return };
        let (silence, limit) = LINGER;
        let end = Instant::now() + limit;
        let mut scrap = [0; 4096];
        loop {
            let wait = end.min(Instant::now() + silence);
            let Ok(Ok(())) = timeout_at(wait, open.stream.readable()).await else {
                return;
            };
            match open.stream.try_read(&mut scrap) {
                Ok(0) => return,
                Ok(_) if Instant::now() < end => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(_) | Err(_) => return,
            }
        }
    }
}

async fn reset(stream: &TcpStream) {
    // EPOLLERR is the one event that a reset sets and a FIN does not.
    if stream.ready(Interest::ERROR).await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn silent_after_fin(open: &Open, tap: &Tap) {
    // Waiting for readability would return at once while something is left unread.
    while tap.is_body_awaited() || !has_fin(&open.stream) {
        tokio::time::sleep(open.silence_after_fin.min(Duration::from_secs(1))).await;
    }
    tokio::time::sleep(open.silence_after_fin).await;
}

/// Whether the caller closed its half, even when bytes are left to read before the end:
/// a TLS farewell always is.
fn has_fin(stream: &TcpStream) -> bool {
    stream
        .ready(Interest::READABLE)
        .now_or_never()
        .is_some_and(|ready| ready.is_ok_and(Ready::is_read_closed))
}
