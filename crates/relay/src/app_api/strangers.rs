//! Slows down who tries App tokens that lead nowhere.
//!
//! What is answered never changes, and a right token is never slowed down: behind one address
//! there may be a whole household, and apps delete their connection on a wrong answer.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use latchkey_model::clock::Timestamp;

/// So many wrong tokens of one address are answered at once in each [`SPAN`].
pub(super) const AT_ONCE: u32 = 20;
const SPAN: Duration = Duration::from_mins(1);
/// How long each further one waits for its answer.
pub(super) const PAUSE: Duration = Duration::from_secs(2);
/// Most addresses that are remembered; then all are forgotten.
const MOST_KNOWN: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct Strangers {
    known: Mutex<HashMap<IpAddr, Count>>,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    since: Timestamp,
    tries: u32,
}

impl Count {
    /// A clock that was set back begins anew, too.
    fn is_over(self, now: Timestamp) -> bool {
        now < self.since || now.since(self.since) >= SPAN
    }
}

impl Strangers {
    /// Counts a wrong token, and says how long its answer waits.
    pub(super) fn pause(&self, address: IpAddr, now: Timestamp) -> Option<Duration> {
        let mut known = self.known();
        let who = household(address);
        if known.len() >= MOST_KNOWN && !known.contains_key(&who) {
            known.retain(|_, count| !count.is_over(now));
            if known.len() >= MOST_KNOWN {
                known.clear();
            }
        }
        let new = Count {
            since: now,
            tries: 0,
        };
        let count = known.entry(who).or_insert(new);
        if count.is_over(now) {
            *count = new;
        }
        count.tries = count.tries.saturating_add(1);
        (count.tries > AT_ONCE).then_some(PAUSE)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<IpAddr, Count>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose tries count together: an IPv4 address, or the /64 of an IPv6 one, which is what one
/// household or server has.
fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6) >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn after_a_few_in_a_minute_each_further_one_waits() {
        let strangers = Strangers::default();
        for _ in 0..AT_ONCE {
            assert_eq!(strangers.pause(address(1), at(0)), None);
        }
        assert_eq!(strangers.pause(address(1), at(59)), Some(PAUSE));
        assert_eq!(strangers.pause(address(2), at(59)), None, "somebody else");
        assert_eq!(strangers.pause(address(1), at(60)), None, "a minute later");
    }

    #[test]
    fn a_network_of_one_household_counts_together_and_a_clock_set_back_begins_anew() {
        let strangers = Strangers::default();
        for last in 0..AT_ONCE {
            let one: IpAddr = format!("2001:db8::{last:x}").parse().unwrap();
            assert_eq!(strangers.pause(one, at(100)), None);
        }
        let other = "2001:db8::ffff".parse().unwrap();
        assert_eq!(strangers.pause(other, at(100)), Some(PAUSE));
        assert_eq!(strangers.pause(other, at(0)), None);
    }

    #[test]
    fn only_so_many_addresses_are_remembered() {
        let strangers = Strangers::default();
        for number in 0..=u32::try_from(MOST_KNOWN).unwrap() {
            strangers.pause(std::net::Ipv4Addr::from(number).into(), at(0));
        }
        assert!(strangers.known().len() <= MOST_KNOWN);
    }
}
