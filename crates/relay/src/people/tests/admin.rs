use latchkey_model::account::Email;
use latchkey_model::clock::Clock;
use latchkey_model::id::AccountId;
use latchkey_model::link::{Link, LinkPurpose};

use super::{STALE, is_live};
use crate::config::Registration;
use crate::tests::{Bench, MailServer, PASSWORD};

#[tokio::test]
async fn administration_is_not_there_for_others() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let mut browser = bench.signed_in(&ann).await;
    let one = format!("/admin/accounts/{}", ann.id);
    for page in ["/admin", "/admin?find=a", &one, &format!("{one}/remove")] {
        browser.get(page).await.is(404);
    }
    let page = browser.get("/account").await;
    assert!(!page.text.contains("href=\"/admin\""));
    let fields = [("administrator", "true"), ("plan", "free"), ("reason", "x")];
    for form in [
        "/admin/find".to_owned(),
        "/admin/invitations".to_owned(),
        "/admin/invitations/withdraw".to_owned(),
        format!("{one}/plan"),
        format!("{one}/suspend"),
        format!("{one}/unsuspend"),
        format!("{one}/administrator"),
        format!("{one}/remove"),
    ] {
        browser.post(&form, &fields).await.is(404);
    }
    let kept = bench.store().accounts().load(&ann.id).await.unwrap();
    assert_eq!(kept, ann);
}

#[tokio::test]
async fn accounts_are_found_page_by_page() {
    let bench = Bench::new().await;
    let ann = bench.administrator("ann@example.com").await;
    let accounts = bench.store().accounts();
    for number in 0..60 {
        let mut other = ann.clone();
        other.id = AccountId::generate(&*bench.chance);
        let email = format!("p_{number:02}@example.com");
        other.email = Email::parse(&email).unwrap();
        other.administrator = false;
        accounts.create(&other, None).await.unwrap();
    }
    let mut browser = bench.signed_in(&ann).await;
    let first = browser.get("/admin").await;
    first.says("ann@example.com");
    first.says("p_48@example.com");
    assert!(!first.text.contains("<bdi>p_49@example.com"));
    let next = first.text.split("class=\"btn\" href=\"").find_map(|part| {
        let href = part.split('"').next()?;
        href.starts_with("/admin?after=").then(|| href.to_owned())
    });
    let second = browser.get(&next.unwrap()).await;
    second.says("<bdi>p_49@example.com");
    second.says("<bdi>p_59@example.com");
    assert!(!second.text.contains("Next page"));
    let found = browser.post("/admin/find", &[("find", " P_5")]).await;
    found.leads_to("/admin?find=P_5");
    let found = browser.get("/admin?find=P_5").await;
    found.says("p_55@example.com");
    assert!(!found.text.contains("p_45@example.com"));
    for odd in ["%25", "_0_", "%27%20OR%201=1--", "%5C"] {
        let page = browser.get(&format!("/admin?find={odd}")).await;
        page.is(200);
        page.says("No address and no printer’s name has this in it");
    }
    browser.get("/admin?after=nonsense&done=x").await.is(200);
}

#[tokio::test]
async fn an_account_is_suspended_with_a_reason_and_comes_back() {
    let bench = Bench::new().await;
    let ann = bench.administrator("ann@example.com").await;
    let bob = bench.account("bob@example.com").await;
    let mut theirs = bench.signed_in(&bob).await;
    theirs.get("/account").await.is(200);
    let mut browser = bench.signed_in(&ann).await;
    let here = format!("/admin/accounts/{}", bob.id);
    let suspend = format!("{here}/suspend");
    let long = "x".repeat(201);
    for (reason, said) in [(" \u{7}", "A reason is missing"), (&long, "too long")] {
        let answer = browser.fill(&here, &suspend, &[("reason", reason)]).await;
        answer.is(400);
        answer.says(said);
    }
    let reason = [("reason", "did not <pay>\r\n")];
    for _ in 0..2 {
        let answer = browser.post(&suspend, &reason).await;
        answer.leads_to(&format!("{here}?done=suspended"));
    }
    browser.get(&here).await.says("did not &#60;pay&#62;");
    // In the middle of what they were doing.
    theirs
        .post("/account/end-others", &[])
        .await
        .leads_to("/sign-in?then=/account");
    assert!(
        theirs
            .get("/printers")
            .await
            .location()
            .starts_with("/sign-in")
    );
    let fields = [("email", "bob@example.com"), ("password", PASSWORD)];
    theirs.fill("/sign-in", "/sign-in", &fields).await.is(403);
    let unsuspend = format!("{here}/unsuspend");
    for _ in 0..2 {
        let answer = browser.fill(&here, &unsuspend, &[]).await;
        answer.leads_to(&format!("{here}?done=unsuspended"));
    }
    theirs
        .fill("/sign-in", "/sign-in", &fields)
        .await
        .leads_to("/printers");
    let own = format!("/admin/accounts/{}", ann.id);
    browser
        .get(&own)
        .await
        .says("You can neither suspend nor remove it here");
    browser
        .post(&format!("{own}/suspend"), &reason)
        .await
        .is(409);
    let answer = browser.post(&format!("{own}/remove"), &[]).await;
    answer.leads_to("/account/delete");
}

