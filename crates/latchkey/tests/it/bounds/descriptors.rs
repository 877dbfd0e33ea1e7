//! More callers than the process has descriptors for (F-19).

use std::net::SocketAddr;
use std::time::Duration;

use latchkey_model::app_connection::AccessMode;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::raw::RawConnection;
use crate::harness::stack::{Simulator, Stack, certify, free_address};
use crate::harness::{eventually, within};

const DESCRIPTORS: u32 = 256;

/// The status of an answer to `head`, or nothing if the connection was closed.
async fn status(at: SocketAddr, head: &str) -> Option<u16> {
    let mut caller = TcpStream::connect(at).await.ok()?;
    caller.write_all(head.as_bytes()).await.ok()?;
    let mut start = [0; 12];
    within("an answer or an end", caller.read_exact(&mut start))
        .await
        .ok()?;
    std::str::from_utf8(&start[9..]).unwrap().parse().ok()
}

/// Fills a listener with callers that say nothing, and tries all that is promised.
async fn fill(at: SocketAddr, head: &str) {
    let mut live = RawConnection::connect(at).await;
    live.send(head).await;
    assert_eq!(live.read_response().await.status(), 200);
    let mut idle = Vec::new();
    for _ in 0..2 * DESCRIPTORS {
        idle.push(TcpStream::connect(at).await.unwrap());
    }
    // Who comes now is told, once those who were closed without a word have gone.
    eventually("a polite refusal", async || {
        status(at, head).await == Some(503)
    })
    .await;
    // Who was there before works on.
    for _ in 0..10 {
        live.send(head).await;
        assert_eq!(live.read_response().await.status(), 200);
    }
    drop(idle);
    eventually("room", async || {
        tokio::time::sleep(Duration::from_millis(50)).await;
        status(at, head).await == Some(200)
    })
    .await;
    live.send(head).await;
    assert_eq!(live.read_response().await.status(), 200);
}

#[tokio::test]
async fn with_few_descriptors_callers_are_refused_and_nothing_that_runs_is_lost() {
    let simulator = Simulator::start().await;
    let mut stack = Stack::before(simulator.url("")).prepare().await;
    stack.relay.limit_descriptors(DESCRIPTORS);
    stack.host.limit_descriptors(DESCRIPTORS);
    stack.start_relay().await;
    stack.start_host().await;
    let connection = stack.connection(AccessMode::Bearer);
    let key = format!("X-Api-Key: {}\r\n", Simulator::KEY);
    let away = format!(
        "GET /api/version HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\n{key}\r\n",
        connection.authority,
        connection.authorization().unwrap(),
    );
    fill(stack.relay_address(), &away).await;
    let home: SocketAddr = stack
        .host_url("")
        .trim_start_matches("http://")
        .trim_end_matches('/')
        .parse()
        .unwrap();
    let at_home = format!("GET /api/version HTTP/1.1\r\nHost: {home}\r\n{key}\r\n");
    fill(home, &at_home).await;
    // The tunnel was never lost, and nobody has crashed.
    assert_eq!(stack.relay.count_lines("a host connected"), 1);
    for process in [&mut stack.relay, &mut stack.host] {
        assert!(!process.log().contains("panicked"));
        process.stop().await;
    }
}

#[tokio::test]
async fn two_full_listeners_leave_descriptors_for_everything_else() {
    let simulator = Simulator::start().await;
    let hosts = free_address();
    let own = json!({"listen": hosts, "tls": {"cert": "relay.pem", "key": "relay.key"}});
    let stack = Stack::before(simulator.url("")).relay("hosts", own);
    let mut stack = stack.prepare().await;
    certify(stack.folder());
    stack.relay.limit_descriptors(DESCRIPTORS);
    stack.start_relay().await;
    let mut idle = Vec::new();
    for at in [hosts, stack.relay_address()] {
        for _ in 0..2 * DESCRIPTORS {
            idle.push(TcpStream::connect(at).await.unwrap());
        }
    }
    let away = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    eventually("a polite refusal", async || {
        status(stack.relay_address(), away).await == Some(503)
    })
    .await;
    eventually("a host to be refused", async || {
        let mut late = TcpStream::connect(hosts).await.unwrap();
        // Who is let in is given time to begin TLS.
        let closed = tokio::time::timeout(Duration::from_millis(500), late.read_u8());
        closed.await.is_ok()
    })
    .await;
    let log = stack.relay.log();
    assert!(!log.contains("cannot accept a connection"), "{log}");
    drop(idle);
    eventually("room", async || {
        status(stack.relay_address(), away).await == Some(200)
    })
    .await;
    stack.relay.stop().await;
}
