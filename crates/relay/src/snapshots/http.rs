//! `/snapshot/{secret}`: a picture, for whoever has the link.

use axum::Router;
use axum::extract::{Path, State as Extracted};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, StatusCode};
use latchkey_model::secret::SnapshotSecret;
use latchkey_web::problem::Problem;

use crate::state::State;

pub(crate) fn routes() -> Router<State> {
    Router::new().route("/snapshot/{secret}", get(show))
}

/// Nobody need be signed in: those who show what an app was told are other programs.
async fn show(Extracted(state): Extracted<State>, Path(secret): Path<String>) -> Response {
    let Ok(secret) = SnapshotSecret::parse(&secret) else {
        return nothing(StatusCode::NOT_FOUND);
    };
    let picture = match state.snapshots.find(&secret.hash()).await {
        Ok(Some(picture)) => picture,
        Ok(None) => return nothing(StatusCode::NOT_FOUND),
        Err(error) => {
            tracing::error!(%error, "cannot look up a picture");
            return nothing(StatusCode::SERVICE_UNAVAILABLE);
        }
    };
    let fields = [
        (CONTENT_TYPE, picture.kind),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (
            CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; sandbox"),
        ),
        (
            HeaderName::from_static("x-content-type-options"),
            HeaderValue::from_static("nosniff"),
        ),
        (
            HeaderName::from_static("x-robots-tag"),
            HeaderValue::from_static("noindex, nofollow, noimageindex"),
        ),
        // Pages of others show it: that is what the link is for.
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static("cross-origin"),
        ),
    ];
    (StatusCode::OK, fields, picture.bytes).into_response()
}

fn nothing(status: StatusCode) -> Response {
    Problem::from_status(status).into_response()
}
