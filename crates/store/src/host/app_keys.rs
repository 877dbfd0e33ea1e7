//! App keys.

use std::sync::Arc;

use latchkey_model::app::AppName;
use latchkey_model::app_key::{AppKey, LastUse};
use latchkey_model::id::{AppConnectionId, AppKeyId};
use latchkey_model::secret::{AppKeyHash, RequestTokenHash};
use latchkey_model::user::{User, UserName};
use sqlx::Row as _;

use super::KeyUse;
use super::grants::{self, Grant};
use super::users::user;
use crate::dialect::{Connection, Row};
use crate::error::StoreError;
use crate::pool::Pools;
use crate::recall::Recall;
use crate::row::{bytes, count, inconsistent, number, optional_time, parse, time};

pub(super) const TABLE: &str = "app_keys";

const INSERT: &str = "
INSERT INTO app_keys
    (id, user_name, app_name, app_fold, hash, sealed, scope, created_at, app_connection_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

const SET_SCOPE: &str = "UPDATE app_keys SET scope = $2 WHERE id = $1";

const ADOPT: &str = "UPDATE app_keys SET app_connection_id = NULL WHERE id = $1";

// The hot path: one look-up by a unique index and one by primary key.
const FIND_BY_HASH: &str = "
SELECT k.id, k.app_name, k.hash, k.scope, k.created_at, k.last_used_at, k.last_network, k.requests,
       k.app_connection_id,
       u.name AS user_name, u.user_group, u.active AS user_active, u.created_at AS user_created_at
FROM app_keys k
JOIN users u ON u.name = k.user_name
WHERE k.hash = $1";

const FIND: &str = "
SELECT id, user_name, app_name, hash, scope, created_at, last_used_at, last_network, requests,
       app_connection_id, sealed
FROM app_keys WHERE user_name = $1 AND app_fold = $2";

const FIND_BY_ID: &str = "
SELECT id, user_name, app_name, hash, scope, created_at, last_used_at, last_network, requests,
       app_connection_id, sealed
FROM app_keys WHERE id = $1";

const LIST: &str = "
SELECT id, user_name, app_name, hash, scope, created_at, last_used_at, last_network, requests,
       app_connection_id
FROM app_keys ORDER BY user_name, app_fold";

const HOLDS: &str = "
SELECT 1 FROM app_keys k JOIN users u ON u.name = k.user_name AND u.active = 1
WHERE k.id = $1";

const LIST_OF: &str = "
SELECT id, user_name, app_name, hash, scope, created_at, last_used_at, last_network, requests,
       app_connection_id
FROM app_keys WHERE user_name = $1 ORDER BY app_fold";

const IDS_OF: &str = "SELECT id FROM app_keys WHERE user_name = $1 ORDER BY id";

const REVOKE: &str = "DELETE FROM app_keys WHERE user_name = $1 AND app_fold = $2 RETURNING id";

const REVOKE_BY_HASH: &str = "
DELETE FROM app_keys WHERE hash = $1 AND ($2 IS NULL OR user_name = $2) RETURNING id";

const REVOKE_BY_ID: &str = "
DELETE FROM app_keys WHERE id = $1 AND ($2 IS NULL OR user_name = $2) RETURNING id";

// Batches may arrive out of order, and after the end.
const NOTE_USE: &str = "
UPDATE app_keys
SET last_network = CASE WHEN last_used_at > $2 THEN last_network ELSE $3 END,
    last_used_at = CASE WHEN last_used_at > $2 THEN last_used_at ELSE $2 END,
    requests = requests + $4
WHERE id = $1";

/// A key to be kept, if its user has none for the app yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAppKey {
    /// The key. How it was used is not kept.
    pub key: AppKey,
    /// Its text, sealed.
    pub sealed: Vec<u8>,
}

/// A key as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAppKey {
    /// The key.
    pub key: AppKey,
    /// Its text, sealed.
    pub sealed: Vec<u8>,
    /// Whether it was made just now.
    pub is_new: bool,
    /// Whether it was there already and has another scope now: what is open in its name began
    /// with other rights and must be cut.
    pub rescoped: bool,
}

/// A key, with what decides about a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundAppKey {
    /// The key.
    pub key: AppKey,
    /// Whose it is; may be inactive.
    pub user: User,
}

/// The app keys of a host.
#[derive(Debug, Clone, Copy)]
pub struct AppKeys<'a> {
    pub(super) pools: &'a Pools,
    recall: &'a Recall<AppKeyHash, FoundAppKey>,
}

impl<'a> AppKeys<'a> {
    pub(super) const fn new(pools: &'a Pools, recall: &'a Recall<AppKeyHash, FoundAppKey>) -> Self {
        Self { pools, recall }
    }

