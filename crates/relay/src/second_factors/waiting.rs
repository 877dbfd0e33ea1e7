//! What waits for somebody's next step, in memory only: for minutes, and a bounded number.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use latchkey_model::clock::Timestamp;

/// Values that wait, by what names them. Of too many the oldest go, of the crowd with the most.
pub(crate) struct Waiting<K, V> {
    lasts: Duration,
    most: usize,
    of: Mutex<VecDeque<One<K, V>>>,
}

struct One<K, V> {
    key: K,
    value: V,
    /// Whose it is, as far as that can be told.
    crowd: String,
    until: Timestamp,
}

impl<K: PartialEq, V> Waiting<K, V> {
    pub(crate) const fn new(lasts: Duration, most: usize) -> Self {
        Self {
            lasts,
            most,
            of: Mutex::new(VecDeque::new()),
        }
    }

    /// Lets a value wait, in place of an earlier one of the same name.
    pub(crate) fn put(&self, key: K, value: V, now: Timestamp) {
        self.put_of(String::new(), key, value, now);
    }

    /// The same for one of a crowd: whoever has the most waiting makes room first.
    pub(crate) fn put_of(&self, crowd: String, key: K, value: V, now: Timestamp) {
        let mut of = self.lock(now);
        of.retain(|one| one.key != key);
        if of.len() >= self.most {
            let first = first_to_go(&of);
            of.remove(first);
        }
        let until = now.plus(self.lasts);
        of.push_back(One {
            key,
            value,
            crowd,
            until,
        });
    }

    /// Takes a value: it is gone, whatever becomes of it.
    pub(crate) fn take(&self, key: &K, now: Timestamp) -> Option<V> {
        let mut of = self.lock(now);
        let at = of.iter().position(|one| one.key == *key)?;
        of.remove(at).map(|one| one.value)
    }

    /// Drops what is past.
    fn lock(&self, now: Timestamp) -> MutexGuard<'_, VecDeque<One<K, V>>> {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        of.retain(|one| one.until > now);
        of
    }
}

impl<K: PartialEq, V: Clone> Waiting<K, V> {
    /// A value, which goes on waiting.
    pub(crate) fn look(&self, key: &K, now: Timestamp) -> Option<V> {
        let of = self.lock(now);
        let found = of.iter().find(|one| one.key == *key);
        found.map(|one| one.value.clone())
    }
}

/// Where the oldest of the largest crowd is; of equal ones, of that with the oldest.
fn first_to_go<K, V>(of: &VecDeque<One<K, V>>) -> usize {
    let mut crowds: HashMap<&str, (usize, Reverse<usize>)> = HashMap::new();
    for (at, one) in of.iter().enumerate() {
        let (size, _) = crowds.entry(&one.crowd).or_insert((0, Reverse(at)));
        *size += 1;
    }
    let largest = crowds.into_values().max();
    largest.map_or(0, |(_, Reverse(first))| first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn what_waits_is_taken_once_and_only_in_its_time() {
        let waiting = Waiting::new(Duration::from_mins(5), 10);
        waiting.put("a", 1, at(0));
        assert_eq!(waiting.look(&"a", at(299)), Some(1));
        assert_eq!(waiting.take(&"b", at(0)), None);
        assert_eq!(waiting.take(&"a", at(0)), Some(1));
        assert_eq!(waiting.take(&"a", at(0)), None);
        waiting.put("a", 2, at(0));
        assert_eq!(waiting.look(&"a", at(300)), None);
        assert_eq!(waiting.take(&"a", at(300)), None);
    }

    #[test]
    fn of_too_many_the_oldest_go_and_one_name_has_one_value() {
        let waiting = Waiting::new(Duration::from_mins(5), 3);
        for number in 0..5 {
            waiting.put(number, number, at(number));
            waiting.put(number, -number, at(number));
        }
        let left: Vec<_> = (0..5).filter_map(|key| waiting.take(&key, at(5))).collect();
        assert_eq!(left, [-2, -3, -4]);
    }

    #[test]
    fn whoever_has_the_most_waiting_makes_room() {
        let waiting = Waiting::new(Duration::from_mins(5), 4);
        let put = |crowd: &str, number| waiting.put_of(crowd.to_owned(), number, number, at(0));
        put("few", 0);
        for number in 1..10 {
            put("many", number);
        }
        put("other", 10);
        let left: Vec<_> = (0..=10)
            .filter_map(|key| waiting.take(&key, at(0)))
            .collect();
        assert_eq!(left, [0, 8, 9, 10]);
    }
}
