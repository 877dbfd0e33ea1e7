//! `/sign-in/passkey/…` and `/account/security/passkeys/…`: what the script of the pages asks.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use http::StatusCode;

use super::wire::{Beginning, GoOn, Made, NewQuestion, Problem, Question, Shown};
use super::{Came, PasskeyError};
use crate::accounts::begin;
use crate::accounts::http::then;
use crate::mail::Letter;
use crate::pages::paths;
use crate::pages::visit::{Answered, Visit, retry_after, with_cookie};
use crate::sessions::Second;
use crate::state::State;

/// What a device says is a few KiB.
const MOST_BYTES: usize = 64 * 1024;

const SECURITY: &str = "/account/security";

pub(crate) fn routes() -> Router<State> {
    Router::new()
        .route("/sign-in/passkey/begin", post(begin_entering))
        .route("/sign-in/passkey/finish", post(finish_entering))
        .route("/account/security/passkeys/begin", post(begin_adding))
        .route("/account/security/passkeys/finish", post(finish_adding))
        .layer(DefaultBodyLimit::max(MOST_BYTES))
}

async fn begin_entering(visit: Visit, body: Bytes) -> Answered {
    let Beginning {} = visit.own_json(&body)?;
    let begun = visit.state.passkeys.begin_entering(visit.arrival.address);
    match begun {
        Ok((step, ask)) => {
            let step = step.expose().to_owned();
            Ok(visit.json(StatusCode::OK, &Question { step, ask }))
        }
        Err(error) => refusal(&visit, error),
    }
}

async fn finish_entering(visit: Visit, body: Bytes) -> Answered {
    let sent: Shown = visit.own_json(&body)?;
    let passkeys = &visit.state.passkeys;
    let came = match passkeys.finish_entering(&sent.step, &sent.answer).await {
        Ok(came) => came,
        Err(error) => return refusal(&visit, error),
    };
    let go = then(&sent.then);
    let cookie = match (visit.maybe_account(), visit.session()) {
        (Some(account), Some(session)) => {
            // Who was asked once more who they are cannot turn out to be somebody else.
            if came.proved.account.id != account.id {
                return Ok(said(&visit, StatusCode::FORBIDDEN, "other-account"));
            }
            let renewed = visit.state.sessions.renew_with(&session.id, true).await;
            Some(renewed.map_err(|failure| visit.failed(&failure))?)
        }
        _ => enter(&visit, came).await?,
    };
    match cookie {
        Some(cookie) => {
            let answer = visit.json(StatusCode::OK, &GoOn { go });
            Ok(with_cookie(answer, cookie))
        }
        None => Ok(said(&visit, StatusCode::FORBIDDEN, "unfit")),
    }
}

async fn enter(visit: &Visit, came: Came) -> Result<Option<http::HeaderValue>, Response> {
    let second = Second::Passkey(came.passkey);
    begin(visit, &came.proved, &second).await
}

/// Sends the page to where the person proves who they are, and back.
fn may_change(visit: &Visit) -> Result<(), Response> {
    let led = visit.fresh(SECURITY).and_then(|()| visit.guarded(SECURITY));
    led.map_err(|answer| {
        let location = answer.headers().get(http::header::LOCATION);
        let go = location.and_then(|location| location.to_str().ok());
        let go = go.unwrap_or(SECURITY);
        visit.json(StatusCode::FORBIDDEN, &GoOn { go })
    })
}

fn signed_out(visit: &Visit) -> Response {
    let go = paths::with("/sign-in", "then", SECURITY);
    visit.json(StatusCode::FORBIDDEN, &GoOn { go: &go })
}

async fn begin_adding(visit: Visit, body: Bytes) -> Answered {
    let Beginning {} = visit.own_json(&body)?;
    let (Some(account), Some(session)) = (visit.maybe_account(), visit.session()) else {
        return Err(signed_out(&visit));
    };
    may_change(&visit)?;
    let passkeys = &visit.state.passkeys;
    match passkeys.begin_adding(account, &session.id).await {
        Ok(ask) => Ok(visit.json(StatusCode::OK, &NewQuestion { ask })),
        Err(error) => refusal(&visit, error),
    }
}

async fn finish_adding(visit: Visit, body: Bytes) -> Answered {
    let sent: Made = visit.own_json(&body)?;
    let (Some(account), Some(session)) = (visit.maybe_account(), visit.session()) else {
        return Err(signed_out(&visit));
    };
    may_change(&visit)?;
    let passkeys = &visit.state.passkeys;
    let added = passkeys.finish_adding(account, &session.id, &sent.name, &sent.made);
    let name = match added.await {
        Ok(kept) => kept.name,
        Err(error) => return refusal(&visit, error),
    };
    // The device saw to it that it is them: that is a second factor beside the password they typed.
    let sessions = &visit.state.sessions;
    let alone = sessions.go_on_alone(&account.id, &session.id, true).await;
    let cookie = alone.map_err(|failure| visit.failed(&failure))?;
    let letter = Letter::PasskeyAdded { name };
    visit.tell(&account.id, letter).await;
    let go = "/account/security?done=passkey";
    let answer = visit.json(StatusCode::OK, &GoOn { go });
    Ok(with_cookie(answer, cookie))
}

fn said(visit: &Visit, status: StatusCode, problem: &'static str) -> Response {
    visit.json(status, &Problem { problem })
}

fn refusal(visit: &Visit, error: PasskeyError) -> Answered {
    Ok(match error {
        PasskeyError::Impossible => said(visit, StatusCode::NOT_FOUND, "impossible"),
        PasskeyError::NotAsked => said(visit, StatusCode::FORBIDDEN, "too-long"),
        PasskeyError::Unfit => said(visit, StatusCode::FORBIDDEN, "unfit"),
        PasskeyError::Full => said(visit, StatusCode::CONFLICT, "full"),
        PasskeyError::TooMany(wait) => {
            let answer = said(visit, StatusCode::TOO_MANY_REQUESTS, "too-many");
            retry_after(answer, wait)
        }
        PasskeyError::Store(failure) => return Err(visit.failed(&failure)),
    })
}
