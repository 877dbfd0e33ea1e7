//! `latchkey connect` before a relay of the test's own, for each way that it can end.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::sync::Semaphore;
use url::Url;

use crate::harness::asking::Asking;
use crate::harness::eventually;
use crate::harness::fake::{Asked, Ended, Fake, Reply};
use crate::harness::http::{Request, Response};
use crate::harness::stack::signal;

const SECRETS: [&str; 5] = [
    "lk_app_secret",
    "usersecret",
    "passwordsecret",
    "bearersecret",
    "keysecret",
];

fn given(relay: &str) -> Value {
    json!({
        "success": "true",
        "id": "connection-1",
        "url": relay,
        "appApiToken": "lk_app_secret",
        "authbasichttpuser": "usersecret",
        "authbasichttppassword": "passwordsecret",
        "authBearerToken": "bearersecret",
        "authBasicHttpUser": "usersecret",
        "authBasicHttpPassword": "passwordsecret",
        "printername": "Work shop",
        "octoPrintApiKey": "keysecret",
    })
}

/// A relay that exchanges codes for what `token` says.
async fn relay(token: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Fake {
    Fake::start(|at| {
        let url = format!("http://{at}");
        move |asked: &Asked| match asked.line.as_str() {
            "POST /appportal/v1/token" => token(&url),
            _ => Reply::status(404),
        }
    })
    .await
}

async fn generous_relay() -> Fake {
    relay(|url| Reply::json(200, &given(url))).await
}

/// The command, and what its address asks for.
struct Connecting {
    asking: Asking,
    start: Url,
    out: PathBuf,
    folder: TempDir,
}

impl Connecting {
    async fn start(fake: &Fake, more: &[&str]) -> Self {
        let folder = TempDir::with_prefix("latchkey-connect-").unwrap();
        let out = folder.path().join("mine.json");
        let url = fake.url();
        let mut arguments = vec!["connect", &url, "--app-id", "devtest", "--out"];
        arguments.push(out.to_str().unwrap());
        arguments.extend(more);
        let asking = Asking::run(&arguments).await;
        let start = Url::parse(&asking.dialog).unwrap();
        Self {
            asking,
            start,
            out,
            folder,
        }
    }

    fn asks(&self, name: &str) -> Option<String> {
        let mut pairs = self.start.query_pairs();
        let found = pairs.find(|(known, _)| known == name);
        found.map(|(_, value)| value.into_owned())
    }

    fn return_url(&self) -> String {
        self.asks("returnUrl").unwrap()
    }

    /// The browser comes back with this query.
    async fn come_back(&self, query: &str) -> Response {
        let url = format!("{}?{query}", self.return_url());
        Request::get(url).send().await.read().await
    }

    /// The browser comes back with a code of this run.
    async fn come_back_with_code(&self) -> Response {
        let state = self.asks("state").unwrap();
        let query = format!("success=true&code=C0DE&state={state}");
        self.come_back(&query).await
    }

    /// Waits for its end, and for all it said; no secret may be in it.
    async fn end(self) -> (Ended, PathBuf, TempDir) {
        let (output, said) = self.asking.end().await;
        let ended = Ended {
            code: output.status.code(),
            result: String::from_utf8(output.stdout).unwrap(),
            said,
        };
        for secret in SECRETS {
            let told = ended.result.contains(secret) || ended.said.contains(secret);
            assert!(!told, "{}{}", ended.result, ended.said);
        }
        (ended, self.out, self.folder)
    }
}

fn assert_kept(path: &Path, relay: &str) {
    let mode = std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "only its owner may read it");
    let kept: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(
        kept,
        json!({
            "relay": format!("{relay}/"),
            "appId": "devtest",
            "id": "connection-1",
            "url": relay,
            "appApiToken": "lk_app_secret",
            "authbasichttpuser": "usersecret",
            "authbasichttppassword": "passwordsecret",
            "authBearerToken": "bearersecret",
            "printername": "Work shop",
            "octoPrintApiKey": "keysecret",
        })
    );
}

fn assert_page(page: &Response, status: u16, words: &str) {
    assert_eq!(page.status, status, "{page:?}");
    assert!(page.text().contains(words), "{page:?}");
    assert!(
        page.header("content-security-policy")
            .starts_with("default-src 'none'")
    );
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    assert_eq!(page.header("cache-control"), "no-store");
    for secret in SECRETS {
        assert!(!page.text().contains(secret), "{page:?}");
    }
}

