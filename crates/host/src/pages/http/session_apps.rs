//! Apps that sign for a session key, for administrators.

use std::sync::Arc;

use axum::Form;
use axum::extract::{Path, Query};
use axum::response::Response;
use data_encoding::HEXLOWER;
use http::StatusCode;
use latchkey_model::session_key::{Registration, SessionApp, SessionAppName};
use latchkey_model::user::User;
use latchkey_store::StoreError;
use latchkey_store::host::{SessionKeyOutcome, SessionKeyRecord};
use serde::Deserialize;

use crate::contract;
use crate::pages::views::{
    AppFileProblem, AppPlace, EntryOutcome, NewSessionApp, RemoveSessionApp, SessionAppChange,
    SessionAppDone, SessionAppPage, SessionAppProblem, SessionAppRow, SessionApps, SessionKeyEntry,
    Switched, Tab, path_of,
};
use crate::pages::visit::{Answered, Visit};
use crate::session_keys::VerifiedKey;
use crate::session_keys::apps::{Entry, RegisterError, Source};

const LIST: &str = "/latchkey/apps";
/// How much of the log a page shows.
const SHOWN: u32 = 50;

/// What was just done, carried over the redirect after a form, and what stood in the form before a
/// password was asked for.
#[derive(Default, Deserialize)]
pub(super) struct Told {
    registered: Option<String>,
    removed: Option<String>,
    changed: Option<String>,
    #[serde(flatten)]
    form: Fields,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Fields {
    name: String,
    pubkey: String,
    scope: String,
    allow_weak_keys: String,
    /// Which wording of the entry the page showed.
    seen: String,
    csrf_token: String,
}

impl Fields {
    fn form(&self, problem: Option<SessionAppProblem>) -> NewSessionApp {
        NewSessionApp {
            name: self.name.clone(),
            pubkey: self.pubkey.clone(),
            scope: self.scope.parse().unwrap_or_default(),
            allow_weak_keys: contract::is_yes_text(&self.allow_weak_keys),
            problem,
        }
    }

