//! Sections 5 and 6 of the contract: seeing, making and revoking keys, and using one.

use http::Method;
use serde_json::{Value, json};

use super::server::{Probe, Visitor};

const KEYS: &str = "/api/plugin/appkeys";

pub(super) async fn listing(probe: &mut Probe) {
    probe.section("keys");
    let [admin, user, viewer] = probe.people();
    let (stranger, powerless) = (probe.visitor(), probe.signed_in(&viewer).await);
    let (boss, owner) = (probe.signed_in(&admin).await, probe.signed_in(&user).await);
    let stale = probe.remembered(&user).await;
    let key = probe.key("Keys listed", &owner).await;
    probe.key("keys of the boss", &boss).await;
    let keyed = probe.visitor();
    for (who, visitor, key) in [
        ("stranger", &stranger, None),
        ("owner", &owner, None),
        ("boss", &boss, None),
        ("viewer", &powerless, None),
        ("stale", &stale, None),
        ("by key", &keyed, Some(key.as_str())),
    ] {
        for query in [
            "?app=keys%20LISTED",
            "?app=none",
            "?app=keys%20listed&user={user}",
            "?app=keys%20listed&user=nobody-there",
        ] {
            let path = format!("{KEYS}{}", query.replace("{user}", &user.name));
            let request = visitor.get(&path).header_opt("X-Api-Key", key);
            probe.ask(&format!("{who} {query}"), request).await;
        }
        for query in [
            "",
            "?app=",
            "?all=true",
            "?all=y",
            "?all=1",
            "?all=on",
            "?all=false",
        ] {
            let request = visitor.get(&format!("{KEYS}{query}"));
            let answer = request
                .header_opt("X-Api-Key", key)
                .send()
                .await
                .read()
                .await;
            // Keys of other sections are in the list as well, and other people's requests may be pending.
            let seen = match answer.status.as_u16() {
                200 => {
                    let listed = answer.json();
                    let keys = listed["keys"].as_array().unwrap().iter();
                    let keys = keys.filter(|one| {
                        one["app_id"]
                            .as_str()
                            .unwrap()
                            .to_lowercase()
                            .starts_with("keys ")
                    });
                    json!({"keys": keys.collect::<Vec<_>>(), "pending": listed["pending"].is_object()})
                }
                status => json!(status),
            };
            probe.note(&format!("{who} {query}"), seen);
        }
    }
}

pub(super) async fn commands(probe: &mut Probe) {
    probe.section("commands");
    let [admin, user, viewer] = probe.people();
    let (boss, owner) = (probe.signed_in(&admin).await, probe.signed_in(&user).await);
    let powerless = probe.signed_in(&viewer).await;
    let stale = probe.remembered(&user).await;
    let mut stranger = probe.visitor();
    let name = &user.name;
    let generate = json!({"command": "generate", "app": "command"});
    probe
        .ask(
            "stranger without a cookie",
            stranger.post_bare(KEYS, &generate),
        )
        .await;
    stranger.open("/login/").await;
    for (who, visitor) in [
        ("stranger", &stranger),
        ("owner", &owner),
        ("stale", &stale),
        ("viewer", &powerless),
        ("boss", &boss),
    ] {
        order(probe, who, visitor).await;
    }
    for (who, visitor) in [("owner", &owner), ("boss", &boss), ("stale", &stale)] {
        for body in [
            generate.clone(),
            json!({"command": "generate", "app": "COMMAND"}),
            json!({"command": "generate", "app": "  command  "}),
            json!({"command": "generate", "app": ""}),
            json!({"command": "generate"}),
            json!({"command": "generate", "app": "command", "user": name}),
            json!({"command": "generate", "app": "command", "user": admin.name}),
            json!({"command": "generate", "app": "command", "user": "nobody-there"}),
            json!({"command": "revoke"}),
            json!({"command": "revoke", "app": "none"}),
            json!({"command": "revoke", "key": "none"}),
            json!({"command": "revoke", "app": "Command"}),
            json!({"command": "revoke", "app": "command"}),
            json!({"command": "revoke", "app": "command", "user": name}),
            json!({"command": "revoke", "app": "command", "user": admin.name}),
        ] {
            let case = body.to_string().replace(&format!("\"{name}\""), "{user}");
            let case = case.replace(&format!("\"{}\"", admin.name), "{admin}");
            probe
                .ask(&format!("{who} {case}"), visitor.post(KEYS, &body))
                .await;
        }
    }
    revoking(probe, &boss, &owner).await;
}

async fn order(probe: &mut Probe, who: &str, visitor: &Visitor) {
    let typed = |kind: &str, body: &str| visitor.post_typed(KEYS, kind, body);
    let unprotected = visitor.post_bare(
        KEYS,
        &json!({"command": "generate", "app": "command order"}),
    );
    probe
        .ask(&format!("{who}, no CSRF token"), unprotected)
        .await;
    probe
        .ask(&format!("{who}, text"), typed("text/plain", "{}"))
        .await;
    probe
        .ask(
            &format!("{who}, unparsable"),
            typed("application/json", "{"),
        )
        .await;
    for body in [
        json!({}),
        json!({"command": "dance"}),
        json!({"command": null}),
        json!([]),
        json!("command"),
        Value::Null,
    ] {
        probe
            .ask(&format!("{who} {body}"), visitor.post(KEYS, &body))
            .await;
    }
}

