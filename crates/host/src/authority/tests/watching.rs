//! An app connection that only shows the printer: whoever calls through it, and whatever they bring.

use super::routes::ROUTES;
use super::*;

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
