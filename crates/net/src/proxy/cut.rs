//! Bodies that break off as soon as what allowed them has ended.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

use crate::body::{self, Body, BodyError};

/// Why such a body broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what allowed the transfer has ended")]
pub struct NoLongerAllowed;

/// A body that fails when `ended` is ready, even in the middle of it, and lets go of where it
/// came from. Not an end in good order: half a file must not be taken for a whole one.
pub fn cut_when<F>(body: Body, ended: F) -> Body
where
    F: Future<Output = ()> + Send + 'static,
{
    // What is there already has nothing to be cut off from.
    if body.is_end_stream() {
        return body;
    }
    body::boxed(CutWhen {
        inner: Some(body),
        ended: Box::pin(ended),
    })
}

struct CutWhen {
    /// `None` after the end, whichever it was.
    inner: Option<Body>,
    ended: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl http_body::Body for CutWhen {
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
        if this.ended.as_mut().poll(cx).is_ready() {
            this.inner = None;
            return Poll::Ready(Some(Err(NoLongerAllowed.into())));
        }
        let frame = ready!(Pin::new(inner).poll_frame(cx));
        if frame.is_none() {
            this.inner = None;
        }
        Poll::Ready(frame)
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
    use std::future::pending;

    use futures_util::{StreamExt, stream};
    use http_body_util::{BodyExt, StreamBody};
    use tokio_util::sync::CancellationToken;

    use super::*;

    fn endless() -> Body {
        let frames =
            stream::repeat_with(|| Ok::<_, BodyError>(Frame::data(Bytes::from_static(b"frame"))));
        body::boxed(StreamBody::new(frames))
    }

    #[tokio::test]
    async fn a_body_breaks_off_while_it_flows_and_while_it_waits() {
        let waiting = stream::iter([Ok::<_, BodyError>(Frame::data(Bytes::from_static(b"x")))]);
        let waiting = body::boxed(StreamBody::new(waiting.chain(stream::pending())));
        for body in [endless(), waiting] {
            let token = CancellationToken::new();
            let mut body = cut_when(body, token.clone().cancelled_owned());
            assert!(body.frame().await.unwrap().is_ok());
            let (frame, ()) = tokio::join!(body.frame(), async {
                token.cancel();
            });
            // What was on its way may still come, and nothing after it.
            let error = match frame.unwrap() {
                Err(error) => error,
                Ok(_) => body.frame().await.unwrap().unwrap_err(),
            };
            assert!(error.is::<NoLongerAllowed>());
            assert!(body.frame().await.is_none());
        }
    }

    #[tokio::test]
    async fn a_body_cut_off_lets_go_of_its_source() {
        let guard = std::sync::Arc::new(());
        let held = std::sync::Arc::clone(&guard);
        let frames = stream::poll_fn(move |_| {
            let _ = &held;
            Poll::<Option<Result<Frame<Bytes>, BodyError>>>::Pending
        });
        let mut body = cut_when(body::boxed(StreamBody::new(frames)), async {});
        assert!(body.frame().await.unwrap().is_err());
        assert_eq!(std::sync::Arc::strong_count(&guard), 1);
    }

    #[tokio::test]
    async fn a_body_left_alone_comes_whole() {
        let body = cut_when(body::full("whole"), pending());
        assert_eq!(body.size_hint().exact(), Some(5));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "whole");
        assert!(cut_when(body::empty(), pending()).is_end_stream());
    }
}
