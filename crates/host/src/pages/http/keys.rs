//! People's keys: seen, made, shown again, revoked.

use axum::Form;
use axum::extract::{Path, Query};
use axum::response::Response;
use http::StatusCode;
use latchkey_model::access::KeyScope;
use latchkey_model::app::{AppName, NameError};
use latchkey_model::app_key::AppKey;
use latchkey_model::id::AppKeyId;
use latchkey_model::user::User;
use latchkey_store::StoreError;
use latchkey_store::host::KeptAppKey;
use serde::Deserialize;

use crate::contract;
use crate::pages::views::{
    self, Key, KeyForm, KeyProblem, Keys, RevokeKey, ShownHow, ShownKey, Tab, Used, Whose,
};
use crate::pages::visit::{Answered, Visit};

const OWN: &str = "/latchkey/keys";
const EVERYBODYS: &str = "/latchkey/keys/all";

#[derive(Deserialize)]
pub(super) struct Wanted {
    /// The app whose key was just revoked.
    revoked: Option<String>,
    /// What stood in the form before a password was asked for.
    app: Option<String>,
    scope: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct NewKey {
    #[serde(default)]
    app: String,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    csrf_token: String,
}

#[derive(Deserialize)]
pub(super) struct Confirmed {
    #[serde(default)]
    csrf_token: String,
}

/// Whether the visitor came from everybody's list.
#[derive(Deserialize)]
pub(super) struct Origin {
    all: Option<String>,
}

/// What the list shows beside the keys.
#[derive(Default)]
struct Beside {
    shown: Option<ShownKey>,
    revoked: Option<String>,
    form: KeyForm,
}

pub(super) async fn own(visit: Visit, Query(wanted): Query<Wanted>) -> Answered {
    let user = visit.user()?;
    let form = KeyForm {
        access: access(wanted.scope.as_deref().unwrap_or_default()),
        app: wanted.app.unwrap_or_default(),
        problem: None,
    };
    let beside = Beside {
        revoked: wanted.revoked,
        form,
        ..Beside::default()
    };
    Ok(list(&visit, user, StatusCode::OK, Whose::Mine, beside).await)
}

pub(super) async fn everybodys(visit: Visit, Query(wanted): Query<Wanted>) -> Answered {
    let user = visit.administrator()?;
    let beside = Beside {
        revoked: wanted.revoked,
        ..Beside::default()
    };
    Ok(list(&visit, user, StatusCode::OK, Whose::Everyone, beside).await)
}

pub(super) async fn generate(visit: Visit, Form(new): Form<NewKey>) -> Answered {
    let user = visit.user()?;
    visit.own_form(&new.csrf_token)?;
    let app = match AppName::cleaned(&new.app) {
        Ok(app) => app,
        Err(error) => return Ok(refused(&visit, user, new, error).await),
    };
    let again = contract::with_query(OWN, &[("app", &new.app), ("scope", &new.scope)]);
    visit.fresh(&again)?;
    let keys = &visit.authority.app_keys;
    let scope = new.scope.parse().unwrap_or(KeyScope::View);
    let made = async {
        let before = keys.find(&user.name, &app).await?;
        let key = keys.generate(&user.name, &app, scope).await?;
        Ok::<_, StoreError>((before.is_some(), key))
    };
    Ok(match made.await {
        Ok((was_there, key)) => {
            let how = if was_there {
                ShownHow::WasThere
            } else {
                ShownHow::New
            };
            let shown = ShownKey {
                app: app.to_string(),
                key: key.expose().to_owned(),
                how,
            };
            show(&visit, user, shown).await
        }
        Err(failure) => visit.failed(&failure),
    })
}

/// Shows an existing key again.
pub(super) async fn reveal(
    visit: Visit,
    Path(id): Path<String>,
    Form(confirmed): Form<Confirmed>,
) -> Answered {
    let user = visit.user()?;
    visit.own_form(&confirmed.csrf_token)?;
    visit.fresh(OWN)?;
    let kept = match find(&visit, user, &id).await {
        Ok(Some(kept)) if kept.key.user == user.name => kept,
        Ok(_) => return Ok(visit.problem(StatusCode::NOT_FOUND)),
        Err(failure) => return Ok(visit.failed(&failure)),
    };
    let Ok(key) = visit.authority.app_keys.reveal(&kept) else {
        tracing::error!("a key was sealed with another key file and cannot be shown");
        return Ok(visit.problem(StatusCode::INTERNAL_SERVER_ERROR));
    };
    let shown = ShownKey {
        app: kept.key.app.to_string(),
        key: key.expose().to_owned(),
        how: ShownHow::AskedFor,
    };
    Ok(show(&visit, user, shown).await)
}

pub(super) async fn ask_to_revoke(
    visit: Visit,
    Path(id): Path<String>,
    Query(origin): Query<Origin>,
) -> Answered {
    let user = visit.user()?;
    visit.authority.usage.write().await;
    let kept = match find(&visit, user, &id).await {
        Ok(Some(kept)) => kept,
        Ok(None) => return Ok(visit.problem(StatusCode::NOT_FOUND)),
        Err(failure) => return Ok(visit.failed(&failure)),
    };
    // Asked for now, so that the red button is the last step and not a detour.
    visit.fresh(&visit.here())?;
    let whose = whose(user, &kept, &origin);
    let (site, viewer) = (visit.site(), visit.viewer(user));
    Ok(visit.page(&RevokeKey {
        shell: viewer.bar(&site, Tab::Keys),
        site,
        viewer,
        key: key(&visit, &kept.key),
        whose,
    }))
}

pub(super) async fn revoke(
    visit: Visit,
    Path(id): Path<String>,
    Query(origin): Query<Origin>,
    Form(confirmed): Form<Confirmed>,
) -> Answered {
    let user = visit.user()?;
    visit.own_form(&confirmed.csrf_token)?;
    visit.fresh(&visit.here())?;
    let kept = match find(&visit, user, &id).await {
        Ok(Some(kept)) => kept,
        // The second click: it is gone, as wanted.
        Ok(None) => return Ok(visit.go_on(OWN)),
        Err(failure) => return Ok(visit.failed(&failure)),
    };
    let owner = (!visit.caller.is_admin()).then_some(&user.name);
    let keys = &visit.authority.app_keys;
    if let Err(failure) = keys.revoke_by_id(&kept.key.id, owner).await {
        return Ok(visit.failed(&failure));
    }
    let list = match whose(user, &kept, &origin) {
        Whose::Mine => OWN,
        Whose::Everyone => EVERYBODYS,
    };
    Ok(visit.go_on(&contract::with_query(
        list,
        &[("revoked", kept.key.app.as_str())],
    )))
}

/// A key that the person may see: their own, or anybody's for an administrator.
async fn find(visit: &Visit, user: &User, id: &str) -> Result<Option<KeptAppKey>, StoreError> {
    let Ok(id) = id.parse::<AppKeyId>() else {
        return Ok(None);
    };
    let kept = visit.authority.app_keys.find_by_id(&id).await?;
    Ok(kept.filter(|kept| kept.key.user == user.name || visit.caller.is_admin()))
}

fn whose(user: &User, kept: &KeptAppKey, origin: &Origin) -> Whose {
    if origin.all.is_some() || kept.key.user != user.name {
        Whose::Everyone
    } else {
        Whose::Mine
    }
}

async fn refused(visit: &Visit, user: &User, new: NewKey, error: NameError) -> Response {
    let problem = match error {
        NameError::TooLong(_) => KeyProblem::NameTooLong,
        NameError::Empty | NameError::Misleading => KeyProblem::NameMissing,
    };
    let form = KeyForm {
        access: access(&new.scope),
        app: new.app,
        problem: Some(problem),
    };
    let beside = Beside {
        form,
        ..Beside::default()
    };
    list(visit, user, StatusCode::BAD_REQUEST, Whose::Mine, beside).await
}

async fn show(visit: &Visit, user: &User, shown: ShownKey) -> Response {
    let beside = Beside {
        shown: Some(shown),
        ..Beside::default()
    };
    list(visit, user, StatusCode::OK, Whose::Mine, beside).await
}

async fn list(
    visit: &Visit,
    user: &User,
    status: StatusCode,
    whose: Whose,
    beside: Beside,
) -> Response {
    // What an app did a moment ago is told too.
    visit.authority.usage.write().await;
    let keys = &visit.authority.app_keys;
    let of = matches!(whose, Whose::Mine).then_some(&user.name);
    let found = async {
        let found = keys.list(of).await?;
        let everyone = match (of, visit.caller.is_admin()) {
            (_, false) => None,
            (None, true) => Some(found.len()),
            (Some(_), true) => Some(keys.list(None).await?.len()),
        };
        Ok::<_, StoreError>((found, everyone))
    };
    let (found, everyone) = match found.await {
        Ok(found) => found,
        Err(failure) => return visit.failed(&failure),
    };
    let (site, viewer) = (visit.site(), visit.viewer(user));
    let waiting = match whose {
        Whose::Mine => visit.waiting(user),
        Whose::Everyone => Vec::new(),
    };
    let page = Keys {
        shell: viewer.bar(&site, Tab::Keys),
        site,
        viewer,
        whose,
        everyone,
        keys: found.iter().map(|one| key(visit, one)).collect(),
        pending: waiting.iter().map(|shown| visit.pending(shown)).collect(),
        shown: beside.shown,
        revoked: beside.revoked,
        form: beside.form,
    };
    visit.page_with(status, &page)
}

fn key(visit: &Visit, key: &AppKey) -> Key {
    Key {
        id: key.id.to_string(),
        app: key.app.to_string(),
        user: key.user.to_string(),
        access: key.scope.into(),
        created: visit.moment(key.created),
        used: key.last_use.as_ref().map(|used| Used {
            at: visit.moment(used.at),
            from: used.network.clone(),
        }),
        requests: key.requests,
        through_relay: key.through.is_some(),
    }
}

fn access(scope: &str) -> views::Access {
    scope.parse().unwrap_or(KeyScope::View).into()
}
