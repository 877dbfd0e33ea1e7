//! `/appportal/v1…`.

use axum::extract::{Query, RawQuery};
use axum::response::Response;
use axum::routing::get;
use axum::{Form, Router};
use http::StatusCode;
use http::header::{HeaderName, REFERER};
use latchkey_model::access::KeyScope;
use latchkey_model::account::Account;
use latchkey_model::app::AppId;
use latchkey_model::portal::{Refused, ReturnTarget, TargetKind};
use latchkey_model::printer::Printer;

use super::exchange;
use super::pages::{self, Choice};
use super::wire::{Chosen, Done, Fields};
use super::{Asked, Decision, NotAsked, NotGiven, START, names_form};
use crate::pages::paths;
use crate::pages::views::{
    AskingApp, ChooseProblem, PortalComplete, PortalFault, PortalNoPlan, PortalRefused,
};
use crate::pages::visit::{Answered, Visit};
use crate::state::State;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

pub(crate) fn routes() -> Router<State> {
    Router::new()
        .route("/appportal/v1", get(welcome).post(begin))
        .route("/appportal/v1/", get(welcome).post(begin))
        .route("/appportal/v1/printer", get(choose).post(chosen))
        .route("/appportal/v1/allow", get(ask).post(decide))
        .route("/appportal/v1/done", get(done))
        .route("/appportal/v1/cancel", get(cancelled))
        .route("/appportal/v1/complete", get(complete))
        .route("/appportal/v1/nosupporterperks", get(no_plan))
        .merge(exchange::routes())
}

/// The request in an address, or the page that says why it leads nowhere.
async fn read(visit: &Visit, query: &str) -> Result<Asked, Response> {
    match visit.state.portal.read(query).await {
        Ok(asked) => Ok(asked),
        Err(NotAsked::Store(failure)) => Err(visit.failed(&failure)),
        Err(error) => {
            let why = pages::fault(&error).unwrap_or(PortalFault::NoApp);
            Err(refused(visit, StatusCode::BAD_REQUEST, why))
        }
    }
}

fn refused(visit: &Visit, status: StatusCode, why: PortalFault) -> Response {
    let site = visit.site();
    let shell = site.door();
    visit.page_with(status, &PortalRefused { shell, site, why })
}

async fn welcome(visit: Visit, RawQuery(query): RawQuery) -> Answered {
    let asked = read(&visit, &query.unwrap_or_default()).await?;
    Ok(visit.page(&pages::welcome(&visit, &asked)))
}

async fn begin(visit: Visit, Form(fields): Form<Fields>) -> Answered {
    visit.own_form(&fields.csrf_token)?;
    let asked = read(&visit, &fields.request).await?;
    if fields.decision == "continue" {
        return Ok(visit.go_on(&asked.path("/printer")));
    }
    Ok(pages::ended(&visit, &asked, Refused::Cancelled, true))
}

/// Who may have app connections at all; others are told what they can do.
fn entitled(visit: &Visit, asked: &Asked, account: &Account) -> Result<(), Response> {
    match visit.state.portal.entitles(account) {
        Some(true) => Ok(()),
        Some(false) => Err(pages::ended(visit, asked, Refused::NotEntitled, false)),
        None => {
            tracing::error!(account.id = %account.id, "an account's plan is not defined");
            Err(visit.problem(StatusCode::SERVICE_UNAVAILABLE))
        }
    }
}

async fn printers(visit: &Visit, account: &Account) -> Result<Vec<Printer>, Response> {
    let found = visit.state.store.printers().list_usable(&account.id).await;
    found.map_err(|failure| visit.failed(&failure))
}

async fn choose(visit: Visit, RawQuery(query): RawQuery) -> Answered {
    let asked = read(&visit, &query.unwrap_or_default()).await?;
    let account = visit.account()?;
    entitled(&visit, &asked, account)?;
    let printers = printers(&visit, account).await?;
    Ok(choose_page(&visit, &asked, &printers, None))
}

fn choose_page(
    visit: &Visit,
    asked: &Asked,
    printers: &[Printer],
    problem: Option<ChooseProblem>,
) -> Response {
    let wanted = asked.request.printer.as_deref();
    let there = |id: &str| printers.iter().any(|printer| printer.id.as_str() == id);
    let missing = problem.is_none() && wanted.is_some_and(|id| !there(id));
    if printers.is_empty() || missing {
        return visit.page(&pages::add(visit, asked, !printers.is_empty()));
    }
    let status = match problem {
        None => StatusCode::OK,
        Some(ChooseProblem::Nothing) => StatusCode::BAD_REQUEST,
        Some(ChooseProblem::Gone) => StatusCode::CONFLICT,
    };
    visit.page_with(status, &pages::choose(visit, asked, printers, problem))
}

