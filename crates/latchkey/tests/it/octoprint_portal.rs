//! A real OctoPrint, reached by an app that walked through the portal, with a key made on the way:
//! with `authority: upstream` it is OctoPrint's own, with `authority: host` the host's.

use serde_json::json;
use tempfile::TempDir;

use crate::harness::demo::Demo;
use crate::harness::http::Request;
use crate::harness::octoprint::{ADMIN_API_KEY, OctoPrint};
use crate::harness::portal::{Completion, through_the_portal};

async fn demo_before(octoprint: &OctoPrint, authority: &str) -> (TempDir, Demo) {
    let data = TempDir::with_prefix("latchkey-portal-").unwrap();
    let key = data.path().join("octoprint.key");
    std::fs::write(&key, ADMIN_API_KEY).unwrap();
    let demo = Demo::start_with(
        &data.path().join("demo"),
        &[
            "--upstream",
            octoprint.base_url().as_str(),
            "--upstream-kind",
            "octoprint",
            "--upstream-key-file",
            key.to_str().unwrap(),
            "--authority",
            authority,
        ],
    )
    .await;
    (data, demo)
}

fn through(given: &Completion, path: &str) -> Request {
    Request::get(format!("{}{path}", given["url"]))
        .basic(&given["authbasichttpuser"], &given["authbasichttppassword"])
}

async fn version(request: Request) -> String {
    let answer = request.send().await.read().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["server"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_app_gets_octoprints_own_key_in_the_portal() {
    let octoprint = OctoPrint::start().await;
    let (_data, demo) = demo_before(&octoprint, "upstream").await;
    let given = through_the_portal(&demo, "full").await;
    assert_eq!(given["success"], "true");
    let key = &given["octoPrintApiKey"];
    // OctoPrint knows it, directly and through the app connection.
    let direct = Request::get(octoprint.url("api/version")).header("X-Api-Key", key);
    assert_eq!(version(direct).await, "1.11.8");
    let away = through(&given, "/api/version").header("X-Api-Key", key);
    assert_eq!(version(away).await, "1.11.8");
    let keys = Request::get(octoprint.url("api/plugin/appkeys"))
        .header("X-Api-Key", ADMIN_API_KEY)
        .send()
        .await
        .read()
        .await;
    assert!(keys.text().contains("OctoPod on iPhone"), "{}", keys.text());
    demo.stop().await;
}

#[tokio::test]
async fn an_app_gets_a_key_of_the_host_before_an_octoprint_in_the_portal() {
    let octoprint = OctoPrint::start().await;
    let (_data, demo) = demo_before(&octoprint, "host").await;
    let given = through_the_portal(&demo, "full").await;
    let key = &given["octoPrintApiKey"];
    let host = demo.text("host_url").to_owned();
    let at_home = |path: &str| Request::get(format!("{host}{path}")).header("X-Api-Key", key);
    assert_eq!(version(at_home("/api/version")).await, "1.11.8");
    assert_eq!(version(through(&given, "/api/version")).await, "1.11.8");
    // It is none of OctoPrint's.
    let direct = Request::get(octoprint.url("api/version")).header("X-Api-Key", key);
    assert_eq!(direct.send().await.status(), 403);
    // What only shows gets a key that only shows.
    let watching = through_the_portal(&demo, "view").await;
    let connect = |request: Request| request.json(&json!({"command": "disconnect"}));
    let away = format!("{}/api/connection", watching["url"]);
    let refused = connect(Request::post(away)).basic(
        &watching["authbasichttpuser"],
        &watching["authbasichttppassword"],
    );
    assert_eq!(refused.send().await.status(), 403);
    let refused = connect(Request::post(format!("{host}/api/connection")))
        .header("X-Api-Key", &watching["octoPrintApiKey"]);
    assert_eq!(refused.send().await.status(), 403);
    assert_eq!(version(through(&watching, "/api/version")).await, "1.11.8");
    demo.stop().await;
}
