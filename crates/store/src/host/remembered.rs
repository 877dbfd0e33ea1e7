//! Remembered browsers.

use latchkey_model::clock::Timestamp;
use latchkey_model::secret::RememberHash;
use latchkey_model::session::REMEMBERED;
use latchkey_model::user::{User, UserName};

use super::users::user;
use crate::dialect::Connection;
use crate::error::StoreError;
use crate::pool::Pools;
use crate::row::span;

const TABLE: &str = "remembered";

/// How many are kept for one user.
const MOST: i64 = 100;

const INSERT: &str = "
INSERT INTO remembered (token_hash, user_name, created_at)
SELECT $1, users.name, $3 FROM users WHERE users.name = $2 AND users.active = 1";

const FORGET_OLDEST: &str = "
DELETE FROM remembered WHERE rowid IN (
    SELECT rowid FROM remembered WHERE user_name = $1 AND token_hash <> $2
    ORDER BY created_at DESC, rowid DESC LIMIT -1 OFFSET $3 - 1)";

const FIND_USER: &str = "
SELECT u.name AS id, u.name AS user_name, u.user_group, u.active AS user_active,
       u.created_at AS user_created_at
FROM remembered r
JOIN users u ON u.name = r.user_name
WHERE r.token_hash = $1 AND u.active = 1 AND $2 - r.created_at < $3";

const FORGET: &str = "DELETE FROM remembered WHERE token_hash = $1";

const FORGET_OF: &str = "DELETE FROM remembered WHERE user_name = $1";

const PRUNE: &str = "DELETE FROM remembered WHERE $1 - created_at >= $2";

/// The remembered browsers of a host.
#[derive(Debug, Clone, Copy)]
pub struct Remembered<'a> {
    pools: &'a Pools,
}

impl<'a> Remembered<'a> {
    pub(super) const fn new(pools: &'a Pools) -> Self {
        Self { pools }
    }

    /// Remembers a browser, in place of the user's oldest if there are 100 already.
    ///
    /// [`StoreError::Conflict`] if the token is known, or the user is gone or inactive.
    pub async fn keep(
        &self,
        token: &RememberHash,
        user: &UserName,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut work = self.pools.begin().await?;
        let done = sqlx::query(INSERT)
            .bind(token.as_bytes().as_slice())
            .bind(user.as_str())
            .bind(at.millis())
            .execute(&mut *work)
            .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::Conflict);
        }
        sqlx::query(FORGET_OLDEST)
            .bind(user.as_str())
            .bind(token.as_bytes().as_slice())
            .bind(MOST)
            .execute(&mut *work)
            .await?;
        work.commit().await?;
        Ok(())
    }

    /// Whose browser it is. The token is used up, so of two who bring it only one is let in, and
    /// whoever is gets a new one. Nobody, if the browser is not remembered, was for too long
    /// ([`REMEMBERED`]), or the user is inactive.
    pub async fn take(
        &self,
        token: &RememberHash,
        now: Timestamp,
    ) -> Result<Option<User>, StoreError> {
        let mut work = self.pools.begin().await?;
        let row = sqlx::query(FIND_USER)
            .bind(token.as_bytes().as_slice())
            .bind(now.millis())
            .bind(span(REMEMBERED))
            .fetch_optional(&mut *work)
            .await?;
        let found = row.as_ref().map(|row| user(row, TABLE)).transpose()?;
        sqlx::query(FORGET)
            .bind(token.as_bytes().as_slice())
            .execute(&mut *work)
            .await?;
        work.commit().await?;
        Ok(found)
    }

    /// Forgets a browser.
    pub async fn forget(&self, token: &RememberHash) -> Result<(), StoreError> {
        sqlx::query(FORGET)
            .bind(token.as_bytes().as_slice())
            .execute(self.pools.write())
            .await?;
        Ok(())
    }

    /// Forgets all browsers of a user.
    pub async fn forget_of(&self, user: &UserName) -> Result<(), StoreError> {
        sqlx::query(FORGET_OF)
            .bind(user.as_str())
            .execute(self.pools.write())
            .await?;
        Ok(())
    }

    /// Forgets what was remembered for too long. Says how many.
    pub async fn prune(&self, now: Timestamp) -> Result<u64, StoreError> {
        let done = sqlx::query(PRUNE)
            .bind(now.millis())
            .bind(span(REMEMBERED))
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected())
    }
}

pub(super) async fn forget_of(work: &mut Connection, user: &UserName) -> Result<(), StoreError> {
    sqlx::query(FORGET_OF)
        .bind(user.as_str())
        .execute(work)
        .await?;
    Ok(())
}
