//! A relay whose callers come through a proxy, and whose hosts come past it.

use std::net::SocketAddr;
use std::path::Path;

use bytes::Bytes;
use http::{Request, Version};
use latchkey_model::app_connection::AccessMode;
use latchkey_model::clock::{Clock as _, SystemClock};
use latchkey_net::tunnel::{HostIdentity, PairingClient, PairingError, PairingStart, PairingState};
use serde_json::{Value, json};

use crate::harness::front::place;
use crate::harness::http as plain;
use crate::harness::stack::{Simulator, Stack, free_address, renew, signal};
use crate::harness::tls::{TlsCaller, certificate_shown};

/// A relay that believes a proxy at home, which the test plays, and a host that dials past it.
async fn scene(printer: &Simulator) -> (Stack, SocketAddr) {
    let hosts = free_address();
    let own = json!({"listen": hosts, "tls": {"cert": "relay.pem", "key": "relay.key"}});
    let stack = Stack::before(printer.url("")).behind(place());
    let mut stack = stack.relay("hosts", own).prepare().await;
    send_past(&stack, hosts);
    stack.start_relay().await;
    (stack, hosts)
}

/// Has the host dial this address. That TLS ends at the relay is what it insists on.
fn send_past(stack: &Stack, hosts: SocketAddr) {
    let file = stack.folder().join("host.yaml");
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    config["relay"]["url"] = json!(format!("https://localhost:{}", hosts.port()));
    config["relay"]["allow_unbound"] = json!(false);
    std::fs::write(file, config.to_string()).unwrap();
}

async fn ask(name: &str, at: SocketAddr, ca: &Path, request: Request<Bytes>) -> plain::Response {
    let version = Version::HTTP_11;
    let mut caller = TlsCaller::connect(name, at.port(), ca, version).await;
    caller.send(request).await
}

fn get(url: String) -> Request<Bytes> {
    Request::get(url).body(Bytes::new()).unwrap()
}

/// A wish for this relay, sent to `url` with what a proxy would say.
fn wish(url: String, relay: &str, nonce: u8) -> Request<Bytes> {
    let identity = HostIdentity::generate().unwrap();
    let now = SystemClock.now().millis() / 1000;
    let wish = PairingStart::sign(&identity, relay, "Voron", now, &[nonce; 32]);
    Request::post(url)
        .header("content-type", "application/json")
        .header("x-forwarded-for", "203.0.113.9")
        .header("x-forwarded-proto", "http")
        .header("x-forwarded-host", "else.example")
        .body(json!(wish).to_string().into())
        .unwrap()
}

#[tokio::test]
async fn hosts_come_past_the_proxy_and_nobody_else_does() {
    let printer = Simulator::start().await;
    let (mut stack, hosts) = scene(&printer).await;
    assert_eq!(stack.relay.field("hosts.address"), hosts.to_string());
    stack.start_host().await;
    let (ca, port) = (stack.folder().join("ca.pem"), hosts.port());
    let connection = stack.connection(AccessMode::Bearer).clone();

    // People and apps come through the proxy, over the host's tunnel as well.
    let through_proxy = |url: String| {
        plain::Request::get(url)
            .header("x-forwarded-for", "198.51.100.7")
            .header("x-forwarded-proto", "https")
            .via(stack.relay_address())
    };
    let page = through_proxy(stack.relay_url("/")).send().await;
    assert_eq!(page.status().as_u16(), 200);
    let asked = through_proxy(connection.address("/api/version"))
        .header("authorization", connection.authorization().unwrap())
        .header("x-api-key", Simulator::KEY);
    assert_eq!(asked.send().await.status().as_u16(), 200);

    // Nothing of that is there for hosts.
    for path in [
        "/",
        "/pair",
        "/sign-up",
        "/api/pairing/",
        "/API/pairing",
        "/api/live",
    ] {
        let url = format!("https://localhost:{port}{path}");
        let answer = ask("localhost", hosts, &ca, get(url)).await;
        assert_eq!(answer.status.as_u16(), 421, "{path}: {answer:?}");
        assert_eq!(answer.json()["Status"], 421, "{path}");
    }
    let name = connection.authority.split(':').next().unwrap();
    for path in ["/api/version", "/latchkey/tunnel", "/api/pairing"] {
        let asked = Request::get(format!("https://{name}:{port}{path}"))
            .header("authorization", connection.authorization().unwrap())
            .header("x-api-key", Simulator::KEY);
        let answer = ask(name, hosts, &ca, asked.body(Bytes::new()).unwrap()).await;
        assert_eq!(answer.status.as_u16(), 421, "{path}: {answer:?}");
    }
    let url = format!("https://localhost:{port}/latchkey/tunnel");
    let answer = ask("localhost", hosts, &ca, get(url)).await;
    assert_eq!(answer.status.as_u16(), 426, "{answer:?}");

    // What a caller says of itself counts through the proxy only.
    let url = format!("https://localhost:{port}/api/pairing");
    let local = format!("localhost:{port}");
    let answer = ask("localhost", hosts, &ca, wish(url, &local, 1)).await;
    assert_eq!(answer.status.as_u16(), 200, "{answer:?}");

    // It drains as the other one does.
    stack.relay.stop().await;
    stack.host.stop().await;
    let log = stack.relay.log();
    assert!(
        log.contains("\"caller.address\":\"198.51.100.0/24\""),
        "{log}"
    );
    assert!(log.contains("\"caller.address\":\"127.0.0.0/24\""), "{log}");
    assert!(!log.contains("203.0.113."), "{log}");
}

