//! Bodies: none, a few bytes, or very many that exist once.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::shaper::Dice;

const PIECE: usize = 64 * 1024;

/// A body of a known length. It is noise, which nobody can make smaller, cut from one piece.
#[derive(Clone, Debug)]
pub struct Payload {
    piece: Bytes,
    left: u64,
}

impl Payload {
    /// No bytes.
    pub fn empty() -> Self {
        Self::of(Bytes::new())
    }

    /// These bytes.
    pub fn of(piece: impl Into<Bytes>) -> Self {
        let piece = piece.into();
        let left = piece.len() as u64;
        Self { piece, left }
    }

    /// So many bytes, over and over from this piece.
    pub fn repeated(piece: &Bytes, left: u64) -> Self {
        let piece = piece.clone();
        Self { piece, left }
    }
}

/// A piece that [`Payload::repeated`] can be made of.
pub fn noise() -> Bytes {
    let mut dice = Dice::new(0x1a7c);
    let words = (0..PIECE / 8).flat_map(|_| dice.roll().to_le_bytes());
    words.collect::<Vec<u8>>().into()
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let piece = self.piece.slice(..self.piece.len().min(most));
        self.left -= piece.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
