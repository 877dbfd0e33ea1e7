use latchkey_model::app::AppId;
use latchkey_model::clock::Clock as _;
use latchkey_store::relay::AuditFilter;

use crate::apps::{Registration, register};
use crate::tests::{Bench, Browser, PASSWORD, picture};

/// The words for what was done, the newest first.
async fn acts(bench: &Bench) -> Vec<String> {
    let all = bench.state.audit.list(&AuditFilter::default(), 100).await;
    all.unwrap()
        .into_iter()
        .map(|record| record.entry.act)
        .collect()
}

async fn registered(bench: &Bench, id: &str, name: &str) {
    let app = Registration {
        id,
        name,
        developer: Some("Northlight Labs"),
        website: Some("https://northlight.example"),
        targets: &["fieldglass:".to_owned()],
        logo: None,
    };
    let now = bench.state.clock.now();
    register(bench.store(), &app, now).await.unwrap();
}

#[tokio::test]
async fn plans_are_shown_with_how_many_are_on_them() {
    let bench = Bench::new().await;
    let ann = bench.administrator("ann@example.com").await;
    let bob = bench.account("bob@example.com").await;
    let gone = "gone".parse().unwrap();
    let accounts = bench.store().accounts();
    accounts.set_plan(&bob.id, &gone).await.unwrap();
    let mut browser = bench.signed_in(&ann).await;
    let page = browser.get("/admin/plans").await;
    page.says("<bdi>supporter</bdi> <span class=\"badge\">For new accounts</span>");
    page.says("No: they answer 605");
    page.says("<bdi>gone</bdi> <span class=\"badge warn\">Not configured</span>");
    let mut theirs = bench.signed_in(&bob).await;
    theirs.get("/admin/plans").await.is(404);
}

#[tokio::test]
async fn accounts_are_found_by_a_printers_name_too() {
    let bench = Bench::new().await;
    let ann = bench.administrator("ann@example.com").await;
    let bob = bench.account("bob@example.com").await;
    bench.printer(&bob, "Garage VORON_2").await;
    let mut browser = bench.signed_in(&ann).await;
    let page = browser.get("/admin?find=voron_").await;
    page.says("<bdi>bob@example.com");
    assert!(!page.text.contains("<bdi>ann@example.com</bdi> <span"));
    let page = browser.get("/admin?find=vorons").await;
    page.says("has this in it");
}

#[tokio::test]
async fn without_hosts_there_is_nothing_to_cut() {
    let bench = Bench::new().await;
    let ann = bench.administrator("ann@example.com").await;
    let printer = bench.printer(&ann, "Voron").await;
    let mut browser = bench.signed_in(&ann).await;
    let page = browser
        .get("/admin/tunnels?page=99999999999999999999")
        .await;
    page.says("No host is connected");
    let page = browser
        .get("/admin/tunnels?page=18446744073709551615")
        .await;
    page.says("No host is connected");
    // The page with a token.
    browser.get("/admin").await.is(200);
    let cut = format!("/admin/tunnels/{}/disconnect", printer.id);
    let answer = browser.post(&cut, &[]).await;
    answer.leads_to("/admin/tunnels?done=cut");
    browser
        .get("/admin/tunnels?done=cut")
        .await
        .says("The host dials again by itself");
    let nobodys = cut.replace(printer.id.as_str(), &"A".repeat(52));
    browser.post(&nobodys, &[]).await.is(404);
    assert!(
        !acts(&bench)
            .await
            .contains(&"tunnel_disconnected".to_owned())
    );
}

