//! How long a sign-in lasts, and what ends it.

use serde_json::json;

use super::*;
use crate::authority::caller::Caller;

#[tokio::test]
async fn a_login_changes_the_cookie_and_keeps_the_handle() {
    let bench = Bench::new().await;
    let mut browser = bench.signed_in("ann").await;
    let handle = browser.passive().await["session"].clone();
    assert!(handle.as_str().is_some_and(|handle| !handle.is_empty()));
    assert_eq!(browser.passive().await["session"], handle, "the same again");
    let mut copy = browser.clone();
    bench.clock.advance(MINUTE);
    let told = browser.log_in("ann", PASSWORD).await.json();
    assert_eq!(told["session"], handle, "the same session");
    assert_ne!(browser.cookie("session"), copy.cookie("session"));
    assert_eq!(browser.who().await.as_deref(), Some("ann"));
    assert_eq!(copy.who().await, None, "the old cookie is dead");
    let told = browser.log_in("bob", PASSWORD).await.json();
    assert_ne!(told["session"], handle, "another person, another session");
    assert_eq!(push(&bench, "ann", handle.as_str().unwrap()).await, None);
}

#[tokio::test]
async fn a_cookie_that_somebody_planted_is_never_signed_in() {
    let bench = Bench::new().await;
    let planted = bench.signed_in("bob").await.cookie("session_P80").unwrap();
    let mut thief = bench.browser();
    thief.jar.insert("session_P80".into(), planted.clone());
    let mut victim = thief.clone();
    victim.visit_login().await;
    assert_eq!(victim.log_in("ann", PASSWORD).await.status, 200);
    assert_ne!(victim.cookie("session_P80"), Some(planted));
    assert_eq!(thief.who().await, None);
}

