//! `/printers/{id}/live`: what a printer's owner sees of its live links, makes and ends.

use axum::extract::Query;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Form, Router};
use http::StatusCode;
use latchkey_model::account::Account;
use latchkey_model::activity::Did;
use latchkey_model::id::{LiveLinkId, PrinterId};
use latchkey_model::live_link::LinkHours;
use latchkey_store::relay::{ListedLink, UsedPrinter};
use serde::Deserialize;

use super::{NotMade, Wish};
use crate::activity::Person;
use crate::audit::Act;
use crate::pages::ids::Id;
use crate::pages::views::{LiveLinkCard, ShareLive, ShareTold, Tab};
use crate::pages::visit::{About, Answered, Visit};
use crate::people::owned;
use crate::state::State;

/// A link that ends with a print ends after so many hours at the latest.
const LONGEST_PRINT_HOURS: u64 = 14 * 24;

pub(crate) fn routes() -> Router<State> {
    Router::new()
        .route("/printers/{id}/live", get(show).post(make))
        .route("/printers/{id}/live/revoke", post(revoke))
}

#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    done: String,
}

#[derive(Deserialize)]
struct Making {
    /// `print`, or a number of hours.
    #[serde(default)]
    until: String,
    #[serde(default)]
    csrf_token: String,
}

#[derive(Deserialize)]
struct Revoking {
    #[serde(default)]
    link: String,
    #[serde(default)]
    csrf_token: String,
}

fn path(id: &PrinterId, told: &str) -> String {
    format!("/printers/{id}/live{told}")
}

async fn show(visit: Visit, Id(id): Id<PrinterId>, Query(told): Query<Told>) -> Answered {
    let account = visit.account()?;
    let found = owned(&visit, account, &id).await?;
    let told = match told.done.as_str() {
        "made" => Some(ShareTold::Made),
        "ended" => Some(ShareTold::Revoked),
        _ => None,
    };
    let page = page(&visit, account, &found, told).await?;
    Ok(visit.page(&page))
}

async fn page(
    visit: &Visit,
    account: &Account,
    found: &UsedPrinter,
    told: Option<ShareTold>,
) -> Result<ShareLive, Response> {
    let id = &found.printer.id;
    let links = visit.state.store.live_links();
    let now = visit.state.clock.now();
    let listed = links.list_of_printer(&account.id, id, now).await;
    let listed = listed.map_err(|failure| visit.failed(&failure))?;
    let site = visit.site();
    Ok(ShareLive {
        shell: visit.viewer(account).bar(&site, Tab::Printers),
        site,
        id: id.to_string(),
        name: found.printer.name.to_string(),
        has_print: visit.state.live_links.has_print(id),
        links: listed.iter().map(|link| card(visit, link)).collect(),
        told,
    })
}

fn card(visit: &Visit, listed: &ListedLink) -> LiveLinkCard {
    let link = &listed.link;
    let now = visit.state.clock.now();
    LiveLinkCard {
        id: link.id.to_string(),
        url: visit.state.live_links.address(&link.id),
        app: listed.app.as_ref().map(|app| app.as_str().to_owned()),
        made: visit.moment(link.created),
        with_print: link.print.is_some(),
        hours: link.expires.since(now).as_secs().div_ceil(3600),
        viewers: visit.state.live_links.viewers(link),
    }
}

async fn make(visit: Visit, Id(id): Id<PrinterId>, Form(form): Form<Making>) -> Answered {
    let back = path(&id, "");
    // Whoever watches needs no account from then on, so the person proves who they are.
    let account = visit.fresh_form(&form.csrf_token, &back)?;
    let found = owned(&visit, account, &id).await?;
    let with_print = form.until == "print";
    let hours = if with_print {
        Some(LONGEST_PRINT_HOURS)
    } else {
        form.until.parse().ok()
    };
    let hours = hours.and_then(|hours| LinkHours::try_from(hours).ok());
    let hours = hours.ok_or_else(|| visit.problem(StatusCode::BAD_REQUEST))?;
    let made = visit.state.live_links.make(Wish {
        printer: id.clone(),
        account: account.id.clone(),
        app_connection: None,
        hours,
        with_print,
    });
    let why = match made.await {
        Ok(_) => {
            note(&visit, account, &id, Did::Shared, Act::LiveLinkMade).await;
            return Ok(visit.go_on(&path(&id, "?done=made")));
        }
        Err(NotMade::NoPrint) => ShareTold::NoPrint,
        Err(NotMade::TooMany) => ShareTold::TooMany,
        Err(NotMade::Store(failure)) => return Err(visit.failed(&failure)),
    };
    let page = page(&visit, account, &found, Some(why)).await?;
    Ok(visit.page_with(StatusCode::CONFLICT, &page))
}

async fn revoke(visit: Visit, Id(id): Id<PrinterId>, Form(form): Form<Revoking>) -> Answered {
    let account = visit.form(&form.csrf_token, &path(&id, ""))?;
    owned(&visit, account, &id).await?;
    // A second click finds it done.
    if let Ok(link) = form.link.parse::<LiveLinkId>() {
        let revoked = visit.state.live_links.revoke(&account.id, &id, &link).await;
        if revoked.map_err(|failure| visit.failed(&failure))? {
            note(&visit, account, &id, Did::Unshared, Act::LiveLinkEnded).await;
        }
    }
    Ok(visit.go_on(&path(&id, "?done=ended")))
}

async fn note(visit: &Visit, account: &Account, printer: &PrinterId, did: Did, act: Act) {
    let person = Person {
        printer,
        account: &account.id,
        app: None,
    };
    visit.state.activity.by_person(did, person);
    visit.note(act, About::printer(printer)).await;
}
