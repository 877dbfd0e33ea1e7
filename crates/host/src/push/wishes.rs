//! What a client asked to be told, and how often.

use serde_json::{Map, Value, json};

/// The largest throttle that is passed on: one message every so many half seconds.
const MOST_THROTTLE: u64 = 3600;

/// The last `throttle` and `subscribe` of a client.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Wishes {
    throttle: Option<u64>,
    subscription: Option<Map<String, Value>>,
}

impl Wishes {
    /// Takes note of a client's message; whether it said anything.
    pub(super) fn hear(&mut self, message: &Value) -> bool {
        let before = self.clone();
        if let Some(throttle) = message["throttle"].as_u64() {
            self.throttle = Some(throttle.clamp(1, MOST_THROTTLE));
        }
        if let Some(wanted) = message["subscribe"].as_object() {
            self.subscription = Some(cleaned(wanted));
        }
        *self != before
    }

    /// Whether messages of a plugin are to be delivered. Everything is until the first
    /// subscription, then only what it names.
    pub(super) fn plugin(&self, name: &str) -> bool {
        let Some(subscription) = &self.subscription else {
            return true;
        };
        match subscription.get("plugins") {
            Some(Value::Bool(all)) => *all,
            Some(Value::Array(names)) => names.iter().any(|one| one == name),
            _ => false,
        }
    }

    /// The messages that tell the upstream of it.
    pub(super) fn to_messages(&self) -> Vec<String> {
        let throttle = self.throttle.map(|n| json!({ "throttle": n }));
        let subscription = self.subscription.as_ref();
        let subscription = subscription.map(|wanted| json!({ "subscribe": wanted }));
        [throttle, subscription]
            .into_iter()
            .flatten()
            .map(|message| message.to_string())
            .collect()
    }
}

/// What of a subscription may go to the upstream: yes or no, and lists of names.
///
/// OctoPrint takes regular expressions for `state` too, and runs them over every line of its
/// log. A bad one stops it, so an object there only counts as a yes.
fn cleaned(wanted: &Map<String, Value>) -> Map<String, Value> {
    let mut clean = Map::new();
    if let Some(state) = wanted.get("state") {
        let state = state.as_bool().unwrap_or(state.is_object());
        clean.insert("state".to_owned(), state.into());
    }
    for topic in ["plugins", "events"] {
        let value = match wanted.get(topic) {
            Some(Value::Bool(all)) => (*all).into(),
            Some(Value::Array(names)) => names
                .iter()
                .filter(|one| one.is_string())
                .cloned()
                .collect(),
            _ => continue,
        };
        clean.insert(topic.to_owned(), value);
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wishes(message: &Value) -> Wishes {
        let mut wishes = Wishes::default();
        wishes.hear(message);
        wishes
    }

    #[test]
    fn after_the_first_subscription_only_named_plugins_are_delivered() {
        assert!(Wishes::default().plugin("appkeys"));
        for (plugins, delivered) in [
            (json!(true), true),
            (json!(false), false),
            (json!(["appkeys", "other"]), true),
            (json!(["other"]), false),
            (json!(null), false),
        ] {
            let wishes = wishes(&json!({ "subscribe": { "plugins": plugins } }));
            assert_eq!(wishes.plugin("appkeys"), delivered, "{plugins}");
        }
        assert!(!wishes(&json!({ "subscribe": {} })).plugin("appkeys"));
    }

    #[test]
    fn only_what_is_known_goes_up() {
        let hostile = json!({
            "throttle": 100_000,
            "subscribe": {
                "state": { "logs": "(a+)+$" }, "plugins": [1, "a", { "x": 1 }], "events": true, "more": {},
            },
            "auth": "u:s", "command": "M112",
        });
        assert_eq!(
            wishes(&hostile).to_messages(),
            [
                r#"{"throttle":3600}"#,
                r#"{"subscribe":{"state":true,"plugins":["a"],"events":true}}"#,
            ]
        );
        assert_eq!(
            wishes(&json!({ "throttle": "x", "subscribe": [] })),
            Wishes::default()
        );
    }
}
