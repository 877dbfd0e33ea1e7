//! What somebody tries who has no right to a printer, or no longer: after a revocation, with another's credentials, by
//! guessing hostnames.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::BodyExt as _;
use latchkey_model::app_connection::AccessMode;
use latchkey_model::chance::SystemChance;
use latchkey_model::secret::ConnectionLabel;
use latchkey_net::body;

use crate::harness::inproc::{Door, Printer, RunningRelay};
use crate::harness::raw::{RawConnection, RawResponse};
use crate::harness::within;

/// Requests after a revocation, on connections that were open before it.
const LATER: usize = 10_000;
const CALLERS: usize = 8;

/// A host and a printer behind it that answers everything with its own name.
async fn house(relay: &RunningRelay, name: &'static str) -> (Door, Arc<AtomicUsize>) {
    let printer = Printer::start().await;
    let door = relay.attach(printer.address(), AccessMode::Enhanced, |_| {});
    let (door, ()) = tokio::join!(door, printer.answer_probe("403 Forbidden"));
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    tokio::spawn(async move {
        loop {
            let stream = printer.accept_stream().await;
            let count = Arc::clone(&count);
            tokio::spawn(answer_all(stream, name, count));
        }
    });
    (door, seen)
}

async fn answer_all(stream: tokio::net::TcpStream, name: &str, count: Arc<AtomicUsize>) {
    let mut upstream = RawConnection::over(stream);
    let head = |bytes: &[u8]| {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        end.map(|end| end + 4)
    };
    while upstream.read_when(head).await.is_ok() {
        count.fetch_add(1, Ordering::SeqCst);
        let length = name.len();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{name}");
        if upstream.try_send(answer).await.is_err() {
            return;
        }
    }
}

