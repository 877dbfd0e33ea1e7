//! Addresses that apps and other programs lead people to; each goes on to a page of ours.

use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};

use super::visit::{Answered, Visit};
use crate::state::State;

pub(crate) fn routes() -> Router<State> {
    Router::new()
        .route("/view/{name}", get(view))
        .route("/getstarted", get(async || found("/pair")))
        .route("/code", get(async || found("/pair")))
        .route("/appsetup", get(async || found("/printers")))
        .route("/gadget", get(async || found("/printers")))
}

/// A printer's own pages by its name, which is all that apps know of it.
async fn view(visit: Visit, Path(name): Path<String>) -> Answered {
    let account = visit.account()?;
    let printers = visit.state.store.printers();
    let usable = printers.list_usable(&account.id).await;
    let usable = usable.map_err(|failure| visit.failed(&failure))?;
    let name = name.to_lowercase();
    let mut named = usable
        .iter()
        .filter(|printer| printer.name.as_str().to_lowercase() == name);
    match (named.next(), named.next()) {
        (Some(printer), None) => Ok(found(&format!("/printers/{}/open", printer.id))),
        // Two have the name: the list shows both.
        (Some(_), Some(_)) => Ok(found("/printers")),
        (None, _) => Err(visit.problem(StatusCode::NOT_FOUND)),
    }
}

fn found(path: &str) -> Response {
    let location = HeaderValue::try_from(path).expect("ids are plain ASCII");
    (StatusCode::FOUND, [(LOCATION, location)]).into_response()
}
