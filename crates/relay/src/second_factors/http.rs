//! `/account/security`: codes, recovery codes, passkeys, and what happened to the account lately.

use axum::extract::Query;
use axum::response::Response;
use axum::routing::get;
use axum::{Form, Router};
use http::StatusCode;
use latchkey_model::account::Account;
use latchkey_model::id::PasskeyId;
use latchkey_model::secret::RecoveryCode;
use latchkey_web::qr::Qr;
use serde::Deserialize;

use super::{CodeError, RECOVERY_CODES};
use crate::mail::Letter;
use crate::pages::views::{
    CodeProblem, CodesOff, CodesOn, CodesSetUp, ListedNotice, ListedPasskey, RecoveryCodes,
    SecurityDone, SecurityPage, Tab,
};
use crate::pages::visit::{Answered, Visit, retry_after, with_cookie};
use crate::passkeys::MOST;
use crate::state::State;

const HERE: &str = "/account/security";

/// How many notices are shown.
const SHOWN: u32 = 20;

pub(crate) fn routes() -> Router<State> {
    Router::new()
        .route("/account/security", get(show))
        .route("/account/security/codes", get(show_set_up).post(confirm))
        .route("/account/security/codes/off", get(ask_off).post(switch_off))
        .route(
            "/account/security/recovery-codes",
            get(come_back).post(make_recovery_codes),
        )
        .route(
            "/account/security/remove-passkey",
            get(come_back).post(remove_passkey),
        )
}

#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    done: String,
}

#[derive(Deserialize)]
struct Confirming {
    #[serde(default)]
    code: String,
    #[serde(default)]
    csrf_token: String,
}

#[derive(Deserialize)]
struct Bare {
    #[serde(default)]
    csrf_token: String,
}

#[derive(Deserialize)]
struct Removing {
    #[serde(default)]
    passkey: String,
    #[serde(default)]
    csrf_token: String,
}

async fn show(visit: Visit, Query(told): Query<Told>) -> Answered {
    let account = visit.account()?;
    let failed = |failure| visit.failed(&failure);
    let store = &visit.state.store;
    let factors = store.second_factors();
    let codes = match factors.find(&account.id).await.map_err(failed)? {
        None => None,
        Some(generator) => {
            let left = factors.count_recovery_codes(&account.id).await;
            Some(CodesOn {
                since: visit.moment(generator.created),
                recovery_codes: left.map_err(failed)?,
                of: RECOVERY_CODES,
            })
        }
    };
    let passkeys = store.passkeys().list_of(&account.id).await;
    let passkeys = passkeys.map_err(failed)?;
    let notices = store.notices().list(&account.id, SHOWN).await;
    let notices = notices.map_err(failed)?;
    let site = visit.site();
    let page = SecurityPage {
        shell: visit.viewer(account).bar(&site, Tab::Account),
        site,
        done: match told.done.as_str() {
            "off" => Some(SecurityDone::CodesOff),
            "passkey" => Some(SecurityDone::PasskeyAdded),
            "passkey-removed" => Some(SecurityDone::PasskeyRemoved),
            "needed" => Some(SecurityDone::Needed),
            _ => None,
        },
        administrator: account.administrator,
        codes,
        passkeys_possible: visit.state.passkeys.are_possible(),
        full: passkeys.len() >= MOST as usize,
        most: MOST,
        passkeys: passkeys
            .into_iter()
            .map(|kept| ListedPasskey {
                id: kept.id.to_string(),
                name: kept.name,
                added: visit.moment(kept.created),
                used: kept.used.map(|at| visit.moment(at)),
            })
            .collect(),
        notices: notices
            .into_iter()
            .map(|notice| ListedNotice {
                at: visit.moment(notice.at),
                kind: notice.kind,
                detail: notice.detail,
                device: notice.device,
                network: notice.network,
            })
            .collect(),
    };
    Ok(visit.page(&page))
}

/// Who typed the password once more on the way finds the page again.
async fn come_back(visit: Visit) -> Answered {
    visit.account()?;
    Ok(visit.go_on(HERE))
}

async fn show_set_up(visit: Visit) -> Answered {
    let account = visit.account()?;
    if visit.factors().codes {
        return Ok(visit.go_on(HERE));
    }
    visit.fresh(&visit.here())?;
    visit.guarded(&visit.here())?;
    set_up_page(&visit, account, StatusCode::OK, None)
}

fn set_up_page(
    visit: &Visit,
    account: &Account,
    status: StatusCode,
    problem: Option<CodeProblem>,
) -> Answered {
    let Some(session) = visit.session() else {
        return Err(visit.problem(StatusCode::FORBIDDEN));
    };
    let set_up = visit.state.second_factors.set_up(account, &session.id);
    let picture = Qr::of(&set_up.address).map(|qr| qr.svg("The secret as a picture"));
    let site = visit.site();
    let page = CodesSetUp {
        shell: visit.viewer(account).bar(&site, Tab::Account),
        site,
        picture,
        groups: set_up
            .seed
            .as_bytes()
            .chunks(4)
            .map(|group| String::from_utf8_lossy(group).into_owned())
            .collect(),
        problem,
    };
    Ok(visit.page_with(status, &page))
}

