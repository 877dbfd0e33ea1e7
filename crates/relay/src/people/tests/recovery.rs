use std::net::IpAddr;
use std::time::Duration;

use super::STALE;
use crate::tests::{Bench, MailServer, PASSWORD};

const NEW: &str = "another-long-password";

#[tokio::test]
async fn without_letters_the_page_says_who_helps() {
    let bench = Bench::new().await;
    let mut browser = bench.browser();
    let page = browser.get("/forgotten").await;
    page.is(200);
    page.says("latchkey account passwd");
    browser
        .get("/sign-in")
        .await
        .says("latchkey account passwd");
    let ann = bench.account("ann@example.com").await;
    let mut browser = bench.signed_in(&ann).await;
    assert!(
        !browser
            .get("/printers")
            .await
            .text
            .contains("not confirmed")
    );
}

#[tokio::test]
async fn a_forgotten_password_is_replaced_once_by_who_has_the_letter() {
    let server = MailServer::start().await;
    let bench = Bench::with_mail(&server).await;
    let ann = bench.account("ann@example.com").await;
    let mut signed_in = bench.signed_in(&ann).await;
    let mut browser = bench.browser();
    browser.get("/sign-in").await.says("href=\"/forgotten\"");
    let email = [("email", "Ann@Example.com")];
    let sent = browser.fill("/forgotten", "/forgotten", &email).await;
    sent.is(200);
    let letter = server.letter().await;
    assert_eq!(letter.to, ["ann@example.com"]);
    let first = letter.link("/reset");
    browser
        .fill("/forgotten", "/forgotten", &email)
        .await
        .is(200);
    let link = server.letter().await.link("/reset");
    browser.get(&first).await.is(404);

    let code = link.split_once("code=").unwrap().1;
    let with = |password, again| [("code", code), ("password", password), ("again", again)];
    browser.get(&link).await.says("Choose a new password");
    browser
        .post("/reset", &with("short", "short"))
        .await
        .says("too short");
    browser
        .post("/reset", &with(NEW, "other"))
        .await
        .says("differ");
    browser
        .post("/reset", &with(NEW, NEW))
        .await
        .says("Your password is changed");
    browser
        .post("/reset", &with(PASSWORD, PASSWORD))
        .await
        .is(404);
    browser.get(&link).await.is(404);
    assert!(
        signed_in
            .get("/account")
            .await
            .location()
            .starts_with("/sign-in")
    );
    // Who had the letter has the address: they hear of it there.
    assert_eq!(
        server.letter().await.subject(),
        "Your password was changed at relay.example.net"
    );
    let fields = [("email", "ann@example.com"), ("password", NEW)];
    browser
        .fill("/sign-in", "/sign-in", &fields)
        .await
        .leads_to("/printers");
}

#[tokio::test]
async fn a_link_to_a_password_ends_by_time_by_a_change_and_with_the_account() {
    let server = MailServer::start().await;
    let bench = Bench::with_mail(&server).await;
    let ann = bench.account("ann@example.com").await;
    let mut browser = bench.browser();
    let email = [("email", "ann@example.com")];
    let ask = async |browser: &mut crate::tests::Browser<'_>| {
        browser
            .fill("/forgotten", "/forgotten", &email)
            .await
            .is(200);
        server.letter().await.link("/reset")
    };
    let link = ask(&mut browser).await;
    bench.clock.advance(Duration::from_hours(1));
    browser.get(&link).await.is(404);

    let link = ask(&mut browser).await;
    let mut own = bench.signed_in(&ann).await;
    let fields = [("old", PASSWORD), ("password", NEW), ("again", NEW)];
    own.fill("/account", "/account/password", &fields)
        .await
        .is(303);
    browser.get(&link).await.is(404);

    bench.clock.advance(Duration::from_hours(1));
    let link = ask(&mut browser).await;
    let now = bench.state.clock.now();
    bench.store().accounts().delete(&ann.id, now).await.unwrap();
    browser.get(&link).await.is(404);
}

