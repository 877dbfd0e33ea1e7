//! One running picture, read once and shown to all who watch it.
//!
//! One task reads it; the newest frame is kept, and whoever is ready takes it. Nobody waits for
//! anybody: who is slow gets the frame that is the newest when they are ready again. After a loss on
//! the way several frames come at once, so those just before the newest are kept for a moment, for
//! whoever takes them that quickly.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http_body_util::BodyExt as _;
use latchkey_net::body::Body;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::parts::{Boundary, Part, Parts, Unreadable};

/// So many may watch one picture.
pub(crate) const MOST_VIEWERS: usize = 100;
/// What the frames of one picture may take that somebody is still being sent. Beyond it those are
/// cut who have been at theirs for the longest.
const MOST_KEPT: usize = 16 * 1024 * 1024;
/// So much is read on while all who watch are busy with what they have. Then the camera waits, as
/// it would for a single viewer.
const AHEAD: usize = 128 * 1024;
/// Frames before the newest that are kept, and for how long: who is that late is slow.
const BEFORE: usize = 4;
const MOST_BEFORE: usize = 1024 * 1024;
const JUST_NOW: Duration = Duration::from_millis(100);
/// For so long a picture counts as running that no longer has a tunnel which takes streams, and
/// shows nothing new.
const PATIENCE: Duration = Duration::from_secs(5);

/// A frame, as it is written to everybody.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) number: u64,
    /// The boundary, its fields and the empty line.
    head: Bytes,
    pub(super) data: Bytes,
    pub(super) kind: Option<HeaderValue>,
    pub(super) at: Instant,
    kept: Arc<AtomicUsize>,
}

impl Frame {
    /// Its bytes on the wire.
    pub(super) fn pieces(&self) -> [&[u8]; 3] {
        [&self.head, &self.data, b"\r\n"]
    }

    pub(super) fn len(&self) -> usize {
        self.head.len() + self.data.len() + 2
    }

    fn is_late(&self) -> bool {
        self.at.elapsed() >= JUST_NOW
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        self.kept.fetch_sub(self.len(), Ordering::Relaxed);
    }
}

/// How a picture ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// In good order; whether the camera said so.
    Over { said: bool },
    /// It broke off.
    Broken,
    /// It is not what it says it is.
    Unreadable(Unreadable),
}

/// What there is to see.
#[derive(Debug, Default)]
pub(super) struct Shown {
    pub(super) newest: Option<Arc<Frame>>,
    /// Those before it, oldest first.
    before: VecDeque<Arc<Frame>>,
    pub(super) end: Option<End>,
}

impl Shown {
    /// The newest frame, if it comes after the one of this number.
    pub(super) fn newer(&self, seen: u64) -> Option<&Arc<Frame>> {
        self.newest.as_ref().filter(|frame| frame.number > seen)
    }

    /// What comes after the frame of this number: the next one if it came just now, else the newest.
    pub(super) fn after(&self, seen: u64) -> Option<&Arc<Frame>> {
        let is_next = |frame: &&Arc<Frame>| frame.number == seen + 1 && !frame.is_late();
        self.before.iter().find(is_next).or(self.newer(seen))
    }

    fn show(&mut self, frame: Arc<Frame>) {
        self.before.extend(self.newest.replace(frame));
        let bytes = |frames: &VecDeque<Arc<Frame>>| frames.iter().map(|it| it.len()).sum::<usize>();
        while self.before.len() > BEFORE
            || bytes(&self.before) > MOST_BEFORE
            || self.before.front().is_some_and(|frame| frame.is_late())
        {
            self.before.pop_front();
        }
    }

    fn clear(&mut self) {
        self.newest = None;
        self.before.clear();
    }
}

/// What one viewer is being sent.
#[derive(Default)]
pub(super) struct Slot {
    pub(super) frame: Option<Arc<Frame>>,
    pub(super) sent: usize,
    /// They were at an old frame for too long.
    pub(super) is_cut: bool,
}

