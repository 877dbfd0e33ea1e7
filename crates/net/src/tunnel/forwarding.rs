//! The form a request has in a tunnel, and what it means that it got no answer.

use http::header::HOST;
use http::uri::PathAndQuery;
use http::{Method, Request, Uri, Version};

use super::camera::{SHARES, SHARES_CAMERA, SharesCamera};
use super::head::{KIND, KIND_REQUEST, StreamHead};
use super::open::SendError;
use crate::body::{self, Body};

/// Gives a request the form it has in the tunnel.
pub(super) fn prepare(request: &mut Request<Body>, head: &StreamHead) -> Result<(), SendError> {
    head.encode(request.headers_mut())?;
    request.headers_mut().insert(KIND, KIND_REQUEST);
    if request.extensions().get::<SharesCamera>().is_some() {
        request.headers_mut().insert(SHARES, SHARES_CAMERA);
    }
    let authority = match request.uri().authority() {
        Some(authority) => authority.as_str().to_owned(),
        None => host_field(request).ok_or(SendError::Target)?,
    };
    // One authority only, so that nobody further on can pick another one.
    request.headers_mut().remove(HOST);
    let target = request.uri().path_and_query().cloned();
    *request.uri_mut() = Uri::builder()
        .scheme(head.scheme.as_str())
        .authority(authority)
        .path_and_query(target.unwrap_or_else(|| PathAndQuery::from_static("/")))
        .build()
        .map_err(|_| SendError::Target)?;
    *request.version_mut() = Version::HTTP_2;
    Ok(())
}

fn host_field(request: &Request<Body>) -> Option<String> {
    let mut values = request.headers().get_all(HOST).iter();
    match (values.next(), values.next()) {
        (Some(host), None) => host.to_str().ok().map(str::to_owned),
        _ => None,
    }
}

/// A copy of a request without a body, for the case that the host refuses the first.
pub(super) fn spare(request: &Request<Body>) -> Option<Request<Body>> {
    if !http_body::Body::is_end_stream(request.body()) {
        return None;
    }
    let mut copy = Request::new(body::empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    copy.headers_mut().clone_from(request.headers());
    copy.extensions_mut().clone_from(request.extensions());
    Some(copy)
}

/// What a request without an answer comes to. If its tunnel broke and the request only asks, it
/// may be sent again: the method says that nothing changes by it (RFC 9110 section 9.2.1).
pub(super) fn lost(error: hyper::Error, spare: Option<Request<Body>>) -> SendError {
    let only_asks = |request: &Request<Body>| {
        [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method())
    };
    match spare.filter(only_asks) {
        Some(request) if !is_reset(&error) => SendError::Broken(Box::new(request), error),
        _ => SendError::Lost(error),
    }
}

/// Whether the stream alone was ended, and its tunnel goes on.
fn is_reset(error: &hyper::Error) -> bool {
    h2_cause(error).is_some_and(h2::Error::is_reset)
}

/// The reason, if the other side said that it did nothing about the stream.
pub(super) fn refused(error: &hyper::Error) -> Option<&h2::Error> {
    let error = h2_cause(error)?;
    // A GOAWAY fails exactly the streams above its last stream id.
    let untouched = error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM);
    (error.is_remote() && untouched).then_some(error)
}

fn h2_cause(error: &hyper::Error) -> Option<&h2::Error> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            return Some(error);
        }
        cause = error.source();
    }
    None
}