#[tokio::test]
async fn a_code_is_exchanged_and_what_comes_of_it_is_kept() {
    let fake = generous_relay().await;
    let more = ["--printer", "P1", "--name-for-key", "My app", "--json"];
    let connecting = Connecting::start(&fake, &more).await;
    let start = &connecting.start;
    assert_eq!(start.path(), "/appportal/v1");
    assert_eq!(connecting.asks("appId").as_deref(), Some("devtest"));
    assert_eq!(connecting.asks("printerId").as_deref(), Some("P1"));
    let name = connecting.asks("octoPrintApiKeyAppName");
    assert_eq!(name.as_deref(), Some("My app"));
    assert_eq!(connecting.asks("responseMode").as_deref(), Some("code"));
    let method = connecting.asks("codeChallengeMethod");
    assert_eq!(method.as_deref(), Some("S256"));
    assert!(connecting.return_url().starts_with("http://127.0.0.1:"));
    let challenge = connecting.asks("codeChallenge").unwrap();

    assert_page(&connecting.come_back_with_code().await, 200, "Done");
    let (ended, out, _folder) = connecting.end().await;
    ended.assert_done();
    let told: Value = serde_json::from_str(&ended.result).unwrap();
    assert_eq!(
        told,
        json!({"file": out, "id": "connection-1", "printername": "Work shop", "has_printer_key": true})
    );
    assert_kept(&out, &fake.url());
    let [asked] = &fake.asked()[..] else {
        panic!("{:?}", fake.lines())
    };
    assert_eq!(asked.body["code"], "C0DE");
    let verifier = asked.body["codeVerifier"].as_str().unwrap();
    assert_eq!(URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)), challenge);
}

#[tokio::test]
async fn a_relay_that_knows_no_codes_gives_the_result_itself() {
    let fake = relay(|_| Reply::status(404)).await;
    let connecting = Connecting::start(&fake, &[]).await;
    let given = given(&fake.url());
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(
            given
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, value)| (name, value.as_str().unwrap())),
        )
        .finish();
    // A space as OctoEverywhere writes it.
    let query = query.replace('+', "%20");
    assert_page(&connecting.come_back(&query).await, 200, "Done");
    let (ended, out, _folder) = connecting.end().await;
    ended.assert_done();
    assert_eq!(ended.result, format!("{}\n", out.display()));
    assert_kept(&out, &fake.url());
    assert_eq!(fake.asked().len(), 0);
}

#[tokio::test]
async fn a_refusal_is_told_and_nothing_is_kept() {
    let fake = generous_relay().await;
    for (more, reason) in [
        (
            "&error=cancelled&errorDescription=Not%20now",
            "cancelled, Not now",
        ),
        ("", "does not say why"),
    ] {
        let connecting = Connecting::start(&fake, &[]).await;
        let page = connecting.come_back(&format!("success=false{more}")).await;
        assert_page(&page, 200, "Not allowed");
        let (ended, out, _folder) = connecting.end().await;
        ended.assert_failed(1, reason);
        assert!(!out.exists());
    }
    assert_eq!(fake.asked().len(), 0);
}

#[tokio::test]
async fn strays_are_answered_and_change_nothing() {
    let fake = generous_relay().await;
    let connecting = Connecting::start(&fake, &[]).await;
    let back = connecting.return_url();
    let root = Url::parse(&back).unwrap().join("/favicon.ico").unwrap();
    let favicon = Request::get(root).send().await.read().await;
    assert_page(&favicon, 404, "nothing at this address");
    let other = Request::get(format!("{back}x?success=true")).send().await;
    assert_eq!(other.read().await.status, 404);
    for stray in [
        "",
        "success=true&code=evil",
        "success=true&code=evil&state=evil",
        "success=true&id=1&url=http%3A%2F%2Fevil&appApiToken=1&state=evil",
        "success=false&state=evil",
        "success=TRUE",
    ] {
        assert_page(
            &connecting.come_back(stray).await,
            400,
            "not what the app waits for",
        );
    }
    let state = connecting.asks("state").unwrap();
    let query = format!("{back}?success=true&code=C0DE&state={state}");
    for (method, status) in [(Method::POST, 405), (Method::HEAD, 400)] {
        let answer = Request::new(method, &query).send().await;
        assert_eq!(answer.read().await.status, status);
    }
    assert_eq!(fake.asked().len(), 0);
    assert_page(&connecting.come_back_with_code().await, 200, "Done");
    let (ended, out, _folder) = connecting.end().await;
    ended.assert_done();
    assert_kept(&out, &fake.url());
}

#[tokio::test]
async fn a_page_that_is_loaded_again_is_told_and_the_code_goes_out_once() {
    // Holds the exchange until the second page has been answered.
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let fake = relay(move |url| Reply::json(200, &given(url)).held(&held)).await;
    let connecting = Connecting::start(&fake, &[]).await;
    let first = connecting.come_back_with_code();
    let second = async {
        eventually("the exchange", async || !fake.asked().is_empty()).await;
        let again = connecting.come_back_with_code().await;
        gate.add_permits(1);
        again
    };
    let (first, again) = tokio::join!(first, second);
    assert_page(&first, 200, "<h1>Done</h1>");
    assert_page(&again, 200, "Done already");
    let (ended, ..) = connecting.end().await;
    ended.assert_done();
    assert_eq!(fake.lines(), ["POST /appportal/v1/token"]);
}