#[tokio::test]
async fn an_app_is_registered_changed_and_removed() {
    let bench = Bench::new().await;
    let ann = bench.administrator("ann@example.com").await;
    let mut browser = bench.signed_in(&ann).await;
    let fields = [
        ("id", "fieldglass"),
        ("name", "Fieldglass"),
        ("developer", " "),
        ("website", ""),
        ("targets", " fieldglass: \r\n\r\nhttp://127.0.0.1/\r\n"),
    ];
    let done = browser.fill("/admin/apps", "/admin/apps", &fields).await;
    done.leads_to("/admin/apps?done=registered");
    let again = browser.post("/admin/apps", &fields).await;
    again.is(409);
    again.says("there is an app fieldglass already");
    again.says("value=\"Fieldglass\"");
    let bad = [fields[0], fields[1], ("targets", "javascript:x")];
    let bad = browser.post("/admin/apps", &bad).await;
    bad.is(400);
    let known = &bench.store().apps().list().await.unwrap()[0];
    assert_eq!((known.targets.len(), &known.developer), (2, &None));

    let one = "/admin/apps/fieldglass";
    browser
        .get(one)
        .await
        .says("fieldglass:\nhttp://127.0.0.1/");
    let changes = [
        ("developer", "Northlight <Labs>"),
        ("website", "https://northlight.example"),
        ("targets", "fieldglass:"),
    ];
    let changed = browser.post(&format!("{one}/change"), &changes).await;
    changed.leads_to(&format!("{one}?done=changed"));
    browser.get(one).await.says("Northlight &#60;Labs&#62;");
    let bad = [("website", "http://northlight.example")];
    let bad = browser.post(&format!("{one}/change"), &bad).await;
    bad.is(400);
    bad.says("It was not changed");

    browser
        .get(&format!("{one}/remove"))
        .await
        .says("from the registered apps?");
    for _ in 0..2 {
        let removed = browser.post(&format!("{one}/remove"), &[]).await;
        removed.leads_to("/admin/apps?done=removed");
    }
    browser.get(one).await.is(404);
    let changed = browser.post(&format!("{one}/change"), &changes).await;
    changed.is(404);
    let written = acts(&bench).await;
    assert_eq!(
        written[..3],
        ["app_removed", "app_changed", "app_registered"]
    );
}

#[tokio::test]
async fn a_logo_is_drawn_anew_and_what_is_none_is_refused() {
    let bench = Bench::new().await;
    let ann = bench.administrator("ann@example.com").await;
    registered(&bench, "com.example.fg", "Fieldglass").await;
    let mut browser = bench.signed_in(&ann).await;
    let one = "/admin/apps/com%2Eexample%2Efg";
    let upload = format!("{one}/logo");
    browser.get(one).await.is(200);
    let large = vec![0; (1 << 20) + 1];
    for (file, said) in [
        (b"<svg/>".to_vec(), "no PNG"),
        (Vec::new(), "no PNG"),
        (picture(8), "16 to 2048 pixels"),
        (large, "larger than a megabyte"),
    ] {
        let refused = browser.upload(&upload, "logo", &file).await;
        refused.is(400);
        refused.says(said);
    }
    browser.upload(&upload, "other", &picture(64)).await.is(400);
    let id = AppId::parse("com.example.fg").unwrap();
    let logo = async || bench.store().apps().find_logo(&id).await.unwrap();
    assert_eq!(logo().await, None);
    let done = browser.upload(&upload, "logo", &picture(64)).await;
    done.leads_to(&format!("{one}?done=logo"));
    let kept = logo().await.unwrap();
    assert!(kept.starts_with(b"\x89PNG") && kept != picture(64));
    for _ in 0..2 {
        let gone = browser.post(&format!("{one}/no-logo"), &[]).await;
        gone.leads_to(&format!("{one}?done=no-logo"));
    }
    assert_eq!(logo().await, None);
    // Another's page, or nobody's.
    let token = std::mem::take(&mut browser.token);
    browser.upload(&upload, "logo", &picture(64)).await.is(403);
    browser.token = token;
    browser.origin = "https://evil.example";
    browser.upload(&upload, "logo", &picture(64)).await.is(403);
    assert_eq!(logo().await, None);
}

#[tokio::test]
async fn everybody_sees_which_apps_are_registered_and_what_can_be_seen() {
    let bench = Bench::new().await;
    let mut browser = bench.browser();
    browser.get("/apps").await.says("No app is listed yet");
    registered(&bench, "spool", "spool <b>").await;
    registered(&bench, "fieldglass", "Fieldglass").await;
    let page = browser.get("/apps").await;
    page.says("by <bdi>Northlight Labs</bdi>");
    page.says("href=\"https://northlight.example\" rel=\"noopener noreferrer nofollow\"");
    let place = |text: &str| page.text.find(text).unwrap();
    assert!(place("<bdi>Fieldglass</bdi>") < place("<bdi>spool &#60;b&#62;</bdi>"));
    let page = browser.get("/privacy").await;
    page.says("encryption ends at this relay");
    page.says("7 days at most");
    let landing = browser.get("/").await;
    landing.says("href=\"/apps\"");
    landing.says("href=\"/privacy\"");
}

