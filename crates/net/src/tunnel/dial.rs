//! Dialling a relay: TCP, TLS, and the HTTP/1.1 request that turns into a tunnel.

use std::io;
use std::path::Path;
use std::time::Duration;

use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::task::TaskTracker;
use url::{Host, Url};

use super::carrier::{End, tune_socket};
use super::control::Refusal;
use super::hello::Mistrust;
use crate::body::{self, Body};
use crate::resolve::{self, ConnectError};
use crate::tls::{self, Exporter, TlsError};

/// Where a relay accepts tunnels.
pub const TUNNEL_PATH: &str = "/latchkey/tunnel";
/// The value of `Upgrade` in request and answer.
pub const TUNNEL_UPGRADE: &str = "latchkey/1";

/// Why there is no tunnel, in a sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The URL is not an origin.
    #[error(
        "{0} is not a relay URL; it must look like https://relay.example.com, without a path, \
         user or query"
    )]
    Url(String),
    /// Plain HTTP across a network.
    #[error(
        "the relay URL {0} has no TLS; use https, because plain http is only for a relay on this \
         machine"
    )]
    Plain(String),
    /// Certificates cannot be loaded.
    #[error("the TLS settings of the tunnel are unusable: {0}")]
    Settings(#[from] TlsError),
    /// The name does not resolve.
    #[error("cannot find {relay}: {cause}; check the relay URL and this machine's DNS")]
    Resolve {
        /// The relay.
        relay: String,
        /// The resolver's answer.
        cause: io::Error,
    },
    /// Nobody answers at the address.
    #[error("cannot connect to {relay}: {cause}; is the relay running, and is the port open?")]
    Connect {
        /// The relay.
        relay: String,
        /// The network's answer.
        cause: io::Error,
    },
    /// Not done in time.
    #[error("{relay} did not answer within {} s", within.as_secs())]
    Deadline {
        /// The relay.
        relay: String,
        /// The time it had.
        within: Duration,
    },
    /// The certificate is not believed.
    #[error(
        "the certificate of {relay} is not trusted ({cause}); check this machine's clock, and \
         name the CA file if the relay has a CA of its own"
    )]
    Certificate {
        /// The relay.
        relay: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The TLS handshake failed otherwise.
    #[error("TLS with {relay} failed: {cause}; the relay must speak TLS 1.3 at this port")]
    Tls {
        /// The relay.
        relay: String,
        /// Why.
        cause: io::Error,
    },
    /// Something answers, but not a relay.
    #[error("{relay} is not a Latchkey relay ({answer}); check the relay URL")]
    NotARelay {
        /// The relay.
        relay: String,
        /// What it answered instead.
        answer: String,
    },
    /// The relay or a proxy before it has trouble.
    #[error("{relay} takes no tunnels now (it answered {status}); trying again by itself")]
    Unavailable {
        /// The relay.
        relay: String,
        /// The status it answered.
        status: StatusCode,
        /// The wait it asked for.
        retry_after: Option<Duration>,
    },
    /// The relay said no to the upgrade.
    #[error("{relay} or a proxy before it does not let tunnels in (it answered {status})")]
    Forbidden {
        /// The relay.
        relay: String,
        /// The status it answered.
        status: StatusCode,
    },
    /// The relay is not the one it should be.
    #[error(transparent)]
    Mistrust(#[from] Mistrust),
    /// The relay does not take this host.
    #[error("the relay refuses this host: {0}")]
    Refused(#[from] Refusal),
    /// No hello or no decision in time.
    #[error("{0} upgraded the connection but did not say hello in time")]
    Silent(String),
    /// The connection ended before the decision.
    #[error("the connection to {relay} ended before the tunnel was up: {end}")]
    Ended {
        /// The relay.
        relay: String,
        /// How.
        end: End,
    },
}

/// Any byte stream.
pub(super) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// A byte stream to a relay that agreed to a tunnel.
pub(super) struct Dialled {
    pub(super) io: Box<dyn Io>,
    pub(super) exporter: Option<Exporter>,
}

/// A way to reach a relay. TCP is the one there is; QUIC or a WebSocket may follow.
pub(super) trait Connect: Send + Sync + 'static {
    fn connect(&self) -> impl Future<Output = Result<Dialled, DialError>> + Send;
}

/// The name under which host and relay know the relay: the authority of its web origin,
/// in lower case, without the scheme's default port.
pub fn relay_name(url: &Url) -> Result<String, DialError> {
    let bare = matches!(url.scheme(), "http" | "https")
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    match url.host_str() {
        Some(host) if bare => Ok(match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }),
        _ => Err(DialError::Url(url.as_str().escape_debug().to_string())),
    }
}

/// Dials over TCP.
pub(super) struct TcpConnect {
    relay: String,
    host: Host<String>,
    port: u16,
    tls: Option<TlsConnector>,
    within: Duration,
    tracker: TaskTracker,
}

