//! A body that came out of the tunnel, and is put right.
//!
//! The host may be anybody's. What it sends is turned into no more than a piece at a time, when the
//! caller has taken the one before: a few bytes that stand for many cost time, never memory.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use flate2::{Decompress, FlushDecompress, Status};
use http_body::{Frame, SizeHint};

use super::coded::to_usize;
use super::{Sizes, Tally};
use crate::body::{Body, BodyError};

/// What is made at once.
const PIECE: usize = 32 * 1024;

/// Why a coded answer breaks off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BrokenCoding {
    /// It is not what it says.
    #[error("the coded answer is garbled")]
    Garbled,
    /// It ended before its end.
    #[error("the coded answer is cut short")]
    Truncated,
    /// It has another length than it said.
    #[error("the coded answer is not as long as announced")]
    Length,
}

/// Undoes what the host did. An answer whose length was announced is handed over to its last byte
/// only when all of it has turned out right: callers take a whole length for a whole answer.
pub(super) struct Plain {
    /// `None` once it is read to its end, or failed.
    inner: Option<Body>,
    state: Decompress,
    /// Read, and not yet put right.
    input: Bytes,
    /// There may be more in `state` than fitted the last piece.
    has_more: bool,
    /// The coded stream has ended, as it must.
    ended: bool,
    /// The announced length.
    length: Option<u64>,
    /// The piece that makes the announced length full.
    last: Option<Bytes>,
    trailers: Option<Frame<Bytes>>,
    handed: u64,
    coded: u64,
    tally: Tally,
}

impl Plain {
    pub(super) fn new(inner: Body, length: Option<u64>, tally: Tally) -> Self {
        Self {
            inner: Some(inner),
            state: Decompress::new(true),
            input: Bytes::new(),
            has_more: false,
            ended: false,
            length,
            last: None,
            trailers: None,
            handed: 0,
            coded: 0,
            tally,
        }
    }

    /// The next piece of what was read; nothing if none is whole.
    fn next_piece(&mut self) -> Result<Option<Bytes>, BrokenCoding> {
        let mut piece = Vec::with_capacity(PIECE);
        let before = self.state.total_in();
        let status = self
            .state
            .decompress_vec(&self.input, &mut piece, FlushDecompress::None)
            .map_err(|_| BrokenCoding::Garbled)?;
        let read = to_usize(self.state.total_in() - before);
        self.input.advance(read.min(self.input.len()));
        self.has_more = piece.len() == piece.capacity();
        if status == Status::StreamEnd {
            self.ended = true;
            self.has_more = false;
        }
        let stands_still = read == 0 && piece.is_empty();
        if !self.input.is_empty() && (self.ended || stands_still) {
            return Err(BrokenCoding::Garbled);
        }
        if self
            .length
            .is_some_and(|most| self.state.total_out() > most)
        {
            return Err(BrokenCoding::Length);
        }
        if piece.is_empty() {
            return Ok(None);
        }
        Ok(Some(if piece.len() < PIECE / 4 {
            // A slow answer's words do not take a page each.
            Bytes::copy_from_slice(&piece)
        } else {
            piece.into()
        }))
    }

    fn is_full(&self) -> bool {
        self.length == Some(self.state.total_out())
    }

    /// What was read, and is the coded stream's.
    fn take(&mut self, data: Bytes) -> Result<(), BrokenCoding> {
        if self.ended && !data.is_empty() {
            return Err(BrokenCoding::Garbled);
        }
        self.coded += data.len() as u64;
        self.input = data;
        Ok(())
    }

    /// The tunnel's stream has ended in good order; so has to have what was in it.
    fn finish(&mut self) -> Result<(), BrokenCoding> {
        if !self.ended {
            return Err(BrokenCoding::Truncated);
        }
        if self.length.is_some() && !self.is_full() {
            return Err(BrokenCoding::Length);
        }
        self.inner = None;
        Ok(())
    }

    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.inner = None;
        self.last = None;
        self.trailers = None;
        Poll::Ready(Some(Err(error)))
    }

    fn hand(&mut self, piece: Bytes) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.handed += piece.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

impl http_body::Body for Plain {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        loop {
            let Some(inner) = &mut this.inner else {
                return match this.last.take() {
                    Some(last) => this.hand(last),
                    None => Poll::Ready(this.trailers.take().map(Ok)),
                };
            };
            let step = if this.has_more || !this.input.is_empty() {
                match this.next_piece() {
                    Ok(Some(piece)) if this.is_full() => {
                        this.last = Some(piece);
                        Ok(())
                    }
                    Ok(Some(piece)) => return this.hand(piece),
                    Ok(None) => Ok(()),
                    Err(error) => Err(error),
                }
            } else {
                match Pin::new(inner).poll_frame(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                        Ok(data) => this.take(data),
                        Err(trailers) => {
                            this.trailers = Some(trailers);
                            this.finish()
                        }
                    },
                    Poll::Ready(Some(Err(error))) => return this.fail(error),
                    Poll::Ready(None) => this.finish(),
                }
            };
            if let Err(error) = step {
                return this.fail(error.into());
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_none() && self.last.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.length {
            Some(length) => SizeHint::with_exact(length - self.handed),
            None => SizeHint::default(),
        }
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        (self.tally)(Sizes {
            plain: self.handed,
            coded: self.coded,
        });
    }
}
