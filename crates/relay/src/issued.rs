//! Whether an unknown secret means that there is no such app connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use latchkey_model::clock::{Clock, Timestamp};
use latchkey_store::{RelayStore, StoreError};
use tokio::sync::Mutex;

/// How long an empty database is taken for empty, and how long nothing more is said about it. Until
/// the first app connection is made, anybody can ask as often as they like; each of them would cost
/// a query and a line in the log.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
const SAID_AGAIN_AFTER: Duration = Duration::from_mins(1);

/// Whether the database is known to hold app connections.
pub(crate) struct Issued {
    has_any: AtomicBool,
    /// Held while it is looked, so that one looks for all.
    empty: Mutex<Empty>,
    clock: Arc<dyn Clock>,
}

/// When the database was last found empty, and when that was last said.
#[derive(Default)]
struct Empty {
    found: Option<Timestamp>,
    said: Option<Timestamp>,
}

impl Issued {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            has_any: AtomicBool::new(false),
            empty: Mutex::default(),
            clock,
        }
    }

    /// Whether there has ever been an app connection. A database without a single one, ended
    /// ones included, is not the one that anybody's secret came from: most likely its disk is
    /// not mounted.
    pub(crate) async fn check(&self, store: &RelayStore) -> Result<bool, StoreError> {
        if self.has_any.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let mut empty = self.empty.lock().await;
        // Another may have looked meanwhile.
        if self.has_any.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let now = self.clock.now();
        // A clock that was set back must not keep this from being looked at.
        let is_within =
            |at: Option<Timestamp>, span| at.is_some_and(|at| at <= now && now.since(at) < span);
        if is_within(empty.found, AGAIN_AFTER) {
            return Ok(false);
        }
        let has_any = store.app_connections().has_any().await?;
        if has_any {
            self.has_any.store(true, Ordering::Relaxed);
            return Ok(true);
        }
        empty.found = Some(now);
        if !is_within(empty.said, SAID_AGAIN_AFTER) {
            empty.said = Some(now);
            tracing::error!("an app was turned away: the database knows no app connection at all");
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use latchkey_model::clock::FixedClock;

    use super::*;

    const BEGINNING: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[tokio::test]
    async fn an_empty_database_is_looked_at_once_a_second() {
        let store = RelayStore::open_in_memory().await.unwrap();
        let clock = Arc::new(FixedClock::new(BEGINNING));
        let issued = Issued::new(Arc::clone(&clock) as Arc<dyn Clock>);
        assert!(!issued.check(&store).await.unwrap());
        // From now on each look fails, so that those that are made can be told.
        store.close().await;
        clock.set(BEGINNING.plus(Duration::from_millis(999)));
        assert!(!issued.check(&store).await.unwrap());
        clock.set(BEGINNING.plus(AGAIN_AFTER));
        assert!(issued.check(&store).await.is_err());
    }

    #[tokio::test]
    async fn a_clock_that_was_set_back_makes_it_look_again() {
        let store = RelayStore::open_in_memory().await.unwrap();
        let clock = Arc::new(FixedClock::new(BEGINNING));
        let issued = Issued::new(Arc::clone(&clock) as Arc<dyn Clock>);
        assert!(!issued.check(&store).await.unwrap());
        store.close().await;
        clock.set(Timestamp::from_millis(1_000));
        assert!(issued.check(&store).await.is_err());
    }
}
