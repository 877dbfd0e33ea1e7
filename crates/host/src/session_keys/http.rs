//! The handshake's route, `/apps/auth`.

use std::net::IpAddr;
use std::sync::Arc;

use askama::filters::{Html, escape};
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, Request, StatusCode};

use super::wire::{ClaimBody, ClaimError, UnverifiedBody, VerifiedBody, claim, seconds};
use super::{BeginError, SessionKeys, VerifyError};
use crate::authority::Authority;
use crate::contract::{self, Caching};
use crate::openapi::described::{ErrorBody, Failures};
use crate::service::Inbound;

pub(crate) const PATH: &str = "/apps/auth";

/// Of a text from outside that an answer repeats.
const LONGEST_ECHO: usize = 200;

pub(crate) fn routes() -> Router<Authority> {
    Router::new().route("/apps/auth", get(begin).post(verify))
}

/// Begin: ask for a key that is not good yet
///
/// The app signs for it within a minute.
#[utoipa::path(
    get,
    path = "/apps/auth",
    tag = "Session keys",
    responses(
        (status = 200, description = "A key to sign for.", body = UnverifiedBody, example = json!({
            "unverifiedKey": "F43A844750F74AD080FE9F438D47B33C", "validUntil": 1_416_220_357.011
        })),
        (status = 404, description = "No app is registered.", body = ErrorBody, example = json!({
            "error": "There is nothing at this address."
        })),
        (status = 429, description = "Too many keys were asked for from this address: 20 a minute.", body = String, content_type = "text/html",
         headers(("Retry-After" = u32, description = "In seconds"))),
        Failures,
    )
)]
pub(crate) async fn begin(
    State(authority): State<Authority>,
    Extension(inbound): Extension<Arc<Inbound>>,
) -> Response {
    unverified(&authority.session_keys, inbound.address)
}

/// Sign for a key
///
/// The app signs `APPID:APPVERSION:KEY`, with `any` for a version that it does not tell, with its
/// private key (RSA, PKCS #1 v1.5, SHA-1, SHA-256 or SHA-512). From then on the key is taken wherever
/// an app's key is, as far as the app's scope goes.
#[utoipa::path(
    post,
    path = "/apps/auth",
    tag = "Session keys",
    request_body(content = ClaimBody, example = json!({
        "appid": "com.example.my_octoprint_app", "appversion": "1.0",
        "key": "F43A844750F74AD080FE9F438D47B33C", "_sig": "LGVCiolQWDc4AVn1DOcWljY0…"
    })),
    responses(
        (status = 200, description = "The key is good.", body = VerifiedBody, example = json!({
            "key": "F43A844750F74AD080FE9F438D47B33C", "validUntil": 1_416_227_497.011
        })),
        (status = 400, description = "The body is no JSON object, is longer than 100 KB, or a member is missing or wrong.", body = String, content_type = "text/html", example = "Missing argument: key"),
        (status = 401, description = "The app is not registered, the signature does not fit, or the key is none that waits.", body = String, content_type = "text/html", example = "Invalid signature"),
        (status = 404, description = "No app is registered.", body = ErrorBody),
        (status = 500, description = "The app's public key cannot be used, or the database cannot.", content(
            (String = "text/html", example = "Invalid pubkey stored in server"), (ErrorBody = "application/json")
        )),
    )
)]
pub(crate) async fn verify(
    State(authority): State<Authority>,
    Extension(inbound): Extension<Arc<Inbound>>,
    request: Request<Body>,
) -> Response {
    verified(&authority.session_keys, inbound.address, request).await
}

/// The same without the routes of an authority.
pub(crate) async fn answer(keys: &SessionKeys, from: IpAddr, request: Request<Body>) -> Response {
    let method = request.method().clone();
    let mut answer = match method {
        Method::GET | Method::HEAD => unverified(keys, from),
        Method::POST => verified(keys, from, request).await,
        _ => contract::wrong_method(),
    };
    contract::finish(answer.headers_mut(), &method, Caching::Page);
    answer
}

fn unverified(keys: &SessionKeys, from: IpAddr) -> Response {
    match keys.begin(from) {
        Ok(unverified) => contract::json(StatusCode::OK, &UnverifiedBody::of(&unverified)),
        Err(BeginError::NotOffered) => contract::nothing_here(),
        Err(BeginError::TooMany(too_many)) => {
            let sentence = "Too many keys were asked for from this address. Wait a minute.";
            let mut answer = say(StatusCode::TOO_MANY_REQUESTS, sentence);
            let seconds = HeaderValue::from(too_many.wait.as_secs().max(1));
            answer.headers_mut().insert(RETRY_AFTER, seconds);
            answer
        }
    }
}

async fn verified(keys: &SessionKeys, from: IpAddr, request: Request<Body>) -> Response {
    if !keys.is_offered() {
        return contract::nothing_here();
    }
    if !contract::is_json(request.headers()) {
        return bad("Expected content-type JSON");
    }
    let Ok(body) = contract::read_body(request).await else {
        return bad("The body is longer than 100 KB, or ended too early");
    };
    let Ok(serde_json::Value::Object(members)) = serde_json::from_slice(&body) else {
        return bad("Malformed JSON body in request");
    };
    let claim = match claim(&members) {
        Ok(claim) => claim,
        Err(ClaimError::Missing(name)) => return bad(&format!("Missing argument: {name}")),
        Err(ClaimError::Malformed(name)) => return bad(&format!("Malformed argument: {name}")),
        Err(ClaimError::Signature) => return say(StatusCode::UNAUTHORIZED, "Invalid signature"),
    };
    let unauthorized = |text: &str| say(StatusCode::UNAUTHORIZED, text);
    match keys.verify(&claim, from).await {
        Ok(verified) => contract::json(
            StatusCode::OK,
            &VerifiedBody {
                key: claim.key,
                valid_until: seconds(verified.until),
            },
        ),
        Err(VerifyError::NotOffered) => contract::nothing_here(),
        Err(VerifyError::App) => {
            let asked: String = claim.app.as_str().chars().take(LONGEST_ECHO).collect();
            unauthorized(&format!("Invalid app: {asked}"))
        }
        Err(VerifyError::PublicKey) => say(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Invalid pubkey stored in server",
        ),
        Err(VerifyError::Signature) => unauthorized("Invalid signature"),
        Err(VerifyError::Key) => unauthorized("Invalid key or already verified"),
    }
}

fn bad(text: &str) -> Response {
    say(StatusCode::BAD_REQUEST, text)
}

/// A sentence, sent as a page as clients know it. What callers wrote must not become markup.
fn say(status: StatusCode, text: &str) -> Response {
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    let text = escape(text, Html).map_or_else(|never| match never {}, |safe| safe.to_string());
    (status, [(CONTENT_TYPE, html)], text).into_response()
}
