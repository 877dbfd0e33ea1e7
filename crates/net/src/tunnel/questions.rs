//! What a relay asks a host beside forwarded requests: an app key, the host's address at home, and
//! which app connections it made keys for.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::{Response, StatusCode};
use hyper::body::Incoming;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::control::{self, ControlError, Problem, ReadError};
use super::head::Scope;
use super::open::Tunnel;
use super::serve::StreamService;
use crate::body::Body;

/// A host with this feature makes app keys when its relay asks for them.
pub const FEATURE_APP_KEYS: &str = "app-keys";
/// A host with this feature says where it is at home.
pub const FEATURE_LOCAL_ADDRESS: &str = "local-address";

/// Time for a key: the printer's server may have to make it.
const KEY_DEADLINE: Duration = Duration::from_secs(10);
/// The most app connections that a host names: they fit into a control body.
pub const MOST_NAMED: usize = 400;
const MAX_KEY: usize = 256;

/// A relay's wish for an app key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppKeyWish {
    /// What the app is called; a stranger's word.
    pub app: String,
    /// The app connection that the key is made for, and ends with.
    pub app_connection: String,
    /// How far it goes.
    pub scope: Scope,
}

/// A key as its host made it. The key is wiped when dropped and never printed.
#[derive(Clone, Serialize, Deserialize)]
pub struct MadeAppKey {
    /// The key.
    pub api_key: Zeroizing<String>,
    /// What the app is called at the host.
    pub app: String,
}

impl fmt::Debug for MadeAppKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MadeAppKey")
            .field("app", &self.app)
            .finish_non_exhaustive()
    }
}

/// Why a host makes no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppKeyRefusal {
    /// Its settings say that the relay gets none.
    #[error("the host's settings do not let the relay have app keys made")]
    NotAllowed,
    /// It, or the printer's server, has no keys of this kind.
    #[error("this host cannot make app keys")]
    NotOffered,
    /// Its printer's server has no keys that only look.
    #[error("the printer's server has no keys that only look")]
    Scope,
    /// Nobody there could be its owner.
    #[error("the host has no administrator whose key it could be")]
    Nobody,
    /// The name is none, or the app connection's id.
    #[error("the app's name cannot be used")]
    Name,
    /// Too many were asked for.
    #[error("too many keys were asked for")]
    TooMany,
    /// It failed.
    #[error("the host could not make the key")]
    Failed,
}

impl AppKeyRefusal {
    const ALL: [Self; 7] = [
        Self::NotAllowed,
        Self::NotOffered,
        Self::Scope,
        Self::Nobody,
        Self::Name,
        Self::TooMany,
        Self::Failed,
    ];

    /// The stable word for it on the wire.
    const fn code(self) -> &'static str {
        match self {
            Self::NotAllowed => "not_allowed",
            Self::NotOffered => "not_offered",
            Self::Scope => "scope",
            Self::Nobody => "nobody",
            Self::Name => "name",
            Self::TooMany => "too_many",
            Self::Failed => "failed",
        }
    }

    fn of(code: &str) -> Self {
        let known = Self::ALL.into_iter().find(|known| known.code() == code);
        known.unwrap_or(Self::Failed)
    }
}

