//! The relay with a certificate, as it stands on the internet: apps and the host both come over TLS.

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{Request, Version};
use latchkey_model::app_connection::AccessMode;
use serde_json::{Value, json};

use crate::harness::octoprint::{ADMIN_API_KEY, OctoPrint};
use crate::harness::stack::{Connection, Stack, assert_relay_status};
use crate::harness::tls::TlsCaller;
use crate::harness::within;

const VERSIONS: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];

async fn caller(stack: &Stack, connection: &Connection, version: Version) -> TlsCaller {
    let name = connection.authority.split(':').next().unwrap();
    TlsCaller::connect(
        name,
        connection.port(),
        &stack.folder().join("ca.pem"),
        version,
    )
    .await
}

fn call(connection: &Connection, path: &str) -> http::request::Builder {
    Request::get(connection.address(path))
        .header("authorization", connection.authorization().unwrap())
        .header("x-api-key", ADMIN_API_KEY)
}

#[tokio::test]
async fn apps_call_over_tls_with_either_http_version() {
    let octoprint = OctoPrint::start().await;
    // No `allow_unbound`: the tunnel is up only if both ends derived the same secret from the same TLS session.
    let stack = Stack::before(octoprint.base_url()).tls().start().await;
    let connection = stack.connection(AccessMode::Enhanced);
    for version in VERSIONS {
        let mut app = caller(&stack, connection, version).await;
        let asked = call(connection, "/api/version").body(Bytes::new()).unwrap();
        let answer = app.send(asked).await;
        assert_eq!(answer.status.as_u16(), 200, "{version:?}: {answer:?}");
        assert_eq!(answer.json()["server"], "1.11.8");

        let stranger = Request::get(connection.address("/api/version"));
        let stranger = app.send(stranger.body(Bytes::new()).unwrap()).await;
        assert_relay_status(&stranger, 606);

        // OctoPrint knows the public scheme, host and port.
        let name = format!("{version:?}.gcode").replace('/', "-");
        let upload = format!(
            "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
             Content-Type: text/plain\r\n\r\nG28\n\r\n--b--\r\n"
        );
        let upload = call(connection, "/api/files/local")
            .method("POST")
            .header("content-type", "multipart/form-data; boundary=b")
            .body(Bytes::from(upload));
        let stored = app.send(upload.unwrap()).await;
        assert_eq!(stored.status.as_u16(), 201, "{version:?}: {stored:?}");
        assert_eq!(
            stored.header("location"),
            connection.address(&format!("/api/files/local/{name}"))
        );

        // Without a key: OctoPrint has no use for cookies otherwise.
        let page = Request::get(connection.address("/login/"))
            .header("authorization", connection.authorization().unwrap())
            .body(Bytes::new());
        let page = app.send(page.unwrap()).await;
        let cookies: Vec<_> = page.headers.get_all("set-cookie").iter().collect();
        let csrf = format!("csrf_token_P{}=", connection.port());
        assert!(
            cookies
                .iter()
                .any(|one| one.to_str().unwrap().starts_with(&csrf)),
            "{cookies:?}"
        );
        assert!(
            cookies
                .iter()
                .all(|one| one.to_str().unwrap().contains("Secure")),
            "{cookies:?}"
        );
    }
}

#[tokio::test]
async fn push_socket_opens_over_tls_with_either_http_version() {
    let octoprint = OctoPrint::start().await;
    let stack = Stack::before(octoprint.base_url()).tls().start().await;
    let connection = stack.connection(AccessMode::Basic);
    for version in VERSIONS {
        let mut app = caller(&stack, connection, version).await;
        let asked = call(connection, "/sockjs/websocket")
            .body(Bytes::new())
            .unwrap();
        let mut socket = app.websocket(asked).await;
        let greeting = within("the greeting", socket.next())
            .await
            .unwrap()
            .unwrap();
        let greeting: Value = serde_json::from_str(greeting.to_text().unwrap()).unwrap();
        assert_eq!(greeting["connected"]["version"], "1.11.8", "{version:?}");
    }
}

#[tokio::test]
async fn one_connection_serves_the_printer_it_was_made_for() {
    let octoprint = OctoPrint::start().await;
    let stack = Stack::before(octoprint.base_url()).tls().start().await;
    let (mine, other) = (
        stack.connection(AccessMode::Enhanced),
        stack.connection(AccessMode::None),
    );
    for version in VERSIONS {
        let mut app = caller(&stack, mine, version).await;
        let asked = Request::get(other.address("/api/version"))
            .body(Bytes::new())
            .unwrap();
        assert_eq!(app.send(asked).await.status.as_u16(), 421, "{version:?}");
        let asked = call(mine, "/api/version").body(Bytes::new()).unwrap();
        assert_eq!(app.send(asked).await.status.as_u16(), 200, "{version:?}");
    }
}

#[tokio::test]
async fn host_does_not_trust_a_relay_that_nobody_vouches_for() {
    let octoprint = OctoPrint::start().await;
    let mut stack = Stack::before(octoprint.base_url()).tls().prepare().await;
    let file = stack.folder().join("host.yaml");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    config["relay"].as_object_mut().unwrap().remove("ca_file");
    std::fs::write(&file, config.to_string()).unwrap();
    stack.start_relay().await;
    stack.host.start();
    stack.host.await_line("certificate").await;
    assert_eq!(stack.relay.count_lines("a host connected"), 0);
    let connection = stack.connection(AccessMode::Enhanced).clone();
    let mut app = caller(&stack, &connection, Version::HTTP_2).await;
    let asked = call(&connection, "/api/version")
        .body(Bytes::new())
        .unwrap();
    assert_relay_status(&app.send(asked).await, 601);
    stack.host.stop().await;

    config["relay"]["ca_file"] = json!("ca.pem");
    std::fs::write(&file, config.to_string()).unwrap();
    stack.start_host().await;
    let asked = call(&connection, "/api/version")
        .body(Bytes::new())
        .unwrap();
    assert_eq!(app.send(asked).await.status.as_u16(), 200);
}
