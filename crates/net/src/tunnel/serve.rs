//! The host's end of a tunnel: answer the relay's hello, then serve forwarded requests.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::ext::Protocol;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::camera::{self, CameraRefusal, SHARES, SHARES_CAMERA, SharesCamera, View};
use super::carrier::{Carrier, End, Line};
use super::control::{self, Drain, EndedNotice, ReadError, Refusal, Welcome};
use super::frames::Frames;
use super::head::{self, KIND, StreamHead};
use super::hello::{HostSide, Mistrust};
use super::identity::HostIdentity;
use super::printing;
use super::questions::{self, AppKeyRefusal, AppKeyWish, MadeAppKey};
use super::settings::Settings;
use crate::body::Body;
use crate::calm::Calm;
use crate::tls::Exporter;

/// Longest explanation a relay may give.
const MAX_SENTENCE: usize = 400;

/// Which app connections a relay says have ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// These, by the ids in stream heads.
    These(Vec<String>),
    /// Any may have: a tunnel begins, and nobody told this host of what ended before.
    Any,
}

/// What answers the requests that come through a tunnel.
///
/// Any `Fn(Request<Incoming>, StreamHead) -> Future<Output = Response<Body>>` is one. A
/// WebSocket arrives as `CONNECT` with [`hyper::ext::Protocol`] among the extensions;
/// take [`hyper::upgrade::on`] of the request and answer 200 to accept it.
pub trait StreamService: Clone + Send + Sync + 'static {
    /// Answers one request; the fields of the tunnel's own are already gone from it.
    fn serve(
        &self,
        request: Request<Incoming>,
        head: StreamHead,
    ) -> impl Future<Output = Response<Body>> + Send;

    /// Hears of app connections that ended. The relay has cut what they had open there.
    fn hear(&self, _ended: Ended) {}

    /// Makes an app key for an app connection, in place of one made for it before.
    fn make_app_key(
        &self,
        _wish: AppKeyWish,
    ) -> impl Future<Output = Result<MadeAppKey, AppKeyRefusal>> + Send {
        std::future::ready(Err(AppKeyRefusal::NotOffered))
    }

    /// Where this host is at home, with a port if it is not the usual one.
    fn local_address(&self) -> Option<String> {
        None
    }

    /// The app connections that keys were made for.
    fn app_connections_with_keys(&self) -> impl Future<Output = Vec<String>> + Send {
        std::future::ready(Vec::new())
    }

    /// Tells what the printer does, in lines, from the event after number `after` of this run on,
    /// for as long as somebody listens.
    fn printing(&self, _after: u64) -> Option<Body> {
        None
    }

    /// Shows the camera: an answer with its media type.
    fn camera(
        &self,
        _view: View,
    ) -> impl Future<Output = Result<Response<Body>, CameraRefusal>> + Send {
        std::future::ready(Err(CameraRefusal::NoCamera))
    }

    /// The name of the running picture that [`Self::camera`] shows.
    fn camera_name(&self) -> impl Future<Output = Result<String, CameraRefusal>> + Send {
        std::future::ready(Err(CameraRefusal::NoCamera))
    }

    /// Shows a running picture that was named lately.
    fn shared_camera(
        &self,
        _name: String,
    ) -> impl Future<Output = Result<Response<Body>, CameraRefusal>> + Send {
        std::future::ready(Err(CameraRefusal::NoCamera))
    }
}

impl<F, Fut> StreamService for F
where
    F: Fn(Request<Incoming>, StreamHead) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Response<Body>> + Send,
{
    fn serve(
        &self,
        request: Request<Incoming>,
        head: StreamHead,
    ) -> impl Future<Output = Response<Body>> + Send {
        self(request, head)
    }
}

/// How far a tunnel has come, as the host sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Phase {
    AwaitingHello,
    /// The relay is not the one it should be.
    Mistrusted(Mistrust),
    AwaitingDecision,
    Welcomed(Welcome),
    Refused(Refusal),
    /// The relay is going away; requests are served on.
    Draining {
        reconnect_after: Duration,
    },
}

/// What a host says in its hello, and to whom.
pub(super) struct Introduction {
    pub(super) identity: HostIdentity,
    pub(super) connection: u8,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) features: Vec<String>,
    pub(super) relay_name: String,
    pub(super) exporter: Option<Exporter>,
    pub(super) allow_unbound: bool,
}

/// One tunnel of this host, running on the tracker.
pub(super) struct HostTunnel {
    pub(super) phase: watch::Receiver<Phase>,
    finish: CancellationToken,
    line: Line,
}

