//! `latchkey key request` before a server of the test's own, for each way that it can end.

use std::sync::Mutex;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::harness;
use crate::harness::asking::Asking;
use crate::harness::fake::{Asked, Ended, Fake, Reply, certify};
use crate::harness::home::{BOB, Home};
use crate::harness::stack::signal;

fn waiting() -> Reply {
    Reply::json(202, &json!({"message": "Awaiting decision"}))
}

fn granted(key: &str) -> Reply {
    Reply::json(200, &json!({"api_key": key}))
}

struct Script {
    probe: Reply,
    /// Instead of a request token.
    request: Option<Reply>,
    /// Where polls go, seen from the server; else below its own address.
    location: Option<String>,
    /// The last one for ever.
    polls: Vec<Reply>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            probe: Reply::status(204),
            request: None,
            location: None,
            polls: vec![waiting()],
        }
    }
}

impl Script {
    async fn start(self) -> Fake {
        self.start_tls(None).await
    }

    async fn start_tls(self, tls: Option<TlsAcceptor>) -> Fake {
        let replies = |at: &str| {
            let (at, polls) = (at.to_owned(), Mutex::new(0));
            move |asked: &Asked| self.reply(&at, asked, &polls)
        };
        Fake::start_tls(replies, tls).await
    }

    fn reply(&self, at: &str, asked: &Asked, polls: &Mutex<usize>) -> Reply {
        let (_, path) = asked.line.split_once(' ').unwrap();
        let before = path.split("/plugin/").next().unwrap();
        if path.ends_with("/plugin/appkeys/probe") {
            return self.probe.clone();
        }
        if path.ends_with("/plugin/appkeys/request") {
            let base = format!("http://{at}{before}/plugin/appkeys");
            let location = self.location.clone();
            return self.request.clone().unwrap_or_else(|| {
                let location = location.unwrap_or_else(|| format!("{base}/request/TOKEN"));
                let body =
                    json!({"app_token": "TOKEN", "auth_dialog": format!("{base}/auth/TOKEN")});
                Reply::json(201, &body).with("location", &location)
            });
        }
        assert!(path.ends_with("/plugin/appkeys/request/TOKEN"), "{path}");
        let mut polls = polls.lock().unwrap();
        *polls += 1;
        self.polls[(*polls - 1).min(self.polls.len() - 1)].clone()
    }
}

async fn ask(arguments: &[&str]) -> Ended {
    Ended::of(&[&["key", "request"], arguments].concat()).await
}

/// Asks the server for a key, in the plainest way.
async fn ask_for_key(fake: &Fake) -> Ended {
    ask(&[&fake.url(), "--name", "My app"]).await
}

#[tokio::test]
async fn a_granted_key_is_all_there_is_on_standard_output() {
    let fake = Script {
        polls: vec![waiting(), granted("KEY-1_a")],
        ..Script::default()
    }
    .start()
    .await;
    let ended = ask_for_key(&fake).await;
    ended.assert_done();
    assert_eq!(ended.result, "KEY-1_a\n");
    let dialog = format!("http://{}/plugin/appkeys/auth/TOKEN", fake.at);
    assert!(ended.said.contains(&dialog), "{}", ended.said);
    assert_eq!(
        fake.lines(),
        [
            "GET /plugin/appkeys/probe",
            "POST /plugin/appkeys/request",
            "GET /plugin/appkeys/request/TOKEN",
            "GET /plugin/appkeys/request/TOKEN",
        ]
    );
    assert_eq!(fake.asked()[1].body, json!({"app": "My app"}));
}

#[tokio::test]
async fn a_latchkey_host_gives_the_key_that_its_user_grants() {
    let home = Home::start().await;
    let mut bob = home.sign_in(BOB).await;
    let arguments = [&*home.url("/"), "--name", "My app", "--user", BOB.name];
    let asking = Asking::start(&arguments).await;
    let dialog = &asking.dialog;
    let page = bob.get(dialog.strip_prefix(&home.url("")).unwrap()).await;
    assert_eq!(page.status, 200, "{dialog}");
    let pending = bob.get("/api/plugin/appkeys").await.json()["pending"].clone();
    let token = pending.as_object().unwrap().keys().next().unwrap();
    let path = format!("/plugin/appkeys/decision/{token}");
    let decided = bob.post(&path, &json!({"decision": true})).await;
    assert_eq!(decided.status, 204);
    let (output, _) = asking.end().await;
    assert_eq!(output.status.code(), Some(0));
    let key = String::from_utf8(output.stdout).unwrap();
    let me = harness::http::Request::get(home.url("/api/currentuser"));
    let me = me.header("X-Api-Key", key.trim_end()).send().await;
    assert_eq!(me.read().await.json()["name"], BOB.name);
}

#[tokio::test]
async fn user_path_and_json_are_as_asked_for() {
    let fake = Script {
        polls: vec![granted("KEY")],
        ..Script::default()
    }
    .start()
    .await;
    let url = format!("{}/octo", fake.at);
    let ended = ask(&[&url, "--name", "My app", "--user", "olivia", "--json"]).await;
    ended.assert_done();
    let result: Value = serde_json::from_str(&ended.result).unwrap();
    assert_eq!(result["api_key"], "KEY");
    let asked = fake.asked();
    assert_eq!(asked[1].line, "POST /octo/plugin/appkeys/request");
    assert_eq!(asked[1].body, json!({"app": "My app", "user": "olivia"}));
    assert_eq!(asked[2].line, "GET /octo/plugin/appkeys/request/TOKEN");
}

