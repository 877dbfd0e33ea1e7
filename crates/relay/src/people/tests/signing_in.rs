//! How often somebody may sign in and up, and what is done at the same time.

use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::join_all;
use latchkey_model::account::{Email, Suspension};

use crate::accounts::AccountError;
use crate::sessions::Visitor;
use crate::tests::{Bench, Browser, PASSWORD};

const NEW: &str = "another-long-password";
const WRONG: &str = "wrong-long-password";

/// Which were answered so.
fn count(answers: &[u16], status: u16) -> usize {
    answers.iter().filter(|&&answer| answer == status).count()
}

#[tokio::test]
async fn of_many_passwords_at_once_no_more_are_tried_than_of_one_after_the_other() {
    for (page, path, field) in [
        ("/sign-in", "/sign-in", "password"),
        ("/sign-in/again", "/sign-in/again", "password"),
        ("/account", "/account/password", "old"),
    ] {
        let bench = Bench::new().await;
        let ann = bench.account("ann@example.com").await;
        let mut first = if page == "/sign-in" {
            bench.browser()
        } else {
            bench.signed_in(&ann).await
        };
        first.get(page).await.is(200);
        let mut browsers: Vec<Browser<'_>> = Vec::new();
        for _ in 0..20 {
            let mut browser = bench.browser();
            browser.cookies.clone_from(&first.cookies);
            browser.token.clone_from(&first.token);
            browsers.push(browser);
        }
        let tries = browsers
            .iter_mut()
            .enumerate()
            .map(async |(number, browser)| {
                // The right one comes last.
                let password = if number == 19 { PASSWORD } else { WRONG };
                let fields = [("email", "ann@example.com"), (field, password)];
                let more = [("password", NEW), ("again", NEW)];
                let fields = if field == "old" {
                    [&fields[..], &more].concat()
                } else {
                    fields.to_vec()
                };
                browser.post(path, &fields).await.status.as_u16()
            });
        let answers = join_all(tries).await;
        assert_eq!(count(&answers, 403), 10, "{path} {answers:?}");
        assert_eq!(count(&answers, 429), 10, "{path} {answers:?}");
        let proved = bench.state.accounts.sign_in(&ann.email, PASSWORD).await;
        assert!(proved.is_ok(), "the password is what it was");
    }
}

/// Signs somebody up from this address.
async fn sign_up(bench: &Bench, address: IpAddr, email: &str) -> u16 {
    let mut browser = bench.browser();
    browser.address = address;
    browser.get("/sign-up").await.is(200);
    let fields = [("email", email), ("password", PASSWORD)];
    browser.post("/sign-up", &fields).await.status.as_u16()
}

#[tokio::test]
async fn of_many_who_sign_up_at_once_no_more_come_through_than_of_one_after_the_other() {
    let bench = Bench::new().await;
    bench.account("ann@example.com").await;
    let here = IpAddr::from([192, 0, 2, 7]);
    let tries = (0..25).map(|_| sign_up(&bench, here, "ann@example.com"));
    let answers = join_all(tries).await;
    assert_eq!(count(&answers, 400), 20, "{answers:?}");
    assert_eq!(count(&answers, 429), 5, "{answers:?}");
    assert_eq!(sign_up(&bench, here, "new@example.com").await, 429);
    let there = IpAddr::from([192, 0, 2, 8]);
    assert_eq!(sign_up(&bench, there, "new@example.com").await, 303);
}

#[tokio::test]
async fn ten_accounts_a_day_come_from_one_address_without_invitations() {
    let bench = Bench::new().await;
    let here = IpAddr::from([192, 0, 2, 7]);
    let emails: Vec<_> = (0..12).map(|n| format!("p{n}@example.com")).collect();
    let tries = emails.iter().map(|email| sign_up(&bench, here, email));
    let answers = join_all(tries).await;
    assert_eq!(count(&answers, 303), 10, "{answers:?}");
    assert_eq!(count(&answers, 429), 2, "{answers:?}");
    let known = bench.store().accounts().list(None, 20).await.unwrap();
    assert_eq!(known.len(), 10);
    bench.clock.advance(Duration::from_hours(23));
    assert_eq!(sign_up(&bench, here, "late@example.com").await, 429);
    bench.clock.advance(Duration::from_hours(1));
    assert_eq!(sign_up(&bench, here, "late@example.com").await, 303);
    // Who sits at the relay itself may go on: these are those who try it out.
    for local in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
        let local: IpAddr = local.parse().unwrap();
        for number in 0..8 {
            let email = format!("{number}@{}.example.com", known.len());
            let email = format!("{}-{email}", local.to_string().replace([':', '.'], "-"));
            let email = email.trim_start_matches('-');
            assert_eq!(sign_up(&bench, local, email).await, 303, "{email}");
        }
    }
}

