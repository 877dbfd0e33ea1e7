//! Who has how many keys, so that whoever has the most makes room first.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;

use latchkey_model::secret::SessionKeyHash;

/// Keys by household, each household's oldest first. Every step takes a time that grows with the
/// logarithm of the households: strangers cause them.
#[derive(Default)]
pub(super) struct Crowds {
    keys: HashMap<IpAddr, VecDeque<(u64, SessionKeyHash)>>,
    /// Size, age of the oldest key, household: the largest crowd is last, of equal ones that with
    /// the oldest key.
    sizes: BTreeSet<(usize, Reverse<u64>, IpAddr)>,
    count: usize,
    next: u64,
}

impl Crowds {
    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn add(&mut self, household: IpAddr, hash: SessionKeyHash) {
        self.change(household, |keys, next| {
            keys.push_back((next, hash));
        });
        self.next += 1;
        self.count += 1;
    }

    pub(super) fn remove(&mut self, household: IpAddr, hash: &SessionKeyHash) {
        let mut removed = 0;
        self.change(household, |keys, _| {
            let before = keys.len();
            keys.retain(|(_, key)| key != hash);
            removed = before - keys.len();
        });
        self.count -= removed;
    }

    /// The oldest key of whoever has the most.
    pub(super) fn first_to_go(&self) -> Option<SessionKeyHash> {
        let (_, _, household) = self.sizes.last()?;
        let (_, hash) = self.keys.get(household)?.front()?;
        Some(*hash)
    }

    fn change(
        &mut self,
        household: IpAddr,
        change: impl FnOnce(&mut VecDeque<(u64, SessionKeyHash)>, u64),
    ) {
        let keys = self.keys.entry(household).or_default();
        let entry = |keys: &VecDeque<(u64, SessionKeyHash)>| {
            let (oldest, _) = keys.front()?;
            Some((keys.len(), Reverse(*oldest), household))
        };
        if let Some(before) = entry(keys) {
            self.sizes.remove(&before);
        }
        change(keys, self.next);
        match entry(keys) {
            Some(after) => {
                self.sizes.insert(after);
            }
            None => {
                self.keys.remove(&household);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(name: &str) -> SessionKeyHash {
        SessionKeyHash::of(name)
    }

    #[test]
    fn the_oldest_of_the_largest_crowd_goes_first() {
        let [few, many, other] = [1, 2, 3].map(|last| IpAddr::from([10, 0, 0, last]));
        let mut crowds = Crowds::default();
        assert!(crowds.first_to_go().is_none());
        for (household, name) in [
            (few, "f1"),
            (many, "m1"),
            (many, "m2"),
            (few, "f2"),
            (many, "m3"),
            (other, "o1"),
        ] {
            crowds.add(household, hash(name));
        }
        for (household, name) in [(many, "m1"), (few, "f1"), (many, "m2"), (few, "f2")] {
            assert_eq!(crowds.first_to_go(), Some(hash(name)));
            crowds.remove(household, &hash(name));
        }
        crowds.remove(many, &hash("o1"));
        assert_eq!(crowds.count(), 2, "it is another's");
        crowds.remove(many, &hash("m3"));
        crowds.remove(other, &hash("o1"));
        assert_eq!(crowds.count(), 0);
        assert!(crowds.keys.is_empty() && crowds.sizes.is_empty());
    }
}
