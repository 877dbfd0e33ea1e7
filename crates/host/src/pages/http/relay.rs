//! The relay, for administrators: how it stands, pairing and unpairing.

use axum::Form;
use axum::response::Response;
use http::header::REFRESH;
use http::{HeaderValue, StatusCode};
use latchkey_model::clock::Timestamp;
use latchkey_model::user::User;
use latchkey_net::tunnel::{DialState, relay_name};
use latchkey_web::qr::Qr;
use serde::Deserialize;
use url::Url;

use crate::pages::views::{
    CodeEnd, RelayCode, RelayPage, RelayProblem, RelayStanding, Tab, Unpair,
};
use crate::pages::visit::{Answered, Visit};
use crate::relay::pairing::{Progress, Shown};

const PAGE: &str = "/latchkey/relay";
/// How often a page with a code looks how it went.
const LOOK_AGAIN: HeaderValue = HeaderValue::from_static("5");

#[derive(Deserialize)]
pub(super) struct Fields {
    #[serde(default)]
    url: String,
    #[serde(default)]
    csrf_token: String,
}

pub(super) async fn show(visit: Visit) -> Answered {
    let admin = visit.administrator()?;
    let page = page(&visit, admin, None, None);
    let goes_on = page.code.is_some();
    let mut answer = visit.page(&page);
    if goes_on {
        answer.headers_mut().insert(REFRESH, LOOK_AGAIN);
    }
    Ok(answer)
}

pub(super) async fn start(visit: Visit, Form(fields): Form<Fields>) -> Answered {
    let admin = visit.administrators_form(&fields.csrf_token, PAGE)?;
    let relay = &visit.authority.pages.relay;
    let url = match relay.configured() {
        Some(configured) => Some(configured.url.clone()),
        None => read_address(&fields.url),
    };
    let Some(url) = url else {
        return Ok(wrong(&visit, admin, &fields.url, RelayProblem::Address));
    };
    match relay.start_pairing(url, admin.name.clone()).await {
        Ok(()) => Ok(visit.go_on(PAGE)),
        Err(error) => {
            let why = error.to_string();
            Ok(wrong(
                &visit,
                admin,
                &fields.url,
                RelayProblem::Declined(why),
            ))
        }
    }
}

pub(super) async fn stop(visit: Visit, Form(fields): Form<Fields>) -> Answered {
    visit.administrator()?;
    visit.own_form(&fields.csrf_token)?;
    visit.authority.pages.relay.stop_pairing();
    Ok(visit.go_on(PAGE))
}

pub(super) async fn ask_to_unpair(visit: Visit) -> Answered {
    let admin = visit.administrator()?;
    let Some(relay) = visit.authority.pages.relay.link().relay else {
        return Ok(visit.go_on(PAGE));
    };
    let (site, viewer) = (visit.site(), visit.viewer(admin));
    Ok(visit.page(&Unpair {
        shell: viewer.bar(&site, Tab::Relay),
        site,
        viewer,
        relay: relay.to_string(),
    }))
}

pub(super) async fn unpair(visit: Visit, Form(fields): Form<Fields>) -> Answered {
    visit.administrators_form(&fields.csrf_token, "/latchkey/relay/unpair")?;
    let relay = &visit.authority.pages.relay;
    // A second click has nothing to leave.
    if relay.target().is_some()
        && let Err(error) = relay.unpair().await
    {
        tracing::error!(%error, "leaving the relay could not be kept");
        return Ok(visit.problem(StatusCode::INTERNAL_SERVER_ERROR));
    }
    Ok(visit.go_on(PAGE))
}

fn wrong(visit: &Visit, admin: &User, typed: &str, problem: RelayProblem) -> Response {
    let page = page(visit, admin, Some(typed), Some(problem));
    visit.page_with(StatusCode::BAD_REQUEST, &page)
}

fn page(
    visit: &Visit,
    admin: &User,
    typed: Option<&str>,
    problem: Option<RelayProblem>,
) -> RelayPage {
    let relay = &visit.authority.pages.relay;
    let (site, viewer) = (visit.site(), visit.viewer(admin));
    let (kept, target) = (relay.kept(), relay.target());
    let configured = relay.configured();
    let (code, ended) = match relay.pairing() {
        Some((shown, Progress::Waiting)) => (Some(code(visit, &shown)), None),
        Some((_, Progress::Confirmed)) => (None, Some(CodeEnd::Confirmed)),
        Some((_, Progress::Refused)) => (None, Some(CodeEnd::Refused)),
        Some((_, Progress::Expired)) => (None, Some(CodeEnd::Expired)),
        Some((_, Progress::NotKept)) => (None, Some(CodeEnd::NotKept)),
        None => (None, None),
    };
    let address = configured.or(target.as_ref()).map(|relay| &relay.url);
    let address = address.map(|url| url.as_str().trim_end_matches('/').to_owned());
    RelayPage {
        shell: viewer.bar(&site, Tab::Relay),
        site,
        viewer,
        standing: standing(visit),
        account: kept.account,
        confirmed: kept
            .confirmed_at
            .map(|at| visit.moment(Timestamp::from_millis(at))),
        printer: kept.printer,
        by: kept.by,
        code: code.filter(|_| problem.is_none()),
        ended,
        url: typed.map_or(address.unwrap_or_default(), |typed| {
            typed.chars().take(300).collect()
        }),
        configured: configured.is_some(),
        problem,
    }
}

fn standing(visit: &Visit) -> RelayStanding {
    let link = visit.authority.pages.relay.link();
    let Some(relay) = link.relay.map(|name| name.to_string()) else {
        return RelayStanding::None;
    };
    match link.state {
        DialState::Connected {
            since, connections, ..
        } => RelayStanding::Connected {
            relay,
            connections,
            minutes: since.elapsed().as_secs() / 60,
        },
        DialState::Waiting { unpaired: true, .. } => RelayStanding::Unpaired { relay },
        DialState::Waiting { why, .. } => RelayStanding::Away {
            relay,
            why: Some(why),
        },
        _ => RelayStanding::Away { relay, why: None },
    }
}

fn code(visit: &Visit, shown: &Shown) -> RelayCode {
    let left = shown.expires.since(visit.authority.clock.now()).as_secs();
    let picture = Qr::of(&shown.link).map(|qr| qr.svg("The same as a picture, for your phone"));
    RelayCode {
        relay: shown.relay.clone(),
        code: shown.code.clone(),
        link: shown.link.clone(),
        page: shown.page.clone(),
        picture,
        minutes: left / 60,
        seconds: left % 60,
    }
}

/// A relay's address as people type it, often without the scheme.
fn read_address(typed: &str) -> Option<Url> {
    let typed = typed.trim();
    let whole = if typed.contains("://") {
        typed.to_owned()
    } else {
        format!("https://{typed}")
    };
    let url: Url = whole.parse().ok()?;
    relay_name(&url).ok().map(|_| url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_type_them() {
        for (typed, read) in [
            ("relay.example.com", Some("https://relay.example.com/")),
            (
                " https://relay.example.com/ ",
                Some("https://relay.example.com/"),
            ),
            ("localhost:7010", Some("https://localhost:7010/")),
            ("http://localhost:7010", Some("http://localhost:7010/")),
            ("relay.example.com/pair", None),
            ("https://u:p@relay.example.com", None),
            ("ftp://relay.example.com", None),
            ("", None),
        ] {
            let url = read_address(typed);
            assert_eq!(url.as_ref().map(Url::as_str), read, "{typed}");
        }
    }
}
