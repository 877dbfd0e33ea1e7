//! Turns: how many may do something at once, in all and of one party, and who is next.
//!
//! What takes long (a stream, a long poll, a slow reader) gives its turn to the next after a while
//! and goes on beside, where there is room for so many of its kind. So it cannot keep what is short
//! from its turn, and all together stay bounded.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

/// How often somebody who waits looks whether what runs has become long.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The numbers of [`Turns`].
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// At once, in all.
    pub most: usize,
    /// At once, of one party.
    pub most_of_one: usize,
    /// Waiting, in all.
    pub waiting: usize,
    /// Waiting, of one party.
    pub waiting_of_one: usize,
    /// The longest wait.
    pub patience: Duration,
    /// After so long a turn counts as long, if there is room.
    pub long_after: Duration,
    /// Long ones at once, in all.
    pub most_long: usize,
    /// Long ones at once, of one party.
    pub most_long_of_one: usize,
}

impl Bounds {
    /// Three quarters of so many, and one at least: what one party gets of what all share.
    pub const fn share(of: usize) -> usize {
        let share = of / 4 * 3 + of % 4 * 3 / 4;
        if share == 0 { 1 } else { share }
    }
}

/// There is no turn to be had: too many wait, or it took too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too much is going on already")]
pub struct NoTurn;

/// Who may do something at once. Clones share it.
pub struct Turns<K: Party>(Arc<Shared<K>>);

/// Whoever takes turns.
pub trait Party: Hash + Eq + Clone + Send + 'static {}

impl<K: Hash + Eq + Clone + Send + 'static> Party for K {}

struct Shared<K: Party> {
    bounds: Bounds,
    state: Mutex<State<K>>,
}

struct State<K: Party> {
    /// Those that count as short, the oldest first.
    short: BTreeMap<u64, (K, Instant)>,
    long: HashMap<u64, K>,
    /// Only of those who have something that runs or waits.
    parties: HashMap<K, Counts<K>>,
    /// Those who wait, the next one first.
    order: VecDeque<K>,
    waiting: usize,
    next: u64,
}

struct Counts<K: Party> {
    short: usize,
    long: usize,
    queue: VecDeque<Waiting<K>>,
}

struct Waiting<K: Party> {
    number: u64,
    told: oneshot::Sender<Turn<K>>,
}

/// A turn, until it is dropped.
pub struct Turn<K: Party> {
    /// `None` once it counts no more.
    shared: Option<Arc<Shared<K>>>,
    number: u64,
}

impl<K: Party> Turns<K> {
    /// Nobody has a turn yet.
    pub fn new(bounds: Bounds) -> Self {
        Self(Arc::new(Shared {
            bounds,
            state: Mutex::new(State {
                short: BTreeMap::new(),
                long: HashMap::new(),
                parties: HashMap::new(),
                order: VecDeque::new(),
                waiting: 0,
                next: 0,
            }),
        }))
    }

    /// Waits for a turn, but not for ever and not behind too many.
    pub async fn take(&self, party: K) -> Result<Turn<K>, NoTurn> {
        let (number, mut turn) = match self.0.take_or_wait(&party)? {
            Taken::Now(turn) => return Ok(turn),
            Taken::Waits(number, turn) => (number, turn),
        };
        let _place = Place {
            shared: &self.0,
            party,
            number,
        };
        let until = Instant::now() + self.0.bounds.patience;
        loop {
            let look = until.min(Instant::now() + LOOK_EVERY);
            match tokio::time::timeout_at(look, &mut turn).await {
                Ok(turn) => return turn.map_err(|_| NoTurn),
                Err(_) if look == until => return Err(NoTurn),
                Err(_) => self.0.serve(),
            }
        }
    }

    /// A turn for something that is known to be long, if there is room for it.
    pub fn take_long(&self, party: K) -> Result<Turn<K>, NoTurn> {
        let mut state = self.0.state();
        let state = &mut *state;
        let bounds = &self.0.bounds;
        let counts = state.parties.entry(party.clone()).or_default();
        if state.long.len() >= bounds.most_long || counts.long >= bounds.most_long_of_one {
            state.forget_if_idle(&party);
            return Err(NoTurn);
        }
        counts.long += 1;
        let number = state.number();
        state.long.insert(number, party);
        Ok(Turn::new(&self.0, number))
    }

    /// How many have a turn, long ones among them, and how many wait.
    pub fn count(&self) -> (usize, usize) {
        let state = self.0.state();
        (state.short.len() + state.long.len(), state.waiting)
    }
}

impl<K: Party> Clone for Turns<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

enum Taken<K: Party> {
    Now(Turn<K>),
    Waits(u64, oneshot::Receiver<Turn<K>>),
}

