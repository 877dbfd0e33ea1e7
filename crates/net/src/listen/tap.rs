//! Sees the bytes of a connection just before hyper parses them.
//!
//! Two things cannot be learned from hyper afterwards: that a request head carried
//! both `Content-Length` and `Transfer-Encoding` (hyper drops the former without a
//! trace), and that a head has been trickling in for too long on a connection that
//! was allowed to idle. The tap looks for the former in what passes and keeps none of it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::gate::framing::LengthScan;

/// hyper's read buffer limit. A head that does not fit is answered 431.
pub(crate) const READ_BUFFER: usize = 64 * 1024;

/// The gate's view of one connection.
#[derive(Clone, Default)]
pub struct Tap(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    lengths: LengthScan,
    reading: Reading,
    body_lost: bool,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum Reading {
    /// Between requests; no byte of the next head has come.
    #[default]
    Idle,
    /// Some bytes of a head are there, the rest is due by then.
    Head(Instant),
    /// hyper took the head; what follows may be a body.
    Request,
    /// No longer HTTP.
    Upgraded,
}

impl Tap {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// hyper took a request; says whether a head seen so far had both lengths.
    pub(crate) fn request_taken(&self) -> bool {
        let mut state = self.state();
        state.reading = Reading::Request;
        state.lengths.found()
    }

    /// The body of the request has been read to its end: a new head may start.
    pub(crate) fn body_ended(&self) {
        let mut state = self.state();
        if state.reading == Reading::Request {
            state.reading = Reading::Idle;
        }
    }

    /// The body of the request broke off or was dropped unread.
    pub(crate) fn body_lost(&self) {
        self.state().body_lost = true;
    }

    pub(crate) fn is_body_lost(&self) -> bool {
        self.state().body_lost
    }

    /// Whether the caller may be in the middle of a request.
    pub(crate) fn is_mid_request(&self) -> bool {
        matches!(self.state().reading, Reading::Head(_) | Reading::Request)
    }

    /// Whether somebody still reads the body of the request.
    pub(crate) fn is_body_awaited(&self) -> bool {
        let state = self.state();
        state.reading == Reading::Request && !state.body_lost
    }

    /// From here on the bytes are not ours to understand.
    pub(crate) fn upgraded(&self) {
        self.state().reading = Reading::Upgraded;
    }

    fn saw(&self, bytes: &[u8], head_timeout: Duration) {
        let mut state = self.state();
        match state.reading {
            Reading::Upgraded => return,
            Reading::Idle => state.reading = Reading::Head(Instant::now() + head_timeout),
            Reading::Head(_) | Reading::Request => {}
        }
        state.lengths.saw(bytes);
    }

    fn head_deadline(&self) -> Option<Instant> {
        match self.state().reading {
            Reading::Head(deadline) => Some(deadline),
            _ => None,
        }
    }
}

/// A stream with a tap on its reading side and a deadline for request heads.
pub(crate) struct Tapped<S> {
    inner: S,
    tap: Tap,
    head_timeout: Duration,
    timer: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl<S> Tapped<S> {
    pub(crate) fn new(inner: S, tap: Tap, head_timeout: Duration) -> Self {
        Self {
            inner,
            tap,
            head_timeout,
            timer: None,
        }
    }

    fn poll_head_timeout(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.tap.head_deadline() else {
            self.timer = None;
            return Poll::Pending;
        };
        if self.timer.as_ref().is_none_or(|(at, _)| *at != deadline) {
            self.timer = Some((deadline, Box::pin(tokio::time::sleep_until(deadline))));
        }
        match &mut self.timer {
            Some((_, timer)) => timer.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tapped<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        match Pin::new(&mut this.inner).poll_read(cx, buf) {
            Poll::Pending => {
                ready!(this.poll_head_timeout(cx));
                Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the request head took too long",
                )))
            }
            Poll::Ready(outcome) => {
                let new = &buf.filled()[before..];
                if !new.is_empty() {
                    this.tap.saw(new, this.head_timeout);
                }
                Poll::Ready(outcome)
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tapped<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
