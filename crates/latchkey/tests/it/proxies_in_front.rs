//! A relay behind nginx and Caddy, with the configuration files that operators are given.

use std::path::Path;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{Method, Request, Version};
use http_body_util::BodyExt as _;
use latchkey_model::app_connection::AccessMode;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::fake::{Asked, Fake, Reply};
use crate::harness::front::{Front, Kind, place};
use crate::harness::http::Generated;
use crate::harness::raw::{Act, RawUpstream, Signal};
use crate::harness::stack::{Connection, Simulator, Stack, assert_relay_status, certify};
use crate::harness::tls::{TlsCaller, handshake};
use crate::harness::{eventually, within};

const VERSIONS: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];

/// A front before something that stands in for the relay.
struct Scene {
    folder: TempDir,
    front: Front,
}

impl Scene {
    async fn before(kind: Kind, program: &Path, relay: std::net::SocketAddr) -> Self {
        let folder = TempDir::with_prefix("latchkey-front-ca-").unwrap();
        certify(folder.path());
        let front = Front::start(kind, program, place(), relay, folder.path()).await;
        Self { folder, front }
    }

    async fn caller(&self, version: Version) -> TlsCaller {
        let ca = self.folder.path().join("ca.pem");
        TlsCaller::connect("x.printers.localhost", self.front.port(), &ca, version).await
    }

    fn url(&self, path: &str) -> String {
        format!("https://x.printers.localhost:{}{path}", self.front.port())
    }
}

/// Every status of the contract arrives with its body and its fields, and nothing that a caller says about itself does.
async fn everything_passes_unchanged(kind: Kind) {
    let Some(program) = kind.program() else {
        return;
    };
    let relay = Fake::start(|_| {
        |asked: &Asked| {
            let status = asked.target.rsplit('/').next().unwrap_or_default();
            let status: u16 = status
                .split('?')
                .next()
                .unwrap_or_default()
                .parse()
                .unwrap();
            let body = json!({"Status": status, "Error": "In words.", "Result": null});
            Reply::json(status, &body)
                .with("content-type", "application/json")
                .with("latchkey-request-id", "9e3779b97f4a7c15")
                .with("cache-control", "no-store")
                .with("x-accel-redirect", "/200")
                .with("set-cookie", "a=b; Path=/")
                .with("location", "http://127.0.0.1:5000/x")
        }
    })
    .await;
    let at = relay.at.replace("localhost", "127.0.0.1").parse().unwrap();
    let scene = Scene::before(kind, &program, at).await;
    for version in VERSIONS {
        let mut caller = scene.caller(version).await;
        let statuses = (600..=613).chain([200, 302, 404, 405, 502, 504, 599]);
        for (method, status) in
            statuses.flat_map(|code| [(Method::GET, code), (Method::POST, code)])
        {
            let asked = Request::builder()
                .method(&method)
                .uri(scene.url(&format!("//a%2Fb/../{status}?q=%20x")))
                .header("x-forwarded-for", "203.0.113.9")
                .header("x-forwarded-host", "evil.example")
                .header("x-forwarded-proto", "http")
                .header("x-forwarded-prefix", "/evil")
                .header("x-script-name", "/evil")
                .header("x-scheme", "http")
                .header("forwarded", "for=203.0.113.9")
                .body(Bytes::new());
            let answer = caller.send(asked.unwrap()).await;
            assert_eq!(answer.status.as_u16(), status, "{kind:?} {version:?}");
            assert_eq!(answer.json()["Status"], status, "{kind:?} {version:?}");
            for (name, value) in [
                ("latchkey-request-id", "9e3779b97f4a7c15"),
                ("content-type", "application/json"),
                ("cache-control", "no-store"),
                ("set-cookie", "a=b; Path=/"),
                ("location", "http://127.0.0.1:5000/x"),
            ] {
                assert_eq!(answer.header(name), value, "{kind:?} {version:?} {status}");
            }
            let seen = relay.asked().pop().unwrap();
            assert_eq!(seen.target, format!("//a%2Fb/../{status}?q=%20x"));
            let host = format!("x.printers.localhost:{}", scene.front.port());
            assert_eq!(seen.field("host"), Some(host.as_str()));
            assert_eq!(seen.field("x-forwarded-for"), Some("127.0.0.1"));
            assert_eq!(seen.field("x-forwarded-proto"), Some("https"));
            for name in [
                "x-forwarded-host",
                "x-forwarded-prefix",
                "x-script-name",
                "x-scheme",
                "forwarded",
            ] {
                assert_eq!(seen.field(name).unwrap_or_default(), "", "{kind:?} {name}");
            }
        }
    }
    scene.front.stop().await;
}

