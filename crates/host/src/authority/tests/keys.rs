//! Key management and the use of keys, row by row.

use std::time::Duration;

use latchkey_model::id::AppKeyId;
use serde_json::{Value, json};

use super::*;
use crate::service::Inbound;

static HOME: std::sync::LazyLock<Inbound> = std::sync::LazyLock::new(at_home);
const KEYS: &str = "/api/plugin/appkeys";

#[tokio::test]
async fn lists_have_ones_own_keys_without_their_text_and_what_waits_for_one() {
    let bench = host().await;
    let text = key_of(&bench, "bob", "Owned", KeyScope::Full).await;
    key_of(&bench, "ben", "Other", KeyScope::Full).await;
    let (_, for_all) = ask(&bench, None);
    let (_, for_ben) = ask(&bench, Some("ben"));
    let apps = |list: &Value| {
        let keys = list["keys"].as_array().unwrap().iter();
        let mut apps: Vec<_> = keys
            .map(|key| key["app_id"].as_str().unwrap().to_owned())
            .collect();
        apps.sort();
        apps.join(" ")
    };
    for (user, path, expected) in [
        ("bob", KEYS.to_owned(), "Owned"),
        ("bob", format!("{KEYS}?app="), "Owned"),
        ("bob", format!("{KEYS}?all=true"), "Owned"),
        ("ann", KEYS.to_owned(), ""),
        ("ann", format!("{KEYS}?all=true"), "Other Owned"),
        ("ann", format!("{KEYS}?all=1"), "Other Owned"),
        ("ann", format!("{KEYS}?all=y"), "Other Owned"),
        ("ann", format!("{KEYS}?all=yes"), "Other Owned"),
        ("ann", format!("{KEYS}?all=TRUE"), "Other Owned"),
        ("ann", format!("{KEYS}?all=on"), ""),
        ("ann", format!("{KEYS}?all=false"), ""),
    ] {
        let reply = browser_of(&bench, user).await.get(&path).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}");
        assert!(!reply.text.contains(&text), "{path}");
        let list = reply.json();
        assert_eq!(apps(&list), expected, "{user} {path}");
        let pending: Vec<_> = list["pending"].as_object().unwrap().keys().collect();
        assert_eq!(pending, [&for_all], "{user} {path}");
        assert_eq!(list["pending"][&for_all]["user_token"], for_all);
        assert_eq!(list["pending"][&for_all]["app_id"], "Wish");
        assert_eq!(list["pending"][&for_all]["remote_address"], "192.168.1.40");
        assert_eq!(list["pending"][&for_all]["user_id"], Value::Null);
    }
    let ben = browser_of(&bench, "ben").await.get(KEYS).await.json();
    assert!(ben["pending"][&for_ben].is_object());
    let rita = browser_of(&bench, "rita").await.get(KEYS).await.json();
    assert_eq!(
        rita["pending"],
        json!({}),
        "who may not decide gets no token"
    );
}

#[tokio::test]
async fn one_key_is_found_by_its_app_and_anothers_by_an_administrator() {
    let bench = host().await;
    let text = key_of(&bench, "bob", "Owned", KeyScope::Full).await;
    for (user, query, status, shows) in [
        ("bob", "app=Owned", 200, true),
        ("bob", "app=OWNED", 200, true),
        ("bob", "app=Owned&user=bob", 200, true),
        ("bob", "app=None", 404, false),
        ("ben", "app=Owned", 404, false),
        ("ben", "app=Owned&user=bob", 403, false),
        ("ann", "app=Owned&user=bob", 200, true),
        ("ann", "app=Owned", 404, false),
        ("ann", "app=Owned&user=nobody", 404, false),
    ] {
        let reply = browser_of(&bench, user)
            .await
            .get(&format!("{KEYS}?{query}"))
            .await;
        assert_eq!(reply.status, status, "{user} {query}");
        assert_eq!(reply.text.contains(&text), shows, "{user} {query}");
        if status == 200 {
            assert_eq!(reply.json()["key"]["app_id"], "Owned");
            assert_eq!(reply.json()["key"]["user_id"], "bob");
        }
    }
}

