//! Waiting for a response head without punishing long uploads.
//!
//! The limit counts from the last byte of the request body that moved, not from the
//! start: a printer's server answers an upload only after the whole of it.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

/// When a request last moved, and how much of its body has.
#[derive(Clone)]
pub struct Progress(Arc<State>);

struct State {
    last: Mutex<Instant>,
    bytes: AtomicU64,
}

impl Progress {
    /// Starts counting now.
    pub fn start() -> Self {
        Self(Arc::new(State {
            last: Mutex::new(Instant::now()),
            bytes: AtomicU64::new(0),
        }))
    }

    /// Bytes of the request body passed on so far.
    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    fn moved(&self, bytes: usize) {
        self.0.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last(&self) -> Instant {
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Awaits `answer`, but no longer than `limit` after the last movement.
    pub async fn within<F: Future>(&self, limit: Duration, answer: F) -> Option<F::Output> {
        tokio::pin!(answer);
        loop {
            let deadline = self.last() + limit;
            tokio::select! {
                output = &mut answer => return Some(output),
                () = tokio::time::sleep_until(deadline) => {
                    if self.last() + limit <= deadline {
                        return None;
                    }
                }
            }
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

impl<B: Body<Data = Bytes> + Unpin> Body for Observed<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.inner).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &frame {
            this.progress.moved(frame.data_ref().map_or(0, Bytes::len));
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
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silence_is_not_waited_for_longer_than_the_limit() {
        let progress = Progress::start();
        let answer = progress.within(Duration::from_secs(30), std::future::pending::<()>());
        assert_eq!(answer.await, None);
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
