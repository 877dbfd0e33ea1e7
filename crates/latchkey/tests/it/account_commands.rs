//! `latchkey account …`: the people known to a relay, from the command line.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use http::StatusCode;
use latchkey_model::account::Email;
use latchkey_model::app_connection::AccessMode;
use latchkey_model::clock::Timestamp;
use latchkey_relay::Relay;
use latchkey_store::RelayStore;
use latchkey_store::relay::CodeGenerator;
use latchkey_web::password::Passwords;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;

use crate::harness::fake::Ended;
use crate::harness::raw::{Act, RawUpstream};
use crate::harness::stack::{Stack, latchkey};
use crate::harness::within;

const PASSWORD: &str = "correct horse battery";

/// The commands on a relay that does not run.
struct Commands {
    folder: TempDir,
}

impl Commands {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let text =
            "public_url: http://localhost:7010\nconnection_domain: localhost:7010\ndata: ./data\n";
        std::fs::write(folder.path().join("relay.yaml"), text).unwrap();
        Self { folder }
    }

    async fn account(&self, arguments: &[&str]) -> Ended {
        account(&self.folder.path().join("relay.yaml"), arguments, PASSWORD).await
    }

    async fn list(&self) -> Vec<Value> {
        let ended = self.account(&["list", "--json"]).await;
        ended.assert_done();
        serde_json::from_str(&ended.result).unwrap()
    }
}

/// Runs `latchkey account …` with a password on standard input.
async fn account(config: &Path, arguments: &[&str], password: &str) -> Ended {
    let mut command = latchkey();
    command
        .arg("account")
        .args(arguments)
        .arg("--config")
        .arg(config)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    // Commands that want no password may have ended already.
    let _ = input.write_all(format!("{password}\n").as_bytes()).await;
    drop(input);
    let output = within("the command", child.wait_with_output())
        .await
        .unwrap();
    Ended {
        code: output.status.code(),
        result: String::from_utf8(output.stdout).unwrap(),
        said: String::from_utf8(output.stderr).unwrap(),
    }
}

#[tokio::test]
async fn accounts_are_made_changed_and_removed() {
    let relay = Commands::new();
    assert!(relay.list().await.is_empty());
    let add = ["add", "Ann@Example.com", "--admin", "--password-stdin"];
    relay.account(&add).await.assert_done();
    let add = [
        "add",
        "bob@example.com",
        "--plan",
        "free",
        "--password-stdin",
    ];
    relay.account(&add).await.assert_done();
    let listed = relay.list().await;
    let seen = |account: &Value| {
        let text = |key: &str| account[key].as_str().unwrap_or_default().to_owned();
        (
            text("email"),
            text("plan"),
            account["administrator"] == true,
            text("suspended"),
        )
    };
    let is = |email: &str, plan: &str, administrator, suspended: &str| {
        (
            email.to_owned(),
            plan.to_owned(),
            administrator,
            suspended.to_owned(),
        )
    };
    assert_eq!(
        listed.iter().map(seen).collect::<Vec<_>>(),
        [
            is("ann@example.com", "supporter", true, ""),
            is("bob@example.com", "free", false, "")
        ]
    );
    relay
        .account(&["plan", "bob@example.com", "supporter"])
        .await
        .assert_done();
    relay
        .account(&["suspend", "bob@example.com", "--reason", "unpaid"])
        .await
        .assert_done();
    assert_eq!(
        seen(&relay.list().await[1]),
        is("bob@example.com", "supporter", false, "unpaid")
    );
    relay
        .account(&["suspend", "bob@example.com", "--reason", "again"])
        .await
        .assert_failed(1, "suspended already");
    let shown = relay.account(&["list"]).await;
    assert!(
        shown.result.contains("suspended: unpaid"),
        "{}",
        shown.result
    );
    relay
        .account(&["unsuspend", "bob@example.com"])
        .await
        .assert_done();
    relay
        .account(&["unsuspend", "bob@example.com"])
        .await
        .assert_failed(1, "not suspended");
    relay
        .account(&["remove", "BOB@example.com"])
        .await
        .assert_done();
    assert_eq!(relay.list().await.len(), 1);
    let removed = relay.account(&["remove", "ann@example.com"]).await;
    removed.assert_done();
    assert!(
        removed.said.contains("No account administers"),
        "{}",
        removed.said
    );
}

