//! `/api/login`, `/api/logout`, `/api/currentuser`.

use std::net::IpAddr;

use serde_json::json;

use super::*;

#[tokio::test]
async fn a_login_tells_who_one_is_in_the_contracts_members() {
    let bench = Bench::new().await;
    let mut browser = bench.browser();
    browser.visit_login().await;
    let reply = browser.log_in("ann", PASSWORD).await;
    assert_eq!(reply.status, StatusCode::OK);
    let told = reply.json();
    for (member, value) in [
        ("name", json!("ann")),
        ("active", json!(true)),
        ("admin", json!(true)),
        ("user", json!(true)),
        ("groups", json!(["admins", "users"])),
        ("roles", json!(["user", "admin"])),
        ("permissions", json!([])),
        ("apikey", json!(null)),
        ("settings", json!({})),
        ("_is_external_client", json!(false)),
        ("_login_mechanism", json!("password")),
        ("_credentials_seen", json!("2026-01-31T12:00:00+00:00")),
    ] {
        assert_eq!(told[member], value, "{member}");
    }
    assert_eq!(told["needs"]["group"], json!(["admins", "users"]));
    let roles = told["needs"]["role"].as_array().unwrap();
    assert!(roles.contains(&json!("plugin_appkeys_user")));
    assert!(roles.contains(&json!("plugin_appkeys_admin")));
    assert!(
        reply.text.starts_with("{\n  \"_credentials_seen\""),
        "sorted"
    );
    assert!(
        browser
            .cookie("session_P80")
            .unwrap()
            .starts_with("lk_sess_")
    );

    for (user, groups, roles) in [
        ("bob", json!(["users"]), json!(["user"])),
        ("rita", json!(["readonly"]), json!(["user"])),
    ] {
        let told = bench.signed_in(user).await.passive().await;
        assert_eq!((&told["groups"], &told["roles"]), (&groups, &roles));
        assert_eq!(told["admin"], json!(false));
        let needs = told["needs"]["role"].as_array().unwrap().clone();
        assert_eq!(needs.contains(&json!("plugin_appkeys_user")), user == "bob");
    }
}

