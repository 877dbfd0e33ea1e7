//! An app connection that only shows the printer: whoever calls through it, and whatever they bring.

use serde_json::json;

use super::routes::ROUTES;
use super::*;
use crate::push::Listeners;

/// Whoever may be known through one.
const CALLERS: [Who; 8] = [
    Who::Guest,
    Who::Bob,
    Who::Ann,
    Who::BobsFullKey,
    Who::BobsViewKey,
    Who::AppConnection,
    Who::SessionKey,
    Who::AdminSessionKey,
];

/// Who one is, and what is asked of those who may decide elsewhere.
const ALLOWED: [&str; 7] = [
    "/login",
    "/login/",
    "/api/login",
    "/api/logout",
    "/latchkey/sign-out",
    "/apps/auth",
    "/plugin/appkeys/request",
];

fn watching() -> Door {
    Door::Tunnel {
        app_connection: Some("c1".to_owned()),
        scope: KeyScope::View,
    }
}

#[tokio::test]
async fn through_it_nobody_changes_anything_at_the_host() {
    for who in CALLERS {
        let bench = host().await;
        let things = Things::new(&bench).await;
        let mut caller = Caller::new(&bench, who).await;
        caller.browser.inbound.door = watching();
        let before = state(&bench, &things).await;
        for route in ROUTES {
            if route.method == "GET" || ALLOWED.contains(&route.path) {
                continue;
            }
            let path = things.fill(route.path);
            let reply = caller.send(route.method, &path, route.body).await;
            assert_eq!(reply.status, 403, "{who:?} {} {path}", route.method);
        }
        assert_eq!(state(&bench, &things).await, before, "{who:?}");
    }
}

#[tokio::test]
async fn through_it_nobody_sees_what_is_the_administrators() {
    for who in CALLERS {
        let bench = host().await;
        let things = Things::new(&bench).await;
        let mut caller = Caller::new(&bench, who).await;
        caller.browser.inbound.door = watching();
        for route in ROUTES.iter().filter(|route| route.method == "GET") {
            let path = things.fill(route.path);
            let reply = caller.send("GET", &path, Sent::Nothing).await;
            if is_of_admins(&path) || path.contains("/keys/all") {
                assert!(
                    !reply.status.is_success(),
                    "{who:?} {path}: {}",
                    reply.status
                );
            }
        }
    }
}

#[tokio::test]
async fn through_it_nobody_is_told_a_key() {
    let bench = host().await;
    let things = Things::new(&bench).await;
    let key = key_of(&bench, "bob", "Owned", KeyScope::Full).await;
    for who in [Who::Bob, Who::Ann, Who::BobsFullKey] {
        let mut caller = Caller::new(&bench, who).await;
        let one = "/api/plugin/appkeys?app=Owned&user=bob";
        let at_home = caller.send("GET", one, Sent::Nothing).await;
        assert_eq!(at_home.json()["key"]["api_key"], json!(key), "{who:?}");
        caller.browser.inbound.door = watching();
        for route in ROUTES.iter().filter(|route| route.method == "GET") {
            let path = things.fill(route.path);
            let reply = caller.send("GET", &path, Sent::Nothing).await;
            assert!(!reply.text.contains(&key), "{who:?} {path}");
        }
        for path in [
            one,
            "/api/plugin/appkeys?app=Owned",
            "/api/plugin/appkeys?all=true",
        ] {
            let reply = caller.send("GET", path, Sent::Nothing).await;
            assert!(!reply.text.contains("api_key"), "{who:?} {path}");
        }
    }
    // The entry itself may be seen: it is the person's own.
    let mut bob = Caller::new(&bench, Who::Bob).await;
    bob.browser.inbound.door = watching();
    let reply = bob
        .send("GET", "/api/plugin/appkeys?app=Owned", Sent::Nothing)
        .await;
    assert_eq!(reply.json()["key"]["app_id"], "Owned");
}

#[tokio::test]
async fn through_it_nobody_hears_of_key_requests_at_the_push_socket() {
    let bench = host().await;
    for who in [Who::Bob, Who::Ann, Who::BobsFullKey] {
        let mut caller = Caller::new(&bench, who).await;
        let passive = Sent::Json(r#"{"passive":true}"#);
        let told = caller.send("POST", "/api/login", passive).await.json();
        let text = |name: &str| told[name].as_str().map(str::to_owned).unwrap_or_default();
        let (user, session) = (text("name"), text("session"));
        let listen = |door: Door| {
            let (authority, user, session) = (&bench.authority, &user, &session);
            async move {
                Listeners::identify(authority, user, session, &door)
                    .await
                    .unwrap()
            }
        };
        assert!(listen(Door::Lan).await.sees_requests, "{who:?}");
        let through = listen(watching()).await;
        assert!(
            !through.sees_requests && through.receives_upstream,
            "{who:?}"
        );
    }
}
