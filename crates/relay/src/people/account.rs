//! `/account`: one's own.

use axum::extract::Query;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Form, Router};
use http::StatusCode;
use latchkey_model::account::{Account, Email};
use latchkey_model::id::{AccountId, SessionId};
use latchkey_store::StoreError;
use serde::Deserialize;

use super::{Bare, Told, reminder, send_verification, usage};
use crate::accounts::http::{Tried, try_password, unexpected};
use crate::accounts::{AccountError, LEAST_PASSWORD, MOST_PASSWORD};
use crate::audit::Act;
use crate::mail::Letter;
use crate::pages::views::{
    AccountDone, AccountPage, AccountProblem, EndAccount, ListedSession, Tab,
};
use crate::pages::visit::{About, Answered, Visit, retry_after, with_cookie};
use crate::state::State;

const HERE: &str = "/account";

pub(super) fn routes() -> Router<State> {
    Router::new()
        .route("/account", get(show))
        .route("/account/password", post(change_password))
        .route("/account/address", get(come_back).post(change_address))
        .route("/account/confirm-address", post(confirm_address))
        .route("/account/end-session", post(end_session))
        .route("/account/end-others", post(end_others))
        .route("/account/delete", get(ask_to_delete).post(delete))
}

#[derive(Deserialize)]
struct ChangingPassword {
    #[serde(default)]
    old: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    again: String,
    #[serde(default)]
    csrf_token: String,
}

#[derive(Deserialize)]
struct ChangingAddress {
    #[serde(default)]
    email: String,
    #[serde(default)]
    csrf_token: String,
}

#[derive(Deserialize)]
struct EndingSession {
    #[serde(default)]
    session: String,
    #[serde(default)]
    csrf_token: String,
}

#[derive(Deserialize)]
struct Deleting {
    /// Whose account, so that a second click finds it done.
    #[serde(default)]
    account: String,
    #[serde(default)]
    csrf_token: String,
}

async fn show(visit: Visit, Query(told): Query<Told>) -> Answered {
    let account = visit.account()?;
    let page = AccountPage {
        done: match told.done.as_str() {
            "password" => Some(AccountDone::PasswordChanged),
            "ended" => Some(AccountDone::SessionEnded),
            "others" => Some(AccountDone::OthersEnded),
            "address" => Some(AccountDone::AddressChanged),
            "asked" => Some(AccountDone::AddressAsked),
            "letter" => Some(AccountDone::LetterSent),
            _ => None,
        },
        ..page(&visit, account, None).await?
    };
    Ok(visit.page(&page))
}

async fn page(
    visit: &Visit,
    account: &Account,
    problem: Option<AccountProblem>,
) -> Result<AccountPage, Response> {
    let now = visit.state.clock.now();
    let sessions = visit.state.store.sessions().list_of(&account.id).await;
    let sessions = sessions.map_err(|failure| visit.failed(&failure))?;
    let this = visit.session().map(|session| &session.id);
    let alive = sessions.iter().filter(|session| session.is_alive(now));
    let sessions = alive.map(|session| ListedSession {
        id: session.id.to_string(),
        device: session.device.clone(),
        network: session.network.clone(),
        seen: visit.moment(session.seen),
        since: visit.moment(session.created),
        this_one: Some(&session.id) == this,
    });
    let mut sessions: Vec<_> = sessions.collect();
    sessions.sort_by_key(|session| !session.this_one);
    let site = visit.site();
    Ok(AccountPage {
        shell: visit.viewer(account).bar(&site, Tab::Account),
        site,
        reminder: reminder(visit, account),
        done: None,
        problem,
        email: account.email.as_str().to_owned(),
        plan: account.plan.to_string(),
        since: visit.moment(account.created),
        by_mail: visit.state.mail.is_on(),
        confirmed: account.email_verified.is_some(),
        new_email: String::new(),
        sessions,
        usage: usage::card(visit, account).await?,
        factors: visit.factors(),
    })
}

async fn answer(
    visit: &Visit,
    account: &Account,
    status: StatusCode,
    problem: AccountProblem,
) -> Answered {
    let page = page(visit, account, Some(problem)).await?;
    Ok(visit.page_with(status, &page))
}

