//! The first run: whoever reads the console becomes the administrator.

use axum::Form;
use axum::response::Response;
use http::StatusCode;
use latchkey_web::limits::TooMany;
use serde::Deserialize;

use crate::contract::with_cookies;
use crate::pages::views::{Setup, SetupForm, SetupProblem, SetupState};
use crate::pages::visit::{Answered, Visit};
use crate::service::Door;
use crate::users::{FirstError, LEAST_PASSWORD, MOST_PASSWORD, UserError};

#[derive(Deserialize)]
pub(super) struct First {
    #[serde(default)]
    code: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    again: String,
    #[serde(default)]
    csrf_token: String,
}

pub(super) async fn show(visit: Visit) -> Response {
    if visit.authority.users.is_set_up().await {
        return page(&visit, StatusCode::OK, SetupState::Done);
    }
    if !is_at_home(&visit) {
        return page(&visit, StatusCode::FORBIDDEN, SetupState::NotFromHere);
    }
    page(
        &visit,
        StatusCode::OK,
        SetupState::Asking(SetupForm::default()),
    )
}

pub(super) async fn create(visit: Visit, Form(first): Form<First>) -> Answered {
    if !is_at_home(&visit) {
        return Ok(page(&visit, StatusCode::FORBIDDEN, SetupState::NotFromHere));
    }
    visit.own_form(&first.csrf_token)?;
    if first.password != first.again {
        return Ok(again(&visit, first, SetupProblem::Differ));
    }
    let users = &visit.authority.users;
    let outcome = users.create_first(&first.code, &first.name, &first.password);
    Ok(match outcome.await {
        Ok(user) => {
            let (sessions, inbound) = (&visit.authority.sessions, &visit.inbound);
            match sessions
                .open(&user, &visit.headers, inbound, &visit.public)
                .await
            {
                Ok(cookies) => with_cookies(visit.go_on("/latchkey/"), cookies),
                Err(failure) => visit.failed(&failure),
            }
        }
        Err(FirstError::Done) => page(&visit, StatusCode::OK, SetupState::Done),
        Err(FirstError::CodeWrong) => again(&visit, first, SetupProblem::CodeWrong),
        Err(FirstError::TooMany { wait }) => {
            let minutes = TooMany { wait }.minutes();
            again(&visit, first, SetupProblem::TooMany { minutes })
        }
        Err(FirstError::User(error)) => match problem(&error) {
            Some(problem) => again(&visit, first, problem),
            None => visit.unavailable(&error),
        },
    })
}

/// Only a caller who came to the listener at home, and from there.
fn is_at_home(visit: &Visit) -> bool {
    visit.inbound.door == Door::Lan && crate::neighbours::is_nearby(visit.inbound.address)
}

fn problem(error: &UserError) -> Option<SetupProblem> {
    Some(match error {
        UserError::NameMissing => SetupProblem::NameMissing,
        UserError::NameUnfit | UserError::NameTaken => SetupProblem::NameUnfit,
        UserError::PasswordTooShort => SetupProblem::PasswordTooShort {
            least: LEAST_PASSWORD,
        },
        UserError::PasswordTooLong => SetupProblem::PasswordTooLong {
            most: MOST_PASSWORD,
        },
        _ => return None,
    })
}

fn again(visit: &Visit, first: First, problem: SetupProblem) -> Response {
    let form = SetupForm {
        code: first.code,
        name: first.name,
        problem: Some(problem),
    };
    page(visit, StatusCode::BAD_REQUEST, SetupState::Asking(form))
}

fn page(visit: &Visit, status: StatusCode, state: SetupState) -> Response {
    let site = visit.site();
    let page = Setup {
        shell: site.door(),
        site,
        state,
    };
    visit.page_with(status, &page)
}
