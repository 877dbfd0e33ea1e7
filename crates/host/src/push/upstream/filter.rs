//! Which messages of the printer's server are for clients.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::push::messages::{APPKEYS, with_own_permissions};

/// What a message is about, as far as it matters; the rest is checked to be JSON, no more.
#[derive(Deserialize)]
struct Head<'m> {
    connected: Option<IgnoredAny>,
    #[serde(rename = "reauthRequired")]
    reauthenticate: Option<IgnoredAny>,
    #[serde(borrow)]
    plugin: Option<PluginHead<'m>>,
}

#[derive(Deserialize)]
struct PluginHead<'m> {
    #[serde(borrow)]
    plugin: std::borrow::Cow<'m, str>,
}

/// What is to be done with a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    PassOn,
    /// Not for clients, or nothing that a client could read.
    Drop,
    /// What it says of itself; passed on if the client has not heard just that.
    Connected(Value),
    /// The host's own session there holds no more.
    Expired,
}

pub(super) fn judge(message: &str) -> Verdict {
    let Ok(head) = serde_json::from_str::<Head<'_>>(message) else {
        return Verdict::Drop;
    };
    // An array fits the form too, but is no message.
    if !message.trim_start().starts_with('{') {
        return Verdict::Drop;
    }
    if head.reauthenticate.is_some() {
        return Verdict::Expired;
    }
    // The host decides who gets keys; requests at the server itself are none of its own.
    if head.plugin.is_some_and(|head| head.plugin == APPKEYS) {
        return Verdict::Drop;
    }
    match head.connected {
        Some(_) => serde_json::from_str(message).map_or(Verdict::Drop, |connected| {
            Verdict::Connected(with_own_permissions(connected))
        }),
        None => Verdict::PassOn,
    }
}

/// A message on one line, as the frames of `xhr_streaming` need it. Line breaks can only be
/// between the parts of a JSON text, where they mean nothing.
pub(super) fn on_one_line(message: &str) -> String {
    message.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn clients_hear_all_but_what_the_host_says_itself() {
        for message in [
            r#"{"current":{"state":{}}}"#,
            r#"{"history":{}}"#,
            r#"{"timelapse":null}"#,
            r#"{"event":{"type":"PrintDone","payload":{}}}"#,
            r#"{"plugin":{"plugin":"softwareupdate","data":{}}}"#,
            r#"{"slicingProgress":{}}"#,
        ] {
            assert_eq!(judge(message), Verdict::PassOn, "{message}");
        }
        for message in [
            r#"{"plugin":{"plugin":"appkeys","data":{"type":"request_access"}}}"#,
            r#"{"plugin":{"data":{"type":"request_access"},"plugin":"app\u006beys"}}"#,
            r#"{"\u0070lugin":{"plugin":"appkeys"}}"#,
            r#"{"plugin":{"plugin":"x"},"plugin":{"plugin":"appkeys"}}"#,
            r#"{"plugin":{}}"#,
            r#"{"current":{}} x"#,
            r#"{"current":"#,
            "[]",
            "[null,null,null]",
            "5",
            "",
            "\"x\"",
        ] {
            assert_eq!(judge(message), Verdict::Drop, "{message}");
        }
        assert_eq!(
            judge(r#"{"reauthRequired":{"reason":"stale"}}"#),
            Verdict::Expired
        );
        let connected = json!({ "connected": { "version": "1.11.8" } });
        assert_eq!(judge(&connected.to_string()), Verdict::Connected(connected));
    }

    #[test]
    fn a_message_on_several_lines_becomes_one() {
        let one = on_one_line("{\r\n\"current\":\n{\"logs\":[\"a\\nb\"]}}");
        assert!(!one.contains(['\n', '\r']));
        let value: Value = serde_json::from_str(&one).unwrap();
        assert_eq!(value, json!({ "current": { "logs": ["a\nb"] } }));
    }
}
