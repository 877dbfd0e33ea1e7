//! What is kept, by printer, within its bounds.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use latchkey_model::id::PrinterId;
use latchkey_web::metrics::Gauge;
use tokio::time::Instant;

use super::Cache;
use super::entry::Entry;
use super::rules::{Key, Storable};
use crate::config::CacheBounds;

/// What keeping an answer takes beside what is counted.
const AROUND: usize = 512;

/// So many addresses of a printer are known as doubtful; with more, they are tried anew.
const MOST_DOUBTFUL: usize = 16;

/// All that is kept.
pub(super) struct Shelves {
    bounds: CacheBounds,
    used: Arc<AtomicU64>,
    gauge: Gauge,
    printers: HashMap<PrinterId, Shelf>,
    /// By last use, the oldest first.
    by_use: BTreeMap<u64, (PrinterId, Arc<Key>)>,
    uses: u64,
}

/// What is kept of one printer.
#[derive(Default)]
struct Shelf {
    /// Also which shelf it is: another of the same printer has another.
    used: Arc<AtomicU64>,
    slots: HashMap<Arc<Key>, Slot>,
    by_use: BTreeMap<u64, Arc<Key>>,
    /// What somebody is bringing.
    claimed: HashSet<Arc<Key>>,
    /// Of what the server does not say rightly whether it is still the same.
    doubtful: HashSet<Key>,
}

struct Slot {
    entry: Arc<Entry>,
    last_use: u64,
    at: Instant,
}

/// Memory that is paid for until this goes.
pub(super) struct Charge {
    bytes: u64,
    used: [Arc<AtomicU64>; 2],
    gauge: Gauge,
}

