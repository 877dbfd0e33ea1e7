//! `/pair` for people, `/api/pairing` and `/api/pairing/poll` for hosts.

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Query, State as Shared};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Form, Json, Router};
use http::StatusCode;
use latchkey_model::account::Account;
use latchkey_model::app_key::network_of;
use latchkey_model::printer::PrinterName;
use latchkey_net::authority::Authority;
use latchkey_net::tunnel::{PairingAnswer, PairingStart, PairingStarted, ProofError};
use latchkey_web::limits::TooMany;
use latchkey_web::problem::{Problem, ProblemBody};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{CodeError, Offer, PollError, StartError, Typist};
use crate::audit::Act;
use crate::mail::Letter;
use crate::pages::paths;
use crate::pages::views::{Pair, PairConfirm, PairEnd, PairEnding, PairProblem};
use crate::pages::visit::{About, Answered, Arrival, Visit, retry_after};
use crate::state::State;

/// Where the code is typed.
const PAGE: &str = "/pair";
/// What hosts send is small.
const MAX_BODY: usize = 8 * 1024;

/// By what name a host asked for this relay, where it is not that of the public URL.
#[derive(Clone)]
pub(crate) struct Named(pub(crate) Authority);

pub(crate) fn routes() -> Router<State> {
    let hosts = Router::new()
        .route("/api/pairing", post(start))
        .route("/api/pairing/poll", post(poll))
        .layer(DefaultBodyLimit::max(MAX_BODY));
    Router::new()
        .route("/pair", get(show).post(decide))
        .merge(hosts)
}

/// Ask for a code that attaches a host to an account
///
/// Asked by hosts. The wish is signed with the host's key, for this relay and this minute, with a
/// number that is taken once.
#[utoipa::path(
    post,
    path = "/api/pairing",
    tag = "Pairing",
    request_body = PairingStart,
    responses(
        (status = 200, description = "A code for a person to type, and a secret to ask with how it went.", body = PairingStarted, example = json!({
            "code": "BCDF-GHJK",
            "link": "https://relay.example.com/pair?code=BCDF-GHJK",
            "page": "https://relay.example.com/pair",
            "poll": "lk_poll_…",
            "expires_in": 900,
            "interval": 5
        })),
        (status = 400, description = "This is not what a host sends.", body = ProblemBody),
        (status = 403, description = "The clock, the signature or the number is not right.", body = ProblemBody, example = json!({
            "error": "This host's clock and the relay's differ by more than ten minutes. Set the clock.",
            "code": "clock", "request_id": "9e3779b97f4a7c15"
        })),
        (status = 429, description = "Too many codes were asked for.", body = ProblemBody, headers(("Retry-After" = u32, description = "In seconds"))),
        (status = 500, description = "The database failed.", body = ProblemBody),
        (status = 503, description = "Too many hosts wait.", body = ProblemBody, headers(("Retry-After" = u32, description = "In seconds"))),
    )
)]
pub(crate) async fn start(
    Shared(state): Shared<State>,
    Extension(arrival): Extension<Arrival>,
    named: Option<Extension<Named>>,
    wish: Result<Json<PairingStart>, JsonRejection>,
) -> Response {
    let Ok(Json(wish)) = wish else {
        return declined(&arrival, malformed());
    };
    let named = named.map(|Extension(Named(named))| named);
    let started = state.pairings.start(&wish, arrival.address, named.as_ref());
    match started.await {
        Ok(started) => no_store(Json(started).into_response()),
        Err(error) => declined(&arrival, start_problem(&error)),
    }
}

/// How a host asks how its pairing went.
#[derive(Deserialize, ToSchema)]
#[schema(as = PairingPoll)]
pub(crate) struct Poll {
    /// The secret that came with the code.
    poll: String,
}

