//! What is open in somebody's name, and ends when they may no longer have it.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio_util::sync::CancellationToken;

use super::cut::Source;

/// Held by whatever is open; the last one dropped forgets the holder.
#[derive(Debug, Clone)]
pub struct Hold(Arc<Held>);

#[derive(Default)]
struct Held {
    ended: CancellationToken,
    /// Whether it ended without anybody knowing that the holder did.
    may_return: AtomicBool,
    /// Bodies to be stopped, by where they are in memory. As many as are open, which whoever lets
    /// them in bounds.
    bodies: Mutex<HashMap<usize, Weak<Source>>>,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Held");
        let shown = shown.field("ended", &self.ended.is_cancelled());
        shown.finish_non_exhaustive()
    }
}

impl Held {
    fn bodies(&self) -> MutexGuard<'_, HashMap<usize, Weak<Source>>> {
        self.bodies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        self.ended.cancel();
        // After the token: what is attached from now on sees it.
        let bodies = std::mem::take(&mut *self.bodies());
        for body in bodies.into_values().filter_map(|body| body.upgrade()) {
            body.stop();
        }
    }
}

fn key_of(source: &Arc<Source>) -> usize {
    Arc::as_ptr(source).addr()
}

impl Hold {
    /// Of what cannot be ended here: whoever opened it does.
    pub fn elsewhere() -> Self {
        Self(Arc::default())
    }

    /// Cancelled when the holder ends.
    pub fn ended(&self) -> &CancellationToken {
        &self.0.ended
    }

    /// Whether it was only let go, and the holder may be back at once.
    pub fn may_return(&self) -> bool {
        self.0.may_return.load(Ordering::Relaxed)
    }

    /// Has this stopped with the holder; at once if it has ended already.
    pub(super) fn attach(&self, source: &Arc<Source>) {
        let mut bodies = self.0.bodies();
        if self.0.ended.is_cancelled() {
            drop(bodies);
            return source.stop();
        }
        bodies.insert(key_of(source), Arc::downgrade(source));
    }

    pub(super) fn detach(&self, source: &Arc<Source>) {
        self.0.bodies().remove(&key_of(source));
    }

    #[cfg(test)]
    pub(super) fn attached(&self) -> usize {
        self.0.bodies().len()
    }

    /// Waits for the end, and holds on until then: a clone of the token alone would be forgotten.
    pub async fn until_ended(self) {
        self.0.ended.cancelled().await;
    }
}

/// All that is open, by holder: whatever ends, a key, a session, an app connection. As large as
/// what is open, which the listener bounds. Clones share it.
#[derive(Debug)]
pub struct Endings<H>(Arc<Mutex<Open<H>>>);

impl<H> Clone for Endings<H> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<H> Default for Endings<H> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Open {
            by_holder: HashMap::new(),
            sweep_at: 0,
            ended: 0,
        })))
    }
}

#[derive(Debug)]
struct Open<H> {
    by_holder: HashMap<H, Weak<Held>>,
    /// Size at which the forgotten are swept out next.
    sweep_at: usize,
    /// How many holders have ended.
    ended: u64,
}

const SMALLEST_SWEEP: usize = 64;

impl<H: Clone + Eq + Hash> Endings<H> {
    /// Joins what is open in the holder's name.
    pub fn hold(&self, holder: H) -> Hold {
        let mut open = self.open();
        if let Some(token) = open.by_holder.get(&holder).and_then(Weak::upgrade) {
            return Hold(token);
        }
        if open.by_holder.len() >= open.sweep_at.max(SMALLEST_SWEEP) {
            open.by_holder.retain(|_, token| token.strong_count() > 0);
            open.sweep_at = open.by_holder.len() * 2;
        }
        let token: Arc<Held> = Arc::default();
        open.by_holder.insert(holder, Arc::downgrade(&token));
        Hold(token)
    }

    /// Changes whenever something ends. Who looks a holder up and then joins must see the
    /// same count before and after, or look again: between the two it may have ended.
    pub fn count(&self) -> u64 {
        self.open().ended
    }

    /// Changes the count, for what may end holders that nobody has listed yet.
    pub fn note(&self) {
        self.open().ended += 1;
    }

    /// In whose names something is open.
    pub fn holders(&self) -> Vec<H> {
        let open = self.open();
        let live = open.by_holder.iter();
        live.filter(|(_, token)| token.strong_count() > 0)
            .map(|(holder, _)| holder.clone())
            .collect()
    }

    /// Ends what is open in the holder's name, and nothing that is opened later. Says whether
    /// anything was.
    pub fn end(&self, holder: &H) -> bool {
        self.close(holder, false)
    }

    /// Ends the same where nobody knows whether the holder has ended: who comes back finds out.
    pub fn let_go(&self, holder: &H) -> bool {
        self.close(holder, true)
    }

    fn close(&self, holder: &H, may_return: bool) -> bool {
        let held = {
            let mut open = self.open();
            open.ended += 1;
            open.by_holder.remove(holder)
        };
        // Without the lock: what is stopped runs code of its own when it goes.
        let Some(held) = held.and_then(|held| held.upgrade()) else {
            return false;
        };
        held.may_return.store(may_return, Ordering::Relaxed);
        held.end();
        true
    }

    fn open(&self) -> MutexGuard<'_, Open<H>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ending_a_holder_ends_all_it_holds_and_nobody_elses() {
        let endings = Endings::default();
        let (first, second) = (endings.hold('a'), endings.hold('a'));
        let other = endings.hold('b');
        assert!(endings.end(&'a'));
        assert!(first.ended().is_cancelled() && second.ended().is_cancelled());
        assert!(!other.ended().is_cancelled());
        assert_eq!(endings.count(), 1);
        assert!(!endings.hold('a').ended().is_cancelled());
        assert!(!endings.end(&'c'));
    }

    #[test]
    fn what_is_let_go_may_return_and_what_ended_may_not() {
        let endings = Endings::default();
        let (gone, over) = (endings.hold('a'), endings.hold('b'));
        assert!(endings.let_go(&'a') && endings.end(&'b'));
        assert!(gone.ended().is_cancelled() && over.ended().is_cancelled());
        assert!(gone.may_return() && !over.may_return());
        assert_eq!(endings.count(), 2);
        assert!(!endings.hold('a').may_return());
    }

    #[test]
    fn what_is_closed_is_forgotten() {
        let endings = Endings::default();
        for index in 0..10_000 {
            drop(endings.hold(index));
        }
        assert!(endings.open().by_holder.len() <= SMALLEST_SWEEP);
        assert!(endings.holders().is_empty());
    }
}
