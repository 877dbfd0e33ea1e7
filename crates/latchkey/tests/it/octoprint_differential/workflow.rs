//! Sections 1 to 3 of the contract: the endpoints of the workflow, their inputs, their order of checks, their limits.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::server::{Probe, Visitor};

/// Longer than an unwatched request lives.
const UNWATCHED: Duration = Duration::from_millis(6_500);

pub(super) async fn shapes(probe: &mut Probe) {
    probe.section("shapes");
    let visitor = probe.visitor();
    let known = [
        "/plugin/appkeys/probe",
        "/plugin/appkeys/request",
        "/plugin/appkeys/decision/none",
        "/plugin/appkeys/auth/none",
        "/plugin/appkeys/request/none",
        "/api/version",
        "/api/server",
        "/api/currentuser",
        "/api/login",
        "/api/logout",
        "/api/plugin/appkeys",
    ];
    for path in known {
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"] {
            // A request for a key without a body counts against the limit of its address.
            let visitor = probe.visitor();
            let request = visitor.request(method.parse::<Method>().unwrap(), path);
            probe.ask(&format!("{method} {path}"), request).await;
        }
    }
    for path in [
        "/plugin/appkeys/probe/",
        "/plugin/appkeys/nothing",
        "/plugin/appkeys/request/none/",
        "/api/nothing",
        "/api/version/",
        "/api/plugin/nothing",
        "/login",
        "/login/",
        "/apps/auth",
    ] {
        probe.ask(&format!("GET {path}"), visitor.get(path)).await;
    }
}