#[tokio::test]
async fn plans_come_from_the_configuration() {
    let bench = Bench::new().await;
    let ann = bench.administrator("ann@example.com").await;
    let bob = bench.account("bob@example.com").await;
    let mut browser = bench.signed_in(&ann).await;
    let here = format!("/admin/accounts/{}", bob.id);
    let path = format!("{here}/plan");
    browser.get(&here).await.says("Without app connections");
    for odd in ["gold", "", "Free", "<b>"] {
        browser
            .post(&path, &[("plan", odd)])
            .await
            .says("There is no such plan");
    }
    let answer = browser.post(&path, &[("plan", "free")]).await;
    answer.leads_to(&format!("{here}?done=plan"));
    let accounts = bench.store().accounts();
    assert_eq!(accounts.load(&bob.id).await.unwrap().plan.as_str(), "free");
    accounts
        .set_plan(&bob.id, &"gold".parse().unwrap())
        .await
        .unwrap();
    browser.get(&here).await.says("no longer configured");
    browser.get("/admin").await.says("Not configured");
}

#[tokio::test]
async fn there_is_always_an_administrator() {
    let bench = Bench::new().await;
    let ann = bench.administrator("ann@example.com").await;
    let bob = bench.account("bob@example.com").await;
    let mut browser = bench.signed_in(&ann).await;
    let mut theirs = bench.signed_in(&bob).await;
    let own = format!("/admin/accounts/{}", ann.id);
    let other = format!("/admin/accounts/{}", bob.id);
    let to = |page: &str| format!("{page}/administrator");
    let refused = browser.fill(&own, &to(&own), &[]).await;
    refused.is(400);
    refused.says("Nobody else could run this relay");
    for _ in 0..2 {
        let answer = browser
            .fill(&other, &to(&other), &[("administrator", "true")])
            .await;
        answer.leads_to(&format!("{other}?done=administrator"));
    }
    assert!(
        theirs
            .get("/admin")
            .await
            .location()
            .starts_with("/sign-in")
    );
    let mut theirs = bench.signed_in(&bob).await;
    theirs.get("/admin").await.is(200);
    browser
        .fill(&own, &to(&own), &[])
        .await
        .leads_to("/account");
    browser.get("/admin").await.is(404);
    let refused = theirs.fill(&other, &to(&other), &[]).await;
    refused.is(400);
}

#[tokio::test]
async fn what_changes_something_asks_for_the_password_anew() {
    let bench = Bench::new().await;
    let ann = bench.administrator("ann@example.com").await;
    let bob = bench.account("bob@example.com").await;
    let printer = bench.printer(&bob, "Voron").await;
    let connection = bench.app_connection(&bob, &printer, "Fieldglass").await;
    let mut browser = bench.signed_in(&ann).await;
    let here = format!("/admin/accounts/{}", bob.id);
    let remove = format!("{here}/remove");
    browser.get("/admin").await.is(200);
    bench.clock.advance(STALE);
    browser
        .get(&remove)
        .await
        .leads_to(&format!("/sign-in/again?then={remove}"));
    let fields = [("administrator", "true"), ("plan", "free"), ("reason", "x")];
    for form in [
        "/admin/invitations".to_owned(),
        "/admin/invitations/withdraw".to_owned(),
        format!("{here}/plan"),
        format!("{here}/suspend"),
        format!("{here}/unsuspend"),
        format!("{here}/administrator"),
        remove.clone(),
    ] {
        let answer = browser.post(&form, &fields).await;
        assert!(
            answer.location().starts_with("/sign-in/again?then=/admin"),
            "{form}"
        );
    }
    let accounts = bench.store().accounts();
    assert_eq!(accounts.load(&bob.id).await.unwrap(), bob);
    let again = [("password", PASSWORD), ("then", &remove)];
    browser
        .fill("/sign-in/again", "/sign-in/again", &again)
        .await
        .leads_to(&remove);
    browser.get(&remove).await.says("bob@example.com");
    for _ in 0..2 {
        browser
            .post(&remove, &[])
            .await
            .leads_to("/admin?done=removed");
    }
    assert!(accounts.find(&bob.id).await.unwrap().is_none());
    assert!(!is_live(&bench, &connection).await);
    browser.get(&here).await.is(404);
}

