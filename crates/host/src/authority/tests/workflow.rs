//! The workflow, row by row: asking, polling, deciding, and how long it all lasts.

use std::time::Duration;

use super::*;
use crate::contract::MAX_BODY;

const ASK: &str = "/plugin/appkeys/request";
const LIST: &str = "/api/plugin/appkeys";
const NEVER: &str = "no-store, no-cache, must-revalidate, post-check=0, pre-check=0, max-age=0";
const JSON: (&str, &str) = ("content-type", "application/json");
const SECOND: Duration = Duration::from_secs(1);

/// Asks from an address of its own, so that limits do not count.
async fn wish(bench: &Bench, from: u8, fields: &[(&str, &str)], body: &str) -> Reply {
    let mut inbound = at_home();
    inbound.address = [10, 0, 0, from].into();
    bench
        .ask(request("POST", ASK, fields, body), &inbound)
        .await
}

async fn get(bench: &Bench, path: &str) -> Reply {
    bench.ask(request("GET", path, &[], ""), &at_home()).await
}

async fn poll(bench: &Bench, app_token: &str) -> Reply {
    get(bench, &format!("{ASK}/{app_token}")).await
}

async fn decide(browser: &mut Browser<'_>, user_token: &str, body: &str) -> Reply {
    let token = browser.csrf();
    let fields = [JSON, ("x-csrf-token", &*token)];
    let path = format!("/plugin/appkeys/decision/{user_token}");
    browser.send("POST", &path, &fields, body).await
}

#[tokio::test]
async fn the_probe_is_empty_and_has_no_other_spelling() {
    let bench = host().await;
    for (method, path, status) in [
        ("GET", "/plugin/appkeys/probe", 204),
        ("HEAD", "/plugin/appkeys/probe", 204),
        ("GET", "/plugin/appkeys/probe/", 404),
        ("GET", "/plugin/appkeys", 404),
        ("GET", "/plugin/appkeys/", 404),
        ("GET", "/plugin/appkeys/other", 404),
        ("GET", "/plugin/appkeys/request", 405),
        ("GET", "/plugin/appkeys/decision/x", 405),
        ("GET", "/api/login", 405),
        ("GET", "/api/plugin/appkeys/x", 404),
    ] {
        let reply = bench.ask(request(method, path, &[], ""), &at_home()).await;
        assert_eq!(reply.status, status, "{method} {path}");
        match status {
            204 => {
                assert_eq!(reply.text, "");
                assert!(reply.field("content-type").starts_with("text/plain"));
            }
            _ => assert!(reply.json()["error"].is_string(), "{path}"),
        }
    }
}

type Fields<'a> = &'a [(&'a str, &'a str)];

