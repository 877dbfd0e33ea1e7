//! `/admin/accounts/{id}`: one account, as whoever runs the relay sees it.

use axum::extract::Query;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Form, Router};
use http::StatusCode;
use latchkey_model::account::Account;
use latchkey_model::id::AccountId;
use latchkey_model::plan::PlanName;
use latchkey_store::relay::Overview;
use serde::Deserialize;

use super::admin::listed;
use super::{Bare, Told, usage};
use crate::audit::Act;
use crate::life::SetPlanError;
use crate::pages::ids::Id;
use crate::pages::views::{EndAccount, Manage, ManageDone, ManageProblem, Tab};
use crate::pages::visit::{About, Answered, Visit};
use crate::state::State;

/// Most characters of a reason.
const LONGEST_REASON: usize = 200;

pub(super) fn routes() -> Router<State> {
    Router::new()
        .route("/admin/accounts/{id}", get(show))
        .route("/admin/accounts/{id}/plan", post(set_plan))
        .route("/admin/accounts/{id}/suspend", post(suspend))
        .route("/admin/accounts/{id}/unsuspend", post(unsuspend))
        .route(
            "/admin/accounts/{id}/administrator",
            post(set_administrator),
        )
        .route(
            "/admin/accounts/{id}/remove",
            get(ask_to_remove).post(remove),
        )
}

#[derive(Deserialize)]
struct Planning {
    #[serde(default)]
    plan: String,
    #[serde(default)]
    csrf_token: String,
}

#[derive(Deserialize)]
struct Suspending {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    csrf_token: String,
}

#[derive(Deserialize)]
struct Appointing {
    #[serde(default)]
    administrator: bool,
    #[serde(default)]
    csrf_token: String,
}

fn path(id: &AccountId, below: &str) -> String {
    format!("/admin/accounts/{id}{below}")
}

async fn found(visit: &Visit, id: &AccountId) -> Result<Overview, Response> {
    let found = visit.state.store.accounts().find_overview(id).await;
    let found = found.map_err(|failure| visit.failed(&failure))?;
    found.ok_or_else(|| visit.problem(StatusCode::NOT_FOUND))
}

async fn show(visit: Visit, Id(id): Id<AccountId>, Query(told): Query<Told>) -> Answered {
    let account = visit.administrator()?;
    let found = found(&visit, &id).await?;
    let page = Manage {
        done: match told.done.as_str() {
            "plan" => Some(ManageDone::PlanChanged),
            "suspended" => Some(ManageDone::Suspended),
            "unsuspended" => Some(ManageDone::Unsuspended),
            "administrator" => Some(ManageDone::MadeAdministrator),
            "ordinary" => Some(ManageDone::NoLongerAdministrator),
            "second-factor" => Some(ManageDone::SecondFactorRemoved),
            _ => None,
        },
        ..page(&visit, account, &found, None).await?
    };
    Ok(visit.page(&page))
}

async fn page(
    visit: &Visit,
    account: &Account,
    found: &Overview,
    problem: Option<ManageProblem>,
) -> Result<Manage, Response> {
    let suspended = found.account.suspended.as_ref();
    let plans = visit.state.config.plans.iter();
    let site = visit.site();
    Ok(Manage {
        shell: visit.viewer(account).bar(&site, Tab::Administration),
        site,
        done: None,
        problem,
        account: listed(visit, found),
        own: found.account.id == account.id,
        confirmed: found.account.email_verified.is_some(),
        suspended: suspended.map(|suspended| {
            let at = visit.moment(suspended.at);
            (at, suspended.reason.clone())
        }),
        plans: plans
            .map(|(name, plan)| (name.to_string(), plan.app_connections))
            .collect(),
        reason: String::new(),
        usage: usage::card_of(visit, found, false).await?,
    })
}

async fn wrong(
    visit: &Visit,
    account: &Account,
    id: &AccountId,
    problem: ManageProblem,
    reason: String,
) -> Answered {
    let found = found(visit, id).await?;
    let page = Manage {
        reason,
        ..page(visit, account, &found, Some(problem)).await?
    };
    Ok(visit.page_with(StatusCode::BAD_REQUEST, &page))
}

async fn set_plan(visit: Visit, Id(id): Id<AccountId>, Form(form): Form<Planning>) -> Answered {
    let account = visit.administrators_form(&form.csrf_token, &path(&id, ""))?;
    found(&visit, &id).await?;
    let unknown = || {
        wrong(
            &visit,
            account,
            &id,
            ManageProblem::UnknownPlan,
            String::new(),
        )
    };
    let Ok(plan) = form.plan.parse::<PlanName>() else {
        return unknown().await;
    };
    match visit.state.life.set_plan(&id, &plan).await {
        Ok(_) => {}
        Err(SetPlanError::UnknownPlan(_)) => return unknown().await,
        Err(SetPlanError::Store(failure)) => return Err(visit.failed(&failure)),
    }
    let about = About::account(&id).detail(plan.as_str());
    visit.note(Act::PlanChanged, about).await;
    tracing::info!(account.id = %id, by.id = %account.id, plan.name = %plan, "a plan was changed");
    Ok(visit.go_on(&path(&id, "?done=plan")))
}

