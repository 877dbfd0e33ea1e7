use std::time::Duration;

use latchkey_model::app::{AppId, AppName, RegisteredApp};
use latchkey_model::clock::Clock;
use latchkey_model::id::{AppConnectionId, PrinterId};
use latchkey_model::portal::TargetRule;
use latchkey_model::printer::CopySeen;
use latchkey_store::relay::AuditFilter;

use super::{STALE, is_live};
use crate::tests::Bench;

#[tokio::test]
async fn an_owner_sees_their_printers_and_what_reaches_them() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let mut browser = bench.signed_in(&ann).await;
    let empty = browser.get("/printers").await;
    empty.says("No printer yet");
    empty.says("href=\"/pair\"");
    empty.says("latchkey pair");
    let printer = bench.printer(&ann, "Garage <Voron>").await;
    bench.app_connection(&ann, &printer, "Field<b>glass").await;
    let list = browser.get("/printers").await;
    list.says("Garage &#60;Voron&#62;");
    list.says("Never connected yet");
    list.says("1 app connection");
    let page = browser.get(&format!("/printers/{}", printer.id)).await;
    page.is(200);
    page.says("Field&#60;b&#62;glass");
    page.says("Everything");
    page.says("Not used yet");
}

#[tokio::test]
async fn apps_that_the_operator_registered_are_told_from_others() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let printer = bench.printer(&ann, "Voron").await;
    let connection = bench.app_connection(&ann, &printer, "Fieldglass").await;
    let mut browser = bench.signed_in(&ann).await;
    let here = format!("/printers/{}", printer.id);
    let revoke = format!("/app-connections/{}/revoke", connection.id);
    for path in [&here, &revoke] {
        let page = browser.get(path).await;
        page.says("Unverified app");
        assert!(!page.text.contains("logo.png"));
    }
    let app = RegisteredApp {
        id: AppId::parse("fieldglass").unwrap(),
        name: AppName::parse("Fieldglass").unwrap(),
        developer: None,
        website: None,
        targets: vec![TargetRule::parse("fieldglass:").unwrap()],
        has_logo: true,
        created: bench.clock.now(),
    };
    let apps = bench.store().apps();
    apps.insert(&app, Some(b"a picture")).await.unwrap();
    for path in [&here, &revoke] {
        let page = browser.get(path).await;
        page.says("Verified app");
        page.says("src=\"/apps/fieldglass/logo.png\"");
    }
}

#[tokio::test]
async fn a_copy_calls_its_owner_alone_and_for_an_hour() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let bob = bench.account("bob@example.com").await;
    let printer = bench.printer(&ann, "Voron").await;
    bench.share(&printer, &bob).await;
    let seen = CopySeen {
        at: bench.clock.now(),
        network: "203.0.113.0/24".to_owned(),
    };
    let printers = bench.store().printers();
    assert!(printers.note_copy(&printer.id, Some(&seen)).await.unwrap());
    let here = format!("/printers/{}", printer.id);
    let link = format!("href=\"{here}/swap\"");
    let (mut owner, mut member) = (bench.signed_in(&ann).await, bench.signed_in(&bob).await);
    owner.get("/printers").await.says("Needs you");
    owner.get(&here).await.says(&link);
    owner.get(&format!("{here}/swap")).await.is(200);
    let theirs = member.get("/printers").await;
    assert!(!theirs.text.contains("Needs you"));
    assert!(!member.get(&here).await.text.contains(&link));
    member.get(&format!("{here}/swap")).await.is(404);
    bench.clock.advance(Duration::from_hours(1));
    assert!(!owner.get("/printers").await.text.contains("Needs you"));
    assert!(!owner.get(&here).await.text.contains(&link));
}

