//! Raw JSON messages, or the same in SockJS frames (`o`, `a[...]`, `h`, `c[...]`).

use serde_json::Value;

/// How one client's messages are wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// Each WebSocket message is one JSON object.
    Raw,
    /// SockJS 0.3.3, with objects instead of strings inside `a[...]`, as OctoPrint has it.
    SockJs,
}

impl Framing {
    pub(super) fn wrap(self, message: String) -> String {
        match self {
            Self::Raw => message,
            Self::SockJs => array(&[message]),
        }
    }
}

/// What is sent before anything else.
pub(super) const OPEN: &str = "o";
/// What is sent when there was nothing to say for a while.
pub(super) const HEARTBEAT: &str = "h";

/// Several messages in one frame.
pub(super) fn array(messages: &[String]) -> String {
    format!("a[{}]", messages.join(","))
}

/// The frame that ends a session. `reason` is one of our own words.
pub(super) fn close(code: u16, reason: &str) -> String {
    format!("c[{code},\"{reason}\"]")
}

/// What a client's frame says, in either framing: objects, alone or in an array, plain or as
/// JSON inside strings. Whatever else there is says nothing.
pub(super) fn unwrap(frame: &str) -> Vec<Value> {
    match serde_json::from_str(frame) {
        Ok(Value::Array(all)) => all.into_iter().filter_map(inner).collect(),
        Ok(value) => inner(value).into_iter().collect(),
        Err(_) => Vec::new(),
    }
}

/// What the body of an `xhr_send` says; `None` if it is no array of strings.
pub(super) fn unwrap_strictly(body: &[u8]) -> Option<Vec<Value>> {
    let texts: Vec<String> = serde_json::from_slice(body).ok()?;
    Some(
        texts
            .into_iter()
            .map(Value::String)
            .filter_map(inner)
            .collect(),
    )
}

fn inner(value: Value) -> Option<Value> {
    match value {
        Value::String(text) => serde_json::from_str(&text).ok().filter(Value::is_object),
        value => value.is_object().then_some(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn messages_are_objects_inside_a_frame() {
        let message = || r#"{"connected":{}}"#.to_owned();
        assert_eq!(Framing::Raw.wrap(message()), r#"{"connected":{}}"#);
        assert_eq!(Framing::SockJs.wrap(message()), r#"a[{"connected":{}}]"#);
        assert_eq!(
            array(&[message(), "{}".to_owned()]),
            r#"a[{"connected":{}},{}]"#
        );
        assert_eq!(close(3000, "Go away!"), r#"c[3000,"Go away!"]"#);
    }

    #[test]
    fn clients_are_understood_in_both_framings() {
        let auth = json!({ "auth": "u:s" });
        for frame in [
            r#"{"auth":"u:s"}"#,
            r#"["{\"auth\":\"u:s\"}"]"#,
            r#"[{"auth":"u:s"}]"#,
            r#""{\"auth\":\"u:s\"}""#,
        ] {
            assert_eq!(unwrap(frame), std::slice::from_ref(&auth), "{frame}");
        }
        assert_eq!(
            unwrap(r#"["{\"auth\":\"u:s\"}", "{\"throttle\":2}"]"#).len(),
            2
        );
    }

    #[test]
    fn nonsense_says_nothing() {
        let deep = "[".repeat(100_000);
        for frame in ["", "[", "[1]", "5", "[\"x\"]", "null", "\"{\"", &deep] {
            assert!(unwrap(frame).is_empty());
        }
    }

    #[test]
    fn a_posted_array_is_taken_strictly() {
        assert_eq!(
            unwrap_strictly(br#"["{\"throttle\":2}"]"#).unwrap().len(),
            1
        );
        assert_eq!(unwrap_strictly(br#"["x"]"#).unwrap().len(), 0);
        for body in [&b"[\"x"[..], b"x", b"{}", b"[{}]", b"\"x\""] {
            assert!(unwrap_strictly(body).is_none());
        }
    }
}
