//! What is answered instead of the printer's server.

use http::header::{ALLOW, CACHE_CONTROL};
use http::{HeaderValue, Response, StatusCode};
use latchkey_model::access::Access;
use latchkey_net::body::{self, Body};

use crate::contract;

/// The caller may not go as far as this.
pub(super) fn too_little(needed: Access) -> Response<Body> {
    let sentence = match needed {
        Access::View | Access::Operate => {
            "This needs the right to operate the printer, and the key or account used may only look. Ask for a key with full access, or sign in as somebody who may operate it."
        }
        Access::Admin => {
            "This is for administrators only. Use the key of an administrator, or sign in as one."
        }
    };
    refusal(StatusCode::FORBIDDEN, sentence)
}

pub(super) fn no_trace() -> Response<Body> {
    let sentence = "TRACE is not passed on. Use another method.";
    let mut response = refusal(StatusCode::METHOD_NOT_ALLOWED, sentence);
    let others = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    response.headers_mut().insert(ALLOW, others);
    response
}

/// The caller's key or session ended while the answer was waited for.
pub(super) fn ended() -> Response<Body> {
    let sentence =
        "The key or sign-in used was ended meanwhile. Ask for a new key, or sign in again.";
    refusal(StatusCode::FORBIDDEN, sentence)
}

/// The printer's server answered what cannot be cleaned of its secrets.
pub(super) fn unreadable_settings() -> Response<Body> {
    let sentence = "The printer's server answered its settings in a form that the host cannot read, so they are kept from you. An administrator can still see them.";
    refusal(StatusCode::BAD_GATEWAY, sentence)
}

fn refusal(status: StatusCode, sentence: &str) -> Response<Body> {
    let mut response = contract::error(status, sentence).map(body::boxed);
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, no_store);
    response
}
