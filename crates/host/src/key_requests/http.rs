//! The workflow's routes, below `/plugin/appkeys/`.

mod dialog;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use http::header::LOCATION;
use http::{HeaderValue, Request, StatusCode};

use super::wire::{Asked, Awaiting, DecisionBody, Fetched, Wish, WishBody, read_decision};
use super::{AskError, DecideError, Poll};
use crate::authority::Authority;
use crate::authority::caller::Caller;
use crate::contract;
use crate::openapi::described::{BodyRefusals, ErrorBody, Failures};
use crate::public::Public;
use crate::service::Inbound;

pub(crate) fn routes() -> Router<Authority> {
    Router::new()
        .route("/plugin/appkeys/probe", get(probe))
        .route("/plugin/appkeys/request", post(ask))
        .route("/plugin/appkeys/request/{app_token}", get(poll))
        .route("/plugin/appkeys/decision/{user_token}", post(decide))
        .route("/plugin/appkeys/auth/{app_token}", get(dialog::show))
}

/// Find out whether apps can ask for a key here
///
/// An app that is answered otherwise asks a person for a key.
#[utoipa::path(
    get,
    path = "/plugin/appkeys/probe",
    tag = "Asking for a key",
    responses(
        (status = 204, description = "They can."),
        (status = 403, description = "The host has no administrator yet.", body = ErrorBody, example = json!({
            "error": "This host has no administrator yet. Open its page and set it up first."
        })),
        Failures,
    )
)]
pub(crate) async fn probe() -> Response {
    contract::no_content()
}

/// Ask for a key
///
/// Anybody may, 3 times a minute from one address, 5 times in 10 minutes and 10 times an hour. Send the
/// person to `auth_dialog`, and poll at least every 5 seconds: a request that nobody polls is given up.
#[utoipa::path(
    post,
    path = "/plugin/appkeys/request",
    tag = "Asking for a key",
    request_body(content = WishBody, example = json!({"app": "Fieldglass"})),
    responses(
        (status = 201, description = "The request waits for a person.", body = Asked, headers(
            ("Location" = String, description = "Where to poll.")
        ), example = json!({
            "app_token": "3F0C9A52D1B84E67",
            "auth_dialog": "http://192.168.1.9:5010/plugin/appkeys/auth/3F0C9A52D1B84E67"
        })),
        (status = 403, description = "The host has no administrator yet.", body = ErrorBody),
        (status = 429, description = "Too many requests from this address or in all, or somebody has blocked the address.", body = ErrorBody),
        BodyRefusals,
    )
)]
pub(crate) async fn ask(
    State(authority): State<Authority>,
    Extension(inbound): Extension<Arc<Inbound>>,
    Extension(public): Extension<Public>,
    request: Request<Body>,
) -> Response {
    // Every call counts, those with a broken body too.
    if !authority.count_key_request(inbound.address) {
        return too_many("This address has asked too often. Wait a minute and try again.");
    }
    let wish = match contract::read_object(request).await {
        Ok(members) => Wish::read(&members),
        Err(refusal) => return refusal,
    };
    let wish = match wish {
        Ok(wish) => wish,
        Err(sentence) => return contract::error(StatusCode::BAD_REQUEST, sentence),
    };
    let user = wish.user.clone();
    match authority
        .key_requests
        .ask(wish.app, wish.user, inbound.address)
    {
        Ok(app_token) => asked(app_token.expose(), user.as_deref(), &public),
        Err(AskError::Blocked) => too_many("Somebody here has blocked this address for an hour."),
        Err(AskError::TooMany) => too_many("Too many apps are waiting. Try again in a minute."),
    }
}

fn asked(app_token: &str, user: Option<&str>, public: &Public) -> Response {
    let mut auth_dialog = public.url(&format!("/plugin/appkeys/auth/{app_token}"));
    if let Some(user) = user {
        auth_dialog.push_str("?user=");
        auth_dialog.extend(url::form_urlencoded::byte_serialize(user.as_bytes()));
    }
    let location = public.url(&format!("/plugin/appkeys/request/{app_token}"));
    let body = Asked {
        app_token: app_token.to_owned(),
        auth_dialog,
    };
    let mut answer = contract::json(StatusCode::CREATED, &body);
    if let Ok(location) = HeaderValue::from_str(&location) {
        answer.headers_mut().insert(LOCATION, location);
    }
    answer
}

