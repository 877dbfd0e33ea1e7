//! `/api` for people, `/api/openapi.json` for programs.

use std::sync::LazyLock;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::HeaderValue;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE};
use latchkey_web::description::Description;

use super::document as described;
use crate::pages::views::Api;
use crate::pages::visit::{Answered, Visit};
use crate::state::State;

static DOCUMENT: LazyLock<String> =
    LazyLock::new(|| described().to_pretty_json().expect("plain data") + "\n");

/// The description as the page shows it.
pub(crate) fn description() -> &'static Description {
    static DESCRIPTION: LazyLock<Description> = LazyLock::new(|| {
        let document = serde_json::to_value(described()).expect("plain data");
        Description::of(&document)
    });
    &DESCRIPTION
}

pub(crate) fn routes() -> Router<State> {
    Router::new()
        .route("/api", get(page))
        .route("/api/openapi.json", get(document))
}

async fn page(visit: Visit) -> Answered {
    Ok(visit.page(&Api::new(visit.site(), description())))
}

/// Read this description
///
/// Pages of any origin may.
#[utoipa::path(
    get,
    path = "/api/openapi.json",
    tag = "Description",
    responses((status = 200, description = "An OpenAPI document.", body = serde_json::Value))
)]
pub(crate) async fn document() -> Response {
    let fields = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
    ];
    (fields, DOCUMENT.as_str()).into_response()
}
