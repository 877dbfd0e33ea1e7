//! The routes that the host answers itself, and what holds for all of them.

use axum::body::Body;
use axum::extract::State;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::{Extension, Router};
use http::{Request, StatusCode};

use super::Authority;
use super::access::is_reading;
use super::caller::Caller;
use crate::contract::{self, Caching};
use crate::public::Public;
use crate::{app_keys, key_requests, local_api, openapi, pages, session_keys, sessions};

/// What changes something and any page may send: an app that only asks, and an app that signs.
const EXEMPT: [&str; 2] = ["/plugin/appkeys/request", session_keys::http::PATH];

/// All routes of the contract, and the host's own pages.
pub(crate) fn router(authority: Authority) -> Router {
    let guard = middleware::from_fn_with_state(authority.clone(), guard);
    let proof = middleware::from_fn_with_state(authority.clone(), proof);
    let contract = Router::new()
        .merge(key_requests::http::routes())
        .merge(app_keys::http::routes())
        .merge(session_keys::http::routes())
        .merge(local_api::http::routes())
        .merge(sessions::http::routes())
        // What follows is not asked for the proof: a method that no route takes changes nothing.
        .route_layer(proof)
        .fallback(async || contract::nothing_here())
        .method_not_allowed_fallback(async || contract::wrong_method())
        .layer(guard);
    Router::new()
        .merge(pages::http::routes())
        .merge(openapi::http::routes())
        .fallback_service(contract.with_state(authority.clone()))
        .with_state(authority)
}

/// What comes before every address of the contract: set-up. Afterwards the fields that all answers
/// have.
async fn guard(State(authority): State<Authority>, request: Request<Body>, next: Next) -> Response {
    let method = request.method().clone();
    let path = request.uri().path();
    let mut caching = caching(path);
    let asks_for_keys = path.contains("/plugin/appkeys");
    let mut answer = if asks_for_keys && !authority.users.is_set_up().await {
        contract::error(
            StatusCode::FORBIDDEN,
            "This host has no administrator yet. Open its page and set it up first.",
        )
    } else {
        next.run(request).await
    };
    if answer.status() == StatusCode::METHOD_NOT_ALLOWED {
        caching = Caching::Plugin;
    }
    contract::finish(answer.headers_mut(), &method, caching);
    answer
}

/// What comes before every handler: the proof that a browser's request was made by a page of ours.
async fn proof(
    State(authority): State<Authority>,
    Extension(caller): Extension<Caller>,
    Extension(public): Extension<Public>,
    request: Request<Body>,
    next: Next,
) -> Response {
    let path = request.uri().path();
    let exempt = EXEMPT.contains(&path)
        || sessions::http::PROVEN_HERE.contains(&path)
        || is_reading(request.method())
        || !caller.needs_csrf_token();
    let sessions = &authority.sessions;
    if !exempt && let Err(forged) = sessions.check_origin(request.headers(), None, &public) {
        return sessions::http::refuse(forged);
    }
    next.run(request).await
}

fn caching(path: &str) -> Caching {
    if path.starts_with("/api/") {
        Caching::Api
    } else if path.starts_with("/plugin/appkeys/") && !path.starts_with("/plugin/appkeys/auth/") {
        Caching::Plugin
    } else {
        Caching::Page
    }
}
