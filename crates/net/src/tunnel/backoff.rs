//! When to dial again: full jitter, so that hosts do not come back all at once.

use std::time::Duration;

use tokio::time::Instant;

/// The first delay's upper bound.
const FIRST: Duration = Duration::from_millis(500);
/// The upper bound while the line has not been down for long: who loses the relay for
/// some minutes has it back within seconds.
const LONGEST_AT_FIRST: Duration = Duration::from_secs(8);
/// How long that is.
const AT_FIRST: Duration = Duration::from_mins(5);
/// The last delay's upper bound.
const LONGEST: Duration = Duration::from_mins(1);
/// A tunnel that lived this long was healthy: the next delay is the first again.
const HEALTHY: Duration = Duration::from_mins(1);

/// Where the dialler's randomness comes from.
pub(super) trait Jitter: Send + Sync {
    /// The next number, at least 0 and less than 1.
    fn fraction(&mut self) -> f64;
}

/// Randomness of the operating system.
pub(super) struct SystemJitter;

impl Jitter for SystemJitter {
    fn fraction(&mut self) -> f64 {
        // Without randomness the middle is still a fair delay.
        getrandom::u64().map_or(0.5, unit)
    }
}

/// Repeatable randomness for tests (splitmix64).
#[cfg(test)]
pub(super) struct SeededJitter(pub(super) u64);

#[cfg(test)]
impl Jitter for SeededJitter {
    fn fraction(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        unit(mixed ^ (mixed >> 31))
    }
}

fn unit(bits: u64) -> f64 {
    let high = u32::try_from(bits >> 32).unwrap_or(u32::MAX);
    f64::from(high) / (f64::from(u32::MAX) + 1.0)
}

/// The schedule of one dialler.
pub(super) struct Backoff {
    jitter: Box<dyn Jitter>,
    bound: Duration,
    /// When a tunnel was last up or the schedule started over.
    down_since: Instant,
}

impl Backoff {
    pub(super) fn new(jitter: Box<dyn Jitter>) -> Self {
        Self {
            jitter,
            bound: FIRST,
            down_since: Instant::now(),
        }
    }

    /// The wait before the next attempt, anywhere from nothing to a bound that doubles.
    pub(super) fn next(&mut self) -> Duration {
        let longest = if self.down_since.elapsed() < AT_FIRST {
            LONGEST_AT_FIRST
        } else {
            LONGEST
        };
        let bound = self.bound.min(longest);
        self.bound = bound * 2;
        self.spread(bound)
    }

    /// Starts over: something changed for the better.
    pub(super) fn reset(&mut self) {
        self.bound = FIRST;
        self.down_since = Instant::now();
    }

    /// Takes note of a tunnel that was up until now, and of how long it lived.
    pub(super) fn lived(&mut self, lifetime: Duration) {
        self.down_since = Instant::now();
        if lifetime >= HEALTHY {
            self.reset();
        }
    }

    /// A wait that the relay asked for: at least that long, up to a quarter longer.
    pub(super) fn asked(&mut self, wait: Duration) -> Duration {
        wait + self.spread(wait / 4)
    }

    /// Anywhere from nothing to `most`.
    pub(super) fn spread(&mut self, most: Duration) -> Duration {
        most.mul_f64(self.jitter.fraction())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As unlucky as can be.
    struct Most;

    impl Jitter for Most {
        fn fraction(&mut self) -> f64 {
            1.0
        }
    }

    /// Waits out the schedule for so long; returns the longest delay.
    async fn longest(backoff: &mut Backoff, time: Duration) -> Duration {
        let end = Instant::now() + time;
        let mut longest = Duration::ZERO;
        while Instant::now() < end {
            let delay = backoff.next();
            longest = longest.max(delay);
            tokio::time::sleep(delay).await;
        }
        longest
    }

    #[tokio::test(start_paused = true)]
    async fn after_an_outage_of_minutes_the_next_attempt_is_seconds_away() {
        let seconds = Duration::from_secs;
        let mut backoff = Backoff::new(Box::new(Most));
        assert_eq!(longest(&mut backoff, AT_FIRST).await, seconds(8));
        let later: Vec<_> = (0..4).map(|_| backoff.next()).collect();
        assert_eq!(later, [seconds(16), seconds(32), seconds(60), seconds(60)]);
        // A tunnel that was up, however briefly, is where the next outage begins.
        backoff.lived(seconds(1));
        assert_eq!(longest(&mut backoff, AT_FIRST).await, seconds(8));
        assert_eq!(backoff.next(), seconds(16));
        backoff.lived(HEALTHY);
        assert_eq!(backoff.next(), FIRST);
        assert_eq!(longest(&mut backoff, AT_FIRST).await, seconds(8));
    }
}
