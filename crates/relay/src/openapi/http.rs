//! `/api` for people, `/api/openapi.json` for programs.

use std::sync::LazyLock;

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use latchkey_web::description::Description;
use latchkey_web::openapi;

use super::document as described;
use crate::pages::views::Api;
use crate::pages::visit::{Answered, Visit};
use crate::state::State;

static DOCUMENT: LazyLock<String> = LazyLock::new(|| openapi::printed(&described()));

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
    openapi::sent(&DOCUMENT)
}
