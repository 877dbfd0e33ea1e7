//! `/printers/state`, and a printer's pictures.

use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue};
use http::{StatusCode, Uri};
use latchkey_model::account::Account;
use latchkey_model::id::{HostId, PrinterId};
use latchkey_model::printer::HostKey;
use latchkey_net::body::Body;
use latchkey_store::relay::UsedPrinter;
use latchkey_web::problem::Problem;

use super::now_at;
use super::wire::Shown;
use crate::camera::{CameraError, Picture, wanted};
use crate::pages::ids::Id;
use crate::pages::visit::{Answered, Visit};
use crate::state::State;
use crate::watching::{By, Viewer};

pub(crate) fn routes() -> Router<State> {
    Router::new()
        .route("/printers/state", get(states))
        .route("/printers/{id}/snapshot", get(snapshot))
        .route("/printers/{id}/camera", get(camera))
}

/// What all printers of a person do.
async fn states(visit: Visit) -> Answered {
    let account = here(&visit)?;
    let printers = visit.state.store.members().list_used(&account.id).await;
    let printers = printers.map_err(|failure| visit.failed(&failure))?;
    let shown = printers.iter().map(|found| {
        let now = now_at(&visit.state, found);
        let needs = now.word.needs_somebody();
        Shown::new(found.printer.id.as_str(), &now, needs)
    });
    Ok(Json(shown.collect::<Vec<_>>()).into_response())
}

async fn snapshot(visit: Visit, Id(id): Id<PrinterId>) -> Answered {
    let account = here(&visit)?;
    let host = host_of(&visit, account, &id).await?;
    let picture = match host {
        Some(host) => visit.state.watching.snapshot(&id, &host).await,
        None => Err(CameraError::NotConnected),
    };
    Ok(picture_or(picture))
}

async fn camera(visit: Visit, Id(id): Id<PrinterId>, uri: Uri) -> Answered {
    let account = here(&visit)?;
    host_of(&visit, account, &id).await?;
    let session = visit.session().map(|session| session.id.clone());
    let Some(session) = session else {
        return Err(visit.problem(StatusCode::NOT_FOUND));
    };
    let viewer = Viewer {
        printer: id.clone(),
        by: By::Session {
            account: account.id.clone(),
            session,
        },
    };
    let Ok(place) = visit.state.watching.enter(viewer) else {
        return Ok(no_picture(StatusCode::TOO_MANY_REQUESTS));
    };
    // What ended before there was a place is seen now; of what ends later the place hears.
    let Some(host) = host_of(&visit, account, &id).await? else {
        return Ok(no_picture_for(CameraError::NotConnected));
    };
    Ok(match place.stream(&host, wanted(&uri)).await {
        Ok(stream) => running(stream),
        Err(error) => no_picture_for(error),
    })
}

/// Programs ask here, which cannot follow the way to a sign-in.
fn here(visit: &Visit) -> Result<&Account, Response> {
    visit
        .maybe_account()
        .ok_or_else(|| StatusCode::UNAUTHORIZED.into_response())
}

/// The host of a printer that the person uses, if it has one. Of a suspended owner's nobody sees
/// anything.
async fn host_of(
    visit: &Visit,
    account: &Account,
    id: &PrinterId,
) -> Result<Option<HostId>, Response> {
    let found = visit.state.store.members().find_used(&account.id, id).await;
    let found: Option<UsedPrinter> = found.map_err(|failure| visit.failed(&failure))?;
    let found = found.filter(|found| !found.owner_suspended);
    let found = found.ok_or_else(|| StatusCode::NOT_FOUND.into_response())?;
    Ok(found.printer.host.as_ref().map(HostKey::id))
}

/// A picture, or why there is none.
pub(crate) fn picture_or(picture: Result<Picture, CameraError>) -> Response {
    match picture {
        Ok(picture) => {
            let mut answer = picture.bytes.into_response();
            answer.headers_mut().insert(CONTENT_TYPE, picture.kind);
            guard(answer.headers_mut());
            answer
        }
        Err(error) => no_picture_for(error),
    }
}

/// A running picture.
pub(crate) fn running(stream: http::Response<Body>) -> Response {
    let mut answer = stream.map(axum::body::Body::new);
    guard(answer.headers_mut());
    answer
}

/// What a printer's host sends is nobody's document, and no other site's picture.
fn guard(fields: &mut HeaderMap) {
    let policy = HeaderValue::from_static("default-src 'none'; sandbox");
    fields.insert(CONTENT_SECURITY_POLICY, policy);
    fields.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    );
}

/// No picture: for an `img`, which shows none.
pub(crate) fn no_picture(status: StatusCode) -> Response {
    let mut answer = status.into_response();
    if status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE {
        let seconds = HeaderValue::from_static("10");
        answer.headers_mut().insert(RETRY_AFTER, seconds);
    }
    answer
}

/// The same for a reason. That a limit is reached is said to whoever reads it.
pub(crate) fn no_picture_for(error: CameraError) -> Response {
    let CameraError::Limit(reached) = error else {
        return no_picture(status_of(error));
    };
    let limit = reached.limit;
    let sentence = limit.sentence().unwrap_or(limit.status().meaning());
    let mut problem = Problem::new(status_of(error), "plan_limit", sentence);
    if let Some(again) = reached.again {
        // Rounded up: who comes back too early is refused once more.
        let seconds = again.as_secs().saturating_add(1);
        problem = problem.retry_after(u32::try_from(seconds).unwrap_or(u32::MAX));
    }
    problem.into_response()
}

fn status_of(error: CameraError) -> StatusCode {
    match error {
        CameraError::NotConnected => StatusCode::SERVICE_UNAVAILABLE,
        CameraError::NoCamera => StatusCode::NOT_FOUND,
        CameraError::TooMany | CameraError::Limit(_) => StatusCode::TOO_MANY_REQUESTS,
        CameraError::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        CameraError::Failed => StatusCode::BAD_GATEWAY,
    }
}
