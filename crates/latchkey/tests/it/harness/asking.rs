//! A command that asks a person, such as `latchkey key request`, up to where it waits.

use std::process::{Output, Stdio};

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr};

use super::stack::latchkey;
use super::within;

/// The command, which has said where the person is to go.
pub(crate) struct Asking {
    /// Where the person is to go.
    pub(crate) dialog: String,
    child: Child,
    said: Lines<BufReader<ChildStderr>>,
}

impl Asking {
    /// Runs `latchkey key request` with these arguments.
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        Self::run(&[&["key", "request"], arguments].concat()).await
    }

    /// Runs `latchkey` with these arguments.
    pub(crate) async fn run(arguments: &[&str]) -> Self {
        let mut command = latchkey();
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = within("the address", said.next_line()).await;
        let line = line.unwrap().unwrap();
        let at = line.find("http://").unwrap_or_else(|| panic!("{line}"));
        let dialog = line[at..].to_owned();
        Self {
            dialog,
            child,
            said,
        }
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Waits for its end. With it comes what it said after the address.
    pub(crate) async fn end(mut self) -> (Output, String) {
        let output = within("the end", self.child.wait_with_output()).await;
        let mut rest = String::new();
        while let Some(line) = self.said.next_line().await.unwrap() {
            rest.push_str(&line);
        }
        (output.unwrap(), rest)
    }
}
