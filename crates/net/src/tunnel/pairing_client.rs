//! The host's side of pairing: asks its relay for a code, and how it went.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_rustls::TlsConnector;
use tokio_util::task::TaskTracker;
use url::{Host, Url};

use super::dial::{DialError, Io, relay_name};
use super::identity::HostIdentity;
use super::pairing::{PairingAnswer, PairingProblem, PairingStart, PairingStarted};
use crate::resolve::{self, ConnectError};
use crate::tls;

/// Where a host asks for a code.
pub const PAIRING_PATH: &str = "/api/pairing";
/// Where it asks how it went.
pub const PAIRING_POLL_PATH: &str = "/api/pairing/poll";

/// Time for one question with its answer.
const WITHIN: Duration = Duration::from_secs(15);
const MAX_ANSWER: usize = 16 * 1024;
const MAX_SENTENCE: usize = 400;

/// Why there is no answer, in a sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum PairingError {
    /// The relay cannot be asked.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The relay said no.
    #[error("{relay} declines: {sentence}")]
    Declined {
        /// The relay.
        relay: String,
        /// The relay's word for it.
        code: String,
        /// The relay's reason, made printable.
        sentence: String,
        /// Whether asking again may help.
        passing: bool,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: {0}")]
    Random(#[from] getrandom::Error),
}

impl PairingError {
    /// Whether the same question may be answered a little later.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Dial(error) => matches!(
                error,
                DialError::Resolve { .. }
                    | DialError::Connect { .. }
                    | DialError::Deadline { .. }
                    | DialError::Tls { .. }
                    | DialError::Unavailable { .. }
                    | DialError::NotARelay { .. }
            ),
            Self::Declined { passing, .. } => *passing,
            Self::Random(_) => false,
        }
    }
}

/// Asks one relay. Each question has a connection of its own: there are few, and far between.
pub struct PairingClient {
    url: Url,
    relay: String,
    host: Host<String>,
    port: u16,
    tls: Option<TlsConnector>,
    tracker: TaskTracker,
}

