//! `latchkey key request` before a real OctoPrint.

use http::StatusCode;
use serde_json::json;
use tokio::time::sleep;

use crate::harness::asking::Asking;
use crate::harness::http::Request;
use crate::harness::octoprint::{ADMIN, ADMIN_API_KEY, OctoPrint};
use crate::harness::stack::latchkey;
use crate::harness::within;

/// Runs the command up to where it waits for a person.
async fn ask(octoprint: &OctoPrint, name: &str) -> Asking {
    Asking::start(&[octoprint.base_url().as_str(), "--name", name]).await
}

/// Decides the only request there is. A key counts as recently proven, and needs no CSRF token.
async fn decide(octoprint: &OctoPrint, app: &str, decision: bool) {
    let list = Request::get(octoprint.url("api/plugin/appkeys"));
    let list = list.header("X-Api-Key", ADMIN_API_KEY).send().await;
    let pending = list.read().await.json()["pending"].clone();
    let (token, request) = pending.as_object().unwrap().iter().next().unwrap();
    assert_eq!(request["app_id"], app);
    let url = octoprint.url(&format!("plugin/appkeys/decision/{token}"));
    let decided = Request::post(url)
        .header("X-Api-Key", ADMIN_API_KEY)
        .json(&json!({ "decision": decision }));
    assert_eq!(decided.send().await.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_granted_key_is_printed_and_works() {
    let octoprint = OctoPrint::start().await;
    let asking = ask(&octoprint, "Bench app").await;
    let dialog = Request::get(&asking.dialog).send().await;
    assert_eq!(dialog.status(), StatusCode::FOUND, "{}", asking.dialog);
    // Longer than the 5 s after which a request that is not polled for is dropped.
    sleep(std::time::Duration::from_secs(6)).await;
    decide(&octoprint, "Bench app", true).await;
    let (output, _) = asking.end().await;
    assert_eq!(output.status.code(), Some(0));
    let key = String::from_utf8(output.stdout).unwrap();
    let me = Request::get(octoprint.url("api/currentuser")).header("X-Api-Key", key.trim_end());
    assert_eq!(me.send().await.read().await.json()["name"], ADMIN.name);
}

#[tokio::test]
async fn a_denied_request_and_one_too_many_fail_with_a_sentence() {
    let octoprint = OctoPrint::start().await;
    let asking = ask(&octoprint, "Bench app").await;
    decide(&octoprint, "Bench app", false).await;
    let (output, said) = asking.end().await;
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    assert!(said.contains("the request was denied"), "{said}");

    for _ in 0..2 {
        let more = Request::post(octoprint.url("plugin/appkeys/request"));
        let more = more.json(&json!({"app": "x"})).send().await;
        assert_eq!(more.status(), StatusCode::CREATED);
    }
    let url = octoprint.base_url();
    let mut command = latchkey();
    command.args(["key", "request", url.as_str(), "--name", "x"]);
    let output = within("the end", command.output()).await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("takes no more requests"), "{said}");
}
