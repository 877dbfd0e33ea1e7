//! Through the tunnel and back.

use std::sync::Arc;

use http::{Method, Request, Response, StatusCode, Uri, Version};
use hyper::ext::Protocol;
use hyper::upgrade::OnUpgrade;
use latchkey_model::access::KeyScope;
use latchkey_model::id::HostId;
use latchkey_model::relay_status::RelayStatus;
use latchkey_net::body::{self, Body};
use latchkey_net::listen::Call;
use latchkey_net::proxy::cut::cut;
use latchkey_net::proxy::endings::Hold;
use latchkey_net::proxy::endless::end_with;
use latchkey_net::proxy::failure::HostFailure;
use latchkey_net::proxy::patience::{Observed, Progress};
use latchkey_net::proxy::splice::{Counts, Farewell};
use latchkey_net::proxy::upgrade;
use latchkey_net::tunnel::{ActiveStream, Scope, SendError, SharesCamera, StreamHead, Tunnel};
use latchkey_web::request_log::{CountedBody, Outcome, RequestLine, Side};

use super::busy::Busy;
use super::{Admission, Asker, Edge, Open, Trouble, headers};
use crate::limits::{Pass, Socket};
use crate::tunnels::{NoAnswer, weighed};

/// An answer from the printer's side.
pub(super) enum Forwarded {
    Plain(Response<Body>),
    /// The upstream switched to a WebSocket: the caller's socket, and the answer whose
    /// socket leads into the tunnel.
    WebSocket(OnUpgrade, Response<Body>),
}

impl Edge {
    pub(super) async fn forward(
        &self,
        mut request: Request<Body>,
        call: &Call,
        admission: &Admission,
        line: &RequestLine,
        hold: &Hold,
    ) -> Result<Forwarded, Trouble> {
        let host = admission.host.as_ref().ok_or_else(not_connected)?;
        let version = request.version();
        let socket = call.websocket.then(|| hyper::upgrade::on(&mut request));
        let head = StreamHead {
            caller: call.caller.address,
            scheme: self.config().public_url.scheme(),
            app_connection: admission.app_connection.as_ref().map(ToString::to_string),
            scope: match admission.scope {
                KeyScope::Full => Scope::Full,
                KeyScope::View => Scope::View,
            },
            request: line.request_id().to_owned(),
            may_code: self.may_code(&request, call, admission),
        };
        let progress = Progress::start();
        let received = line.received();
        let request = prepare(request, call, head.scheme.as_str())?.map(|body| {
            let body = cut(body, hold.clone(), ());
            let counted = CountedBody::new(body, received);
            body::boxed(Observed::new(counted, progress.clone()))
        });
        let answer = self.ask(host, request, &head, &admission.printer);
        let Some(answer) = progress.within(self.config().first_byte, answer).await else {
            return Err(trouble(RelayStatus::TimedOut, Side::Tunnel, "timed_out"));
        };
        let mut response = match answer {
            Err(_) if progress.is_caller_too_slow() => return Err(Trouble::CallerTooSlow),
            answer => answer?,
        };
        if let Some(failure) = HostFailure::take(response.headers_mut()) {
            return Err(trouble_of(failure));
        }
        match socket {
            Some(socket) if response.status() == StatusCode::OK => {
                Ok(Forwarded::WebSocket(socket, response))
            }
            Some(_) => upgrade::restore(response)
                .ok_or_else(|| trouble(RelayStatus::Unknown, Side::Tunnel, "protocol"))
                .and_then(upstreams_own)
                .map(|response| Forwarded::Plain(upgrade::decline(version, response))),
            None => upstreams_own(response).map(Forwarded::Plain),
        }
    }

    /// Sends through one of the host's tunnels; through another if the first went away before it
    /// took the request.
    pub(super) async fn send(
        &self,
        host: &HostId,
        request: Request<Body>,
        head: &StreamHead,
    ) -> Result<Response<Body>, Trouble> {
        let sent = self.shared.tunnels.send(host, request, head);
        sent.await.map_err(|error| trouble_without(&error))
    }

    fn is_secure(&self) -> bool {
        self.config().public_url.scheme().is_secure()
    }

    pub(super) fn hand_over(
        &self,
        forwarded: Forwarded,
        line: RequestLine,
        asker: &Asker,
        open: Open,
        pass: Option<Pass>,
    ) -> Response<Body> {
        match forwarded {
            Forwarded::Plain(mut response) => {
                headers::apply_to_response(response.headers_mut(), self.is_secure());
                *response.version_mut() = Version::default();
                let response = end_with(response, &self.shared.stopping);
                let response = response.map(|body| hold_open(body, open));
                line.follow(response).map(body::boxed)
            }
            Forwarded::WebSocket(caller, response) => {
                self.join(caller, response, line, asker, (open, pass))
            }
        }
    }