#[tokio::test]
async fn a_code_that_is_not_taken_is_told_to_both() {
    for (reply, sentence) in [
        (
            Reply::json(
                400,
                &json!({"error": "invalid_grant", "errorDescription": "too\u{1b}[1m old"}),
            ),
            "invalid_grant, too?[1m old",
        ),
        (
            Reply::json(200, &json!({"success": "true", "id": "1"})),
            "gave no url",
        ),
        (Reply::text(200, "<html>"), "without JSON"),
        (Reply::status(503), "cannot help just now"),
        (Reply::HangsUp, "does not answer as a web server"),
    ] {
        let fake = relay(move |_| reply.clone()).await;
        let connecting = Connecting::start(&fake, &[]).await;
        assert_page(&connecting.come_back_with_code().await, 502, "did not work");
        let (ended, out, _folder) = connecting.end().await;
        ended.assert_failed(1, sentence);
        assert!(!out.exists());
        assert_eq!(fake.asked().len(), 1, "a code is sent once");
    }
}

#[tokio::test]
async fn somebody_may_stop_it_and_time_does() {
    let fake = generous_relay().await;
    for name in ["INT", "TERM"] {
        let connecting = Connecting::start(&fake, &[]).await;
        assert!(connecting.out.exists(), "the place is taken");
        signal(connecting.asking.id(), name).await;
        let (ended, out, _folder) = connecting.end().await;
        ended.assert_failed(1, "stopped; nothing was kept");
        assert!(!out.exists());
    }
    let connecting = Connecting::start(&fake, &["--timeout", "1"]).await;
    let (ended, out, _folder) = connecting.end().await;
    ended.assert_failed(1, "nobody decided within 1 min");
    assert!(!out.exists());
}

#[tokio::test]
async fn at_a_path_that_others_know_only_what_has_the_state_counts() {
    let fake = generous_relay().await;
    let connecting = Connecting::start(&fake, &["--return-path", "/done"]).await;
    assert!(connecting.return_url().ends_with("/done"));
    for stray in [
        "success=true&id=1&url=http%3A%2F%2Fevil&appApiToken=1",
        "success=false&error=cancelled",
    ] {
        assert_page(
            &connecting.come_back(stray).await,
            400,
            "not what the app waits for",
        );
    }
    assert_page(&connecting.come_back_with_code().await, 200, "Done");
    let (ended, out, _folder) = connecting.end().await;
    ended.assert_done();
    assert_kept(&out, &fake.url());
}

#[tokio::test]
async fn a_file_that_exists_is_replaced_only_if_told() {
    let fake = generous_relay().await;
    let folder = TempDir::with_prefix("latchkey-connect-").unwrap();
    let out = folder.path().join("mine.json");
    std::fs::write(&out, "mine").unwrap();
    let (url, file) = (fake.url(), out.to_str().unwrap());
    let arguments = ["connect", &url, "--app-id", "devtest", "--out", file];
    let ended = Ended::of(&arguments).await;
    ended.assert_failed(2, "--force");
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "mine");

    let connecting = Connecting::start(&fake, &["--force"]).await;
    std::fs::write(&connecting.out, "theirs").unwrap();
    connecting.come_back_with_code().await;
    let (ended, out, _folder) = connecting.end().await;
    ended.assert_done();
    assert_kept(&out, &fake.url());
}

#[tokio::test]
async fn what_cannot_work_is_found_before_anybody_is_asked() {
    let folder = TempDir::with_prefix("latchkey-connect-").unwrap();
    let file = folder.path().join("mine.json");
    let file = file.to_str().unwrap();
    let missing = folder.path().join("missing/mine.json");
    let run = async |url: &str, more: &[&str]| {
        let arguments = [&["connect", url, "--app-id", "devtest"], more].concat();
        Ended::of(&arguments).await
    };
    let nobody = run("http://127.0.0.1:9", &["--out", file]).await;
    nobody.assert_failed(1, "cannot connect to 127.0.0.1:9");
    let credentials = run("https://u:hunter2@relay.example", &["--out", file]).await;
    credentials.assert_failed(2, "no user name in it");
    assert!(!credentials.said.contains("hunter2"));
    let place = run("http://127.0.0.1:9", &["--out", missing.to_str().unwrap()]).await;
    place.assert_failed(2, "cannot write");
    let name = run(
        "http://127.0.0.1:9",
        &["--out", file, "--name-for-key", "x"],
    )
    .await;
    name.assert_failed(2, "2 to 60 characters");
    let path = run(
        "http://127.0.0.1:9",
        &["--out", file, "--return-path", "done?x"],
    )
    .await;
    path.assert_failed(2, "--return-path");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
