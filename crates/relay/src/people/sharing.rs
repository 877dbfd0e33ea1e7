//! Sharing a printer: invitations, whom they let in, and how that ends.

use axum::extract::Query;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Form, Router};
use http::StatusCode;
use latchkey_model::access::KeyScope;
use latchkey_model::account::{Account, Email};
use latchkey_model::id::{AccountId, PrinterId};
use latchkey_model::link::{Link, LinkPurpose};
use latchkey_model::printer::Printer;
use latchkey_store::relay::UsedPrinter;
use serde::Deserialize;

use super::levels::level_of;
use super::printers::{ask, members};
use super::{Bare, address, named, owned, printer_path, still_used, used};
use crate::audit::Act;
use crate::mail::Letter;
use crate::pages::ids::{Id, Ids};
use crate::pages::views::{Ending, Invite, InviteProblem, Join, Joining, Made, Tab};
use crate::pages::visit::{About, Answered, Visit};
use crate::state::State;

/// Most people and open invitations of one printer.
const MOST: usize = 50;

pub(super) fn routes() -> Router<State> {
    Router::new()
        .route("/printers/{id}/invite", get(show_invite).post(invite))
        .route("/printers/{id}/invite/withdraw", post(withdraw))
        .route(
            "/printers/{id}/members/{account}/remove",
            get(ask_to_end).post(end),
        )
        .route("/printers/{id}/leave", get(ask_to_leave).post(leave))
        .route("/join", get(show_join).post(join))
}

#[derive(Deserialize)]
struct Inviting {
    #[serde(default)]
    email: String,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    csrf_token: String,
}

#[derive(Deserialize)]
struct Withdrawing {
    #[serde(default)]
    invitation: String,
    #[serde(default)]
    csrf_token: String,
}

#[derive(Deserialize)]
struct Followed {
    #[serde(default)]
    code: String,
    /// Where the person goes who has accepted already.
    #[serde(default)]
    printer: String,
    #[serde(default)]
    csrf_token: String,
}

async fn show_invite(visit: Visit, Id(id): Id<PrinterId>) -> Answered {
    let account = visit.account()?;
    let found = owned(&visit, account, &id).await?;
    visit.fresh(&visit.here())?;
    Ok(visit.page(&invite_page(&visit, account, &found)))
}

fn invite_page(visit: &Visit, account: &Account, found: &UsedPrinter) -> Invite {
    let site = visit.site();
    Invite {
        shell: visit.viewer(account).bar(&site, Tab::Printers),
        site,
        id: found.printer.id.to_string(),
        name: found.printer.name.to_string(),
        by_mail: visit.state.mail.is_on(),
        watch_only: false,
        email: String::new(),
        problem: None,
        made: None,
    }
}

async fn invite(visit: Visit, Id(id): Id<PrinterId>, Form(form): Form<Inviting>) -> Answered {
    let back = printer_path(&id, "/invite");
    let account = visit.form(&form.csrf_token, &back)?;
    let found = owned(&visit, account, &id).await?;
    visit.fresh(&back)?;
    let page = invite_page(&visit, account, &found);
    let level = level_of(&form.scope);
    let made = make_invitation(&visit, account, &found.printer, &form.email, level);
    match made.await? {
        Ok(made) => {
            let made = Some(made);
            Ok(visit.page(&Invite { made, ..page }))
        }
        Err(problem) => {
            let status = match problem {
                InviteProblem::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
                _ => StatusCode::BAD_REQUEST,
            };
            let page = Invite {
                watch_only: level == KeyScope::View,
                email: form.email,
                problem: Some(problem),
                ..page
            };
            Ok(visit.page_with(status, &page))
        }
    }
}

