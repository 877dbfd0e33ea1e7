//! The relay's end of a fresh tunnel: ask who it is, then welcome or refuse.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Response, StatusCode};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::carrier::{Carrier, Line};
use super::control::{self, Problem, ReadError, Refusal, Welcome};
use super::frames::Frames;
use super::hello::{Binding, HostHello, OLDEST_PROTOCOL, PROTOCOL, RelayHello, Session, Unproven};
use super::open::Tunnel;
use super::settings::Settings;
use crate::tls::Exporter;

/// What a relay is called and how it runs its tunnels.
#[derive(Debug, Clone)]
pub struct AcceptorConfig {
    /// The relay's public authority, as [`super::relay_name`] makes it from its URL.
    pub relay_name: String,
    /// The relay's program version.
    pub version: String,
    /// The tunnel's numbers.
    pub settings: Settings,
}

/// Turns upgraded connections into tunnels.
#[derive(Clone)]
pub struct Acceptor {
    config: AcceptorConfig,
    tracker: TaskTracker,
    unix_time: Option<fn() -> i64>,
}

/// Why a connection did not become a tunnel.
#[derive(Debug, thiserror::Error)]
pub enum HelloError {
    /// The other side speaks no HTTP/2 or went away.
    #[error("the connection broke during the hello: {0}")]
    Connection(#[from] hyper::Error),
    /// No answer in time.
    #[error("the host did not answer the hello in time")]
    Deadline,
    /// The host does not trust this relay, and says why.
    #[error("the host refuses this relay ({code}): {sentence}")]
    Refused {
        /// The host's reason, for programs.
        code: String,
        /// The host's reason, for people; made printable.
        sentence: String,
    },
    /// The host's answer is no proof.
    #[error(transparent)]
    Unproven(#[from] Unproven),
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: {0}")]
    Random(#[from] getrandom::Error),
}

/// Why a control request failed.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The tunnel is gone.
    #[error("the tunnel is gone: {0}")]
    Lost(#[from] hyper::Error),
    /// No answer in time.
    #[error("the host did not answer in time")]
    Deadline,
    /// The host declined.
    #[error("the host answered {0}")]
    Declined(StatusCode),
    /// This side has finished with the tunnel.
    #[error("the tunnel takes no new streams")]
    Finished,
}

/// A host that proved its key and waits for a decision.
///
/// Dropping it closes the connection.
#[derive(Debug)]
pub struct Arrival {
    /// Who the host is.
    pub hello: HostHello,
    sender: SendRequest<Frames>,
    line: Line,
    settings: Settings,
}

impl Acceptor {
    /// An acceptor whose tasks run on `tracker`.
    pub fn new(config: AcceptorConfig, tracker: TaskTracker) -> Self {
        Self {
            config,
            tracker,
            unix_time: None,
        }
    }

    /// Tells hosts the time; those without a clock chip start up in the past.
    #[must_use]
    pub fn with_time(mut self, unix_time: fn() -> i64) -> Self {
        self.unix_time = Some(unix_time);
        self
    }

    /// Asks who dialled. `binding` is the exporter of the TLS session that ended in this
    /// process, if one did; then the host's proof must be tied to it.
    pub async fn accept<IO>(&self, io: IO, binding: Option<Exporter>) -> Result<Arrival, HelloError>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let settings = &self.config.settings;
        let deadline = Instant::now() + settings.hello_deadline;
        let line = Line::new(&CancellationToken::new());
        // Whatever goes wrong below, also a dropped future, takes the connection along.
        let cut = line.cut_on_drop();
        let io = TokioIo::new(Carrier::new(io, line.clone(), settings.dead_after()));
        let handshake = settings.client(&self.tracker).handshake(io);
        let (mut sender, connection) = timeout_at(deadline, handshake)
            .await
            .map_err(|_| HelloError::Deadline)??;
        self.tracker.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "tunnel connection ended with an error");
            }
        });
        let hello = timeout_at(deadline, self.greet(&mut sender, binding.as_ref()))
            .await
            .map_err(|_| HelloError::Deadline)??;
        cut.disarm();
        Ok(Arrival {
            hello,
            sender,
            line,
            settings: settings.clone(),
        })
    }

    async fn greet(
        &self,
        sender: &mut SendRequest<Frames>,
        exporter: Option<&Exporter>,
    ) -> Result<HostHello, HelloError> {
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce)?;
        let hello = RelayHello {
            protocol: PROTOCOL,
            oldest_protocol: OLDEST_PROTOCOL,
            relay: self.config.relay_name.clone(),
            version: self.config.version.clone(),
            features: Vec::new(),
            nonce: URL_SAFE_NO_PAD.encode(nonce),
            binding: match exporter {
                Some(_) => Binding::TlsExporter,
                None => Binding::None,
            },
            time: self.unix_time.map(|now| now()),
        };
        let body = Bytes::from(serde_json::to_vec(&hello).unwrap_or_default());
        let request = control::request("/hello", body.clone());
        let response = sender.send_request(request).await?;
        let wait = self.config.settings.hello_deadline;
        let (status, body_in) = (response.status(), response.into_body());
        if status != StatusCode::OK {
            return Err(match control::read_json::<Problem>(body_in, wait).await {
                Ok(problem) => HelloError::Refused {
                    code: printable(&problem.code),
                    sentence: printable(&problem.sentence),
                },
                Err(_) => Unproven::Malformed("not even an error in JSON").into(),
            });
        }
        let answer = control::read_json(body_in, wait)
            .await
            .map_err(|error| match error {
                ReadError::Deadline => HelloError::Deadline,
                ReadError::Body => Unproven::Malformed("body").into(),
                ReadError::Json(_) => Unproven::Malformed("JSON").into(),
            })?;
        let session = Session {
            exporter,
            relay_name: &self.config.relay_name,
            nonce: &nonce,
            hello_body: &body,
        };
        Ok(session.verify(answer)?)
    }
}

impl Arrival {
    /// Takes the tunnel: from here on the host serves requests.
    pub async fn welcome(mut self, tunnel_id: &str) -> Result<Tunnel, ControlError> {
        let welcome = Welcome {
            tunnel_id: tunnel_id.to_owned(),
        };
        self.tell("/welcome", &welcome).await?;
        Ok(Tunnel::new(
            tunnel_id.to_owned(),
            self.hello,
            self.sender,
            self.line,
            self.settings,
        ))
    }

    /// Sends the host away with a reason, and closes.
    pub async fn refuse(mut self, refusal: Refusal) {
        if let Err(error) = self.tell("/refused", &refusal).await {
            tracing::debug!(%error, "a refused host did not hear why");
        }
        self.line.cut();
    }

    async fn tell(
        &mut self,
        path: &'static str,
        value: &impl serde::Serialize,
    ) -> Result<(), ControlError> {
        tell(&mut self.sender, path, value, &self.settings)
            .await
            .map(drop)
    }
}

/// Sends one control request that is done when its answer is 200.
pub(super) async fn tell(
    sender: &mut SendRequest<Frames>,
    path: &'static str,
    value: &impl serde::Serialize,
    settings: &Settings,
) -> Result<Response<Incoming>, ControlError> {
    let body = serde_json::to_vec(value).unwrap_or_default();
    let response = timeout(
        settings.control_deadline,
        sender.send_request(control::request(path, body)),
    )
    .await
    .map_err(|_| ControlError::Deadline)??;
    if response.status() == StatusCode::OK {
        Ok(response)
    } else {
        Err(ControlError::Declined(response.status()))
    }
}

/// A stranger's text, fit for a log.
fn printable(text: &str) -> String {
    text.escape_debug().take(256).collect()
}
