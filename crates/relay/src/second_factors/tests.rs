//! Codes through the real routes.

use std::time::Duration;

use data_encoding::BASE32_NOPAD;
use futures_util::future::join_all;
use latchkey_model::account::Account;
use latchkey_model::account_notice::NoticeKind;
use latchkey_model::chance::Chance as _;
use latchkey_model::clock::Clock as _;
use latchkey_model::id::PasskeyId;
use latchkey_store::relay::KeptPasskey;
use totp_rs::{Builder, Secret};

use crate::config::AdministratorsFactor;
use crate::tests::{Bench, Browser, PASSWORD, Reply};

const SET_UP: &str = "/account/security/codes";
const STEP: Duration = Duration::from_secs(30);
/// Just longer than a proof counts as fresh.
const STALE: Duration = Duration::from_millis(5 * 60 * 1000 + 1);

/// An authenticator app.
struct App {
    seed: Vec<u8>,
}

impl App {
    /// Takes the seed from the page that shows it.
    fn of(page: &Reply) -> Self {
        let typed = page.after("id=\"seed\">").replace(' ', "");
        let seed = BASE32_NOPAD.decode(typed.as_bytes()).unwrap();
        Self { seed }
    }

    /// The code of so many steps from now.
    fn code(&self, bench: &Bench, steps: i64) -> String {
        let secret = Secret::from(self.seed.clone());
        let totp = Builder::new().with_secret(secret).build().unwrap();
        let seconds = bench.clock.now().millis() / 1000 + 30 * steps;
        totp.generate(seconds.cast_unsigned()).to_string()
    }
}

/// Turns codes on, and gives the app and the recovery codes.
async fn turn_on(bench: &Bench, browser: &mut Browser<'_>) -> (App, Vec<String>) {
    let page = browser.get(SET_UP).await;
    page.is(200);
    let app = App::of(&page);
    let on = browser.post(SET_UP, &[("code", &app.code(bench, 0))]).await;
    on.is(200);
    on.says("Codes are on");
    let codes = on.text.split("<code>").skip(1);
    let codes: Vec<_> = codes
        .map(|rest| rest.split('<').next().unwrap().to_owned())
        .collect();
    assert_eq!(codes.len(), 10);
    (app, codes)
}

/// Types the password, and gives the page that asks for the code.
async fn half(browser: &mut Browser<'_>, email: &str) -> String {
    let fields = [("email", email), ("password", PASSWORD)];
    let asked = browser.fill("/sign-in", "/sign-in", &fields).await;
    asked.is(200);
    asked.says("Your code");
    assert!(!browser.cookies.contains_key("__Host-lk_session"));
    asked.after("name=\"step\" value=\"").to_owned()
}

async fn bring(browser: &mut Browser<'_>, step: &str, code: &str) -> Reply {
    let fields = [("step", step), ("code", code)];
    browser.post("/sign-in/code", &fields).await
}

async fn kinds(bench: &Bench, account: &Account) -> Vec<NoticeKind> {
    let notices = bench.store().notices().list(&account.id, 10).await.unwrap();
    notices.iter().map(|notice| notice.kind).collect()
}

#[tokio::test]
async fn codes_are_asked_for_once_one_was_right_and_others_are_signed_out() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let mut elsewhere = bench.signed_in(&ann).await;
    let mut browser = bench.signed_in(&ann).await;
    let page = browser.get(SET_UP).await;
    let app = App::of(&page);
    page.says("<svg class=\"qr\"");
    assert_eq!(App::of(&browser.get(SET_UP).await).seed, app.seed);
    let wrong = browser.post(SET_UP, &[("code", "000000")]).await;
    wrong.is(403);
    wrong.says("This is not the code of now");
    elsewhere.get("/account").await.is(200);
    assert!(!bench.state.second_factors.asks(&ann.id).await.unwrap());
    let before = browser.cookies["__Host-lk_session"].clone();
    let (app, _) = turn_on(&bench, &mut browser).await;
    assert_ne!(browser.cookies["__Host-lk_session"], before);
    let out = elsewhere.get("/account").await;
    assert!(out.location().starts_with("/sign-in"), "{out:?}");
    browser.get("/account/security").await.says("10 of 10");
    assert!(kinds(&bench, &ann).await.contains(&NoticeKind::CodesOn));

    let mut fresh = bench.browser();
    let step = half(&mut fresh, "ann@example.com").await;
    assert!(
        fresh
            .get("/account")
            .await
            .location()
            .starts_with("/sign-in")
    );
    // The code that turned them on is used up, and so are those before it.
    for code in [app.code(&bench, 0), app.code(&bench, -1), "x".to_owned()] {
        let wrong = bring(&mut fresh, &step, &code).await;
        wrong.is(403);
        wrong.says("This code is not right");
    }
    bench.clock.advance(STEP);
    let code = app.code(&bench, 0);
    let spaced = format!(" {} {}", &code[..3], &code[3..]);
    bring(&mut fresh, &step, &spaced)
        .await
        .leads_to("/printers");
    fresh.get("/account").await.is(200);
    // Once, for whoever comes next with it.
    let mut thief = bench.browser();
    let step = half(&mut thief, "ann@example.com").await;
    bring(&mut thief, &step, &code).await.is(403);
    // The clock of a phone may be half a minute fast.
    bring(&mut thief, &step, &app.code(&bench, 1))
        .await
        .leads_to("/printers");
}

