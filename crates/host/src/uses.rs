//! Counting uses of keys between two writes: one may come with every request.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;

use latchkey_model::app_key::network_of;
use latchkey_model::clock::Timestamp;
use latchkey_store::host::KeyUse;

/// Uses that are not written yet, by key.
pub(crate) struct Uses<I>(HashMap<I, KeyUse<I>>);

impl<I> Default for Uses<I> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<I: Clone + Eq + Hash> Uses<I> {
    /// How many keys have something to write.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Notes one request.
    pub(crate) fn note(&mut self, id: &I, from: IpAddr, at: Timestamp) {
        let entry = self.0.entry(id.clone()).or_insert_with(|| KeyUse {
            id: id.clone(),
            at,
            network: String::new(),
            requests: 0,
        });
        entry.at = at;
        entry.network = network_of(from);
        entry.requests += 1;
    }

    /// Takes all, to be written.
    pub(crate) fn take(&mut self) -> Vec<KeyUse<I>> {
        std::mem::take(&mut self.0).into_values().collect()
    }

    /// Takes back what could not be written, of `most` keys in all.
    pub(crate) fn take_back(&mut self, uses: Vec<KeyUse<I>>, most: usize) {
        for older in uses {
            let known = self.0.len() < most || self.0.contains_key(&older.id);
            if !known {
                continue;
            }
            self.0
                .entry(older.id.clone())
                .and_modify(|newer| newer.requests += older.requests)
                .or_insert(older);
        }
    }
}
