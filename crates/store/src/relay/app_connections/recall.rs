//! What was found lately, for as long as nobody commits anything.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use latchkey_model::secret::LabelHash;

use super::FoundAppConnection;
use crate::commits::Version;

/// So many are remembered; then it begins anew.
const MOST: usize = 4_096;

/// Answers that still are what the database would say.
#[derive(Debug, Default)]
pub(in crate::relay) struct Recall(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// What the database was when all of these were read.
    version: Option<Version>,
    found: HashMap<LabelHash, Arc<FoundAppConnection>>,
}

impl Recall {
    pub(super) fn get(
        &self,
        label: &LabelHash,
        version: &Version,
    ) -> Option<Arc<FoundAppConnection>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.version.as_ref() != Some(version) {
            return None;
        }
        known.found.get(label).cloned()
    }

    /// Remembers what was read after the database was of this version.
    pub(super) fn put(&self, label: LabelHash, version: Version, found: Arc<FoundAppConnection>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.version.as_ref() != Some(&version) {
            known.version = Some(version);
            known.found.clear();
        }
        if known.found.len() >= MOST {
            known.found.clear();
        }
        known.found.insert(label, found);
    }
}
