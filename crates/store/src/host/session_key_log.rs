//! Which apps had session keys verified, what these were used for, and who was refused.

use latchkey_model::clock::Timestamp;
use latchkey_model::id::SessionKeyId;
use latchkey_model::session_key::{Refusal, SessionAppName, SessionScope};
use sqlx::Row as _;

use super::KeyUse;
use crate::dialect::Row;
use crate::error::StoreError;
use crate::pool::Pools;
use crate::row::{count, number, optional_time, parse, time};

const TABLE: &str = "session_key_log";

/// How many are kept: of verified keys, and of refusals, which strangers can cause.
const MOST_VERIFIED: i64 = 5_000;
const MOST_REFUSED: i64 = 500;

const INSERT: &str = "
INSERT INTO session_key_log (id, app_name, outcome, at, network, valid_until, requests)
VALUES ($1, $2, $3, $4, $5, $6, $7)";

const DROP_OLDEST: &str = "
DELETE FROM session_key_log WHERE rowid IN (
    SELECT rowid FROM session_key_log WHERE (valid_until IS NULL) = $1
    ORDER BY at DESC, rowid DESC LIMIT -1 OFFSET $2)";

// Batches may arrive out of order.
const NOTE_USE: &str = "
UPDATE session_key_log
SET last_network = CASE WHEN last_at > $2 THEN last_network ELSE $3 END,
    last_at = CASE WHEN last_at > $2 THEN last_at ELSE $2 END,
    requests = requests + $4
WHERE id = $1";

const END: &str = "
UPDATE session_key_log SET ended_at = $2
WHERE id = $1 AND ended_at IS NULL AND valid_until > $2";

const END_ALL: &str = "
UPDATE session_key_log SET ended_at = $1 WHERE ended_at IS NULL AND valid_until > $1";

const LIST: &str = "
SELECT id, app_name, outcome, at, network, valid_until, ended_at, requests, last_at, last_network
FROM session_key_log WHERE $1 IS NULL OR app_name = $1
ORDER BY at DESC, rowid DESC LIMIT $2";

/// What came of an app's attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionKeyOutcome {
    /// It got a key.
    Verified {
        /// How far the key goes.
        scope: SessionScope,
        /// Until when.
        until: Timestamp,
    },
    /// It got none.
    Refused(Refusal),
}

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionKeyRecord {
    /// Of the key, or of the refusal.
    pub id: SessionKeyId,
    /// Which app.
    pub app: SessionAppName,
    /// What came of it.
    pub outcome: SessionKeyOutcome,
    /// When it was verified, or first refused.
    pub at: Timestamp,
    /// From which network.
    pub network: String,
    /// When the key ended before its time.
    pub ended: Option<Timestamp>,
    /// Requests with the key, or refused attempts.
    pub requests: u64,
    /// When the key was last used, and from which network.
    pub last_use: Option<(Timestamp, String)>,
}

/// The log of a host's session keys.
#[derive(Debug, Clone, Copy)]
pub struct SessionKeyLog<'a> {
    pools: &'a Pools,
}

impl<'a> SessionKeyLog<'a> {
    pub(super) const fn new(pools: &'a Pools) -> Self {
        Self { pools }
    }

    /// Adds an entry, in place of the oldest of its sort if there are too many.
    ///
    /// [`StoreError::Conflict`] if the id is taken.
    pub async fn add(&self, record: &SessionKeyRecord) -> Result<(), StoreError> {
        let (outcome, until) = match record.outcome {
            SessionKeyOutcome::Verified { scope, until } => (scope.as_str(), Some(until.millis())),
            SessionKeyOutcome::Refused(refusal) => (refusal.as_str(), None),
        };
        let mut work = self.pools.begin().await?;
        sqlx::query(INSERT)
            .bind(record.id.as_str())
            .bind(record.app.as_str())
            .bind(outcome)
            .bind(record.at.millis())
            .bind(&record.network)
            .bind(until)
            .bind(count(record.requests))
            .execute(&mut *work)
            .await?;
        let most = match until {
            Some(_) => MOST_VERIFIED,
            None => MOST_REFUSED,
        };
        sqlx::query(DROP_OLDEST)
            .bind(until.is_none())
            .bind(most)
            .execute(&mut *work)
            .await?;
        work.commit().await?;
        Ok(())
    }

    /// Adds to what keys were used for.
    pub async fn note_uses(&self, uses: &[KeyUse<SessionKeyId>]) -> Result<(), StoreError> {
        let mut work = self.pools.begin().await?;
        for one in uses {
            sqlx::query(NOTE_USE)
                .bind(one.id.as_str())
                .bind(one.at.millis())
                .bind(&one.network)
                .bind(count(one.requests))
                .execute(&mut *work)
                .await?;
        }
        work.commit().await?;
        Ok(())
    }

    /// Notes that a key ended before its time.
    pub async fn end(&self, id: &SessionKeyId, at: Timestamp) -> Result<(), StoreError> {
        sqlx::query(END)
            .bind(id.as_str())
            .bind(at.millis())
            .execute(self.pools.write())
            .await?;
        Ok(())
    }

    /// Notes that all keys ended, as they do when the host starts anew.
    pub async fn end_all(&self, at: Timestamp) -> Result<(), StoreError> {
        sqlx::query(END_ALL)
            .bind(at.millis())
            .execute(self.pools.write())
            .await?;
        Ok(())
    }

    /// The newest entries, of one app or of all.
    pub async fn list(
        &self,
        of: Option<&SessionAppName>,
        most: u32,
    ) -> Result<Vec<SessionKeyRecord>, StoreError> {
        let rows = sqlx::query(LIST)
            .bind(of.map(SessionAppName::as_str))
            .bind(i64::from(most))
            .fetch_all(self.pools.read())
            .await?;
        rows.iter().map(record).collect()
    }
}

fn record(row: &Row) -> Result<SessionKeyRecord, StoreError> {
    let until = optional_time(row, "valid_until")?;
    let outcome = parse(row, TABLE, "outcome", |text| match until {
        Some(until) => {
            let scope = text.parse().ok()?;
            Some(SessionKeyOutcome::Verified { scope, until })
        }
        None => text.parse().ok().map(SessionKeyOutcome::Refused),
    })?;
    let last_at = optional_time(row, "last_at")?;
    let last_network: Option<String> = row.try_get("last_network")?;
    Ok(SessionKeyRecord {
        id: parse(row, TABLE, "id", |text| text.parse().ok())?,
        app: parse(row, TABLE, "app_name", |text| {
            SessionAppName::parse(text).ok()
        })?,
        outcome,
        at: time(row, "at")?,
        network: row.try_get("network")?,
        ended: optional_time(row, "ended_at")?,
        requests: number(row, "requests")?,
        last_use: last_at.zip(last_network),
    })
}