#[tokio::test]
async fn a_logout_ends_copies_of_the_cookie_and_the_push_socket() {
    let bench = Bench::new().await;
    let mut browser = bench.signed_in("ann").await;
    let handle = browser.passive().await["session"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(push(&bench, "ann", &handle).await.as_deref(), Some("ann"));
    assert_eq!(push(&bench, "bob", &handle).await, None, "another's name");
    let request = request(
        "GET",
        "/api/currentuser",
        &[(
            "cookie",
            &format!("session_P80={}", browser.cookie("session").unwrap()),
        )],
        "",
    );
    let (parts, _) = request.into_parts();
    let held = bench
        .authority
        .identify(&parts, &at_home(), true)
        .await
        .unwrap();
    let mut copy = browser.clone();
    let reply = browser.post("/api/logout", json!({})).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(reply.json(), json!({ "needs": { "group": ["guests"] } }));
    assert_eq!(browser.cookie("session"), None);
    assert_eq!(browser.cookie("active_logout_P80").as_deref(), Some("true"));
    assert_eq!(copy.who().await, None);
    assert_eq!(push(&bench, "ann", &handle).await, None);
    assert!(
        held.hold.unwrap().ended().is_cancelled(),
        "what is open ends"
    );
    browser.log_in("ann", PASSWORD).await;
    assert_eq!(browser.cookie("active_logout_P80"), None);
}

#[tokio::test]
async fn a_session_ends_when_idle_and_lives_while_used() {
    let bench = Bench::new().await;
    let mut used = bench.signed_in("ann").await;
    let mut idle = bench.signed_in("ann").await;
    for _ in 0..3 {
        bench.clock.advance(MINUTE * 5);
        assert_eq!(used.who().await.as_deref(), Some("ann"));
    }
    assert_eq!(idle.who().await, None);
    bench.clock.advance(MINUTE * 14);
    assert_eq!(used.who().await.as_deref(), Some("ann"));
    bench.clock.advance(MINUTE * 15);
    assert_eq!(used.who().await, None);
    bench.authority.sessions.clear().await.unwrap();
    let left = bench.authority.store.sessions().list_of(&name("ann")).await;
    assert!(left.unwrap().is_empty());
}

#[tokio::test]
async fn no_session_outlives_thirty_days() {
    let bench = Bench::new().await;
    let mut browser = bench.signed_in("ann").await;
    for _ in 0..30 * 24 * 6 - 1 {
        bench.clock.advance(MINUTE * 10);
        assert_eq!(browser.who().await.as_deref(), Some("ann"));
    }
    bench.clock.advance(MINUTE * 10);
    assert_eq!(browser.who().await, None);
}

#[tokio::test]
async fn changing_removing_or_deactivating_a_user_ends_their_sessions() {
    let bench = Bench::new().await;
    let users = &bench.authority.users;
    let bob = name("bob");
    let mut this = bench.signed_in("bob").await;
    let mut other = bench.signed_in("bob").await;
    let handle = other.passive().await["session"]
        .as_str()
        .unwrap()
        .to_owned();
    let sessions = bench
        .authority
        .store
        .sessions()
        .list_of(&bob)
        .await
        .unwrap();
    let token = latchkey_model::secret::SessionToken::parse(&this.cookie("session").unwrap());
    let found = bench.authority.store.sessions();
    let found = found.find(&token.unwrap().hash()).await.unwrap().unwrap();
    assert_eq!(sessions.len(), 2);
    let keep = found.session.id;
    users
        .change_own_password(&bob, PASSWORD, "another-horse", &keep)
        .await
        .unwrap();
    assert_eq!(this.who().await.as_deref(), Some("bob"));
    assert_eq!(other.who().await, None);
    assert_eq!(push(&bench, "bob", &handle).await, None);
    users.set_active(&bob, false).await.unwrap();
    assert_eq!(this.who().await, None);
    users.set_active(&bob, true).await.unwrap();
    assert_eq!(this.who().await, None, "for good");
    let mut rita = bench.signed_in("rita").await;
    users.remove(&name("rita")).await.unwrap();
    assert_eq!(rita.who().await, None);
}

#[tokio::test]
async fn making_a_key_needs_a_password_not_older_than_five_minutes() {
    let bench = Bench::new().await;
    let mut browser = bench.signed_in("bob").await;
    let generate = || json!({ "command": "generate", "app": "An app" });
    let keys = "/api/plugin/appkeys";
    bench.clock.advance(MINUTE * 5);
    assert_eq!(browser.post(keys, generate()).await.status, 200);
    bench.clock.advance(Duration::from_secs(1));
    let reply = browser.post(keys, generate()).await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
    assert_eq!(reply.json()["code"], "reauthenticate");
    browser.log_in("bob", PASSWORD).await;
    assert_eq!(browser.post(keys, generate()).await.status, 200);
}

#[tokio::test]
async fn a_remembered_browser_comes_back_once_per_token_and_is_never_fresh() {
    let bench = Bench::new().await;
    let mut browser = bench.browser();
    browser.visit_login().await;
    let wish = json!({ "user": "bob", "pass": PASSWORD, "remember": true });
    browser.post("/api/login", wish).await;
    let first = browser.cookie("remember_token_P80").unwrap();
    bench.clock.advance(MINUTE * 60 * 24);
    let mut copy = browser.clone();
    let told = browser.passive().await;
    assert_eq!(told["name"], "bob");
    assert_eq!(told["_login_mechanism"], "remember_me");
    assert_eq!(told["_credentials_seen"], false);
    assert_ne!(browser.cookie("remember_token_P80").unwrap(), first);
    let generate = json!({ "command": "generate", "app": "An app" });
    let reply = browser.post("/api/plugin/appkeys", generate).await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
    // What the browser asked for at the same moment leads to the same session.
    let same = copy.clone().passive().await;
    assert_eq!(same["session"], told["session"]);
    bench.clock.advance(MINUTE);
    assert_eq!(copy.who().await, None, "the token was good for once");
    assert_eq!(browser.who().await.as_deref(), Some("bob"));

    let users = &bench.authority.users;
    users
        .set_password(&name("bob"), "another-horse", None)
        .await
        .unwrap();
    assert_eq!(browser.who().await, None, "bound to the password");
}

#[tokio::test]
async fn a_browser_is_remembered_for_ninety_days_and_not_after_a_logout() {
    let bench = Bench::new().await;
    let wish = || json!({ "user": "bob", "pass": PASSWORD, "remember": true });
    let mut browser = bench.browser();
    browser.visit_login().await;
    browser.post("/api/login", wish()).await;
    let mut left = browser.clone();
    left.jar.remove("session_P80");
    browser.post("/api/logout", json!({})).await;
    assert_eq!(browser.cookie("remember_token"), None);
    assert_eq!(left.who().await, None, "a copy of it is worth nothing");
    browser.post("/api/login", wish()).await;
    let mut late = browser.clone();
    bench.clock.advance(MINUTE * (60 * 24 * 90 - 1));
    assert_eq!(browser.who().await.as_deref(), Some("bob"));
    late.jar.remove("session_P80");
    bench.clock.advance(MINUTE * 60 * 24 * 90);
    assert_eq!(late.who().await, None);
    assert_eq!(browser.who().await, None);
}

#[tokio::test]
async fn signing_out_of_a_session_that_was_idle_lasts() {
    let bench = Bench::new().await;
    let mut browser = bench.browser();
    browser.visit_login().await;
    let wish = json!({ "user": "bob", "pass": PASSWORD, "remember": true });
    browser.post("/api/login", wish).await;
    bench.clock.advance(MINUTE * 20);
    browser.post("/api/logout", json!({})).await;
    assert_eq!(browser.cookie("remember_token"), None);
    assert_eq!(browser.who().await, None);
}

#[tokio::test]
async fn a_remembered_browser_is_led_on_from_the_sign_in() {
    let bench = Bench::new().await;
    let mut browser = bench.browser();
    browser.visit_login().await;
    let wish = json!({ "user": "bob", "pass": PASSWORD, "remember": true });
    browser.post("/api/login", wish).await;
    bench.clock.advance(MINUTE * 20);
    let reply = browser.send("GET", "/login/", &[], "").await;
    assert_eq!(reply.status, StatusCode::FOUND);
    assert_eq!(browser.who().await.as_deref(), Some("bob"));
}

#[tokio::test]
async fn who_signs_in_where_somebody_was_remembered_stays_who_they_are() {
    let bench = Bench::new().await;
    let mut browser = bench.browser();
    browser.visit_login().await;
    let wish = json!({ "user": "bob", "pass": PASSWORD, "remember": true });
    browser.post("/api/login", wish).await;
    bench.clock.advance(MINUTE * 20);
    let other = json!({ "user": "ann", "pass": PASSWORD });
    browser.post("/api/login", other).await;
    assert_eq!(browser.who().await.as_deref(), Some("ann"));
    bench.clock.advance(MINUTE * 20);
    assert_eq!(browser.who().await, None, "nobody comes back as bob");
}

#[tokio::test]
async fn a_stolen_cookie_of_a_visitor_without_session_lets_a_key_count() {
    let bench = Bench::new().await;
    let key = bench.key("bob", KeyScope::Full).await;
    let mut browser = bench.browser();
    for cookie in ["x", "lk_sess_made-up"] {
        browser.jar.insert("session_P80".into(), cookie.into());
        let reply = browser
            .send("GET", "/api/currentuser", &[("x-api-key", &*key)], "")
            .await;
        assert_eq!(reply.json()["name"], "bob");
    }
}

/// Who is at the push socket.
async fn push(bench: &Bench, user: &str, handle: &str) -> Option<String> {
    let caller = bench.authority.sessions.identify_push(user, handle).await?;
    assert!(!matches!(caller, Caller::Guest));
    caller.user_name().map(ToString::to_string)
}