#[tokio::test]
async fn what_is_somebody_elses_is_not_there() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let eve = bench.administrator("eve@example.com").await;
    let printer = bench.printer(&ann, "Voron").await;
    let connection = bench.app_connection(&ann, &printer, "Fieldglass").await;
    let unknown = PrinterId::generate(&*bench.chance);
    let nothing = AppConnectionId::generate(&*bench.chance);
    let mut browser = bench.signed_in(&eve).await;
    for id in [printer.id.to_string(), unknown.to_string(), "x".to_owned()] {
        for page in ["", "/remove", "/revoke-all", "/invite", "/leave"] {
            let page = format!("/printers/{id}{page}");
            browser.get(&page).await.is(404);
        }
        let member = format!("/printers/{id}/members/{}/remove", eve.id);
        browser.get(&member).await.is(404);
        browser.get("/printers").await.is(200);
        browser.get("/account").await.is(200);
        for form in ["/rename", "/revoke-all", "/invite", "/invite/withdraw"] {
            let form = format!("/printers/{id}{form}");
            browser.post(&form, &[("name", "Mine")]).await.is(404);
        }
        // Like what was theirs and is gone: the answer tells nothing.
        for form in ["/remove", "/leave"] {
            let answer = browser.post(&format!("/printers/{id}{form}"), &[]).await;
            if id == "x" {
                answer.is(404);
            } else {
                answer.leads_to("/printers?done=gone");
            }
        }
        browser.post(&member, &[]).await.is(404);
    }
    for id in [
        connection.id.to_string(),
        nothing.to_string(),
        "x".to_owned(),
    ] {
        let path = format!("/app-connections/{id}/revoke");
        browser.get(&path).await.is(404);
        let printer = printer.id.to_string();
        browser.post(&path, &[("printer", &printer)]).await.is(404);
        browser.post(&path, &[]).await.is(404);
    }
    assert!(is_live(&bench, &connection).await);
    let kept = bench.store().printers().load(&printer.id).await.unwrap();
    assert_eq!(kept.name.as_str(), "Voron");
}

#[tokio::test]
async fn nobody_gets_in_without_signing_in_and_they_come_back() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let printer = bench.printer(&ann, "Voron").await;
    let mut browser = bench.browser();
    let path = format!("/printers/{}", printer.id);
    let answer = browser.get(&path).await;
    answer.leads_to(&format!("/sign-in?then={path}"));
    for page in ["/account", "/admin", "/join?code=x", "/account/delete"] {
        assert!(browser.get(page).await.location().starts_with("/sign-in?"));
    }
    browser.get("/sign-in").await.is(200);
    let remove = format!("{path}/remove");
    let answer = browser.post(&remove, &[]).await;
    assert!(answer.location().starts_with("/sign-in?then="));
    assert!(
        bench
            .store()
            .printers()
            .find(&printer.id)
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn an_app_is_revoked_after_a_question_and_a_second_click_finds_it_done() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let printer = bench.printer(&ann, "Voron").await;
    let connection = bench.app_connection(&ann, &printer, "Fieldglass").await;
    let other = bench.app_connection(&ann, &printer, "Layerline").await;
    let mut browser = bench.signed_in(&ann).await;
    let path = format!("/app-connections/{}/revoke", connection.id);
    let asked = browser.get(&path).await;
    asked.says("It stops at once");
    asked.says("Keep it");
    assert!(is_live(&bench, &connection).await, "looking ends nothing");
    let id = printer.id.to_string();
    let done = format!("/printers/{id}?done=revoked");
    for _ in 0..2 {
        browser
            .post(&path, &[("printer", &id)])
            .await
            .leads_to(&done);
        assert!(!is_live(&bench, &connection).await);
    }
    assert!(is_live(&bench, &other).await);
    browser.get(&path).await.is(404);
    browser.get(&done).await.says("That app is out");
}

#[tokio::test]
async fn revoking_all_and_removing_ask_for_the_password_anew() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let printer = bench.printer(&ann, "Voron").await;
    let connection = bench.app_connection(&ann, &printer, "Fieldglass").await;
    let mut browser = bench.signed_in(&ann).await;
    let here = format!("/printers/{}", printer.id);
    for what in ["/revoke-all", "/remove", "/invite"] {
        browser.get(&format!("{here}{what}")).await.is(200);
    }
    bench.clock.advance(STALE);
    for what in ["/revoke-all", "/remove", "/invite"] {
        let path = format!("{here}{what}");
        let again = format!("/sign-in/again?then={path}");
        browser.get(&path).await.leads_to(&again);
        browser.post(&path, &[]).await.leads_to(&again);
    }
    assert!(is_live(&bench, &connection).await);
    let again = format!("/sign-in/again?then={here}/revoke-all");
    let fields = [
        ("password", crate::tests::PASSWORD),
        ("then", &format!("{here}/revoke-all")),
    ];
    let answer = browser.fill(&again, "/sign-in/again", &fields).await;
    answer.leads_to(&format!("{here}/revoke-all"));
    let path = format!("{here}/revoke-all");
    browser
        .fill(&path, &path, &[])
        .await
        .leads_to(&format!("{here}?done=revoked-all"));
    assert!(!is_live(&bench, &connection).await);
    let path = format!("{here}/remove");
    browser
        .fill(&path, &path, &[])
        .await
        .leads_to("/printers?done=removed");
    assert!(
        bench
            .store()
            .printers()
            .find(&printer.id)
            .await
            .unwrap()
            .is_none()
    );
    browser
        .post(&path, &[])
        .await
        .leads_to("/printers?done=gone");
    browser
        .get("/printers?done=gone")
        .await
        .says("That printer is not in your list");
    browser
        .get("/printers?done=removed")
        .await
        .says("The printer is removed");
}