pub(super) type SharedSlot = Arc<Mutex<Slot>>;

/// One running picture.
pub(super) struct Running {
    pub(super) boundary: Boundary,
    pub(super) shown: watch::Sender<Shown>,
    demand: watch::Sender<Demand>,
    viewers: Mutex<Viewers>,
    kept: Arc<AtomicUsize>,
    began: Instant,
    /// Whether the tunnel that it comes through takes streams.
    has_tunnel: Box<dyn Fn() -> bool + Send + Sync>,
    /// Nobody watches any more.
    left: CancellationToken,
}

/// What those who watch are about to take.
#[derive(Debug, Clone, Copy, Default)]
struct Demand {
    /// How many are ready for a frame.
    ready: usize,
    /// How often somebody was.
    asked: u64,
}

#[derive(Default)]
struct Viewers {
    slots: HashMap<u64, SharedSlot>,
    next: u64,
    /// Nobody comes in any more.
    closed: bool,
}

/// Why somebody cannot watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// It is over.
    Over,
    /// Too many do.
    Full,
}

/// What a picture is read from.
pub(super) struct Source {
    pub(super) boundary: Boundary,
    pub(super) body: Body,
    pub(super) has_tunnel: Box<dyn Fn() -> bool + Send + Sync>,
}

impl Running {
    /// Begins to read a picture, until it ends, nobody watches, or `stopping`.
    pub(super) fn start(
        source: Source,
        tracker: &TaskTracker,
        stopping: &CancellationToken,
    ) -> Arc<Self> {
        let Source {
            boundary,
            body,
            has_tunnel,
        } = source;
        let parts = Parts::new(boundary.clone());
        let running = Arc::new(Self {
            boundary,
            shown: watch::Sender::default(),
            demand: watch::Sender::default(),
            viewers: Mutex::default(),
            kept: Arc::default(),
            began: Instant::now(),
            has_tunnel,
            left: CancellationToken::new(),
        });
        let (read, stopping) = (Arc::clone(&running), stopping.clone());
        tracker.spawn(async move {
            let end = tokio::select! {
                biased;
                () = stopping.cancelled() => End::Over { said: false },
                () = read.left.cancelled() => End::Over { said: false },
                end = read.read(body, parts) => end,
            };
            // Who comes now begins another one.
            read.viewers().closed = true;
            read.shown.send_modify(|shown| shown.end = Some(end));
        });
        running
    }

    /// Takes a place to watch from.
    pub(super) fn enter(self: &Arc<Self>) -> Result<Place, NoPlace> {
        let newest = self.newest_at();
        if !(self.has_tunnel)() && newest.elapsed() >= PATIENCE {
            return Err(NoPlace::Over);
        }
        let mut viewers = self.viewers();
        if viewers.closed {
            return Err(NoPlace::Over);
        }
        if viewers.slots.len() >= MOST_VIEWERS {
            return Err(NoPlace::Full);
        }
        let key = viewers.next;
        viewers.next += 1;
        let slot = SharedSlot::default();
        viewers.slots.insert(key, Arc::clone(&slot));
        Ok(Place {
            running: Arc::clone(self),
            key,
            slot,
        })
    }

    /// How it ended, if it did.
    pub(super) fn end(&self) -> Option<End> {
        self.shown.borrow().end
    }

    /// Whether the last that was seen of it is no older than this.
    pub(super) fn ended_within(&self, age: Duration) -> bool {
        self.newest_at().elapsed() < age
    }

    pub(super) fn is_over(&self) -> bool {
        self.viewers().closed
    }

    /// The newest frame, if it is no older than this.
    pub(super) fn newest(&self, age: Duration) -> Option<Arc<Frame>> {
        let newest = self.shown.borrow().newest.clone();
        newest.filter(|frame| frame.at.elapsed() <= age)
    }

