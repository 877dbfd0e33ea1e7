//! For which requests something may be kept, and which answers.

use http::header::{
    ACCEPT_ENCODING, ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, AGE,
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, DATE, ETAG, EXPECT, HeaderName,
    HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, PRAGMA,
    RANGE, SET_COOKIE, TRAILER, VARY, WWW_AUTHENTICATE,
};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use hyper::body::Body as _;
use latchkey_net::body::Body;
use latchkey_net::tunnel::HostRun;

use crate::limits::asks_for_webcam;

/// Smaller bodies cost as much as the question whether they have changed.
const SMALLEST: usize = 1024;
/// A larger one would push everything else of its printer out.
const LARGEST: usize = 4 * 1024 * 1024;
/// Longest address that is kept, with the field that goes with it.
const LONGEST_KEY: usize = 4 * 1024;
/// Most that is kept of an answer's fields.
const MOST_FIELDS: usize = 8 * 1024;

/// Fields of a request that make it a question of its own.
const CONDITIONS: [HeaderName; 4] = [
    IF_NONE_MATCH,
    IF_MODIFIED_SINCE,
    IF_MATCH,
    IF_UNMODIFIED_SINCE,
];

/// What an answer is kept under, beside its printer.
///
/// A tag means something within one address only, scheme and host included: so nothing that was
/// sent to one app connection's hostname is ever used for another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) run: HostRun,
    authority: String,
    target: String,
    accept_encoding: Vec<HeaderValue>,
}

impl Key {
    pub(super) fn size(&self) -> usize {
        let codings = self.accept_encoding.iter().map(HeaderValue::len);
        self.authority.len() + self.target.len() + codings.sum::<usize>()
    }
}

/// What an answer to a request is kept under; nothing if it cannot be kept.
pub(super) fn key(run: HostRun, request: &Request<Body>) -> Option<Key> {
    let (uri, fields) = (request.uri(), request.headers());
    let asks_for_part = [RANGE, IF_RANGE, EXPECT]
        .iter()
        .any(|name| fields.contains_key(name));
    let is_plain = request.method() == Method::GET && request.body().is_end_stream();
    if !is_plain || asks_for_part || says(fields, &CACHE_CONTROL, "no-store") {
        return None;
    }
    // What a camera shows is never kept.
    if asks_for_webcam(uri) {
        return None;
    }
    let key = Key {
        run,
        authority: uri.authority()?.as_str().to_owned(),
        target: uri.path_and_query()?.as_str().to_owned(),
        accept_encoding: fields.get_all(ACCEPT_ENCODING).iter().cloned().collect(),
    };
    (key.size() <= LONGEST_KEY).then_some(key)
}

/// Whether a request may be answered with what is kept, once the server has said that it holds. A
/// caller's own condition is theirs; and one who wants everything anew gets everything anew.
pub(super) fn may_be_answered(fields: &HeaderMap) -> bool {
    !CONDITIONS.iter().any(|name| fields.contains_key(name))
        && !says(fields, &CACHE_CONTROL, "no-cache")
        && !says(fields, &PRAGMA, "no-cache")
}

/// What is kept of an answer, but for its body.
pub(super) struct Storable {
    pub(super) tag: HeaderValue,
    pub(super) fields: HeaderMap,
    pub(super) length: usize,
}

impl Storable {
    /// Nothing if the answer is not one to keep.
    pub(super) fn of(answer: &Response<Body>) -> Option<Self> {
        let fields = answer.headers();
        let length = single(fields, &CONTENT_LENGTH)?.to_str().ok()?;
        let length: usize = length.parse().ok()?;
        let tag = single(fields, &ETAG).filter(|tag| is_strong(tag))?;
        let is_whole = answer.status() == StatusCode::OK && !fields.contains_key(CONTENT_RANGE);
        let fits = (SMALLEST..=LARGEST).contains(&length) && size(fields) <= MOST_FIELDS;
        let is_for_all = is_part_of_a_page(fields) && !is_for_one(fields) && !varies(fields);
        if !is_whole || !fits || !is_for_all {
            return None;
        }
        let mut kept = fields.clone();
        for name in [DATE, AGE] {
            kept.remove(name);
        }
        Some(Self {
            tag: tag.clone(),
            fields: kept,
            length,
        })
    }

    pub(super) fn size(&self) -> usize {
        self.length + size(&self.fields)
    }
}

/// Whether an answer is what pages are made of: scripts, styles, fonts and drawings, which a server
/// has for everybody or not at all. What is about somebody, pages and data, is not kept: there are
/// servers whose tag stays the same though they show one caller more than another.
fn is_part_of_a_page(fields: &HeaderMap) -> bool {
    let kind = single(fields, &CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next();
    let kind = kind.unwrap_or_default().trim().to_ascii_lowercase();
    kind.starts_with("font/")
        || matches!(
            kind.as_str(),
            "text/css"
                | "text/javascript"
                | "application/javascript"
                | "application/x-javascript"
                | "application/ecmascript"
                | "application/wasm"
                | "application/font-woff"
                | "application/x-font-woff"
                | "application/font-woff2"
                | "application/vnd.ms-fontobject"
                | "image/svg+xml"
        )
}

/// Whether an answer says, or shows, that it is meant for whoever asked alone.
fn is_for_one(fields: &HeaderMap) -> bool {
    let for_one = [
        SET_COOKIE,
        WWW_AUTHENTICATE,
        ACCESS_CONTROL_ALLOW_CREDENTIALS,
        TRAILER,
    ];
    let mut origins = fields.get_all(ACCESS_CONTROL_ALLOW_ORIGIN).iter();
    for_one.iter().any(|name| fields.contains_key(name))
        || origins.any(|origin| origin != "*")
        || says(fields, &CACHE_CONTROL, "no-store")
        || says(fields, &CACHE_CONTROL, "private")
}

/// Whether an answer depends on more than what it is kept under.
fn varies(fields: &HeaderMap) -> bool {
    fields.get_all(VARY).iter().any(|value| {
        value.to_str().map_or(true, |list| {
            list.split(',')
                .any(|name| !name.trim().eq_ignore_ascii_case("accept-encoding"))
        })
    })
}

/// Whether a field has this word in its list, whatever stands beside or behind it.
fn says(fields: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    fields.get_all(name).iter().any(|value| {
        // What cannot be read may say anything.
        value.to_str().map_or(true, |list| {
            list.split(',').any(|directive| {
                let named = directive.split('=').next().unwrap_or_default();
                named.trim().eq_ignore_ascii_case(word)
            })
        })
    })
}

/// Whether a tag stands for the very bytes (RFC 9110 section 8.8.1).
fn is_strong(tag: &HeaderValue) -> bool {
    let inner = tag
        .as_bytes()
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""));
    inner.is_some_and(|inner| inner.iter().all(|byte| *byte > b' ' && *byte != b'"'))
}

/// The one value of a field.
pub(super) fn single<'f>(fields: &'f HeaderMap, name: &HeaderName) -> Option<&'f HeaderValue> {
    let mut values = fields.get_all(name).iter();
    let first = values.next()?;
    values.next().is_none().then_some(first)
}

/// What fields take in memory, about.
fn size(fields: &HeaderMap) -> usize {
    let each = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 64;
    fields.iter().map(each).sum()
}
