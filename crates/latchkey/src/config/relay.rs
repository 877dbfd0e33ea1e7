//! `relay.yaml`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use latchkey_model::plan::{Entitlements, PlanName, Plans};
use latchkey_net::authority::Authority;
use latchkey_relay::config as relay;
use serde::{Deserialize, Serialize};
use url::Url;

use super::host::seconds;
use super::{Checking, ConfigError, load};

/// The file as it is written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawRelay {
    #[serde(default = "default_listen")]
    pub(crate) listen: SocketAddr,
    #[serde(default = "default_status_listen")]
    pub(crate) status_listen: Option<SocketAddr>,
    pub(crate) public_url: Url,
    pub(crate) connection_domain: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tls: Option<RawTls>,
    #[serde(default)]
    pub(crate) trusted_proxies: Vec<IpNet>,
    #[serde(default = "default_data")]
    pub(crate) data: PathBuf,
    #[serde(default)]
    pub(crate) registration: RawRegistration,
    #[serde(default = "default_plan")]
    pub(crate) default_plan: PlanName,
    #[serde(default = "default_plans")]
    pub(crate) plans: Plans,
    #[serde(default)]
    pub(crate) timeouts: RawTimeouts,
    #[serde(default = "default_drain")]
    pub(crate) drain_seconds: u32,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawTls {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

/// Who may make an account. Pages for it come with accounts; until then only the
/// operator's own commands make any, whatever stands here.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RawRegistration {
    Open,
    Invite,
    #[default]
    Closed,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawTimeouts {
    /// Counted at the relay; hosts count 30 s of their own and answer first.
    pub(crate) first_byte_seconds: f64,
}

impl Default for RawTimeouts {
    fn default() -> Self {
        Self {
            first_byte_seconds: 35.0,
        }
    }
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 7010))
}

#[expect(clippy::unnecessary_wraps, reason = "null switches it off")]
fn default_status_listen() -> Option<SocketAddr> {
    Some(SocketAddr::from(([127, 0, 0, 1], 7011)))
}

fn default_data() -> PathBuf {
    PathBuf::from("./data")
}

fn default_plan() -> PlanName {
    "supporter".parse().expect("a valid name")
}

fn default_plans() -> Plans {
    let free = Entitlements {
        app_connections: false,
        ..Entitlements::default()
    };
    let plans = [("free", free), ("supporter", Entitlements::default())];
    let named = plans.map(|(name, rights)| (name.parse().expect("a valid name"), rights));
    Plans::new(named.into_iter().collect())
}

fn default_drain() -> u32 {
    30
}

/// Reads and checks a relay's file.
pub(crate) fn read(path: &Path) -> Result<relay::Config, ConfigError> {
    let raw: RawRelay = load(path)?;
    check(&Checking::new(path), raw)
}

/// What the file means.
pub(crate) fn check(file: &Checking<'_>, raw: RawRelay) -> Result<relay::Config, ConfigError> {
    let public_url = relay::PublicUrl::from_url(&raw.public_url)
        .map_err(|error| file.wrong("public_url", error))?;
    let connection_domain: Authority = raw.connection_domain.parse().map_err(|_| {
        file.wrong(
            "connection_domain",
            "needs a host name with an optional port and no scheme, as in printers.example.net",
        )
    })?;
    if raw.plans.find(&raw.default_plan).is_none() {
        let message = format!(
            "no plan `{}` is defined under `plans`",
            raw.default_plan.as_str()
        );
        return Err(file.wrong("default_plan", message));
    }
    let secured = raw.tls.is_some() || !raw.trusted_proxies.is_empty();
    if !secured && !raw.listen.ip().is_loopback() {
        let message = "plain HTTP on an address others can reach would show every credential; \
             set `tls`, or `trusted_proxies` if a proxy in front ends TLS";
        return Err(file.wrong("listen", message));
    }
    if !public_url.scheme().is_secure() && !public_url.authority().is_loopback() {
        return Err(file.wrong("public_url", "needs https, except for localhost"));
    }
    if raw.tls.is_some() && !public_url.scheme().is_secure() {
        return Err(file.wrong("public_url", "needs https when `tls` is set"));
    }
    Ok(relay::Config {
        listen: raw.listen,
        status_listen: raw.status_listen,
        public_url,
        connection_domain,
        tls: raw.tls.map(|tls| relay::Tls {
            cert: file.resolve(&tls.cert),
            key: file.resolve(&tls.key),
        }),
        trusted_proxies: raw.trusted_proxies,
        data: file.resolve(&raw.data),
        plans: raw.plans,
        first_byte: seconds(
            file,
            "timeouts.first_byte_seconds",
            raw.timeouts.first_byte_seconds,
        )?,
        drain: Duration::from_secs(raw.drain_seconds.into()),
    })
}