#[tokio::test]
async fn the_log_says_who_did_what_and_to_whom() {
    let bench = Bench::new().await;
    let ann = bench.administrator("ann@example.com").await;
    let bob = bench.account("bob@example.com").await;
    let mut browser = bench.signed_in(&ann).await;
    let one = format!("/admin/accounts/{}", bob.id);
    let plan = format!("{one}/plan");
    browser.fill(&one, &plan, &[("plan", "free")]).await;
    let suspend = format!("{one}/suspend");
    for _ in 0..2 {
        browser.post(&suspend, &[("reason", "<unpaid>")]).await;
    }
    let page = browser.get("/admin/audit").await;
    page.says("<bdi>Account suspended</bdi>");
    page.says("<bdi>free</bdi>");
    page.says("<bdi>bob@example.com</bdi>");
    page.says("<bdi>198.51.0.1</bdi>");
    assert!(!page.text.contains("unpaid"), "it stays with the account");
    let written = acts(&bench).await;
    assert_eq!(written, ["account_suspended", "plan_changed", "signed_in"]);

    let found = [("act", "plan_changed"), ("email", " bob@example.com ")];
    let found = browser.post("/admin/audit/find", &found).await;
    found.leads_to("/admin/audit?act=plan_changed&email=bob@example.com");
    let path = found.location().to_owned();
    let page = browser.get(&path).await;
    page.says("<bdi>Plan changed</bdi>");
    assert!(!page.text.contains("<bdi>Account suspended</bdi>"));
    let page = browser.get("/admin/audit?email=eve@example.com").await;
    page.says("Nobody has this address");
    browser
        .get("/admin/audit?act=%27%20OR%201&before=x")
        .await
        .says("Show everything");

    browser
        .fill(&format!("{one}/remove"), &format!("{one}/remove"), &[])
        .await;
    let page = browser.get("/admin/audit").await;
    page.says("Removed account");
    page.says(bob.id.as_str());
    assert!(!page.text.contains("bob@example.com"));
    let page = browser.get(&format!("/admin/audit?email={}", bob.id)).await;
    page.says("<bdi>Account removed</bdi>");
}

#[tokio::test]
async fn the_log_is_read_page_by_page() {
    let bench = Bench::new().await;
    let ann = bench.administrator("ann@example.com").await;
    for number in 0..60 {
        let entry = crate::audit::Entry {
            detail: format!("number {number}."),
            ..crate::audit::Entry::new(
                crate::audit::Actor::CommandLine,
                crate::audit::Act::AppChanged,
            )
        };
        bench.state.audit.note(entry).await;
    }
    let mut browser = bench.signed_in(&ann).await;
    let first = browser.get("/admin/audit?act=app_changed").await;
    first.says("number 59.");
    first.says("number 10.");
    assert!(!first.text.contains("number 9."));
    first.says("href=\"/admin/audit?act=app_changed&#38;before=11\"");
    let second = browser.get("/admin/audit?act=app_changed&before=11").await;
    second.says("number 9.");
    second.says("number 0.");
    assert!(!second.text.contains(">Older<"));
}

/// Somebody who tries ten passwords, and goes on.
async fn guess(browser: &mut Browser<'_>, email: &str) {
    browser.get("/sign-in").await.is(200);
    for _ in 0..13 {
        let fields = [("email", email), ("password", "wrong-wrong-wrong")];
        browser.post("/sign-in", &fields).await;
    }
}

#[tokio::test]
async fn guessing_is_written_down_once_for_each_limit() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    guess(&mut bench.browser(), "ann@example.com").await;
    guess(&mut bench.browser(), "nobody@example.com").await;
    let all = bench.state.audit.list(&AuditFilter::default(), 100).await;
    let stops: Vec<_> = all
        .unwrap()
        .into_iter()
        .map(|record| (record.entry.act, record.entry.account))
        .collect();
    let stopped = "sign_ins_stopped".to_owned();
    assert_eq!(
        stops,
        [(stopped.clone(), None), (stopped, Some(ann.id.to_string()))]
    );
}

