//! The decision: who may make it, what becomes of one that is changed, and of keys.

use std::time::Duration;

use http::StatusCode;
use latchkey_model::access::KeyScope;
use latchkey_model::account::Account;
use latchkey_model::id::SessionId;
use latchkey_model::printer::Printer;
use latchkey_model::secret::AppTokenHash;
use latchkey_store::relay::AuditFilter;
use url::form_urlencoded;

use super::super::{Decision, NotGiven};
use super::bench::{Bench, Page};
use super::{ALLOWED, OCTOPOD, to_decision};

const ALLOW: &str = "/appportal/v1/allow";
const VIEW: [(&str, &str); 3] = [("decision", "allow"), ("scope", "view"), ("sure", "yes")];

/// The scopes of what leads to a printer now.
async fn live(bench: &Bench, printer: &Printer) -> Vec<KeyScope> {
    let connections = bench.state.store.app_connections();
    let listed = connections
        .list_by_printer(&printer.account, &printer.id)
        .await
        .unwrap();
    let live = listed.iter().filter_map(|one| one.connection.live());
    live.map(|live| live.scope).collect()
}

async fn is_live(bench: &Bench, token: &str) -> bool {
    let connections = bench.state.store.app_connections();
    let found = connections
        .find_by_app_token_hash(&AppTokenHash::of(token))
        .await
        .unwrap();
    found.is_some_and(|found| found.connection.live().is_some())
}

fn then_of(location: &str) -> String {
    let query = location.split_once('?').unwrap().1;
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.next().unwrap().1.into_owned()
}

/// A form of the decision that is not sent by a browser.
struct Form<'a> {
    bench: &'a Bench,
    account: &'a Account,
    printer: &'a Printer,
    session: SessionId,
    once: String,
}

impl<'a> Form<'a> {
    async fn new(bench: &'a Bench, account: &'a Account, printer: &'a Printer) -> Self {
        bench.signed_in(account).await;
        let sessions = bench.state.store.sessions();
        let session = sessions.list_of(&account.id).await.unwrap().remove(0).id;
        let once = bench.state.portal.name_form();
        Self {
            bench,
            account,
            printer,
            session,
            once,
        }
    }

    async fn decision(&self, scope: KeyScope) -> Decision<'_> {
        Decision {
            asked: self.bench.state.portal.read(OCTOPOD).await.unwrap(),
            account: self.account,
            session: &self.session,
            printer: self.printer.clone(),
            scope,
            with_key: false,
            address: std::net::Ipv4Addr::LOCALHOST.into(),
            once: &self.once,
        }
    }

    async fn take_back(&self) {
        let portal = &self.bench.state.portal;
        let taken = portal.take_back(&self.account.id, &self.session, &self.once);
        taken.await.unwrap();
    }
}

#[tokio::test]
async fn a_no_ends_the_yes_that_is_on_its_way() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let printer = bench.printer(&ann, "MK4").await;
    let portal = &bench.state.portal;
    // Both at once, the yes first.
    let form = Form::new(&bench, &ann, &printer).await;
    let yes = form.decision(KeyScope::Full).await;
    let (given, ()) = tokio::join!(portal.give(yes), form.take_back());
    assert!(matches!(given, Err(NotGiven::Changed)), "nobody is told it");
    assert_eq!(live(&bench, &printer).await, []);
    assert!(portal.outcome(&form.session, &form.once).is_none());
    let log = bench.state.audit.list(&AuditFilter::default(), 100).await;
    let mut log = log.unwrap().into_iter().map(|record| record.entry);
    let ended = log.find(|entry| entry.act == "app_connection_revoked");
    let about = ended.map(|entry| (entry.account, entry.printer));
    let whose = (Some(ann.id.to_string()), Some(printer.id.to_string()));
    assert_eq!(about, Some(whose));
    // The no overtakes the yes.
    let form = Form::new(&bench, &ann, &printer).await;
    form.take_back().await;
    let late = portal.give(form.decision(KeyScope::Full).await).await;
    assert!(matches!(late, Err(NotGiven::Changed)));
    assert_eq!(live(&bench, &printer).await, []);
    // The browser that sent the yes left in the middle of it, wherever that was.
    for step in 0..40 {
        let form = Form::new(&bench, &ann, &printer).await;
        let yes = portal.give(form.decision(KeyScope::Full).await);
        let _ = tokio::time::timeout(Duration::from_micros(step * 150), yes).await;
        form.take_back().await;
        assert_eq!(live(&bench, &printer).await, [], "{step}");
    }
}