#[tokio::test]
async fn attempts_that_were_sent_away_for_want_of_room_do_not_count() {
    let bench = Bench::new().await;
    bench.account("ann@example.com").await;
    let here = IpAddr::from([192, 0, 2, 7]);
    // More than are hashed and wait.
    let mut browsers: Vec<Browser<'_>> = Vec::new();
    for number in 0..100 {
        let mut browser = bench.browser();
        if number >= 80 {
            browser.address = here;
        }
        browser.get("/sign-up").await.is(200);
        browsers.push(browser);
    }
    let tries = browsers.iter_mut().map(async |browser| {
        let fields = [("email", "ann@example.com"), ("password", PASSWORD)];
        browser.post("/sign-up", &fields).await.status.as_u16()
    });
    let answers = join_all(tries).await;
    assert!(count(&answers[80..], 503) > 0, "{answers:?}");
    assert_eq!(count(&answers, 429), 0, "{answers:?}");
    assert_eq!(sign_up(&bench, here, "ann@example.com").await, 400);
}

#[tokio::test]
async fn what_was_proved_must_still_hold_when_a_session_begins() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let accounts = &bench.state.accounts;
    let proved = accounts.sign_in(&ann.email, PASSWORD).await.unwrap();
    let visitor = Visitor {
        headers: &http::HeaderMap::new(),
        address: IpAddr::from([192, 0, 2, 7]),
    };
    let sessions = &bench.state.sessions;
    assert!(sessions.open(&proved, &visitor).await.unwrap().is_some());
    accounts.set_password(&proved, NEW).await.unwrap();
    assert!(sessions.open(&proved, &visitor).await.unwrap().is_none());
    // Of two changes at once one is told that the password is another one.
    let again = accounts
        .set_password(&proved, "a-third-long-password")
        .await;
    assert!(matches!(again, Err(AccountError::WrongPassword)));
    let email = Email::parse("ann@example.com").unwrap();
    let proved = accounts.sign_in(&email, NEW).await.unwrap();
    let suspension = Suspension {
        at: ann.created,
        reason: "abuse".to_owned(),
    };
    let store = bench.store().accounts();
    assert!(store.suspend(&ann.id, &suspension).await.unwrap());
    assert!(sessions.open(&proved, &visitor).await.unwrap().is_none());
    let listed = bench.store().sessions().list_of(&ann.id).await.unwrap();
    assert_eq!(listed.len(), 1);
}

#[tokio::test]
async fn of_two_hundred_who_sign_in_at_once_only_as_many_are_checked_as_there_is_memory_for() {
    let bench = Bench::new().await;
    let mut first = bench.browser();
    first.get("/sign-in").await.is(200);
    let mut browsers: Vec<Browser<'_>> = Vec::new();
    for _ in 0..200 {
        let mut browser = bench.browser();
        browser.cookies.clone_from(&first.cookies);
        browser.token.clone_from(&first.token);
        browsers.push(browser);
    }
    let tries = browsers
        .iter_mut()
        .enumerate()
        .map(async |(number, browser)| {
            let email = format!("nobody{number}@example.com");
            let fields = [("email", email.as_str()), ("password", WRONG)];
            browser.post("/sign-in", &fields).await.status.as_u16()
        });
    let answers = join_all(tries).await;
    let (checked, sent_away) = (count(&answers, 403), count(&answers, 503));
    assert_eq!(checked + sent_away, 200, "{answers:?}");
    // Four are hashed at a time and 64 wait; whoever comes in the meantime is sent away at once.
    assert!(checked >= 68 && sent_away > 0, "{checked} were checked");
}
