//! Upgraded connections: how they open, carry and end; and what must never be taken for one.

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::Method;
use hyper::ext::Protocol;
use hyper_util::rt::TokioIo;
use latchkey_net::body;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::harness::http::websocket;
use crate::harness::inproc::{Door, Printer, Setup, Way, at_both_hops};
use crate::harness::raw::{End, RawConnection};
use crate::harness::within;

at_both_hops!(
    websocket_carries_big_messages_pings_and_the_close_code,
    handshake_offers_and_choices_pass,
    refused_upgrade_is_the_printers_answer_and_the_connection_goes_on,
    request_behind_a_refused_upgrade_goes_through_the_gate,
    switch_to_another_protocol_is_an_error_and_nothing_is_copied,
    switch_that_nobody_asked_for_is_an_error,
    upgrade_to_http2_is_a_plain_request,
    upgrade_with_a_body_or_another_method_is_a_plain_request,
    websocket_opens_over_http2,
    callers_half_close_passes_and_late_frames_arrive,
    callers_reset_ends_the_printers_socket,
    printer_that_dies_between_frames_says_going_away,
    printer_that_dies_within_a_frame_says_nothing,
    nothing_follows_the_printers_own_close_frame,
    host_that_stops_says_going_away_once,
);

const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
const GOING_AWAY: [u8; 4] = [0x88, 0x02, 0x03, 0xE9];
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

fn upgrade(door: &Door, fields: &[&str]) -> String {
    let mut all = vec![
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    ];
    all.extend(fields);
    door.head("GET /sockjs/websocket?a=%2F", &all)
}

struct Opened {
    caller: RawConnection,
    upstream: RawConnection,
    door: Door,
    _printer: Printer,
}

async fn opened(way: Way) -> Opened {
    let (printer, door) = Setup::new(way).open().await;
    let mut caller = door.connect().await;
    caller.send(upgrade(&door, &[])).await;
    let mut upstream = printer.accept().await;
    upstream.read_request_head().await;
    upstream.send(SWITCH).await;
    assert_eq!(caller.read_response_head().await.status(), 101);
    Opened {
        caller,
        upstream,
        door,
        _printer: printer,
    }
}

async fn websocket_carries_big_messages_pings_and_the_close_code(way: Way) {
    let (printer, door) = Setup::new(way).open().await;
    let server = tokio::spawn(async move {
        let stream = printer.accept_stream().await;
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        loop {
            let message = socket.next().await.unwrap().unwrap();
            match message {
                Message::Text(text) if text == "bye" => {
                    let frame = CloseFrame {
                        code: CloseCode::from(4001),
                        reason: "printer says so".into(),
                    };
                    return socket.close(Some(frame)).await.unwrap();
                }
                Message::Text(_) | Message::Binary(_) => socket.send(message).await.unwrap(),
                _ => {}
            }
        }
    });
    let authorization = door.authorization().unwrap_or_default();
    let fields = [("Authorization", &*authorization)];
    let fields = if authorization.is_empty() {
        &[]
    } else {
        &fields[..]
    };
    let (mut socket, _) = websocket(door.url("/sockjs/websocket"), fields)
        .await
        .unwrap();
    let big: Bytes = (0..4 * 1024 * 1024_u32)
        .map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[2])
        .collect();
    for message in [
        Message::text("{\"auth\":\"me:key\"}"),
        Message::binary(big),
        Message::text(""),
        Message::text("\u{b0}C"),
    ] {
        socket.send(message.clone()).await.unwrap();
        let echoed = within("the echo", socket.next()).await.unwrap().unwrap();
        assert!(echoed == message, "not what was sent");
    }
    socket
        .send(Message::Ping("are you there".into()))
        .await
        .unwrap();
    let pong = within("the pong", socket.next()).await.unwrap().unwrap();
    assert_eq!(pong, Message::Pong("are you there".into()));
    socket.send(Message::text("bye")).await.unwrap();
    let Message::Close(Some(end)) = within("the close", socket.next()).await.unwrap().unwrap()
    else {
        panic!("no close frame");
    };
    assert_eq!(
        (u16::from(end.code), &*end.reason),
        (4001, "printer says so")
    );
    server.await.unwrap();
}

