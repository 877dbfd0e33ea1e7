//! Every state of the portal and what can go wrong in it, without sockets.

mod bench;
mod codes;
mod decision;
mod hostile;

use std::time::Duration;

use http::StatusCode;
use http::header::{HeaderValue, ORIGIN};
use latchkey_model::access::KeyScope;
use latchkey_model::app::{AppId, AppName};
use latchkey_model::app_connection::EndReason;
use latchkey_model::clock::Clock as _;
use latchkey_model::secret::AppTokenHash;

use crate::config::UnregisteredApps;
use bench::{Bench, Browser, Page, encoded};

const OCTOPOD: &str = "appid=octopod&authType=enhanced&returnUrl=octopod://octoeverywhere";
const ALLOWED: [(&str, &str); 3] = [("decision", "allow"), ("scope", "full"), ("sure", "yes")];

fn start(query: &str) -> String {
    format!("/appportal/v1?{query}")
}

/// Walks from the first page to the decision.
async fn to_decision(browser: &mut Browser, query: &str, printer: &str) -> Page {
    let page = browser.get(&start(query)).await;
    let page = browser
        .submit(&page, "/appportal/v1", &[("decision", "continue")])
        .await;
    let page = browser.get(page.location()).await;
    assert_eq!(page.status, StatusCode::OK);
    let fields = [("decision", "continue"), ("printer", printer)];
    let page = browser
        .submit(&page, "/appportal/v1/printer", &fields)
        .await;
    let page = browser.get(page.location()).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    page
}

#[tokio::test]
async fn the_whole_way_ends_with_everything_the_app_needs() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let printer = bench.printer(&ann, "Büro MK4").await;
    let mut browser = bench.signed_in(&ann).await;
    let page = to_decision(&mut browser, OCTOPOD, printer.id.as_str()).await;
    assert!(page.has("Verified app") && page.has("octopod://octoeverywhere"));
    let page = browser.submit(&page, "/appportal/v1/allow", &ALLOWED).await;
    let page = browser.get(page.location()).await;
    let address = page.refresh().unwrap();
    assert!(
        address.starts_with("octopod://octoeverywhere?success=true&id="),
        "{address}"
    );
    let values = page.completion();
    assert_eq!(values["printername"], "Büro MK4");
    assert_eq!(
        values["userPrinterAccessUrl"],
        "http://localhost:7010/view/B%C3%BCro%20MK4"
    );
    assert_eq!(values["printerLastKnownLocalIp"], "192.168.1.5");
    assert!(values["url"].starts_with("http://app-") && values["url"].ends_with(".localhost:7010"));
    assert!(!values.contains_key("octoPrintApiKey"));
    let hash = AppTokenHash::of(&values["appApiToken"]);
    let found = bench
        .state
        .store
        .app_connections()
        .find_by_app_token_hash(&hash)
        .await
        .unwrap();
    assert_eq!(found.unwrap().connection.id.as_str(), values["id"]);
    // The same link works without script, and nobody learns where from.
    assert!(
        page.body
            .contains(&format!("href=\"{}\"", address.replace('&', "&#38;")))
    );
    assert_eq!(page.headers["referrer-policy"], "no-referrer");
    assert_eq!(page.headers["cache-control"], "no-store");
    assert!(page.headers["refresh"].is_sensitive());
}

#[tokio::test]
async fn strangers_sign_in_on_the_way_and_come_back() {
    let bench = Bench::new().await;
    let mut browser = bench.browser();
    let page = browser.get(&start(OCTOPOD)).await;
    assert!(page.has("OctoPod") && page.has("Northlight Labs"));
    let page = browser
        .submit(&page, "/appportal/v1", &[("decision", "continue")])
        .await;
    let page = browser.get(page.location()).await;
    let sign_in = page.location().to_owned();
    assert!(
        sign_in.starts_with("/sign-in?then=/appportal/v1/printer%3F"),
        "{sign_in}"
    );
    let page = browser.get(&sign_in).await;
    assert!(page.has("OctoPod") && page.has("form=\"cancel\""));
    let then = page
        .body
        .split("name=\"then\" value=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let fields = [
        ("email", "new@example.com"),
        ("password", "correct horse battery"),
        ("then", &bench::unescaped(then)),
    ];
    let page = browser.submit(&page, "/sign-up", &fields).await;
    let back = page.location().to_owned();
    assert!(
        back.starts_with("/appportal/v1/printer?appId=octopod"),
        "{back}"
    );
    let page = browser.get(&back).await;
    assert!(page.has("Add your printer first") && page.has("/pair?then=/appportal/v1/printer%3F"));
    assert!(page.has("latchkey pair --config host.yaml <bdi>http"));
}

