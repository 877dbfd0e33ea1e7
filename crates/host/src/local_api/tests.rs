//! What the host says of itself, who may change it, and what is kept of it.

use ::http::StatusCode;
use latchkey_model::session_key::{SessionAppName, SessionScope};
use latchkey_net::tunnel::DialState;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{http, *};
use crate::sessions::tests::{Bench, at_home, config, request};

const RELAY: &str = "relay.example.com";

fn facts(relay: Option<&str>) -> Facts {
    Facts {
        name: "Garage Voron".to_owned(),
        printer_id: "A".repeat(52).parse().unwrap(),
        authority: AuthorityMode::Upstream,
        upstream: UpstreamKind::Moonraker,
        listen: "192.168.1.5:5010".parse().unwrap(),
        relay: relay.map(str::to_owned),
    }
}

fn connected(printer_id: Option<&str>) -> DialState {
    DialState::Connected {
        tunnel_id: "t1".to_owned(),
        since: Instant::now(),
        connections: 1,
        printer_id: printer_id.map(str::to_owned),
    }
}

fn waiting(unpaired: bool) -> DialState {
    DialState::Waiting {
        until: Instant::now(),
        why: "later".to_owned(),
        unpaired,
    }
}

fn told(api: &LocalApi) -> Value {
    serde_json::to_value(wire::HostBody::of(api, true)).unwrap()
}

#[test]
fn the_document_says_who_this_host_is() {
    let api = LocalApi::open(facts(Some(RELAY)), None);
    assert_eq!(
        told(&api),
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "name": "Garage Voron",
            "printer_id": "A".repeat(52),
            "authority": "upstream",
            "upstream": {"kind": "moonraker"},
            "relay": {"name": RELAY, "connected": false},
            "paired": false,
            "addresses": ["http://192.168.1.5:5010"],
            "frontend": null,
            "app_keys": false,
            "session_keys": true,
        })
    );
    let plugin = serde_json::to_value(wire::PluginBody::of(&api)).unwrap();
    let members: Vec<_> = plugin.as_object().unwrap().keys().collect();
    assert_eq!(members, ["PluginVersion", "PrinterId"]);
    assert_eq!(plugin["PrinterId"], "A".repeat(52));
}

#[tokio::test]
async fn what_the_relay_says_counts_until_it_says_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("local.json");
    let open = |relay| LocalApi::open(facts(relay), Some(file.clone()));
    let api = open(Some(RELAY));
    let relays = "B".repeat(48);
    api.learn(&connected(Some(&relays)));
    assert!(api.is_paired() && api.is_connected());
    assert_eq!(api.printer_id().as_str(), relays);
    api.save().await;
    // Away for a while, and after a restart.
    api.learn(&waiting(false));
    assert!(api.is_paired() && !api.is_connected());
    let api = open(Some(RELAY));
    assert!(api.is_paired() && !api.is_connected());
    assert_eq!(api.printer_id().as_str(), relays);
    // Another relay, or none.
    for relay in [None, Some("other.example.com")] {
        let api = open(relay);
        assert!(!api.is_paired(), "{relay:?}");
        assert_eq!(api.printer_id().as_str(), "A".repeat(52));
    }
    // Unpaired.
    let api = open(Some(RELAY));
    api.learn(&waiting(true));
    assert!(!api.is_paired());
    api.save().await;
    assert!(!open(Some(RELAY)).is_paired());
    // A relay that says nothing of the id, or nonsense.
    for id in [None, Some("../x")] {
        api.learn(&connected(id));
        assert_eq!(api.printer_id().as_str(), "A".repeat(52));
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_read_or_written_is_no_reason_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("local.json");
    std::fs::write(&file, "{\"frontend\": 7").unwrap();
    let api = LocalApi::open(facts(None), Some(file.clone()));
    assert_eq!(api.frontend(), None);
    let frontend = Frontend {
        port: 80,
        https: false,
    };
    api.set_frontend(frontend);
    let stop = CancellationToken::new();
    stop.cancel();
    api.keep(stop).await;
    let again = LocalApi::open(facts(None), Some(file));
    assert_eq!(again.frontend(), Some(frontend));
    let nowhere = folder.path().join("none/local.json");
    let api = LocalApi::open(facts(None), Some(nowhere));
    api.set_frontend(frontend);
    api.save().await;
    assert_eq!(api.frontend(), Some(frontend));
}

#[tokio::test]
async fn anybody_may_read_and_a_command_is_checked() {
    let bench = Bench::empty(config()).await;
    for path in [http::PLUGIN, http::HOST] {
        for method in ["GET", "HEAD"] {
            let reply = bench.ask(request(method, path, &[], ""), &at_home()).await;
            assert_eq!(reply.status, StatusCode::OK);
            assert_eq!(reply.field("content-type"), "application/json");
            assert_eq!(reply.field("access-control-allow-origin"), "");
            assert_eq!(reply.field("set-cookie"), "");
        }
    }
    let name = SessionAppName::parse("a:1").unwrap();
    let keys = &bench.authority.session_keys;
    let key = keys.put_verified(&name, SessionScope::Full);
    let key = ("x-api-key", key.expose());
    let json = [("content-type", "application/json"), key];
    for (body, status) in [
        (
            r#"{"command":"setFrontendLocalPort","port":8080,"isHttps":true,"url":"x"}"#,
            204,
        ),
        (r#"{"command":"setFrontendLocalPort","port":80}"#, 204),
        (r#"{"command":"setFrontendLocalPort","port":0}"#, 400),
        (r#"{"command":"setFrontendLocalPort","port":65536}"#, 400),
        (r#"{"command":"setFrontendLocalPort","port":"80"}"#, 400),
        (
            r#"{"command":"setFrontendLocalPort","port":80,"isHttps":"yes"}"#,
            400,
        ),
        (r#"{"command":"setFrontendLocalPort"}"#, 400),
        (r#"{"command":"other","port":80}"#, 400),
        ("{}", 400),
        ("[]", 400),
        ("", 400),
    ] {
        let asked = request("POST", http::PLUGIN, &json, body);
        let reply = bench.ask(asked, &at_home()).await;
        assert_eq!(reply.status, status, "{body}: {}", reply.text);
    }
    let last = bench.authority.local_api.frontend();
    let expected = Frontend {
        port: 80,
        https: false,
    };
    assert_eq!(last, Some(expected));
    let form = [("content-type", "text/plain"), key];
    let asked = request("POST", http::PLUGIN, &form, "{}");
    assert_eq!(
        bench.ask(asked, &at_home()).await.status,
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
}
