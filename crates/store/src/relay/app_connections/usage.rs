//! How app connections are used, written in batches.

use latchkey_model::clock::Timestamp;
use latchkey_model::id::AppConnectionId;

use super::AppConnections;
use crate::error::StoreError;
use crate::row::count;

// Batches may arrive out of order, and after the end.
const MARK_USED: &str = "
UPDATE app_connections
SET last_used_at = CASE WHEN last_used_at > $2 THEN last_used_at ELSE $2 END,
    requests = requests + $3,
    bytes = bytes + $4
WHERE id = $1 AND ended_at IS NULL";

/// How an app connection was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// When it was last used.
    pub last_used: Option<Timestamp>,
    /// How many requests it made.
    pub requests: u64,
    /// How many bytes it moved, both ways.
    pub bytes: u64,
}

/// Use of an app connection that is not yet kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// Which one.
    pub id: AppConnectionId,
    /// When it was last used.
    pub at: Timestamp,
    /// How many requests came since the last batch.
    pub requests: u64,
    /// How many bytes were moved since the last batch.
    pub bytes: u64,
}

impl AppConnections<'_> {
    /// Adds a batch of use, as a whole or not at all. Ended ones are passed over.
    pub async fn mark_used(&self, batch: &[Use]) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let mut work = self.pools.begin().await?;
        for used in batch {
            sqlx::query(MARK_USED)
                .bind(used.id.as_str())
                .bind(used.at.millis())
                .bind(count(used.requests))
                .bind(count(used.bytes))
                .execute(&mut *work)
                .await?;
        }
        work.commit().await?;
        Ok(())
    }
}
