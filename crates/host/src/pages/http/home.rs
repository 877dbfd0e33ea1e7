//! The printer's page.

use axum::response::Response;
use http::{Method, StatusCode};
use latchkey_web::browser::wants_page;

use crate::contract;
use crate::pages::views::{Camera, Home, Tab};
use crate::pages::visit::{Answered, Visit};

pub(super) async fn show(visit: Visit) -> Answered {
    if !visit.authority.users.is_set_up().await {
        return Ok(visit.go_on("/latchkey/setup"));
    }
    let user = visit.user()?;
    let pages = &visit.authority.pages;
    let (site, viewer) = (visit.site(), visit.viewer(user));
    let waiting = visit.waiting(user);
    Ok(visit.page(&Home {
        shell: viewer.bar(&site, Tab::Printer),
        site,
        viewer,
        upstream: pages.upstream(),
        relay: pages.relay_link(),
        // The push socket tells it within a second.
        printer: None,
        camera: pages.camera().map(|url| Camera { url }),
        pending: waiting.iter().map(|shown| visit.pending(shown)).collect(),
        version: env!("CARGO_PKG_VERSION"),
    }))
}

/// The address as people type it.
pub(super) async fn move_on(visit: Visit) -> Response {
    visit.go_on("/latchkey/")
}

/// Below our pages, where there is none.
pub(super) async fn missing(visit: Visit, method: Method) -> Response {
    if wants_page(&visit.headers, &method) {
        return visit.problem(StatusCode::NOT_FOUND);
    }
    contract::nothing_here()
}
