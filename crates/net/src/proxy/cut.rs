//! Bodies that stop as soon as what allowed them has ended, and let go of where they came from even
//! while nobody asks them for more: a caller that takes nothing must not keep open what it may no
//! longer have.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::endings::Hold;
use crate::body::{self, Body, BodyError};

/// Why such a body broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what allowed the transfer has ended")]
pub struct NoLongerAllowed;

/// A body that fails when its holder ends, even in the middle of it. Not an end in good order: half
/// a file must not be taken for a whole one. `kept` is dropped with the body.
pub fn cut<K>(body: Body, hold: Hold, kept: K) -> Body
where
    K: Send + Unpin + 'static,
{
    // What is there already has nothing to be cut off from.
    if body.is_end_stream() {
        return body;
    }
    let source = Arc::new(Source::new(body, Manner::BreakOff));
    hold.attach(&source);
    body::boxed(Stoppable {
        source: Arc::clone(&source),
        _kept: (Attached { source, hold }, kept),
    })
}

/// A body that ends when `ended` is ready as if that were all, for what has no end of its own, as a
/// camera's picture.
pub fn end_at_once<F>(body: Body, ended: F, tracker: &TaskTracker) -> Body
where
    F: Future<Output = ()> + Send + 'static,
{
    if body.is_end_stream() {
        return body;
    }
    let source = Arc::new(Source::new(body, Manner::End));
    let over = CancellationToken::new();
    let (stopped, dropped) = (Arc::clone(&source), over.clone());
    tracker.spawn(async move {
        tokio::select! {
            biased;
            () = dropped.cancelled() => {}
            () = ended => stopped.stop(),
        }
    });
    let kept: DropGuard = over.drop_guard();
    body::boxed(Stoppable {
        source,
        _kept: kept,
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

/// Where a body comes from, which somebody else may take away.
pub(super) struct Source(Mutex<State>);

struct State {
    /// Gone after the end, whichever it was.
    body: Option<Body>,
    manner: Manner,
    /// It was stopped, and whoever reads has not been told.
    untold: bool,
    /// Somebody has read of it.
    asked: bool,
    /// Who waits for the next of it.
    reader: Option<Waker>,
}

impl Source {
    fn new(body: Body, manner: Manner) -> Self {
        Self(Mutex::new(State {
            body: Some(body),
            manner,
            untold: false,
            asked: false,
            reader: None,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets go of the body, and tells who reads it.
    pub(super) fn stop(&self) {
        let (body, reader) = {
            let mut state = self.lock();
            let body = state.body.take();
            state.untold |= body.is_some();
            (body, state.reader.take())
        };
        // Neither with the lock: both run code of others.
        drop(body);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

/// Listed with its holder until this is dropped.
struct Attached {
    source: Arc<Source>,
    hold: Hold,
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.hold.detach(&self.source);
    }
}

struct Stoppable<K> {
    source: Arc<Source>,
    _kept: K,
}

impl<K> Drop for Stoppable<K> {
    fn drop(&mut self) {
        // Whoever may stop it can have the source for a moment longer.
        let body = self.source.lock().body.take();
        drop(body);
    }
}

impl<K: Unpin> http_body::Body for Stoppable<K> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut state = self.source.lock();
        let state = &mut *state;
        let is_first = !std::mem::replace(&mut state.asked, true);
        let Some(body) = &mut state.body else {
            if is_first && state.untold {
                // The head is on its way: an error at once would keep it from being sent.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let stopped = std::mem::take(&mut state.untold);
            let breaks_off = stopped && state.manner == Manner::BreakOff;
            return Poll::Ready(breaks_off.then(|| Err(NoLongerAllowed.into())));
        };
        let polled = Pin::new(body).poll_frame(cx);
        match &polled {
            Poll::Pending => match &mut state.reader {
                Some(reader) => reader.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            },
            Poll::Ready(None) => state.body = None,
            Poll::Ready(Some(_)) => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        let state = self.source.lock();
        let body = state.body.as_ref();
        // One that was stopped has still to say so.
        body.map_or(!state.untold, http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source.lock().body {
            Some(body) => body.size_hint(),
            None => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;
    use crate::proxy::endings::Endings;
    use futures_util::{StreamExt, stream};
    use http_body_util::{BodyExt, StreamBody};

    fn endless() -> Body {
        let frames =
            stream::repeat_with(|| Ok::<_, BodyError>(Frame::data(Bytes::from_static(b"frame"))));
        body::boxed(StreamBody::new(frames))
    }

    fn holder() -> (Endings<char>, Hold) {
        let endings = Endings::default();
        let hold = endings.hold('a');
        (endings, hold)
    }

    #[tokio::test]
    async fn a_body_breaks_off_while_it_flows_and_while_it_waits() {
        let waiting = stream::iter([Ok::<_, BodyError>(Frame::data(Bytes::from_static(b"x")))]);
        let waiting = body::boxed(StreamBody::new(waiting.chain(stream::pending())));
        for body in [endless(), waiting] {
            let (endings, hold) = holder();
            let mut body = cut(body, hold, ());
            assert!(body.frame().await.unwrap().is_ok());
            let (frame, ended) = tokio::join!(body.frame(), async { endings.end(&'a') });
            assert!(ended);
            // What was on its way may still come, and nothing after it.
            let error = match frame.unwrap() {
                Err(error) => error,
                Ok(_) => body.frame().await.unwrap().unwrap_err(),
            };
            assert!(error.is::<NoLongerAllowed>());
            assert!(body.is_end_stream());
            assert!(body.frame().await.is_none());
        }
    }

    #[tokio::test]
    async fn a_body_that_nobody_asks_lets_go_of_its_source() {
        let guard = Arc::new(());
        let held = Arc::clone(&guard);
        let frames = stream::repeat_with(move || {
            let _ = &held;
            Ok::<_, BodyError>(Frame::data(Bytes::from_static(b"frame")))
        });
        let (endings, hold) = holder();
        let mut body = cut(body::boxed(StreamBody::new(frames)), hold, ());
        assert!(body.frame().await.unwrap().is_ok());
        assert!(endings.end(&'a'));
        assert_eq!(Arc::strong_count(&guard), 1);
        assert!(!body.is_end_stream(), "it did not end in good order");
        let error = body.frame().await.unwrap().unwrap_err();
        assert!(error.is::<NoLongerAllowed>());
        assert!(body.frame().await.is_none());
    }

    #[tokio::test]
    async fn a_body_of_who_has_ended_already_breaks_off_at_once() {
        let (endings, hold) = holder();
        assert!(endings.end(&'a'));
        let mut body = cut(endless(), hold, ());
        let error = body.frame().await.unwrap().unwrap_err();
        assert!(error.is::<NoLongerAllowed>());
    }

    #[tokio::test]
    async fn a_body_that_is_over_holds_nobody_and_is_kept_in_no_list() {
        let (endings, hold) = holder();
        let listed = hold.clone();
        let kept = Arc::new(());
        let body = cut(endless(), hold.clone(), Arc::clone(&kept));
        assert_eq!(listed.attached(), 1);
        drop(body);
        assert_eq!((listed.attached(), Arc::strong_count(&kept)), (0, 1));
        let whole = cut(body::full("whole"), hold, ());
        assert_eq!(whole.size_hint().exact(), Some(5));
        assert_eq!(whole.collect().await.unwrap().to_bytes(), "whole");
        drop(listed);
        assert!(!endings.end(&'a'));
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
        let body = end_at_once(endless(), pending(), &tracker);
        drop(body);
        let whole = end_at_once(body::full("whole"), pending(), &tracker);
        assert_eq!(whole.size_hint().exact(), Some(5));
        assert_eq!(whole.collect().await.unwrap().to_bytes(), "whole");
        tracker.close();
        tracker.wait().await;
    }

    #[test]
    fn a_body_without_a_byte_stays_one() {
        let (_endings, hold) = holder();
        assert!(cut(body::empty(), hold, ()).is_end_stream());
    }
}
