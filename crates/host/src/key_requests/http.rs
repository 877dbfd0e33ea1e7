//! The workflow's routes, below `/plugin/appkeys/`.

mod dialog;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use http::header::LOCATION;
use http::{HeaderValue, Request, StatusCode};

use super::wire::{Asked, Awaiting, Fetched, Wish, read_decision};
use super::{AskError, DecideError, Poll};
use crate::authority::Authority;
use crate::authority::caller::Caller;
use crate::contract;
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

async fn probe() -> Response {
    contract::no_content()
}

async fn ask(
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

async fn poll(State(authority): State<Authority>, Path(app_token): Path<String>) -> Response {
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

async fn decide(
    State(authority): State<Authority>,
    Extension(caller): Extension<Caller>,
    Path(user_token): Path<String>,
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
