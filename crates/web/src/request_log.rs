//! One line in the log per request, written when its answer has really ended.
//!
//! The line is a documented interface: `docs/reference/log-lines.md`. A path,
//! a query, a header or a name from outside never gets into it, because nothing
//! here accepts one: what a line takes are numbers, ids of ours and fixed words.

use std::{
    fmt,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::extract::MatchedPath;
use http::{Method, StatusCode};
use http_body::Body;
use tokio::time::Instant;
use tracing::info;

use crate::metrics::{Class, Metrics};

mod body;

pub use body::{CountedBody, LoggedBody};

/// The line of one request, filled in as facts become known.
///
/// Dropped without an end, as when the caller goes away while we still wait for
/// the upstream, it is written with the outcome `cancelled`.
#[derive(Debug)]
pub struct RequestLine {
    request_id: String,
    method: &'static str,
    bodiless: bool,
    class: Class,
    route: Option<MatchedPath>,
    started: Instant,
    status: Option<u16>,
    received: ByteCount,
    sent: ByteCount,
    printer: Option<String>,
    app_connection: Option<String>,
    caller: Option<CallerPrefix>,
    failure: Option<Failure>,
    metrics: Option<Arc<Metrics>>,
    written: bool,
}

/// How an exchange ended, seen from us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The whole answer was handed over.
    Completed,
    /// The caller went away before.
    Cancelled,
    /// The answer broke off: see the failure, if one is known.
    Broken,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Broken => "broken",
        }
    }
}

/// Which side failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Caller,
    Tunnel,
    Upstream,
    Us,
}

/// Why a request failed: a side and a fixed word, never an error's own text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    pub side: Side,
    pub reason: &'static str,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = match self.side {
            Side::Caller => "caller",
            Side::Tunnel => "tunnel",
            Side::Upstream => "upstream",
            Side::Us => "us",
        };
        write!(f, "{side}.{}", self.reason)
    }
}

/// A caller's network: enough to see abuse, too little to single somebody out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallerPrefix(IpAddr);

impl From<IpAddr> for CallerPrefix {
    fn from(address: IpAddr) -> Self {
        Self(address.to_canonical())
    }
}

impl fmt::Display for CallerPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(v4) => {
                let [a, b, c, _] = v4.octets();
                write!(f, "{a}.{b}.{c}.0/24")
            }
            IpAddr::V6(v6) => {
                let [a, b, c, ..] = v6.segments();
                write!(f, "{a:x}:{b:x}:{c:x}::/48")
            }
        }
    }
}

/// Bytes counted in one place and read in another.
#[derive(Debug, Clone, Default)]
pub struct ByteCount(Arc<AtomicU64>);

impl ByteCount {
    pub fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl RequestLine {
    pub fn new(request_id: &str, method: &Method, class: Class) -> Self {
        Self {
            request_id: request_id.to_owned(),
            method: known_method(method),
            bodiless: method == Method::HEAD,
            class,
            route: None,
            started: Instant::now(),
            status: None,
            received: ByteCount::default(),
            sent: ByteCount::default(),
            printer: None,
            app_connection: None,
            caller: None,
            failure: None,
            metrics: None,
            written: false,
        }
    }

    /// Counts the request in the metrics from now on.
    #[must_use]
    pub fn metrics(mut self, metrics: Arc<Metrics>) -> Self {
        metrics.began(self.class);
        self.metrics = Some(metrics);
        self
    }

    /// Only the address's prefix is kept.
    #[must_use]
    pub fn caller(mut self, address: IpAddr) -> Self {
        self.caller = Some(address.into());
        self
    }

    /// The route's template, as in `/api/printers/{id}`; the type keeps paths out.
    pub fn set_route(&mut self, route: MatchedPath) {
        self.route = Some(route);
    }

    /// Our own id of the printer, not its name.
    pub fn set_printer(&mut self, id: impl fmt::Display) {
        self.printer = Some(id.to_string());
    }

    /// Our own id of the app connection, not its hostname.
    pub fn set_app_connection(&mut self, id: impl fmt::Display) {
        self.app_connection = Some(id.to_string());
    }

    pub fn set_status(&mut self, status: StatusCode) {
        self.status = Some(status.as_u16());
    }

    pub fn set_failure(&mut self, side: Side, reason: &'static str) {
        self.failure = Some(Failure { side, reason });
    }

    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// To be fed with what the caller sends; see [`CountedBody`].
    pub fn received(&self) -> ByteCount {
        self.received.clone()
    }

    /// To be fed with what the caller is sent, where [`LoggedBody`] does not see it:
    /// on an upgraded connection.
    pub fn sent(&self) -> ByteCount {
        self.sent.clone()
    }

    /// Takes the status of `response` and writes the line when its body ends.
    pub fn follow<B: Body>(mut self, response: http::Response<B>) -> http::Response<LoggedBody<B>> {
        self.set_status(response.status());
        response.map(|body| LoggedBody::new(body, self))
    }

    /// Writes the line now; for what has no body to follow, as an upgrade.
    pub fn finish(mut self, outcome: Outcome) {
        self.write(outcome);
    }

    fn write(&mut self, outcome: Outcome) {
        if std::mem::replace(&mut self.written, true) {
            return;
        }
        let took = self.started.elapsed();
        if let Some(metrics) = &self.metrics {
            metrics.ended(self.class, self.status, took);
            metrics.counted(self.class, self.received.get(), self.sent.get());
        }
        let message = self.message(outcome, took);
        info!(
            target: "latchkey::request",
            {
                request.id = self.request_id,
                request.method = self.method,
                request.class = self.class.as_str(),
                request.route = self.route.as_ref().map(MatchedPath::as_str),
                response.status = self.status,
                outcome = outcome.as_str(),
                duration_ms = millis(took),
                received.size_bytes = self.received.get(),
                sent.size_bytes = self.sent.get(),
                printer.id = self.printer.as_deref(),
                app_connection.id = self.app_connection.as_deref(),
                caller.address = self.caller.map(tracing::field::display),
                failure = self.failure.map(tracing::field::display),
            },
            "{message}",
        );
    }

    fn message(&self, outcome: Outcome, took: Duration) -> String {
        let (method, class, ms) = (self.method, self.class, millis(took));
        match (self.status, outcome) {
            (Some(status), Outcome::Completed) => {
                format!("{method} request ({class}) answered {status} in {ms} ms")
            }
            (Some(status), Outcome::Cancelled) => {
                format!("{method} request ({class}) answered {status}, caller left after {ms} ms")
            }
            (Some(status), Outcome::Broken) => {
                format!("{method} request ({class}) answered {status}, broke off after {ms} ms")
            }
            (None, _) => format!("{method} request ({class}) not answered, given up after {ms} ms"),
        }
    }
}

impl Drop for RequestLine {
    fn drop(&mut self) {
        self.write(Outcome::Cancelled);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A method is the caller's text too; only the known ones are written.
fn known_method(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] = [
        "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE",
    ];
    KNOWN
        .into_iter()
        .find(|known| *known == method.as_str())
        .unwrap_or("OTHER")
}

#[cfg(test)]
mod tests;
