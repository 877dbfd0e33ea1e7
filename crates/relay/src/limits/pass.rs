//! What one request is let through by, from its first byte to its last.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use latchkey_model::clock::Clock;
use latchkey_model::id::PrinterId;
use latchkey_model::limit::{Limit, Reached};
use latchkey_net::body::Body;
use latchkey_net::proxy::endless;
use latchkey_net::proxy::metered::{Verdict, metered};
use latchkey_net::proxy::throttle::throttled;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::book::{Book, Counts};
use super::webcam;
use crate::camera::Caps;
use crate::shares::Share;

/// How often the bytes of a socket are counted.
const SOCKET_EVERY: Duration = Duration::from_secs(1);

/// One open stream of an account; closed when this goes.
pub(crate) struct Pass {
    passing: Arc<Passing>,
    /// Its part of the relay, kept as long.
    share: Option<Share>,
}

/// What the parts of a request share.
pub(super) struct Passing {
    pub(super) book: Arc<Book>,
    pub(super) printer: PrinterId,
    pub(super) clock: Arc<dyn Clock>,
    tracker: TaskTracker,
    /// What stopped the request's body, if something did.
    reached: OnceLock<Reached>,
    stopped: CancellationToken,
}

impl Pass {
    pub(super) fn new(
        book: Arc<Book>,
        printer: PrinterId,
        clock: Arc<dyn Clock>,
        tracker: TaskTracker,
    ) -> Self {
        Self {
            passing: Arc::new(Passing {
                book,
                printer,
                clock,
                tracker,
                reached: OnceLock::new(),
                stopped: CancellationToken::new(),
            }),
            share: None,
        }
    }

    /// Keeps this part of the relay for as long as it is there itself.
    pub(crate) fn with(mut self, share: Share) -> Self {
        self.share = Some(share);
        self
    }

    /// Lets a request in whose body passes as far as the plan allows. Refused before a byte of it
    /// is read, and so before the caller is asked to go on with it, if its length is known.
    pub(crate) fn request(&self, request: Request<Body>) -> Result<Request<Body>, Reached> {
        let known = length(request.headers());
        if let Some(bytes) = known {
            self.passing.check(Limit::Upload, bytes)?;
        }
        let passing = Arc::clone(&self.passing);
        let mut passed = 0_u64;
        let meter = move |bytes| {
            passed = passed.saturating_add(bytes);
            match passing.piece(Limit::Upload, passed, bytes) {
                Ok(()) => Verdict::Pass,
                Err(reached) => {
                    passing.stop(reached);
                    Verdict::BreakOff(reached.into())
                }
            }
        };
        Ok(request.map(|body| self.passing.at_its_pace(metered(body, known, meter))))
    }

    /// How fast a webcam's picture may be shown, now and later.
    pub(crate) fn caps(&self) -> impl Fn() -> Caps + Send + Sync + 'static + use<> {
        let book = Arc::clone(&self.passing.book);
        move || {
            let counts = book.counts();
            Caps {
                frames_per_second: counts.plan().max_webcam_fps,
                bytes_per_second: counts.plan().max_webcam_bytes_per_second,
            }
        }
    }

    /// Waits until the request's body is stopped by a limit.
    pub(crate) async fn stopped(&self) -> Reached {
        self.passing.stopped.cancelled().await;
        let reached = self.passing.reached.get().copied();
        reached.unwrap_or(Reached::of(Limit::Upload))
    }

    /// Lets an answer out whose body passes as far as the plan allows. Refused before its first
    /// byte if its length is known; otherwise it breaks off at the limit. A webcam's picture ends.
    pub(crate) fn answer(
        self,
        method: &Method,
        response: Response<Body>,
    ) -> Result<Response<Body>, Reached> {
        if is_bodiless(method, response.status()) {
            return Ok(response.map(|body| self.hold(body)));
        }
        if let Some(share) = &self.share
            && endless::is_endless(response.headers())
        {
            share.lengthen();
        }
        if endless::is_webcam(response.headers()) {
            return self.webcam(response);
        }
        let known = length(response.headers());
        if let Some(bytes) = known {
            self.passing.check(Limit::Download, bytes)?;
        }
        let mut passed = 0_u64;
        let passing = Arc::clone(&self.passing);
        let meter = move |bytes| {
            passed = passed.saturating_add(bytes);
            match self.passing.piece(Limit::Download, passed, bytes) {
                Ok(()) => Verdict::Pass,
                Err(reached) => {
                    self.passing.tell(reached);
                    Verdict::BreakOff(reached.into())
                }
            }
        };
        Ok(response.map(|body| passing.at_its_pace(metered(body, known, meter))))
    }

    /// A picture is no file: its size is not limited, its time is.
    fn webcam(self, response: Response<Body>) -> Result<Response<Body>, Reached> {
        let ended = webcam::until_limit(&self.passing)?;
        let tracker = self.passing.tracker.clone();
        let passing = Arc::clone(&self.passing);
        let meter = move |bytes| {
            let now = self.passing.clock.now();
            match self.passing.book.counts().pass(bytes, now) {
                Ok(()) => Verdict::Pass,
                Err(_) => Verdict::End,
            }
        };
        Ok(response.map(|body| {
            let body = passing.at_its_pace(metered(body, None, meter));
            latchkey_net::proxy::cut::end_at_once(body, ended, &tracker)
        }))
    }

    /// Open until the body is over, which passes whatever it is.
    fn hold(self, body: Body) -> Body {
        metered(body, None, move |_| {
            let _ = &self;
            Verdict::Pass
        })
    }

    /// Counts what a socket moves from here on, as `bytes` tells. A socket is no file: only the
    /// month limits it.
    pub(crate) fn socket(self, bytes: impl Fn() -> u64 + Send + 'static) -> Socket {
        Socket {
            pass: self,
            bytes: Box::new(bytes),
            counted: 0,
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.passing.book.counts().close();
    }
}