impl Drop for Charge {
    fn drop(&mut self) {
        for used in &self.used {
            used.fetch_sub(self.bytes, Ordering::Relaxed);
        }
        self.gauge.dec_by(signed(self.bytes));
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// A place for an answer that is on its way.
pub(super) struct Claim {
    printer: PrinterId,
    key: Arc<Key>,
    shelf: Arc<AtomicU64>,
    charge: Charge,
}

/// An answer that is on its way. Only one of a kind is copied at a time.
pub(super) struct Draft {
    cache: Cache,
    printer: PrinterId,
    key: Arc<Key>,
    shelf: Arc<AtomicU64>,
    /// `None` once it is put.
    parts: Option<(Storable, Charge)>,
}

impl Draft {
    pub(super) fn new(cache: Cache, claim: Claim, storable: Storable) -> Self {
        Self {
            cache,
            printer: claim.printer,
            key: claim.key,
            shelf: claim.shelf,
            parts: Some((storable, claim.charge)),
        }
    }

    /// How long the body has to be.
    pub(super) fn length(&self) -> usize {
        self.parts
            .as_ref()
            .map_or(0, |(storable, _)| storable.length)
    }

    /// Keeps it: all of it is here.
    pub(super) fn put(mut self, body: Bytes) {
        let Some((storable, charge)) = self.parts.take() else {
            return;
        };
        let entry = Arc::new(Entry {
            tag: storable.tag,
            fields: storable.fields,
            body,
            _charge: charge,
        });
        self.cache.shelves().put(&self, entry, Instant::now());
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Before the lock is taken: nothing that is charged for is dropped under it twice.
        self.parts = None;
        self.cache.shelves().unclaim(self);
    }
}

impl Shelves {
    pub(super) fn new(bounds: CacheBounds, gauge: Gauge) -> Self {
        Self {
            bounds,
            used: Arc::default(),
            gauge,
            printers: HashMap::new(),
            by_use: BTreeMap::new(),
            uses: 0,
        }
    }

    /// Whether anything is kept at all.
    pub(super) fn is_on(&self) -> bool {
        self.bounds.max_bytes > 0 && self.bounds.max_bytes_per_printer > 0
    }

    /// What is kept, which is used now.
    pub(super) fn find(
        &mut self,
        printer: &PrinterId,
        key: &Key,
        now: Instant,
    ) -> Option<Arc<Entry>> {
        let shelf = self.printers.get_mut(printer)?;
        let (key, slot) = shelf.slots.get_key_value(key)?;
        let (key, before) = (Arc::clone(key), slot.last_use);
        let entry = Arc::clone(&slot.entry);
        self.uses += 1;
        shelf.by_use.remove(&before);
        shelf.by_use.insert(self.uses, Arc::clone(&key));
        self.by_use.remove(&before);
        if let Some(slot) = shelf.slots.get_mut(&key) {
            slot.last_use = self.uses;
            slot.at = now;
        }
        self.by_use.insert(self.uses, (printer.clone(), key));
        Some(entry)
    }

    /// Forgets what the server does not know any more by its tag, and keeps no more of it.
    pub(super) fn doubt(&mut self, printer: &PrinterId, key: &Key) {
        let Some(shelf) = self.printers.get_mut(printer) else {
            return;
        };
        if shelf.doubtful.len() >= MOST_DOUBTFUL {
            shelf.doubtful.clear();
        }
        shelf.doubtful.insert(key.clone());
        if let Some(last_use) = shelf.slots.get(key).map(|slot| slot.last_use) {
            self.remove(last_use);
        }
    }

    /// Makes room for an answer; nothing if there is none, or somebody brings it already.
    pub(super) fn claim(
        &mut self,
        printer: &PrinterId,
        key: Key,
        storable: &Storable,
    ) -> Option<Claim> {
        let bytes = storable.size() + 2 * key.size() + AROUND;
        let bytes = u64::try_from(bytes).ok()?;
        let key = Arc::new(key);
        let shelf = self.printers.entry(printer.clone()).or_default();
        if shelf.doubtful.contains(&*key) || !shelf.claimed.insert(Arc::clone(&key)) {
            return None;
        }
        let used = Arc::clone(&shelf.used);
        if !self.make_room(printer, &used, bytes) {
            if let Some(shelf) = self.printers.get_mut(printer) {
                shelf.claimed.remove(&key);
            }
            return None;
        }
        let charge = Charge {
            bytes,
            used: [Arc::clone(&self.used), Arc::clone(&used)],
            gauge: self.gauge.clone(),
        };
        for used in &charge.used {
            used.fetch_add(bytes, Ordering::Relaxed);
        }
        self.gauge.inc_by(signed(bytes));
        Some(Claim {
            printer: printer.clone(),
            key,
            shelf: used,
            charge,
        })
    }

    /// Forgets the printer's oldest until it has room, and then everybody's.
    fn make_room(&mut self, printer: &PrinterId, used: &AtomicU64, bytes: u64) -> bool {
        let over =
            |used: &AtomicU64, most: u64| used.load(Ordering::Relaxed).saturating_add(bytes) > most;
        while over(used, self.bounds.max_bytes_per_printer) {
            let oldest = self.printers.get(printer);
            let oldest = oldest.and_then(|shelf| shelf.by_use.first_key_value());
            let Some(oldest) = oldest.map(|(last_use, _)| *last_use) else {
                return false;
            };
            self.remove(oldest);
        }
        while over(&self.used, self.bounds.max_bytes) {
            let Some(oldest) = self.by_use.first_key_value().map(|(last_use, _)| *last_use) else {
                return false;
            };
            self.remove(oldest);
        }
        true
    }

    fn remove(&mut self, last_use: u64) {
        let Some((printer, key)) = self.by_use.remove(&last_use) else {
            return;
        };
        if let Some(shelf) = self.printers.get_mut(&printer) {
            shelf.by_use.remove(&last_use);
            shelf.slots.remove(&key);
        }
    }

    fn put(&mut self, draft: &Draft, entry: Arc<Entry>, now: Instant) {
        let shelf = self.printers.get_mut(&draft.printer);
        // Forgotten meanwhile, though another may have begun in its place.
        let Some(shelf) = shelf.filter(|shelf| Arc::ptr_eq(&shelf.used, &draft.shelf)) else {
            return;
        };
        self.uses += 1;
        let key = &draft.key;
        let slot = Slot {
            entry,
            last_use: self.uses,
            at: now,
        };
        let before = shelf.slots.insert(Arc::clone(key), slot);
        if let Some(before) = before {
            shelf.by_use.remove(&before.last_use);
            self.by_use.remove(&before.last_use);
        }
        shelf.by_use.insert(self.uses, Arc::clone(key));
        let of = (draft.printer.clone(), Arc::clone(key));
        self.by_use.insert(self.uses, of);
    }

    fn unclaim(&mut self, draft: &Draft) {
        let shelf = self.printers.get_mut(&draft.printer);
        if let Some(shelf) = shelf.filter(|shelf| Arc::ptr_eq(&shelf.used, &draft.shelf)) {
            shelf.claimed.remove(&draft.key);
        }
    }

    /// Forgets all of a printer.
    pub(super) fn forget(&mut self, printer: &PrinterId) {
        let Some(shelf) = self.printers.remove(printer) else {
            return;
        };
        for last_use in shelf.by_use.keys() {
            self.by_use.remove(last_use);
        }
    }

    /// Forgets what was not asked for in this time, and printers of which nothing is left.
    pub(super) fn forget_idle(&mut self, now: Instant, idle: Duration) {
        while let Some((&last_use, (printer, key))) = self.by_use.first_key_value() {
            let slot = self.printers.get(printer);
            let slot = slot.and_then(|shelf| shelf.slots.get(key));
            if slot.is_some_and(|slot| now.duration_since(slot.at) < idle) {
                break;
            }
            self.remove(last_use);
        }
        self.printers
            .retain(|_, shelf| !shelf.slots.is_empty() || !shelf.claimed.is_empty());
    }
}
