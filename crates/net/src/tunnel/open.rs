//! An open tunnel at the relay: streams go out, answers come back.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{Request, Response, Uri, Version};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use tokio::time::Instant;

use super::camera::{SHARES, SHARES_CAMERA, SharesCamera};
use super::carried::Carried;
use super::carrier::{End, Line};
use super::control::{self, ControlError, Drain};
use super::frames::Frames;
use super::head::{HeadError, KIND, KIND_REQUEST, Scope, StreamHead};
use super::hello::HostHello;
use super::settings::Settings;
use super::{FEATURE_ENDS, FEATURE_SCOPES};
use crate::body::{self, Body};

/// A host's presence at this relay. Clones are the same tunnel.
#[derive(Clone)]
pub struct Tunnel {
    inner: Arc<Inner>,
}

struct Inner {
    id: String,
    hello: HostHello,
    since: Instant,
    /// Gone once the tunnel takes no new streams.
    sender: Mutex<Option<SendRequest<Frames>>>,
    line: Line,
    settings: Settings,
    active: Arc<AtomicUsize>,
    carried: Carried,
}

/// Why a forwarded request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The host never saw it: the tunnel takes no new streams. Another one may have it.
    #[error("the tunnel takes no new streams")]
    NotSent(Box<Request<Body>>),
    /// The host never saw it: as many streams as allowed are open.
    #[error("the tunnel carries as many streams as it may")]
    Full(Box<Request<Body>>),
    /// The host did not work on it, but its body is used up.
    #[error("the host refused the stream: {0}")]
    Refused(hyper::Error),
    /// Nobody knows how far it came.
    #[error("the stream was lost: {0}")]
    Lost(hyper::Error),
    /// The app connection may only look, and the host is too old to see to it.
    #[error("the host does not know scopes")]
    ScopeUnknown,
    /// The request cannot be forwarded.
    #[error("the request has no authority or scheme to forward it under")]
    Target,
    /// The head cannot be written.
    #[error(transparent)]
    Head(#[from] HeadError),
}

/// Counts a stream for as long as it is held.
///
/// A response's body holds one. Whoever takes over an upgrade takes it from the
/// response's extensions and keeps it beside the upgraded bytes.
#[derive(Debug, Clone)]
pub struct ActiveStream {
    _count: Arc<Count>,
}

impl ActiveStream {
    /// Counts it until the answer's body is gone.
    pub(super) fn keep(self, response: Response<Incoming>) -> Response<Body> {
        response.map(|body| {
            body::boxed(Counted {
                body,
                _active: self,
            })
        })
    }
}

#[derive(Debug)]
struct Count(Arc<AtomicUsize>);

