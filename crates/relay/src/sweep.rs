//! Forgets what is over: sessions, links and pairings past their time, and what happened long ago.

use std::sync::Arc;
use std::time::Duration;

use latchkey_model::clock::{Clock, Timestamp};
use latchkey_store::{RelayStore, StoreError};
use tokio_util::sync::CancellationToken;

use crate::audit::Audit;

/// Nothing depends on it: what is past its time is refused wherever it is looked at.
const EVERY: Duration = Duration::from_mins(10);

/// So many events of each printer are kept, for so long: 90 days.
const MOST_EVENTS: u32 = 1_000;
const EVENTS_FOR_MILLIS: i64 = 90 * 24 * 60 * 60 * 1_000;

/// Sweeps until stopped.
pub(crate) async fn run(
    store: RelayStore,
    audit: Audit,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) {
    loop {
        if let Err(error) = sweep(&store, &audit, &*clock).await {
            tracing::warn!(%error, "cannot forget what is over");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn sweep(store: &RelayStore, audit: &Audit, clock: &dyn Clock) -> Result<(), StoreError> {
    let now = clock.now();
    store.sessions().prune(now).await?;
    store.links().prune(now).await?;
    store.pairings().prune(now).await?;
    let old = Timestamp::from_millis(now.millis().saturating_sub(EVENTS_FOR_MILLIS));
    store.events().forget(old, MOST_EVENTS).await?;
    audit.forget().await?;
    Ok(())
}
