//! Answers of printers' servers that need not come through the tunnel again.
//!
//! Nothing is answered from here by itself. Each caller's request goes to the printer as ever, with
//! the question whether what the server says is still what is kept here; its server judges this
//! caller, and only if it says "not modified" do they get what is kept. Why that is safe, and what
//! is never kept: `docs/decisions/2026-11-26-less-over-the-uplink.md`.

mod entry;
mod rules;
mod shelves;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::{HeaderValue, IF_NONE_MATCH};
use http::{Request, Response};
use latchkey_model::id::PrinterId;
use latchkey_net::body::{self, Body};
use latchkey_net::tunnel::HostRun;
use latchkey_web::metrics::{Count, Gauge, Metrics};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::entry::{Copying, Entry, Kept};
use self::rules::{Key, Storable};
use self::shelves::{Draft, Shelves};
use crate::config::CacheBounds;

/// What nobody asked for in this time is forgotten.
const IDLE: Duration = Duration::from_hours(1);
const LOOK_EVERY: Duration = Duration::from_mins(1);

/// What is kept of answers. Clones share it.
#[derive(Clone)]
pub(crate) struct Cache(Arc<Shared>);

struct Shared {
    shelves: Mutex<Shelves>,
    counts: Counts,
}

/// For the metrics.
#[derive(Default)]
struct Counts {
    answers: Count,
    bytes: Count,
    /// Shared with all that is charged for.
    held: Gauge,
}

impl Cache {
    pub(crate) fn new(bounds: CacheBounds) -> Self {
        let counts = Counts::default();
        let shelves = Shelves::new(bounds, counts.held.clone());
        Self(Arc::new(Shared {
            shelves: Mutex::new(shelves),
            counts,
        }))
    }

    pub(crate) fn register(&self, metrics: &Metrics) {
        let counts = &self.0.counts;
        metrics.register(|registry| {
            registry.register(
                "cache_answers",
                "Answers whose body did not come through a tunnel again",
                counts.answers.clone(),
            );
            registry.register(
                "cache_answer_bytes",
                "Bytes of these bodies",
                counts.bytes.clone(),
            );
            registry.register(
                "cache_bytes",
                "Memory that kept answers take",
                counts.held.clone(),
            );
        });
    }

    /// Looks what is kept for a request to this printer, whose host runs as `run`. Nothing if the
    /// request is not one for which anything could be.
    pub(crate) fn look(
        &self,
        printer: &PrinterId,
        run: HostRun,
        request: &Request<Body>,
    ) -> Option<Asking> {
        let key = rules::key(run, request)?;
        let mut shelves = self.shelves();
        if !shelves.is_on() {
            return None;
        }
        let may_use = rules::may_be_answered(request.headers());
        let known = may_use
            .then(|| shelves.find(printer, &key, Instant::now()))
            .flatten();
        drop(shelves);
        Some(Asking {
            cache: self.clone(),
            printer: printer.clone(),
            key,
            known,
        })
    }

    /// Forgets all of a printer.
    pub(crate) fn forget(&self, printer: &PrinterId) {
        self.shelves().forget(printer);
    }

    /// Forgets what is idle, until stopped.
    pub(crate) async fn watch(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            self.shelves().forget_idle(Instant::now(), IDLE);
        }
    }

    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        self.0
            .shelves
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that goes to the printer, with what is kept for it.
pub(crate) struct Asking {
    cache: Cache,
    printer: PrinterId,
    key: Key,
    known: Option<Arc<Entry>>,
}

impl Asking {
    /// What the printer's server is to be asked along with the request: whether it is still this.
    pub(crate) fn condition(&self) -> Option<HeaderValue> {
        self.known.as_ref().map(|known| known.tag.clone())
    }

    /// The answer for a caller to whose request the server said that what is kept still holds.
    /// Nothing if it did not say so beyond doubt; then it is not asked in this way again.
    pub(crate) fn answer(&self, said: &Response<Body>) -> Option<Response<Body>> {
        let known = self.known.as_ref();
        let known = known.filter(|known| self.is_of_this_run(said) && known.is_meant(said));
        let Some(known) = known else {
            self.cache.shelves().doubt(&self.printer, &self.key);
            return None;
        };
        let counts = &self.cache.0.counts;
        counts.answers.inc();
        counts.bytes.inc_by(known.body.len() as u64);
        let mut answer = Response::new(body::boxed(Kept::new(Arc::clone(known))));
        *answer.headers_mut() = known.fields_with(said.headers());
        Some(answer)
    }

    /// Keeps a copy of an answer while it passes, if it is one to keep.
    pub(crate) fn keep(self, answer: Response<Body>) -> Response<Body> {
        let fits = self.is_of_this_run(&answer);
        let Some(storable) = Storable::of(&answer).filter(|_| fits) else {
            return answer;
        };
        let Some(draft) = self.draft(storable) else {
            return answer;
        };
        answer.map(|body| body::boxed(Copying::new(body, draft)))
    }

    fn draft(self, storable: Storable) -> Option<Draft> {
        let mut shelves = self.cache.shelves();
        let claim = shelves.claim(&self.printer, self.key, &storable)?;
        drop(shelves);
        Some(Draft::new(self.cache.clone(), claim, storable))
    }

    /// A host that was started anew may stand before another server.
    fn is_of_this_run(&self, answer: &Response<Body>) -> bool {
        answer.extensions().get::<HostRun>() == Some(&self.key.run)
    }
}

/// Adds the question to a request.
pub(crate) fn ask_whether(request: &mut Request<Body>, tag: HeaderValue) {
    request.headers_mut().insert(IF_NONE_MATCH, tag);
}