#[tokio::test]
async fn printers_are_the_accounts_own_and_the_wanted_one_is_chosen() {
    let bench = Bench::new().await;
    let (ann, bob) = (
        bench.account("ann@example.com").await,
        bench.account("bob@example.com").await,
    );
    let (one, two) = (
        bench.printer(&ann, "One").await,
        bench.printer(&ann, "Two").await,
    );
    let others = bench.printer(&bob, "Bobs").await;
    let mut browser = bench.signed_in(&ann).await;
    let path = |rest: &str| format!("/appportal/v1/printer?{OCTOPOD}{rest}");
    let checked = |printer: &str| format!("value=\"{printer}\" required checked");
    let page = browser.get(&path("")).await;
    assert!(page.has("One") && page.has("Two") && !page.has("Bobs") && !page.has("checked"));
    let page = browser.get(&path(&format!("&PRINTERID={}", two.id))).await;
    assert!(page.has(&checked(two.id.as_str())) && !page.has(&checked(one.id.as_str())));
    // Somebody else's, or nobody's, is added; or one of one's own is taken instead. What is added
    // gets an id of its own, so nobody comes back to this page.
    for unknown in [others.id.as_str(), &"X".repeat(48), "%3Cscript%3E"] {
        let page = browser.get(&path(&format!("&printerId={unknown}"))).await;
        assert!(
            page.has("Add the printer it asks for") && page.has("choose one of your printers"),
            "{unknown}"
        );
        assert!(!page.has("Bobs") && !page.has("<script>"));
        let add = page.body.split("href=\"/pair?then=").nth(1).unwrap();
        let add = add.split('"').next().unwrap();
        assert!(add.starts_with("/appportal/v1/printer%3FappId%3Doctopod"));
        assert!(!add.contains("printerId"), "{add}");
    }
    let page = browser.get(&path("&printerId=")).await;
    let fields = [("decision", "continue"), ("printer", others.id.as_str())];
    let page = browser
        .submit(&page, "/appportal/v1/printer", &fields)
        .await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    let page = browser.get(&path("")).await;
    let page = browser
        .submit(&page, "/appportal/v1/printer", &[("decision", "continue")])
        .await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(page.has("Choose a printer first"));
    // The only one is chosen already.
    let mut browser = bench.signed_in(&bob).await;
    assert!(
        browser
            .get(&path(""))
            .await
            .has(&checked(others.id.as_str()))
    );
}

#[tokio::test]
async fn every_page_can_be_left_and_the_app_is_told() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let printer = bench.printer(&ann, "MK4").await;
    let mut browser = bench.signed_in(&ann).await;
    let error = |page: &Page| {
        assert_eq!(page.status, StatusCode::OK);
        let values = page.completion();
        assert_eq!(values["success"], "false");
        values["error"].clone()
    };
    let page = browser.get(&start(OCTOPOD)).await;
    let page = browser
        .submit(&page, "/appportal/v1", &[("decision", "cancel")])
        .await;
    assert_eq!(error(&page), "cancelled");
    assert_eq!(
        page.refresh().unwrap(),
        "octopod://octoeverywhere?success=false&error=cancelled&errorDescription=Nothing%20was%20decided%3A%20the%20request%20was%20cancelled."
    );
    let page = browser
        .get(&format!("/appportal/v1/printer?{OCTOPOD}"))
        .await;
    let page = browser
        .submit(&page, "/appportal/v1/printer", &[("decision", "cancel")])
        .await;
    assert_eq!(error(&page), "cancelled");
    let page = to_decision(&mut browser, OCTOPOD, printer.id.as_str()).await;
    let page = browser
        .submit(&page, "/appportal/v1/allow", &[("decision", "deny")])
        .await;
    assert_eq!(error(&page), "denied");
    assert_eq!(bench.connections(&printer).await, 0);
}

