//! A host that checks callers itself and has OctoPrint's key: an app connection is enough, and the key stays inside.

use http::StatusCode;
use latchkey_model::app_connection::AccessMode;

use crate::harness::http::Request;
use crate::harness::octoprint::{ADMIN_API_KEY, OctoPrint};
use crate::harness::stack::Stack;

#[tokio::test]
async fn hosts_own_key_is_used_for_app_connections_only() {
    let octoprint = OctoPrint::start().await;
    let stack = Stack::before(octoprint.base_url())
        .authority_host(ADMIN_API_KEY)
        .start()
        .await;
    let mut answers = Vec::new();
    for access in AccessMode::ALL {
        let called = stack.connection(access).get("/api/version").send().await;
        let called = called.read().await;
        assert_eq!(called.status, StatusCode::OK, "{access}: {called:?}");
        answers.push(called);
    }

    // A key is the host's to judge, and OctoPrint's own opens nothing.
    let connection = stack.connection(AccessMode::Enhanced);
    for key in ["wrong", ADMIN_API_KEY] {
        let called = connection.get("/api/version").header("X-Api-Key", key);
        let called = called.send().await.read().await;
        assert_eq!(called.status, StatusCode::FORBIDDEN, "{called:?}");
        answers.push(called);
    }

    // What only administrators may do is not an app connection's, though the host's key could.
    for path in ["/api/access/users", "/%61pi/users"] {
        let refused = connection.get(path).send().await.read().await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{refused:?}");
        assert!(refused.json()["error"].is_string(), "{refused:?}");
        answers.push(refused);
    }

    // At home nobody has vouched for the caller.
    let at_home = || Request::get(stack.host_url("api/version"));
    let stranger = at_home().send().await.read().await;
    assert_eq!(stranger.status, StatusCode::FORBIDDEN, "{stranger:?}");
    let mistaken = at_home().bearer("wrong").send().await;
    assert_eq!(mistaken.status(), StatusCode::FORBIDDEN);
    let known = at_home().header("X-Api-Key", ADMIN_API_KEY).send().await;
    assert_eq!(known.status(), StatusCode::FORBIDDEN);
    answers.push(stranger);

    for answer in &answers {
        assert!(!format!("{answer:?}").contains(ADMIN_API_KEY), "{answer:?}");
    }
    for log in [stack.relay.whole_log().await, stack.host.whole_log().await] {
        assert!(!log.contains(ADMIN_API_KEY), "{log}");
    }
}

#[tokio::test]
async fn an_administrators_settings_are_shown_without_secrets() {
    const GLOBAL_KEY: &str = "latchkey-tests-only-global-key-0";
    let octoprint =
        OctoPrint::start_with("plugins: {classicwebcam: {snapshotPassword: planted}}").await;
    let stack = Stack::before(octoprint.base_url())
        .authority_host(ADMIN_API_KEY)
        .start()
        .await;
    let all = Request::get(octoprint.url("api/settings")).header("X-Api-Key", ADMIN_API_KEY);
    let all = all.send().await.read().await;
    assert_eq!(all.json()["api"]["key"], GLOBAL_KEY);
    assert!(format!("{all:?}").contains("planted"));
    let etag = all.headers["etag"].to_str().unwrap();
    let connection = stack.connection(AccessMode::Enhanced);
    for path in ["/api/settings", "/%61pi/settings", "/api%2Fsettings"] {
        let asked = connection.get(path).header("If-None-Match", etag);
        let asked = asked
            .header("Range", "bytes=0-400")
            .header("Accept-Encoding", "gzip");
        let seen = asked.send().await.read().await;
        assert_eq!(seen.status, StatusCode::OK, "{path}: {seen:?}");
        let settings = seen.json();
        assert!(settings["api"]["key"].is_null());
        assert_eq!(settings["webcam"], all.json()["webcam"]);
        let shown = format!("{seen:?}{settings}");
        assert!(
            !shown.contains(GLOBAL_KEY) && !shown.contains("planted"),
            "{shown}"
        );
        assert!(!seen.headers.contains_key("etag"));
    }
}

#[tokio::test]
async fn refused_callers_of_the_relay_never_reach_octoprint() {
    let octoprint = OctoPrint::start().await;
    let stack = Stack::before(octoprint.base_url())
        .authority_host(ADMIN_API_KEY)
        .start()
        .await;
    let connection = stack.connection(AccessMode::Basic);
    let mut command = Request::post(connection.address("/api/connection"));
    command = command.json(&serde_json::json!({"command": "connect", "port": "VIRTUAL"}));
    assert_eq!(command.send().await.status().as_u16(), 606);
    let state = connection.get("/api/connection").send().await.read().await;
    assert_eq!(state.json()["current"]["state"], "Closed");
}