#[tokio::test]
async fn who_asks_learns_nothing_of_who_has_an_account() {
    let server = MailServer::start().await;
    let bench = Bench::with_mail(&server).await;
    let suspended = bench.account("sue@example.com").await;
    let suspension = latchkey_model::account::Suspension {
        at: bench.state.clock.now(),
        reason: "unpaid".to_owned(),
    };
    let accounts = bench.store().accounts();
    assert!(accounts.suspend(&suspended.id, &suspension).await.unwrap());
    bench.account("ann@example.com").await;
    let mut browser = bench.browser();
    let mut pages = Vec::new();
    for email in ["sue@example.com", "bob@example.com", "ann@example.com"] {
        let fields = [("email", email)];
        let page = browser.fill("/forgotten", "/forgotten", &fields).await;
        page.is(200);
        pages.push(page.text.replace(email, "*"));
    }
    assert!(pages.windows(2).all(|two| two[0] == two[1]), "{pages:#?}");
    assert_eq!(server.letter().await.to, ["ann@example.com"]);
    server.is_quiet().await;

    // A few letters an hour for one address, whoever asks; and so many requests from one.
    for _ in 0..3 {
        let mut other = bench.browser();
        let fields = [("email", "ann@example.com")];
        other
            .fill("/forgotten", "/forgotten", &fields)
            .await
            .is(200);
    }
    server.letter().await;
    server.letter().await;
    server.is_quiet().await;
    browser.get("/forgotten").await.is(200);
    for number in 0..17 {
        let email = format!("nobody{number}@example.com");
        browser
            .post("/forgotten", &[("email", &email)])
            .await
            .is(200);
    }
    let answer = browser
        .post("/forgotten", &[("email", "x@example.com")])
        .await;
    answer.is(429);
    assert!(answer.headers.contains_key("retry-after"));
    bench
        .browser()
        .fill("/forgotten", "/forgotten", &[("email", "x@example.com")])
        .await
        .is(200);
}

#[tokio::test]
async fn an_address_is_confirmed_by_a_button_and_not_by_looking() {
    let server = MailServer::start().await;
    let bench = Bench::with_mail(&server).await;
    let mut browser = bench.browser();
    let fields = [("email", "ann@example.com"), ("password", PASSWORD)];
    browser
        .fill("/sign-up", "/sign-up", &fields)
        .await
        .leads_to("/printers");
    let first = server.letter().await.link("/verify");
    browser
        .get("/printers")
        .await
        .says("Your address is not confirmed");
    browser
        .post("/account/confirm-address", &[])
        .await
        .leads_to("/account?done=letter");
    let link = server.letter().await.link("/verify");
    let mut elsewhere = bench.browser();
    elsewhere.get(&first).await.is(404);
    for _ in 0..2 {
        elsewhere.get(&link).await.says("Yes, it is mine");
    }
    let code = link.split_once("code=").unwrap().1;
    elsewhere
        .post("/verify", &[("code", code)])
        .await
        .says("Your address is confirmed");
    elsewhere.post("/verify", &[("code", code)]).await.is(404);
    assert!(
        !browser
            .get("/printers")
            .await
            .text
            .contains("not confirmed")
    );
    browser.get("/account").await.says("It is confirmed");
}

#[tokio::test]
async fn a_new_address_counts_once_its_letter_is_answered() {
    let server = MailServer::start().await;
    let bench = Bench::with_mail(&server).await;
    let ann = bench.account("ann@example.com").await;
    let mut browser = bench.signed_in(&ann).await;
    let fields = [("email", "new@example.com")];
    browser
        .fill("/account", "/account/address", &fields)
        .await
        .leads_to("/account?done=asked");
    let letter = server.letter().await;
    assert_eq!(letter.to, ["new@example.com"]);
    let accounts = bench.store().accounts();
    assert_eq!(accounts.load(&ann.id).await.unwrap().email, ann.email);
    let link = letter.link("/verify");
    let code = link.split_once("code=").unwrap().1;
    browser.get(&link).await.is(200);
    browser
        .post("/verify", &[("code", code)])
        .await
        .says("new@example.com");
    let changed = accounts.load(&ann.id).await.unwrap();
    assert_eq!(changed.email.as_str(), "new@example.com");
    assert!(changed.email_verified.is_some());
    let letter = server.letter().await;
    assert_eq!(letter.to, ["ann@example.com"]);
    assert_eq!(
        letter.subject(),
        "Your address was changed at relay.example.net"
    );

    // Somebody else takes the address meanwhile.
    browser
        .fill(
            "/account",
            "/account/address",
            &[("email", "third@example.com")],
        )
        .await
        .is(303);
    let link = server.letter().await.link("/verify");
    bench.account("third@example.com").await;
    let code = link.split_once("code=").unwrap().1;
    browser.get(&link).await.is(200);
    browser.post("/verify", &[("code", code)]).await.is(409);
    let kept = accounts.load(&ann.id).await.unwrap();
    assert_eq!(kept.email.as_str(), "new@example.com");
}

