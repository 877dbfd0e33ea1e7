//! Routes by which clients of `OctoPrint` sign in, sign out, and ask who they are.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};
use http::{Request, StatusCode};

use super::csrf::Forged;
use super::sign_in::{Attempt, SignInError};
use super::wire::{self, CurrentUser, IdentityBody, LeftBody, SignInBody, Wish};
use super::{Sessions, page};
use crate::authority::Authority;
use crate::authority::caller::Caller;
use crate::authority::identify::key_in_query;
use crate::contract;
use crate::neighbours;
use crate::openapi::described::{ErrorBody, Failures};
use crate::public::Public;
use crate::service::Inbound;

/// Where the token may stand in a form, or a form may bring a key that makes it needless: these
/// look for the proof themselves.
pub(crate) const PROVEN_HERE: [&str; 3] = ["/api/login", "/login", "/login/"];

pub(crate) fn routes() -> Router<Authority> {
    Router::new()
        .route("/api/login", post(log_in))
        .route("/api/logout", post(log_out))
        .route("/api/currentuser", get(current_user))
        .route("/login", get(page::show).post(page::sign_in))
        .route("/login/", get(page::show).post(page::sign_in))
}

/// Sign in, or be told who one is
///
/// With `user` and `pass` a session begins; with `passive` the caller is told who they are, by a
/// session or a key. A browser sends `X-CSRF-Token`.
#[utoipa::path(
    post,
    path = "/api/login",
    tag = "Signing in",
    request_body(content(
        (SignInBody = "application/json", example = json!({"user": "ann", "pass": "correct-horse", "remember": true})),
        (SignInBody = "application/x-www-form-urlencoded")
    )),
    responses(
        (status = 200, description = "Who the caller is. Of somebody unknown only the last three members.", body = IdentityBody,
         headers(("Set-Cookie" = String, description = "The session, if one began.")), example = json!({
            "name": "ann",
            "active": true,
            "admin": true,
            "user": true,
            "session": "9e3779b9",
            "groups": ["admins", "users"],
            "permissions": [],
            "roles": ["user", "admin"],
            "needs": {"group": ["admins", "users"], "role": ["admin", "control"]},
            "apikey": null,
            "settings": {},
            "_is_external_client": false,
            "_login_mechanism": "password",
            "_credentials_seen": "2026-11-25T20:41:07+00:00"
        })),
        (status = 400, description = "Neither a name with a password nor `passive`, the body cannot be read, or a browser's `X-CSRF-Token` is missing.", body = ErrorBody),
        (status = 403, description = "Name and password do not go together, or a page of another address asks.", body = ErrorBody, example = json!({
            "error": "User name and password do not go together."
        })),
        (status = 429, description = "Too many wrong passwords.", body = ErrorBody),
        (status = 503, description = "Too many people are signing in.", body = ErrorBody),
        Failures,
    )
)]
pub(crate) async fn log_in(
    State(authority): State<Authority>,
    Extension(caller): Extension<Caller>,
    Extension(inbound): Extension<Arc<Inbound>>,
    Extension(public): Extension<Public>,
    request: Request<Body>,
) -> Response {
    let (headers, uri) = (request.headers().clone(), request.uri().clone());
    let wish = if contract::is_json(&headers) {
        contract::read_object(request)
            .await
            .map(|members| Wish::of_json(&members))
    } else {
        let query = uri.query().unwrap_or_default();
        contract::read_body(request).await.map(|body| {
            let is_form = contract::is_form(&headers);
            Wish::of_form(if is_form { &body } else { &[] }, query)
        })
    };
    let caller = match by_key_of_form(&authority, caller, wish.as_ref().ok(), uri.query()).await {
        Ok(caller) => caller,
        Err(failure) => return contract::failed(&failure),
    };
    let sessions = &authority.sessions;
    if caller.needs_csrf_token()
        && let Err(forged) = sessions.check_origin(&headers, None, &public)
    {
        return refuse(forged);
    }
    let wish = match wish {
        Ok(wish) => wish,
        Err(refusal) => return refusal,
    };
    let (Some(user), Some(password)) = (&wish.user, &wish.pass) else {
        return if wish.passive {
            introduce(sessions, &caller, &inbound)
        } else {
            let sentence = "This needs a user and a pass, or passive.";
            contract::error(StatusCode::BAD_REQUEST, sentence)
        };
    };
    let attempt = Attempt {
        user,
        password,
        remember: wish.remember,
        caller: &caller,
        headers: &headers,
        inbound: &inbound,
        public: &public,
    };
    match sessions.sign_in(attempt).await {
        Ok(signed_in) => contract::with_cookies(
            introduce(sessions, &signed_in.caller, &inbound),
            signed_in.cookies,
        ),
        Err(error) => not_signed_in(&error),
    }
}

