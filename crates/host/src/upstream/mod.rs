//! The proxy towards the printer's own server and its cameras.

mod cameras;
pub(crate) mod credentials;
pub(crate) mod crowds;
pub(crate) mod headers;
pub(crate) mod probe;
mod refusals;
pub(crate) mod routes;
mod settings;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use latchkey_model::access::Access;
use latchkey_net::body::{self, Body};
use latchkey_net::proxy::cut::cut;
use latchkey_net::proxy::failure::HostFailure;
use latchkey_net::proxy::patience::{Observed, Progress};
use latchkey_net::proxy::splice::Copied;

use self::cameras::Cameras;
use self::crowds::{Crowds, Turn};
use self::headers::RequestPolicy;
use self::probe::Trust;
use self::routes::{Route, Routes, Target};
use crate::authority::endings::Hold;
use crate::authority::{Admission, access};
use crate::config::{ClientAddress, Config, UpstreamKind};
use crate::service::Inbound;

const SEC_WEBSOCKET_KEY: HeaderName = HeaderName::from_static("sec-websocket-key");
const SEC_WEBSOCKET_VERSION: HeaderName = HeaderName::from_static("sec-websocket-version");

/// Connections to each server that are kept at least.
const IDLE: usize = 32;
/// hyper's default lets one stalled stream hold megabytes; measured in
/// `docs/decisions`, 64 KiB costs nothing.
const READ_BUFFER: usize = 64 * 1024;

/// What became of a request.
pub(crate) enum Answer {
    /// An ordinary answer, also to a refused upgrade.
    Plain(Response<Body>),
    /// The upstream switched to a WebSocket: its fields, the socket to come, what it ends with, and
    /// the turn that it has.
    WebSocket(HeaderMap, OnUpgrade, Option<Hold>, Option<Turn>),
    /// A WebSocket that the host itself serves: the answer's fields, and what to do with
    /// the socket once it is there.
    OwnSocket(HeaderMap, ServeSocket),
}

/// Serves a socket to its end; `None` if it never came.
pub(crate) type ServeSocket =
    Box<dyn FnOnce(OnUpgrade) -> BoxFuture<'static, Option<Copied>> + Send>;

/// The servers behind this host.
#[derive(Clone)]
pub(crate) struct Upstream {
    shared: Arc<Shared>,
    client: Client<HttpConnector, Body>,
    /// Never uses a connection twice.
    fresh: Client<HttpConnector, Body>,
}

struct Shared {
    config: Config,
    routes: Routes,
    trust: Trust,
    crowds: Crowds,
    cameras: Cameras,
}

