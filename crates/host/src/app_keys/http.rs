//! The key management's route, `/api/plugin/appkeys`.

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use http::{Request, StatusCode};
use latchkey_model::access::KeyScope;
use latchkey_model::app::AppName;
use latchkey_model::user::UserName;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::wire::{CommandBody, Generated, KeyEntry, KeysAnswer, List, One, PendingEntry};
use crate::authority::Authority;
use crate::authority::caller::Caller;
use crate::contract;
use crate::openapi::described::{BodyRefusals, ErrorBody, Failures};

pub(crate) fn routes() -> Router<Authority> {
    Router::new().route("/api/plugin/appkeys", get(list).post(command))
}

#[derive(Deserialize)]
pub(crate) struct Wanted {
    all: Option<String>,
    app: Option<String>,
    user: Option<String>,
}

/// List keys
///
/// The caller's own, and the requests that wait for the caller. `api_key` is told with `app` alone, not
/// through an app connection, and not to a key that may only look.
#[utoipa::path(
    get,
    path = "/api/plugin/appkeys",
    tag = "App keys",
    security(("app_key" = [])),
    params(
        ("all" = Option<bool>, Query, description = "Everybody's keys, for administrators."),
        ("app" = Option<String>, Query, description = "The key of this app alone."),
        ("user" = Option<String>, Query, description = "With `app`: whose, for administrators."),
    ),
    responses(
        (status = 200, description = "The keys, or the key.", body = KeysAnswer, example = json!({
            "keys": [{
                "app_id": "Fieldglass",
                "user_id": "ann",
                "latchkey": {
                    "id": "ak_4b9c", "scope": "full", "created": 1_790_000_000_000_u64,
                    "last_used": 1_790_000_360_000_u64, "last_network": "192.168.1.9", "requests": 12
                }
            }],
            "pending": {"9C1D": {
                "app_id": "Spool Butler", "user_id": null, "user_token": "9C1D", "remote_address": "192.168.1.37"
            }}
        })),
        (status = 400, description = "The query cannot be read.", body = ErrorBody),
        (status = 403, description = "Nobody who is signed in, or somebody else's key.", body = ErrorBody, example = json!({
            "error": "This needs a person who is signed in, or an app's key."
        })),
        (status = 404, description = "There is no key for that app.", body = ErrorBody),
        Failures,
    )
)]
pub(crate) async fn list(
    State(authority): State<Authority>,
    Extension(caller): Extension<Caller>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Response {
    let Some(user) = caller.active_user() else {
        return contract::sign_in_first();
    };
    let Ok(Query(wanted)) = wanted else {
        return bad("The query cannot be read.");
    };
    if let Some(app) = wanted.app.as_deref().filter(|app| !app.is_empty()) {
        return one(&authority, &caller, app, wanted.user.as_deref()).await;
    }
    let everybodys = caller.is_admin() && wanted.all.as_deref().is_some_and(contract::is_yes_text);
    let of = (!everybodys).then_some(&user.name);
    let keys = match authority.app_keys.list(of).await {
        Ok(keys) => keys,
        Err(failure) => return contract::failed(&failure),
    };
    let pending = authority.key_requests.list_for(&user.name);
    let pending = pending
        .iter()
        // Who may decide nothing gets no token to decide with.
        .filter(|_| caller.may_grant())
        .map(|shown| {
            let token = shown.user_token.expose().to_owned();
            (token, PendingEntry::of(shown))
        });
    let body = List {
        keys: keys.iter().map(KeyEntry::of).collect(),
        pending: pending.collect(),
    };
    contract::json(StatusCode::OK, &body)
}

/// One key, with its text if the person proved lately who they are.
async fn one(authority: &Authority, caller: &Caller, app: &str, user: Option<&str>) -> Response {
    let Ok(user) = whose(caller, user) else {
        return not_yours();
    };
    let found = match AppName::cleaned(app) {
        Ok(app) => authority.app_keys.find(&user, &app).await,
        Err(_) => Ok(None),
    };
    let kept = match found {
        Ok(Some(kept)) => kept,
        Ok(None) => return contract::error(StatusCode::NOT_FOUND, "There is no key for that app."),
        Err(failure) => return contract::failed(&failure),
    };
    let mut key = KeyEntry::of(&kept.key);
    // A watching app must not learn its way to more.
    if authority.is_fresh(caller) && caller.may_see_keys() {
        // Sealed with a key file that is gone: the entry is shown, its text cannot be.
        let text = authority.app_keys.reveal(&kept).ok();
        key.api_key = text.map(|text| text.expose().to_owned());
    }
    contract::json(StatusCode::OK, &One { key })
}

/// Make or revoke a key
///
/// For a person who signed in lately, or an app with a key that may do everything. Administrators do
/// it for others.
#[utoipa::path(
    post,
    path = "/api/plugin/appkeys",
    tag = "App keys",
    security(("app_key" = [])),
    request_body(content = CommandBody, example = json!({"command": "generate", "app": "Fieldglass"})),
    responses(
        (status = 200, description = "The key that was made, or is there already.", body = Generated, example = json!({
            "app_id": "Fieldglass", "user_id": "ann", "api_key": "lk_key_…"
        })),
        (status = 204, description = "Revoked."),
        (status = 403, description = "Nobody who may, or the password was typed too long ago.", body = ErrorBody),
        (status = 404, description = "There is no such user.", body = ErrorBody),
        (status = 409, description = "There is a key for that app with another scope.", body = ErrorBody),
        BodyRefusals,
    )
)]
pub(crate) async fn command(
    State(authority): State<Authority>,
    Extension(caller): Extension<Caller>,
    request: Request<Body>,
) -> Response {
    if caller.active_user().is_none() {
        return contract::sign_in_first();
    }
    let members = match contract::read_object(request).await {
        Ok(members) => members,
        Err(refusal) => return refusal,
    };
    if !caller.may_see_keys() {
        return contract::error(StatusCode::FORBIDDEN, "Who may only look changes no keys.");
    }
    match members.get("command").and_then(Value::as_str) {
        Some("generate") => generate(&authority, &caller, &members).await,
        Some("revoke") if members.get("key").is_some_and(|key| !key.is_null()) => {
            revoke_by_key(&authority, &caller, &members).await
        }
        Some("revoke") => revoke(&authority, &caller, &members).await,
        _ => bad("The member command needs to be generate or revoke."),
    }
}