#[tokio::test]
async fn an_account_gives_as_many_as_its_plan_allows() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let printer = bench.printer(&ann, "MK4").await;
    let accounts = bench.state.store.accounts();
    accounts
        .set_plan(&ann.id, &"small".parse().unwrap())
        .await
        .unwrap();
    let mut browser = bench.signed_in(&ann).await;
    let page = to_decision(&mut browser, OCTOPOD, printer.id.as_str()).await;
    let other = to_decision(&mut browser, OCTOPOD, printer.id.as_str()).await;
    let done = browser.submit(&page, ALLOW, &ALLOWED).await;
    let given = browser.get(done.location()).await.completion();
    // The same form once more is the same app connection, at the limit too.
    let again = browser.submit(&page, ALLOW, &ALLOWED).await;
    let again = browser.get(again.location()).await.completion();
    assert_eq!(given["id"], again["id"]);
    let full = browser.submit(&other, ALLOW, &ALLOWED).await;
    let choose = format!("/appportal/v1/printer?{OCTOPOD}");
    for page in [full, browser.get(&choose).await] {
        assert!(page.has("no room for another app"));
        assert!(page.has("success=false&#38;error=limit_reached"));
        assert_eq!(page.refresh(), None, "there is something to read first");
    }
    assert_eq!(live(&bench, &printer).await.len(), 1);
    // What is revoked makes room.
    let id = given["id"].parse().unwrap();
    assert!(bench.state.life.revoke(&ann.id, &id).await.unwrap());
    let page = to_decision(&mut browser, OCTOPOD, printer.id.as_str()).await;
    let done = browser.submit(&page, ALLOW, &ALLOWED).await;
    browser.get(done.location()).await.completion();
}

#[tokio::test]
async fn of_many_who_take_the_last_app_connection_at_once_one_does() {
    let bench = Bench::new().await;
    let mut ann = bench.account("ann@example.com").await;
    ann.plan = "small".parse().unwrap();
    let printer = bench.printer(&ann, "MK4").await;
    let mut forms = Vec::new();
    for _ in 0..8 {
        forms.push(Form::new(&bench, &ann, &printer).await);
    }
    let portal = &bench.state.portal;
    let given = forms
        .iter()
        .map(async |form| portal.give(form.decision(KeyScope::Full).await).await);
    let given = futures_util::future::join_all(given).await;
    assert_eq!(given.iter().filter(|given| given.is_ok()).count(), 1);
    let full = given
        .iter()
        .filter(|given| matches!(given, Err(NotGiven::Full)));
    assert_eq!(full.count(), 7);
    assert_eq!(live(&bench, &printer).await.len(), 1);
}

#[tokio::test]
async fn watch_only_wins_over_everything_before() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let printer = bench.printer(&ann, "MK4").await;
    let portal = &bench.state.portal;
    // While the first is on its way.
    let form = Form::new(&bench, &ann, &printer).await;
    let (full, view) = (
        form.decision(KeyScope::Full).await,
        form.decision(KeyScope::View).await,
    );
    let (full, view) = tokio::join!(portal.give(full), portal.give(view));
    assert!(matches!(full, Err(NotGiven::Changed)));
    assert!(matches!(view, Err(NotGiven::Changed)));
    assert_eq!(live(&bench, &printer).await, []);
    // After it: the app loses what it was given, and the person decides in a form of its own.
    let mut browser = bench.signed_in(&ann).await;
    let page = to_decision(&mut browser, OCTOPOD, printer.id.as_str()).await;
    let done = browser.submit(&page, ALLOW, &ALLOWED).await;
    let given = browser.get(done.location()).await.completion();
    assert!(is_live(&bench, &given["appApiToken"]).await);
    let anew = browser.submit(&page, ALLOW, &VIEW).await;
    assert_eq!(anew.status, StatusCode::CONFLICT);
    assert!(anew.has("You chose something else before") && anew.has("value=\"view\" checked"));
    assert!(!is_live(&bench, &given["appApiToken"]).await);
    assert_eq!(browser.get(done.location()).await.status, StatusCode::GONE);
    // The old form is good for nothing any more; the new one is.
    let stale = browser.submit(&page, ALLOW, &ALLOWED).await;
    assert_eq!(stale.status, StatusCode::CONFLICT);
    let done = browser.submit(&anew, ALLOW, &VIEW).await;
    assert_eq!(
        browser.get(done.location()).await.completion()["success"],
        "true"
    );
    assert_eq!(live(&bench, &printer).await, [KeyScope::View]);
}

