//! The byte stream under a tunnel: cut off on demand, and never silent for long.
//!
//! HTTP/2's own PING notices a peer that no longer answers, but hyper's server then
//! tries to send a GOAWAY and waits for a full send buffer for ever. So the byte stream
//! itself fails when nothing was read, or nothing could be written, for too long.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};

/// Why a tunnel's byte stream ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum End {
    /// The other side closed it.
    #[error("closed by the other side")]
    ClosedByPeer,
    /// Nothing came or went for as long as a live peer cannot be silent.
    #[error("no sign of life from the other side")]
    Silent,
    /// This side cut it.
    #[error("cut")]
    Cut,
    /// The network failed.
    #[error("{0}")]
    Failed(String),
    /// HTTP/2 was done with it, after GOAWAY or a protocol error.
    #[error("finished")]
    Finished,
}

/// Follows and ends a byte stream from outside.
#[derive(Debug, Clone)]
pub(super) struct Line {
    cut: CancellationToken,
    closed: CancellationToken,
    end: Arc<OnceLock<End>>,
    moved: Arc<AtomicU64>,
    /// Those that came.
    came: Arc<AtomicU64>,
}

impl Line {
    /// A line that is also cut with `parent`.
    pub(super) fn new(parent: &CancellationToken) -> Self {
        Self {
            cut: parent.child_token(),
            closed: CancellationToken::new(),
            end: Arc::default(),
            moved: Arc::default(),
            came: Arc::default(),
        }
    }

    /// Bytes that came and went.
    pub(super) fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }

    /// Bytes that came.
    pub(super) fn came(&self) -> u64 {
        self.came.load(Ordering::Relaxed)
    }

    fn note_moved(&self, bytes: usize) {
        self.moved.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn cut(&self) {
        self.cut.cancel();
    }

    /// Cuts when dropped, unless disarmed.
    pub(super) fn cut_on_drop(&self) -> DropGuard {
        self.cut.clone().drop_guard()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.is_cancelled() || self.cut.is_cancelled()
    }

    pub(super) async fn closed(&self) {
        self.closed.cancelled().await;
    }

    pub(super) fn end(&self) -> Option<End> {
        self.end.get().cloned()
    }
}

/// A byte stream with a [`Line`].
pub(super) struct Carrier<IO> {
    io: IO,
    line: Line,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    reads: Watch,
    writes: Watch,
}

impl<IO> Carrier<IO> {
    pub(super) fn new(io: IO, line: Line, dead_after: Duration) -> Self {
        let cut = Box::pin(line.cut.clone().cancelled_owned());
        Self {
            io,
            line,
            cut,
            reads: Watch::new(dead_after, Some(Instant::now())),
            writes: Watch::new(dead_after, None),
        }
    }

    fn end(&self, end: End) -> io::Error {
        let kind = match end {
            End::Silent => io::ErrorKind::TimedOut,
            _ => io::ErrorKind::ConnectionAborted,
        };
        let error = io::Error::new(kind, end.to_string());
        // The first reason is the true one; later ones follow from it.
        let _ = self.line.end.set(end);
        error
    }

    fn poll_cut(&mut self, cx: &mut Context<'_>) -> Option<io::Error> {
        self.cut
            .as_mut()
            .poll(cx)
            .is_ready()
            .then(|| self.end(End::Cut))
    }

    fn settle<T>(&self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &polled {
            let _ = self.line.end.set(End::Failed(error.to_string()));
        }
        polled
    }

    fn poll_written(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &polled {
            self.line.note_moved(*bytes);
        }
        if polled.is_ready() {
            self.writes.stop();
            return self.settle(polled);
        }
        if self.writes.poll_overdue(cx) {
            return Poll::Ready(Err(self.end(End::Silent)));
        }
        Poll::Pending
    }
}

