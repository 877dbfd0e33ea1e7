//! What apps are told when something is missing, wrong, slow or broken. They delete their connection on 603 to 606,
//! so those come only when it is certain, and everything comes back by itself.

use http::{Method, StatusCode};
use latchkey_model::app_connection::{AccessMode, EndReason};
use latchkey_model::clock::{Clock as _, SystemClock};
use serde_json::json;

use crate::harness::http::{Request, websocket};
use crate::harness::octoprint::{ADMIN_API_KEY, OctoPrint};
use crate::harness::stack::{Connection, Stack, assert_relay_status, signal};

const ASKED: &str = "/api/version";

/// With the connection's credential and OctoPrint's key.
async fn status(connection: &Connection) -> u16 {
    let request = connection.get(ASKED).header("X-Api-Key", ADMIN_API_KEY);
    request.send().await.status().as_u16()
}

/// What is answered to credentials that are not the connection's.
async fn assert_refused(connection: &Connection, status: u16) {
    let asked = |method| Request::new(method, connection.address(ASKED));
    let user = connection
        .basic
        .as_ref()
        .map_or("someone", |(user, _)| user);
    let answers = [
        asked(Method::GET),
        asked(Method::GET).basic(user, "wrong"),
        asked(Method::GET).bearer("wrong"),
        asked(Method::GET).header("Authorization", "Digest nonsense"),
        asked(Method::POST).json(&json!({})),
        asked(Method::DELETE).basic("", ""),
    ];
    for request in answers {
        assert_relay_status(&request.send().await.read().await, status);
    }
}

async fn set_plan(stack: &Stack, plan: &str) {
    let store = stack.open_store().await;
    let plan = plan.parse().unwrap();
    let known = store.accounts().set_plan(&stack.account, &plan).await;
    assert!(known.unwrap());
    store.close().await;
}

#[tokio::test]
async fn permanent_refusals_come_when_they_are_certain() {
    let octoprint = OctoPrint::start().await;
    let stack = Stack::before(octoprint.base_url()).start().await;

    // 606: the credentials. 603: nothing there, and whoever guesses learns nothing from the credentials they sent.
    let enhanced = stack.connection(AccessMode::Enhanced);
    assert_refused(enhanced, 606).await;
    assert_refused(stack.connection(AccessMode::Basic), 606).await;
    assert_refused(stack.connection(AccessMode::Bearer), 606).await;
    let basic_only = Request::get(stack.connection(AccessMode::Basic).address(ASKED));
    let borrowed = basic_only.bearer(enhanced.bearer.as_ref().unwrap());
    assert_relay_status(&borrowed.send().await.read().await, 606);

    let unknown = |label: &str| {
        let mut connection = enhanced.clone();
        connection.url = connection.url.replace(&connection.label, label);
        connection
    };
    let nobody = unknown(&format!("app-{}", "q".repeat(32)));
    assert_relay_status(&nobody.get(ASKED).send().await.read().await, 603);
    assert_refused(&nobody, 603).await;
    assert_refused(&unknown("www"), 603).await;

    // The right credentials still work, whatever was tried beside them.
    assert_eq!(status(enhanced).await, 200);

    // 604: ended, said only to who can show that it was theirs.
    let ended = stack.connect_app(AccessMode::Enhanced).await;
    assert_eq!(status(&ended).await, 200);
    let store = stack.open_store().await;
    let now = SystemClock.now();
    let connections = store.app_connections();
    let was_live = connections.end(&ended.id, EndReason::Revoked, now).await;
    assert!(was_live.unwrap());
    assert_relay_status(&ended.get(ASKED).send().await.read().await, 604);
    assert_refused(&ended, 603).await;
    let authorization = ended.authorization().unwrap();
    let headers = [("Authorization", authorization.as_str())];
    let socket = websocket(ended.address("/sockjs/websocket"), &headers).await;
    assert_relay_status(&socket.unwrap_err(), 604);

    store.close().await;

    // 605: the plan does not include it; for as long as that is so.
    set_plan(&stack, "free").await;
    assert_relay_status(&enhanced.get(ASKED).send().await.read().await, 605);
    // In the contract's order that comes before the credentials.
    assert_refused(enhanced, 605).await;
    // A plan that the configuration does not know is the operator's slip, and nobody's end.
    set_plan(&stack, "mislaid").await;
    assert_relay_status(&enhanced.get(ASKED).send().await.read().await, 600);
    set_plan(&stack, "supporter").await;
    assert_eq!(status(enhanced).await, 200);
}

