//! How what people and apps have ends: app connections, printers, accounts, and an account's right
//! to use what it has. Everything that ends one of them comes through here.
//!
//! Each first writes and then cuts, so that who is cut and asks again is refused. If whoever asked
//! goes away between the two, the cut comes with the next look at what is open; and so it does for
//! what others write into the same database, a command or another node: see `recheck.rs`.

mod recheck;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use latchkey_model::access::KeyScope;
use latchkey_model::account::Suspension;
use latchkey_model::app_connection::EndReason;
use latchkey_model::clock::Clock;
use latchkey_model::id::{AccountId, AppConnectionId, HostId, PrinterId};
use latchkey_model::plan::{PlanName, Plans};
use latchkey_model::printer::HostKey;
use latchkey_net::proxy::endings;
use latchkey_store::{RelayStore, StoreError};
use tokio_util::task::TaskTracker;

use crate::cache::Cache;
use crate::own_access::Changes;
use crate::tunnels::Tunnels;

/// All that is open at this relay, by app connection.
pub(crate) type Endings = endings::Endings<AppConnectionId>;

/// Ends, and cuts. Clones share everything.
#[derive(Clone)]
pub struct Life(Arc<Parts>, Changes);

/// What [`Life`] works with.
pub(crate) struct Parts {
    pub(crate) store: RelayStore,
    pub(crate) plans: Plans,
    pub(crate) tunnels: Tunnels,
    pub(crate) endings: Endings,
    pub(crate) clock: Arc<dyn Clock>,
    /// Hosts hear of ends here.
    pub(crate) tracker: TaskTracker,
    /// What is kept of printers' answers.
    pub(crate) cache: Cache,
}

