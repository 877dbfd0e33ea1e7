//! `relay.yaml`.

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use latchkey_model::plan::{Entitlements, PlanName, Plans};
use latchkey_net::authority::Authority;
use latchkey_net::egress::EgressRules;
use latchkey_relay::config as relay;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use super::certificate::{self, RawTls};
use super::hosts::{self, RawHosts};
use super::{Checked, Checking, ConfigError, Raw, default_data, default_drain, shown};

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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hosts: Option<RawHosts>,
    #[serde(default)]
    pub(crate) trusted_proxies: Vec<IpNet>,
    #[serde(default = "default_data")]
    pub(crate) data: PathBuf,
    #[serde(default)]
    pub(crate) registration: RawRegistration,
    #[serde(default)]
    pub(crate) unregistered_apps: RawUnregisteredApps,
    #[serde(default)]
    pub(crate) allow_hostname_only: bool,
    #[serde(default = "default_plan")]
    pub(crate) default_plan: PlanName,
    #[serde(default = "default_plans")]
    pub(crate) plans: Plans,
    #[serde(default)]
    pub(crate) administration: RawAdministration,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) smtp: Option<RawSmtp>,
    #[serde(default)]
    pub(crate) webhooks: RawWebhooks,
    #[serde(default)]
    pub(crate) tunnel: RawTunnel,
    #[serde(default)]
    pub(crate) cache: RawCache,
    #[serde(default)]
    pub(crate) admission: RawAdmission,
    #[serde(default)]
    pub(crate) timeouts: RawTimeouts,
    #[serde(default = "default_drain")]
    pub(crate) drain_seconds: u32,
}

/// A mail server that takes letters.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawSmtp {
    pub(crate) host: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) port: Option<u16>,
    #[serde(default)]
    pub(crate) tls: RawSmtpTls,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) from: String,
}

/// Whom webhooks may reach, and what goes with them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawWebhooks {
    pub(crate) allow_networks: Vec<IpNet>,
    pub(crate) allow_http: bool,
    pub(crate) snapshots: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ca: Option<PathBuf>,
}

impl Default for RawWebhooks {
    fn default() -> Self {
        Self {
            allow_networks: Vec::new(),
            allow_http: false,
            snapshots: true,
            ca: None,
        }
    }
}

/// How the way to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RawSmtpTls {
    #[default]
    Starttls,
    Tls,
    None,
}

/// Who may make an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RawRegistration {
    Open,
    Invite,
    #[default]
    Closed,
}

impl From<RawRegistration> for relay::Registration {
    fn from(raw: RawRegistration) -> Self {
        match raw {
            RawRegistration::Open => Self::Open,
            RawRegistration::Invite => Self::Invite,
            RawRegistration::Closed => Self::Closed,
        }
    }
}

/// What administrators need.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawAdministration {
    pub(crate) second_factor: RawAdministratorsFactor,
}

/// When administrators need a second factor for what they change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RawAdministratorsFactor {
    Required,
    #[default]
    IfSet,
}

impl From<RawAdministratorsFactor> for relay::AdministratorsFactor {
    fn from(raw: RawAdministratorsFactor) -> Self {
        match raw {
            RawAdministratorsFactor::Required => Self::Required,
            RawAdministratorsFactor::IfSet => Self::IfSet,
        }
    }
}

/// Which apps the portal lets ask although nobody registered them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RawUnregisteredApps {
    #[default]
    Allow,
    Loopback,
    Refuse,
}

impl From<RawUnregisteredApps> for relay::UnregisteredApps {
    fn from(raw: RawUnregisteredApps) -> Self {
        match raw {
            RawUnregisteredApps::Allow => Self::Allow,
            RawUnregisteredApps::Loopback => Self::Loopback,
            RawUnregisteredApps::Refuse => Self::Refuse,
        }
    }
}

/// What goes through tunnels.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawTunnel {
    pub(crate) compression: bool,
}

impl Default for RawTunnel {
    fn default() -> Self {
        Self { compression: true }
    }
}

/// What need not come through tunnels again.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawCache {
    pub(crate) max_bytes: u64,
    pub(crate) max_bytes_per_printer: u64,
}

impl Default for RawCache {
    fn default() -> Self {
        let bounds = relay::CacheBounds::default();
        Self {
            max_bytes: bounds.max_bytes,
            max_bytes_per_printer: bounds.max_bytes_per_printer,
        }
    }
}

