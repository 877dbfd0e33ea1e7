//! A body on its way into the tunnel.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress, Status};
use http_body::{Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;

use super::{Sizes, Tally};
use crate::body::{Body, BodyError};

/// Three quarters of the work of the usual level, for a thirtieth more bytes (see the decision).
const LEVEL: u32 = 4;

/// What is ready is sent on from this size: a frame of the tunnel.
const PIECE: usize = 16 * 1024;

/// So much is taken in before something is sent on, however well it is coded: other requests wait
/// for their turn of the processor.
const BITE: usize = 256 * 1024;

/// Codes what it reads. What has been read is sent on as soon as there is nothing more to read, so
/// that slow answers are held back by nothing.
pub(super) struct Coded {
    /// `None` once it is read to its end, or failed.
    inner: Option<Body>,
    state: Compress,
    /// Ready to be sent.
    ready: Vec<u8>,
    /// There is something in `state` that has not come out.
    has_more: bool,
    /// Taken in since something was sent on.
    taken: usize,
    trailers: Option<Frame<Bytes>>,
    sizes: Sizes,
    tally: Tally,
    _room: OwnedSemaphorePermit,
}

impl Coded {
    pub(super) fn new(inner: Body, room: OwnedSemaphorePermit, tally: Tally) -> Self {
        Self {
            inner: Some(inner),
            state: Compress::new(Compression::new(LEVEL), true),
            ready: Vec::new(),
            has_more: false,
            taken: 0,
            trailers: None,
            sizes: Sizes::default(),
            tally,
            _room: room,
        }
    }

    fn take(&mut self, mut data: &[u8]) -> Result<(), BodyError> {
        self.taken += data.len();
        self.has_more |= !data.is_empty();
        while !data.is_empty() {
            self.ready.reserve(PIECE);
            let before = self.state.total_in();
            self.state
                .compress_vec(data, &mut self.ready, FlushCompress::None)?;
            let read = self.state.total_in() - before;
            data = data.get(to_usize(read)..).unwrap_or_default();
        }
        Ok(())
    }

    /// Gets everything out that was taken in.
    fn flush(&mut self, how: FlushCompress) -> Result<(), BodyError> {
        loop {
            self.ready.reserve(PIECE);
            let status = self.state.compress_vec(&[], &mut self.ready, how)?;
            // Room is left only once all is out.
            let is_out = self.ready.len() < self.ready.capacity();
            if status == Status::StreamEnd || (is_out && !matches!(how, FlushCompress::Finish)) {
                self.has_more = false;
                return Ok(());
            }
        }
    }

    fn send(&mut self) -> Frame<Bytes> {
        self.taken = 0;
        let ready = std::mem::take(&mut self.ready);
        self.sizes.coded += ready.len() as u64;
        self.sizes.plain = self.state.total_in();
        Frame::data(ready.into())
    }

    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.inner = None;
        self.ready.clear();
        Poll::Ready(Some(Err(error)))
    }
}

impl http_body::Body for Coded {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        loop {
            let Some(inner) = &mut this.inner else {
                return Poll::Ready(this.trailers.take().map(Ok));
            };
            let coded = match Pin::new(inner).poll_frame(cx) {
                Poll::Pending if this.has_more => this.flush(FlushCompress::Sync),
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => this.take(&data),
                    Err(trailers) => {
                        this.inner = None;
                        this.trailers = Some(trailers);
                        this.flush(FlushCompress::Finish)
                    }
                },
                Poll::Ready(Some(Err(error))) => return this.fail(error),
                Poll::Ready(None) => {
                    this.inner = None;
                    this.flush(FlushCompress::Finish)
                }
            };
            let coded = match coded {
                Ok(()) if this.taken >= BITE => this.flush(FlushCompress::Sync),
                coded => coded,
            };
            if let Err(error) = coded {
                return this.fail(error);
            }
            if this.ready.len() >= PIECE || (!this.has_more && !this.ready.is_empty()) {
                return Poll::Ready(Some(Ok(this.send())));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

impl Drop for Coded {
    fn drop(&mut self) {
        (self.tally)(self.sizes);
    }
}

/// What was read of a slice fits the slice's own type.
pub(super) fn to_usize(read: u64) -> usize {
    usize::try_from(read).unwrap_or(usize::MAX)
}
