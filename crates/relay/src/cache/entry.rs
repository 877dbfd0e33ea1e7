//! An answer that is kept, and the bodies that lead in and out.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, HeaderValue,
};
use http::{HeaderMap, Response, StatusCode};
use hyper::body::{Frame, SizeHint};
use latchkey_net::body::{Body, BodyError};

use super::rules::single;
use super::shelves::{Charge, Draft};

/// Fields about the body itself, which a "not modified" does not have to tell rightly.
const OF_THE_BODY: [HeaderName; 4] = [
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
];

/// So much is handed on at once.
const PIECE: usize = 64 * 1024;

/// An answer that is kept.
pub(super) struct Entry {
    pub(super) tag: HeaderValue,
    pub(super) fields: HeaderMap,
    pub(super) body: Bytes,
    /// Paid for as long as anybody reads it, though it may be forgotten meanwhile.
    pub(super) _charge: Charge,
}

impl Entry {
    /// Whether an answer says, beyond doubt, that what its server would send is this.
    pub(super) fn is_meant(&self, said: &Response<Body>) -> bool {
        said.status() == StatusCode::NOT_MODIFIED
            && single(said.headers(), &ETAG) == Some(&self.tag)
    }

    /// The fields of the answer that the server would have given (RFC 9111 section 4.3.4).
    pub(super) fn fields_with(&self, fresh: &HeaderMap) -> HeaderMap {
        let told = |name: &HeaderName| !OF_THE_BODY.contains(name);
        let mut fields = self.fields.clone();
        for name in fresh.keys().filter(|name| told(name)) {
            fields.remove(name);
        }
        for (name, value) in fresh.iter().filter(|(name, _)| told(name)) {
            fields.append(name, value.clone());
        }
        fields
    }
}

/// A kept body on its way to a caller.
pub(super) struct Kept {
    entry: Arc<Entry>,
    handed: usize,
}

impl Kept {
    pub(super) fn new(entry: Arc<Entry>) -> Self {
        Self { entry, handed: 0 }
    }
}

impl hyper::body::Body for Kept {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let (start, whole) = (self.handed, self.entry.body.len());
        if start >= whole {
            return Poll::Ready(None);
        }
        let end = whole.min(start + PIECE);
        self.handed = end;
        let piece = self.entry.body.slice(start..end);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.handed >= self.entry.body.len()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact((self.entry.body.len() - self.handed) as u64)
    }
}

/// A body that is copied while it passes. What does not arrive whole is not kept.
pub(super) struct Copying {
    inner: Body,
    copy: Vec<u8>,
    /// `None` once it is known whether it is kept.
    draft: Option<Draft>,
}

impl Copying {
    pub(super) fn new(inner: Body, draft: Draft) -> Self {
        Self {
            inner,
            copy: Vec::new(),
            draft: Some(draft),
        }
    }

    fn note(&mut self, data: &Bytes) {
        let Some(draft) = &self.draft else { return };
        let length = draft.length();
        if self.copy.len() + data.len() > length {
            self.give_up();
            return;
        }
        let (has, comes) = (self.copy.len(), data.len());
        if self.copy.capacity() < has + comes {
            // Never more than is charged for, and not all at once: a host may announce much and
            // send little.
            let more = has.max(comes).max(PIECE).min(length - has);
            self.copy.reserve_exact(more);
        }
        self.copy.extend_from_slice(data);
        if self.copy.len() == length
            && let Some(draft) = self.draft.take()
        {
            draft.put(std::mem::take(&mut self.copy).into_boxed_slice().into());
        }
    }

    fn give_up(&mut self) {
        self.draft = None;
        self.copy = Vec::new();
    }
}

impl hyper::body::Body for Copying {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let polled = ready!(Pin::new(&mut this.inner).poll_frame(cx));
        match polled
            .as_ref()
            .map(|frame| frame.as_ref().map(Frame::data_ref))
        {
            Some(Ok(Some(data))) => this.note(data),
            // Trailers belong to the answer and are not kept.
            Some(Ok(None) | Err(_)) | None => this.give_up(),
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
