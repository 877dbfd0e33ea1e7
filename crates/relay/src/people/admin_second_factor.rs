//! `/admin/accounts/{id}/second-factor`: helps who lost theirs.

use axum::response::Response;
use axum::routing::get;
use axum::{Form, Router};
use http::StatusCode;
use latchkey_model::id::AccountId;

use super::Bare;
use crate::audit::Act;
use crate::mail::Letter;
use crate::pages::ids::Id;
use crate::pages::visit::{About, Answered, Visit};
use crate::state::State;

pub(super) fn routes() -> Router<State> {
    Router::new().route(
        "/admin/accounts/{id}/second-factor",
        get(come_back).post(remove),
    )
}

fn path(id: &AccountId, below: &str) -> String {
    format!("/admin/accounts/{id}{below}")
}

/// Who proved on the way who they are finds the account's page again.
async fn come_back(visit: Visit, Id(id): Id<AccountId>) -> Result<Response, Response> {
    visit.administrator()?;
    Ok(visit.go_on(&path(&id, "")))
}

/// Takes codes and passkeys of an account away, and ends its sessions.
async fn remove(visit: Visit, Id(id): Id<AccountId>, Form(form): Form<Bare>) -> Answered {
    let account = visit.administrators_form(&form.csrf_token, &path(&id, ""))?;
    let failed = |failure| visit.failed(&failure);
    let store = &visit.state.store;
    let found = store.accounts().find(&id).await.map_err(failed)?;
    if found.is_none() {
        return Err(visit.problem(StatusCode::NOT_FOUND));
    }
    // One's own are removed on one's own page, where this session is seen to.
    if id == account.id {
        return Ok(visit.go_on("/account/security"));
    }
    let removed = store.second_factors().remove_all(&id).await;
    // A second click finds it done.
    if removed.map_err(failed)? {
        let ended = store.sessions().end_others(&id, None).await;
        ended.map_err(failed)?;
        let by = &account.id;
        tracing::info!(account.id = %id, by.id = %by, "a second factor was taken away");
        visit
            .note(Act::SecondFactorTakenAway, About::account(&id))
            .await;
        visit
            .state
            .notices
            .tell(&id, Letter::FactorsReset, None)
            .await;
    }
    Ok(visit.go_on(&path(&id, "?done=second-factor")))
}
