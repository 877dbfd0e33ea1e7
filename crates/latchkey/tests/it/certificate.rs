//! The relay's certificate is replaced while it serves.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{Request, Version};
use latchkey_model::app_connection::AccessMode;

use crate::harness::stack::{Connection, Simulator, Stack, renew, signal};
use crate::harness::tls::{TlsCaller, certificate_shown};

fn call(connection: &Connection) -> Request<Bytes> {
    Request::get(connection.address("/api/version"))
        .header("authorization", connection.authorization().unwrap())
        .header("x-api-key", Simulator::KEY)
        .body(Bytes::new())
        .unwrap()
}

async fn shown(stack: &Stack) -> Vec<u8> {
    let port = stack.connection(AccessMode::Bearer).port();
    certificate_shown("localhost", port, &stack.folder().join("ca.pem")).await
}

async fn caller(stack: &Stack, version: Version) -> TlsCaller {
    let connection = stack.connection(AccessMode::Bearer);
    let name = connection.authority.split(':').next().unwrap();
    let ca = stack.folder().join("ca.pem");
    TlsCaller::connect(name, connection.port(), &ca, version).await
}

#[tokio::test]
async fn new_handshakes_get_the_new_certificate_and_nothing_breaks_off() {
    let printer = Simulator::start().await;
    let mut stack = Stack::before(printer.url("")).tls().start().await;
    let connection = stack.connection(AccessMode::Bearer).clone();
    let mut early = [
        caller(&stack, Version::HTTP_11).await,
        caller(&stack, Version::HTTP_2).await,
    ];
    let mut seen = BTreeSet::from([shown(&stack).await]);
    for round in 1..=3 {
        renew(stack.folder());
        signal(stack.relay.id(), "HUP").await;
        // Whatever was open goes on while it is replaced, and whoever comes gets in.
        let line = "the certificate was read again";
        while stack.relay.count_lines(line) < round {
            for caller in &mut early {
                assert_eq!(caller.send(call(&connection)).await.status.as_u16(), 200);
            }
            let mut late = caller(&stack, Version::HTTP_2).await;
            assert_eq!(late.send(call(&connection)).await.status.as_u16(), 200);
        }
        assert!(seen.insert(shown(&stack).await), "an old certificate");
    }
    for caller in &mut early {
        assert_eq!(caller.send(call(&connection)).await.status.as_u16(), 200);
    }
    assert_eq!(stack.relay.count_lines("a host connected"), 1);
    // Nobody has to say so: replaced files are noticed.
    renew(stack.folder());
    while !seen.insert(shown(&stack).await) {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    stack.relay.stop().await;
}

#[tokio::test]
async fn what_cannot_be_used_changes_nothing() {
    let printer = Simulator::start().await;
    let mut stack = Stack::before(printer.url("")).tls().start().await;
    let before = shown(&stack).await;
    let key = stack.folder().join("relay.key");
    let good = std::fs::read(&key).unwrap();
    // The private CA's key fits no certificate of the relay's.
    let other = std::fs::read(stack.folder().join("ca.key")).unwrap();
    for (round, bad) in [&b"nothing"[..], &other].into_iter().enumerate() {
        std::fs::write(&key, bad).unwrap();
        signal(stack.relay.id(), "HUP").await;
        let line = "the new certificate cannot be used";
        while stack.relay.count_lines(line) <= round {
            assert_eq!(shown(&stack).await, before);
        }
        assert_eq!(shown(&stack).await, before);
    }
    assert!(!stack.relay.log().contains("BEGIN"), "a key in the log");
    std::fs::write(&key, good).unwrap();
    signal(stack.relay.id(), "HUP").await;
    stack
        .relay
        .await_line("the certificate was read again")
        .await;
    assert_eq!(shown(&stack).await, before);
}
