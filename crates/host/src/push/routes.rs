//! The paths of the push socket.

use std::sync::Arc;

use futures_util::FutureExt;
use http::header::{
    ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ALLOW,
    CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, ORIGIN, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{Method, Request, Response, StatusCode, Version};
use latchkey_model::chance::{Chance, SystemChance};
use latchkey_net::authority::Authority;
use latchkey_net::body::{self, Body};
use serde_json::json;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use url::Url;
use utoipa::ToSchema;

use super::framing::Framing;
use super::xhr::{self, Session, Way};
use super::{Shared, socket};
use crate::service::Inbound;
use crate::upstream::{Answer, headers};

pub(super) const ROOT: &str = "/sockjs";
const GREETING: &str = "Welcome to SockJS!\n";
const NEVER_STORED: &str = "no-store, no-cache, no-transform, must-revalidate, max-age=0";

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
enum Place<'p> {
    Greeting,
    Info,
    Socket(Framing),
    Receive(&'p str, Way),
    Send(&'p str),
}

fn place(path: &str) -> Option<Place<'_>> {
    let rest = path.strip_prefix(ROOT)?;
    match rest {
        "" | "/" => return Some(Place::Greeting),
        "/info" => return Some(Place::Info),
        "/websocket" => return Some(Place::Socket(Framing::Raw)),
        _ => {}
    }
    let mut parts = rest.strip_prefix('/')?.split('/');
    let (server, session, transport) = (parts.next()?, parts.next()?, parts.next()?);
    let is_name = |name: &str| !name.is_empty() && name.len() <= 128 && !name.contains('.');
    if parts.next().is_some() || !is_name(server) || !is_name(session) {
        return None;
    }
    Some(match transport {
        "websocket" => Place::Socket(Framing::SockJs),
        "xhr" => Place::Receive(session, Way::Polling),
        "xhr_streaming" => Place::Receive(session, Way::Streaming),
        "xhr_send" => Place::Send(session),
        _ => return None,
    })
}

pub(super) async fn answer(
    shared: &Arc<Shared>,
    request: Request<Body>,
    inbound: &Inbound,
) -> Answer {
    let path = request.uri().path().to_owned();
    let Some(place) = place(&path) else {
        return Answer::Plain(plain(StatusCode::NOT_FOUND, ""));
    };
    let allowed: &[Method] = match place {
        Place::Socket(framing) if inbound.websocket => {
            return upgrade(shared, &request, inbound, framing);
        }
        Place::Socket(_) => &[Method::GET],
        Place::Greeting => &[Method::GET, Method::HEAD],
        Place::Info => &[Method::OPTIONS, Method::GET, Method::HEAD],
        Place::Receive(..) | Place::Send(_) => &[Method::OPTIONS, Method::POST],
    };
    if !allowed.contains(request.method()) {
        return Answer::Plain(not_allowed(allowed));
    }
    let changes = request.method() == Method::POST;
    if changes && !is_from_here(request.headers(), inbound) {
        return Answer::Plain(plain(StatusCode::FORBIDDEN, ""));
    }
    let session = |name: &str| Session::new(name, inbound);
    Answer::Plain(match place {
        _ if request.method() == Method::OPTIONS => options(request.headers(), inbound, allowed),
        Place::Greeting => plain(StatusCode::OK, GREETING),
        Place::Info => info(),
        Place::Socket(_) => plain(
            StatusCode::BAD_REQUEST,
            "Can \"Upgrade\" only to \"WebSocket\".\n",
        ),
        Place::Receive(name, way) => xhr::receive(shared, session(name), way, inbound.address),
        Place::Send(name) => xhr::send(shared, &session(name), request.into_body()).await,
    })
}

fn upgrade(
    shared: &Arc<Shared>,
    request: &Request<Body>,
    inbound: &Inbound,
    framing: Framing,
) -> Answer {
    let asked = request.headers();
    if !is_from_here(asked, inbound) {
        return Answer::Plain(plain(StatusCode::FORBIDDEN, ""));
    }
    if asked
        .get(SEC_WEBSOCKET_VERSION)
        .is_some_and(|version| version != "13")
    {
        let mut response = plain(StatusCode::UPGRADE_REQUIRED, "");
        let known = HeaderValue::from_static("13");
        response.headers_mut().insert(SEC_WEBSOCKET_VERSION, known);
        return Answer::Plain(response);
    }
    let mut fields = HeaderMap::new();
    match asked.get(SEC_WEBSOCKET_KEY) {
        Some(key) => {
            let accept = derive_accept_key(key.as_bytes());
            let accept = HeaderValue::from_str(&accept).expect("base64 is ASCII");
            fields.insert(SEC_WEBSOCKET_ACCEPT, accept);
        }
        // HTTP/2 has none (RFC 8441 section 5).
        None if request.version() >= Version::HTTP_2 => {}
        None => {
            return Answer::Plain(plain(
                StatusCode::BAD_REQUEST,
                "Sec-WebSocket-Key is missing.\n",
            ));
        }
    }
    let Some(seat) = shared.seats.take(inbound.address) else {
        return Answer::Plain(crowded());
    };
    let shared = Arc::clone(shared);
    let door = inbound.door.clone();
    let serve = move |caller| socket::serve(shared, seat, door, framing, caller).boxed();
    Answer::OwnSocket(fields, Box::new(serve))
}

/// Whether a request was made by a page of this host, or by no page at all: browsers name the
/// page's origin, apps name none. A page from elsewhere could listen with a person's browser.
fn is_from_here(asked: &HeaderMap, inbound: &Inbound) -> bool {
    let mut origins = asked.get_all(ORIGIN).iter();
    let Some(origin) = origins.next() else {
        return true;
    };
    let origin = origin
        .to_str()
        .ok()
        .and_then(|origin| Url::parse(origin).ok());
    let is_own = origin.is_some_and(|origin| {
        // A proxy may change `Host` and `Origin` alike, and name what it was asked for besides.
        let direct: Option<Authority> = asked
            .get(HOST)
            .and_then(|host| host.to_str().ok()?.parse().ok());
        matches!(origin.scheme(), "http" | "https")
            && std::iter::once(&inbound.authority)
                .chain(&direct)
                .any(|own| headers::names(&origin, own))
    });
    is_own && origins.next().is_none()
}

/// What is told before a socket is opened.
#[derive(ToSchema)]
#[schema(as = SockJsInfo)]
#[expect(dead_code, reason = "stands for the answer in the description")]
struct InfoBody {
    websocket: bool,
    cookie_needed: bool,
    origins: Vec<String>,
    entropy: u32,
}

/// Find out how the push socket is reached
///
/// As SockJS has it. Messages go over the WebSocket `/sockjs/websocket`, or over what SockJS falls back
/// to. Pages of any origin may read this.
#[utoipa::path(
    get,
    path = "/sockjs/info",
    tag = "Push socket",
    responses((status = 200, description = "By WebSocket, and without a cookie.", body = InfoBody, example = json!({
        "websocket": true, "cookie_needed": false, "origins": ["*:*"], "entropy": 2_654_435_769_u32
    })))
)]
pub(crate) fn info() -> Response<Body> {
    let mut entropy = [0; 4];
    SystemChance.fill(&mut entropy);
    let info = json!({
        "websocket": true, "cookie_needed": false, "origins": ["*:*"], "entropy": u32::from_le_bytes(entropy),
    });
    let mut response = text(
        StatusCode::OK,
        "application/json; charset=UTF-8",
        info.to_string(),
    );
    let anybody = HeaderValue::from_static("*");
    response
        .headers_mut()
        .insert(ACCESS_CONTROL_ALLOW_ORIGIN, anybody);
    response
}

