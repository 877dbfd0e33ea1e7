//! The form in which bodies enter the tunnel.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::load::Meter;
use crate::body::{Body, BodyError};

/// A body without empty frames.
///
/// h2 ends a whole connection after a hundred empty DATA frames, counted over its life.
/// Passed on as they come, a few callers with chosen bodies could end a printer's tunnel.
pub(super) struct Frames {
    pub(super) body: Body,
    /// Weighs what goes out.
    meter: Option<Arc<Meter>>,
}

impl Frames {
    pub(super) fn plain(body: Body) -> Self {
        Self { body, meter: None }
    }

    pub(super) fn weighed(body: Body, meter: Arc<Meter>) -> Self {
        let meter = Some(meter);
        Self { body, meter }
    }
}

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            let polled = Pin::new(&mut self.body).poll_frame(cx);
            let Poll::Ready(Some(Ok(frame))) = &polled else {
                return polled;
            };
            match frame.data_ref() {
                Some(data) if data.is_empty() => continue,
                Some(data) => {
                    if let Some(meter) = &self.meter {
                        meter.note(data.len() as u64);
                    }
                }
                None => {}
            }
            return polled;
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