/// Why a relay has no key of a host.
#[derive(Debug, thiserror::Error)]
pub enum AppKeyError {
    /// The host declined.
    #[error(transparent)]
    Refused(#[from] AppKeyRefusal),
    /// The question or its answer did not get through. A key may have been made; it ends with
    /// the app connection.
    #[error(transparent)]
    Control(#[from] ControlError),
}

#[derive(Debug, Serialize, Deserialize)]
struct LocalAddressAnswer {
    address: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeysAnswer {
    app_connections: Vec<String>,
}

impl Tunnel {
    /// Has the host make a key for an app, within 10 s. Asked again for the same app connection,
    /// the host makes a new one in place of the first.
    pub async fn make_app_key(&self, wish: &AppKeyWish) -> Result<MadeAppKey, AppKeyError> {
        if !self.can(FEATURE_APP_KEYS) {
            return Err(AppKeyRefusal::NotOffered.into());
        }
        // So that the host hears of its end, though it may never be sent a request of it.
        self.carry(&wish.app_connection);
        let mut sender = self.sender().ok_or(ControlError::Finished)?;
        let asked = control::ask(&mut sender, "/app-key", wish, KEY_DEADLINE).await?;
        if asked.status() == StatusCode::OK {
            let made: MadeAppKey = control::read_answer(asked, KEY_DEADLINE).await?;
            let plain = made.api_key.bytes().all(|b| b.is_ascii_graphic());
            let fits = (1..=MAX_KEY).contains(&made.api_key.len());
            return if plain && fits {
                Ok(made)
            } else {
                Err(AppKeyRefusal::Failed.into())
            };
        }
        let status = asked.status();
        match control::read_answer::<Problem>(asked, KEY_DEADLINE).await {
            Ok(problem) => Err(AppKeyRefusal::of(&problem.code).into()),
            Err(_) => Err(ControlError::Declined(status).into()),
        }
    }

    /// Where the host is in its owner's network: an address with or without a port, and nothing
    /// else whatever the host says. None if it does not know.
    pub async fn local_address(&self) -> Result<Option<String>, ControlError> {
        if !self.can(FEATURE_LOCAL_ADDRESS) {
            return Ok(None);
        }
        let answer: LocalAddressAnswer = self.question("/local-address").await?;
        Ok(answer.address.as_deref().and_then(read_local_address))
    }

    /// For which app connections the host keeps keys, so that it can be told which have ended.
    pub async fn app_connections_with_keys(&self) -> Result<Vec<String>, ControlError> {
        if !self.can(FEATURE_APP_KEYS) {
            return Ok(Vec::new());
        }
        let mut answer: KeysAnswer = self.question("/app-connections").await?;
        answer.app_connections.truncate(MOST_NAMED);
        for id in &answer.app_connections {
            self.carry(id);
        }
        Ok(answer.app_connections)
    }

    async fn question<T: serde::de::DeserializeOwned>(
        &self,
        path: &'static str,
    ) -> Result<T, ControlError> {
        let mut sender = self.sender().ok_or(ControlError::Finished)?;
        let nothing = serde_json::json!({});
        let within = self.control_deadline();
        let asked = control::ask(&mut sender, path, &nothing, within).await?;
        match asked.status() {
            StatusCode::OK => control::read_answer(asked, within).await,
            status => Err(ControlError::Declined(status)),
        }
    }
}

/// The host's side of a wish for a key.
pub(super) async fn make_app_key(
    service: &impl StreamService,
    body: Incoming,
    within: Duration,
) -> Result<Response<Body>, ReadError> {
    let wish: AppKeyWish = control::read_json(body, within).await?;
    Ok(match service.make_app_key(wish).await {
        Ok(made) => control::answer(StatusCode::OK, &made),
        Err(refusal) => {
            let sentence = refusal.to_string();
            control::problem(StatusCode::FORBIDDEN, refusal.code(), sentence)
        }
    })
}

/// The host's side of the question where it is.
pub(super) async fn tell_address(
    service: &impl StreamService,
    body: Incoming,
    within: Duration,
) -> Result<Response<Body>, ReadError> {
    control::read(body, within).await?;
    let address = service.local_address();
    let answer = LocalAddressAnswer { address };
    Ok(control::answer(StatusCode::OK, &answer))
}

/// The host's side of the question what it keeps keys for.
pub(super) async fn tell_keys(
    service: &impl StreamService,
    body: Incoming,
    within: Duration,
) -> Result<Response<Body>, ReadError> {
    control::read(body, within).await?;
    let mut app_connections = service.app_connections_with_keys().await;
    app_connections.truncate(MOST_NAMED);
    let answer = KeysAnswer { app_connections };
    Ok(control::answer(StatusCode::OK, &answer))
}

/// An address of a local network, perhaps with a port, in its usual spelling.
fn read_local_address(text: &str) -> Option<String> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return is_local(ip).then(|| ip.to_string());
    }
    let socket: SocketAddr = text.parse().ok()?;
    (is_local(socket.ip()) && socket.port() != 0).then(|| socket.to_string())
}

/// An address that means something at home only, so that no host points an app elsewhere.
fn is_local(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            let shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || shared
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_address_is_one_and_nothing_else() {
        for (said, read) in [
            ("192.168.1.9", Some("192.168.1.9")),
            ("192.168.1.9:5010", Some("192.168.1.9:5010")),
            ("127.0.0.1:80", Some("127.0.0.1:80")),
            ("[fd00::9]:5010", Some("[fd00::9]:5010")),
            ("100.64.0.9", Some("100.64.0.9")),
            ("100.128.0.9", None),
            ("203.0.113.9", None),
            ("192.168.1.9:0", None),
            ("192.168.1.9/x", None),
            ("octopi.local", None),
            ("http://192.168.1.9", None),
            ("192.168.1.9\n", None),
            ("", None),
        ] {
            assert_eq!(read_local_address(said).as_deref(), read, "{said}");
        }
    }

    #[test]
    fn refusals_have_words_of_their_own() {
        for refusal in AppKeyRefusal::ALL {
            assert_eq!(AppKeyRefusal::of(refusal.code()), refusal);
        }
        assert_eq!(AppKeyRefusal::of("tomorrow"), AppKeyRefusal::Failed);
        let key = MadeAppKey {
            api_key: Zeroizing::new("planted".to_owned()),
            app: "x".to_owned(),
        };
        assert!(!format!("{key:?}").contains("planted"));
    }
}