async fn revoking(probe: &mut Probe, boss: &Visitor, owner: &Visitor) {
    let works = |key: &str| owner.bare().get("/api/version").header("X-Api-Key", key);
    let mine = probe.key("revoke mine", owner).await;
    let bosss = probe.key("revoke the boss's", boss).await;
    let revoke = |key: &str| json!({"command": "revoke", "key": key});
    probe
        .ask("another's key", owner.post(KEYS, &revoke(&bosss)))
        .await;
    probe.ask("another's key, then", works(&bosss)).await;
    probe.ask("own key", owner.post(KEYS, &revoke(&mine))).await;
    probe.ask("own key, then", works(&mine)).await;
    let mine = probe.key("revoke mine", owner).await;
    probe
        .ask("as administrator", boss.post(KEYS, &revoke(&mine)))
        .await;
    probe.ask("as administrator, then", works(&mine)).await;
    let mine = probe.key("revoke mine", owner).await;
    let other = probe.key("revoke other", owner).await;
    let both = json!({"command": "revoke", "key": mine, "app": "revoke other"});
    probe.ask("key and app", owner.post(KEYS, &both)).await;
    probe.ask("key and app, the key", works(&mine)).await;
    probe.ask("key and app, the app", works(&other)).await;
    let itself = owner
        .bare()
        .post_bare(KEYS, &json!({"command": "revoke", "app": "Revoke OTHER"}));
    probe
        .ask("itself", itself.header("X-Api-Key", &other))
        .await;
    probe.ask("itself, then", works(&other)).await;
}

pub(super) async fn using(probe: &mut Probe) {
    probe.section("using");
    let [admin, user, _] = probe.people();
    let owner = probe.signed_in(&user).await;
    let boss = probe.signed_in(&admin).await;
    let key = probe.key("using", &owner).await;
    let bosss = probe.key("using", &boss).await;
    let mut guest = probe.visitor();
    guest.open("/login/").await;
    let app = probe.visitor();
    let bearer = |key: &str| format!("Bearer {key}");
    for path in ["/api/currentuser", "/api/version", "/api/server"] {
        let query = |key: &str| format!("{path}?apikey={key}");
        for (case, request) in [
            ("no key", app.get(path)),
            ("header", app.get(path).header("X-Api-Key", &key)),
            (
                "header, other spelling",
                app.get(path).header("X-API-KEY", &key),
            ),
            (
                "bearer",
                app.get(path).header("Authorization", bearer(&key)),
            ),
            (
                "bearer in small letters",
                app.get(path)
                    .header("Authorization", format!("bearer {key}")),
            ),
            ("basic", app.get(path).basic(&user.name, &key)),
            ("query", app.get(&query(&key))),
            ("empty header", app.get(path).header("X-Api-Key", "")),
            ("empty query", app.get(&query(""))),
            ("unknown", app.get(path).header("X-Api-Key", "unknown")),
            (
                "wrong query, right header",
                app.get(&query("wrong")).header("X-Api-Key", &key),
            ),
            (
                "wrong header, right bearer",
                app.get(path)
                    .header("X-Api-Key", "wrong")
                    .header("Authorization", bearer(&key)),
            ),
            (
                "empty header, right bearer",
                app.get(path)
                    .header("X-Api-Key", "")
                    .header("Authorization", bearer(&key)),
            ),
            (
                "two people's",
                app.get(&query(&key)).header("X-Api-Key", &bosss),
            ),
            (
                "beside a guest's cookie",
                guest.get(path).header("X-Api-Key", &key),
            ),
            (
                "beside another's cookie",
                boss.get(path).header("X-Api-Key", &key),
            ),
            (
                "wrong beside a cookie",
                boss.get(path).header("X-Api-Key", "wrong"),
            ),
        ] {
            probe.ask(&format!("{path}, {case}"), request).await;
        }
    }
}

/// What a key does where browsers need a CSRF token.
pub(super) async fn logins(probe: &mut Probe) {
    probe.section("using");
    let [admin, user, _] = probe.people();
    let owner = probe.signed_in(&user).await;
    let boss = probe.signed_in(&admin).await;
    let key = probe.key("using", &owner).await;
    let mut guest = probe.visitor();
    guest.open("/login/").await;
    let app = probe.visitor();
    let passive = json!({"passive": true});
    for (case, request) in [
        (
            "passive login",
            app.post_bare("/api/login", &passive)
                .header("X-Api-Key", &key),
        ),
        (
            "passive login, unknown key",
            app.post_bare("/api/login", &passive)
                .header("X-Api-Key", "unknown"),
        ),
        (
            "command, unknown key",
            app.post_bare(KEYS, &json!({"command": "generate", "app": "x"}))
                .header("X-Api-Key", "unknown"),
        ),
        (
            "passive login, cookie, no CSRF token",
            boss.post_bare("/api/login", &passive)
                .header("X-Api-Key", &key),
        ),
        (
            "passive login, guest's cookie",
            guest
                .post_bare("/api/login", &passive)
                .header("X-Api-Key", &key),
        ),
        (
            "passive login, form",
            app.request(Method::POST, "/api/login")
                .form(&[("passive", "True")])
                .header("X-Api-Key", &key),
        ),
        (
            "passive login, key in the form",
            app.request(Method::POST, "/api/login")
                .form(&[("passive", "True"), ("apikey", &key)]),
        ),
        (
            "generate",
            app.post_bare(
                KEYS,
                &json!({"command": "generate", "app": "using, by key"}),
            )
            .header("X-Api-Key", &key),
        ),
    ] {
        probe.ask(case, request).await;
    }
}
