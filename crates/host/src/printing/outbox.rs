//! What the relay has still to hear: the state now, and the newest events of this run.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use http_body_util::StreamBody;
use latchkey_model::clock::Clock;
use latchkey_model::printing::{Heats, News, PrinterEvent, PrinterState, Report, ReportedEvent};
use latchkey_net::body::{self, Body};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// Events that are kept for a relay that is away.
const MOST_KEPT: usize = 200;
/// So often at most the relay hears how the printer is.
const STATE_EVERY: Duration = Duration::from_secs(1);
/// A state that differs in heat by less than this (tenths of a degree) is told this much later.
const LITTLE_HEAT: u32 = 10;
const UNCHANGED_EVERY: Duration = Duration::from_secs(30);
/// A relay listens once to each tunnel, and there are two while a host moves.
const MOST_LISTENING: usize = 4;

/// What is kept for the relay.
pub(super) struct Outbox {
    kept: Arc<Mutex<Kept>>,
    /// The number of the newest event.
    newest: watch::Sender<u64>,
    state: watch::Sender<Option<PrinterState>>,
    listening: Arc<Semaphore>,
    clock: Arc<dyn Clock>,
    stopping: CancellationToken,
}

#[derive(Default)]
struct Kept {
    last: u64,
    events: VecDeque<ReportedEvent>,
}

impl Outbox {
    pub(super) fn new(clock: Arc<dyn Clock>, stopping: CancellationToken) -> Self {
        Self {
            kept: Arc::default(),
            newest: watch::Sender::new(0),
            state: watch::Sender::new(None),
            listening: Arc::new(Semaphore::new(MOST_LISTENING)),
            clock,
            stopping,
        }
    }

    /// Takes what happened, and how it is now.
    pub(super) fn put(&self, events: Vec<PrinterEvent>, state: PrinterState) {
        if !events.is_empty() {
            let mut kept = lock(&self.kept);
            for event in events {
                kept.last += 1;
                let number = kept.last;
                if kept.events.len() >= MOST_KEPT {
                    kept.events.pop_front();
                }
                kept.events.push_back(ReportedEvent { number, event });
            }
            self.newest.send_replace(kept.last);
        }
        self.state.send_replace(Some(state));
    }

    /// Forgets everything but how many events there were.
    pub(super) fn forget(&self) {
        lock(&self.kept).events.clear();
        self.state.send_replace(None);
    }

    /// Lines with everything after event number `after`, until nobody listens or the host stops.
    pub(super) fn tell(&self, after: u64) -> Option<Body> {
        let permit = Arc::clone(&self.listening).try_acquire_owned().ok()?;
        let telling = Telling {
            kept: Arc::clone(&self.kept),
            newest: self.newest.subscribe(),
            state: self.state.subscribe(),
            after,
            told: None,
            clock: Arc::clone(&self.clock),
            stopping: self.stopping.clone(),
            _permit: permit,
        };
        let lines = futures_util::stream::unfold(telling, |mut telling| async {
            let line = telling.next().await?;
            Some((Ok::<_, Infallible>(Frame::data(line)), telling))
        });
        Some(body::boxed(StreamBody::new(lines)))
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One who listens.
struct Telling {
    kept: Arc<Mutex<Kept>>,
    newest: watch::Receiver<u64>,
    state: watch::Receiver<Option<PrinterState>>,
    after: u64,
    /// The state told last, and when.
    told: Option<(Instant, PrinterState)>,
    clock: Arc<dyn Clock>,
    stopping: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

impl Telling {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            self.newest.borrow_and_update();
            if let Some(event) = self.next_event() {
                return Some(self.line(News::Event(event)));
            }
            let due = self.due();
            tokio::select! {
                biased;
                () = self.stopping.cancelled() => return None,
                changed = self.newest.changed() => changed.ok()?,
                () = until(due) => {
                    let state = self.state.borrow_and_update().clone();
                    if let Some(state) = state {
                        self.told = Some((Instant::now(), state.clone()));
                        return Some(self.line(News::State(state)));
                    }
                }
                changed = self.state.changed() => changed.ok()?,
            }
        }
    }

    fn next_event(&mut self) -> Option<ReportedEvent> {
        let kept = lock(&self.kept);
        let event = kept
            .events
            .iter()
            .find(|event| event.number > self.after)
            .cloned();
        drop(kept);
        self.after = event.as_ref().map_or(self.after, |event| event.number);
        event
    }

    /// When the state is to be told; never if there is nothing new.
    fn due(&self) -> Option<Instant> {
        let state = self.state.borrow();
        let state = state.as_ref()?;
        let Some((when, told)) = &self.told else {
            return Some(Instant::now());
        };
        if told == state {
            return None;
        }
        let wait = if differs(told, state) {
            STATE_EVERY
        } else {
            UNCHANGED_EVERY
        };
        Some(*when + wait)
    }

    fn line(&self, news: News) -> Bytes {
        let now = self.clock.now();
        let mut line = serde_json::to_vec(&Report { now, news }).unwrap_or_default();
        line.push(b'\n');
        line.into()
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Whether anybody would see a difference.
fn differs(told: &PrinterState, state: &PrinterState) -> bool {
    let plain = |state: &PrinterState| PrinterState {
        at: told.at,
        heat: Heats::default(),
        ..state.clone()
    };
    plain(told) != plain(state) || differs_in_heat(told.heat, state.heat)
}

fn differs_in_heat(told: Heats, now: Heats) -> bool {
    let pairs = [
        (told.nozzle, now.nozzle),
        (told.bed, now.bed),
        (told.chamber, now.chamber),
    ];
    pairs.iter().any(|pair| match pair {
        (Some(told), Some(now)) => {
            told.target != now.target || told.actual.abs_diff(now.actual) >= LITTLE_HEAT
        }
        (told, now) => told.is_some() != now.is_some(),
    })
}
