//! Users, for administrators.

use std::collections::HashMap;

use axum::Form;
use axum::extract::{Path, Query};
use axum::response::Response;
use http::StatusCode;
use latchkey_model::user::{Group, User, UserName};
use latchkey_store::StoreError;
use serde::Deserialize;

use crate::contract;
use crate::pages::views::{
    End, EndUser, NewUser, Tab, UserChange, UserDone, UserPage, UserProblem, UserRow, Users,
    path_of,
};
use crate::pages::visit::{Answered, Visit};
use crate::users::{LEAST_PASSWORD, MOST_PASSWORD, UserError};

const LIST: &str = "/latchkey/users";

/// What was just done, carried over the redirect after a form.
#[derive(Deserialize)]
pub(super) struct Told {
    added: Option<String>,
    removed: Option<String>,
    changed: Option<String>,
    /// What stood in the form before a password was asked for.
    #[serde(default)]
    name: String,
    #[serde(default)]
    group: String,
}

#[derive(Deserialize)]
pub(super) struct Fields {
    #[serde(default)]
    name: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    group: String,
    #[serde(default)]
    csrf_token: String,
}

pub(super) async fn list(visit: Visit, Query(told): Query<Told>) -> Answered {
    let admin = visit.administrator()?;
    let added = told.added.map(|name| UserDone::Added { name });
    let done = added.or(told.removed.map(|name| UserDone::Removed { name }));
    let form = NewUser {
        name: told.name,
        group: told.group.parse().unwrap_or(Group::Users).into(),
        problem: None,
    };
    Ok(all(&visit, admin, StatusCode::OK, form, done).await)
}

pub(super) async fn add(visit: Visit, Form(fields): Form<Fields>) -> Answered {
    let typed = [("name", &*fields.name), ("group", &*fields.group)];
    let again = contract::with_query(LIST, &typed);
    let admin = visit.administrators_form(&fields.csrf_token, &again)?;
    let group = fields.group.parse().unwrap_or(Group::Users);
    let users = &visit.authority.users;
    Ok(
        match users.add(&fields.name, &fields.password, group).await {
            Ok(user) => visit.go_on(&contract::with_query(
                LIST,
                &[("added", user.name.as_str())],
            )),
            Err(error) => match problem(&error) {
                Some(problem) => {
                    let form = NewUser {
                        name: fields.name,
                        group: group.into(),
                        problem: Some(problem),
                    };
                    all(&visit, admin, StatusCode::BAD_REQUEST, form, None).await
                }
                None => visit.unavailable(&error),
            },
        },
    )
}

pub(super) async fn show(
    visit: Visit,
    Path(name): Path<String>,
    Query(told): Query<Told>,
) -> Answered {
    let admin = visit.administrator()?;
    let changed = match told.changed.as_deref() {
        Some("group") => Some(UserChange::Group),
        Some("password") => Some(UserChange::Password),
        Some("activated") => Some(UserChange::Activated),
        Some("deactivated") => Some(UserChange::Deactivated),
        _ => None,
    };
    Ok(one(&visit, admin, &name, StatusCode::OK, None, changed).await)
}

pub(super) async fn set_group(
    visit: Visit,
    Path(name): Path<String>,
    Form(fields): Form<Fields>,
) -> Answered {
    let Ok(group) = fields.group.parse::<Group>() else {
        return Err(visit.problem(StatusCode::BAD_REQUEST));
    };
    let users = visit.authority.users.clone();
    change(&visit, &name, &fields, "group", async |name| {
        users.set_group(&name, group).await
    })
    .await
}

pub(super) async fn set_password(
    visit: Visit,
    Path(name): Path<String>,
    Form(fields): Form<Fields>,
) -> Answered {
    let users = visit.authority.users.clone();
    let keep = visit.caller.session().map(|session| session.id.clone());
    change(&visit, &name, &fields, "password", async |name| {
        users
            .set_password(&name, &fields.password, keep.as_ref())
            .await
    })
    .await
}

pub(super) async fn activate(
    visit: Visit,
    Path(name): Path<String>,
    Form(fields): Form<Fields>,
) -> Answered {
    let users = visit.authority.users.clone();
    change(&visit, &name, &fields, "activated", async |name| {
        users.set_active(&name, true).await
    })
    .await
}

pub(super) async fn ask_to_deactivate(visit: Visit, Path(name): Path<String>) -> Answered {
    ask_to_end(&visit, &name, End::Deactivate).await
}

pub(super) async fn ask_to_remove(visit: Visit, Path(name): Path<String>) -> Answered {
    ask_to_end(&visit, &name, End::Remove).await
}

pub(super) async fn deactivate(
    visit: Visit,
    Path(name): Path<String>,
    Form(fields): Form<Fields>,
) -> Answered {
    end(&visit, &name, &fields, End::Deactivate).await
}

pub(super) async fn remove(
    visit: Visit,
    Path(name): Path<String>,
    Form(fields): Form<Fields>,
) -> Answered {
    end(&visit, &name, &fields, End::Remove).await
}

async fn change(
    visit: &Visit,
    name: &str,
    fields: &Fields,
    what: &str,
    work: impl AsyncFnOnce(UserName) -> Result<(), UserError>,
) -> Answered {
    let page = page_of(name);
    let admin = visit.administrators_form(&fields.csrf_token, &page)?;
    let Ok(user) = UserName::parse(name) else {
        return Ok(visit.problem(StatusCode::NOT_FOUND));
    };
    Ok(match work(user).await {
        Ok(()) => visit.go_on(&contract::with_query(&page, &[("changed", what)])),
        Err(UserError::Missing) => visit.problem(StatusCode::NOT_FOUND),
        Err(error) => match problem(&error) {
            Some(problem) => {
                let status = StatusCode::BAD_REQUEST;
                one(visit, admin, name, status, Some(problem), None).await
            }
            None => visit.unavailable(&error),
        },
    })
}

