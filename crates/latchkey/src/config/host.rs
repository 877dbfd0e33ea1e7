//! `host.yaml`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use latchkey_host::config as host;
use latchkey_net::tunnel::relay_name;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Checking, ConfigError, load};

/// The file as it is written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawHost {
    #[serde(default = "default_name")]
    pub(crate) name: String,
    #[serde(default = "default_listen")]
    pub(crate) listen: SocketAddr,
    #[serde(default = "default_status_listen")]
    pub(crate) status_listen: Option<SocketAddr>,
    #[serde(default = "default_data")]
    pub(crate) data: PathBuf,
    pub(crate) upstream: RawUpstream,
    #[serde(default)]
    pub(crate) authority: RawAuthority,
    #[serde(default)]
    pub(crate) webcams: Vec<RawWebcam>,
    #[serde(default)]
    pub(crate) client_address: RawClientAddress,
    #[serde(default)]
    pub(crate) trusted_proxies: Vec<IpNet>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) relay: Option<RawRelayLink>,
    #[serde(default)]
    pub(crate) timeouts: RawTimeouts,
    #[serde(default = "default_drain")]
    pub(crate) drain_seconds: u32,
    /// App Session Keys' registered apps; checked, and not served by this version.
    #[serde(default, skip_serializing_if = "RawApi::is_empty")]
    pub(crate) api: RawApi,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawUpstream {
    pub(crate) kind: RawKind,
    pub(crate) url: Url,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) api_key_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RawKind {
    OctoPrint,
    Moonraker,
    PrusaLink,
    Generic,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RawAuthority {
    #[default]
    Host,
    Upstream,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawWebcam {
    pub(crate) path: String,
    pub(crate) url: Url,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RawClientAddress {
    #[default]
    Auto,
    Hide,
    Forward,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawRelayLink {
    pub(crate) url: Url,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca_file: Option<PathBuf>,
    #[serde(default)]
    pub(crate) allow_unbound: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawTimeouts {
    pub(crate) connect_seconds: f64,
    pub(crate) first_byte_seconds: f64,
}

impl Default for RawTimeouts {
    fn default() -> Self {
        let timeouts = host::Timeouts::default();
        Self {
            connect_seconds: timeouts.connect.as_secs_f64(),
            first_byte_seconds: timeouts.first_byte.as_secs_f64(),
        }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawApi {
    pub(crate) apps: BTreeMap<String, RawApp>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawApp {
    pub(crate) pubkey: String,
    #[serde(default = "default_true")]
    pub(crate) enabled: bool,
    #[serde(default)]
    pub(crate) allow_weak_keys: bool,
}

impl RawApi {
    fn is_empty(&self) -> bool {
        self.apps.is_empty()
    }
}

fn default_true() -> bool {
    true
}

fn default_name() -> String {
    "Printer".to_owned()
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 5010))
}

#[expect(clippy::unnecessary_wraps, reason = "null switches it off")]
fn default_status_listen() -> Option<SocketAddr> {
    Some(SocketAddr::from(([127, 0, 0, 1], 5011)))
}

fn default_data() -> PathBuf {
    PathBuf::from("./data")
}

fn default_drain() -> u32 {
    30
}

/// Reads and checks a host's file.
pub(crate) fn read(path: &Path) -> Result<host::Config, ConfigError> {
    let raw: RawHost = load(path)?;
    check(&Checking::new(path), raw)
}

/// What the file means.
pub(crate) fn check(file: &Checking<'_>, raw: RawHost) -> Result<host::Config, ConfigError> {
    // The name travels in the tunnel's hello, which takes no more (docs/protocol/tunnel.md).
    if raw.name.trim().is_empty() || raw.name.len() > 128 || raw.name.contains(char::is_control) {
        return Err(file.wrong("name", "needs 1 to 128 bytes of text on one line"));
    }
    if let Some(relay) = &raw.relay {
        relay_name(&relay.url).map_err(|error| file.wrong("relay.url", error))?;
    }
    let upstream = upstream(file, &raw.upstream)?;
    let webcams = raw
        .webcams
        .iter()
        .map(|webcam| self::webcam(file, webcam))
        .collect::<Result<_, _>>()?;
    if !raw.api.is_empty() {
        tracing::warn!("`api.apps` is set, but this version does not serve session keys yet");
    }
    Ok(host::Config {
        name: raw.name,
        listen: raw.listen,
        status_listen: raw.status_listen,
        data: file.resolve(&raw.data),
        upstream,
        authority: match raw.authority {
            RawAuthority::Host => host::AuthorityMode::Host,
            RawAuthority::Upstream => host::AuthorityMode::Upstream,
        },
        webcams,
        client_address: match raw.client_address {
            RawClientAddress::Auto => host::ClientAddress::Auto,
            RawClientAddress::Hide => host::ClientAddress::Hide,
            RawClientAddress::Forward => host::ClientAddress::Forward,
        },
        trusted_proxies: raw.trusted_proxies,
        relay: raw.relay.map(|relay| host::Relay {
            url: relay.url,
            ca_file: relay.ca_file.map(|path| file.resolve(&path)),
            allow_unbound: relay.allow_unbound,
        }),
        timeouts: host::Timeouts {
            connect: seconds(
                file,
                "timeouts.connect_seconds",
                raw.timeouts.connect_seconds,
            )?,
            first_byte: seconds(
                file,
                "timeouts.first_byte_seconds",
                raw.timeouts.first_byte_seconds,
            )?,
        },
        drain: Duration::from_secs(raw.drain_seconds.into()),
    })
}

fn upstream(file: &Checking<'_>, raw: &RawUpstream) -> Result<host::Upstream, ConfigError> {
    let credential = match &raw.api_key_file {
        None => None,
        Some(path) => {
            let key = "upstream.api_key_file";
            let text = file.read(key, path)?;
            let credential = host::Credential::new(&text);
            Some(
                credential
                    .ok_or_else(|| file.wrong(key, "the file needs one line with the key"))?,
            )
        }
    };
    Ok(host::Upstream {
        kind: match raw.kind {
            RawKind::OctoPrint => host::UpstreamKind::OctoPrint,
            RawKind::Moonraker => host::UpstreamKind::Moonraker,
            RawKind::PrusaLink => host::UpstreamKind::PrusaLink,
            RawKind::Generic => host::UpstreamKind::Generic,
        },
        address: host::UpstreamAddress::from_url(&raw.url)
            .map_err(|error| file.wrong("upstream.url", error))?,
        credential,
    })
}

fn webcam(file: &Checking<'_>, raw: &RawWebcam) -> Result<host::Webcam, ConfigError> {
    let inner = raw.path.trim_matches('/');
    if !raw.path.starts_with('/') || !raw.path.ends_with('/') || inner.is_empty() {
        return Err(file.wrong("webcams.path", "needs a slash at both ends, as in /webcam/"));
    }
    if inner.starts_with("latchkey") || inner.starts_with("octoeverywhere") {
        return Err(file.wrong("webcams.path", "this path is taken by Latchkey itself"));
    }
    Ok(host::Webcam {
        path: raw.path.clone(),
        address: host::UpstreamAddress::from_url(&raw.url)
            .map_err(|error| file.wrong("webcams.url", error))?,
    })
}

/// A duration in seconds, from a tenth of one to an hour.
pub(super) fn seconds(file: &Checking<'_>, key: &str, value: f64) -> Result<Duration, ConfigError> {
    if (0.1..=3600.0).contains(&value) {
        Ok(Duration::from_secs_f64(value))
    } else {
        Err(file.wrong(key, "needs a number of seconds from 0.1 to 3600"))
    }
}
