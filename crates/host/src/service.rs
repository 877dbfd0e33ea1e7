//! What happens to a request, whichever door it came in by.

use std::net::IpAddr;

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Request, Response};
use latchkey_model::access::KeyScope;
use latchkey_net::authority::Authority;
use latchkey_net::body::{self, Body};
use latchkey_net::client_addr::Scheme;
use latchkey_net::proxy::failure::HostFailure;
use latchkey_web::metrics::Class;

use crate::authority::owner::{Owner, owner_of};
use crate::authority::reception::Reception;
use crate::config::{COMMANDS, PAGES, below};
use crate::upstream::{Answer, Upstream};
use crate::upstream_authority::UpstreamAuthority;

/// Unknown command, in the words of that interface.
const UNKNOWN_COMMAND: &str =
    r#"{"Status":754,"Error":"This host knows no such command.","IsUserError":true,"Result":null}"#;

/// A request's circumstances, as its door knows them.
#[derive(Debug, Clone)]
pub(crate) struct Inbound {
    pub(crate) door: Door,
    /// The caller's address.
    pub(crate) address: IpAddr,
    /// The scheme of the address the caller used.
    pub(crate) scheme: Scheme,
    /// Host and port the caller used.
    pub(crate) authority: Authority,
    /// The path below which a proxy shows this host, without a slash at its end; usually empty.
    pub(crate) prefix: String,
    /// Whether a WebSocket is asked for.
    pub(crate) websocket: bool,
    pub(crate) request_id: String,
}

/// Where a request came in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Door {
    /// The listener at home.
    Lan,
    /// The relay, on behalf of an app connection whose credentials it has checked.
    Tunnel {
        /// The app connection's id.
        app_connection: Option<String>,
        /// How far its owner lets it go, whoever calls through it.
        scope: KeyScope,
    },
}

impl Door {
    /// Whether nobody gets further than looking who comes in by it.
    pub(crate) fn only_shows(&self) -> bool {
        matches!(
            self,
            Self::Tunnel {
                scope: KeyScope::View,
                ..
            }
        )
    }
}

impl Inbound {
    /// The authority as URLs spell it: without the scheme's default port.
    pub(crate) fn public_authority(&self) -> Authority {
        self.authority
            .clone()
            .without_default_port(self.scheme.is_secure())
    }

    /// A `Sec-WebSocket-Key` for callers that have none: 16 bytes in base64.
    pub(crate) fn websocket_key(&self) -> HeaderValue {
        let mut seed = [b'0'; 16];
        for (place, byte) in seed.iter_mut().zip(self.request_id.bytes()) {
            *place = byte;
        }
        let key = data_encoding::BASE64.encode(&seed);
        HeaderValue::from_str(&key).expect("base64 is ASCII")
    }
}

/// The one service behind both doors.
#[derive(Clone)]
pub(crate) struct Service {
    upstream: Upstream,
    authority: ByWhom,
    /// Tried at the doors alone, without anybody to be known.
    #[cfg(test)]
    push: Option<crate::push::Push>,
}

/// Who judges callers.
#[derive(Clone)]
pub(crate) enum ByWhom {
    Host(Reception),
    Upstream(UpstreamAuthority),
}

impl Service {
    pub(crate) fn new(upstream: Upstream, authority: ByWhom) -> Self {
        Self {
            upstream,
            authority,
            #[cfg(test)]
            push: None,
        }
    }

    #[cfg(test)]
    pub(crate) fn with_push(self, push: crate::push::Push) -> Self {
        Self {
            push: Some(push),
            ..self
        }
    }

    /// Answers a request: reserved routes first, the upstream for all the rest.
    pub(crate) async fn answer(
        &self,
        request: Request<Body>,
        inbound: &Inbound,
    ) -> Result<Answer, HostFailure> {
        if below(request.uri().path(), COMMANDS).is_some() {
            return Ok(Answer::Plain(unknown_command()));
        }
        #[cfg(test)]
        if let Some(push) = &self.push {
            return Ok(push.answer(request, inbound).await);
        }
        let upstream = &self.upstream;
        match &self.authority {
            ByWhom::Host(reception) => reception.answer(request, inbound, upstream).await,
            ByWhom::Upstream(beside) => beside.answer(request, inbound, upstream).await,
        }
    }

    /// What is asked for pictures.
    pub(crate) fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// What kind of request it is, for log and metrics.
    pub(crate) fn class_of(&self, path: &str) -> Class {
        if let ByWhom::Upstream(beside) = &self.authority {
            return if beside.owns(path) {
                Class::Access
            } else {
                Class::Proxy
            };
        }
        match owner_of(path) {
            Owner::Host if below(path, PAGES).is_some() => Class::Page,
            Owner::Host => Class::Access,
            Owner::Nobody => Class::Unknown,
            Owner::Upstream => Class::Proxy,
        }
    }

    /// Whether the host's own pages are for people who sign in.
    pub(crate) fn knows_people(&self) -> bool {
        matches!(self.authority, ByWhom::Host(_))
    }
}

fn unknown_command() -> Response<Body> {
    let mut response = Response::new(body::full(UNKNOWN_COMMAND));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
