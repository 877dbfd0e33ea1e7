//! `latchkey user …`: the people known to a host, from the command line.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use latchkey_host::users::Passwords;
use latchkey_model::user::UserName;
use latchkey_store::HostStore;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;

use crate::harness::home::Home;
use crate::harness::stack::latchkey;
use crate::harness::within;

/// The commands on a host that does not run.
struct Commands {
    folder: TempDir,
}

struct Ended {
    code: Option<i32>,
    result: String,
    said: String,
}

impl Commands {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let text = "upstream: {kind: octoprint, url: \"http://127.0.0.1:5000\"}\ndata: ./data\n";
        std::fs::write(folder.path().join("host.yaml"), text).unwrap();
        Self { folder }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    async fn user(&self, arguments: &[&str], password: &str) -> Ended {
        user(&self.at("host.yaml"), arguments, password).await
    }

    async fn add(&self, name: &str, more: &[&str]) -> Ended {
        let arguments = [&["add", name, "--password-stdin"], more].concat();
        self.user(&arguments, "correct horse\n").await
    }

    async fn list(&self) -> Vec<(String, String)> {
        let ended = self.user(&["list", "--json"], "").await;
        assert_eq!(ended.code, Some(0), "{}", ended.said);
        let users: Vec<Value> = serde_json::from_str(&ended.result).unwrap();
        let text = |user: &Value, key: &str| user[key].as_str().unwrap().to_owned();
        let users = users.iter();
        users
            .map(|user| (text(user, "name"), text(user, "group")))
            .collect()
    }

    async fn has_password(&self, name: &str, password: &str) -> bool {
        let store = HostStore::open(self.at("data/host.db")).await.unwrap();
        let name = UserName::parse(name).unwrap();
        let found = store.users().find_sign_in(&name).await.unwrap().unwrap();
        store.close().await;
        let hash = found.password_hash.unwrap();
        let verified = Passwords::default().verify(password, &hash).await;
        verified.unwrap().ok
    }
}

/// Runs `latchkey user …` with a password on standard input.
async fn user(config: &Path, arguments: &[&str], password: &str) -> Ended {
    let mut command = latchkey();
    command
        .arg("user")
        .args(arguments)
        .arg("--config")
        .arg(config)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    // Nobody reads it when the command ends before it asks.
    let _ = input.write_all(password.as_bytes()).await;
    drop(input);
    let output = within("the command", child.wait_with_output()).await;
    let output = output.unwrap();
    Ended {
        code: output.status.code(),
        result: String::from_utf8(output.stdout).unwrap(),
        said: String::from_utf8(output.stderr).unwrap(),
    }
}

fn pair(name: &str, group: &str) -> (String, String) {
    (name.to_owned(), group.to_owned())
}

#[tokio::test]
async fn users_are_added_listed_given_passwords_and_removed() {
    let home = Commands::new();
    assert!(home.list().await.is_empty());
    for (name, more) in [
        ("ann", &["--admin"][..]),
        ("bob", &[]),
        ("vera", &["--group", "readonly"]),
    ] {
        let ended = home.add(name, more).await;
        assert_eq!(ended.code, Some(0), "{}", ended.said);
        assert_eq!(ended.result, "");
    }
    let everybody = [
        pair("ann", "admins"),
        pair("bob", "users"),
        pair("vera", "readonly"),
    ];
    assert_eq!(home.list().await, everybody);
    assert!(home.has_password("bob", "correct horse").await);
    let ended = home
        .user(&["passwd", "bob", "--password-stdin"], "battery staple\r\n")
        .await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert!(home.has_password("bob", "battery staple").await);
    assert!(!home.has_password("bob", "correct horse").await);
    let ended = home.user(&["remove", "vera"], "").await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert_eq!(home.list().await, everybody[..2]);
    let ended = home.user(&["list"], "").await;
    assert!(ended.result.contains("ann"), "{}", ended.result);
}

#[tokio::test]
async fn what_cannot_be_done_is_said_and_changes_nothing() {
    let home = Commands::new();
    assert_eq!(home.add("ann", &["--admin"]).await.code, Some(0));
    for (arguments, password, code, sentence) in [
        (
            &["add", "ann", "--password-stdin"][..],
            "other words",
            1,
            "there is a user ann already",
        ),
        (
            &["add", "bob", "--password-stdin"],
            "short",
            2,
            "8 characters",
        ),
        (&["add", "bob", "--password-stdin"], "", 2, "8 characters"),
        (&["add", "bob"], "correct horse", 2, "--password-stdin"),
        (
            &["add", "two words", "--password-stdin"],
            "correct horse",
            2,
            "without blanks",
        ),
        (
            &["add", "_api", "--password-stdin"],
            "correct horse",
            2,
            "begin with _",
        ),
        (&["add", "bob", "--group", "guests"], "", 2, "readonly"),
        (
            &["add", "bob", "--admin", "--group", "users"],
            "",
            2,
            "cannot be used with",
        ),
        (
            &["passwd", "bob", "--password-stdin"],
            "correct horse",
            1,
            "there is no user",
        ),
        (&["remove", "bob"], "", 1, "there is no user"),
        (&["remove", "ann"], "", 1, "the last administrator"),
    ] {
        let ended = home.user(arguments, password).await;
        assert_eq!(ended.code, Some(code), "{arguments:?}: {}", ended.said);
        assert!(
            ended.said.contains(sentence),
            "{arguments:?}: {}",
            ended.said
        );
        assert!(
            password.is_empty() || !ended.said.contains(password),
            "{}",
            ended.said
        );
    }
    assert_eq!(home.list().await, [pair("ann", "admins")]);
    assert!(home.has_password("ann", "correct horse").await);
}

#[tokio::test]
async fn a_user_added_or_removed_beside_a_running_host_counts_at_once() {
    let home = Home::start().await;
    let add = ["add", "carl", "--password-stdin"];
    let ended = user(&home.config(), &add, "correct horse").await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let mut browser = home.browser();
    let answer = browser.log_in("carl", "correct horse").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let ended = user(&home.config(), &["remove", "carl"], "").await;
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let me = browser.get("/api/currentuser").await.json();
    assert_eq!(me["name"], Value::Null, "{me}");
}