async fn confirm(visit: Visit, Form(form): Form<Confirming>) -> Answered {
    let account = visit.guarded_form(&form.csrf_token, "/account/security/codes")?;
    let Some(session) = visit.session() else {
        return Err(visit.problem(StatusCode::FORBIDDEN));
    };
    let factors = &visit.state.second_factors;
    match factors.confirm(account, &session.id, &form.code).await {
        Ok(codes) => {
            let sessions = &visit.state.sessions;
            let alone = sessions.go_on_alone(&account.id, &session.id, true).await;
            let cookie = alone.map_err(|failure| visit.failed(&failure))?;
            visit.tell(&account.id, Letter::CodesOn).await;
            let page = recovery_page(&visit, account, &codes, true);
            Ok(with_cookie(page, cookie))
        }
        Err(CodeError::Already) => Ok(visit.go_on(HERE)),
        Err(CodeError::TooMany(wait)) => {
            let minutes = wait.minutes();
            let problem = Some(CodeProblem::TooMany { minutes });
            let page = set_up_page(&visit, account, StatusCode::TOO_MANY_REQUESTS, problem)?;
            Ok(retry_after(page, wait))
        }
        Err(CodeError::Wrong) => {
            let problem = Some(CodeProblem::Wrong);
            set_up_page(&visit, account, StatusCode::FORBIDDEN, problem)
        }
        Err(CodeError::Store(failure)) => Err(visit.failed(&failure)),
        Err(CodeError::Sealed) => Err(visit.problem(StatusCode::INTERNAL_SERVER_ERROR)),
    }
}

/// The codes as they are shown, once.
fn recovery_page(
    visit: &Visit,
    account: &Account,
    codes: &[RecoveryCode],
    just_on: bool,
) -> Response {
    let site = visit.site();
    visit.page(&RecoveryCodes {
        shell: visit.viewer(account).bar(&site, Tab::Account),
        site,
        just_on,
        codes: codes.iter().map(|code| code.shown().to_string()).collect(),
    })
}

async fn ask_off(visit: Visit) -> Answered {
    let account = visit.account()?;
    if !visit.factors().codes {
        return Ok(visit.go_on(HERE));
    }
    visit.fresh(&visit.here())?;
    visit.guarded(&visit.here())?;
    let site = visit.site();
    Ok(visit.page(&CodesOff {
        shell: visit.viewer(account).bar(&site, Tab::Account),
        site,
    }))
}

async fn switch_off(visit: Visit, Form(form): Form<Bare>) -> Answered {
    let account = visit.guarded_form(&form.csrf_token, "/account/security/codes/off")?;
    let removed = visit.state.second_factors.remove(&account.id).await;
    // A second click finds it done.
    if !removed.map_err(|failure| visit.failed(&failure))? {
        return Ok(visit.go_on(HERE));
    }
    let cookie = alone(&visit, account).await?;
    visit.tell(&account.id, Letter::CodesOff).await;
    let answer = visit.go_on("/account/security?done=off");
    Ok(with_cookie(answer, cookie))
}

/// This browser goes on, all others are signed out.
pub(crate) async fn alone(visit: &Visit, account: &Account) -> Result<http::HeaderValue, Response> {
    let Some(session) = visit.session() else {
        return Err(visit.problem(StatusCode::FORBIDDEN));
    };
    let sessions = &visit.state.sessions;
    let alone = sessions.go_on_alone(&account.id, &session.id, false).await;
    alone.map_err(|failure| visit.failed(&failure))
}

async fn make_recovery_codes(visit: Visit, Form(form): Form<Bare>) -> Answered {
    let account = visit.guarded_form(&form.csrf_token, HERE)?;
    let made = visit.state.second_factors.new_recovery_codes(&account.id);
    let made = made.await.map_err(|failure| visit.failed(&failure))?;
    let Some(codes) = made else {
        return Ok(visit.go_on(HERE));
    };
    visit.tell(&account.id, Letter::RecoveryCodesMade).await;
    Ok(recovery_page(&visit, account, &codes, false))
}

async fn remove_passkey(visit: Visit, Form(form): Form<Removing>) -> Answered {
    let account = visit.guarded_form(&form.csrf_token, HERE)?;
    // One that is gone already, or is somebody else's, is none of theirs.
    let Ok(id) = form.passkey.parse::<PasskeyId>() else {
        return Ok(visit.go_on(HERE));
    };
    let removed = visit.state.passkeys.remove(&account.id, &id).await;
    let Some(name) = removed.map_err(|failure| visit.failed(&failure))? else {
        return Ok(visit.go_on(HERE));
    };
    let cookie = alone(&visit, account).await?;
    let letter = Letter::PasskeyRemoved { name };
    visit.tell(&account.id, letter).await;
    let answer = visit.go_on("/account/security?done=passkey-removed");
    Ok(with_cookie(answer, cookie))
}
