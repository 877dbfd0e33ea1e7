//! Whether this machine was asleep: then the clock has gone on, and we have not.

use std::time::Duration;

use latchkey_model::clock::Timestamp;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::RelayLink;

const EVERY: Duration = Duration::from_secs(1);
/// So much more on the clock than for us is no busy machine. A clock that was set looks the same: then a
/// living tunnel is asked and stays.
const JUMP: Duration = Duration::from_secs(10);

impl RelayLink {
    /// Looks every second, and has tunnels tried and waits ended after a sleep, until stopped.
    pub(crate) async fn watch_sleep(self) {
        let stopping: CancellationToken = self.0.parts.stopping.clone();
        let mut before = self.both();
        while stopping.run_until_cancelled(sleep(EVERY)).await.is_some() {
            let now = self.both();
            let on_the_clock = now.0.since(before.0);
            let for_us = now.1.duration_since(before.1);
            if on_the_clock > for_us + JUMP {
                tracing::info!(
                    seconds = on_the_clock.as_secs(),
                    "the clock went on without this host; trying its tunnels"
                );
                self.0.woke.notify_one();
            }
            before = now;
        }
    }

    fn both(&self) -> (Timestamp, Instant) {
        (self.now(), Instant::now())
    }
}