#[tokio::test]
async fn the_seed_is_sealed_and_recovery_codes_are_hashed() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let mut browser = bench.signed_in(&ann).await;
    let (app, codes) = turn_on(&bench, &mut browser).await;
    let kept = bench.store().second_factors().find(&ann.id).await.unwrap();
    let sealed = kept.unwrap().sealed_seed;
    assert!(!sealed.windows(20).any(|part| part == app.seed));
    // Without the key they are not to be guessed: it is no plain hash.
    let plain = latchkey_model::secret::RecoveryCodeHash::of(&codes[0].replace('-', ""));
    let taken = bench.store().second_factors();
    let taken = taken.take_recovery_code(&ann.id, &plain).await.unwrap();
    assert_eq!(taken, None);
    let again = browser.get("/account/security").await;
    for code in &codes {
        assert!(!again.text.contains(code), "shown once");
    }
}

#[tokio::test]
async fn a_recovery_code_stands_for_a_code_once_and_is_told_of() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let mut browser = bench.signed_in(&ann).await;
    let (_, codes) = turn_on(&bench, &mut browser).await;
    let mut fresh = bench.browser();
    let step = half(&mut fresh, "ann@example.com").await;
    let typed = codes[3].to_lowercase().replace('-', " ");
    bring(&mut fresh, &step, &typed).await.leads_to("/printers");
    let page = fresh.get("/account/security").await;
    page.says("9 of 10 recovery codes");
    page.says("A recovery code was used");
    let mut other = bench.browser();
    let step = half(&mut other, "ann@example.com").await;
    bring(&mut other, &step, &codes[3]).await.is(403);
    // New ones take the place of all.
    let made = fresh.post("/account/security/recovery-codes", &[]).await;
    made.is(200);
    made.says("These are new");
    bring(&mut other, &step, &codes[4]).await.is(403);
    let new = made.after("<code>").to_owned();
    bring(&mut other, &step, &new).await.leads_to("/printers");
}

#[tokio::test]
async fn a_proved_password_waits_five_minutes_for_one_code() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let mut browser = bench.signed_in(&ann).await;
    let (app, codes) = turn_on(&bench, &mut browser).await;
    let mut late = bench.browser();
    let step = half(&mut late, "ann@example.com").await;
    bench.clock.advance(Duration::from_mins(5));
    let over = bring(&mut late, &step, &app.code(&bench, 0)).await;
    over.is(403);
    over.says("That took too long");
    let step = half(&mut late, "ann@example.com").await;
    bring(&mut late, &step, &app.code(&bench, 0))
        .await
        .leads_to("/printers");
    let mut second = bench.browser();
    second.get("/sign-in").await.is(200);
    bring(&mut second, &step, &codes[0]).await.is(403);
    bring(&mut second, "nonsense", &codes[0]).await.is(403);
    // A password that changed meanwhile proves nothing.
    let step = half(&mut second, "ann@example.com").await;
    let new = latchkey_model::secret::PasswordHash::new("other".to_owned());
    let accounts = bench.store().accounts();
    assert!(accounts.set_password_hash(&ann.id, &new).await.unwrap());
    bring(&mut second, &step, &codes[1]).await.is(403);
    assert!(!second.cookies.contains_key("__Host-lk_session"));
}

#[tokio::test]
async fn codes_are_not_guessed() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let mut browser = bench.signed_in(&ann).await;
    let (app, codes) = turn_on(&bench, &mut browser).await;
    bench.clock.advance(STEP);
    let mut thief = bench.browser();
    let step = half(&mut thief, "ann@example.com").await;
    let right = app.code(&bench, 0);
    for _ in 0..5 {
        bring(&mut thief, &step, "000000").await.is(403);
    }
    let closed = bring(&mut thief, &step, &right).await;
    closed.is(429);
    assert!(closed.headers.contains_key("retry-after"));
    bench.clock.advance(STEP);
    for _ in 0..5 {
        bring(&mut thief, &step, "BCDF-GHJK-LMNP-QRST")
            .await
            .is(403);
    }
    bench.clock.advance(STEP);
    // The eleventh of an hour, wherever it is typed.
    bring(&mut thief, &step, &codes[0]).await.is(429);
    let fields = [("password", PASSWORD), ("code", &codes[0])];
    browser
        .fill("/sign-in/again", "/sign-in/again", &fields)
        .await
        .is(429);
    bench.clock.advance(Duration::from_hours(1));
    let step = half(&mut thief, "ann@example.com").await;
    bring(&mut thief, &step, &codes[0])
        .await
        .leads_to("/printers");
}

