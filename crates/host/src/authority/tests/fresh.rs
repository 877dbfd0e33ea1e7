//! What needs a password that was typed lately.

use std::time::Duration;

use super::routes::ROUTES;
use super::who::fill;
use super::*;
use crate::sessions::tests::MINUTE;

/// What changes something, and needs no fresh password: why.
const WITHOUT: [(&str, &str); 10] = [
    ("/plugin/appkeys/request", "an app asks, not a person"),
    ("/api/plugin/latchkey", "a hint to apps where to look"),
    ("/api/plugin/octoeverywhere", "the same"),
    ("/api/login", "the password itself"),
    ("/login", "the password itself"),
    ("/login/", "the password itself"),
    ("/api/logout", "gives up a right"),
    ("/latchkey/sign-out", "gives up a right"),
    ("/latchkey/account/end-session", "gives up a right"),
    ("/latchkey/account/password", "asks for the old password"),
];

#[test]
fn what_changes_something_needs_a_fresh_password_but_for_what_is_named() {
    for route in ROUTES {
        let named = WITHOUT.iter().any(|(path, _)| *path == route.path);
        let changes = !route.changes_for.is_empty();
        assert!(!changes || route.fresh != named, "{}", route.path);
    }
}

#[tokio::test]
async fn after_five_minutes_and_a_second_a_password_is_asked_for_once_more() {
    for route in ROUTES.iter().filter(|route| route.fresh) {
        let who = if is_of_admins(route.path) {
            Who::Ann
        } else {
            Who::Bob
        };
        for (age, is_fresh) in [
            (MINUTE * 5, true),
            (MINUTE * 5 + Duration::from_secs(1), false),
        ] {
            let bench = host().await;
            let mut caller = Caller::new(&bench, who).await;
            bench.clock.advance(age);
            let things = Things::new(&bench).await;
            let before = state(&bench, &things).await;
            let path = things.fill(route.path);
            let body = fill(route.body, &things);
            let reply = caller.send(route.method, &path, body).await;
            let what = format!("{} {} at {age:?}", route.method, route.path);
            if is_fresh {
                let place = EVERYBODY.iter().position(|one| *one == who).unwrap();
                assert_eq!(reply.status, route.statuses[place], "{what}");
                assert!(
                    !reply.field("location").contains("reauthenticate"),
                    "{what}"
                );
                continue;
            }
            assert_eq!(
                without_seen(&state(&bench, &things).await),
                without_seen(&before),
                "{what}"
            );
            if reply.status == StatusCode::FORBIDDEN {
                assert_eq!(reply.json()["code"], "reauthenticate", "{what}");
            } else {
                assert!(reply.status.is_redirection(), "{what}: {}", reply.status);
                let to = reply.field("location");
                let is_sign_in = to.starts_with("/login/?") && to.contains("reauthenticate=true");
                assert!(is_sign_in, "{what}: {to}");
            }
        }
    }
}

/// Without when sessions were last used, which every request notes.
fn without_seen(state: &str) -> String {
    let mut parts = state.split(" seen: ");
    let mut rest = parts.next().unwrap().to_owned();
    for part in parts {
        rest.push_str(part.split_once(", ").map_or(part, |(_, after)| after));
    }
    rest
}

#[tokio::test]
async fn a_key_is_shown_by_its_app_only_to_who_typed_their_password_lately() {
    let bench = host().await;
    let key = key_of(&bench, "bob", "Owned", KeyScope::Full).await;
    let mut bob = browser_of(&bench, "bob").await;
    bench.clock.advance(MINUTE * 5);
    let shown = bob.get("/api/plugin/appkeys?app=owned").await.json();
    assert_eq!(shown["key"]["api_key"], key);
    bench.clock.advance(Duration::from_secs(1));
    let hidden = bob.get("/api/plugin/appkeys?app=owned").await;
    assert_eq!(hidden.status, StatusCode::OK);
    assert!(hidden.json()["key"].get("api_key").is_none());
    let mut app = Caller::new(&bench, Who::BobsFullKey).await;
    let shown = app
        .send("GET", "/api/plugin/appkeys?app=Owned", Sent::Nothing)
        .await;
    assert_eq!(shown.json()["key"]["api_key"], key, "a key is always fresh");
    let mut app = Caller::new(&bench, Who::BobsViewKey).await;
    let hidden = app
        .send("GET", "/api/plugin/appkeys?app=Owned", Sent::Nothing)
        .await;
    assert!(!hidden.text.contains(&key));
}
