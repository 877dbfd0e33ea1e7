//! Errors of our own pages and APIs: a stable code, a sentence, a request id.
//!
//! Errors of traffic to printers are [`crate::error_page`]'s.

use askama::Template;
use axum::response::{IntoResponse, Response as AxumResponse};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{browser::wants_page, self_contained, shell::Place};

/// An error of one of our own APIs.
///
/// `error` is the sentence because that is where apps of this field look for
/// one; `code` is what programs compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub status: StatusCode,
    /// Stable, lower case, words joined by underscores.
    pub code: &'static str,
    /// What happened and what to do; no detail of ours in a 5xx.
    pub sentence: &'static str,
    /// Given with every 5xx, so that the operator finds the line in the log.
    pub request_id: Option<String>,
    /// Sent as `Retry-After`, in seconds.
    pub retry_after: Option<u32>,
}

/// An error as JSON.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// What happened and what to do, for people.
    error: String,
    /// For programs: lower case, words joined by underscores.
    code: String,
    /// By which an operator finds the line in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, sentence: &'static str) -> Self {
        Self {
            status,
            code,
            sentence,
            request_id: None,
            retry_after: None,
        }
    }

    /// A request that was refused for its form; `sentence` says what is wrong with it.
    pub fn malformed(status: StatusCode, sentence: &'static str) -> Self {
        Self::new(status, "malformed_request", sentence)
    }

    /// The usual code and sentence for a status.
    pub fn from_status(status: StatusCode) -> Self {
        let (code, sentence) = usual(status);
        Self::new(status, code, sentence)
    }

    #[must_use]
    pub fn request_id(mut self, id: &str) -> Self {
        self.request_id = Some(id.to_owned());
        self
    }

    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The JSON answer.
    pub fn json(&self) -> Response<Bytes> {
        let body = ProblemBody {
            error: self.sentence.to_owned(),
            code: self.code.to_owned(),
            request_id: self.request_id.clone(),
        };
        let body = serde_json::to_value(body).expect("plain data");
        self.finish(self_contained::json(self.status, &body))
    }

    /// The page, for a person at `place`; `home` is where the way out leads.
    pub fn page(&self, place: &Place, home: &str) -> Response<Bytes> {
        let page = ProblemPage {
            status: self.status.as_u16(),
            place,
            home,
            request_id: RequestId(self.request_id.as_deref().unwrap_or_default()),
        };
        let html = page.render().expect("templates write to memory");
        self.finish(self_contained::page(self.status, &html))
    }

    /// A page or JSON, by what the caller asked for.
    pub fn respond(
        &self,
        headers: &HeaderMap,
        method: &Method,
        place: &Place,
        home: &str,
    ) -> Response<Bytes> {
        if wants_page(headers, method) {
            self.page(place, home)
        } else {
            self.json()
        }
    }

    fn finish(&self, mut response: Response<Bytes>) -> Response<Bytes> {
        let fields = response.headers_mut();
        if let Some(seconds) = self.retry_after {
            fields.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(Ok(id)) = self.request_id.as_deref().map(HeaderValue::from_str) {
            fields.insert(HeaderName::from_static("latchkey-request-id"), id);
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> AxumResponse {
        self.json().map(axum::body::Body::from)
    }
}

/// Written into a page only when there is one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestId<'a>(pub(crate) &'a str);

impl RequestId<'_> {
    pub(crate) fn is_known(&self) -> bool {
        !self.0.is_empty()
    }
}

/// The host, and the port if it is unusual, of an address of ours.
pub(crate) fn bare_host(url: &str) -> &str {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    after_scheme.split('/').next().unwrap_or(after_scheme)
}

#[derive(Template)]
#[template(path = "problem/page.html")]
struct ProblemPage<'a> {
    status: u16,
    place: &'a Place,
    home: &'a str,
    request_id: RequestId<'a>,
}

fn usual(status: StatusCode) -> (&'static str, &'static str) {
    match status.as_u16() {
        400 => ("bad_request", "This request could not be understood."),
        401 => ("not_signed_in", "Sign in first."),
        403 => ("not_allowed", "You may not do this."),
        404 => ("not_found", "There is nothing at this address."),
        405 => (
            "method_not_allowed",
            "This address does not take that kind of request.",
        ),
        408 => (
            "too_slow",
            "What you sent came too slowly. Try again on a better connection.",
        ),
        409 => (
            "conflict",
            "Somebody changed this in the meantime. Look again.",
        ),
        413 => ("too_large", "What you sent is too large."),
        415 => (
            "unknown_media_type",
            "This kind of content is not understood here.",
        ),
        421 => ("misdirected", "This address does not lead anywhere here."),
        429 => ("too_many_requests", "That was too often. Wait a little."),
        431 => (
            "headers_too_large",
            "The header of this request is too large.",
        ),
        502 => (
            "upstream_failed",
            "The printer's own server did not answer properly.",
        ),
        503 => (
            "unavailable",
            "This is not available for the moment. Try again soon.",
        ),
        504 => (
            "upstream_timeout",
            "The printer's own server did not answer in time.",
        ),
        _ if status.is_client_error() => ("refused", "This request was refused."),
        _ => (
            "internal",
            "Something failed on our side. Try again in a moment.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODES: [u16; 16] = [
        400, 401, 403, 404, 405, 408, 409, 413, 415, 421, 429, 431, 500, 502, 503, 504,
    ];

    fn problem(code: u16) -> Problem {
        Problem::from_status(StatusCode::from_u16(code).unwrap())
    }

    #[test]
    fn body_has_a_code_and_a_sentence() {
        for code in CODES {
            let response = problem(code).request_id("r-1").json();
            assert_eq!(response.status().as_u16(), code);
            let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
            assert!(body["error"].as_str().unwrap().ends_with('.'));
            assert!(
                body["code"]
                    .as_str()
                    .unwrap()
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c == '_')
            );
            assert_eq!(body["request_id"], "r-1");
        }
    }

    #[test]
    fn codes_are_distinct() {
        let codes: std::collections::BTreeSet<_> = CODES.map(|code| problem(code).code).into();
        assert_eq!(codes.len(), CODES.len());
    }

    #[test]
    fn people_get_pages_and_programs_json() {
        let place = Place::host("octopi.local");
        let mut browser = HeaderMap::new();
        browser.insert(header::ACCEPT, HeaderValue::from_static("text/html"));
        for (headers, kind) in [
            (browser, "text/html; charset=utf-8"),
            (HeaderMap::new(), "application/json"),
        ] {
            let response = problem(503)
                .retry_after(5)
                .respond(&headers, &Method::GET, &place, "/");
            assert_eq!(response.headers()[header::CONTENT_TYPE], kind);
            assert_eq!(response.headers()[header::RETRY_AFTER], "5");
            assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        }
    }

    #[test]
    fn host_of_an_address_is_found() {
        assert_eq!(
            bare_host("https://relay.example.net/x/y"),
            "relay.example.net"
        );
        assert_eq!(bare_host("http://127.0.0.1:8080"), "127.0.0.1:8080");
        assert_eq!(bare_host("relay.example.net"), "relay.example.net");
    }
}
