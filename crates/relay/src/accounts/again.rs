//! `/sign-in/again`: who is signed in proves once more who they are.

use axum::Form;
use axum::extract::Query;
use http::StatusCode;
use latchkey_model::account::Account;
use latchkey_web::limits::TooMany;

use super::http::{Asked, Fields, HOME, Tried, leading_on, sign_in_problem, then, try_password};
use super::second_step;
use crate::pages::views::{Beside, SignIn, SignInProblem};
use crate::pages::visit::{Answered, Visit, retry_after, with_cookie};
use crate::portal::http::asking_app;
use crate::second_factors::CodeError;

pub(super) async fn show(visit: Visit, Query(asked): Query<Asked>) -> Answered {
    let account = visit.account()?;
    let mut page = page(&visit, account, &asked.then, None).await;
    page.beside.needed = asked.with == "second-factor";
    Ok(visit.page(&page))
}

pub(super) async fn prove(visit: Visit, Form(fields): Form<Fields>) -> Answered {
    let back = leading_on("/sign-in/again", &fields.then);
    let account = visit.form(&fields.csrf_token, &back)?;
    let Some(session) = visit.session() else {
        return Ok(visit.problem(StatusCode::FORBIDDEN));
    };
    let too_many = async |too_many: TooMany| {
        let minutes = too_many.minutes();
        let problem = SignInProblem::TooMany { minutes };
        let page = page(&visit, account, &fields.then, Some(problem)).await;
        let answer = visit.page_with(StatusCode::TOO_MANY_REQUESTS, &page);
        Ok(retry_after(answer, too_many))
    };
    let (status, problem) = match try_password(&visit, &account.email, &fields.password).await {
        Ok(_) => match second_step::beside_password(&visit, account, &fields.code).await {
            Ok(second) => {
                let renewed = visit.state.sessions.renew_with(&session.id, second).await;
                let cookie = renewed.map_err(|failure| visit.failed(&failure))?;
                return Ok(with_cookie(visit.go_on(then(&fields.then)), cookie));
            }
            Err(CodeError::TooMany(wait)) => return too_many(wait).await,
            Err(CodeError::Wrong) => (StatusCode::FORBIDDEN, SignInProblem::WrongCode),
            Err(error) => return Err(second_step::unexpected(&visit, &error)),
        },
        Err(Tried::TooMany(wait)) => return too_many(wait).await,
        Err(Tried::Error(error)) => sign_in_problem(&visit, error)?,
    };
    let page = page(&visit, account, &fields.then, Some(problem)).await;
    Ok(visit.page_with(status, &page))
}

async fn page(
    visit: &Visit,
    account: &Account,
    then: &str,
    problem: Option<SignInProblem>,
) -> SignIn {
    let site = visit.site();
    SignIn {
        shell: site.door(),
        site,
        app: asking_app(visit, then).await,
        email: account.email.as_str().to_owned(),
        again: true,
        turn_back: HOME.to_owned(),
        then: then.to_owned(),
        sign_up: None,
        by_mail: false,
        beside: Beside {
            passkey: visit.factors().passkeys,
            code: visit.factors().codes,
            needed: false,
        },
        problem,
    }
}
