//! The dialog that an app opens in a browser, for people who do not have a page of ours open.

use axum::extract::{Path, Query};
use axum::response::Response;
use http::Uri;
use latchkey_model::access::KeyScope;
use latchkey_model::permission;
use latchkey_model::user::User;
use serde::Deserialize;

use crate::authority::Authority;
use crate::authority::caller::Caller;
use crate::contract;
use crate::key_requests::Shown;
use crate::pages::http::decide;
use crate::pages::visit::Visit;
use crate::public::Public;

#[derive(Deserialize)]
pub(super) struct Asked {
    user: Option<String>,
    redirect: Option<String>,
}

/// What a request for the dialog leads to.
#[derive(Debug)]
enum Outcome {
    /// The question is put.
    Question(Box<Shown>, Box<User>),
    /// Somebody has to sign in first, or once more.
    SignIn(SignIn),
    /// There is nothing to decide for this person.
    Nothing,
}

/// Who has to sign in.
#[derive(Debug, PartialEq, Eq)]
enum SignIn {
    Anybody,
    User(String),
    Again(String),
}

pub(super) async fn show(
    visit: Visit,
    Path(app_token): Path<String>,
    Query(asked): Query<Asked>,
    uri: Uri,
) -> Response {
    let Visit {
        authority, caller, ..
    } = &visit;
    match outcome(authority, caller, &app_token, asked.user.as_deref()) {
        Outcome::Question(shown, user) => {
            let redirect = asked.redirect.as_deref();
            decide::ask(&visit, &user, &shown, redirect, KeyScope::Full)
        }
        Outcome::SignIn(who) => to_sign_in(&who, &uri, &visit.public),
        Outcome::Nothing => decide::gone(&visit),
    }
}

fn outcome(authority: &Authority, caller: &Caller, app_token: &str, only: Option<&str>) -> Outcome {
    let Some(shown) = authority.key_requests.find(app_token) else {
        return Outcome::Nothing;
    };
    let only = only.filter(|user| !user.is_empty());
    let Some(user) = caller.active_user().filter(|_| caller.may_grant()) else {
        return Outcome::SignIn(only.map_or(SignIn::Anybody, |user| SignIn::User(user.to_owned())));
    };
    let name = user.name.as_str();
    if let Some(only) = only
        && only != name
    {
        return Outcome::SignIn(SignIn::User(only.to_owned()));
    }
    if !authority.is_fresh(caller) {
        return Outcome::SignIn(SignIn::Again(name.to_owned()));
    }
    let restricted_to = shown.request.user.as_deref();
    if restricted_to != only && (only.is_some() || restricted_to != Some(name)) {
        return Outcome::Nothing;
    }
    Outcome::Question(Box::new(shown), Box::new(user.clone()))
}

/// Leads to the sign-in and back here. The target is a path, so that it leads to this host whatever
/// stands in front of it.
fn to_sign_in(who: &SignIn, dialog: &Uri, public: &Public) -> Response {
    let here = format!(
        "{}{}?{}",
        public.prefix(),
        dialog.path(),
        dialog.query().unwrap_or_default()
    );
    let mut pairs = vec![
        ("redirect", here.as_str()),
        ("permissions", permission::GRANT),
    ];
    match who {
        SignIn::Anybody => {}
        SignIn::User(user) => pairs.push(("user_id", user)),
        SignIn::Again(user) => pairs.extend([("reauthenticate", "true"), ("user_id", user)]),
    }
    let sign_in = contract::with_query("/login/", &pairs);
    contract::found(&format!("{}{sign_in}", public.prefix()))
}