async fn handshake_offers_and_choices_pass(way: Way) {
    let (printer, door) = Setup::new(way).open().await;
    let mut caller = door.connect().await;
    let offers = [
        "Sec-WebSocket-Protocol: jsonrpc, v2",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
    ];
    caller.send(upgrade(&door, &offers)).await;
    let mut upstream = printer.accept().await;
    let seen = upstream.read_request_head().await;
    assert_eq!(seen.line, "GET /sockjs/websocket?a=%2F HTTP/1.1");
    for field in offers.into_iter().chain([
        "Upgrade: websocket",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    ]) {
        let (name, value) = field.split_once(": ").unwrap();
        assert_eq!(seen.field(name), Some(value), "{seen:?}");
    }
    assert!(
        seen.field("connection")
            .unwrap()
            .eq_ignore_ascii_case("upgrade")
    );
    assert_eq!(seen.field("x-forwarded-host"), Some(&*door.authority));
    let chosen = "Sec-WebSocket-Protocol: v2\r\nSec-WebSocket-Extensions: permessage-deflate\r\nX-Own: 1\r\n\r\n";
    upstream
        .send(SWITCH.replacen("\r\n\r\n", &format!("\r\n{chosen}"), 1))
        .await;
    let answer = caller.read_response_head().await;
    assert_eq!(answer.status(), 101);
    for (name, value) in [
        ("upgrade", "websocket"),
        ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ("sec-websocket-protocol", "v2"),
        ("sec-websocket-extensions", "permessage-deflate"),
        ("x-own", "1"),
    ] {
        assert_eq!(answer.values(name), [value], "{answer:?}");
    }
}