/// Lets many callers ask all the time, and then ends it: `later` requests that were sent after that are all told `told`.
#[expect(clippy::print_stdout, reason = "what was measured is to be seen")]
async fn none_passes_after(end: impl AsyncFnOnce(&RunningRelay, &Door), told: u16, later: usize) {
    let relay = RunningRelay::start(|_| {}).await;
    let (door, seen) = house(&relay, "printer").await;
    let door = Arc::new(door);
    let revoked = Arc::new(AtomicBool::new(false));
    let passed = Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (door, revoked) = (Arc::clone(&door), Arc::clone(&revoked));
            let passed = Arc::clone(&passed);
            tokio::spawn(async move {
                let mut caller = door.connect().await;
                let mut sent_later = 0;
                while sent_later < later / CALLERS {
                    let is_later = revoked.load(Ordering::SeqCst);
                    caller.send(door.head("GET /api/job", &[])).await;
                    let head = caller.read_response_head().await;
                    let status = head.status();
                    let length: usize = head.field("content-length").unwrap().parse().unwrap();
                    let whole = |bytes: &[u8]| (bytes.len() >= length).then_some(length);
                    if caller.read_when(whole).await.is_err() {
                        // It was open when the end came, and was cut.
                        assert!(!is_later);
                        caller = door.connect().await;
                    }
                    if is_later {
                        assert_eq!(status, told);
                        sent_later += 1;
                    } else {
                        assert!(status == 200 || status == told, "{status}");
                        passed.fetch_add(usize::from(status == 200), Ordering::SeqCst);
                    }
                }
            })
        })
        .collect();
    while passed.load(Ordering::SeqCst) < 100 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    end(&relay, &door).await;
    revoked.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before = seen.load(Ordering::SeqCst);
    for caller in callers {
        caller.await.unwrap();
    }
    // What was on its way to the printer has arrived by now; nothing came after.
    assert_eq!(seen.load(Ordering::SeqCst), before);
    println!("{later} requests after the end, all told {told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn none_of_many_requests_passes_after_a_revocation() {
    let revoke = async |relay: &RunningRelay, door: &Door| {
        let (connection, _) = door.ids.as_ref().unwrap();
        assert!(relay.life.revoke(&relay.account, connection).await.unwrap());
    };
    none_passes_after(revoke, 604, LATER).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn none_of_many_requests_passes_while_an_account_is_suspended() {
    let suspend = async |relay: &RunningRelay, _: &Door| {
        assert!(relay.life.suspend(&relay.account, "unpaid").await.unwrap());
    };
    none_passes_after(suspend, 605, LATER / 5).await;
}

#[tokio::test]
async fn credentials_are_good_for_their_own_hostname_only_on_one_connection_too() {
    let relay = RunningRelay::start(|_| {}).await;
    let (first, at_first) = house(&relay, "first").await;
    let (second, at_second) = house(&relay, "second").await;
    let mut caller = first.http2().await;
    let mut ask = async |host: &Door, credential: &Door| {
        let request = http::Request::get(host.url("/api/job"))
            .header("authorization", credential.authorization().unwrap())
            .body(body::empty())
            .unwrap();
        let answer = within("the answer", caller.send_request(request))
            .await
            .unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    };
    assert_eq!(ask(&first, &first).await, (200, "first".to_owned()));
    assert_eq!(ask(&second, &second).await, (200, "second".to_owned()));
    assert_eq!(ask(&second, &first).await.0, 606);
    assert_eq!(ask(&first, &second).await.0, 606);
    let counts = || {
        (
            at_first.load(Ordering::SeqCst),
            at_second.load(Ordering::SeqCst),
        )
    };
    let before = counts();
    let (connection, _) = first.ids.as_ref().unwrap();
    assert!(relay.life.revoke(&relay.account, connection).await.unwrap());
    assert_eq!(ask(&first, &first).await.0, 604);
    assert_eq!(ask(&first, &second).await.0, 603);
    assert_eq!(ask(&second, &first).await.0, 606);
    assert_eq!(counts(), before);
    assert_eq!(ask(&second, &second).await, (200, "second".to_owned()));
}

/// What a guesser sees of an answer, but for what is new in each: its status, its fields' names in order, their values
/// but for the request id and the date, and the length of its body.
fn seen_of(answer: &RawResponse) -> (String, Vec<String>, usize) {
    let fields = answer.fields.iter().map(|field| {
        let (name, value) = field.split_once(':').unwrap();
        let name = name.to_ascii_lowercase();
        match &*name {
            "latchkey-request-id" | "date" => format!("{name}: {}", value.len()),
            _ => format!("{name}:{value}"),
        }
    });
    (
        answer.status_line.clone(),
        fields.collect(),
        answer.body.len(),
    )
}

#[tokio::test]
async fn a_guessed_hostname_that_ended_looks_like_one_that_never_was() {
    let relay = RunningRelay::start(|_| {}).await;
    let (door, _) = house(&relay, "printer").await;
    let (connection, _) = door.ids.as_ref().unwrap();
    assert!(relay.life.revoke(&relay.account, connection).await.unwrap());
    let domain = door.authority.split_once('.').unwrap().1;
    let unknown = || {
        let label = ConnectionLabel::generate(&SystemChance);
        format!("{}.{domain}", label.expose())
    };
    let mut caller = door.connect().await;
    for accept in ["application/json", "text/html", "*/*"] {
        for authorization in [
            "",
            "Authorization: Bearer wrong\r\n",
            "Authorization: Basic d3Jvbmc6d3Jvbmc=\r\n",
            "Authorization: Digest x\r\n",
        ] {
            for request in ["GET /", "POST /api/job", "HEAD /", "OPTIONS /x"] {
                let mut replies = BTreeSet::new();
                for host in [door.authority.clone(), unknown(), unknown()] {
                    let length = if request.starts_with("POST") {
                        "Content-Length: 0\r\n"
                    } else {
                        ""
                    };
                    let head = format!(
                        "{request} HTTP/1.1\r\nHost: {host}\r\nAccept: {accept}\r\n{length}{authorization}\r\n"
                    );
                    caller.send(head).await;
                    let answer = if request.starts_with("HEAD") {
                        caller.read_response_head().await
                    } else {
                        caller.read_response().await
                    };
                    assert_eq!(answer.status(), 603);
                    replies.insert(seen_of(&answer));
                }
                assert_eq!(
                    replies.len(),
                    1,
                    "{request} {accept} {authorization}: {replies:?}"
                );
            }
        }
    }
}

/// Ten thousand guesses from addresses that guess twenty times each: unknown names and names that ended, with and
/// without credentials. And whoever has the right ones is not held up by it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_guesses_look_alike_and_hold_nobody_up() {
    const GUESSES: usize = 10_000;
    const GUESSERS: usize = 8;
    let relay = RunningRelay::start(|relay| {
        relay.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    })
    .await;
    let (door, seen) = house(&relay, "printer").await;
    let (_, printer) = door.ids.clone().unwrap();
    let ended = relay.connect(&printer, AccessMode::Enhanced).await;
    let (connection, _) = ended.ids.as_ref().unwrap();
    assert!(relay.life.revoke(&relay.account, connection).await.unwrap());
    let (ended, at) = (Arc::new(ended.authority.clone()), door.address);
    let guessers: Vec<_> = (0..GUESSERS)
        .map(|guesser| {
            let ended = Arc::clone(&ended);
            tokio::spawn(async move {
                let domain = ended.split_once('.').unwrap().1;
                let mut caller = RawConnection::connect(at).await;
                let mut replies = BTreeSet::new();
                for number in 0..GUESSES / GUESSERS {
                    let host = if number % 2 == 0 {
                        (*ended).clone()
                    } else {
                        let label = ConnectionLabel::generate(&SystemChance);
                        format!("{}.{domain}", label.expose())
                    };
                    let credential = match number % 3 {
                        0 => "",
                        _ => "Authorization: Bearer wrong\r\n",
                    };
                    // Twenty of each address, which is what it has before it is slowed down.
                    let address = format!("198.18.{guesser}.{}", number / 20);
                    let head = format!(
                        "GET / HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: {address}\r\n{credential}\r\n"
                    );
                    caller.send(head).await;
                    let answer = caller.read_response().await;
                    assert_eq!(answer.status(), 603);
                    replies.insert(seen_of(&answer));
                }
                replies
            })
        })
        .collect();
    let before = seen.load(Ordering::SeqCst);
    let mut owner = door.connect().await;
    for _ in 0..100 {
        owner.send(door.head("GET /api/job", &[])).await;
        assert_eq!(owner.read_response().await.status(), 200);
    }
    let mut replies = BTreeSet::new();
    for guesser in guessers {
        replies.append(&mut guesser.await.unwrap());
    }
    assert_eq!(replies.len(), 1, "{replies:?}");
    // Nothing of all that came to the printer.
    assert_eq!(seen.load(Ordering::SeqCst), before + 100);
}
