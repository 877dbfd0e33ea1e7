//! `/admin/apps`: apps that the operator vouches for.

use axum::extract::multipart::{Multipart, MultipartRejection};
use axum::extract::{Path, Query};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Form, Router};
use http::StatusCode;
use latchkey_model::account::Account;
use latchkey_model::app::{AppId, RegisteredApp};
use serde::Deserialize;

use super::VERSION;
use crate::apps::http::{id_in_path, logo_path};
use crate::apps::logo::LogoError;
use crate::apps::{RegisterError, Registration, change, logo, register};
use crate::audit::Act;
use crate::pages::views::{
    AdminApp, AdminApps, AppDone, AppStanding, AppsDone, EndApp, RegisterForm, RegisteredView, Tab,
};
use crate::pages::visit::{About, Answered, Visit};
use crate::state::State;

const HERE: &str = "/admin/apps";

pub(super) fn routes() -> Router<State> {
    Router::new()
        .route("/admin/apps", get(show).post(add))
        .route("/admin/apps/{id}", get(show_one))
        .route("/admin/apps/{id}/change", post(change_one))
        .route("/admin/apps/{id}/logo", post(set_logo))
        .route("/admin/apps/{id}/no-logo", post(drop_logo))
        .route("/admin/apps/{id}/remove", get(ask_to_remove).post(remove))
}

#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    done: String,
}

#[derive(Deserialize)]
struct Bare {
    #[serde(default)]
    csrf_token: String,
}

/// An app as it was typed.
#[derive(Default, Deserialize)]
struct Typed {
    #[serde(default)]
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    developer: String,
    #[serde(default)]
    website: String,
    #[serde(default)]
    targets: String,
    #[serde(default)]
    csrf_token: String,
}

impl Typed {
    fn form(self, problem: &RegisterError) -> RegisterForm {
        RegisterForm {
            id: self.id,
            name: self.name,
            developer: self.developer,
            website: self.website,
            targets: self.targets,
            problem: Some(problem.to_string()),
        }
    }

    fn targets(&self) -> Vec<String> {
        let lines = self.targets.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty());
        lines.map(str::to_owned).collect()
    }
}

