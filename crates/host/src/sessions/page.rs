//! The page for signing in, `/login/`.

use axum::Form;
use axum::extract::Query;
use axum::response::Response;
use http::StatusCode;
use latchkey_model::permission;
use percent_encoding::percent_decode_str;
use serde::Deserialize;

use super::csrf::Forged;
use super::sign_in::{Attempt, SignInError};
use crate::authority::owner::is_page_of_upstream;
use crate::contract;
use crate::pages::views::{Purpose, SignIn, SignInProblem, UserField};
use crate::pages::visit::Visit;
use crate::public::Public;

/// The dialog in which a person decides about an app's request.
const DIALOG: &str = "/plugin/appkeys/auth/";
const OWN_PAGES: &str = "/latchkey/";

/// What somebody is led here with.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    redirect: String,
    #[serde(default)]
    permissions: String,
    #[serde(default)]
    user_id: String,
    #[serde(default)]
    reauthenticate: String,
}

#[derive(Deserialize)]
pub(super) struct Fields {
    #[serde(default)]
    user: String,
    #[serde(default)]
    pass: String,
    #[serde(default)]
    remember: String,
    #[serde(default)]
    redirect: String,
    #[serde(default)]
    csrf_token: String,
}

impl Wanted {
    fn again(&self) -> bool {
        contract::is_yes_text(&self.reauthenticate)
    }

    fn to_decide(&self) -> bool {
        self.permissions
            .split(',')
            .any(|key| key == permission::GRANT)
    }
}

pub(super) async fn show(visit: Visit, Query(wanted): Query<Wanted>) -> Response {
    let problem = match what_is_missing(&visit, &wanted) {
        Missing::Nothing => {
            let target = target(&wanted.redirect, &visit.public);
            let answer = contract::found(&format!("{}{target}", visit.public.prefix()));
            // Programs come here for the token, signed in or not.
            let csrf = visit.authority.sessions.csrf(&visit.headers, &visit.public);
            return contract::with_cookies(answer, vec![csrf.set_cookie]);
        }
        Missing::Right(user) => Some(SignInProblem::MayNot { user }),
        Missing::SignIn => None,
    };
    let user = if wanted.user_id.is_empty() {
        match visit.caller.active_user().filter(|_| wanted.again()) {
            Some(user) => fixed(user.name.as_str()),
            None => free(""),
        }
    } else {
        fixed(&wanted.user_id)
    };
    page(&visit, StatusCode::OK, &wanted.redirect, |page| SignIn {
        user,
        problem,
        ..page
    })
}

#[derive(Debug, PartialEq, Eq)]
enum Missing {
    /// The caller may go on.
    Nothing,
    SignIn,
    /// This user is signed in and may not do what comes next.
    Right(String),
}

fn what_is_missing(visit: &Visit, wanted: &Wanted) -> Missing {
    let Some(user) = visit.caller.active_user() else {
        return Missing::SignIn;
    };
    let name = user.name.as_str();
    if !wanted.user_id.is_empty() && wanted.user_id != name {
        return Missing::SignIn;
    }
    if wanted.to_decide() && !visit.caller.may_grant() {
        return Missing::Right(name.to_owned());
    }
    if wanted.again() && !visit.authority.is_fresh(&visit.caller) {
        return Missing::SignIn;
    }
    Missing::Nothing
}

pub(super) async fn sign_in(visit: Visit, Form(fields): Form<Fields>) -> Response {
    let sessions = &visit.authority.sessions;
    let again = |status, problem| {
        page(&visit, status, &fields.redirect, |page| SignIn {
            user: if page.again() {
                fixed(&fields.user)
            } else {
                free(&fields.user)
            },
            remember: !fields.remember.is_empty(),
            problem: Some(problem),
            ..page
        })
    };
    let form = Some(&*fields.csrf_token);
    match sessions.check_origin(&visit.headers, form, &visit.public) {
        Err(Forged::Token) => return again(StatusCode::BAD_REQUEST, SignInProblem::Stale),
        Err(Forged::Origin) => return visit.problem(StatusCode::FORBIDDEN),
        Ok(()) => {}
    }
    let attempt = Attempt {
        user: &fields.user,
        password: &fields.pass,
        remember: !fields.remember.is_empty(),
        caller: &visit.caller,
        headers: &visit.headers,
        inbound: &visit.inbound,
        public: &visit.public,
    };
    match sessions.sign_in(attempt).await {
        Ok(signed_in) => {
            let answer = visit.go_on(&target(&fields.redirect, &visit.public));
            contract::with_cookies(answer, signed_in.cookies)
        }
        Err(SignInError::Wrong) => again(StatusCode::FORBIDDEN, SignInProblem::WrongPair),
        Err(SignInError::TooMany(too_many)) => {
            let minutes = too_many.minutes();
            let problem = SignInProblem::TooMany { minutes };
            again(StatusCode::TOO_MANY_REQUESTS, problem)
        }
        Err(SignInError::Passwords(_)) => visit.problem(StatusCode::SERVICE_UNAVAILABLE),
        Err(SignInError::Store(failure)) => visit.failed(&failure),
    }
}