async fn change_password(visit: Visit, Form(form): Form<ChangingPassword>) -> Answered {
    let account = visit.form(&form.csrf_token, HERE)?;
    visit.guarded(HERE)?;
    let Some(session) = visit.session() else {
        return Err(visit.problem(StatusCode::FORBIDDEN));
    };
    if form.password != form.again {
        return answer(
            &visit,
            account,
            StatusCode::BAD_REQUEST,
            AccountProblem::Differ,
        )
        .await;
    }
    if let Err(error) = crate::accounts::check_password(&form.password) {
        return password_problem(&visit, account, &error).await;
    }
    let proved = match try_password(&visit, &account.email, &form.old).await {
        Ok(proved) => proved,
        Err(Tried::TooMany(too_many)) => {
            let minutes = too_many.minutes();
            let problem = AccountProblem::TooMany { minutes };
            let answer = answer(&visit, account, StatusCode::TOO_MANY_REQUESTS, problem);
            return Ok(retry_after(answer.await?, too_many));
        }
        Err(Tried::Error(error)) => return password_problem(&visit, account, &error).await,
    };
    let accounts = &visit.state.accounts;
    if let Err(error) = accounts.set_password(&proved, &form.password).await {
        return password_problem(&visit, account, &error).await;
    }
    // Whoever has a session or a letter by which they could undo it is out (T-11).
    let sessions = visit.state.store.sessions();
    let others = sessions.end_others(&account.id, Some(&session.id)).await;
    others.map_err(|failure| visit.failed(&failure))?;
    visit.state.life.changes().note();
    let letters = accounts.drop_letters(&account.id).await;
    letters.map_err(|failure| visit.failed(&failure))?;
    let renewed = visit.state.sessions.renew(&session.id).await;
    let cookie = renewed.map_err(|failure| visit.failed(&failure))?;
    tracing::info!(account.id = %account.id, "a password was changed");
    let about = About::account(&account.id);
    visit.note(Act::PasswordChanged, about).await;
    visit.tell(&account.id, Letter::PasswordChanged).await;
    Ok(with_cookie(visit.go_on("/account?done=password"), cookie))
}

async fn password_problem(visit: &Visit, account: &Account, error: &AccountError) -> Answered {
    let (status, problem) = match error {
        AccountError::WrongPassword => (StatusCode::FORBIDDEN, AccountProblem::OldWrong),
        AccountError::PasswordTooShort => {
            let least = LEAST_PASSWORD;
            let problem = AccountProblem::PasswordTooShort { least };
            (StatusCode::BAD_REQUEST, problem)
        }
        AccountError::PasswordTooLong => {
            let most = MOST_PASSWORD;
            let problem = AccountProblem::PasswordTooLong { most };
            (StatusCode::BAD_REQUEST, problem)
        }
        AccountError::Passwords(_) => (StatusCode::SERVICE_UNAVAILABLE, AccountProblem::Busy),
        error => return Err(unexpected(visit, error)),
    };
    answer(visit, account, status, problem).await
}

/// Who typed the password once more on the way finds the form again.
async fn come_back(visit: Visit) -> Answered {
    visit.account()?;
    Ok(visit.go_on(HERE))
}

async fn change_address(visit: Visit, Form(form): Form<ChangingAddress>) -> Answered {
    let account = visit.fresh_form(&form.csrf_token, HERE)?;
    let problem = match Email::parse(&form.email) {
        Ok(email) => match set_address(&visit, account, &email).await? {
            Ok(done) => return Ok(done),
            Err(problem) => problem,
        },
        Err(_) => AccountProblem::EmailUnfit,
    };
    let status = match problem {
        AccountProblem::Letters { .. } | AccountProblem::TooMany { .. } => {
            StatusCode::TOO_MANY_REQUESTS
        }
        _ => StatusCode::BAD_REQUEST,
    };
    let page = AccountPage {
        new_email: form.email,
        ..page(&visit, account, Some(problem)).await?
    };
    Ok(visit.page_with(status, &page))
}

/// With e-mail a letter to the new address decides, which says nothing of who else has it.
async fn set_address(
    visit: &Visit,
    account: &Account,
    email: &Email,
) -> Result<Result<Response, AccountProblem>, Response> {
    // Also without letters: each try tells whether somebody has the address.
    if let Err(too_many) = visit.state.accounts.may_write(&account.id) {
        let minutes = too_many.minutes();
        return Ok(Err(if visit.state.mail.is_on() {
            AccountProblem::Letters { minutes }
        } else {
            AccountProblem::TooMany { minutes }
        }));
    }
    if visit.state.mail.is_on() {
        send_verification(visit, account, email).await?;
        return Ok(Ok(visit.go_on("/account?done=asked")));
    }
    let accounts = visit.state.store.accounts();
    match accounts.set_email(&account.id, email, None).await {
        Ok(_) => {
            tracing::info!(account.id = %account.id, "an account has another address");
            let about = About::account(&account.id);
            visit.note(Act::EmailChanged, about).await;
            Ok(Ok(visit.go_on("/account?done=address")))
        }
        Err(StoreError::Conflict) => Ok(Err(AccountProblem::EmailTaken)),
        Err(failure) => Err(visit.failed(&failure)),
    }
}

