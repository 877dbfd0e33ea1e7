//! `latchkey audit …`: what commands and pages did, and that nobody changed it since.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;

use crate::harness::fake::Ended;
use crate::harness::stack::latchkey;
use crate::harness::within;

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

    fn data(&self, name: &str) -> PathBuf {
        self.folder.path().join("data").join(name)
    }

    async fn run(&self, arguments: &[&str]) -> Ended {
        run(&self.folder.path().join("relay.yaml"), arguments).await
    }

    async fn list(&self, more: &[&str]) -> Vec<Value> {
        let arguments = [&["audit", "list", "--json"], more].concat();
        let ended = self.run(&arguments).await;
        ended.assert_done();
        serde_json::from_str(&ended.result).unwrap()
    }

    async fn verify(&self, more: &[&str]) -> (Option<i32>, Value) {
        let arguments = [&["audit", "verify", "--json"], more].concat();
        let ended = self.run(&arguments).await;
        (ended.code, serde_json::from_str(&ended.result).unwrap())
    }
}

async fn run(config: &Path, arguments: &[&str]) -> Ended {
    let mut command = latchkey();
    command
        .args(arguments)
        .arg("--config")
        .arg(config)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    // Commands that want no password may have ended already.
    let _ = input.write_all(b"correct horse battery\n").await;
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

const ADD: [&str; 5] = [
    "account",
    "add",
    "ann@example.com",
    "--admin",
    "--password-stdin",
];

#[tokio::test]
async fn commands_are_written_down_and_the_log_is_verified() {
    let relay = Commands::new();
    let (code, checked) = relay.verify(&[]).await;
    assert_eq!((code, &checked["entries"]), (Some(0), &Value::from(0)));
    relay.run(&ADD).await.assert_done();
    for arguments in [
        &[
            "account",
            "suspend",
            "ann@example.com",
            "--reason",
            "secret reason",
        ][..],
        &["account", "unsuspend", "ann@example.com"],
        &["app", "add", "fieldglass", "--name", "Fieldglass"],
        &["app", "remove", "fieldglass"],
        &["account", "remove", "ann@example.com"],
    ] {
        relay.run(arguments).await.assert_done();
    }
    let all = relay.list(&[]).await;
    let acts: Vec<_> = all
        .iter()
        .map(|entry| entry["act"].as_str().unwrap())
        .collect();
    assert_eq!(
        acts,
        [
            "account_made",
            "administrator_made",
            "account_suspended",
            "suspension_ended",
            "app_registered",
            "app_removed",
            "account_removed"
        ]
    );
    assert!(all.iter().all(|entry| entry["actor"] == "command line"));
    let text = serde_json::to_string(&all).unwrap();
    assert!(!text.contains("ann@example.com") && !text.contains("secret reason"));
    // Who is gone is found by what is left.
    let id = all[0]["account"].as_str().unwrap();
    assert_eq!(relay.list(&["--account", id]).await.len(), 5);
    assert_eq!(relay.list(&["--act", "app_removed"]).await.len(), 1);
    assert_eq!(relay.list(&["--most", "2"]).await[1]["number"], 7);
    let (code, checked) = relay.verify(&[]).await;
    assert_eq!((code, &checked["good"]), (Some(0), &Value::Bool(true)));
    assert_eq!(
        (&checked["entries"], &checked["last"]),
        (&7.into(), &7.into())
    );
    let known = format!("7:{}", checked["hash"].as_str().unwrap());
    assert_eq!(relay.verify(&["--known", &known]).await.0, Some(0));
    let other = format!("7:{}", "0".repeat(64));
    assert_eq!(relay.verify(&["--known", &other]).await.0, Some(1));
    let odd = relay.run(&["audit", "verify", "--known", "7"]).await;
    assert_eq!(odd.code, Some(2));
    let lines = relay.run(&["audit", "list"]).await;
    lines.assert_done();
    assert!(
        lines
            .result
            .contains("app_registered  by command line: fieldglass")
    );
}

#[tokio::test]
async fn a_log_that_was_put_back_is_told() {
    let relay = Commands::new();
    relay.run(&ADD).await.assert_done();
    let earlier = relay.folder.path().join("earlier.db");
    std::fs::copy(relay.data("relay.db"), &earlier).unwrap();
    let suspend = ["account", "suspend", "ann@example.com", "--reason", "x"];
    relay.run(&suspend).await.assert_done();
    for journal in ["relay.db-wal", "relay.db-shm"] {
        let _ = std::fs::remove_file(relay.data(journal));
    }
    std::fs::copy(&earlier, relay.data("relay.db")).unwrap();
    let (code, checked) = relay.verify(&[]).await;
    assert_eq!(code, Some(1));
    assert_eq!(
        checked["faults"],
        serde_json::json!(["the log ends at entry 2, and entry 3 was in it"])
    );
    // What is written on top does not hide it, and says so at once.
    let again = relay.run(&suspend).await;
    again.assert_done();
    assert!(again.said.contains("the audit log was changed"));
    assert_eq!(relay.verify(&[]).await.0, Some(1));
    // A key that is not the relay's signs nothing of it.
    std::fs::remove_file(relay.data("relay.key")).unwrap();
    let (code, checked) = relay.verify(&[]).await;
    assert_eq!(code, Some(1));
    let said = checked["faults"].to_string();
    assert!(said.contains("not signed by this relay"), "{said}");
}
