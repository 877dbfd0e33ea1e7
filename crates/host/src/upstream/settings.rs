//! `OctoPrint`'s settings, as somebody who is no administrator may see them.
//!
//! The host usually asks with an administrator's key. To that `OctoPrint` shows its global key,
//! and what plugins hide from everybody else (1.11.8). So the answer is read and blanked.

use std::time::Duration;

use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, ETAG, HeaderMap, IF_MATCH,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, LAST_MODIFIED, RANGE,
};
use http::{HeaderValue, Response};
use latchkey_net::body::{self, Body};
use serde_json::Value;

use super::refusals;

/// Far more than plugins make of it; 20 KB without any.
const LONGEST: usize = 4 * 1024 * 1024;

/// Makes the answer one that can be read: whole, uncompressed, and not the copy of a browser
/// in which an administrator was signed in before.
pub(super) fn ask_readably(headers: &mut HeaderMap) {
    for name in [
        RANGE,
        IF_RANGE,
        IF_MATCH,
        IF_NONE_MATCH,
        IF_MODIFIED_SINCE,
        IF_UNMODIFIED_SINCE,
    ] {
        headers.remove(name);
    }
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
}

/// The answer without secrets; 502 instead of one that cannot be read within `limit`.
pub(super) async fn blanked(
    response: Response<Body>,
    is_head: bool,
    limit: Duration,
) -> Response<Body> {
    if !response.status().is_success() {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let compressed = parts
        .headers
        .get(CONTENT_ENCODING)
        .is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    for name in [CONTENT_LENGTH, ETAG, LAST_MODIFIED] {
        parts.headers.remove(name);
    }
    let private = HeaderValue::from_static("no-store");
    parts.headers.insert(CACHE_CONTROL, private);
    if is_head {
        return Response::from_parts(parts, body::empty());
    }
    if compressed {
        return refusals::unreadable_settings();
    }
    let whole = body::read_up_to(LONGEST, body);
    let Ok(Ok(whole)) = tokio::time::timeout(limit, whole).await else {
        return refusals::unreadable_settings();
    };
    let Ok(mut settings) = serde_json::from_slice(&whole) else {
        return refusals::unreadable_settings();
    };
    blank(&mut settings, "", false);
    let text = serde_json::to_vec_pretty(&settings).expect("a value is printable");
    Response::from_parts(parts, body::full(text))
}

/// Blanks what its name, or that of something around it, says is secret.
fn blank(value: &mut Value, name: &str, secret: bool) {
    let secret = secret || is_secret(name);
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                blank(member, name, secret);
            }
        }
        Value::Array(items) => {
            for item in items {
                blank(item, name, secret);
            }
        }
        Value::String(text) if secret || (has_password(text) && !is_stream(name)) => {
            *value = Value::Null;
        }
        Value::Number(_) if secret => *value = Value::Null,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Whether a word of a name means a secret: `api.key`, `accessKey`, `bot_token`, `PASSWORD2`.
fn is_secret(name: &str) -> bool {
    words(name).iter().any(|word| {
        let word = word.trim_end_matches(|digit: char| digit.is_ascii_digit());
        let word = word.strip_suffix('s').unwrap_or(word);
        matches!(
            word,
            "pas" | "pass" | "pin" | "pwd" | "passwd" | "credential"
        ) || [
            "key",
            "token",
            "secret",
            "password",
            "passcode",
            "passphrase",
        ]
        .iter()
        .any(|end| word.ends_with(end))
    })
}

/// The words of a name, in lower case.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for character in name.chars() {
        if !character.is_alphanumeric() || (after_lower && character.is_uppercase()) {
            words.push(String::new());
        }
        after_lower = character.is_lowercase();
        if character.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(character.to_lowercase());
        }
    }
    words
}

/// Whether a text is an address with a password in it.
fn has_password(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority
        .rsplit_once('@')
        .is_some_and(|(user, _)| user.contains(':'))
}