async fn chosen(visit: Visit, Form(fields): Form<Fields>) -> Answered {
    let asked = read(&visit, &fields.request).await?;
    let account = visit.form(&fields.csrf_token, &asked.path("/printer"))?;
    if fields.decision != "continue" {
        return Ok(pages::ended(&visit, &asked, Refused::Cancelled, true));
    }
    let printers = printers(&visit, account).await?;
    if fields.printer.is_empty() {
        let problem = Some(ChooseProblem::Nothing);
        return Ok(choose_page(&visit, &asked, &printers, problem));
    }
    let Some(printer) = find(&printers, &fields.printer) else {
        let problem = Some(ChooseProblem::Gone);
        return Ok(choose_page(&visit, &asked, &printers, problem));
    };
    Ok(visit.go_on(&paths::with(
        &asked.path("/allow"),
        "printer",
        printer.id.as_str(),
    )))
}

fn find<'a>(printers: &'a [Printer], id: &str) -> Option<&'a Printer> {
    printers.iter().find(|printer| printer.id.as_str() == id)
}

async fn ask(visit: Visit, RawQuery(query): RawQuery, Query(so_far): Query<Chosen>) -> Answered {
    let asked = read(&visit, &query.unwrap_or_default()).await?;
    let account = visit.account()?;
    entitled(&visit, &asked, account)?;
    let printers = printers(&visit, account).await?;
    let Some(printer) = find(&printers, &so_far.printer) else {
        return Ok(visit.go_on(&asked.path("/printer")));
    };
    let choice = Choice {
        printer,
        scope: so_far.scope.parse().unwrap_or(KeyScope::Full),
        with_key: so_far.key != "no",
        not_sure: false,
        once: visit.state.portal.name_form(),
    };
    Ok(visit.page(&pages::allow(&visit, &asked, choice)))
}

async fn decide(visit: Visit, Form(fields): Form<Fields>) -> Answered {
    let asked = read(&visit, &fields.request).await?;
    let back = way_back(&asked, &fields);
    let account = visit.form(&fields.csrf_token, &back)?;
    let session = visit.session().map(|session| session.id.clone());
    let Some(session) = session.filter(|_| names_form(&fields.once)) else {
        return Err(visit.problem(StatusCode::BAD_REQUEST));
    };
    // A second press of either button changes nothing about what was given already.
    if visit.state.portal.outcome(&session, &fields.once).is_some() {
        return Ok(visit.go_on(&done_path(&fields.once)));
    }
    if fields.decision != "allow" {
        return Ok(pages::ended(&visit, &asked, Refused::Denied, true));
    }
    entitled(&visit, &asked, account)?;
    let printers = printers(&visit, account).await?;
    let Some(printer) = find(&printers, &fields.printer) else {
        let problem = Some(ChooseProblem::Gone);
        return Ok(choose_page(&visit, &asked, &printers, problem));
    };
    let with_key = asked.request.key_name.is_some() && fields.wants_key();
    if !fields.is_sure() {
        let choice = Choice {
            printer,
            scope: fields.scope(),
            with_key,
            not_sure: true,
            once: fields.once,
        };
        let page = pages::allow(&visit, &asked, choice);
        return Ok(visit.page_with(StatusCode::BAD_REQUEST, &page));
    }
    if with_key {
        visit.fresh(&back)?;
    }
    let decision = Decision {
        asked: asked.clone(),
        account,
        session: &session,
        printer: printer.clone(),
        scope: fields.scope(),
        with_key,
        once: &fields.once,
    };
    match visit.state.portal.give(decision).await {
        Ok(_) => Ok(visit.go_on(&done_path(&fields.once))),
        Err(NotGiven::PrinterGone) => {
            let left: Vec<_> = printers
                .iter()
                .filter(|one| one.id != printer.id)
                .cloned()
                .collect();
            Ok(choose_page(
                &visit,
                &asked,
                &left,
                Some(ChooseProblem::Gone),
            ))
        }
        Err(NotGiven::OtherForm) => Err(visit.problem(StatusCode::BAD_REQUEST)),
        Err(NotGiven::Store(failure)) => Err(visit.failed(&failure)),
    }
}

