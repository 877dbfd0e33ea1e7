//! What a caller gets when a request on an app connection cannot be answered.
//!
//! Apps get the envelope they know, people get a page. The page brings its own
//! style and pictures along: on a connection's hostname every path belongs to
//! the printer, `/latchkey/assets` included.

use askama::Template as _;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
pub use latchkey_model::relay_status::RelayStatus;
use serde_json::{Value, json};

use crate::{
    browser::wants_page,
    moment::Moment,
    problem::{RequestId, bare_host},
    self_contained,
};

mod pages;

use pages::EdgePage;

/// Seconds after which a page about something temporary asks again by itself.
const RETRY_SECONDS: u32 = 30;

/// Everything a refused or failed request on a connection's hostname may tell.
#[derive(Debug, Clone)]
pub struct RelayProblem {
    pub status: RelayStatus,
    /// Only for a signed-in owner; everybody else reads "the printer".
    pub printer_name: Option<String>,
    /// When the host was last heard from; shown with 601 only.
    pub last_seen: Option<Moment>,
    /// The relay's own web address, where printers are managed.
    pub relay_url: String,
    pub request_id: String,
    /// What it is about, where more is known than the status says; apps show it.
    pub sentence: Option<&'static str>,
    /// Whether it is a limit of the owner's plan that does not pass within seconds.
    pub is_limit: bool,
}

impl RelayProblem {
    pub fn new(status: RelayStatus, relay_url: &str, request_id: &str) -> Self {
        Self {
            status,
            printer_name: None,
            last_seen: None,
            relay_url: relay_url.to_owned(),
            request_id: request_id.to_owned(),
            sentence: None,
            is_limit: false,
        }
    }
}

/// The answer, as a page or as the envelope, by what the caller asked for.
pub fn respond(problem: &RelayProblem, headers: &HeaderMap, method: &Method) -> Response<Bytes> {
    let code = problem.status.code();
    let status = StatusCode::from_u16(code).expect("600 to 613 are three digits");
    let mut response = if wants_page(headers, method) {
        let repeats = problem.status.may_pass_soon()
            && !problem.is_limit
            && (method == Method::GET || method == Method::HEAD);
        let mut response = self_contained::page(status, &page(problem));
        if repeats {
            response
                .headers_mut()
                .insert(header::REFRESH, HeaderValue::from(RETRY_SECONDS));
        }
        response
    } else {
        self_contained::json(
            status,
            &envelope(
                code,
                problem.sentence.unwrap_or(problem.status.meaning()),
                problem.status.is_user_error(),
            ),
        )
    };
    finish(&mut response, &problem.request_id);
    response
}

/// The answer on a hostname this relay knows nothing of: 421.
///
/// It must not be told apart by who asks, so it takes no facts but our own address.
pub fn misdirected(
    relay_url: &str,
    request_id: &str,
    headers: &HeaderMap,
    method: &Method,
) -> Response<Bytes> {
    let status = StatusCode::MISDIRECTED_REQUEST;
    let mut response = if wants_page(headers, method) {
        let view = View::new(relay_url, request_id);
        let page = EdgePage::Misdirected { p: view };
        self_contained::page(status, &page.render().expect("templates write to memory"))
    } else {
        let sentence = "This address does not lead to a printer here.";
        self_contained::json(status, &envelope(status.as_u16(), sentence, true))
    };
    finish(&mut response, request_id);
    response
}

/// The body apps know: four members, `Result` always null in an error.
fn envelope(code: u16, sentence: &str, is_user_error: bool) -> Value {
    json!({ "Status": code, "Error": sentence, "IsUserError": is_user_error, "Result": null })
}

/// Whether its page may say which printer this is, to somebody who may know.
///
/// The destructive ones are shown to anybody who types an address.
fn may_name_printer(status: RelayStatus) -> bool {
    !status.is_destructive()
}

/// Fields every answer of the edge carries, so that apps in browsers can read it.
fn finish(response: &mut Response<Bytes>, request_id: &str) {
    let fields = response.headers_mut();
    fields.insert(
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
    fields.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("Latchkey-Request-Id, Retry-After"),
    );
    if let Ok(value) = HeaderValue::from_str(request_id) {
        fields.insert(HeaderName::from_static("latchkey-request-id"), value);
    }
}

/// What the templates of the edge are given.
#[derive(Debug)]
pub(crate) struct View<'a> {
    pub(crate) printer: Option<&'a str>,
    pub(crate) since: Option<Since>,
    pub(crate) relay_host: &'a str,
    pub(crate) relay_url: Option<&'a str>,
    pub(crate) request_id: RequestId<'a>,
    pub(crate) sentence: Option<&'a str>,
    pub(crate) is_limit: bool,
}

/// How long the host has been silent, in words and exactly.
#[derive(Debug)]
pub(crate) struct Since {
    pub(crate) span: String,
    /// The same, beside the printer in the head.
    pub(crate) note: String,
    pub(crate) exact: String,
}

impl From<Moment> for Since {
    fn from(moment: Moment) -> Self {
        let span = moment.span();
        Self {
            note: format!("last seen {span} ago"),
            exact: moment.exact(),
            span,
        }
    }
}

impl<'a> View<'a> {
    pub(crate) fn new(relay_url: &'a str, request_id: &'a str) -> Self {
        Self {
            printer: None,
            since: None,
            relay_host: bare_host(relay_url),
            // Any other scheme would be a link that runs something.
            relay_url: ["https://", "http://"]
                .iter()
                .any(|s| relay_url.starts_with(s))
                .then_some(relay_url),
            request_id: RequestId(request_id),
            sentence: None,
            is_limit: false,
        }
    }
}

fn page(problem: &RelayProblem) -> String {
    let mut view = View::new(&problem.relay_url, &problem.request_id);
    if may_name_printer(problem.status) {
        view.printer = problem.printer_name.as_deref();
        view.since = problem.last_seen.map(Since::from);
    }
    view.sentence = problem.sentence;
    view.is_limit = problem.is_limit;
    let page = EdgePage::about(problem.status, view);
    page.render().expect("templates write to memory")
}

#[cfg(test)]
mod tests;
