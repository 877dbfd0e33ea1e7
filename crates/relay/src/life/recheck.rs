//! What others changed in the database: a command beside the running relay puts an account on
//! another plan or removes it, and what is open in its name has to end here.
//!
//! Only what is certain cuts anything. A database that does not answer, a record that is not there
//! and a plan that nobody defined are doubts.

use std::time::Duration;

use latchkey_model::app_connection::OwnerStanding;
use latchkey_model::clock::Timestamp;
use latchkey_model::id::HostId;
use latchkey_store::StoreError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Life;

/// How often it is looked whether what is open still may be: one query for 500 app connections
/// that have something open, none if nothing is.
const EVERY: Duration = Duration::from_secs(1);
/// How often it is looked what ended without having anything open, so that hosts hear of it.
const ENDED_EVERY: Duration = Duration::from_secs(10);
/// So much earlier than the last look: other programs' clocks may differ a little, and an end
/// counts from before it is written.
const OVERLAP: Duration = Duration::from_secs(50);

impl Life {
    /// Looks now and then, until stopped.
    pub(crate) async fn watch(self, stop: CancellationToken) {
        let mut ended_since = self.0.clock.now();
        let mut look_at = Instant::now() + ENDED_EVERY;
        let mut in_doubt = false;
        loop {
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = stop.cancelled() => return,
            }
            let mut looked = self.recheck_open().await;
            if looked.is_ok() && Instant::now() >= look_at {
                looked = self.recheck_ended(&mut ended_since).await;
                look_at = Instant::now() + ENDED_EVERY;
            }
            match looked {
                Ok(()) => in_doubt = false,
                Err(_) if in_doubt => {}
                Err(error) => {
                    in_doubt = true;
                    tracing::warn!(%error, "cannot look whether what is open still may be");
                }
            }
        }
    }

    /// Cuts what is open and may no longer be.
    pub(super) async fn recheck_open(&self) -> Result<(), StoreError> {
        let open = self.0.endings.holders();
        let standings = self.0.store.app_connections().standings(&open).await?;
        let mut ended = Vec::new();
        for standing in standings {
            let plans = &self.0.plans;
            let owner = standing.owner(|plan| plans.find(plan).map(|plan| plan.app_connections));
            match owner {
                _ if standing.has_ended() => ended.push(standing.id),
                Some(OwnerStanding::Suspended | OwnerStanding::PlanWithout) => {
                    self.0.endings.end(&standing.id);
                }
                Some(OwnerStanding::Entitled) | None => {}
            }
        }
        self.cut(&ended);
        self.recheck_hosts().await
    }

    /// Sends away hosts whose printer was removed.
    async fn recheck_hosts(&self) -> Result<(), StoreError> {
        let here: Vec<HostId> = self.0.tunnels.hosts();
        if here.is_empty() {
            return Ok(());
        }
        let paired = self.0.store.printers().which_are_paired(&here).await?;
        let paired: std::collections::HashSet<HostId> = paired.into_iter().collect();
        self.send_away(here.into_iter().filter(|host| !paired.contains(host)));
        Ok(())
    }

    /// Cuts what ended since the last look, and tells hosts, whether or not anything is open.
    pub(super) async fn recheck_ended(&self, since: &mut Timestamp) -> Result<(), StoreError> {
        let now = self.0.clock.now();
        let from = Timestamp::from_millis(
            since.millis() - i64::try_from(OVERLAP.as_millis()).unwrap_or(i64::MAX),
        );
        let ended = self
            .0
            .store
            .app_connections()
            .list_ended_since(from)
            .await?;
        self.cut(&ended);
        *since = now;
        Ok(())
    }
}
