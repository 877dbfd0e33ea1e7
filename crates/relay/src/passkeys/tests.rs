//! Passkeys through the real routes, with an authenticator in software.

use std::pin::Pin;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use latchkey_model::account_notice::NoticeKind;
use passkey::authenticator::{Authenticator, UiHint, UserCheck, UserValidationMethod};
use passkey::client::{Client, DefaultClientData};
use passkey::crypto::rust_crypto::RustCryptoBackend;
use passkey::types::Passkey;
use passkey::types::ctap2::{Aaguid, Ctap2Error};
use serde_json::{Value, json};
use url::Url;

use crate::tests::{Bench, Browser, PASSWORD, Reply};

const ADD: &str = "/account/security/passkeys";
const ENTER: &str = "/sign-in/passkey";
const STALE: Duration = Duration::from_millis(5 * 60 * 1000 + 1);

/// A person who confirms everything, with finger or face if they can.
struct Person {
    verified: bool,
}

type Checking<'t> = Pin<Box<dyn Future<Output = Result<UserCheck, Ctap2Error>> + Send + 't>>;

impl UserValidationMethod for Person {
    type PasskeyItem = Passkey;

    fn check_user<'a, 'life0, 'async_trait>(
        &'life0 self,
        _: UiHint<'a, Passkey>,
        presence: bool,
        _: bool,
    ) -> Checking<'async_trait>
    where
        'a: 'async_trait,
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        let verification = self.verified;
        Box::pin(std::future::ready(Ok(UserCheck {
            presence,
            verification,
        })))
    }

    fn is_presence_enabled(&self) -> bool {
        true
    }

    fn is_verification_enabled(&self) -> Option<bool> {
        Some(true)
    }
}

/// A phone with one passkey at most.
#[derive(Default)]
struct Device {
    passkey: Option<Passkey>,
}

fn coded(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

impl Device {
    fn authenticator(
        &self,
        verified: bool,
    ) -> Authenticator<Option<Passkey>, Person, RustCryptoBackend> {
        let mut authenticator = Authenticator::new(
            Aaguid::new_empty(),
            self.passkey.clone(),
            Person { verified },
            RustCryptoBackend,
        );
        authenticator.set_make_credentials_with_signature_counter(true);
        authenticator
    }

    async fn make(&mut self, ask: &Value, origin: &str) -> Value {
        let mut client = Client::new(self.authenticator(true));
        let origin: Url = origin.parse().unwrap();
        let asked = serde_json::from_value(ask.clone()).unwrap();
        let made = client.register(&origin, asked, DefaultClientData).await;
        let made = made.unwrap();
        self.passkey = client.authenticator().store().clone();
        json!({
            "id": made.id,
            "rawId": coded(&made.raw_id),
            "type": "public-key",
            "extensions": {},
            "response": {
                "attestationObject": coded(&made.response.attestation_object),
                "clientDataJSON": coded(&made.response.client_data_json),
            },
        })
    }

    async fn show(&mut self, ask: &Value, origin: &str) -> Value {
        let mut client = Client::new(self.authenticator(true));
        let origin: Url = origin.parse().unwrap();
        let mut ask = ask.clone();
        // An empty list stands for all there are, which this client does not know.
        ask["publicKey"]["allowCredentials"] = Value::Null;
        let asked = serde_json::from_value(ask).unwrap();
        let shown = client.authenticate(&origin, asked, DefaultClientData).await;
        let shown = shown.unwrap();
        self.passkey = client.authenticator().store().clone();
        let handle = shown.response.user_handle.as_ref();
        json!({
            "id": shown.id,
            "rawId": coded(&shown.raw_id),
            "type": "public-key",
            "extensions": {},
            "response": {
                "authenticatorData": coded(&shown.response.authenticator_data),
                "clientDataJSON": coded(&shown.response.client_data_json),
                "signature": coded(&shown.response.signature),
                "userHandle": handle.map(|handle| coded(handle)),
            },
        })
    }
}

const ORIGIN: &str = "https://relay.example.net";

fn value(reply: &Reply) -> Value {
    serde_json::from_str(&reply.text).unwrap_or_else(|_| panic!("{reply:?}"))
}

async fn begin(browser: &mut Browser<'_>, path: &str) -> Value {
    let begun = browser
        .post_json(&format!("{path}/begin"), &json!({}))
        .await;
    begun.is(200);
    value(&begun)
}

/// Adds a passkey in a browser that is signed in.
async fn add(browser: &mut Browser<'_>, device: &mut Device) -> Reply {
    browser.get("/account/security").await.is(200);
    let question = begin(browser, ADD).await;
    let selection = &question["ask"]["publicKey"]["authenticatorSelection"];
    assert_eq!(selection["residentKey"], "required");
    assert_eq!(selection["userVerification"], "required");
    let made = device.make(&question["ask"], ORIGIN).await;
    let finish = json!({ "name": "My <b>phone</b>", "made": made });
    browser.post_json(&format!("{ADD}/finish"), &finish).await
}

/// What the device says to a new question.
async fn shown(browser: &mut Browser<'_>, device: &mut Device) -> Value {
    browser.get("/sign-in").await;
    let question = begin(browser, ENTER).await;
    let shown = device.show(&question["ask"], ORIGIN).await;
    json!({ "step": question["step"], "then": "/account", "shown": shown })
}

async fn finish(browser: &mut Browser<'_>, shown: &Value) -> Reply {
    browser.post_json(&format!("{ENTER}/finish"), shown).await
}

async fn bench_with_passkey(device: &mut Device) -> Bench {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let mut browser = bench.signed_in(&ann).await;
    let added = add(&mut browser, device).await;
    assert_eq!(value(&added)["go"], "/account/security?done=passkey");
    bench
}

#[tokio::test]
async fn a_passkey_is_added_signs_in_without_a_name_and_is_removed() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let mut elsewhere = bench.signed_in(&ann).await;
    let mut browser = bench.signed_in(&ann).await;
    let mut device = Device::default();
    add(&mut browser, &mut device).await.is(200);
    let page = browser.get("/account/security?done=passkey").await;
    page.says("My &#60;b&#62;phone");
    page.says("not used yet");
    let out = elsewhere.get("/account").await;
    assert!(out.location().starts_with("/sign-in"));
    let mut fresh = bench.browser();
    fresh.agent = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5) Version/18.5 Safari/604.1";
    let answer = shown(&mut fresh, &mut device).await;
    let entered = finish(&mut fresh, &answer).await;
    assert_eq!(value(&entered)["go"], "/account", "{entered:?}");
    fresh.get("/account").await.says("ann@example.com");
    // What was shown once is worth nothing again, there or elsewhere.
    let mut thief = bench.browser();
    thief.get("/sign-in").await.is(200);
    let again = finish(&mut thief, &answer).await;
    again.is(403);
    assert_eq!(value(&again)["problem"], "too-long");
    let id = page.after("name=\"passkey\" value=\"").to_owned();
    let path = "/account/security/remove-passkey";
    let mut bobs = bench
        .signed_in(&bench.account("bob@example.com").await)
        .await;
    bobs.get("/account/security").await.is(200);
    bobs.post(path, &[("passkey", &id)])
        .await
        .leads_to("/account/security");
    browser.get("/account/security").await.says("last used");
    browser
        .post(path, &[("passkey", &id)])
        .await
        .leads_to("/account/security?done=passkey-removed");
    // Whoever came in by it is out, and nobody comes in.
    let out = fresh.get("/account").await;
    assert!(out.location().starts_with("/sign-in"));
    let answer = shown(&mut fresh, &mut device).await;
    let refused = finish(&mut fresh, &answer).await;
    refused.is(403);
    assert_eq!(value(&refused)["problem"], "unfit");
    let notices = bench.store().notices().list(&ann.id, 10).await.unwrap();
    let kinds: Vec<_> = notices.iter().map(|notice| notice.kind).collect();
    for kind in [
        NoticeKind::PasskeyAdded,
        NoticeKind::PasskeyRemoved,
        NoticeKind::NewDevice,
    ] {
        assert!(kinds.contains(&kind), "{kind:?} in {kinds:?}");
    }
}