    /// Keeps a key. If the user has one for this app, in whatever spelling, that one stays as it
    /// is and takes over the scope.
    ///
    /// [`StoreError::Conflict`] if the id or the hash is taken, or the user is gone.
    pub async fn keep(&self, new: &NewAppKey) -> Result<KeptAppKey, StoreError> {
        let mut work = self.pools.begin().await?;
        let kept = keep(&mut work, new).await?;
        work.commit().await?;
        Ok(kept)
    }

    /// Takes a grant away and keeps the key that `make` makes of it, both or nothing. Nothing if
    /// the token has no grant (any more), or its user is inactive.
    pub async fn redeem(
        &self,
        token: &RequestTokenHash,
        make: impl FnOnce(Grant) -> NewAppKey + Send,
    ) -> Result<Option<KeptAppKey>, StoreError> {
        let mut work = self.pools.begin().await?;
        let Some(grant) = grants::take(&mut work, token).await? else {
            return Ok(None);
        };
        let kept = keep(&mut work, &make(grant)).await?;
        work.commit().await?;
        Ok(Some(kept))
    }

    /// The key with this hash and its user.
    pub async fn find_by_hash(&self, hash: &AppKeyHash) -> Result<Option<FoundAppKey>, StoreError> {
        let row = sqlx::query(FIND_BY_HASH)
            .bind(hash.as_bytes().as_slice())
            .fetch_optional(self.pools.read())
            .await?;
        row.map(|row| {
            Ok(FoundAppKey {
                key: key(&row)?,
                user: user(&row, TABLE)?,
            })
        })
        .transpose()
    }

    /// The same, and the same answer, without asking the database while nobody has committed
    /// anything since it was asked.
    pub async fn recall_by_hash(
        &self,
        hash: &AppKeyHash,
    ) -> Result<Option<Arc<FoundAppKey>>, StoreError> {
        let find = self.find_by_hash(hash);
        let commits = self.pools.commits();
        self.recall.or_find(commits, *hash, find).await
    }

    /// The user's key for this app, in whatever spelling.
    pub async fn find(
        &self,
        user: &UserName,
        app: &AppName,
    ) -> Result<Option<KeptAppKey>, StoreError> {
        let row = sqlx::query(FIND)
            .bind(user.as_str())
            .bind(app.fold())
            .fetch_optional(self.pools.read())
            .await?;
        row.as_ref().map(kept).transpose()
    }

    /// The key with this id, whoever owns it.
    pub async fn find_by_id(&self, id: &AppKeyId) -> Result<Option<KeptAppKey>, StoreError> {
        let row = sqlx::query(FIND_BY_ID)
            .bind(id.as_str())
            .fetch_optional(self.pools.read())
            .await?;
        row.as_ref().map(kept).transpose()
    }

    /// Whether a key is kept and its owner active.
    pub async fn holds(&self, id: &AppKeyId) -> Result<bool, StoreError> {
        let row = sqlx::query(HOLDS)
            .bind(id.as_str())
            .fetch_optional(self.pools.read())
            .await?;
        Ok(row.is_some())
    }

    /// The keys of a user by app.
    pub async fn list_of(&self, user: &UserName) -> Result<Vec<AppKey>, StoreError> {
        let rows = sqlx::query(LIST_OF)
            .bind(user.as_str())
            .fetch_all(self.pools.read())
            .await?;
        rows.iter().map(key).collect()
    }

    /// Everybody's keys by user and app.
    pub async fn list(&self) -> Result<Vec<AppKey>, StoreError> {
        let rows = sqlx::query(LIST).fetch_all(self.pools.read()).await?;
        rows.iter().map(key).collect()
    }

    // Each reads to the end: a statement that is left half way is committed by its reset, and sqlx
    // drops what a full disk says there.

    /// Revokes the user's key for this app, in whatever spelling. Says which it was.
    pub async fn revoke(
        &self,
        user: &UserName,
        app: &AppName,
    ) -> Result<Option<AppKeyId>, StoreError> {
        let rows = sqlx::query(REVOKE)
            .bind(user.as_str())
            .bind(app.fold())
            .fetch_all(self.pools.write())
            .await?;
        rows.first().map(id).transpose()
    }

    /// Revokes the key with this hash; only that of `owner`, if one is given.
    pub async fn revoke_by_hash(
        &self,
        hash: &AppKeyHash,
        owner: Option<&UserName>,
    ) -> Result<Option<AppKeyId>, StoreError> {
        let rows = sqlx::query(REVOKE_BY_HASH)
            .bind(hash.as_bytes().as_slice())
            .bind(owner.map(UserName::as_str))
            .fetch_all(self.pools.write())
            .await?;
        rows.first().map(id).transpose()
    }

