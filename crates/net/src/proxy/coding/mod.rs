//! Answers that go through the tunnel in fewer bytes than they have.
//!
//! A printer's own pages are megabytes of script, and its server sends them as they are. The host
//! codes such an answer when the relay has said that it undoes it, and the relay undoes it: caller
//! and server see what they would without. It is no `Content-Encoding`, which is between those
//! two: fields, ranges and lengths stay what the server said. Written down in
//! `docs/protocol/tunnel.md`, with what may be coded and why not all in
//! `docs/decisions/2026-11-26-less-over-the-uplink.md`.

mod coded;
mod plain;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue,
};
use http::{HeaderMap, Method, Response, StatusCode};
use http_body::Body as _;
use tokio::sync::Semaphore;

use self::coded::Coded;
use self::plain::Plain;
use crate::body::{self, Body};

pub use self::plain::BrokenCoding;

/// The one coding there is: a stream of zlib (RFC 1950).
pub(crate) const DEFLATE: HeaderValue = HeaderValue::from_static("deflate");

/// Which coding an answer in the tunnel has.
const CODING: HeaderName = HeaderName::from_static("latchkey-coding");
/// How long the answer is without it, if its server said.
const LENGTH: HeaderName = HeaderName::from_static("latchkey-length");

/// Below this it is not worth the work: such an answer is one packet or two anyway.
const SHORTEST: u64 = 1024;

/// So many answers are coded at the same time, each with a third of a megabyte of memory. What
/// comes while all are busy goes as it is.
const AT_ONCE: usize = 24;

/// Bytes of one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sizes {
    /// As its server sent them and its caller gets them.
    pub plain: u64,
    /// As they went through the tunnel.
    pub coded: u64,
}

/// Is told of each answer that was coded, when it is over.
pub type Tally = Arc<dyn Fn(Sizes) + Send + Sync>;

/// Codes answers. Clones share what is bounded.
#[derive(Clone)]
pub struct Coder {
    room: Arc<Semaphore>,
    tally: Tally,
}

impl Coder {
    /// A coder with room for a few answers at a time.
    pub fn new(tally: Tally) -> Self {
        Self {
            room: Arc::new(Semaphore::new(AT_ONCE)),
            tally,
        }
    }

    /// The answer to a request of this method, coded if it is one to be coded.
    pub fn code(&self, method: &Method, mut response: Response<Body>) -> Response<Body> {
        let is_codable = method == Method::GET
            && has_body(response.status())
            && !response.body().is_end_stream()
            && is_text(response.headers());
        let Some(length) = Length::of(response.headers()) else {
            return response;
        };
        if !is_codable || length.is_short() {
            return response;
        }
        let Ok(room) = Arc::clone(&self.room).try_acquire_owned() else {
            return response;
        };
        let headers = response.headers_mut();
        headers.insert(CODING, DEFLATE);
        // HTTP/2 holds the one field against the bytes that come.
        if let (Length::Known(_), Some(length)) = (length, headers.remove(CONTENT_LENGTH)) {
            headers.insert(LENGTH, length);
        }
        response.map(|body| body::boxed(Coded::new(body, room, Arc::clone(&self.tally))))
    }
}

/// What a host may not do with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the host coded an answer that it was not asked to, or as it was not asked to")]
pub struct Uncalled;

/// The answer as its server sent it. `asked` is whether the host was told that this is undone.
pub fn undo(
    mut response: Response<Body>,
    asked: bool,
    tally: &Tally,
) -> Result<Response<Body>, Uncalled> {
    let headers = response.headers_mut();
    let is_known = match single(headers, &CODING)? {
        None => return Ok(response),
        Some(coding) => *coding == DEFLATE,
    };
    let length = single(headers, &LENGTH)?.map(read_length);
    let length = length.map(|length| length.ok_or(Uncalled)).transpose()?;
    let fits = !headers.contains_key(CONTENT_LENGTH) && !headers.contains_key(CONTENT_ENCODING);
    if !asked || !is_known || !fits || !has_body(response.status()) {
        return Err(Uncalled);
    }
    let headers = response.headers_mut();
    headers.remove(CODING);
    headers.remove(LENGTH);
    if let Some(length) = length {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    Ok(response.map(|body| body::boxed(Plain::new(body, length, Arc::clone(tally)))))
}

/// The one value of a field that may stand there once.
fn single<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'h HeaderValue>, Uncalled> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(Uncalled),
    }
}

/// Whether an answer to a `GET` has a body at all.
fn has_body(status: StatusCode) -> bool {
    !status.is_informational()
        && !matches!(
            status,
            StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED
        )
}

/// What an answer says of its length.
#[derive(Clone, Copy)]
enum Length {
    Known(u64),
    Unknown,
}

impl Length {
    /// Nothing if it cannot be made out, which is not ours to put right.
    fn of(headers: &HeaderMap) -> Option<Self> {
        match single(headers, &CONTENT_LENGTH).ok()? {
            None => Some(Self::Unknown),
            Some(value) => read_length(value).map(Self::Known),
        }
    }

    fn is_short(self) -> bool {
        matches!(self, Self::Known(length) if length < SHORTEST)
    }
}

fn read_length(value: &HeaderValue) -> Option<u64> {
    let text = value.to_str().ok()?;
    // `parse` takes a sign.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// Whether an answer is text that is as its server made it, and that the server lets be kept: what
/// it marks `no-store` has secrets, and those do not go with what others may have written.
fn is_text(headers: &HeaderMap) -> bool {
    let mut kinds = headers.get_all(CONTENT_TYPE).iter();
    let (Some(kind), None) = (kinds.next(), kinds.next()) else {
        return false;
    };
    let is_secret = headers.get_all(CACHE_CONTROL).iter().any(|value| {
        let value = value.as_bytes().to_ascii_lowercase();
        value.windows(8).any(|part| part == b"no-store")
    });
    !is_secret && !headers.contains_key(CONTENT_ENCODING) && is_text_type(kind)
}

fn is_text_type(kind: &HeaderValue) -> bool {
    let kind = kind.to_str().unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default();
    let kind = kind.trim().to_ascii_lowercase();
    let Some((family, name)) = kind.split_once('/') else {
        return false;
    };
    match family {
        // What is sent word by word is read word by word.
        "text" => name != "event-stream",
        "application" | "image" => {
            matches!(
                name,
                "javascript" | "x-javascript" | "ecmascript" | "json" | "xml"
            ) || name.ends_with("+json")
                || name.ends_with("+xml")
        }
        _ => false,
    }
}