#[tokio::test]
async fn a_passkey_counts_for_both_factors_where_somebody_is_asked_once_more() {
    let mut device = Device::default();
    let bench = bench_with_passkey(&mut device).await;
    let ann = bench.store().accounts().list(None, 1).await.unwrap();
    let accounts = bench.store().accounts();
    accounts.set_administrator(&ann[0].id, true).await.unwrap();
    let mut browser = bench.browser();
    browser.sign_in("ann@example.com").await;
    let led = browser.get("/admin").await;
    assert!(led.location().contains("second-factor"), "{led:?}");
    browser.get(led.location()).await.says("Use a passkey");
    let before = browser.cookies["__Host-lk_session"].clone();
    let question = begin(&mut browser, ENTER).await;
    let shown = device.show(&question["ask"], ORIGIN).await;
    let sent = json!({ "step": question["step"], "then": "/admin", "shown": shown });
    assert_eq!(value(&finish(&mut browser, &sent).await)["go"], "/admin");
    assert_ne!(browser.cookies["__Host-lk_session"], before);
    browser.get("/admin").await.is(200);
    // Nobody turns out to be somebody else.
    let bob = bench.account("bob@example.com").await;
    let mut bobs = bench.signed_in(&bob).await;
    bobs.get("/sign-in/again").await.is(200);
    let question = begin(&mut bobs, ENTER).await;
    let shown = device.show(&question["ask"], ORIGIN).await;
    let sent = json!({ "step": question["step"], "then": "/admin", "shown": shown });
    let refused = finish(&mut bobs, &sent).await;
    assert_eq!(value(&refused)["problem"], "other-account");
    bobs.get("/account").await.says("bob@example.com");
}

