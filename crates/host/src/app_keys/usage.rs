//! Counting what keys are used for, without a write for each request.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use latchkey_model::app_key::network_of;
use latchkey_model::clock::Clock;
use latchkey_model::id::AppKeyId;
use latchkey_store::host::{HostStore, KeyUse};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How long a use may stay unwritten.
const PERIOD: Duration = Duration::from_secs(10);
/// Keys with something to write; at more it is written at once.
const MOST: usize = 256;

/// Uses that are not written yet. Clones share them.
#[derive(Clone)]
pub(crate) struct Usage {
    unwritten: Arc<Mutex<HashMap<AppKeyId, KeyUse>>>,
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
        let at = self.clock.now();
        let mut unwritten = self
            .unwritten
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let entry = unwritten.entry(id.clone()).or_insert_with(|| KeyUse {
            id: id.clone(),
            at,
            network: String::new(),
            requests: 0,
        });
        entry.at = at;
        entry.network = network_of(from);
        entry.requests += 1;
        if unwritten.len() >= MOST {
            self.full.notify_one();
        }
    }

    /// Writes what was noted. What cannot be written is kept for the next time.
    pub(crate) async fn write(&self) {
        let uses = std::mem::take(
            &mut *self
                .unwritten
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        if uses.is_empty() {
            return;
        }
        let uses: Vec<KeyUse> = uses.into_values().collect();
        if let Err(error) = self.store.app_keys().note_uses(&uses).await {
            tracing::warn!(%error, "the use of keys could not be noted; it is tried again");
            self.take_back(uses);
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

    fn take_back(&self, uses: Vec<KeyUse>) {
        let mut unwritten = self
            .unwritten
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for older in uses {
            let known = unwritten.len() < MOST || unwritten.contains_key(&older.id);
            if !known {
                continue;
            }
            unwritten
                .entry(older.id.clone())
                .and_modify(|newer| newer.requests += older.requests)
                .or_insert(older);
        }
    }
}
