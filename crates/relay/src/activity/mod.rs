//! What apps and people do at printers, and how much data moves for it, noted without a write for
//! each request.

mod classify;
pub(crate) mod http;
mod traffic;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::http::Method;
use latchkey_model::activity::{Did, day_of, slot_of};
use latchkey_model::clock::{Clock, Timestamp};
use latchkey_model::id::{AccountId, AppConnectionId, PrinterId};
use latchkey_store::relay::Done;
use latchkey_store::{RelayStore, StoreError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub(crate) use self::classify::{Asked, is_running_picture};
pub(crate) use self::traffic::Moving;
use self::traffic::Traffic;

/// How long something may stay unwritten.
const PERIOD: Duration = Duration::from_secs(5);
/// With so much to write, it is not waited for the end of the period.
const MANY: usize = 1024;
/// At more, what comes besides is not noted while writing fails.
const MOST: usize = 16 * MANY;
/// So much is kept of each printer.
const MOST_OF_A_PRINTER: u32 = 500;
/// And for so long.
const KEPT: Duration = Duration::from_hours(90 * 24);
/// For so many days it is kept how much data moved.
const TRAFFIC_DAYS: i64 = 60;

/// Notes what is done. Clones share it.
#[derive(Clone)]
pub(crate) struct Activity(Arc<Shared>);

struct Shared {
    unwritten: Mutex<HashMap<Key, Done>>,
    traffic: Traffic,
    full: Notify,
    store: RelayStore,
    clock: Arc<dyn Clock>,
}

/// What is told once, with how often.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    printer: PrinterId,
    slot: Timestamp,
    did: Did,
    about: String,
    name: String,
    account: AccountId,
}

/// An app that calls.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) printer: PrinterId,
    pub(crate) connection: AppConnectionId,
    /// Who allowed it.
    pub(crate) account: AccountId,
    pub(crate) app: String,
}

/// A person who did something at a printer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Person<'a> {
    pub(crate) printer: &'a PrinterId,
    pub(crate) account: &'a AccountId,
    /// The app it was about, if it was about one.
    pub(crate) app: Option<(&'a AppConnectionId, &'a str)>,
}

impl Activity {
    pub(crate) fn new(store: RelayStore, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Shared {
            unwritten: Mutex::default(),
            traffic: Traffic::default(),
            full: Notify::new(),
            store,
            clock,
        }))
    }

    /// What a request asks for, to be noted when it is answered.
    pub(crate) fn asked(method: &Method, path: &str, websocket: bool) -> Option<Asked> {
        classify::asked(method, path, websocket)
    }

    /// Notes what an app did, with how large the request was.
    pub(crate) fn by_app(&self, caller: &Caller, did: Did, name: Option<String>, bytes: u64) {
        self.note(Done {
            printer: caller.printer.clone(),
            did,
            about: caller.connection.to_string(),
            name: name.unwrap_or_default(),
            account: caller.account.clone(),
            app: caller.app.clone(),
            at: self.0.clock.now(),
            times: 1,
            bytes,
        });
    }

    /// Notes what a person did.
    pub(crate) fn by_person(&self, did: Did, person: Person<'_>) {
        let (about, app) = match person.app {
            Some((id, app)) => (id.to_string(), app.to_owned()),
            None => (String::new(), String::new()),
        };
        self.note(Done {
            printer: person.printer.clone(),
            did,
            about,
            name: String::new(),
            account: person.account.clone(),
            app,
            at: self.0.clock.now(),
            times: 1,
            bytes: 0,
        });
    }

    /// Follows the bytes that something open moves for a printer.
    pub(crate) fn follow(
        &self,
        printer: &PrinterId,
        read: impl Fn() -> (u64, u64) + Send + Sync + 'static,
    ) -> Moving {
        let clock = Arc::clone(&self.0.clock);
        self.0.traffic.follow(clock, printer, read)
    }

    /// Counts a picture that this relay asked for.
    pub(crate) fn pictured(&self, printer: &PrinterId, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let moving = self.follow(printer, move || (bytes, 0));
        moving.is_camera();
    }

    fn note(&self, done: Done) {
        let mut unwritten = self.lock();
        let key = Key {
            printer: done.printer.clone(),
            slot: slot_of(done.at),
            did: done.did,
            about: done.about.clone(),
            name: done.name.clone(),
            account: done.account.clone(),
        };
        let has_room = unwritten.len() < MOST;
        match unwritten.entry(key) {
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                known.at = known.at.max(done.at);
                known.times = known.times.saturating_add(done.times);
                known.bytes = known.bytes.saturating_add(done.bytes);
            }
            Entry::Vacant(place) if has_room => {
                place.insert(done);
            }
            Entry::Vacant(_) => {}
        }
        if unwritten.len() >= MANY {
            self.0.full.notify_one();
        }
    }

    /// Writes what was noted. What cannot be written is kept for the next time.
    pub(crate) async fn write(&self) {
        let done: Vec<Done> = std::mem::take(&mut *self.lock()).into_values().collect();
        if let Err(error) = self.0.store.activity().add(&done).await {
            tracing::warn!(%error, "what was done at printers could not be noted; it is tried again");
            for done in done {
                self.note(done);
            }
        }
        let today = day_of(self.0.clock.now());
        let moved = self.0.traffic.take(today);
        if let Err(error) = self.0.store.traffic().add(&moved).await {
            tracing::warn!(%error, "how much data moved could not be noted; it is tried again");
            self.0.traffic.put_back(moved);
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

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Done>> {
        self.0
            .unwritten
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets what is too old, and what is too much.
pub(crate) async fn forget(store: &RelayStore, now: Timestamp) -> Result<(), StoreError> {
    let span = i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX);
    let before = Timestamp::from_millis(now.millis().saturating_sub(span));
    store.activity().forget(before, MOST_OF_A_PRINTER).await?;
    store.traffic().forget(day_of(now) - TRAFFIC_DAYS).await?;
    Ok(())
}

#[cfg(test)]
mod tests;
