use latchkey_model::account::Account;
use latchkey_model::printer::Printer;

use super::is_live;
use crate::tests::{Bench, MailServer};

/// Makes an invitation; gives the path that its link leads to.
async fn invite(bench: &Bench, owner: &Account, printer: &Printer) -> String {
    let path = format!("/printers/{}/invite", printer.id);
    let mut browser = bench.signed_in(owner).await;
    let made = browser.fill(&path, &path, &[]).await;
    made.is(200);
    let link = made.after("id=\"new-link\">");
    link.strip_prefix("https://relay.example.net")
        .unwrap()
        .to_owned()
}

fn code(link: &str) -> &str {
    link.split_once("code=").unwrap().1
}

#[tokio::test]
async fn an_invitation_lets_one_person_in_once() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let bob = bench.account("bob@example.com").await;
    let carl = bench.account("carl@example.com").await;
    let printer = bench.printer(&ann, "Voron").await;
    let here = format!("/printers/{}", printer.id);
    let link = invite(&bench, &ann, &printer).await;

    let mut owner = bench.signed_in(&ann).await;
    owner.get(&link).await.says("is yours already");
    let page = owner.get(&here).await;
    page.says("Not accepted yet");
    assert!(!page.text.contains(code(&link)), "shown once");

    let mut browser = bench.signed_in(&bob).await;
    browser.get(&here).await.is(404);
    let offer = browser.get(&link).await;
    offer.says("Use <bdi>Voron</bdi>?");
    offer.says("<bdi>ann@example.com</bdi>");
    browser.get(&here).await.is(404);
    browser.get(&link).await.is(200);
    let id = printer.id.to_string();
    let fields = [("code", code(&link)), ("printer", &id)];
    for _ in 0..2 {
        let joined = browser.post("/join", &fields).await;
        joined.leads_to(&format!("{here}?done=joined"));
    }
    browser
        .get(&here)
        .await
        .says("Shared by <bdi>ann@example.com</bdi>");
    browser.get("/printers").await.says("Voron");

    let mut late = bench.signed_in(&carl).await;
    let gone = late.get(&link).await;
    gone.is(404);
    gone.says("no longer good");
    late.get("/account").await.is(200);
    late.post("/join", &fields).await.is(404);
    late.get(&here).await.is(404);
}

#[tokio::test]
async fn invitations_end_by_time_and_by_their_owner() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let bob = bench.account("bob@example.com").await;
    let printer = bench.printer(&ann, "Voron").await;
    let here = format!("/printers/{}", printer.id);
    let link = invite(&bench, &ann, &printer).await;
    let mut owner = bench.signed_in(&ann).await;
    let page = owner.get(&here).await;
    let hash = page.after("name=\"invitation\" value=\"").to_owned();
    let path = format!("{here}/invite/withdraw");
    // Another printer's owner cannot take it back.
    let mut other = bench.signed_in(&bob).await;
    let own = bench.printer(&bob, "Mini").await;
    other.get("/account").await.is(200);
    other
        .post(
            &format!("/printers/{}/invite/withdraw", own.id),
            &[("invitation", &hash)],
        )
        .await;
    other.get(&link).await.is(200);
    for _ in 0..2 {
        let answer = owner.post(&path, &[("invitation", &hash)]).await;
        answer.leads_to(&format!("{here}?done=withdrawn"));
    }
    other.get(&link).await.is(404);

    let link = invite(&bench, &ann, &printer).await;
    bench.clock.advance(std::time::Duration::from_hours(7 * 24));
    let mut other = bench.signed_in(&bob).await;
    other.get(&link).await.is(404);
    for odd in [
        "/join",
        "/join?code=",
        "/join?code=lk_link_x",
        "/join?code=%00",
    ] {
        other.get(odd).await.is(404);
    }
}

#[tokio::test]
async fn only_so_many_are_invited_and_only_by_the_owner() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let bob = bench.account("bob@example.com").await;
    let printer = bench.printer(&ann, "Voron").await;
    bench.share(&printer, &bob).await;
    let path = format!("/printers/{}/invite", printer.id);
    let mut member = bench.signed_in(&bob).await;
    member.get(&path).await.is(404);
    member.get("/account").await.is(200);
    member.post(&path, &[]).await.is(404);
    let mut owner = bench.signed_in(&ann).await;
    owner.get(&path).await.is(200);
    for _ in 0..49 {
        owner.post(&path, &[]).await.is(200);
    }
    let full = owner.post(&path, &[]).await;
    full.is(400);
    full.says("are the most for one printer");
}