    /// Opens the caller's WebSocket and joins it with the tunnel's stream.
    fn join(
        &self,
        caller: OnUpgrade,
        mut answer: Response<Body>,
        mut line: RequestLine,
        asker: &Asker,
        (open, pass): (Open, Option<Pass>),
    ) -> Response<Body> {
        let printer = hyper::upgrade::on(&mut answer);
        let stream = answer.extensions_mut().remove::<ActiveStream>();
        let mut fields = std::mem::take(answer.headers_mut());
        headers::apply_to_response(&mut fields, self.is_secure());
        let response = upgrade::open(asker.version, fields);
        line.set_status(response.status());
        let end = Farewell::when(self.shared.stopping.clone(), Some(open.hold));
        let counts = Arc::new(Counts::default());
        let counted = Arc::clone(&counts);
        // What the request moved is counted; from here on it is the socket that does.
        drop((open.running, open.moving));
        let usage = &self.shared.usage;
        let running = open.app_connection.as_ref().map(|id| {
            usage.follow(id, move || {
                let copied = counted.now();
                copied.from_caller + copied.to_caller
            })
        });
        let counted = Arc::clone(&counts);
        let socket = pass.map(|pass| {
            pass.socket(move || {
                let copied = counted.now();
                copied.from_caller + copied.to_caller
            })
        });
        let end = end_of_socket(end, socket);
        let counted = Arc::clone(&counts);
        let moving = self.shared.activity.follow(&open.printer, move || {
            let copied = counted.now();
            (copied.to_caller, copied.from_caller)
        });
        self.shared.tracker.spawn(async move {
            let joined = upgrade::join_counted(caller, printer, end, &counts);
            let copied = weighed(stream, &counts, joined).await;
            drop((running, moving));
            let Some(copied) = copied else {
                return line.finish(Outcome::Broken);
            };
            line.received().add(copied.from_caller);
            line.sent().add(copied.to_caller);
            line.finish(Outcome::Completed);
        });
        response
    }
}

/// The body, which breaks off when the app connection ends, and is counted until it is over.
fn hold_open(body: Body, open: Open) -> Body {
    cut(body, open.hold, (open.running, open.moving))
}

/// What comes first: the end of what let the caller in, or of the bytes of its month. Then the
/// caller may be back: what it is told is only that this socket goes.
async fn end_of_socket(end: impl Future<Output = Farewell>, socket: Option<Socket>) -> Farewell {
    let used_up = async {
        match socket {
            Some(mut socket) => socket.used_up().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        farewell = end => farewell,
        () = used_up => Farewell::GoingAway,
    }
}

/// The request as it goes into the tunnel: the same, under the caller's authority.
fn prepare(request: Request<Body>, call: &Call, scheme: &str) -> Result<Request<Body>, Trouble> {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    parts.uri = Uri::builder()
        .scheme(scheme)
        .authority(call.authority.to_string())
        .path_and_query(path)
        .build()
        .map_err(|_| trouble(RelayStatus::Unknown, Side::Us, "target"))?;
    parts.version = Version::HTTP_2;
    parts.headers.remove(http::header::HOST);
    let shares = parts.extensions.remove::<SharesCamera>();
    parts.extensions = http::Extensions::new();
    if let Some(shares) = shares {
        parts.extensions.insert(shares);
    }
    if call.websocket {
        parts.method = Method::CONNECT;
        parts.extensions.insert(Protocol::from_static("websocket"));
    }
    Ok(Request::from_parts(parts, body))
}

/// Keeps the statuses of the contract for the relay: apps delete their connection on
/// some, so neither a printer's server nor somebody's host may send one.
fn upstreams_own(response: Response<Body>) -> Result<Response<Body>, Trouble> {
    if response.status().as_u16() < 600 {
        return Ok(response);
    }
    Err(trouble(RelayStatus::Unknown, Side::Upstream, "status"))
}

fn not_connected() -> Trouble {
    trouble(RelayStatus::NotConnected, Side::Tunnel, "not_connected")
}

pub(super) fn trouble(status: RelayStatus, side: Side, reason: &'static str) -> Trouble {
    Trouble::Status(status, Some((side, reason)))
}

fn trouble_of(failure: HostFailure) -> Trouble {
    let status = match failure {
        HostFailure::Unreachable | HostFailure::Broken => RelayStatus::Unknown,
        HostFailure::TimedOut => RelayStatus::TimedOut,
        HostFailure::CallerTooSlow => return Trouble::CallerTooSlow,
        HostFailure::Busy => return Trouble::Busy(Busy::Upstream),
    };
    trouble(status, Side::Upstream, failure.as_str())
}

fn trouble_without(answer: &NoAnswer) -> Trouble {
    match answer {
        NoAnswer::NotConnected => not_connected(),
        NoAnswer::Full => trouble(RelayStatus::Unknown, Side::Tunnel, "full"),
        NoAnswer::Failed(tunnel, error) => trouble_with(tunnel, error),
    }
}

fn trouble_with(tunnel: &Tunnel, error: &SendError) -> Trouble {
    match error {
        SendError::NotSent(_) | SendError::Refused(_) | SendError::Broken(..) => not_connected(),
        SendError::Full(_) => trouble(RelayStatus::Unknown, Side::Tunnel, "full"),
        SendError::ScopeUnknown => Trouble::HostTooOld,
        SendError::Lost(_) if !tunnel.is_open() => not_connected(),
        SendError::Lost(_) => trouble(RelayStatus::Unknown, Side::Tunnel, "lost"),
        SendError::Target | SendError::Head(_) => trouble(RelayStatus::Unknown, Side::Us, "head"),
    }
}