/// The page, with what `change` makes of it.
fn page(
    visit: &Visit,
    status: StatusCode,
    redirect: &str,
    change: impl FnOnce(SignIn) -> SignIn,
) -> Response {
    let site = visit.site();
    let page = change(SignIn {
        shell: site.door(),
        site,
        purpose: purpose(visit, redirect),
        user: free(""),
        remember: false,
        redirect: redirect.to_owned(),
        problem: None,
    });
    visit.page_with(status, &page)
}

fn purpose(visit: &Visit, redirect: &str) -> Purpose {
    let target = target(redirect, &visit.public);
    let signed_in = visit.caller.active_user().is_some();
    if let Some(rest) = target.strip_prefix(DIALOG) {
        let token = rest.split('?').next().unwrap_or_default();
        let shown = visit.authority.key_requests.find(token);
        let app = shown.map(|shown| shown.request.app.to_string());
        return if signed_in && visit.caller.may_grant() {
            Purpose::DecideFresh { app }
        } else {
            Purpose::Decide { app }
        };
    }
    if signed_in && target.starts_with(OWN_PAGES) {
        let back = OWN_PAGES.to_owned();
        return Purpose::Fresh { back };
    }
    Purpose::Printer
}

fn free(typed: &str) -> UserField {
    let typed = typed.to_owned();
    UserField::Free { typed }
}

fn fixed(name: &str) -> UserField {
    let name = name.to_owned();
    UserField::Fixed { name }
}

/// Where a signed-in browser goes on to, without the public prefix: a page of this host that asks
/// people to sign in, or the printer's. Nothing else that somebody may have put into a link.
fn target(redirect: &str, public: &Public) -> String {
    let inside = redirect.strip_prefix(public.prefix());
    let inside = inside.filter(|rest| rest.starts_with('/'));
    let target = inside.unwrap_or(redirect);
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    let is_plain = target.is_ascii()
        && !target.contains(['\\', ' '])
        && !target.chars().any(char::is_control)
        && !decoded.contains('\\')
        && decoded
            .split('/')
            .skip(1)
            .enumerate()
            .all(|(place, segment)| {
                // An empty one at the end is a slash there.
                !matches!(segment, "." | "..")
                    && (place > 0 || !segment.is_empty() || decoded == "/")
            });
    let is_known =
        is_page_of_upstream(target) || path.starts_with(DIALOG) || path.starts_with(OWN_PAGES);
    if is_plain && is_known {
        target.to_owned()
    } else {
        "/".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use latchkey_net::client_addr::Scheme;

    use super::*;
    use crate::public::tests::inbound;

    #[test]
    fn only_known_pages_of_this_host_are_gone_on_to() {
        for (prefix, redirect, expected) in [
            ("", "/", "/"),
            ("", "", "/"),
            ("", "/plugin/appkeys/auth/abc?", "/plugin/appkeys/auth/abc?"),
            (
                "",
                "/plugin/appkeys/auth/abc?user=ann&redirect=https%3A%2F%2Fx",
                "/plugin/appkeys/auth/abc?user=ann&redirect=https%3A%2F%2Fx",
            ),
            ("", "/latchkey/keys", "/latchkey/keys"),
            ("", "/?tab=control", "/?tab=control"),
            ("", "/maintenance/files?x=1", "/maintenance/files?x=1"),
            ("", "/login/?redirect=/", "/"),
            ("", "/API/logout", "/"),
            ("/octo", "/octo/latchkey/keys", "/latchkey/keys"),
            ("/octo", "/latchkey/keys", "/latchkey/keys"),
            ("/octo", "/octo/", "/"),
            ("", "//evil.example/", "/"),
            ("", "///evil.example/", "/"),
            ("", "/\\evil.example/", "/"),
            ("", "\\\\evil.example/", "/"),
            ("", "http://evil.example/", "/"),
            ("", "//evil.example/latchkey/", "/"),
            ("/octo", "/octo//evil.example/latchkey/", "/"),
            ("", "javascript:alert(1)", "/"),
            ("", "/latchkey/../api/logout", "/"),
            ("", "/latchkey/%2e%2e/api/logout", "/"),
            ("", "/latchkey/x\r\nSet-Cookie:a=b", "/"),
            ("", "/api/version", "/"),
            ("", "/plugin/appkeys/probe", "/"),
            ("", "latchkey/keys", "/"),
        ] {
            let public = Public::of(&inbound(Scheme::Http, "octopi.local", prefix));
            assert_eq!(target(redirect, &public), expected, "{prefix} {redirect:?}");
        }
    }
}