#[tokio::test]
async fn an_invitation_makes_one_account_where_not_everybody_may() {
    let server = MailServer::start().await;
    let port = server.port;
    for registration in [Registration::Closed, Registration::Invite] {
        let bench = Bench::with(|config| {
            config.smtp = Some(crate::tests::smtp(port));
            config.registration = registration;
        });
        let bench = bench.await;
        let ann = bench.administrator("ann@example.com").await;
        let mut browser = bench.signed_in(&ann).await;
        let path = "/admin/invitations";
        browser
            .fill("/admin", path, &[("email", "x")])
            .await
            .is(400);
        let made = browser.post(path, &[("email", "bob@example.com")]).await;
        made.is(200);
        let link = server.letter().await.link("/sign-up");
        made.says(&link);
        let page = browser.get("/admin").await;
        page.says("Not used yet");
        let code = link.split_once("invitation=").unwrap().1;
        assert!(!page.text.contains(code), "shown once");
        let mut guest = bench.browser();
        let fields = [
            ("email", "bob@example.com"),
            ("password", PASSWORD),
            ("invitation", code),
        ];
        guest
            .fill(&link, "/sign-up", &fields)
            .await
            .leads_to("/printers");
        server.letter().await.link("/verify");
        let accounts = bench.store().accounts();
        let bob = Email::parse("bob@example.com").unwrap();
        let bob = accounts.find_by_email(&bob).await;
        assert!(!bob.unwrap().unwrap().administrator);

        browser.fill("/admin", path, &[]).await.is(200);
        let page = browser.get("/admin").await;
        let hash = page.after("name=\"invitation\" value=\"").to_owned();
        for _ in 0..2 {
            let fields = [("invitation", hash.as_str())];
            let answer = browser.post("/admin/invitations/withdraw", &fields).await;
            answer.leads_to("/admin?done=withdrawn");
        }
        assert!(!browser.get("/admin").await.text.contains("Not used yet"));
    }
}

#[tokio::test]
async fn the_first_administrator_comes_by_the_consoles_link_once() {
    let bench = Bench::with(|config| config.registration = Registration::Closed).await;
    let accounts = &bench.state.accounts;
    let first = accounts.first_administrator().await.unwrap().unwrap();
    let link = accounts.first_administrator().await.unwrap().unwrap();
    let path = |secret: &str| format!("/sign-up?invitation={secret}");
    let mut browser = bench.browser();
    browser.get("/sign-up").await.is(404);
    browser.get(&path(first.expose())).await.is(404);
    let fields = [
        ("email", "ann@example.com"),
        ("password", PASSWORD),
        ("invitation", link.expose()),
    ];
    let page = path(link.expose());
    browser
        .fill(&page, "/sign-up", &fields)
        .await
        .leads_to("/printers");
    browser.get("/admin").await.is(200);
    bench.browser().get(&page).await.is(404);
    assert!(accounts.first_administrator().await.unwrap().is_none());
}

#[tokio::test]
async fn the_consoles_link_is_nothing_once_somebody_else_administers() {
    let bench = Bench::with(|config| config.registration = Registration::Closed).await;
    let accounts = &bench.state.accounts;
    let link = accounts.first_administrator().await.unwrap().unwrap();
    let page = format!("/sign-up?invitation={}", link.expose());
    let mut browser = bench.browser();
    browser.get(&page).await.is(200);
    // By the console, in another process.
    bench.administrator("ann@example.com").await;
    browser.get(&page).await.is(404);
    let fields = [
        ("email", "eve@example.com"),
        ("password", PASSWORD),
        ("invitation", link.expose()),
    ];
    let kept = Link::new(LinkPurpose::FirstAdministrator, bench.clock.now());
    let kept = accounts.make_link(&kept).await.unwrap();
    browser.get("/forgotten").await.is(200);
    for secret in [&link, &kept] {
        let fields = [fields[0], fields[1], ("invitation", secret.expose())];
        browser.post("/sign-up", &fields).await.is(404);
    }
    let eve = Email::parse("eve@example.com").unwrap();
    let found = bench.store().accounts().find_by_email(&eve).await.unwrap();
    assert!(found.is_none());
}

#[tokio::test]
async fn an_invitation_is_still_good_after_an_address_that_was_taken() {
    let bench = Bench::with(|config| config.registration = Registration::Closed).await;
    bench.account("ann@example.com").await;
    let invitation = Link::new(LinkPurpose::Invitation, bench.clock.now());
    let invitation = bench.state.accounts.make_link(&invitation).await.unwrap();
    let page = format!("/sign-up?invitation={}", invitation.expose());
    let mut browser = bench.browser();
    let fields = |email| {
        [
            ("email", email),
            ("password", PASSWORD),
            ("invitation", invitation.expose()),
        ]
    };
    browser
        .fill(&page, "/sign-up", &fields("ann@example.com"))
        .await
        .is(400);
    browser
        .post("/sign-up", &fields("bob@example.com"))
        .await
        .leads_to("/printers");
    bench.browser().get(&page).await.is(404);
}
