//! The two ways in. Each turns its own kind of request into the service's, and the
//! service's outcome into its own kind of answer.

use std::sync::Arc;

use futures_util::FutureExt;
use http::header::HeaderMap;
use http::{Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use latchkey_model::access::KeyScope;
use latchkey_net::body::{self, Body};
use latchkey_net::gate::{self, Rejection};
use latchkey_net::listen::{Call, Handler};
use latchkey_net::proxy::coding::Coder;
use latchkey_net::proxy::endless::end_with;
use latchkey_net::proxy::failure::{FAILURE, HostFailure};
use latchkey_net::proxy::splice::Farewell;
use latchkey_net::proxy::upgrade;
use latchkey_net::tunnel::{
    AppKeyRefusal, AppKeyWish, CameraRefusal, Ended, MadeAppKey, Scope, StreamHead, StreamService,
    View,
};
use latchkey_web::browser;
use latchkey_web::metrics::{Class, Metrics};
use latchkey_web::problem::Problem;
use latchkey_web::request_id::RequestIds;
use latchkey_web::request_log::{CountedBody, Outcome, RequestLine, Side};
use latchkey_web::shell::Place;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app_connections::AppConnections;
use crate::app_keys::through_relay::KeysThroughRelay;
use crate::authority::endings::Hold;
use crate::local_api::LocalApi;
use crate::neighbours;
use crate::pages::Pages;
use crate::printing::Printing;
use crate::public;
use crate::service::{Door, Inbound, Service};
use crate::upstream::crowds::Turn;
use crate::upstream::{Answer, ServeSocket};

/// Seconds after which it is worth asking a busy server again.
const RETRY_AFTER: u32 = 2;
const BUSY: &str = "The printer's own server has as much to do as it can. Try again in a moment.";

/// What both doors share.
#[derive(Clone)]
pub(crate) struct Doors {
    pub(crate) service: Service,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) ids: Arc<RequestIds>,
    pub(crate) tracker: TaskTracker,
    /// Ends what does not end by itself: sockets and camera streams.
    pub(crate) stopping: CancellationToken,
}

/// The listener at home, which has the host's own pages too.
#[derive(Clone)]
pub(crate) struct LanDoor {
    pub(crate) doors: Doors,
    pub(crate) pages: Pages,
    /// Names of this host beside addresses and local names.
    pub(crate) hostnames: Arc<[String]>,
}

/// Streams of the tunnel.
#[derive(Clone)]
pub(crate) struct TunnelDoor {
    pub(crate) doors: Doors,
    /// The relay runs on this machine, and so may its callers.
    pub(crate) relay_is_local: bool,
    pub(crate) app_connections: AppConnections,
    pub(crate) keys: KeysThroughRelay,
    pub(crate) local_api: LocalApi,
    /// Missing where the relay hears nothing of the printer.
    pub(crate) printing: Option<Printing>,
    /// Missing where answers go as they are.
    pub(crate) coder: Option<Coder>,
}

impl Handler for LanDoor {
    async fn handle(&self, mut request: Request<Body>, call: Call) -> Response<Body> {
        // What a trusted proxy names is what it was set up for; others must mean this host.
        if call.caller.forwarded_host.is_none()
            && !neighbours::is_own_name(&call.authority, &self.hostnames)
        {
            return self.misdirected(&request, &call);
        }
        let inbound = Inbound {
            door: Door::Lan,
            address: call.caller.address,
            scheme: call.caller.scheme,
            authority: call.caller.forwarded_host.unwrap_or(call.authority),
            prefix: call.caller.prefix,
            websocket: call.websocket,
            request_id: self.doors.ids.next(),
        };
        public::strip_prefix(request.uri_mut(), &inbound.prefix);
        if !self.doors.service.knows_people()
            && let Some(page) = self.pages.answer(&request, &inbound)
        {
            let line = self.doors.line(&request, &inbound, Class::Page);
            return boxed(line.follow(page));
        }
        let asked = Asked::of(&request);
        let (outcome, line, socket) = self.doors.ask(request, &inbound).await;
        match outcome {
            Ok(Answer::Plain(response)) if inbound.websocket => {
                boxed(line.follow(upgrade::decline(asked.version, response)))
            }
            Ok(Answer::Plain(response)) => boxed(line.follow(response)),
            Ok(Answer::WebSocket(headers, upstream, hold, turn)) => {
                let response = upgrade::open(asked.version, headers);
                let status = response.status();
                self.doors
                    .join(socket, (upstream, hold, turn), line, status);
                response
            }
            Ok(Answer::OwnSocket(headers, serve)) => {
                let response = upgrade::open(asked.version, headers);
                self.doors.hold(socket, serve, line, response.status());
                response
            }
            Err(failure) => {
                let line = failed(line, failure);
                boxed(line.follow(self.problem(failure, &asked, &inbound)))
            }
        }
    }

