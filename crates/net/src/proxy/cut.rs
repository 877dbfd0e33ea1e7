//! Bodies that break off as soon as what allowed them has ended.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

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
        manner: Manner::BreakOff,
    })
}

/// How a body stops that something else ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// It fails.
    BreakOff,
    /// It ends as if that were all.
    End,
}

impl Manner {
    fn stop(self) -> Option<Result<Frame<Bytes>, BodyError>> {
        match self {
            Self::BreakOff => Some(Err(NoLongerAllowed.into())),
            Self::End => None,
        }
    }
}

/// The same, and lets go of the source at once even while nobody asks the body for more: a caller
/// that takes nothing must not keep open what it may no longer have. `ended` is dropped soon after
/// the body.
pub fn cut_at_once<F>(body: Body, ended: F, tracker: &TaskTracker) -> Body
where
    F: Future<Output = ()> + Send + 'static,
{
    stop_at_once(body, ended, tracker, Manner::BreakOff)
}

/// The same for what has no end of its own, as a camera's picture: it ends in good order.
pub fn end_at_once<F>(body: Body, ended: F, tracker: &TaskTracker) -> Body
where
    F: Future<Output = ()> + Send + 'static,
{
    stop_at_once(body, ended, tracker, Manner::End)
}

fn stop_at_once<F>(body: Body, ended: F, tracker: &TaskTracker, manner: Manner) -> Body
where
    F: Future<Output = ()> + Send + 'static,
{
    if body.is_end_stream() {
        return body;
    }
    let source = Source(Arc::new(Mutex::new(Some(body))));
    let (cut, over) = (CancellationToken::new(), CancellationToken::new());
    let taken = Source(Arc::clone(&source.0));
    let (fired, dropped) = (cut.clone(), over.clone());
    tracker.spawn(async move {
        tokio::select! {
            biased;
            () = dropped.cancelled() => {}
            () = ended => {
                drop(taken.lock().take());
                fired.cancel();
            }
        }
    });
    let inner = Watched {
        source,
        manner,
        _over: over.drop_guard(),
    };
    body::boxed(CutWhen {
        inner: Some(body::boxed(inner)),
        ended: Box::pin(cut.cancelled_owned()),
        manner,
    })
}

/// A body that somebody else may take away.
struct Source(Arc<Mutex<Option<Body>>>);

impl Source {
    fn lock(&self) -> MutexGuard<'_, Option<Body>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Watched {
    source: Source,
    manner: Manner,
    _over: DropGuard,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self.source.lock() {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(self.manner.stop()),
        }
    }

    fn is_end_stream(&self) -> bool {
        let source = self.source.lock();
        source.as_ref().is_some_and(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let source = self.source.lock();
        let hint = source.as_ref().map(http_body::Body::size_hint);
        hint.unwrap_or_default()
    }
}

struct CutWhen {
    /// `None` after the end, whichever it was.
    inner: Option<Body>,
    ended: Pin<Box<dyn Future<Output = ()> + Send>>,
    manner: Manner,
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
            return Poll::Ready(this.manner.stop());
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

    use super::*;
    use futures_util::{StreamExt, stream};
    use http_body_util::{BodyExt, StreamBody};

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
        let guard = Arc::new(());
        let held = Arc::clone(&guard);
        let frames = stream::poll_fn(move |_| {
            let _ = &held;
            Poll::<Option<Result<Frame<Bytes>, BodyError>>>::Pending
        });
        let mut body = cut_when(body::boxed(StreamBody::new(frames)), async {});
        assert!(body.frame().await.unwrap().is_err());
        assert_eq!(Arc::strong_count(&guard), 1);
    }

    #[tokio::test]
    async fn a_body_that_nobody_asks_lets_go_of_its_source_too() {
        let guard = Arc::new(());
        let held = Arc::clone(&guard);
        let frames = stream::repeat_with(move || {
            let _ = &held;
            Ok::<_, BodyError>(Frame::data(Bytes::from_static(b"frame")))
        });
        let (token, tracker) = (CancellationToken::new(), TaskTracker::new());
        let source = body::boxed(StreamBody::new(frames));
        let mut body = cut_at_once(source, token.clone().cancelled_owned(), &tracker);
        assert!(body.frame().await.unwrap().is_ok());
        token.cancel();
        tracker.close();
        tracker.wait().await;
        assert_eq!(Arc::strong_count(&guard), 1);
        let error = body.frame().await.unwrap().unwrap_err();
        assert!(error.is::<NoLongerAllowed>());
        assert!(body.frame().await.is_none());
    }

    #[tokio::test]
    async fn a_body_that_is_ended_ends_in_good_order_and_lets_go_of_its_source() {
        let (token, tracker) = (CancellationToken::new(), TaskTracker::new());
        let mut body = end_at_once(endless(), token.clone().cancelled_owned(), &tracker);
        assert!(body.frame().await.unwrap().is_ok());
        token.cancel();
        tracker.close();
        tracker.wait().await;
        assert!(body.frame().await.is_none());
    }

    #[tokio::test]
    async fn a_body_that_is_over_is_no_longer_watched() {
        let tracker = TaskTracker::new();
        let body = cut_at_once(endless(), pending(), &tracker);
        drop(body);
        let whole = cut_at_once(body::full("whole"), pending(), &tracker);
        assert_eq!(whole.size_hint().exact(), Some(5));
        assert_eq!(whole.collect().await.unwrap().to_bytes(), "whole");
        tracker.close();
        tracker.wait().await;
    }

    #[tokio::test]
    async fn a_body_left_alone_comes_whole() {
        let body = cut_when(body::full("whole"), pending());
        assert_eq!(body.size_hint().exact(), Some(5));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "whole");
        assert!(cut_when(body::empty(), pending()).is_end_stream());
    }
}
