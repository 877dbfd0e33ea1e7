//! The push socket and the camera, and the end of both.

use axum::body::Body;
use futures_util::{SinkExt, StreamExt};
use http::StatusCode;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::harness::{Bench, PATIENCE};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn connect(bench: &Bench, path: &str) -> Socket {
    timeout(
        PATIENCE,
        connect_async(format!("ws://{}{path}", bench.addr)),
    )
    .await
    .unwrap()
    .unwrap()
    .0
}

async fn text(socket: &mut Socket) -> String {
    loop {
        let message = timeout(PATIENCE, socket.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        if let Message::Text(text) = message {
            return text.as_str().to_owned();
        }
    }
}

/// The next message that has the member.
async fn message(socket: &mut Socket, member: &str) -> Value {
    loop {
        let message: Value = serde_json::from_str(&text(socket).await).unwrap();
        if let Some(inner) = message.get(member) {
            return inner.clone();
        }
    }
}

async fn auth(bench: &Bench) -> String {
    let login = bench
        .post("/api/login", &json!({ "passive": true }))
        .await
        .json();
    json!({ "auth": format!("{}:{}", login["name"].as_str().unwrap(), login["session"].as_str().unwrap()) }).to_string()
}

#[tokio::test]
async fn push_socket_tells_the_state_after_the_login_only() {
    let bench = Bench::start().await;
    let mut socket = connect(&bench, "/sockjs/websocket").await;
    let connected: Value = serde_json::from_str(&text(&mut socket).await).unwrap();
    assert_eq!(connected["connected"]["version"], "1.11.8");
    socket
        .send(Message::text(r#"{"auth": "_api:wrong"}"#))
        .await
        .unwrap();
    let refused: Value = serde_json::from_str(&text(&mut socket).await).unwrap();
    assert_eq!(refused, json!({ "reauthRequired": { "reason": "stale" } }));
    socket
        .send(Message::text(auth(&bench).await))
        .await
        .unwrap();
    assert!(message(&mut socket, "history").await["job"].is_object());
    assert_eq!(
        message(&mut socket, "current").await["state"]["text"],
        "Operational"
    );
    bench.handle.start_print(None).unwrap();
    while message(&mut socket, "event").await["type"] != "PrintStarted" {}
    bench.stop().await;
}

#[tokio::test]
async fn sockjs_frames_carry_objects() {
    let bench = Bench::start().await;
    let mut socket = connect(
        &bench,
        "/sockjs/123/8f6c2f7e-1111-4222-8333-444455556666/websocket",
    )
    .await;
    assert_eq!(text(&mut socket).await, "o");
    assert!(text(&mut socket).await.starts_with("a[{\"connected\":{"));
    let frame = json!([auth(&bench).await]).to_string();
    socket.send(Message::text(frame)).await.unwrap();
    assert!(text(&mut socket).await.starts_with("a[{\"history\":{"));
    bench.stop().await;
}

#[tokio::test]
async fn a_page_from_elsewhere_gets_no_socket() {
    let bench = Bench::start().await;
    let request = bench
        .request("GET", "/sockjs/websocket")
        .header("origin", "http://evil.example")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(
        bench
            .send(request.body(Body::empty()).unwrap())
            .await
            .status,
        StatusCode::FORBIDDEN
    );
    bench.stop().await;
}

#[tokio::test]
async fn camera_needs_no_key_and_sends_whole_jpegs() {
    let bench = Bench::start().await;
    let snapshot = bench
        .send(
            bench
                .request("GET", "/webcam/?action=snapshot")
                .body(Body::empty())
                .unwrap(),
        )
        .await;
    assert_eq!(snapshot.header("content-type"), "image/jpeg");
    assert!(snapshot.body.starts_with(&[0xFF, 0xD8]) && snapshot.body.ends_with(&[0xFF, 0xD9]));
    let response = bench
        .open(
            bench
                .request("GET", "/webcam/?action=stream&fps=20")
                .body(Body::empty())
                .unwrap(),
        )
        .await;
    let kind = response.headers()["content-type"].to_str().unwrap();
    assert_eq!(kind, "multipart/x-mixed-replace;boundary=latchkeyframe");
    let mut body = response.into_body();
    let mut seen = Vec::new();
    while seen.windows(2).filter(|pair| *pair == [0xFF, 0xD9]).count() < 3 {
        let frame = timeout(PATIENCE, body.frame())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        seen.extend_from_slice(frame.data_ref().unwrap());
    }
    assert!(seen.starts_with(b"--latchkeyframe\r\nContent-Type: image/jpeg\r\nContent-Length: "));
    assert_eq!(bench.handle.viewers(), 1);
    bench.stop().await;
}

#[tokio::test]
async fn dropping_sockets_ends_streams_but_not_the_printer() {
    let bench = Bench::start().await;
    let mut socket = connect(&bench, "/sockjs/websocket").await;
    text(&mut socket).await;
    let mut stream = bench
        .open(
            bench
                .request("GET", "/webcam/")
                .body(Body::empty())
                .unwrap(),
        )
        .await
        .into_body();
    timeout(PATIENCE, stream.frame())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    bench
        .post("/sim/faults", &json!({ "drop_sockets": true }))
        .await;
    while let Some(Ok(_)) = timeout(PATIENCE, socket.next()).await.unwrap() {}
    while let Some(Ok(_)) = timeout(PATIENCE, stream.frame()).await.unwrap() {}
    assert_eq!(bench.get("/api/version").await.status, StatusCode::OK);
    bench.stop().await;
}

#[tokio::test]
async fn shutdown_ends_open_streams_sockets_and_hanging_requests() {
    let bench = Bench::start().await;
    let mut socket = connect(&bench, "/sockjs/websocket").await;
    text(&mut socket).await;
    let mut stream = bench
        .open(
            bench
                .request("GET", "/webcam/")
                .body(Body::empty())
                .unwrap(),
        )
        .await
        .into_body();
    timeout(PATIENCE, stream.frame())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    bench
        .post("/sim/faults", &json!({ "hang": ["/api/job"] }))
        .await;
    let mut hanging = TcpStream::connect(bench.addr).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut hanging, b"GET /api/job HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    bench.stop().await;
    while let Some(Ok(_)) = timeout(PATIENCE, socket.next()).await.unwrap() {}
    while let Some(Ok(_)) = timeout(PATIENCE, stream.frame()).await.unwrap() {}
}
