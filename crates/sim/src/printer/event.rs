//! What happened, under the names and with the members that the push socket sends.

use serde_json::{Value, json};

/// One event, ready to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// OctoPrint's name of it, such as `PrintStarted`.
    pub name: &'static str,
    pub payload: Value,
}

impl Event {
    pub(crate) fn new(name: &'static str, payload: Value) -> Self {
        Self { name, payload }
    }

    /// An event about a file in the library.
    pub(crate) fn about_file(name: &'static str, path: &str) -> Self {
        Self::new(
            name,
            json!({ "storage": "local", "path": path, "name": leaf(path), "target": "local", "origin": "local" }),
        )
    }
}

/// The last part of a path inside the library.
pub(crate) fn leaf(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
