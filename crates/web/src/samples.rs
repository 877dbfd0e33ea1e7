//! Every page of this crate with sample facts, by name.
//!
//! Tests render them all; the example `parts` writes them to files.

use askama::Template;
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use latchkey_model::clock::Timestamp;
use latchkey_model::limit::Limit;

use crate::{
    error_page::{self, RelayProblem, RelayStatus},
    landing::{HostLanding, RelayLanding, RelayLink, Upstream},
    moment::Moment,
    parts::PartsPage,
    problem::Problem,
    returned::Returned,
    shell::Place,
};

const RELAY: &str = "https://relay.example.net";
const ID: &str = "9e3779b97f4a7c15";

/// Name and HTML of each.
pub fn all() -> Vec<(String, String)> {
    let mut pages = edge();
    pages.extend(problems());
    pages.extend(landings());
    pages.extend(returned());
    pages.push(("parts".into(), render(&PartsPage::default())));
    pages
}

fn edge() -> Vec<(String, String)> {
    let mut headers = HeaderMap::new();
    headers.insert("sec-fetch-mode", HeaderValue::from_static("navigate"));
    let answer =
        |problem: &RelayProblem| text(error_page::respond(problem, &headers, &Method::GET).body());
    let mut pages: Vec<_> = RelayStatus::ALL
        .into_iter()
        .map(|status| {
            (
                status.code().to_string(),
                answer(&RelayProblem::new(status, RELAY, ID)),
            )
        })
        .collect();
    let named = RelayProblem {
        printer_name: Some("Garage Voron".into()),
        last_seen: Some(Moment {
            at: Timestamp::from_millis(1_760_000_000_000),
            now: Timestamp::from_millis(1_760_000_360_000),
        }),
        ..RelayProblem::new(RelayStatus::NotConnected, RELAY, ID)
    };
    pages.push(("601-named".into(), answer(&named)));
    let long = RelayProblem {
        printer_name: Some("Clubhouse<script>large-format_CoreXY(left-bench,do-not-touch)".into()),
        ..RelayProblem::new(
            RelayStatus::NotConnected,
            "http://a-rather-long-relay-name.example.net:8080",
            ID,
        )
    };
    pages.push(("601-long".into(), answer(&long)));
    for limit in [Limit::Month, Limit::WebcamStreams] {
        let limited = RelayProblem {
            sentence: limit.sentence(),
            is_limit: true,
            ..RelayProblem::new(limit.status(), RELAY, ID)
        };
        let name = format!("{}-limit", limit.status().code());
        pages.push((name, answer(&limited)));
    }
    let lost = error_page::misdirected(RELAY, ID, &headers, &Method::GET);
    pages.push(("421".into(), text(lost.body())));
    pages
}

fn problems() -> Vec<(String, String)> {
    let place = Place::host("octopi.local");
    [
        400, 401, 403, 404, 405, 408, 409, 413, 415, 421, 429, 431, 500, 502, 503, 504,
    ]
    .into_iter()
    .filter_map(|code| StatusCode::from_u16(code).ok())
    .map(|status| {
        let mut problem = Problem::from_status(status);
        if status.is_server_error() {
            problem = problem.request_id(ID);
        }
        (
            // An edge page has the bare name 421.
            format!("own-{}", status.as_str()),
            text(problem.page(&place, "/latchkey/").body()),
        )
    })
    .collect()
}

fn landings() -> Vec<(String, String)> {
    let octoprint = |answers| Upstream {
        kind: "OctoPrint".into(),
        answers,
    };
    let relay = || "relay.example.net".to_owned();
    let host = |link, answers| {
        render(&HostLanding::new(
            "octopi.local",
            "Garage Voron",
            link,
            octoprint(answers),
            "0.1.0",
        ))
    };
    vec![
        (
            "landing-relay".into(),
            render(&RelayLanding::new("relay.example.net", true, "0.1.0")),
        ),
        (
            "landing-relay-closed".into(),
            render(&RelayLanding::new("relay.example.net", false, "0.1.0")),
        ),
        (
            "landing-host".into(),
            host(
                RelayLink::Connected {
                    relay: relay(),
                    connections: 2,
                },
                true,
            ),
        ),
        (
            "landing-host-away".into(),
            host(RelayLink::Away { relay: relay() }, false),
        ),
        (
            "landing-host-unknown".into(),
            host(RelayLink::Unknown { relay: relay() }, true),
        ),
        (
            "landing-host-alone".into(),
            host(RelayLink::NotPaired, true),
        ),
    ]
}

fn returned() -> Vec<(String, String)> {
    Returned::ALL
        .into_iter()
        .map(|page| {
            let name = format!("returned-{page:?}").to_lowercase();
            (name, text(page.respond().body()))
        })
        .collect()
}

fn render(page: &impl Template) -> String {
    page.render().expect("templates write to memory")
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}

#[cfg(test)]
mod tests;