#[tokio::test]
async fn turning_back_at_the_sign_in_tells_every_app() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    for query in [OCTOPOD, "appid=devtest&returnUrl=https://new.example/"] {
        let then = encoded(&format!("/appportal/v1/printer?{query}"));
        let mut asked_again = bench.signed_in(&ann).await;
        for (browser, page) in [
            (&mut bench.browser(), "/sign-in"),
            (&mut bench.browser(), "/sign-up"),
            (&mut asked_again, "/sign-in/again"),
        ] {
            let page = browser.get(&format!("{page}?then={then}")).await;
            let form = "<form id=\"cancel\" method=\"post\" action=\"/appportal/v1\" hidden>";
            let button = "form=\"cancel\" name=\"decision\" value=\"cancel\">Cancel</button>";
            assert!(page.has(form) && page.has(button));
            let ended = browser
                .submit(&page, "/appportal/v1", &[("decision", "cancel")])
                .await;
            assert_eq!(ended.completion()["error"], "cancelled", "{query}");
        }
    }
}

#[tokio::test]
async fn a_form_sent_twice_makes_one_app_connection() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let printer = bench.printer(&ann, "MK4").await;
    let mut browser = bench.signed_in(&ann).await;
    let page = to_decision(&mut browser, OCTOPOD, printer.id.as_str()).await;
    let (mut first, mut second) = (browser.clone(), browser.clone());
    let (one, two) = tokio::join!(
        first.submit(&page, "/appportal/v1/allow", &ALLOWED),
        second.submit(&page, "/appportal/v1/allow", &ALLOWED),
    );
    assert_eq!(one.location(), two.location());
    let path = one.location().to_owned();
    let done = browser.get(&path).await.refresh().unwrap();
    // Once more, denied this time, and the last page loaded again: nothing changes.
    let again = browser.submit(&page, "/appportal/v1/allow", &ALLOWED).await;
    let denied = browser
        .submit(&page, "/appportal/v1/allow", &[("decision", "deny")])
        .await;
    assert_eq!(
        (again.location(), denied.location()),
        (path.as_str(), path.as_str())
    );
    assert_eq!(browser.get(&path).await.refresh().unwrap(), done);
    assert_eq!(bench.connections(&printer).await, 1);
    // A new page is a new decision.
    let page = to_decision(&mut browser, OCTOPOD, printer.id.as_str()).await;
    browser.submit(&page, "/appportal/v1/allow", &ALLOWED).await;
    assert_eq!(bench.connections(&printer).await, 2);
}

#[tokio::test]
async fn a_browser_that_leaves_before_the_answer_finds_the_same_outcome() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let printer = bench.printer(&ann, "MK4").await;
    let mut browser = bench.signed_in(&ann).await;
    let page = to_decision(&mut browser, OCTOPOD, printer.id.as_str()).await;
    // Cut off later and later in the work.
    for step in 0..40 {
        let mut leaving = browser.clone();
        let sending = leaving.submit(&page, "/appportal/v1/allow", &ALLOWED);
        let _ = tokio::time::timeout(Duration::from_micros(step * 150), sending).await;
    }
    let last = browser.submit(&page, "/appportal/v1/allow", &ALLOWED).await;
    let values = browser.get(last.location()).await.completion();
    assert_eq!(bench.connections(&printer).await, 1);
    let hash = AppTokenHash::of(&values["appApiToken"]);
    let found = bench
        .state
        .store
        .app_connections()
        .find_by_app_token_hash(&hash)
        .await
        .unwrap();
    assert!(
        found.is_some_and(|found| found.holder.is_some()),
        "the app was given what is kept"
    );
}

#[tokio::test]
async fn the_last_page_is_for_its_session_and_for_two_minutes() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let printer = bench.printer(&ann, "MK4").await;
    let mut browser = bench.signed_in(&ann).await;
    let page = to_decision(&mut browser, OCTOPOD, printer.id.as_str()).await;
    let page = browser.submit(&page, "/appportal/v1/allow", &ALLOWED).await;
    let path = page.location().to_owned();
    let mut elsewhere = bench.signed_in(&ann).await;
    let page = elsewhere.get(&path).await;
    assert_eq!((page.status, page.refresh()), (StatusCode::GONE, None));
    assert!(
        bench
            .browser()
            .get(&path)
            .await
            .location()
            .starts_with("/sign-in?then=")
    );
    bench.clock.advance(Duration::from_secs(119));
    assert!(browser.get(&path).await.refresh().is_some());
    bench.clock.advance(Duration::from_secs(2));
    assert_eq!(browser.get(&path).await.status, StatusCode::GONE);
}

