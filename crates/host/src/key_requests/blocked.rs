//! Addresses that somebody does not want to be asked from for a while.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use latchkey_model::clock::Timestamp;
use latchkey_web::limits::household;

/// How long an address is blocked.
pub(super) const FOR: Duration = Duration::from_hours(1);

/// Most addresses; the one whose time is over first makes room.
const MOST: usize = 1024;

/// Blocked addresses, with the end of each block.
#[derive(Default)]
pub(super) struct Blocked(HashMap<IpAddr, Timestamp>);

impl Blocked {
    pub(super) fn add(&mut self, address: IpAddr, now: Timestamp) {
        self.0.retain(|_, until| *until > now);
        if self.0.len() >= MOST
            && let Some(first) = self.0.iter().min_by_key(|(_, until)| **until)
        {
            let first = *first.0;
            self.0.remove(&first);
        }
        self.0.insert(household(address), now.plus(FOR));
    }

    pub(super) fn contains(&self, address: IpAddr, now: Timestamp) -> bool {
        self.0
            .get(&household(address))
            .is_some_and(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_for_one_address_and_one_hour() {
        let at = |millis| Timestamp::from_millis(millis);
        let mut blocked = Blocked::default();
        let (address, other) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        blocked.add(address, at(0));
        assert!(blocked.contains(address, at(3_599_999)));
        assert!(blocked.contains("::ffff:192.0.2.1".parse().unwrap(), at(0)));
        assert!(!blocked.contains(address, at(3_600_000)));
        assert!(!blocked.contains(other, at(0)));
    }

    #[test]
    fn blocks_are_bounded() {
        let mut blocked = Blocked::default();
        for index in 0..5000_u32 {
            blocked.add(
                IpAddr::V4(index.into()),
                Timestamp::from_millis(i64::from(index)),
            );
        }
        assert_eq!(blocked.0.len(), MOST);
        assert!(blocked.contains(IpAddr::V4(4999.into()), Timestamp::from_millis(5000)));
    }
}
