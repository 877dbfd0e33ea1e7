//! `latchkey doctor`: what keeps a role from working, and what to do about it.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::bail;
use latchkey_host::config::{AuthorityMode, Config, UpstreamKind};
use latchkey_host::{UpstreamCheck, check_upstream};
use latchkey_model::clock::{Clock, SystemClock};
use latchkey_net::tls::Certificate;
use latchkey_relay::{Relay, certificate};
use latchkey_store::{HostStore, RelayStore, SchemaVersions, StoreError};
use tokio::net::{TcpListener, TcpStream, lookup_host};

use crate::config::{self, Checked, Checking, Role};
use crate::output;

/// 1 November 2026. A clock before that is one that was never set.
const EARLIEST: i64 = 1_793_491_200_000;

/// What a check found.
enum Finding {
    Fine(String),
    /// Works, but the owner should know.
    Note(String),
    /// What is wrong, and what to try.
    Wrong {
        what: String,
        try_this: String,
    },
}

fn wrong(what: impl Into<String>, try_this: impl Into<String>) -> Finding {
    Finding::Wrong {
        what: what.into(),
        try_this: try_this.into(),
    }
}

pub(crate) async fn run(path: &Path) -> anyhow::Result<()> {
    let file = Checking::with_environment(path);
    let findings = match config::role_of(path)? {
        Role::Host => examine_host(config::host::read(&file)?).await,
        Role::Relay => examine_relay(config::relay::read(&file)?).await,
    };
    let mut failed = 0;
    for finding in &findings {
        match finding {
            Finding::Fine(text) => output::note(&format!("  ok    {text}")),
            Finding::Note(text) => output::note(&format!("  note  {text}")),
            Finding::Wrong { what, try_this } => {
                failed += 1;
                output::note(&format!("  FAIL  {what}\n        try: {try_this}"));
            }
        }
    }
    if failed > 0 {
        bail!("{failed} of {} checks failed", findings.len());
    }
    output::note("Nothing is wrong.");
    Ok(())
}

async fn examine_host(checked: Checked<Config>) -> Vec<Finding> {
    let config = checked.config;
    let mut findings = vec![
        clock(),
        listener(config.listen).await,
        data(&config.data),
        upstream(&config).await,
    ];
    if config.authority == AuthorityMode::Host {
        findings.push(host_database(&config).await);
        findings.extend(missing_credential(&config));
    }
    match &config.relay {
        None => findings.push(Finding::Note(
            "no relay is configured: the printer can be reached at home only".to_owned(),
        )),
        Some(relay) => findings.push(reach_relay(&relay.url).await),
    }
    findings.extend(checked.notes.into_iter().map(Finding::Note));
    findings
}

async fn examine_relay(checked: Checked<latchkey_relay::config::Config>) -> Vec<Finding> {
    let config = checked.config;
    let mut findings = vec![
        clock(),
        listener(config.listen).await,
        data(&config.data),
        database(&Relay::database(&config.data), RelayStore::inspect).await,
        certificate(&config),
        wildcard(&config).await,
    ];
    findings.extend(checked.notes.into_iter().map(Finding::Note));
    findings
}

fn clock() -> Finding {
    if SystemClock.now().millis() >= EARLIEST {
        return Finding::Fine("the clock is set".to_owned());
    }
    wrong(
        "the clock is wrong, so certificates will seem invalid",
        "set the time, for example with `timedatectl set-ntp true`",
    )
}

async fn listener(address: SocketAddr) -> Finding {
    match TcpListener::bind(address).await {
        Ok(_) => Finding::Fine(format!("{address} is free to listen on")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Finding::Note(format!(
            "{address} is in use; that is right if Latchkey is running"
        )),
        Err(error) => wrong(
            format!("cannot listen on {address}: {error}"),
            "choose an address of this machine under `listen`; ports below 1024 need a privilege",
        ),
    }
}

fn data(path: &Path) -> Finding {
    let shown = path.display();
    match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Finding::Note(format!("{shown} does not exist yet and will be made"))
        }
        Err(error) => wrong(
            format!("cannot look at {shown}: {error}"),
            "let the user Latchkey runs as own that directory",
        ),
        Ok(meta) if !meta.is_dir() => wrong(
            format!("{shown} is not a directory"),
            "name another one under `data`",
        ),
        Ok(meta) => match mode(&meta) & 0o077 {
            0 => Finding::Fine(format!("{shown} is there and private")),
            _ => wrong(
                format!("others on this machine can look into {shown}"),
                format!("chmod 700 {shown}"),
            ),
        },
    }
}

fn mode(meta: &std::fs::Metadata) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&meta.permissions())
}

async fn upstream(config: &Config) -> Finding {
    let kind = config.upstream.kind.as_str();
    let at = config.upstream.address.authority();
    match check_upstream(config).await {
        UpstreamCheck::Unreachable => wrong(
            format!("nothing answers at {at}, where {kind} should be"),
            "start the printer's server, or correct `upstream.url`",
        ),
        UpstreamCheck::Unknown => Finding::Note(format!(
            "{at} answers, but nothing shows that it is {kind} and asks for a key"
        )),
        UpstreamCheck::TrustsLoopback => Finding::Note(format!(
            "{kind} lets local callers in without a key; \
             callers' own addresses are forwarded to it so that it can tell them apart"
        )),
        UpstreamCheck::AsksForCredential => {
            Finding::Fine(format!("{kind} answers at {at} and asks for a key"))
        }
    }
}

