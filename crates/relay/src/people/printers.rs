//! `/printers`, `/printers/{id}`: looking, renaming, removing.

use std::collections::HashMap;
use std::time::Duration;

use axum::extract::Query;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Form, Router};
use http::StatusCode;
use latchkey_model::access::KeyScope;
use latchkey_model::account::Account;
use latchkey_model::app::RegisteredApp;
use latchkey_model::id::{AccountId, PrinterId};
use latchkey_model::printer::{CopySeen, HostKey, NameError, PrinterName};
use latchkey_store::relay::{Listed, Member, UsedPrinter};
use serde::Deserialize;

use super::telling::telling;
use super::{Bare, Told, listed_invitation, owned, printer_path, reminder, still_used, used};
use crate::activity::http::{data_used, of_printer};
use crate::apps::http::logo_path;
use crate::audit::Act;
use crate::dashboard::now_at;
use crate::mail::Letter;
use crate::pages::ids::Id;
use crate::pages::views::{
    AppStanding, Copied, EndAtPrinter, Ending, ListedApp, ListedMember, NameProblem, Ownership,
    Presence, PrinterCard, PrinterDone, PrinterPage, Printers, PrintersDone, Rename, Tab,
};
use crate::pages::visit::{About, Answered, Visit};
use crate::state::State;

/// Longest version of a host's program that is shown.
const LONGEST_VERSION: usize = 32;
/// How long it is told that a copy was held off.
const COPY_SHOWN: Duration = Duration::from_hours(1);

pub(super) fn routes() -> Router<State> {
    Router::new()
        .route("/printers", get(list))
        .route("/printers/{id}", get(show))
        .route("/printers/{id}/rename", post(rename))
        .route("/printers/{id}/remove", get(ask_to_remove).post(remove))
}

#[derive(Deserialize)]
struct Renaming {
    #[serde(default)]
    name: String,
    #[serde(default)]
    csrf_token: String,
}

async fn list(visit: Visit, Query(told): Query<Told>) -> Answered {
    let account = visit.account()?;
    let printers = visit.state.store.members().list_used(&account.id).await;
    let printers = printers.map_err(|failure| visit.failed(&failure))?;
    let mut cards: Vec<_> = printers
        .iter()
        .map(|printer| card(&visit, account, printer))
        .collect();
    cards.sort_by_cached_key(PrinterCard::order);
    let site = visit.site();
    let page = Printers {
        shell: visit.viewer(account).bar(&site, Tab::Printers),
        address: visit.state.config.public_url.to_string(),
        site,
        reminder: reminder(&visit, account),
        done: match told.done.as_str() {
            "removed" => Some(PrintersDone::Removed),
            "left" => Some(PrintersDone::Left),
            "gone" => Some(PrintersDone::Gone),
            _ => None,
        },
        cards,
    };
    Ok(visit.page(&page))
}

fn card(visit: &Visit, account: &Account, found: &UsedPrinter) -> PrinterCard {
    let own = found.is_owned_by(&account.id);
    PrinterCard {
        id: found.printer.id.to_string(),
        name: found.printer.name.to_string(),
        presence: presence(visit, found).0,
        now: now_at(&visit.state, found),
        copied: own && recent_copy(visit, found).is_some(),
        apps: found.app_connections,
        owner: (!own).then(|| found.owner.as_str().to_owned()),
    }
}

/// The second host with the printer's key, while it was held off lately: one that tries does so
/// every half minute.
fn recent_copy<'f>(visit: &Visit, found: &'f UsedPrinter) -> Option<&'f CopySeen> {
    let now = visit.state.clock.now();
    let copy = found.printer.seen.copy.as_ref();
    copy.filter(|copy| now.since(copy.at) < COPY_SHOWN)
}

/// Whether a printer's host is here, and which version of the program it is.
fn presence(visit: &Visit, found: &UsedPrinter) -> (Presence, Option<String>) {
    let host = found.printer.host.as_ref().map(HostKey::id);
    let tunnel = host.and_then(|host| visit.state.tunnels.find(&host));
    let seen = &found.printer.seen;
    let Some(tunnel) = tunnel else {
        let seen = seen.last_seen.map(|at| visit.moment(at));
        return (Presence::Offline(seen), None);
    };
    let version = tunnel.hello().version.chars();
    let version: String = version
        .filter(char::is_ascii_graphic)
        .take(LONGEST_VERSION)
        .collect();
    let since = seen.online_since.map(|at| visit.moment(at));
    let version = (!version.is_empty()).then_some(version);
    (Presence::Online(since), version)
}