    /// Somebody is ready for a frame, for as long as this is there.
    pub(super) fn is_awaited(&self) -> Awaited<'_> {
        self.demand.send_modify(|demand| {
            demand.ready += 1;
            demand.asked = demand.asked.wrapping_add(1);
        });
        Awaited(self)
    }

    fn newest_at(&self) -> Instant {
        let shown = self.shown.borrow();
        shown.newest.as_ref().map_or(self.began, |frame| frame.at)
    }

    async fn read(&self, mut body: Body, mut parts: Parts) -> End {
        let mut demand = self.demand.subscribe();
        let (mut number, mut ahead, mut asked) = (0, 0, 0);
        loop {
            loop {
                match parts.next() {
                    Ok(Some(part)) => {
                        number += 1;
                        ahead += part.data.len();
                        self.show(number, part);
                    }
                    Ok(None) if parts.is_over() => return End::Over { said: true },
                    Ok(None) => break,
                    Err(unreadable) => return End::Unreadable(unreadable),
                }
            }
            let wants = |demand: &Demand| demand.ready > 0 || demand.asked != asked;
            if ahead > AHEAD && demand.wait_for(wants).await.is_err() {
                return End::Broken;
            }
            let now = *demand.borrow_and_update();
            if now.ready > 0 || now.asked != asked {
                (ahead, asked) = (0, now.asked);
            }
            match body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        parts.push(data);
                    }
                }
                Some(Err(_)) => return End::Broken,
                None => {
                    if let Some(part) = parts.last() {
                        self.show(number + 1, part);
                    }
                    return End::Over { said: false };
                }
            }
        }
    }

    fn show(&self, number: u64, part: Part) {
        let mut head = self.boundary.line();
        head.extend_from_slice(&part.fields);
        head.extend_from_slice(b"\r\n");
        let kind = part
            .kind
            .and_then(|kind| HeaderValue::from_maybe_shared(kind).ok());
        let frame = Arc::new(Frame {
            number,
            head: head.into(),
            data: part.data,
            kind,
            at: Instant::now(),
            kept: Arc::clone(&self.kept),
        });
        self.kept.fetch_add(frame.len(), Ordering::Relaxed);
        self.shown.send_modify(|shown| shown.show(frame));
        while self.kept.load(Ordering::Relaxed) > MOST_KEPT && self.cut_oldest(number) {}
    }

    /// Cuts who has been at a frame for the longest. False if nobody is at an old one.
    fn cut_oldest(&self, newest: u64) -> bool {
        let viewers = self.viewers();
        let number = |slot: &SharedSlot| {
            let slot = lock(slot);
            let frame = slot.frame.as_ref();
            frame.map(|frame| frame.number).filter(|it| *it < newest)
        };
        let slots = viewers.slots.values();
        let oldest = slots.filter_map(|slot| Some((number(slot)?, slot)));
        let Some((_, slot)) = oldest.min_by_key(|(number, _)| *number) else {
            return false;
        };
        let mut slot = lock(slot);
        slot.frame = None;
        slot.is_cut = true;
        true
    }

    fn viewers(&self) -> MutexGuard<'_, Viewers> {
        self.viewers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn lock(slot: &SharedSlot) -> MutexGuard<'_, Slot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Somebody waits for a frame.
pub(super) struct Awaited<'a>(&'a Running);

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        self.0.demand.send_modify(|demand| demand.ready -= 1);
    }
}

/// Somebody's place before a picture. With the last one it ends.
pub(super) struct Place {
    pub(super) running: Arc<Running>,
    key: u64,
    pub(super) slot: SharedSlot,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut viewers = self.running.viewers();
        viewers.slots.remove(&self.key);
        if viewers.slots.is_empty() {
            viewers.closed = true;
            self.running.left.cancel();
            // It is looked up a while longer, and keeps nothing for that.
            self.running.shown.send_modify(Shown::clear);
        }
    }
}