#[tokio::test]
async fn each_side_that_is_away_has_its_own_code_and_comes_back() {
    let mut octoprint = OctoPrint::start().await;
    let mut stack = Stack::before(octoprint.base_url()).start().await;
    let connection = stack.connection(AccessMode::Enhanced).clone();
    assert_eq!(status(&connection).await, 200);

    // OctoPrint: 600, with a reason.
    octoprint.stop().await;
    assert_relay_status(&connection.get(ASKED).send().await.read().await, 600);
    assert_relay_status(
        &connection
            .post("/api/login")
            .json(&json!({}))
            .send()
            .await
            .read()
            .await,
        600,
    );
    octoprint.restart().await;
    assert_eq!(status(&connection).await, 200);

    // The host, stopped and killed: 601.
    stack.host.stop().await;
    assert_relay_status(&connection.get(ASKED).send().await.read().await, 601);
    stack.start_host().await;
    assert_eq!(status(&connection).await, 200);
    stack.host.kill().await;
    stack.await_status(&connection, ASKED, 601).await;
    assert_refused(&connection, 606).await;
    stack.start_host().await;
    assert_eq!(status(&connection).await, 200);

    // The relay: nothing answers; the host finds it again by itself.
    stack.relay.kill().await;
    assert!(connection.get(ASKED).try_send().await.is_err());
    stack.start_relay().await;
    stack.await_tunnel(0).await;
    assert_eq!(status(&connection).await, 200);

    // OctoPrint, killed in the middle of its life.
    signal(octoprint.id(), "KILL").await;
    stack.await_status(&connection, ASKED, 600).await;
    octoprint.restart().await;
    assert_eq!(status(&connection).await, 200);
}

#[tokio::test]
async fn server_that_hangs_is_602_and_only_for_that_request() {
    let octoprint = OctoPrint::start().await;
    let stack = Stack::before(octoprint.base_url())
        .host("timeouts", json!({"first_byte_seconds": 2}))
        .start()
        .await;
    let connection = stack.connection(AccessMode::Enhanced);
    assert_eq!(status(connection).await, 200);
    signal(octoprint.id(), "STOP").await;
    let waiting = connection.get(ASKED).send().await.read().await;
    assert_relay_status(&waiting, 602);
    let socket = [("Authorization", &*connection.authorization().unwrap())];
    let socket = websocket(connection.address("/sockjs/websocket"), &socket).await;
    assert_relay_status(&socket.unwrap_err(), 602);
    signal(octoprint.id(), "CONT").await;
    assert_eq!(status(connection).await, 200);
}

#[tokio::test]
async fn host_that_hangs_is_602_until_it_goes_on() {
    let octoprint = OctoPrint::start().await;
    let stack = Stack::before(octoprint.base_url())
        .relay("timeouts", json!({"first_byte_seconds": 2}))
        .start()
        .await;
    let connection = stack.connection(AccessMode::Enhanced);
    assert_eq!(status(connection).await, 200);
    signal(stack.host.id(), "STOP").await;
    assert_relay_status(&connection.get(ASKED).send().await.read().await, 602);
    assert_refused(connection, 606).await;
    signal(stack.host.id(), "CONT").await;
    // It may have to dial again, but nobody has to help it.
    let with_key = format!("{ASKED}?apikey={ADMIN_API_KEY}");
    stack.await_status(connection, &with_key, 200).await;
}

#[tokio::test]
async fn failing_database_ends_no_app_connection() {
    let octoprint = OctoPrint::start().await;
    let mut stack = Stack::before(octoprint.base_url()).start().await;
    let connection = stack.connection(AccessMode::Enhanced).clone();
    let wrong = Request::get(connection.address(ASKED)).bearer("wrong");
    assert_eq!(status(&connection).await, 200);
    assert_eq!(wrong.send().await.status().as_u16(), 606);

    // Somebody writes nonsense over it, as a broken disk would.
    for ending in ["", "-wal", "-shm"] {
        let mut path = stack.database().into_os_string();
        path.push(ending);
        if let Ok(found) = std::fs::metadata(&path) {
            let nonsense = vec![0xa5; usize::try_from(found.len()).unwrap()];
            std::fs::write(&path, nonsense).unwrap();
        }
    }
    for _ in 0..5 {
        let asked = [
            connection.get(ASKED),
            Request::get(connection.address(ASKED)).bearer("wrong"),
            Request::get(connection.address(ASKED)),
        ];
        for request in asked {
            assert_relay_status(&request.send().await.read().await, 600);
        }
    }
    // It cannot start like this either, and says which file.
    stack.relay.kill().await;
    let refused = stack.relay.run_to_end().await;
    assert_eq!(refused.code(), Some(1), "{}", stack.relay.log());
    assert!(
        stack.relay.log().contains("relay.db"),
        "{}",
        stack.relay.log()
    );
}

#[tokio::test]
async fn browser_is_told_on_a_page() {
    let octoprint = OctoPrint::start().await;
    let stack = Stack::before(octoprint.base_url()).start().await;
    let connection = stack.connection(AccessMode::Enhanced);
    let asked = Request::get(connection.url.as_str())
        .header("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
        .header("Sec-Fetch-Mode", "navigate")
        .header("Sec-Fetch-Dest", "document");
    let page = asked.send().await.read().await;
    assert_eq!(page.status, StatusCode::from_u16(606).unwrap());
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(!page.headers.contains_key("www-authenticate"));
    assert!(!page.text().contains(&connection.label));
}
