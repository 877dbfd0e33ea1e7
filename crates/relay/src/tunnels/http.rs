//! `/printers/<id>/swap`: the owner lets the other host with the same key in.

use axum::routing::get;
use axum::{Form, Router};
use http::StatusCode;
use latchkey_model::id::PrinterId;
use serde::Deserialize;

use crate::audit::Act;
use crate::pages::ids::Id;
use crate::pages::views::{SwapHost, Tab};
use crate::pages::visit::{About, Answered, Visit};
use crate::people::owned;
use crate::state::State;

pub(crate) fn routes() -> Router<State> {
    Router::new().route("/printers/{id}/swap", get(ask).post(swap))
}

#[derive(Deserialize)]
struct Fields {
    #[serde(default)]
    csrf_token: String,
}

async fn ask(visit: Visit, Id(id): Id<PrinterId>) -> Answered {
    let account = visit.account()?;
    let printer = owned(&visit, account, &id).await?.printer;
    let (site, viewer) = (visit.site(), visit.viewer(account));
    let copy = printer.seen.copy;
    let page = SwapHost {
        shell: viewer.bar(&site, Tab::Printers),
        site,
        printer_id: printer.id.to_string(),
        printer: printer.name.to_string(),
        network: printer.seen.network,
        copy: copy.map(|copy| (visit.moment(copy.at), copy.network)),
    };
    Ok(visit.page(&page))
}

async fn swap(visit: Visit, Id(id): Id<PrinterId>, Form(fields): Form<Fields>) -> Answered {
    let back = format!("/printers/{id}/swap");
    let account = visit.form(&fields.csrf_token, &back)?;
    let printer = owned(&visit, account, &id).await?.printer;
    visit.fresh(&back)?;
    if let Some(host) = printer
        .host
        .as_ref()
        .filter(|_| printer.seen.copy.is_some())
    {
        if !visit.state.tunnels.prefer_next(&host.id()) {
            return Err(visit.problem(StatusCode::TOO_MANY_REQUESTS));
        }
        let about = About::printer(&printer.id);
        visit.note(Act::HostSwapped, about).await;
        tracing::info!(printer.id = %printer.id, "the owner lets the other host in");
        let printers = visit.state.store.printers();
        let noted = printers.note_copy(&printer.id, None).await;
        noted.map_err(|failure| visit.failed(&failure))?;
    }
    Ok(visit.go_on(&format!("/printers/{}", printer.id)))
}
