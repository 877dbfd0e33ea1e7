//! The same for a host.

use http::Method;
use serde_json::{Value, json};

use super::{Calls, STATUS, look_for_faults, status_address};
use crate::harness::home::{ANN, EVE, Home};
use crate::harness::session_keys::{APP, documented, sign};

/// A host with a registered app, and a key of its administrator.
async fn home() -> (Home, String) {
    let settings = [
        ("api", documented()),
        ("status_listen", json!("127.0.0.1:0")),
    ];
    let home = Home::start_with(&settings).await;
    let key = home.key(ANN, "Watcher").await;
    (home, key)
}

#[tokio::test]
async fn a_host_answers_as_it_is_described() {
    let (home, key) = home().await;
    let mut calls = Calls::default();
    let admin = [("X-Api-Key", key.as_str())];
    ask_for_a_key(&mut calls, &home, &admin).await;
    ask_of_keys(&mut calls, &home, &admin).await;
    sign_for_a_key(&mut calls, &home).await;
    ask_of_the_host(&mut calls, &home, &admin).await;
    sign_in(&mut calls, &home, &admin).await;
    for path in ["/sockjs/info", "/latchkey/api/openapi.json"] {
        calls
            .ask((Method::GET, path), &home.url(path), &[], None)
            .await;
    }
    let status = status_address(&home.host.log());
    for path in STATUS {
        let at = format!("http://{status}{path}");
        calls.ask((Method::GET, path), &at, &[], None).await;
    }
    let page = home.browser().get("/latchkey/api").await;
    assert_eq!(page.status.as_u16(), 200);
    let page = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(page.contains("Ask for a key"), "{page}");

    let seen: [(&str, &[u16]); 14] = [
        ("GET /plugin/appkeys/probe", &[204]),
        ("POST /plugin/appkeys/request", &[201, 400]),
        (
            "GET /plugin/appkeys/request/{app_token}",
            &[202, 200, 404, 404],
        ),
        (
            "POST /plugin/appkeys/decision/{user_token}",
            &[400, 403, 400, 204, 404],
        ),
        ("GET /api/plugin/appkeys", &[200, 200, 404, 400, 403]),
        ("POST /api/plugin/appkeys", &[200, 409, 404, 204, 400, 403]),
        ("GET /apps/auth", &[200]),
        ("POST /apps/auth", &[400, 401, 200]),
        ("GET /api/plugin/octoeverywhere", &[200]),
        ("POST /api/plugin/octoeverywhere", &[204, 400, 403]),
        ("POST /api/plugin/latchkey", &[204, 400, 403]),
        ("POST /api/login", &[200, 200, 403, 400]),
        ("POST /api/logout", &[200, 400]),
        ("GET /api/currentuser", &[200, 200]),
    ];
    calls.are_as_described("host", &seen).await;
}

/// An app asks, is refused what is none of its business, is allowed, and fetches its key.
async fn ask_for_a_key(calls: &mut Calls, home: &Home, admin: &[(&str, &str)]) {
    let probe = (Method::GET, "/plugin/appkeys/probe");
    calls
        .ask(probe.clone(), &home.url(probe.1), &[], None)
        .await;
    let ask = (Method::POST, "/plugin/appkeys/request");
    let at = home.url(ask.1);
    let asked = calls
        .ask(ask.clone(), &at, &[], Some(json!({"app": "Fieldglass"})))
        .await;
    calls.ask(ask, &at, &[], Some(json!({}))).await;

    let poll = (Method::GET, "/plugin/appkeys/request/{app_token}");
    let token = asked["app_token"].as_str().unwrap();
    let mine = home.url(&format!("/plugin/appkeys/request/{token}"));
    calls.ask(poll.clone(), &mine, &[], None).await;

    let list = (Method::GET, "/api/plugin/appkeys");
    let told = calls
        .ask(list.clone(), &home.url(list.1), admin, None)
        .await;
    calls.unlike_example();
    let token = told["pending"].as_object().unwrap().keys().next().unwrap();

    let decide = (Method::POST, "/plugin/appkeys/decision/{user_token}");
    let at = home.url(&format!("/plugin/appkeys/decision/{token}"));
    let yes = json!({"decision": true, "scope": "view"});
    let eves = home.key(EVE, "Watcher").await;
    let only_looks = [("X-Api-Key", eves.as_str())];
    for (who, sent) in [
        // A browser that nobody signed in with, as far as the host can tell.
        (&[][..], &yes),
        (&only_looks[..], &yes),
        (admin, &json!({})),
        (admin, &yes),
        (admin, &yes),
    ] {
        calls
            .ask(decide.clone(), &at, who, Some(sent.clone()))
            .await;
        calls.unlike_example();
    }
    calls.ask(poll.clone(), &mine, &[], None).await;
    calls.ask(poll.clone(), &mine, &[], None).await;
    let garbled = home.url("/plugin/appkeys/request/%FF");
    calls.ask(poll, &garbled, &[], None).await;
}