/// `OctoPrint` shows everybody who may look at the camera where its picture comes from.
fn is_stream(name: &str) -> bool {
    words(name).iter().any(|word| word == "stream")
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use bytes::Bytes;
    use http::StatusCode;
    use http_body::Frame;
    use http_body_util::BodyExt;
    use latchkey_net::body::BodyError;
    use serde_json::json;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    async fn read(response: Response<Body>) -> Value {
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice(&bytes).unwrap()
    }

    struct Silent;

    impl http_body::Body for Silent {
        type Data = Bytes;
        type Error = BodyError;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
            Poll::Pending
        }
    }

    fn answer(body: impl Into<Bytes>) -> Response<Body> {
        Response::new(body::full(body))
    }

    #[tokio::test]
    async fn secrets_are_blank_and_the_rest_stays() {
        let settings = json!({
            "api": {"key": "planted", "allowCrossOrigin": true},
            "feature": {"keyboardControl": true, "sdSupport": false},
            "plugins": {
                "discovery": {"upnpUuid": "u", "httpPassword": "planted", "httpUsername": null},
                "telegram": {"bot_token": "planted", "tokens": ["planted", {"a": "planted"}], "sendKey": true},
                "cloud": {"printerKey": "planted", "accessKey2": 4711, "APIKey": "planted", "apikey": "planted"},
                "lock": {"PIN": 1234, "pinnedExtruders": 2, "passcode": "planted", "user_pass": "planted"},
                "mqtt": {"credentials": {"user": "planted", "port": 1883}},
                "camera": {"snapshot": "http://a:planted@cam/x", "streamUrl": "http://a:b@cam/y", "ratio": "16:9"},
            },
            "webcam": {"streamUrl": "/webcam/?action=stream", "bitrate": "10000k"},
        });
        let mut response = answer(settings.to_string());
        let headers = response.headers_mut();
        headers.insert(ETAG, HeaderValue::from_static("\"a\""));
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("5"));
        let response = blanked(response, false, LIMIT).await;
        assert!(!response.headers().contains_key(ETAG));
        assert!(!response.headers().contains_key(CONTENT_LENGTH));
        let seen = read(response).await;
        assert!(!seen.to_string().contains("planted"), "{seen:#}");
        assert_eq!(seen["api"], json!({"key": null, "allowCrossOrigin": true}));
        assert_eq!(seen["feature"], settings["feature"]);
        assert_eq!(seen["webcam"], settings["webcam"]);
        assert_eq!(seen["plugins"]["discovery"]["upnpUuid"], "u");
        assert_eq!(seen["plugins"]["telegram"]["sendKey"], true);
        assert_eq!(seen["plugins"]["lock"]["pinnedExtruders"], 2);
        assert_eq!(seen["plugins"]["lock"]["PIN"], Value::Null);
        assert_eq!(seen["plugins"]["cloud"]["accessKey2"], Value::Null);
        assert_eq!(seen["plugins"]["camera"]["streamUrl"], "http://a:b@cam/y");
        assert_eq!(seen["plugins"]["camera"]["ratio"], "16:9");
    }

    #[tokio::test]
    async fn settings_that_cannot_be_read_are_not_passed_on() {
        let mut compressed = answer("{}");
        let gzip = HeaderValue::from_static("gzip");
        compressed.headers_mut().insert(CONTENT_ENCODING, gzip);
        let too_long = format!("\"{}\"", "x".repeat(LONGEST));
        let silent = Response::new(body::boxed(Silent));
        for (unreadable, limit) in [
            (answer("<html>planted"), LIMIT),
            (answer(""), LIMIT),
            (answer(too_long), LIMIT),
            (compressed, LIMIT),
            (silent, Duration::ZERO),
        ] {
            let response = blanked(unreadable, false, limit).await;
            assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
            assert!(read(response).await["error"].is_string());
        }
    }

    #[tokio::test]
    async fn refusals_and_heads_pass() {
        let mut refused = answer("no");
        *refused.status_mut() = StatusCode::FORBIDDEN;
        let response = blanked(refused, false, LIMIT).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        let response = blanked(answer(""), true, LIMIT).await;
        assert_eq!(response.status(), StatusCode::OK);
    }
}
