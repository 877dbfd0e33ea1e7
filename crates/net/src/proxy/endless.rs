//! Answers that never end by themselves: camera streams and event streams.
//!
//! Whoever stops would wait for them in vain, so they end with the stop signal. Their
//! viewers are used to connecting again.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Response};
use http_body::{Frame, SizeHint};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::body::{self, Body};

const WEBCAM: &[u8] = b"multipart/x-mixed-replace";
const EVENTS: &[u8] = b"text/event-stream";

/// Whether an answer goes on for as long as somebody listens.
pub fn is_endless(headers: &HeaderMap) -> bool {
    is_webcam(headers) || begins_with(headers, EVENTS)
}

/// Whether an answer is a camera's running picture.
pub fn is_webcam(headers: &HeaderMap) -> bool {
    begins_with(headers, WEBCAM)
}

fn begins_with(headers: &HeaderMap, expected: &[u8]) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(http::HeaderValue::as_bytes);
    kind.and_then(|kind| kind.get(..expected.len()))
        .is_some_and(|start| start.eq_ignore_ascii_case(expected))
}

/// The answer, ending with `token` at the latest if it has no end of its own.
pub fn end_with(response: Response<Body>, token: &CancellationToken) -> Response<Body> {
    if !is_endless(response.headers()) {
        return response;
    }
    let token = token.clone();
    response.map(|body| body::boxed(EndsWith::new(body, token)))
}

/// A body that ends, in good order, when a token is cancelled.
struct EndsWith<B> {
    inner: B,
    end: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl<B> EndsWith<B> {
    fn new(inner: B, token: CancellationToken) -> Self {
        Self {
            inner,
            end: Box::pin(token.cancelled_owned()),
        }
    }
}

impl<B: http_body::Body + Unpin> http_body::Body for EndsWith<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.get_mut();
        if this.end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        Pin::new(&mut this.inner).poll_frame(cx)
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
    use crate::body::BodyError;
    use bytes::Bytes;
    use futures_util::stream;
    use http_body_util::{BodyExt, StreamBody};

    #[test]
    fn cameras_and_event_streams_are_endless() {
        for (kind, endless) in [
            ("multipart/x-mixed-replace;boundary=x", true),
            ("Multipart/X-Mixed-Replace; boundary=x", true),
            ("text/event-stream", true),
            ("text/plain", false),
            ("multipart/form-data", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, kind.parse().unwrap());
            assert_eq!(is_endless(&headers), endless, "{kind}");
        }
        assert!(!is_endless(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn a_stream_ends_in_good_order_when_told_to() {
        let frames =
            stream::repeat_with(|| Ok::<_, BodyError>(Frame::data(Bytes::from_static(b"frame"))));
        let token = CancellationToken::new();
        let mut body = EndsWith::new(StreamBody::new(frames), token.clone());
        assert!(body.frame().await.unwrap().is_ok());
        token.cancel();
        assert!(body.frame().await.is_none());
    }
}