#[tokio::test]
async fn every_kind_of_login_has_its_status() {
    let bench = Bench::new().await;
    let form = "application/x-www-form-urlencoded";
    let json = "application/json";
    for (kind, body, status) in [
        (json, r#"{"user":"ann","pass":"right-horse"}"#, 200),
        (json, r#"{"user":"ann","pass":"wrong"}"#, 403),
        (json, r#"{"passive":true}"#, 200),
        (json, r#"{"passive":false}"#, 200),
        (json, r#"{"user":"ann"}"#, 400),
        (json, r#"{"user":"ann","pass":7}"#, 400),
        (json, "{}", 400),
        (json, "[]", 400),
        (json, "{", 400),
        (json, "", 400),
        (form, "user=ann&pass=right-horse&remember=true", 200),
        (form, "passive=true", 200),
        (form, "passive", 200),
        (form, "", 400),
    ] {
        let mut browser = bench.browser();
        browser.visit_login().await;
        let token = browser.csrf();
        let fields = [("content-type", kind), ("x-csrf-token", &*token)];
        let reply = browser.send("POST", "/api/login", &fields, body).await;
        assert_eq!(reply.status.as_u16(), status, "{kind} {body}");
        let told = reply.json();
        assert_eq!(told.get("error").is_some(), status != 200, "{body}");
        // Without the token every one of them is refused for that.
        let fields = [("content-type", kind)];
        let reply = browser.send("POST", "/api/login", &fields, body).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{kind} {body}");
    }
    for (method, path, status) in [
        ("GET", "/api/login", 405),
        ("PUT", "/api/login", 405),
        ("GET", "/api/logout", 405),
        ("HEAD", "/api/currentuser", 200),
        ("HEAD", "/login/", 200),
        ("GET", "/login", 200),
        ("GET", "/api/login/", 404),
        ("GET", "/api/currentuser/", 404),
    ] {
        let mut browser = bench.browser();
        browser.visit_login().await;
        let token = browser.csrf();
        let reply = browser
            .send(method, path, &[("x-csrf-token", &*token)], "")
            .await;
        assert_eq!(reply.status.as_u16(), status, "{method} {path}");
    }
}

#[tokio::test]
async fn a_password_in_an_address_signs_nobody_in() {
    let bench = Bench::new().await;
    let mut browser = bench.browser();
    browser.visit_login().await;
    let token = browser.csrf();
    let fields = [("x-csrf-token", &*token)];
    let path = "/api/login?user=ann&pass=right-horse";
    let reply = browser.send("POST", path, &fields, "").await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    let reply = browser
        .send("POST", "/api/login?passive=1", &fields, "")
        .await;
    assert_eq!(reply.status, StatusCode::OK);
}

#[tokio::test]
async fn somebody_unknown_is_told_no_name() {
    let bench = Bench::new().await;
    let mut browser = bench.browser();
    browser.visit_login().await;
    let told = browser.passive().await;
    let expected = json!({
        "_credentials_seen": false,
        "_is_external_client": false,
        "needs": { "group": ["guests"] },
    });
    assert_eq!(told, expected);
    let expected = json!({ "name": null, "permissions": [], "groups": ["guests"] });
    assert_eq!(browser.get("/api/currentuser").await.json(), expected);
    browser.inbound.address = [203, 0, 113, 9].into();
    assert_eq!(browser.passive().await["_is_external_client"], json!(true));
}

#[tokio::test]
async fn nobody_learns_whether_a_user_exists() {
    let bench = Bench::new().await;
    let mut replies = Vec::new();
    for (place, (user, pass)) in [
        ("ann", "wrong"),
        ("nobody", PASSWORD),
        ("olga", PASSWORD),
        ("_api", PASSWORD),
        ("two words", PASSWORD),
    ]
    .into_iter()
    .enumerate()
    {
        let mut browser = bench.browser();
        browser.inbound.address = [10, 0, 0, u8::try_from(place).unwrap()].into();
        browser.visit_login().await;
        let reply = browser.log_in(user, pass).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{user}");
        assert!(browser.cookie("session").is_none());
        replies.push((reply.text, format!("{:?}", reply.headers)));
    }
    replies.dedup();
    assert_eq!(replies.len(), 1, "{replies:?}");
}

#[tokio::test]
async fn after_three_wrong_passwords_the_right_one_is_limited_too() {
    let bench = Bench::new().await;
    let mut browser = bench.browser();
    browser.visit_login().await;
    for _ in 0..5 {
        let reply = browser.log_in("bob", PASSWORD).await;
        assert_eq!(reply.status, StatusCode::OK, "right ones do not count");
    }
    for _ in 0..3 {
        let reply = browser.log_in("ann", "wrong").await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN);
    }
    for (user, pass) in [("ann", "wrong"), ("ann", PASSWORD), ("bob", PASSWORD)] {
        let reply = browser.log_in(user, pass).await;
        assert_eq!(reply.status, StatusCode::TOO_MANY_REQUESTS, "{user}");
        assert!(reply.json()["error"].is_string());
        for field in ["retry-after", "x-ratelimit-limit"] {
            assert_eq!(reply.field(field), "");
        }
    }
    let mut elsewhere = bench.browser();
    elsewhere.inbound.address = [192, 168, 1, 8].into();
    elsewhere.visit_login().await;
    let reply = elsewhere.log_in("ann", PASSWORD).await;
    assert_eq!(reply.status, StatusCode::OK, "another address");
    bench.clock.advance(MINUTE);
    let reply = browser.log_in("ann", PASSWORD).await;
    assert_eq!(reply.status, StatusCode::OK);
}

#[tokio::test]
async fn the_eleventh_password_for_one_user_in_an_hour_is_limited_from_anywhere() {
    let bench = Bench::new().await;
    for user in ["ann", "nobody"] {
        for place in 0..12 {
            let mut browser = bench.browser();
            let network = if user == "ann" { 1 } else { 2 };
            browser.inbound.address = IpAddr::from([10, 0, network, place]);
            browser.visit_login().await;
            let reply = browser.log_in(user, "wrong").await;
            let expected = if place < 10 { 403 } else { 429 };
            assert_eq!(reply.status.as_u16(), expected, "{user} {place}");
        }
    }
    let mut browser = bench.browser();
    browser.visit_login().await;
    assert_eq!(browser.log_in("bob", PASSWORD).await.status, 200);
    assert_eq!(browser.log_in("ann", PASSWORD).await.status, 429);
    bench.clock.advance(MINUTE * 60);
    assert_eq!(browser.log_in("ann", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn many_guesses_at_once_get_no_more_answers_than_one_after_the_other() {
    let bench = Bench::new().await;
    let mut browser = bench.browser();
    browser.visit_login().await;
    let tries = (0..12).map(|_| {
        let mut browser = browser.clone();
        async move { browser.log_in("ann", "wrong").await.status.as_u16() }
    });
    let statuses = futures_util::future::join_all(tries).await;
    let answered = statuses.iter().filter(|status| **status == 403).count();
    assert_eq!(answered, 3, "{statuses:?}");
    assert!(statuses.iter().all(|status| [403, 429].contains(status)));
}

#[tokio::test]
async fn a_page_of_another_address_can_do_nothing_in_ones_name() {
    let bench = Bench::new().await;
    let mut browser = bench.signed_in("ann").await;
    let token = browser.csrf();
    for (fields, status) in [
        (vec![("origin", "http://octopi.local")], 200),
        (vec![("origin", "http://evil.example")], 403),
        (vec![("origin", "null")], 403),
        (vec![("sec-fetch-site", "cross-site")], 403),
        (vec![("sec-fetch-site", "same-origin")], 200),
    ] {
        let mut fields = fields.clone();
        fields.push(("content-type", "application/json"));
        let body = r#"{"passive":true}"#;
        let bare = browser.send("POST", "/api/login", &fields, body).await;
        assert_eq!(
            bare.status,
            StatusCode::BAD_REQUEST,
            "the token comes first"
        );
        fields.push(("x-csrf-token", &token));
        let reply = browser.send("POST", "/api/login", &fields, body).await;
        assert_eq!(reply.status.as_u16(), status, "{fields:?}");
        let logout = browser
            .clone()
            .send("POST", "/api/logout", &fields, "")
            .await;
        if status == 403 {
            assert_eq!(logout.status, StatusCode::FORBIDDEN, "{fields:?}");
            assert_eq!(browser.who().await.as_deref(), Some("ann"));
        } else {
            browser = bench.signed_in("ann").await;
            browser.jar.insert("csrf_token_P80".into(), token.clone());
        }
        for name in reply.headers.keys() {
            assert!(!name.as_str().starts_with("access-control"), "{name}");
        }
    }
    let preflight = [
        ("origin", "http://evil.example"),
        ("access-control-request-method", "POST"),
    ];
    let reply = browser.send("OPTIONS", "/api/login", &preflight, "").await;
    for name in reply.headers.keys() {
        assert!(!name.as_str().starts_with("access-control"), "{name}");
    }
}

#[tokio::test]
async fn answers_have_the_contracts_fields() {
    let bench = Bench::new().await;
    let never = "no-store, no-cache, must-revalidate, post-check=0, pre-check=0, max-age=0";
    for (method, path, caching) in [
        ("GET", "/api/currentuser", "max-age=0"),
        ("POST", "/api/login", never),
        ("POST", "/api/logout", never),
        ("GET", "/login/", "no-store"),
    ] {
        let reply = bench.browser().send(method, path, &[], "").await;
        assert_eq!(reply.field("cache-control"), caching, "{path}");
        assert_eq!(
            reply.field("x-robots-tag"),
            "noindex, nofollow, noimageindex"
        );
        assert_eq!(reply.field("x-content-type-options"), "nosniff");
        assert_eq!(reply.field("vary"), "Cookie", "{path}");
        assert_ne!(reply.field("x-frame-options"), "", "{path}");
        if path.starts_with("/api/") && method == "POST" {
            assert_eq!(reply.field("pragma"), "no-cache");
            assert_eq!(reply.field("expires"), "-1");
        }
    }
}