#[tokio::test]
async fn what_changes_in_the_middle_is_noticed() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let (printer, other) = (
        bench.printer(&ann, "MK4").await,
        bench.printer(&ann, "Other").await,
    );
    let mut browser = bench.signed_in(&ann).await;
    // The printer is removed.
    let page = to_decision(&mut browser, OCTOPOD, printer.id.as_str()).await;
    bench
        .state
        .store
        .printers()
        .remove(&ann.id, &printer.id, bench.clock.now())
        .await
        .unwrap();
    let page = browser.submit(&page, "/appportal/v1/allow", &ALLOWED).await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    assert!(page.has("no longer there") && page.has("Other") && !page.has("MK4"));
    // The plan changes, and changes back.
    let page = to_decision(&mut browser, OCTOPOD, other.id.as_str()).await;
    let accounts = bench.state.store.accounts();
    accounts
        .set_plan(&ann.id, &"free".parse().unwrap())
        .await
        .unwrap();
    let refused = browser.submit(&page, "/appportal/v1/allow", &ALLOWED).await;
    assert!(
        refused.has("Your plan has no app connections")
            && refused.has("success=false&#38;error=not_entitled")
    );
    assert_eq!(refused.refresh(), None, "there is something to read first");
    let refused = browser
        .get(&format!("/appportal/v1/printer?{OCTOPOD}"))
        .await;
    assert!(refused.has("Your plan has no app connections"));
    accounts
        .set_plan(&ann.id, &"gone".parse().unwrap())
        .await
        .unwrap();
    let doubt = browser.submit(&page, "/appportal/v1/allow", &ALLOWED).await;
    assert_eq!(doubt.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        doubt.has("href=\"octopod://octoeverywhere?success=false&#38;error=cancelled"),
        "the app can be told all the same"
    );
    assert_eq!(doubt.refresh(), None);
    accounts
        .set_plan(&ann.id, &"supporter".parse().unwrap())
        .await
        .unwrap();
    // The session ends.
    bench.sign_everybody_out(&ann).await;
    let gone = browser.submit(&page, "/appportal/v1/allow", &ALLOWED).await;
    let back = gone.location();
    assert!(
        back.starts_with("/appportal/v1/allow?appId=octopod"),
        "{back}"
    );
    let page = browser.get(back).await;
    assert!(
        page.location()
            .starts_with("/sign-in?then=/appportal/v1/allow%3F")
    );
    let page = browser
        .get(&format!("/appportal/v1/printer?{OCTOPOD}"))
        .await;
    assert!(page.location().starts_with("/sign-in?then="));
    assert_eq!(bench.connections(&other).await, 0);
}

#[tokio::test]
async fn forms_from_elsewhere_do_nothing() {
    let bench = Bench::new().await;
    let (ann, bob) = (
        bench.account("ann@example.com").await,
        bench.account("bob@example.com").await,
    );
    let printer = bench.printer(&ann, "MK4").await;
    let mut browser = bench.signed_in(&ann).await;
    let page = to_decision(&mut browser, OCTOPOD, printer.id.as_str()).await;
    // Without the token, or with one of another session: the page anew, and nothing is done.
    let mut others = bench.signed_in(&bob).await;
    for (path, decision) in [
        ("/appportal/v1", "continue"),
        ("/appportal/v1", "cancel"),
        ("/appportal/v1/printer", "continue"),
        ("/appportal/v1/printer", "cancel"),
        ("/appportal/v1/allow", "allow"),
        ("/appportal/v1/allow", "deny"),
    ] {
        let fields = [
            ("decision", decision),
            ("scope", "full"),
            ("sure", "yes"),
            ("csrf_token", ""),
        ];
        let anew = browser.submit(&page, path, &fields).await;
        assert_eq!(anew.status, StatusCode::SEE_OTHER);
        let shown = browser.get(anew.location()).await;
        assert_eq!((shown.status, shown.refresh()), (StatusCode::OK, None));
        let anew = others.submit(&page, path, &fields[..3]).await;
        assert!(
            anew.location()
                .starts_with(&format!("{path}?appId=octopod"))
        );
    }
    // From another origin, or so the browser says.
    for origin in ["https://evil.example", "null", "http://localhost:7011"] {
        let mut elsewhere = browser.clone();
        elsewhere
            .headers
            .insert(ORIGIN, HeaderValue::from_static(origin));
        for path in [
            "/appportal/v1",
            "/appportal/v1/printer",
            "/appportal/v1/allow",
        ] {
            assert_eq!(
                elsewhere.submit(&page, path, &ALLOWED).await.status,
                StatusCode::FORBIDDEN,
                "{origin} {path}"
            );
        }
    }
    let mut elsewhere = browser.clone();
    let site = HeaderValue::from_static("cross-site");
    elsewhere.headers.insert("sec-fetch-site", site);
    let answer = elsewhere.submit(&page, "/appportal/v1/allow", &ALLOWED);
    assert_eq!(answer.await.status, StatusCode::FORBIDDEN);
    // A form that names nothing, or names itself as no form of ours does.
    for once in ["", "short", &"x".repeat(3000)] {
        let mut fields = ALLOWED.to_vec();
        fields.push(("once", once));
        assert_eq!(
            browser
                .submit(&page, "/appportal/v1/allow", &fields)
                .await
                .status,
            StatusCode::BAD_REQUEST
        );
    }
    assert_eq!(bench.connections(&printer).await, 0);
    // More than any form of ours has.
    for path in [
        "/appportal/v1",
        "/appportal/v1/printer",
        "/appportal/v1/allow",
    ] {
        let fields = [("decision", "deny"), ("scope", &"x".repeat(6000))];
        assert_eq!(
            browser.submit(&page, path, &fields).await.status,
            StatusCode::PAYLOAD_TOO_LARGE
        );
    }
}

