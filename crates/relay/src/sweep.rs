//! Forgets what is over: sessions, links and pairings past their time.

use std::sync::Arc;
use std::time::Duration;

use latchkey_model::clock::Clock;
use latchkey_store::{RelayStore, StoreError};
use tokio_util::sync::CancellationToken;

/// Nothing depends on it: what is past its time is refused wherever it is looked at.
const EVERY: Duration = Duration::from_mins(10);

/// Sweeps until stopped.
pub(crate) async fn run(store: RelayStore, clock: Arc<dyn Clock>, stop: CancellationToken) {
    loop {
        if let Err(error) = sweep(&store, &*clock).await {
            tracing::warn!(%error, "cannot forget what is over");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn sweep(store: &RelayStore, clock: &dyn Clock) -> Result<(), StoreError> {
    let now = clock.now();
    store.sessions().prune(now).await?;
    store.links().prune(now).await?;
    store.pairings().prune(now).await?;
    store.notices().prune(now).await?;
    store.origins().prune().await?;
    Ok(())
}
