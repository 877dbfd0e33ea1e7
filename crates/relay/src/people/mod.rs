//! The pages of people: their printers, whom they share them with, their account, and the pages of
//! whoever runs the relay.

mod account;
mod admin;
mod admin_account;
mod admin_second_factor;
mod app_connections;
mod levels;
mod printers;
mod recovery;
mod sharing;
mod telling;
#[cfg(test)]
mod tests;
mod usage;

use axum::Router;
use axum::response::Response;
use data_encoding::HEXLOWER;
use http::StatusCode;
use latchkey_model::access::KeyScope;
use latchkey_model::account::Account;
use latchkey_model::id::PrinterId;
use latchkey_model::link::Link;
use latchkey_model::secret::{LinkHash, LinkSecret};
use latchkey_store::relay::UsedPrinter;
use serde::Deserialize;

use crate::pages::paths;
use crate::pages::views::{ListedInvitation, Reminder};
use crate::pages::visit::Visit;
use crate::state::State;

pub(crate) use self::recovery::send_verification;

pub(crate) fn routes() -> Router<State> {
    Router::new()
        .merge(printers::routes())
        .merge(app_connections::routes())
        .merge(sharing::routes())
        .merge(telling::routes())
        .merge(levels::routes())
        .merge(account::routes())
        .merge(recovery::routes())
        .merge(admin::routes())
        .merge(admin_account::routes())
        .merge(admin_second_factor::routes())
}

/// A form with nothing but its token.
#[derive(Deserialize)]
struct Bare {
    #[serde(default)]
    csrf_token: String,
}

/// What a page is told of what was just done.
#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    done: String,
    /// Whether the running picture is wanted.
    #[serde(default)]
    watch: String,
}

/// A printer that the person may use; to others there is none.
pub(crate) async fn used(
    visit: &Visit,
    account: &Account,
    id: &PrinterId,
) -> Result<UsedPrinter, Response> {
    let found = find_used(visit, account, id).await?;
    found.ok_or_else(|| visit.problem(StatusCode::NOT_FOUND))
}

async fn find_used(
    visit: &Visit,
    account: &Account,
    id: &PrinterId,
) -> Result<Option<UsedPrinter>, Response> {
    let members = visit.state.store.members();
    let found = members.find_used(&account.id, id).await;
    found.map_err(|failure| visit.failed(&failure))
}

/// The same for forms by which the person's use of a printer ends. A second click finds it done,
/// and says nothing of what never was theirs.
async fn still_used(
    visit: &Visit,
    account: &Account,
    id: &PrinterId,
) -> Result<UsedPrinter, Response> {
    let found = find_used(visit, account, id).await?;
    found.ok_or_else(|| visit.go_on("/printers?done=gone"))
}

/// A printer of the person's own.
pub(crate) async fn owned(
    visit: &Visit,
    account: &Account,
    id: &PrinterId,
) -> Result<UsedPrinter, Response> {
    let found = used(visit, account, id).await?;
    if found.is_owned_by(&account.id) {
        Ok(found)
    } else {
        Err(visit.problem(StatusCode::NOT_FOUND))
    }
}

fn printer_path(id: &PrinterId, below: &str) -> String {
    format!("/printers/{id}{below}")
}

/// Where an address still waits to be confirmed.
fn reminder(visit: &Visit, account: &Account) -> Option<Reminder> {
    let waits = visit.state.mail.is_on() && account.email_verified.is_none();
    waits.then(|| Reminder {
        email: account.email.as_str().to_owned(),
    })
}

/// A link's address, to be shown once or written into a letter.
fn address(visit: &Visit, path: &str, name: &str, secret: &LinkSecret) -> String {
    let path = paths::with(path, name, secret.expose());
    format!("{}{path}", visit.state.config.public_url)
}

fn listed_invitation(visit: &Visit, hash: &LinkHash, link: &Link) -> ListedInvitation {
    const DAY: u64 = 24 * 60 * 60;
    let left = link.expires.since(visit.state.clock.now()).as_secs();
    ListedInvitation {
        hash: HEXLOWER.encode(hash.as_bytes()),
        email: link.email.as_ref().map(|email| email.as_str().to_owned()),
        made: visit.moment(link.created),
        days: left.div_ceil(DAY),
        watch_only: link.level == Some(KeyScope::View),
    }
}

/// The one of these invitations that a form names.
fn named<'a>(invitations: &'a [(LinkHash, Link)], hash: &str) -> Option<&'a LinkHash> {
    let wanted = HEXLOWER.decode(hash.as_bytes()).ok()?;
    let hashes = invitations.iter().map(|(hash, _)| hash);
    hashes
        .into_iter()
        .find(|hash| hash.as_bytes().as_slice() == wanted)
}
