//! Cuts what people have open at their own hostnames when they may no longer have it.

use std::collections::HashSet;
use std::time::Duration;

use latchkey_model::id::SessionId;
use latchkey_store::StoreError;
use tokio_util::sync::CancellationToken;

use super::{Changes, OwnAccess, Way};

/// How often it is looked whether what is open still may be: one query for 500 sessions that have
/// something open, none if nothing is.
const EVERY: Duration = Duration::from_secs(1);

impl OwnAccess {
    /// Looks whenever something may have ended here, and now and then for what others changed in the
    /// database, until stopped.
    pub(crate) async fn watch(self, changes: Changes, stop: CancellationToken) {
        let mut in_doubt = false;
        loop {
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = changes.noted() => {}
                () = stop.cancelled() => return,
            }
            match self.recheck().await {
                Ok(()) => in_doubt = false,
                Err(_) if in_doubt => {}
                Err(error) => {
                    in_doubt = true;
                    tracing::warn!(%error, "cannot look whether people still may use what they have open");
                }
            }
        }
    }

    /// Cuts what is open and may no longer be. A database that does not answer is a doubt.
    pub(super) async fn recheck(&self) -> Result<(), StoreError> {
        let open = self.endings().holders();
        if open.is_empty() {
            return Ok(());
        }
        let sessions: HashSet<&SessionId> = open.iter().map(|way| &way.session).collect();
        let sessions: Vec<SessionId> = sessions.into_iter().cloned().collect();
        let standings = self.0.store.own_access().standings(&sessions).await?;
        let now = self.0.clock.now();
        let good: HashSet<Way> = standings
            .into_iter()
            .filter_map(|standing| {
                Some(Way {
                    level: standing.level(now)?,
                    session: standing.session,
                    label: standing.label,
                })
            })
            .collect();
        for way in open.iter().filter(|way| !good.contains(way)) {
            self.endings().end(way);
        }
        Ok(())
    }
}
