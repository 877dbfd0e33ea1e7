//! `/apps/{id}/logo.png`.

use axum::Router;
use axum::extract::{Path, State as Shared};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, StatusCode};
use latchkey_model::app::AppId;

use crate::state::State;

/// A page of ours alone shows it.
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

pub(crate) fn routes() -> Router<State> {
    Router::new().route("/apps/{id}/logo.png", get(logo))
}

/// Where the logo of an app is.
pub(crate) fn logo_path(id: &AppId) -> String {
    let id = percent_encoding::utf8_percent_encode(id.as_str(), percent_encoding::NON_ALPHANUMERIC);
    format!("/apps/{id}/logo.png")
}

async fn logo(Shared(state): Shared<State>, Path(id): Path<String>) -> Response {
    let Ok(id) = AppId::parse(&id) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match state.store.apps().find_logo(&id).await {
        Ok(Some(png)) => {
            let fields = [
                (CONTENT_TYPE, "image/png"),
                (CACHE_CONTROL, "private, max-age=300"),
                (RESOURCE_POLICY, "same-origin"),
            ];
            (fields, png).into_response()
        }
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => {
            tracing::error!(%error, "cannot read the logo of an app");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}
