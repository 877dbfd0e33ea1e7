//! Answers in the forms that clients of `OctoPrint` know.
//!
//! Errors are JSON with a sentence, JSON is indented with sorted members, and caching depends on
//! where a path is: `docs/reference/octoprint-compatibility.md`.

use axum::body::Body;
use axum::response::{IntoResponse, Redirect, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_TYPE, EXPIRES, PRAGMA, SET_COOKIE, VARY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use latchkey_store::StoreError;
use serde::Serialize;
use serde_json::Value;

/// Longest body of a request that the host answers itself.
pub(crate) const MAX_BODY: usize = 100 * 1024;

const X_ROBOTS_TAG: HeaderName = HeaderName::from_static("x-robots-tag");
const NEVER: &str = "no-store, no-cache, must-revalidate, post-check=0, pre-check=0, max-age=0";

/// JSON as `OctoPrint` prints it: indented by two, members sorted.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let mut value = serde_json::to_value(body).expect("answers are plain data");
    value.sort_all_objects();
    let mut text = serde_json::to_string_pretty(&value).expect("a value is printable");
    text.push('\n');
    let json = HeaderValue::from_static("application/json");
    (status, [(CONTENT_TYPE, json)], text).into_response()
}

/// An error with a sentence for whoever wrote the client.
pub(crate) fn error(status: StatusCode, sentence: &str) -> Response {
    json(status, &serde_json::json!({ "error": sentence }))
}

/// No route has this address.
pub(crate) fn nothing_here() -> Response {
    error(StatusCode::NOT_FOUND, "There is nothing at this address.")
}

/// A route has this address, and not for this method.
pub(crate) fn wrong_method() -> Response {
    let sentence = "This address does not take that method.";
    error(StatusCode::METHOD_NOT_ALLOWED, sentence)
}

/// Nobody is signed in, or nobody who is active.
pub(crate) fn sign_in_first() -> Response {
    error(
        StatusCode::FORBIDDEN,
        "This needs a person who is signed in, or an app's key.",
    )
}

/// The last proof of who the person is was too long ago.
pub(crate) fn prove_yourself() -> Response {
    json(
        StatusCode::FORBIDDEN,
        &serde_json::json!({
            "error": "Sign in once more: your password was asked for too long ago.",
            "code": "reauthenticate",
        }),
    )
}

/// The database failed. The log says why.
pub(crate) fn failed(failure: &StoreError) -> Response {
    tracing::error!(error = %failure, "the host's database failed");
    error(
        StatusCode::INTERNAL_SERVER_ERROR,
        "This host cannot use its database at present. Its log says why.",
    )
}

/// Done, and nothing to say.
pub(crate) fn no_content() -> Response {
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    (StatusCode::NO_CONTENT, [(CONTENT_TYPE, plain)]).into_response()
}

/// A 302, which is what browsers and apps know from `OctoPrint` where somebody has to sign in.
pub(crate) fn found(target: &str) -> Response {
    let mut answer = Redirect::to(target).into_response();
    *answer.status_mut() = StatusCode::FOUND;
    answer
}

/// An answer that sets cookies.
pub(crate) fn with_cookies<B>(
    mut answer: http::Response<B>,
    cookies: Vec<HeaderValue>,
) -> http::Response<B> {
    for cookie in cookies {
        answer.headers_mut().append(SET_COOKIE, cookie);
    }
    answer
}

/// A path with a query.
pub(crate) fn with_query(path: &str, pairs: &[(&str, &str)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs);
    format!("{path}?{}", query.finish())
}

/// Where an answer may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caching {
    /// Below `/api/`.
    Api,
    /// Below `/plugin/appkeys/`, but for the dialog; and where a method is not allowed.
    Plugin,
    /// Pages.
    Page,
}

/// Adds the fields that every answer of the host has at the contract's paths; a handler that
/// set its own keeps it.
pub(crate) fn finish(headers: &mut HeaderMap, method: &Method, caching: Caching) {
    let mut set = |name: HeaderName, value: &'static str| {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    };
    match (caching, method) {
        (Caching::Api, &Method::GET) => set(CACHE_CONTROL, "max-age=0"),
        (Caching::Plugin, &Method::POST) => set(CACHE_CONTROL, "no-cache"),
        (Caching::Plugin, _) => {}
        (Caching::Api | Caching::Page, _) => {
            set(CACHE_CONTROL, NEVER);
            set(PRAGMA, "no-cache");
            set(EXPIRES, "-1");
        }
    }
    set(X_ROBOTS_TAG, "noindex, nofollow, noimageindex");
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(X_FRAME_OPTIONS, "sameorigin");
    set(VARY, "Cookie");
}

/// Reads a JSON body: 415 for another kind of content, 400 for what cannot be read.
pub(crate) async fn read_json(request: Request<Body>) -> Result<Value, Response> {
    if !is_json(request.headers()) {
        return Err(error(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "The request needs the content type application/json.",
        ));
    }
    let bytes = read_body(request).await?;
    serde_json::from_slice(&bytes).map_err(|_| {
        error(
            StatusCode::BAD_REQUEST,
            "The request's body is not JSON that can be read.",
        )
    })
}

