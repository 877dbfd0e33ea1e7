//! Which printer a request is for, who may ask, and what is never the printer's to answer.

use bytes::Bytes;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use latchkey_model::app_connection::AccessMode;
use latchkey_net::body;

use crate::harness::inproc::{Door, Printer, RunningRelay, Setup, Way, at_both_hops};
use crate::harness::raw::{RawConnection, RawRequest};
use crate::harness::within;

at_both_hops!(
    command_prefix_is_answered_and_never_passed_on,
    own_pages_are_at_the_home_door_alone,
    control_of_the_tunnel_cannot_be_forged,
    http2_requests_and_their_bodies_arrive,
    http2_caller_that_resets_its_stream_cancels_the_request,
);

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const UPGRADE: [&str; 4] = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
];

/// A request head for any host, with any credential.
fn head(line: &str, host: &str, authorization: Option<&str>, fields: &[&str]) -> String {
    let mut head = format!("{line} HTTP/1.1\r\nHost: {host}\r\n");
    for field in authorization
        .map(|value| format!("Authorization: {value}"))
        .iter()
        .map(String::as_str)
        .chain(fields.iter().copied())
    {
        head.extend([field, "\r\n"]);
    }
    head + "\r\n"
}

/// What the printer sees next; it answers with its name.
async fn answered(upstream: &mut RawConnection, name: &str) -> RawRequest {
    let seen = upstream.read_request().await;
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}",
        name.len()
    );
    upstream.send(answer).await;
    seen
}

async fn command_prefix_is_answered_and_never_passed_on(way: Way) {
    let (printer, door) = Setup::new(way).open().await;
    let mut caller = door.connect().await;
    for (line, body) in [
        (
            "GET /octoeverywhere-command-api/webcam/snapshot?index=0",
            "",
        ),
        ("GET /OctoEverywhere-Command-API/status", ""),
        (
            "POST /octoeverywhere-command-api/send-gcode",
            "{\"Commands\":[\"G28\"]}",
        ),
    ] {
        let length = format!("Content-Length: {}", body.len());
        caller.send(door.head(line, &[&length]) + body).await;
        let answer = caller.read_response().await;
        assert_eq!(answer.status(), 200, "{line}");
        let told: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(
            (&told["Status"], &told["Result"]),
            (&754.into(), &serde_json::Value::Null)
        );
    }
    let mut caller = door.connect().await;
    caller
        .send(door.head("GET /first-for-the-printer", &[]))
        .await;
    let mut upstream = printer.accept().await;
    assert_eq!(
        answered(&mut upstream, "").await.line,
        "GET /first-for-the-printer HTTP/1.1"
    );
}

async fn own_pages_are_at_the_home_door_alone(way: Way) {
    let (printer, door) = Setup::new(way).open().await;
    let mut caller = door.connect().await;
    for path in ["/latchkey/", "/latchkey/tunnel", "/latchkey/assets/x/y"] {
        caller.send(door.head(&format!("GET {path}"), &[])).await;
        match way {
            Way::Edge => {
                let mut upstream = printer.accept().await;
                let seen = upstream.read_request().await;
                assert_eq!(seen.line, format!("GET {path} HTTP/1.1"));
                upstream
                    .send(
                        "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\nprinter",
                    )
                    .await;
                drop(upstream);
                assert_eq!(caller.read_response().await.body, b"printer");
            }
            Way::Lan => {
                let answer = caller.read_response().await;
                assert_eq!(
                    answer.status(),
                    if path == "/latchkey/" { 200 } else { 404 }
                );
            }
        }
    }
    caller.send(door.head("GET /latchkeys", &[])).await;
    let mut upstream = printer.accept().await;
    assert_eq!(
        answered(&mut upstream, "").await.line,
        "GET /latchkeys HTTP/1.1"
    );
}

