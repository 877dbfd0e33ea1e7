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

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

/// One accepted TCP connection; errs when the peer takes nothing for too long.
pub(crate) struct CallerSocket {
    stream: Arc<TcpStream>,
    write_stall: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl CallerSocket {
    pub(crate) fn new(stream: TcpStream, write_stall: Duration) -> Self {
        Self {
            stream: Arc::new(stream),
            write_stall,
            stalled: None,
        }
    }

    pub(crate) fn watch(&self) -> CallerWatch {
        CallerWatch {
            stream: Some(Arc::clone(&self.stream)),
        }
    }

    /// Runs a write attempt; while the peer's window stays shut, the stall clock runs.
    fn poll_write_with(
        &mut self,
        cx: &mut Context<'_>,
        mut attempt: impl FnMut(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            if self.stream.poll_write_ready(cx)?.is_pending() {
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
            match attempt(&self.stream) {
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
            ready!(self.stream.poll_read_ready(cx))?;
            match self.stream.try_read(buf.initialize_unfilled()) {
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
        match socket2::SockRef::from(&*self.stream).shutdown(Shutdown::Write) {
            Err(error) if error.kind() != io::ErrorKind::NotConnected => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(())),
        }
    }
}

/// Tells when the caller of an HTTP/1 request has gone while it waits for us.
#[derive(Clone)]
pub struct CallerWatch {
    /// `None` where the HTTP machinery itself notices (HTTP/2 reads all the time).
    stream: Option<Arc<TcpStream>>,
}

/// How long a caller that closed its sending half may wait for the next byte of ours.
///
/// A FIN alone is a legal half-close (RFC 9293, 3.6), but it is also all we ever
/// see of a caller that closed its socket while we had nothing to send.
pub const SILENCE_AFTER_FIN: Duration = Duration::from_secs(30);

impl CallerWatch {
    /// A watch that never fires.
    pub fn never() -> Self {
        Self { stream: None }
    }

    /// Completes at once on a reset, or [`SILENCE_AFTER_FIN`] after a FIN.
    ///
    /// Start it anew after each byte sent to the caller.
    pub async fn gone(&self) {
        let Some(stream) = &self.stream else {
            return std::future::pending().await;
        };
        tokio::select! {
            () = reset(stream) => {}
            () = silent_after_fin(stream) => {}
        }
    }
}

async fn reset(stream: &TcpStream) {
    // EPOLLERR is the one event that a reset sets and a FIN does not.
    if stream.ready(Interest::ERROR).await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn silent_after_fin(stream: &TcpStream) {
    let mut since: Option<Instant> = None;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        match at_end(stream) {
            true if since.is_some_and(|start| start.elapsed() >= SILENCE_AFTER_FIN) => return,
            true => since = since.or_else(|| Some(Instant::now())),
            false => since = None,
        }
    }
}

/// Whether nothing but the end of the stream is left to read.
fn at_end(stream: &TcpStream) -> bool {
    let mut byte = [std::mem::MaybeUninit::uninit(); 1];
    matches!(socket2::SockRef::from(stream).peek(&mut byte), Ok(0))
}
