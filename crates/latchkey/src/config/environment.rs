//! Values from the environment: `LATCHKEY__UPSTREAM__URL` is `upstream: {url: …}`.

use serde_json::{Map, Value};

const PREFIX: &str = "LATCHKEY__";

/// One value and where it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Override {
    path: Vec<String>,
    value: String,
}

/// All values the environment gives.
pub(super) fn overrides() -> Vec<Override> {
    std::env::vars()
        .filter_map(|(name, value)| Override::of(&name, value))
        .collect()
}

impl Override {
    pub(super) fn of(name: &str, value: String) -> Option<Self> {
        let path: Vec<String> = name
            .strip_prefix(PREFIX)?
            .split("__")
            .map(str::to_ascii_lowercase)
            .collect();
        let complete = path.iter().all(|part| !part.is_empty());
        complete.then_some(Self { path, value })
    }
}

/// Puts the values over what the file says.
pub(super) fn apply(value: &mut Value, overrides: Vec<Override>) {
    for Override { path, value: text } in overrides {
        let mut place = &mut *value;
        for key in path {
            place = object(place).entry(key).or_insert(Value::Null);
        }
        *place = typed(&text);
    }
}

fn object(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().expect("it was just made one")
}

/// Numbers, truth values and lists are written as in YAML; all else is text.
fn typed(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}