async fn ask_of_keys(calls: &mut Calls, home: &Home, admin: &[(&str, &str)]) {
    let command = (Method::POST, "/api/plugin/appkeys");
    let at = home.url(command.1);
    for sent in [
        json!({"command": "generate", "app": "Spool Butler"}),
        json!({"command": "generate", "app": "Spool Butler", "scope": "view"}),
        json!({"command": "generate", "app": "Spool Butler", "user": "nobody"}),
        json!({"command": "revoke", "app": "Spool Butler"}),
        json!({"command": "guess"}),
    ] {
        calls.ask(command.clone(), &at, admin, Some(sent)).await;
    }
    let eves = home.key(EVE, "Other").await;
    let others = json!({"command": "revoke", "app": "Watcher", "user": "ann"});
    let eve = [("X-Api-Key", eves.as_str())];
    calls.ask(command, &at, &eve, Some(others)).await;

    let list = (Method::GET, "/api/plugin/appkeys");
    for query in ["?app=Watcher", "?app=Nobodys", "?app=A&app=B"] {
        let at = home.url(&format!("{}{query}", list.1));
        calls.ask(list.clone(), &at, admin, None).await;
        calls.unlike_example();
    }
    calls.ask(list.clone(), &home.url(list.1), &[], None).await;
}

async fn sign_for_a_key(calls: &mut Calls, home: &Home) {
    let begin = (Method::GET, "/apps/auth");
    let begun = calls
        .ask(begin.clone(), &home.url(begin.1), &[], None)
        .await;
    let key = begun["unverifiedKey"].as_str().unwrap();
    let verify = (Method::POST, "/apps/auth");
    let at = home.url(verify.1);
    let claim =
        |signature: &str| json!({"appid": APP, "appversion": "1.0", "key": key, "_sig": signature});
    let good = claim(&sign(&format!("{APP}:1.0:{key}")));
    // A signature for another key ends none that waits.
    let elsewhere = json!({"appid": "nobodys", "key": "K", "_sig": "AAAA"});
    for sent in [json!({}), elsewhere, good] {
        calls.ask(verify.clone(), &at, &[], Some(sent)).await;
    }
}

async fn ask_of_the_host(calls: &mut Calls, home: &Home, admin: &[(&str, &str)]) {
    let eves = home.key(EVE, "Third").await;
    let eve = [("X-Api-Key", eves.as_str())];
    let proxy = json!({"command": "setFrontendLocalPort", "port": 80, "isHttps": false});
    for path in ["/api/plugin/octoeverywhere", "/api/plugin/latchkey"] {
        let at = home.url(path);
        calls.ask((Method::GET, path), &at, &[], None).await;
        // This host has no relay, and nobody has told where a proxy shows it.
        calls.unlike_example();
        let change = (Method::POST, path);
        calls
            .ask(change.clone(), &at, admin, Some(proxy.clone()))
            .await;
        calls
            .ask(change.clone(), &at, admin, Some(json!({"port": 0})))
            .await;
        calls.ask(change, &at, &eve, Some(proxy.clone())).await;
    }
}

async fn sign_in(calls: &mut Calls, home: &Home, admin: &[(&str, &str)]) {
    let log_in = (Method::POST, "/api/login");
    let at = home.url(log_in.1);
    for sent in [
        json!({"user": ANN.name, "pass": ANN.password}),
        json!({"passive": true}),
        json!({"user": ANN.name, "pass": "wrong"}),
        json!({}),
    ] {
        calls.ask(log_in.clone(), &at, admin, Some(sent)).await;
    }
    let log_out = (Method::POST, "/api/logout");
    let current = (Method::GET, "/api/currentuser");
    for who in [admin, &[]] {
        let none: Option<Value> = None;
        calls
            .ask(log_out.clone(), &home.url(log_out.1), who, none.clone())
            .await;
        calls
            .ask(current.clone(), &home.url(current.1), who, none)
            .await;
    }
    // Nobody known has no name.
    calls.unlike_example();
}

#[tokio::test]
async fn whatever_a_host_is_asked_it_answers_as_described() {
    let (home, key) = home().await;
    let elsewhere: Vec<_> = STATUS
        .iter()
        .flat_map(|path| ["--exclude-path", path])
        .collect();
    let key = format!("X-Api-Key: {key}");
    let known = [&["-H", key.as_str()], elsewhere.as_slice()].concat();
    let at = home.url("");
    look_for_faults("host", &at, &known).await;
    // Nobody known, or with keys that it makes up.
    look_for_faults("host", &at, &elsewhere).await;
    let status = format!("http://{}", status_address(&home.host.log()));
    let only: Vec<_> = STATUS
        .iter()
        .flat_map(|path| ["--include-path", path])
        .collect();
    look_for_faults("host", &status, &only).await;
}
