//! Secrets of a host at home are looked for wherever they must not be: in its log, its database, its folder and its
//! command line.

use std::collections::BTreeMap;
use std::path::Path;

use futures_util::{SinkExt as _, StreamExt as _};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::harness::files::{has, read_all};
use crate::harness::home::{ANN, BOB, Browser, Home};
use crate::harness::http::{Request, websocket};
use crate::harness::session_keys::{APP, documented, sign};
use crate::harness::stack::Simulator;
use crate::harness::{eventually, within};

const WRONG_PASSWORD: &str = "canary-password-6a09e667";
const WRONG_KEY: &str = "canary-key-bb67ae85";
const WRONG_COOKIE: &str = "canary-cookie-3c6ef372";
const WRONG_TOKEN: &str = "canary-token-a54ff53a";
const NEW_PASSWORD: &str = "canary-new-password-510e527f";

/// Secrets by what they are.
type Secrets = BTreeMap<String, String>;

#[tokio::test]
async fn no_secret_is_where_it_does_not_belong() {
    let mut home = Home::start().await;
    let mut secrets = Secrets::new();
    for (what, secret) in [
        ("ann's password", ANN.password),
        ("bob's password", BOB.password),
        ("a wrong password", WRONG_PASSWORD),
        ("a wrong key", WRONG_KEY),
        ("a wrong cookie", WRONG_COOKIE),
        ("a wrong token", WRONG_TOKEN),
        ("a new password", NEW_PASSWORD),
        ("the printer's key", Simulator::KEY),
    ] {
        secrets.insert(what.to_owned(), secret.to_owned());
    }
    let key = do_everything(&home, &mut secrets).await;
    let session_key = sign_in_as_app(&home, &mut secrets).await;
    call_in_every_way(&home, &session_key).await;
    // The same once more with nobody behind the host.
    home.printer = None;
    do_everything_wrong(&home, &key).await;
    let process = format!("/proc/{}", home.host.id());
    let started = ["cmdline", "environ"].map(|file| {
        let path = Path::new(&process).join(file);
        (path.clone(), std::fs::read(path).unwrap())
    });
    // While it runs there is a journal beside the database.
    let mut files = started.to_vec();
    files.extend(read_all(home.folder()));
    home.host.stop().await;
    files.extend(read_all(home.folder()));

    let log = home.host.whole_log().await;
    assert!(log.matches("latchkey::request").count() > 30, "{log}");
    let known = |text: &str| files.iter().any(|(_, content)| has(content, text));
    assert!(
        known(BOB.name) && known("Fieldglass"),
        "what may be kept is found"
    );
    assert!(secrets.len() > 20, "{:?}", secrets.keys());
    let mut hits = Vec::new();
    for (what, secret) in &secrets {
        assert!(secret.len() >= 12, "{what} is too short to look for");
        for (path, content) in &files {
            let belongs = what == "the printer's key" && path.ends_with("upstream.key");
            if !belongs && has(content, secret) {
                hits.push(format!("{what} is in {}", path.display()));
            }
        }
    }
    let master = std::fs::read_to_string(home.folder().join("data/host.key")).unwrap();
    let master = master.rsplit(':').next().unwrap().trim();
    for (path, content) in &files {
        if !path.ends_with("host.key") && has(content, master) {
            hits.push(format!("the host's key is in {}", path.display()));
        }
    }
    assert!(hits.is_empty(), "{}", hits.join("\n"));
}

#[tokio::test]
async fn a_database_without_its_key_file_lets_keys_in_and_shows_none() {
    let mut home = Home::start().await;
    let key = home.key(BOB, "Fieldglass").await;
    home.host.stop().await;
    std::fs::remove_file(home.folder().join("data/host.key")).unwrap();
    home.start_host().await;
    let called = Request::get(home.url("/api/version")).header("X-Api-Key", &key);
    assert_eq!(called.send().await.status(), StatusCode::OK);
    let mut bob = home.sign_in(BOB).await;
    let one = bob.get("/api/plugin/appkeys?app=Fieldglass").await;
    assert_eq!(one.status, StatusCode::OK);
    let one = one.json();
    assert_eq!(one["key"]["app_id"], "Fieldglass");
    assert!(one["key"].get("api_key").is_none());
    let id = one["key"]["latchkey"]["id"].as_str().unwrap();
    let revealed = bob
        .submit(&format!("/latchkey/keys/{id}/reveal"), &[])
        .await;
    assert_eq!(revealed.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!revealed.text().contains(&key));
}

