//! Bodies that pass no faster than somebody allows.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::Sleep;

use crate::body::{self, Body, BodyError};

/// A body whose pieces are handed on after as long a wait as `wait` says, which is told their sizes.
pub fn throttled<W>(body: Body, wait: W) -> Body
where
    W: FnMut(u64) -> Duration + Send + 'static,
{
    if body.is_end_stream() {
        return body;
    }
    body::boxed(Throttled {
        inner: body,
        wait,
        held: None,
    })
}

struct Throttled<W> {
    inner: Body,
    wait: W,
    held: Option<(Frame<Bytes>, Pin<Box<Sleep>>)>,
}

// Nothing in it is pinned.
impl<W> Unpin for Throttled<W> {}

impl<W: FnMut(u64) -> Duration> http_body::Body for Throttled<W> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if this.held.is_none() {
            let frame = match ready!(Pin::new(&mut this.inner).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                end => return Poll::Ready(end),
            };
            let size = frame.data_ref().map_or(0, Bytes::len) as u64;
            let wait = (this.wait)(size);
            if wait.is_zero() {
                return Poll::Ready(Some(Ok(frame)));
            }
            this.held = Some((frame, Box::pin(tokio::time::sleep(wait))));
        }
        if let Some((_, until)) = &mut this.held {
            ready!(until.as_mut().poll(cx));
        }
        Poll::Ready(this.held.take().map(|(frame, _)| Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let held = self.held.as_ref().and_then(|(frame, _)| frame.data_ref());
        let held = held.map_or(0, Bytes::len) as u64;
        let inner = self.inner.size_hint();
        let mut hint = SizeHint::new();
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + held);
        }
        hint.set_lower(inner.lower() + held);
        hint
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, StreamBody};
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_piece_waits_as_long_as_it_is_told_and_nothing_is_lost() {
        let pieces =
            ["one", "", "three"].map(|text| Ok::<_, BodyError>(Frame::data(Bytes::from(text))));
        let stream = StreamBody::new(futures_util::stream::iter(pieces));
        let body = throttled(body::boxed(stream), Duration::from_secs);
        let before = Instant::now();
        let all = body.collect().await.unwrap().to_bytes();
        assert_eq!(all, "onethree");
        assert_eq!(before.elapsed(), Duration::from_secs(8));
    }

    #[tokio::test(start_paused = true)]
    async fn its_length_stays_told_while_a_piece_waits() {
        let mut body = throttled(body::full("four"), |_| Duration::from_secs(1));
        assert_eq!(body.size_hint().exact(), Some(4));
        let next = futures_util::poll!(body.frame());
        assert!(next.is_pending());
        assert_eq!(body.size_hint().exact(), Some(4));
        assert!(!body.is_end_stream());
        assert!(body.frame().await.unwrap().is_ok());
        assert!(body.is_end_stream());
    }
}
