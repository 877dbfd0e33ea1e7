//! `/forgotten`, `/reset`, `/verify`.

use axum::extract::Query;
use axum::response::Response;
use axum::routing::get;
use axum::{Form, Router};
use http::StatusCode;
use latchkey_model::account::{Account, Email};
use latchkey_model::link::LinkPurpose;
use serde::Deserialize;

use crate::accounts::http::unexpected;
use crate::accounts::{AccountError, Confirmed, LEAST_PASSWORD, MOST_PASSWORD};
use crate::audit::Act;
use crate::mail::Letter;
use crate::pages::paths;
use crate::pages::views::{
    Forgetting, Forgotten, ForgottenProblem, Reset, ResetProblem, Resetting, Verify, Verifying,
};
use crate::pages::visit::{About, Answered, Visit, retry_after};
use crate::state::State;

pub(super) fn routes() -> Router<State> {
    Router::new()
        .route("/forgotten", get(show_forgotten).post(forgotten))
        .route("/reset", get(show_reset).post(reset))
        .route("/verify", get(show_verify).post(verify))
}

#[derive(Deserialize)]
struct Forgot {
    #[serde(default)]
    email: String,
    #[serde(default)]
    csrf_token: String,
}

#[derive(Deserialize)]
struct Followed {
    #[serde(default)]
    code: String,
    #[serde(default)]
    csrf_token: String,
}

#[derive(Deserialize)]
struct Chosen {
    #[serde(default)]
    code: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    again: String,
    #[serde(default)]
    csrf_token: String,
}

/// Sends a letter that asks whether an address is the account's, if this relay sends e-mail.
pub(crate) async fn send_verification(
    visit: &Visit,
    account: &Account,
    email: &Email,
) -> Result<(), Response> {
    if visit.state.mail.is_on() {
        let code = visit.state.accounts.verification(&account.id, email).await;
        let code = code.map_err(|failure| visit.failed(&failure))?;
        visit.state.mail.send(email, Letter::Verify { code });
    }
    Ok(())
}

fn forgotten_page(visit: &Visit, status: StatusCode, state: Forgetting) -> Response {
    let site = visit.site();
    let page = Forgotten {
        shell: site.door(),
        site,
        state,
    };
    visit.page_with(status, &page)
}

async fn show_forgotten(visit: Visit) -> Answered {
    let state = if visit.state.mail.is_on() {
        let email = String::new();
        let problem = None;
        Forgetting::Asked { email, problem }
    } else {
        Forgetting::NoMail
    };
    Ok(forgotten_page(&visit, StatusCode::OK, state))
}

async fn forgotten(visit: Visit, Form(form): Form<Forgot>) -> Answered {
    if !visit.state.mail.is_on() {
        visit.own_form(&form.csrf_token)?;
        return Ok(visit.go_on("/forgotten"));
    }
    let wrong = |status, problem| {
        let email = form.email.clone();
        let problem = Some(problem);
        forgotten_page(&visit, status, Forgetting::Asked { email, problem })
    };
    if visit.own_form(&form.csrf_token).is_err() {
        return Ok(wrong(StatusCode::FORBIDDEN, ForgottenProblem::Stale));
    }
    let Ok(email) = Email::parse(&form.email) else {
        return Ok(wrong(StatusCode::BAD_REQUEST, ForgottenProblem::EmailUnfit));
    };
    let accounts = &visit.state.accounts;
    if let Err(too_many) = accounts.may_ask_for_letter(visit.arrival.address) {
        let minutes = too_many.minutes();
        let problem = ForgottenProblem::TooMany { minutes };
        let answer = wrong(StatusCode::TOO_MANY_REQUESTS, problem);
        return Ok(retry_after(answer, too_many));
    }
    // Whether there is such an account is looked up when the answer is on its way (T-14). After a
    // few letters no more go to an address; whoever asks is told the same.
    if accounts.may_remind(&email) {
        visit.state.mail.reset(&email);
    }
    let email = email.as_str().to_owned();
    let state = Forgetting::Sent { email };
    Ok(forgotten_page(&visit, StatusCode::OK, state))
}

fn reset_page(visit: &Visit, status: StatusCode, state: Resetting) -> Response {
    let site = visit.site();
    let page = Reset {
        shell: site.door(),
        site,
        state,
    };
    visit.page_with(status, &page)
}

