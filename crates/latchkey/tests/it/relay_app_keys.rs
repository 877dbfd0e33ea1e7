//! App keys that a relay has made at a host which judges callers itself.

use std::process::Stdio;

use http::StatusCode;
use latchkey_net::tunnel::{AppKeyError, AppKeyRefusal, AppKeyWish, Scope, Tunnel};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;

use crate::harness::asking_relay::AskingRelay;
use crate::harness::eventually;
use crate::harness::http::Request;
use crate::harness::stack::{Process, free_address, latchkey};

const FIRST: &str = "abcdefghijklmnop2345";
const SECOND: &str = "bbcdefghijklmnop2345";

struct Bench {
    folder: TempDir,
    relay: AskingRelay,
    host: Process,
    host_url: String,
}

impl Bench {
    async fn start(app_keys: &str) -> Self {
        let folder = TempDir::with_prefix("latchkey-app-keys-").unwrap();
        let (relay, address) = (AskingRelay::start().await, free_address());
        let config = json!({
            "listen": address,
            "status_listen": null,
            "announce": false,
            "data": "host",
            "upstream": {"kind": "generic", "url": "http://127.0.0.1:1"},
            "relay": {"url": relay.url(), "app_keys": app_keys},
        });
        std::fs::write(folder.path().join("host.yaml"), config.to_string()).unwrap();
        let mut host = Process::new("host", folder.path());
        host.start();
        host.await_line("the host is listening").await;
        Self {
            host,
            relay,
            host_url: format!("http://{address}"),
            folder,
        }
    }

    async fn add_user(&self, name: &str, more: &[&str]) {
        let mut command = latchkey();
        command.args(["user", "add", name, "--password-stdin", "--config"]);
        command.arg(self.folder.path().join("host.yaml")).args(more);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"a few words in a row").await.unwrap();
        drop(stdin);
        assert!(child.wait().await.unwrap().success());
    }

    /// The keys that whoever has this key may see; none if it is not good.
    async fn keys(&self, key: &str) -> Option<Vec<Value>> {
        let url = format!("{}/api/plugin/appkeys", self.host_url);
        let answer = Request::get(url).header("X-Api-Key", key).send().await;
        let answer = answer.read().await;
        let keys = || answer.json()["keys"].as_array().unwrap().clone();
        (answer.status == StatusCode::OK).then(keys)
    }
}

fn wish(app: &str, app_connection: &str, scope: Scope) -> AppKeyWish {
    AppKeyWish {
        app: app.to_owned(),
        app_connection: app_connection.to_owned(),
        scope,
    }
}

async fn refusal(tunnel: &Tunnel, wish: &AppKeyWish) -> AppKeyRefusal {
    match tunnel.make_app_key(wish).await {
        Err(AppKeyError::Refused(refusal)) => refusal,
        outcome => panic!("{outcome:?}"),
    }
}

#[tokio::test]
async fn a_key_is_the_first_administrators_and_ends_with_its_app_connection() {
    let bench = Bench::start("allow").await;
    let tunnel = bench.relay.tunnel().await;
    let octoapp = wish(" Octo\u{202e}App ", FIRST, Scope::View);
    assert_eq!(refusal(&tunnel, &octoapp).await, AppKeyRefusal::Nobody);
    bench.add_user("bob", &[]).await;
    assert_eq!(refusal(&tunnel, &octoapp).await, AppKeyRefusal::Nobody);
    bench.add_user("ann", &["--admin"]).await;

    let made = tunnel.make_app_key(&octoapp).await.unwrap();
    assert_eq!(made.app, "OctoApp");
    let keys = bench.keys(&made.api_key).await.unwrap();
    let own = keys.iter().find(|key| key["app_id"] == "OctoApp").unwrap();
    assert_eq!(own["user_id"], "ann");

    // Another app connection's app of the same name has a key of its own.
    let other = tunnel
        .make_app_key(&wish("OctoApp", SECOND, Scope::Full))
        .await;
    let other = other.unwrap();
    assert_eq!(other.app, "OctoApp (2)");
    assert_ne!(*other.api_key, *made.api_key);

    // Asked again, the first one's key is replaced.
    let again = tunnel.make_app_key(&octoapp).await.unwrap();
    assert_eq!(again.app, "OctoApp");
    assert_eq!(bench.keys(&made.api_key).await, None);
    assert_eq!(bench.keys(&again.api_key).await.unwrap().len(), 2);

    let ended = tunnel.hear_of_ends(&[FIRST.to_owned()]);
    ended.expect("the host knows it").await;
    eventually("the key to end", async || {
        bench.keys(&again.api_key).await.is_none()
    })
    .await;
    assert_eq!(bench.keys(&other.api_key).await.unwrap().len(), 1);

    for named in ["", "\u{202e}"] {
        let refused = refusal(&tunnel, &wish(named, FIRST, Scope::Full)).await;
        assert_eq!(refused, AppKeyRefusal::Name, "{named:?}");
    }
    let refused = refusal(&tunnel, &wish("x", "not an id", Scope::Full)).await;
    assert_eq!(refused, AppKeyRefusal::Name);
    let log = bench.host.whole_log().await;
    assert!(!log.contains(made.api_key.as_str()), "{log}");
}

#[tokio::test]
async fn a_host_says_after_a_break_which_keys_it_keeps() {
    let mut bench = Bench::start("allow").await;
    bench.add_user("ann", &["--admin"]).await;
    let tunnel = bench.relay.tunnel().await;
    let made = tunnel
        .make_app_key(&wish("OctoApp", FIRST, Scope::Full))
        .await;
    let made = made.unwrap();
    bench.host.kill().await;
    drop(tunnel);
    bench.host.start();
    bench.host.await_line("the host is listening").await;
    let tunnel = bench.relay.tunnel().await;
    let kept = tunnel.app_connections_with_keys().await.unwrap();
    assert_eq!(kept, [FIRST]);
    let ended = tunnel.hear_of_ends(&kept);
    ended.expect("the host knows it").await;
    eventually("the key to end", async || {
        bench.keys(&made.api_key).await.is_none()
    })
    .await;
    let address = tunnel.local_address().await.unwrap();
    assert_eq!(address.as_deref(), bench.host_url.strip_prefix("http://"));
}

#[tokio::test]
async fn a_host_may_refuse() {
    let bench = Bench::start("refuse").await;
    bench.add_user("ann", &["--admin"]).await;
    let tunnel = bench.relay.tunnel().await;
    let refused = refusal(&tunnel, &wish("OctoApp", FIRST, Scope::Full)).await;
    assert_eq!(refused, AppKeyRefusal::NotAllowed);
}
