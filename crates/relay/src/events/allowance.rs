//! How much a host may say: its relay believes no host that it is one of ours.

use std::time::Duration;

use tokio::time::Instant;

/// So many at once, and one more each time that `every` has passed.
#[derive(Debug)]
pub(super) struct Allowance {
    most: u32,
    every: Duration,
    left: u32,
    counted: Instant,
}

impl Allowance {
    pub(super) fn new(most: u32, every: Duration) -> Self {
        Self {
            most,
            every,
            left: most,
            counted: Instant::now(),
        }
    }

    /// Takes one; false if there is none left.
    pub(super) fn take(&mut self) -> bool {
        let passed = self.counted.elapsed();
        let more = u32::try_from(passed.as_nanos() / self.every.as_nanos()).unwrap_or(u32::MAX);
        if more >= self.most - self.left {
            self.left = self.most;
            self.counted = Instant::now();
        } else {
            self.left += more;
            self.counted += self.every * more;
        }
        let has = self.left > 0;
        self.left -= u32::from(has);
        has
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_fine_and_then_one_at_a_time() {
        let mut allowance = Allowance::new(3, Duration::from_secs(1));
        assert!([(); 3].iter().all(|()| allowance.take()));
        assert!(!allowance.take());
        tokio::time::advance(Duration::from_millis(1_500)).await;
        assert!(allowance.take());
        assert!(!allowance.take());
        tokio::time::advance(Duration::from_millis(500)).await;
        assert!(allowance.take(), "nothing of the time is lost");
        tokio::time::advance(Duration::from_hours(9_000)).await;
        assert!([(); 3].iter().all(|()| allowance.take()));
        assert!(!allowance.take(), "more than so many are never saved up");
    }
}
