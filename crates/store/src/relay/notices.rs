//! What accounts' owners are told of.

use std::time::Duration;

use latchkey_model::account_notice::{Notice, NoticeKind};
use latchkey_model::clock::Timestamp;
use latchkey_model::id::AccountId;
use sqlx::Row as _;

use crate::dialect::Row;
use crate::error::StoreError;
use crate::pool::Pools;
use crate::row::{parse, span, time};

const TABLE: &str = "account_notices";

/// How long a notice is kept.
const KEPT: Duration = Duration::from_hours(90 * 24);

/// How many are kept of one account.
const MOST: i64 = 100;

// Takes the account's row, so that two at once count one after the other.
const OF_AN_ACCOUNT: &str = "UPDATE accounts SET plan = plan WHERE id = $1";

const ADD: &str = "
INSERT INTO account_notices (account_id, number, at, kind, detail, device, network)
SELECT $1, COALESCE(MAX(number), 0) + 1, $2, $3, $4, $5, $6
FROM account_notices WHERE account_id = $1";

const FORGET: &str = "
DELETE FROM account_notices WHERE account_id = $1 AND number <= (
    SELECT MAX(number) FROM account_notices WHERE account_id = $1) - $2";

const LIST: &str = "
SELECT account_id AS id, at, kind, detail, device, network
FROM account_notices WHERE account_id = $1 ORDER BY number DESC LIMIT $2";

const PRUNE: &str = "DELETE FROM account_notices WHERE $1 - at >= $2";

/// The notices to a relay's accounts.
#[derive(Debug, Clone, Copy)]
pub struct Notices<'a> {
    pools: &'a Pools,
}

impl<'a> Notices<'a> {
    pub(super) const fn new(pools: &'a Pools) -> Self {
        Self { pools }
    }

    /// Keeps a notice; of more than 100 of one account the oldest go. False if there is no such
    /// account.
    pub async fn add(&self, account: &AccountId, notice: &Notice) -> Result<bool, StoreError> {
        let mut work = self.pools.begin().await?;
        let there = sqlx::query(OF_AN_ACCOUNT)
            .bind(account.as_str())
            .execute(&mut *work)
            .await?;
        if there.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query(ADD)
            .bind(account.as_str())
            .bind(notice.at.millis())
            .bind(notice.kind.as_str())
            .bind(notice.detail.as_str())
            .bind(notice.device.as_str())
            .bind(notice.network.as_str())
            .execute(&mut *work)
            .await?;
        sqlx::query(FORGET)
            .bind(account.as_str())
            .bind(MOST)
            .execute(&mut *work)
            .await?;
        work.commit().await?;
        Ok(true)
    }

    /// An account's last notices, the newest first.
    pub async fn list(&self, account: &AccountId, limit: u32) -> Result<Vec<Notice>, StoreError> {
        let rows = sqlx::query(LIST)
            .bind(account.as_str())
            .bind(i64::from(limit))
            .fetch_all(self.pools.read())
            .await?;
        rows.iter().map(notice).collect()
    }

    /// Forgets notices that are older than 90 days.
    pub async fn prune(&self, now: Timestamp) -> Result<u64, StoreError> {
        let done = sqlx::query(PRUNE)
            .bind(now.millis())
            .bind(span(KEPT))
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected())
    }
}

fn notice(row: &Row) -> Result<Notice, StoreError> {
    Ok(Notice {
        at: time(row, "at")?,
        kind: parse(row, TABLE, "kind", NoticeKind::parse)?,
        detail: row.try_get("detail")?,
        device: row.try_get("device")?,
        network: row.try_get("network")?,
    })
}