/// In a form a key stands in the same place as in the query, and before those in fields.
async fn by_key_of_form(
    authority: &Authority,
    caller: Caller,
    wish: Option<&Wish>,
    query: Option<&str>,
) -> Result<Caller, latchkey_store::StoreError> {
    let key = wish.and_then(|wish| wish.key.as_deref());
    match key {
        Some(key) if caller.session().is_none() && key_in_query(query).is_none() => {
            authority.by_key(key).await
        }
        _ => Ok(caller),
    }
}

/// End the session
///
/// A key is no session, and stays.
#[utoipa::path(
    post,
    path = "/api/logout",
    tag = "Signing in",
    security(("app_key" = [])),
    responses(
        (status = 200, description = "Whoever calls next is nobody known.", body = LeftBody, example = json!({"needs": {"group": ["guests"]}})),
        (status = 400, description = "A browser's `X-CSRF-Token` is missing or wrong.", body = ErrorBody),
        (status = 403, description = "A page of another address asks.", body = ErrorBody),
        Failures,
    )
)]
pub(crate) async fn log_out(
    State(authority): State<Authority>,
    Extension(caller): Extension<Caller>,
    Extension(public): Extension<Public>,
    request: Request<Body>,
) -> Response {
    let outcome = authority
        .sessions
        .log_out(&caller, request.headers(), &public);
    match outcome.await {
        Ok(cookies) => {
            contract::with_cookies(contract::json(StatusCode::OK, &wire::left()), cookies)
        }
        Err(failure) => contract::failed(&failure),
    }
}

/// Be told who one is, in short
///
/// Nobody known is `name: null` in the group `guests`.
#[utoipa::path(
    get,
    path = "/api/currentuser",
    tag = "Signing in",
    security((), ("app_key" = [])),
    responses(
        (status = 200, description = "Who the caller is.", body = CurrentUser, example = json!({
            "name": "ann", "groups": ["admins", "users"], "permissions": ["ADMIN", "CONTROL"]
        })),
        Failures,
    )
)]
pub(crate) async fn current_user(Extension(caller): Extension<Caller>) -> Response {
    contract::json(StatusCode::OK, &CurrentUser::of(&caller))
}

/// Tells the caller who they are.
fn introduce(sessions: &Sessions, caller: &Caller, inbound: &Inbound) -> Response {
    let is_external = !neighbours::is_nearby(inbound.address.to_canonical());
    let (handle, now) = (sessions.handle(caller), sessions.0.clock.now());
    let told = wire::user(caller, &handle, is_external, now);
    let told = told.unwrap_or_else(|| wire::nobody(is_external));
    contract::json(StatusCode::OK, &told)
}

fn not_signed_in(error: &SignInError) -> Response {
    match error {
        SignInError::Wrong => contract::error(
            StatusCode::FORBIDDEN,
            "User name and password do not go together.",
        ),
        SignInError::TooMany(_) => contract::error(
            StatusCode::TOO_MANY_REQUESTS,
            "There were too many wrong passwords. Wait and try again.",
        ),
        SignInError::Passwords(_) => contract::error(
            StatusCode::SERVICE_UNAVAILABLE,
            "Too many people are signing in just now. Try again in a moment.",
        ),
        SignInError::Store(failure) => contract::failed(failure),
    }
}

/// The answer to a request that no page of ours made.
pub(crate) fn refuse(forged: Forged) -> Response {
    match forged {
        Forged::Token => contract::error(
            StatusCode::BAD_REQUEST,
            "The CSRF token is missing or wrong. Load a page of this host first.",
        ),
        Forged::Origin => contract::error(
            StatusCode::FORBIDDEN,
            "A page of another address may not do this in your name.",
        ),
    }
}