    fn refuse(&self, rejection: Rejection) -> Response<Body> {
        problem_of(rejection).json().map(body::full)
    }
}

impl LanDoor {
    fn misdirected(&self, request: &Request<Body>, call: &Call) -> Response<Body> {
        let id = self.doors.ids.next();
        let line = RequestLine::new(&id, request.method(), Class::Unknown)
            .metrics(Arc::clone(&self.doors.metrics))
            .caller(call.caller.address);
        let problem = Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "unknown_hostname",
            "This host does not know that name as its own. Use its address, or add the name to `hostnames`.",
        );
        boxed(line.follow(problem.request_id(&id).json().map(body::full)))
    }

    fn problem(&self, failure: HostFailure, asked: &Asked, inbound: &Inbound) -> Response<Body> {
        let status = match failure {
            HostFailure::Unreachable | HostFailure::Broken => StatusCode::BAD_GATEWAY,
            HostFailure::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            HostFailure::CallerTooSlow => StatusCode::REQUEST_TIMEOUT,
            HostFailure::Busy => StatusCode::SERVICE_UNAVAILABLE,
        };
        let problem = match failure {
            HostFailure::Busy => {
                Problem::new(status, failure.as_str(), BUSY).retry_after(RETRY_AFTER)
            }
            _ => Problem::from_status(status),
        };
        problem
            .request_id(&inbound.request_id)
            .respond(
                &asked.about,
                &asked.method,
                &Place::host(&*self.pages.name),
                "/",
            )
            .map(body::full)
    }
}

fn problem_of(rejection: Rejection) -> Problem {
    Problem::malformed(rejection.status(), rejection.sentence())
}

impl StreamService for TunnelDoor {
    async fn serve(&self, mut request: Request<Incoming>, head: StreamHead) -> Response<Body> {
        // The relay may be hostile to what is behind this host: same gate, same rules.
        let passed = match gate::pass(&mut request, None) {
            Ok(passed) => passed,
            Err(rejection) => return problem_of(rejection).json().map(body::full),
        };
        if let Some(id) = &head.app_connection {
            self.app_connections.note(id);
        }
        let inbound = Inbound {
            door: Door::Tunnel {
                app_connection: head.app_connection,
                scope: match head.scope {
                    Scope::Full => KeyScope::Full,
                    Scope::View => KeyScope::View,
                },
            },
            address: if self.relay_is_local {
                head.caller
            } else {
                neighbours::address_from_outside(head.caller)
            },
            scheme: head.scheme,
            authority: passed.authority,
            prefix: String::new(),
            websocket: passed.websocket,
            request_id: head.request,
        };
        let coder = self.coder.as_ref().filter(|_| head.may_code);
        let method = request.method().clone();
        let (outcome, line, socket) = self.doors.ask(request.map(body::boxed), &inbound).await;
        match outcome {
            Ok(Answer::Plain(response)) if inbound.websocket => {
                boxed(line.follow(upgrade::refuse(response)))
            }
            Ok(Answer::Plain(response)) => {
                let response = boxed(line.follow(response));
                match coder {
                    Some(coder) => coder.code(&method, response),
                    None => response,
                }
            }
            Ok(Answer::WebSocket(headers, upstream, hold, turn)) => {
                self.doors
                    .join(socket, (upstream, hold, turn), line, StatusCode::OK);
                opened(headers)
            }
            Ok(Answer::OwnSocket(headers, serve)) => {
                self.doors.hold(socket, serve, line, StatusCode::OK);
                opened(headers)
            }
            Err(failure) => {
                let mut response = Response::new(body::empty());
                *response.status_mut() = StatusCode::BAD_GATEWAY;
                response.headers_mut().insert(FAILURE, failure.to_value());
                boxed(failed(line, failure).follow(response))
            }
        }
    }

    fn hear(&self, ended: Ended) {
        self.keys.hear(&ended);
        self.app_connections.hear(ended);
    }

    async fn make_app_key(&self, wish: AppKeyWish) -> Result<MadeAppKey, AppKeyRefusal> {
        self.keys.make(wish).await
    }