/// How many requests to printers may be on their way at once.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_field_names, reason = "the keys of the file")]
pub(crate) struct RawAdmission {
    pub(crate) max_concurrent: u16,
    pub(crate) max_concurrent_per_account: u16,
    pub(crate) max_concurrent_per_printer: u16,
    pub(crate) max_streams_per_caller: u16,
}

impl Default for RawAdmission {
    fn default() -> Self {
        Self {
            max_concurrent: 2048,
            max_concurrent_per_account: 512,
            max_concurrent_per_printer: 192,
            max_streams_per_caller: 192,
        }
    }
}

impl RawAdmission {
    fn check(&self, file: &Checking<'_>) -> Result<relay::Admission, ConfigError> {
        let some = |name: &str, value: u16| {
            if value == 0 {
                return Err(file.wrong(&format!("admission.{name}"), "0 needs to be at least 1"));
            }
            Ok(usize::from(value))
        };
        Ok(relay::Admission {
            max_concurrent: some("max_concurrent", self.max_concurrent)?,
            max_concurrent_per_account: some(
                "max_concurrent_per_account",
                self.max_concurrent_per_account,
            )?,
            max_concurrent_per_printer: some(
                "max_concurrent_per_printer",
                self.max_concurrent_per_printer,
            )?,
            max_streams_per_caller: some("max_streams_per_caller", self.max_streams_per_caller)?,
        })
    }
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

impl Raw for RawRelay {
    fn default_maps() -> Map<String, Value> {
        let plans = serde_json::to_value(default_plans()).expect("plans are plain data");
        Map::from_iter([("plans".to_owned(), plans)])
    }
}

/// Checks a relay's file.
pub(crate) fn read(file: &Checking<'_>) -> Result<Checked<relay::Config>, ConfigError> {
    check(file, file.load()?)
}

/// What the file means.
pub(super) fn check(
    file: &Checking<'_>,
    raw: RawRelay,
) -> Result<Checked<relay::Config>, ConfigError> {
    if raw.plans.find(&raw.default_plan).is_none() {
        let message = format!(
            "{:?} needs to be one of the plans under `plans`",
            raw.default_plan.as_str()
        );
        return Err(file.wrong("default_plan", message));
    }
    for (name, plan) in raw.plans.iter() {
        if let Some(limit) = plan.senseless().next() {
            let message = "0 needs to be at least 1, or null for no limit";
            return Err(file.wrong(&format!("plans.{name}.{limit}"), message));
        }
    }
    let secured = raw.tls.is_some() || !raw.trusted_proxies.is_empty();
    if !secured && !raw.listen.ip().is_loopback() {
        let message = format!(
            "{} can be reached by others, and plain HTTP would show every credential; \
             set `tls`, or `trusted_proxies` if a proxy in front ends TLS",
            raw.listen
        );
        return Err(file.wrong("listen", message));
    }
    let notes = notes(&raw);
    let public_url = public_url(file, &raw)?;
    let connection_domain = connection_domain(file, &raw.connection_domain)?;
    let data = file.resolve(&raw.data);
    let (tls, acme) = match raw.tls {
        Some(raw) => {
            let (files, acme) = certificate::check(file, raw, &data)?;
            (Some(files), acme)
        }
        None => (None, None),
    };
    if acme.is_some() {
        certificate::has_a_name(file, "public_url", public_url.authority())?;
        certificate::has_a_name(file, "connection_domain", &connection_domain)?;
    }
    let hosts = raw.hosts;
    let hosts = hosts.map(|raw_hosts| hosts::check(file, raw_hosts, raw.listen, tls.as_ref()));
    let config = relay::Config {
        public_url,
        connection_domain,
        smtp: raw.smtp.map(|raw| smtp(file, raw)).transpose()?,
        webhooks: relay::Webhooks {
            rules: EgressRules {
                allow_networks: raw.webhooks.allow_networks,
                allow_http: raw.webhooks.allow_http,
            },
            snapshots: raw.webhooks.snapshots,
            ca: raw.webhooks.ca.map(|ca| file.resolve(&ca)),
        },
        admission: raw.admission.check(file)?,
        first_byte: file.seconds(
            "timeouts.first_byte_seconds",
            raw.timeouts.first_byte_seconds,
        )?,
        drain: file.drain(raw.drain_seconds)?,
        listen: raw.listen,
        status_listen: raw.status_listen,
        hosts: hosts.transpose()?,
        tls,
        acme,
        trusted_proxies: raw.trusted_proxies,
        data,
        registration: raw.registration.into(),
        unregistered_apps: raw.unregistered_apps.into(),
        allow_hostname_only: raw.allow_hostname_only,
        default_plan: raw.default_plan,
        plans: raw.plans,
        administrators_factor: raw.administration.second_factor.into(),
        compression: raw.tunnel.compression,
        cache: relay::CacheBounds {
            max_bytes: raw.cache.max_bytes,
            max_bytes_per_printer: raw.cache.max_bytes_per_printer,
        },
    };
    Ok(Checked { config, notes })
}

fn public_url(file: &Checking<'_>, raw: &RawRelay) -> Result<relay::PublicUrl, ConfigError> {
    let wrong = |message: &dyn Display| {
        let message = format!("{} {message}", shown(&raw.public_url));
        file.wrong("public_url", message)
    };
    let url = relay::PublicUrl::from_url(&raw.public_url).map_err(|error| wrong(&error))?;
    if url.scheme().is_secure() {
        if raw.tls.is_none() && raw.trusted_proxies.is_empty() {
            return Err(wrong(
                &"needs `tls`, or `trusted_proxies` with the proxy that ends it: \
                 without, every caller would seem to be that proxy",
            ));
        }
        return Ok(url);
    }
    if raw.tls.is_some() {
        return Err(wrong(&"needs https when `tls` is set"));
    }
    if !url.authority().is_loopback() {
        return Err(wrong(&"needs https, except for localhost"));
    }
    Ok(url)
}

fn connection_domain(file: &Checking<'_>, text: &str) -> Result<Authority, ConfigError> {
    text.parse().map_err(|_| {
        let message = format!(
            "{text:?} needs to be a host name with an optional port and no scheme, \
             as in printers.example.net"
        );
        file.wrong("connection_domain", message)
    })
}

fn smtp(file: &Checking<'_>, raw: RawSmtp) -> Result<relay::Smtp, ConfigError> {
    // A name with an odd character would be part of something else on the way to the server.
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    if raw.host.is_empty() || !raw.host.chars().all(plain) {
        let message = format!("{:?} needs to be the name or address of a server", raw.host);
        return Err(file.wrong("smtp.host", message));
    }
    let (tls, port) = match raw.tls {
        RawSmtpTls::Starttls => (relay::SmtpTls::Starttls, 587),
        RawSmtpTls::Tls => (relay::SmtpTls::Tls, 465),
        RawSmtpTls::None => (relay::SmtpTls::None, 25),
    };
    let loopback = raw.host.parse::<Authority>();
    let loopback = loopback.is_ok_and(|host| host.is_loopback());
    if raw.tls == RawSmtpTls::None && !loopback {
        let message = "none shows letters and passwords to whoever is on the way; \
                       it needs a `host` on this machine";
        return Err(file.wrong("smtp.tls", message));
    }
    let login = match (raw.user, raw.password_file) {
        (Some(user), Some(path)) => {
            let key = "smtp.password_file";
            let text = file.read(key, &path)?;
            let password = text.trim_end_matches(['\r', '\n']);
            if password.is_empty() || password.contains(char::is_control) {
                let message = "needs to be a file with one line, the password";
                return Err(file.wrong(key, format!("{} {message}", path.display())));
            }
            let password = relay::SmtpPassword::new(password.to_owned());
            Some(relay::SmtpLogin { user, password })
        }
        (None, None) => None,
        (Some(_), None) => return Err(file.wrong("smtp.password_file", "goes with `smtp.user`")),
        (None, Some(_)) => return Err(file.wrong("smtp.user", "goes with `smtp.password_file`")),
    };
    let from = relay::Sender::parse(&raw.from)
        .map_err(|error| file.wrong("smtp.from", format!("{:?} {error}", raw.from)))?;
    Ok(relay::Smtp {
        host: raw.host,
        port: raw.port.unwrap_or(port),
        tls,
        login,
        from,
    })
}

/// What is read and has no effect.
fn notes(raw: &RawRelay) -> Vec<String> {
    let plans = raw.plans.iter();
    let lengths = plans.filter(|(_, plan)| {
        plan.webcam_window_seconds.is_some() && plan.max_webcam_seconds_per_window.is_none()
    });
    let note = |name| {
        format!(
            "`plans.{name}.webcam_window_seconds` changes nothing without \
             `max_webcam_seconds_per_window`"
        )
    };
    lengths.map(|(name, _)| note(name)).collect()
}
