//! `latchkey import-octoprint` of a folder that a real OctoPrint made.

use std::path::Path;

use http::StatusCode;
use latchkey_host::users::{Passwords, Verified};
use latchkey_model::sealed::MasterKey;
use latchkey_model::secret::AppKeyHash;
use latchkey_model::user::{Group, UserName};
use latchkey_net::key_file::load_or_create;
use latchkey_store::HostStore;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::home::Home;
use crate::harness::http::Request;
use crate::harness::octoprint::{ADMIN, ADMIN_API_KEY, OctoPrint, USER};
use crate::harness::stack::latchkey;
use crate::harness::within;

async fn post(octoprint: &OctoPrint, path: &str, body: Value) -> (StatusCode, Value) {
    let request = Request::post(octoprint.url(path)).header("X-Api-Key", ADMIN_API_KEY);
    let response = request.json(&body).send().await.read().await;
    let answer = serde_json::from_slice(&response.body).unwrap_or_default();
    (response.status, answer)
}

async fn key_of(octoprint: &OctoPrint, app: &str, user: &str) -> String {
    let body = json!({"command": "generate", "app": app, "user": user});
    let (status, answer) = post(octoprint, "api/plugin/appkeys", body).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer["api_key"].as_str().unwrap().to_owned()
}

async fn import(folder: &Path, config: &Path, more: &[&str]) -> Value {
    let mut command = latchkey();
    command
        .arg("import-octoprint")
        .arg(folder)
        .arg("--config")
        .arg(config)
        .arg("--json")
        .args(more);
    let output = within("the import", command.output()).await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn verify(store: &HostStore, name: &str, password: &str) -> Verified {
    let name = UserName::parse(name).unwrap();
    let found = store.users().find_sign_in(&name).await.unwrap().unwrap();
    let hash = found.password_hash.unwrap();
    Passwords::default().verify(password, &hash).await.unwrap()
}

#[tokio::test]
async fn people_keep_their_passwords_and_apps_their_keys() {
    let mut octoprint = OctoPrint::start().await;
    let viewer = json!({
        "name": "vera", "password": "look-only", "active": true,
        "groups": ["readonly"], "permissions": [],
    });
    let (status, answer) = post(&octoprint, "api/access/users", viewer).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let olivias = key_of(&octoprint, "OctoPod", USER.name).await;
    let admins = key_of(&octoprint, "OctoPod", ADMIN.name).await;
    octoprint.stop().await;

    let folder = TempDir::new().unwrap();
    let config = folder.path().join("host.yaml");
    let text = "upstream: {kind: octoprint, url: \"http://127.0.0.1:5000\"}\ndata: ./data\n";
    std::fs::write(&config, text).unwrap();
    let database = folder.path().join("data/host.db");

    let preview = import(octoprint.folder(), &config, &["--dry-run"]).await;
    assert_eq!(
        preview["users"],
        json!(["admin", "olivia", "vera"]),
        "{preview}"
    );
    assert!(!database.exists(), "a dry run leaves nothing");

    let report = import(octoprint.folder(), &config, &[]).await;
    assert_eq!(report["users"], preview["users"]);
    assert_eq!(report["app_keys"], preview["app_keys"]);
    let text = report.to_string();
    assert!(text.contains("global API key"), "{text}");
    for secret in [&olivias, &admins, ADMIN_API_KEY] {
        assert!(!text.contains(secret), "a report is no place for keys");
    }

    let store = HostStore::open(&database).await.unwrap();
    for (name, password, group) in [
        (ADMIN.name, ADMIN.password, Group::Admins),
        (USER.name, USER.password, Group::Users),
        ("vera", "look-only", Group::Readonly),
    ] {
        let right = verify(&store, name, password).await;
        assert_eq!(
            right,
            Verified {
                ok: true,
                rehash: true
            },
            "{name}"
        );
        assert!(!verify(&store, name, "wrong").await.ok, "{name}");
        let user = store.users().find(&UserName::parse(name).unwrap()).await;
        let user = user.unwrap().unwrap();
        assert_eq!((user.group, user.active), (group, true), "{name}");
    }
    let key_file = database.with_file_name("host.key");
    let master = load_or_create(&key_file, "latchkey-host-master-1:").unwrap();
    let sealing = MasterKey::from_bytes(*master).sealing();
    for (key, user, app) in [
        (olivias.as_str(), USER.name, "OctoPod"),
        (&admins, ADMIN.name, "OctoPod"),
        (ADMIN_API_KEY, ADMIN.name, "OctoPrint API key"),
    ] {
        let found = store.app_keys().find_by_hash(&AppKeyHash::of(key)).await;
        let found = found.unwrap().expect("the key that the app has");
        assert_eq!(found.user.name.as_str(), user);
        assert_eq!(found.key.app.as_str(), app);
        let kept = store.app_keys().find_by_id(&found.key.id).await.unwrap();
        let opened = sealing.open(&kept.unwrap().sealed, &found.key.id).unwrap();
        assert_eq!(opened.expose(), key, "its owner can see it again");
    }
    store.close().await;

    let again = import(octoprint.folder(), &config, &[]).await;
    assert_eq!(again["users"], json!([]), "{again}");
    assert_eq!(again["app_keys"], json!([]), "{again}");
}

#[tokio::test]
async fn who_was_known_to_octoprint_signs_in_at_the_running_host_and_apps_go_on() {
    let mut octoprint = OctoPrint::start().await;
    let key = key_of(&octoprint, "OctoPod", USER.name).await;
    octoprint.stop().await;
    let home = Home::start().await;
    let report = import(octoprint.folder(), &home.config(), &[]).await;
    assert_eq!(report["users"], json!(["admin", "olivia"]), "{report}");

    let me = Request::get(home.url("/api/currentuser")).header("X-Api-Key", &key);
    assert_eq!(me.send().await.read().await.json()["name"], USER.name);
    for first in [true, false] {
        let mut browser = home.browser();
        let answer = browser.log_in(USER.name, USER.password).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        let store = home.open_store().await;
        let verified = verify(&store, USER.name, USER.password).await;
        let ours = Verified {
            ok: true,
            rehash: false,
        };
        assert_eq!(verified, ours, "hashed anew, first sign-in: {first}");
        store.close().await;
    }
    let listed = Request::get(home.url("/api/plugin/appkeys?app=octopod"));
    let listed = listed.header("X-Api-Key", &key).send().await;
    assert_eq!(listed.read().await.json()["key"]["api_key"], *key);
}

#[tokio::test]
async fn a_dry_run_brings_no_database_up_to_date() {
    let octoprint = TempDir::new().unwrap();
    let settings = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/it/harness/octoprint"
    ));
    for file in ["config.yaml", "users.yaml"] {
        std::fs::copy(settings.join(file), octoprint.path().join(file)).unwrap();
    }
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("host.yaml");
    let text = "upstream: {kind: octoprint, url: \"http://127.0.0.1:5000\"}\ndata: ./data\n";
    std::fs::write(&config, text).unwrap();
    // As an older program, which had no tables yet, would have left it.
    let database = folder.path().join("data/host.db");
    std::fs::create_dir(folder.path().join("data")).unwrap();
    std::fs::write(&database, "").unwrap();

    let preview = import(octoprint.path(), &config, &["--dry-run"]).await;
    assert_eq!(preview["users"], json!(["admin", "olivia"]), "{preview}");
    assert_eq!(std::fs::metadata(&database).unwrap().len(), 0);
}