#[tokio::test]
async fn another_printer_request_or_key_is_another_decision() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let (printer, other) = (
        bench.printer(&ann, "MK4").await,
        bench.printer(&ann, "Other").await,
    );
    let mut browser = bench.signed_in(&ann).await;
    let query = format!("{OCTOPOD}&octoPrintApiKeyAppName=OctoPod");
    for changed in [
        ("printer", other.id.as_str()),
        (
            "request",
            "appid=octopod&octoPrintApiKeyAppName=OctoPod&returnUrl=octopod:other",
        ),
        ("key", "yes"),
    ] {
        let page = to_decision(&mut browser, &query, printer.id.as_str()).await;
        browser.submit(&page, ALLOW, &ALLOWED).await.location();
        assert_eq!(live(&bench, &printer).await.len(), 1);
        let fields = [ALLOWED.as_slice(), &[changed]].concat();
        let anew = browser.submit(&page, ALLOW, &fields).await;
        assert_eq!(anew.status, StatusCode::CONFLICT, "{changed:?}");
        let left = (live(&bench, &printer).await, live(&bench, &other).await);
        assert_eq!(left, (Vec::new(), Vec::new()), "{changed:?}");
    }
}

#[tokio::test]
async fn what_failed_is_not_tried_again_under_the_same_name() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let printer = bench.printer(&ann, "MK4").await;
    let portal = &bench.state.portal;
    let form = Form::new(&bench, &ann, &printer).await;
    let decision = form.decision(KeyScope::Full).await;
    let printers = bench.state.store.printers();
    let now = latchkey_model::clock::Clock::now(&bench.clock);
    printers.remove(&ann.id, &printer.id, now).await.unwrap();
    let gone = portal.give(decision).await;
    assert!(matches!(gone, Err(NotGiven::PrinterGone)));
    // It is there once more, and what failed stays failed.
    printers.create(&printer).await.unwrap();
    let again = portal.give(form.decision(KeyScope::Full).await).await;
    assert!(matches!(again, Err(NotGiven::Changed)));
    assert_eq!(live(&bench, &printer).await, []);
}

#[tokio::test]
async fn deciding_needs_a_password_typed_lately() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let printer = bench.printer(&ann, "MK4").await;
    let mut browser = bench.signed_in(&ann).await;
    let query = format!("{OCTOPOD}&OctoPrintApiKeyAppName=OctoPod+phone");
    let page = to_decision(&mut browser, &query, printer.id.as_str()).await;
    assert!(page.has("OctoPod phone"));
    bench.clock.advance(Duration::from_secs(301));
    // The form that was open meanwhile. What was chosen is still there afterwards.
    let fields = [VIEW.as_slice(), &[("key", "yes")]].concat();
    let again = browser.submit(&page, ALLOW, &fields).await;
    let again = again.location().to_owned();
    assert!(
        again.starts_with("/sign-in/again?then=/appportal/v1/allow%3F"),
        "{again}"
    );
    assert_eq!(live(&bench, &printer).await, []);
    let back = then_of(&again);
    // The question itself is not shown before, either.
    let asked = browser.get(&back).await;
    assert_eq!(then_of(asked.location()), back);
    let asked = browser.get(asked.location()).await;
    assert!(asked.has("Is it still you?") && asked.has("<bdi>OctoPod</bdi>"));
    // No needs no password.
    let denied = browser.submit(&page, ALLOW, &[("decision", "deny")]).await;
    assert_eq!(denied.completion()["error"], "denied");
    bench.prove(&mut browser, &ann).await;
    let page = browser.get(&back).await;
    assert!(page.has("value=\"view\" checked") && page.has("name=\"key\" value=\"yes\" checked"));
    let done = browser.submit(&page, ALLOW, &VIEW).await;
    assert!(done.location().starts_with("/appportal/v1/done?"));
}

#[tokio::test]
async fn the_decision_can_be_put_off() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let printer = bench.printer(&ann, "MK4").await;
    let mut browser = bench.signed_in(&ann).await;
    let page = to_decision(&mut browser, OCTOPOD, printer.id.as_str()).await;
    assert!(page.has("value=\"deny\" formnovalidate>Deny</button>"));
    assert!(page.has("value=\"cancel\" formnovalidate>Cancel</button>"));
    let ended = browser
        .submit(&page, ALLOW, &[("decision", "cancel")])
        .await;
    assert_eq!(ended.completion()["error"], "cancelled");
}

#[tokio::test]
async fn keys_are_no_condition() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let printer = bench.printer(&ann, "MK4").await;
    let browser = bench.signed_in(&ann).await;
    let query = format!("{OCTOPOD}&OctoPrintApiKeyAppName=OctoPod+phone");
    let done = async |fields: &[(&str, &str)]| -> Page {
        let mut browser = browser.clone();
        let page = to_decision(&mut browser, &query, printer.id.as_str()).await;
        let done = browser.submit(&page, ALLOW, fields).await;
        browser.get(done.location()).await
    };
    let with_key = [ALLOWED.as_slice(), &[("key", "yes")]].concat();
    let page = done(&with_key).await;
    assert!(page.has("could not be made"), "its host is not connected");
    assert_eq!(page.completion()["success"], "true");
    let page = done(&ALLOWED).await;
    assert!(page.completion()["success"] == "true" && !page.has("could not be made"));
}