/// Everything that people and apps do with secrets; a key that works.
async fn do_everything(home: &Home, secrets: &mut Secrets) -> String {
    let mut bob = remembered(home, secrets).await;
    let mut keys = Vec::new();
    for (app, decision) in [("Fieldglass", true), ("Unwanted", false)] {
        let asked = Request::post(home.url("/plugin/appkeys/request")).json(&json!({"app": app}));
        let asked = asked.send().await.read().await.json();
        let app_token = asked["app_token"].as_str().unwrap().to_owned();
        let polling = home.url(&format!("/plugin/appkeys/request/{app_token}"));
        Request::get(&polling).send().await.read().await;
        let list = bob.get("/api/plugin/appkeys").await.json();
        let pending = list["pending"].as_object().unwrap();
        let user_token = pending.keys().next().unwrap().clone();
        bob.get(&format!("/plugin/appkeys/auth/{app_token}")).await;
        bob.get(&format!("/latchkey/requests/{user_token}")).await;
        let path = format!("/plugin/appkeys/decision/{user_token}");
        let decided = bob.post(&path, &json!({"decision": decision})).await;
        assert_eq!(decided.status, StatusCode::NO_CONTENT);
        bob.post(&path, &json!({"decision": decision})).await;
        let fetched = Request::get(&polling).send().await.read().await;
        Request::get(&polling).send().await.read().await;
        if let Some(key) = fetched.json()["api_key"].as_str() {
            keys.push(key.to_owned());
        }
        secrets.insert(format!("the app token of {app}"), app_token);
        secrets.insert(format!("the user token of {app}"), user_token);
    }
    let command = json!({"command": "generate", "app": "By hand"});
    let made = bob.post("/api/plugin/appkeys", &command).await.json();
    keys.push(made["api_key"].as_str().unwrap().to_owned());
    let one = bob.get("/api/plugin/appkeys?app=By+hand").await.json();
    assert_eq!(one["key"]["api_key"], made["api_key"]);
    let id = one["key"]["latchkey"]["id"].as_str().unwrap();
    let shown = bob
        .submit(&format!("/latchkey/keys/{id}/reveal"), &[])
        .await;
    assert!(shown.text().contains(&keys[1]));
    for (number, key) in keys.iter().enumerate() {
        secrets.insert(format!("key {number}"), key.clone());
    }
    let session = listen(home, &keys[0]).await;
    secrets.insert("a push session".to_owned(), session);
    do_everything_wrong(home, &keys[0]).await;
    let change = [
        ("old", BOB.password),
        ("password", NEW_PASSWORD),
        ("again", NEW_PASSWORD),
    ];
    let changed = bob.submit("/latchkey/account/password", &change).await;
    assert_eq!(
        changed.header("location"),
        "/latchkey/account?done=password"
    );
    let revoke = json!({"command": "revoke", "key": keys[1]});
    let revoked = bob.post("/api/plugin/appkeys", &revoke).await;
    assert_eq!(revoked.status, StatusCode::NO_CONTENT);
    bob.post("/api/logout", &json!({})).await;
    keys.swap_remove(0)
}

/// An app that signs for its key, listens with it, and sends it in a wrong claim at last.
async fn sign_in_as_app(home: &Home, secrets: &mut Secrets) -> String {
    home.configure("api", documented());
    let auth = home.url("/apps/auth");
    eventually("the app", async || {
        Request::get(&auth).send().await.status() == 200
    })
    .await;
    let mut keys = Vec::new();
    for _ in 0..2 {
        let given = Request::get(&auth).send().await.read().await.json();
        let key = given["unverifiedKey"].as_str().unwrap().to_owned();
        let signature = sign(&format!("{APP}:1.0:{key}"));
        let mut claim = json!({"appid": APP, "appversion": "1.0", "key": key, "_sig": signature});
        secrets.insert(
            format!("the signature for session key {}", keys.len()),
            signature,
        );
        let send = async |claim: &Value| Request::post(&auth).json(claim).send().await.status();
        assert_eq!(send(&claim).await, 200);
        if keys.is_empty() {
            claim["_sig"] = json!("AAAA");
            assert_eq!(send(&claim).await, 401);
        }
        secrets.insert(format!("session key {}", keys.len()), key.clone());
        keys.push(key);
    }
    let session = listen(home, &keys[1]).await;
    secrets.insert("a session key's push session".to_owned(), session);
    keys.swap_remove(1)
}