/// Like [`read_json`], for where only an object makes sense.
pub(crate) async fn read_object(
    request: Request<Body>,
) -> Result<serde_json::Map<String, Value>, Response> {
    match read_json(request).await? {
        Value::Object(members) => Ok(members),
        _ => Err(error(
            StatusCode::BAD_REQUEST,
            "The request's body needs to be a JSON object.",
        )),
    }
}

/// Reads a whole body of bounded length: 400 for a longer one.
pub(crate) async fn read_body(request: Request<Body>) -> Result<bytes::Bytes, Response> {
    let body = Limited::new(request.into_body(), MAX_BODY);
    match body.collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(cause) if cause.is::<LengthLimitError>() => Err(error(
            StatusCode::BAD_REQUEST,
            "The request's body is longer than 100 KB.",
        )),
        Err(_) => Err(error(
            StatusCode::BAD_REQUEST,
            "The request's body ended too early.",
        )),
    }
}

/// `application/json`, with or without parameters, and `application/*+json`.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let essence = essence(headers);
    essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// What browsers send of forms without files.
pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    essence(headers) == "application/x-www-form-urlencoded"
}

/// The kind of content without its parameters.
fn essence(headers: &HeaderMap) -> String {
    let kind = headers.get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

/// What counts as yes among the texts and values that clients send.
pub(crate) fn is_yes(value: &Value) -> bool {
    match value {
        Value::Bool(yes) => *yes,
        Value::String(text) => is_yes_text(text),
        Value::Number(number) => number.as_f64() == Some(1.0),
        _ => false,
    }
}

/// The same for the query.
pub(crate) fn is_yes_text(text: &str) -> bool {
    ["true", "yes", "y", "1"].contains(&text.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with_type(kind: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(kind) = kind {
            headers.insert(CONTENT_TYPE, kind.parse().unwrap());
        }
        headers
    }

    #[test]
    fn json_is_recognised_in_its_spellings() {
        for (kind, is) in [
            (Some("application/json"), true),
            (Some("Application/JSON; charset=utf-8"), true),
            (Some("application/vnd.api+json"), true),
            (Some("application/x-www-form-urlencoded"), false),
            (Some("text/json"), false),
            (Some(""), false),
            (None, false),
        ] {
            assert_eq!(is_json(&with_type(kind)), is, "{kind:?}");
        }
    }

    #[test]
    fn yes_is_said_in_many_ways_and_everything_else_is_no() {
        for yes in [
            json!(true),
            json!("true"),
            json!("True"),
            json!("TRUE"),
            json!("yes"),
            json!("y"),
            json!("1"),
            json!(1),
            json!(1.0),
        ] {
            assert!(is_yes(&yes), "{yes}");
        }
        for no in [
            json!(false),
            json!("on"),
            json!("t"),
            json!(2),
            json!("false"),
            json!(null),
            json!(""),
        ] {
            assert!(!is_yes(&no), "{no}");
        }
    }

    #[tokio::test]
    async fn bodies_are_read_within_bounds() {
        let ask = |kind: &str, body: Vec<u8>| {
            let request = Request::post("/").header(CONTENT_TYPE, kind);
            read_object(request.body(Body::from(body)).unwrap())
        };
        let status = |outcome: Result<_, Response>| outcome.map_err(|answer| answer.status());
        let json = "application/json";
        assert!(ask(json, b"{\"app\":\"x\"}".to_vec()).await.is_ok());
        for (kind, body, expected) in [
            (
                "text/plain",
                b"{}".to_vec(),
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ),
            (json, Vec::new(), StatusCode::BAD_REQUEST),
            (json, b"[\"app\"]".to_vec(), StatusCode::BAD_REQUEST),
            (json, b"{".to_vec(), StatusCode::BAD_REQUEST),
            (json, vec![b' '; MAX_BODY + 1], StatusCode::BAD_REQUEST),
        ] {
            assert_eq!(status(ask(kind, body).await), Err(expected), "{kind}");
        }
    }

    #[test]
    fn answers_are_cached_as_clients_expect() {
        for (caching, method, control) in [
            (Caching::Api, Method::GET, Some("max-age=0")),
            (Caching::Api, Method::POST, Some(NEVER)),
            (Caching::Api, Method::HEAD, Some(NEVER)),
            (Caching::Plugin, Method::GET, None),
            (Caching::Plugin, Method::PUT, None),
            (Caching::Plugin, Method::POST, Some("no-cache")),
            (Caching::Page, Method::GET, Some(NEVER)),
        ] {
            let mut headers = HeaderMap::new();
            finish(&mut headers, &method, caching);
            let found = headers
                .get(CACHE_CONTROL)
                .map(|value| value.to_str().unwrap());
            assert_eq!(found, control, "{caching:?} {method}");
            assert_eq!(headers[VARY], "Cookie");
        }
    }
}
