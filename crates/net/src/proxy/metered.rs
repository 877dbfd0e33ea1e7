//! Bodies of which every piece is asked for before it passes.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

use crate::body::{self, Body, BodyError};

/// What becomes of a piece, and of what comes after it.
#[derive(Debug)]
pub enum Verdict {
    /// It passes.
    Pass,
    /// It does not, and the body ends before it, in good order.
    End,
    /// It does not, and the body fails: part of a file must not be taken for the whole.
    BreakOff(BodyError),
}

/// A body whose pieces pass as `meter` says, which is told their sizes. The meter is dropped with
/// the last piece, before that is handed on, so that whoever has the whole body finds what the
/// meter held released. `expected` is the body's length if its head tells it.
pub fn metered<M>(body: Body, expected: Option<u64>, meter: M) -> Body
where
    M: FnMut(u64) -> Verdict + Send + 'static,
{
    if body.is_end_stream() {
        return body;
    }
    body::boxed(Metered {
        inner: Some(body),
        meter: Some(meter),
        left: expected,
    })
}

struct Metered<M> {
    /// `None` after the end.
    inner: Option<Body>,
    /// `None` after the last piece.
    meter: Option<M>,
    left: Option<u64>,
}

impl<M> Metered<M> {
    fn close(&mut self) {
        self.inner = None;
        self.meter = None;
    }
}

// Nothing in it is pinned.
impl<M> Unpin for Metered<M> {}

impl<M: FnMut(u64) -> Verdict> http_body::Body for Metered<M> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let Some(inner) = &mut this.inner else {
            return Poll::Ready(None);
        };
        let frame = match ready!(Pin::new(inner).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            end => {
                this.close();
                return Poll::Ready(end);
            }
        };
        let size = frame.data_ref().map_or(0, Bytes::len) as u64;
        let verdict = match &mut this.meter {
            Some(meter) if size > 0 => meter(size),
            _ => Verdict::Pass,
        };
        match verdict {
            Verdict::Pass => {}
            Verdict::End => {
                this.close();
                return Poll::Ready(None);
            }
            Verdict::BreakOff(error) => {
                this.close();
                return Poll::Ready(Some(Err(error)));
            }
        }
        this.left = this.left.map(|left| left.saturating_sub(size));
        let is_last = this.left == Some(0)
            || this
                .inner
                .as_ref()
                .is_some_and(http_body::Body::is_end_stream);
        if is_last {
            this.meter = None;
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner
            .as_ref()
            .is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Some(inner) => inner.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::stream;
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("enough")]
    struct Enough;

    fn pieces(sizes: &'static [usize]) -> Body {
        let frames = stream::iter(sizes);
        body::boxed(StreamBody::new(futures_util::StreamExt::map(
            frames,
            |size| Ok::<_, BodyError>(Frame::data(Bytes::from(vec![b'x'; *size]))),
        )))
    }

    fn up_to(most: u64, over: fn() -> Verdict) -> impl FnMut(u64) -> Verdict + Send {
        let mut passed = 0;
        move |size| {
            passed += size;
            if passed > most { over() } else { Verdict::Pass }
        }
    }

    #[tokio::test]
    async fn a_body_fails_before_the_piece_that_is_too_much() {
        let over = || Verdict::BreakOff(Enough.into());
        let mut body = metered(pieces(&[3, 3, 3]), None, up_to(7, over));
        for _ in 0..2 {
            assert!(body.frame().await.unwrap().is_ok());
        }
        assert!(body.frame().await.unwrap().unwrap_err().is::<Enough>());
        assert!(body.frame().await.is_none());
    }

    #[tokio::test]
    async fn a_body_ends_in_good_order_before_the_piece_that_is_too_much() {
        let body = metered(pieces(&[3, 3, 3]), None, up_to(7, || Verdict::End));
        assert_eq!(body.collect().await.unwrap().to_bytes().len(), 6);
    }

    #[tokio::test]
    async fn what_the_meter_holds_is_released_with_the_last_piece_and_with_the_body() {
        let held = Arc::new(());
        let holding = |body, expected| {
            let held = Arc::clone(&held);
            metered(body, expected, move |_| {
                let _ = &held;
                Verdict::Pass
            })
        };
        let mut body = holding(pieces(&[3, 3]), Some(6));
        assert!(body.frame().await.unwrap().is_ok());
        assert_eq!(Arc::strong_count(&held), 2);
        assert!(body.frame().await.unwrap().is_ok());
        assert_eq!(
            Arc::strong_count(&held),
            1,
            "the last piece is told by the length"
        );
        let mut whole = holding(body::full("whole"), None);
        assert!(whole.frame().await.unwrap().is_ok());
        assert_eq!(Arc::strong_count(&held), 1, "and by its source");
        drop(holding(pieces(&[3]), None));
        drop(holding(body::empty(), None));
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