    fn local_address(&self) -> Option<String> {
        self.local_api.home_address()
    }

    async fn app_connections_with_keys(&self) -> Vec<String> {
        self.keys.app_connections().await
    }

    fn printing(&self, after: u64) -> Option<Body> {
        self.printing.as_ref()?.tell(after)
    }

    async fn camera(&self, view: View) -> Result<Response<Body>, CameraRefusal> {
        match &self.printing {
            Some(printing) => printing.show(view).await,
            None => Err(CameraRefusal::NoCamera),
        }
    }

    async fn camera_name(&self) -> Result<String, CameraRefusal> {
        let printing = self.printing.as_ref().ok_or(CameraRefusal::NoCamera)?;
        let place = printing.running_picture().await;
        let name = place.and_then(|place| self.doors.service.upstream().name_camera(&place));
        name.ok_or(CameraRefusal::NoCamera)
    }

    async fn shared_camera(&self, name: String) -> Result<Response<Body>, CameraRefusal> {
        let shown = self.doors.service.upstream().show_camera(&name).await?;
        Ok(end_with(shown, &self.doors.stopping))
    }
}

impl Doors {
    async fn ask(
        &self,
        mut request: Request<Body>,
        inbound: &Inbound,
    ) -> (Result<Answer, HostFailure>, RequestLine, Option<OnUpgrade>) {
        let class = self.service.class_of(request.uri().path());
        let line = self.line(&request, inbound, class);
        let socket = inbound.websocket.then(|| hyper::upgrade::on(&mut request));
        let received = line.received();
        let request = request.map(|body| body::boxed(CountedBody::new(body, received)));
        let outcome = match self.service.answer(request, inbound).await {
            Ok(Answer::Plain(response)) => Ok(Answer::Plain(end_with(response, &self.stopping))),
            outcome => outcome,
        };
        (outcome, line, socket)
    }

    fn line(&self, request: &Request<Body>, inbound: &Inbound, class: Class) -> RequestLine {
        let mut line = RequestLine::new(&inbound.request_id, request.method(), class)
            .metrics(Arc::clone(&self.metrics))
            .caller(inbound.address);
        if let Door::Tunnel {
            app_connection: Some(id),
            ..
        } = &inbound.door
        {
            line.set_app_connection(id);
        }
        line
    }

    /// Joins the caller's socket and the upstream's as soon as both are there.
    fn join(
        &self,
        caller: Option<OnUpgrade>,
        (upstream, hold, turn): (OnUpgrade, Option<Hold>, Option<Turn>),
        line: RequestLine,
        status: StatusCode,
    ) {
        let end = Farewell::when(self.stopping.clone(), hold);
        let join = |caller| {
            let joined = upgrade::join(caller, upstream, end);
            joined.inspect(move |_| drop(turn)).boxed()
        };
        self.hold(caller, Box::new(join), line, status);
    }

    /// Has the caller's socket served, and writes its line when it has ended.
    fn hold(
        &self,
        caller: Option<OnUpgrade>,
        serve: ServeSocket,
        mut line: RequestLine,
        status: StatusCode,
    ) {
        let Some(caller) = caller else { return };
        line.set_status(status);
        self.tracker.spawn(async move {
            let Some(copied) = serve(caller).await else {
                return line.finish(Outcome::Broken);
            };
            line.received().add(copied.from_caller);
            line.sent().add(copied.to_caller);
            line.finish(Outcome::Completed);
        });
    }
}

/// What of a LAN request the answer depends on.
struct Asked {
    method: Method,
    version: Version,
    about: HeaderMap,
}

impl Asked {
    fn of(request: &Request<Body>) -> Self {
        Self {
            method: request.method().clone(),
            version: request.version(),
            about: browser::about_the_asker(request.headers()),
        }
    }
}

/// The answer that opens a WebSocket inside the tunnel.
fn opened(headers: HeaderMap) -> Response<Body> {
    let mut response = Response::new(body::empty());
    *response.headers_mut() = headers;
    response
}

fn failed(mut line: RequestLine, failure: HostFailure) -> RequestLine {
    let side = match failure {
        HostFailure::CallerTooSlow => Side::Caller,
        _ => Side::Upstream,
    };
    line.set_failure(side, failure.as_str());
    line
}

fn boxed<B>(response: Response<B>) -> Response<Body>
where
    B: hyper::body::Body<Data = bytes::Bytes, Error = body::BodyError> + Send + 'static,
{
    response.map(body::boxed)
}