#[tokio::test]
async fn an_app_asks_in_the_contracts_form() {
    let bench = host().await;
    let long = format!(r#"{{"app":"{}"}}"#, "x".repeat(MAX_BODY));
    let rows: &[(Fields<'_>, &str, u16)] = &[
        (&[JSON], r#"{"app":"A"}"#, 201),
        (
            &[("content-type", "application/json; charset=UTF-8")],
            r#"{"app":"A"}"#,
            201,
        ),
        (
            &[("content-type", "application/vnd.x+json")],
            r#"{"app":"A"}"#,
            201,
        ),
        (&[JSON], r#"{"app":"A","user":""}"#, 201),
        (&[JSON], r#"{"app":"A","user":null}"#, 201),
        (&[JSON], r#"{"app":"A","user":"nobody-here","more":1}"#, 201),
        (
            &[JSON, ("origin", "http://evil.example")],
            r#"{"app":"A"}"#,
            201,
        ),
        (&[JSON], "{}", 400),
        (&[JSON], "null", 400),
        (&[JSON], "[]", 400),
        (&[JSON], r#"["app"]"#, 400),
        (&[JSON], r#""app""#, 400),
        (&[JSON], r#"{"app":""}"#, 400),
        (&[JSON], r#"{"app":7}"#, 400),
        (&[JSON], "", 400),
        (&[JSON], "{", 400),
        (&[JSON], &long, 400),
        (&[], r#"{"app":"A"}"#, 415),
        (&[("content-type", "")], r#"{"app":"A"}"#, 415),
        (&[("content-type", "text/plain")], r#"{"app":"A"}"#, 415),
        (
            &[("content-type", "application/x-www-form-urlencoded")],
            "app=A",
            415,
        ),
    ];
    for (from, (fields, body, status)) in (0..).zip(rows) {
        let reply = wish(&bench, from, fields, body).await;
        assert_eq!(reply.status, *status, "{fields:?} {body:.80}");
        if *status != 201 {
            assert!(reply.json()["error"].is_string());
            continue;
        }
        let told = reply.json();
        let token = told["app_token"].as_str().unwrap();
        let location = format!("http://octopi.local{ASK}/{token}");
        assert_eq!(reply.field("location"), location);
        assert_eq!(reply.field("cache-control"), "no-cache");
        assert_eq!(reply.field("set-cookie"), "");
        let dialog = told["auth_dialog"].as_str().unwrap();
        let plain = format!("http://octopi.local/plugin/appkeys/auth/{token}");
        let restricted = format!("{plain}?user=nobody-here");
        let is_restricted = body.contains("nobody-here");
        assert_eq!(dialog, if is_restricted { restricted } else { plain });
    }
}

#[tokio::test]
async fn before_the_set_up_nothing_is_asked_polled_or_listed() {
    let bench = Bench::empty(config()).await;
    let asked = wish(&bench, 1, &[JSON], r#"{"app":"A"}"#).await;
    assert_eq!(asked.status, StatusCode::FORBIDDEN);
    for path in ["/plugin/appkeys/probe", LIST, "/plugin/appkeys/auth/x"] {
        assert_eq!(
            get(&bench, path).await.status,
            StatusCode::FORBIDDEN,
            "{path}"
        );
    }
}

#[tokio::test]
async fn an_address_may_ask_three_times_a_minute_five_in_ten_and_ten_an_hour() {
    let bench = host().await;
    let mut passed = Vec::new();
    for second in 0..3700 {
        if second > 0 {
            bench.clock.advance(SECOND);
        }
        // Bad bodies count too. Most seconds change nothing and are left out.
        if second % 60 < 5 {
            let body = if second % 2 == 0 {
                r#"{"app":"A"}"#
            } else {
                "{}"
            };
            let reply = wish(&bench, 9, &[JSON], body).await;
            match reply.status.as_u16() {
                429 => {
                    assert!(reply.json()["error"].is_string());
                    assert_eq!(reply.field("retry-after"), "");
                }
                201 | 400 => passed.push(second),
                other => panic!("{other}"),
            }
        }
    }
    assert_eq!(
        passed,
        [
            0, 1, 2, 60, 61, 600, 601, 602, 660, 661, 3600, 3601, 3602, 3660, 3661
        ]
    );
    let neighbour = wish(&bench, 10, &[JSON], r#"{"app":"A"}"#).await;
    assert_eq!(neighbour.status, StatusCode::CREATED);
}

#[tokio::test]
async fn of_fifty_requests_from_one_address_three_are_shown_and_others_get_through() {
    let bench = host().await;
    let mut bob = browser_of(&bench, "bob").await;
    for _ in 0..50 {
        wish(&bench, 66, &[JSON], r#"{"app":"Flood"}"#).await;
    }
    wish(&bench, 7, &[JSON], r#"{"app":"Good"}"#).await;
    let list = bob.get(LIST).await.json();
    let pending = list["pending"].as_object().unwrap();
    let named = |app: &str| pending.values().filter(|p| p["app_id"] == app).count();
    assert_eq!((named("Flood"), named("Good")), (3, 1));
}

#[tokio::test]
async fn deny_and_block_keeps_an_address_out_for_an_hour_and_nobody_else() {
    let bench = host().await;
    let mut bob = browser_of(&bench, "bob").await;
    wish(&bench, 66, &[JSON], r#"{"app":"Flood"}"#).await;
    let list = bob.get(LIST).await.json();
    let token = list["pending"].as_object().unwrap().keys().next().unwrap();
    let mut caller = Caller {
        browser: bob,
        key: None,
    };
    let path = format!("/latchkey/requests/{token}");
    let blocked = caller
        .send("POST", &path, Sent::Form("decision=deny_block"))
        .await;
    assert_eq!(blocked.status, StatusCode::OK);
    let minute = Duration::from_mins(1);
    for (from, after, status) in [
        (66, minute, 429),
        (67, minute, 201),
        (66, minute * 57, 429),
        (66, minute * 2, 201),
    ] {
        bench.clock.advance(after);
        let reply = wish(&bench, from, &[JSON], r#"{"app":"Flood"}"#).await;
        assert_eq!(reply.status, status, "{from} {after:?}");
    }
}

#[tokio::test]
async fn an_app_hears_202_then_its_key_once_then_404() {
    let bench = host().await;
    let mut bob = browser_of(&bench, "bob").await;
    let (app_token, user_token) = ask(&bench, None);
    let waiting = poll(&bench, &app_token).await;
    assert_eq!(waiting.status, StatusCode::ACCEPTED);
    assert_eq!(
        waiting.json(),
        serde_json::json!({ "message": "Awaiting decision" })
    );
    assert_eq!(waiting.field("cache-control"), "");
    let decided = decide(&mut bob, &user_token, r#"{"decision":true}"#).await;
    assert_eq!(decided.status, StatusCode::NO_CONTENT);
    assert_eq!(decided.text, "");
    assert!(
        bob.get(LIST).await.json()["pending"]
            .as_object()
            .unwrap()
            .is_empty()
    );
    // Granted, it waits longer than a pending one.
    bench.clock.advance(SECOND * 700);
    let keys = bench.authority.app_keys.list(None).await.unwrap();
    assert!(keys.is_empty(), "the key is made when it is fetched");
    let fetched = poll(&bench, &app_token).await;
    assert_eq!(fetched.status, StatusCode::OK);
    let key = fetched.json()["api_key"].as_str().unwrap().to_owned();
    assert_eq!(poll(&bench, &app_token).await.status, StatusCode::NOT_FOUND);
    let me = request("GET", "/api/currentuser", &[("x-api-key", &*key)], "");
    assert_eq!(bench.ask(me, &at_home()).await.json()["name"], "bob");
}

#[tokio::test]
async fn a_request_lives_five_seconds_without_a_poll_and_ten_minutes_at_most() {
    let bench = host().await;
    let mut bob = browser_of(&bench, "bob").await;
    let (app_token, _) = ask(&bench, None);
    bench.clock.advance(SECOND * 5);
    assert_eq!(poll(&bench, &app_token).await.status, StatusCode::ACCEPTED);
    bench.clock.advance(SECOND * 4);
    // Looking is not polling.
    bob.get(LIST).await;
    bob.get(&format!("/plugin/appkeys/auth/{app_token}")).await;
    bench.clock.advance(SECOND + Duration::from_millis(1));
    assert_eq!(poll(&bench, &app_token).await.status, StatusCode::NOT_FOUND);
    let (app_token, user_token) = ask(&bench, None);
    for second in (3..600).step_by(3) {
        bench.clock.advance(SECOND * 3);
        let status = poll(&bench, &app_token).await.status;
        assert_eq!(status, StatusCode::ACCEPTED, "after {second} s");
    }
    bench.clock.advance(SECOND * 3);
    assert_eq!(poll(&bench, &app_token).await.status, StatusCode::NOT_FOUND);
    let mut bob = browser_of(&bench, "bob").await;
    let late = decide(&mut bob, &user_token, r#"{"decision":true}"#).await;
    assert_eq!(late.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_denied_request_and_an_unknown_one_answer_404() {
    let bench = host().await;
    let mut bob = browser_of(&bench, "bob").await;
    let (app_token, user_token) = ask(&bench, None);
    let denied = decide(&mut bob, &user_token, r#"{"decision":false}"#).await;
    assert_eq!(denied.status, StatusCode::NO_CONTENT);
    for token in [&*app_token, &*user_token, "unknown"] {
        assert_eq!(poll(&bench, token).await.status, StatusCode::NOT_FOUND);
    }
    assert!(
        bench
            .authority
            .app_keys
            .list(None)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn decisions_are_read_as_the_contract_reads_them() {
    let bench = host().await;
    let mut bob = browser_of(&bench, "bob").await;
    for (decision, decided, polled) in [
        ("true", 204, 200),
        (r#""true""#, 204, 200),
        (r#""True""#, 204, 200),
        (r#""TRUE""#, 204, 200),
        (r#""yes""#, 204, 200),
        (r#""y""#, 204, 200),
        (r#""1""#, 204, 200),
        ("1", 204, 200),
        ("1.0", 204, 200),
        (r#""on""#, 204, 404),
        (r#""t""#, 204, 404),
        ("2", 204, 404),
        (r#""false""#, 204, 404),
        ("null", 204, 404),
        ("[]", 400, 202),
        ("{}", 400, 202),
    ] {
        let (app_token, user_token) = ask(&bench, None);
        let body = format!(r#"{{"decision":{decision}}}"#);
        let reply = decide(&mut bob, &user_token, &body).await;
        assert_eq!(reply.status, decided, "{decision}");
        assert_eq!(poll(&bench, &app_token).await.status, polled, "{decision}");
    }
}

/// Each row is wrong in all that the rows after it are wrong in, so that the order shows.
#[tokio::test]
async fn a_decision_is_checked_in_the_contracts_order() {
    let bench = host().await;
    let (mut rita, mut bob) = (
        browser_of(&bench, "rita").await,
        browser_of(&bench, "bob").await,
    );
    let mut nobody = guest(&bench);
    bench.clock.advance(Duration::from_mins(6));
    let path = "/plugin/appkeys/decision/unknown";
    let refused = |reply: Reply, status: u16, what: &str| {
        assert_eq!(reply.status, status, "{what}");
        assert!(reply.json()["error"].is_string(), "{what}");
    };
    let text = ("content-type", "text/plain");
    refused(
        nobody.send("POST", path, &[text], "{").await,
        400,
        "no token",
    );
    refused(
        rita.send("POST", path, &[text], "{").await,
        400,
        "no token, a person",
    );
    for (browser, kind, body, status, what) in [
        (0, text, "{", 403, "nobody signed in"),
        (1, text, "{", 415, "not JSON"),
        (1, JSON, "{", 400, "unreadable"),
        (1, JSON, "{}", 400, "no decision"),
        (1, JSON, r#"{"decision":true}"#, 403, "no right to decide"),
        (2, JSON, r#"{"decision":true}"#, 403, "an old password"),
    ] {
        let browser = match browser {
            0 => &mut nobody,
            1 => &mut rita,
            _ => &mut bob,
        };
        let token = browser.csrf();
        let fields = [kind, ("x-csrf-token", &*token)];
        let reply = browser.send("POST", path, &fields, body).await;
        if what == "an old password" {
            assert_eq!(reply.json()["code"], "reauthenticate");
        } else if status == 403 {
            assert!(reply.json().get("code").is_none());
        }
        refused(reply, status, what);
    }
    let mut bob = browser_of(&bench, "bob").await;
    refused(
        decide(&mut bob, "unknown", r#"{"decision":true}"#).await,
        404,
        "unknown",
    );
    let (app_token, user_token) = ask(&bench, Some("bob"));
    refused(
        decide(&mut bob, &app_token, r#"{"decision":true}"#).await,
        404,
        "an app's token",
    );
    let mut ann = browser_of(&bench, "ann").await;
    let reply = decide(&mut ann, &user_token, r#"{"decision":true}"#).await;
    refused(reply, 404, "an administrator is somebody else too");
    let mut bob = browser_of(&bench, "bob").await;
    let decided = decide(&mut bob, &user_token, r#"{"decision":true}"#).await;
    assert_eq!(decided.status, StatusCode::NO_CONTENT);
    refused(
        decide(&mut bob, &user_token, r#"{"decision":true}"#).await,
        404,
        "decided",
    );
}

#[tokio::test]
async fn the_same_app_gets_the_same_key_and_another_user_another() {
    let bench = host().await;
    let mut keys = Vec::new();
    for user in ["bob", "bob", "ben"] {
        let mut browser = browser_of(&bench, user).await;
        let (app_token, user_token) = ask(&bench, None);
        decide(&mut browser, &user_token, r#"{"decision":true}"#).await;
        keys.push(poll(&bench, &app_token).await.json()["api_key"].clone());
    }
    let generated = key_of(&bench, "bob", "wISH", KeyScope::Full).await;
    assert_eq!((&keys[0], &keys[0]), (&keys[1], &generated.into()));
    assert_ne!(keys[0], keys[2]);
    let kept = bench
        .authority
        .app_keys
        .list(Some(&name("bob")))
        .await
        .unwrap();
    assert_eq!(kept[0].app.as_str(), "Wish", "the first spelling stays");
}

#[tokio::test]
async fn answers_are_cached_as_the_contract_says_and_carry_its_fields() {
    let bench = host().await;
    let mut bob = browser_of(&bench, "bob").await;
    let (app_token, user_token) = ask(&bench, None);
    let dialog = format!("/plugin/appkeys/auth/{app_token}");
    let list = bob.get(LIST).await;
    let posted = bob.post(LIST, serde_json::json!({})).await;
    let shown = bob.get(&dialog).await;
    let decided = decide(&mut bob, &user_token, r#"{"decision":true}"#).await;
    for (reply, caching, what) in [
        (list, "max-age=0", "a list"),
        (posted, NEVER, "a command"),
        (shown, NEVER, "the dialog"),
        (decided, "no-cache", "a decision"),
        (get(&bench, "/plugin/appkeys/probe").await, "", "the probe"),
    ] {
        if what == "the dialog" {
            assert!(reply.field("cache-control").contains("no-store"));
        } else {
            assert_eq!(reply.field("cache-control"), caching, "{what}");
        }
        if caching == NEVER && what != "the dialog" {
            assert_eq!(
                (reply.field("pragma"), reply.field("expires")),
                ("no-cache", "-1")
            );
        }
        assert!(reply.field("vary").contains("Cookie"), "{what}");
        assert_eq!(reply.field("x-content-type-options"), "nosniff", "{what}");
        assert_eq!(
            reply.field("x-robots-tag"),
            "noindex, nofollow, noimageindex",
            "{what}"
        );
        let framing = reply.field("x-frame-options").to_lowercase();
        assert!(
            framing == "sameorigin" || framing == "deny",
            "{what}: {framing}"
        );
    }
}