    /// What they ask to register. A key that is pasted comes with blanks and line breaks.
    fn registration(&self) -> Result<Registration, SessionAppProblem> {
        let name = SessionAppName::parse(&self.name).map_err(|_| SessionAppProblem::Name)?;
        let pubkey: String = self.pubkey.split_whitespace().collect();
        if pubkey.is_empty() {
            return Err(SessionAppProblem::PubkeyMissing);
        }
        let registration = Registration {
            name,
            pubkey: Some(pubkey),
            enabled: true,
            allow_weak_keys: contract::is_yes_text(&self.allow_weak_keys),
            scope: self.scope.parse().unwrap_or_default(),
        };
        match SessionApp::new(registration.clone()).fault() {
            None => Ok(registration),
            Some(fault) => Err(SessionAppProblem::Pubkey(fault)),
        }
    }
}

pub(super) async fn list(visit: Visit, Query(told): Query<Told>) -> Answered {
    let admin = visit.administrator()?;
    let registered = told
        .registered
        .map(|name| SessionAppDone::Registered { name });
    let done = registered.or(told.removed.map(|name| SessionAppDone::Removed { name }));
    let form = told.form.form(None);
    Ok(all(&visit, admin, StatusCode::OK, form, done).await)
}

pub(super) async fn register(visit: Visit, Form(fields): Form<Fields>) -> Answered {
    let typed = [
        ("name", &*fields.name),
        ("pubkey", &*fields.pubkey),
        ("scope", &*fields.scope),
        ("allow_weak_keys", &*fields.allow_weak_keys),
    ];
    let again = contract::with_query(LIST, &typed);
    let admin = visit.administrators_form(&fields.csrf_token, &again)?;
    let refused = async |problem| {
        let form = fields.form(Some(problem));
        all(&visit, admin, StatusCode::BAD_REQUEST, form, None).await
    };
    let registration = match fields.registration() {
        Ok(registration) => registration,
        Err(problem) => return Ok(refused(problem).await),
    };
    let name = registration.name.clone();
    let keys = &visit.authority.session_keys;
    Ok(
        match keys.register(registration, admin.name.as_str()).await {
            Ok(()) => visit.go_on(&contract::with_query(
                LIST,
                &[("registered", name.as_str())],
            )),
            Err(RegisterError::NameTaken) => refused(SessionAppProblem::NameTaken).await,
            Err(RegisterError::TooMany) => refused(SessionAppProblem::TooMany).await,
            Err(RegisterError::Store(failure)) => visit.failed(&failure),
        },
    )
}

pub(super) async fn show(
    visit: Visit,
    Path(name): Path<String>,
    Query(told): Query<Told>,
) -> Answered {
    let admin = visit.administrator()?;
    let (name, app) = find(&visit, &name)?;
    let changed = match told.changed.as_deref() {
        Some("on") => Some(SessionAppChange::On),
        Some("off") => Some(SessionAppChange::Off),
        _ => None,
    };
    let log = match entries(&visit, Some(&name)).await {
        Ok(log) => log,
        Err(failure) => return Ok(visit.failed(&failure)),
    };
    let (site, viewer) = (visit.site(), visit.viewer(admin));
    Ok(visit.page(&SessionAppPage {
        shell: viewer.bar(&site, Tab::Keys),
        site,
        viewer,
        app,
        changed,
        log,
    }))
}

pub(super) async fn enable(
    visit: Visit,
    Path(name): Path<String>,
    Form(fields): Form<Fields>,
) -> Answered {
    switch(&visit, &name, &fields, true).await
}

pub(super) async fn disable(
    visit: Visit,
    Path(name): Path<String>,
    Form(fields): Form<Fields>,
) -> Answered {
    switch(&visit, &name, &fields, false).await
}

pub(super) async fn ask_to_remove(visit: Visit, Path(name): Path<String>) -> Answered {
    let admin = visit.administrator()?;
    let (_, app) = find(&visit, &name)?;
    if !matches!(app.place, AppPlace::Page { .. }) {
        return Ok(visit.problem(StatusCode::NOT_FOUND));
    }
    visit.fresh(&visit.here())?;
    let (site, viewer) = (visit.site(), visit.viewer(admin));
    Ok(visit.page(&RemoveSessionApp {
        shell: viewer.bar(&site, Tab::Keys),
        site,
        viewer,
        app,
    }))
}

pub(super) async fn remove(
    visit: Visit,
    Path(name): Path<String>,
    Form(fields): Form<Fields>,
) -> Answered {
    let admin = visit.administrators_form(&fields.csrf_token, &page_of(&name))?;
    let Ok(parsed) = SessionAppName::parse(&name) else {
        return Ok(visit.problem(StatusCode::NOT_FOUND));
    };
    let keys = &visit.authority.session_keys;
    Ok(match keys.remove(&parsed, admin.name.as_str()).await {
        Ok(true) => visit.go_on(&contract::with_query(LIST, &[("removed", &name)])),
        // The second click: it is gone, as wanted. What a file registers is not removed here.
        Ok(false) => visit.go_on(LIST),
        Err(failure) => visit.failed(&failure),
    })
}

async fn switch(visit: &Visit, name: &str, fields: &Fields, enabled: bool) -> Answered {
    let page = page_of(name);
    let admin = visit.administrators_form(&fields.csrf_token, &page)?;
    let (name, app) = find(visit, name)?;
    // It is not what they looked at any more.
    if !fields.seen.is_empty() && fields.seen != app.wording {
        return Ok(visit.go_on(&page));
    }
    let keys = &visit.authority.session_keys;
    Ok(
        match keys.switch(&name, enabled, admin.name.as_str()).await {
            Ok(true) => {
                let changed = if enabled { "on" } else { "off" };
                visit.go_on(&contract::with_query(&page, &[("changed", changed)]))
            }
            Ok(false) => visit.problem(StatusCode::NOT_FOUND),
            Err(failure) => visit.failed(&failure),
        },
    )
}

async fn all(
    visit: &Visit,
    admin: &User,
    status: StatusCode,
    form: NewSessionApp,
    done: Option<SessionAppDone>,
) -> Response {
    let found = async {
        let keys = visit.authority.app_keys.list(None).await?.len();
        Ok::<_, StoreError>((keys, entries(visit, None).await?))
    };
    let (keys, log) = match found.await {
        Ok(found) => found,
        Err(failure) => return visit.failed(&failure),
    };
    let registered = visit.authority.session_keys.registered();
    let live = visit.authority.session_keys.live();
    let problems = registered.problems().iter();
    let (site, viewer) = (visit.site(), visit.viewer(admin));
    let page = SessionApps {
        shell: viewer.bar(&site, Tab::Keys),
        site,
        viewer,
        keys,
        apps: registered
            .iter()
            .map(|app| row(visit, app, &live))
            .collect(),
        problems: problems
            .map(|problem| AppFileProblem {
                file: problem.file.clone(),
                message: problem.message.clone(),
            })
            .collect(),
        form,
        done,
        log,
    };
    visit.page_with(status, &page)
}

/// The app of that name, or the answer in place of a page about it.
fn find(visit: &Visit, name: &str) -> Result<(SessionAppName, SessionAppRow), Response> {
    let keys = &visit.authority.session_keys;
    let missing = || visit.problem(StatusCode::NOT_FOUND);
    let name = SessionAppName::parse(name).map_err(|_| missing())?;
    let registered = keys.registered();
    let entry = registered.find(&name).ok_or_else(missing)?;
    let row = row(visit, entry, &keys.live());
    Ok((name, row))
}

fn row(visit: &Visit, entry: &Entry, live: &[Arc<VerifiedKey>]) -> SessionAppRow {
    let name = entry.app.name();
    SessionAppRow {
        name: name.to_string(),
        id: name.id().to_owned(),
        version: name.version().to_owned(),
        place: match &entry.source {
            Source::File(file) => AppPlace::File(file.clone()),
            Source::Page { by, at } => AppPlace::Page {
                by: by.clone(),
                at: visit.moment(*at),
            },
        },
        enabled: entry.app.registration().enabled,
        switched: entry.switch.as_ref().map(|switch| Switched {
            by: switch.by.clone(),
            at: visit.moment(switch.at),
        }),
        scope: entry.app.scope(),
        bits: entry.app.bits(),
        weak: entry.app.is_weak(),
        fingerprint: entry.app.fingerprint(),
        fault: entry.app.fault(),
        wording: HEXLOWER.encode(entry.app.wording()),
        live: live.iter().filter(|key| key.app == *name).count(),
    }
}

async fn entries(
    visit: &Visit,
    of: Option<&SessionAppName>,
) -> Result<Vec<SessionKeyEntry>, StoreError> {
    let records = visit.authority.session_keys.history(of, SHOWN).await?;
    Ok(records.iter().map(|record| entry(visit, record)).collect())
}

fn entry(visit: &Visit, record: &SessionKeyRecord) -> SessionKeyEntry {
    let now = visit.authority.clock.now();
    let outcome = match (record.outcome, record.ended) {
        (SessionKeyOutcome::Refused(why), _) => EntryOutcome::Refused(why),
        (_, Some(at)) => EntryOutcome::Ended(visit.moment(at)),
        (SessionKeyOutcome::Verified { until, .. }, None) if until > now => EntryOutcome::Good {
            minutes: until.since(now).as_secs().div_ceil(60),
        },
        _ => EntryOutcome::Over,
    };
    SessionKeyEntry {
        id: record.app.id().to_owned(),
        version: record.app.version().to_owned(),
        at: visit.moment(record.at),
        network: record.network.clone(),
        outcome,
        requests: record.requests,
        last: record
            .last_use
            .as_ref()
            .map(|(at, network)| (visit.moment(*at), network.clone())),
    }
}

fn page_of(name: &str) -> String {
    format!("{LIST}/{}", path_of(name))
}
