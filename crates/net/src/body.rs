//! The one body type that crosses module borders.

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt, TryFutureExt};
use http_body_util::{BodyExt, Collected, Empty, Full, Limited, combinators::UnsyncBoxBody};

/// Any error a body can end with. Bodies fail for the reasons of whoever feeds them.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A streamed body; never buffered whole.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

/// A body without a byte.
pub fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// A body that is already here, for answers of our own.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// Reads a whole body that has `most` bytes at most; a longer one fails with
/// [`http_body_util::LengthLimitError`]. Trailers are dropped.
///
/// Boxed, for the compiler does not see otherwise that it may change threads.
pub fn read_up_to(most: usize, body: Body) -> BoxFuture<'static, Result<Bytes, BodyError>> {
    let body = Limited::new(body, most).collect();
    body.map_ok(Collected::to_bytes).boxed()
}

/// Boxes a streamed body.
pub fn boxed<B>(body: B) -> Body
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BodyError>,
{
    body.map_err(Into::into).boxed_unsync()
}
