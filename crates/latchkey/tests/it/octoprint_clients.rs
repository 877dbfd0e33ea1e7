//! Clients as they come from their authors, through the whole workflow: asking for a key, being denied, being granted
//! one by a person, living with it, and losing it. At a real OctoPrint, which proves the stories in `tests/clients`;
//! at the host of the demo; and through app connections of both.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use latchkey_model::app_connection::AccessMode;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::timeout;

use crate::harness::demo::Demo;
use crate::harness::octoprint::{OctoPrint, USER};
use crate::harness::stack::Stack;

/// Several waits for a person, and a dozen starts of a Python program.
const STORY_WITHIN: Duration = Duration::from_mins(3);

/// The stories, and the Python each one runs with.
#[derive(Clone, Copy, Debug)]
enum Client {
    Octorest,
    Pyoctoprintapi,
    OctoprintCli,
    OctoprintsOwn,
}

/// Where a client calls, and who decides about it where.
struct Place {
    url: String,
    /// Name and password of an app connection.
    http: Option<(String, String)>,
    person_url: String,
    person: (String, String),
}

impl Client {
    fn script(self) -> &'static str {
        match self {
            Self::Octorest => "octorest_story.py",
            Self::Pyoctoprintapi => "pyoctoprintapi_story.py",
            Self::OctoprintCli => "octoprint_cli_story.py",
            Self::OctoprintsOwn => "octoprint_client_story.py",
        }
    }

    fn python(self) -> PathBuf {
        let named = |variable: &str, script: &str| {
            std::env::var_os(variable).map_or_else(
                || {
                    panic!(
                        "{variable} is not set. Run `./test it`, or export {variable}=$({script})."
                    )
                },
                PathBuf::from,
            )
        };
        match self {
            Self::OctoprintsOwn => {
                named("LATCHKEY_OCTOPRINT", "scripts/octoprint-env").with_file_name("python")
            }
            _ => named("LATCHKEY_CLIENTS", "scripts/clients-env"),
        }
    }

    /// Runs its story; the story's own checks fail it, and what it saw comes back.
    async fn run(self, place: &Place) -> Value {
        let stories = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
        let told = json!({
            "url": place.url,
            "http": place.http,
            "person_url": place.person_url,
            "person": {"name": place.person.0, "password": place.person.1},
        });
        let mut child = Command::new(self.python())
            .arg(stories.join(self.script()))
            .env("PYTHONPATH", &stories)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("NO_PROXY", "*")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(told.to_string().as_bytes()).await.unwrap();
        drop(input);
        let ended = timeout(STORY_WITHIN, child.wait_with_output()).await;
        let ended = ended
            .unwrap_or_else(|_| panic!("{self:?} did not end"))
            .unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{self:?} at {}:\n{said}", place.url);
        serde_json::from_slice(&ended.stdout)
            .unwrap_or_else(|error| panic!("{self:?} told no outcome, {error}:\n{said}"))
    }

    /// What every one of its stories has to come to, whatever the printer.
    fn check(self, place: &Place, outcome: &Value) {
        let expect = |member: &str, expected: Value| {
            assert_eq!(
                outcome[member], expected,
                "{member}: {self:?} at {}: {outcome}",
                place.url
            );
        };
        expect("granted", json!(true));
        expect("refused_once_revoked", json!(true));
        let sockets = place.http.is_none();
        match self {
            Self::Octorest => {
                expect("denied", json!(true));
                expect("server", json!("1.11.8"));
                expect("temperatures", json!(["bed", "tool0"]));
                expect("uploaded", json!(true));
                expect("deleted", json!(true));
                expect("profiles", json!(["_default"]));
                expect("settings", json!(["api", "feature", "plugins", "webcam"]));
                expect("websocket_offered", json!(true));
                expect("streamed", json!(true));
                expect("pushed", if sockets { json!(true) } else { Value::Null });
                expect(
                    "who",
                    if sockets {
                        json!(place.person.0)
                    } else {
                        Value::Null
                    },
                );
            }
            Self::Pyoctoprintapi => {
                expect("denied", json!(true));
                expect("server", json!("1.11.8"));
                expect("safe_mode", Value::Null);
                expect("offline_is_told", json!(true));
                expect("operational", json!(true));
                expect("temperatures", json!(["bed", "tool0"]));
                expect("job_is_readable", json!(true));
                expect("paused_what_does_not_print", json!(false));
            }
            Self::OctoprintCli => {
                expect("version", json!("OctoPrint v1.11.8 - API v0.1"));
                expect("temperatures", json!(true));
                expect("uploaded", json!(true));
                expect("described", json!(true));
                expect("selected", json!(true));
                // It says that a plugin it knows is not there.
                expect("layers", json!(1));
            }
            Self::OctoprintsOwn => {
                expect("denied", json!(true));
                expect("dialog", json!(true));
                expect("version", json!(true));
                expect("connected", json!(true));
                expect("uploaded", json!(true));
                expect("deleted", json!(true));
                expect("passive_login", json!(true));
                expect("pushed", if sockets { json!(true) } else { Value::Null });
            }
        }
    }

    async fn completes_at(self, place: &Place) -> Value {
        let outcome = self.run(place).await;
        self.check(place, &outcome);
        outcome
    }

    async fn at_octoprint(self) {
        let octoprint = OctoPrint::start().await;
        let url = octoprint.base_url().to_string();
        let place = Place::at_home(&url, USER.name, USER.password);
        self.completes_at(&place).await;
    }

    /// OctoPrint is the authority, and the app is away.
    async fn before_octoprint(self, access: AccessMode) {
        let octoprint = OctoPrint::start().await;
        let stack = Stack::before(octoprint.base_url()).start().await;
        let connection = stack.connection(access);
        let place = Place {
            url: connection.url.clone(),
            http: connection.basic.clone(),
            ..Place::at_home(&stack.host_url(""), USER.name, USER.password)
        };
        self.completes_at(&place).await;
    }

    /// The host is the authority, before the simulated printer.
    async fn at_the_demos_host(self) {
        let data = TempDir::new().unwrap();
        let demo = Demo::start(data.path()).await;
        let outcome = self.completes_at(&Place::of_the_demo(&demo)).await;
        self.check_what_the_simulator_has(&outcome);
        demo.stop().await;
    }

    async fn through_the_demos_relay(self, access: &str) {
        let data = TempDir::new().unwrap();
        let demo = Demo::start(data.path()).await;
        let connections = demo.connections();
        let connection = connections.iter().find(|one| one["access"] == access);
        let connection = connection.expect("there is one of each");
        let text = |member: &str| connection[member].as_str().map(str::to_owned);
        let place = Place {
            url: text("url").unwrap(),
            http: text("user").zip(text("password")),
            ..Place::of_the_demo(&demo)
        };
        let outcome = self.completes_at(&place).await;
        self.check_what_the_simulator_has(&outcome);
        demo.stop().await;
    }

    /// Home Assistant knows a printer by this id, and shows this camera.
    fn check_what_the_simulator_has(self, outcome: &Value) {
        if matches!(self, Self::Pyoctoprintapi) {
            let id = outcome["unique_id"].as_str().unwrap_or_default();
            assert_eq!(id.len(), 36, "{outcome}");
            let webcam = outcome["webcam"].as_str().unwrap_or_default();
            assert!(webcam.ends_with("/webcam/?action=stream"), "{outcome}");
        }
    }
}

