//! A relay gets its certificate itself, from an authority that checks what it is sent.

use std::os::unix::fs::PermissionsExt as _;

use bytes::Bytes;
use http::{Request, Version};
use latchkey_model::app_connection::AccessMode;
use serde_json::Value;

use crate::harness::acme::{Authority, Place, program};
use crate::harness::stack::{Connection, Simulator, Stack};
use crate::harness::tls::{TlsCaller, certificate_shown};

const NINETY_DAYS: u32 = 90 * 86_400;

fn call(connection: &Connection) -> Request<Bytes> {
    Request::get(connection.address("/api/version"))
        .header("authorization", connection.authorization().unwrap())
        .header("x-api-key", Simulator::KEY)
        .body(Bytes::new())
        .unwrap()
}

async fn prepared(printer: &Simulator, place: Place) -> Stack {
    let stack = Stack::before(printer.url("")).tls();
    stack.relay("tls", place.settings()).prepare().await
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
async fn an_empty_relay_gets_one_and_keeps_it() {
    let Some(program) = program() else {
        return;
    };
    let printer = Simulator::start().await;
    let place = Place::choose();
    let mut stack = prepared(&printer, place).await;
    let authority = Authority::start(&program, place, stack.folder(), NINETY_DAYS).await;
    stack.start_relay().await;
    stack.start_host().await;
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let mut app = caller(&stack, version).await;
        let answer = app.send(call(stack.connection(AccessMode::Bearer))).await;
        assert_eq!(answer.status.as_u16(), 200, "{}", authority.log());
    }
    let first = shown(&stack).await;

    let calls = authority.calls();
    for act in ["present", "cleanup"] {
        for name in ["localhost", "printers.localhost"] {
            let beginning = format!("{act} _acme-challenge.{name} ");
            let so_many = calls.iter().filter(|call| call.starts_with(&beginning));
            assert_eq!(so_many.count(), 1, "{beginning}: {calls:?}");
        }
    }
    assert_eq!(calls.len(), 4, "{calls:?}");
    let kept = |name: &str| {
        let path = stack.folder().join("relay").join(name);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
        std::fs::read_to_string(path).unwrap()
    };
    let certificate = kept("certificate.pem");
    let mut key = certificate
        .split("PRIVATE KEY-----")
        .nth(1)
        .unwrap()
        .lines();
    let account: Value = serde_json::from_str(&kept("acme-account.json")).unwrap();
    let mut secrets = vec![
        key.nth(1).unwrap(),
        account["credentials"]["key_pkcs8"].as_str().unwrap(),
    ];
    secrets.extend(calls.iter().filter_map(|call| call.rsplit(' ').next()));
    for secret in secrets {
        assert!(secret.len() > 20 && !stack.relay.whole_log().await.contains(secret));
    }
    assert!(!stack.relay.whole_log().await.contains("operator@"));

    // A restart asks nobody.
    stack.relay.stop().await;
    authority.stop().await;
    stack.start_relay().await;
    assert_eq!(shown(&stack).await, first);
    stack.relay.stop().await;
}

#[tokio::test]
async fn another_authority_gives_another_one_while_the_old_one_is_shown() {
    let Some(program) = program() else {
        return;
    };
    let printer = Simulator::start().await;
    let place = Place::choose();
    let mut stack = prepared(&printer, place).await;
    let first = Authority::start(&program, place, stack.folder(), NINETY_DAYS).await;
    stack.start_relay().await;
    let before = shown(&stack).await;
    stack.relay.stop().await;
    first.stop().await;

    // It has other roots, and knows no account of ours.
    let second = Authority::start(&program, place, stack.folder(), NINETY_DAYS).await;
    let file = stack.folder().join("relay/certificate.pem");
    let text = std::fs::read_to_string(&file).unwrap();
    let elsewhere = text.replacen(
        "given by https://localhost",
        "given by https://elsewhere",
        1,
    );
    assert_ne!(elsewhere, text);
    std::fs::write(&file, elsewhere).unwrap();
    stack.start_relay().await;
    stack.start_host().await;
    let connection = stack.connection(AccessMode::Bearer).clone();
    let mut early = caller(&stack, Version::HTTP_2).await;
    while stack.relay.count_lines("the certificate was read again") == 0 {
        assert_eq!(early.send(call(&connection)).await.status.as_u16(), 200);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_ne!(shown(&stack).await, before);
    let line = "the authority does not know the account";
    assert_eq!(stack.relay.count_lines(line), 1);
    assert_eq!(stack.relay.count_lines("was not renewed"), 0);
    assert_eq!(second.calls().len(), 8, "{:?}", second.calls());
    let mut late = caller(&stack, Version::HTTP_11).await;
    assert_eq!(late.send(call(&connection)).await.status.as_u16(), 200);
    assert_eq!(early.send(call(&connection)).await.status.as_u16(), 200);
    assert_eq!(stack.relay.count_lines("a host connected"), 1);
    stack.relay.stop().await;
}

#[tokio::test]
async fn an_authority_that_is_not_convinced_is_heard_and_its_records_are_removed() {
    let Some(program) = program() else {
        return;
    };
    let printer = Simulator::start().await;
    let place = Place::choose();
    let mut stack = prepared(&printer, place).await;
    let authority = Authority::start(&program, place, stack.folder(), NINETY_DAYS).await;
    // A program that forgets to set what it is told.
    let hook = stack.folder().join("hook");
    let text = std::fs::read_to_string(&hook).unwrap();
    std::fs::write(&hook, text.replace("/set-txt", "/clear-txt")).unwrap();
    stack.relay.start();
    let line = "no certificate was given; the relay waits for one";
    stack.relay.await_line(line).await;
    let log = stack.relay.log();
    let said = log.lines().find(|said| said.contains(line)).unwrap();
    assert!(
        said.contains("localhost: ") && said.contains("unauthorized"),
        "{said}"
    );
    let calls = authority.calls();
    let removed = calls.iter().filter(|call| call.starts_with("cleanup "));
    assert_eq!((calls.len(), removed.count()), (4, 2), "{calls:?}");
    assert_eq!(stack.relay.count_lines("the relay is listening"), 0);
    // It waits for minutes now, and goes when it is told to.
    stack.relay.stop().await;
}

#[tokio::test]
async fn a_program_that_is_none_is_said_at_the_start() {
    let printer = Simulator::start().await;
    let mut stack = prepared(&printer, Place::choose()).await;
    assert!(!stack.relay.run_to_end().await.success());
    let log = stack.relay.log();
    assert!(log.contains("is no program that can be run"), "{log}");
}
