//! The reference page says what there is: every key, its variable, and no other.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Value, json};

use super::certificate::{self, RawTls};
use super::host::{
    RawAllowed, RawAuthority, RawClientAddress, RawHost, RawKind, RawRelayLink, RawTimeouts,
    RawUpstream, RawWebcam,
};
use super::hosts::RawHosts;
use super::relay::{self, RawRegistration, RawRelay, RawUnregisteredApps};
use super::session_apps::{RawApi, RawApp, RawScope};

const PAGE: &str = include_str!("../../../../docs/reference/configuration.md");

/// Keys whose values are maps with names of the owner's choice.
const MAPS: [&str; 2] = ["api.apps", "plans"];

#[test]
fn every_key_of_a_host_stands_in_the_reference() {
    compare("host.yaml", &filled_host());
}

#[test]
fn every_key_of_a_relay_stands_in_the_reference() {
    compare("relay.yaml", &filled_relay());
}

fn compare(file: &str, filled: &impl Serialize) {
    let section = section(file);
    let mut keys = BTreeSet::new();
    collect("", &serde_json::to_value(filled).unwrap(), &mut keys);
    assert_eq!(keys, documented(section), "keys of {file}");
    let variables: BTreeSet<_> = keys.iter().map(|key| variable(key)).collect();
    let named = section
        .split('`')
        .filter(|word| word.starts_with("LATCHKEY__"));
    let named = named.map(str::to_owned).collect();
    assert_eq!(variables, named, "variables of {file}");
}

/// What the page says about one file.
fn section(file: &str) -> &'static str {
    let rest = PAGE.split_once(&format!("\n## {file}\n")).unwrap().1;
    rest.split("\n## ").next().unwrap()
}

/// The first column of the table.
fn documented(section: &str) -> BTreeSet<String> {
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| row.split_once('`').unwrap().0.to_owned())
        .collect()
}

/// The keys of a value, spelled as the page does: `webcams[].path`, `plans.*.app_connections`.
fn collect(key: &str, value: &Value, keys: &mut BTreeSet<String>) {
    let (within, entries): (_, Vec<(&str, &Value)>) = match value {
        Value::Object(map) if MAPS.contains(&key) => {
            keys.insert(key.to_owned());
            let named = map.values().map(|value| ("*", value));
            (format!("{key}."), named.collect())
        }
        Value::Object(map) => {
            let section = if key.is_empty() {
                String::new()
            } else {
                format!("{key}.")
            };
            let entries = map.iter().map(|(name, value)| (name.as_str(), value));
            (section, entries.collect())
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            keys.insert(key.to_owned());
            (
                key.to_owned(),
                items.iter().map(|item| ("[]", item)).collect(),
            )
        }
        _ => {
            keys.insert(key.to_owned());
            return;
        }
    };
    for (name, value) in entries {
        collect(&format!("{within}{name}"), value, keys);
    }
}

/// The variable that gives a key. Lists of sections and maps whose keys a variable cannot
/// spell are given whole.
fn variable(key: &str) -> String {
    let whole = key.split("[]").next().unwrap();
    let whole = match whole.split_once(".*") {
        Some((map @ "api.apps", _)) => map,
        _ => whole,
    };
    let parts = whole.to_ascii_uppercase().replace('*', "NAME");
    format!("LATCHKEY__{}", parts.replace('.', "__"))
}

fn filled_host() -> RawHost {
    let url = || "http://127.0.0.1:1".parse().unwrap();
    RawHost {
        name: "x".to_owned(),
        listen: "127.0.0.1:1".parse().unwrap(),
        announce: true,
        status_listen: None,
        data: "x".into(),
        key_file: Some("x".into()),
        upstream: RawUpstream {
            kind: RawKind::Generic,
            url: url(),
            api_key_file: Some("x".into()),
            max_concurrent: 1,
            max_long: 1,
        },
        authority: RawAuthority::Host,
        webcams: vec![RawWebcam {
            path: "/x/".to_owned(),
            url: url(),
        }],
        client_address: RawClientAddress::Auto,
        trusted_proxies: Vec::new(),
        hostnames: Vec::new(),
        relay: Some(RawRelayLink {
            url: url(),
            ca_file: Some("x".into()),
            allow_unbound: true,
            connections: Some(1),
            app_keys: RawAllowed::Refuse,
            printing: RawAllowed::Refuse,
            compression: true,
        }),
        timeouts: RawTimeouts {
            connect_seconds: 1.0,
            first_byte_seconds: 1.0,
        },
        fresh_seconds: 1,
        drain_seconds: 1,
        api: RawApi {
            apps: [(
                "x:1".to_owned().try_into().unwrap(),
                RawApp {
                    pubkey: Some("x".to_owned()),
                    enabled: true,
                    allow_weak_keys: true,
                    scope: RawScope::default(),
                },
            )]
            .into(),
        },
    }
}

fn filled_relay() -> RawRelay {
    RawRelay {
        listen: "127.0.0.1:1".parse().unwrap(),
        status_listen: None,
        public_url: "http://localhost:1".parse().unwrap(),
        connection_domain: "localhost:1".to_owned(),
        tls: Some(RawTls {
            cert: Some("x".into()),
            key: Some("x".into()),
            acme: Some(certificate::RawAcme {
                directory: "https://localhost:1".parse().unwrap(),
                email: Some("x".to_owned()),
                ca: Some("x".into()),
                dns: certificate::RawAcmeDns { exec: "x".into() },
            }),
        }),
        hosts: Some(RawHosts {
            listen: "127.0.0.1:1".parse().unwrap(),
            // It takes no more of it.
            tls: Some(RawTls {
                cert: Some("x".into()),
                key: Some("x".into()),
                acme: None,
            }),
        }),
        trusted_proxies: Vec::new(),
        data: "x".into(),
        registration: RawRegistration::Closed,
        unregistered_apps: RawUnregisteredApps::Allow,
        allow_hostname_only: false,
        default_plan: "x".parse().unwrap(),
        plans: serde_json::from_value(json!({"x": {}})).unwrap(),
        administration: relay::RawAdministration::default(),
        smtp: Some(relay::RawSmtp {
            host: "x".to_owned(),
            port: Some(1),
            tls: relay::RawSmtpTls::Starttls,
            user: Some("x".to_owned()),
            password_file: Some("x".into()),
            from: "x".to_owned(),
        }),
        webhooks: relay::RawWebhooks {
            ca: Some("x".into()),
            ..relay::RawWebhooks::default()
        },
        tunnel: relay::RawTunnel::default(),
        cache: relay::RawCache::default(),
        admission: relay::RawAdmission::default(),
        timeouts: relay::RawTimeouts {
            first_byte_seconds: 1.0,
        },
        drain_seconds: 1,
    }
}