/// What was left empty is not there.
fn filled(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

pub(crate) fn view(visit: &Visit, app: &RegisteredApp) -> RegisteredView {
    RegisteredView {
        id: app.id.to_string(),
        path: id_in_path(&app.id),
        name: app.name.to_string(),
        developer: app.developer.as_ref().map(ToString::to_string),
        website: app.website.as_ref().map(ToString::to_string),
        targets: app.targets.iter().map(ToString::to_string).collect(),
        logo: app.has_logo.then(|| logo_path(&app.id)),
        standing: AppStanding::of(Some(app)),
        since: visit.moment(app.created),
    }
}

async fn show(visit: Visit, Query(told): Query<Told>) -> Answered {
    let account = visit.administrator()?;
    let page = AdminApps {
        done: match told.done.as_str() {
            "registered" => Some(AppsDone::Registered),
            "removed" => Some(AppsDone::Removed),
            _ => None,
        },
        ..page(&visit, account, RegisterForm::default()).await?
    };
    Ok(visit.page(&page))
}

async fn page(visit: &Visit, account: &Account, form: RegisterForm) -> Result<AdminApps, Response> {
    let apps = visit.state.store.apps().list().await;
    let apps = apps.map_err(|failure| visit.failed(&failure))?;
    let site = visit.site();
    Ok(AdminApps {
        shell: visit.viewer(account).bar(&site, Tab::Administration),
        site,
        version: VERSION,
        done: None,
        list: apps.iter().map(|app| view(visit, app)).collect(),
        form,
    })
}

/// The page's answer to what cannot be registered, or that the database failed.
fn status_of(visit: &Visit, error: &RegisterError) -> Result<StatusCode, Response> {
    match error {
        RegisterError::Store(failure) => Err(visit.failed(failure)),
        error if error.is_usage() => Ok(StatusCode::BAD_REQUEST),
        _ => Ok(StatusCode::CONFLICT),
    }
}

async fn add(visit: Visit, Form(form): Form<Typed>) -> Answered {
    let account = visit.administrators_form(&form.csrf_token, HERE)?;
    let targets = form.targets();
    let wanted = Registration {
        id: &form.id,
        name: &form.name,
        developer: filled(&form.developer),
        website: filled(&form.website),
        targets: &targets,
        logo: None,
    };
    let now = visit.state.clock.now();
    match register(&visit.state.store, &wanted, now).await {
        Ok(app) => {
            let about = About::default().detail(app.id.as_str());
            visit.note(Act::AppRegistered, about).await;
            Ok(visit.go_on("/admin/apps?done=registered"))
        }
        Err(error) => {
            let status = status_of(&visit, &error)?;
            let page = page(&visit, account, form.form(&error)).await?;
            Ok(visit.page_with(status, &page))
        }
    }
}

/// The app that a path names.
async fn found(visit: &Visit, id: &str) -> Result<RegisteredApp, Response> {
    let nothing = || visit.problem(StatusCode::NOT_FOUND);
    let id = AppId::parse(id).map_err(|_| nothing())?;
    let apps = visit.state.store.apps().list().await;
    let apps = apps.map_err(|failure| visit.failed(&failure))?;
    let mut apps = apps.into_iter();
    apps.find(|app| app.id == id).ok_or_else(nothing)
}

fn path_of(id: &str, below: &str) -> String {
    match AppId::parse(id) {
        Ok(id) => format!("{HERE}/{}{below}", id_in_path(&id)),
        Err(_) => HERE.to_owned(),
    }
}

fn one(visit: &Visit, account: &Account, app: &RegisteredApp) -> AdminApp {
    let site = visit.site();
    let app = view(visit, app);
    AdminApp {
        shell: visit.viewer(account).bar(&site, Tab::Administration),
        site,
        done: None,
        form: RegisterForm {
            developer: app.developer.clone().unwrap_or_default(),
            website: app.website.clone().unwrap_or_default(),
            targets: app.targets.join("\n"),
            ..RegisterForm::default()
        },
        app,
        logo_problem: None,
    }
}

async fn show_one(visit: Visit, Path(id): Path<String>, Query(told): Query<Told>) -> Answered {
    let account = visit.administrator()?;
    let app = found(&visit, &id).await?;
    let page = AdminApp {
        done: match told.done.as_str() {
            "changed" => Some(AppDone::Changed),
            "logo" => Some(AppDone::NewLogo),
            "no-logo" => Some(AppDone::NoLogo),
            _ => None,
        },
        ..one(&visit, account, &app)
    };
    Ok(visit.page(&page))
}

async fn change_one(visit: Visit, Path(id): Path<String>, Form(form): Form<Typed>) -> Answered {
    let account = visit.administrators_form(&form.csrf_token, &path_of(&id, ""))?;
    let app = found(&visit, &id).await?;
    let targets = form.targets();
    let wanted = Registration {
        id: app.id.as_str(),
        name: app.name.as_str(),
        developer: filled(&form.developer),
        website: filled(&form.website),
        targets: &targets,
        logo: None,
    };
    match change(&visit.state.store, &wanted, app.created).await {
        Ok(_) => {
            visit
                .note(Act::AppChanged, About::default().detail(app.id.as_str()))
                .await;
            Ok(visit.go_on(&path_of(&id, "?done=changed")))
        }
        Err(error) => {
            let status = status_of(&visit, &error)?;
            let page = AdminApp {
                form: form.form(&error),
                ..one(&visit, account, &app)
            };
            Ok(visit.page_with(status, &page))
        }
    }
}

async fn set_logo(
    visit: Visit,
    Path(id): Path<String>,
    form: Result<Multipart, MultipartRejection>,
) -> Answered {
    visit.not_from_elsewhere()?;
    let mut form = form.ok();
    // The token stands first, so that nothing more is read of what is not ours.
    let token = match &mut form {
        Some(form) => token_of(form).await.unwrap_or_default(),
        None => String::new(),
    };
    let account = visit.administrators_form(&token, &path_of(&id, ""))?;
    let app = found(&visit, &id).await?;
    let file = match &mut form {
        Some(form) => file_of(form).await,
        None => None,
    };
    // It breaks off where it is too large.
    let picture = file.map_or(Err(LogoError::TooLarge), |file| logo::small_png(&file));
    let picture = match picture {
        Ok(picture) => picture,
        Err(error) => {
            let page = AdminApp {
                logo_problem: Some(error.to_string()),
                ..one(&visit, account, &app)
            };
            return Ok(visit.page_with(StatusCode::BAD_REQUEST, &page));
        }
    };
    let apps = visit.state.store.apps();
    let set = apps.set_logo(&app.id, Some(&picture)).await;
    set.map_err(|failure| visit.failed(&failure))?;
    let about = About::default().detail(format!("{}, its picture", app.id));
    visit.note(Act::AppChanged, about).await;
    Ok(visit.go_on(&path_of(&id, "?done=logo")))
}

async fn token_of(form: &mut Multipart) -> Option<String> {
    let field = form.next_field().await.ok()??;
    if field.name() != Some("csrf_token") {
        return None;
    }
    field.text().await.ok()
}

async fn file_of(form: &mut Multipart) -> Option<Vec<u8>> {
    while let Some(field) = form.next_field().await.ok()? {
        if field.name() == Some("logo") {
            return Some(field.bytes().await.ok()?.to_vec());
        }
    }
    Some(Vec::new())
}

async fn drop_logo(visit: Visit, Path(id): Path<String>, Form(form): Form<Bare>) -> Answered {
    visit.administrators_form(&form.csrf_token, &path_of(&id, ""))?;
    let app = found(&visit, &id).await?;
    let set = visit.state.store.apps().set_logo(&app.id, None).await;
    set.map_err(|failure| visit.failed(&failure))?;
    if app.has_logo {
        let about = About::default().detail(format!("{}, its picture", app.id));
        visit.note(Act::AppChanged, about).await;
    }
    Ok(visit.go_on(&path_of(&id, "?done=no-logo")))
}

async fn ask_to_remove(visit: Visit, Path(id): Path<String>) -> Answered {
    let account = visit.administrator()?;
    let app = found(&visit, &id).await?;
    visit.fresh(&visit.here())?;
    let site = visit.site();
    let page = EndApp {
        shell: visit.viewer(account).bar(&site, Tab::Administration),
        site,
        app: view(&visit, &app),
    };
    Ok(visit.page(&page))
}

async fn remove(visit: Visit, Path(id): Path<String>, Form(form): Form<Bare>) -> Answered {
    visit.administrators_form(&form.csrf_token, &path_of(&id, "/remove"))?;
    let Ok(id) = AppId::parse(&id) else {
        return Err(visit.problem(StatusCode::NOT_FOUND));
    };
    // A second click finds it done.
    let removed = visit.state.store.apps().remove(&id).await;
    if removed.map_err(|failure| visit.failed(&failure))? {
        let about = About::default().detail(id.as_str());
        visit.note(Act::AppRemoved, about).await;
    }
    Ok(visit.go_on("/admin/apps?done=removed"))
}
