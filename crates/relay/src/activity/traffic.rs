//! How much data moves for printers, by day: counted while it moves.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use latchkey_model::activity::day_of;
use latchkey_model::clock::Clock;
use latchkey_model::id::PrinterId;
use latchkey_store::relay::{Moved, TrafficOfDay};

/// Printers and days with something to write. At more, what others move is not counted while
/// writing fails.
const MOST: usize = 16 * 1024;

/// What is not written yet. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Traffic(Arc<Mutex<Unwritten>>);

#[derive(Default)]
struct Unwritten {
    days: HashMap<(PrinterId, i64), Moved>,
    running: HashMap<u64, Meter>,
    next: u64,
}

/// What goes on, and how much of it is counted. As many as requests and sockets are open.
struct Meter {
    printer: PrinterId,
    /// From the printer and towards it, so far.
    read: Box<dyn Fn() -> (u64, u64) + Send + Sync>,
    counted: (u64, u64),
    is_camera: bool,
}

/// Held while something goes on; then the rest of it is counted.
pub(crate) struct Moving {
    traffic: Traffic,
    key: u64,
    clock: Arc<dyn Clock>,
}

impl Moving {
    /// From here on it is a camera's picture that comes.
    pub(crate) fn is_camera(&self) {
        if let Some(meter) = self.traffic.lock().running.get_mut(&self.key) {
            meter.is_camera = true;
        }
    }
}

impl Traffic {
    pub(super) fn follow(
        &self,
        clock: Arc<dyn Clock>,
        printer: &PrinterId,
        read: impl Fn() -> (u64, u64) + Send + Sync + 'static,
    ) -> Moving {
        let mut unwritten = self.lock();
        let key = unwritten.next;
        unwritten.next += 1;
        let meter = Meter {
            printer: printer.clone(),
            read: Box::new(read),
            counted: (0, 0),
            is_camera: false,
        };
        unwritten.running.insert(key, meter);
        Moving {
            traffic: self.clone(),
            key,
            clock,
        }
    }

    /// Takes all, with what is going on up to now.
    pub(super) fn take(&self, today: i64) -> Vec<TrafficOfDay> {
        let mut unwritten = self.lock();
        let moved: Vec<_> = unwritten
            .running
            .values_mut()
            .filter_map(|meter| Some((meter.printer.clone(), meter.advance()?)))
            .collect();
        // All of it goes out now, so it needs no room here.
        for (printer, moved) in moved {
            unwritten
                .days
                .entry((printer, today))
                .or_default()
                .add(&moved);
        }
        let days = std::mem::take(&mut unwritten.days).into_iter();
        let days = days.map(|((printer, day), moved)| TrafficOfDay {
            printer,
            day,
            moved,
        });
        days.collect()
    }

    /// Keeps what could not be written.
    pub(super) fn put_back(&self, parts: Vec<TrafficOfDay>) {
        let mut unwritten = self.lock();
        for part in parts {
            unwritten.add(part.printer, part.day, &part.moved);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Unwritten> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Unwritten {
    fn add(&mut self, printer: PrinterId, day: i64, moved: &Moved) {
        let key = (printer, day);
        if self.days.len() >= MOST && !self.days.contains_key(&key) {
            return;
        }
        self.days.entry(key).or_default().add(moved);
    }
}

impl Meter {
    /// What was moved since the last time, if anything was.
    fn advance(&mut self) -> Option<Moved> {
        let (sent, received) = (self.read)();
        let moved = (
            sent.saturating_sub(self.counted.0),
            received.saturating_sub(self.counted.1),
        );
        self.counted = (sent, received);
        (moved != (0, 0)).then_some(Moved {
            sent: moved.0,
            camera: if self.is_camera { moved.0 } else { 0 },
            received: moved.1,
        })
    }
}

impl Drop for Moving {
    fn drop(&mut self) {
        let today = day_of(self.clock.now());
        let mut unwritten = self.traffic.lock();
        let Some(mut meter) = unwritten.running.remove(&self.key) else {
            return;
        };
        if let Some(moved) = meter.advance() {
            unwritten.add(meter.printer, today, &moved);
        }
    }
}
