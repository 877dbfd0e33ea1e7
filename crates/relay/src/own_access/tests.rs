//! The page that leads to a printer, and who gets in at its hostname.

use http::HeaderMap;
use http::header::{CONTENT_SECURITY_POLICY, COOKIE, REFERRER_POLICY};
use latchkey_model::access::KeyScope;
use latchkey_model::account::Account;
use latchkey_model::account_session::IDLE;
use latchkey_model::clock::Clock as _;
use latchkey_model::own_access::OwnLabel;
use latchkey_model::printer::Printer;

use super::{LetIn, Outside, Way};
use crate::tests::{Bench, Browser, PASSWORD};

/// Ann with a printer, signed in.
async fn home(bench: &Bench) -> (Account, Printer, Browser<'_>) {
    let ann = bench.account("ann@example.com").await;
    let printer = bench.printer(&ann, "Voron").await;
    let browser = bench.signed_in(&ann).await;
    (ann, printer, browser)
}

/// What the browser of an account holds at the hostname, after it went there.
struct Entered {
    label: OwnLabel,
    headers: HeaderMap,
}

async fn enter(bench: &Bench, account: &Account, printer: &Printer) -> Entered {
    let own = &bench.state.own_access;
    let sessions = bench.store().sessions().list_of(&account.id).await.unwrap();
    let begun = own.begin(&sessions[0].id, &account.id, &printer.id).await;
    let begun = begun.unwrap().unwrap();
    let cookie = own.enter(&begun.label, begun.code.expose()).await;
    let cookie = cookie.unwrap().unwrap();
    let pair = cookie.to_str().unwrap().split(';').next().unwrap();
    let mut headers = HeaderMap::new();
    headers.insert(COOKIE, pair.parse().unwrap());
    Entered {
        label: begun.label,
        headers,
    }
}

impl Entered {
    async fn ask(&self, bench: &Bench) -> Result<LetIn, Outside> {
        let own = &bench.state.own_access;
        own.admit(&self.label, &self.headers).await.unwrap()
    }
}

fn level(outcome: &Result<LetIn, Outside>) -> Option<KeyScope> {
    outcome.as_ref().ok().map(|let_in| let_in.way.level)
}

#[tokio::test]
async fn a_code_lets_one_browser_in_once_and_at_its_own_hostname() {
    let bench = Bench::new().await;
    let (ann, printer, _browser) = home(&bench).await;
    let other = bench.printer(&ann, "Prusa").await;
    let own = &bench.state.own_access;
    let sessions = bench.store().sessions().list_of(&ann.id).await.unwrap();
    let begin = async |printer: &Printer| {
        let begun = own.begin(&sessions[0].id, &ann.id, &printer.id).await;
        begun.unwrap().unwrap()
    };
    let (begun, elsewhere) = (begin(&printer).await, begin(&other).await);
    assert_ne!(begun.label, elsewhere.label);
    let take = async |label, code| own.enter(label, code).await.unwrap();
    assert_eq!(take(&begun.label, elsewhere.code.expose()).await, None);
    assert!(take(&begun.label, begun.code.expose()).await.is_some());
    assert_eq!(take(&begun.label, begun.code.expose()).await, None);
    assert_eq!(begin(&printer).await.label, begun.label, "it is stable");

    let late = begin(&printer).await;
    let now = bench.clock.now();
    bench.clock.set(now.plus(std::time::Duration::from_mins(1)));
    assert_eq!(take(&late.label, late.code.expose()).await, None);
    let orphan = begin(&printer).await;
    let ended = bench.store().sessions();
    ended.end(&ann.id, &sessions[0].id).await.unwrap();
    assert_eq!(take(&orphan.label, orphan.code.expose()).await, None);
}

#[tokio::test]
async fn a_cookie_is_worth_its_session_and_nothing_without_it() {
    let bench = Bench::new().await;
    let (ann, printer, mut browser) = home(&bench).await;
    let entered = enter(&bench, &ann, &printer).await;
    let let_in = entered.ask(&bench).await.unwrap();
    assert_eq!(let_in.printer, printer.id);
    assert_eq!(let_in.way.level, KeyScope::Full);
    let nothing = Entered {
        label: entered.label.clone(),
        headers: HeaderMap::new(),
    };
    assert_eq!(nothing.ask(&bench).await, Err(Outside::NotSignedIn));
    let elsewhere = Entered {
        label: OwnLabel::generate(&*bench.chance),
        headers: entered.headers.clone(),
    };
    assert_eq!(elsewhere.ask(&bench).await, Err(Outside::NotSignedIn));
    // Using the printer keeps the session alive, and its idle end ends both.
    let start = bench.clock.now();
    bench.clock.set(start.plus(IDLE / 2));
    entered.ask(&bench).await.unwrap();
    bench.clock.set(start.plus(IDLE + IDLE / 4));
    entered.ask(&bench).await.unwrap();
    browser.get("/printers").await.is(200);
    browser.get("/account").await.is(200);
    browser.post("/sign-out", &[]).await.leads_to("/sign-in");
    assert_eq!(entered.ask(&bench).await, Err(Outside::SignedOut));

    browser.sign_in(ann.email.as_str()).await;
    let entered = enter(&bench, &ann, &printer).await;
    let now = bench.clock.now();
    bench.clock.set(now.plus(IDLE));
    assert_eq!(entered.ask(&bench).await, Err(Outside::SignedOut));
}

const ENDS: [&str; 11] = [
    "sign-out",
    "session",
    "others",
    "password",
    "suspended",
    "owner-suspended",
    "membership",
    "left",
    "lowered",
    "printer",
    "account",
];

