//! Bodies that count what passes and know when it ended.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};

use super::{ByteCount, Outcome, RequestLine};

/// A response body that writes its request's line when it ends or is dropped.
#[derive(Debug)]
pub struct LoggedBody<B: Body> {
    inner: Pin<Box<B>>,
    line: RequestLine,
    /// What the body announced before the first byte, if it knew.
    expected: Option<u64>,
}

impl<B: Body> LoggedBody<B> {
    pub(super) fn new(body: B, line: RequestLine) -> Self {
        let expected = body.size_hint().exact();
        Self {
            inner: Box::pin(body),
            line,
            expected,
        }
    }

    /// Hyper stops asking once the announced length is reached, and never asks
    /// for the body of an answer to HEAD; both are complete when dropped.
    fn is_complete(&self) -> bool {
        self.line.bodiless
            || self.inner.is_end_stream()
            || self
                .expected
                .is_some_and(|expected| self.line.sent.get() >= expected)
    }
}

impl<B> Body for LoggedBody<B>
where
    B: Body,
    B::Data: Buf,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let polled = self.inner.as_mut().poll_frame(cx);
        match &polled {
            Poll::Pending => {}
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    self.line.sent.add(data.remaining() as u64);
                }
            }
            Poll::Ready(Some(Err(_))) => self.line.write(Outcome::Broken),
            Poll::Ready(None) => self.line.write(Outcome::Completed),
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B: Body> Drop for LoggedBody<B> {
    fn drop(&mut self) {
        let outcome = if self.is_complete() {
            Outcome::Completed
        } else {
            Outcome::Cancelled
        };
        self.line.write(outcome);
    }
}

/// A request body that counts what passes.
#[derive(Debug)]
pub struct CountedBody<B> {
    inner: Pin<Box<B>>,
    count: ByteCount,
}

impl<B> CountedBody<B> {
    pub fn new(body: B, count: ByteCount) -> Self {
        Self {
            inner: Box::pin(body),
            count,
        }
    }
}

impl<B: Body> Body for CountedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let polled = self.inner.as_mut().poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            self.count.add(data.remaining() as u64);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
