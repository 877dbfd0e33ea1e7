//! An open tunnel at the relay: streams go out, answers come back.

use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::thread::ThreadId;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use tokio::time::Instant;

use super::carried::Carried;
use super::carrier::{End, Line};
use super::control::{self, ControlError, Drain, EndedNotice};
use super::forwarding::{lost, prepare, refused, spare};
use super::frames::Frames;
use super::head::{HeadError, Scope, StreamHead};
use super::hello::HostHello;
use super::load::{ActiveStream, Load};
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
    /// The thread that was at work when it was welcomed.
    home: ThreadId,
    /// Gone once the tunnel takes no new streams.
    sender: Mutex<Option<SendRequest<Frames>>>,
    line: Line,
    settings: Settings,
    load: Arc<Load>,
    /// Shared with the other tunnels of the same running host, once it is one of several.
    carried: OnceLock<Carried>,
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
    /// The tunnel broke before the answer began, and nobody knows how far the request came. It
    /// only asks, so that it may be sent again.
    #[error("the tunnel broke: {1}")]
    Broken(Box<Request<Body>>, hyper::Error),
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

impl ActiveStream {
    /// Counts it until the answer's body is gone.
    pub(super) fn keep(self, response: Response<Incoming>) -> Response<Body> {
        response.map(|body| body::boxed(Counted { body, active: self }))
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
                home: std::thread::current().id(),
                sender: Mutex::new(Some(sender)),
                line,
                settings,
                load: Arc::default(),
                carried: OnceLock::new(),
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
            self.carried().note(id);
        }
        prepare(&mut request, head)?;
        let Some(mut sender) = self.sender() else {
            return Err(SendError::NotSent(Box::new(request)));
        };
        let Some(active) = self.count() else {
            return Err(SendError::Full(Box::new(request)));
        };
        let spare = spare(&request);
        let meter = active.meter();
        let request = request.map(|body| Frames::weighed(body, meter));
        match sender.try_send_request(request).await {
            Ok(response) => {
                let mut response = active.clone().keep(response);
                response.extensions_mut().insert(active);
                let run = HostRun(self.hello().instance);
                response.extensions_mut().insert(run);
                Ok(response)
            }
            Err(mut failed) => {
                if let Some(request) = failed.take_message() {
                    return Err(SendError::NotSent(Box::new(
                        request.map(|frames| frames.body),
                    )));
                }
                let error = failed.into_error();
                let Some(refused) = refused(&error) else {
                    return Err(lost(error, spare));
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
        self.inner.load.active()
    }

    /// How many of them are heavy: they have moved more than 64 KiB lately, or are known to.
    pub fn heavy_streams(&self) -> usize {
        self.inner.load.heavy()
    }

    /// Whether its connection is at work on this thread, where connections have their own: see
    /// [`cores`](crate::cores). Then nobody has to wake another thread for a request through it.
    pub fn is_near(&self) -> bool {
        self.inner.home == std::thread::current().id()
    }

    /// Whether as many streams are open as may be.
    pub fn is_full(&self) -> bool {
        self.active_streams() >= self.inner.settings.max_streams as usize
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
        let tunnel = self.clone();
        self.can(FEATURE_ENDS)
            .then(|| {
                self.carried()
                    .end(app_connections, move || Some(tunnel.clone()))
            })
            .flatten()
    }

    /// Tells the host which app connections have ended.
    pub(super) async fn tell_ends(&self, notice: &EndedNotice) -> Result<(), ControlError> {
        if !self.can(FEATURE_ENDS) {
            return Ok(());
        }
        let mut sender = self.sender().ok_or(ControlError::Finished)?;
        control::tell(&mut sender, "/ended", notice, &self.inner.settings).await
    }

    /// What it and the other tunnels of the same running host have carried requests of.
    pub fn carried(&self) -> &Carried {
        self.inner.carried.get_or_init(Carried::default)
    }

    /// Shares what is remembered with the host's other tunnels. Only before the first request.
    pub fn share(&self, carried: Carried) {
        let _ = self.inner.carried.set(carried);
    }

    /// Remembers an app connection that the host knows of, so that it hears of its end.
    pub(super) fn carry(&self, app_connection: &str) {
        self.carried().note(app_connection);
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
        self.inner
            .load
            .begin(self.inner.settings.max_streams as usize)
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

/// A response body that keeps its stream counted.
struct Counted {
    body: Incoming,
    active: ActiveStream,
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            self.active.note_moved(data.len() as u64);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