#[tokio::test]
async fn a_passkey_of_somebody_suspended_leads_nowhere() {
    let mut device = Device::default();
    let bench = bench_with_passkey(&mut device).await;
    let ann = bench.store().accounts().list(None, 1).await.unwrap();
    let mut browser = bench.browser();
    let answer = shown(&mut browser, &mut device).await;
    let suspension = latchkey_model::account::Suspension {
        at: latchkey_model::clock::Timestamp::from_millis(1),
        reason: "abuse".to_owned(),
    };
    let accounts = bench.store().accounts();
    assert!(accounts.suspend(&ann[0].id, &suspension).await.unwrap());
    let refused = finish(&mut browser, &answer).await;
    refused.is(403);
    assert_eq!(value(&refused)["problem"], "unfit");
}

#[tokio::test]
async fn answers_that_are_not_to_the_question_are_refused() {
    let mut device = Device::default();
    let bench = bench_with_passkey(&mut device).await;
    let mut browser = bench.browser();
    // To an earlier question, although both wait.
    let first = shown(&mut browser, &mut device).await;
    let mut second = shown(&mut browser, &mut device).await;
    second["shown"] = first["shown"].clone();
    let refused = finish(&mut browser, &second).await;
    assert_eq!(value(&refused)["problem"], "unfit", "{refused:?}");
    // Changed on the way: another account's handle, a signature, flags.
    for (field, index) in [
        ("userHandle", 3),
        ("signature", 9),
        ("authenticatorData", 32),
    ] {
        let mut answer = shown(&mut browser, &mut device).await;
        let place = &mut answer["shown"]["response"][field];
        let mut bytes = BASE64URL_NOPAD
            .decode(place.as_str().unwrap().as_bytes())
            .unwrap();
        // The flag of verification is one of those bits.
        bytes[index] ^= 4;
        *place = coded(&bytes).into();
        let refused = finish(&mut browser, &answer).await;
        refused.is(403);
        assert_eq!(value(&refused)["problem"], "unfit", "{field}");
    }
    // Too late.
    let answer = shown(&mut browser, &mut device).await;
    bench.clock.advance(Duration::from_mins(5));
    let refused = finish(&mut browser, &answer).await;
    assert_eq!(value(&refused)["problem"], "too-long");
    assert!(!browser.cookies.contains_key("__Host-lk_session"));
}

#[tokio::test]
async fn what_a_script_sends_must_come_from_a_page_of_ours() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let mut browser = bench.signed_in(&ann).await;
    browser.get("/account/security").await.is(200);
    let token = browser.token.clone();
    let path = format!("{ADD}/begin");
    let body = |token: &str| json!({ "csrf_token": token }).to_string();
    for (kind, token, status) in [
        ("application/json", token.as_str(), 200),
        ("application/json", "", 403),
        ("application/json", "nonsense", 403),
        ("text/plain", token.as_str(), 403),
        ("application/x-www-form-urlencoded", token.as_str(), 403),
    ] {
        let reply = browser.send_text(kind, &path, body(token)).await;
        assert_eq!(reply.status.as_u16(), status, "{kind} {token}");
    }
    let broken = browser
        .send_text("application/json", &path, "{".into())
        .await;
    broken.is(400);
    browser.origin = "https://evil.example";
    let forged = browser.send_text("application/json", &path, body(&token));
    forged.await.is(403);
    browser.origin = "https://relay.example.net";
    // Twelve hours later, or without having typed the password lately.
    bench.clock.advance(STALE);
    let stale = browser.post_json(&path, &json!({})).await;
    stale.is(403);
    assert_eq!(value(&stale)["go"], "/sign-in/again?then=/account/security");
    let mut stranger = bench.browser();
    stranger.get("/sign-in").await.is(200);
    let led = stranger.post_json(&path, &json!({})).await;
    assert_eq!(value(&led)["go"], "/sign-in?then=/account/security");
}

#[tokio::test]
async fn beginnings_of_sign_ins_are_bounded_and_take_nobodys_place() {
    let bench = Bench::new().await;
    let mut browser = bench.browser();
    browser.get("/sign-in").await.is(200);
    let path = format!("{ENTER}/begin");
    for _ in 0..60 {
        browser.post_json(&path, &json!({})).await.is(200);
    }
    let closed = browser.post_json(&path, &json!({})).await;
    closed.is(429);
    assert!(closed.headers.contains_key("retry-after"));
    let mut other = bench.browser();
    other.get("/sign-in").await.is(200);
    other.post_json(&path, &json!({})).await.is(200);
}

#[tokio::test]
async fn a_relay_known_by_a_bare_address_offers_no_passkeys() {
    let bench = Bench::with(|config| {
        let url: Url = "http://127.0.0.1:7010".parse().unwrap();
        config.public_url = crate::config::PublicUrl::from_url(&url).unwrap();
    })
    .await;
    let mut browser = bench.browser();
    browser.origin = "http://127.0.0.1:7010";
    let page = browser.get("/sign-in").await;
    assert!(!page.text.contains("data-passkey"));
    let path = format!("{ENTER}/begin");
    browser.post_json(&path, &json!({})).await.is(404);
    let fields = [("email", "nobody@example.com"), ("password", PASSWORD)];
    browser.post("/sign-in", &fields).await.is(403);
}