async fn ask_to_end(visit: &Visit, name: &str, end: End) -> Answered {
    let admin = visit.administrator()?;
    visit.fresh(&visit.here())?;
    Ok(ending(visit, admin, name, StatusCode::OK, end, None).await)
}

async fn end(visit: &Visit, name: &str, fields: &Fields, end: End) -> Answered {
    let page = page_of(name);
    let admin = visit.administrators_form(&fields.csrf_token, &page)?;
    let Ok(user) = UserName::parse(name) else {
        return Ok(visit.problem(StatusCode::NOT_FOUND));
    };
    let users = &visit.authority.users;
    let (outcome, onward) = match end {
        End::Remove => (
            users.remove(&user).await,
            contract::with_query(LIST, &[("removed", name)]),
        ),
        End::Deactivate => {
            let outcome = users.set_active(&user, false).await;
            (
                outcome,
                contract::with_query(&page, &[("changed", "deactivated")]),
            )
        }
    };
    Ok(match outcome {
        Ok(()) => visit.go_on(&onward),
        // The second click: it is gone, as wanted.
        Err(UserError::Missing) => visit.go_on(LIST),
        Err(UserError::LastAdmin) => {
            let problem = Some(UserProblem::LastAdmin);
            ending(visit, admin, name, StatusCode::BAD_REQUEST, end, problem).await
        }
        Err(error) => visit.unavailable(&error),
    })
}

async fn ending(
    visit: &Visit,
    admin: &User,
    name: &str,
    status: StatusCode,
    end: End,
    problem: Option<UserProblem>,
) -> Response {
    let user = match find(visit, name).await {
        Ok(user) => user,
        Err(answer) => return answer,
    };
    let (site, viewer) = (visit.site(), visit.viewer(admin));
    let page = EndUser {
        shell: viewer.bar(&site, Tab::Users),
        site,
        viewer,
        user,
        end,
        problem,
    };
    visit.page_with(status, &page)
}

async fn one(
    visit: &Visit,
    admin: &User,
    name: &str,
    status: StatusCode,
    problem: Option<UserProblem>,
    changed: Option<UserChange>,
) -> Response {
    let user = match find(visit, name).await {
        Ok(user) => user,
        Err(answer) => return answer,
    };
    let (site, viewer) = (visit.site(), visit.viewer(admin));
    let page = UserPage {
        shell: viewer.bar(&site, Tab::Users),
        site,
        viewer,
        user,
        problem,
        changed,
    };
    visit.page_with(status, &page)
}

async fn all(
    visit: &Visit,
    admin: &User,
    status: StatusCode,
    form: NewUser,
    done: Option<UserDone>,
) -> Response {
    let users = match rows(visit).await {
        Ok(users) => users,
        Err(failure) => return visit.failed(&failure),
    };
    let (site, viewer) = (visit.site(), visit.viewer(admin));
    let page = Users {
        shell: viewer.bar(&site, Tab::Users),
        site,
        viewer,
        users,
        form,
        done,
    };
    visit.page_with(status, &page)
}

/// The user of that name, or the answer in place of a page about them.
async fn find(visit: &Visit, name: &str) -> Result<UserRow, Response> {
    let found = match UserName::parse(name) {
        Ok(parsed) if parsed.as_str() == name => find_row(visit, &parsed).await,
        _ => Ok(None),
    };
    found
        .map_err(|failure| visit.failed(&failure))?
        .ok_or_else(|| visit.problem(StatusCode::NOT_FOUND))
}

async fn find_row(visit: &Visit, name: &UserName) -> Result<Option<UserRow>, StoreError> {
    let Some(user) = visit.authority.users.find(name).await? else {
        return Ok(None);
    };
    let keys = visit.authority.app_keys.list(Some(name)).await?.len();
    row(visit, user, keys).await.map(Some)
}

async fn rows(visit: &Visit) -> Result<Vec<UserRow>, StoreError> {
    let authority = &visit.authority;
    let mut keys: HashMap<UserName, usize> = HashMap::new();
    for key in authority.app_keys.list(None).await? {
        *keys.entry(key.user).or_default() += 1;
    }
    let mut rows = Vec::new();
    for user in authority.users.list().await? {
        let keys = keys.get(&user.name).copied().unwrap_or_default();
        rows.push(row(visit, user, keys).await?);
    }
    Ok(rows)
}

async fn row(visit: &Visit, user: User, keys: usize) -> Result<UserRow, StoreError> {
    let sessions = visit.authority.store.sessions();
    let sessions = sessions.list_of(&user.name).await?;
    let seen = sessions.iter().map(|session| session.seen).max();
    Ok(UserRow {
        keys,
        name: user.name.to_string(),
        group: user.group.into(),
        active: user.active,
        seen: seen.map(|at| visit.moment(at)),
    })
}

fn problem(error: &UserError) -> Option<UserProblem> {
    Some(match error {
        UserError::NameMissing => UserProblem::NameMissing,
        UserError::NameUnfit => UserProblem::NameUnfit,
        UserError::NameTaken => UserProblem::NameTaken,
        UserError::PasswordTooShort => UserProblem::PasswordTooShort {
            least: LEAST_PASSWORD,
        },
        UserError::PasswordTooLong => UserProblem::PasswordTooLong {
            most: MOST_PASSWORD,
        },
        UserError::LastAdmin => UserProblem::LastAdmin,
        _ => return None,
    })
}

fn page_of(name: &str) -> String {
    format!("{LIST}/{}", path_of(name))
}
