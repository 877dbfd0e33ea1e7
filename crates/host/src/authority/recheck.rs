//! What others changed in the database: a command beside the running host removes a user or sets a
//! password, and what is open in that name has to end here.

use std::time::Duration;

use latchkey_store::StoreError;
use tokio_util::sync::CancellationToken;

use super::Authority;
use super::endings::Holder;

/// How often it is looked whether what is open still may be. One small query for each key and
/// session that has something open.
const EVERY: Duration = Duration::from_secs(2);

impl Authority {
    /// Looks now and then, until stopped.
    pub(super) async fn recheck_until(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = stop.cancelled() => return,
            }
            if let Err(error) = self.recheck().await {
                // What cannot be looked up is not ended: a busy database is no revocation.
                tracing::warn!(%error, "cannot look whether what is open still may be");
            }
        }
    }

    /// Ends what is open in a name that no longer counts.
    pub(super) async fn recheck(&self) -> Result<(), StoreError> {
        for holder in self.endings.holders() {
            let holds = match &holder {
                Holder::Key(id) => self.store.app_keys().holds(id).await?,
                // Nothing beside this process knows of one.
                Holder::SessionKey(id) => self.session_keys.find_by_id(id).is_some(),
                Holder::AppConnection(id) => self.app_connections.is_known(id),
                Holder::Session(id) => self.store.sessions().holds(id).await?,
            };
            if !holds {
                self.endings.end(&holder);
            }
        }
        Ok(())
    }
}
