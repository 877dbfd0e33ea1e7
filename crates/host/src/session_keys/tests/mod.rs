//! The handshake, what its keys are good for, and what ends them: requests through the reception.

#![expect(clippy::disallowed_types, reason = "tests sign as apps do")]

mod handshake;
mod keys;
mod many;
mod pages;

use std::net::IpAddr;

use data_encoding::BASE64;
use http::StatusCode;
use latchkey_model::clock::Clock as _;
use latchkey_model::session_key::{Registration, SessionAppName, SessionScope};
use rsa::RsaPrivateKey;
use rsa::pkcs1::{DecodeRsaPrivateKey as _, EncodeRsaPublicKey as _};
use rsa::{Pkcs1v15Sign, sha2};
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};

use crate::config::{FileApp, FileApps};
use crate::sessions::tests::{Bench, Reply, at_home, config, request};

/// What the documentation of App Session Keys publishes.
const ID: &str = "com.example.my_octoprint_app";
const PUBKEY: &str = "MEgCQQCIWfi7Nc8bcnfZJJtA6a4RyMC+sKBlMOb25OVNNB4L2v0TiGO72jVKR4osvb4oztlbRW5GkdiY0T2LJcfDYvkJAgMBAAE=";
const PRIVATE: &str = include_str!("../../../../model/src/session_key/documented_key.pem");

/// Version 1.0 of the documentation's app.
pub(crate) fn documented_app() -> Registration {
    app("1.0", |_| {})
}

fn app(version: &str, change: impl FnOnce(&mut Registration)) -> Registration {
    let mut registration = Registration {
        name: SessionAppName::asked(ID, Some(version)),
        pubkey: Some(PUBKEY.to_owned()),
        enabled: true,
        allow_weak_keys: true,
        scope: SessionScope::Full,
    };
    change(&mut registration);
    registration
}

fn files(registrations: impl IntoIterator<Item = Registration>) -> FileApps {
    let entry = |registration| FileApp {
        registration,
        file: "host.yaml".to_owned(),
        own: true,
    };
    FileApps {
        entries: registrations.into_iter().map(entry).collect(),
        problems: Vec::new(),
    }
}

/// One that works, and one for each way not to.
fn all_kinds() -> FileApps {
    files([
        documented_app(),
        app("0.9", |app| app.enabled = false),
        app("view", |app| app.scope = SessionScope::View),
        app("any", |_| {}),
        app("keyless", |app| app.pubkey = None),
        app("weak", |app| app.allow_weak_keys = false),
        app("weak-admin", |app| app.scope = SessionScope::Admin),
        app("unreadable", |app| app.pubkey = Some("AAAA".to_owned())),
    ])
}

async fn bench_with(files: FileApps) -> Bench {
    let mut config = config();
    config.session_apps = files;
    Bench::empty(config).await
}

async fn bench() -> Bench {
    bench_with(all_kinds()).await
}

fn private_key() -> RsaPrivateKey {
    RsaPrivateKey::from_pkcs1_pem(PRIVATE).unwrap()
}

fn sign(version: &str, key: &str) -> String {
    let digest = Sha1::digest(format!("{ID}:{version}:{key}"));
    let padding = Pkcs1v15Sign::new::<Sha1>();
    BASE64.encode(&private_key().sign(padding, &digest).unwrap())
}

/// A right claim.
fn claim(version: &str, key: &str) -> Value {
    json!({"appid": ID, "appversion": version, "key": key, "_sig": sign(version, key)})
}

async fn get(bench: &Bench, from: IpAddr) -> Reply {
    let mut inbound = at_home();
    inbound.address = from;
    bench
        .ask(request("GET", "/apps/auth", &[], ""), &inbound)
        .await
}

async fn post_from(bench: &Bench, claim: &Value, from: IpAddr) -> Reply {
    let mut inbound = at_home();
    inbound.address = from;
    let fields = [("content-type", "application/json")];
    let request = request("POST", "/apps/auth", &fields, &claim.to_string());
    bench.ask(request, &inbound).await
}

async fn post(bench: &Bench, claim: &Value) -> Reply {
    post_from(bench, claim, at_home().address).await
}

async fn unverified(bench: &Bench) -> String {
    let reply = get(bench, at_home().address).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    reply.json()["unverifiedKey"].as_str().unwrap().to_owned()
}

async fn verified(bench: &Bench, version: &str) -> String {
    let key = unverified(bench).await;
    let reply = post(bench, &claim(version, &key)).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    key
}

/// Who a key makes its bearer.
async fn whose(bench: &Bench, key: &str) -> Value {
    let fields = [("x-api-key", key)];
    let request = request("GET", "/api/currentuser", &fields, "");
    bench.ask(request, &at_home()).await.json()["name"].clone()
}

async fn is_good(bench: &Bench, key: &str) -> bool {
    whose(bench, key).await == "_api"
}