async fn control_of_the_tunnel_cannot_be_forged(way: Way) {
    let (printer, door) = Setup::new(way).open().await;
    let mut caller = door.connect().await;
    let mut upstream = None;
    for path in ["/hello", "/welcome", "/refused", "/drain", "/ping"] {
        let fields = [
            "Latchkey-Kind: control",
            "latchkey-kind: control",
            "Latchkey_Kind: control",
            "Latchkey-App-Connection: forged",
            "Latchkey-Caller: 192.0.2.1",
            "Content-Length: 2",
        ];
        caller
            .send(door.head(&format!("POST {path}"), &fields) + "{}")
            .await;
        if upstream.is_none() {
            upstream = Some(printer.accept().await);
        }
        let seen = answered(upstream.as_mut().unwrap(), "printer").await;
        assert_eq!(
            (seen.line, &*seen.body),
            (format!("POST {path} HTTP/1.1"), &b"{}"[..])
        );
        assert!(!seen.fields.iter().any(|field| field.contains("forged")));
        assert_eq!(caller.read_response().await.body, b"printer");
    }
    // Nor is a connection turned into a tunnel on a printer's address.
    let fields = ["Connection: Upgrade", "Upgrade: latchkey/1"];
    caller.send(door.head("GET /tunnel", &fields)).await;
    let seen = answered(upstream.as_mut().unwrap(), "printer").await;
    assert_eq!(seen.field("upgrade"), None);
    assert_eq!(caller.read_response().await.status(), 200);
}

async fn http2_requests_and_their_bodies_arrive(way: Way) {
    let (printer, door) = Setup::new(way).open().await;
    let mut caller = door.http2().await;
    let (pieces, piece) = tokio::sync::mpsc::channel::<&'static str>(1);
    let frames = futures_util::stream::unfold(piece, |mut piece| async {
        let bytes = piece.recv().await?;
        Some((
            Ok::<_, body::BodyError>(Frame::data(Bytes::from_static(bytes.as_bytes()))),
            piece,
        ))
    });
    let request = door
        .http2_request("POST", "/up//x?y=%2F")
        .header("te", "trailers")
        .header("x-real-ip", "192.0.2.1")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .body(body::boxed(StreamBody::new(Box::pin(frames))))
        .unwrap();
    let answer = tokio::spawn(caller.send_request(request));
    let mut upstream = printer.accept().await;
    let seen = upstream.read_request_head().await;
    assert_eq!(seen.line, "POST /up//x?y=%2F HTTP/1.1");
    assert_eq!(seen.field("transfer-encoding"), Some("chunked"));
    assert_eq!((seen.field("te"), seen.field("x-real-ip")), (None, None));
    // HTTP/2 may split the cookie; servers of HTTP/1 want it whole (RFC 9113 section 8.2.3).
    assert_eq!(seen.values("cookie"), ["a=1; b=2"]);
    for text in ["one", "two"] {
        pieces.send(text).await.unwrap();
        assert_eq!(
            upstream.read_exactly(8).await,
            format!("3\r\n{text}\r\n").into_bytes()
        );
    }
    drop(pieces);
    assert_eq!(upstream.read_exactly(5).await, b"0\r\n\r\n");
    upstream.send("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nContent-Length: 4\r\n\r\ndone").await;
    let answer = within("the answer", answer).await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-length"], "4");
    assert!(!answer.headers().contains_key("keep-alive"));
    let body = within("the body", answer.into_body().collect())
        .await
        .unwrap();
    assert_eq!(body.to_bytes(), "done");
}

async fn http2_caller_that_resets_its_stream_cancels_the_request(way: Way) {
    let (printer, door) = Setup::new(way).open().await;
    let mut caller = door.http2().await;
    let stream = |path| door.http2_request("GET", path).body(body::empty()).unwrap();
    let waiting = tokio::spawn(caller.send_request(stream("/poll")));
    let mut upstream = printer.accept().await;
    upstream.read_request().await;
    waiting.abort();
    upstream.read_to_end().await;
    let flowing = tokio::spawn(caller.send_request(stream("/events")));
    let mut upstream = printer.accept().await;
    upstream.read_request().await;
    upstream
        .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        .await;
    let mut answer = within("the answer", flowing).await.unwrap().unwrap();
    let frame = within("a frame", answer.frame()).await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "one");
    drop(answer);
    upstream.read_to_end().await;
    // The connection is as good as before.
    let next = tokio::spawn(caller.send_request(stream("/next")));
    let mut upstream = printer.accept().await;
    answered(&mut upstream, "next").await;
    assert_eq!(
        within("the answer", next).await.unwrap().unwrap().status(),
        200
    );
}