#[tokio::test]
async fn commands_are_answered_row_by_row() {
    let bench = host().await;
    for (user, body, status) in [
        ("bob", json!({"command": "generate", "app": " New "}), 200),
        (
            "bob",
            json!({"command": "generate", "app": "New", "user": "bob"}),
            200,
        ),
        ("rita", json!({"command": "generate", "app": "New"}), 200),
        ("bob", json!({"command": "generate"}), 400),
        ("bob", json!({"command": "generate", "app": ""}), 400),
        ("bob", json!({"command": "generate", "app": 5}), 400),
        (
            "bob",
            json!({"command": "generate", "app": "N", "user": "ben"}),
            403,
        ),
        (
            "ann",
            json!({"command": "generate", "app": "N", "user": "ben"}),
            200,
        ),
        (
            "ann",
            json!({"command": "generate", "app": "N", "user": "nobody"}),
            404,
        ),
        ("bob", json!({"command": "revoke", "app": "none"}), 400),
        (
            "bob",
            json!({"command": "revoke", "app": "N", "user": "ben"}),
            403,
        ),
        ("bob", json!({"command": "revoke"}), 400),
        ("bob", json!({"command": "revoke", "app": "NEW"}), 204),
        ("bob", json!({"command": "revoke", "app": "NEW"}), 400),
        (
            "ann",
            json!({"command": "revoke", "app": "n", "user": "ben"}),
            204,
        ),
        ("bob", json!({"command": "revoke", "key": "unknown"}), 403),
        ("ann", json!({"command": "revoke", "key": "unknown"}), 204),
        ("bob", json!({"command": "other"}), 400),
        ("bob", json!({}), 400),
    ] {
        let reply = browser_of(&bench, user)
            .await
            .post(KEYS, body.clone())
            .await;
        assert_eq!(reply.status, status, "{user} {body}: {}", reply.text);
        match status {
            200 => {
                let told = reply.json();
                assert_eq!(told["app_id"], body["app"], "as it was sent");
                assert!(told["api_key"].as_str().unwrap().len() >= 32);
            }
            204 => assert_eq!(reply.text, ""),
            _ => assert!(reply.json()["error"].is_string()),
        }
    }
}

