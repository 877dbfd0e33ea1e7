//! The question that an app's request puts, and the answer to it.

use axum::Form;
use axum::extract::{Path, Query};
use axum::response::Response;
use http::StatusCode;
use latchkey_model::access::KeyScope;
use latchkey_model::key_request::Decision;
use latchkey_model::user::User;
use serde::Deserialize;

use crate::contract;
use crate::key_requests::{DecideError, Shown};
use crate::pages::views::{Decide, Decided, Outcome, Target};
use crate::pages::visit::Visit;

#[derive(Deserialize)]
pub(super) struct Onward {
    redirect: Option<String>,
    /// What was chosen before a password was asked for.
    scope: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Answer {
    #[serde(default)]
    decision: String,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    redirect: String,
    #[serde(default)]
    csrf_token: String,
}

/// The question, for a person who was found to be the one to decide.
pub(crate) fn ask(
    visit: &Visit,
    user: &User,
    shown: &Shown,
    redirect: Option<&str>,
    chosen: KeyScope,
) -> Response {
    let site = visit.site();
    let target = redirect.and_then(Target::read);
    visit.page(&Decide {
        shell: site.door(),
        site,
        pending: visit.pending(shown),
        user: user.name.to_string(),
        group: user.group.into(),
        access: chosen.into(),
        by_name: shown.request.user.is_some(),
        target_refused: redirect.is_some_and(|to| !to.is_empty()) && target.is_none(),
        target,
    })
}

pub(super) async fn show(
    visit: Visit,
    Path(user_token): Path<String>,
    Query(onward): Query<Onward>,
) -> Response {
    let user = match visit.user() {
        Ok(user) => user,
        Err(sign_in) => return sign_in,
    };
    let Some(shown) = find(&visit, user, &user_token) else {
        return gone(&visit);
    };
    if let Err(sign_in) = visit.fresh(&visit.here()) {
        return sign_in;
    }
    let chosen = onward.scope.as_deref().unwrap_or_default();
    let chosen = chosen.parse().unwrap_or(KeyScope::Full);
    ask(&visit, user, &shown, onward.redirect.as_deref(), chosen)
}

/// Answers the form, and the dialog that pops in: a script, which looks at the status only and
/// leads to the page where it needs more.
pub(super) async fn decide(
    visit: Visit,
    Path(user_token): Path<String>,
    Form(answer): Form<Answer>,
) -> Response {
    if visit.is_script() {
        return for_script(decide_in(&visit, &user_token, answer).await.status());
    }
    decide_in(&visit, &user_token, answer).await
}

fn for_script(status: StatusCode) -> Response {
    if status.is_success() {
        return contract::no_content();
    }
    let status = if status.is_redirection() {
        StatusCode::FORBIDDEN
    } else {
        status
    };
    contract::error(status, "The request's own page says more.")
}

async fn decide_in(visit: &Visit, user_token: &str, answer: Answer) -> Response {
    let user = match visit.user() {
        Ok(user) => user,
        Err(sign_in) => return sign_in,
    };
    if let Err(refusal) = visit.own_form(&answer.csrf_token) {
        return refusal;
    }
    let Some(shown) = find(visit, user, user_token) else {
        return gone(visit);
    };
    let mut typed = vec![("scope", &*answer.scope)];
    if !answer.redirect.is_empty() {
        typed.push(("redirect", &answer.redirect));
    }
    let back = contract::with_query(&format!("/latchkey/requests/{user_token}"), &typed);
    if let Err(sign_in) = visit.fresh(&back) {
        return sign_in;
    }
    let app = shown.request.app.to_string();
    let scope: Option<KeyScope> = answer.scope.parse().ok();
    let (decision, outcome) = match (answer.decision.as_str(), scope) {
        ("grant", Some(scope)) => {
            let access = scope.into();
            (Decision::Grant(scope), Outcome::Allowed { app, access })
        }
        ("deny", _) => (Decision::Deny, Outcome::Denied { app }),
        ("deny_block", _) => {
            let address = shown.request.remote.to_canonical().to_string();
            (Decision::Deny, Outcome::Blocked { app, address })
        }
        _ => return visit.problem(StatusCode::BAD_REQUEST),
    };
    let requests = &visit.authority.key_requests;
    match requests.decide(user_token, &user.name, decision).await {
        Ok(()) => {}
        Err(DecideError::Gone) => return gone(visit),
        Err(DecideError::Store(failure)) => return visit.failed(&failure),
    }
    if matches!(outcome, Outcome::Blocked { .. }) {
        requests.block(shown.request.remote);
    }
    let target = Target::read(&answer.redirect);
    decided(visit, StatusCode::OK, outcome, target)
}

fn find(visit: &Visit, user: &User, user_token: &str) -> Option<Shown> {
    let requests = &visit.authority.key_requests;
    let shown = requests.find_for(user_token, &user.name);
    shown.filter(|_| visit.caller.may_grant())
}

/// The page for a request that nobody, or somebody else, has to decide.
pub(crate) fn gone(visit: &Visit) -> Response {
    decided(visit, StatusCode::NOT_FOUND, Outcome::Gone, None)
}

fn decided(
    visit: &Visit,
    status: StatusCode,
    outcome: Outcome,
    target: Option<Target>,
) -> Response {
    let site = visit.site();
    let user = visit.caller.user_name().map(ToString::to_string);
    let page = Decided {
        shell: site.door(),
        site,
        outcome,
        user,
        target,
    };
    visit.page_with(status, &page)
}
