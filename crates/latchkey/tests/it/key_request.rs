//! `latchkey key request` before a server of the test's own, for each way that it can end.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

use crate::harness::asking::Asking;
use crate::harness::home::{BOB, Home};
use crate::harness::stack::{latchkey, signal};
use crate::harness::{self, within};

/// What the server says.
#[derive(Clone)]
enum Reply {
    Says(u16, Vec<(&'static str, String)>, Value),
    HangsUp,
}

fn says(status: u16) -> Reply {
    Reply::Says(status, Vec::new(), Value::Null)
}

fn waiting() -> Reply {
    Reply::Says(202, Vec::new(), json!({"message": "Awaiting decision"}))
}

fn granted(key: &str) -> Reply {
    Reply::Says(200, Vec::new(), json!({"api_key": key}))
}

/// What was asked, and with which credential.
#[derive(Clone, Debug)]
struct Asked {
    line: String,
    authorization: Option<String>,
    body: Value,
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
            probe: says(204),
            request: None,
            location: None,
            polls: vec![waiting()],
        }
    }
}

struct Fake {
    /// Host and port.
    at: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Fake {
    async fn start(script: Script) -> Self {
        Self::start_tls(script, None).await
    }

    async fn start_tls(script: Script, tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = format!("localhost:{}", listener.local_addr().unwrap().port());
        let asked = Arc::default();
        let scene = Arc::new(Scene {
            script,
            at: at.clone(),
            asked: Arc::clone(&asked),
            polls: Mutex::new(0),
        });
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (scene, tls) = (Arc::clone(&scene), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => scene.serve(socket).await,
                        Some(tls) => {
                            if let Ok(socket) = tls.accept(socket).await {
                                scene.serve(socket).await;
                            }
                        }
                    }
                });
            }
        });
        Self { at, asked }
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }
}

struct Scene {
    script: Script,
    at: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    polls: Mutex<usize>,
}

impl Scene {
    async fn serve(self: Arc<Self>, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let service = service_fn(move |request| Arc::clone(&self).answer(request));
        // A hang-up is an error of the service.
        let _ = http1::Builder::new()
            .serve_connection(TokioIo::new(io), service)
            .await;
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, std::io::Error> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let path = head.uri.path().to_owned();
        let authorization = head.headers.get("authorization");
        self.asked.lock().unwrap().push(Asked {
            line: format!("{} {path}", head.method),
            authorization: authorization.map(|value| value.to_str().unwrap().to_owned()),
            body: serde_json::from_slice(&body).unwrap_or_default(),
        });
        let Reply::Says(status, headers, body) = self.reply(&path) else {
            return Err(std::io::ErrorKind::ConnectionReset.into());
        };
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(name, value);
        }
        let body = if body.is_null() {
            Bytes::new()
        } else {
            Bytes::from(body.to_string())
        };
        Ok(response.body(Full::new(body)).unwrap())
    }

    fn reply(&self, path: &str) -> Reply {
        let before = path.split("/plugin/").next().unwrap();
        if path.ends_with("/plugin/appkeys/probe") {
            return self.script.probe.clone();
        }
        if path.ends_with("/plugin/appkeys/request") {
            let base = format!("http://{}{before}/plugin/appkeys", self.at);
            let location = self.script.location.clone();
            return self.script.request.clone().unwrap_or_else(|| {
                let location = location.unwrap_or_else(|| format!("{base}/request/TOKEN"));
                let body =
                    json!({"app_token": "TOKEN", "auth_dialog": format!("{base}/auth/TOKEN")});
                Reply::Says(201, vec![("location", location)], body)
            });
        }
        assert!(path.ends_with("/plugin/appkeys/request/TOKEN"), "{path}");
        let mut polls = self.polls.lock().unwrap();
        *polls += 1;
        let replies = &self.script.polls;
        replies[(*polls - 1).min(replies.len() - 1)].clone()
    }
}

struct Ended {
    code: Option<i32>,
    result: String,
    said: String,
}