impl<IO> Drop for Carrier<IO> {
    fn drop(&mut self) {
        // hyper's PING timer may have been first to notice the silence.
        let end = if self.reads.is_overdue() {
            End::Silent
        } else {
            End::Finished
        };
        let _ = self.line.end.set(end);
        self.line.closed.cancel();
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Carrier<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(error) = this.poll_cut(cx) {
            return Poll::Ready(Err(error));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.io).poll_read(cx, buf);
        if polled.is_pending() {
            if this.reads.poll_overdue(cx) {
                return Poll::Ready(Err(this.end(End::Silent)));
            }
            return Poll::Pending;
        }
        let read = buf.filled().len() - before;
        this.line.note_moved(read);
        this.line.came.fetch_add(read as u64, Ordering::Relaxed);
        if matches!(polled, Poll::Ready(Ok(()))) && read == 0 {
            let _ = this.line.end.set(End::ClosedByPeer);
        }
        this.reads.restart();
        this.settle(polled)
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Carrier<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(error) = self.poll_cut(cx) {
            return Poll::Ready(Err(error));
        }
        let polled = Pin::new(&mut self.io).poll_write(cx, buf);
        self.poll_written(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(error) = self.poll_cut(cx) {
            return Poll::Ready(Err(error));
        }
        let polled = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.poll_written(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(error) = self.poll_cut(cx) {
            return Poll::Ready(Err(error));
        }
        let polled = Pin::new(&mut self.io).poll_flush(cx);
        self.poll_written(cx, polled.map_ok(|()| 0)).map_ok(drop)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(error) = self.poll_cut(cx) {
            return Poll::Ready(Err(error));
        }
        let polled = Pin::new(&mut self.io).poll_shutdown(cx);
        self.poll_written(cx, polled.map_ok(|()| 0)).map_ok(drop)
    }
}

/// A deadline that moves with every sign of life.
struct Watch {
    limit: Duration,
    since: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Watch {
    fn new(limit: Duration, since: Option<Instant>) -> Self {
        Self {
            limit,
            since,
            sleep: None,
        }
    }

    fn restart(&mut self) {
        self.since = Some(Instant::now());
    }

    fn stop(&mut self) {
        self.since = None;
    }

    fn is_overdue(&self) -> bool {
        self.since
            .is_some_and(|since| since.elapsed() >= self.limit)
    }

    /// True once nothing happened for the limit. The timer is only moved when it fires,
    /// so a busy stream pays for one clock reading per read.
    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> bool {
        let due = *self.since.get_or_insert_with(Instant::now) + self.limit;
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        loop {
            if sleep.as_mut().poll(cx).is_pending() {
                return false;
            }
            if Instant::now() >= due {
                return true;
            }
            sleep.as_mut().reset(due);
        }
    }
}

/// Prepares a socket for a tunnel; what the platform lacks or forbids is left alone.
///
/// Both ends should do it: the host does when it dials, the relay when it accepts.
/// The low-water mark halves the wait of small requests behind bulk; BBR decides
/// everything under loss but is only there when the kernel allows it to this user.
pub fn tune_socket(socket: &tokio::net::TcpStream) {
    let _ = socket.set_nodelay(true);
    #[cfg(target_os = "linux")]
    {
        let socket = socket2::SockRef::from(socket);
        let _ = socket.set_tcp_user_timeout(Some(Duration::from_secs(15)));
        let _ = socket.set_tcp_notsent_lowat(16 * 1024);
        let _ = socket.set_tcp_congestion(b"bbr");
    }
}

/// The most connections that a host has to a relay.
pub const MOST_CONNECTIONS: u8 = 4;

/// Whether this process may choose BBR for its sockets.
#[cfg(target_os = "linux")]
pub fn allows_bbr() -> bool {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    socket.is_ok_and(|socket| socket.set_tcp_congestion(b"bbr").is_ok())
}

/// Whether this process may choose BBR for its sockets: Linux has it, others do not.
#[cfg(not(target_os = "linux"))]
pub const fn allows_bbr() -> bool {
    false
}

/// How many connections a host keeps to its relay if nobody says. With BBR two, so that small
/// requests get past bulk; without it more of them make up for lost packets.
pub fn usual_connections() -> u8 {
    if allows_bbr() { 2 } else { MOST_CONNECTIONS }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_tuned_socket_is_what_it_should_be() {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let address = listener.local_addr().unwrap();
        let (here, there) =
            tokio::join!(tokio::net::TcpStream::connect(address), listener.accept());
        for socket in [here.unwrap(), there.unwrap().0] {
            tune_socket(&socket);
            assert!(socket.nodelay().unwrap());
            let socket = socket2::SockRef::from(&socket);
            assert_eq!(socket.tcp_notsent_lowat().unwrap(), 16 * 1024);
            let timeout = socket.tcp_user_timeout().unwrap();
            assert_eq!(timeout, Some(Duration::from_secs(15)));
            let congestion = socket.tcp_congestion().unwrap();
            assert_eq!(congestion.starts_with(b"bbr"), allows_bbr());
        }
        assert_eq!(usual_connections(), if allows_bbr() { 2 } else { 4 });
    }
}
