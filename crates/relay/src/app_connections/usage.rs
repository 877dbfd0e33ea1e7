//! Counting what app connections are used for, without a write for each request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use latchkey_model::clock::{Clock, Timestamp};
use latchkey_model::id::AppConnectionId;
use latchkey_store::RelayStore;
use latchkey_store::relay::Use;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How long a use may stay unwritten.
const PERIOD: Duration = Duration::from_secs(5);
/// With so many app connections to write for, it is not waited for the end of the period.
const MANY: usize = 1024;
/// App connections with something to write. At more, the use of others is not counted while
/// writing fails; what goes on counts for itself until it ends.
const MOST: usize = 16 * MANY;

/// Uses that are not written yet. Clones share them.
#[derive(Clone)]
pub(crate) struct Usage(Arc<Shared>);

struct Shared {
    unwritten: Mutex<Unwritten>,
    full: Notify,
    store: RelayStore,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct Unwritten {
    uses: HashMap<AppConnectionId, Use>,
    running: HashMap<u64, Meter>,
    next: u64,
}

/// What goes on, and how much of it is counted. As many as requests and sockets are open.
struct Meter {
    id: AppConnectionId,
    read: Box<dyn Fn() -> u64 + Send + Sync>,
    counted: u64,
}

/// Held while something goes on; then the rest of it is counted.
pub(crate) struct Running {
    usage: Usage,
    key: u64,
}

impl Usage {
    pub(crate) fn new(store: RelayStore, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Shared {
            unwritten: Mutex::default(),
            full: Notify::new(),
            store,
            clock,
        }))
    }

    /// Notes a request, and follows the bytes that it moves.
    pub(crate) fn begin(
        &self,
        id: &AppConnectionId,
        bytes: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Running {
        self.note(id, 1, 0);
        self.follow(id, bytes)
    }

    /// Follows the bytes of what a request has become.
    pub(crate) fn follow(
        &self,
        id: &AppConnectionId,
        bytes: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Running {
        let mut unwritten = self.lock();
        let key = unwritten.next;
        unwritten.next += 1;
        let meter = Meter {
            id: id.clone(),
            read: Box::new(bytes),
            counted: 0,
        };
        unwritten.running.insert(key, meter);
        Running {
            usage: self.clone(),
            key,
        }
    }

    fn note(&self, id: &AppConnectionId, requests: u64, bytes: u64) {
        let now = self.0.clock.now();
        let mut unwritten = self.lock();
        unwritten.add(id, now, requests, bytes);
        if unwritten.uses.len() >= MANY {
            self.0.full.notify_one();
        }
    }

    /// Writes what was noted. What cannot be written is kept for the next time.
    pub(crate) async fn write(&self) {
        let uses = self.lock().take(self.0.clock.now());
        if uses.is_empty() {
            return;
        }
        if let Err(error) = self.0.store.app_connections().mark_used(&uses).await {
            tracing::warn!(%error, "the use of app connections could not be noted; it is tried again");
            let mut unwritten = self.lock();
            for older in uses {
                unwritten.add(&older.id, older.at, older.requests, older.bytes);
            }
        }
    }

    /// Writes now and then until stopped. Whoever stops writes once more, after the last request.
    pub(crate) async fn watch(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(PERIOD) => {}
                () = self.0.full.notified() => {}
                () = stop.cancelled() => return,
            }
            self.write().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Unwritten> {
        self.0
            .unwritten
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Unwritten {
    fn add(&mut self, id: &AppConnectionId, at: Timestamp, requests: u64, bytes: u64) {
        if self.uses.len() >= MOST && !self.uses.contains_key(id) {
            return;
        }
        self.grow(id, at, requests, bytes);
    }

    /// The same, whether there is room or not.
    fn grow(&mut self, id: &AppConnectionId, at: Timestamp, requests: u64, bytes: u64) {
        let used = self.uses.entry(id.clone()).or_insert_with(|| Use {
            id: id.clone(),
            at,
            requests: 0,
            bytes: 0,
        });
        used.at = used.at.max(at);
        used.requests = used.requests.saturating_add(requests);
        used.bytes = used.bytes.saturating_add(bytes);
    }

    /// Takes all, with what is going on up to now.
    fn take(&mut self, now: Timestamp) -> Vec<Use> {
        let moved: Vec<_> = self
            .running
            .values_mut()
            .filter_map(|meter| meter.advance().map(|bytes| (meter.id.clone(), bytes)))
            .collect();
        // All of it goes out now, so it needs no room here.
        for (id, bytes) in moved {
            self.grow(&id, now, 0, bytes);
        }
        std::mem::take(&mut self.uses).into_values().collect()
    }
}

impl Meter {
    /// What was moved since the last time, if anything was.
    fn advance(&mut self) -> Option<u64> {
        let total = (self.read)();
        let moved = total.saturating_sub(self.counted);
        self.counted = total;
        (moved > 0).then_some(moved)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let now = self.usage.0.clock.now();
        let mut unwritten = self.usage.lock();
        let Some(mut meter) = unwritten.running.remove(&self.key) else {
            return;
        };
        if let Some(bytes) = meter.advance() {
            unwritten.add(&meter.id, now, 0, bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use futures_util::FutureExt as _;
    use latchkey_model::chance::SeededChance;
    use latchkey_model::clock::FixedClock;

    use super::*;

    async fn usage() -> (Usage, Arc<FixedClock>) {
        let store = RelayStore::open_in_memory().await.unwrap();
        let clock = Arc::new(FixedClock::new(Timestamp::from_millis(1_000)));
        let as_clock: Arc<dyn Clock> = Arc::clone(&clock) as _;
        (Usage::new(store, as_clock), clock)
    }

    #[tokio::test]
    async fn what_goes_on_is_counted_while_it_does_and_once() {
        let (usage, clock) = usage().await;
        let id = AppConnectionId::generate(&SeededChance::new(1));
        let moved = Arc::new(AtomicU64::new(7));
        let count = Arc::clone(&moved);
        let running = usage.begin(&id, move || count.load(Ordering::Relaxed));
        let take = || usage.lock().take(clock.now());
        let first = take();
        assert_eq!((first[0].requests, first[0].bytes), (1, 7));
        assert!(take().is_empty(), "nothing has moved since");
        moved.store(10, Ordering::Relaxed);
        clock.set(Timestamp::from_millis(9_000));
        let later = take();
        assert_eq!((later[0].requests, later[0].bytes), (0, 3));
        assert_eq!(later[0].at, Timestamp::from_millis(9_000));
        moved.store(15, Ordering::Relaxed);
        drop(running);
        let last = take();
        assert_eq!((last[0].requests, last[0].bytes), (0, 5));
        assert!(usage.lock().running.is_empty());
    }

    #[tokio::test]
    async fn what_cannot_be_written_waits_for_the_next_time() {
        let (usage, clock) = usage().await;
        let id = AppConnectionId::generate(&SeededChance::new(1));
        drop(usage.begin(&id, || 5));
        usage.0.store.close().await;
        usage.write().await;
        let kept = usage.lock().take(clock.now());
        assert_eq!((kept[0].requests, kept[0].bytes), (1, 5));
    }

    #[tokio::test]
    async fn what_goes_on_is_counted_however_many_they_are() {
        let (usage, clock) = usage().await;
        let chance = SeededChance::new(1);
        let ids: Vec<_> = (0..=MOST)
            .map(|_| AppConnectionId::generate(&chance))
            .collect();
        let running: Vec<_> = ids.iter().map(|id| usage.follow(id, || 1)).collect();
        let uses = usage.lock().take(clock.now());
        assert_eq!(
            uses.iter().map(|used| used.bytes).sum::<u64>(),
            ids.len() as u64
        );
        assert!(usage.lock().take(clock.now()).is_empty(), "and once");
        drop(running);
    }

    #[tokio::test]
    async fn many_are_written_at_once_and_all_of_them() {
        let (usage, clock) = usage().await;
        let chance = SeededChance::new(1);
        for index in 1..=MANY + 1 {
            drop(usage.begin(&AppConnectionId::generate(&chance), || 1));
            let is_due = usage.0.full.notified().now_or_never().is_some();
            assert_eq!(is_due, index >= MANY, "{index}");
        }
        assert_eq!(usage.lock().take(clock.now()).len(), MANY + 1);
    }

    #[tokio::test]
    async fn no_more_app_connections_wait_than_there_is_room_for() {
        let (usage, clock) = usage().await;
        let chance = SeededChance::new(1);
        for _ in 0..=MOST {
            drop(usage.begin(&AppConnectionId::generate(&chance), || 1));
        }
        assert_eq!(usage.lock().take(clock.now()).len(), MOST);
    }
}