fn options(asked: &HeaderMap, inbound: &Inbound, allowed: &[Method]) -> Response<Body> {
    let mut response = Response::new(body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let fields = response.headers_mut();
    let cached = HeaderValue::from_static("public, max-age=31536000");
    fields.insert(CACHE_CONTROL, cached);
    fields.insert(ALLOW, list(allowed));
    if let Some(origin) = asked.get(ORIGIN)
        && is_from_here(asked, inbound)
    {
        fields.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        fields.insert(ACCESS_CONTROL_ALLOW_METHODS, list(allowed));
        let year = HeaderValue::from_static("31536000");
        fields.insert(ACCESS_CONTROL_MAX_AGE, year);
    }
    response
}

fn not_allowed(allowed: &[Method]) -> Response<Body> {
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "");
    response.headers_mut().insert(ALLOW, list(allowed));
    response
}

pub(super) fn crowded() -> Response<Body> {
    plain(StatusCode::SERVICE_UNAVAILABLE, "")
}

fn list(methods: &[Method]) -> HeaderValue {
    let methods: Vec<_> = methods.iter().map(Method::as_str).collect();
    HeaderValue::from_str(&methods.join(", ")).expect("methods are ASCII")
}

pub(super) fn plain(status: StatusCode, words: &'static str) -> Response<Body> {
    text(status, "text/plain; charset=UTF-8", words.to_owned())
}

fn text(status: StatusCode, kind: &'static str, text: String) -> Response<Body> {
    respond(status, kind, body::full(text))
}

/// An answer that no cache keeps and no browser takes for something else.
pub(super) fn respond(status: StatusCode, kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    fields.insert(CACHE_CONTROL, HeaderValue::from_static(NEVER_STORED));
    fields.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    fields.insert(X_FRAME_OPTIONS, HeaderValue::from_static("sameorigin"));
    let robots = HeaderValue::from_static("noindex, nofollow, noimageindex");
    fields.insert("x-robots-tag", robots);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_where_sockjs_has_them() {
        let socket = |framing| Some(Place::Socket(framing));
        for (path, expected) in [
            ("/sockjs", Some(Place::Greeting)),
            ("/sockjs/", Some(Place::Greeting)),
            ("/sockjs/info", Some(Place::Info)),
            ("/sockjs/websocket", socket(Framing::Raw)),
            ("/sockjs/0/a/websocket", socket(Framing::SockJs)),
            ("/sockjs/007/6f0e-4c/websocket", socket(Framing::SockJs)),
            ("/sockjs/1/a/xhr", Some(Place::Receive("a", Way::Polling))),
            (
                "/sockjs/1/a/xhr_streaming",
                Some(Place::Receive("a", Way::Streaming)),
            ),
            ("/sockjs/1/a/xhr_send", Some(Place::Send("a"))),
            ("/sockjs/1/a/eventsource", None),
            ("/sockjs/1/a/xhr/", None),
            ("/sockjs/1/a.b/xhr", None),
            ("/sockjs/1.1/a/xhr", None),
            ("/sockjs//a/xhr", None),
            ("/sockjs/1//xhr", None),
            ("/sockjs/info/", None),
            ("/sockjs/iframe.html", None),
            ("/sockjsx", None),
        ] {
            assert_eq!(place(path), expected, "{path}");
        }
        assert!(place(&format!("/sockjs/1/{}/xhr", "a".repeat(129))).is_none());
    }
}