#[tokio::test]
async fn decisions_are_posted_and_need_the_box_ticked() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let printer = bench.printer(&ann, "MK4").await;
    let mut browser = bench.signed_in(&ann).await;
    let page = to_decision(&mut browser, OCTOPOD, printer.id.as_str()).await;
    let query = "decision=allow&sure=yes&scope=full";
    let got = browser
        .get(&format!(
            "/appportal/v1/allow?{OCTOPOD}&printer={}&{query}",
            printer.id
        ))
        .await;
    assert!(got.status == StatusCode::OK && got.has("I started this"));
    assert_eq!(
        browser.get("/appportal/v1/token").await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
    let unsure = browser
        .submit(
            &page,
            "/appportal/v1/allow",
            &[("decision", "allow"), ("scope", "view")],
        )
        .await;
    assert_eq!(unsure.status, StatusCode::BAD_REQUEST);
    assert!(unsure.has("Tick the box first") && unsure.has("value=\"view\" checked"));
    assert_eq!(bench.connections(&printer).await, 0);
    // And then it can be ticked.
    let page = browser
        .submit(&unsure, "/appportal/v1/allow", &ALLOWED)
        .await;
    assert!(page.location().starts_with("/appportal/v1/done?once="));
}

#[tokio::test]
async fn the_chosen_scope_is_what_is_kept() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let printer = bench.printer(&ann, "MK4").await;
    let mut browser = bench.signed_in(&ann).await;
    for (scope, kept) in [
        ("full", "full"),
        ("view", "view"),
        ("everything", "view"),
        ("", "view"),
    ] {
        let page = to_decision(&mut browser, OCTOPOD, printer.id.as_str()).await;
        let fields = [("decision", "allow"), ("scope", scope), ("sure", "yes")];
        browser
            .submit(&page, "/appportal/v1/allow", &fields)
            .await
            .location();
        let connections = bench.state.store.app_connections();
        let listed = connections
            .list_by_printer(&ann.id, &printer.id)
            .await
            .unwrap();
        assert_eq!(listed.len(), 1);
        let connection = &listed[0].connection;
        assert_eq!(connection.live().unwrap().scope.as_str(), kept, "{scope}");
        connections
            .end(&connection.id, EndReason::Revoked, bench.clock.now())
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn who_may_only_watch_lets_no_app_do_more() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let bob = bench.account("bob@example.com").await;
    let printer = bench.printer(&ann, "MK4").await;
    let members = bench.state.store.members();
    let now = bench.clock.now();
    members.add(&printer.id, &bob.id, now).await.unwrap();
    let mut browser = bench.signed_in(&bob).await;
    let offered = to_decision(&mut browser, OCTOPOD, printer.id.as_str()).await;
    assert!(offered.has("value=\"full\" checked"));
    let lowered = members
        .set_level(&printer.id, &bob.id, KeyScope::View)
        .await;
    assert!(lowered.unwrap().is_some());
    // The page was open since before.
    let page = browser
        .submit(&offered, "/appportal/v1/allow", &ALLOWED)
        .await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    assert!(page.has("You may only watch this printer") && !page.has("value=\"full\""));
    assert_eq!(bench.connections(&printer).await, 0);
    let page = to_decision(&mut browser, OCTOPOD, printer.id.as_str()).await;
    assert!(page.has("value=\"view\" checked") && !page.has("value=\"full\""));
    let view = [("decision", "allow"), ("scope", "view"), ("sure", "yes")];
    let done = browser.submit(&page, "/appportal/v1/allow", &view).await;
    assert!(done.location().starts_with("/appportal/v1/done?once="));
    assert_eq!(bench.connections(&printer).await, 1);
}

