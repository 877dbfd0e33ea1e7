//! The relay's end of a fresh tunnel: ask who it is, then welcome or refuse.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::StatusCode;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::carried::Carried;
use super::carrier::{Carrier, Line};
use super::control::{self, ControlError, Problem, ReadError, Refusal, Welcome};
use super::frames::Frames;
use super::hello::{
    Binding, Challenge, HostHello, OLDEST_PROTOCOL, PROTOCOL, RelayHello, Unproven,
};
use super::open::Tunnel;
use super::settings::Settings;
use crate::calm::Calm;
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

/// What a host is told with its welcome.
#[derive(Debug)]
pub struct Invitation<'a> {
    /// The relay's id for the tunnel.
    pub tunnel_id: &'a str,
    /// By which id the relay knows the host's printer, for apps that ask it at home.
    pub printer_id: Option<&'a str>,
    /// How many connections of this host the relay takes.
    pub connections: u8,
    /// What another tunnel of the same run of the host, which is up, has carried. Without it the
    /// host forgets what it knows of app connections: nobody told it of those that ended.
    pub beside: Option<Carried>,
}

impl Acceptor {
    /// An acceptor whose tasks run on `tracker`.
    pub fn new(config: AcceptorConfig, tracker: TaskTracker) -> Self {
        Self { config, tracker }
    }

    /// The same, called by another name: the one by which a host dialled this relay.
    #[must_use]
    pub fn named(&self, relay_name: String) -> Self {
        let mut named = self.clone();
        named.config.relay_name = relay_name;
        named
    }

    /// Asks who dialled. `binding` is the exporter of the TLS connection that ended in this
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
        let io = Calm::from_server(io);
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
        let challenge = Challenge {
            exporter,
            relay_name: &self.config.relay_name,
            nonce: &nonce,
            hello_body: &body,
        };
        Ok(challenge.verify(answer)?)
    }
}

impl Arrival {
    /// Takes the tunnel: from here on the host serves requests. It is the host's only one.
    pub async fn welcome(
        self,
        tunnel_id: &str,
        printer_id: Option<&str>,
    ) -> Result<Tunnel, ControlError> {
        let invitation = Invitation {
            tunnel_id,
            printer_id,
            connections: 1,
            beside: None,
        };
        self.welcome_as(invitation).await
    }

    /// Takes the tunnel as one of several.
    pub async fn welcome_as(mut self, invitation: Invitation<'_>) -> Result<Tunnel, ControlError> {
        let tunnel_id = invitation.tunnel_id.to_owned();
        let welcome = Welcome {
            tunnel_id: tunnel_id.clone(),
            printer_id: invitation.printer_id.map(str::to_owned),
            connections: (invitation.connections > 1).then_some(invitation.connections),
            beside: invitation.beside.is_some(),
        };
        control::tell(&mut self.sender, "/welcome", &welcome, &self.settings).await?;
        let tunnel = Tunnel::new(tunnel_id, self.hello, self.sender, self.line, self.settings);
        if let Some(carried) = invitation.beside {
            tunnel.share(carried);
        }
        Ok(tunnel)
    }

    /// Sends the host away with a reason, and closes.
    pub async fn refuse(mut self, refusal: Refusal) {
        let told = control::tell(&mut self.sender, "/refused", &refusal, &self.settings).await;
        if let Err(error) = told {
            tracing::debug!(%error, "a refused host did not hear why");
        }
        self.line.cut();
    }
}

/// A stranger's text, fit for a log.
fn printable(text: &str) -> String {
    text.escape_debug().take(256).collect()
}