impl Upstream {
    pub(crate) fn new(config: Config, trust: Trust) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(config.timeouts.connect));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(20))
            // As many as may be at work: one that is closed is opened again for the next request.
            .pool_max_idle_per_host(config.upstream.load.max_concurrent.max(IDLE))
            .set_host(false)
            .http1_max_buf_size(READ_BUFFER)
            .build(connector.clone());
        let fresh = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .set_host(false)
            .http1_max_buf_size(READ_BUFFER)
            .build(connector);
        let routes = Routes::new(&config);
        Self {
            shared: Arc::new(Shared {
                crowds: Crowds::new(config.upstream.load),
                config,
                routes,
                trust,
                cameras: Cameras::default(),
            }),
            client,
            fresh,
        }
    }

    /// Which API the printer's server speaks.
    pub(crate) fn kind(&self) -> UpstreamKind {
        self.shared.config.upstream.kind
    }

    /// Passes a request on and awaits the head of the answer. Both bodies, and the waiting, end
    /// when the caller's key or session does.
    pub(crate) async fn pass(
        &self,
        request: Request<Body>,
        inbound: &Inbound,
        admission: &Admission,
    ) -> Result<Answer, HostFailure> {
        let Admission::Upto(_, Some(hold)) = admission else {
            return self.pass_on(request, inbound, admission).await;
        };
        let held = |body| cut(body, hold.clone(), ());
        let outcome = tokio::select! {
            biased;
            () = hold.clone().until_ended() => return Ok(Answer::Plain(refusals::ended())),
            outcome = self.pass_on(request.map(held), inbound, admission) => outcome,
        };
        outcome.map(|answer| match answer {
            Answer::Plain(response) => Answer::Plain(response.map(held)),
            Answer::WebSocket(fields, socket, _, turn) => {
                Answer::WebSocket(fields, socket, Some(hold.clone()), turn)
            }
            own @ Answer::OwnSocket(..) => own,
        })
    }

    async fn pass_on(
        &self,
        request: Request<Body>,
        inbound: &Inbound,
        admission: &Admission,
    ) -> Result<Answer, HostFailure> {
        let path = request.uri().path().to_owned();
        let route = self.shared.routes.find(&path);
        if let Some(level) = self.level(admission, inbound, &request)
            && let Some(refusal) = self.refusal(&request, inbound, &route, level)
        {
            return Ok(Answer::Plain(refusal));
        }
        if let Some(wish) = self.wish(&request, inbound, &route, admission)
            && let Some(answer) = self.share(wish, inbound, &route, admission).await?
        {
            return Ok(answer);
        }
        let blank = self.tells_secrets(&request, &route, admission, inbound);
        let is_head = request.method() == Method::HEAD;
        let (parts, body) = request.into_parts();
        let mut parts = self.prepare(parts, inbound, &route, admission)?;
        if blank {
            settings::ask_readably(&mut parts.headers);
        }
        let turn = self.shared.crowds.enter(route.target, inbound).await?;
        let response = self.send(parts, body).await?;
        let answer = match self.returned(response, inbound, &route, admission) {
            Answer::Plain(response) if blank => {
                let limit = self.shared.config.timeouts.first_byte;
                Answer::Plain(settings::blanked(response, is_head, limit).await)
            }
            answer => answer,
        };
        crowds::keep(answer, turn)
    }

    /// Whether the server answers what is not the caller's to see: by the host's credential, or keys
    /// of people to an app that may only look.
    fn tells_secrets(
        &self,
        request: &Request<Body>,
        route: &Route<'_>,
        admission: &Admission,
        inbound: &Inbound,
    ) -> bool {
        let shows = inbound.door.only_shows();
        let (kind, path) = (self.kind(), request.uri().path());
        let is_below_admin = match admission {
            Admission::Upto(level, _) => shows || *level < Access::Admin,
            // What a person reads with their own rights there is not for an app that may look.
            Admission::Untouched => shows,
        };
        let signs_in = || {
            matches!(admission, Admission::Untouched)
                && kind == UpstreamKind::OctoPrint
                && request.method() == Method::POST
                && path == LOGIN
        };
        is_below_admin
            && route.target == Target::Printer
            && (access::is_settings(kind, path) || signs_in())
    }

    /// How far a request may go here, if that is the host's to say. Through an app connection that
    /// only shows the printer nobody gets further, whoever else judges: one rule set for both
    /// authorities.
    fn level(
        &self,
        admission: &Admission,
        inbound: &Inbound,
        request: &Request<Body>,
    ) -> Option<Access> {
        let limit = inbound.door.only_shows().then_some(Access::View);
        match admission {
            Admission::Upto(level, _) => Some(limit.map_or(*level, |limit| limit.min(*level))),
            Admission::Untouched if is_signing_in(self.kind(), inbound.websocket, request) => None,
            Admission::Untouched => limit,
        }
    }

    /// What a caller is told who may not go as far as the request needs.
    fn refusal(
        &self,
        request: &Request<Body>,
        inbound: &Inbound,
        route: &Route<'_>,
        level: Access,
    ) -> Option<Response<Body>> {
        let (method, uri) = (request.method(), request.uri());
        // A server that answers TRACE shows what it was sent, the host's credential too.
        if method == Method::TRACE {
            return Some(refusals::no_trace());
        }
        let needed = self.needed(method, uri, route, inbound.websocket);
        (needed > level).then(|| refusals::too_little(needed))
    }

    /// How far a caller has to be let in for a request.
    fn needed(&self, method: &Method, uri: &Uri, route: &Route<'_>, socket: bool) -> Access {
        // A WebSocket over HTTP/2 is a CONNECT here and a GET at the server.
        let method = if socket { &Method::GET } else { method };
        match route.target {
            Target::Webcam => access::needed_at_camera(method, uri.query(), socket),
            Target::Printer => {
                let kind = self.shared.config.upstream.kind;
                access::needed(kind, method, uri.path(), uri.query(), socket)
            }
        }
    }

    /// The request as the upstream is to see it.
    fn prepare(
        &self,
        mut parts: Parts,
        inbound: &Inbound,
        route: &Route<'_>,
        admission: &Admission,
    ) -> Result<Parts, HostFailure> {
        let config = &self.shared.config;
        let kind = config.upstream.kind;
        RequestPolicy {
            kind,
            inbound,
            route,
            forward_address: self.forwards_address(),
            admission,
            credential: config.upstream.credential.as_ref(),
        }
        .apply(&mut parts.headers);
        let path = parts.uri.path_and_query().map_or("/", |p| p.as_str());
        let path = match admission {
            Admission::Upto(..) => credentials::remove_from_target(kind, path),
            Admission::Untouched => path.into(),
        };
        parts.uri = Uri::builder()
            .scheme("http")
            .authority(route.address.authority().to_string())
            .path_and_query(route.path_at_server(&path))
            .build()
            .map_err(|_| HostFailure::Broken)?;
        parts.version = Version::HTTP_11;
        // What the inner hops attached means nothing outside.
        parts.extensions = http::Extensions::new();
        if inbound.websocket {
            ask_for_websocket(&mut parts, inbound);
        }
        Ok(parts)
    }

    fn forwards_address(&self) -> bool {
        match self.shared.config.client_address {
            ClientAddress::Forward => true,
            ClientAddress::Hide => false,
            ClientAddress::Auto => self.shared.trust.must_forward(),
        }
    }

    async fn send(&self, mut parts: Parts, body: Body) -> Result<Response<Incoming>, HostFailure> {
        let limit = self.shared.config.timeouts.first_byte;
        let progress = Progress::start();
        // A pooled connection may be closed by the upstream just as it is used, and after a restart
        // of it all of them are. Reading again does no harm, and nothing of a body can be lost, for
        // there is none.
        let spare = (matches!(parts.method, Method::GET | Method::HEAD)
            && hyper::body::Body::is_end_stream(&body))
        .then(|| parts.clone());
        frame(&mut parts, &body);
        let body = body::boxed(Observed::new(body, progress.clone()));
        let first = self.client.request(Request::from_parts(parts, body));
        let mut outcome = progress.within(limit, first).await;
        if let (Some(Err(error)), Some(parts)) = (&outcome, spare)
            && is_broken_off(error)
        {
            let again = self
                .fresh
                .request(Request::from_parts(parts, body::empty()));
            outcome = progress.within(limit, again).await;
        }
        match outcome {
            None => Err(HostFailure::TimedOut),
            Some(Ok(response)) => Ok(response),
            Some(Err(_)) if progress.is_caller_too_slow() => Err(HostFailure::CallerTooSlow),
            Some(Err(error)) => Err(classify(&error)),
        }
    }

    fn returned(
        &self,
        mut response: Response<Incoming>,
        inbound: &Inbound,
        route: &Route<'_>,
        admission: &Admission,
    ) -> Answer {
        let switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        let is_websocket = inbound.websocket
            && response
                .headers()
                .get(UPGRADE)
                .is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"));
        let routes = &self.shared.routes;
        headers::apply_to_response(response.headers_mut(), inbound, route, routes, admission);
        if switched && is_websocket {
            let socket = hyper::upgrade::on(&mut response);
            let fields = std::mem::take(response.headers_mut());
            return Answer::WebSocket(fields, socket, None, None);
        }
        if switched {
            // It switched to something nobody asked for; its bytes must go nowhere.
            return Answer::Plain(bad_gateway());
        }
        let (mut parts, incoming) = response.into_parts();
        parts.version = Version::default();
        parts.extensions = http::Extensions::new();
        Answer::Plain(Response::from_parts(parts, body::boxed(incoming)))
    }
}