/// Ask how a pairing went
///
/// Once in `interval` seconds. What was never asked for reads as expired.
#[utoipa::path(
    post,
    path = "/api/pairing/poll",
    tag = "Pairing",
    request_body(content = Poll, example = json!({"poll": "lk_poll_…"})),
    responses(
        (status = 200, description = "How it stands.", body = PairingAnswer, example = json!({
            "state": "confirmed", "printer_name": "Workshop", "printer_id": "pr_4b9c", "account": "t…@oyelaran.example"
        })),
        (status = 400, description = "This is not what a host sends.", body = ProblemBody),
        (status = 429, description = "Asked too often.", body = ProblemBody, headers(("Retry-After" = u32, description = "In seconds"))),
        (status = 500, description = "The database failed.", body = ProblemBody),
    )
)]
pub(crate) async fn poll(
    Shared(state): Shared<State>,
    Extension(arrival): Extension<Arrival>,
    asked: Result<Json<Poll>, JsonRejection>,
) -> Response {
    let Ok(Json(asked)) = asked else {
        return declined(&arrival, malformed());
    };
    match state.pairings.poll(&asked.poll).await {
        Ok(answer) => no_store(Json(answer).into_response()),
        Err(PollError::SlowDown) => {
            let problem = Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "slow_down",
                "Ask less often: once in five seconds.",
            );
            declined(&arrival, problem.retry_after(5))
        }
        Err(PollError::Store(failure)) => declined(&arrival, failed(&failure)),
    }
}

fn malformed() -> Problem {
    let sentence = "This needs the JSON that a host sends.";
    Problem::malformed(StatusCode::BAD_REQUEST, sentence)
}

fn start_problem(error: &StartError) -> Problem {
    let refused = |code, sentence| Problem::new(StatusCode::FORBIDDEN, code, sentence);
    match error {
        StartError::Proof(ProofError::Malformed(_)) => malformed(),
        StartError::Proof(ProofError::Time) => refused(
            "clock",
            "This host's clock and the relay's differ by more than ten minutes. Set the clock.",
        ),
        StartError::Proof(ProofError::Signature) => refused(
            "signature",
            "This host's signature does not fit its key and this relay. Use the relay's public URL.",
        ),
        StartError::Replayed => refused("replayed", "This was sent before. Ask anew."),
        StartError::TooMany(too_many) => Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many",
            "Too many codes were asked for. Try again in a while.",
        )
        .retry_after(seconds(*too_many)),
        StartError::Full => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "Too many hosts wait to be paired at the moment. Try again in a few minutes.",
        )
        .retry_after(60),
        StartError::Store(failure) => failed(failure),
    }
}

fn failed(failure: &latchkey_store::StoreError) -> Problem {
    tracing::error!(error = %failure, "the relay's database failed");
    Problem::from_status(StatusCode::INTERNAL_SERVER_ERROR)
}

fn seconds(too_many: TooMany) -> u32 {
    u32::try_from(too_many.wait.as_secs())
        .unwrap_or(u32::MAX)
        .max(1)
}

fn declined(arrival: &Arrival, problem: Problem) -> Response {
    let problem = problem.request_id(&arrival.request_id);
    no_store(problem.json().map(axum::body::Body::from))
}

fn no_store(mut response: Response) -> Response {
    let value = http::HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(http::header::CACHE_CONTROL, value);
    response
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    code: String,
    #[serde(default)]
    then: String,
}

#[derive(Deserialize)]
struct Fields {
    #[serde(default)]
    code: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    answer: String,
    #[serde(default)]
    then: String,
    #[serde(default)]
    csrf_token: String,
}

async fn show(visit: Visit, Query(asked): Query<Asked>) -> Answered {
    let account = visit.account()?;
    if asked.code.trim().is_empty() {
        return Ok(visit.page(&enter(&visit, account, &asked.code, &asked.then, None)));
    }
    let typist = typist(&visit, account);
    match visit.state.pairings.find(&asked.code, typist).await {
        Ok(offer) => {
            let name = suggested(&offer);
            let page = confirmation(&visit, account, &offer, name, &asked.then, false);
            Ok(visit.page(&page))
        }
        Err(error) => wrong(&visit, account, &asked.code, &asked.then, error),
    }
}

