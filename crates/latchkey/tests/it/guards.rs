//! What one party must not be able to do to another: printers' servers and hosts to apps, pages on the internet to
//! hosts, anybody to a relay whose disk is missing.

use latchkey_model::app_connection::AccessMode;
use latchkey_net::tunnel::HostIdentity;

use crate::harness::eventually;
use crate::harness::inproc::{Door, RunningRelay, Setup, Way, public_url};
use crate::harness::raw::{RawConnection, RawResponse};

/// Asks `line` and lets the printer's server answer `answer`.
async fn answered_with(answer: &str) -> RawResponse {
    let (printer, door) = Setup::new(Way::Edge).open().await;
    let mut caller = door.connect().await;
    caller.send(door.head("GET /", &[])).await;
    let mut upstream = printer.accept().await;
    upstream.read_request().await;
    upstream.send(answer).await;
    caller.read_response().await
}

#[tokio::test]
async fn a_printers_server_cannot_end_an_app_connection() {
    for status in [600, 601, 603, 604, 605, 606, 613, 999] {
        let answer = format!("HTTP/1.1 {status} Gone\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(answered_with(&answer).await.status(), 600, "{status}");
    }
}

#[tokio::test]
async fn a_refused_upgrade_cannot_end_an_app_connection() {
    let (printer, door) = Setup::new(Way::Edge).open().await;
    let mut caller = door.connect().await;
    let upgrade = [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    ];
    caller.send(door.head("GET /socket", &upgrade)).await;
    let mut upstream = printer.accept().await;
    upstream.read_request().await;
    upstream
        .send("HTTP/1.1 604 Gone\r\nContent-Length: 0\r\n\r\n")
        .await;
    assert_eq!(caller.read_response().await.status(), 600);
}

async fn lan_answer(door: &Door, host: &str, fields: &str) -> RawConnection {
    let mut caller = RawConnection::connect(door.lan).await;
    let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\nX-Custom: 1\r\n{fields}\r\n");
    caller.send(head).await;
    caller
}

#[tokio::test]
async fn a_page_that_points_its_name_at_the_host_is_turned_away() {
    let (printer, door) = Setup::new(Way::Lan)
        .host(|config| config.hostnames = vec!["printer.example".to_owned()])
        .open()
        .await;
    for host in [
        "evil.example",
        "evil.example:5010",
        "192.168.1.5.evil.example",
    ] {
        let fields = format!("Origin: http://{host}\r\n");
        let mut caller = lan_answer(&door, host, &fields).await;
        assert_eq!(caller.read_response().await.status(), 421, "{host}");
    }
    for (host, fields) in [
        ("192.168.1.5:5010", ""),
        ("octopi.local", ""),
        ("octopi", ""),
        ("printer.example", ""),
        // A proxy on loopback is trusted to name the public address.
        ("127.0.0.1", "X-Forwarded-Host: public.example\r\n"),
    ] {
        let mut caller = lan_answer(&door, host, fields).await;
        let mut upstream = printer.accept().await;
        upstream.read_request().await;
        upstream
            .send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .await;
        assert_eq!(caller.read_response().await.status(), 200, "{host}");
    }
}

#[tokio::test]
async fn a_relay_without_its_database_says_nothing_final() {
    let relay = RunningRelay::start(|_| {}).await;
    let ask = async || {
        let mut caller = RawConnection::connect(relay.address).await;
        let label = "app-0123456789abcdefghijklmnopqrstuv";
        let host = format!("{label}.{}", relay.config().connection_domain);
        caller
            .send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"))
            .await;
        caller.read_response().await.status()
    };
    assert_eq!(ask().await, 600);
    let identity = HostIdentity::generate().unwrap();
    relay.record(identity.public_key(), AccessMode::None).await;
    // Whether the database is empty is looked at once a second.
    eventually("it is certain again", async || ask().await == 603).await;
}

#[tokio::test]
async fn what_came_in_the_clear_is_refused_where_https_is_promised() {
    for (trusted, fields, status) in [
        ("10.0.0.0/8", "", 403),
        ("10.0.0.0/8", "X-Forwarded-Proto: https\r\n", 403),
        ("127.0.0.0/8", "X-Forwarded-Proto: http\r\n", 403),
        ("127.0.0.0/8", "X-Forwarded-Proto: https\r\n", 200),
        ("127.0.0.0/8", "", 200),
    ] {
        let relay = RunningRelay::start(|config| {
            config.public_url = public_url("https://localhost");
            config.trusted_proxies = vec![trusted.parse().unwrap()];
        })
        .await;
        let mut caller = RawConnection::connect(relay.address).await;
        let host = relay.config().public_url.authority();
        caller
            .send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n"))
            .await;
        assert_eq!(caller.read_response().await.status(), status, "{fields}");
    }
}