#[tokio::test]
async fn a_key_is_revoked_by_its_text_by_its_owner_or_an_administrator() {
    let bench = host().await;
    for (user, status, stays) in [("ben", 403, true), ("bob", 204, false), ("ann", 204, false)] {
        let key = key_of(&bench, "bob", "Owned", KeyScope::Full).await;
        // The key counts, whatever app is named beside it.
        let command = json!({"command": "revoke", "key": key, "app": "None"});
        let reply = browser_of(&bench, user).await.post(KEYS, command).await;
        assert_eq!(reply.status, status, "{user}");
        let left = bench.authority.app_keys.list(None).await.unwrap();
        assert_eq!(!left.is_empty(), stays, "{user}");
    }
    let mut app = Caller::new(&bench, Who::BobsFullKey).await;
    let itself = Sent::Json(r#"{"command":"revoke","app":"Full"}"#);
    assert_eq!(app.send("POST", KEYS, itself).await.status, 204);
    assert_eq!(app.send("GET", KEYS, Sent::Nothing).await.status, 403);
}

/// Each row is wrong in all that the rows after it are wrong in, so that the order shows.
#[tokio::test]
async fn a_command_is_checked_in_the_contracts_order() {
    let bench = host().await;
    let (mut nobody, mut bob) = (guest(&bench), browser_of(&bench, "bob").await);
    bench.clock.advance(Duration::from_mins(6));
    let (text, json) = (
        ("content-type", "text/plain"),
        ("content-type", "application/json"),
    );
    let foreign = r#"{"command":"generate","app":"A","user":"ben"}"#;
    for (signed_in, token, kind, body, status, code) in [
        (false, false, text, "{", 400, false),
        (true, false, text, "{", 400, false),
        (false, true, text, "{", 403, false),
        (true, true, text, "{", 415, false),
        (true, true, json, "{", 400, false),
        (true, true, json, "[]", 400, false),
        (true, true, json, r#"{"command":"x"}"#, 400, false),
        (true, true, json, foreign, 403, false),
        (
            true,
            true,
            json,
            r#"{"command":"generate","app":"A"}"#,
            403,
            true,
        ),
    ] {
        let browser = if signed_in { &mut bob } else { &mut nobody };
        let csrf = browser.csrf();
        let mut fields = vec![kind];
        if token {
            fields.push(("x-csrf-token", &csrf));
        }
        let reply = browser.send("POST", KEYS, &fields, body).await;
        assert_eq!(reply.status, status, "{body}");
        let told = reply.json();
        assert_eq!(told.get("code").is_some(), code, "{body}: {told}");
    }
    for method in ["PUT", "DELETE", "PATCH"] {
        let csrf = bob.csrf();
        let fields = [json, ("x-csrf-token", &*csrf)];
        let reply = bob.send(method, KEYS, &fields, "{}").await;
        assert_eq!(reply.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert!(reply.json()["error"].is_string());
    }
}

#[tokio::test]
async fn a_key_that_is_none_is_like_no_key() {
    let bench = host().await;
    let revoked = key_of(&bench, "bob", "Owned", KeyScope::Full).await;
    let app = AppName::cleaned("Owned").unwrap();
    bench
        .authority
        .app_keys
        .revoke(&name("bob"), &app)
        .await
        .unwrap();
    for key in ["", "unknown", &revoked] {
        let send = |method: &'static str, path: &'static str| {
            let fields = [("x-api-key", key), ("content-type", "application/json")];
            let body = r#"{"passive":true}"#;
            bench.ask(request(method, path, &fields, body), &HOME)
        };
        let me = send("GET", "/api/currentuser").await;
        assert_eq!(me.status, StatusCode::OK);
        assert_eq!(me.json()["name"], Value::Null);
        assert_eq!(send("GET", KEYS).await.status, StatusCode::FORBIDDEN);
        assert_eq!(
            send("GET", "/api/version").await.status,
            StatusCode::FORBIDDEN
        );
        assert_eq!(
            send("POST", "/api/login").await.status,
            StatusCode::BAD_REQUEST
        );
        assert_eq!(send("POST", KEYS).await.status, StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn keys_of_people_who_left_open_nothing_and_do_not_come_back_with_the_name() {
    let bench = host().await;
    let key = key_of(&bench, "bob", "Owned", KeyScope::Full).await;
    let users = &bench.authority.users;
    let asked =
        |path: &'static str| bench.ask(request("GET", path, &[("x-api-key", &*key)], ""), &HOME);
    assert_eq!(asked(KEYS).await.status, StatusCode::OK);
    users.set_active(&name("bob"), false).await.unwrap();
    assert_eq!(asked(KEYS).await.status, StatusCode::FORBIDDEN);
    assert_eq!(asked("/api/version").await.status, StatusCode::FORBIDDEN);
    users.set_active(&name("bob"), true).await.unwrap();
    assert_eq!(asked(KEYS).await.status, StatusCode::OK);
    users.remove(&name("bob")).await.unwrap();
    assert_eq!(asked(KEYS).await.status, StatusCode::FORBIDDEN);
    users.add("bob", PASSWORD, Group::Admins).await.unwrap();
    assert_eq!(asked(KEYS).await.status, StatusCode::FORBIDDEN);
}

/// Sealed with a key file that is gone: the text cannot be shown, and the key works.
#[tokio::test]
async fn without_the_key_file_keys_work_and_are_not_shown() {
    let bench = host().await;
    let key = key_of(&bench, "bob", "Owned", KeyScope::Full).await;
    let elsewhere = Bench::empty(config()).await;
    populate(&elsewhere).await;
    let store = &bench.authority.store;
    let owned = AppName::cleaned("Owned").unwrap();
    let kept = store
        .app_keys()
        .find(&name("bob"), &owned)
        .await
        .unwrap()
        .unwrap();
    // The same row as another key file would read it: sealed for another key.
    let id = AppKeyId::generate(&latchkey_model::chance::SeededChance::new(99));
    let mut moved = kept.key.clone();
    moved.id = id;
    let new = latchkey_store::host::NewAppKey {
        sealed: kept.sealed.clone(),
        key: moved,
    };
    elsewhere
        .authority
        .store
        .app_keys()
        .keep(&new)
        .await
        .unwrap();
    let mut app = bench_caller(&elsewhere, &key);
    assert_eq!(
        app.send("GET", "/api/currentuser", Sent::Nothing)
            .await
            .json()["name"],
        "bob"
    );
    let mut bob = browser_of(&elsewhere, "bob").await;
    let shown = bob.get(&format!("{KEYS}?app=Owned")).await;
    assert_eq!(shown.status, StatusCode::OK);
    assert!(shown.json()["key"].get("api_key").is_none());
    let mut bob = Caller {
        browser: bob,
        key: None,
    };
    let path = format!("/latchkey/keys/{}/reveal", new.key.id);
    let refused = bob.send("POST", &path, Sent::Form("x=1")).await;
    assert!(refused.status.is_server_error());
    assert!(!refused.text.contains(&key));
}

fn bench_caller<'b>(bench: &'b Bench, key: &str) -> Caller<'b> {
    Caller {
        browser: bench.browser(),
        key: Some(key.to_owned()),
    }
}