const LOGIN: &str = "/api/login";

/// Whether somebody says who they are at an `OctoPrint` that keeps people and keys itself. An app
/// needs to do that to look, too. What it is told there opens nothing that is not judged here.
fn is_signing_in(kind: UpstreamKind, websocket: bool, request: &Request<Body>) -> bool {
    let method = request.method();
    kind == UpstreamKind::OctoPrint
        && !websocket
        && (access::is_reading(method) || method == Method::POST)
        && [LOGIN, "/api/logout", "/api/currentuser"].contains(&request.uri().path())
}

/// Names the framing of a body that hyper would leave out: it takes a `GET` for
/// bodiless unless a field says otherwise.
fn frame(parts: &mut Parts, body: &Body) {
    let unusual = matches!(parts.method, Method::GET | Method::HEAD);
    let streamed = !hyper::body::Body::is_end_stream(body)
        && hyper::body::Body::size_hint(body).exact().is_none();
    if unusual && streamed {
        let chunked = HeaderValue::from_static("chunked");
        parts.headers.insert(TRANSFER_ENCODING, chunked);
    }
}

fn bad_gateway() -> Response<Body> {
    let mut response = Response::new(body::empty());
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response
}

/// Turns either version's wish for a WebSocket into the one of HTTP/1.1.
fn ask_for_websocket(parts: &mut Parts, inbound: &Inbound) {
    parts.method = Method::GET;
    let headers = &mut parts.headers;
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    // A caller with HTTP/2 has no key (RFC 8441 section 5); the upstream needs one.
    // It guards against caches, not people, so it need not be secret.
    if !headers.contains_key(SEC_WEBSOCKET_KEY) {
        headers.insert(SEC_WEBSOCKET_KEY, inbound.websocket_key());
    }
    if !headers.contains_key(SEC_WEBSOCKET_VERSION) {
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    }
}

/// Whether a connection was closed or reset before there was an answer.
fn is_broken_off(error: &Error) -> bool {
    if error.is_connect() {
        return false;
    }
    causes(error).any(|cause| {
        let incomplete = cause.downcast_ref::<hyper::Error>();
        let reset = cause.downcast_ref::<io::Error>();
        incomplete.is_some_and(hyper::Error::is_incomplete_message)
            || reset.is_some_and(|error| {
                use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
                matches!(
                    error.kind(),
                    ConnectionReset | ConnectionAborted | BrokenPipe
                )
            })
    })
}

fn classify(error: &Error) -> HostFailure {
    if error.is_connect() {
        return HostFailure::Unreachable;
    }
    HostFailure::Broken
}

fn causes(error: &Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    let first: Option<&(dyn std::error::Error + 'static)> = Some(error);
    std::iter::successors(first, |error| error.source())
}

/// Reads and drops a small answer, for questions of our own.
async fn drain(response: Response<Incoming>) {
    let mut body = http_body_util::Limited::new(response.into_body(), 256 * 1024);
    while let Some(Ok(_)) = body.frame().await {}
}

#[cfg(test)]
mod tests;
