//! One's own account: password, browsers, signing out.

use axum::Form;
use axum::extract::Query;
use axum::response::Response;
use http::StatusCode;
use latchkey_model::id::SessionId;
use latchkey_model::session::Mechanism;
use latchkey_model::user::User;
use serde::Deserialize;

use crate::contract::with_cookies;
use crate::pages::views::{AccountDone, AccountPage, PasswordProblem, SignedIn, Tab};
use crate::pages::visit::{Answered, Visit};
use crate::users::{LEAST_PASSWORD, MOST_PASSWORD, UserError};

const PAGE: &str = "/latchkey/account";

#[derive(Deserialize)]
pub(super) struct Told {
    done: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Fields {
    #[serde(default)]
    old: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    again: String,
    #[serde(default)]
    session: String,
    #[serde(default)]
    csrf_token: String,
}

pub(super) async fn show(visit: Visit, Query(told): Query<Told>) -> Answered {
    let user = visit.user()?;
    let done = match told.done.as_deref() {
        Some("password") => Some(AccountDone::PasswordChanged),
        Some("session") => Some(AccountDone::SessionEnded),
        _ => None,
    };
    Ok(page(&visit, user, StatusCode::OK, None, done).await)
}

pub(super) async fn change_password(visit: Visit, Form(fields): Form<Fields>) -> Answered {
    let user = signed_in(&visit, &fields)?;
    let Some(session) = visit.caller.session() else {
        return Ok(visit.problem(StatusCode::FORBIDDEN));
    };
    if fields.password != fields.again {
        return Ok(wrong(&visit, user, PasswordProblem::Differ).await);
    }
    // Guessing the old password here is guessing it at the sign-in.
    let sessions = &visit.authority.sessions;
    if let Err(too_many) = sessions.may_try(&visit.inbound, user.name.as_str()) {
        let minutes = too_many.minutes();
        return Ok(wrong(&visit, user, PasswordProblem::TooMany { minutes }).await);
    }
    let users = &visit.authority.users;
    let outcome = users.change_own_password(&user.name, &fields.old, &fields.password, &session.id);
    let outcome = outcome.await;
    // Once more: who guesses many times at once learns no more than who guesses one by one.
    if let Err(too_many) = sessions.may_try(&visit.inbound, user.name.as_str())
        && outcome.is_err()
    {
        let minutes = too_many.minutes();
        return Ok(wrong(&visit, user, PasswordProblem::TooMany { minutes }).await);
    }
    let problem = match outcome {
        Ok(()) => return Ok(visit.go_on(&format!("{PAGE}?done=password"))),
        Err(UserError::OldWrong) => {
            sessions.note_failure(&visit.inbound, user.name.as_str());
            PasswordProblem::OldWrong
        }
        Err(UserError::PasswordTooShort) => PasswordProblem::TooShort {
            least: LEAST_PASSWORD,
        },
        Err(UserError::PasswordTooLong) => PasswordProblem::TooLong {
            most: MOST_PASSWORD,
        },
        Err(error) => return Ok(visit.unavailable(&error)),
    };
    Ok(wrong(&visit, user, problem).await)
}

pub(super) async fn end_session(visit: Visit, Form(fields): Form<Fields>) -> Answered {
    let user = signed_in(&visit, &fields)?;
    let Ok(id) = fields.session.parse::<SessionId>() else {
        return Ok(visit.problem(StatusCode::BAD_REQUEST));
    };
    let store = visit.authority.store.sessions();
    let own = match store.list_of(&user.name).await {
        Ok(sessions) => sessions.iter().any(|session| session.id == id),
        Err(failure) => return Ok(visit.failed(&failure)),
    };
    // One that is gone already, or is somebody else's, ends as well as it can.
    if own && let Err(failure) = visit.authority.sessions.end(&id).await {
        return Ok(visit.failed(&failure));
    }
    Ok(visit.go_on(&format!("{PAGE}?done=session")))
}

pub(super) async fn sign_out(visit: Visit, Form(fields): Form<Fields>) -> Answered {
    visit.own_form(&fields.csrf_token)?;
    let sessions = &visit.authority.sessions;
    let outcome = sessions.log_out(&visit.caller, &visit.headers, &visit.public);
    Ok(match outcome.await {
        Ok(cookies) => with_cookies(visit.go_on("/login/"), cookies),
        Err(failure) => visit.failed(&failure),
    })
}

fn signed_in<'v>(visit: &'v Visit, fields: &Fields) -> Result<&'v User, Response> {
    let user = visit.user()?;
    visit.own_form(&fields.csrf_token)?;
    Ok(user)
}

async fn wrong(visit: &Visit, user: &User, problem: PasswordProblem) -> Response {
    page(visit, user, StatusCode::BAD_REQUEST, Some(problem), None).await
}

async fn page(
    visit: &Visit,
    user: &User,
    status: StatusCode,
    problem: Option<PasswordProblem>,
    done: Option<AccountDone>,
) -> Response {
    let found = visit.authority.store.sessions().list_of(&user.name).await;
    let now = visit.authority.clock.now();
    let this = visit.caller.session().map(|session| &session.id);
    let mut sessions = match found {
        Ok(sessions) => sessions,
        Err(failure) => return visit.failed(&failure),
    };
    sessions.retain(|session| session.is_alive(now));
    let (site, viewer) = (visit.site(), visit.viewer(user));
    let page = AccountPage {
        shell: viewer.bar(&site, Tab::Account),
        site,
        viewer,
        sessions: sessions
            .iter()
            .map(|session| SignedIn {
                id: session.id.to_string(),
                device: session.device.clone(),
                from: session.network.clone(),
                seen: visit.moment(session.seen),
                this_one: this == Some(&session.id),
                remembered: session.mechanism == Mechanism::RememberMe,
            })
            .collect(),
        problem,
        done,
    };
    visit.page_with(status, &page)
}
