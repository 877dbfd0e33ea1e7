//! App keys that a relay has made at a real OctoPrint, through its host.

use http::StatusCode;
use latchkey_net::tunnel::{AppKeyError, AppKeyRefusal, AppKeyWish, Scope};
use serde_json::json;
use tempfile::TempDir;

use crate::harness::asking_relay::AskingRelay;
use crate::harness::http::Request;
use crate::harness::octoprint::{ADMIN_API_KEY, OctoPrint};
use crate::harness::stack::{Process, free_address};

fn wish(scope: Scope) -> AppKeyWish {
    AppKeyWish {
        app: "OctoApp".to_owned(),
        app_connection: "abcdefghijklmnop2345".to_owned(),
        scope,
    }
}

async fn host_before(octoprint: &OctoPrint, key: &str) -> (TempDir, Process, AskingRelay) {
    let folder = TempDir::with_prefix("latchkey-octoprint-keys-").unwrap();
    let relay = AskingRelay::start().await;
    std::fs::write(folder.path().join("upstream.key"), key).unwrap();
    let config = json!({
        "listen": free_address(),
        "status_listen": null,
        "announce": false,
        "data": "host",
        "authority": "upstream",
        "upstream": {
            "kind": "octoprint",
            "url": octoprint.base_url().as_str(),
            "api_key_file": "upstream.key",
        },
        "relay": {"url": relay.url()},
    });
    std::fs::write(folder.path().join("host.yaml"), config.to_string()).unwrap();
    let mut host = Process::new("host", folder.path());
    host.start();
    host.await_line("the host is listening").await;
    (folder, host, relay)
}

#[tokio::test]
async fn octoprint_makes_the_key_itself() {
    let octoprint = OctoPrint::start().await;
    let (_folder, host, relay) = host_before(&octoprint, ADMIN_API_KEY).await;
    let tunnel = relay.tunnel().await;
    let made = tunnel.make_app_key(&wish(Scope::Full)).await.unwrap();
    let with = async |key: &str| {
        let asked = Request::get(octoprint.url("api/version").as_str());
        asked.header("X-Api-Key", key).send().await.status()
    };
    assert_eq!(with(&made.api_key).await, StatusCode::OK);
    assert_eq!(with("wrong").await, StatusCode::FORBIDDEN);
    // OctoPrint's keys have no scope.
    let refused = tunnel.make_app_key(&wish(Scope::View)).await;
    assert!(matches!(
        refused,
        Err(AppKeyError::Refused(AppKeyRefusal::Scope))
    ));
    let log = host.whole_log().await;
    assert!(!log.contains(made.api_key.as_str()) && !log.contains(ADMIN_API_KEY));
}

#[tokio::test]
async fn without_a_good_key_of_its_own_the_host_declines() {
    let octoprint = OctoPrint::start().await;
    let (_folder, host, relay) = host_before(&octoprint, "wrong").await;
    let tunnel = relay.tunnel().await;
    let refused = tunnel.make_app_key(&wish(Scope::Full)).await;
    assert!(matches!(
        refused,
        Err(AppKeyError::Refused(AppKeyRefusal::Failed))
    ));
    assert!(host.log().contains("OctoPrint made no key"));
}
