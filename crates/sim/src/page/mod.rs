//! The simulator's own page: camera, curves, job, fault switches. One document, one style sheet, one
//! script, all built in; nothing inline, so that the strictest content policy holds.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header;

use crate::App;

const POLICY: &str = "default-src 'none'; img-src 'self' data:; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'self'";

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(page))
        .route(
            "/static/sim.css",
            get(async || asset("text/css; charset=utf-8", include_str!("sim.css"))),
        )
        .route(
            "/static/sim.js",
            get(async || asset("text/javascript; charset=utf-8", include_str!("sim.js"))),
        )
        .route(
            "/static/sim.svg",
            get(async || asset("image/svg+xml", include_str!("sim.svg"))),
        )
}

async fn page() -> Response {
    asset("text/html; charset=utf-8", include_str!("index.html"))
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text).into_response()
}
