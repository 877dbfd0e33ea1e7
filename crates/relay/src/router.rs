//! Sorts requests by their authority: edge, web origin, or nobody's.

use http::{Request, Response, StatusCode};
use latchkey_net::authority::Authority;
use latchkey_net::body::{self, Body};
use latchkey_net::client_addr::Scheme;
use latchkey_net::gate::Rejection;
use latchkey_net::listen::{Call, Handler};
use latchkey_web::error_page;
use latchkey_web::metrics::Class;
use latchkey_web::problem::Problem;

use crate::edge::Edge;
use crate::web_origin::WebOrigin;

/// The handler of the listener for everybody.
#[derive(Clone)]
pub(crate) struct Router {
    pub(crate) edge: Edge,
    pub(crate) web_origin: WebOrigin,
}

/// Whose request it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Destination<'a> {
    /// A hostname under the connection domain; its first label.
    Edge(&'a str),
    WebOrigin,
    Nobody,
}

/// Decides by host names alone: ports are the operator's port mapping, not identity.
pub(crate) fn destination<'a>(
    asked: &'a Authority,
    public: &Authority,
    domain: &Authority,
) -> Destination<'a> {
    if asked.host() == public.host() {
        return Destination::WebOrigin;
    }
    let label = asked
        .host()
        .strip_suffix(domain.host())
        .and_then(|rest| rest.strip_suffix('.'))
        .filter(|label| !label.is_empty() && !label.contains('.'));
    label.map_or(Destination::Nobody, Destination::Edge)
}

impl Handler for Router {
    async fn handle(&self, request: Request<Body>, call: Call) -> Response<Body> {
        let config = self.edge.config();
        let authority = call.authority.clone();
        // A certificate for many names lets a client reuse one connection for all of
        // them. One connection is one printer here: the client may open another.
        if !is_named_in_handshake(&call) {
            return self.misdirected(&request, &call);
        }
        if config.expects_https_in_front() && !came_by_https(&call) {
            return self.plain_http(&request, &call);
        }
        let public = config.public_url.authority();
        match destination(&authority, public, &config.connection_domain) {
            Destination::Edge(label) => self.edge.answer(label, request, call).await,
            Destination::WebOrigin => self.web_origin.answer(request, call).await,
            Destination::Nobody => self.misdirected(&request, &call),
        }
    }

    fn refuse(&self, rejection: Rejection) -> Response<Body> {
        Problem::malformed(rejection.status(), rejection.sentence())
            .json()
            .map(body::full)
    }
}

impl Router {
    /// Whatever came in the clear has been read by others: it must not seem to work.
    fn plain_http(&self, request: &Request<Body>, call: &Call) -> Response<Body> {
        let line = self.edge.line(request, call, Class::Unknown);
        let problem = Problem::new(
            StatusCode::FORBIDDEN,
            "https_needed",
            "This address is used with https only. What was sent in the clear should be changed.",
        );
        let response = problem.request_id(line.request_id()).json();
        line.follow(response.map(body::full)).map(body::boxed)
    }

    pub(crate) fn misdirected(&self, request: &Request<Body>, call: &Call) -> Response<Body> {
        let line = self.edge.line(request, call, Class::Unknown);
        let relay_url = self.edge.config().public_url.to_string();
        let response = error_page::misdirected(
            &relay_url,
            line.request_id(),
            request.headers(),
            request.method(),
        );
        line.follow(response.map(body::full)).map(body::boxed)
    }
}

/// Whether the TLS handshake, if there was one with a name, named the same host.
pub(crate) fn is_named_in_handshake(call: &Call) -> bool {
    call.server_name
        .as_ref()
        .is_none_or(|name| name.eq_ignore_ascii_case(call.authority.host()))
}

/// Whether a proxy that ends TLS says, or at least does not deny, that it did.
fn came_by_https(call: &Call) -> bool {
    call.caller.vouched && call.caller.said_scheme != Some(Scheme::Http)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_belongs_to_one_destination() {
        let public: Authority = "relay.example.com".parse().unwrap();
        let domain: Authority = "printers.example.net:8443".parse().unwrap();
        for (host, expected) in [
            ("relay.example.com", Destination::WebOrigin),
            ("RELAY.example.com.:443", Destination::WebOrigin),
            ("app-abc.printers.example.net", Destination::Edge("app-abc")),
            (
                "App-ABC.printers.example.net:8443",
                Destination::Edge("app-abc"),
            ),
            (
                "app-abc.printers.example.net.",
                Destination::Edge("app-abc"),
            ),
            ("printers.example.net", Destination::Nobody),
            ("a.b.printers.example.net", Destination::Nobody),
            ("app-abcprinters.example.net", Destination::Nobody),
            ("printers.example.net.evil.example", Destination::Nobody),
            ("x.relay.example.com", Destination::Nobody),
            ("127.0.0.1", Destination::Nobody),
        ] {
            let asked: Authority = host.parse().unwrap();
            assert_eq!(destination(&asked, &public, &domain), expected, "{host}");
        }
    }

    #[test]
    fn one_name_can_be_both_web_origin_and_connection_domain() {
        let both: Authority = "localhost:7010".parse().unwrap();
        for (host, expected) in [
            ("localhost:7010", Destination::WebOrigin),
            ("app-x.localhost:7010", Destination::Edge("app-x")),
        ] {
            let asked: Authority = host.parse().unwrap();
            assert_eq!(destination(&asked, &both, &both), expected, "{host}");
        }
    }
}