async fn suspend(visit: Visit, Id(id): Id<AccountId>, Form(form): Form<Suspending>) -> Answered {
    let account = visit.administrators_form(&form.csrf_token, &path(&id, ""))?;
    found(&visit, &id).await?;
    if id == account.id {
        return Err(visit.problem(StatusCode::CONFLICT));
    }
    let reason: String = form.reason.chars().filter(|c| !c.is_control()).collect();
    let reason = reason.trim();
    let problem = if reason.is_empty() {
        Some(ManageProblem::ReasonMissing)
    } else if reason.chars().count() > LONGEST_REASON {
        Some(ManageProblem::ReasonTooLong {
            most: LONGEST_REASON,
        })
    } else {
        None
    };
    if let Some(problem) = problem {
        return wrong(&visit, account, &id, problem, form.reason).await;
    }
    let suspended = visit.state.life.suspend(&id, reason).await;
    if suspended.map_err(|failure| visit.failed(&failure))? {
        // The reason stays with the account, and goes with it.
        visit.note(Act::AccountSuspended, About::account(&id)).await;
    }
    // They hold no longer anyway; this way they do not come back with the account.
    let sessions = visit.state.store.sessions().end_others(&id, None).await;
    sessions.map_err(|failure| visit.failed(&failure))?;
    tracing::info!(account.id = %id, by.id = %account.id, "an account was suspended");
    Ok(visit.go_on(&path(&id, "?done=suspended")))
}

async fn unsuspend(visit: Visit, Id(id): Id<AccountId>, Form(form): Form<Bare>) -> Answered {
    let account = visit.administrators_form(&form.csrf_token, &path(&id, ""))?;
    found(&visit, &id).await?;
    let ended = visit.state.life.unsuspend(&id).await;
    if ended.map_err(|failure| visit.failed(&failure))? {
        visit.note(Act::SuspensionEnded, About::account(&id)).await;
    }
    tracing::info!(account.id = %id, by.id = %account.id, "a suspension was ended");
    Ok(visit.go_on(&path(&id, "?done=unsuspended")))
}

async fn set_administrator(
    visit: Visit,
    Id(id): Id<AccountId>,
    Form(form): Form<Appointing>,
) -> Answered {
    let account = visit.administrators_form(&form.csrf_token, &path(&id, ""))?;
    let before = found(&visit, &id).await?.account.administrator;
    let done = if form.administrator {
        "?done=administrator"
    } else {
        "?done=ordinary"
    };
    if before == form.administrator {
        return Ok(visit.go_on(&path(&id, done)));
    }
    let accounts = visit.state.store.accounts();
    let changed = if form.administrator {
        accounts.set_administrator(&id, true).await
    } else {
        accounts.stop_administering(&id).await
    };
    if !changed.map_err(|failure| visit.failed(&failure))? {
        let problem = ManageProblem::LastAdministrator;
        return wrong(&visit, account, &id, problem, String::new()).await;
    }
    let act = if form.administrator {
        Act::AdministratorMade
    } else {
        Act::AdministratorStopped
    };
    visit.note(act, About::account(&id)).await;
    // Who may do more, or less, signs in anew (T-11).
    let this = visit.session().map(|session| &session.id);
    let sessions = visit.state.store.sessions();
    let ended = sessions
        .end_others(&id, this.filter(|_| id == account.id))
        .await;
    ended.map_err(|failure| visit.failed(&failure))?;
    tracing::info!(
        account.id = %id,
        by.id = %account.id,
        administrator = form.administrator,
        "who administers this relay was changed"
    );
    if id == account.id {
        return Ok(visit.go_on("/account"));
    }
    Ok(visit.go_on(&path(&id, done)))
}

async fn ask_to_remove(visit: Visit, Id(id): Id<AccountId>) -> Answered {
    let account = visit.administrator()?;
    let found = found(&visit, &id).await?;
    visit.fresh(&visit.here())?;
    if id == account.id {
        return Ok(visit.go_on("/account/delete"));
    }
    let site = visit.site();
    let page = EndAccount {
        id: id.to_string(),
        shell: visit.viewer(account).bar(&site, Tab::Administration),
        site,
        other: Some(found.account.email.as_str().to_owned()),
        printers: found.printers,
        apps: found.app_connections,
        last_administrator: false,
    };
    Ok(visit.page(&page))
}

async fn remove(visit: Visit, Id(id): Id<AccountId>, Form(form): Form<Bare>) -> Answered {
    let account = visit.administrators_form(&form.csrf_token, &path(&id, "/remove"))?;
    if id == account.id {
        return Ok(visit.go_on("/account/delete"));
    }
    // A second click finds it done.
    let removed = visit.state.life.delete_account(&id).await;
    if removed.map_err(|failure| visit.failed(&failure))? {
        visit.note(Act::AccountRemoved, About::account(&id)).await;
        tracing::info!(account.id = %id, by.id = %account.id, "an account was removed");
    }
    Ok(visit.go_on("/admin?done=removed"))
}
