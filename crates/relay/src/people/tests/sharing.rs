use latchkey_model::access::KeyScope;
use latchkey_model::account::Account;
use latchkey_model::account_notice::NoticeKind;
use latchkey_model::clock::Clock as _;
use latchkey_model::printer::Printer;
use latchkey_store::relay::AuditFilter;

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
async fn who_loses_an_app_to_the_owner_is_told_and_in_the_log() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let bob = bench.account("bob@example.com").await;
    let printer = bench.printer(&ann, "Voron").await;
    bench.share(&printer, &bob).await;
    let told = async |account: &Account| {
        let notices = bench.store().notices().list(&account.id, 10).await.unwrap();
        let notices = notices.into_iter();
        let notices = notices.filter(|notice| notice.kind == NoticeKind::AppRevoked);
        notices.collect::<Vec<_>>()
    };
    let connection = bench.app_connection(&bob, &printer, "Bobs app").await;
    let mut owner = bench.signed_in(&ann).await;
    let path = format!("/app-connections/{}/revoke", connection.id);
    owner.fill(&path, &path, &[]).await.is(303);
    let bobs = told(&bob).await;
    assert_eq!(bobs.len(), 1);
    assert_eq!(bobs[0].detail, "Bobs app");
    assert_eq!(
        (bobs[0].device.as_str(), bobs[0].network.as_str()),
        ("", "")
    );
    assert_eq!(told(&ann).await.len(), 1);
    let filter = AuditFilter {
        account: Some(bob.id.clone()),
        act: Some("app_connection_revoked".to_owned()),
        ..AuditFilter::default()
    };
    let log = bench.state.audit.list(&filter, 10).await.unwrap();
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].entry.printer, Some(printer.id.to_string()));

    bench.app_connection(&bob, &printer, "Bobs other").await;
    bench.app_connection(&ann, &printer, "Anns app").await;
    let path = format!("/printers/{}/revoke-all", printer.id);
    owner.fill(&path, &path, &[]).await.is(303);
    let bobs = told(&bob).await;
    let details: Vec<_> = bobs.iter().map(|notice| notice.detail.as_str()).collect();
    assert_eq!(details, ["Bobs other", "Bobs app"]);
    assert_eq!(told(&ann).await.len(), 2);
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

#[tokio::test]
async fn an_invitation_to_watch_lets_somebody_watch() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let bob = bench.account("bob@example.com").await;
    let printer = bench.printer(&ann, "Voron").await;
    let (id, here) = (printer.id.to_string(), format!("/printers/{}", printer.id));
    for (scope, offers, level) in [
        ("full", "You may do everything with it", KeyScope::Full),
        ("view", "You may watch it", KeyScope::View),
        ("everything", "You may watch it", KeyScope::View),
    ] {
        let path = format!("{here}/invite");
        let mut anns = bench.signed_in(&ann).await;
        let made = anns.fill(&path, &path, &[("scope", scope)]).await;
        let link = made.after("id=\"new-link\">").to_owned();
        let link = link.strip_prefix("https://relay.example.net").unwrap();
        let mut bobs = bench.signed_in(&bob).await;
        bobs.get(link).await.says(offers);
        let fields = [("code", code(link)), ("printer", &id)];
        bobs.post("/join", &fields).await.is(303);
        let used = bench.store().members();
        let used = used.find_used(&bob.id, &printer.id).await.unwrap();
        assert_eq!(used.unwrap().level, level, "{scope}");
        let told = if level == KeyScope::View {
            "Watch only, since"
        } else {
            "Everything, since"
        };
        anns.get(&here).await.says(told);
        let removed = bench.state.life.remove_member(&printer.id, &bob.id).await;
        assert!(removed.unwrap());
    }
}

#[tokio::test]
async fn an_owner_changes_how_far_somebody_goes() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let bob = bench.account("bob@example.com").await;
    let printer = bench.printer(&ann, "Voron").await;
    bench.share(&printer, &bob).await;
    let here = format!("/printers/{}", printer.id);
    let path = format!("{here}/members/{}/level", bob.id);
    let connection = bench.app_connection(&bob, &printer, "Fieldglass").await;
    let level = async || {
        let used = bench.store().members();
        let used = used.find_used(&bob.id, &printer.id).await.unwrap();
        let listed = bench.store().app_connections();
        let listed = listed.find_listed(&bob.id, &connection.id).await.unwrap();
        let app = listed.unwrap().connection.live().unwrap().scope;
        (used.unwrap().level, app)
    };
    let (full, view) = (KeyScope::Full, KeyScope::View);
    // Nobody raises themselves.
    let mut bobs = bench.signed_in(&bob).await;
    bobs.get("/account").await.is(200);
    bobs.post(&path, &[("scope", "view")]).await.is(404);
    assert_eq!(level().await, (full, full));

    let mut anns = bench.signed_in(&ann).await;
    for _ in 0..2 {
        let lowered = anns.fill(&here, &path, &[("scope", "view")]).await;
        lowered.leads_to(&format!("{here}?done=lowered"));
        assert_eq!(level().await, (view, view));
    }
    bobs.get(&here).await.says("to watch only");
    bobs.post(&path, &[("scope", "full")]).await.is(404);
    let raised = anns.fill(&here, &path, &[("scope", "full")]).await;
    raised.leads_to(&format!("{here}?done=raised"));
    assert_eq!(level().await, (full, view), "apps are not raised along");

    // To give more the password must have been typed lately; to take away, not.
    anns.fill(&here, &path, &[("scope", "view")]).await.is(303);
    let now = bench.clock.now();
    bench.clock.set(now.plus(super::STALE));
    let asked = anns.fill(&here, &path, &[("scope", "full")]).await;
    asked.leads_to(&format!("/sign-in/again?then={here}"));
    assert_eq!(level().await, (view, view));
    let nobody = format!("{here}/members/{}/level", ann.id);
    anns.fill(&here, &nobody, &[("scope", "view")])
        .await
        .is(404);
}