#[tokio::test]
async fn of_many_codes_at_once_no_more_are_tried_than_of_one_after_the_other() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let mut browser = bench.signed_in(&ann).await;
    let (_, codes) = turn_on(&bench, &mut browser).await;
    let tries = (0..20).map(|number| {
        let code = if number == 19 {
            codes[0].as_str()
        } else {
            "000000"
        };
        bench.state.second_factors.prove(&ann, code)
    });
    let outcomes = join_all(tries).await;
    let wrong = |one: &Result<_, _>| matches!(one, Err(super::CodeError::Wrong));
    let closed = |one: &Result<_, _>| matches!(one, Err(super::CodeError::TooMany(_)));
    assert_eq!(outcomes.iter().filter(|one| wrong(one)).count(), 5);
    assert_eq!(outcomes.iter().filter(|one| closed(one)).count(), 15);
}

#[tokio::test]
async fn what_guards_the_account_needs_the_code_once_more() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let mut browser = bench.signed_in(&ann).await;
    let (app, _) = turn_on(&bench, &mut browser).await;
    browser.get("/account/security").await.is(200);
    bench.clock.advance(STALE);
    for path in [
        "/account/security/recovery-codes",
        "/account/security/codes/off",
        "/account/security/remove-passkey",
    ] {
        let led = browser.post(path, &[("passkey", "x")]).await;
        assert!(
            led.location().starts_with("/sign-in/again"),
            "{path} {led:?}"
        );
    }
    assert!(bench.state.second_factors.asks(&ann.id).await.unwrap());
    let again = "/sign-in/again?then=/account/security/codes/off";
    browser.get(again).await.says("or a recovery code");
    let path = "/sign-in/again";
    let off = "/account/security/codes/off";
    let right = app.code(&bench, 0);
    for (password, code, said) in [
        (PASSWORD, "", "This code is not right"),
        (PASSWORD, "000000", "This code is not right"),
        ("wrong", right.as_str(), "do not go together"),
    ] {
        let fields = [("password", password), ("code", code), ("then", off)];
        let wrong = browser.post(path, &fields).await;
        wrong.is(403);
        wrong.says(said);
    }
    let fields = [("password", PASSWORD), ("code", &right), ("then", off)];
    browser.post(path, &fields).await.leads_to(off);
    browser.get(off).await.says("Turn codes off?");
    let mut elsewhere = bench.browser();
    let step = half(&mut elsewhere, "ann@example.com").await;
    let next = app.code(&bench, 1);
    bring(&mut elsewhere, &step, &next)
        .await
        .leads_to("/printers");
    let done = browser.post(off, &[]).await;
    done.leads_to("/account/security?done=off");
    // A second click finds it done.
    browser.post(off, &[]).await.leads_to("/account/security");
    let out = elsewhere.get("/account").await;
    assert!(out.location().starts_with("/sign-in"));
    elsewhere.sign_in("ann@example.com").await;
    assert!(kinds(&bench, &ann).await.contains(&NoticeKind::CodesOff));
}

#[tokio::test]
async fn a_password_alone_is_no_fresh_proof_where_codes_are_asked_for() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let mut browser = bench.signed_in(&ann).await;
    let (_, codes) = turn_on(&bench, &mut browser).await;
    bench.clock.advance(STALE);
    // The old password is not all that a new one takes.
    let new = "another-long-password";
    let fields = [("old", PASSWORD), ("password", new), ("again", new)];
    let change = "/account/password";
    let again = "/sign-in/again?then=/account&with=second-factor";
    let led = browser.fill("/account", change, &fields).await;
    led.leads_to(again);
    half(&mut bench.browser(), "ann@example.com").await;
    let led = browser.get("/account/delete").await;
    assert!(led.location().starts_with("/sign-in/again"), "{led:?}");
    browser.get("/account").await.is(200);
    let address = [("email", "eve@example.com")];
    let led = browser.post("/account/address", &address).await;
    assert!(led.location().starts_with("/sign-in/again"), "{led:?}");
    let code = [
        ("password", PASSWORD),
        ("code", &codes[0]),
        ("then", "/account"),
    ];
    let proved = browser.fill(again, "/sign-in/again", &code).await;
    proved.leads_to("/account");
    let changed = browser.fill("/account", change, &fields).await;
    changed.leads_to("/account?done=password");
}

