//! `/sign-in`, `/sign-in/again`, `/sign-up`, `/sign-out`.

use axum::extract::Query;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Form, Router};
use http::StatusCode;
use latchkey_model::account::{Account, Email};
use latchkey_model::link::LinkPurpose;
use latchkey_store::relay::SignIn as Proved;
use latchkey_web::limits::TooMany;
use serde::Deserialize;

use super::{AccountError, LEAST_PASSWORD, MOST_PASSWORD, SigningUp, again, second_step};
use crate::audit::{Act, Actor, Entry};
use crate::config::Registration;
use crate::pages::paths;
use crate::pages::views::{Beside, SignIn, SignInProblem, SignUp, SignUpProblem, WhoMaySignUp};
use crate::pages::visit::{About, Answered, Visit, retry_after, with_cookie};
use crate::people;
use crate::portal::http::asking_app;
use crate::sessions::Second;
use crate::state::State;

/// Where somebody goes who came for nothing in particular.
pub(super) const HOME: &str = "/printers";

pub(crate) fn routes() -> Router<State> {
    Router::new()
        .route("/sign-in", get(show_sign_in).post(sign_in))
        .route("/sign-in/again", get(again::show).post(again::prove))
        .route(
            "/sign-in/code",
            get(second_step::come_back).post(second_step::bring),
        )
        .route("/sign-up", get(show_sign_up).post(sign_up))
        .route("/sign-out", post(sign_out))
}

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    pub(super) then: String,
    #[serde(default)]
    pub(super) invitation: String,
    /// What somebody who is asked again has to come with.
    #[serde(default)]
    pub(super) with: String,
}

#[derive(Deserialize)]
pub(super) struct Fields {
    #[serde(default)]
    pub(super) email: String,
    #[serde(default)]
    pub(super) password: String,
    /// Beside the password, where codes are asked for.
    #[serde(default)]
    pub(super) code: String,
    #[serde(default)]
    pub(super) invitation: String,
    #[serde(default)]
    pub(super) then: String,
    #[serde(default)]
    pub(super) csrf_token: String,
}

async fn show_sign_in(visit: Visit, Query(asked): Query<Asked>) -> Answered {
    if visit.maybe_account().is_some() {
        return Ok(visit.go_on(then(&asked.then)));
    }
    let page = sign_in_page(&visit, "", &asked.then, None).await;
    Ok(visit.page(&page))
}

async fn sign_in(visit: Visit, Form(fields): Form<Fields>) -> Answered {
    let wrong = |status, problem| answer_sign_in(&visit, &fields, status, problem);
    if visit.own_form(&fields.csrf_token).is_err() {
        return Ok(wrong(StatusCode::FORBIDDEN, SignInProblem::Stale).await);
    }
    // What is no address is nobody's: it is answered like a wrong password.
    let Ok(email) = Email::parse(&fields.email) else {
        return Ok(wrong(StatusCode::FORBIDDEN, SignInProblem::WrongPair).await);
    };
    match try_password(&visit, &email, &fields.password).await {
        Ok(proved) => {
            let asks = visit.state.second_factors.asks(&proved.account.id).await;
            if asks.map_err(|failure| visit.failed(&failure))? {
                return Ok(second_step::ask(&visit, proved, &fields.then).await);
            }
            match second_step::begin(&visit, &proved, &Second::None).await? {
                Some(cookie) => Ok(with_cookie(visit.go_on(then(&fields.then)), cookie)),
                None => Ok(wrong(StatusCode::FORBIDDEN, SignInProblem::WrongPair).await),
            }
        }
        Err(Tried::TooMany(too_many)) => {
            let problem = SignInProblem::TooMany {
                minutes: too_many.minutes(),
            };
            let answer = wrong(StatusCode::TOO_MANY_REQUESTS, problem).await;
            Ok(retry_after(answer, too_many))
        }
        Err(Tried::Error(error)) => {
            let (status, problem) = sign_in_problem(&visit, error)?;
            Ok(wrong(status, problem).await)
        }
    }
}

/// Why a password did not lead to an account.
pub(crate) enum Tried {
    TooMany(TooMany),
    Error(AccountError),
}