impl Place {
    fn at_home(url: &str, name: &str, password: &str) -> Self {
        Self {
            url: url.to_owned(),
            http: None,
            person_url: url.to_owned(),
            person: (name.to_owned(), password.to_owned()),
        }
    }

    /// The demo's host, where an ordinary user decides.
    fn of_the_demo(demo: &Demo) -> Self {
        let users = demo.facts["host_users"].as_array().unwrap();
        let user = users.iter().find(|user| user["admin"] == false);
        let user = user.unwrap_or_else(|| panic!("no ordinary user in {}", demo.facts));
        let text = |member: &str| user[member].as_str().unwrap();
        Self::at_home(demo.text("host_url"), text("name"), text("password"))
    }
}

/// One test of each place for each client.
macro_rules! everywhere {
    ($($name:ident: $client:ident),+ $(,)?) => {$(
        mod $name {
            use super::{AccessMode, Client};

            #[tokio::test]
            async fn completes_at_octoprint() {
                Client::$client.at_octoprint().await;
            }

            #[tokio::test]
            async fn completes_through_an_app_connection_to_octoprint() {
                Client::$client.before_octoprint(AccessMode::None).await;
            }

            #[tokio::test]
            async fn completes_with_credentials_of_an_app_connection_to_octoprint() {
                Client::$client.before_octoprint(AccessMode::Basic).await;
            }

            #[tokio::test]
            async fn completes_at_the_host() {
                Client::$client.at_the_demos_host().await;
            }

            #[tokio::test]
            async fn completes_through_an_app_connection() {
                Client::$client.through_the_demos_relay("none").await;
            }

            #[tokio::test]
            async fn completes_with_credentials_of_an_app_connection() {
                Client::$client.through_the_demos_relay("basic").await;
            }
        }
    )+};
}

everywhere! {
    octorest: Octorest,
    pyoctoprintapi: Pyoctoprintapi,
    octoprint_cli: OctoprintCli,
    octoprints_own: OctoprintsOwn,
}
