//! How far members go at somebody's printer.

use axum::routing::post;
use axum::{Form, Router};
use http::StatusCode;
use latchkey_model::access::KeyScope;
use latchkey_model::id::{AccountId, PrinterId};
use serde::Deserialize;

use super::printers::members;
use super::{owned, printer_path};
use crate::audit::{Act, Actor, Entry};
use crate::pages::ids::Ids;
use crate::pages::visit::{Answered, Visit};
use crate::state::State;

pub(super) fn routes() -> Router<State> {
    Router::new().route("/printers/{id}/members/{account}/level", post(set_level))
}

#[derive(Deserialize)]
struct Levelling {
    #[serde(default)]
    scope: String,
    #[serde(default)]
    csrf_token: String,
}

/// How far somebody is let go. Our pages always say; what says nothing, or something else, gets the
/// least.
pub(super) fn level_of(text: &str) -> KeyScope {
    text.parse().unwrap_or(KeyScope::View)
}

/// A second click finds it done.
async fn set_level(
    visit: Visit,
    Ids(id, member): Ids<PrinterId, AccountId>,
    Form(form): Form<Levelling>,
) -> Answered {
    let back = printer_path(&id, "");
    let account = visit.form(&form.csrf_token, &back)?;
    owned(&visit, account, &id).await?;
    let level = level_of(&form.scope);
    // Taking away must never have to wait for a password; giving does.
    if level == KeyScope::Full {
        visit.fresh(&back)?;
    }
    let members = members(&visit, account, &id).await?;
    if !members.iter().any(|known| known.account == member) {
        return Err(visit.problem(StatusCode::NOT_FOUND));
    }
    let changed = visit.state.life.set_member_level(&id, &member, level).await;
    if changed.map_err(|failure| visit.failed(&failure))? {
        tracing::info!(
            printer.id = %id,
            account.id = %member,
            member.level = level.as_str(),
            "how far somebody goes at a printer was changed"
        );
        let entry = Entry {
            actor: Actor::Account(account.id.clone()),
            act: Act::MemberLevelChanged,
            account: Some(member),
            printer: Some(id.clone()),
            detail: level.as_str().to_owned(),
            address: Some(visit.arrival.address),
        };
        visit.state.audit.note(entry).await;
    }
    let done = match level {
        KeyScope::Full => "?done=raised",
        KeyScope::View => "?done=lowered",
    };
    Ok(visit.go_on(&printer_path(&id, done)))
}