async fn refused_upgrade_is_the_printers_answer_and_the_connection_goes_on(way: Way) {
    let (printer, door) = Setup::new(way).open().await;
    let mut caller = door.connect().await;
    let mut upstream = None;
    for status in [
        "200 OK",
        "403 Forbidden",
        "426 Upgrade Required",
        "500 Oh",
        "204 No Content",
    ] {
        caller.send(upgrade(&door, &[])).await;
        if upstream.is_none() {
            upstream = Some(printer.accept().await);
        }
        let server = upstream.as_mut().unwrap();
        server.read_request_head().await;
        let body = if status.starts_with("204") {
            ""
        } else {
            "because"
        };
        let length = if body.is_empty() {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        server
            .send(format!(
                "HTTP/1.1 {status}\r\nX-Own: 1\r\n{length}\r\n{body}"
            ))
            .await;
        let answer = caller.read_response().await;
        assert_eq!(answer.status().to_string(), status[..3]);
        assert_eq!(answer.body, body.as_bytes());
        assert_eq!(answer.field("x-own"), Some("1"));
        assert_eq!(answer.field("latchkey-refused-upgrade"), None);
    }
    caller.send(door.head("GET /after", &[])).await;
    let server = upstream.as_mut().unwrap();
    assert_eq!(server.read_request().await.line, "GET /after HTTP/1.1");
    server.send(OK).await;
    assert_eq!(caller.read_response().await.status(), 200);
}

async fn request_behind_a_refused_upgrade_goes_through_the_gate(way: Way) {
    let (printer, door) = Setup::new(way).open().await;
    let mut caller = door.connect().await;
    let behind = format!(
        "GET /behind HTTP/1.1\r\nHost: {}\r\nX-Real-IP: planted\r\nX-Api-Key: k\r\n\r\n",
        door.authority
    );
    caller.send(upgrade(&door, &[]) + &behind).await;
    let mut upstream = printer.accept().await;
    upstream.read_request_head().await;
    upstream
        .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")
        .await;
    assert_eq!(caller.read_response().await.body, b"no");
    match way {
        // It brings no credentials, so it goes no further.
        Way::Edge => assert_eq!(caller.read_response().await.status(), 606),
        Way::Lan => {
            let seen = upstream.read_request().await;
            assert_eq!(seen.line, "GET /behind HTTP/1.1");
            assert_eq!(seen.field("x-real-ip"), None);
            upstream.send(OK).await;
            assert_eq!(caller.read_response().await.status(), 200);
        }
    }
    caller.send(door.head("GET /last", &[])).await;
    assert_eq!(upstream.read_request().await.line, "GET /last HTTP/1.1");
    upstream.send(OK).await;
    assert_eq!(caller.read_response().await.status(), 200);
    assert!(!String::from_utf8_lossy(upstream.received()).contains("planted"));
}

async fn switch_to_another_protocol_is_an_error_and_nothing_is_copied(way: Way) {
    let (printer, door) = Setup::new(way).open().await;
    for other in ["Upgrade: tls/1.0", "Upgrade: websocket, evil", "X-None: 1"] {
        let mut caller = door.connect().await;
        caller.send(upgrade(&door, &[])).await;
        let mut upstream = printer.accept().await;
        upstream.read_request_head().await;
        let switch = SWITCH.replace("Upgrade: websocket", other);
        upstream.send(switch + "bytes of another protocol").await;
        let answer = caller.read_response().await;
        assert_eq!(answer.status(), 502, "{other}: {answer:?}");
        let shown = String::from_utf8_lossy(caller.received()).into_owned();
        assert!(!shown.contains("another protocol"), "{shown}");
        assert!(answer.field("sec-websocket-accept").is_none(), "{answer:?}");
        let _ = caller.try_send("raw").await;
        let (rest, _) = upstream.read_to_end().await;
        assert_eq!(rest.escape_ascii().to_string(), "");
    }
}

async fn switch_that_nobody_asked_for_is_an_error(way: Way) {
    let (printer, door) = Setup::new(way).open().await;
    let mut caller = door.connect().await;
    caller.send(door.head("GET /", &[])).await;
    let mut upstream = printer.accept().await;
    upstream.read_request_head().await;
    upstream.send(format!("{SWITCH}bytes")).await;
    let status = caller.read_response().await.status();
    assert!([502, 600].contains(&status), "{status}");
    assert_eq!(upstream.read_to_end().await.0, b"");
}

async fn upgrade_to_http2_is_a_plain_request(way: Way) {
    let (printer, door) = Setup::new(way).open().await;
    let mut caller = door.connect().await;
    let fields = [
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
    ];
    caller.send(door.head("GET /", &fields)).await;
    let mut upstream = printer.accept().await;
    let seen = upstream.read_request().await;
    for name in ["connection", "upgrade", "http2-settings"] {
        assert_eq!(seen.field(name), None, "{seen:?}");
    }
    upstream.send(OK).await;
    assert_eq!(caller.read_response().await.status(), 200);
}

async fn upgrade_with_a_body_or_another_method_is_a_plain_request(way: Way) {
    let (printer, door) = Setup::new(way).open().await;
    let mut caller = door.connect().await;
    let wish = [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
    ];
    let mut upstream = None;
    for (line, length, sent) in [
        ("POST /", "Content-Length: 0", ""),
        ("POST /", "Content-Length: 3", "abc"),
        ("GET /", "Content-Length: 3", "abc"),
        (
            "GET /",
            "Transfer-Encoding: chunked",
            "3\r\nabc\r\n0\r\n\r\n",
        ),
    ] {
        let fields: Vec<_> = wish.into_iter().chain([length]).collect();
        caller.send(door.head(line, &fields) + sent).await;
        if upstream.is_none() {
            upstream = Some(printer.accept().await);
        }
        let server = upstream.as_mut().unwrap();
        let seen = server.read_request().await;
        assert_eq!(seen.field("upgrade"), None, "{seen:?}");
        assert_eq!(seen.field("connection"), None, "{seen:?}");
        assert_eq!(seen.body.is_empty(), sent.is_empty(), "{line} {length}");
        server.send(OK).await;
        assert_eq!(caller.read_response().await.status(), 200);
    }
}

async fn websocket_opens_over_http2(way: Way) {
    let (printer, door) = Setup::new(way).open().await;
    let mut caller = door.http2().await;
    let request = door
        .http2_request("CONNECT", "/sockjs/websocket?x=1")
        .version(http::Version::HTTP_2)
        .extension(Protocol::from_static("websocket"))
        .header("sec-websocket-version", "13")
        .header("sec-websocket-protocol", "v2")
        .body(body::empty())
        .unwrap();
    assert_eq!(request.method(), Method::CONNECT);
    within("readiness", caller.ready()).await.unwrap();
    let answer = tokio::spawn(caller.send_request(request));
    let mut upstream = printer.accept().await;
    let seen = upstream.read_request_head().await;
    assert_eq!(seen.line, "GET /sockjs/websocket?x=1 HTTP/1.1");
    assert_eq!(seen.field("upgrade"), Some("websocket"));
    assert_eq!(seen.field("sec-websocket-version"), Some("13"));
    assert_eq!(seen.field("sec-websocket-key").map(str::len), Some(24));
    assert_eq!(seen.field("sec-websocket-protocol"), Some("v2"));
    upstream.send(SWITCH).await;
    let answer = within("the answer", answer).await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    assert!(!answer.headers().contains_key("connection"));
    assert!(!answer.headers().contains_key("upgrade"));
    let socket = within("the socket", hyper::upgrade::on(answer))
        .await
        .unwrap();
    let mut socket = TokioIo::new(socket);
    socket.write_all(b"\x81\x82abcd\x09\x0b").await.unwrap();
    assert_eq!(upstream.read_exactly(8).await, b"\x81\x82abcd\x09\x0b");
    upstream.send(b"\x81\x02hi").await;
    let mut frame = [0; 4];
    within("the frame", socket.read_exact(&mut frame))
        .await
        .unwrap();
    assert_eq!(&frame, b"\x81\x02hi");
    drop(socket);
    upstream.read_to_end().await;
}

async fn callers_half_close_passes_and_late_frames_arrive(way: Way) {
    let mut opened = opened(way).await;
    opened.caller.send(b"\x81\x80abcd").await;
    opened.caller.half_close().await;
    let (rest, end) = opened.upstream.read_to_end().await;
    assert_eq!((&*rest, end), (&b"\x81\x80abcd"[..], End::Closed));
    opened.upstream.send(b"\x81\x04late\x88\x02\x03\xe8").await;
    drop(opened.upstream);
    let (rest, end) = opened.caller.read_to_end().await;
    assert_eq!(
        (&*rest, end),
        (&b"\x81\x04late\x88\x02\x03\xe8"[..], End::Closed)
    );
}

async fn callers_reset_ends_the_printers_socket(way: Way) {
    let mut opened = opened(way).await;
    opened.caller.reset();
    opened.upstream.read_to_end().await;
}

async fn printer_that_dies_between_frames_says_going_away(way: Way) {
    for reset in [true, false] {
        let mut opened = opened(way).await;
        opened.upstream.send(b"\x81\x02hi").await;
        assert_eq!(opened.caller.read_exactly(4).await, b"\x81\x02hi");
        if reset {
            opened.upstream.reset();
        } else {
            drop(opened.upstream);
        }
        let (rest, end) = opened.caller.read_to_end().await;
        assert_eq!(
            (&*rest, end),
            (&GOING_AWAY[..], End::Closed),
            "reset: {reset}"
        );
    }
}

async fn printer_that_dies_within_a_frame_says_nothing(way: Way) {
    for reset in [true, false] {
        let mut opened = opened(way).await;
        opened.upstream.send(b"\x81\x05he").await;
        assert_eq!(opened.caller.read_exactly(4).await, b"\x81\x05he");
        if reset {
            opened.upstream.reset();
        } else {
            drop(opened.upstream);
        }
        let (rest, _) = opened.caller.read_to_end().await;
        assert_eq!(rest, b"", "reset: {reset}");
    }
}

async fn nothing_follows_the_printers_own_close_frame(way: Way) {
    for reset in [true, false] {
        let mut opened = opened(way).await;
        opened.upstream.send(b"\x88\x02\x0f\xa1").await;
        assert_eq!(opened.caller.read_exactly(4).await, b"\x88\x02\x0f\xa1");
        if reset {
            opened.upstream.reset();
        } else {
            drop(opened.upstream);
        }
        let (rest, _) = opened.caller.read_to_end().await;
        assert_eq!(rest, b"", "reset: {reset}");
    }
}

async fn host_that_stops_says_going_away_once(way: Way) {
    let mut opened = opened(way).await;
    opened.upstream.send(b"\x81\x02hi").await;
    assert_eq!(opened.caller.read_exactly(4).await, b"\x81\x02hi");
    opened.door.host_stop.soft.cancel();
    assert_eq!(opened.caller.read_exactly(4).await, GOING_AWAY);
    let (rest, _) = opened.caller.read_to_end().await;
    assert_eq!(rest, b"");
}

#[tokio::test]
async fn tunnel_that_dies_says_going_away_once() {
    let mut opened = opened(Way::Edge).await;
    opened.upstream.send(b"\x81\x02hi").await;
    assert_eq!(opened.caller.read_exactly(4).await, b"\x81\x02hi");
    opened.door.host_stop.hard.cancel();
    assert_eq!(opened.caller.read_exactly(4).await, GOING_AWAY);
    let (rest, _) = opened.caller.read_to_end().await;
    assert_eq!(rest, b"");
}
