//! App keys that a relay had made: each belongs to an app connection, and ends with it.

use latchkey_model::id::{AppConnectionId, AppKeyId};

use super::app_keys::{AppKeys, NewAppKey, TABLE, id, insert};
use crate::error::StoreError;
use crate::row::parse;

const REVOKE_OF_APP_CONNECTION: &str = "
DELETE FROM app_keys WHERE app_connection_id = $1 RETURNING id";

const APP_CONNECTIONS: &str = "
SELECT DISTINCT app_connection_id AS id FROM app_keys
WHERE app_connection_id IS NOT NULL ORDER BY app_connection_id LIMIT $1";

impl AppKeys<'_> {
    /// Keeps a key that is made for an app connection. [`StoreError::Conflict`] if the user has a
    /// key for an app of this name already, or is gone: nobody's key is shared or changed by it.
    pub async fn keep_new(&self, new: &NewAppKey) -> Result<(), StoreError> {
        let mut work = self.pools.begin().await?;
        insert(&mut work, new).await?;
        work.commit().await?;
        Ok(())
    }

    /// Revokes the keys that were made for this app connection. Says which they were.
    pub async fn revoke_of_app_connection(
        &self,
        app_connection: &AppConnectionId,
    ) -> Result<Vec<AppKeyId>, StoreError> {
        let rows = sqlx::query(REVOKE_OF_APP_CONNECTION)
            .bind(app_connection.as_str())
            .fetch_all(self.pools.write())
            .await?;
        rows.iter().map(id).collect()
    }

    /// The app connections for which there are keys, `most` of them at most.
    pub async fn app_connections(&self, most: u32) -> Result<Vec<AppConnectionId>, StoreError> {
        let rows = sqlx::query(APP_CONNECTIONS)
            .bind(i64::from(most))
            .fetch_all(self.pools.read())
            .await?;
        rows.iter()
            .map(|row| parse(row, TABLE, "id", |text| text.parse().ok()))
            .collect()
    }
}