pub(super) async fn request_inputs(probe: &mut Probe) {
    probe.section("request");
    let nobody = json!({"app": "A", "user": "nobody-there"});
    let named = json!({"app": "A", "user": probe.server.user.name});
    for body in [
        json!({"app": "A"}),
        json!({"app": "A", "user": null}),
        json!({"app": "A", "user": ""}),
        nobody,
        named,
        json!({"app": "A", "more": [1, {"x": 2}]}),
        json!({}),
        json!({"user": "A"}),
        json!({"app": null}),
        json!({"app": ""}),
        json!({"app": 5}),
        json!(null),
        json!([]),
        json!(["app"]),
        json!("app"),
        json!("other"),
        json!(5),
    ] {
        let case = body.to_string().replace(&probe.server.user.name, "{user}");
        let visitor = probe.visitor();
        let request = visitor.post("/plugin/appkeys/request", &body);
        probe.ask(&case, request).await;
    }
    for (kind, body) in [
        (Some("application/json; charset=utf-8"), r#"{"app":"A"}"#),
        (Some("application/vnd.app+json"), r#"{"app":"A"}"#),
        (Some("APPLICATION/JSON"), r#"{"app":"A"}"#),
        (Some("text/json"), r#"{"app":"A"}"#),
        (Some("text/plain"), r#"{"app":"A"}"#),
        (Some("application/x-www-form-urlencoded"), "app=A"),
        (Some(""), r#"{"app":"A"}"#),
        (None, r#"{"app":"A"}"#),
        (Some("application/json"), ""),
        (Some("application/json"), "{"),
        (Some("application/json"), "{\"app\":\"A\"} x"),
    ] {
        let visitor = probe.visitor();
        let request = visitor.request(Method::POST, "/plugin/appkeys/request");
        let request = match kind {
            Some(kind) => request.body(kind, body),
            None => request.body_untyped(body),
        };
        probe.ask(&format!("{kind:?} {body}"), request).await;
    }
}

pub(super) async fn polling(probe: &mut Probe) {
    probe.section("polling");
    let (admin, user) = (probe.server.admin.clone(), probe.server.user.clone());
    let (admin, user) = (probe.signed_in(&admin).await, probe.signed_in(&user).await);
    let app = probe.visitor();

    let (token, user_token) = probe.request_seen_by("polling", &user).await;
    probe.ask("pending", app.fetch(&token)).await;
    let head = app.request(Method::HEAD, &format!("/plugin/appkeys/request/{token}"));
    probe.ask("pending, HEAD", head).await;
    probe.ask("the user's token", app.fetch(&user_token)).await;
    probe
        .ask("granting", user.decide(&user_token, &json!(true)))
        .await;
    probe
        .ask("granting again", user.decide(&user_token, &json!(true)))
        .await;
    let first = probe
        .ask("granted", app.fetch(&token))
        .await
        .unwrap()
        .json()["api_key"]
        .clone();
    probe.ask("granted, again", app.fetch(&token)).await;

    let (token, user_token) = probe.request_seen_by("POLLING", &user).await;
    probe
        .ask("denying", user.decide(&user_token, &json!(false)))
        .await;
    probe.ask("denied", app.fetch(&token)).await;

    let again = probe.key("Polling", &user).await;
    let others = probe.key("polling", &admin).await;
    probe.note("same key in another spelling", json!(first == again));
    probe.note("same key for another user", json!(first == others));
    let listed = user.listed().await;
    probe.note("the first spelling is kept", listed["keys"].clone());
}

pub(super) async fn times(probe: &mut Probe) {
    probe.section("times");
    let user = probe.server.user.clone();
    let user = probe.signed_in(&user).await;
    let app = probe.visitor();
    let (granted, user_token) = probe.request_seen_by("times, granted", &user).await;
    probe
        .ask("granting", user.decide(&user_token, &json!(true)))
        .await;
    let (unwatched, _) = probe.request_seen_by("times, unwatched", &user).await;
    let (looked_at, _) = probe.request_seen_by("times, looked at", &user).await;
    let watched = probe.request(&json!({"app": "times, watched"})).await;
    for _ in 0..3 {
        sleep(UNWATCHED / 3).await;
        app.fetch(&watched).send().await;
        user.get(&format!("/plugin/appkeys/auth/{looked_at}"))
            .send()
            .await;
    }
    probe.ask("unwatched", app.fetch(&unwatched)).await;
    probe
        .ask("looked at in the dialog only", app.fetch(&looked_at))
        .await;
    probe.ask("watched", app.fetch(&watched)).await;
    probe
        .ask("granted and fetched late", app.fetch(&granted))
        .await;
    let listed = user.listed().await;
    let mut pending: Vec<_> = listed["pending"].as_object().unwrap().values().collect();
    pending.retain(|one| one["app_id"].as_str().unwrap().starts_with("times"));
    probe.note("pending", json!(pending));
}

/// What `decision` may be.
pub(super) async fn decisions(probe: &mut Probe) {
    probe.section("decision");
    let admin = probe.server.admin.clone();
    let admin = probe.signed_in(&admin).await;
    let app = probe.visitor();
    for value in [
        json!(true),
        json!("true"),
        json!("True"),
        json!("TRUE"),
        json!("yes"),
        json!("y"),
        json!("1"),
        json!(1),
        json!(1.0),
        json!(false),
        json!("false"),
        json!("on"),
        json!("t"),
        json!("YES"),
        json!(2),
        json!(0),
        json!(null),
        json!(""),
        json!([]),
        json!([true]),
        json!({}),
        json!({"x": 1}),
    ] {
        let name = format!("decision {value}");
        let (token, user_token) = probe.request_seen_by(&name, &admin).await;
        probe
            .ask(&value.to_string(), admin.decide(&user_token, &value))
            .await;
        probe
            .ask(&format!("{value}, then"), app.fetch(&token))
            .await;
    }
}

/// The order in which a decision is checked.
pub(super) async fn deciders(probe: &mut Probe) {
    probe.section("decision");
    let [admin, user, viewer] = probe.people();
    let admin = probe.signed_in(&admin).await;
    let app = probe.visitor();
    let mut stranger = probe.visitor();
    let body = json!({"decision": true});
    let (token, user_token) = probe.request_seen_by("decision order", &admin).await;
    let path = format!("/plugin/appkeys/decision/{user_token}");
    probe
        .ask("anonymous, no CSRF token", stranger.post_bare(&path, &body))
        .await;
    stranger.open("/login/").await;
    probe.ask("anonymous", stranger.post(&path, &body)).await;
    order(probe, &admin, &path, "signed in").await;
    let viewer = probe.signed_in(&viewer).await;
    order(probe, &viewer, &path, "without the permission").await;
    probe
        .ask("without the permission", viewer.post(&path, &body))
        .await;
    let stale = probe.remembered(&user).await;
    order(probe, &stale, &path, "not fresh").await;
    probe.ask("not fresh", stale.post(&path, &body)).await;
    let unknown = format!("/plugin/appkeys/decision/{token}");
    probe
        .ask("not fresh, unknown", stale.post(&unknown, &body))
        .await;
    probe.ask("app token", admin.post(&unknown, &body)).await;
    let user_visitor = probe.signed_in(&user).await;
    let restricted = json!({"app": "decision restricted", "user": user.name});
    let token = probe.request(&restricted).await;
    let restricted = user_visitor.pending("decision restricted").await.unwrap();
    probe.note(
        "seen by others",
        json!(admin.pending("decision restricted").await),
    );
    probe
        .ask(
            "restricted to another",
            admin.decide(&restricted, &json!(true)),
        )
        .await;
    probe
        .ask("restricted to another, then", app.fetch(&token))
        .await;
    probe
        .ask(
            "restricted to the caller",
            user_visitor.decide(&restricted, &json!(true)),
        )
        .await;
    let key = probe.key("decision by key", &user_visitor).await;
    let (token, user_token) = probe
        .request_seen_by("decision by key, other", &admin)
        .await;
    let keyed = probe
        .visitor()
        .post_bare(&format!("/plugin/appkeys/decision/{user_token}"), &body);
    probe.ask("by key", keyed.header("X-Api-Key", key)).await;
    probe.ask("by key, then", app.fetch(&token)).await;
}

/// What is found wrong before the token is looked at.
async fn order(probe: &mut Probe, visitor: &Visitor, path: &str, who: &str) {
    let body = json!({"decision": true});
    let no_csrf = visitor.post_bare(path, &body);
    probe.ask(&format!("{who}, no CSRF token"), no_csrf).await;
    let wrong = visitor
        .post_bare(path, &body)
        .header("X-CSRF-Token", "wrong");
    probe.ask(&format!("{who}, wrong CSRF token"), wrong).await;
    let mut made_up = visitor.clone();
    made_up
        .cookies
        .retain(|name, _| !name.starts_with("csrf_token"));
    made_up.cookies.put("csrf_token", "made-up");
    let made_up = made_up.post(path, &body);
    probe.ask(&format!("{who}, made-up pair"), made_up).await;
    let typed = |kind: &str, body: &str| visitor.post_typed(path, kind, body);
    probe
        .ask(&format!("{who}, text"), typed("text/plain", "x"))
        .await;
    probe
        .ask(
            &format!("{who}, unparsable"),
            typed("application/json", "{"),
        )
        .await;
    probe
        .ask(&format!("{who}, empty"), typed("application/json", ""))
        .await;
    probe
        .ask(&format!("{who}, no member"), visitor.post(path, &json!({})))
        .await;
    for odd in [json!([]), json!("decision"), Value::Null] {
        probe
            .ask(&format!("{who}, {odd}"), visitor.post(path, &odd))
            .await;
    }
}

pub(super) async fn limits(probe: &mut Probe) {
    probe.section("limits");
    for (name, body) in [
        ("requests", json!({"app": "limits"})),
        ("bad requests", json!({})),
    ] {
        let visitor = probe.visitor();
        for number in 1..=4 {
            let request = visitor.post("/plugin/appkeys/request", &body);
            probe.ask(&format!("{name}, {number}"), request).await;
        }
        probe
            .ask(
                &format!("{name}, the probe still"),
                visitor.get("/plugin/appkeys/probe"),
            )
            .await;
    }
    let user = probe.server.user.clone();
    let credentials = json!({"user": user.name, "pass": user.password});
    let mut visitor = probe.visitor();
    visitor.open("/login/").await;
    for number in 1..=4 {
        let wrong = json!({"user": user.name, "pass": "wrong"});
        probe
            .ask(
                &format!("wrong password, {number}"),
                visitor.post("/api/login", &wrong),
            )
            .await;
    }
    probe
        .ask(
            "right password afterwards",
            visitor.post("/api/login", &credentials),
        )
        .await;
    let mut visitor = probe.visitor();
    visitor.open("/login/").await;
    for number in 1..=5 {
        let right = visitor
            .post("/api/login", &credentials)
            .send()
            .await
            .status()
            .as_u16();
        probe.note(&format!("right password, {number}"), json!(right));
    }
    for number in 1..=4 {
        let passive = visitor
            .post("/api/login", &json!({"passive": true}))
            .send()
            .await;
        probe.note(
            &format!("passive, {number}"),
            json!(passive.status().as_u16()),
        );
    }
}
