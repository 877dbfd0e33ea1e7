//! `host.yaml`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use ipnet::IpNet;
use latchkey_host::config as host;
use latchkey_net::authority::Authority;
use latchkey_net::tunnel::{MOST_CONNECTIONS, relay_name, usual_connections};
use serde::{Deserialize, Serialize};
use url::Url;

use super::session_apps::{self, RawApi};
use super::{
    Checked, Checking, ConfigError, Raw, default_data, default_drain, default_true, shown,
};

/// The file as it is written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawHost {
    #[serde(default = "default_name")]
    pub(crate) name: String,
    #[serde(default = "default_listen")]
    pub(crate) listen: SocketAddr,
    #[serde(default = "default_true")]
    pub(crate) announce: bool,
    #[serde(default = "default_status_listen")]
    pub(crate) status_listen: Option<SocketAddr>,
    #[serde(default = "default_data")]
    pub(crate) data: PathBuf,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key_file: Option<PathBuf>,
    pub(crate) upstream: RawUpstream,
    #[serde(default)]
    pub(crate) authority: RawAuthority,
    #[serde(default)]
    pub(crate) webcams: Vec<RawWebcam>,
    #[serde(default)]
    pub(crate) client_address: RawClientAddress,
    #[serde(default)]
    pub(crate) hostnames: Vec<String>,
    #[serde(default)]
    pub(crate) trusted_proxies: Vec<IpNet>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) relay: Option<RawRelayLink>,
    #[serde(default)]
    pub(crate) timeouts: RawTimeouts,
    #[serde(default = "default_fresh")]
    pub(crate) fresh_seconds: u32,
    #[serde(default = "default_drain")]
    pub(crate) drain_seconds: u32,
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
    #[serde(default = "default_max_concurrent")]
    pub(crate) max_concurrent: u16,
    #[serde(default = "default_max_long")]
    pub(crate) max_long: u16,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lower")]
pub(crate) enum RawKind {
    OctoPrint,
    Moonraker,
    PrusaLink,
    Generic,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lower")]
pub(crate) enum RawAuthority {
    /// The host checks keys and sign-ins of its own and adds the server's key
    #[default]
    Host,
    /// The printer server itself; what callers bring is passed on untouched
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) connections: Option<u8>,
    #[serde(default)]
    pub(crate) app_keys: RawAllowed,
    #[serde(default)]
    pub(crate) printing: RawAllowed,
    #[serde(default = "default_true")]
    pub(crate) compression: bool,
}

/// Whether the relay may do something: have app keys made for apps that somebody lets in there, or
/// hear what the printer does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RawAllowed {
    #[default]
    Allow,
    Refuse,
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

fn default_max_concurrent() -> u16 {
    16
}

fn default_max_long() -> u16 {
    64
}

