//! `latchkey info` and `latchkey request`: an app connection in a file, used.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use http::Method;
use latchkey_model::app_connection::AccessMode;
use latchkey_model::relay_status::RelayStatus;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;

use crate::harness::fake::{Asked, Ended, Fake, Reply};
use crate::harness::stack::{Stack, latchkey};
use crate::harness::within;

/// A file as `latchkey connect` writes it.
struct Kept {
    folder: TempDir,
    path: PathBuf,
}

impl Kept {
    fn new(members: &Value) -> Self {
        let folder = TempDir::with_prefix("latchkey-request-").unwrap();
        let path = folder.path().join("app-connection.json");
        std::fs::write(&path, members.to_string()).unwrap();
        Self { folder, path }
    }

    fn of(url: &str) -> Self {
        Self::new(&json!({
            "relay": url, "appId": "devtest", "id": "1", "url": url,
            "appApiToken": "lk_app_1", "authbasichttpuser": "user",
            "authbasichttppassword": "password", "authBearerToken": "bearer",
            "octoPrintApiKey": "printerkey",
        }))
    }

    fn file(&self) -> &str {
        self.path.to_str().unwrap()
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn info(&self, more: &[&str]) -> Ended {
        Ended::of(&[&["info", self.file()], more].concat()).await
    }

    async fn request(&self, path: &str, more: &[&str]) -> Ended {
        Ended::of(&[&["request", self.file(), path], more].concat()).await
    }
}

async fn answering(reply: Reply) -> (Fake, Kept) {
    let fake = Fake::start(|_| move |_: &Asked| reply.clone()).await;
    let kept = Kept::of(&fake.url());
    (fake, kept)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn info_is_put_into_words_or_json() {
    let info = json!({
        "PrinterName": "Workshop", "PrinterLocalIp": "192.168.1.9", "IsOnline": false,
        "LastConnectionTimeUtc": "2026-11-25T10:00:00Z",
        "LastDisconnectTimeUtc": "2026-11-25T11:00:00Z",
        "UserFacingPrinterUrl": "https://relay.example/view/Workshop",
        "PrinterLimits": {"MaxDownloadFileSizeBytes": 1024},
    });
    let enveloped = json!({"Status": 200, "Error": "", "IsUserError": false, "Result": info});
    for body in [&info, &enveloped] {
        let (fake, kept) = answering(Reply::json(200, body)).await;
        let ended = kept.info(&[]).await;
        ended.assert_done();
        assert!(ended.result.contains("offline since 2026-11-25T11:00:00Z"));
        assert!(ended.result.contains("Workshop") && ended.result.contains("1.0 KiB"));
        let ended = kept.info(&["--json"]).await;
        assert_eq!(serde_json::from_str::<Value>(&ended.result).unwrap(), info);
        let asked = &fake.asked()[0];
        assert_eq!(asked.line, "GET /api/appconnection/info");
        assert_eq!(asked.field("apptoken"), Some("lk_app_1"));
        assert_eq!(asked.authorization, None, "that is for the printer");
    }
}

#[tokio::test]
async fn what_is_no_info_is_told() {
    for (reply, sentence) in [
        (Reply::text(200, "<html>"), "without JSON"),
        (Reply::json(200, &json!({"a": 1})), "something else"),
        (Reply::status(404), "is it a relay"),
        (
            Reply::redirect("https://elsewhere.example/"),
            "is it a relay",
        ),
        (Reply::HangsUp, "does not answer as a web server"),
    ] {
        let (_fake, kept) = answering(reply).await;
        kept.info(&[]).await.assert_failed(1, sentence);
    }
}

#[tokio::test]
async fn each_of_the_relays_own_statuses_is_explained() {
    for status in RelayStatus::ALL {
        let code = status.code();
        let envelope = json!({"Status": code, "Error": "x", "IsUserError": true, "Result": null});
        let (_fake, kept) = answering(Reply::json(code, &envelope)).await;
        let sentence = format!("{code}: {}", status.meaning());
        kept.request("/api/job", &["-i"])
            .await
            .assert_failed(1, &sentence);
        kept.info(&[]).await.assert_failed(1, &sentence);
    }
    let (_fake, kept) = answering(Reply::status(604)).await;
    let ended = kept.request("/", &[]).await;
    ended.assert_failed(1, "Trying again does not help: connect anew");
}

#[tokio::test]
async fn a_request_carries_the_credentials_and_the_answer_comes_out_as_it_is() {
    let reply = Reply::text(200, "{\"api\": \u{1b}1}").with("x-printer", "yes");
    let (fake, kept) = answering(reply).await;
    let ended = kept.request("//api/a%2Fb/../c?x=1&y", &[]).await;
    ended.assert_done();
    assert_eq!(
        (ended.result.as_str(), ended.said.as_str()),
        ("{\"api\": \u{1b}1}", "")
    );
    let ended = kept.request("/api/version", &["-i", "-X", "OPTIONS"]).await;
    assert!(ended.result.starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(ended.result.contains("x-printer: yes\r\n"));
    let out = kept.at("answer");
    let ended = kept.request("/api/version", &["-o", text(&out)]).await;
    ended.assert_done();
    assert_eq!(ended.result, "");
    assert_eq!(std::fs::read_to_string(out).unwrap(), "{\"api\": \u{1b}1}");
    let asked = fake.asked();
    assert_eq!(asked[0].target, "//api/a%2Fb/../c?x=1&y");
    assert_eq!(asked[0].authorization.as_deref(), Some("Bearer bearer"));
    assert_eq!(asked[0].field("x-api-key"), Some("printerkey"));
    assert_eq!(asked[0].field("apptoken"), None, "that is for the relay");
    assert_eq!(asked[1].line, "OPTIONS /api/version");
}

#[tokio::test]
async fn the_printers_own_refusal_is_shown_and_fails() {
    let (_fake, kept) = answering(Reply::text(403, "no")).await;
    let ended = kept.request("/api/job", &[]).await;
    assert_eq!((ended.code, ended.result.as_str()), (Some(1), "no"));
    assert!(ended.said.contains("the printer's server answered 403"));
    let (fake, kept) = answering(Reply::redirect("https://elsewhere.example/")).await;
    let ended = kept.request("/", &[]).await;
    ended.assert_done();
    assert!(ended.said.contains("302"));
    assert_eq!(fake.asked().len(), 1, "nothing follows by itself");
}

#[tokio::test]
async fn texts_files_and_standard_input_are_sent() {
    let (fake, kept) = answering(Reply::status(204)).await;
    let ended = kept
        .request("/api/job", &["--data", "{\"command\":\"start\"}"])
        .await;
    ended.assert_done();
    let file = kept.at("cube.gcode");
    let content = "G28\n".repeat(100_000);
    std::fs::write(&file, &content).unwrap();
    let more = [
        "-X",
        "PUT",
        "--data-file",
        text(&file),
        "--content-type",
        "text/x-gcode",
    ];
    kept.request("/cube", &more).await.assert_done();
    let mut command = latchkey();
    command
        .args(["request", kept.file(), "/piped", "--data-file", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"G29\n").await.unwrap();
    drop(input);
    assert!(within("the end", child.wait()).await.unwrap().success());

    let asked = fake.asked();
    assert_eq!(asked[0].line, "POST /api/job");
    assert_eq!(asked[0].content_type.as_deref(), Some("application/json"));
    assert_eq!(asked[0].body["command"], "start");
    assert_eq!(asked[1].line, "PUT /cube");
    assert_eq!(asked[1].content_type.as_deref(), Some("text/x-gcode"));
    let length = content.len().to_string();
    assert_eq!(asked[1].field("content-length"), Some(length.as_str()));
    assert_eq!(asked[1].bytes, content.as_bytes());
    assert_eq!(asked[2].line, "POST /piped");
    assert_eq!(asked[2].bytes, "G29\n");
}

#[tokio::test]
async fn what_cannot_be_used_is_told_before_anything_is_sent() {
    let (fake, kept) = answering(Reply::status(200)).await;
    let elsewhere = kept.request("https://evil.example/", &[]).await;
    elsewhere.assert_failed(2, "leads to one printer");
    kept.request("/a b", &[]).await.assert_failed(2, "encoded");
    kept.request("/", &["-X", "B D"])
        .await
        .assert_failed(2, "a method");
    let missing = kept.at("missing");
    let more = ["--data-file", text(&missing)];
    kept.request("/", &more)
        .await
        .assert_failed(2, "cannot read");
    assert_eq!(fake.asked().len(), 0);

    let nowhere = Ended::of(&["info", text(&missing)]).await;
    nowhere.assert_failed(2, "latchkey connect makes one");
    for (content, sentence) in [
        (json!([]), "not a JSON object"),
        (json!({}), "which relay"),
        (json!({"relay": "https://r.example", "id": "1"}), "no url"),
        (
            json!({"relay": "https://r.example", "id": "1", "appApiToken": "t",
                   "url": "http://app-x.r.example"}),
            "the relay has https",
        ),
    ] {
        Kept::new(&content)
            .info(&[])
            .await
            .assert_failed(2, sentence);
    }
}

#[tokio::test]
async fn a_real_relay_is_asked_and_passed() {
    let printer = Fake::start(|_| {
        |asked: &Asked| match asked.line.as_str() {
            "GET /api/version" => Reply::json(200, &json!({"api": "0.1"})),
            _ => Reply::status(404),
        }
    })
    .await;
    let mut stack = Stack::before(printer.url()).start().await;
    for access in AccessMode::ALL {
        let connection = stack.connection(access);
        stack.await_status(connection, "/api/version", 200).await;
        let (user, password) = connection.basic.clone().unwrap_or_default();
        let kept = Kept::new(&json!({
            "relay": stack.relay_url("/"), "id": connection.id.as_str(), "url": connection.url,
            "appApiToken": connection.app_token, "authbasichttpuser": user,
            "authbasichttppassword": password,
            "authBearerToken": connection.bearer.clone().unwrap_or_default(),
        }));
        let ended = kept.info(&[]).await;
        ended.assert_done();
        assert!(ended.result.contains("online since"), "{}", ended.result);
        let ended = kept.request("/api/version", &[]).await;
        ended.assert_done();
        assert_eq!(ended.result, r#"{"api":"0.1"}"#, "{access}");
    }
    let connection = stack.connection(AccessMode::Basic).clone();
    let kept = Kept::new(&json!({
        "relay": stack.relay_url("/"), "id": "1", "url": connection.url,
        "appApiToken": connection.app_token, "authBearerToken": "wrong",
    }));
    kept.request("/", &[]).await.assert_failed(1, "606:");
    stack.host.stop().await;
    stack.await_status(&connection, "/", 601).await;
    let info = kept.info(&["--json"]).await;
    info.assert_done();
    let told: Value = serde_json::from_str(&info.result).unwrap();
    assert_eq!(told["IsOnline"], false);
    let head = connection.request(Method::HEAD, "/").send().await;
    assert_eq!(head.status(), 601);
}