async fn show(visit: Visit, Id(id): Id<PrinterId>, Query(told): Query<Told>) -> Answered {
    let account = visit.account()?;
    let found = used(&visit, account, &id).await?;
    let page = PrinterPage {
        done: match told.done.as_str() {
            "revoked" => Some(PrinterDone::Revoked),
            "revoked-all" => Some(PrinterDone::RevokedAll),
            "renamed" => Some(PrinterDone::Renamed),
            "ended" => Some(PrinterDone::MemberRemoved),
            "withdrawn" => Some(PrinterDone::InvitationTaken),
            "joined" => Some(PrinterDone::Joined),
            "raised" => Some(PrinterDone::Raised),
            "lowered" => Some(PrinterDone::Lowered),
            "paired" => Some(PrinterDone::Paired),
            "letters" => Some(PrinterDone::Letters),
            "untold" => Some(PrinterDone::Untold),
            _ => None,
        },
        watching: told.watch == "live",
        ..page(&visit, account, &found, None).await?
    };
    Ok(visit.page(&page))
}

/// A printer's page, with a name that somebody typed and that will not do.
async fn page(
    visit: &Visit,
    account: &Account,
    found: &UsedPrinter,
    mistyped: Option<Rename>,
) -> Result<PrinterPage, Response> {
    let own = found.is_owned_by(&account.id);
    let printer = &found.printer;
    let members = if own {
        members(visit, account, &printer.id).await?
    } else {
        Vec::new()
    };
    let listed = visit.state.store.app_connections();
    let listed = listed.list_by_printer(&account.id, &printer.id).await;
    let listed = listed.map_err(|failure| visit.failed(&failure))?;
    let names: HashMap<_, _> = members
        .iter()
        .map(|member| (&member.account, member.email.as_str()))
        .collect();
    let registered = registered(visit).await?;
    let apps = listed.iter().filter_map(|listed| {
        let allowed_by = |by: &AccountId| names.get(by).map(|&email| email.to_owned());
        listed_app(visit, listed, &registered, allowed_by)
    });
    let apps = apps.collect();
    let (presence, version) = presence(visit, found);
    let site = visit.site();
    Ok(PrinterPage {
        shell: visit.viewer(account).bar(&site, Tab::Printers),
        site,
        done: None,
        id: printer.id.to_string(),
        name: printer.name.to_string(),
        presence,
        now: now_at(&visit.state, found),
        watching: false,
        activity: of_printer(visit, account, &printer.id).await?,
        data: data_used(visit, &printer.id).await?,
        paired: printer.host.is_some(),
        network: printer.seen.network.clone(),
        local_address: printer.local_address.clone(),
        version,
        added: visit.moment(printer.created),
        apps,
        telling: telling(visit, account, found).await?,
        usage: super::usage::line(visit, account, &printer.id).await?,
        owner: (!own).then(|| found.owner.as_str().to_owned()),
        watch_only: found.level == KeyScope::View,
        ownership: if own {
            Some(ownership(visit, found, &members, mistyped).await?)
        } else {
            None
        },
    })
}

async fn ownership(
    visit: &Visit,
    found: &UsedPrinter,
    members: &[Member],
    mistyped: Option<Rename>,
) -> Result<Ownership, Response> {
    let now = visit.state.clock.now();
    let links = visit.state.store.links();
    let invitations = links.list_of_printer(&found.printer.id, now).await;
    let invitations = invitations.map_err(|failure| visit.failed(&failure))?;
    let member = |member: &Member| ListedMember {
        id: member.account.to_string(),
        email: member.email.as_str().to_owned(),
        since: visit.moment(member.since),
        watch_only: member.level == KeyScope::View,
    };
    Ok(Ownership {
        members: members.iter().map(member).collect(),
        invitations: invitations
            .iter()
            .map(|(hash, link)| listed_invitation(visit, hash, link))
            .collect(),
        copied: recent_copy(visit, found).map(|copy| Copied {
            seen: visit.moment(copy.at),
            network: Some(copy.network.clone()),
        }),
        rename: mistyped.unwrap_or_else(|| Rename {
            name: found.printer.name.to_string(),
            problem: None,
        }),
    })
}

pub(super) async fn members(
    visit: &Visit,
    owner: &Account,
    printer: &PrinterId,
) -> Result<Vec<Member>, Response> {
    let members = visit.state.store.members().list(&owner.id, printer).await;
    members.map_err(|failure| visit.failed(&failure))
}