impl HostTunnel {
    /// Serves `io` until it ends, `soft` finishes it, or `hard` cuts it.
    pub(super) fn start<IO, S>(
        io: IO,
        introduction: Introduction,
        service: S,
        run: &Run<'_>,
    ) -> Self
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: StreamService,
    {
        let line = Line::new(run.hard);
        let finish = run.soft.child_token();
        let (phase, follow) = watch::channel(Phase::AwaitingHello);
        let server = Arc::new(Server {
            introduction,
            service,
            phase,
            settings: run.settings.clone(),
        });
        let answer = service_fn(move |request| {
            let server = Arc::clone(&server);
            async move { Ok::<_, Infallible>(server.answer(request).await.map(Frames::plain)) }
        });
        let io = Calm::from_client(io);
        let io = TokioIo::new(Carrier::new(io, line.clone(), run.settings.dead_after()));
        let connection = run
            .settings
            .server(run.tracker)
            .serve_connection(io, answer);
        let finished = finish.clone();
        run.tracker.spawn(async move {
            let mut connection = std::pin::pin!(connection);
            let result = tokio::select! {
                result = connection.as_mut() => result,
                () = finished.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = result {
                tracing::debug!(%error, "tunnel connection ended with an error");
            }
        });
        Self {
            phase: follow,
            finish,
            line,
        }
    }

    /// Takes no new streams; closes when the running ones are done.
    pub(super) fn finish(&self) {
        self.finish.cancel();
    }

    pub(super) fn cut(&self) {
        self.line.cut();
    }

    pub(super) async fn closed(&self) {
        self.line.closed().await;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.line.is_closed()
    }

    /// Bytes that came.
    pub(super) fn came(&self) -> u64 {
        self.line.came()
    }

    pub(super) fn end(&self) -> End {
        self.line.end().unwrap_or(End::Finished)
    }
}

/// What a tunnel needs from its dialler.
pub(super) struct Run<'a> {
    pub(super) settings: &'a Settings,
    pub(super) tracker: &'a TaskTracker,
    pub(super) soft: &'a CancellationToken,
    pub(super) hard: &'a CancellationToken,
}

struct Server<S> {
    introduction: Introduction,
    service: S,
    phase: watch::Sender<Phase>,
    settings: Settings,
}

