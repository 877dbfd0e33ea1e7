//! Planted secrets are looked for wherever they must not be: in the logs of both roles and in the relay's files.

use std::path::Path;

use futures_util::StreamExt as _;
use latchkey_model::app_connection::AccessMode;
use serde_json::json;

use crate::harness::http::{Request, websocket};
use crate::harness::octoprint::{ADMIN_API_KEY, OctoPrint};
use crate::harness::stack::Stack;
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
    let connections: Vec<_> = AccessMode::ALL
        .map(|access| stack.connection(access).clone())
        .into();
    let everything = async |stack: &Stack| {
        for connection in &connections {
            let path = format!("/api/files/local/{IN_PATH}?apikey={IN_QUERY}");
            let calls = [
                connection.get(&path),
                connection.get("/api/version"),
                connection.get("/").header("Accept", "text/html"),
                connection
                    .post("/api/login")
                    .json(&json!({"user": IN_BODY, "pass": IN_BODY})),
                Request::get(connection.address(&path)).basic(GUESSED, GUESSED),
                Request::get(connection.address(&path)).bearer(GUESSED),
                Request::get(connection.address(&path)).header("Authorization", GUESSED),
                Request::get(stack.host_url(&path[1..])),
            ];
            for call in calls {
                let call = call
                    .header("X-Api-Key", IN_HEADER)
                    .header("Cookie", format!("session_P80={IN_COOKIE}"))
                    .header("Referer", format!("http://elsewhere.example/{IN_QUERY}"));
                if let Ok(answer) = call.try_send().await {
                    answer.read().await;
                }
            }
            let authorization = connection.authorization().unwrap_or_default();
            let headers = [("Authorization", &*authorization), ("X-Api-Key", IN_HEADER)];
            let address = connection.address(&format!("/sockjs/websocket?apikey={IN_QUERY}"));
            let headers = if authorization.is_empty() {
                &headers[1..]
            } else {
                &headers[..]
            };
            if let Ok((mut socket, _)) = websocket(address, headers).await {
                within("a message", socket.next()).await;
            }
        }
    };
    everything(&stack).await;
    octoprint.stop().await;
    everything(&stack).await;
    stack.host.kill().await;
    everything(&stack).await;
    stack.start_host().await;
    stack.host.stop().await;
    stack.relay.stop().await;

    let mut planted = [
        IN_HEADER,
        IN_QUERY,
        IN_COOKIE,
        IN_PATH,
        IN_BODY,
        GUESSED,
        ADMIN_API_KEY,
    ]
    .map(str::to_owned)
    .to_vec();
    for connection in &connections {
        planted.push(connection.label.clone());
        planted.extend(connection.bearer.clone());
        planted.extend(
            connection
                .authorization()
                .and_then(|it| Some(it.split_once(' ')?.1.to_owned())),
        );
        if let Some((user, password)) = connection.basic.clone() {
            planted.extend([user, password]);
        }
    }
    for (name, log) in [
        ("relay", stack.relay.whole_log()),
        ("host", stack.host.whole_log()),
    ] {
        assert!(
            log.contains("\"http.status\"") || log.lines().count() > 20,
            "{name}: {log}"
        );
        for secret in &planted {
            let line = log.lines().find(|line| line.contains(secret.as_str()));
            assert_eq!(line, None, "the {name} logged {secret}");
        }
    }
    let key_file = stack.folder().join("upstream.key");
    for folder in ["relay", "host"] {
        search(&stack.folder().join(folder), &planted, &key_file);
    }
}

fn search(folder: &Path, planted: &[String], except: &Path) {
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path == except {
            continue;
        }
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
