//! The App API of a relay that runs: what an app is told of its app connection, and when.

use http::Method;
use latchkey_model::app_connection::{AccessMode, EndReason};
use latchkey_model::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::harness::eventually;
use crate::harness::http::{Request, Response};
use crate::harness::stack::{Connection, Stack, assert_relay_status};

const INFO: &str = "/api/appconnection/info";
const GADGET: &str = "/api/gadget/GetStatusFromAppConnection";

/// Nothing listens there: what apps are told does not depend on the printer's server.
fn stack() -> crate::harness::stack::StackBuilder {
    Stack::before("http://127.0.0.1:9")
}

async fn ask(stack: &Stack, method: Method, path: &str, token: &str) -> Response {
    let request = Request::new(method, stack.relay_url(path)).header("AppToken", token);
    request.send().await.read().await
}

async fn info(stack: &Stack, connection: &Connection) -> Value {
    let answer = ask(stack, Method::GET, INFO, &connection.app_token).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    assert_eq!(body["Status"], 200);
    assert_eq!(body["Result"]["IsOnline"], body["IsOnline"]);
    body["Result"].clone()
}

#[tokio::test]
async fn an_app_learns_whether_the_printer_is_connected() {
    let mut stack = stack().prepare().await;
    stack.start_relay().await;
    let connection = stack.connection(AccessMode::Enhanced).clone();
    let never = "0001-01-01T00:00:00";
    let told = info(&stack, &connection).await;
    assert_eq!(told["IsOnline"], false);
    assert_eq!(told["LastConnectionTimeUtc"], never);
    assert_eq!(told["LastDisconnectTimeUtc"], never);
    assert_eq!(told["PrinterName"], "Workshop");
    assert_eq!(
        told["UserFacingPrinterUrl"],
        stack.relay_url("/view/Workshop")
    );
    assert_eq!(told["PrinterLocalIp"], "127.0.0.1");

    stack.start_host().await;
    let is_connected = async |stack: &Stack| {
        let told = info(stack, &connection).await;
        told["IsOnline"] == true && told["LastConnectionTimeUtc"] != never
    };
    eventually("the connection", async || is_connected(&stack).await).await;
    let told = info(&stack, &connection).await;
    let connected = told["LastConnectionTimeUtc"].as_str().unwrap();
    assert!(connected.ends_with('Z') && connected.len() == 20, "{told}");

    stack.host.stop().await;
    eventually("the loss", async || {
        let told = info(&stack, &connection).await;
        told["IsOnline"] == false && told["LastDisconnectTimeUtc"] != never
    })
    .await;
}

#[tokio::test]
async fn both_calls_answer_in_any_case_and_to_any_page() {
    let mut stack = stack().prepare().await;
    stack.start_relay().await;
    // Its credential is for its hostname; the token is its own for every access mode.
    let token = &stack.connection(AccessMode::None).app_token;
    for path in [INFO, "/API/AppConnection/Info?x=1"] {
        assert_eq!(ask(&stack, Method::GET, path, token).await.status, 200);
    }
    let head = ask(&stack, Method::HEAD, INFO, token).await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    for path in [GADGET, "/Api/Gadget/getstatusfromappconnection"] {
        let answer = ask(&stack, Method::POST, path, token).await;
        assert_eq!(answer.status, 200);
        let disabled = json!({"State": 0, "Status": "", "StatusColor": "w", "Rating": 10});
        assert_eq!(answer.json()["Result"], disabled);
        assert_eq!(answer.header("access-control-allow-origin"), "*");
    }
    let body = json!({"AppToken": token});
    let posted = Request::post(stack.relay_url(GADGET)).json(&body);
    assert_eq!(posted.send().await.read().await.status, 200);

    let preflight = Request::new(Method::OPTIONS, stack.relay_url("/Api/appconnection/info"))
        .header("Origin", "https://app.example")
        .header("Access-Control-Request-Method", "GET")
        .header("Access-Control-Request-Headers", "apptoken");
    let allowed = preflight.send().await.read().await;
    assert_eq!(allowed.status, 204);
    assert_eq!(allowed.header("access-control-allow-origin"), "*");
    let fields = allowed.header("access-control-allow-headers");
    assert!(fields.contains("AppToken"), "{fields}");
    assert!(
        !allowed
            .headers
            .contains_key("access-control-allow-credentials")
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_told_as_that() {
    let mut stack = stack().prepare().await;
    stack.start_relay().await;
    let token = stack.connection(AccessMode::Enhanced).app_token.clone();
    let missing = Request::get(stack.relay_url(INFO)).send().await;
    assert_eq!(missing.read().await.status, 400);
    let twice = Request::get(stack.relay_url(INFO)).header("AppToken", &token);
    let twice = twice.header("apptoken", "lk_app_other").send().await;
    assert_eq!(twice.read().await.status, 400, "it may be the right one");
    let wrong = ask(&stack, Method::GET, INFO, "lk_app_unknown").await;
    assert_relay_status(&wrong, 603);
    let method = ask(&stack, Method::DELETE, INFO, &token).await;
    assert_eq!(method.status, 405);
    assert!(method.header("allow").starts_with("GET"));
    for path in ["/api/appconnection/nothing", "/api/nothing"] {
        let request = Request::get(stack.relay_url(path)).header("Accept", "text/html");
        let answer = request.send().await.read().await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.header("content-type"), "application/json", "{path}");
    }
}

#[tokio::test]
async fn an_end_and_a_lost_right_are_told_while_the_relay_runs() {
    let mut stack = stack()
        .relay(
            "plans",
            json!({"supporter": {}, "free": {"app_connections": false}}),
        )
        .prepare()
        .await;
    stack.start_relay().await;
    let revoked = stack.connection(AccessMode::Basic).clone();
    let other = stack.connection(AccessMode::Bearer).clone();
    let store = stack.open_store().await;
    let asked = async |connection: &Connection, code: u16| {
        for (method, path) in [(Method::GET, INFO), (Method::POST, GADGET)] {
            let answer = ask(&stack, method, path, &connection.app_token).await;
            assert_relay_status(&answer, code);
        }
    };
    let connections = store.app_connections();
    let ended = connections.end(&revoked.id, EndReason::Revoked, SystemClock.now());
    assert!(ended.await.unwrap());
    asked(&revoked, 604).await;
    info(&stack, &other).await;

    let plan = |name: &str| name.parse().unwrap();
    let accounts = store.accounts();
    assert!(
        accounts
            .set_plan(&stack.account, &plan("free"))
            .await
            .unwrap()
    );
    asked(&other, 605).await;
    let supporter = plan("supporter");
    assert!(accounts.set_plan(&stack.account, &supporter).await.unwrap());
    info(&stack, &other).await;
    store.close().await;
}

#[tokio::test]
async fn a_relay_with_an_empty_database_ends_no_apps_connection() {
    let mut stack = stack().prepare().await;
    for end in ["", "-wal", "-shm"] {
        let mut name = stack.database().into_os_string();
        name.push(end);
        let _ = std::fs::remove_file(name);
    }
    stack.start_relay().await;
    let token = stack.connection(AccessMode::Enhanced).app_token.clone();
    let answer = ask(&stack, Method::GET, INFO, &token).await;
    assert_relay_status(&answer, 600);
    stack.relay.await_line("\"app_api\"").await;
    let log = stack.relay.log();
    assert!(!log.contains(&token), "a token is nowhere in the log");
}
