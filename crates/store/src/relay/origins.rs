//! From which networks and by which programs app connections are used.

use latchkey_model::clock::Timestamp;
use latchkey_model::id::{AccountId, AppConnectionId};
use sqlx::Row as _;

use crate::error::StoreError;
use crate::pool::Pools;
use crate::row::{number, time};

/// How many are kept of one app connection.
const MOST: i64 = 20;

const SEE: &str = "
UPDATE app_connection_origins SET seen_at = CASE WHEN seen_at > $4 THEN seen_at ELSE $4 END
WHERE app_connection_id = $1 AND network = $2 AND agent = $3";

// Before it is added: how many there are, and how many share the network, or the program.
const COMPARE: &str = "
SELECT COUNT(*) AS known,
       COALESCE(SUM(CASE WHEN network = $2 OR agent = $3 THEN 1 ELSE 0 END), 0) AS alike
FROM app_connection_origins WHERE app_connection_id = $1";

// Only of one that lives, and for whoever allowed it.
const ADD: &str = "
INSERT INTO app_connection_origins (app_connection_id, account_id, network, agent, seen_at)
SELECT c.id, c.account_id, $2, $3, $4 FROM app_connections c
WHERE c.id = $1 AND c.ended_at IS NULL";

const FORGET: &str = "
DELETE FROM app_connection_origins WHERE app_connection_id = $1 AND seen_at < (
    SELECT seen_at FROM app_connection_origins WHERE app_connection_id = $1
    ORDER BY seen_at DESC LIMIT 1 OFFSET $2 - 1)";

const WHOSE: &str = "
SELECT account_id, app_name FROM app_connections WHERE id = $1 AND ended_at IS NULL";

const LAST: &str = "
SELECT network, agent, seen_at FROM app_connection_origins
WHERE app_connection_id = $1 ORDER BY seen_at DESC LIMIT 1";

const PRUNE: &str = "
DELETE FROM app_connection_origins WHERE app_connection_id IN (
    SELECT id FROM app_connections WHERE ended_at IS NOT NULL)";

/// From where, and by what, an app connection was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedFrom {
    /// The network.
    pub network: String,
    /// What the program says it is, shortened.
    pub agent: String,
    /// When last.
    pub seen: Timestamp,
}

/// The origins of the uses of a relay's app connections.
#[derive(Debug, Clone, Copy)]
pub struct Origins<'a> {
    pools: &'a Pools,
}

impl<'a> Origins<'a> {
    pub(super) const fn new(pools: &'a Pools) -> Self {
        Self { pools }
    }

    /// Notes a use. Gives whose app connection it is and what its app is called, if it was used
    /// before, but neither from this network nor by this program. Of more than 20 of one app
    /// connection the longest unseen are forgotten.
    pub async fn note(
        &self,
        id: &AppConnectionId,
        used: &UsedFrom,
    ) -> Result<Option<(AccountId, String)>, StoreError> {
        let mut work = self.pools.begin().await?;
        let known = sqlx::query(SEE)
            .bind(id.as_str())
            .bind(used.network.as_str())
            .bind(used.agent.as_str())
            .bind(used.seen.millis())
            .execute(&mut *work)
            .await?;
        if known.rows_affected() > 0 {
            work.commit().await?;
            return Ok(None);
        }
        let before = sqlx::query(COMPARE)
            .bind(id.as_str())
            .bind(used.network.as_str())
            .bind(used.agent.as_str())
            .fetch_one(&mut *work)
            .await?;
        let strange = number(&before, "known")? > 0 && number(&before, "alike")? == 0;
        sqlx::query(ADD)
            .bind(id.as_str())
            .bind(used.network.as_str())
            .bind(used.agent.as_str())
            .bind(used.seen.millis())
            .execute(&mut *work)
            .await?;
        sqlx::query(FORGET)
            .bind(id.as_str())
            .bind(MOST)
            .execute(&mut *work)
            .await?;
        let whose = sqlx::query(WHOSE)
            .bind(id.as_str())
            .fetch_optional(&mut *work)
            .await?;
        work.commit().await?;
        let Some(row) = whose.filter(|_| strange) else {
            return Ok(None);
        };
        let account: &str = row.try_get("account_id")?;
        let account = account.parse();
        let account =
            account.map_err(|_| StoreError::inconsistent("app_connections", id.as_str()))?;
        Ok(Some((account, row.try_get("app_name")?)))
    }

    /// From where an app connection was used last.
    pub async fn last(&self, id: &AppConnectionId) -> Result<Option<UsedFrom>, StoreError> {
        let row = sqlx::query(LAST)
            .bind(id.as_str())
            .fetch_optional(self.pools.read())
            .await?;
        row.map(|row| {
            Ok(UsedFrom {
                network: row.try_get("network")?,
                agent: row.try_get("agent")?,
                seen: time(&row, "seen_at")?,
            })
        })
        .transpose()
    }

    /// Forgets those of app connections that ended.
    pub async fn prune(&self) -> Result<u64, StoreError> {
        let done = sqlx::query(PRUNE).execute(self.pools.write()).await?;
        Ok(done.rows_affected())
    }
}
