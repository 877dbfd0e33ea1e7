//! `latchkey key session` before a server of the test's own.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::harness::fake::{Asked, Ended, Fake, Reply, certify};
use crate::harness::session_keys::{
    APP, KEY, PRIVATE_KEY, PUBLIC_KEY, SIGNATURE, VALID_UNTIL, serve, unverified, verified,
};

/// An app on somebody's machine.
struct App {
    folder: TempDir,
}

impl App {
    /// With the documentation's private key.
    fn documented() -> Self {
        let folder = TempDir::new().unwrap();
        let app = Self { folder };
        app.write("app.pem", PRIVATE_KEY);
        app
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, text: &str) -> String {
        let file = self.file(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        file
    }

    /// Asks as the documented app.
    async fn ask(&self, url: &str, more: &[&str]) -> Ended {
        let file = self.file("app.pem");
        let arguments = ["key", "session", url, "--id", APP, "--private-key", &file];
        Ended::of(&[&arguments, more].concat()).await
    }
}

fn known(version: &str) -> Vec<(String, String)> {
    vec![(format!("{APP}:{version}"), PUBLIC_KEY.to_owned())]
}

#[tokio::test]
async fn the_verified_key_is_all_there_is_on_standard_output() {
    let server = serve(known("1.0")).await;
    let ended = App::documented()
        .ask(&server.url(), &["--version", "1.0", "--log", "debug"])
        .await;
    ended.assert_done();
    assert_eq!(ended.result, format!("{KEY}\n"));
    assert!(ended.said.contains("good for 1 h 59 min"), "{}", ended.said);
    assert_eq!(server.lines(), ["GET /apps/auth", "POST /apps/auth"]);
    let proof = &server.asked()[1];
    assert_eq!(proof.content_type.as_deref(), Some("application/json"));
    let expected = json!({"appid": APP, "appversion": "1.0", "key": KEY, "_sig": SIGNATURE});
    assert_eq!(proof.body, expected);
    for secret in [KEY, SIGNATURE, "MIIBPQ", "BEGIN"] {
        assert!(!ended.said.contains(secret), "{}", ended.said);
    }
}

#[tokio::test]
async fn without_a_version_any_is_signed_and_none_is_sent() {
    for version in [&[][..], &["--version", ""]] {
        let server = serve(known("any")).await;
        let ended = App::documented().ask(&server.url(), version).await;
        ended.assert_done();
        assert_eq!(ended.result, format!("{KEY}\n"));
        assert!(server.asked()[1].body.get("appversion").is_none());
    }
}

#[tokio::test]
async fn json_has_the_key_and_the_servers_own_time() {
    let server = serve(known("any")).await;
    let ended = App::documented().ask(&server.url(), &["--json"]).await;
    ended.assert_done();
    let result: Value = serde_json::from_str(&ended.result).unwrap();
    assert_eq!(result, json!({"key": KEY, "valid_until": VALID_UNTIL}));
    assert!(!ended.said.contains(KEY), "{}", ended.said);
}

/// A server that says these two things.
async fn saying(get: Reply, post: Reply) -> Fake {
    let replies = move |asked: &Asked| {
        let is_first = asked.line.starts_with("GET ");
        if is_first { get.clone() } else { post.clone() }
    };
    Fake::start(|_| replies).await
}

#[tokio::test]
async fn a_key_without_times_is_a_key() {
    let get = Reply::json(200, &json!({"unverifiedKey": KEY}));
    let server = saying(get, Reply::json(200, &json!({"key": "OTHER"}))).await;
    let ended = App::documented().ask(&server.url(), &["--json"]).await;
    ended.assert_done();
    let result: Value = serde_json::from_str(&ended.result).unwrap();
    assert_eq!(result, json!({"key": "OTHER", "valid_until": null}));
    let sentence = "does not say until when";
    assert!(ended.said.contains(sentence), "{}", ended.said);
}

#[tokio::test]
async fn the_basic_pair_and_the_path_are_in_both_steps_and_not_printed() {
    let server = saying(unverified(), verified()).await;
    let url = format!("http://ann:hunter2@{}/octo", server.at);
    let ended = App::documented().ask(&url, &["--log", "debug"]).await;
    ended.assert_done();
    assert_eq!(
        server.lines(),
        ["GET /octo/apps/auth", "POST /octo/apps/auth"]
    );
    for asked in server.asked() {
        let field = asked.authorization.as_deref();
        assert_eq!(field, Some("Basic YW5uOmh1bnRlcjI="), "{}", asked.line);
    }
    for secret in ["hunter2", "YW5uOmh1bnRlcjI"] {
        assert!(!ended.said.contains(secret), "{}", ended.said);
    }
}

#[tokio::test]
async fn every_refusal_is_a_sentence_and_exit_code_1() {
    let first = |get| (get, verified());
    let second = |post| (unverified(), post);
    let status = Reply::status;
    let moved = "https://u:p@elsewhere/x/apps/auth";
    let page = "<!doctype html>";
    let line_break = json!({"unverifiedKey": "two\nlines", "validUntil": 1.0});
    for ((get, post), sentence) in [
        (first(status(404)), "no app is registered there"),
        (first(status(405)), "latchkey key request"),
        (first(status(429)), "wait a minute and ask again"),
        (first(status(401)), "wants credentials"),
        (first(status(403)), "first-run setup"),
        (first(status(500)), "cannot help just now"),
        (first(status(503)), "cannot help just now"),
        (first(status(418)), "418"),
        (first(status(600)), "cannot reach the printer's server"),
        (first(status(601)), "the printer's host is not connected"),
        (first(status(604)), "this app connection has ended"),
        (first(status(605)), "plan"),
        (first(status(606)), "the credentials in the URL are wrong"),
        (first(status(613)), "the relay answered 613"),
        (
            first(Reply::redirect(moved)),
            "again with https://elsewhere/x/\n",
        ),
        (first(Reply::text(200, page)), "answered without JSON"),
        (first(Reply::json(200, &json!({}))), "no usable key"),
        (first(Reply::json(200, &line_break)), "no usable key"),
        (first(Reply::HangsUp), "does not answer as a web server"),
        (second(status(400)), "check --id and --version"),
        (second(status(401)), "wants credentials"),
        (second(status(404)), "no app is registered there"),
        (second(status(429)), "wait a minute and ask again"),
        (
            second(Reply::text(401, &format!("Invalid app: {APP}:any"))),
            "com.example.my_octoprint_app:any, or it is disabled there",
        ),
        (
            second(Reply::text(401, "Invalid signature")),
            "SHA256:QwQZreV/A8tLaVX6q7ojOOlgIwJ1AZMCNNdZ1mLlrCg",
        ),
        (
            second(Reply::text(401, "Invalid key or already verified")),
            "lives for a minute",
        ),
        (
            second(Reply::text(500, "Invalid pubkey stored in server")),
            "RSAPublicKey",
        ),
        (second(status(500)), "cannot help just now"),
        (second(status(602)), "cannot reach the printer's server"),
        (second(Reply::text(200, page)), "answered without JSON"),
        (
            second(Reply::json(200, &json!({"key": ""}))),
            "no usable key",
        ),
        (second(Reply::HangsUp), "does not answer as a web server"),
    ] {
        let server = saying(get, post).await;
        let ended = App::documented().ask(&server.url(), &[]).await;
        ended.assert_failed(1, sentence);
        assert!(!ended.said.contains(KEY), "{}", ended.said);
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_as_such() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let ended = App::documented().ask(&address, &[]).await;
    ended.assert_failed(1, "cannot connect to");
}

#[tokio::test]
async fn a_private_ca_is_believed_when_it_is_named() {
    let app = App::documented();
    let (ca, acceptor) = certify(app.folder.path());
    let replies = |asked: &Asked| {
        let is_first = asked.line.starts_with("GET ");
        if is_first { unverified() } else { verified() }
    };
    let server = Fake::start_tls(|_| replies, Some(acceptor)).await;
    let url = format!("https://{}", server.at);
    app.ask(&url, &[]).await.assert_failed(1, "--ca-file");
    assert!(server.asked().is_empty());
    let ended = app.ask(&url, &["--ca-file", &ca]).await;
    ended.assert_done();
    assert_eq!(ended.result, format!("{KEY}\n"));
}

#[tokio::test]
async fn a_private_key_that_is_of_no_use_is_told_before_anything_is_asked() {
    let server = serve(known("any")).await;
    let app = App::documented();
    let block = |label| format!("-----BEGIN {label}-----\nMIIB\n-----END {label}-----\n");
    let elliptic = rcgen::KeyPair::generate().unwrap().serialize_pem();
    for (text, sentence) in [
        (String::new(), "is empty"),
        ("hunter2".to_owned(), "is not PEM"),
        (
            block("ENCRYPTED PRIVATE KEY"),
            "openssl pkey -in FILE -out DECRYPTED",
        ),
        (block("RSA PRIVATE KEY"), "cut off or damaged"),
        (block("PUBLIC KEY"), "a public key"),
        (elliptic, "has no RSA key"),
    ] {
        let file = app.write("app.pem", &text);
        let ended = app.ask(&server.url(), &[]).await;
        ended.assert_failed(2, sentence);
        assert!(ended.said.contains(&file), "{}", ended.said);
        assert!(!ended.said.contains("hunter2"), "{}", ended.said);
    }
    fs::remove_file(app.file("app.pem")).unwrap();
    let ended = app.ask(&server.url(), &[]).await;
    ended.assert_failed(2, "cannot read the private key");
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn a_wrong_command_line_is_exit_code_2_and_repeats_no_password() {
    let app = App::documented();
    let url = "http://ann:hunter2@127.0.0.1:1/";
    for (url, more) in [
        ("ftp://ann:hunter2@h/", &[][..]),
        (url, &["--version", "1:0"]),
        (url, &["--version", "1 0"]),
        (url, &["--nonsense"]),
    ] {
        let ended = app.ask(url, more).await;
        ended.assert_failed(2, "");
        assert!(!ended.said.contains("hunter2"), "{}", ended.said);
    }
}

#[tokio::test]
async fn a_private_key_that_others_can_read_and_a_short_one_are_warned_of() {
    let server = serve(known("any")).await;
    let app = App::documented();
    let file = app.file("app.pem");
    let others = format!("chmod 600 {file}");
    for (mode, warned) in [(0o600, false), (0o640, true), (0o604, true)] {
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        let ended = app.ask(&server.url(), &[]).await;
        ended.assert_done();
        let said = &ended.said;
        assert_eq!(said.contains(&others), warned, "{mode:o}: {said}");
        assert!(said.contains("has only 512 bits"), "{said}");
    }
}
