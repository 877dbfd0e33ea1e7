//! `latchkey app-keygen`: pairs that sign in, files that stay, command lines that make nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::fake::Ended;
use crate::harness::session_keys::{KEY, entry, serve};
use crate::harness::stack::latchkey;

/// Makes a pair of 2048 bits, which is quick.
async fn keygen(folder: &Path, arguments: &[&str]) -> Ended {
    let mut command = latchkey();
    command.current_dir(folder).args(["app-keygen", "--bits"]);
    Ended::run(command.arg("2048").args(arguments)).await
}

fn mode(file: &Path) -> u32 {
    fs::metadata(file).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_made_pair_signs_in_where_its_entry_is() {
    let folder = TempDir::new().unwrap();
    let made = keygen(
        folder.path(),
        &["--id", "com.example.app", "--version", "2.0"],
    )
    .await;
    made.assert_done();
    let file = folder.path().join("com.example.app.pem");
    assert_eq!(mode(&file), 0o600);
    let pem = fs::read_to_string(&file).unwrap();
    assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
    let (name, public) = entry(&made.result);
    assert_eq!(name, "com.example.app:2.0");
    for said in [
        "2048 bits, SHA256:",
        "com.example.app.pem",
        "keep it secret",
        "apps.d/",
    ] {
        assert!(made.said.contains(said), "{}", made.said);
    }
    let body = pem.lines().nth(1).unwrap();
    assert!(!made.said.contains(body) && !made.result.contains(body));

    let server = serve(vec![(name, public)]).await;
    let url = server.url();
    let file = file.to_str().unwrap();
    let session = ["key", "session", &url, "--private-key", file];
    let app = ["--id", "com.example.app", "--version", "2.0"];
    let ended = Ended::of(&[&session[..], &app].concat()).await;
    ended.assert_done();
    assert_eq!(ended.result, format!("{KEY}\n"));
    for warning in ["chmod", "has only"] {
        assert!(!ended.said.contains(warning), "{}", ended.said);
    }
    let ended = Ended::of(&[&session[..], &app[..2]].concat()).await;
    ended.assert_failed(1, "does not know the app com.example.app:any");
}

#[tokio::test]
async fn a_private_key_is_never_overwritten() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("a.pem");
    fs::write(&file, "precious").unwrap();
    let ended = keygen(folder.path(), &["--id", "a"]).await;
    ended.assert_failed(2, "a.pem exists");
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    // Not even through a link that leads nowhere yet.
    std::os::unix::fs::symlink(folder.path().join("there"), folder.path().join("b.pem")).unwrap();
    let ended = keygen(folder.path(), &["--id", "b"]).await;
    ended.assert_failed(2, "b.pem exists");
    assert!(!folder.path().join("there").exists());
}

#[tokio::test]
async fn json_says_where_the_private_key_is_and_what_fits_it() {
    let folder = TempDir::new().unwrap();
    let arguments = ["--id", "a/b", "--private-key", "key.pem", "--json"];
    let made = keygen(folder.path(), &arguments).await;
    made.assert_done();
    let result: Value = serde_json::from_str(&made.result).unwrap();
    assert_eq!(result["name"], "a/b:any");
    assert_eq!(result["bits"], 2048);
    assert_eq!(result["private_key"], "key.pem");
    let fingerprint = result["fingerprint"].as_str().unwrap();
    assert!(made.said.contains(fingerprint), "{}", made.said);
    let server = serve(vec![(
        "a/b:any".to_owned(),
        result["pubkey"].as_str().unwrap().to_owned(),
    )])
    .await;
    let file = folder.path().join("key.pem");
    let file = file.to_str().unwrap();
    let url = server.url();
    let session = ["key", "session", &url, "--id", "a/b", "--private-key", file];
    Ended::of(&session).await.assert_done();
}

#[tokio::test]
async fn what_makes_no_pair_is_exit_code_2_and_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    let long = "x".repeat(65);
    for arguments in [
        &[][..],
        &["--id", ""],
        &["--id", "a b"],
        &["--id", "a:1.0"],
        &["--id", &long],
        &["--id", "a", "--version", "1:0"],
        &["--id", "../a"],
        &["--id", "a", "--private-key", "no/such/folder.pem"],
        &["--id", "a", "--bits", "1024"],
        &["--id", "a", "--bits", "8192"],
        &["--id", "a", "--bits", "2049"],
    ] {
        let mut command = latchkey();
        command.current_dir(&folder).arg("app-keygen");
        if !arguments.contains(&"--bits") {
            command.args(["--bits", "2048"]);
        }
        let ended = Ended::run(command.args(arguments)).await;
        ended.assert_failed(2, "");
    }
    let left: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