#[tokio::test]
async fn a_sign_in_from_elsewhere_is_told_once() {
    let server = MailServer::start().await;
    let bench = Bench::with_mail(&server).await;
    let ann = bench.account("ann@example.com").await;
    let now = bench.state.clock.now();
    let accounts = bench.store().accounts();
    accounts
        .note_verified(&ann.id, &ann.email, now)
        .await
        .unwrap();
    let mut first = bench.signed_in(&ann).await;
    server.is_quiet().await;
    bench.clock.advance(STALE);
    let mut again = bench.browser();
    again.address = first.address;
    again.sign_in("ann@example.com").await;
    server.is_quiet().await;
    let mut phone = bench.browser();
    phone.address = first.address;
    phone.agent = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5) Version/18.5 Safari/604.1";
    phone.sign_in("ann@example.com").await;
    let letter = server.letter().await;
    assert!(
        letter.body.contains("Browser: Safari on iPhone"),
        "{}",
        letter.body
    );
    phone.get("/account").await.is(200);
    phone.post("/sign-out", &[]).await.leads_to("/sign-in");
    phone.sign_in("ann@example.com").await;
    server.is_quiet().await;
    first.get("/account").await.is(200);
}

#[tokio::test]
async fn signing_up_with_many_addresses_writes_to_few() {
    let server = MailServer::start().await;
    let bench = Bench::with_mail(&server).await;
    for number in 0..22 {
        let mut browser = bench.browser();
        // From where so many accounts may be made at once.
        browser.address = IpAddr::from([127, 0, 0, 1]);
        let email = format!("victim{number}@example.com");
        let fields = [("email", email.as_str()), ("password", PASSWORD)];
        let answer = browser.fill("/sign-up", "/sign-up", &fields).await;
        answer.leads_to("/printers");
    }
    for _ in 0..20 {
        server.letter().await;
    }
    server.is_quiet().await;
}

#[tokio::test]
async fn a_change_of_address_ends_with_a_new_password() {
    let server = MailServer::start().await;
    let bench = Bench::with_mail(&server).await;
    let ann = bench.account("ann@example.com").await;
    let mut browser = bench.signed_in(&ann).await;
    let ask = async |browser: &mut crate::tests::Browser<'_>| {
        let fields = [("email", "eve@example.com")];
        browser
            .fill("/account", "/account/address", &fields)
            .await
            .leads_to("/account?done=asked");
        server.letter().await.link("/verify")
    };
    let link = ask(&mut browser).await;
    let fields = [("old", PASSWORD), ("password", NEW), ("again", NEW)];
    browser
        .fill("/account", "/account/password", &fields)
        .await
        .leads_to("/account?done=password");
    bench.browser().get(&link).await.is(404);

    let link = ask(&mut browser).await;
    let mut other = bench.browser();
    let fields = [("email", "ann@example.com")];
    other
        .fill("/forgotten", "/forgotten", &fields)
        .await
        .is(200);
    let reset = server.letter().await.link("/reset");
    let code = reset.split_once("code=").unwrap().1;
    other.get(&reset).await.is(200);
    let fields = [("code", code), ("password", PASSWORD), ("again", PASSWORD)];
    other.post("/reset", &fields).await.is(200);
    other.get(&link).await.is(404);
    let kept = bench.store().accounts().load(&ann.id).await.unwrap();
    assert_eq!(kept.email, ann.email);
}