#[tokio::test]
async fn requests_that_cannot_be_put_to_anybody_lead_nowhere() {
    let bench = Bench::new().await;
    let mut browser = bench.browser();
    for query in [
        "",
        "appid=",
        "appid=two+words",
        "appid=a&returnUrl=javascript:alert(1)",
        "appid=a&returnUrl=//evil.example",
        "appid=a&returnUrl=https://user@evil.example/",
        "appid=octopod&returnUrl=https://evil.example/",
        "appid=octopod&returnUrl=octopods://x",
        "appid=a&responseMode=code",
        &format!("appid={}", "a".repeat(7000)),
        &format!("appid=a&returnUrl=https://a.example/{}", "a".repeat(7000)),
    ] {
        for page in ["", "/printer", "/allow"] {
            let answer = browser.get(&format!("/appportal/v1{page}?{query}")).await;
            assert_eq!(
                (answer.status, answer.refresh()),
                (StatusCode::BAD_REQUEST, None),
                "{page} {query}"
            );
            assert!(
                !answer.has("evil.example") && !answer.has("javascript:"),
                "{query}"
            );
        }
    }
}

#[tokio::test]
async fn operators_decide_about_apps_that_nobody_registered() {
    let ask = async |which, query: &str| {
        let bench = Bench::with(|config| config.unregistered_apps = which).await;
        let page = bench.browser().get(&start(query)).await;
        (page.status, page.has("Unverified app"))
    };
    let (good, bad) = ((StatusCode::OK, true), (StatusCode::BAD_REQUEST, false));
    let loopback = "appid=new&returnUrl=http://127.0.0.1:4000/cb";
    for (which, query, expected) in [
        (UnregisteredApps::Allow, "appid=new", good),
        (
            UnregisteredApps::Allow,
            "appid=new&returnUrl=https://new.example/",
            good,
        ),
        (UnregisteredApps::Loopback, loopback, good),
        (UnregisteredApps::Loopback, "appid=new", bad),
        (
            UnregisteredApps::Loopback,
            "appid=new&returnUrl=new://x",
            bad,
        ),
        (UnregisteredApps::Refuse, loopback, bad),
        (UnregisteredApps::Refuse, OCTOPOD, (StatusCode::OK, false)),
    ] {
        assert_eq!(ask(which, query).await, expected, "{which:?} {query}");
    }
}

#[tokio::test]
async fn connections_without_credentials_need_the_operators_consent() {
    for allowed in [false, true] {
        let bench = Bench::with(|config| config.allow_hostname_only = allowed).await;
        let ann = bench.account("ann@example.com").await;
        let printer = bench.printer(&ann, "MK4").await;
        let mut browser = bench.signed_in(&ann).await;
        let query = "appid=octopod&authType=none&returnUrl=octopod:x";
        let page = to_decision(&mut browser, query, printer.id.as_str()).await;
        assert_eq!(page.has("without a password"), allowed);
        let page = browser.submit(&page, "/appportal/v1/allow", &ALLOWED).await;
        let values = browser.get(page.location()).await.completion();
        assert_eq!(values["authBearerToken"].is_empty(), allowed);
        assert_eq!(values["authbasichttpuser"].is_empty(), allowed);
        assert_eq!(
            values["authBasicHttpPassword"],
            values["authbasichttppassword"]
        );
    }
}

