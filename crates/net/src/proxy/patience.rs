//! Waiting for a response head without punishing long uploads.
//!
//! The limit counts from the last byte of the request body that moved, not from the
//! start: a printer's server answers an upload only after the whole of it. While the
//! caller keeps everybody waiting for its next byte it does not count at all: the
//! caller's own limit is the listener's (see [`super::pace`]).

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::pace::TooSlow;
use crate::body::BodyError;

/// When a request last moved, and how much of its body has.
#[derive(Clone)]
pub struct Progress(Arc<State>);

struct State {
    last: Mutex<Instant>,
    bytes: AtomicU64,
    /// The body was asked for more and has none yet.
    awaits_caller: AtomicBool,
    caller_too_slow: AtomicBool,
}

impl Progress {
    /// Starts counting now.
    pub fn start() -> Self {
        Self(Arc::new(State {
            last: Mutex::new(Instant::now()),
            bytes: AtomicU64::new(0),
            awaits_caller: AtomicBool::new(false),
            caller_too_slow: AtomicBool::new(false),
        }))
    }

    /// Bytes of the request body passed on so far.
    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Whether the body ended because the caller was too slow with it.
    ///
    /// The HTTP/2 client does not say so: to it a failed body is a reset stream.
    pub fn is_caller_too_slow(&self) -> bool {
        self.0.caller_too_slow.load(Ordering::Relaxed)
    }

    fn moved(&self, bytes: usize) {
        self.0.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last(&self) -> Instant {
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Awaits `answer`, but no longer than `limit` after the last movement, and after
    /// that no longer than the caller is waited for.
    pub async fn within<F: Future>(&self, limit: Duration, answer: F) -> Option<F::Output> {
        tokio::pin!(answer);
        let mut deadline = self.last() + limit;
        loop {
            tokio::select! {
                output = &mut answer => return Some(output),
                () = tokio::time::sleep_until(deadline) => {}
            }
            let moved = self.last() + limit;
            deadline = if moved > deadline {
                moved
            } else if self.0.awaits_caller.load(Ordering::Relaxed) {
                deadline + limit
            } else {
                return None;
            };
        }
    }
}

/// A request body that reports its movement.
pub struct Observed<B> {
    inner: B,
    progress: Progress,
}

impl<B> Observed<B> {
    /// Reports the movement of `inner` to `progress`.
    pub fn new(inner: B, progress: Progress) -> Self {
        Self { inner, progress }
    }
}

impl<B: Body<Data = Bytes, Error = BodyError> + Unpin> Body for Observed<B> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.inner).poll_frame(cx);
        let state = &this.progress.0;
        state
            .awaits_caller
            .store(frame.is_pending(), Ordering::Relaxed);
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                this.progress.moved(frame.data_ref().map_or(0, Bytes::len));
            }
            Poll::Ready(Some(Err(error))) if error.is::<TooSlow>() => {
                state.caller_too_slow.store(true, Ordering::Relaxed);
            }
            Poll::Ready(_) => this.progress.moved(0),
            Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silence_is_not_waited_for_longer_than_the_limit() {
        let progress = Progress::start();
        let answer = progress.within(Duration::from_secs(30), std::future::pending::<()>());
        assert_eq!(answer.await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_is_waited_for_and_then_the_answer_has_its_whole_limit() {
        let progress = Progress::start();
        let upload = progress.clone();
        let start = Instant::now();
        let caller = async move {
            let late = futures_util::stream::once(async {
                tokio::time::sleep(Duration::from_secs(100)).await;
                Ok::<_, BodyError>(Frame::data(Bytes::from_static(b"x")))
            });
            let body = http_body_util::StreamBody::new(Box::pin(late));
            let mut body = Observed::new(body, upload);
            while body.frame().await.is_some() {}
            std::future::pending::<()>().await;
        };
        let answer = progress.within(Duration::from_secs(30), caller).await;
        assert_eq!(answer, None);
        assert_eq!(start.elapsed(), Duration::from_secs(130));
    }

    #[tokio::test(start_paused = true)]
    async fn a_moving_upload_is_waited_for() {
        let progress = Progress::start();
        let upload = progress.clone();
        let answer = async move {
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_secs(20)).await;
                upload.moved(1);
            }
            "done"
        };
        let answer = progress.within(Duration::from_secs(30), answer).await;
        assert_eq!(answer, Some("done"));
        assert_eq!(progress.bytes(), 10);
    }
}
