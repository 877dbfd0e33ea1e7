//! What a printer's page says of whom it tells what.

use latchkey_model::print_letter::{Occasion, Occasions};
use latchkey_model::webhook::EventFilter;
use latchkey_store::relay::AuditFilter;

use crate::tests::{Bench, MailServer};
use crate::webhooks::Whose;

#[tokio::test]
async fn people_choose_their_letters_on_the_printers_page() {
    let server = MailServer::start().await;
    let bench = Bench::with_mail(&server).await;
    let ann = bench.account("ann@example.com").await;
    let mia = bench.account("mia@example.com").await;
    let printer = bench.printer(&ann, "Voron").await;
    bench.share(&printer, &mia).await;
    let (path, form) = (
        format!("/printers/{}", printer.id),
        format!("/printers/{}/letters", printer.id),
    );
    let letters = &bench.state.print_letters;
    for who in [&ann, &mia] {
        let mut browser = bench.signed_in(who).await;
        let page = browser.get(&path).await;
        page.says("Nothing is sent before this address is confirmed");
        assert!(!page.text.contains("checked"), "off by default");
        let fields = [("done", "yes"), ("away", "yes")];
        let reply = browser.post(&form, &fields).await;
        reply.leads_to(&format!("{path}?done=letters"));
        browser
            .get(reply.location())
            .await
            .says("Your choice is kept");
        let chosen = letters.chosen(&printer.id, &who.id).await.unwrap();
        assert_eq!(chosen, Occasions::of([Occasion::Done, Occasion::Away]));
        let page = browser.get(&path).await;
        assert_eq!(page.text.matches(" checked").count(), 2);
        browser
            .post(&form, &[])
            .await
            .leads_to(&format!("{path}?done=letters"));
        assert!(
            letters
                .chosen(&printer.id, &who.id)
                .await
                .unwrap()
                .is_empty()
        );
    }
    let eve = bench.account("eve@example.com").await;
    let mut browser = bench.signed_in(&eve).await;
    browser.get("/printers").await;
    browser.get("/account").await;
    browser.post(&form, &[("done", "yes")]).await.is(404);
}

#[tokio::test]
async fn without_a_mail_server_no_letters_are_offered() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let printer = bench.printer(&ann, "Voron").await;
    let mut browser = bench.signed_in(&ann).await;
    let path = format!("/printers/{}", printer.id);
    let page = browser.get(&path).await;
    assert!(!page.text.contains("Letters to you"));
    let form = format!("{path}/letters");
    browser.post(&form, &[("done", "yes")]).await.is(303);
    let letters = &bench.state.print_letters;
    assert!(
        letters
            .chosen(&printer.id, &ann.id)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn webhooks_are_shown_to_the_owner_and_to_who_allowed_the_app() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let mia = bench.account("mia@example.com").await;
    let printer = bench.printer(&ann, "Voron").await;
    bench.share(&printer, &mia).await;
    for (who, app, host) in [(&ann, "Ann's app", "one"), (&mia, "Mia's app", "two")] {
        let connection = bench.app_connection(who, &printer, app).await;
        let whose = Whose {
            app_connection: connection.id.clone(),
            account: who.id.clone(),
            printer: printer.id.clone(),
            printer_name: printer.name.clone(),
        };
        let url = format!("https://{host}.example/path?key=planted");
        let set = bench.state.webhooks.set(&whose, &url, EventFilter::ALL);
        set.await.unwrap();
    }
    let path = format!("/printers/{}", printer.id);
    let page = bench.signed_in(&ann).await.get(&path).await;
    page.says("one.example");
    page.says("two.example");
    page.says("Nothing was told yet.");
    page.says("</bdi> keeps it for 7 days");
    assert!(!page.text.contains("planted"), "the address may be secret");
    let page = bench.signed_in(&mia).await.get(&path).await;
    page.says("two.example");
    assert!(!page.text.contains("one.example"));
}

#[tokio::test]
async fn who_sees_a_webhook_stops_it_and_nobody_else() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let mia = bench.account("mia@example.com").await;
    let printer = bench.printer(&ann, "Voron").await;
    bench.share(&printer, &mia).await;
    let connection = bench.app_connection(&ann, &printer, "Ann's app").await;
    let whose = Whose {
        app_connection: connection.id.clone(),
        account: ann.id.clone(),
        printer: printer.id.clone(),
        printer_name: printer.name.clone(),
    };
    let url = "https://one.example/path";
    let set = bench.state.webhooks.set(&whose, url, EventFilter::ALL);
    set.await.unwrap();
    let path = format!("/printers/{}", printer.id);
    let stop = format!("{path}/webhooks/stop");
    let fields = [("app_connection", connection.id.as_str())];
    let is_there = async || {
        let webhooks = bench.state.store.webhooks();
        webhooks.find(&connection.id).await.unwrap().is_some()
    };
    // Mia uses the printer, and is not shown what Ann's apps are told.
    let mut browser = bench.signed_in(&mia).await;
    // A page with a token.
    browser.get("/account").await;
    let done = format!("{path}?done=untold");
    browser.post(&stop, &fields).await.leads_to(&done);
    assert!(is_there().await);
    let mut browser = bench.signed_in(&ann).await;
    browser.get(&path).await.says("Stop telling");
    browser.post(&stop, &fields).await.leads_to(&done);
    assert!(!is_there().await);
    let page = browser.get(&done).await;
    page.says("That app is told nothing more");
    assert!(!page.text.contains("one.example"));
    // A second click finds it done, and the app keeps its access.
    browser.post(&stop, &fields).await.leads_to(&done);
    let all = bench.state.audit.list(&AuditFilter::default(), 100).await;
    let all = all.unwrap().into_iter().map(|record| record.entry);
    let deleted: Vec<_> = all.filter(|entry| entry.act == "webhook_deleted").collect();
    assert_eq!(deleted.len(), 1);
    assert_eq!(deleted[0].actor, ann.id.as_str());
}
