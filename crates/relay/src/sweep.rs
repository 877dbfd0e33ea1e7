//! Forgets what is over: sessions, links and pairings past their time, what happened and was told
//! long ago.

use std::time::Duration;

use latchkey_model::clock::Timestamp;
use latchkey_store::StoreError;
use tokio_util::sync::CancellationToken;

use crate::activity;
use crate::limits;
use crate::state::State;

/// Nothing depends on it: what is past its time is refused wherever it is looked at.
const EVERY: Duration = Duration::from_mins(10);

/// So many events of each printer are kept, for so long: 90 days.
const MOST_EVENTS: u32 = 1_000;
const EVENTS_FOR_MILLIS: i64 = 90 * 24 * 60 * 60 * 1_000;

/// Sweeps until stopped.
pub(crate) async fn run(state: State, stop: CancellationToken) {
    loop {
        if let Err(error) = sweep(&state).await {
            tracing::warn!(%error, "cannot forget what is over");
        }
        for swept in [state.webhooks.prune().await, state.snapshots.prune().await] {
            if let Err(error) = swept {
                tracing::warn!(%error, "cannot forget what was told");
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn sweep(state: &State) -> Result<(), StoreError> {
    let (store, now) = (&state.store, state.clock.now());
    store.sessions().prune(now).await?;
    store.links().prune(now).await?;
    store.pairings().prune(now).await?;
    store.live_links().prune(now).await?;
    activity::forget(store, now).await?;
    store.notices().prune(now).await?;
    store.origins().prune().await?;
    let old = Timestamp::from_millis(now.millis().saturating_sub(EVENTS_FOR_MILLIS));
    store.events().forget(old, MOST_EVENTS).await?;
    state.audit.forget().await?;
    limits::forget(store, now).await?;
    Ok(())
}