/// A browser that stays signed in, and comes back by that.
async fn remembered(home: &Home, secrets: &mut Secrets) -> Browser {
    let mut note = |browser: &Browser, when: &str| {
        for name in ["session_P", "remember_token_P", "csrf_token_P"] {
            let value = browser.cookies.find(name).unwrap();
            secrets.insert(format!("{name} {when}"), value.to_owned());
        }
    };
    let mut browser = home.browser();
    browser.get("/login/").await;
    let login = json!({"user": BOB.name, "pass": BOB.password, "remember": true});
    let signed_in = browser.post("/api/login", &login).await;
    assert_eq!(signed_in.status, StatusCode::OK, "{signed_in:?}");
    note(&browser, "at the sign-in");
    browser
        .cookies
        .retain(|name, _| !name.starts_with("session"));
    browser.get("/api/currentuser").await;
    note(&browser, "after coming back");
    // Nobody who comes back is fresh.
    browser.post("/api/login", &login).await;
    note(&browser, "at the second sign-in");
    browser
}

/// Listens at the push socket with a key; the session that stood for it.
async fn listen(home: &Home, key: &str) -> String {
    let passive = Request::post(home.url("/api/login")).header("X-Api-Key", key);
    let passive = passive.json(&json!({"passive": true}));
    let me = passive.send().await.read().await.json();
    let session = me["session"].as_str().unwrap().to_owned();
    let address = home.url(&format!("/sockjs/websocket?apikey={key}"));
    let (mut socket, _) = websocket(address, &[]).await.unwrap();
    let name = me["name"].as_str().unwrap();
    for auth in [format!("bob:{WRONG_TOKEN}"), format!("{name}:{session}")] {
        let auth = json!({ "auth": auth }).to_string();
        socket.send(Message::text(auth)).await.unwrap();
    }
    within("the printer's history", async {
        while !is_history(&socket.next().await.unwrap().unwrap()) {}
    })
    .await;
    session
}

fn is_history(message: &Message) -> bool {
    let text = message.to_text().unwrap_or_default();
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    value.get("history").is_some()
}

/// A key wherever it can stand.
async fn call_in_every_way(home: &Home, key: &str) {
    for path in [
        "/api/version",
        "/api/nothing",
        "/webcam/?action=snapshot",
        "/plugin/x",
    ] {
        let url = home.url(path);
        let separator = if path.contains('?') { '&' } else { '?' };
        let calls = [
            Request::get(&url).header("X-Api-Key", key),
            Request::get(&url).bearer(key),
            Request::get(format!("{url}{separator}apikey={key}")),
            Request::post(&url).form(&[("apikey", key)]),
            Request::get(&url).header("Cookie", format!("session={WRONG_COOKIE}")),
            Request::get(&url)
                .header("Accept", "text/html")
                .header("Referer", format!("http://elsewhere.example/?apikey={key}")),
        ];
        for call in calls {
            call.send().await.read().await;
        }
    }
}

/// Errors of all kinds, with secrets wherever they can stand.
async fn do_everything_wrong(home: &Home, key: &str) {
    for known in [key, WRONG_KEY] {
        call_in_every_way(home, known).await;
    }
    for path in [
        format!("/plugin/appkeys/request/{WRONG_TOKEN}"),
        format!("/plugin/appkeys/auth/{WRONG_TOKEN}?redirect={WRONG_TOKEN}"),
        format!("/latchkey/requests/{WRONG_TOKEN}"),
        format!("/login/?redirect=/{WRONG_TOKEN}"),
        format!("/sockjs/000/{WRONG_TOKEN}/xhr"),
    ] {
        for method in [Method::GET, Method::POST] {
            let call = Request::new(method, home.url(&path));
            let call = call.header("X-CSRF-Token", WRONG_TOKEN);
            call.send().await.read().await;
        }
    }
    let mut browser = home.browser();
    browser.address = Some("10.9.8.7".to_owned());
    let refused = browser.log_in(BOB.name, WRONG_PASSWORD).await;
    assert!(matches!(refused.status.as_u16(), 403 | 429), "{refused:?}");
    browser.log_in(WRONG_PASSWORD, WRONG_PASSWORD).await;
}
