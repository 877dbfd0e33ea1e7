//! The local plugin API's routes.
//!
//! Reading needs no key: an app looks here before it has one. Changing needs somebody who may use
//! the printer; where the printer's server judges callers, a page of this host at home.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use http::{Method, Request, StatusCode};
use latchkey_model::access::Access;

use super::LocalApi;
use super::wire::{Command, FrontendBody, HostBody, PluginBody, command};
use crate::authority::Authority;
use crate::authority::caller::Caller;
use crate::contract::{self, Caching};
use crate::neighbours;
use crate::openapi::described::{BodyRefusals, ErrorBody, Failures};
use crate::public::Public;
use crate::service::{Door, Inbound};

pub(super) const PLUGIN: &str = "/api/plugin/octoeverywhere";
pub(super) const HOST: &str = "/api/plugin/latchkey";

pub(crate) fn is_ours(path: &str) -> bool {
    [PLUGIN, HOST].contains(&path)
}

pub(crate) fn routes() -> Router<Authority> {
    Router::new()
        .route(
            "/api/plugin/octoeverywhere",
            get(plugin).post(change_plugin),
        )
        .route("/api/plugin/latchkey", get(host).post(change_host))
}

/// Find a printer as OctoEverywhere's plugin tells it
///
/// For apps that look for that plugin at home. Anybody may.
#[utoipa::path(
    get,
    path = "/api/plugin/octoeverywhere",
    tag = "This host",
    responses(
        (status = 200, description = "The printer's id is the one that the portal takes as `printerid`.", body = PluginBody, example = json!({
            "PluginVersion": "5.3.1", "PrinterId": "pr_4b9c"
        })),
        Failures,
    )
)]
pub(crate) async fn plugin(State(authority): State<Authority>) -> Response {
    contract::json(StatusCode::OK, &PluginBody::of(&authority.local_api))
}

/// Find out what this host is
///
/// Anybody may, before they have a key.
#[utoipa::path(
    get,
    path = "/api/plugin/latchkey",
    tag = "This host",
    responses(
        (status = 200, description = "The host.", body = HostBody, example = json!({
            "version": "0.1.0",
            "name": "Workshop",
            "printer_id": "pr_4b9c",
            "authority": "host",
            "upstream": {"kind": "octoprint"},
            "relay": {"name": "relay.example.net", "connected": true},
            "paired": true,
            "addresses": ["http://192.168.1.9:5010"],
            "frontend": null,
            "app_keys": true,
            "session_keys": false
        })),
        Failures,
    )
)]
pub(crate) async fn host(State(authority): State<Authority>) -> Response {
    let session_keys = authority.session_keys.is_offered();
    contract::json(
        StatusCode::OK,
        &HostBody::of(&authority.local_api, session_keys),
    )
}

/// Say where a local proxy shows this host, as a page says it to OctoEverywhere's plugin
///
/// At home, by somebody who may use the printer; with `authority: upstream`, by a page of this host.
#[utoipa::path(
    post,
    path = "/api/plugin/octoeverywhere",
    tag = "This host",
    security(("app_key" = [])),
    request_body(content = FrontendBody, example = json!({"command": "setFrontendLocalPort", "port": 80, "isHttps": false})),
    responses(
        (status = 204, description = "Known."),
        (status = 403, description = "Not at home, nobody who may, or from a page of another address.", body = ErrorBody),
        BodyRefusals,
    )
)]
pub(crate) async fn change_plugin(
    authority: State<Authority>,
    caller: Extension<Caller>,
    inbound: Extension<Arc<Inbound>>,
    request: Request<Body>,
) -> Response {
    change(authority, caller, inbound, request).await
}

/// Say where a local proxy shows this host
///
/// At home, by somebody who may use the printer; with `authority: upstream`, by a page of this host.
#[utoipa::path(
    post,
    path = "/api/plugin/latchkey",
    tag = "This host",
    security(("app_key" = [])),
    request_body(content = FrontendBody, example = json!({"command": "setFrontendLocalPort", "port": 443, "isHttps": true})),
    responses(
        (status = 204, description = "Known."),
        (status = 403, description = "Not at home, nobody who may, or from a page of another address.", body = ErrorBody, example = json!({
            "error": "Who only watches changes nothing."
        })),
        BodyRefusals,
    )
)]
pub(crate) async fn change_host(
    authority: State<Authority>,
    caller: Extension<Caller>,
    inbound: Extension<Arc<Inbound>>,
    request: Request<Body>,
) -> Response {
    change(authority, caller, inbound, request).await
}

async fn change(
    State(authority): State<Authority>,
    Extension(caller): Extension<Caller>,
    Extension(inbound): Extension<Arc<Inbound>>,
    request: Request<Body>,
) -> Response {
    match caller.access() {
        // It tells apps at home where to look.
        _ if inbound.door != Door::Lan => {
            let sentence = "This is changed at home only.";
            contract::error(StatusCode::FORBIDDEN, sentence)
        }
        None => contract::sign_in_first(),
        Some(access) if access < Access::Operate => {
            let sentence = "Who only watches changes nothing.";
            contract::error(StatusCode::FORBIDDEN, sentence)
        }
        Some(_) => follow(&authority.local_api, request).await,
    }
}

async fn follow(api: &LocalApi, request: Request<Body>) -> Response {
    let members = match contract::read_object(request).await {
        Ok(members) => members,
        Err(refusal) => return refusal,
    };
    match command(&members) {
        Ok(Command::SetFrontend(frontend)) => {
            api.set_frontend(frontend);
            contract::no_content()
        }
        Err(sentence) => contract::error(StatusCode::BAD_REQUEST, sentence),
    }
}

/// The same where the printer's server judges callers.
pub(crate) async fn answer(
    api: &LocalApi,
    session_keys: bool,
    request: Request<Body>,
    inbound: &Inbound,
) -> Response {
    let method = request.method().clone();
    let is_plugin = request.uri().path() == PLUGIN;
    let mut answer = match method {
        Method::GET | Method::HEAD if is_plugin => {
            contract::json(StatusCode::OK, &PluginBody::of(api))
        }
        Method::GET | Method::HEAD => {
            contract::json(StatusCode::OK, &HostBody::of(api, session_keys))
        }
        Method::POST if may_change(&request, inbound) => follow(api, request).await,
        Method::POST => {
            let sentence = "Only a page of this host may change this, and from an address of a \
                            network at home.";
            contract::error(StatusCode::FORBIDDEN, sentence)
        }
        _ => contract::wrong_method(),
    };
    contract::finish(answer.headers_mut(), &method, Caching::Api);
    answer
}

/// Nobody here knows who calls. What is changed is a hint to apps at home, so somebody at home may
/// change it, and no page of another address through their browser.
fn may_change(request: &Request<Body>, inbound: &Inbound) -> bool {
    inbound.door == Door::Lan
        && neighbours::is_nearby(inbound.address.to_canonical())
        && Public::of(inbound).may_have_sent(request.headers())
}