#[tokio::test]
async fn members_see_their_own_apps_and_owners_all() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let bob = bench.account("bob@example.com").await;
    let carl = bench.account("carl@example.com").await;
    let printer = bench.printer(&ann, "Voron").await;
    bench.share(&printer, &bob).await;
    bench.share(&printer, &carl).await;
    let owners = bench.app_connection(&ann, &printer, "Anns app").await;
    let bobs = bench.app_connection(&bob, &printer, "Bobs app").await;
    let carls = bench.app_connection(&carl, &printer, "Carls app").await;
    let here = format!("/printers/{}", printer.id);

    let mut member = bench.signed_in(&bob).await;
    let page = member.get(&here).await;
    page.says("Bobs app");
    for hidden in [
        "Anns app",
        "Carls app",
        "carl@example.com",
        "Rename",
        "Remove",
    ] {
        assert!(!page.text.contains(hidden), "{hidden}");
    }
    member.get("/account").await.is(200);
    for theirs in [&owners, &carls] {
        let path = format!("/app-connections/{}/revoke", theirs.id);
        member.get(&path).await.is(404);
        let id = printer.id.to_string();
        member.post(&path, &[("printer", &id)]).await;
        assert!(is_live(&bench, theirs).await);
    }
    for form in ["/rename", "/remove", "/invite/withdraw"] {
        member
            .post(&format!("{here}{form}"), &[("name", "x")])
            .await
            .is(404);
    }
    let all = format!("{here}/revoke-all");
    member.fill(&all, &all, &[]).await;
    assert!(!is_live(&bench, &bobs).await);
    assert!(is_live(&bench, &owners).await && is_live(&bench, &carls).await);

    let mut owner = bench.signed_in(&ann).await;
    let page = owner.get(&here).await;
    page.says("Carls app");
    page.says("allowed by <bdi>carl@example.com</bdi>");
    let path = format!("/app-connections/{}/revoke", carls.id);
    owner.fill(&path, &path, &[]).await;
    assert!(!is_live(&bench, &carls).await);
}

#[tokio::test]
async fn a_membership_ends_with_its_apps() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let bob = bench.account("bob@example.com").await;
    let printer = bench.printer(&ann, "Voron").await;
    let here = format!("/printers/{}", printer.id);
    let owners = bench.app_connection(&ann, &printer, "Anns app").await;

    bench.share(&printer, &bob).await;
    let bobs = bench.app_connection(&bob, &printer, "Bobs app").await;
    let mut owner = bench.signed_in(&ann).await;
    let end = format!("{here}/members/{}/remove", bob.id);
    let asked = owner.get(&end).await;
    asked.says("Let 1 app in");
    for _ in 0..2 {
        owner
            .post(&end, &[])
            .await
            .leads_to(&format!("{here}?done=ended"));
    }
    assert!(!is_live(&bench, &bobs).await && is_live(&bench, &owners).await);
    let mut member = bench.signed_in(&bob).await;
    member.get(&here).await.is(404);
    owner.get(&end).await.is(404);

    bench.share(&printer, &bob).await;
    let bobs = bench.app_connection(&bob, &printer, "Bobs app").await;
    let leave = format!("{here}/leave");
    owner.get(&leave).await.is(404);
    member
        .fill(&leave, &leave, &[])
        .await
        .leads_to("/printers?done=left");
    assert!(!is_live(&bench, &bobs).await && is_live(&bench, &owners).await);
    member
        .post(&leave, &[])
        .await
        .leads_to("/printers?done=gone");
}

#[tokio::test]
async fn an_invitation_goes_by_letter_too_and_leads_through_signing_up() {
    let server = MailServer::start().await;
    let bench = Bench::with_mail(&server).await;
    let ann = bench.account("ann@example.com").await;
    let printer = bench.printer(&ann, "Voron").await;
    let path = format!("/printers/{}/invite", printer.id);
    let mut owner = bench.signed_in(&ann).await;
    let wrong = owner.fill(&path, &path, &[("email", "bob")]).await;
    wrong.is(400);
    wrong.says("This is not an e-mail address");
    let email = [("email", "bob@example.com")];
    owner.post(&path, &email).await.says("bob@example.com");
    let letter = server.letter().await;
    assert_eq!(letter.to, ["bob@example.com"]);
    let link = letter.link("/join");

    let mut browser = bench.browser();
    let answer = browser.get(&link).await;
    let then = answer.location().strip_prefix("/sign-in?then=").unwrap();
    let sign_up = format!("/sign-up?then={then}");
    let back = link.as_str();
    let fields = [
        ("email", "bob@example.com"),
        ("password", crate::tests::PASSWORD),
        ("then", back),
    ];
    browser
        .fill(&sign_up, "/sign-up", &fields)
        .await
        .leads_to(back);
    browser.get(back).await.says("Use <bdi>Voron</bdi>?");
    for _ in 0..9 {
        owner.post(&path, &email).await.is(200);
    }
    owner.post(&path, &email).await.is(429);
    owner.post(&path, &[]).await.is(200);
}
