//! The printer: one machine behind a mutex, a task that lets its time pass, and what others may follow.
//! `machine` holds the rules and knows no clock; this file gives it one.

pub(crate) mod command;
mod ending;
pub(crate) mod event;
pub(crate) mod job;
pub(crate) mod machine;
pub(crate) mod report;
pub(crate) mod state;
pub(crate) mod terminal;
pub(crate) mod trace;
mod work;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use event::Event;
use machine::Machine;
use state::PrinterState;

/// Real time between two steps of the machine.
const TICK: Duration = Duration::from_millis(50);
/// After a stall (a suspended laptop) at most this much real time is made up for.
const LONGEST_TICK: Duration = Duration::from_millis(500);
/// Events kept for a follower that is slow to read.
const EVENT_BACKLOG: usize = 256;

/// The machine, shared.
#[derive(Debug)]
pub(crate) struct Printer {
    machine: Mutex<Machine>,
    events: broadcast::Sender<Arc<Event>>,
    state: watch::Sender<PrinterState>,
    speed: f64,
}

impl Printer {
    pub(crate) fn new(machine: Machine, speed: f64) -> Self {
        let state = watch::Sender::new(machine.state());
        Self {
            machine: Mutex::new(machine),
            events: broadcast::Sender::new(EVENT_BACKLOG),
            state,
            speed,
        }
    }

    /// Looks at the machine or changes it, and lets followers know what came of it.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Machine) -> T) -> T {
        let mut machine = self.lock();
        let outcome = act(&mut machine);
        let state = machine.state();
        let events = machine.take_events();
        drop(machine);
        self.state.send_if_modified(|known| {
            let changed = *known != state;
            *known = state;
            changed
        });
        for event in events {
            self.announce(event);
        }
        outcome
    }

    /// Tells followers of something that happened beside the machine, such as an upload.
    pub(crate) fn announce(&self, event: Event) {
        // Nobody listening is the usual case, not a failure.
        let _ = self.events.send(Arc::new(event));
    }

    pub(crate) fn events(&self) -> broadcast::Receiver<Arc<Event>> {
        self.events.subscribe()
    }

    pub(crate) fn states(&self) -> watch::Receiver<PrinterState> {
        self.state.subscribe()
    }

    /// How many simulated seconds pass in a real one.
    pub(crate) fn speed(&self) -> f64 {
        self.speed
    }

    /// Lets time pass until the token is cancelled.
    pub(crate) async fn run(&self, shutdown: CancellationToken) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut last = Instant::now();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let passed = last.elapsed().min(LONGEST_TICK);
            last = Instant::now();
            self.with(|machine| {
                machine.advance(passed.as_secs_f64() * self.speed);
                machine.sample(jiff::Timestamp::now().as_second());
            });
        }
    }

    /// A panic in one holder must not take the whole printer away: the machine has no half states
    /// that a later step could not run on from.
    fn lock(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