async fn make_invitation(
    visit: &Visit,
    account: &Account,
    printer: &Printer,
    typed: &str,
    level: KeyScope,
) -> Result<Result<Made, InviteProblem>, Response> {
    let mail = &visit.state.mail;
    let wanted = mail.is_on() && !typed.trim().is_empty();
    let Ok(email) = wanted.then(|| Email::parse(typed)).transpose() else {
        return Ok(Err(InviteProblem::EmailUnfit));
    };
    let now = visit.state.clock.now();
    let links = visit.state.store.links();
    let open = links.list_of_printer(&printer.id, now).await;
    let open = open.map_err(|failure| visit.failed(&failure))?.len();
    if open + members(visit, account, &printer.id).await?.len() >= MOST {
        return Ok(Err(InviteProblem::Full { most: MOST }));
    }
    if email.is_some()
        && let Err(too_many) = visit.state.accounts.may_write(&account.id)
    {
        let minutes = too_many.minutes();
        return Ok(Err(InviteProblem::TooMany { minutes }));
    }
    let link = Link {
        account: Some(account.id.clone()),
        printer: Some(printer.id.clone()),
        level: Some(level),
        email: email.clone(),
        ..Link::new(LinkPurpose::SharePrinter, now)
    };
    let secret = visit.state.accounts.make_link(&link).await;
    let secret = secret.map_err(|failure| visit.failed(&failure))?;
    let about = About::printer(&printer.id);
    visit.note(Act::PrinterOffered, about).await;
    tracing::info!(account.id = %account.id, printer.id = %printer.id, "somebody was invited");
    let made = Made {
        url: address(visit, "/join", "code", &secret),
        sent_to: email.as_ref().map(|email| email.as_str().to_owned()),
    };
    if let Some(email) = &email {
        let letter = Letter::JoinPrinter {
            code: secret,
            printer: printer.name.clone(),
            owner: account.email.clone(),
        };
        mail.send(email, letter);
    }
    Ok(Ok(made))
}

async fn withdraw(visit: Visit, Id(id): Id<PrinterId>, Form(form): Form<Withdrawing>) -> Answered {
    let account = visit.form(&form.csrf_token, &printer_path(&id, ""))?;
    owned(&visit, account, &id).await?;
    let links = visit.state.store.links();
    let open = links.list_of_printer(&id, visit.state.clock.now()).await;
    let open = open.map_err(|failure| visit.failed(&failure))?;
    if let Some(hash) = named(&open, &form.invitation) {
        let dropped = links.drop(hash).await;
        dropped.map_err(|failure| visit.failed(&failure))?;
        visit.note(Act::OfferTakenBack, About::printer(&id)).await;
    }
    Ok(visit.go_on(&printer_path(&id, "?done=withdrawn")))
}

async fn ask_to_end(visit: Visit, Ids(id, member): Ids<PrinterId, AccountId>) -> Answered {
    let account = visit.account()?;
    let found = owned(&visit, account, &id).await?;
    let members = members(&visit, account, &id).await?;
    let member = members.into_iter().find(|known| known.account == member);
    let Some(member) = member else {
        return Err(visit.problem(StatusCode::NOT_FOUND));
    };
    let listed = visit.state.store.app_connections();
    let listed = listed.list_by_printer(&account.id, &id).await;
    let listed = listed.map_err(|failure| visit.failed(&failure))?;
    let theirs = listed.iter().filter(|listed| {
        let live = listed.connection.live();
        live.is_some_and(|live| live.account == member.account)
    });
    let ending = Ending::Member {
        id: member.account.to_string(),
        email: member.email.as_str().to_owned(),
        apps: theirs.count(),
    };
    Ok(visit.page(&ask(&visit, account, &found, ending)))
}

async fn end(
    visit: Visit,
    Ids(id, member): Ids<PrinterId, AccountId>,
    Form(form): Form<Bare>,
) -> Answered {
    let back = printer_path(&id, "");
    let account = visit.form(&form.csrf_token, &back)?;
    owned(&visit, account, &id).await?;
    let ended = visit.state.life.remove_member(&id, &member).await;
    if ended.map_err(|failure| visit.failed(&failure))? {
        visit.note(Act::SharingEnded, both(&id, &member)).await;
        tracing::info!(printer.id = %id, account.id = %member, "somebody's use of a printer ended");
    }
    Ok(visit.go_on(&printer_path(&id, "?done=ended")))
}

fn both<'a>(printer: &'a PrinterId, account: &'a AccountId) -> About<'a> {
    About {
        account: Some(account),
        ..About::printer(printer)
    }
}

/// Of a printer of one's own there is nothing to leave.
fn shared(visit: &Visit, account: &Account, found: &UsedPrinter) -> Result<(), Response> {
    if found.is_owned_by(&account.id) {
        return Err(visit.problem(StatusCode::NOT_FOUND));
    }
    Ok(())
}

async fn ask_to_leave(visit: Visit, Id(id): Id<PrinterId>) -> Answered {
    let account = visit.account()?;
    let found = used(&visit, account, &id).await?;
    shared(&visit, account, &found)?;
    let ending = Ending::Membership {
        owner: found.owner.as_str().to_owned(),
        apps: usize::try_from(found.app_connections).unwrap_or(usize::MAX),
    };
    Ok(visit.page(&ask(&visit, account, &found, ending)))
}

