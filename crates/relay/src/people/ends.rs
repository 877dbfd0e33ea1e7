//! How what people have ends, as their pages ask for it.

use latchkey_model::account::Suspension;
use latchkey_model::app_connection::EndReason;
use latchkey_model::id::{AccountId, AppConnectionId, PrinterId};
use latchkey_model::plan::PlanName;
use latchkey_store::StoreError;

use crate::state::State;

pub(super) async fn app_connection(
    state: &State,
    account: &AccountId,
    id: &AppConnectionId,
) -> Result<bool, StoreError> {
    let now = state.clock.now();
    let store = state.store.app_connections();
    store.end_owned(account, id, EndReason::Revoked, now).await
}

pub(super) async fn app_connections(
    state: &State,
    account: &AccountId,
    printer: &PrinterId,
) -> Result<(), StoreError> {
    let store = state.store.app_connections();
    for listed in store.list_by_printer(account, printer).await? {
        app_connection(state, account, &listed.connection.id).await?;
    }
    Ok(())
}

pub(super) async fn printer(
    state: &State,
    owner: &AccountId,
    id: &PrinterId,
) -> Result<bool, StoreError> {
    let now = state.clock.now();
    let removed = state.store.printers().remove(owner, id, now).await?;
    Ok(removed.is_some())
}

pub(super) async fn membership(
    state: &State,
    printer: &PrinterId,
    member: &AccountId,
) -> Result<bool, StoreError> {
    let now = state.clock.now();
    let removed = state.store.members().remove(printer, member, now).await?;
    Ok(removed.is_some())
}

pub(super) async fn account(state: &State, id: &AccountId) -> Result<bool, StoreError> {
    let deleted = state.store.accounts().delete(id, state.clock.now()).await?;
    Ok(deleted.is_some())
}

pub(super) async fn suspend(
    state: &State,
    id: &AccountId,
    reason: &str,
) -> Result<bool, StoreError> {
    let suspension = Suspension {
        at: state.clock.now(),
        reason: reason.to_owned(),
    };
    state.store.accounts().suspend(id, &suspension).await
}

pub(super) async fn unsuspend(state: &State, id: &AccountId) -> Result<bool, StoreError> {
    state.store.accounts().unsuspend(id).await
}

pub(super) async fn plan(
    state: &State,
    id: &AccountId,
    plan: &PlanName,
) -> Result<bool, StoreError> {
    state.store.accounts().set_plan(id, plan).await
}