impl Drop for Count {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Which run of the host's program gave an answer; among the answer's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HostRun(pub [u8; 16]);

impl Tunnel {
    pub(super) fn new(
        id: String,
        hello: HostHello,
        sender: SendRequest<Frames>,
        line: Line,
        settings: Settings,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                id,
                hello,
                since: Instant::now(),
                sender: Mutex::new(Some(sender)),
                line,
                settings,
                active: Arc::default(),
                carried: Carried::default(),
            }),
        }
    }

    /// The id given at the welcome.
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// Who the host is.
    pub fn hello(&self) -> &HostHello {
        &self.inner.hello
    }

    /// When the tunnel was welcomed.
    pub fn since(&self) -> Instant {
        self.inner.since
    }

    /// Forwards a request and waits for the head of its answer.
    ///
    /// The request's URI, or its `Host`, carries the caller's authority; path and query
    /// go as they are. A WebSocket is a `CONNECT` with [`hyper::ext::Protocol`]; its
    /// answer 200 can be upgraded with [`hyper::upgrade::on`]. Dropping the future or
    /// the answer's body resets the stream, and the host stops working on it.
    pub async fn send(
        &self,
        mut request: Request<Body>,
        head: &StreamHead,
    ) -> Result<Response<Body>, SendError> {
        if head.scope != Scope::Full && !self.can(FEATURE_SCOPES) {
            return Err(SendError::ScopeUnknown);
        }
        if let Some(id) = &head.app_connection {
            // Before the host can know of it.
            self.inner.carried.note(id);
        }
        prepare(&mut request, head)?;
        let Some(mut sender) = self.sender() else {
            return Err(SendError::NotSent(Box::new(request)));
        };
        let Some(active) = self.count() else {
            return Err(SendError::Full(Box::new(request)));
        };
        let spare = spare(&request);
        match sender.try_send_request(request.map(Frames)).await {
            Ok(response) => {
                let mut response = active.clone().keep(response);
                response.extensions_mut().insert(active);
                let run = HostRun(self.hello().instance);
                response.extensions_mut().insert(run);
                Ok(response)
            }
            Err(mut failed) => {
                if let Some(request) = failed.take_message() {
                    return Err(SendError::NotSent(Box::new(request.map(|body| body.0))));
                }
                let error = failed.into_error();
                let Some(refused) = refused(&error) else {
                    return Err(SendError::Lost(error));
                };
                if refused.is_go_away() {
                    // Every further stream would be refused too.
                    self.finish();
                }
                Err(match spare {
                    Some(request) => SendError::NotSent(Box::new(request)),
                    None => SendError::Refused(error),
                })
            }
        }
    }

    /// Whether new streams may be opened. A host that just went away may still look open.
    pub fn is_open(&self) -> bool {
        !self.inner.line.is_closed() && self.sender().is_some()
    }

    /// Waits until the connection is gone.
    pub async fn closed(&self) {
        self.inner.line.closed().await;
    }

    /// Why the connection is gone, once it is.
    pub fn end(&self) -> Option<End> {
        self.inner.line.end()
    }

    /// Forwarded streams now open.
    pub fn active_streams(&self) -> usize {
        self.inner.active.load(Ordering::Relaxed)
    }

    /// Bytes that came and went on its connection, whatever they were for.
    pub fn bytes_moved(&self) -> u64 {
        self.inner.line.moved()
    }

    /// Asks for a sign of life; true when it came in time.
    pub async fn probe(&self, timeout: Duration) -> bool {
        let Some(mut sender) = self.sender() else {
            return false;
        };
        let nothing = serde_json::json!({});
        let asked = control::tell(&mut sender, "/ping", &nothing, &self.inner.settings);
        matches!(tokio::time::timeout(timeout, asked).await, Ok(Ok(())))
    }

    /// Takes up which app connections have ended. If the host has to hear of one, and nobody is
    /// telling it yet, what comes back tells it.
    pub fn hear_of_ends(
        &self,
        app_connections: &[String],
    ) -> Option<impl Future<Output = ()> + Send + use<>> {
        if !self.can(FEATURE_ENDS) || !self.inner.carried.take_up(app_connections) {
            return None;
        }
        let tunnel = self.clone();
        let carried = self.inner.carried.clone();
        Some(carried.tell(move |notice| {
            let tunnel = tunnel.clone();
            async move {
                let mut sender = tunnel.sender().ok_or(ControlError::Finished)?;
                control::tell(&mut sender, "/ended", &notice, &tunnel.inner.settings).await
            }
        }))
    }

    /// Remembers an app connection that the host knows of, so that it hears of its end.
    pub(super) fn carry(&self, app_connection: &str) {
        self.inner.carried.note(app_connection);
    }

    pub(super) fn control_deadline(&self) -> Duration {
        self.inner.settings.control_deadline
    }

    pub(super) fn can(&self, feature: &str) -> bool {
        self.hello().features.iter().any(|known| known == feature)
    }

    /// Asks the host to dial a fresh tunnel within `reconnect_after`. This one goes on
    /// until the host has the new one and finishes it, or until [`Tunnel::finish`].
    pub async fn drain(&self, reconnect_after: Duration) -> Result<(), ControlError> {
        let mut sender = self.sender().ok_or(ControlError::Finished)?;
        let drain = Drain {
            reconnect_after_ms: u64::try_from(reconnect_after.as_millis()).unwrap_or(u64::MAX),
        };
        control::tell(&mut sender, "/drain", &drain, &self.inner.settings).await
    }

    /// Refuses a tunnel that was welcomed already, and closes it.
    pub async fn dismiss(&self, refusal: control::Refusal) {
        if let Some(mut sender) = self.sender() {
            let told = control::tell(&mut sender, "/refused", &refusal, &self.inner.settings);
            if let Err(error) = told.await {
                tracing::debug!(%error, "a dismissed host did not hear why");
            }
        }
        self.close();
    }

    /// Takes no new streams; the connection closes when the running ones are done.
    pub fn finish(&self) {
        self.take_sender();
    }

    /// Cuts the connection with everything on it.
    pub fn close(&self) {
        self.take_sender();
        self.inner.line.cut();
    }

    fn take_sender(&self) {
        let sender = &self.inner.sender;
        drop(sender.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    pub(super) fn sender(&self) -> Option<SendRequest<Frames>> {
        let sender = &self.inner.sender;
        let sender = sender.lock().unwrap_or_else(PoisonError::into_inner);
        sender
            .as_ref()
            .filter(|sender| !sender.is_closed())
            .cloned()
    }

    /// hyper would queue a stream too many without bound, behind all others.
    pub(super) fn count(&self) -> Option<ActiveStream> {
        let most = self.inner.settings.max_streams as usize;
        let active = &self.inner.active;
        active
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
                (now < most).then_some(now + 1)
            })
            .ok()?;
        Some(ActiveStream {
            _count: Arc::new(Count(Arc::clone(active))),
        })
    }
}