#[tokio::test]
async fn what_people_do_is_written_down() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let bob = bench.account("bob@example.com").await;
    let printer = bench.printer(&ann, "Voron").await;
    let connection = bench.app_connection(&ann, &printer, "Fieldglass").await;
    let mut browser = bench.signed_in(&ann).await;
    let here = format!("/printers/{}", printer.id);
    browser.get(&here).await.is(200);
    let revoke = format!("/app-connections/{}/revoke", connection.id);
    for _ in 0..2 {
        browser.post(&revoke, &[]).await;
    }
    browser
        .post(&format!("{here}/rename"), &[("name", "Mini")])
        .await;
    bench.share(&printer, &bob).await;
    let end = format!("{here}/members/{}/remove", bob.id);
    for _ in 0..2 {
        browser.post(&end, &[]).await;
    }
    browser.post(&format!("{here}/remove"), &[]).await;
    browser.post("/sign-out", &[]).await;
    assert_eq!(
        acts(&bench).await,
        [
            "signed_out",
            "printer_removed",
            "sharing_ended",
            "printer_renamed",
            "app_connection_revoked",
            "signed_in",
        ]
    );
    let mut eve = bench.browser();
    let fields = [("email", "eve@example.com"), ("password", PASSWORD)];
    eve.fill("/sign-up", "/sign-up", &fields).await;
    assert_eq!(acts(&bench).await[0], "account_made");
}

#[tokio::test]
async fn all_apps_of_a_person_stand_on_one_page() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let bob = bench.account("bob@example.com").await;
    let mut browser = bench.signed_in(&ann).await;
    browser.get("/app-connections").await.says("No app yet");
    let voron = bench.printer(&ann, "Voron").await;
    let mini = bench.printer(&bob, "Mini").await;
    bench.share(&mini, &ann).await;
    bench.app_connection(&ann, &voron, "Fieldglass").await;
    let there = bench.app_connection(&ann, &mini, "Spool").await;
    bench.app_connection(&bob, &mini, "Bobs own").await;
    let page = browser.get("/app-connections").await;
    page.says("<bdi>Fieldglass</bdi>");
    page.says("<bdi>Spool</bdi>");
    page.says("<bdi>Mini</bdi>");
    assert!(!page.text.contains("Bobs own"));
    let revoke = format!("/app-connections/{}/revoke", there.id);
    page.says(&format!("href=\"{revoke}\""));
    browser.get(&revoke).await.is(200);
    let done = browser.post(&revoke, &[]).await;
    done.leads_to("/app-connections?done=revoked");
    let page = browser.get("/app-connections?done=revoked").await;
    page.says("That app is out");
    assert!(!page.text.contains("Spool"));
    let mut theirs = bench.signed_in(&bob).await;
    theirs.get("/app-connections").await.says("Bobs own");
}

#[tokio::test]
async fn the_system_says_what_runs_and_nothing_secret() {
    let bench = Bench::with(|config| {
        let mut smtp = crate::tests::smtp(1);
        smtp.login = Some(crate::config::SmtpLogin {
            user: "mail-user".to_owned(),
            password: crate::config::SmtpPassword::new("mail-password".to_owned()),
        });
        config.smtp = Some(smtp);
    })
    .await;
    let ann = bench.administrator("ann@example.com").await;
    let mut browser = bench.signed_in(&ann).await;
    let page = browser.get("/admin/system").await;
    page.says("https://relay.example.net");
    page.says("cannot connect to the mail server 127.0.0.1:1");
    page.says("TLS ends elsewhere");
    assert!(!page.text.contains("mail-password") && !page.text.contains("mail-user"));
}

#[tokio::test]
async fn what_administrators_do_is_written_down_however_often() {
    let bench = Bench::new().await;
    let ann = bench.administrator("ann@example.com").await;
    let bob = bench.account("bob@example.com").await;
    for account in [&ann, &bob] {
        for _ in 0..70 {
            let actor = crate::audit::Actor::Account(account.id.clone());
            let entry = crate::audit::Entry::new(actor, crate::audit::Act::PlanChanged);
            bench.state.audit.note(entry).await;
        }
    }
    let filter = AuditFilter::default();
    let all = bench.state.audit.list(&filter, 1000).await.unwrap();
    let of = |id: &str| all.iter().filter(|one| one.entry.actor == id).count();
    assert_eq!((of(ann.id.as_str()), of(bob.id.as_str())), (70, 61));
}

#[tokio::test]
async fn the_system_asks_the_open_database_and_leaves_its_file_alone() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().to_owned();
    // In memory: whoever looked for a file found none.
    let bench = Bench::with(|config| config.data = folder).await;
    let ann = bench.administrator("ann@example.com").await;
    let mut browser = bench.signed_in(&ann).await;
    let known = bench.store().versions().await.unwrap().known;
    let page = browser.get("/admin/system").await;
    page.says(&format!("the database opens and has version {known}"));
}
