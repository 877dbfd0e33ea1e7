//! Bodies that end when the other side stops keeping pace.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use crate::body::BodyError;
use crate::listen::{CallerWatch, Tap};

/// Slowest upload that is waited for, averaged over the time spent waiting.
const MIN_BYTES_PER_SECOND: u64 = 1024;

/// The caller announced a body and then sent nothing, or next to nothing, of it.
#[derive(Debug, thiserror::Error)]
#[error("the caller sent its request body too slowly")]
pub struct TooSlow;

/// A caller's request body: data frames only, and none later than the limit.
///
/// Only the time spent waiting for the caller counts. While the body is not asked
/// for, because the next hop is slow, the clock stands still.
pub(crate) struct Paced<B> {
    inner: B,
    limit: Duration,
    /// Taken once the body has been read to its end.
    tap: Option<Tap>,
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
    waited: Duration,
    received: u64,
}

impl<B: Body> Paced<B> {
    /// `tap` is told how the body ends.
    pub(crate) fn new(inner: B, limit: Duration, tap: Option<Tap>) -> Self {
        let mut body = Self {
            inner,
            limit,
            tap,
            waiting: None,
            waited: Duration::ZERO,
            received: 0,
        };
        if body.inner.is_end_stream() {
            body.finished();
        }
        body
    }

    fn is_crawling(&self) -> bool {
        self.waited > self.limit
            && self.received / self.waited.as_secs().max(1) < MIN_BYTES_PER_SECOND
    }
}

impl<B> Paced<B> {
    fn finished(&mut self) {
        if let Some(tap) = self.tap.take() {
            tap.body_ended();
        }
    }
}

impl<B> Drop for Paced<B> {
    fn drop(&mut self) {
        if let Some(tap) = self.tap.take() {
            tap.body_lost();
        }
    }
}

impl<B> Body for Paced<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BodyError>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        loop {
            let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) else {
                let limit = this.limit;
                let (_, timer) = this
                    .waiting
                    .get_or_insert_with(|| (Instant::now(), Box::pin(tokio::time::sleep(limit))));
                return timer.as_mut().poll(cx).map(|()| Some(Err(TooSlow.into())));
            };
            if let Some((since, _)) = this.waiting.take() {
                this.waited += since.elapsed();
            }
            match frame {
                None => {
                    this.finished();
                    return Poll::Ready(None);
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                // Trailers are dropped: nothing we serve uses them, and a field that
                // arrives after the gate has closed must not reach a printer.
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else {
                        continue;
                    };
                    this.received += data.len() as u64;
                    if this.is_crawling() {
                        return Poll::Ready(Some(Err(TooSlow.into())));
                    }
                    if this.inner.is_end_stream() {
                        this.finished();
                    }
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A response body that fails once its caller has gone, so that its source is released.
pub(crate) struct WatchedBody<B> {
    inner: B,
    watch: CallerWatch,
    gone: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// The caller closed its connection.
#[derive(Debug, thiserror::Error)]
#[error("the caller has gone")]
pub(crate) struct CallerGone;

impl<B> WatchedBody<B> {
    pub(crate) fn new(inner: B, watch: CallerWatch) -> Self {
        Self {
            inner,
            watch,
            gone: None,
        }
    }
}

impl<B> Body for WatchedBody<B>
where
    B: Body<Data = Bytes, Error = BodyError> + Unpin,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            // The watch starts anew with each frame: sending it is what tells first
            // whether somebody is there.
            this.gone = None;
            return Poll::Ready(frame);
        }
        let watch = &this.watch;
        let gone = this.gone.get_or_insert_with(|| {
            let watch = watch.clone();
            Box::pin(async move { watch.gone().await })
        });
        gone.as_mut()
            .poll(cx)
            .map(|()| Some(Err(CallerGone.into())))
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
    use std::convert::Infallible;

    use futures_util::stream;
    use http_body_util::{BodyExt, StreamBody};

    use super::*;
    use crate::body;

    const LIMIT: Duration = Duration::from_secs(30);

    /// Sends `sizes` bytes, each after so many seconds, and then nothing more.
    fn pieces(sizes: &'static [(u64, usize)], ends: bool) -> Paced<body::Body> {
        let frames = stream::unfold(sizes.iter(), move |mut sizes| async move {
            let Some((seconds, size)) = sizes.next() else {
                if !ends {
                    std::future::pending::<()>().await;
                }
                return None;
            };
            tokio::time::sleep(Duration::from_secs(*seconds)).await;
            let data = Bytes::from(vec![b'x'; *size]);
            Some((Ok::<_, Infallible>(Frame::data(data)), sizes))
        });
        let body = body::boxed(StreamBody::new(Box::pin(frames)));
        Paced::new(body, LIMIT, None)
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_cut_when_it_stalls_or_crawls() {
        const CRAWL: [(u64, usize); 100] = [(1, 1023); 100];
        for (name, body) in [
            ("never begins", pieces(&[], false)),
            ("stops", pieces(&[(1, 100_000)], false)),
            ("pauses", pieces(&[(1, 100_000), (31, 100_000)], true)),
            ("crawls", pieces(&CRAWL, true)),
            ("sips", pieces(&[(29, 1), (29, 1)], true)),
        ] {
            let error = body.collect().await.map(|_| ()).unwrap_err();
            assert!(error.is::<TooSlow>(), "{name}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_keeps_pace_arrives_whole() {
        const STEADY: [(u64, usize); 100] = [(1, 1100); 100];
        for (name, body, length) in [
            ("steady", pieces(&STEADY, true), 110_000),
            ("pausing", pieces(&[(29, 100_000), (29, 1)], true), 100_001),
            ("slow at first", pieces(&[(20, 1), (9, 1)], true), 2),
        ] {
            let collected = body.collect().await.unwrap().to_bytes();
            assert_eq!(collected.len(), length, "{name}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_clock_stands_still_while_the_body_is_not_asked_for() {
        let mut body = pieces(&[(1, 1), (1, 1), (1, 1)], true);
        let mut received = 0;
        while let Some(frame) = body.frame().await {
            received += frame.unwrap().into_data().unwrap().len();
            tokio::time::sleep(10 * LIMIT).await;
        }
        assert_eq!(received, 3);
    }

    #[tokio::test]
    async fn trailers_are_dropped() {
        let frames = [
            Frame::data(Bytes::from_static(b"body")),
            Frame::trailers(http::HeaderMap::from_iter([(
                http::header::HOST,
                http::HeaderValue::from_static("b"),
            )])),
        ];
        let frames = stream::iter(frames.map(Ok::<_, Infallible>));
        let body = Paced::new(body::boxed(StreamBody::new(frames)), LIMIT, None);
        let collected = body.collect().await.unwrap();
        assert!(collected.trailers().is_none());
        assert_eq!(collected.to_bytes(), "body");
    }

    #[tokio::test]
    async fn the_tap_learns_how_a_body_ended() {
        let tap = Tap::default();
        let paced = || Paced::new(body::full("body"), LIMIT, Some(tap.clone()));
        tap.request_taken();
        assert!(tap.is_mid_request());
        let _ = paced().collect().await.unwrap();
        assert!(!tap.is_mid_request() && !tap.is_body_lost());
        tap.request_taken();
        drop(Paced::new(body::empty(), LIMIT, Some(tap.clone())));
        assert!(!tap.is_mid_request() && !tap.is_body_lost());
        tap.request_taken();
        drop(paced());
        assert!(tap.is_mid_request() && tap.is_body_lost());
    }
}