async fn reach_relay(url: &url::Url) -> Finding {
    // An IPv6 address stands in brackets in a URL and nowhere else.
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_matches(['[', ']']);
    let port = url.port_or_known_default().unwrap_or(443);
    let connecting = TcpStream::connect((host, port));
    match tokio::time::timeout(Duration::from_secs(10), connecting).await {
        Ok(Ok(_)) => Finding::Fine(format!(
            "the relay's address {host}:{port} takes connections"
        )),
        Ok(Err(error)) => wrong(
            format!("cannot connect to the relay at {host}:{port}: {error}"),
            "see whether this machine has internet and `relay.url` is right",
        ),
        Err(_) => wrong(
            format!("the relay at {host}:{port} does not answer"),
            "see whether a firewall here or there blocks that port",
        ),
    }
}

async fn host_database(config: &Config) -> Finding {
    let path = config.database();
    let found = database(&path, HostStore::inspect).await;
    // Without its key file the database works, and shows no key again.
    if path.exists() && !config.master_key().exists() {
        return wrong(
            format!("{} is missing", config.master_key().display()),
            "put the key file back; without it keys cannot be shown and people sign in anew",
        );
    }
    found
}

fn missing_credential(config: &Config) -> Option<Finding> {
    let asks = config.upstream.kind != UpstreamKind::Generic;
    (asks && config.upstream.credential.is_none()).then(|| {
        Finding::Note(format!(
            "no `upstream.api_key_file` is set: {} will refuse what the host lets through, \
             unless it trusts this machine",
            config.upstream.kind.as_str()
        ))
    })
}

/// A running role may have the database open, and may be of another version: it is only
/// looked at.
async fn database<'p, Look>(path: &'p Path, inspect: impl FnOnce(&'p Path) -> Look) -> Finding
where
    Look: Future<Output = Result<SchemaVersions, StoreError>>,
{
    let shown = path.display();
    // Opened before SQLite does: closing a file drops the locks that SQLite has on it.
    match OpenOptions::new().append(true).open(path) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Finding::Note("the database does not exist yet and will be made".to_owned());
        }
        Err(error) => {
            return wrong(
                format!("cannot write to {shown}: {error}"),
                "let the user Latchkey runs as own that file",
            );
        }
    }
    match inspect(path).await {
        Ok(SchemaVersions { found, known }) if found > known => wrong(
            format!("{shown} was made by a newer Latchkey (version {found}, {known} is known)"),
            "run that Latchkey, or one newer still",
        ),
        Ok(SchemaVersions { found, known }) if found < known => Finding::Note(format!(
            "{shown} has version {found}; starting this Latchkey brings it to {known} \
             and shuts out the older one"
        )),
        Ok(SchemaVersions { found, .. }) => {
            Finding::Fine(format!("the database opens and has version {found}"))
        }
        Err(error) => wrong(
            format!("cannot use {shown}: {:#}", anyhow::Error::from(error)),
            "see whether the file is damaged, or belongs to another user",
        ),
    }
}

fn certificate(config: &latchkey_relay::config::Config) -> Finding {
    let Some(files) = &config.tls else {
        return Finding::Note("TLS ends elsewhere: on loopback, or at a proxy in front".to_owned());
    };
    match Certificate::from_files(files) {
        Ok(certificate) => judged(&certificate, &certificate::names(config)),
        Err(error) => wrong(
            error.to_string(),
            "`tls.cert` needs the whole chain in PEM, leaf first, and `tls.key` its key",
        ),
    }
}

/// What a certificate that loads is worth.
fn judged(shown: &Certificate, names: &[String]) -> Finding {
    let days = certificate::days(shown, SystemClock.now());
    if let Some(name) = names.iter().find(|name| !shown.is_for(name)) {
        return wrong(
            format!("the certificate is not for {name}"),
            "it needs the host of `public_url` and a wildcard for `connection_domain`",
        );
    }
    if certificate::has_ended(days) {
        return wrong("the certificate has ended", "renew it");
    }
    let left = format!("the certificate and its key load; {days} days are left");
    if certificate::is_urgent(days) {
        return wrong(
            left,
            "renew it; a running relay takes the new one by itself",
        );
    }
    Finding::Fine(left)
}

/// Every app connection has a hostname of its own; only a wildcard covers them.
async fn wildcard(config: &latchkey_relay::config::Config) -> Finding {
    let host = config.connection_domain.host();
    if config.connection_domain.is_loopback() {
        return Finding::Note(format!(
            "browsers and curl find names under {host} by themselves; other programs may not"
        ));
    }
    let name = format!("app-latchkey-doctor.{host}");
    let resolves = match lookup_host((name.as_str(), 443)).await {
        Ok(mut found) => found.next().is_some(),
        Err(_) => false,
    };
    if resolves {
        return Finding::Fine(format!("*.{host} resolves"));
    }
    wrong(
        format!("*.{host} does not resolve, so no app can reach a printer"),
        format!("add a wildcard record *.{host} that points at this relay"),
    )
}
