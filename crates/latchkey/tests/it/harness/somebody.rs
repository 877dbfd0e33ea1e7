//! Somebody in the local network who looks for printers, and may lie: an mDNS client that is not ours.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, timeout_at};

use super::lan::{Lan, Machine};

pub(crate) const LATCHKEY: &str = "_latchkey._tcp.local.";
pub(crate) const OCTOPRINT: &str = "_octoprint._tcp.local.";

/// A client waits for three answers to its question who has a name, and asks again after a while.
pub(crate) const HEARD_WITHIN: Duration = Duration::from_secs(30);

/// Records live for an hour and more: whoever forgets one sooner was told to.
const GOODBYE_WITHIN: Duration = Duration::from_secs(10);

/// Python with the clients of `scripts/clients-env`, in a machine.
pub(crate) fn python(machine: &Machine) -> Command {
    let python = std::env::var_os("LATCHKEY_CLIENTS").unwrap_or_else(|| {
        panic!(
            "LATCHKEY_CLIENTS is not set. Run `./test it`, or export LATCHKEY_CLIENTS=$(scripts/clients-env)."
        )
    });
    let mut command = machine.command(python);
    command
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONUNBUFFERED", "1")
        .env("NO_PROXY", "*")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

/// Somebody who looks for printers, and may lie: `tests/clients/discovery.py`.
pub(crate) struct Somebody {
    child: Child,
    commands: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    /// All that it told so far.
    pub(crate) heard: Vec<Value>,
}

impl Somebody {
    pub(crate) fn at(machine: &Machine) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/discovery.py");
        let mut child = python(machine).arg(script).spawn().unwrap();
        Self {
            commands: child.stdin.take().unwrap(),
            lines: BufReader::new(child.stdout.take().unwrap()).lines(),
            heard: Vec::new(),
            child,
        }
    }

    /// Somebody who has begun to look for both kinds.
    pub(crate) async fn browsing(machine: &Machine) -> Self {
        let mut somebody = Self::at(machine);
        somebody
            .does(json!({"browse": {"kinds": [LATCHKEY, OCTOPRINT]}}))
            .await;
        somebody.hears("browsing").await;
        somebody
    }

    pub(crate) async fn does(&mut self, command: Value) {
        let line = format!("{command}\n");
        self.commands.write_all(line.as_bytes()).await.unwrap();
    }

    /// The first thing from now on that is `like` this.
    pub(crate) async fn hears_like(
        &mut self,
        what: &str,
        within: Duration,
        like: impl Fn(&Value) -> bool,
    ) -> Value {
        let deadline = Instant::now() + within;
        loop {
            let Ok(line) = timeout_at(deadline, self.lines.next_line()).await else {
                panic!("waited for {what}; heard: {:#?}", self.heard);
            };
            let line = line
                .unwrap()
                .unwrap_or_else(|| panic!("{:?} ended", self.child));
            let event: Value = serde_json::from_str(&line).unwrap();
            self.heard.push(event.clone());
            if like(&event) {
                return event;
            }
        }
    }

    pub(crate) async fn hears(&mut self, event: &str) -> Value {
        let like = |heard: &Value| heard["event"] == event;
        self.hears_like(event, HEARD_WITHIN, like).await
    }

    /// How it finds the service of this kind that has this name.
    pub(crate) async fn finds(&mut self, kind: &str, name: &str) -> Value {
        let like = |heard: &Value| {
            heard["event"] == "found" && heard["kind"] == kind && heard["name"] == name
        };
        let what = format!("{name} of {kind}");
        if let Some(before) = self.heard.iter().find(|heard| like(heard)) {
            return before.clone();
        }
        self.hears_like(&what, HEARD_WITHIN, like).await
    }

    /// Hears that both services of a host are gone.
    pub(crate) async fn hears_goodbye(&mut self, name: &str) {
        let from = self.heard.len();
        let is_gone = |heard: &Value| heard["event"] == "gone" && heard["name"] == name;
        for _ in 0..2 {
            self.hears_like("goodbye", GOODBYE_WITHIN, is_gone).await;
        }
        let mut kinds: Vec<_> = self.heard[from..]
            .iter()
            .filter(|heard| is_gone(heard))
            .map(|heard| &heard["kind"])
            .collect();
        kinds.sort_by_key(ToString::to_string);
        assert_eq!(kinds, [LATCHKEY, OCTOPRINT]);
    }

    /// What the host's machine answers to a question that only it is asked.
    pub(crate) async fn asks(&mut self, kind: &str, name: &str) -> Value {
        self.does(json!({"ask": {"address": Lan::HOST, "kind": kind, "name": name}}))
            .await;
        let like = |heard: &Value| heard["event"] == "answer" || heard["event"] == "refused";
        self.hears_like("an answer", HEARD_WITHIN, like).await
    }

    /// Fetches a page of the host under the name and port that were announced.
    pub(crate) async fn fetches(&mut self, service: &Value, path: &str) -> Value {
        self.does(json!({"fetch": {
            "address": service["addresses"][0],
            "port": service["port"],
            "hostname": service["hostname"],
            "path": path,
        }}))
        .await;
        self.hears("page").await["status"].clone()
    }
}
