//! The form in which bodies enter the tunnel.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::body::{Body, BodyError};

/// A body without empty frames.
///
/// h2 ends a whole connection after a hundred empty DATA frames, counted over its life.
/// Passed on as they come, a few callers with chosen bodies could end a printer's tunnel.
pub(super) struct Frames(pub(super) Body);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            let polled = Pin::new(&mut self.0).poll_frame(cx);
            let Poll::Ready(Some(Ok(frame))) = &polled else {
                return polled;
            };
            if frame.data_ref().is_none_or(|data| !data.is_empty()) {
                return polled;
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