async fn ask(arguments: &[&str]) -> Ended {
    let mut command = latchkey();
    command.args(["key", "request"]).args(arguments);
    let output = within("the command", command.stdin(Stdio::null()).output()).await;
    let output = output.unwrap();
    Ended {
        code: output.status.code(),
        result: String::from_utf8(output.stdout).unwrap(),
        said: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Asks the server for a key, in the plainest way.
async fn ask_for_key(fake: &Fake) -> Ended {
    ask(&[&format!("http://{}", fake.at), "--name", "My app"]).await
}

fn assert_failed(ended: &Ended, sentence: &str) {
    assert_eq!(ended.code, Some(1), "{}", ended.said);
    assert_eq!(ended.result, "");
    assert!(ended.said.contains(sentence), "{}", ended.said);
}

#[tokio::test]
async fn a_granted_key_is_all_there_is_on_standard_output() {
    let fake = Fake::start(Script {
        polls: vec![waiting(), granted("KEY-1_a")],
        ..Script::default()
    })
    .await;
    let ended = ask_for_key(&fake).await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
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
    let fake = Fake::start(Script {
        polls: vec![granted("KEY")],
        ..Script::default()
    })
    .await;
    let url = format!("{}/octo", fake.at);
    let ended = ask(&[&url, "--name", "My app", "--user", "olivia", "--json"]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let result: Value = serde_json::from_str(&ended.result).unwrap();
    assert_eq!(result["api_key"], "KEY");
    let asked = fake.asked();
    assert_eq!(asked[1].line, "POST /octo/plugin/appkeys/request");
    assert_eq!(asked[1].body, json!({"app": "My app", "user": "olivia"}));
    assert_eq!(asked[2].line, "GET /octo/plugin/appkeys/request/TOKEN");
}

#[tokio::test]
async fn the_basic_pair_goes_to_its_server_alone_and_is_not_printed() {
    let other = Fake::start(Script::default()).await;
    let fake = Fake::start(Script {
        location: Some(format!("http://{}/plugin/appkeys/request/TOKEN", other.at)),
        polls: vec![granted("KEY")],
        ..Script::default()
    })
    .await;
    let url = format!("http://ann:hunter2@{}/", fake.at);
    let ended = ask(&[&url, "--name", "My app", "--log", "debug"]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
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
    let moved = Reply::Says(
        302,
        vec![(
            "location",
            "https://u:p@elsewhere/x/plugin/appkeys/probe".to_owned(),
        )],
        Value::Null,
    );
    for (script, sentence) in [
        (polls(vec![waiting(), says(404)]), "the request was denied"),
        (polls(vec![granted("two\nlines")]), "no usable key"),
        (
            polls(vec![Reply::Says(200, Vec::new(), json!({}))]),
            "no usable key",
        ),
        (polls(vec![says(604)]), "this app connection has ended"),
        (polls(vec![says(418)]), "418"),
        (probe(says(404)), "does not know Application Keys"),
        (probe(says(200)), "does not know Application Keys"),
        (probe(says(403)), "first-run setup"),
        (probe(says(401)), "wants credentials"),
        (probe(says(601)), "the printer's host is not connected"),
        (probe(says(605)), "plan"),
        (probe(says(606)), "the credentials in the URL are wrong"),
        (probe(moved), "ask again with https://elsewhere/x/\n"),
        (probe(says(503)), "cannot help just now"),
        (probe(Reply::HangsUp), "does not answer as a web server"),
        (request(says(429)), "takes no more requests"),
        (request(says(400)), "--name or --user"),
        (request(Reply::Says(201, Vec::new(), json!({}))), "201"),
    ] {
        let fake = Fake::start(script).await;
        assert_failed(&ask_for_key(&fake).await, sentence);
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_as_such() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let ended = ask(&[&address, "--name", "My app"]).await;
    assert_failed(&ended, "cannot connect to");
}

#[tokio::test]
async fn a_network_that_fails_while_polling_is_waited_for() {
    let fake = Fake::start(Script {
        polls: vec![
            waiting(),
            Reply::HangsUp,
            says(502),
            says(601),
            granted("KEY"),
        ],
        ..Script::default()
    })
    .await;
    let ended = ask_for_key(&fake).await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
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
    let fake = Fake::start(Script::default()).await;
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
    let fake = Fake::start_tls(script, Some(acceptor)).await;
    let url = format!("https://{}", fake.at);
    let ended = ask(&[&url, "--name", "My app"]).await;
    assert_failed(&ended, "--ca-file");
    assert!(fake.asked().is_empty());
    let ended = ask(&[&url, "--name", "My app", "--ca-file", &ca]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert_eq!(ended.result, "KEY\n");
}

fn certify(folder: &Path) -> (String, tokio_rustls::TlsAcceptor) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let path = |name: &str| folder.join(name);
    std::fs::write(path("ca.pem"), made.cert.pem()).unwrap();
    std::fs::write(path("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let config = latchkey_net::tls::server_config(&path("ca.pem"), &path("key.pem")).unwrap();
    let ca = path("ca.pem").to_str().unwrap().to_owned();
    (ca, config.into())
}