#[tokio::test]
async fn every_way_to_end_cuts_what_is_open() {
    for way in ENDS {
        let bench = Bench::new().await;
        let ann = bench.account("ann@example.com").await;
        let printer = bench.printer(&ann, "Voron").await;
        let bob = bench.account("bob@example.com").await;
        bench.share(&printer, &bob).await;
        let mut anns = bench.signed_in(&ann).await;
        let mut bobs = bench.signed_in(&bob).await;
        let entered = enter(&bench, &bob, &printer).await;
        let own = &bench.state.own_access;
        let here = entered.ask(&bench).await.unwrap().way;
        let hold = own.endings().hold(here.clone());
        own.recheck().await.unwrap();
        assert!(!hold.ended().is_cancelled(), "{way}");
        let id = &printer.id;
        let life = &bench.state.life;
        match way {
            "sign-out" => bobs.fill("/account", "/sign-out", &[]).await.is(303),
            "session" => {
                let fields = [("session", here.session.as_str())];
                let ended = bobs.fill("/account", "/account/end-session", &fields);
                ended.await.is(303);
            }
            "others" => {
                let mut second = bench.signed_in(&bob).await;
                let ended = second.fill("/account", "/account/end-others", &[]);
                ended.await.is(303);
            }
            "password" => {
                let mut second = bench.signed_in(&bob).await;
                let new = "another-long-password";
                let fields = [("old", PASSWORD), ("password", new), ("again", new)];
                let changed = second.fill("/account", "/account/password", &fields).await;
                changed.leads_to("/account?done=password");
            }
            "suspended" => assert!(life.suspend(&bob.id, "unpaid").await.unwrap()),
            "owner-suspended" => assert!(life.suspend(&ann.id, "unpaid").await.unwrap()),
            "membership" => {
                let path = format!("/printers/{id}/members/{}/remove", bob.id);
                anns.fill(&path, &path, &[]).await.is(303);
            }
            "left" => {
                let path = format!("/printers/{id}/leave");
                bobs.fill(&path, &path, &[]).await.is(303);
            }
            "lowered" => {
                let path = format!("/printers/{id}/members/{}/level", bob.id);
                let page = format!("/printers/{id}");
                let lowered = anns.fill(&page, &path, &[("scope", "view")]).await;
                lowered.leads_to(&format!("{page}?done=lowered"));
            }
            "printer" => {
                let path = format!("/printers/{id}/remove");
                anns.fill(&path, &path, &[]).await.is(303);
            }
            _ => assert!(life.delete_account(&bob.id).await.unwrap()),
        }
        // Whoever changed it here told that it should be looked at once.
        tokio::time::timeout(std::time::Duration::from_secs(5), life.changes().noted())
            .await
            .unwrap_or_else(|_| panic!("{way} was not noted"));
        own.recheck().await.unwrap();
        assert!(hold.ended().is_cancelled(), "{way}");
        let told = entered.ask(&bench).await;
        match way {
            "membership" | "left" | "printer" | "account" => {
                assert_eq!(told, Err(Outside::Over), "{way}");
            }
            "lowered" => assert_eq!(level(&told), Some(KeyScope::View)),
            _ => assert_eq!(told, Err(Outside::SignedOut), "{way}"),
        }
    }
}

#[tokio::test]
async fn a_doubt_cuts_nothing() {
    let bench = Bench::new().await;
    let (ann, printer, _browser) = home(&bench).await;
    let entered = enter(&bench, &ann, &printer).await;
    let own = &bench.state.own_access;
    let way: Way = entered.ask(&bench).await.unwrap().way;
    let hold = own.endings().hold(way);
    bench.store().close().await;
    assert!(own.recheck().await.is_err());
    assert!(!hold.ended().is_cancelled());
    assert!(own.admit(&entered.label, &entered.headers).await.is_err());
}

#[tokio::test]
async fn the_page_sends_its_form_to_the_hostname_alone() {
    let bench = Bench::new().await;
    let (ann, printer, mut browser) = home(&bench).await;
    let path = format!("/printers/{}/open", printer.id);
    // No host has called yet.
    let page = browser.get(&path).await;
    page.is(200);
    page.says("is not connected");
    assert!(!page.text.contains("lk_open_"));
    let policy = page.headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
    let own = bench.store().own_access();
    let fresh = OwnLabel::generate(&*bench.chance);
    let label = own.label_of(&ann.id, &printer.id, &fresh, bench.clock.now());
    let label = label.await.unwrap().unwrap();
    let form = format!("form-action 'self' https://{label}.printers.example.net;");
    assert!(policy.contains(&form), "{policy}");
    assert_eq!(page.headers[REFERRER_POLICY], "strict-origin");

    browser.get(&format!("/open/{label}")).await.leads_to(&path);
    let named = browser.get("/view/voron").await;
    assert_eq!((named.status.as_u16(), named.location()), (302, &*path));

    let bob = bench.account("bob@example.com").await;
    let mut bobs = bench.signed_in(&bob).await;
    for path in [
        path.as_str(),
        &format!("/open/{label}"),
        "/open/nonsense",
        &format!("/open/{}", OwnLabel::generate(&*bench.chance)),
    ] {
        bobs.get(path).await.is(404);
    }
    bench.share(&printer, &bob).await;
    bobs.get(&path).await.is(200);
    bobs.get(&format!("/open/{label}")).await.is(404);
    bench.state.life.suspend(&ann.id, "unpaid").await.unwrap();
    bobs.get(&path).await.says("cannot be reached for now");
    let mut stranger = bench.browser();
    let asked = stranger.get(&format!("/open/{label}")).await;
    asked.leads_to(&format!("/sign-in?then=/open/{label}"));
}
