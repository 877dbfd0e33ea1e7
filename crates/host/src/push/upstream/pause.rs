//! When to try again: full jitter, so that clients do not come back all at once.

use std::time::Duration;

use latchkey_model::chance::Chance;
use tokio::time::Instant;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);
/// A socket that lived this long was healthy.
const HEALTHY: Duration = Duration::from_mins(1);

/// The waits of one client.
pub(crate) struct Pauses<C> {
    chance: C,
    bound: Duration,
}

impl<C: Chance> Pauses<C> {
    pub(crate) fn new(chance: C) -> Self {
        Self {
            chance,
            bound: FIRST,
        }
    }

    /// The wait after an attempt that began then: anywhere from a tenth to the whole of a bound
    /// that doubles.
    pub(crate) fn after(&mut self, began: Instant) -> Duration {
        if began.elapsed() >= HEALTHY {
            self.bound = FIRST;
        }
        let bound = self.bound;
        self.bound = (bound * 2).min(LONGEST);
        let mut bytes = [0; 4];
        self.chance.fill(&mut bytes);
        let fraction = f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX);
        bound.mul_f64(0.1 + 0.9 * fraction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_model::chance::SeededChance;

    #[tokio::test(start_paused = true)]
    async fn waits_grow_until_a_socket_was_healthy() {
        let mut pauses = Pauses::new(SeededChance::new(1));
        let began = Instant::now();
        let mut bound = FIRST;
        for _ in 0..20 {
            let wait = pauses.after(began);
            assert!(wait >= bound / 10 && wait <= bound, "{wait:?} of {bound:?}");
            bound = (bound * 2).min(LONGEST);
        }
        assert_eq!(bound, LONGEST);
        tokio::time::advance(HEALTHY).await;
        assert!(pauses.after(began) <= FIRST);
    }
}
