//! The push socket: one task per client, raw or in SockJS frames, with bounded queues throughout.
//! What is said is in `messages`, how it is wrapped in `framing`.

mod client;
mod framing;
mod messages;

use axum::Json;
use axum::Router;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, StatusCode, header};
use serde_json::json;

use crate::App;
use crate::api::same_origin;
use client::Client;
use framing::Framing;

/// The largest message a client may send; theirs are short.
const LARGEST_MESSAGE: usize = 64 << 10;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/sockjs", get(greeting))
        .route("/sockjs/", get(greeting))
        .route("/sockjs/info", get(info))
        .route("/sockjs/websocket", get(raw))
        .route("/sockjs/{server}/{session}/websocket", get(framed))
}

async fn greeting() -> &'static str {
    "Welcome to SockJS!\n"
}

async fn info() -> Response {
    let mut entropy = [0; 4];
    // Only keeps caches from answering; any number does.
    let _ = getrandom::fill(&mut entropy);
    let info = json!({
        "websocket": true, "cookie_needed": false, "origins": ["*:*"], "entropy": u32::from_le_bytes(entropy),
    });
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, Json(info)).into_response()
}

async fn raw(State(app): State<App>, request: Request) -> Response {
    upgrade(app, request, Framing::Raw).await
}

async fn framed(
    State(app): State<App>,
    Path((server, session)): Path<(String, String)>,
    request: Request,
) -> Response {
    if server.contains('.') || session.contains('.') {
        return StatusCode::NOT_FOUND.into_response();
    }
    upgrade(app, request, Framing::SockJs).await
}

async fn upgrade(app: App, request: Request, framing: Framing) -> Response {
    let (mut parts, _) = request.into_parts();
    if !allowed(&parts.headers) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade,
        Err(refusal) => return refusal.into_response(),
    };
    let tracker = app.tracker.clone();
    upgrade
        .max_message_size(LARGEST_MESSAGE)
        .on_upgrade(move |socket: WebSocket| {
            tracker.track_future(Client::new(app, framing).run(socket))
        })
}

/// A page from elsewhere could otherwise listen with a person's browser.
fn allowed(headers: &HeaderMap) -> bool {
    same_origin(headers)
}
