//! App connections over all printers, and revoking them, one or all of a printer.

use axum::extract::Query;
use axum::routing::get;
use axum::{Form, Router};
use http::StatusCode;
use latchkey_model::account_notice::NoticeKind;
use latchkey_model::activity::Did;
use latchkey_model::id::{AccountId, AppConnectionId, PrinterId};
use serde::Deserialize;

use super::printers::{ask, listed_app, members, registered};
use super::{Bare, Told, printer_path, used};
use crate::activity::Person;
use crate::audit::Act;
use crate::pages::ids::Id;
use crate::pages::views::{AppConnectionsPage, AppSomewhere, Ending, Tab};
use crate::pages::visit::{About, Answered, Visit};
use crate::state::State;

/// Most that are shown at once.
const MOST_LISTED: u32 = 200;

pub(super) fn routes() -> Router<State> {
    Router::new()
        .route("/app-connections", get(list))
        .route(
            "/app-connections/{id}/revoke",
            get(ask_to_revoke).post(revoke),
        )
        .route(
            "/printers/{id}/revoke-all",
            get(ask_to_revoke_all).post(revoke_all),
        )
}

#[derive(Deserialize)]
struct Revoking {
    /// To which printer the person comes back, also when the app was revoked already.
    #[serde(default)]
    printer: String,
    #[serde(default)]
    csrf_token: String,
}

/// Over all printers.
async fn list(visit: Visit, Query(told): Query<Told>) -> Answered {
    let account = visit.account()?;
    let store = visit.state.store.app_connections();
    let found = store.list_everywhere(&account.id, MOST_LISTED + 1).await;
    let mut found = found.map_err(|failure| visit.failed(&failure))?;
    let more = found.len() > MOST_LISTED as usize;
    found.truncate(MOST_LISTED as usize);
    let registered = registered(&visit).await?;
    let list = found.iter().filter_map(|found| {
        let live = found.listed.connection.live()?;
        let by = found.allowed_by.as_str().to_owned();
        let allowed_by = |by_whom: &AccountId| (*by_whom != account.id).then_some(by);
        Some(AppSomewhere {
            app: listed_app(&visit, &found.listed, &registered, allowed_by)?,
            printer: found.printer_name.to_string(),
            printer_id: live.printer.to_string(),
        })
    });
    let site = visit.site();
    let page = AppConnectionsPage {
        shell: visit.viewer(account).bar(&site, Tab::Apps),
        site,
        revoked: told.done == "revoked",
        list: list.collect(),
        more,
    };
    Ok(visit.page(&page))
}

async fn ask_to_revoke(visit: Visit, Id(id): Id<AppConnectionId>) -> Answered {
    let account = visit.account()?;
    let store = visit.state.store.app_connections();
    let found = store.find_listed(&account.id, &id).await;
    let found = found.map_err(|failure| visit.failed(&failure))?;
    let live = found.as_ref().and_then(|found| found.connection.live());
    let (Some(found), Some(live)) = (&found, live) else {
        return Err(visit.problem(StatusCode::NOT_FOUND));
    };
    let printer = used(&visit, account, &live.printer).await?;
    let allowed_by = if live.account == account.id {
        None
    } else {
        let members = members(&visit, account, &live.printer).await?;
        let by = members.into_iter().find(|by| by.account == live.account);
        by.map(|by| by.email.as_str().to_owned())
    };
    let registered = registered(&visit).await?;
    let app = listed_app(&visit, found, &registered, |_| allowed_by);
    let app = app.ok_or_else(|| visit.problem(StatusCode::NOT_FOUND))?;
    let ending = Ending::AppConnection { app };
    Ok(visit.page(&ask(&visit, account, &printer, ending)))
}