#[tokio::test]
async fn address_without_a_printer_is_misdirected() {
    let (_printer, door) = Setup::new(Way::Edge).open().await;
    let authorization = door.authorization();
    for host in [
        "printer.example",
        "127.0.0.1",
        "[::1]:80",
        "a.b.localhost",
        &format!("x.{}", door.authority),
        &format!("{}.evil.example", door.authority.split(':').next().unwrap()),
    ] {
        let mut caller = door.connect().await;
        caller
            .send(head("GET /", host, authorization.as_deref(), &[]))
            .await;
        assert_eq!(caller.read_response().await.status(), 421, "{host}");
    }
}

#[tokio::test]
async fn every_spelling_of_an_address_leads_to_its_printer() {
    let (printer, door) = Setup::new(Way::Edge).open().await;
    let authorization = door.authorization();
    let mut caller = door.connect().await;
    let mut upstream = None;
    let label = &door.label;
    for (host, told) in [
        (door.authority.clone(), door.authority.clone()),
        (door.authority.to_ascii_uppercase(), door.authority.clone()),
        (format!("{label}.localhost."), format!("{label}.localhost")),
        (format!("{label}.localhost"), format!("{label}.localhost")),
        (
            format!("{label}.LocalHost:443"),
            format!("{label}.localhost:443"),
        ),
        (
            format!("{label}.localhost:80"),
            format!("{label}.localhost"),
        ),
        (
            format!("{label}.localhost.:8443"),
            format!("{label}.localhost:8443"),
        ),
    ] {
        caller
            .send(head("GET /", &host, authorization.as_deref(), &[]))
            .await;
        if upstream.is_none() {
            upstream = Some(printer.accept().await);
        }
        let seen = answered(upstream.as_mut().unwrap(), "printer").await;
        assert_eq!(seen.field("x-forwarded-host"), Some(&*told), "{host}");
        assert_eq!(caller.read_response().await.body, b"printer");
    }
}

struct Two {
    printers: [Printer; 2],
    doors: [Door; 2],
}

async fn two_printers() -> Two {
    let relay = RunningRelay::start(|_| {}).await;
    let printers = [Printer::start().await, Printer::start().await];
    let mut doors = Vec::new();
    for printer in &printers {
        let door = relay.attach(printer.address(), AccessMode::Enhanced, |_| {});
        let (door, ()) = tokio::join!(door, printer.answer_probe("403 Forbidden"));
        doors.push(door);
    }
    let doors = doors.try_into().ok().unwrap();
    Two { printers, doors }
}

#[tokio::test]
async fn requests_of_one_connection_reach_each_their_own_printer() {
    let two = two_printers().await;
    let mut caller = two.doors[0].connect().await;
    let mut http2 = two.doors[0].http2().await;
    let mut upstreams = [None, None];
    for n in [0, 1, 1, 0, 1] {
        let (door, name) = (&two.doors[n], ["left", "right"][n]);
        caller.send(door.head("GET /", &[])).await;
        if upstreams[n].is_none() {
            upstreams[n] = Some(two.printers[n].accept().await);
        }
        let seen = answered(upstreams[n].as_mut().unwrap(), name).await;
        assert_eq!(seen.field("x-forwarded-host"), Some(&*door.authority));
        assert_eq!(caller.read_response().await.body, name.as_bytes());

        let request = door.http2_request("GET", "/").body(body::empty()).unwrap();
        let answer = tokio::spawn(http2.send_request(request));
        let seen = answered(upstreams[n].as_mut().unwrap(), name).await;
        assert_eq!(seen.field("x-forwarded-host"), Some(&*door.authority));
        let answer = within("the answer", answer).await.unwrap().unwrap();
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), name);
    }
}

#[tokio::test]
async fn credential_of_one_connection_opens_no_other() {
    let two = two_printers().await;
    let [left, right] = &two.doors;
    let bearer = |door: &Door| format!("Bearer {}", door.bearer.as_ref().unwrap());
    for authorization in [right.authorization().unwrap(), bearer(right)] {
        for fields in [&[][..], &UPGRADE] {
            let mut caller = left.connect().await;
            caller
                .send(head(
                    "GET /ws",
                    &left.authority,
                    Some(&authorization),
                    fields,
                ))
                .await;
            let told = caller.read_response().await;
            assert_eq!(told.status(), 606);
            assert_eq!(told.field("www-authenticate"), None);
            let body: serde_json::Value = serde_json::from_slice(&told.body).unwrap();
            assert_eq!(body["Status"], 606);
        }
    }
    // Nothing of it came to either printer.
    for (door, printer) in two.doors.iter().zip(&two.printers) {
        let mut caller = door.connect().await;
        caller
            .send(head("GET /own", &door.authority, Some(&bearer(door)), &[]))
            .await;
        let mut upstream = printer.accept().await;
        assert_eq!(answered(&mut upstream, "").await.line, "GET /own HTTP/1.1");
    }
}

