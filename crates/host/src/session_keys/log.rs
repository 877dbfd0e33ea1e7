//! What is remembered of session keys: each verification, what its key was used for, and refusals
//! of registered apps. Uses and refusals are written now and then, for one may come with every
//! request.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use latchkey_model::app_key::network_of;
use latchkey_model::chance::Chance;
use latchkey_model::clock::{Clock, Timestamp};
use latchkey_model::id::SessionKeyId;
use latchkey_model::session_key::{Refusal, SessionAppName};
use latchkey_store::StoreError;
use latchkey_store::host::{HostStore, SessionKeyOutcome, SessionKeyRecord};

use super::table::{MOST, VerifiedKey};
use crate::uses::Uses;

/// Different refusals that wait to be written; more are not told apart from the last.
const MOST_REFUSED: usize = 256;

/// Everything that is remembered. Without a database it is told to the log of the process alone.
pub(super) struct KeyLog {
    store: Option<HostStore>,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    unwritten: Mutex<Unwritten>,
}

#[derive(Default)]
struct Unwritten {
    /// As many as there are verified keys at most.
    uses: Uses<SessionKeyId>,
    refused: HashMap<(SessionAppName, Refusal, String), (Timestamp, u64)>,
}

impl KeyLog {
    pub(super) fn new(
        store: Option<HostStore>,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn Chance>,
    ) -> Self {
        Self {
            store,
            clock,
            chance,
            unwritten: Mutex::default(),
        }
    }

    /// Notes that keys of an earlier run are over.
    pub(super) async fn begin(&self) -> Result<(), StoreError> {
        match &self.store {
            Some(store) => store.session_key_log().end_all(self.clock.now()).await,
            None => Ok(()),
        }
    }

    /// Notes a verification, before its app is told of it.
    pub(super) async fn verified(&self, key: &VerifiedKey, from: IpAddr) {
        let network = network_of(from);
        tracing::info!(
            session_key.id = %key.id,
            app.name = %key.app,
            app.scope = %key.scope,
            caller.network = %network,
            "an app signed for a session key"
        );
        let Some(store) = &self.store else { return };
        let record = SessionKeyRecord {
            id: key.id.clone(),
            app: key.app.clone(),
            outcome: SessionKeyOutcome::Verified {
                scope: key.scope,
                until: key.until,
            },
            at: self.clock.now(),
            network,
            ended: None,
            requests: 0,
            last_use: None,
        };
        if let Err(error) = store.session_key_log().add(&record).await {
            // The line above is there all the same; a full disk must not keep apps out.
            tracing::error!(%error, "a session key could not be noted in the database");
        }
    }

    /// Notes that a key ended before its time.
    pub(super) async fn ended(&self, key: &VerifiedKey, why: &str) {
        tracing::info!(session_key.id = %key.id, app.name = %key.app, why, "a session key ended");
        let Some(store) = &self.store else { return };
        let log = store.session_key_log();
        if let Err(error) = log.end(&key.id, self.clock.now()).await {
            tracing::error!(%error, "the end of a session key could not be noted");
        }
    }

    /// Notes a request with a key.
    pub(super) fn used(&self, key: &VerifiedKey, from: IpAddr) {
        let at = self.clock.now();
        self.unwritten().uses.note(&key.id, from, at);
    }

    /// Notes that a registered app got no key.
    pub(super) fn refused(&self, app: &SessionAppName, refusal: Refusal, from: IpAddr) {
        let at = self.clock.now();
        let mut unwritten = self.unwritten();
        let who = (app.clone(), refusal, network_of(from));
        if unwritten.refused.len() >= MOST_REFUSED && !unwritten.refused.contains_key(&who) {
            return;
        }
        unwritten.refused.entry(who).or_insert((at, 0)).1 += 1;
    }

    /// Writes what was noted.
    pub(super) async fn write(&self) {
        let Unwritten { mut uses, refused } = std::mem::take(&mut *self.unwritten());
        for ((app, refusal, network), (at, attempts)) in refused {
            self.write_refusal(app, refusal, network, at, attempts)
                .await;
        }
        let uses = uses.take();
        if uses.is_empty() {
            return;
        }
        let Some(store) = &self.store else {
            for one in &uses {
                tracing::info!(
                    session_key.id = %one.id,
                    caller.network = %one.network,
                    requests = one.requests,
                    "a session key was used"
                );
            }
            return;
        };
        if let Err(error) = store.session_key_log().note_uses(&uses).await {
            tracing::warn!(%error, "the use of session keys could not be noted; it is tried again");
            self.unwritten().uses.take_back(uses, MOST);
        }
    }

    async fn write_refusal(
        &self,
        app: SessionAppName,
        refusal: Refusal,
        network: String,
        at: Timestamp,
        attempts: u64,
    ) {
        tracing::warn!(
            app.name = %app,
            why = refusal.as_str(),
            caller.network = %network,
            attempts,
            "an app got no session key"
        );
        let Some(store) = &self.store else { return };
        let record = SessionKeyRecord {
            id: SessionKeyId::generate(&*self.chance),
            app,
            outcome: SessionKeyOutcome::Refused(refusal),
            at,
            network,
            ended: None,
            requests: attempts,
            last_use: None,
        };
        if let Err(error) = store.session_key_log().add(&record).await {
            tracing::error!(%error, "a refused session key could not be noted in the database");
        }
    }

    /// The newest entries.
    pub(super) async fn list(
        &self,
        of: Option<&SessionAppName>,
        most: u32,
    ) -> Result<Vec<SessionKeyRecord>, StoreError> {
        match &self.store {
            Some(store) => store.session_key_log().list(of, most).await,
            None => Ok(Vec::new()),
        }
    }

    fn unwritten(&self) -> std::sync::MutexGuard<'_, Unwritten> {
        self.unwritten
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
