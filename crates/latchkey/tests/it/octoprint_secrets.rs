//! Planted secrets are looked for wherever they must not be: in the logs of both roles and in the relay's files.

use std::path::Path;

use futures_util::StreamExt as _;
use latchkey_model::app_connection::AccessMode;
use serde_json::json;

use crate::harness::http::{Request, websocket};
use crate::harness::octoprint::{ADMIN_API_KEY, OctoPrint};
use crate::harness::stack::{Connection, Stack};
use crate::harness::within;

const IN_HEADER: &str = "canary-api-key-1f83d9";
const IN_QUERY: &str = "canary-query-key-5be0cd";
const IN_COOKIE: &str = "canary-cookie-9b05688c";
const IN_PATH: &str = "canary-path-510e527f";
const IN_BODY: &str = "canary-body-a54ff53a";
const GUESSED: &str = "canary-guess-3c6ef372";

#[tokio::test]
async fn nothing_secret_is_logged_or_kept() {
    let mut octoprint = OctoPrint::start().await;
    let mut stack = Stack::before(octoprint.base_url())
        .authority_host(ADMIN_API_KEY)
        .start()
        .await;
    let connections = AccessMode::ALL.map(|access| stack.connection(access).clone());

    // Everything goes well, then OctoPrint is gone, then the host.
    use_everything(&stack, &connections).await;
    octoprint.stop().await;
    use_everything(&stack, &connections).await;
    stack.host.kill().await;
    use_everything(&stack, &connections).await;
    stack.start_host().await;
    stack.host.stop().await;
    stack.relay.stop().await;

    let secrets = planted(&connections);
    for (name, log) in [
        ("relay", stack.relay.whole_log().await),
        ("host", stack.host.whole_log().await),
    ] {
        // There are request lines to find something in.
        assert!(
            log.matches("latchkey::request").count() > 20,
            "{name}: {log}"
        );
        for secret in &secrets {
            let line = log.lines().find(|line| line.contains(secret.as_str()));
            assert_eq!(line, None, "the {name} logged {secret}");
        }
    }
    for folder in ["relay", "host"] {
        search(&stack.folder().join(folder), &secrets);
    }
}

async fn use_everything(stack: &Stack, connections: &[Connection]) {
    for connection in connections {
        let path = format!("/api/files/local/{IN_PATH}?apikey={IN_QUERY}");
        let there = || Request::get(connection.address(&path));
        let login = json!({"user": IN_BODY, "pass": IN_BODY});
        let calls = [
            connection.get(&path),
            connection.get("/api/version"),
            connection.get("/").header("Accept", "text/html"),
            connection.post("/api/login").json(&login),
            there().basic(GUESSED, GUESSED),
            there().bearer(GUESSED),
            there().header("Authorization", GUESSED),
            Request::get(stack.host_url(&path[1..])),
        ];
        for call in calls {
            let call = call
                .header("X-Api-Key", IN_HEADER)
                .header("Cookie", format!("session_P80={IN_COOKIE}"))
                .header("Referer", format!("http://elsewhere.example/{IN_QUERY}"));
            // The host's own door may be closed.
            if let Ok(answer) = call.try_send().await {
                answer.read().await;
            }
        }
        let mut headers = vec![("X-Api-Key", IN_HEADER)];
        let authorization = connection.authorization();
        headers.extend(
            authorization
                .iter()
                .map(|value| ("Authorization", &**value)),
        );
        let address = connection.address(&format!("/sockjs/websocket?apikey={IN_QUERY}"));
        if let Ok((mut socket, _)) = websocket(address, &headers).await {
            let _ = within("a message", socket.next()).await;
        }
    }
}

fn planted(connections: &[Connection]) -> Vec<String> {
    let fixed = [
        IN_HEADER,
        IN_QUERY,
        IN_COOKIE,
        IN_PATH,
        IN_BODY,
        GUESSED,
        ADMIN_API_KEY,
    ];
    let mut planted = fixed.map(str::to_owned).to_vec();
    for connection in connections {
        planted.push(connection.label.clone());
        planted.extend(connection.bearer.clone());
        if let Some((user, password)) = connection.basic.clone() {
            planted.extend([user, password]);
        }
        if let Some(value) = connection.authorization() {
            planted.push(value.split(' ').next_back().unwrap().to_owned());
        }
    }
    planted
}

fn search(folder: &Path, planted: &[String]) {
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let content = std::fs::read(&path).unwrap();
        files += 1;
        for secret in planted {
            let found = content
                .windows(secret.len())
                .any(|part| part == secret.as_bytes());
            assert!(!found, "{secret} is in {}", path.display());
        }
    }
    assert!(files > 0, "nothing in {}", folder.display());
}