/// Why an account cannot be put on a plan.
#[derive(Debug, thiserror::Error)]
pub enum SetPlanError {
    #[error("the configuration has no plan {0}")]
    UnknownPlan(PlanName),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Life {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts), Changes::default())
    }

    /// What is open, for whoever opens something.
    pub(crate) fn endings(&self) -> &Endings {
        &self.0.endings
    }

    pub(crate) fn tunnels(&self) -> &Tunnels {
        &self.0.tunnels
    }

    pub(crate) fn cache(&self) -> &Cache {
        &self.0.cache
    }

    /// Told when what people have open at their own hostnames may have ended.
    pub(crate) fn changes(&self) -> &Changes {
        &self.1
    }

    pub(crate) fn tracker(&self) -> &TaskTracker {
        &self.0.tracker
    }

    /// Revokes one app connection that the account allowed, or that leads to a printer of its own.
    /// False if it has no such one, or no longer.
    pub async fn revoke(
        &self,
        account: &AccountId,
        id: &AppConnectionId,
    ) -> Result<bool, StoreError> {
        let now = self.0.clock.now();
        let store = self.0.store.app_connections();
        let was_live = store
            .end_owned(account, id, EndReason::Revoked, now)
            .await?;
        if was_live {
            self.cut(std::slice::from_ref(id));
        }
        Ok(was_live)
    }

    /// Revokes all app connections to a printer that the account may revoke: of its own printer
    /// everybody's, of another's printer what it allowed itself. Says how many.
    pub async fn revoke_all(
        &self,
        account: &AccountId,
        printer: &PrinterId,
    ) -> Result<usize, StoreError> {
        let now = self.0.clock.now();
        let store = self.0.store.app_connections();
        let ended = store.end_all_at(account, printer, EndReason::Revoked, now);
        let ended = ended.await?;
        self.cut(&ended);
        Ok(ended.len())
    }

    /// Ends an account's use of somebody else's printer, with what it allowed there. Who may ask for
    /// it is for the caller to know. False if there was none.
    pub async fn remove_member(
        &self,
        printer: &PrinterId,
        member: &AccountId,
    ) -> Result<bool, StoreError> {
        let now = self.0.clock.now();
        let Some(ended) = self.0.store.members().remove(printer, member, now).await? else {
            return Ok(false);
        };
        self.cut(&ended);
        self.1.note();
        Ok(true)
    }

    /// Changes how far a member goes. Who is lowered takes along what they let in: apps that went
    /// further only look from now on, and what they have open is cut, as is what the member has.
    /// False if there is no such member, or at that level already.
    pub async fn set_member_level(
        &self,
        printer: &PrinterId,
        member: &AccountId,
        level: KeyScope,
    ) -> Result<bool, StoreError> {
        let members = self.0.store.members();
        let Some(lowered) = members.set_level(printer, member, level).await? else {
            return Ok(false);
        };
        // They are back with their next call, at the new level; hosts forget the old one.
        self.cut(&lowered);
        self.1.note();
        Ok(true)
    }

    /// Removes a printer of the owner: its app connections end, and its host hears that it is no
    /// longer paired. False if they have no such printer.
    pub async fn remove_printer(
        &self,
        owner: &AccountId,
        id: &PrinterId,
    ) -> Result<bool, StoreError> {
        let store = self.0.store.printers();
        let host = store.find_owned(owner, id).await?;
        let host = host.and_then(|printer| printer.host);
        let now = self.0.clock.now();
        let Some(removed) = store.remove(owner, id, now).await? else {
            return Ok(false);
        };
        self.cut(&removed.app_connections);
        self.1.note();
        self.0.cache.forget(id);
        self.send_away(host.as_ref().map(HostKey::id));
        Ok(true)
    }

    /// Deletes an account with its printers: nothing but tombstones remain. False if there is none.
    pub async fn delete_account(&self, id: &AccountId) -> Result<bool, StoreError> {
        let printers = self.0.store.printers().list_by_account(id).await?;
        let now = self.0.clock.now();
        let Some(deleted) = self.0.store.accounts().delete(id, now).await? else {
            return Ok(false);
        };
        self.cut(&deleted.app_connections);
        self.1.note();
        for printer in &printers {
            self.0.cache.forget(&printer.id);
        }
        let hosts = printers.iter().filter_map(|printer| printer.host.as_ref());
        self.send_away(hosts.map(HostKey::id));
        Ok(true)
    }

    /// Suspends an account: its app connections, and everybody's to its printers, answer 605. False
    /// if there is none, or it is suspended already.
    pub async fn suspend(&self, id: &AccountId, reason: &str) -> Result<bool, StoreError> {
        let suspension = Suspension {
            at: self.0.clock.now(),
            reason: reason.to_owned(),
        };
        let done = self.0.store.accounts().suspend(id, &suspension).await?;
        self.entitlement_changed().await;
        Ok(done)
    }

    /// Ends a suspension; everything works again. False if there was none.
    pub async fn unsuspend(&self, id: &AccountId) -> Result<bool, StoreError> {
        self.0.store.accounts().unsuspend(id).await
    }

    /// Puts an account on another plan. Without app connections in it they answer 605, until a
    /// plan comes that has them; nothing has to be set up again. False if there is no such account.
    pub async fn set_plan(&self, id: &AccountId, plan: &PlanName) -> Result<bool, SetPlanError> {
        if self.0.plans.find(plan).is_none() {
            return Err(SetPlanError::UnknownPlan(plan.clone()));
        }
        let done = self.0.store.accounts().set_plan(id, plan).await?;
        self.entitlement_changed().await;
        Ok(done)
    }

    /// Cuts what is open for those whose owner may no longer use it.
    async fn entitlement_changed(&self) {
        // Who was let in just before joins too late to be in the list; it looks again.
        self.0.endings.note();
        self.1.note();
        if let Err(error) = self.recheck_open().await {
            // It is written; the next look cuts.
            tracing::warn!(%error, "cannot look yet what an account may no longer use");
        }
    }

    /// Cuts what these app connections have open, and tells the hosts that they have ended.
    fn cut(&self, ended: &[AppConnectionId]) {
        for id in ended {
            self.0.endings.end(id);
        }
        if ended.is_empty() {
            return;
        }
        let ids: Vec<String> = ended.iter().map(ToString::to_string).collect();
        for telling in self.0.tunnels.hear_of_ends(&ids) {
            self.0.tracker.spawn(telling);
        }
    }

    /// Ends the tunnels of hosts that are no longer paired.
    fn send_away(&self, hosts: impl IntoIterator<Item = HostId>) {
        for host in hosts {
            for tunnel in self.0.tunnels.forget(&host) {
                self.0.tracker.spawn(async move {
                    tunnel.dismiss(crate::tunnels::unknown_host()).await;
                });
            }
        }
    }
}
