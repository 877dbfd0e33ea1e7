//! How much comes and goes on tunnels at the moment.

use std::collections::HashMap;
use std::time::Duration;

use latchkey_net::tunnel::Tunnel;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Tunnels;

/// What "at the moment" means.
const EVERY: Duration = Duration::from_secs(5);

/// Measures until stopped.
pub(crate) async fn watch(tunnels: Tunnels, stop: CancellationToken) {
    let wait = async || tokio::time::sleep(EVERY).await;
    while stop.run_until_cancelled(wait()).await.is_some() {
        tunnels.measure();
    }
}

/// The last look at each tunnel, by its id.
#[derive(Default)]
pub(super) struct Rates(HashMap<String, Look>);

#[derive(Clone, Copy)]
struct Look {
    bytes: u64,
    at: Instant,
    /// Bytes in a second between the look before and this one.
    rate: u64,
}

impl Look {
    fn first(bytes: u64, at: Instant) -> Self {
        Self { bytes, at, rate: 0 }
    }

    fn next(self, bytes: u64, at: Instant) -> Self {
        let moved = u128::from(bytes.saturating_sub(self.bytes));
        let millis = at.duration_since(self.at).as_millis().max(1);
        Self {
            bytes,
            at,
            rate: u64::try_from(moved * 1000 / millis).unwrap_or(u64::MAX),
        }
    }
}

impl Rates {
    pub(super) fn measure<'t>(&mut self, live: impl Iterator<Item = &'t Tunnel>, now: Instant) {
        let looks = live.map(|tunnel| {
            let bytes = tunnel.bytes_moved();
            let before = self.0.get(tunnel.id());
            let look = before.map_or(Look::first(bytes, now), |before| before.next(bytes, now));
            (tunnel.id().to_owned(), look)
        });
        // Those that are gone are not in it any more.
        self.0 = looks.collect();
    }

    pub(super) fn of(&self, tunnel: &Tunnel) -> u64 {
        self.0.get(tunnel.id()).map_or(0, |look| look.rate)
    }

    pub(super) fn of_all(&self) -> u64 {
        self.0.values().map(|look| look.rate).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_what_came_between_two_looks() {
        let look = Look::first(1000, Instant::now());
        assert_eq!(look.rate, 0);
        tokio::time::advance(EVERY).await;
        let look = look.next(51_000, Instant::now());
        assert_eq!(look.rate, 10_000);
        let same_moment = look.next(52_000, Instant::now());
        assert_eq!(same_moment.rate, 1_000_000);
        tokio::time::advance(EVERY).await;
        assert_eq!(look.next(51_000, Instant::now()).rate, 0);
    }
}
