//! `/appportal/v1…`.

use axum::extract::{DefaultBodyLimit, Query, RawQuery};
use axum::response::Response;
use axum::routing::get;
use axum::{Form, Router};
use http::StatusCode;
use http::header::{HeaderName, ORIGIN};
use latchkey_model::access::KeyScope;
use latchkey_model::account::Account;
use latchkey_model::app::AppId;
use latchkey_model::id::SessionId;
use latchkey_model::portal::Refused;
use latchkey_model::printer::Printer;
use latchkey_store::StoreError;

use super::exchange;
use super::pages::{self, Choice};
use super::wire::{Chosen, Done, Fields};
use super::{Asked, Decision, NotAsked, NotGiven, START, names_form};
use crate::pages::paths;
use crate::pages::views::{
    AllowProblem, AskingApp, ChooseProblem, PortalComplete, PortalFault, PortalNoPlan,
    PortalRefused,
};
use crate::pages::visit::{Answered, Visit};
use crate::state::State;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Largest form: a request, and a few words.
const LARGEST: usize = 16 * 1024;

pub(crate) fn routes() -> Router<State> {
    Router::new()
        .route("/appportal/v1", get(welcome).post(begin))
        .route("/appportal/v1/", get(welcome).post(begin))
        .route("/appportal/v1/printer", get(choose).post(chosen))
        .route("/appportal/v1/allow", get(ask).post(decide))
        .route("/appportal/v1/done", get(done))
        .route("/appportal/v1/complete", get(complete))
        .route("/appportal/v1/nosupporterperks", get(no_plan))
        .layer(DefaultBodyLimit::max(LARGEST))
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

/// Whether a form is of the page as it is now. One that is older, since the person signed in or
/// out in another window, leads to the page anew: a GET changes nothing. One from elsewhere leads
/// nowhere.
fn current(visit: &Visit, token: &str, page: &str) -> Result<(), Response> {
    match visit.own_form(token) {
        Ok(()) => Ok(()),
        Err(refusal) if is_from_elsewhere(visit) => Err(refusal),
        Err(_) => Err(visit.go_on(page)),
    }
}

/// Whether the browser says that a page of another address made the request.
fn is_from_elsewhere(visit: &Visit) -> bool {
    let own = visit.state.config.public_url.to_string();
    let mut origins = visit.headers.get_all(ORIGIN).iter();
    let site = visit.headers.get(SEC_FETCH_SITE);
    origins.any(|origin| origin.as_bytes() != own.as_bytes())
        || site.is_some_and(|site| site != "same-origin" && site != "none")
}

async fn begin(visit: Visit, Form(fields): Form<Fields>) -> Answered {
    // What cannot be read has no page to lead to.
    if is_from_elsewhere(&visit) {
        visit.own_form(&fields.csrf_token)?;
    }
    let asked = read(&visit, &fields.request).await?;
    current(&visit, &fields.csrf_token, &asked.path(""))?;
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
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Err(pages::trouble(visit, asked, status))
        }
    }
}

/// Who may have one more; others are told what they can do before they decide anything.
async fn has_room(visit: &Visit, asked: &Asked, account: &Account) -> Result<(), Response> {
    match visit.state.portal.has_room(account).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(pages::ended(visit, asked, Refused::LimitReached, false)),
        Err(failure) => Err(failed(visit, asked, &failure)),
    }
}

async fn printers(
    visit: &Visit,
    asked: &Asked,
    account: &Account,
) -> Result<Vec<Printer>, Response> {
    let found = visit.state.store.printers().list_usable(&account.id).await;
    found.map_err(|failure| failed(visit, asked, &failure))
}

/// The database failed; the person need not stay here for that.
fn failed(visit: &Visit, asked: &Asked, failure: &StoreError) -> Response {
    tracing::error!(error = %failure, "the relay's database failed");
    pages::trouble(visit, asked, StatusCode::INTERNAL_SERVER_ERROR)
}

async fn choose(visit: Visit, RawQuery(query): RawQuery) -> Answered {
    let asked = read(&visit, &query.unwrap_or_default()).await?;
    let account = visit.account()?;
    entitled(&visit, &asked, account)?;
    has_room(&visit, &asked, account).await?;
    let printers = printers(&visit, &asked, account).await?;
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
    let page = asked.path("/printer");
    current(&visit, &fields.csrf_token, &page)?;
    let account = visit.form(&fields.csrf_token, &page)?;
    if fields.decision != "continue" {
        return Ok(pages::ended(&visit, &asked, Refused::Cancelled, true));
    }
    let printers = printers(&visit, &asked, account).await?;
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
    has_room(&visit, &asked, account).await?;
    let printers = printers(&visit, &asked, account).await?;
    let Some(printer) = find(&printers, &so_far.printer) else {
        return Ok(visit.go_on(&asked.path("/printer")));
    };
    // Who finds a browser open gives nothing away.
    visit.fresh(&visit.here())?;
    let level = visit.state.portal.level(account, printer).await;
    let choice = Choice {
        printer,
        level: level.map_err(|failure| failed(&visit, &asked, &failure))?,
        scope: so_far.scope.parse().unwrap_or(KeyScope::Full),
        with_key: so_far.key != "no",
        problem: None,
        once: visit.state.portal.name_form(),
    };
    Ok(visit.page(&pages::allow(&visit, &asked, choice)))
}

