//! Counting what keys are used for, without a write for each request.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use latchkey_model::clock::Clock;
use latchkey_model::id::AppKeyId;
use latchkey_store::host::HostStore;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::uses::Uses;

/// How long a use may stay unwritten.
const PERIOD: Duration = Duration::from_secs(10);
/// Keys with something to write; at more it is written at once.
const MOST: usize = 256;

/// Uses that are not written yet. Clones share them.
#[derive(Clone)]
pub(crate) struct Usage {
    unwritten: Arc<Mutex<Uses<AppKeyId>>>,
    full: Arc<Notify>,
    store: HostStore,
    clock: Arc<dyn Clock>,
}

impl Usage {
    pub(crate) fn new(store: HostStore, clock: Arc<dyn Clock>) -> Self {
        Self {
            unwritten: Arc::default(),
            full: Arc::default(),
            store,
            clock,
        }
    }

    /// Notes one request.
    pub(crate) fn note(&self, id: &AppKeyId, from: IpAddr) {
        let mut unwritten = self.unwritten();
        unwritten.note(id, from, self.clock.now());
        if unwritten.len() >= MOST {
            self.full.notify_one();
        }
    }

    /// Writes what was noted. What cannot be written is kept for the next time.
    pub(crate) async fn write(&self) {
        let uses = self.unwritten().take();
        if uses.is_empty() {
            return;
        }
        if let Err(error) = self.store.app_keys().note_uses(&uses).await {
            tracing::warn!(%error, "the use of keys could not be noted; it is tried again");
            self.unwritten().take_back(uses, MOST);
        }
    }

    /// Writes now and then until stopped, and once more at the end.
    pub(crate) async fn watch(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(PERIOD) => {}
                () = self.full.notified() => {}
                () = stop.cancelled() => break,
            }
            self.write().await;
        }
        self.write().await;
    }

    fn unwritten(&self) -> MutexGuard<'_, Uses<AppKeyId>> {
        self.unwritten
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