async fn decide(visit: Visit, Form(fields): Form<Fields>) -> Answered {
    let account = visit.form(&fields.csrf_token, &back(&fields))?;
    let typist = typist(&visit, account);
    let pairings = &visit.state.pairings;
    if fields.answer == "look" {
        return Ok(visit.go_on(&back(&fields)));
    }
    if fields.answer == "refuse" {
        return match pairings.refuse(&fields.code, typist).await {
            Ok(()) => {
                visit.note(Act::PairingRefused, About::default()).await;
                Ok(ending(&visit, account, &fields.then, PairEnding::Refused))
            }
            Err(error) => wrong(&visit, account, &fields.code, &fields.then, error),
        };
    }
    if fields.answer != "add" {
        return Ok(visit.problem(StatusCode::BAD_REQUEST));
    }
    let Ok(name) = PrinterName::parse(&fields.name) else {
        return match pairings.find(&fields.code, typist).await {
            Ok(offer) => {
                let then = &fields.then;
                let page = confirmation(&visit, account, &offer, fields.name, then, true);
                Ok(visit.page_with(StatusCode::BAD_REQUEST, &page))
            }
            Err(error) => wrong(&visit, account, &fields.code, &fields.then, error),
        };
    };
    match pairings.confirm(&fields.code, name.clone(), typist).await {
        Ok(printer) => {
            let about = About::printer(&printer);
            visit.note(Act::PrinterPaired, about).await;
            let letter = Letter::PrinterPaired { printer: name };
            visit.tell(&account.id, letter).await;
            let own = format!("/printers/{printer}?done=paired");
            Ok(visit.go_on(paths::way_back(&fields.then).unwrap_or(&own)))
        }
        Err(error) => wrong(&visit, account, &fields.code, &fields.then, error),
    }
}

fn typist<'v>(visit: &Visit, account: &'v Account) -> Typist<'v> {
    Typist {
        account,
        address: visit.arrival.address,
    }
}

/// The question about this code, also after a sign-in.
fn back(fields: &Fields) -> String {
    let page = paths::with(PAGE, "code", &fields.code);
    match paths::way_back(&fields.then) {
        Some(then) => paths::with(&page, "then", then),
        None => page,
    }
}

/// What the printer is called, or else what its host calls itself.
fn suggested(offer: &Offer) -> String {
    match &offer.printer {
        Some(printer) => printer.name.to_string(),
        None => offer.pairing.host_name.chars().take(64).collect(),
    }
}

fn wrong(visit: &Visit, account: &Account, code: &str, then: &str, error: CodeError) -> Answered {
    let (status, problem) = match error {
        CodeError::Malformed => (StatusCode::BAD_REQUEST, PairProblem::NoCode),
        CodeError::Wrong => (StatusCode::NOT_FOUND, PairProblem::Wrong),
        CodeError::TooMany(too_many) => {
            let minutes = too_many.minutes();
            let problem = Some(PairProblem::TooMany { minutes });
            let page = enter(visit, account, code, then, problem);
            let answer = visit.page_with(StatusCode::TOO_MANY_REQUESTS, &page);
            return Ok(retry_after(answer, too_many));
        }
        CodeError::Taken => return Ok(ending(visit, account, then, PairEnding::Taken)),
        CodeError::Full { most } => {
            return Ok(ending(visit, account, then, PairEnding::Full { most }));
        }
        CodeError::Store(failure) => return Err(visit.failed(&failure)),
    };
    let page = enter(visit, account, code, then, Some(problem));
    Ok(visit.page_with(status, &page))
}

fn enter(
    visit: &Visit,
    account: &Account,
    code: &str,
    then: &str,
    problem: Option<PairProblem>,
) -> Pair {
    let site = visit.site();
    Pair {
        shell: site.door(),
        site,
        address: visit.state.config.public_url.to_string(),
        email: account.email.as_str().to_owned(),
        code: code.chars().take(40).collect(),
        then: paths::way_back(then).unwrap_or_default().to_owned(),
        problem,
    }
}

fn confirmation(
    visit: &Visit,
    account: &Account,
    offer: &Offer,
    name: String,
    then: &str,
    name_wrong: bool,
) -> PairConfirm {
    let site = visit.site();
    PairConfirm {
        shell: site.door(),
        site,
        email: account.email.as_str().to_owned(),
        code: offer.code.shown(),
        host_name: offer.pairing.host_name.clone(),
        same_network: network_of(visit.arrival.address) == offer.pairing.network,
        network: offer.pairing.network.clone(),
        asked: visit.moment(offer.pairing.created),
        again: offer
            .printer
            .as_ref()
            .map(|printer| printer.name.to_string()),
        name,
        name_wrong,
        then: paths::way_back(then).unwrap_or_default().to_owned(),
    }
}

fn ending(visit: &Visit, account: &Account, then: &str, ending: PairEnding) -> Response {
    let site = visit.site();
    let page = PairEnd {
        shell: site.door(),
        site,
        email: account.email.as_str().to_owned(),
        then: paths::way_back(then).unwrap_or("/printers").to_owned(),
        ending,
    };
    let status = match ending {
        PairEnding::Refused => StatusCode::OK,
        PairEnding::Taken | PairEnding::Full { .. } => StatusCode::CONFLICT,
    };
    visit.page_with(status, &page)
}
