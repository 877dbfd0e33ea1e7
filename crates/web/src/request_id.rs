//! Names for requests, so that a person's error page leads to one log line.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// Hands out request ids: 16 hexadecimal digits, no two alike in one run of a process.
///
/// They are names, not secrets: nothing may be allowed because somebody knows one.
#[derive(Debug)]
pub struct RequestIds(AtomicU64);

impl Default for RequestIds {
    fn default() -> Self {
        // A random start keeps the ids of two runs, or of relay and host, apart.
        Self(AtomicU64::new(RandomState::new().hash_one(0)))
    }
}

impl RequestIds {
    /// The next id.
    pub fn next(&self) -> String {
        let count = self.0.fetch_add(1, Ordering::Relaxed);
        // An odd factor maps the counter one to one and makes neighbours look different.
        format!("{:016x}", count.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }
}

#[cfg(test)]
mod tests {
    use super::RequestIds;
    use std::collections::HashSet;

    #[test]
    fn ids_are_short_plain_and_different() {
        let ids = RequestIds::default();
        let seen: HashSet<_> = (0..1000).map(|_| ids.next()).collect();
        assert_eq!(seen.len(), 1000);
        assert!(seen.iter().all(|id| id.len() == 16));
    }
}
