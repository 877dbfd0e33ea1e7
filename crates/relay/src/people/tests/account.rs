use std::time::Duration;

use super::{STALE, is_live};
use crate::tests::{Bench, PASSWORD};

const NEW: &str = "another-long-password";

#[tokio::test]
async fn a_password_changes_with_the_old_one_and_signs_others_out() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let mut browser = bench.signed_in(&ann).await;
    let mut thief = bench.browser();
    browser.get("/account").await.is(200);
    thief.cookies.clone_from(&browser.cookies);
    thief.get("/account").await.is(200);
    let mut elsewhere = bench.signed_in(&ann).await;
    let path = "/account/password";
    for (old, password, again, status, said) in [
        ("wrong", NEW, NEW, 403, "That is not your password"),
        (PASSWORD, "short", "short", 400, "too short"),
        (PASSWORD, NEW, "different", 400, "differ"),
    ] {
        let fields = [("old", old), ("password", password), ("again", again)];
        let answer = browser.post(path, &fields).await;
        answer.is(status);
        answer.says(said);
        assert!(!answer.text.contains(PASSWORD));
    }
    elsewhere.get("/account").await.is(200);
    let fields = [("old", PASSWORD), ("password", NEW), ("again", NEW)];
    let changed = browser.post(path, &fields).await;
    changed.leads_to("/account?done=password");
    browser
        .get("/account?done=password")
        .await
        .says("Your password is changed");
    // The stolen cookie is as dead as the others.
    for other in [&mut thief, &mut elsewhere] {
        assert_eq!(
            other.get("/account").await.location(),
            "/sign-in?then=/account"
        );
    }
    let mut fresh = bench.browser();
    let fields = |password| [("email", "ann@example.com"), ("password", password)];
    fresh
        .fill("/sign-in", "/sign-in", &fields(PASSWORD))
        .await
        .is(403);
    fresh
        .post("/sign-in", &fields(NEW))
        .await
        .leads_to("/printers");
}

#[tokio::test]
async fn old_passwords_are_not_guessed_on_the_account_page() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let mut browser = bench.signed_in(&ann).await;
    browser.get("/account").await.is(200);
    let fields = [("old", "wrong"), ("password", NEW), ("again", NEW)];
    for _ in 0..10 {
        browser.post("/account/password", &fields).await.is(403);
    }
    let answer = browser.post("/account/password", &fields).await;
    answer.is(429);
    assert!(answer.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn sessions_are_listed_and_ended_by_whose_they_are() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let bob = bench.account("bob@example.com").await;
    let mut phone = bench.browser();
    phone.agent = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5) Version/18.5 Safari/604.1";
    phone.sign_in("ann@example.com").await;
    let mut browser = bench.signed_in(&ann).await;
    let page = browser.get("/account").await;
    page.says("This browser");
    page.says("Firefox on Linux");
    page.says("Safari on iPhone");
    let session = page.after("name=\"session\" value=\"").to_owned();
    let path = "/account/end-session";
    let mut other = bench.signed_in(&bob).await;
    other.get("/account").await.is(200);
    other.post(path, &[("session", &session)]).await.is(303);
    phone.get("/account").await.is(200);
    for id in [session.as_str(), session.as_str(), "x", ""] {
        let ended = browser.post(path, &[("session", id)]).await;
        ended.leads_to("/account?done=ended");
    }
    assert!(
        phone
            .get("/account")
            .await
            .location()
            .starts_with("/sign-in")
    );
    let mut third = bench.signed_in(&ann).await;
    browser
        .post("/account/end-others", &[])
        .await
        .leads_to("/account?done=others");
    assert!(
        third
            .get("/account")
            .await
            .location()
            .starts_with("/sign-in")
    );
    browser.get("/account").await.is(200);
}

#[tokio::test]
async fn a_session_ends_by_time_in_the_middle_of_a_form() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let mut browser = bench.signed_in(&ann).await;
    browser.get("/account").await.is(200);
    bench.clock.advance(Duration::from_hours(12));
    let answer = browser.post("/account/end-others", &[]).await;
    answer.leads_to("/sign-in?then=/account");
    assert!(
        browser
            .get("/account")
            .await
            .location()
            .starts_with("/sign-in")
    );
}

#[tokio::test]
async fn an_address_changes_after_the_password_was_typed() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    bench.account("bob@example.com").await;
    let mut browser = bench.signed_in(&ann).await;
    let path = "/account/address";
    let to = |email| [("email", email)];
    browser.get("/account").await.is(200);
    browser
        .post(path, &to("nonsense"))
        .await
        .says("This is not an e-mail address");
    browser
        .post(path, &to("Bob@example.com"))
        .await
        .says("account with this address already");
    bench.clock.advance(STALE);
    let answer = browser.post(path, &to("new@example.com")).await;
    answer.leads_to("/sign-in/again?then=/account");
    let accounts = bench.store().accounts();
    assert_eq!(accounts.load(&ann.id).await.unwrap().email, ann.email);
    let fields = [("password", PASSWORD), ("then", "/account")];
    browser
        .fill("/sign-in/again", "/sign-in/again", &fields)
        .await
        .leads_to("/account");
    browser
        .fill("/account", path, &to("New@example.com"))
        .await
        .leads_to("/account?done=address");
    let mut fresh = bench.browser();
    fresh.sign_in("new@example.com").await;
}