/// Tries a password within the limits; a wrong one counts. Afterwards the limits are looked at
/// once more, whatever came of it: who guesses many at once learns no more than who guesses one
/// by one.
pub(crate) async fn try_password(
    visit: &Visit,
    email: &Email,
    password: &str,
) -> Result<Proved, Tried> {
    let (sessions, address) = (&visit.state.sessions, visit.arrival.address);
    sessions.may_try(email, address).map_err(Tried::TooMany)?;
    let outcome = visit.state.accounts.sign_in(email, password).await;
    let within = if matches!(outcome, Err(AccountError::WrongPassword)) {
        let counted = sessions.note_failure(email, address);
        if counted.is_ok() && sessions.may_try(email, address).is_err() {
            // Once for each limit that is reached, not for each try after it.
            note_stop(visit, email).await;
        }
        counted
    } else {
        sessions.may_try(email, address)
    };
    within.map_err(Tried::TooMany)?;
    outcome.map_err(Tried::Error)
}

async fn note_stop(visit: &Visit, email: &Email) {
    let account = match visit.state.store.accounts().find_by_email(email).await {
        Ok(account) => account,
        Err(error) => return tracing::error!(%error, "cannot look up whose sign-ins are stopped"),
    };
    let about = About {
        account: account.as_ref().map(|account| &account.id),
        ..About::default()
    };
    visit.note(Act::SignInsStopped, about).await;
}

/// Writes down what somebody did who was not signed in yet when they asked.
pub(super) async fn note_by(visit: &Visit, account: &Account, act: Act) {
    let entry = Entry {
        account: Some(account.id.clone()),
        address: Some(visit.arrival.address),
        ..Entry::new(Actor::Account(account.id.clone()), act)
    };
    visit.state.audit.note(entry).await;
}

pub(super) fn sign_in_problem(
    visit: &Visit,
    error: AccountError,
) -> Result<(StatusCode, SignInProblem), Response> {
    match error {
        AccountError::WrongPassword => Ok((StatusCode::FORBIDDEN, SignInProblem::WrongPair)),
        AccountError::Passwords(_) => Ok((StatusCode::SERVICE_UNAVAILABLE, SignInProblem::Busy)),
        error => Err(unexpected(visit, &error)),
    }
}

