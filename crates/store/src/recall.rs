//! What was found lately, for as long as nobody commits anything.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use crate::commits::{Commits, Version};
use crate::error::StoreError;

/// So many are remembered; then it begins anew.
const MOST: usize = 4_096;

/// Answers that still are what the database would say.
pub(crate) struct Recall<K, V>(Mutex<Known<K, V>>);

struct Known<K, V> {
    /// What the database was when all of these were read.
    version: Option<Version>,
    found: HashMap<K, Arc<V>>,
}

impl<K: Eq + Hash, V> Recall<K, V> {
    /// What `find` says, without asking it while nobody has committed anything since it was asked.
    pub(crate) async fn or_find(
        &self,
        commits: &Commits,
        key: K,
        find: impl Future<Output = Result<Option<V>, StoreError>>,
    ) -> Result<Option<Arc<V>>, StoreError> {
        // Read before the database: what is committed between the two makes it another version.
        let version = commits.version();
        if let Some(known) = version.as_ref().and_then(|version| self.get(&key, version)) {
            return Ok(Some(known));
        }
        let Some(found) = find.await? else {
            // Nobody fills the memory by guessing.
            return Ok(None);
        };
        let found = Arc::new(found);
        if let Some(version) = version {
            self.put(key, version, Arc::clone(&found));
        }
        Ok(Some(found))
    }

    fn get(&self, key: &K, version: &Version) -> Option<Arc<V>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.version.as_ref() != Some(version) {
            return None;
        }
        known.found.get(key).cloned()
    }

    /// Remembers what was read after the database was of this version.
    fn put(&self, key: K, version: Version, found: Arc<V>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.version.as_ref() != Some(&version) {
            known.version = Some(version);
            known.found.clear();
        }
        if known.found.len() >= MOST {
            known.found.clear();
        }
        known.found.insert(key, found);
    }
}

impl<K, V> Default for Recall<K, V> {
    fn default() -> Self {
        Self(Mutex::new(Known {
            version: None,
            found: HashMap::new(),
        }))
    }
}

impl<K, V> fmt::Debug for Recall<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recall")
    }
}
