//! Two running hosts with one key: which of them is let in.
//!
//! The one that is connected stays, and the other is held off, until the owner says otherwise. A
//! process that comes back after another was let in in its place proves that both run.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Sixteen bytes that differ for each run of a host.
pub(super) type Instance = [u8; 16];

/// How long the owner's word for the other one is good: it asks again within this time.
const PREFERENCE: Duration = Duration::from_mins(3);
/// More than so many swaps in so long a time lock the newcomer out.
const MOST_SWAPS: usize = 3;
const SWAPS_WITHIN: Duration = Duration::from_mins(10);
/// Processes that are remembered after others took their place.
const MOST_EARLIER: usize = 8;

/// The processes that came with one host's key.
#[derive(Debug, Default)]
pub(super) struct History {
    /// The one let in last.
    last: Option<Instance>,
    earlier: VecDeque<Instance>,
    /// Until when any other than the last is preferred.
    preferred: Option<Instant>,
    swaps: VecDeque<Instant>,
}

impl History {
    /// Whether the owner wants this process in place of the one that is there.
    pub(super) fn is_preferred(&self, instance: Instance, now: Instant) -> bool {
        self.last != Some(instance) && self.preferred.is_some_and(|until| now < until)
    }

    /// From now on the next other process is let in. False if there were too many swaps.
    pub(super) fn prefer_next(&mut self, now: Instant) -> bool {
        if self.is_flapping(now) {
            return false;
        }
        self.preferred = Some(now + PREFERENCE);
        true
    }

    /// Whether this process is locked out, because the two take turns.
    pub(super) fn is_locked_out(&self, instance: Instance, now: Instant) -> bool {
        self.is_swap(instance, now) && self.is_flapping(now)
    }

    /// Notes that a process was let in.
    pub(super) fn admit(&mut self, instance: Instance, now: Instant) {
        if self.last == Some(instance) {
            return;
        }
        if self.is_swap(instance, now) {
            if self.swaps.len() > MOST_SWAPS {
                self.swaps.pop_front();
            }
            self.swaps.push_back(now);
        }
        self.earlier.retain(|earlier| *earlier != instance);
        if let Some(last) = self.last.replace(instance) {
            if self.earlier.len() >= MOST_EARLIER {
                self.earlier.pop_front();
            }
            self.earlier.push_back(last);
        }
        self.preferred = None;
    }

    /// A host that starts anew is no swap: it never was here before.
    fn is_swap(&self, instance: Instance, now: Instant) -> bool {
        self.last != Some(instance)
            && (self.earlier.contains(&instance) || self.is_preferred(instance, now))
    }

    fn is_flapping(&self, now: Instant) -> bool {
        let lately = |at: &&Instant| now.duration_since(**at) < SWAPS_WITHIN;
        self.swaps.iter().filter(lately).count() >= MOST_SWAPS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Instance = [1; 16];
    const B: Instance = [2; 16];

    #[tokio::test(start_paused = true)]
    async fn two_that_take_turns_are_noticed_and_the_newcomer_is_locked_out() {
        let mut history = History::default();
        history.admit(A, Instant::now());
        for turn in 0..3 {
            let newcomer = if turn % 2 == 0 { B } else { A };
            assert!(history.prefer_next(Instant::now()));
            assert!(history.is_preferred(newcomer, Instant::now()));
            assert!(!history.is_locked_out(newcomer, Instant::now()));
            history.admit(newcomer, Instant::now());
            assert!(!history.is_preferred(A, Instant::now()), "used up");
            tokio::time::advance(Duration::from_secs(30)).await;
        }
        assert!(history.is_locked_out(A, Instant::now()));
        assert!(
            !history.is_locked_out(B, Instant::now()),
            "it is the one that is in"
        );
        assert!(!history.prefer_next(Instant::now()));
        tokio::time::advance(SWAPS_WITHIN).await;
        assert!(!history.is_locked_out(A, Instant::now()));
        assert!(history.prefer_next(Instant::now()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_starts_anew_again_and_again_is_no_copy() {
        let mut history = History::default();
        for run in 0..100 {
            let instance = [run; 16];
            assert!(!history.is_locked_out(instance, Instant::now()));
            history.admit(instance, Instant::now());
        }
        assert!(history.swaps.is_empty());
        assert_eq!(history.earlier.len(), MOST_EARLIER);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wish_for_the_other_one_lapses() {
        let mut history = History::default();
        history.admit(A, Instant::now());
        history.prefer_next(Instant::now());
        assert!(!history.is_preferred(A, Instant::now()), "it is in already");
        tokio::time::advance(PREFERENCE).await;
        assert!(!history.is_preferred(B, Instant::now()));
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_come_back_by_themselves_count_too() {
        let mut history = History::default();
        for turn in 0..4 {
            let instance = if turn % 2 == 0 { A } else { B };
            history.admit(instance, Instant::now());
        }
        // B was new; A, B came back.
        assert_eq!(history.swaps.len(), 2);
        history.admit(A, Instant::now());
        assert!(history.is_locked_out(B, Instant::now()));
    }
}
