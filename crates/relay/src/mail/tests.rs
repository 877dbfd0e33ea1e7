use latchkey_model::account::Email;
use latchkey_model::account_notice::NoticeKind;

use super::{Job, KEPT_FREE, Mail, QUEUE};
use crate::mail::Letter;
use crate::notices::Notices;
use crate::tests::{Bench, MailServer, smtp};

fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

#[tokio::test]
async fn a_letter_is_plain_text_with_a_head_of_ours() {
    let server = MailServer::start().await;
    let bench = Bench::with_mail(&server).await;
    bench
        .state
        .mail
        .send(&email("ann@example.com"), Letter::PasswordChanged);
    let letter = server.letter().await;
    assert_eq!(letter.to, ["ann@example.com"]);
    assert_eq!(
        letter.subject(),
        "Your password was changed at relay.example.net"
    );
    let head = letter.head.to_lowercase();
    for part in [
        "from: \"our relay\" <relay@example.net>",
        "to: ann@example.com",
        "content-type: text/plain; charset=utf-8",
        "message-id: <",
        "date: ",
    ] {
        assert!(head.contains(part), "no {part} in {head}");
    }
    assert!(!letter.body.contains("<html"), "{}", letter.body);
    assert_eq!(letter.link("/forgotten"), "/forgotten");
}

#[tokio::test]
async fn texts_from_outside_stay_in_the_body() {
    let server = MailServer::start().await;
    let bench = Bench::with_mail(&server).await;
    let letter = Letter::SignedIn {
        device: "x\r\nBcc: all@example.com\r\n\r\n.\r\nMAIL FROM:<a@b.example>".to_owned(),
        network: "\u{fc}".to_owned(),
    };
    bench.state.mail.send(&email("ann@example.com"), letter);
    let letter = server.letter().await;
    assert_eq!(letter.to, ["ann@example.com"]);
    assert!(
        !letter.head.to_lowercase().contains("bcc"),
        "{}",
        letter.head
    );
    assert!(letter.body.contains("MAIL FROM:<a@b.example>"));
    assert!(letter.body.contains("Network: \u{fc}"));
    server.is_quiet().await;
}

#[tokio::test]
async fn what_fails_for_now_is_tried_again_and_what_fails_for_good_is_not() {
    let server = MailServer::moody(&["450 later", "421 later", "550 nobody", "250 ok"]).await;
    let bench = Bench::with_mail(&server).await;
    let mail = &bench.state.mail;
    mail.send(&email("ann@example.com"), Letter::PasswordChanged);
    // The third answer refuses her for good; the next letter goes.
    server.is_quiet().await;
    mail.send(&email("bob@example.com"), Letter::AddressChanged);
    assert_eq!(server.letter().await.to, ["bob@example.com"]);
    server.is_quiet().await;

    let server = MailServer::moody(&["450 later", "451 later"]).await;
    let bench = Bench::with_mail(&server).await;
    bench
        .state
        .mail
        .send(&email("ann@example.com"), Letter::PasswordChanged);
    assert_eq!(server.letter().await.to, ["ann@example.com"]);
    server.is_quiet().await;
}

#[tokio::test]
async fn notices_go_to_confirmed_addresses_only() {
    let server = MailServer::start().await;
    let bench = Bench::with_mail(&server).await;
    let ann = bench.account("ann@example.com").await;
    bench.state.mail.tell(&ann.id, Letter::PasswordChanged);
    server.is_quiet().await;
    let accounts = bench.store().accounts();
    let now = bench.state.clock.now();
    assert!(
        accounts
            .note_verified(&ann.id, &ann.email, now)
            .await
            .unwrap()
    );
    bench.state.mail.tell(&ann.id, Letter::PasswordChanged);
    assert_eq!(server.letter().await.to, ["ann@example.com"]);
}

#[tokio::test]
async fn a_mail_server_that_is_away_holds_nobody_up() {
    // Nothing listens there.
    let bench = Bench::with(|config| config.smtp = Some(smtp(1))).await;
    for _ in 0..1000 {
        bench
            .state
            .mail
            .send(&email("ann@example.com"), Letter::PasswordChanged);
    }
    let ann = bench.account("ann@example.com").await;
    bench.signed_in(&ann).await.get("/printers").await.is(200);
}

#[tokio::test]
async fn letters_that_somebody_waits_for_have_places_of_their_own() {
    let (mail, mut queue) = Mail::queue();
    let ann = email("ann@example.com");
    for _ in 0..1000 {
        mail.send(&ann, Letter::AddressChanged);
    }
    assert_eq!(queue.len(), QUEUE - KEPT_FREE);
    assert!(!mail.has_room());
    for _ in 0..1000 {
        mail.reset(&ann);
    }
    assert_eq!(queue.len(), QUEUE);
    for _ in 0..QUEUE - KEPT_FREE {
        assert!(matches!(queue.try_recv(), Ok(Job::Send { .. })));
    }
    assert!(matches!(queue.try_recv(), Ok(Job::Reset { .. })));
}

#[tokio::test]
async fn one_account_has_ten_letters_an_hour_about_strange_devices() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let bob = bench.account("bob@example.com").await;
    let (mail, queue) = Mail::queue();
    let (store, clock) = (bench.store(), &bench.state.clock);
    let notices = Notices::new(store.clone(), clock.clone(), mail);
    let letter = |number: usize| Letter::SignedIn {
        device: format!("browser {number}"),
        network: String::new(),
    };
    for number in 0..15 {
        notices.tell(&ann.id, letter(number), None).await;
    }
    assert_eq!(queue.len(), 10);
    let kept = store.notices().list(&ann.id, 100).await.unwrap();
    let devices = kept.iter().filter(|one| one.kind == NoticeKind::NewDevice);
    assert_eq!(devices.count(), 15, "the page has them all");
    // What else there is to tell is told, and others are told theirs.
    notices.tell(&ann.id, Letter::PasswordChanged, None).await;
    notices.tell(&bob.id, letter(0), None).await;
    assert_eq!(queue.len(), 12);
}