#[tokio::test]
async fn the_default_address_is_a_page_that_repeats_nothing() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let printer = bench.printer(&ann, "MK4").await;
    let mut browser = bench.signed_in(&ann).await;
    let page = to_decision(&mut browser, "appid=devtest", printer.id.as_str()).await;
    assert!(page.has("For trying out"));
    let page = browser.submit(&page, "/appportal/v1/allow", &ALLOWED).await;
    let page = browser.get(page.location()).await;
    let address = page.refresh().unwrap();
    let path = address.strip_prefix("http://localhost:7010").unwrap();
    assert!(path.starts_with("/appportal/v1/complete?success=true&"));
    let last = browser.get(path).await;
    assert!(last.has("Done. Go back to the app"));
    assert_eq!(last.headers["referrer-policy"], "no-referrer");
    for value in page
        .completion()
        .into_values()
        .filter(|value| value.len() > 8)
    {
        assert!(!last.has(&value), "{value}");
    }
    let last = browser
        .get("/appportal/v1/complete?success=false&error=denied")
        .await;
    assert!(last.has("Nothing was connected"));
}

#[tokio::test]
async fn a_605_is_explained() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let path = "/appportal/v1/nosupporterperks?appid=octopod&moonraker=true";
    let page = bench.browser().get(path).await;
    assert!(page.status == StatusCode::OK && page.has("OctoPod") && page.has("Sign in"));
    let mut browser = bench.signed_in(&ann).await;
    assert!(
        browser
            .get(path)
            .await
            .has("Your account has app connections")
    );
    let accounts = bench.state.store.accounts();
    accounts
        .set_plan(&ann.id, &"free".parse().unwrap())
        .await
        .unwrap();
    assert!(
        browser
            .get(path)
            .await
            .has("cannot reach your printer at present")
    );
    for bare in ["", "?appid=", "?appid=%3Cscript%3E", "?x"] {
        let page = browser
            .get(&format!("/appportal/v1/nosupporterperks{bare}"))
            .await;
        assert!(
            page.status == StatusCode::OK && !page.has("<script>"),
            "{bare}"
        );
    }
}

#[tokio::test]
async fn addresses_that_apps_build_lead_to_pages() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let printer = bench.printer(&ann, "Büro & MK4").await;
    let mut browser = bench.signed_in(&ann).await;
    let view = format!("/view/{}", encoded("Büro & MK4"));
    assert_eq!(
        browser.get(&view).await.location(),
        format!("/printers/{}/open", printer.id)
    );
    assert!(
        bench
            .browser()
            .get(&view)
            .await
            .location()
            .starts_with("/sign-in?then=/view/")
    );
    assert_eq!(
        browser.get("/view/other").await.status,
        StatusCode::NOT_FOUND
    );
    bench.printer(&ann, "büro & mk4").await;
    assert_eq!(browser.get(&view).await.location(), "/printers");
    for (path, to) in [
        ("/getstarted?printerid=x", "/pair"),
        ("/code", "/pair"),
        ("/appsetup", "/printers"),
        ("/gadget", "/printers"),
    ] {
        let page = browser.get(path).await;
        assert_eq!((page.status, page.location()), (StatusCode::FOUND, to));
    }
}

#[tokio::test]
async fn logos_are_pictures_of_ours_and_nothing_else() {
    let bench = Bench::new().await;
    let store = &bench.state.store;
    let mut app = store.apps().list().await.unwrap().remove(0);
    app.id = AppId::parse("a/b\u{e4}").unwrap();
    app.name = AppName::parse("Pictured").unwrap();
    store.apps().insert(&app, Some(b"\x89PNG")).await.unwrap();
    let mut browser = bench.browser();
    let path = "/apps/a%2Fb%C3%A4/logo.png";
    assert!(browser.get(&start("appid=a/b%C3%A4")).await.has(path));
    let logo = browser.get(path).await;
    assert_eq!(
        (logo.status, &logo.headers["content-type"]),
        (StatusCode::OK, &HeaderValue::from_static("image/png"))
    );
    assert_eq!(logo.headers["x-content-type-options"], "nosniff");
    assert_eq!(logo.headers["cross-origin-resource-policy"], "same-origin");
    for missing in [
        "/apps/octopod/logo.png",
        "/apps/nobody/logo.png",
        "/apps/%00/logo.png",
        "/apps/a%20b/logo.png",
    ] {
        assert_eq!(
            browser.get(missing).await.status,
            StatusCode::NOT_FOUND,
            "{missing}"
        );
    }
}
