//! The described APIs against running roles: examples are replayed, and Schemathesis looks for what is not as described.
//!
//! `LATCHKEY_API` names a Python; `scripts/api-env` prints it and `./test api` sets it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use http::Method;
use latchkey_model::clock::{Clock as _, SystemClock};
use latchkey_net::tunnel::{HostIdentity, PairingStart};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::timeout;

use crate::harness::demo::Demo;
use crate::harness::http::Request;
use crate::harness::portal::asking;
use crate::harness::stack::{Simulator, Stack};

mod host;

const FINISHED_WITHIN: Duration = Duration::from_secs(90);
/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn python() -> PathBuf {
    let python = std::env::var_os("LATCHKEY_API").unwrap_or_else(|| {
        panic!(
            "LATCHKEY_API is not set. Run `./test api`, or export LATCHKEY_API=$(scripts/api-env)."
        )
    });
    python.into()
}

fn document(role: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.join(format!("docs/reference/openapi-{role}.json"))
}

/// A program of ours in Python.
fn beside(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/api")
        .join(name)
}

/// Runs Schemathesis to its end; what it found fails the test.
async fn look_for_faults(role: &str, at: &str, more: &[&str]) {
    let folder = TempDir::with_prefix("latchkey-schemathesis-").unwrap();
    let mut command = Command::new(python().with_file_name("schemathesis"));
    command
        .arg("run")
        .arg(document(role))
        .args(["--url", at, "--seed", "7", "--workers", "2"])
        .args(["--phases", "examples,coverage,fuzzing"])
        .args(["--max-examples", "60", "--request-timeout", "20"])
        .args(["--warnings", "off"])
        .args([
            "--checks",
            "no_server_error,status_code_conformance,content_type_conformance,\
             response_schema_conformance,response_headers_conformance",
        ])
        .args(more)
        .current_dir(folder.path())
        .env("SCHEMATHESIS_HOOKS", beside("hooks.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("NO_PROXY", "*")
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let ended = timeout(FINISHED_WITHIN, command.output()).await;
    let ended = ended.expect("Schemathesis ends in time").unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success(), "{said}");
    assert!(said.contains(" generated, "), "nothing was tried: {said}");
    let last = said.lines().filter(|line| line.contains(" generated, "));
    tracing::info!("{role} {more:?}: {}", last.collect::<String>().trim());
}

/// What was asked of a role, and what it answered.
#[derive(Default)]
struct Calls(Vec<Value>);

impl Calls {
    /// Asks; `path` is the described one, `at` the address.
    async fn ask(
        &mut self,
        (method, path): (Method, &str),
        at: &str,
        fields: &[(&str, &str)],
        sent: Option<Value>,
    ) -> Value {
        let mut request = Request::new(method.clone(), at);
        for (name, value) in fields {
            request = request.header(name, value);
        }
        if let Some(sent) = &sent {
            request = request.json(sent);
        }
        let answer = request.send().await.read().await;
        let body = String::from_utf8(answer.body.to_vec()).unwrap();
        let kind = answer.headers.get("content-type");
        self.0.push(json!({
            "method": method.as_str(),
            "path": path,
            "sent": sent.map(|sent| sent.to_string()),
            "status": answer.status.as_u16(),
            "type": kind.map(|kind| kind.to_str().unwrap()),
            "body": body,
            "like_example": true,
        }));
        serde_json::from_str(&body).unwrap_or_default()
    }

    /// The last call has more or less to tell than the one in the example.
    fn unlike_example(&mut self) {
        self.0.last_mut().unwrap()["like_example"] = json!(false);
    }

    /// Every answer is as described, and every described call was made with each of these statuses.
    async fn are_as_described(self, role: &str, seen: &[(&str, &[u16])]) {
        let told = json!({"document": document(role), "calls": self.0});
        let mut child = Command::new(python())
            .arg(beside("described.py"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(told.to_string().as_bytes()).await.unwrap();
        drop(input);
        let ended = timeout(FINISHED_WITHIN, child.wait_with_output()).await;
        let ended = ended.expect("it ends in time").unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{said}");
        let found: Value = serde_json::from_slice(&ended.stdout).unwrap();
        for (call, statuses) in seen {
            assert_eq!(found[call], json!(statuses), "{call}");
        }
        let described: Value =
            serde_json::from_slice(&std::fs::read(document(role)).unwrap()).unwrap();
        for (path, item) in described["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                let name = format!("{} {path}", method.to_uppercase());
                let made = method == "servers" || found[&name].is_array();
                assert!(made, "{name} was never called");
            }
        }
    }
}

fn wish(relay: &str) -> Value {
    let folder = TempDir::with_prefix("latchkey-identity-").unwrap();
    let identity = HostIdentity::load_or_create(&folder.path().join("identity.key")).unwrap();
    let time = SystemClock.now().millis() / 1000;
    let name = relay.split_once("://").unwrap().1;
    let wish = PairingStart::sign(&identity, name, "Workshop", time, &[7; 32]);
    serde_json::to_value(wish).unwrap()
}

#[tokio::test]
async fn a_relay_answers_as_it_is_described() {
    let folder = TempDir::with_prefix("latchkey-api-").unwrap();
    let demo = Demo::start(&folder.path().join("data")).await;
    let relay = demo.text("relay_url").to_owned();
    let url = |path: &str| format!("{relay}{path}");
    let mut calls = Calls::default();
    let tokens: Vec<_> = demo.connections();
    let token = tokens[0]["app_token"].as_str().unwrap();

    ask_of_app_connection(&mut calls, &relay, token).await;
    ask_of_webhooks(&mut calls, &relay, token).await;
    let live = (Method::POST, "/api/live/createFromAppConnection");
    let at = url(live.1);
    for hours in [12, 0] {
        let body = json!({"AppToken": token, "ExpirationHours": hours});
        calls.ask(live.clone(), &at, &[], Some(body)).await;
    }

    let exchange = (Method::POST, "/appportal/v1/token");
    let at = url(exchange.1);
    let asked =
        format!("&responseMode=code&codeChallenge={CHALLENGE}&codeChallengeMethod=S256&state=x");
    let given = asking(&demo, "full", &asked).await;
    let body = json!({"code": given["code"], "codeVerifier": VERIFIER});
    calls
        .ask(exchange.clone(), &at, &[], Some(body.clone()))
        .await;
    calls.ask(exchange, &at, &[], Some(body)).await;

    let pairing = (Method::POST, "/api/pairing");
    let at = url(pairing.1);
    let mine = wish(&relay);
    let started = calls
        .ask(pairing.clone(), &at, &[], Some(mine.clone()))
        .await;
    calls.ask(pairing.clone(), &at, &[], Some(mine)).await;
    calls.ask(pairing, &at, &[], Some(json!({}))).await;
    let poll = (Method::POST, "/api/pairing/poll");
    let at = url(poll.1);
    let body = Some(json!({"poll": started["poll"]}));
    calls
        .0
        .iter_mut()
        .for_each(|call| call["like_example"] = json!(call["status"] == 200));
    calls.ask(poll.clone(), &at, &[], body.clone()).await;
    calls.ask(poll.clone(), &at, &[], body).await;
    calls.ask(poll, &at, &[], Some(json!([]))).await;
    // A pairing that waits has less to tell than the one in the example.
    calls
        .0
        .iter_mut()
        .rev()
        .take(3)
        .for_each(|call| call["like_example"] = json!(false));

    let own = (Method::GET, "/api/openapi.json");
    calls.ask(own.clone(), &url(own.1), &[], None).await;

    let printer = Simulator::start().await;
    let stack = Stack::before(printer.url("")).start().await;
    let status = status_address(&stack.relay.log());
    for path in STATUS {
        let at = format!("http://{status}{path}");
        calls.ask((Method::GET, path), &at, &[], None).await;
    }
    demo.stop().await;
    let seen: [(&str, &[u16]); 9] = [
        ("GET /api/appconnection/info", &[200, 400, 603]),
        ("POST /api/gadget/GetStatusFromAppConnection", &[200, 400]),
        (
            "POST /api/appconnection/SetNotificationWebhook",
            &[400, 200],
        ),
        ("POST /api/appconnection/DeleteNotificationWebhook", &[200]),
        ("GET /api/appconnection/TestWebhook", &[200, 400]),
        ("POST /api/live/createFromAppConnection", &[200, 400]),
        ("POST /appportal/v1/token", &[200, 400]),
        ("POST /api/pairing", &[200, 403, 400]),
        ("POST /api/pairing/poll", &[200, 429, 400]),
    ];
    calls.are_as_described("relay", &seen).await;
}

async fn ask_of_app_connection(calls: &mut Calls, relay: &str, token: &str) {
    let url = |path: &str| format!("{relay}{path}");
    let info = (Method::GET, "/api/appconnection/info");
    let at = url(info.1);
    calls
        .ask(info.clone(), &at, &[("AppToken", token)], None)
        .await;
    calls.ask(info.clone(), &at, &[], None).await;
    calls
        .ask(info, &at, &[("AppToken", "nonsense")], None)
        .await;

    let gadget = (Method::POST, "/api/gadget/GetStatusFromAppConnection");
    let at = url(gadget.1);
    let body = Some(json!({"AppToken": token}));
    calls.ask(gadget.clone(), &at, &[], body).await;
    calls.ask(gadget, &at, &[], Some(json!({}))).await;
}

async fn ask_of_webhooks(calls: &mut Calls, relay: &str, token: &str) {
    let url = |path: &str| format!("{relay}{path}");
    let set = (Method::POST, "/api/appconnection/SetNotificationWebhook");
    let delete = (Method::POST, "/api/appconnection/DeleteNotificationWebhook");
    let test = (Method::GET, "/api/appconnection/TestWebhook");
    // A name that leads home is called by nobody, so that no test asks the internet.
    for webhook in ["http://localhost/x", "https://localhost/x"] {
        let body = json!({"AppToken": token, "WebhookUrl": webhook});
        calls.ask(set.clone(), &url(set.1), &[], Some(body)).await;
    }
    let fields = [("AppToken", token)];
    calls.ask(test.clone(), &url(test.1), &fields, None).await;
    let body = Some(json!({"AppToken": token}));
    calls.ask(delete.clone(), &url(delete.1), &[], body).await;
    calls.ask(test.clone(), &url(test.1), &fields, None).await;
}

/// Where a relay tells how it is, by its log.
fn status_address(log: &str) -> String {
    let line = log.lines().find(|line| line.contains("status.address"));
    let line: Value = serde_json::from_str(line.expect("it says so")).unwrap();
    line["status.address"].as_str().unwrap().to_owned()
}

const STATUS: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

#[tokio::test]
async fn whatever_a_relay_is_asked_it_answers_as_described() {
    let folder = TempDir::with_prefix("latchkey-api-").unwrap();
    let demo = Demo::start(&folder.path().join("data")).await;
    let relay = demo.text("relay_url").to_owned();
    let connections = demo.connections();
    let token = connections[0]["app_token"].as_str().unwrap();
    let token = format!("AppToken: {token}");
    let elsewhere: Vec<_> = STATUS
        .iter()
        .flat_map(|path| ["--exclude-path", path])
        .collect();
    let known = [&["-H", token.as_str()], elsewhere.as_slice()].concat();
    look_for_faults("relay", &relay, &known).await;
    // Without a token, or with the wrong ones that it makes up.
    let strange = [elsewhere.as_slice(), &["--include-tag", "App API"]].concat();
    look_for_faults("relay", &relay, &strange).await;
    demo.stop().await;
}

#[tokio::test]
async fn whatever_is_asked_of_its_status_is_answered_as_described() {
    let printer = Simulator::start().await;
    let stack = Stack::before(printer.url("")).start().await;
    let status = status_address(&stack.relay.log());
    let only: Vec<_> = STATUS
        .iter()
        .flat_map(|path| ["--include-path", path])
        .collect();
    look_for_faults("relay", &format!("http://{status}"), &only).await;
}
