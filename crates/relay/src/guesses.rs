//! Whoever guesses hostnames, credentials or App tokens is answered more slowly, and never
//! differently.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use latchkey_model::clock::Clock;
use latchkey_model::relay_status::RelayStatus;
use latchkey_web::limits::{Limits, Window, household};
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Refusals that one address (IPv6: /64) is told at once.
const AT_ONCE: [Window; 1] = [Window::new(20, Duration::from_mins(1))];

/// How long an address that had more is in the tarpit.
const TARPIT: Duration = Duration::from_mins(1);

/// What is told to an address in the tarpit is told one after another, so far apart. An app with a
/// wrong password hardly notices; and nobody can tell by it whether a hostname exists.
const DELAY: Duration = Duration::from_millis(250);

/// Nobody waits longer, however many guesses were sent at once.
const LONGEST: Duration = Duration::from_secs(10);

/// Refusals that wait at once; more are told without waiting, so that waiting costs no more.
const WAITING: usize = 1024;

/// Addresses in the tarpit; then the first goes.
const MOST_KNOWN: usize = 10_000;

/// Counts refusals by address.
pub(crate) struct Guesses {
    clock: Arc<dyn Clock>,
    refused: Limits<IpAddr>,
    tarpit: Mutex<Tarpit>,
    waiting: Semaphore,
}

#[derive(Default)]
struct Tarpit {
    stuck: HashMap<IpAddr, Stuck>,
    /// The first that got stuck first.
    order: VecDeque<IpAddr>,
}

struct Stuck {
    until: Instant,
    /// When the last of those who wait is told.
    last: Instant,
}

impl Guesses {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            refused: Limits::new(&AT_ONCE),
            tarpit: Mutex::default(),
            waiting: Semaphore::new(WAITING),
        }
    }

    /// Waits before a refusal that may be a guess, if there were many from this address.
    pub(crate) async fn slow_down(&self, status: RelayStatus, address: IpAddr) {
        if !matches!(status, RelayStatus::NotFound | RelayStatus::Unauthorized) {
            return;
        }
        let place = self.waiting.try_acquire();
        let told = self.told_at(household(address), place.is_ok());
        if let Some(told) = told {
            tokio::time::sleep_until(told).await;
        }
        drop(place);
    }

    /// When a refusal is told to this address, if it may wait; `None` for at once.
    fn told_at(&self, address: IpAddr, may_wait: bool) -> Option<Instant> {
        let now = Instant::now();
        let mut tarpit = self.tarpit.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stuck) = tarpit.stuck.get_mut(&address)
            && now < stuck.until
        {
            if !may_wait {
                return None;
            }
            stuck.last = (stuck.last.max(now) + DELAY).min(now + LONGEST);
            return Some(stuck.last);
        }
        if self.refused.count(&address, self.clock.now()).is_ok() {
            return None;
        }
        let told = if may_wait { now + DELAY } else { now };
        tarpit.put(address, now + TARPIT, told);
        may_wait.then_some(told)
    }
}

impl Tarpit {
    fn put(&mut self, address: IpAddr, until: Instant, last: Instant) {
        if self.stuck.insert(address, Stuck { until, last }).is_some() {
            // It has its place in the order.
            return;
        }
        if self.order.len() >= MOST_KNOWN
            && let Some(first) = self.order.pop_front()
        {
            self.stuck.remove(&first);
        }
        self.order.push_back(address);
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
        let places = guesses.waiting.try_acquire_many(1024).unwrap();
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

    #[tokio::test(start_paused = true)]
    async fn guesses_in_the_tarpit_are_told_one_after_another_for_a_minute() {
        let clock = Arc::new(FixedClock::new(Timestamp::from_millis(0)));
        let guesses = Guesses::new(clock);
        let guess = || taken(&guesses, RelayStatus::NotFound, "192.0.2.1");
        for _ in 0..20 {
            guess().await;
        }
        let all = futures_util::future::join_all((0..100).map(|_| guess())).await;
        assert_eq!(all[..3], [DELAY, 2 * DELAY, 3 * DELAY]);
        assert_eq!(all[99], LONGEST);
        let other = taken(&guesses, RelayStatus::NotFound, "192.0.2.2");
        assert_eq!(other.await, Duration::ZERO);
        tokio::time::advance(Duration::from_millis(49_999)).await;
        assert_eq!(guess().await, DELAY, "still in it");
        assert_eq!(guess().await, DELAY, "and counted on");
    }

    #[tokio::test(start_paused = true)]
    async fn the_tarpit_is_over_after_a_minute_and_begins_anew_after_twenty_more() {
        let clock = Arc::new(FixedClock::new(Timestamp::from_millis(0)));
        let guesses = Guesses::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let guess = || taken(&guesses, RelayStatus::Unauthorized, "192.0.2.1");
        for _ in 0..2 {
            for _ in 0..20 {
                assert_eq!(guess().await, Duration::ZERO);
            }
            assert_eq!(guess().await, DELAY);
            clock.advance(TARPIT);
            tokio::time::advance(TARPIT).await;
        }
    }

    #[test]
    fn the_tarpit_holds_so_many_addresses_and_no_more() {
        let mut tarpit = Tarpit::default();
        let now = tokio::time::Instant::now();
        let address = |number: usize| {
            let bits = u32::try_from(number).unwrap();
            IpAddr::from(std::net::Ipv4Addr::from_bits(bits))
        };
        for number in 0..=MOST_KNOWN {
            tarpit.put(address(number), now, now);
            tarpit.put(address(number), now, now);
        }
        assert_eq!(
            (tarpit.stuck.len(), tarpit.order.len()),
            (MOST_KNOWN, MOST_KNOWN)
        );
        assert!(!tarpit.stuck.contains_key(&address(0)));
        assert!(tarpit.stuck.contains_key(&address(1)));
    }
}