    /// Revokes the key with this id; only that of `owner`, if one is given.
    pub async fn revoke_by_id(
        &self,
        key: &AppKeyId,
        owner: Option<&UserName>,
    ) -> Result<Option<AppKeyId>, StoreError> {
        let rows = sqlx::query(REVOKE_BY_ID)
            .bind(key.as_str())
            .bind(owner.map(UserName::as_str))
            .fetch_all(self.pools.write())
            .await?;
        rows.first().map(id).transpose()
    }

    /// Adds a batch of use, as a whole or not at all. Revoked keys are passed over.
    pub async fn note_uses(&self, batch: &[KeyUse<AppKeyId>]) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let mut work = self.pools.begin().await?;
        for used in batch {
            sqlx::query(NOTE_USE)
                .bind(used.id.as_str())
                .bind(used.at.millis())
                .bind(used.network.as_str())
                .bind(count(used.requests))
                .execute(&mut *work)
                .await?;
        }
        work.commit().await?;
        Ok(())
    }
}

async fn keep(work: &mut Connection, new: &NewAppKey) -> Result<KeptAppKey, StoreError> {
    let (key, fold) = (&new.key, new.key.app.fold());
    let row = sqlx::query(FIND)
        .bind(key.user.as_str())
        .bind(&fold)
        .fetch_optional(&mut *work)
        .await?;
    if let Some(row) = row {
        let mut kept = kept(&row)?;
        // Somebody allows at the host what so far was the relay's wish: it no longer ends with that.
        if kept.key.through.take().is_some() {
            sqlx::query(ADOPT)
                .bind(kept.key.id.as_str())
                .execute(&mut *work)
                .await?;
        }
        if kept.key.scope != key.scope {
            sqlx::query(SET_SCOPE)
                .bind(kept.key.id.as_str())
                .bind(key.scope.as_str())
                .execute(work)
                .await?;
            kept.key.scope = key.scope;
            kept.rescoped = true;
        }
        return Ok(kept);
    }
    insert(work, new).await?;
    Ok(KeptAppKey {
        key: AppKey {
            last_use: None,
            requests: 0,
            ..key.clone()
        },
        sealed: new.sealed.clone(),
        is_new: true,
        rescoped: false,
    })
}

pub(super) async fn insert(work: &mut Connection, new: &NewAppKey) -> Result<(), StoreError> {
    let key = &new.key;
    sqlx::query(INSERT)
        .bind(key.id.as_str())
        .bind(key.user.as_str())
        .bind(key.app.as_str())
        .bind(key.app.fold())
        .bind(key.hash.as_bytes().as_slice())
        .bind(new.sealed.as_slice())
        .bind(key.scope.as_str())
        .bind(key.created.millis())
        .bind(key.through.as_ref().map(AppConnectionId::as_str))
        .execute(work)
        .await?;
    Ok(())
}

pub(super) async fn ids_of(
    work: &mut Connection,
    user: &UserName,
) -> Result<Vec<AppKeyId>, StoreError> {
    let rows = sqlx::query(IDS_OF)
        .bind(user.as_str())
        .fetch_all(work)
        .await?;
    rows.iter().map(id).collect()
}

pub(super) fn id(row: &Row) -> Result<AppKeyId, StoreError> {
    parse(row, TABLE, "id", |text| text.parse().ok())
}

fn kept(row: &Row) -> Result<KeptAppKey, StoreError> {
    Ok(KeptAppKey {
        key: key(row)?,
        sealed: row.try_get("sealed")?,
        is_new: false,
        rescoped: false,
    })
}

fn key(row: &Row) -> Result<AppKey, StoreError> {
    let network: Option<String> = row.try_get("last_network")?;
    let last_use = match (optional_time(row, "last_used_at")?, network) {
        (Some(at), Some(network)) => Some(LastUse { at, network }),
        (None, None) => None,
        _ => return Err(inconsistent(row, TABLE)),
    };
    Ok(AppKey {
        id: id(row)?,
        user: parse(row, TABLE, "user_name", |text| UserName::parse(text).ok())?,
        app: parse(row, TABLE, "app_name", |text| AppName::parse(text).ok())?,
        hash: AppKeyHash::from_bytes(bytes(row, TABLE, "hash")?),
        scope: parse(row, TABLE, "scope", |text| text.parse().ok())?,
        created: time(row, "created_at")?,
        last_use,
        requests: number(row, "requests")?,
        through: row
            .try_get::<Option<&str>, _>("app_connection_id")?
            .map(|text| text.parse().map_err(|_| inconsistent(row, TABLE)))
            .transpose()?,
    })
}
