//! `/apps`, `/apps/{id}/logo.png`, `/privacy`.

use axum::Router;
use axum::extract::{Path, State as Shared};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, StatusCode};
use latchkey_model::app::AppId;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::admin;
use crate::pages::views::{Directory, Privacy};
use crate::pages::visit::{Answered, Visit};
use crate::state::State;

/// A page of ours alone shows it.
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

pub(crate) fn routes() -> Router<State> {
    Router::new()
        .route("/apps", get(directory))
        .route("/privacy", get(privacy))
        .route("/apps/{id}/logo.png", get(logo))
}

/// An app's id as a part of a path.
pub(crate) fn id_in_path(id: &AppId) -> String {
    let encoded = utf8_percent_encode(id.as_str(), NON_ALPHANUMERIC);
    encoded.to_string()
}

/// Where the logo of an app is.
pub(crate) fn logo_path(id: &AppId) -> String {
    format!("/apps/{}/logo.png", id_in_path(id))
}

/// The apps that are registered here, for everybody.
async fn directory(visit: Visit) -> Answered {
    let apps = visit.state.store.apps().list().await;
    let mut apps = apps.map_err(|failure| visit.failed(&failure))?;
    apps.sort_by_key(|app| app.name.as_str().to_lowercase());
    let site = visit.site();
    let page = Directory {
        shell: site.door(),
        site,
        apps: apps
            .iter()
            .map(|app| admin::app_view(&visit, app))
            .collect(),
    };
    Ok(visit.page(&page))
}

/// What whoever runs the relay can see.
async fn privacy(visit: Visit) -> Answered {
    let site = visit.site();
    let shell = site.door();
    Ok(visit.page(&Privacy { shell, site }))
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