async fn generate(
    authority: &Authority,
    caller: &Caller,
    members: &Map<String, Value>,
) -> Response {
    let (sent, app) = match app_of(members) {
        Ok(app) => app,
        Err(refusal) => return refusal,
    };
    let scope = match members.get("scope").map(Value::as_str) {
        None => KeyScope::Full,
        Some(text) => match text.and_then(|text| text.parse().ok()) {
            Some(scope) => scope,
            None => return bad("The member scope needs to be full or view."),
        },
    };
    let Ok(user) = whose(caller, text(members, "user")) else {
        return not_yours();
    };
    if !authority.is_fresh(caller) {
        return contract::prove_yourself();
    }
    match authority.users.exists(&user).await {
        Ok(true) => {}
        Ok(false) => return contract::error(StatusCode::NOT_FOUND, "There is no such user."),
        Err(failure) => return contract::failed(&failure),
    }
    match authority.app_keys.find(&user, &app).await {
        Ok(Some(kept)) if members.contains_key("scope") && kept.key.scope != scope => {
            return contract::error(
                StatusCode::CONFLICT,
                "There is a key for that app with another scope. Revoke it first.",
            );
        }
        Ok(_) => {}
        Err(failure) => return contract::failed(&failure),
    }
    match authority.app_keys.generate(&user, &app, scope).await {
        Ok(key) => contract::json(
            StatusCode::OK,
            &Generated {
                user_id: user.as_str(),
                app_id: sent,
                api_key: key.expose(),
            },
        ),
        Err(failure) => contract::failed(&failure),
    }
}

async fn revoke(authority: &Authority, caller: &Caller, members: &Map<String, Value>) -> Response {
    let (_, app) = match app_of(members) {
        Ok(app) => app,
        Err(refusal) => return refusal,
    };
    let Ok(user) = whose(caller, text(members, "user")) else {
        return not_yours();
    };
    let unknown = || bad("There is no key for that app.");
    match authority.app_keys.find(&user, &app).await {
        Ok(Some(_)) => {}
        Ok(None) => return unknown(),
        Err(failure) => return contract::failed(&failure),
    }
    if !authority.is_fresh(caller) {
        return contract::prove_yourself();
    }
    match authority.app_keys.revoke(&user, &app).await {
        Ok(true) => contract::no_content(),
        Ok(false) => unknown(),
        Err(failure) => contract::failed(&failure),
    }
}

/// By the key's own text, as older clients do. Says nothing about keys that are not the caller's.
async fn revoke_by_key(
    authority: &Authority,
    caller: &Caller,
    members: &Map<String, Value>,
) -> Response {
    let owner = match text(members, "key") {
        Some(key) => authority.app_keys.owner_of(key).await,
        None => return bad("The member key needs to be text."),
    };
    let key = match owner {
        Ok(key) => key,
        Err(failure) => return contract::failed(&failure),
    };
    let is_theirs = key
        .as_ref()
        .is_some_and(|key| Some(&key.user) == caller.user_name());
    if !is_theirs && !caller.is_admin() {
        return not_yours();
    }
    if !authority.is_fresh(caller) {
        return contract::prove_yourself();
    }
    let Some(key) = key else {
        return contract::no_content();
    };
    match authority.app_keys.revoke_by_id(&key.id, None).await {
        Ok(_) => contract::no_content(),
        Err(failure) => contract::failed(&failure),
    }
}

/// Whose key is meant: the caller's own, or somebody's whom the caller administers.
fn whose(caller: &Caller, user: Option<&str>) -> Result<UserName, ()> {
    let own = caller.user_name().ok_or(())?;
    match user.filter(|user| !user.is_empty()) {
        Some(user) if user != own.as_str() => {
            let other = UserName::parse(user).map_err(|_| ());
            other.and_then(|other| caller.is_admin().then_some(other).ok_or(()))
        }
        _ => Ok(own.clone()),
    }
}

/// The app as it was sent and as it is meant.
fn app_of(members: &Map<String, Value>) -> Result<(&str, AppName), Response> {
    let Some(app) = text(members, "app") else {
        return Err(bad("The member app is missing: the app's name."));
    };
    match AppName::cleaned(app) {
        Ok(name) => Ok((app, name)),
        Err(_) => Err(bad(
            "The member app needs to be a name of 1 to 64 visible characters.",
        )),
    }
}

fn text<'m>(members: &'m Map<String, Value>, name: &str) -> Option<&'m str> {
    members.get(name).and_then(Value::as_str)
}

fn bad(sentence: &str) -> Response {
    contract::error(StatusCode::BAD_REQUEST, sentence)
}

fn not_yours() -> Response {
    contract::error(
        StatusCode::FORBIDDEN,
        "Other people's keys are an administrator's business.",
    )
}