#[tokio::test]
async fn a_printer_is_renamed_to_what_can_be_shown() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let printer = bench.printer(&ann, "Voron").await;
    let mut browser = bench.signed_in(&ann).await;
    let here = format!("/printers/{}", printer.id);
    let rename = format!("{here}/rename");
    let long = "x".repeat(65);
    for (name, said) in [
        ("  ", "A name is missing"),
        (long.as_str(), "too long"),
        ("a\u{202e}b", "cannot be seen"),
    ] {
        let answer = browser.fill(&here, &rename, &[("name", name)]).await;
        answer.is(400);
        answer.says(said);
    }
    let name = "Shed \"MK4\" & <b>";
    for _ in 0..2 {
        let answer = browser.post(&rename, &[("name", name)]).await;
        answer.leads_to(&format!("{here}?done=renamed"));
    }
    let kept = bench.store().printers().load(&printer.id).await.unwrap();
    assert_eq!(kept.name.as_str(), name);
    // What changed nothing is not written down.
    let log = bench.state.audit.list(&AuditFilter::default(), 100).await;
    let renamed = log.unwrap().into_iter();
    let renamed = renamed.filter(|record| record.entry.act == "printer_renamed");
    assert_eq!(renamed.count(), 1);
}

#[tokio::test]
async fn forms_from_elsewhere_change_nothing() {
    let bench = Bench::new().await;
    let ann = bench.administrator("ann@example.com").await;
    let bob = bench.account("bob@example.com").await;
    let printer = bench.printer(&ann, "Voron").await;
    let connection = bench.app_connection(&ann, &printer, "Fieldglass").await;
    bench.share(&printer, &bob).await;
    let mut browser = bench.signed_in(&ann).await;
    let mut other = bench.signed_in(&bob).await;
    other.get("/account").await.is(200);
    let of_another_session = other.token.clone();
    let (id, app) = (&printer.id, &connection.id);
    let forms = [
        format!("/printers/{id}/rename"),
        format!("/printers/{id}/remove"),
        format!("/printers/{id}/revoke-all"),
        format!("/printers/{id}/invite"),
        format!("/printers/{id}/invite/withdraw"),
        format!("/printers/{id}/members/{}/remove", bob.id),
        format!("/printers/{id}/leave"),
        format!("/app-connections/{app}/revoke"),
        "/join".to_owned(),
        "/account/password".to_owned(),
        "/account/address".to_owned(),
        "/account/confirm-address".to_owned(),
        "/account/end-session".to_owned(),
        "/account/end-others".to_owned(),
        "/account/delete".to_owned(),
        "/forgotten".to_owned(),
        "/verify".to_owned(),
        "/reset".to_owned(),
        "/admin/find".to_owned(),
        "/admin/invitations".to_owned(),
        "/admin/invitations/withdraw".to_owned(),
        format!("/admin/accounts/{}/plan", bob.id),
        format!("/admin/accounts/{}/suspend", bob.id),
        format!("/admin/accounts/{}/unsuspend", bob.id),
        format!("/admin/accounts/{}/administrator", bob.id),
        format!("/admin/accounts/{}/remove", bob.id),
    ];
    let fields = [
        ("name", "Stolen"),
        ("email", "eve@example.com"),
        ("reason", "because"),
        ("plan", "free"),
        ("administrator", "true"),
    ];
    for form in &forms {
        for token in ["", "nonsense", &of_another_session] {
            browser.post_with(token, form, &fields).await.is(403);
        }
    }
    let accounts = bench.store().accounts();
    assert_eq!(accounts.load(&ann.id).await.unwrap(), ann);
    assert_eq!(accounts.load(&bob.id).await.unwrap(), bob);
    let kept = bench.store().printers().load(id).await.unwrap();
    assert_eq!(kept.name.as_str(), "Voron");
    assert!(is_live(&bench, &connection).await);
    let members = bench.store().members().list(&ann.id, id).await.unwrap();
    assert_eq!(members.len(), 1);
}
