//! What a tunnel has to do: how many streams are open in it, and how many of them are heavy.
//!
//! Which tunnel a request is sent through is not decided here.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A stream that moves more than this within [`LATELY`] is heavy: small requests behind it wait.
pub const HEAVY: u64 = 64 * 1024;
/// What "lately" means: a socket that says a little all day does not become heavy by it.
const LATELY: Duration = Duration::from_secs(5);

/// Shared by all streams of a tunnel.
#[derive(Debug, Default)]
pub(super) struct Load {
    active: AtomicUsize,
    heavy: AtomicUsize,
}

impl Load {
    pub(super) fn active(&self) -> usize {
        self.active.load(Ordering::Relaxed)
    }

    pub(super) fn heavy(&self) -> usize {
        self.heavy.load(Ordering::Relaxed)
    }

    /// Counts one stream more, unless there are as many as may be.
    pub(super) fn begin(self: &Arc<Self>, most: usize) -> Option<ActiveStream> {
        let more = |now| (now < most).then_some(now + 1);
        let counted = self
            .active
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        counted.ok()?;
        let meter = Arc::new(Meter {
            load: Arc::clone(self),
            lately: Mutex::new(Lately {
                since: Instant::now(),
                bytes: 0,
                known: false,
                heavy: false,
                over: false,
            }),
        });
        Some(ActiveStream {
            count: Arc::new(Count(meter)),
        })
    }
}

/// Counts a stream for as long as it is held.
///
/// A response's body holds one. Whoever takes over an upgrade takes it from the
/// response's extensions and keeps it beside the upgraded bytes.
#[derive(Debug, Clone)]
pub struct ActiveStream {
    count: Arc<Count>,
}

impl ActiveStream {
    /// Notes bytes that went either way. Bodies do it by themselves; a socket's owner has to.
    pub fn note_moved(&self, bytes: u64) {
        self.count.0.note(bytes);
    }

    /// Makes it heavy until it ends, whatever it moves: it is known to be a running picture, or
    /// a large upload.
    pub fn note_heavy(&self) {
        let mut lately = self.count.0.lock();
        lately.known = true;
        self.count.0.set_heavy(&mut lately, true);
    }

    pub(super) fn meter(&self) -> Arc<Meter> {
        Arc::clone(&self.count.0)
    }
}

#[derive(Debug)]
struct Count(Arc<Meter>);

impl Drop for Count {
    fn drop(&mut self) {
        let mut lately = self.0.lock();
        self.0.set_heavy(&mut lately, false);
        // A request's body may outlive it.
        lately.over = true;
        self.0.load.active.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Weighs one stream.
#[derive(Debug)]
pub(super) struct Meter {
    load: Arc<Load>,
    lately: Mutex<Lately>,
}

#[derive(Debug)]
struct Lately {
    since: Instant,
    bytes: u64,
    known: bool,
    heavy: bool,
    over: bool,
}

impl Meter {
    fn lock(&self) -> MutexGuard<'_, Lately> {
        self.lately.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes bytes. A stream that stalls stays as heavy as it was: it may go on at any moment.
    pub(super) fn note(&self, bytes: u64) {
        let mut lately = self.lock();
        let now = Instant::now();
        if now.duration_since(lately.since) >= LATELY {
            if lately.bytes <= HEAVY && !lately.known {
                self.set_heavy(&mut lately, false);
            }
            lately.since = now;
            lately.bytes = 0;
        }
        lately.bytes = lately.bytes.saturating_add(bytes);
        if lately.bytes > HEAVY {
            self.set_heavy(&mut lately, true);
        }
    }

    fn set_heavy(&self, lately: &mut Lately, heavy: bool) {
        if lately.over || lately.heavy == heavy {
            return;
        }
        lately.heavy = heavy;
        if heavy {
            self.load.heavy.fetch_add(1, Ordering::Relaxed);
        } else {
            self.load.heavy.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stream_is_heavy_while_it_moves_much() {
        let load = Arc::<Load>::default();
        let stream = load.begin(2).unwrap();
        stream.note_moved(HEAVY);
        assert_eq!(load.heavy(), 0);
        stream.note_moved(1);
        assert_eq!(load.heavy(), 1);
        tokio::time::advance(LATELY).await;
        stream.note_moved(10);
        assert_eq!(load.heavy(), 1, "it was until now");
        tokio::time::advance(LATELY).await;
        stream.note_moved(10);
        assert_eq!(load.heavy(), 0);
        let other = load.begin(2).unwrap();
        assert!(load.begin(2).is_none());
        other.note_heavy();
        tokio::time::advance(LATELY * 2).await;
        other.note_moved(1);
        assert_eq!((load.active(), load.heavy()), (2, 1));
        let meter = other.meter();
        drop(other);
        assert_eq!((load.active(), load.heavy()), (1, 0));
        meter.note(HEAVY + 1);
        assert_eq!(load.heavy(), 0, "it has ended");
    }

    #[tokio::test(start_paused = true)]
    async fn little_by_little_is_not_heavy() {
        let load = Arc::<Load>::default();
        let stream = load.begin(1).unwrap();
        for _ in 0..100 {
            stream.note_moved(10_000);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(load.heavy(), 0);
    }
}