impl TcpConnect {
    pub(super) fn new(
        url: &Url,
        ca_file: Option<&Path>,
        within: Duration,
        tracker: TaskTracker,
    ) -> Result<Self, DialError> {
        let relay = relay_name(url)?;
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(DialError::Url(url.to_string()));
        };
        let host = host.to_owned();
        let tls = if url.scheme() == "https" {
            Some(TlsConnector::from(tls::tunnel_client_config(ca_file)?))
        } else if resolve::is_loopback(&host) {
            None
        } else {
            return Err(DialError::Plain(url.to_string()));
        };
        Ok(Self {
            relay,
            host,
            port,
            tls,
            within,
            tracker,
        })
    }

    /// Whether the relay is on this machine.
    pub(super) fn is_loopback(&self) -> bool {
        resolve::is_loopback(&self.host)
    }

    async fn dial(&self) -> Result<Dialled, DialError> {
        let socket = self.open_socket().await?;
        tune_socket(&socket);
        let Some(connector) = &self.tls else {
            return self.upgrade(socket, None).await;
        };
        let stream = connector
            .connect(self.server_name()?, socket)
            .await
            .map_err(|error| self.tls_error(error))?;
        let exporter = tls::client_exporter(&stream)
            .map_err(|error| self.tls_error(io::Error::other(error)))?;
        self.upgrade(stream, Some(exporter)).await
    }

    async fn open_socket(&self) -> Result<TcpStream, DialError> {
        let connected = resolve::connect(&self.host, self.port, self.within).await;
        connected.map_err(|error| {
            let relay = self.relay.clone();
            match error {
                ConnectError::Resolve(cause) => DialError::Resolve { relay, cause },
                ConnectError::Connect(cause) => DialError::Connect { relay, cause },
            }
        })
    }

    fn server_name(&self) -> Result<ServerName<'static>, DialError> {
        tls::server_name(&self.host).ok_or_else(|| DialError::Url(self.host.to_string()))
    }

    fn tls_error(&self, cause: io::Error) -> DialError {
        let relay = self.relay.clone();
        match tls::certificate_error(&cause) {
            Some(error) => DialError::Certificate {
                relay,
                cause: error.to_string(),
            },
            None => DialError::Tls { relay, cause },
        }
    }

    /// Asks for the upgrade on a fresh connection.
    async fn upgrade<IO: Io + 'static>(
        &self,
        io: IO,
        exporter: Option<Exporter>,
    ) -> Result<Dialled, DialError> {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io))
            .await
            .map_err(|error| self.not_a_relay(&error))?;
        self.tracker.spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "the connection to the relay failed before the upgrade");
            }
        });
        let request = self.upgrade_request()?;
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| self.not_a_relay(&error))?;
        self.check_upgrade(&response)?;
        let upgraded = hyper::upgrade::on(response)
            .await
            .map_err(|error| self.not_a_relay(&error))?;
        Ok(Dialled {
            io: Box::new(TokioIo::new(upgraded)),
            exporter,
        })
    }

    fn upgrade_request(&self) -> Result<Request<Body>, DialError> {
        Request::get(TUNNEL_PATH)
            .header(header::HOST, &self.relay)
            .header(header::CONNECTION, HeaderValue::from_static("Upgrade"))
            .header(header::UPGRADE, HeaderValue::from_static(TUNNEL_UPGRADE))
            .body(body::empty())
            .map_err(|_| DialError::Url(self.relay.clone()))
    }

    fn check_upgrade(&self, response: &Response<Incoming>) -> Result<(), DialError> {
        let relay = self.relay.clone();
        let status = response.status();
        let ours = response
            .headers()
            .get(header::UPGRADE)
            .is_some_and(|value| {
                value
                    .as_bytes()
                    .eq_ignore_ascii_case(TUNNEL_UPGRADE.as_bytes())
            });
        match status {
            StatusCode::SWITCHING_PROTOCOLS if ours => Ok(()),
            StatusCode::SWITCHING_PROTOCOLS => Err(DialError::NotARelay {
                relay,
                answer: "it upgraded to another protocol".to_owned(),
            }),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(DialError::Forbidden { relay, status })
            }
            _ if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() => {
                Err(DialError::Unavailable {
                    relay,
                    status,
                    retry_after: retry_after(response),
                })
            }
            _ => Err(DialError::NotARelay {
                relay,
                answer: format!("it answered {status} to {TUNNEL_PATH}"),
            }),
        }
    }

    fn not_a_relay(&self, error: &hyper::Error) -> DialError {
        DialError::NotARelay {
            relay: self.relay.clone(),
            answer: format!("it does not answer as an HTTP server: {error}"),
        }
    }
}

impl Connect for TcpConnect {
    async fn connect(&self) -> Result<Dialled, DialError> {
        tokio::time::timeout(self.within, self.dial())
            .await
            .unwrap_or_else(|_| {
                Err(DialError::Deadline {
                    relay: self.relay.clone(),
                    within: self.within,
                })
            })
    }
}

fn retry_after(response: &Response<Incoming>) -> Option<Duration> {
    let seconds = response.headers().get(header::RETRY_AFTER)?;
    seconds.to_str().ok()?.parse().ok().map(Duration::from_secs)
}