impl PairingClient {
    /// Asks the relay at `url`; certificates in `ca_file` are believed beside the public ones.
    pub fn new(url: &Url, ca_file: Option<&Path>) -> Result<Self, DialError> {
        let relay = relay_name(url)?;
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(DialError::Url(url.to_string()));
        };
        let host = host.to_owned();
        let tls = if url.scheme() == "https" {
            Some(TlsConnector::from(tls::http_client_config(ca_file)?))
        } else if resolve::is_loopback(&host) {
            None
        } else {
            return Err(DialError::Plain(url.to_string()));
        };
        Ok(Self {
            url: url.clone(),
            relay,
            host,
            port,
            tls,
            tracker: TaskTracker::new(),
        })
    }

    /// The relay's name.
    pub fn relay(&self) -> &str {
        &self.relay
    }

    /// Asks for a code, at `time` in seconds since 1970.
    pub async fn start(
        &self,
        identity: &HostIdentity,
        name: &str,
        time: i64,
    ) -> Result<PairingStarted, PairingError> {
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce)?;
        let wish = PairingStart::sign(identity, &self.relay, name, time, &nonce);
        let started: PairingStarted = self.ask(PAIRING_PATH, &wish).await?;
        for shown in [&started.link, &started.page] {
            // People open it and type a password there.
            if !Url::parse(shown).is_ok_and(|url| is_own(&self.url, &url)) {
                return Err(PairingError::Dial(DialError::NotARelay {
                    relay: self.relay.clone(),
                    answer: "it leads to another address for the code".to_owned(),
                }));
            }
        }
        Ok(started)
    }

    /// Asks how it went.
    pub async fn poll(&self, poll: &str) -> Result<PairingAnswer, PairingError> {
        self.ask(PAIRING_POLL_PATH, &serde_json::json!({ "poll": poll }))
            .await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        path: &'static str,
        body: &impl Serialize,
    ) -> Result<T, PairingError> {
        let body = serde_json::to_vec(body).unwrap_or_default();
        let asked = tokio::time::timeout(WITHIN, self.send(path, body.into()));
        asked.await.unwrap_or_else(|_| {
            Err(PairingError::Dial(DialError::Deadline {
                relay: self.relay.clone(),
                within: WITHIN,
            }))
        })
    }

    async fn send<T: DeserializeOwned>(
        &self,
        path: &'static str,
        body: Bytes,
    ) -> Result<T, PairingError> {
        let io = self.open().await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io))
            .await
            .map_err(|error| self.no_server(&error))?;
        // It ends with the sender.
        self.tracker.spawn(connection);
        let request = Request::post(path)
            .header(header::HOST, &self.relay)
            .header(header::ACCEPT, JSON)
            .header(header::CONTENT_TYPE, JSON)
            .body(Full::new(body))
            .map_err(|_| DialError::Url(self.relay.clone()))?;
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| self.no_server(&error))?;
        let status = response.status();
        let text = self.read(response.into_body(), status).await?;
        if status == StatusCode::OK {
            return serde_json::from_slice(&text)
                .map_err(|_| self.not_a_relay(path, status).into());
        }
        Err(self.declined(path, status, &text))
    }

    async fn read(&self, body: Incoming, status: StatusCode) -> Result<Bytes, DialError> {
        let collected = Limited::new(body, MAX_ANSWER).collect().await;
        collected
            .map(http_body_util::Collected::to_bytes)
            .map_err(|_| self.not_a_relay("pairing", status))
    }

    fn declined(&self, path: &str, status: StatusCode, text: &[u8]) -> PairingError {
        let passing = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
        match serde_json::from_slice::<PairingProblem>(text) {
            Ok(problem) => PairingError::Declined {
                relay: self.relay.clone(),
                code: printable(&problem.code),
                sentence: printable(&problem.sentence),
                passing,
            },
            Err(_) if passing => PairingError::Dial(DialError::Unavailable {
                relay: self.relay.clone(),
                status,
                retry_after: None,
            }),
            Err(_) => self.not_a_relay(path, status).into(),
        }
    }

    async fn open(&self) -> Result<Box<dyn Io>, DialError> {
        let relay = || self.relay.clone();
        let connected = resolve::connect(&self.host, self.port, WITHIN).await;
        let socket = connected.map_err(|error| match error {
            ConnectError::Resolve(cause) => DialError::Resolve {
                relay: relay(),
                cause,
            },
            ConnectError::Connect(cause) => DialError::Connect {
                relay: relay(),
                cause,
            },
        })?;
        let Some(connector) = &self.tls else {
            return Ok(Box::new(socket));
        };
        let name = tls::server_name(&self.host).ok_or_else(|| DialError::Url(relay()))?;
        match connector.connect(name, socket).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(cause) => Err(match tls::certificate_error(&cause) {
                Some(error) => DialError::Certificate {
                    relay: relay(),
                    cause: error.to_string(),
                },
                None => DialError::Tls {
                    relay: relay(),
                    cause,
                },
            }),
        }
    }

    fn no_server(&self, error: &hyper::Error) -> DialError {
        DialError::NotARelay {
            relay: self.relay.clone(),
            answer: format!("it does not answer as an HTTP server: {error}"),
        }
    }

    fn not_a_relay(&self, path: &str, status: StatusCode) -> DialError {
        DialError::NotARelay {
            relay: self.relay.clone(),
            answer: format!("it answered {status} to {path}"),
        }
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A relay's text, fit for a terminal and a log.
fn printable(text: &str) -> String {
    text.escape_debug().take(MAX_SENTENCE).collect()
}

/// Whether a page is the relay's that was asked. Its listener for hosts may have another port than
/// its pages; the name, for which a certificate stands, is the same.
fn is_own(asked: &Url, shown: &Url) -> bool {
    let secure = asked.scheme() == "https" && shown.scheme() == "https";
    asked.origin() == shown.origin() || (secure && asked.host() == shown.host())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_the_same_name_is_the_relays_whatever_the_port() {
        for (asked, shown, own) in [
            ("https://a.example", "https://a.example/pair", true),
            ("https://a.example:7443", "https://a.example/pair", true),
            ("https://a.example:7443", "https://b.example/pair", false),
            ("https://a.example", "https://pay.a.example/pair", false),
            ("https://a.example:7443", "http://a.example/pair", false),
            ("http://localhost:1", "http://localhost:1/pair", true),
            // Whose it is on a machine of several people, no certificate says.
            ("http://localhost:1", "http://localhost:2/pair", false),
            ("https://a.example", "data:text/html,x", false),
        ] {
            let url = |text: &str| Url::parse(text).unwrap();
            assert_eq!(is_own(&url(asked), &url(shown)), own, "{asked} {shown}");
        }
    }
}
