//! How often somebody may try: fixed windows, in memory.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use latchkey_model::clock::Timestamp;

/// So many in so long a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    most: u32,
    span: Duration,
}

impl Window {
    pub const fn new(most: u32, span: Duration) -> Self {
        Self { most, span }
    }
}

/// What one address may: `OctoPrint`'s numbers, for key requests and for failed sign-ins.
pub const OF_AN_ADDRESS: [Window; 3] = [
    Window {
        most: 3,
        span: Duration::from_mins(1),
    },
    Window {
        most: 5,
        span: Duration::from_mins(10),
    },
    Window {
        most: 10,
        span: Duration::from_hours(1),
    },
];

/// How many passwords may be tried for one user, whoever tries.
pub const OF_A_USER: [Window; 1] = [Window {
    most: 10,
    span: Duration::from_hours(1),
}];

/// Most addresses or names that are remembered; then the first known go.
const MOST_KNOWN: usize = 10_000;

/// There were too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany {
    /// When it is worth trying again.
    pub wait: Duration,
}

impl TooMany {
    /// The same in whole minutes, not too few.
    pub fn minutes(self) -> u64 {
        self.wait.as_secs().div_ceil(60)
    }
}

/// Counts tries by whoever `K` is. A window begins with the first try in it.
#[derive(Debug)]
pub struct Limits<K> {
    windows: &'static [Window],
    /// Most that are remembered; then the first known go.
    most_known: usize,
    known: Mutex<Known<K>>,
}

#[derive(Debug)]
struct Known<K> {
    counts: HashMap<K, Vec<Count>>,
    order: VecDeque<K>,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    since: Timestamp,
    tries: u32,
}

impl<K: Hash + Eq + Clone> Limits<K> {
    pub fn new(windows: &'static [Window]) -> Self {
        Self::remembering(windows, MOST_KNOWN)
    }

    /// Remembers fewer than usual.
    pub fn remembering(windows: &'static [Window], most_known: usize) -> Self {
        Self {
            windows,
            most_known,
            known: Mutex::new(Known {
                counts: HashMap::new(),
                order: VecDeque::new(),
            }),
        }
    }

    /// Whether one more try would be too many. Counts nothing.
    pub fn check(&self, who: &K, now: Timestamp) -> Result<(), TooMany> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.check(self.windows, who, now)
    }

    /// Counts a try, unless it is one too many.
    pub fn count(&self, who: &K, now: Timestamp) -> Result<(), TooMany> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = &mut *known;
        known.check(self.windows, who, now)?;
        if !known.counts.contains_key(who) {
            if known.counts.len() >= self.most_known
                && let Some(first) = known.order.pop_front()
            {
                known.counts.remove(&first);
            }
            known.order.push_back(who.clone());
        }
        let new = || {
            let none = Count {
                since: now,
                tries: 0,
            };
            vec![none; self.windows.len()]
        };
        let counts = known.counts.entry(who.clone()).or_insert_with(new);
        for (window, count) in self.windows.iter().zip(counts) {
            if elapsed(now, count.since) >= window.span {
                *count = Count {
                    since: now,
                    tries: 0,
                };
            }
            count.tries = count.tries.saturating_add(1);
        }
        Ok(())
    }
}

impl<K: Hash + Eq> Limits<K> {
    /// Takes back a try that was counted and is not to count after all.
    pub fn take_back(&self, who: &K) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for count in known.counts.get_mut(who).into_iter().flatten() {
            count.tries = count.tries.saturating_sub(1);
        }
    }
}

impl<K: Hash + Eq> Known<K> {
    fn check(&self, windows: &[Window], who: &K, now: Timestamp) -> Result<(), TooMany> {
        let Some(counts) = self.counts.get(who) else {
            return Ok(());
        };
        let waits = windows.iter().zip(counts).filter_map(|(window, count)| {
            let passed = elapsed(now, count.since);
            let full = passed < window.span && count.tries >= window.most;
            full.then(|| window.span.saturating_sub(passed))
        });
        match waits.max() {
            Some(wait) => Err(TooMany { wait }),
            None => Ok(()),
        }
    }
}

/// How much of a window has passed. All of it, if the clock was set back to before its begin:
/// nobody may be kept out until the clock has caught up.
fn elapsed(now: Timestamp, since: Timestamp) -> Duration {
    if now < since {
        return Duration::MAX;
    }
    now.since(since)
}

/// Whose tries count together: an IPv4 address, or the /64 of an IPv6 one, which is what one
/// household or server has.
pub fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => {
            let upper = u128::from(v6) >> 64 << 64;
            Ipv6Addr::from(upper).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn the_fourth_in_a_minute_the_sixth_in_ten_and_the_eleventh_in_an_hour_are_too_many() {
        let limits = Limits::new(&OF_AN_ADDRESS);
        let mut passed = Vec::new();
        for second in 0..3600 {
            if limits.count(&1, at(second)).is_ok() {
                passed.push(second);
            }
        }
        assert_eq!(
            passed,
            [0, 1, 2, 60, 61, 600, 601, 602, 660, 661],
            "10 an hour"
        );
        assert!(limits.count(&2, at(5)).is_ok(), "another address");
        assert!(limits.count(&1, at(3600)).is_ok());
    }

    #[test]
    fn it_is_told_when_to_try_again() {
        let limits = Limits::new(&OF_AN_ADDRESS);
        for second in 0..3 {
            limits.count(&1, at(second)).unwrap();
        }
        let wait = Duration::from_secs(50);
        assert_eq!(limits.check(&1, at(10)), Err(TooMany { wait }));
        assert_eq!(limits.count(&1, at(10)), Err(TooMany { wait }));
        assert_eq!(limits.check(&1, at(60)), Ok(()));
        limits.count(&1, at(60)).unwrap();
        limits.count(&1, at(60)).unwrap();
        let wait = Duration::from_secs(539);
        assert_eq!(limits.check(&1, at(61)), Err(TooMany { wait }));
    }

    #[test]
    fn what_is_taken_back_does_not_count() {
        let limits = Limits::new(&OF_A_USER);
        limits.take_back(&1);
        for _ in 0..10 {
            limits.count(&1, at(0)).unwrap();
        }
        assert!(limits.check(&1, at(1)).is_err());
        limits.take_back(&1);
        assert!(limits.count(&1, at(1)).is_ok());
        assert!(limits.count(&1, at(1)).is_err());
    }

    #[test]
    fn a_clock_set_back_keeps_nobody_out() {
        let limits = Limits::new(&OF_AN_ADDRESS);
        for _ in 0..3 {
            limits.count(&1, at(1_000_000)).unwrap();
        }
        assert_eq!(limits.check(&1, at(0)), Ok(()));
    }

    #[test]
    fn only_so_many_are_remembered_and_the_first_known_go() {
        let limits = Limits::new(&OF_A_USER);
        for who in 0..=MOST_KNOWN {
            for _ in 0..10 {
                limits.count(&who, at(0)).unwrap();
            }
        }
        assert!(limits.check(&0, at(0)).is_ok(), "forgotten");
        assert!(limits.check(&1, at(0)).is_err());
        let known = limits.known.lock().unwrap();
        assert_eq!(known.counts.len(), MOST_KNOWN);
        assert_eq!(known.order.len(), MOST_KNOWN);
    }

    #[test]
    fn a_household_is_an_address_or_a_network() {
        for (address, household_of) in [
            ("192.168.1.9", "192.168.1.9"),
            ("::ffff:192.168.1.9", "192.168.1.9"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ] {
            let found = household(address.parse().unwrap());
            assert_eq!(found, household_of.parse::<IpAddr>().unwrap());
        }
    }
}
