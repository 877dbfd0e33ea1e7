//! Section 4 of the contract: who is shown the dialog, and where everybody else is sent.

use serde_json::json;

use super::server::Probe;

pub(super) async fn rows(probe: &mut Probe) {
    probe.section("dialog");
    let [admin, user, viewer] = probe.people();
    let stranger = probe.visitor();
    let signed_in = probe.signed_in(&user).await;
    let other = probe.signed_in(&admin).await;
    let powerless = probe.signed_in(&viewer).await;
    let stale = probe.remembered(&user).await;
    let mallory = "<script>alert(1)</script>";
    let open = probe.request(&json!({"app": mallory})).await;
    let bound = probe
        .request(&json!({"app": "dialog", "user": user.name}))
        .await;
    let name = &user.name;
    let at = |token: &str, query: &str| format!("/plugin/appkeys/auth/{token}{query}");

    for (who, visitor) in [
        ("stranger", &stranger),
        ("user", &signed_in),
        ("stale", &stale),
    ] {
        let unknown = visitor.get(&at("none", ""));
        probe.ask(&format!("{who}, unknown token"), unknown).await;
    }
    for (who, visitor) in [
        ("stranger", &stranger),
        ("user", &signed_in),
        ("another", &other),
        ("without the permission", &powerless),
        ("stale", &stale),
    ] {
        for (which, token, query) in [
            ("open", &open, String::new()),
            ("open", &open, format!("?user={name}")),
            (
                "open",
                &open,
                "?redirect=https://app.example/back".to_owned(),
            ),
            ("bound", &bound, String::new()),
            ("bound", &bound, format!("?user={name}")),
            ("bound", &bound, format!("?user={name}&redirect=app://back")),
        ] {
            let case = format!("{who}, {which} {}", query.replace(name, "{user}"));
            // Looking at the dialog does not keep a request alive; its app does.
            for token in [&open, &bound] {
                stranger.fetch(token).send().await;
            }
            let Some(answer) = probe.ask(&case, visitor.get(&at(token, &query))).await else {
                continue;
            };
            if answer.status == 200 {
                let page = answer.text();
                let has = |text: &str| page.contains(text);
                let facts = json!({
                    "names the app": has("alert(1)") || has("dialog"),
                    "hostile text": has(mallory),
                    "address": has("203.0."),
                    "greets": has(name.as_str()) || has(&admin.name),
                });
                probe.note(&format!("{case}, the page"), facts);
            }
        }
    }
    let key = probe.key("dialog by key", &signed_in).await;
    stranger.fetch(&open).send().await;
    let keyed = probe.visitor().get(&at(&open, "")).header("X-Api-Key", key);
    probe.ask("by key", keyed).await;
}

pub(super) async fn login_page(probe: &mut Probe) {
    probe.section("login page");
    let [_, user, _] = probe.people();
    let (stranger, signed_in) = (probe.visitor(), probe.signed_in(&user).await);
    let stale = probe.remembered(&user).await;
    for target in [
        "",
        "?redirect=/",
        "?redirect=/plugin/appkeys/auth/x",
        "?redirect=%2Fplugin%2Fappkeys%2Fauth%2Fx%3Fuser%3Dy",
        "?redirect=/nothing/known",
        "?redirect=//evil.example/",
        "?redirect=http://evil.example/",
        "?redirect=javascript:alert(1)",
        "?redirect=/plugin/appkeys/auth/x&reauthenticate=true&user_id=x",
    ] {
        for (who, visitor) in [
            ("stranger", &stranger),
            ("user", &signed_in),
            ("stale", &stale),
        ] {
            let page = visitor.get(&format!("/login/{target}"));
            probe.ask(&format!("{who} {target}"), page).await;
        }
    }
}
