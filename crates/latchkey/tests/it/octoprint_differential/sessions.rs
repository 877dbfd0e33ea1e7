//! Section 7 of the contract: login, logout, CSRF, and what a session shows.

use http::Method;
use serde_json::json;

use super::server::Probe;

pub(super) async fn logins(probe: &mut Probe) {
    probe.section("login");
    let [admin, user, viewer] = probe.people();
    for (who, person) in [("admin", &admin), ("user", &user), ("viewer", &viewer)] {
        for remember in [false, true] {
            let who = if remember {
                format!("{who}, to be remembered")
            } else {
                who.to_owned()
            };
            let mut visitor = probe.visitor();
            let page = visitor.get("/login/");
            let page = probe.ask(&format!("{who}, page"), page).await.unwrap();
            visitor.learn(&page);
            let body = json!({"user": person.name, "pass": person.password, "remember": remember});
            let answer = visitor.post("/api/login", &body);
            let answer = probe
                .ask(&format!("{who}, password"), answer)
                .await
                .unwrap();
            visitor.learn(&answer);
            let again = visitor.post("/api/login", &json!({"passive": true}));
            let again = probe.ask(&format!("{who}, passive"), again).await.unwrap();
            let same = again.json()["session"] == answer.json()["session"];
            probe.note(&format!("{who}, same session"), json!(same));
            probe
                .ask(&format!("{who}, who"), visitor.get("/api/currentuser"))
                .await;
            probe
                .ask(&format!("{who}, version"), visitor.get("/api/version"))
                .await;
        }
        let remembered = probe.remembered(person).await;
        probe
            .ask(
                &format!("{who}, remembered"),
                remembered.get("/api/currentuser"),
            )
            .await;
        let passive = remembered.post("/api/login", &json!({"passive": true}));
        probe
            .ask(&format!("{who}, remembered, passive"), passive)
            .await;
    }
    inputs(probe).await;
}

async fn inputs(probe: &mut Probe) {
    let [_, user, _] = probe.people();
    let mut guest = probe.visitor();
    guest.open("/login/").await;
    let right = json!({"user": user.name, "pass": user.password});
    let bare = guest.post_bare("/api/login", &right);
    probe.ask("no CSRF token", bare).await;
    let fresh = probe.visitor();
    probe
        .ask("no cookie", fresh.post_bare("/api/login", &right))
        .await;
    for (case, body) in [
        ("neither", json!({})),
        ("no password", json!({"user": user.name})),
        ("no name", json!({"pass": "x"})),
        ("unknown user", json!({"user": "nobody-there", "pass": "x"})),
        (
            "wrong password",
            json!({"user": user.name, "pass": "wrong"}),
        ),
        ("passive", json!({"passive": true})),
        ("passive, false", json!({"passive": false})),
        ("passive, null", json!({"passive": null})),
        ("a list", json!([])),
        ("a text", json!("passive")),
        (
            "a number as password",
            json!({"user": user.name, "pass": 5}),
        ),
        ("nulls", json!({"user": null, "pass": null})),
    ] {
        // Each from elsewhere: failures count.
        let mut guest = probe.visitor();
        guest.open("/login/").await;
        probe.ask(case, guest.post("/api/login", &body)).await;
    }
    let form = |fields: &[(&str, &str)]| {
        let request = guest.request(Method::POST, "/api/login");
        request
            .header_opt("X-CSRF-Token", guest.csrf())
            .form(fields)
    };
    probe
        .ask(
            "form",
            form(&[("user", &user.name), ("pass", &user.password)]),
        )
        .await;
    probe
        .ask(
            "form, remembered",
            form(&[
                ("user", &user.name),
                ("pass", &user.password),
                ("remember", "true"),
            ]),
        )
        .await;
    probe.ask("form, passive", form(&[("passive", "")])).await;
    let typed = |kind: &str, body: &str| {
        let request = guest.request(Method::POST, "/api/login");
        request
            .header_opt("X-CSRF-Token", guest.csrf())
            .body(kind, body.to_owned())
    };
    probe
        .ask("unparsable", typed("application/json", "{"))
        .await;
    probe.ask("text", typed("text/plain", "passive")).await;
    // An upper-case name is another name.
    let shouted = json!({"user": user.name.to_uppercase(), "pass": user.password});
    let mut guest = probe.visitor();
    guest.open("/login/").await;
    probe
        .ask("name in capitals", guest.post("/api/login", &shouted))
        .await;
}

pub(super) async fn logouts(probe: &mut Probe) {
    probe.section("logout");
    let [_, user, _] = probe.people();
    let mut guest = probe.visitor();
    probe
        .ask(
            "stranger, no CSRF token",
            guest.post_bare("/api/logout", &json!({})),
        )
        .await;
    guest.open("/login/").await;
    probe
        .ask("stranger", guest.post("/api/logout", &json!({})))
        .await;
    let mut visitor = probe.signed_in(&user).await;
    probe
        .ask(
            "no CSRF token",
            visitor.post_bare("/api/logout", &json!({})),
        )
        .await;
    let copy = visitor.clone();
    let answer = visitor.post("/api/logout", &json!({}));
    let answer = probe.ask("signed in", answer).await.unwrap();
    visitor.learn(&answer);
    probe
        .ask("afterwards", visitor.get("/api/currentuser"))
        .await;
    probe
        .ask(
            "afterwards, passive",
            visitor.post("/api/login", &json!({"passive": true})),
        )
        .await;
    probe
        .ask("a copy of the cookie", copy.get("/api/currentuser"))
        .await;
    probe
        .ask("a copy of the cookie, version", copy.get("/api/version"))
        .await;
    let answer = visitor.post(
        "/api/login",
        &json!({"user": user.name, "pass": user.password}),
    );
    probe.ask("login again", answer).await;

    // Somebody remembered who logs out is not remembered.
    let mut visitor = probe.visitor();
    visitor.open("/login/").await;
    visitor.log_in(&user, true).await;
    let answer = visitor.post("/api/logout", &json!({}));
    let answer = probe.ask("remembered", answer).await.unwrap();
    visitor.learn(&answer);
    probe
        .ask("remembered, afterwards", visitor.get("/api/currentuser"))
        .await;
}

/// Signing in again as oneself makes old credentials fresh, and keeps the session.
pub(super) async fn freshness(probe: &mut Probe) {
    probe.section("freshness");
    let [_, user, _] = probe.people();
    let mut visitor = probe.remembered(&user).await;
    let first = visitor
        .post("/api/login", &json!({"passive": true}))
        .send()
        .await
        .read()
        .await;
    visitor.learn(&first);
    let generate = json!({"command": "generate", "app": "freshness"});
    let path = "/api/plugin/appkeys";
    probe.ask("before", visitor.post(path, &generate)).await;
    let again = visitor.log_in(&user, false).await;
    let same = first.json()["session"] == again.json()["session"];
    probe.note("same session, once remembered", json!(same));
    probe.ask("after", visitor.post(path, &generate)).await;
    let shown = visitor.get(&format!("{path}?app=freshness"));
    probe.ask("the key is shown", shown).await;
    let third = visitor.log_in(&user, false).await;
    let same = again.json()["session"] == third.json()["session"];
    probe.note("same session, signed in", json!(same));
}
