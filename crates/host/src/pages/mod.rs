//! The host's own pages, under `/latchkey/`.
//!
//! With `authority: host` they are for people who signed in, at home and away ([`http`]). With
//! `authority: upstream` the host knows nobody: at home it says what it is, and away every path
//! is the printer's.

pub(crate) mod http;
pub mod views;
pub(crate) mod visit;

use std::sync::Arc;

use ::http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use ::http::{HeaderValue, Method, Request, Response, StatusCode};
use askama::Template;
use latchkey_net::body::{self, Body};
use latchkey_net::tunnel::DialState;
use latchkey_web::landing::{HostLanding, RelayLink, Upstream};
use latchkey_web::problem::Problem;
use latchkey_web::{assets, security_headers};

use crate::config::{PAGES, below};
use crate::relay::RelayLink as Relay;
use crate::service::Inbound;
use crate::upstream::probe::Trust;

/// What the pages tell.
#[derive(Clone)]
pub(crate) struct Pages {
    pub(crate) name: Arc<str>,
    pub(crate) relay: Relay,
    pub(crate) upstream_kind: &'static str,
    pub(crate) trust: Trust,
    /// The path of the first camera's server.
    pub(crate) webcam: Option<Arc<str>>,
}

impl Pages {
    /// The answer to a request for one of our own paths, `None` for all others.
    pub(crate) fn answer(
        &self,
        request: &Request<Body>,
        inbound: &Inbound,
    ) -> Option<Response<Body>> {
        let path = request.uri().path();
        if path.eq_ignore_ascii_case(PAGES.trim_end_matches('/')) {
            return Some(to_landing());
        }
        let rest = below(path, PAGES)?;
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Some(problem(StatusCode::METHOD_NOT_ALLOWED));
        }
        Some(match rest {
            "" => self.landing(inbound),
            _ => asset(rest, request).unwrap_or_else(|| problem(StatusCode::NOT_FOUND)),
        })
    }

    /// A file of the pages: style, font, icons, scripts.
    pub(crate) fn asset(request: &Request<Body>) -> Option<Response<Body>> {
        let rest = below(request.uri().path(), PAGES)?;
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        reads.then(|| asset(rest, request)).flatten()
    }

    pub(crate) fn upstream(&self) -> Upstream {
        Upstream {
            kind: self.upstream_kind.to_owned(),
            answers: self.trust.answers(),
        }
    }

    /// Where the camera's moving picture is.
    pub(crate) fn camera(&self) -> Option<String> {
        let path = self.webcam.as_ref()?;
        Some(format!("{path}?action=stream"))
    }

    fn landing(&self, inbound: &Inbound) -> Response<Body> {
        let upstream = self.upstream();
        let page = HostLanding::new(
            &inbound.public_authority().to_string(),
            &self.name,
            self.relay_link(),
            upstream,
            env!("CARGO_PKG_VERSION"),
        );
        let html = page.render().expect("templates write to memory");
        let mut response = Response::new(body::full(html));
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        );
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        security_headers::apply(headers);
        response
    }

    pub(crate) fn relay_link(&self) -> RelayLink {
        let link = self.relay.link();
        let Some(relay) = link.relay.map(|name| name.to_string()) else {
            return RelayLink::NotPaired;
        };
        match link.state {
            DialState::Connected { connections, .. } => RelayLink::Connected { relay, connections },
            DialState::Waiting { unpaired: true, .. } => RelayLink::Unknown { relay },
            _ => RelayLink::Away { relay },
        }
    }
}

fn to_landing() -> Response<Body> {
    let mut response = Response::new(body::empty());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    let location = HeaderValue::from_static(PAGES);
    response.headers_mut().insert(LOCATION, location);
    response
}

fn asset(rest: &str, request: &Request<Body>) -> Option<Response<Body>> {
    let (hash, name) = rest.strip_prefix("assets/")?.split_once('/')?;
    assets::find(hash, name, request.headers()).map(|found| found.map(body::full))
}

fn problem(status: StatusCode) -> Response<Body> {
    Problem::from_status(status).json().map(body::full)
}