/// The apps that the operator registered.
pub(super) async fn registered(visit: &Visit) -> Result<Vec<RegisteredApp>, Response> {
    let registered = visit.state.store.apps().list().await;
    registered.map_err(|failure| visit.failed(&failure))
}

/// A live app connection, for lists and for the question before it ends.
pub(super) fn listed_app(
    visit: &Visit,
    listed: &Listed,
    registered: &[RegisteredApp],
    allowed_by: impl FnOnce(&AccountId) -> Option<String>,
) -> Option<ListedApp> {
    let live = listed.connection.live()?;
    let registered = registered.iter().find(|app| app.id == live.app);
    let with_logo = registered.filter(|app| app.has_logo);
    Some(ListedApp {
        id: listed.connection.id.to_string(),
        app: live.app_name.as_str().to_owned(),
        standing: AppStanding::of(registered),
        logo: with_logo.map(|app| logo_path(&app.id)),
        watch_only: live.scope == KeyScope::View,
        allowed_by: allowed_by(&live.account),
        created: visit.moment(live.created),
        used: listed.usage.last_used.map(|at| visit.moment(at)),
        requests: listed.usage.requests,
        bytes: listed.usage.bytes,
    })
}

async fn rename(visit: Visit, Id(id): Id<PrinterId>, Form(form): Form<Renaming>) -> Answered {
    let account = visit.form(&form.csrf_token, &printer_path(&id, ""))?;
    let found = owned(&visit, account, &id).await?;
    let problem = match PrinterName::parse(&form.name) {
        // Nothing happened that would have to be written down.
        Ok(name) if name == found.printer.name => {
            return Ok(visit.go_on(&printer_path(&id, "?done=renamed")));
        }
        Ok(name) => {
            let renamed = visit.state.store.printers();
            let renamed = renamed.rename(&account.id, &id, &name).await;
            renamed.map_err(|failure| visit.failed(&failure))?;
            visit.note(Act::PrinterRenamed, About::printer(&id)).await;
            return Ok(visit.go_on(&printer_path(&id, "?done=renamed")));
        }
        Err(NameError::Empty) => NameProblem::Missing,
        Err(NameError::TooLong(_)) => NameProblem::TooLong,
        Err(NameError::Misleading) => NameProblem::Misleading,
    };
    let mistyped = Rename {
        name: form.name,
        problem: Some(problem),
    };
    let page = page(&visit, account, &found, Some(mistyped)).await?;
    Ok(visit.page_with(StatusCode::BAD_REQUEST, &page))
}

async fn ask_to_remove(visit: Visit, Id(id): Id<PrinterId>) -> Answered {
    let account = visit.account()?;
    let found = owned(&visit, account, &id).await?;
    visit.fresh(&visit.here())?;
    let ending = Ending::Printer {
        apps: usize::try_from(found.app_connections).unwrap_or(usize::MAX),
        members: members(&visit, account, &id).await?.len(),
    };
    Ok(visit.page(&ask(&visit, account, &found, ending)))
}

async fn remove(visit: Visit, Id(id): Id<PrinterId>, Form(form): Form<Bare>) -> Answered {
    let back = printer_path(&id, "/remove");
    let account = visit.form(&form.csrf_token, &back)?;
    let found = still_used(&visit, account, &id).await?;
    if !found.is_owned_by(&account.id) {
        return Err(visit.problem(StatusCode::NOT_FOUND));
    }
    visit.fresh(&back)?;
    let removed = visit.state.life.remove_printer(&account.id, &id).await;
    if removed.map_err(|failure| visit.failed(&failure))? {
        visit.note(Act::PrinterRemoved, About::printer(&id)).await;
        tracing::info!(account.id = %account.id, printer.id = %id, "a printer was removed");
        let printer = found.printer.name;
        let letter = Letter::PrinterRemoved { printer };
        visit.tell(&account.id, letter).await;
    }
    Ok(visit.go_on("/printers?done=removed"))
}

/// The question before something of a printer ends.
pub(super) fn ask(
    visit: &Visit,
    account: &Account,
    found: &UsedPrinter,
    ending: Ending,
) -> EndAtPrinter {
    let site = visit.site();
    EndAtPrinter {
        shell: visit.viewer(account).bar(&site, Tab::Printers),
        site,
        printer_id: found.printer.id.to_string(),
        printer: found.printer.name.to_string(),
        ending,
    }
}