#[tokio::test]
async fn a_password_is_kept_as_a_hash_and_can_be_changed() {
    let relay = Commands::new();
    let add = ["add", "ann@example.com", "--password-stdin"];
    relay.account(&add).await.assert_done();
    let config = relay.folder.path().join("relay.yaml");
    let change = ["passwd", "ann@example.com", "--password-stdin"];
    account(&config, &change, "another horse battery")
        .await
        .assert_done();
    let store = RelayStore::open(Relay::database(&relay.folder.path().join("data")))
        .await
        .unwrap();
    let email = Email::parse("ann@example.com").unwrap();
    let found = store
        .accounts()
        .find_sign_in(&email)
        .await
        .unwrap()
        .unwrap();
    let hash = found.password_hash.unwrap();
    let passwords = Passwords::default();
    assert!(
        passwords
            .verify("another horse battery", &hash)
            .await
            .unwrap()
            .ok
    );
    assert!(!passwords.verify(PASSWORD, &hash).await.unwrap().ok);
}

#[tokio::test]
async fn a_lost_second_factor_is_taken_away() {
    let relay = Commands::new();
    let add = ["add", "ann@example.com", "--password-stdin"];
    relay.account(&add).await.assert_done();
    let remove = ["second-factor", "remove", "ann@example.com"];
    relay
        .account(&remove)
        .await
        .assert_failed(1, "has no second factor");
    let store = RelayStore::open(Relay::database(&relay.folder.path().join("data")))
        .await
        .unwrap();
    let email = Email::parse("ann@example.com").unwrap();
    let ann = store.accounts().find_by_email(&email).await.unwrap();
    let ann = ann.unwrap().id;
    let generator = CodeGenerator {
        sealed_seed: vec![7; 60],
        created: Timestamp::from_millis(1),
        last_step: 1,
    };
    let factors = store.second_factors();
    factors.add(&ann, &generator, &[]).await.unwrap();
    let removed = relay.account(&remove).await;
    removed.assert_done();
    assert!(removed.said.contains("ann@example.com"), "{}", removed.said);
    assert_eq!(factors.find(&ann).await.unwrap(), None);
    let told = store.notices().list(&ann, 10).await.unwrap();
    assert_eq!(told.len(), 1);
}

#[tokio::test]
async fn what_cannot_be_done_is_said_and_changes_nothing() {
    let relay = Commands::new();
    let add = ["add", "ann@example.com", "--password-stdin"];
    relay.account(&add).await.assert_done();
    relay
        .account(&add)
        .await
        .assert_failed(1, "there is an account");
    let nobody = "there is no account";
    for arguments in [
        &["plan", "bob@example.com", "free"][..],
        &["suspend", "bob@example.com", "--reason", "x"],
        &["unsuspend", "bob@example.com"],
        &["passwd", "nonsense", "--password-stdin"],
        &["remove", "bob@example.com"],
        &["second-factor", "remove", "bob@example.com"],
    ] {
        relay.account(arguments).await.assert_failed(1, nobody);
    }
    for (arguments, sentence) in [
        (&["add", "nonsense", "--password-stdin"][..], "name@domain"),
        (
            &["add", "c@example.com", "--plan", "gold", "--password-stdin"],
            "there is no plan \"gold\"",
        ),
        (&["plan", "ann@example.com", "gold"], "there is no plan"),
        (&["suspend", "ann@example.com"], "--reason"),
        (&["suspend", "ann@example.com", "--reason", ""], "--reason"),
    ] {
        relay.account(arguments).await.assert_failed(2, sentence);
    }
    let config = relay.folder.path().join("relay.yaml");
    let short = account(
        &config,
        &["passwd", "ann@example.com", "--password-stdin"],
        "short",
    )
    .await;
    short.assert_failed(2, "too short");
    let elsewhere = relay.folder.path().join("none.yaml");
    account(&elsewhere, &["list"], "")
        .await
        .assert_failed(2, "needs the relay's configuration");
    assert_eq!(relay.list().await.len(), 1);
}

#[tokio::test]
async fn a_running_relay_notices_a_plan_and_a_removal_within_seconds() {
    let camera =
        "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=x\r\n\r\n--x\r\n";
    let streams = || vec![Act::until("\r\n\r\n"), Act::send(camera), Act::Close];
    let upstream = RawUpstream::start((0..16).map(|_| streams())).await;
    let stack = Stack::before(upstream.url("")).start().await;
    let config = stack.folder().join("relay.yaml");
    let app = stack.connection(AccessMode::Bearer);
    let email = "owner@latchkey.example";
    for (arguments, told) in [
        (&["plan", email, "free"][..], 605),
        (&["plan", email, "supporter"], 200),
        (&["suspend", email, "--reason", "unpaid"], 605),
        (&["unsuspend", email], 200),
        (&["remove", email], 604),
    ] {
        let began = Instant::now();
        account(&config, arguments, "").await.assert_done();
        let answer = app.get("/webcam/?action=stream").send().await;
        assert_eq!(
            answer.status(),
            StatusCode::from_u16(told).unwrap(),
            "{arguments:?}"
        );
        println!(
            "{arguments:?}: {told} after {} ms",
            began.elapsed().as_millis()
        );
        assert!(began.elapsed() < Duration::from_secs(10));
    }
}
