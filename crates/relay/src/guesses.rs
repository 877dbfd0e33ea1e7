//! Whoever guesses hostnames, credentials or App tokens is answered more slowly, and never
//! differently.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use latchkey_model::clock::Clock;
use latchkey_model::relay_status::RelayStatus;
use latchkey_web::limits::{Limits, Window, household};
use tokio::sync::Semaphore;

/// Refusals that one address (IPv6: /64) is told at once.
const AT_ONCE: [Window; 1] = [Window::new(20, Duration::from_mins(1))];

/// How long each further one takes. An app with a wrong password hardly notices; and nobody can
/// tell by it whether a hostname exists.
const DELAY: Duration = Duration::from_millis(250);

/// Refusals that wait at once; more are told without waiting, so that waiting costs no more.
const WAITING: usize = 256;

/// Counts refusals by address.
pub(crate) struct Guesses {
    clock: Arc<dyn Clock>,
    refused: Limits<IpAddr>,
    waiting: Semaphore,
}

impl Guesses {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            refused: Limits::new(&AT_ONCE),
            waiting: Semaphore::new(WAITING),
        }
    }

    /// Waits before a refusal that may be a guess, if there were many from this address.
    pub(crate) async fn slow_down(&self, status: RelayStatus, address: IpAddr) {
        if !matches!(status, RelayStatus::NotFound | RelayStatus::Unauthorized) {
            return;
        }
        if self
            .refused
            .count(&household(address), self.clock.now())
            .is_ok()
        {
            return;
        }
        if let Ok(_place) = self.waiting.try_acquire() {
            tokio::time::sleep(DELAY).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use latchkey_model::clock::{FixedClock, Timestamp};
    use tokio::time::Instant;

    use super::*;

    async fn taken(guesses: &Guesses, status: RelayStatus, address: &str) -> Duration {
        let before = Instant::now();
        guesses.slow_down(status, address.parse().unwrap()).await;
        before.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn guesses_beyond_twenty_a_minute_take_longer_for_their_address_alone() {
        let clock = Arc::new(FixedClock::new(Timestamp::from_millis(0)));
        let guesses = Guesses::new(clock);
        for number in 0..20 {
            let status = if number % 2 == 0 {
                RelayStatus::NotFound
            } else {
                RelayStatus::Unauthorized
            };
            assert_eq!(taken(&guesses, status, "192.0.2.1").await, Duration::ZERO);
        }
        for status in [RelayStatus::NotFound, RelayStatus::Unauthorized] {
            assert_eq!(taken(&guesses, status, "192.0.2.1").await, DELAY);
            assert_eq!(taken(&guesses, status, "192.0.2.2").await, Duration::ZERO);
        }
        // Of what somebody knows who held the right credentials nothing is guessed.
        for status in [RelayStatus::Ended, RelayStatus::OwnerNotEntitled] {
            assert_eq!(taken(&guesses, status, "192.0.2.1").await, Duration::ZERO);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_bounded() {
        let guesses = Guesses::new(Arc::new(FixedClock::new(Timestamp::from_millis(0))));
        for _ in 0..20 {
            taken(&guesses, RelayStatus::NotFound, "192.0.2.1").await;
        }
        let places = guesses.waiting.try_acquire_many(256).unwrap();
        assert_eq!(
            taken(&guesses, RelayStatus::NotFound, "192.0.2.1").await,
            Duration::ZERO
        );
        drop(places);
        assert_eq!(
            taken(&guesses, RelayStatus::NotFound, "192.0.2.1").await,
            DELAY
        );
    }
}