fn done_path(once: &str) -> String {
    paths::with("/appportal/v1/done", "once", once)
}

/// The page of the decision as it was left, for who has to prove who they are first.
fn way_back(asked: &Asked, fields: &Fields) -> String {
    let key = if fields.wants_key() { "yes" } else { "no" };
    let path = paths::with(&asked.path("/allow"), "printer", &fields.printer);
    let path = paths::with(&path, "scope", fields.scope().as_str());
    paths::with(&path, "key", key)
}

async fn done(visit: Visit, Query(asked): Query<Done>) -> Answered {
    visit.account()?;
    let session = visit.session().map(|session| &session.id);
    let outcome = session.and_then(|session| visit.state.portal.outcome(session, &asked.once));
    Ok(match outcome {
        Some(outcome) => pages::done(&visit, &outcome),
        None => refused(&visit, StatusCode::GONE, PortalFault::Gone),
    })
}

/// For who turns back where no form of the portal is: at the sign-in. Goes on by itself only if
/// the person was on a page of ours before; else any page could lead through here to anywhere.
/// And never to a website that nobody registered: a way back through the sign-in is taken by
/// itself, too.
async fn cancelled(visit: Visit, RawQuery(query): RawQuery) -> Answered {
    let asked = read(&visit, &query.unwrap_or_default()).await?;
    let kind = asked.request.target.as_ref().map(ReturnTarget::kind);
    let is_known = asked.is_verified() || kind != Some(TargetKind::Web);
    let leads_on = is_known && comes_from_here(&visit);
    Ok(pages::ended(&visit, &asked, Refused::Cancelled, leads_on))
}

fn comes_from_here(visit: &Visit) -> bool {
    if let Some(site) = visit.headers.get(SEC_FETCH_SITE) {
        return site == "same-origin";
    }
    let own = format!("{}/", visit.state.config.public_url);
    let referer = visit.headers.get(REFERER);
    referer.is_some_and(|referer| referer.as_bytes().starts_with(own.as_bytes()))
}

/// The default completion address. Apps read it from the navigation; nothing of it is shown.
async fn complete(visit: Visit, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let site = visit.site();
    visit.page(&PortalComplete {
        shell: site.door(),
        site,
        success: !query.split('&').any(|pair| pair == "success=false"),
    })
}

async fn no_plan(visit: Visit, RawQuery(query): RawQuery) -> Answered {
    let query = query.unwrap_or_default();
    let named = query.split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let value = percent_encoding::percent_decode_str(value)
            .decode_utf8()
            .ok()?;
        let id = name
            .eq_ignore_ascii_case("appid")
            .then(|| AppId::from_anybody(&value));
        id?.ok()
    });
    let mut app = None;
    if let Some(id) = named {
        let known = crate::apps::look_up(&visit.state.store, &id, None).await;
        let known = known.map_err(|failure| visit.failed(&failure))?;
        let name = known.registered.map(|app| app.name.to_string());
        app = Some(name.unwrap_or_else(|| id.to_string()));
    }
    let account = visit.maybe_account();
    let entitled = account.and_then(|account| visit.state.portal.entitles(account));
    let site = visit.site();
    Ok(visit.page(&PortalNoPlan {
        shell: site.door(),
        site,
        app,
        entitled,
    }))
}

/// The app whose portal request somebody comes from who is on the way to `then`.
pub(crate) async fn asking_app(visit: &Visit, then: &str) -> Option<AskingApp> {
    let path = paths::way_back(then)?;
    let (page, query) = path.split_once('?')?;
    if page != START && !page.starts_with(&format!("{START}/")) {
        return None;
    }
    let asked = visit.state.portal.read(query).await.ok()?;
    Some(AskingApp {
        name: asked.name().to_owned(),
        verified: asked.is_verified(),
        logo: pages::logo(asked.registered.as_ref()),
        cancel: asked.path("/cancel"),
    })
}

/// Where who is asked for the password once more goes on without typing it: to the decision,
/// without the key that it was asked for.
pub(crate) fn without_key(then: &str) -> Option<String> {
    let path = paths::way_back(then).filter(|path| path.starts_with("/appportal/v1/allow?"))?;
    Some(path.replace("&key=yes", "&key=no"))
}