impl Passing {
    /// Whether a body of this length may pass.
    fn check(&self, limit: Limit, bytes: u64) -> Result<(), Reached> {
        let mut counts = self.book.counts();
        within(limit, &counts, bytes)?;
        counts.room(bytes, self.clock.now())
    }

    /// Whether a piece of a body may pass, by which it has so many bytes; counts it then.
    fn piece(&self, limit: Limit, passed: u64, bytes: u64) -> Result<(), Reached> {
        let mut counts = self.book.counts();
        within(limit, &counts, passed)?;
        counts.pass(bytes, self.clock.now())
    }

    /// The body, as fast as the plan allows.
    fn at_its_pace(&self, body: Body) -> Body {
        if self.book.counts().plan().max_bytes_per_second.is_none() {
            return body;
        }
        let book = Arc::clone(&self.book);
        throttled(body, move |bytes| book.counts().pace(bytes))
    }

    fn stop(&self, reached: Reached) {
        self.tell(reached);
        let _ = self.reached.set(reached);
        self.stopped.cancel();
    }

    /// Says in the log what its caller sees only as an end.
    fn tell(&self, reached: Reached) {
        tracing::info!(
            account.id = %self.book.account,
            printer.id = %self.printer,
            limit.name = reached.limit.name(),
            "a transfer was stopped at a limit of the plan"
        );
    }
}

fn within(limit: Limit, counts: &Counts, bytes: u64) -> Result<(), Reached> {
    let most = match limit {
        Limit::Upload => counts.plan().max_upload_bytes,
        _ => counts.plan().max_download_bytes,
    };
    if most.is_some_and(|most| bytes > most) {
        return Err(Reached::of(limit));
    }
    Ok(())
}

/// A body's length, if its head tells it. The gate has seen to it that there is one at most.
fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Whether an answer has no body, whatever length it tells of.
fn is_bodiless(method: &Method, status: StatusCode) -> bool {
    method == Method::HEAD || matches!(status, StatusCode::NOT_MODIFIED | StatusCode::NO_CONTENT)
}

/// What a single picture is shown by.
pub(crate) struct PicturePass {
    book: Arc<Book>,
    clock: Arc<dyn Clock>,
}

impl PicturePass {
    pub(super) fn new(book: Arc<Book>, clock: Arc<dyn Clock>) -> Self {
        Self { book, clock }
    }

    /// Counts a picture of this length, which may be shown then.
    pub(crate) fn show(self, bytes: usize) -> Result<(), Reached> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.book.counts().pass(bytes, self.clock.now())
    }
}

/// A socket that is counted for as long as this is there.
pub(crate) struct Socket {
    pass: Pass,
    bytes: Box<dyn Fn() -> u64 + Send>,
    counted: u64,
}

impl Socket {
    /// Counts, until the bytes of the month are used up.
    pub(crate) async fn used_up(&mut self) {
        loop {
            tokio::time::sleep(SOCKET_EVERY).await;
            if self.count() {
                self.pass.passing.tell(Reached::of(Limit::Month));
                return;
            }
        }
    }

    /// Whether the bytes of the month are used up.
    fn count(&mut self) -> bool {
        let total = (self.bytes)();
        let moved = total.saturating_sub(self.counted);
        self.counted = total;
        let now = self.pass.passing.clock.now();
        let mut counts = self.pass.passing.book.counts();
        counts.note(moved, now);
        // What has passed waits no more, but others wait for it.
        counts.pace(moved);
        counts.room(0, now).is_err()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.count();
    }
}
