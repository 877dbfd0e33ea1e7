//! `latchkey demo --json` as a process, and what it says of itself.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;
use tokio::time::timeout;

use super::PATIENCE;
use super::stack::{latchkey, signal};

/// A running `latchkey demo`; killed when dropped.
pub(crate) struct Demo {
    child: Child,
    /// Where its standard error goes.
    log: PathBuf,
    /// The line that it printed.
    pub(crate) facts: Value,
}

impl Demo {
    pub(crate) async fn start(data: &Path) -> Self {
        Self::start_with(data, &[]).await
    }

    /// The same with more arguments.
    pub(crate) async fn start_with(data: &Path, more: &[&str]) -> Self {
        let log = data.with_extension("log");
        let mut child = latchkey()
            .args([
                "demo",
                "--json",
                "--relay-port",
                "0",
                "--host-port",
                "0",
                "--data",
            ])
            .arg(data)
            .args(more)
            .args(["--log", "debug"])
            .stderr(File::create(&log).unwrap())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = timeout(PATIENCE * 3, lines.next_line()).await;
        let line = line.expect("the demo says something in time").unwrap();
        let facts = serde_json::from_str(&line.expect("one line")).unwrap();
        Self { child, log, facts }
    }

    /// What it has said so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    pub(crate) async fn stop(mut self) {
        signal(self.child.id().unwrap(), "TERM").await;
        let ended = timeout(PATIENCE * 3, self.child.wait()).await;
        assert!(ended.expect("it ends").unwrap().success());
    }

    pub(crate) fn text(&self, member: &str) -> &str {
        let value = self.facts[member].as_str();
        value.unwrap_or_else(|| panic!("{member} in {}", self.facts))
    }

    pub(crate) fn connections(&self) -> Vec<&Value> {
        self.facts["app_connections"]
            .as_array()
            .unwrap()
            .iter()
            .collect()
    }
}
