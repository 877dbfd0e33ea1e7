//! Values from the environment: `LATCHKEY__UPSTREAM__URL` is `upstream: {url: …}`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::node::Node;

const PREFIX: &str = "LATCHKEY__";

/// One value and where it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Override {
    variable: String,
    path: Vec<String>,
    text: String,
}

/// All values the environment gives.
pub(super) fn overrides() -> Vec<Override> {
    // Other programs' variables need not be text, and are none of our business.
    std::env::vars_os()
        .filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            Override::of(&name, value.to_string_lossy().into_owned())
        })
        .collect()
}

impl Override {
    pub(super) fn of(name: &str, text: String) -> Option<Self> {
        let path: Vec<String> = name
            .strip_prefix(PREFIX)?
            .split("__")
            .map(str::to_ascii_lowercase)
            .collect();
        let complete = path.iter().all(|part| !part.is_empty());
        complete.then(|| Self {
            variable: name.to_owned(),
            path,
            text,
        })
    }

    pub(super) fn variable(&self) -> &str {
        &self.variable
    }

    /// Whether it gives the value of `key`, or of a section or list that `key` is in.
    pub(super) fn gives(&self, key: &str) -> bool {
        key.strip_prefix(&self.path.join("."))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    }
}

/// Puts the values over what the file says. `maps` are the maps that have entries when
/// the file does not mention them: a value for one entry leaves the others as they are.
pub(super) fn over(file: Value, maps: Map<String, Value>, mut overrides: Vec<Override>) -> Node {
    // Whole sections first, so that what is said about one of their keys stands.
    overrides.sort_by(|a, b| (a.path.len(), &a.variable).cmp(&(b.path.len(), &b.variable)));
    let mut root = match Node::from(file) {
        map @ Node::Map { .. } => map,
        Node::Scalar(Value::Null) => Node::map(BTreeMap::new(), None),
        other => return other,
    };
    for (key, value) in maps {
        let in_part = |one: &Override| one.path.len() > 1 && one.path.first() == Some(&key);
        if overrides.iter().any(in_part) {
            root.entries(None).entry(key).or_insert(value.into());
        }
    }
    for Override {
        variable,
        path,
        text,
    } in overrides
    {
        let mut place = &mut root;
        for key in path {
            let entries = place.entries(Some(&variable));
            place = entries.entry(key).or_insert(Node::Scalar(Value::Null));
        }
        *place = Node::Variable {
            name: variable,
            text,
        };
    }
    root
}