#[tokio::test]
async fn hosts_are_paired_there_for_the_name_they_asked_for_and_no_other() {
    let printer = Simulator::start().await;
    let (mut stack, hosts) = scene(&printer).await;
    let (ca, port) = (stack.folder().join("ca.pem"), hosts.port());
    let url = format!("https://localhost:{port}").parse().unwrap();
    let client = PairingClient::new(&url, Some(&ca)).unwrap();
    let identity = HostIdentity::generate().unwrap();
    let now = SystemClock.now().millis() / 1000;
    let started = client.start(&identity, "Voron", now).await.unwrap();
    // People decide where they sign in.
    let page = stack.relay_url("/pair");
    assert!(started.link.starts_with(&page), "{}", started.link);
    let answer = client.poll(&started.poll).await.unwrap();
    assert_eq!(answer.state, PairingState::Pending);

    // The name of the relay's pages is not the one that was asked for.
    let wrong_clock = client.start(&identity, "Voron", now - 3600).await;
    let declined =
        matches!(&wrong_clock, Err(PairingError::Declined { code, .. }) if code == "clock");
    assert!(declined, "{wrong_clock:?}");
    let own = format!("https://localhost:{port}/api/pairing");
    let pages = page.strip_prefix("https://").unwrap();
    let pages = pages.strip_suffix("/pair").unwrap();
    for (nonce, relay) in [(1, "localhost"), (2, pages), (3, "evil.example")] {
        let answer = ask("localhost", hosts, &ca, wish(own.clone(), relay, nonce)).await;
        assert_eq!(answer.status.as_u16(), 403, "{relay}: {answer:?}");
        assert_eq!(answer.json()["code"], "signature", "{relay}");
    }
    // Who passes on what was signed for somebody else cannot have it taken here by asking for
    // that name: the certificate is not for it.
    let theirs = format!("https://evil.example:{port}/api/pairing");
    let relay = format!("evil.example:{port}");
    let answer = ask("localhost", hosts, &ca, wish(theirs, &relay, 4)).await;
    assert_eq!(answer.status.as_u16(), 421, "{answer:?}");
    stack.relay.stop().await;
}

#[tokio::test]
async fn a_relay_with_tls_shows_hosts_the_certificate_it_has() {
    let printer = Simulator::start().await;
    let hosts = free_address();
    let stack = Stack::before(printer.url("")).tls();
    let stack = stack.relay("hosts", json!({"listen": hosts}));
    let mut stack = stack.prepare().await;
    send_past(&stack, hosts);
    stack.start_relay().await;
    stack.start_host().await;
    let (ca, main) = (stack.folder().join("ca.pem"), stack.relay_address().port());
    let first = certificate_shown("localhost", hosts.port(), &ca).await;
    assert_eq!(first, certificate_shown("localhost", main, &ca).await);
    renew(stack.folder());
    signal(stack.relay.id(), "HUP").await;
    let line = "the certificate was read again";
    stack.relay.await_line(line).await;
    let second = certificate_shown("localhost", hosts.port(), &ca).await;
    assert_ne!(second, first);
    assert_eq!(second, certificate_shown("localhost", main, &ca).await);
    assert_eq!(stack.relay.count_lines(line), 1);
    assert_eq!(stack.relay.count_lines("a host connected"), 1);
    stack.relay.stop().await;
    stack.host.stop().await;
}