#[tokio::test]
async fn the_basic_pair_goes_to_its_server_alone_and_is_not_printed() {
    let other = Script::default().start().await;
    let fake = Script {
        location: Some(format!("http://{}/plugin/appkeys/request/TOKEN", other.at)),
        polls: vec![granted("KEY")],
        ..Script::default()
    }
    .start()
    .await;
    let url = format!("http://ann:hunter2@{}/", fake.at);
    let ended = ask(&[&url, "--name", "My app", "--log", "debug"]).await;
    ended.assert_done();
    assert_eq!(ended.result, "KEY\n");
    for asked in fake.asked() {
        let field = asked.authorization.as_deref();
        assert_eq!(field, Some("Basic YW5uOmh1bnRlcjI="), "{}", asked.line);
    }
    assert!(
        other.asked().is_empty(),
        "credentials stay where they belong"
    );
    for secret in ["hunter2", "YW5uOmh1bnRlcjI"] {
        assert!(!ended.said.contains(secret), "{}", ended.said);
    }
}

#[tokio::test]
async fn every_refusal_is_a_sentence_and_exit_code_1() {
    let request = |reply| Script {
        request: Some(reply),
        ..Script::default()
    };
    let probe = |probe| Script {
        probe,
        ..Script::default()
    };
    let polls = |polls| Script {
        polls,
        ..Script::default()
    };
    let moved = Reply::redirect("https://u:p@elsewhere/x/plugin/appkeys/probe");
    for (script, sentence) in [
        (
            polls(vec![waiting(), Reply::status(404)]),
            "the request was denied",
        ),
        (polls(vec![granted("two\nlines")]), "no usable key"),
        (polls(vec![Reply::json(200, &json!({}))]), "no usable key"),
        (
            polls(vec![Reply::status(604)]),
            "this app connection has ended",
        ),
        (polls(vec![Reply::status(418)]), "418"),
        (probe(Reply::status(404)), "does not know Application Keys"),
        (probe(Reply::status(200)), "does not know Application Keys"),
        (probe(Reply::status(403)), "first-run setup"),
        (probe(Reply::status(401)), "wants credentials"),
        (
            probe(Reply::status(601)),
            "the printer's host is not connected",
        ),
        (probe(Reply::status(605)), "plan"),
        (
            probe(Reply::status(606)),
            "the credentials in the URL are wrong",
        ),
        (probe(moved), "ask again with https://elsewhere/x/\n"),
        (probe(Reply::status(503)), "cannot help just now"),
        (probe(Reply::HangsUp), "does not answer as a web server"),
        (request(Reply::status(429)), "takes no more requests"),
        (request(Reply::status(400)), "--name or --user"),
        (request(Reply::json(201, &json!({}))), "201"),
    ] {
        let fake = script.start().await;
        ask_for_key(&fake).await.assert_failed(1, sentence);
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_as_such() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let ended = ask(&[&address, "--name", "My app"]).await;
    ended.assert_failed(1, "cannot connect to");
}

#[tokio::test]
async fn a_network_that_fails_while_polling_is_waited_for() {
    let fake = Script {
        polls: vec![
            waiting(),
            Reply::HangsUp,
            Reply::status(502),
            Reply::status(601),
            granted("KEY"),
        ],
        ..Script::default()
    }
    .start()
    .await;
    let ended = ask_for_key(&fake).await;
    ended.assert_done();
    assert_eq!(ended.result, "KEY\n");
}

#[tokio::test]
async fn a_wrong_command_line_is_exit_code_2_and_repeats_no_password() {
    for arguments in [
        &["ftp://ann:hunter2@h/", "--name", "x"][..],
        &["http://ann:hunter2@:1/", "--name", "x"],
        &["http://ann:hunter2@h/", "--name", " "],
        &["http://ann:hunter2@h/", "--name", ""],
        &["http://ann:hunter2@h/"],
    ] {
        let ended = ask(arguments).await;
        assert_eq!(ended.code, Some(2), "{}", ended.said);
        assert_eq!(ended.result, "");
        assert!(!ended.said.contains("hunter2"), "{}", ended.said);
    }
}

#[tokio::test]
async fn an_interrupt_ends_it_at_once_and_without_a_result() {
    let fake = Script::default().start().await;
    let asking = Asking::start(&[&fake.at, "--name", "My app"]).await;
    let dialog = &asking.dialog;
    assert!(dialog.contains("/plugin/appkeys/auth/TOKEN"), "{dialog}");
    signal(asking.id(), "INT").await;
    let (output, rest) = asking.end().await;
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    assert!(rest.contains("stopped"), "{rest}");
}

#[tokio::test]
async fn a_private_ca_is_believed_when_it_is_named() {
    let folder = TempDir::new().unwrap();
    let (ca, acceptor) = certify(folder.path());
    let script = Script {
        polls: vec![granted("KEY")],
        // The server behind knows nothing of the TLS in front of it.
        location: Some("http://localhost/plugin/appkeys/request/TOKEN".to_owned()),
        ..Script::default()
    };
    let fake = script.start_tls(Some(acceptor)).await;
    let url = format!("https://{}", fake.at);
    let ended = ask(&[&url, "--name", "My app"]).await;
    ended.assert_failed(1, "--ca-file");
    assert!(fake.asked().is_empty());
    let ended = ask(&[&url, "--name", "My app", "--ca-file", &ca]).await;
    ended.assert_done();
    assert_eq!(ended.result, "KEY\n");
}