impl<S: StreamService> Server<S> {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        match head::single(request.headers(), KIND) {
            Ok(Some("control")) => self.control(request).await,
            Ok(Some("request")) => self.forward(request).await,
            _ => control::problem(
                StatusCode::BAD_REQUEST,
                "kind",
                "a stream must say once whether it is a control request or a forwarded one",
            ),
        }
    }

    async fn forward(&self, mut request: Request<Incoming>) -> Response<Body> {
        if !self.is_open() {
            return not_welcomed();
        }
        if request.method() == Method::CONNECT && request.extensions().get::<Protocol>().is_none() {
            return control::problem(
                StatusCode::BAD_REQUEST,
                "connect",
                "a host is no way to other addresses; CONNECT is for WebSockets only",
            );
        }
        let shares = request.headers().get(SHARES) == Some(&SHARES_CAMERA);
        if shares {
            request.extensions_mut().insert(SharesCamera);
        }
        match StreamHead::decode(request.headers_mut()) {
            Ok(head) => self.service.serve(request, head).await,
            Err(error) => control::problem(StatusCode::BAD_REQUEST, "head", error.to_string()),
        }
    }

    async fn control(&self, request: Request<Incoming>) -> Response<Body> {
        if request.method() != Method::POST {
            return control::problem(
                StatusCode::METHOD_NOT_ALLOWED,
                "method",
                "control requests are POST",
            );
        }
        let path = request.uri().path().to_owned();
        let body = request.into_body();
        let within = self.settings.control_deadline;
        let answered = match path.as_str() {
            "/hello" => self.hello(body).await,
            "/welcome" => self.welcome(body).await,
            "/refused" => self.refused(body).await,
            "/drain" => self.drain(body).await,
            "/ended" => self.ended(body).await,
            "/app-key" | "/local-address" | "/app-connections" | "/printing" | "/snapshot"
            | "/stream" | "/camera-name" | "/shared-camera"
                if !self.is_open() =>
            {
                return not_welcomed();
            }
            "/app-key" => questions::make_app_key(&self.service, body, within).await,
            "/local-address" => questions::tell_address(&self.service, body, within).await,
            "/app-connections" => questions::tell_keys(&self.service, body, within).await,
            "/printing" => printing::tell(&self.service, body, within).await,
            "/snapshot" => camera::show(&self.service, body, View::Snapshot, within).await,
            "/stream" => camera::show(&self.service, body, View::Stream, within).await,
            "/camera-name" => camera::tell_name(&self.service, body, within).await,
            "/shared-camera" => camera::show_shared(&self.service, body, within).await,
            "/ping" => control::read(body, self.settings.control_deadline)
                .await
                .map(|_| done()),
            _ => Ok(control::problem(
                StatusCode::NOT_FOUND,
                "unknown",
                "this host does not know that control request",
            )),
        };
        answered.unwrap_or_else(|error| {
            let sentence = format!("the control request's body is unusable: {error}");
            control::problem(StatusCode::BAD_REQUEST, "body", sentence)
        })
    }

    async fn hello(&self, body: Incoming) -> Result<Response<Body>, ReadError> {
        let body = control::read(body, self.settings.hello_deadline).await?;
        let introduction = &self.introduction;
        let answered = HostSide {
            identity: &introduction.identity,
            connection: introduction.connection,
            name: &introduction.name,
            version: &introduction.version,
            features: &introduction.features,
            relay_name: &introduction.relay_name,
            exporter: introduction.exporter.as_ref(),
            allow_unbound: introduction.allow_unbound,
        }
        .answer(&body);
        // One hello per tunnel: a second one could only fish for signatures.
        let (next, response) = match answered {
            Ok(answer) => (
                Phase::AwaitingDecision,
                control::answer(StatusCode::OK, &answer),
            ),
            Err(mistrust) => {
                let response =
                    control::problem(StatusCode::FORBIDDEN, mistrust.code(), mistrust.to_string());
                (Phase::Mistrusted(mistrust), response)
            }
        };
        Ok(self.advance(next, response))
    }

    async fn welcome(&self, body: Incoming) -> Result<Response<Body>, ReadError> {
        let welcome: Welcome = self.read(body).await?;
        if !welcome.beside {
            // Before the first request of this tunnel, and not after it.
            self.service.hear(Ended::Any);
        }
        Ok(self.advance(Phase::Welcomed(welcome), done()))
    }

    async fn refused(&self, body: Incoming) -> Result<Response<Body>, ReadError> {
        let mut refusal: Refusal = self.read(body).await?;
        // It goes to logs and status pages.
        refusal.sentence = refusal.sentence.chars().take(MAX_SENTENCE).collect();
        Ok(self.advance(Phase::Refused(refusal), done()))
    }

    async fn drain(&self, body: Incoming) -> Result<Response<Body>, ReadError> {
        let drain: Drain = self.read(body).await?;
        let reconnect_after = Duration::from_millis(drain.reconnect_after_ms);
        Ok(self.advance(Phase::Draining { reconnect_after }, done()))
    }

    async fn ended(&self, body: Incoming) -> Result<Response<Body>, ReadError> {
        let EndedNotice {
            app_connections,
            any,
        } = self.read(body).await?;
        self.service.hear(if any {
            Ended::Any
        } else {
            Ended::These(app_connections)
        });
        Ok(done())
    }

    /// Whether the relay has let this host in.
    fn is_open(&self) -> bool {
        matches!(
            *self.phase.borrow(),
            Phase::Welcomed(_) | Phase::Draining { .. }
        )
    }

    async fn read<T: serde::de::DeserializeOwned>(&self, body: Incoming) -> Result<T, ReadError> {
        control::read_json(body, self.settings.control_deadline).await
    }

    /// Goes to the next phase if it may follow the present one.
    fn advance(&self, next: Phase, response: Response<Body>) -> Response<Body> {
        let moved = self.phase.send_if_modified(|phase| {
            let may = matches!(
                (&*phase, &next),
                (
                    Phase::AwaitingHello,
                    Phase::AwaitingDecision | Phase::Mistrusted(_)
                ) | (
                    Phase::AwaitingDecision,
                    Phase::Welcomed(_) | Phase::Refused(_)
                ) | (
                    Phase::Welcomed(_),
                    Phase::Draining { .. } | Phase::Refused(_)
                ) | (Phase::Draining { .. }, Phase::Refused(_))
            );
            if may {
                *phase = next;
            }
            may
        });
        if moved {
            response
        } else {
            control::problem(
                StatusCode::CONFLICT,
                "order",
                "that control request does not fit the tunnel's state",
            )
        }
    }
}

fn not_welcomed() -> Response<Body> {
    control::problem(
        StatusCode::SERVICE_UNAVAILABLE,
        "not_welcomed",
        "this tunnel carries no requests before its welcome",
    )
}

fn done() -> Response<Body> {
    control::answer(StatusCode::OK, &serde_json::json!({}))
}
