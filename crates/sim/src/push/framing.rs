//! Raw JSON messages, or the same in SockJS frames (`o`, `a[...]`, `h`, `c[...]`).

use axum::extract::ws::{Message, Utf8Bytes};
use serde_json::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Raw,
    SockJs,
}

impl Framing {
    /// What is sent before anything else.
    pub(super) fn opening(self) -> Option<Message> {
        (self == Self::SockJs).then(|| text("o"))
    }

    pub(super) fn heartbeat(self) -> Message {
        match self {
            Self::Raw => Message::Ping(bytes::Bytes::new()),
            Self::SockJs => text("h"),
        }
    }

    pub(super) fn closing(self) -> Option<Message> {
        (self == Self::SockJs).then(|| text("c[3000,\"Go away!\"]"))
    }

    /// The server sends objects inside `a[...]`, not strings, as OctoPrint does.
    pub(super) fn wrap(self, message: &Value) -> Message {
        match self {
            Self::Raw => text(message.to_string()),
            Self::SockJs => text(format!("a[{message}]")),
        }
    }

    /// What a client's text frame says: nothing if it cannot be read. A SockJS client sends an array of
    /// JSON texts; a lone JSON text and an object are taken, too.
    pub(super) fn unwrap(self, frame: &str) -> Vec<Value> {
        let Ok(value) = serde_json::from_str::<Value>(frame) else {
            return Vec::new();
        };
        match (self, value) {
            (Self::SockJs, Value::Array(all)) => all.into_iter().filter_map(inner).collect(),
            (_, value) => inner(value).into_iter().collect(),
        }
    }
}

fn inner(value: Value) -> Option<Value> {
    match value {
        Value::String(text) => serde_json::from_str(&text).ok().filter(Value::is_object),
        value => value.is_object().then_some(value),
    }
}

fn text(text: impl Into<Utf8Bytes>) -> Message {
    Message::Text(text.into())
}

#[cfg(test)]
mod tests {
    use super::{Framing, text};
    use serde_json::json;

    #[test]
    fn messages_are_objects_inside_the_frame() {
        let message = json!({ "connected": {} });
        assert_eq!(Framing::Raw.wrap(&message), text("{\"connected\":{}}"));
        assert_eq!(
            Framing::SockJs.wrap(&message),
            text("a[{\"connected\":{}}]")
        );
    }

    #[test]
    fn clients_are_understood_in_both_framings() {
        let auth = json!({ "auth": "u:s" });
        assert_eq!(
            Framing::Raw.unwrap(r#"{"auth":"u:s"}"#),
            std::slice::from_ref(&auth)
        );
        assert_eq!(Framing::SockJs.unwrap(r#"["{\"auth\":\"u:s\"}"]"#), [auth]);
    }

    #[test]
    fn nonsense_says_nothing() {
        for frame in ["", "[", "[1]", "5", "[\"x\"]", "null", "\"{\""] {
            assert!(Framing::SockJs.unwrap(frame).is_empty(), "{frame}");
            assert!(Framing::Raw.unwrap(frame).is_empty(), "{frame}");
        }
    }
}