/// Sends the letter once more that asks whether the address is theirs.
async fn confirm_address(visit: Visit, Form(form): Form<Bare>) -> Answered {
    let account = visit.form(&form.csrf_token, HERE)?;
    if !visit.state.mail.is_on() || account.email_verified.is_some() {
        return Ok(visit.go_on(HERE));
    }
    if let Err(too_many) = visit.state.accounts.may_write(&account.id) {
        let minutes = too_many.minutes();
        let problem = AccountProblem::Letters { minutes };
        let answer = answer(&visit, account, StatusCode::TOO_MANY_REQUESTS, problem);
        return Ok(retry_after(answer.await?, too_many));
    }
    send_verification(&visit, account, &account.email).await?;
    Ok(visit.go_on("/account?done=letter"))
}

async fn end_session(visit: Visit, Form(form): Form<EndingSession>) -> Answered {
    let account = visit.form(&form.csrf_token, HERE)?;
    // One that has ended already, or is somebody else's, is none of theirs.
    if let Ok(id) = form.session.parse::<SessionId>() {
        let ended = visit.state.sessions.end(&account.id, &id).await;
        if ended.map_err(|failure| visit.failed(&failure))? {
            visit.state.life.changes().note();
            let about = About::account(&account.id);
            visit.note(Act::SessionsEnded, about).await;
        }
    }
    Ok(visit.go_on("/account?done=ended"))
}

async fn end_others(visit: Visit, Form(form): Form<Bare>) -> Answered {
    let account = visit.form(&form.csrf_token, HERE)?;
    let this = visit.session().map(|session| &session.id);
    let sessions = visit.state.store.sessions();
    let ended = sessions.end_others(&account.id, this).await;
    if ended.map_err(|failure| visit.failed(&failure))? > 0 {
        visit.state.life.changes().note();
        let about = About::account(&account.id);
        visit.note(Act::SessionsEnded, about).await;
    }
    Ok(visit.go_on("/account?done=others"))
}

async fn ask_to_delete(visit: Visit) -> Answered {
    let account = visit.account()?;
    visit.fresh(&visit.here())?;
    let overview = visit.state.store.accounts();
    let overview = overview.find_overview(&account.id).await;
    let overview = overview.map_err(|failure| visit.failed(&failure))?;
    let (printers, apps) = overview.map_or((0, 0), |has| (has.printers, has.app_connections));
    let site = visit.site();
    let page = EndAccount {
        shell: visit.viewer(account).bar(&site, Tab::Account),
        site,
        id: account.id.to_string(),
        other: None,
        printers,
        apps,
        last_administrator: is_last_administrator(&visit, account).await?,
    };
    Ok(visit.page(&page))
}

/// Whether an account that somebody asked to delete is there no longer.
async fn is_gone(visit: &Visit, account: &str) -> Result<bool, Response> {
    let Ok(id) = account.parse::<AccountId>() else {
        return Ok(false);
    };
    let found = visit.state.store.accounts().find(&id).await;
    Ok(found.map_err(|failure| visit.failed(&failure))?.is_none())
}

async fn is_last_administrator(visit: &Visit, account: &Account) -> Result<bool, Response> {
    if !account.administrator {
        return Ok(false);
    }
    let accounts = visit.state.store.accounts();
    let others = accounts.has_other_administrator(&account.id).await;
    Ok(!others.map_err(|failure| visit.failed(&failure))?)
}

async fn delete(visit: Visit, Form(form): Form<Deleting>) -> Answered {
    if visit.maybe_account().is_none() && is_gone(&visit, &form.account).await? {
        visit.not_from_elsewhere()?;
        return Ok(visit.go_on("/"));
    }
    let account = visit.fresh_form(&form.csrf_token, "/account/delete")?;
    if is_last_administrator(&visit, account).await? {
        return Ok(visit.go_on("/account/delete"));
    }
    let deleted = visit.state.life.delete_account(&account.id).await;
    deleted.map_err(|failure| visit.failed(&failure))?;
    let about = About::account(&account.id);
    visit.note(Act::AccountRemoved, about).await;
    tracing::info!(account.id = %account.id, "an account was deleted by its owner");
    let cookie = visit.state.sessions.forget();
    Ok(with_cookie(visit.go_on("/"), cookie))
}