/// What is at fault is neither the person nor their form.
pub(crate) fn unexpected(visit: &Visit, error: &AccountError) -> Response {
    match error {
        AccountError::Store(failure) => visit.failed(failure),
        AccountError::Passwords(_) => visit.problem(StatusCode::SERVICE_UNAVAILABLE),
        error => {
            tracing::error!(%error, "a form was answered in a way nobody foresaw");
            visit.problem(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

async fn answer_sign_in(
    visit: &Visit,
    fields: &Fields,
    status: StatusCode,
    problem: SignInProblem,
) -> Response {
    let page = sign_in_page(visit, &fields.email, &fields.then, Some(problem)).await;
    visit.page_with(status, &page)
}

pub(super) async fn sign_in_page(
    visit: &Visit,
    email: &str,
    then: &str,
    problem: Option<SignInProblem>,
) -> SignIn {
    let site = visit.site();
    let offers = visit.state.accounts.registration() != Registration::Closed;
    SignIn {
        shell: site.door(),
        site,
        app: asking_app(visit, then).await,
        email: email.to_owned(),
        again: false,
        turn_back: HOME.to_owned(),
        then: then.to_owned(),
        sign_up: offers.then(|| leading_on("/sign-up", then)),
        by_mail: visit.state.mail.is_on(),
        beside: Beside {
            passkey: visit.state.passkeys.are_possible(),
            ..Beside::default()
        },
        problem,
    }
}

async fn show_sign_up(visit: Visit, Query(asked): Query<Asked>) -> Answered {
    if visit.maybe_account().is_some() {
        return Ok(visit.go_on(then(&asked.then)));
    }
    let fields = Fields {
        email: String::new(),
        password: String::new(),
        code: String::new(),
        invitation: asked.invitation,
        then: asked.then,
        csrf_token: String::new(),
    };
    answer_sign_up(&visit, &fields, StatusCode::OK, None).await
}

async fn sign_up(visit: Visit, Form(fields): Form<Fields>) -> Answered {
    if visit.own_form(&fields.csrf_token).is_err() {
        let stale = Some(SignUpProblem::Stale);
        return answer_sign_up(&visit, &fields, StatusCode::FORBIDDEN, stale).await;
    }
    let wish = SigningUp {
        email: &fields.email,
        password: &fields.password,
        invitation: &fields.invitation,
        address: visit.arrival.address,
    };
    let problem = match visit.state.accounts.sign_up(&wish).await {
        Ok(made) => {
            let account = &made.account;
            note_by(&visit, account, Act::AccountMade).await;
            let opened = visit.state.sessions.open(&made, &visit.visitor()).await;
            let opened = opened.map_err(|failure| visit.failed(&failure))?;
            // Who signs up with many others' addresses does not make us write to all of them.
            let address = visit.arrival.address;
            if visit.state.accounts.may_ask_for_letter(address).is_ok() {
                people::send_verification(&visit, account, &account.email).await?;
            }
            let answer = visit.go_on(then(&fields.then));
            return Ok(match opened {
                Some(opened) => with_cookie(answer, opened.cookie),
                // Suspended in this moment: they are not signed in.
                None => answer,
            });
        }
        Err(AccountError::TooMany(too_many)) => {
            let minutes = too_many.minutes();
            let problem = Some(SignUpProblem::TooMany { minutes });
            let answer = answer_sign_up(&visit, &fields, StatusCode::TOO_MANY_REQUESTS, problem);
            return Ok(retry_after(answer.await?, too_many));
        }
        Err(AccountError::Passwords(_)) => {
            let busy = Some(SignUpProblem::Busy);
            return answer_sign_up(&visit, &fields, StatusCode::SERVICE_UNAVAILABLE, busy).await;
        }
        Err(AccountError::Email) => SignUpProblem::EmailUnfit,
        Err(AccountError::Taken) => SignUpProblem::EmailTaken,
        Err(AccountError::NotInvited) => SignUpProblem::NotInvited,
        Err(AccountError::PasswordTooShort) => SignUpProblem::PasswordTooShort {
            least: LEAST_PASSWORD,
        },
        Err(AccountError::PasswordTooLong) => SignUpProblem::PasswordTooLong {
            most: MOST_PASSWORD,
        },
        Err(error) => return Err(unexpected(&visit, &error)),
    };
    answer_sign_up(&visit, &fields, StatusCode::BAD_REQUEST, Some(problem)).await
}

async fn answer_sign_up(
    visit: &Visit,
    fields: &Fields,
    status: StatusCode,
    problem: Option<SignUpProblem>,
) -> Answered {
    let invited = visit.state.accounts.invitation(&fields.invitation).await;
    let invited = invited.map_err(|failure| visit.failed(&failure))?;
    let who = match (visit.state.accounts.registration(), invited) {
        (_, Some(LinkPurpose::FirstAdministrator)) => WhoMaySignUp::FirstAdministrator,
        (Registration::Open, _) => WhoMaySignUp::Everybody,
        (Registration::Invite, _) | (Registration::Closed, Some(_)) => WhoMaySignUp::WithInvitation,
        (Registration::Closed, None) => return Err(visit.problem(StatusCode::NOT_FOUND)),
    };
    let site = visit.site();
    let page = SignUp {
        shell: site.door(),
        site,
        app: asking_app(visit, &fields.then).await,
        who,
        email: fields.email.clone(),
        invitation: fields.invitation.clone(),
        sign_in: leading_on("/sign-in", &fields.then),
        then: fields.then.clone(),
        problem,
    };
    Ok(visit.page_with(status, &page))
}

async fn sign_out(visit: Visit, Form(fields): Form<Fields>) -> Answered {
    if visit.maybe_account().is_none() {
        visit.not_from_elsewhere()?;
    } else {
        visit.form(&fields.csrf_token, HOME)?;
    }
    if let (Some(account), Some(session)) = (visit.maybe_account(), visit.session()) {
        let ended = visit.state.sessions.end(&account.id, &session.id).await;
        ended.map_err(|failure| visit.failed(&failure))?;
        visit.state.life.changes().note();
        let about = About::account(&account.id);
        visit.note(Act::SignedOut, about).await;
    }
    let cookie = visit.state.sessions.forget();
    Ok(with_cookie(visit.go_on("/sign-in"), cookie))
}

/// Where to go on to: what was asked for, if it is a page of ours.
pub(crate) fn then(asked: &str) -> &str {
    paths::way_back(asked).unwrap_or(HOME)
}

pub(super) fn leading_on(path: &str, then: &str) -> String {
    if then.is_empty() {
        path.to_owned()
    } else {
        paths::with(path, "then", then)
    }
}