fn default_fresh() -> u32 {
    300
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

impl Raw for RawHost {}

/// Checks a host's file.
pub(crate) fn read(file: &Checking<'_>) -> Result<Checked<host::Config>, ConfigError> {
    check(file, file.load()?)
}

/// What the file means.
pub(super) fn check(
    file: &Checking<'_>,
    raw: RawHost,
) -> Result<Checked<host::Config>, ConfigError> {
    let (session_apps, mut notes) = session_apps::read(file, raw.api);
    let config = host::Config {
        upstream: upstream(file, &raw.upstream)?,
        webcams: webcams(file, &raw.webcams)?,
        relay: raw
            .relay
            .map(|relay| self::relay(file, relay))
            .transpose()?,
        timeouts: timeouts(file, &raw.timeouts)?,
        drain: file.drain(raw.drain_seconds)?,
        fresh_for: file.up_to_an_hour("fresh_seconds", raw.fresh_seconds)?,
        key_file: raw.key_file.map(|path| file.resolve(&path)),
        name: name(file, raw.name)?,
        listen: raw.listen,
        announce: raw.announce,
        status_listen: raw.status_listen,
        data: file.resolve(&raw.data),
        authority: match raw.authority {
            RawAuthority::Host => host::AuthorityMode::Host,
            RawAuthority::Upstream => host::AuthorityMode::Upstream,
        },
        client_address: match raw.client_address {
            RawClientAddress::Auto => host::ClientAddress::Auto,
            RawClientAddress::Hide => host::ClientAddress::Hide,
            RawClientAddress::Forward => host::ClientAddress::Forward,
        },
        hostnames: raw.hostnames,
        trusted_proxies: raw.trusted_proxies,
        session_apps,
    };
    if !config.offers_session_keys() && !config.session_apps.entries.is_empty() {
        let note = "`api.apps` has no effect here: with `authority: upstream` only an OctoPrint is lent \
                    the host's own key for an app with a session key, and `upstream.api_key_file` has to \
                    name it";
        notes.push(note.to_owned());
    }
    Ok(Checked { config, notes })
}

/// The name travels in the tunnel's hello, which takes no more (docs/protocol/tunnel.md).
fn name(file: &Checking<'_>, name: String) -> Result<String, ConfigError> {
    if name.trim().is_empty() || name.len() > 128 || name.contains(char::is_control) {
        let message = format!("{name:?} needs to be 1 to 128 bytes of text on one line");
        return Err(file.wrong("name", message));
    }
    Ok(name)
}

fn upstream(file: &Checking<'_>, raw: &RawUpstream) -> Result<host::Upstream, ConfigError> {
    let credential = raw.api_key_file.as_ref();
    Ok(host::Upstream {
        kind: match raw.kind {
            RawKind::OctoPrint => host::UpstreamKind::OctoPrint,
            RawKind::Moonraker => host::UpstreamKind::Moonraker,
            RawKind::PrusaLink => host::UpstreamKind::PrusaLink,
            RawKind::Generic => host::UpstreamKind::Generic,
        },
        address: address(file, "upstream.url", &raw.url)?,
        credential: credential
            .map(|path| self::credential(file, path))
            .transpose()?,
        load: host::Load {
            max_concurrent: at_least_one(file, "upstream.max_concurrent", raw.max_concurrent)?,
            max_long: at_least_one(file, "upstream.max_long", raw.max_long)?,
        },
    })
}

fn at_least_one(file: &Checking<'_>, key: &str, value: u16) -> Result<usize, ConfigError> {
    if value == 0 {
        return Err(file.wrong(key, "0 needs to be at least 1"));
    }
    Ok(value.into())
}

fn credential(file: &Checking<'_>, path: &Path) -> Result<host::Credential, ConfigError> {
    let key = "upstream.api_key_file";
    let text = file.read(key, path)?;
    host::Credential::new(&text).ok_or_else(|| {
        let message = "needs to be a file with one line, the key";
        file.wrong(key, format!("{} {message}", path.display()))
    })
}

fn address(
    file: &Checking<'_>,
    key: &str,
    url: &Url,
) -> Result<host::UpstreamAddress, ConfigError> {
    host::UpstreamAddress::from_url(url)
        .map_err(|error| file.wrong(key, format!("{}: {error}", shown(url))))
}

fn webcams(file: &Checking<'_>, raw: &[RawWebcam]) -> Result<Vec<host::Webcam>, ConfigError> {
    let mut webcams: Vec<host::Webcam> = Vec::new();
    for (index, RawWebcam { path, url }) in raw.iter().enumerate() {
        let wrong = |message: &str| {
            let key = format!("webcams[{index}].path");
            Err(file.wrong(&key, format!("{path:?} {message}")))
        };
        let inner = path.trim_matches('/');
        if !path.starts_with('/') || !path.ends_with('/') || inner.is_empty() {
            return wrong("needs a slash at both ends, as in /webcam/");
        }
        if host::is_reserved(path) {
            return wrong("is taken by Latchkey itself; choose another, as in /webcam/");
        }
        let same = |other: &host::Webcam| other.path.trim_matches('/') == inner;
        if webcams.iter().any(same) {
            return wrong("is the path of a webcam before this one; each needs its own");
        }
        webcams.push(host::Webcam {
            path: path.clone(),
            address: address(file, &format!("webcams[{index}].url"), url)?,
        });
    }
    Ok(webcams)
}

fn relay(file: &Checking<'_>, raw: RawRelayLink) -> Result<host::Relay, ConfigError> {
    let wrong = |message: &str| file.wrong("relay.url", format!("{} {message}", shown(&raw.url)));
    let name = relay_name(&raw.url).map_err(|_| {
        wrong("needs the form https://host or https://host:port, without path, query or user name")
    })?;
    let is_here = name.parse().is_ok_and(|at: Authority| at.is_loopback());
    if raw.url.scheme() != "https" && !is_here {
        return Err(wrong("needs https, except for a relay on this machine"));
    }
    let connections = raw.connections.unwrap_or_else(usual_connections);
    if !(1..=MOST_CONNECTIONS).contains(&connections) {
        let message = format!("{connections} is not between 1 and {MOST_CONNECTIONS}");
        return Err(file.wrong("relay.connections", message));
    }
    Ok(host::Relay {
        url: raw.url,
        connections,
        ca_file: raw.ca_file.map(|path| file.resolve(&path)),
        allow_unbound: raw.allow_unbound,
        app_keys: raw.app_keys == RawAllowed::Allow,
        printing: raw.printing == RawAllowed::Allow,
        compression: raw.compression,
    })
}

fn timeouts(file: &Checking<'_>, raw: &RawTimeouts) -> Result<host::Timeouts, ConfigError> {
    Ok(host::Timeouts {
        connect: file.seconds("timeouts.connect_seconds", raw.connect_seconds)?,
        first_byte: file.seconds("timeouts.first_byte_seconds", raw.first_byte_seconds)?,
    })
}