impl std::fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tunnel")
            .field("id", &self.inner.id)
            .field("open", &self.is_open())
            .finish_non_exhaustive()
    }
}

/// Gives a request the form it has in the tunnel.
fn prepare(request: &mut Request<Body>, head: &StreamHead) -> Result<(), SendError> {
    head.encode(request.headers_mut())?;
    request.headers_mut().insert(KIND, KIND_REQUEST);
    if request.extensions().get::<SharesCamera>().is_some() {
        request.headers_mut().insert(SHARES, SHARES_CAMERA);
    }
    let authority = match request.uri().authority() {
        Some(authority) => authority.as_str().to_owned(),
        None => host_field(request).ok_or(SendError::Target)?,
    };
    // One authority only, so that nobody further on can pick another one.
    request.headers_mut().remove(HOST);
    let target = request.uri().path_and_query().cloned();
    *request.uri_mut() = Uri::builder()
        .scheme(head.scheme.as_str())
        .authority(authority)
        .path_and_query(target.unwrap_or_else(|| PathAndQuery::from_static("/")))
        .build()
        .map_err(|_| SendError::Target)?;
    *request.version_mut() = Version::HTTP_2;
    Ok(())
}

fn host_field(request: &Request<Body>) -> Option<String> {
    let mut values = request.headers().get_all(HOST).iter();
    match (values.next(), values.next()) {
        (Some(host), None) => host.to_str().ok().map(str::to_owned),
        _ => None,
    }
}

/// A copy of a request without a body, for the case that the host refuses the first.
fn spare(request: &Request<Body>) -> Option<Request<Body>> {
    if !http_body::Body::is_end_stream(request.body()) {
        return None;
    }
    let mut copy = Request::new(body::empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    copy.headers_mut().clone_from(request.headers());
    copy.extensions_mut().clone_from(request.extensions());
    Some(copy)
}

/// The reason, if the other side said that it did nothing about the stream.
fn refused(error: &hyper::Error) -> Option<&h2::Error> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            // A GOAWAY fails exactly the streams above its last stream id.
            let untouched =
                error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM);
            return (error.is_remote() && untouched).then_some(error);
        }
        cause = error.source();
    }
    None
}

/// A response body that keeps its stream counted.
struct Counted {
    body: Incoming,
    _active: ActiveStream,
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
