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
            if holds {
                continue;
            }
            // The host hears of one that ended; this one it has only forgotten.
            if matches!(holder, Holder::AppConnection(_)) {
                self.endings.let_go(&holder);
            } else {
                self.endings.end(&holder);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sessions::tests::{Bench, config};

    #[tokio::test]
    async fn what_an_app_connection_has_open_is_let_go_when_the_host_knows_of_it_no_more() {
        let bench = Bench::empty(config()).await;
        let authority = &bench.authority;
        let holder = |id: &str| Holder::AppConnection(id.to_owned());
        authority.app_connections.note("known");
        let kept = authority.endings.hold(holder("known"));
        let forgotten = authority.endings.hold(holder("forgotten"));
        authority.recheck().await.unwrap();
        assert!(!kept.ended().is_cancelled());
        assert!(forgotten.ended().is_cancelled() && forgotten.may_return());
    }
}