impl<K: Party> Shared<K> {
    fn state(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_or_wait(self: &Arc<Self>, party: &K) -> Result<Taken<K>, NoTurn> {
        let bounds = &self.bounds;
        let mut state = self.state();
        if state.order.is_empty() {
            state.let_long_ones_go_beside(bounds);
        } else {
            // Whoever waits comes before whoever comes.
            drop(state);
            self.serve();
            state = self.state();
        }
        let state = &mut *state;
        let counts = state.parties.entry(party.clone()).or_default();
        if state.short.len() < bounds.most && counts.short < bounds.most_of_one {
            return Ok(Taken::Now(self.begin(state, party.clone())));
        }
        if state.waiting >= bounds.waiting || counts.queue.len() >= bounds.waiting_of_one {
            state.forget_if_idle(party);
            return Err(NoTurn);
        }
        let number = state.next;
        state.next += 1;
        let (told, turn) = oneshot::channel();
        counts.queue.push_back(Waiting { number, told });
        state.waiting += 1;
        if counts.queue.len() == 1 {
            state.order.push_back(party.clone());
        }
        Ok(Taken::Waits(number, turn))
    }

    fn begin(self: &Arc<Self>, state: &mut State<K>, party: K) -> Turn<K> {
        let number = state.number();
        state.parties.entry(party.clone()).or_default().short += 1;
        state.short.insert(number, (party, Instant::now()));
        Turn::new(self, number)
    }

    fn end(self: &Arc<Self>, number: u64) {
        let mut state = self.state();
        state.end(number);
        let nobody_waits = state.order.is_empty();
        drop(state);
        if !nobody_waits {
            self.serve();
        }
    }

    /// Gives free turns to those who wait: one to each party, time after time.
    fn serve(self: &Arc<Self>) {
        let mut state = self.state();
        let state = &mut *state;
        state.let_long_ones_go_beside(&self.bounds);
        while state.short.len() < self.bounds.most {
            let Some((party, told)) = state.next_to_go(self.bounds.most_of_one) else {
                return;
            };
            let turn = self.begin(state, party);
            if let Err(mut unwanted) = told.send(turn) {
                // Whoever waited has just gone.
                unwanted.shared = None;
                state.end(unwanted.number);
            }
        }
    }
}

impl<K: Party> State<K> {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// The first of whoever is next and may have one more.
    fn next_to_go(&mut self, most_of_one: usize) -> Option<(K, oneshot::Sender<Turn<K>>)> {
        let may = |party: &K| self.parties[party].short < most_of_one;
        let place = self.order.iter().position(may)?;
        let party = self.order.remove(place)?;
        let queue = &mut self.parties.get_mut(&party)?.queue;
        let first = queue.pop_front()?;
        self.waiting -= 1;
        if !queue.is_empty() {
            self.order.push_back(party.clone());
        }
        Some((party, first.told))
    }

    fn let_long_ones_go_beside(&mut self, bounds: &Bounds) {
        let now = Instant::now();
        let old = self.short.iter();
        let old = old.take_while(|(_, (_, since))| *since + bounds.long_after <= now);
        let old: Vec<u64> = old.map(|(number, _)| *number).collect();
        for number in old {
            if self.long.len() >= bounds.most_long {
                return;
            }
            self.lengthen(number, bounds);
        }
    }

    /// Counts it as long from now on, if there is room. True if it is a long one then.
    fn lengthen(&mut self, number: u64, bounds: &Bounds) -> bool {
        let Some((party, _)) = self.short.get(&number) else {
            return true;
        };
        let party = party.clone();
        let Some(counts) = self.parties.get_mut(&party) else {
            return false;
        };
        if self.long.len() >= bounds.most_long || counts.long >= bounds.most_long_of_one {
            return false;
        }
        counts.short -= 1;
        counts.long += 1;
        self.short.remove(&number);
        self.long.insert(number, party);
        true
    }

    fn end(&mut self, number: u64) {
        let party = if let Some((party, _)) = self.short.remove(&number) {
            if let Some(counts) = self.parties.get_mut(&party) {
                counts.short -= 1;
            }
            party
        } else if let Some(party) = self.long.remove(&number) {
            if let Some(counts) = self.parties.get_mut(&party) {
                counts.long -= 1;
            }
            party
        } else {
            return;
        };
        self.forget_if_idle(&party);
    }

    fn forget_if_idle(&mut self, party: &K) {
        let idle =
            |counts: &Counts<K>| counts.short == 0 && counts.long == 0 && counts.queue.is_empty();
        if self.parties.get(party).is_some_and(idle) {
            self.parties.remove(party);
        }
    }

    fn leave(&mut self, party: &K, number: u64) {
        let Some(counts) = self.parties.get_mut(party) else {
            return;
        };
        let before = counts.queue.len();
        counts.queue.retain(|waiting| waiting.number != number);
        self.waiting -= before - counts.queue.len();
        if before > 0 && counts.queue.is_empty() {
            self.order.retain(|other| other != party);
        }
        self.forget_if_idle(party);
    }
}

impl<K: Party> Default for Counts<K> {
    fn default() -> Self {
        Self {
            short: 0,
            long: 0,
            queue: VecDeque::new(),
        }
    }
}

/// A place among those who wait, left when it is dropped.
struct Place<'a, K: Party> {
    shared: &'a Arc<Shared<K>>,
    party: K,
    number: u64,
}

impl<K: Party> Drop for Place<'_, K> {
    fn drop(&mut self) {
        self.shared.state().leave(&self.party, self.number);
    }
}

impl<K: Party> Turn<K> {
    fn new(shared: &Arc<Shared<K>>, number: u64) -> Self {
        Self {
            shared: Some(Arc::clone(shared)),
            number,
        }
    }

    /// Counts it as a long one from now on. False if there is no room for it.
    pub fn lengthen(&self) -> bool {
        let Some(shared) = &self.shared else {
            return true;
        };
        let is_long = shared.state().lengthen(self.number, &shared.bounds);
        shared.serve();
        is_long
    }
}

impl<K: Party> Drop for Turn<K> {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.take() {
            shared.end(self.number);
        }
    }
}

impl<K: Party> std::fmt::Debug for Turn<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Turn").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