async fn revoke(visit: Visit, Id(id): Id<AppConnectionId>, Form(form): Form<Revoking>) -> Answered {
    let back = format!("/app-connections/{id}/revoke");
    let account = visit.form(&form.csrf_token, &back)?;
    let store = visit.state.store.app_connections();
    let found = store.find_listed(&account.id, &id).await;
    let found = found.map_err(|failure| visit.failed(&failure))?;
    let revoked = visit.state.life.revoke(&account.id, &id).await;
    let revoked = revoked.map_err(|failure| visit.failed(&failure))?;
    if revoked {
        let live = found.as_ref().and_then(|found| found.connection.live());
        if let Some(live) = live {
            let person = Person {
                printer: &live.printer,
                account: &account.id,
                app: Some((&id, live.app_name.as_str())),
            };
            visit.state.activity.by_person(Did::Revoked, person);
        }
        let app = live.map_or_else(String::new, |live| live.app_name.to_string());
        if let Some(live) = live.filter(|live| live.account != account.id) {
            mention_to_other(&visit, &live.account, app.clone()).await;
        }
        visit
            .mention(&account.id, NoticeKind::AppRevoked, app)
            .await;
        let about = About {
            account: live.map(|live| &live.account),
            printer: live.map(|live| &live.printer),
            detail: id.to_string(),
        };
        visit.note(Act::AppConnectionRevoked, about).await;
        tracing::info!(
            account.id = %account.id,
            app_connection.id = %id,
            "an app connection was revoked"
        );
    }
    // A second click finds it done. What is somebody else's is not there.
    let printer = form.printer.parse::<PrinterId>().ok();
    let used = match &printer {
        Some(printer) => used(&visit, account, printer).await.is_ok(),
        None => false,
    };
    match printer {
        Some(printer) if used => Ok(visit.go_on(&printer_path(&printer, "?done=revoked"))),
        _ if revoked => Ok(visit.go_on("/app-connections?done=revoked")),
        _ => Err(visit.problem(StatusCode::NOT_FOUND)),
    }
}

/// Tells whoever allowed an app that it is out by somebody else, whose browser and network are not
/// theirs to know.
async fn mention_to_other(visit: &Visit, account: &AccountId, app: String) {
    let notices = &visit.state.notices;
    notices
        .note(account, NoticeKind::AppRevoked, app, None)
        .await;
}

async fn ask_to_revoke_all(visit: Visit, Id(id): Id<PrinterId>) -> Answered {
    let account = visit.account()?;
    let found = used(&visit, account, &id).await?;
    visit.fresh(&visit.here())?;
    let ending = Ending::AppConnections {
        count: usize::try_from(found.app_connections).unwrap_or(usize::MAX),
        everybodys: found.is_owned_by(&account.id),
    };
    Ok(visit.page(&ask(&visit, account, &found, ending)))
}

async fn revoke_all(visit: Visit, Id(id): Id<PrinterId>, Form(form): Form<Bare>) -> Answered {
    let back = printer_path(&id, "/revoke-all");
    let account = visit.form(&form.csrf_token, &back)?;
    let found = used(&visit, account, &id).await?;
    visit.fresh(&back)?;
    let store = visit.state.store.app_connections();
    let listed = store.list_by_printer(&account.id, &id).await;
    let listed = listed.map_err(|failure| visit.failed(&failure))?;
    let revoked = visit.state.life.revoke_all(&account.id, &id).await;
    let count = revoked.map_err(|failure| visit.failed(&failure))?;
    if count > 0 {
        let person = Person {
            printer: &id,
            account: &account.id,
            app: None,
        };
        visit.state.activity.by_person(Did::Revoked, person);
    }
    let others = listed.iter().filter_map(|one| one.connection.live());
    for live in others.filter(|live| live.account != account.id) {
        mention_to_other(&visit, &live.account, live.app_name.to_string()).await;
    }
    let (kind, printer) = (NoticeKind::AppRevoked, found.printer.name.to_string());
    visit.mention(&account.id, kind, printer).await;
    let about = About::printer(&id).detail(format!("{count} in all"));
    visit.note(Act::AppConnectionsRevoked, about).await;
    tracing::info!(
        account.id = %account.id,
        printer.id = %id,
        "all app connections of a printer were revoked"
    );
    Ok(visit.go_on(&printer_path(&id, "?done=revoked-all")))
}
