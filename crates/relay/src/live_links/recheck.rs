//! How what is being watched ends: with the print, with the link's time, and with whatever others
//! changed, a command or another node included.
//!
//! Only what is certain cuts anything; a database that does not answer is a doubt.

use std::time::Duration;

use latchkey_model::live_link::Shows;
use latchkey_model::printing::EventKind;
use latchkey_store::StoreError;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::LiveLinks;
use crate::watching::{By, Viewer};

/// How often it is looked whether who watches still may. Nothing is asked while nobody does.
const EVERY: Duration = Duration::from_secs(1);
/// How often it is looked which prints have ended, though each end is heard of at once.
const PRINTS_EVERY: Duration = Duration::from_secs(30);

impl LiveLinks {
    /// Looks now and then, until stopped.
    pub(crate) async fn watch(self, stop: CancellationToken) {
        let mut happened = self.0.parts.events.listen();
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut look_at = Instant::now();
        let mut is_heard = true;
        let mut in_doubt = false;
        loop {
            tokio::select! {
                _ = every.tick() => {}
                () = stop.cancelled() => return,
                heard = happened.recv(), if is_heard => match heard {
                    Ok(happened) if ends_a_print(happened.event.kind) => {
                        look_at = Instant::now();
                    }
                    Ok(_) => continue,
                    Err(RecvError::Lagged(_)) => look_at = Instant::now(),
                    Err(RecvError::Closed) => is_heard = false,
                },
            }
            let mut looked = Ok(());
            if Instant::now() >= look_at {
                looked = self.recheck_prints().await;
                look_at = Instant::now() + PRINTS_EVERY;
            }
            if looked.is_ok() {
                looked = self.recheck_viewers().await;
            }
            self.0.parts.watching.sweep();
            match looked {
                Ok(()) => in_doubt = false,
                Err(_) if in_doubt => {}
                Err(error) => {
                    in_doubt = true;
                    tracing::warn!(%error, "cannot look whether who watches a printer still may");
                }
            }
        }
    }

    /// Ends the links whose print is over.
    pub(super) async fn recheck_prints(&self) -> Result<(), StoreError> {
        let links = self.0.parts.store.live_links();
        links.end_with_events().await?;
        for open in links.list_with_print().await? {
            self.end_if_over(&open.link).await?;
        }
        Ok(())
    }

    /// Cuts off who may no longer watch.
    pub(super) async fn recheck_viewers(&self) -> Result<(), StoreError> {
        for viewer in self.0.parts.watching.viewers() {
            if !self.still_may(&viewer).await? {
                self.0.parts.watching.end(&viewer);
            }
        }
        Ok(())
    }

    async fn still_may(&self, viewer: &Viewer) -> Result<bool, StoreError> {
        let parts = &self.0.parts;
        let now = parts.clock.now();
        match &viewer.by {
            By::Link(id) => {
                let found = parts.store.live_links().find_by_id(id).await?;
                Ok(found.is_some_and(|found| found.link.shows(now) == Shows::Printer))
            }
            By::Session { account, session } => {
                let sessions = parts.store.sessions().list_of(account).await?;
                let is_signed_in = sessions
                    .iter()
                    .any(|one| one.id == *session && one.is_alive(now));
                let person = parts.store.accounts().find(account).await?;
                let is_suspended = person.is_none_or(|account| account.suspended.is_some());
                let used = parts.store.members();
                let used = used.find_used(account, &viewer.printer).await?;
                let may_use = used.is_some_and(|used| !used.owner_suspended);
                Ok(is_signed_in && !is_suspended && may_use)
            }
        }
    }
}

fn ends_a_print(kind: EventKind) -> bool {
    matches!(kind, EventKind::Complete | EventKind::Failed)
}