#[tokio::test]
async fn credentials_are_asked_for_before_anything_else() {
    let (printer, door) = Setup::new(Way::Edge).open().await;
    for authorization in [
        None,
        Some("Basic !!!"),
        Some("Bearer "),
        Some("Digest username=\"x\""),
    ] {
        for (line, fields) in [
            ("GET /sockjs/websocket", &UPGRADE[..]),
            ("GET /sockjs/websocket", &[]),
            (
                "POST /api/files/local",
                &["Content-Length: 100000000", "Expect: 100-continue"],
            ),
            ("GET /octoeverywhere-command-api/status", &[]),
        ] {
            let mut caller = door.connect().await;
            caller
                .send(head(line, &door.authority, authorization, fields))
                .await;
            assert_eq!(
                caller.read_response().await.status(),
                606,
                "{line} {authorization:?}"
            );
        }
    }
    let mut caller = door.connect().await;
    caller.send(door.head("GET /own", &[])).await;
    let mut upstream = printer.accept().await;
    assert_eq!(answered(&mut upstream, "").await.line, "GET /own HTTP/1.1");
}

/// What becomes of a request with these fields: its status, or what the printer saw.
async fn outcome(printer: &Printer, door: &Door, request: String) -> Result<RawRequest, u16> {
    let mut caller = door.connect().await;
    caller.send(request).await;
    let asked = async {
        let mut upstream = printer.accept().await;
        let seen = upstream.read_request_head().await;
        upstream.send(OK).await;
        upstream.half_close().await;
        seen
    };
    tokio::select! {
        seen = asked => {
            assert_eq!(caller.read_response().await.status(), 200);
            Ok(seen)
        }
        answer = caller.read_response() => Err(answer.status()),
    }
}

#[tokio::test]
async fn page_of_another_origin_cannot_use_what_a_browser_remembers() {
    for access in [AccessMode::Basic, AccessMode::None] {
        let (printer, door) = Setup::new(Way::Edge).access(access).open().await;
        let own = format!("Origin: http://{}", door.authority);
        for (origin, passes) in [
            ("Origin: https://evil.example", false),
            ("Origin: null", false),
            ("Origin: http://localhost", false),
            (&*own, true),
        ] {
            let fields: Vec<_> = UPGRADE.into_iter().chain([origin]).collect();
            let outcome = outcome(&printer, &door, door.head("GET /ws", &fields)).await;
            assert_eq!(outcome.is_ok(), passes, "{access} {origin}: {outcome:?}");
            assert!(passes || outcome.is_err_and(|status| status == 403));
        }
        for (line, site, passes) in [
            ("POST /api/job", "cross-site", false),
            ("DELETE /api/files/local/x", "same-site", false),
            ("POST /api/job", "same-origin", true),
            ("POST /api/job", "none", true),
            ("GET /api/job", "cross-site", true),
        ] {
            let field = format!("Sec-Fetch-Site: {site}");
            let outcome = outcome(&printer, &door, door.head(line, &[&field])).await;
            assert_eq!(
                outcome.is_ok(),
                passes,
                "{access} {line} {site}: {outcome:?}"
            );
            assert!(passes || outcome.is_err_and(|status| status == 403));
        }
    }
}

#[tokio::test]
async fn bearer_token_vouches_for_any_origin() {
    let (printer, door) = Setup::new(Way::Edge)
        .access(AccessMode::Bearer)
        .open()
        .await;
    let fields: Vec<_> = UPGRADE
        .into_iter()
        .chain(["Origin: capacitor://localhost"])
        .collect();
    let seen = outcome(&printer, &door, door.head("GET /ws", &fields))
        .await
        .unwrap();
    assert_eq!(seen.field("origin"), Some("capacitor://localhost"));
    let foreign = ["Origin: https://app.example", "Sec-Fetch-Site: cross-site"];
    let seen = outcome(&printer, &door, door.head("POST /api/job", &foreign))
        .await
        .unwrap();
    assert_eq!(seen.field("origin"), Some("https://app.example"));
}
