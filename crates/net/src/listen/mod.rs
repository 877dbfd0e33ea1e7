//! Accepting callers: sockets, TLS, HTTP/1 and HTTP/2, with bounds on all of them.
//!
//! Every request passes the [`gate`](crate::gate) before the handler sees it. A role
//! gives a [`Handler`]; this module knows nothing of what it serves.

mod descriptors;
mod limits;
mod refuse;
mod serve;
mod socket;
mod stop;
mod streams;
mod tap;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use crate::authority::Authority;
use crate::body::Body;
use crate::client_addr::{Caller, TrustedPeers};
use crate::cores::Deal;
use crate::gate::Rejection;
use crate::tls::Exporter;

pub use descriptors::connections_within;
pub use socket::CallerWatch;
pub use stop::Stop;
pub use tap::Tap;

/// What a role does with requests.
pub trait Handler: Clone + Send + Sync + 'static {
    /// Answers one request that passed the gate.
    fn handle(
        &self,
        request: Request<Body>,
        call: Call,
    ) -> impl Future<Output = Response<Body>> + Send;

    /// The answer to a request that did not pass; the connection is closed after it.
    fn refuse(&self, rejection: Rejection) -> Response<Body>;
}

/// What is known about a request besides its bytes.
#[derive(Clone)]
pub struct Call {
    /// The socket's peer.
    pub peer: SocketAddr,
    /// The caller, by the word of the peer if that is trusted.
    pub caller: Caller,
    /// The authority the request is routed by.
    pub authority: Authority,
    /// The name given in the TLS handshake, if there was one.
    pub server_name: Option<String>,
    /// Whether a WebSocket is asked for.
    pub websocket: bool,
    /// Whether a host asks to turn this connection into its tunnel.
    pub tunnel: bool,
    /// Tells when the caller has gone.
    pub watch: CallerWatch,
    /// Keying material bound to this TLS connection, if TLS ends here.
    pub exporter: Option<Exporter>,
}

/// How callers are accepted. Durations bound a caller's patience with us and ours with it.
#[derive(Clone)]
pub struct ListenSettings {
    /// TLS, or plain HTTP.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Peers whose forwarded fields are believed.
    pub trusted: TrustedPeers,
    /// TLS handshake, and the first bytes of a plain connection.
    pub handshake_timeout: Duration,
    /// A request head, from its first byte to its last.
    pub head_timeout: Duration,
    /// A connection between two requests.
    pub idle_timeout: Duration,
    /// A caller that takes nothing of what we send.
    pub write_stall: Duration,
    /// A caller that closed its sending half and waits for the next byte of ours. An
    /// upload that is still being read is waited for.
    ///
    /// A FIN alone is a legal half-close (RFC 9293 section 3.6), but it is also all we
    /// ever see of a caller that closed its socket while we had nothing to send.
    pub silence_after_fin: Duration,
    /// A caller that sends nothing of a body it announced.
    pub body_stall: Duration,
    /// Open connections in all.
    pub max_connections: usize,
    /// Open connections of one address (IPv4) or /64 (IPv6); trusted peers and
    /// loopback are exempt.
    pub max_connections_per_address: usize,
    /// Where connections run; on the runtime that accepts them if nothing is said.
    pub deal: Option<Deal>,
}

impl Default for ListenSettings {
    fn default() -> Self {
        Self {
            tls: None,
            trusted: TrustedPeers::default(),
            handshake_timeout: Duration::from_secs(10),
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_mins(1),
            write_stall: Duration::from_mins(1),
            silence_after_fin: Duration::from_secs(30),
            body_stall: Duration::from_secs(30),
            max_connections: 10_000,
            max_connections_per_address: 100,
            deal: None,
        }
    }
}

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {cause}")]
pub struct ListenError {
    address: SocketAddr,
    cause: std::io::Error,
}

/// Takes a listening socket.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address)
        .await
        .map_err(|cause| ListenError { address, cause })
}

/// Accepts until `soft` is cancelled; open connections then finish their requests.
///
/// Connection tasks live on `tracker`; cancelling `hard` cuts them.
pub async fn serve<H: Handler>(
    listener: TcpListener,
    settings: ListenSettings,
    handler: H,
    stop: Stop,
    tracker: TaskTracker,
) {
    // A listener that ends before it was asked to takes its role with it.
    let _ended = stop.soft.clone().drop_guard();
    let limits = limits::Limits::new(&settings);
    let refusals = refuse::Refusals::new(settings.tls.is_none());
    let settings = Arc::new(settings);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.soft.cancelled() => return,
            () = stop.hard.cancelled() => return,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, most likely: accepting at full speed would only spin.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Some(place) = limits.admit(peer.ip()) else {
            tracing::debug!(peer.port = peer.port(), "too many connections, refused one");
            refusals.tell(stream, &tracker);
            continue;
        };
        let task = serve::Connection {
            settings: Arc::clone(&settings),
            handler: handler.clone(),
            stop: stop.clone(),
            tracker: tracker.clone(),
            peer,
        };
        let hard = stop.hard.clone();
        let run = async move |stream| {
            tokio::select! {
                () = task.run(stream, place) => {}
                () = hard.cancelled() => {}
            }
        };
        match &settings.deal {
            None => {
                tracker.spawn(run(stream));
            }
            Some(deal) => {
                // It is registered with the runtime that it runs on.
                let Ok(stream) = stream.into_std() else {
                    continue;
                };
                let moved = async move {
                    match TcpStream::from_std(stream) {
                        Ok(stream) => run(stream).await,
                        Err(error) => tracing::warn!(%error, "cannot take over a connection"),
                    }
                };
                tracker.spawn_on(moved, deal.next());
            }
        }
    }
}

async fn accept_tls(
    config: &Arc<rustls::ServerConfig>,
    socket: socket::CallerSocket,
) -> std::io::Result<tokio_rustls::server::TlsStream<socket::CallerSocket>> {
    TlsAcceptor::from(Arc::clone(config)).accept(socket).await
}

/// Bytes for a caller that wait in the kernel for their turn.
#[cfg(target_os = "linux")]
const NOT_SENT: u32 = 128 * 1024;

/// A caller that says nothing is asked whether it is there, so that one which vanished
/// without a FIN does not keep its place: a quiet WebSocket has no other end.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(30))
    .with_interval(Duration::from_secs(10))
    .with_retries(3);

/// Bytes on their way that nobody confirms.
#[cfg(target_os = "linux")]
const UNCONFIRMED: Duration = Duration::from_mins(1);

fn prepare(stream: &TcpStream) {
    // Small answers and WebSocket frames must not wait for an acknowledgement.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let socket = SockRef::from(stream);
    if let Err(error) = socket.set_tcp_keepalive(&KEEPALIVE) {
        tracing::debug!(%error, "cannot set TCP keepalive");
    }
    #[cfg(target_os = "linux")]
    {
        let _ = socket.set_tcp_user_timeout(Some(UNCONFIRMED));
        // Otherwise the kernel takes megabytes for a caller that reads nothing: a camera's
        // picture would be minutes old. What is on its way does not count, so no link is slower.
        let _ = socket.set_tcp_notsent_lowat(NOT_SENT);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn callers_that_vanish_are_found_out_by_the_kernel() {
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_caller, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (stream, _) = accepted.unwrap();
        prepare(&stream);
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        let seconds = Duration::from_secs;
        assert_eq!(socket.tcp_keepalive_time().unwrap(), seconds(30));
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), seconds(10));
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(seconds(60)));
    }
}