fn passkey(bench: &Bench, account: &Account) -> KeptPasskey {
    let mut credential_id = vec![0; 16];
    bench.chance.fill(&mut credential_id);
    KeptPasskey {
        id: PasskeyId::generate(&*bench.chance),
        account: account.id.clone(),
        credential_id,
        credential: "{}".to_owned(),
        name: "Phone".to_owned(),
        created: bench.clock.now(),
        used: None,
    }
}

#[tokio::test]
async fn who_runs_the_relay_and_has_a_second_factor_uses_it() {
    let bench = Bench::new().await;
    let root = bench.administrator("root@example.com").await;
    let bob = bench.account("bob@example.com").await;
    let mut browser = bench.signed_in(&root).await;
    let plan = format!("/admin/accounts/{}/plan", bob.id);
    let change = async |browser: &mut Browser<'_>| browser.post(&plan, &[("plan", "free")]).await;
    browser.get("/admin").await.is(200);
    assert!(
        change(&mut browser)
            .await
            .location()
            .ends_with("?done=plan")
    );
    browser
        .get("/account/security")
        .await
        .says("Only your password guards this relay");
    // By a password alone, although there is a passkey, they neither look nor change.
    let kept = passkey(&bench, &root);
    assert!(bench.store().passkeys().add(&kept, 9).await.unwrap());
    let led = browser.get("/admin").await;
    assert!(led.location().contains("with=second-factor"), "{led:?}");
    let led = change(&mut browser).await;
    assert!(led.location().contains("with=second-factor"), "{led:?}");
    let led = browser.get(SET_UP).await;
    assert!(led.location().contains("with=second-factor"), "{led:?}");
    browser
        .get(led.location())
        .await
        .says("Running this relay needs your passkey");
    let removed = bench.store().second_factors().remove_all(&root.id).await;
    assert!(removed.unwrap());
    let (app, _) = turn_on(&bench, &mut browser).await;
    assert!(
        change(&mut browser)
            .await
            .location()
            .ends_with("?done=plan")
    );
    bench.clock.advance(STALE);
    browser.get("/admin").await.is(200);
    let led = change(&mut browser).await;
    assert!(led.location().starts_with("/sign-in/again"), "{led:?}");
    let code = app.code(&bench, 0);
    let fields = [("password", PASSWORD), ("code", &code)];
    let path = "/sign-in/again";
    browser
        .fill(path, path, &fields)
        .await
        .leads_to("/printers");
    assert!(
        change(&mut browser)
            .await
            .location()
            .ends_with("?done=plan")
    );
}

#[tokio::test]
async fn where_it_is_required_nobody_runs_the_relay_without_one() {
    let bench =
        Bench::with(|config| config.administrators_factor = AdministratorsFactor::Required).await;
    let root = bench.administrator("root@example.com").await;
    let bob = bench.account("bob@example.com").await;
    let mut browser = bench.signed_in(&root).await;
    let needed = "/account/security?done=needed";
    browser.get("/admin").await.leads_to(needed);
    browser.get(needed).await.says("needs a second factor");
    let plan = format!("/admin/accounts/{}/plan", bob.id);
    browser
        .post(&plan, &[("plan", "free")])
        .await
        .leads_to(needed);
    turn_on(&bench, &mut browser).await;
    browser.get("/admin").await.is(200);
    let changed = browser.post(&plan, &[("plan", "free")]).await;
    assert!(changed.location().ends_with("?done=plan"));
    // Others are not concerned.
    let mut bobs = bench.signed_in(&bob).await;
    bobs.get("/account/security").await.is(200);
}

#[tokio::test]
async fn an_administrator_helps_who_lost_theirs() {
    let bench = Bench::new().await;
    let root = bench.administrator("root@example.com").await;
    let bob = bench.account("bob@example.com").await;
    let mut bobs = bench.signed_in(&bob).await;
    turn_on(&bench, &mut bobs).await;
    let kept = passkey(&bench, &bob);
    assert!(bench.store().passkeys().add(&kept, 9).await.unwrap());
    let mut browser = bench.signed_in(&root).await;
    let page = format!("/admin/accounts/{}", bob.id);
    let path = format!("{page}/second-factor");
    for _ in 0..2 {
        let done = browser.fill(&page, &path, &[]).await;
        done.leads_to(&format!("{page}?done=second-factor"));
    }
    let out = bobs.get("/account").await;
    assert!(out.location().starts_with("/sign-in"));
    bobs.sign_in("bob@example.com").await;
    let told = kinds(&bench, &bob).await;
    let resets = told
        .iter()
        .filter(|kind| **kind == NoticeKind::FactorsReset);
    assert_eq!(resets.count(), 1);
}