async fn decide(visit: Visit, Form(fields): Form<Fields>) -> Answered {
    if is_from_elsewhere(&visit) {
        visit.own_form(&fields.csrf_token)?;
    }
    let asked = read(&visit, &fields.request).await?;
    let back = way_back(&asked, &fields);
    current(&visit, &fields.csrf_token, &back)?;
    let account = visit.form(&fields.csrf_token, &back)?;
    let session = visit.session().map(|session| session.id.clone());
    let Some(session) = session.filter(|_| names_form(&fields.once)) else {
        return Err(visit.problem(StatusCode::BAD_REQUEST));
    };
    match fields.decision.as_str() {
        "allow" => allow(&visit, asked, &fields, account, &session).await,
        "cancel" => {
            refuse(
                &visit,
                &asked,
                &fields,
                account,
                &session,
                Refused::Cancelled,
            )
            .await
        }
        _ => refuse(&visit, &asked, &fields, account, &session, Refused::Denied).await,
    }
}

/// Once the last page is there it says what was given, and where that ends. Before, nothing is
/// given any more.
async fn refuse(
    visit: &Visit,
    asked: &Asked,
    fields: &Fields,
    account: &Account,
    session: &SessionId,
    why: Refused,
) -> Answered {
    let portal = &visit.state.portal;
    if portal.outcome(session, &fields.once).is_some() {
        return Ok(visit.go_on(&done_path(&fields.once)));
    }
    let taken_back = portal.take_back(&account.id, session, &fields.once).await;
    taken_back.map_err(|failure| failed(visit, asked, &failure))?;
    Ok(pages::ended(visit, asked, why, true))
}

async fn allow(
    visit: &Visit,
    asked: Asked,
    fields: &Fields,
    account: &Account,
    session: &SessionId,
) -> Answered {
    entitled(visit, &asked, account)?;
    let printers = printers(visit, &asked, account).await?;
    let gone = |left: &[Printer]| choose_page(visit, &asked, left, Some(ChooseProblem::Gone));
    let Some(printer) = find(&printers, &fields.printer) else {
        return Ok(gone(&printers));
    };
    let with_key = asked.request.key_name.is_some() && fields.wants_key();
    let level = visit.state.portal.level(account, printer).await;
    let level = level.map_err(|failure| failed(visit, &asked, &failure))?;
    let once_more = |problem, once| {
        let choice = Choice {
            printer,
            level,
            scope: fields.scope(),
            with_key,
            problem: Some(problem),
            once,
        };
        pages::allow(visit, &asked, choice)
    };
    if !fields.is_sure() {
        let page = once_more(AllowProblem::NotSure, fields.once.clone());
        return Ok(visit.page_with(StatusCode::BAD_REQUEST, &page));
    }
    if level == KeyScope::View && fields.scope() == KeyScope::Full {
        // The page did not offer that, or the owner changed it since.
        let page = once_more(AllowProblem::Lowered, visit.state.portal.name_form());
        return Ok(visit.page_with(StatusCode::CONFLICT, &page));
    }
    visit.fresh(&way_back(&asked, fields))?;
    let decision = Decision {
        asked: asked.clone(),
        account,
        session,
        printer: printer.clone(),
        scope: fields.scope(),
        with_key,
        address: visit.arrival.address,
        once: &fields.once,
    };
    match visit.state.portal.give(decision).await {
        Ok(_) => Ok(visit.go_on(&done_path(&fields.once))),
        Err(NotGiven::PrinterGone) => {
            let others = printers.iter().filter(|one| one.id != printer.id);
            Ok(gone(&others.cloned().collect::<Vec<_>>()))
        }
        Err(NotGiven::Changed) => {
            let page = once_more(AllowProblem::Changed, visit.state.portal.name_form());
            Ok(visit.page_with(StatusCode::CONFLICT, &page))
        }
        Err(NotGiven::Full) => Ok(pages::ended(visit, &asked, Refused::LimitReached, false)),
        Err(NotGiven::Store(failure)) => Err(failed(visit, &asked, &failure)),
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

/// The default completion address. Apps read it from the navigation; nothing of it is shown.
async fn complete(visit: Visit, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let site = visit.site();
    let page = visit.page(&PortalComplete {
        shell: site.door(),
        site,
        success: !query.split('&').any(|pair| pair == "success=false"),
    });
    // Its own address has everything in it.
    pages::unreferred(page)
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
        request: asked.request.to_query(),
    })
}
