//! Whether an unknown secret means that there is no such app connection.

use std::sync::atomic::{AtomicBool, Ordering};

use latchkey_store::{RelayStore, StoreError};

/// Whether the database is known to hold app connections.
#[derive(Debug, Default)]
pub(crate) struct Issued(AtomicBool);

impl Issued {
    /// Whether there has ever been an app connection. A database without a single one, ended
    /// ones included, is not the one that anybody's secret came from: most likely its disk is
    /// not mounted.
    pub(crate) async fn check(&self, store: &RelayStore) -> Result<bool, StoreError> {
        if self.0.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let has_any = store.app_connections().has_any().await?;
        if has_any {
            self.0.store(true, Ordering::Relaxed);
        } else {
            tracing::error!("an app was turned away: the database knows no app connection at all");
        }
        Ok(has_any)
    }
}