async fn show_reset(visit: Visit, Query(asked): Query<Followed>) -> Answered {
    let accounts = &visit.state.accounts;
    let found = accounts.find_link(&asked.code, LinkPurpose::ResetPassword);
    let found = found.await.map_err(|failure| visit.failed(&failure))?;
    if found.is_none() {
        return Ok(reset_page(&visit, StatusCode::NOT_FOUND, Resetting::Gone));
    }
    let state = Resetting::Asked {
        code: asked.code.trim().to_owned(),
        problem: None,
    };
    Ok(reset_page(&visit, StatusCode::OK, state))
}

async fn reset(visit: Visit, Form(form): Form<Chosen>) -> Answered {
    let wrong = |status, problem| {
        let code = form.code.clone();
        let problem = Some(problem);
        reset_page(&visit, status, Resetting::Asked { code, problem })
    };
    if visit.own_form(&form.csrf_token).is_err() {
        return Ok(wrong(StatusCode::FORBIDDEN, ResetProblem::Stale));
    }
    if form.password != form.again {
        return Ok(wrong(StatusCode::BAD_REQUEST, ResetProblem::Differ));
    }
    let accounts = &visit.state.accounts;
    match accounts.reset_password(&form.code, &form.password).await {
        Ok(Some(account)) => {
            let about = About::account(&account);
            visit.note(Act::PasswordChanged, about).await;
            visit.tell(&account, Letter::PasswordChanged).await;
            Ok(reset_page(&visit, StatusCode::OK, Resetting::Done))
        }
        Ok(None) => Ok(reset_page(&visit, StatusCode::NOT_FOUND, Resetting::Gone)),
        Err(AccountError::PasswordTooShort) => {
            let least = LEAST_PASSWORD;
            let problem = ResetProblem::TooShort { least };
            Ok(wrong(StatusCode::BAD_REQUEST, problem))
        }
        Err(AccountError::PasswordTooLong) => {
            let most = MOST_PASSWORD;
            let problem = ResetProblem::TooLong { most };
            Ok(wrong(StatusCode::BAD_REQUEST, problem))
        }
        Err(AccountError::Passwords(_)) => {
            Ok(wrong(StatusCode::SERVICE_UNAVAILABLE, ResetProblem::Busy))
        }
        Err(error) => Err(unexpected(&visit, &error)),
    }
}

fn verify_page(visit: &Visit, status: StatusCode, state: Verifying) -> Response {
    let site = visit.site();
    let page = Verify {
        shell: site.door(),
        site,
        state,
    };
    visit.page_with(status, &page)
}

async fn show_verify(visit: Visit, Query(asked): Query<Followed>) -> Answered {
    let accounts = &visit.state.accounts;
    let found = accounts.find_link(&asked.code, LinkPurpose::VerifyEmail);
    let found = found.await.map_err(|failure| visit.failed(&failure))?;
    let Some(email) = found.and_then(|link| link.email) else {
        return Ok(verify_page(&visit, StatusCode::NOT_FOUND, Verifying::Gone));
    };
    let state = Verifying::Asked {
        code: asked.code.trim().to_owned(),
        email: email.as_str().to_owned(),
    };
    Ok(verify_page(&visit, StatusCode::OK, state))
}

/// Without signing in: the letter may be read on another device, and whoever reads it has the
/// address.
async fn verify(visit: Visit, Form(form): Form<Followed>) -> Answered {
    let back = paths::with("/verify", "code", form.code.trim());
    visit.anybodys_form(&form.csrf_token, &back)?;
    let confirmed = visit.state.accounts.confirm_address(&form.code).await;
    let (status, state) = match confirmed.map_err(|failure| visit.failed(&failure))? {
        Confirmed::Same(email) => {
            let email = email.as_str().to_owned();
            (StatusCode::OK, Verifying::Done { email })
        }
        Confirmed::Changed {
            account,
            email,
            former,
        } => {
            let about = About::account(&account);
            visit.note(Act::EmailChanged, about).await;
            visit.state.mail.send(&former, Letter::AddressChanged);
            let email = email.as_str().to_owned();
            (StatusCode::OK, Verifying::Done { email })
        }
        Confirmed::Taken => (StatusCode::CONFLICT, Verifying::Taken),
        Confirmed::Gone => (StatusCode::NOT_FOUND, Verifying::Gone),
    };
    Ok(verify_page(&visit, status, state))
}