#[tokio::test]
async fn nobody_finds_out_by_changing_addresses_who_has_an_account() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    bench.account("bob@example.com").await;
    let mut browser = bench.signed_in(&ann).await;
    browser.get("/account").await.is(200);
    for _ in 0..10 {
        let fields = [("email", "bob@example.com")];
        browser.post("/account/address", &fields).await.is(400);
    }
    for email in ["bob@example.com", "free@example.com"] {
        let fields = [("email", email)];
        browser.post("/account/address", &fields).await.is(429);
    }
    let kept = bench.store().accounts().load(&ann.id).await.unwrap();
    assert_eq!(kept.email, ann.email);
}

#[tokio::test]
async fn a_deleted_account_leaves_nothing_and_is_signed_out_everywhere() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let bob = bench.account("bob@example.com").await;
    let printer = bench.printer(&ann, "Voron").await;
    let shared = bench.printer(&bob, "Mini").await;
    bench.share(&shared, &ann).await;
    bench.share(&printer, &bob).await;
    let own = bench.app_connection(&ann, &printer, "Fieldglass").await;
    let there = bench.app_connection(&ann, &shared, "Fieldglass").await;
    let bobs = bench.app_connection(&bob, &printer, "Layerline").await;
    let mut elsewhere = bench.signed_in(&ann).await;
    let mut browser = bench.signed_in(&ann).await;
    let path = "/account/delete";
    browser.get("/account").await.is(200);
    elsewhere.get("/account").await.is(200);
    bench.clock.advance(STALE);
    let again = "/sign-in/again?then=/account/delete";
    browser.get(path).await.leads_to(again);
    browser.post(path, &[]).await.leads_to(again);
    let fields = [("password", PASSWORD), ("then", path)];
    browser
        .fill(again, "/sign-in/again", &fields)
        .await
        .leads_to(path);
    let asked = browser.get(path).await;
    asked.says("It cannot be undone");
    assert_eq!(asked.after("name=\"account\" value=\""), ann.id.as_str());
    browser.post(path, &[]).await.leads_to("/");
    assert!(!browser.cookies.contains_key("__Host-lk_session"));
    for connection in [&own, &there, &bobs] {
        assert!(!is_live(&bench, connection).await);
    }
    let accounts = bench.store().accounts();
    assert!(accounts.find(&ann.id).await.unwrap().is_none());
    assert!(
        elsewhere
            .get("/account")
            .await
            .location()
            .starts_with("/sign-in")
    );
    elsewhere
        .post("/account/end-others", &[])
        .await
        .leads_to("/sign-in?then=/account");
    // A second click finds it done.
    let id = ann.id.to_string();
    elsewhere
        .post(path, &[("account", &id)])
        .await
        .leads_to("/");
    elsewhere.origin = "https://evil.example";
    elsewhere.post(path, &[("account", &id)]).await.is(403);
    let id = bob.id.to_string();
    let mut stranger = bench.browser();
    for account in [&id, "x", ""] {
        stranger
            .post(path, &[("account", account)])
            .await
            .leads_to("/sign-in?then=/account/delete");
    }
    let mut member = bench.signed_in(&bob).await;
    member
        .get(&format!("/printers/{}", printer.id))
        .await
        .is(404);
    member
        .get(&format!("/printers/{}", shared.id))
        .await
        .is(200);
    let mut fresh = bench.browser();
    let fields = [("email", "ann@example.com"), ("password", PASSWORD)];
    fresh.fill("/sign-in", "/sign-in", &fields).await.is(403);
}

#[tokio::test]
async fn the_last_administrator_cannot_delete_themselves() {
    let bench = Bench::new().await;
    let ann = bench.administrator("ann@example.com").await;
    let mut browser = bench.signed_in(&ann).await;
    let path = "/account/delete";
    browser
        .get(path)
        .await
        .says("Nobody else could run this relay");
    browser.get("/account").await.is(200);
    browser.post(path, &[]).await.leads_to(path);
    let accounts = bench.store().accounts();
    assert!(accounts.find(&ann.id).await.unwrap().is_some());
    bench.administrator("bob@example.com").await;
    browser.fill(path, path, &[]).await.leads_to("/");
    assert!(accounts.find(&ann.id).await.unwrap().is_none());
}
