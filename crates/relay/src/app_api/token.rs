//! The App token in a request: in the field `AppToken`, or in a JSON body.

use http::{HeaderMap, HeaderName};
use serde_json::Value;

const FIELD: HeaderName = HeaderName::from_static("apptoken");

/// Why a request has no token that could be looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoToken {
    Missing,
    /// It is there several times, and not the same. Which one is meant is a guess, and the
    /// wrong guess would end an app's connection.
    Ambiguous,
    /// No text can be made of it.
    Unreadable,
}

impl NoToken {
    pub(super) fn sentence(self) -> &'static str {
        match self {
            Self::Missing => "Send the App token in the header field AppToken.",
            Self::Ambiguous => "The request has more than one App token, and they differ.",
            Self::Unreadable => "The App token in the header field AppToken is not readable.",
        }
    }
}

/// The one token of a request.
pub(super) fn find(headers: &HeaderMap, body: &[u8]) -> Result<String, NoToken> {
    let mut found = None;
    for value in headers.get_all(FIELD) {
        let text = value.to_str().map_err(|_| NoToken::Unreadable)?;
        // Some proxies join fields of the same name.
        for token in text.split(',') {
            note(&mut found, token)?;
        }
    }
    for token in in_body(body) {
        note(&mut found, &token)?;
    }
    found.ok_or(NoToken::Missing)
}

fn note(found: &mut Option<String>, token: &str) -> Result<(), NoToken> {
    let token = token.trim();
    match found {
        _ if token.is_empty() => Ok(()),
        None => {
            *found = Some(token.to_owned());
            Ok(())
        }
        Some(known) if known == token => Ok(()),
        Some(_) => Err(NoToken::Ambiguous),
    }
}

/// A body that is no JSON object has none. Its members are read in any case, as fields are.
fn in_body(body: &[u8]) -> Vec<String> {
    let Ok(Value::Object(members)) = serde_json::from_slice(body) else {
        return Vec::new();
    };
    let tokens = members.into_iter().filter_map(|(name, value)| match value {
        Value::String(token) if name.eq_ignore_ascii_case("AppToken") => Some(token),
        _ => None,
    });
    tokens.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(fields: &[&[u8]], body: &str) -> Result<String, NoToken> {
        let mut headers = HeaderMap::new();
        for value in fields {
            headers.append(FIELD, http::HeaderValue::from_bytes(value).unwrap());
        }
        find(&headers, body.as_bytes())
    }

    #[test]
    fn a_token_is_found_wherever_it_may_stand() {
        let token = Ok("t".to_owned());
        for (fields, body) in [
            (&[b"t".as_slice()][..], ""),
            (&[b" t "], "no JSON"),
            (&[b"t", b"t"], ""),
            (&[b"t, t"], ""),
            (&[], r#"{"AppToken":"t"}"#),
            (&[], r#"{"appToken":"t","More":1}"#),
            (&[b""], r#"{"AppToken":"t"}"#),
            (&[b"t"], r#"{"AppToken":"t"}"#),
            (&[b"t"], r#"{"AppToken":null}"#),
        ] {
            assert_eq!(found(fields, body), token, "{fields:?} {body}");
        }
    }

    #[test]
    fn no_token_and_two_tokens_are_no_reason_to_call_one_unknown() {
        for body in [
            "",
            "{}",
            "[]",
            "null",
            r#"{"AppToken":1}"#,
            r#"{"AppToken":""}"#,
        ] {
            assert_eq!(found(&[], body), Err(NoToken::Missing), "{body}");
            assert_eq!(found(&[b"  "], body), Err(NoToken::Missing), "{body}");
        }
        for (fields, body) in [
            (&[b"t".as_slice(), b"u"][..], ""),
            (&[b"t,u"], ""),
            (&[b"t"], r#"{"AppToken":"u"}"#),
            (&[], r#"{"AppToken":"t","apptoken":"u"}"#),
        ] {
            assert_eq!(found(fields, body), Err(NoToken::Ambiguous), "{fields:?}");
        }
        assert_eq!(found(&[b"t\xff"], ""), Err(NoToken::Unreadable));
    }
}