/// Half an upload arrives before the other half is sent, and half an answer too.
async fn nothing_is_held_back(kind: Kind) {
    let Some(program) = kind.program() else {
        return;
    };
    let (arrived, answered) = (Signal::default(), Signal::default());
    let relay = RawUpstream::start([vec![
        Act::until("\r\n\r\n"),
        Act::until("half"),
        Act::wait(&arrived),
        Act::until("rest"),
        Act::send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf"),
        Act::wait(&answered),
        Act::send("rest"),
    ]])
    .await;
    let scene = Scene::before(kind, &program, relay.address()).await;
    let ca = scene.folder.path().join("ca.pem");
    let (name, port) = ("x.printers.localhost", scene.front.port());
    let mut stream = handshake(name, port, &ca, "http/1.1").await.unwrap();
    let half = format!("{}half", "x".repeat(1000));
    let head = format!(
        "POST /upload HTTP/1.1\r\nHost: {name}:{port}\r\nContent-Length: {}\r\n\r\n{half}",
        half.len() + 4,
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    eventually("half an upload", async || {
        relay.received(0).ends_with(b"half")
    })
    .await;
    arrived.give();
    stream.write_all(b"rest").await.unwrap();
    let mut answer = Vec::new();
    within("half an answer", async {
        while !answer.ends_with(b"\r\n\r\nhalf") {
            let mut piece = [0; 512];
            let count = stream.read(&mut piece).await.unwrap();
            assert!(count > 0, "{}", answer.escape_ascii());
            answer.extend_from_slice(&piece[..count]);
        }
    })
    .await;
    answered.give();
    let mut rest = [0; 4];
    within("the rest", stream.read_exact(&mut rest))
        .await
        .unwrap();
    assert_eq!(&rest, b"rest");
    relay.finished().await;
    scene.front.stop().await;
}

fn call(connection: &Connection, path: &str) -> http::request::Builder {
    Request::get(connection.address(path))
        .header("authorization", connection.authorization().unwrap())
        .header("x-api-key", Simulator::KEY)
}

async fn caller(stack: &Stack, connection: &Connection, version: Version) -> TlsCaller {
    let name = connection.authority.split(':').next().unwrap();
    let ca = stack.folder().join("ca.pem");
    TlsCaller::connect(name, connection.port(), &ca, version).await
}

/// The host dials through it, and an app has everything that it has without.
async fn a_whole_relay_works_behind(kind: Kind) {
    let Some(program) = kind.program() else {
        return;
    };
    let printer = Simulator::start().await;
    let at = place();
    let mut stack = Stack::before(printer.url("")).behind(at).prepare().await;
    stack.start_relay().await;
    let front = Front::start(kind, &program, at, stack.relay_address(), stack.folder()).await;
    let connection = stack.connection(AccessMode::Bearer).clone();
    for version in VERSIONS {
        let mut app = caller(&stack, &connection, version).await;
        let asked = call(&connection, "/api/version").body(Bytes::new());
        assert_relay_status(&app.send(asked.unwrap()).await, 601);
    }
    stack.start_host().await;
    for version in VERSIONS {
        let mut app = caller(&stack, &connection, version).await;
        let asked = call(&connection, "/api/version").body(Bytes::new());
        assert_eq!(app.send(asked.unwrap()).await.status.as_u16(), 200);
        let stranger = Request::get(connection.address("/api/version")).body(Bytes::new());
        assert_relay_status(&app.send(stranger.unwrap()).await, 606);
        let known = stack.connection(AccessMode::Basic).clone();
        let unknown = known.address("/").replace(&known.label, "app-nobody");
        let mut other = {
            let ca = stack.folder().join("ca.pem");
            TlsCaller::connect("app-nobody.printers.localhost", at.port(), &ca, version).await
        };
        let asked = Request::get(unknown).body(Bytes::new()).unwrap();
        assert_relay_status(&other.send(asked).await, 603);

        // A picture of a stream that never ends.
        let watched = call(&connection, "/webcam/?action=stream").body(Bytes::new());
        let mut watched = app.begin(watched.unwrap()).await;
        assert_eq!(watched.status().as_u16(), 200);
        within("a picture", watched.body_mut().frame())
            .await
            .unwrap()
            .unwrap();
    }
    // More than a buffer of the web server's holds.
    let content = Generated {
        seed: 7,
        size: 12 << 20,
    };
    let name = "big.gcode";
    let mut upload = format!(
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n"
    )
    .into_bytes();
    upload.extend_from_slice(&content.bytes());
    upload.extend_from_slice(b"\r\n--b--\r\n");
    let mut app = caller(&stack, &connection, Version::HTTP_2).await;
    let asked = call(&connection, "/api/files/local")
        .method("POST")
        .header("content-type", "multipart/form-data; boundary=b")
        .body(Bytes::from(upload));
    assert_eq!(app.send(asked.unwrap()).await.status.as_u16(), 201);
    let asked = call(&connection, &format!("/downloads/files/local/{name}")).body(Bytes::new());
    let back = app.send(asked.unwrap()).await;
    assert_eq!(back.body, content.bytes(), "{:?}", back.status);

    let mut app = caller(&stack, &connection, Version::HTTP_11).await;
    let asked = call(&connection, "/sockjs/websocket").body(Bytes::new());
    let mut socket = app.websocket(asked.unwrap()).await;
    let greeting = within("the greeting", socket.next())
        .await
        .unwrap()
        .unwrap();
    assert!(
        greeting.to_text().unwrap().contains("connected"),
        "{greeting:?}"
    );

    // The relay knows the caller, and nobody gets past the web server's word.
    assert!(
        stack
            .relay
            .log()
            .contains("\"caller.address\":\"127.0.0.0/24\"")
    );
    stack.host.stop().await;
    stack.relay.stop().await;
    front.stop().await;
}

#[tokio::test]
async fn nginx_passes_everything_unchanged() {
    everything_passes_unchanged(Kind::Nginx).await;
}

#[tokio::test]
async fn nginx_holds_nothing_back() {
    nothing_is_held_back(Kind::Nginx).await;
}

#[tokio::test]
async fn a_whole_relay_works_behind_nginx() {
    a_whole_relay_works_behind(Kind::Nginx).await;
}

#[tokio::test]
async fn nginx_keeps_a_connection_for_one_printer() {
    let program = Kind::Nginx.program().unwrap();
    let relay = Fake::start(|_| |_: &Asked| Reply::status(200)).await;
    let at = relay.at.replace("localhost", "127.0.0.1").parse().unwrap();
    let scene = Scene::before(Kind::Nginx, &program, at).await;
    for version in VERSIONS {
        let mut caller = scene.caller(version).await;
        let own = Request::get(scene.url("/")).body(Bytes::new()).unwrap();
        assert_eq!(caller.send(own).await.status.as_u16(), 200, "{version:?}");
        let other = scene.url("/").replace("//x.", "//y.");
        let other = Request::get(other).body(Bytes::new()).unwrap();
        assert_eq!(caller.send(other).await.status.as_u16(), 421, "{version:?}");
    }
    scene.front.stop().await;
}

#[tokio::test]
async fn caddy_passes_everything_unchanged() {
    everything_passes_unchanged(Kind::Caddy).await;
}

#[tokio::test]
async fn caddy_holds_nothing_back() {
    nothing_is_held_back(Kind::Caddy).await;
}

#[tokio::test]
async fn a_whole_relay_works_behind_caddy() {
    a_whole_relay_works_behind(Kind::Caddy).await;
}
