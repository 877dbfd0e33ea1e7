//! `latchkey doctor`: what keeps a role from working, and what to do about it.

use std::path::Path;
use std::time::Duration;

use anyhow::bail;
use latchkey_host::config::{AuthorityMode, Config, UpstreamKind};
use latchkey_host::{UpstreamCheck, check_upstream};
use latchkey_model::clock::{Clock, SystemClock};
use latchkey_net::tunnel::allows_bbr;
use latchkey_relay::doctor::{self, Finding, clock, data, database, listener, wrong};
use latchkey_store::HostStore;
use tokio::net::TcpStream;

use crate::config::{self, Checked, Checking, Role};
use crate::output;

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
        clock(SystemClock.now()),
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
        Some(relay) => {
            findings.push(reach_relay(&relay.url).await);
            findings.push(congestion(relay.connections));
        }
    }
    findings.extend(checked.notes.into_iter().map(Finding::Note));
    findings
}

async fn examine_relay(checked: Checked<latchkey_relay::config::Config>) -> Vec<Finding> {
    let mut findings = doctor::examine(&checked.config, SystemClock.now()).await;
    findings.extend(checked.notes.into_iter().map(Finding::Note));
    findings
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

/// How packets that get lost on the way to the relay are dealt with.
fn congestion(connections: u8) -> Finding {
    let kept = match connections {
        1 => "1 connection is".to_owned(),
        more => format!("{more} connections are"),
    };
    if allows_bbr() {
        return Finding::Fine(format!(
            "BBR can be set on tunnels; {kept} kept to the relay"
        ));
    }
    Finding::Note(format!(
        "BBR cannot be set on tunnels, so that they are slower where packets get lost; {kept} kept \
         to the relay. On Linux an administrator can allow it: load the module tcp_bbr, and add \
         bbr to net.ipv4.tcp_allowed_congestion_control"
    ))
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
