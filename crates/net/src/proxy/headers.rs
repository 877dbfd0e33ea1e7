//! Which fields never pass a hop, whoever sends them.
//!
//! The policies of the two hops (`relay` and `host`) are built from these parts.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::{
    CONNECTION, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};

/// Fields about one connection, removed and made anew at each hop (RFC 9110 section 7.6.1).
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Fields by which one hop tells the next who is calling and how.
///
/// A caller who sends one pretends to be a hop. The list is what OctoPrint, Moonraker
/// and common frameworks believe; names starting with `x-forwarded-` or with our own
/// prefix are covered whole.
const HOP_CLAIMS: [&str; 16] = [
    "forwarded",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "x-scheme",
    "x-script-name",
    "x-original-proto",
    "x-original-host",
    "x-original-url",
    "x-rewrite-url",
    "x-url-scheme",
    "remote-user",
    "x-remote-user",
    "x-authenticated-user",
];

const HOP_CLAIM_PREFIXES: [&str; 2] = ["x-forwarded", "latchkey-"];

/// Fields that frame, route or authenticate a request. Spelled with `_` they mean
/// nothing to us and the same as with `-` to a server behind WSGI or CGI, where they
/// would stand beside the ones we set.
const NO_TWINS: [&str; 7] = [
    "authorization",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "transfer-encoding",
    "x-api-key",
];

/// The tokens of all `Connection` fields of a message.
pub fn connection_tokens(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|token| str::from_utf8(token).ok())
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

/// Whether any `Connection` field names `token`.
pub fn connection_names(headers: &HeaderMap, token: &str) -> bool {
    connection_tokens(headers).any(|named| named.eq_ignore_ascii_case(token))
}

/// Removes the fields that belong to one connection, and all that `Connection` names.
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let nominated: Vec<HeaderName> = connection_tokens(headers)
        .filter_map(|token| token.parse().ok())
        .collect();
    for name in nominated.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// Whether a field of this name is a hop's statement about the caller, in any spelling.
///
/// `_` counts as `-`: servers behind WSGI or CGI cannot tell the two apart.
pub fn is_hop_claim(name: &str) -> bool {
    let folded = fold(name);
    HOP_CLAIMS.contains(&folded.as_ref())
        || HOP_CLAIM_PREFIXES
            .iter()
            .any(|prefix| folded.starts_with(prefix))
}

/// Whether a field is another spelling of one that must not be there twice.
fn is_twin(name: &str) -> bool {
    name.contains('_') && NO_TWINS.contains(&fold(name).as_ref())
}

fn fold(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|b| b == b'_' || b.is_ascii_uppercase()) {
        name.to_ascii_lowercase().replace('_', "-").into()
    } else {
        name.into()
    }
}

/// Removes every field by which a caller could pretend to be one of our hops, or
/// smuggle a second value of a field past us.
pub fn remove_hop_claims(headers: &mut HeaderMap) {
    let claimed: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_hop_claim(name.as_str()) || is_twin(name.as_str()))
        .cloned()
        .collect();
    for name in claimed {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn map(fields: &[(&str, &str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| {
                let name: HeaderName = name.parse().unwrap();
                (name, HeaderValue::from_str(value).unwrap())
            })
            .collect()
    }

    #[test]
    fn fields_named_in_several_connection_fields_are_removed() {
        let mut headers = map(&[
            ("connection", "close, x-one"),
            ("connection", "X-Two,,"),
            ("x-one", "1"),
            ("x-two", "2"),
            ("x-three", "3"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
        ]);
        remove_hop_by_hop(&mut headers);
        assert_eq!(headers.len(), 1);
        assert!(headers.contains_key("x-three"));
    }

    #[test]
    fn hop_claims_are_removed_in_every_spelling() {
        for name in [
            "X-Forwarded-For",
            "x_forwarded_for",
            "X_Forwarded-Host",
            "x-forwarded-proto",
            "x-forwarded-server",
            "x-forwarded-prefix",
            "x-forwarded-port",
            "x-forwarded-protocol",
            "x-forwarded",
            "Forwarded",
            "X-Real-IP",
            "x_real_ip",
            "X-Scheme",
            "x-script-name",
            "X_Script_Name",
            "x-original-proto",
            "remote-user",
            "Remote_User",
            "X-Remote-User",
            "latchkey-caller",
            "Latchkey_Scheme",
        ] {
            let mut headers = map(&[(name, "1"), (name, "2"), ("x-api-key", "k")]);
            remove_hop_claims(&mut headers);
            assert_eq!(headers.len(), 1, "{name}");
        }
    }

    #[test]
    fn underscore_twins_of_fields_that_matter_are_removed() {
        let mut headers = map(&[
            ("x_api_key", "1"),
            ("X_Api-Key", "2"),
            ("content_length", "3"),
            ("x-api-key", "mine"),
            ("my_own_field", "4"),
        ]);
        remove_hop_claims(&mut headers);
        assert_eq!(headers.len(), 2);
        assert_eq!(headers["x-api-key"], "mine");
    }

    #[test]
    fn ordinary_fields_stay() {
        for name in [
            "x-api-key",
            "cookie",
            "origin",
            "x-csrf-token",
            "user-agent",
        ] {
            assert!(!is_hop_claim(name), "{name}");
        }
    }
}