/// Find out what was decided, and fetch the key
///
/// The key is fetched once, within a day.
#[utoipa::path(
    get,
    path = "/plugin/appkeys/request/{app_token}",
    tag = "Asking for a key",
    params(("app_token" = String, Path, description = "From the answer to the request.")),
    responses(
        (status = 200, description = "Allowed.", body = Fetched, example = json!({"api_key": "lk_key_…"})),
        (status = 202, description = "Nobody has decided yet.", body = Awaiting, example = json!({"message": "Awaiting decision"})),
        (status = 403, description = "The host has no administrator yet.", body = ErrorBody),
        (status = 404, description = "Denied, fetched, given up, or never there.", body = ErrorBody, example = json!({
            "error": "No request of that name is waiting. It was decided, fetched, or given up."
        })),
        Failures,
    )
)]
pub(crate) async fn poll(
    State(authority): State<Authority>,
    app_token: Result<Path<String>, PathRejection>,
) -> Response {
    let Ok(Path(app_token)) = app_token else {
        return unknown();
    };
    match authority.key_requests.poll(&app_token).await {
        Ok(Poll::Waiting) => {
            let message = "Awaiting decision";
            contract::json(StatusCode::ACCEPTED, &Awaiting { message })
        }
        Ok(Poll::Granted(key)) => {
            let api_key = key.expose();
            contract::json(StatusCode::OK, &Fetched { api_key })
        }
        Ok(Poll::Gone) => unknown(),
        Err(failure) => contract::failed(&failure),
    }
}

/// Decide about a request
///
/// For whoever lets apps in: a person who signed in lately, or an app with such a person's key.
/// `user_token` is from the list of keys, or from the push socket.
#[utoipa::path(
    post,
    path = "/plugin/appkeys/decision/{user_token}",
    tag = "Asking for a key",
    security(("app_key" = [])),
    params(("user_token" = String, Path, description = "Of the request; not the app's token.")),
    request_body(content = DecisionBody, example = json!({"decision": true, "scope": "view"})),
    responses(
        (status = 204, description = "Decided."),
        (status = 403, description = "Nobody who lets apps in, or the password was typed too long ago.", body = ErrorBody, example = json!({
            "error": "Sign in once more: your password was asked for too long ago.", "code": "reauthenticate"
        })),
        (status = 404, description = "No such request waits for the caller.", body = ErrorBody),
        BodyRefusals,
    )
)]
pub(crate) async fn decide(
    State(authority): State<Authority>,
    Extension(caller): Extension<Caller>,
    user_token: Result<Path<String>, PathRejection>,
    request: Request<Body>,
) -> Response {
    let Some(user) = caller.active_user() else {
        return contract::sign_in_first();
    };
    let decision = match contract::read_object(request).await {
        Ok(members) => read_decision(&members),
        Err(refusal) => return refusal,
    };
    let decision = match decision {
        Ok(decision) => decision,
        Err(sentence) => return contract::error(StatusCode::BAD_REQUEST, sentence),
    };
    if !caller.may_grant() {
        return contract::error(StatusCode::FORBIDDEN, "You may not let apps in here.");
    }
    if !authority.is_fresh(&caller) {
        return contract::prove_yourself();
    }
    let Ok(Path(user_token)) = user_token else {
        return unknown();
    };
    let outcome = authority
        .key_requests
        .decide(&user_token, &user.name, decision);
    match outcome.await {
        Ok(()) => contract::no_content(),
        Err(DecideError::Gone) => unknown(),
        Err(DecideError::Store(failure)) => contract::failed(&failure),
    }
}

fn unknown() -> Response {
    contract::error(
        StatusCode::NOT_FOUND,
        "No request of that name is waiting. It was decided, fetched, or given up.",
    )
}

fn too_many(sentence: &str) -> Response {
    contract::error(StatusCode::TOO_MANY_REQUESTS, sentence).into_response()
}
