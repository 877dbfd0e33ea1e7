//! Granted key requests whose app has not fetched its key yet.

use latchkey_model::access::KeyScope;
use latchkey_model::app::AppName;
use latchkey_model::clock::Timestamp;
use latchkey_model::secret::RequestTokenHash;
use latchkey_model::user::UserName;

use crate::dialect::{Connection, Row};
use crate::error::StoreError;
use crate::pool::Pools;
use crate::row::{parse, time};

const TABLE: &str = "grants";

/// How many are kept: whoever can grant could otherwise fill the disk.
const MOST: i64 = 1000;

const INSERT: &str = "
INSERT INTO grants (token_hash, user_name, app_name, scope, granted_at)
SELECT $1, users.name, $3, $4, $5 FROM users WHERE users.name = $2 AND users.active = 1";

const DROP_OLDEST: &str = "
DELETE FROM grants WHERE rowid IN (
    SELECT rowid FROM grants WHERE token_hash <> $1
    ORDER BY granted_at DESC, rowid DESC LIMIT -1 OFFSET $2 - 1)";

const FIND: &str = "
SELECT user_name AS id, user_name, app_name, scope, granted_at
FROM grants WHERE token_hash = $1";

const TAKE: &str = "
DELETE FROM grants
WHERE token_hash = $1 AND user_name IN (SELECT name FROM users WHERE active = 1)
RETURNING user_name AS id, user_name, app_name, scope, granted_at";

const PRUNE: &str = "DELETE FROM grants WHERE granted_at < $1";

const DROP_OF: &str = "DELETE FROM grants WHERE user_name = $1";

/// That an app may fetch a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Who granted it, and whose the key will be.
    pub user: UserName,
    /// What the app calls itself.
    pub app: AppName,
    /// What the user chose.
    pub scope: KeyScope,
    /// When.
    pub at: Timestamp,
}

/// The grants of a host.
#[derive(Debug, Clone, Copy)]
pub struct Grants<'a> {
    pools: &'a Pools,
}

impl<'a> Grants<'a> {
    pub(super) const fn new(pools: &'a Pools) -> Self {
        Self { pools }
    }

    /// Keeps a grant, in place of the oldest if there are 1000 already.
    ///
    /// [`StoreError::Conflict`] if the token has one, or the user is gone or inactive.
    pub async fn keep(&self, token: &RequestTokenHash, grant: &Grant) -> Result<(), StoreError> {
        let mut work = self.pools.begin().await?;
        let done = sqlx::query(INSERT)
            .bind(token.as_bytes().as_slice())
            .bind(grant.user.as_str())
            .bind(grant.app.as_str())
            .bind(grant.scope.as_str())
            .bind(grant.at.millis())
            .execute(&mut *work)
            .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::Conflict);
        }
        sqlx::query(DROP_OLDEST)
            .bind(token.as_bytes().as_slice())
            .bind(MOST)
            .execute(&mut *work)
            .await?;
        work.commit().await?;
        Ok(())
    }

    /// The grant that this token fetches, which stays.
    pub async fn find(&self, token: &RequestTokenHash) -> Result<Option<Grant>, StoreError> {
        let row = sqlx::query(FIND)
            .bind(token.as_bytes().as_slice())
            .fetch_optional(self.pools.read())
            .await?;
        row.as_ref().map(grant).transpose()
    }

    /// Drops what was granted before `before`. Says how many.
    pub async fn prune(&self, before: Timestamp) -> Result<u64, StoreError> {
        let done = sqlx::query(PRUNE)
            .bind(before.millis())
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected())
    }
}

/// Takes a grant away; only that of an active user.
pub(super) async fn take(
    work: &mut Connection,
    token: &RequestTokenHash,
) -> Result<Option<Grant>, StoreError> {
    let row = sqlx::query(TAKE)
        .bind(token.as_bytes().as_slice())
        .fetch_optional(work)
        .await?;
    row.as_ref().map(grant).transpose()
}

pub(super) async fn drop_of(work: &mut Connection, user: &UserName) -> Result<(), StoreError> {
    sqlx::query(DROP_OF)
        .bind(user.as_str())
        .execute(work)
        .await?;
    Ok(())
}

fn grant(row: &Row) -> Result<Grant, StoreError> {
    Ok(Grant {
        user: parse(row, TABLE, "user_name", |text| UserName::parse(text).ok())?,
        app: parse(row, TABLE, "app_name", |text| AppName::parse(text).ok())?,
        scope: parse(row, TABLE, "scope", |text| text.parse().ok())?,
        at: time(row, "granted_at")?,
    })
}