async fn leave(visit: Visit, Id(id): Id<PrinterId>, Form(form): Form<Bare>) -> Answered {
    let account = visit.form(&form.csrf_token, &printer_path(&id, "/leave"))?;
    let found = still_used(&visit, account, &id).await?;
    shared(&visit, account, &found)?;
    let ended = visit.state.life.remove_member(&id, &account.id).await;
    if ended.map_err(|failure| visit.failed(&failure))? {
        visit.note(Act::SharingEnded, both(&id, &account.id)).await;
        tracing::info!(printer.id = %id, account.id = %account.id, "somebody left a printer");
    }
    Ok(visit.go_on("/printers?done=left"))
}

async fn show_join(visit: Visit, Query(asked): Query<Followed>) -> Answered {
    let account = visit.account()?;
    answer_join(&visit, account, &asked.code).await
}

async fn answer_join(visit: &Visit, account: &Account, code: &str) -> Answered {
    let (status, joining) = match offered(visit, code).await? {
        None => (StatusCode::NOT_FOUND, Joining::Gone),
        Some((printer, _, _)) if printer.account == account.id => {
            let id = printer.id.to_string();
            let printer = printer.name.to_string();
            (StatusCode::OK, Joining::Own { printer, id })
        }
        Some((printer, owner, level)) => {
            let members = visit.state.store.members();
            let known = members.find_used(&account.id, &printer.id).await;
            if known.map_err(|failure| visit.failed(&failure))?.is_some() {
                return Ok(visit.go_on(&printer_path(&printer.id, "")));
            }
            let joining = Joining::Offered {
                id: printer.id.to_string(),
                printer: printer.name.to_string(),
                owner: owner.email.as_str().to_owned(),
                watch_only: level == KeyScope::View,
                code: code.trim().to_owned(),
            };
            (StatusCode::OK, joining)
        }
    };
    let site = visit.site();
    let page = Join {
        shell: site.door(),
        site,
        email: account.email.as_str().to_owned(),
        joining,
    };
    Ok(visit.page_with(status, &page))
}

/// What an invitation offers, whose it is, and how far it goes, while it is good.
async fn offered(
    visit: &Visit,
    code: &str,
) -> Result<Option<(Printer, Account, KeyScope)>, Response> {
    let failed = |failure| visit.failed(&failure);
    let accounts = &visit.state.accounts;
    let link = accounts.find_link(code, LinkPurpose::SharePrinter).await;
    let link = link.map_err(failed)?;
    let level = link.as_ref().and_then(|link| link.level);
    let Some(id) = link.and_then(|link| link.printer) else {
        return Ok(None);
    };
    let store = &visit.state.store;
    let Some(printer) = store.printers().find(&id).await.map_err(failed)? else {
        return Ok(None);
    };
    let owner = store.accounts().find(&printer.account).await;
    let owner = owner.map_err(failed)?;
    let owner = owner.filter(|owner| owner.suspended.is_none());
    let level = level.unwrap_or(KeyScope::Full);
    Ok(owner.map(|owner| (printer, owner, level)))
}

async fn join(visit: Visit, Form(form): Form<Followed>) -> Answered {
    let back = crate::pages::paths::with("/join", "code", form.code.trim());
    let account = visit.form(&form.csrf_token, &back)?;
    let own_or_gone = match offered(&visit, &form.code).await? {
        Some((printer, _, _)) => printer.account == account.id,
        None => true,
    };
    // A second click finds it done.
    if let Ok(id) = form.printer.parse::<PrinterId>()
        && used(&visit, account, &id)
            .await
            .is_ok_and(|found| !found.is_owned_by(&account.id))
    {
        return Ok(visit.go_on(&printer_path(&id, "?done=joined")));
    }
    if own_or_gone {
        return answer_join(&visit, account, &form.code).await;
    }
    let failed = |failure| visit.failed(&failure);
    let accounts = &visit.state.accounts;
    let taken = accounts
        .take_link(&form.code, LinkPurpose::SharePrinter)
        .await;
    let taken = taken.map_err(failed)?;
    let level = taken.as_ref().and_then(|link| link.level);
    let Some(id) = taken.and_then(|link| link.printer) else {
        return answer_join(&visit, account, &form.code).await;
    };
    let now = visit.state.clock.now();
    let members = visit.state.store.members();
    let level = level.unwrap_or(KeyScope::Full);
    let added = members.add_up_to(&id, &account.id, level, now).await;
    if added.map_err(failed)? {
        visit.note(Act::PrinterShared, both(&id, &account.id)).await;
        tracing::info!(printer.id = %id, account.id = %account.id, "somebody joined a printer");
    }
    Ok(visit.go_on(&printer_path(&id, "?done=joined")))
}
