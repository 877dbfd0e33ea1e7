//! `/sign-in/code`: the code that is asked for after the password.

use axum::Form;
use axum::response::Response;
use http::{HeaderValue, StatusCode};
use latchkey_model::account::Account;
use latchkey_store::relay::SignIn as Proved;
use serde::Deserialize;

use super::http::{note_by, sign_in_page, then};
use crate::audit::Act;
use crate::mail::Letter;
use crate::pages::views::{CodeProblem, SignInCode, SignInProblem};
use crate::pages::visit::{Answered, Visit, retry_after, with_cookie};
use crate::portal::http::asking_app;
use crate::second_factors::{CodeError, Proof};
use crate::sessions::Second;

#[derive(Deserialize)]
pub(super) struct Fields {
    /// By what it is known whose password was right.
    #[serde(default)]
    step: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    then: String,
    #[serde(default)]
    csrf_token: String,
}

/// The page is only there as an answer to the password.
pub(super) async fn come_back(visit: Visit) -> Response {
    visit.go_on("/sign-in")
}

/// Asks who proved their password for a code.
pub(super) async fn ask(visit: &Visit, proved: Proved, then: &str) -> Response {
    let step = visit.state.second_factors.half_signed_in(proved);
    let page = page(visit, step.expose(), then, None).await;
    visit.page(&page)
}

async fn page(visit: &Visit, step: &str, then: &str, problem: Option<CodeProblem>) -> SignInCode {
    let site = visit.site();
    SignInCode {
        shell: site.door(),
        site,
        app: asking_app(visit, then).await,
        step: step.to_owned(),
        then: then.to_owned(),
        problem,
    }
}

pub(super) async fn bring(visit: Visit, Form(fields): Form<Fields>) -> Answered {
    let over = async |problem| {
        let page = sign_in_page(&visit, "", &fields.then, Some(problem)).await;
        Ok(visit.page_with(StatusCode::FORBIDDEN, &page))
    };
    if visit.own_form(&fields.csrf_token).is_err() {
        return over(SignInProblem::Stale).await;
    }
    let factors = &visit.state.second_factors;
    let Some(half) = factors.find_half(&fields.step) else {
        return over(SignInProblem::TookTooLong).await;
    };
    let (status, problem, wait) = match prove(&visit, &half.account, &fields.code).await {
        Ok(()) => {
            // Of two who bring two codes to one password one goes on.
            let Some(half) = factors.take_half(&fields.step) else {
                return over(SignInProblem::TookTooLong).await;
            };
            return match begin(&visit, &half, &Second::Code).await? {
                Some(cookie) => Ok(with_cookie(visit.go_on(then(&fields.then)), cookie)),
                None => over(SignInProblem::WrongPair).await,
            };
        }
        Err(CodeError::TooMany(wait)) => {
            let minutes = wait.minutes();
            let problem = CodeProblem::TooMany { minutes };
            (StatusCode::TOO_MANY_REQUESTS, problem, Some(wait))
        }
        Err(CodeError::Wrong) => (StatusCode::FORBIDDEN, CodeProblem::Wrong, None),
        Err(error) => return Err(unexpected(&visit, &error)),
    };
    let page = page(&visit, &fields.step, &fields.then, Some(problem)).await;
    let answer = visit.page_with(status, &page);
    Ok(match wait {
        Some(wait) => retry_after(answer, wait),
        None => answer,
    })
}

/// Whether a code counts. The owner is told of a recovery code.
async fn prove(visit: &Visit, account: &Account, code: &str) -> Result<(), CodeError> {
    let proof = visit.state.second_factors.prove(account, code).await?;
    if let Proof::Recovery { left } = proof {
        let letter = Letter::RecoveryCodeUsed { left };
        visit.tell(&account.id, letter).await;
    }
    Ok(())
}

/// Whether the right code came with the password of somebody who is signed in. False where none is
/// asked for.
pub(super) async fn beside_password(
    visit: &Visit,
    account: &Account,
    code: &str,
) -> Result<bool, CodeError> {
    // Looked up anew: the session may be older than the codes.
    if !visit.state.second_factors.asks(&account.id).await? {
        return Ok(false);
    }
    prove(visit, account, code).await?;
    Ok(true)
}

/// What is at fault is neither the person nor their code.
pub(super) fn unexpected(visit: &Visit, error: &CodeError) -> Response {
    match error {
        CodeError::Store(failure) => visit.failed(failure),
        error => {
            tracing::error!(%error, "a code cannot be checked");
            visit.problem(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

/// Begins the session of who proved who they are, and tells them if it is with another browser than
/// before. Gives the cookie; nothing if what was proved no longer holds.
pub(crate) async fn begin(
    visit: &Visit,
    proved: &Proved,
    second: &Second,
) -> Result<Option<HeaderValue>, Response> {
    let sessions = &visit.state.sessions;
    let opened = sessions.open_with(proved, second, &visit.visitor()).await;
    let opened = opened.map_err(|failure| visit.failed(&failure))?;
    let Some(opened) = opened else {
        return Ok(None);
    };
    note_by(visit, &proved.account, Act::SignedIn).await;
    if let Some((device, network)) = opened.new_from {
        let letter = Letter::SignedIn { device, network };
        visit.tell(&proved.account.id, letter).await;
    }
    Ok(Some(opened.cookie))
}
