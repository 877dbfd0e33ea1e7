//! `/admin`: all accounts, and invitations to have one.

use axum::extract::Query;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Form, Router};
use http::StatusCode;
use latchkey_model::account::{Account, Email};
use latchkey_model::link::{Link, LinkPurpose};
use latchkey_store::relay::Overview;
use serde::Deserialize;

use super::{address, listed_invitation, named};
use crate::audit::Act;
use crate::config::Registration;
use crate::mail::Letter;
use crate::pages::paths;
use crate::pages::views::{Admin, AdminDone, InviteAccount, ListedAccount, Made, Tab};
use crate::pages::visit::{About, Answered, Visit};
use crate::state::State;

const HERE: &str = "/admin";

/// Accounts on a page.
const PAGE: u32 = 50;

/// Most characters that are looked for.
const LONGEST_FIND: usize = 254;

/// Most open invitations.
const MOST_INVITATIONS: usize = 100;

pub(super) fn routes() -> Router<State> {
    Router::new()
        .route("/admin", get(show))
        .route("/admin/find", post(find))
        .route("/admin/invitations", get(come_back).post(invite))
        .route("/admin/invitations/withdraw", post(withdraw))
}

#[derive(Default, Deserialize)]
struct Asked {
    #[serde(default)]
    find: String,
    #[serde(default)]
    after: String,
    #[serde(default)]
    done: String,
}

#[derive(Deserialize)]
struct Finding {
    #[serde(default)]
    find: String,
    #[serde(default)]
    csrf_token: String,
}

#[derive(Deserialize)]
struct Inviting {
    #[serde(default)]
    email: String,
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

async fn show(visit: Visit, Query(asked): Query<Asked>) -> Answered {
    let account = visit.administrator()?;
    let page = page(&visit, account, &asked, InviteAccount::default()).await?;
    Ok(visit.page(&page))
}

async fn page(
    visit: &Visit,
    account: &Account,
    asked: &Asked,
    invite: InviteAccount,
) -> Result<Admin, Response> {
    let failed = |failure| visit.failed(&failure);
    let store = &visit.state.store;
    let find: String = asked.find.trim().chars().take(LONGEST_FIND).collect();
    let after = Email::parse(&asked.after).ok();
    let accounts = store.accounts();
    let found = accounts.search(&find, after.as_ref(), PAGE + 1).await;
    let mut found = found.map_err(failed)?;
    let more = found.len() > PAGE as usize;
    found.truncate(PAGE as usize);
    let last = found.last().filter(|_| more);
    let next = last.map(|last| {
        let path = paths::with(HERE, "after", last.account.email.as_str());
        if find.is_empty() {
            path
        } else {
            paths::with(&path, "find", &find)
        }
    });
    let totals = accounts.totals().await.map_err(failed)?;
    let now = visit.state.clock.now();
    let invitations = store.links().list(LinkPurpose::Invitation, now).await;
    let invitations = invitations.map_err(failed)?;
    let site = visit.site();
    Ok(Admin {
        shell: visit.viewer(account).bar(&site, Tab::Administration),
        site,
        version: env!("CARGO_PKG_VERSION"),
        done: match asked.done.as_str() {
            "removed" => Some(AdminDone::Removed),
            "withdrawn" => Some(AdminDone::InvitationTaken),
            _ => None,
        },
        accounts: totals.accounts,
        printers: totals.printers,
        online: visit.state.tunnels.count(),
        apps: totals.app_connections,
        traffic: visit.state.tunnels.rate_of_all(),
        find,
        list: found.iter().map(|found| listed(visit, found)).collect(),
        next,
        open: visit.state.config.registration == Registration::Open,
        by_mail: visit.state.mail.is_on(),
        invitations: invitations
            .iter()
            .map(|(hash, link)| listed_invitation(visit, hash, link))
            .collect(),
        invite,
    })
}

pub(super) fn listed(visit: &Visit, found: &Overview) -> ListedAccount {
    let account = &found.account;
    ListedAccount {
        id: account.id.to_string(),
        email: account.email.as_str().to_owned(),
        since: visit.moment(account.created),
        administrator: account.administrator,
        plan: account.plan.to_string(),
        plan_known: visit.state.config.plans.find(&account.plan).is_some(),
        suspended: account.suspended.is_some(),
        printers: found.printers,
        apps: found.app_connections,
        seen: found.seen.map(|at| visit.moment(at)),
    }
}

async fn find(visit: Visit, Form(form): Form<Finding>) -> Answered {
    // Nothing is changed by looking, so no password is asked for.
    visit.form(&form.csrf_token, HERE)?;
    visit.administrator()?;
    let wanted = form.find.trim();
    if wanted.is_empty() {
        return Ok(visit.go_on(HERE));
    }
    Ok(visit.go_on(&paths::with(HERE, "find", wanted)))
}

/// Who typed the password once more on the way finds the form again.
async fn come_back(visit: Visit) -> Answered {
    visit.administrator()?;
    Ok(visit.go_on(HERE))
}

async fn invite(visit: Visit, Form(form): Form<Inviting>) -> Answered {
    let account = visit.administrators_form(&form.csrf_token, HERE)?;
    let failed = |failure| visit.failed(&failure);
    let answer = async |status, invite| {
        let page = page(&visit, account, &Asked::default(), invite).await?;
        Ok(visit.page_with(status, &page))
    };
    let wanted = visit.state.mail.is_on() && !form.email.trim().is_empty();
    let Ok(email) = wanted.then(|| Email::parse(&form.email)).transpose() else {
        let invite = InviteAccount {
            email: form.email.clone(),
            unfit: true,
            ..InviteAccount::default()
        };
        return answer(StatusCode::BAD_REQUEST, invite).await;
    };
    let now = visit.state.clock.now();
    let open = visit.state.store.links();
    let open = open.list(LinkPurpose::Invitation, now).await;
    if open.map_err(failed)?.len() >= MOST_INVITATIONS {
        let full = Some(MOST_INVITATIONS);
        let invite = InviteAccount {
            full,
            ..InviteAccount::default()
        };
        return answer(StatusCode::BAD_REQUEST, invite).await;
    }
    let link = Link {
        account: Some(account.id.clone()),
        email: email.clone(),
        ..Link::new(LinkPurpose::Invitation, now)
    };
    let code = visit
        .state
        .accounts
        .make_link(&link)
        .await
        .map_err(failed)?;
    visit.note(Act::InvitationMade, About::default()).await;
    tracing::info!(account.id = %account.id, "an administrator made an invitation");
    let made = Made {
        url: address(&visit, "/sign-up", "invitation", &code),
        sent_to: email.as_ref().map(|email| email.as_str().to_owned()),
    };
    if let Some(email) = &email {
        visit.state.mail.send(email, Letter::Invitation { code });
    }
    let invite = InviteAccount {
        made: Some(made),
        ..InviteAccount::default()
    };
    answer(StatusCode::OK, invite).await
}

async fn withdraw(visit: Visit, Form(form): Form<Withdrawing>) -> Answered {
    visit.administrators_form(&form.csrf_token, HERE)?;
    let links = visit.state.store.links();
    let now = visit.state.clock.now();
    let open = links.list(LinkPurpose::Invitation, now).await;
    let open = open.map_err(|failure| visit.failed(&failure))?;
    if let Some(hash) = named(&open, &form.invitation) {
        let dropped = links.drop(hash).await;
        dropped.map_err(|failure| visit.failed(&failure))?;
        visit.note(Act::InvitationTakenBack, About::default()).await;
    }
    Ok(visit.go_on("/admin?done=withdrawn"))
}
