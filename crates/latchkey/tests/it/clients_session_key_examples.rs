//! The programs in the guide on session keys, as they stand there, each with its own interpreter.

use std::fs;
use std::path::Path;

use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

use crate::harness::fake::Ended;
use crate::harness::home::Home;
use crate::harness::http::Request;
use crate::harness::session_keys::{APP, PRIVATE_KEY, documented, entry};

const GUIDE: &str = include_str!("../../../../docs/guide/session-keys-for-apps.md");

/// What signs in: an app on a machine where the guide was followed.
struct App<'a> {
    id: &'a str,
    version: &'a str,
    /// PEM, in either form.
    private_key: &'a str,
}

/// A program of the guide.
struct Example {
    heading: &'static str,
    language: &'static str,
}

const EXAMPLES: [Example; 3] = [
    Example {
        heading: "### Python",
        language: "python",
    },
    Example {
        heading: "### JavaScript",
        language: "js",
    },
    Example {
        heading: "### Shell",
        language: "sh",
    },
];

impl Example {
    /// The fenced blocks below its heading, with their languages.
    fn blocks(&self) -> Vec<(&'static str, &'static str)> {
        let (_, section) = GUIDE.split_once(&format!("\n{}\n", self.heading)).unwrap();
        let section = section.split("\n##").next().unwrap();
        let mut pieces = section.split("\n```").skip(1);
        let mut blocks = Vec::new();
        while let (Some(block), Some(_)) = (pieces.next(), pieces.next()) {
            blocks.push(block.split_once('\n').unwrap());
        }
        blocks
    }

    /// Runs it as `app` before the server at `url`.
    async fn run(&self, url: &str, app: &App<'_>) -> Ended {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("app.pem");
        fs::write(&file, app.private_key).unwrap();
        let [before @ .., (language, program)] = &*self.blocks() else {
            panic!("{} has no program", self.heading);
        };
        assert_eq!(*language, self.language);
        for (language, block) in before {
            assert_eq!(*language, "sh");
            let done = Ended::run(shell(block).current_dir(&folder)).await;
            done.assert_done();
        }
        let converted = folder.path().join("app.pkcs1.pem");
        let file = if before.is_empty() { file } else { converted };
        let mut command = self.interpreter(folder.path(), program);
        command
            .env("URL", url)
            .env("APP_ID", app.id)
            .env("APP_VERSION", app.version)
            .env("PRIVATE_KEY", file)
            .env("NO_PROXY", "*");
        Ended::run(&mut command).await
    }

    fn interpreter(&self, folder: &Path, program: &str) -> Command {
        if self.language == "sh" {
            return shell(program);
        }
        // Node.js tells a module by its file's name.
        let (interpreter, name) = match self.language {
            "python" => (python(), "example.py"),
            _ => ("node".into(), "example.mjs"),
        };
        let file = folder.join(name);
        fs::write(&file, program).unwrap();
        let mut command = Command::new(interpreter);
        command.arg(file);
        command
    }
}

fn shell(program: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", program]);
    command
}

fn python() -> std::ffi::OsString {
    std::env::var_os("LATCHKEY_CLIENTS").unwrap_or_else(|| {
        panic!(
            "LATCHKEY_CLIENTS is not set. Run `./test it`, or export \
             LATCHKEY_CLIENTS=$(scripts/clients-env)."
        )
    })
}

/// Every program of the guide signs in at `url` as `app`; the keys they print come back.
async fn sign_in(url: &str, app: &App<'_>) -> Vec<String> {
    let mut keys = Vec::new();
    for example in &EXAMPLES {
        let ended = example.run(url, app).await;
        assert_eq!(
            ended.code,
            Some(0),
            "{} at {url}: {}",
            example.heading,
            ended.said
        );
        let key = ended.result.strip_suffix('\n').unwrap();
        assert!(!key.contains(char::is_whitespace), "{key}");
        keys.push(key.to_owned());
    }
    keys
}

#[tokio::test]
async fn every_example_signs_in_as_the_documented_app_and_its_key_opens_the_printer() {
    let app = App {
        id: APP,
        version: "1.0",
        private_key: PRIVATE_KEY,
    };
    let home = Home::start_with(&[("api", documented())]).await;
    for key in sign_in(&home.url(""), &app).await {
        let asked = Request::get(home.url("/api/printer")).header("X-Api-Key", key);
        assert_eq!(asked.send().await.status(), 200);
    }
}

#[tokio::test]
async fn every_example_signs_in_with_a_pair_that_was_made_as_the_guide_says() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("app.pem");
    let file = file.to_str().unwrap();
    let arguments = ["app-keygen", "--bits", "2048", "--id", "com.example.app"];
    let made = Ended::of(&[&arguments[..], &["--private-key", file]].concat()).await;
    made.assert_done();
    let private_key = fs::read_to_string(file).unwrap();
    let app = App {
        id: "com.example.app",
        version: "any",
        private_key: &private_key,
    };
    let (name, pubkey) = entry(&made.result);
    let home = Home::start_with(&[("api", json!({"apps": {name: {"pubkey": pubkey}}}))]).await;
    assert_eq!(sign_in(&home.url(""), &app).await.len(), 3);
}

#[tokio::test]
async fn an_example_that_is_refused_fails_and_prints_no_key() {
    let app = App {
        id: APP,
        version: "0.9",
        private_key: PRIVATE_KEY,
    };
    let home = Home::start_with(&[("api", documented())]).await;
    for example in &EXAMPLES {
        let ended = example.run(&home.url(""), &app).await;
        assert_ne!(ended.code, Some(0), "{}", example.heading);
        assert_eq!(ended.result, "", "{}", example.heading);
    }
}
