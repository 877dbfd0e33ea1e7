//! Passkeys: public keys of people's devices.

use latchkey_model::clock::Timestamp;
use latchkey_model::id::{AccountId, PasskeyId};
use sqlx::Row as _;

use crate::dialect::Row;
use crate::error::StoreError;
use crate::pool::Pools;
use crate::row::{optional_time, parse, time};

const TABLE: &str = "passkeys";

// Takes the account's row, so that of many at once none gets past the bound.
const HAS_ROOM: &str = "
UPDATE accounts SET password_hash = password_hash
WHERE id = $1 AND (SELECT COUNT(*) FROM passkeys p WHERE p.account_id = $1) < $2";

const ADD: &str = "
INSERT INTO passkeys (id, account_id, credential_id, credential, name, created_at, used_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)";

const FIND_BY_CREDENTIAL: &str = "
SELECT id, account_id, credential_id, credential, name, created_at, used_at
FROM passkeys WHERE credential_id = $1";

const LIST_OF: &str = "
SELECT id, account_id, credential_id, credential, name, created_at, used_at
FROM passkeys WHERE account_id = $1 ORDER BY created_at, id";

// Of two who come with one counter one counts.
const NOTE_USED: &str = "
UPDATE passkeys SET credential = $2, used_at = $4 WHERE id = $1 AND credential = $3";

const REMOVE: &str = "DELETE FROM passkeys WHERE id = $1 AND account_id = $2";

/// A passkey as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptPasskey {
    /// As we name it.
    pub id: PasskeyId,
    /// Whose it is.
    pub account: AccountId,
    /// As the device names it.
    pub credential_id: Vec<u8>,
    /// Public key and counter, as JSON; opaque here.
    pub credential: String,
    /// As its owner calls it.
    pub name: String,
    /// When it was added.
    pub created: Timestamp,
    /// When it was last used.
    pub used: Option<Timestamp>,
}

/// The passkeys of a relay's accounts.
#[derive(Debug, Clone, Copy)]
pub struct Passkeys<'a> {
    pools: &'a Pools,
}

impl<'a> Passkeys<'a> {
    pub(super) const fn new(pools: &'a Pools) -> Self {
        Self { pools }
    }

    /// Keeps a passkey. False if the account has `most` already, or is gone.
    /// [`StoreError::Conflict`] if the device's name for it is taken.
    pub async fn add(&self, passkey: &KeptPasskey, most: u32) -> Result<bool, StoreError> {
        let mut work = self.pools.begin().await?;
        let room = sqlx::query(HAS_ROOM)
            .bind(passkey.account.as_str())
            .bind(i64::from(most))
            .execute(&mut *work)
            .await?;
        if room.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query(ADD)
            .bind(passkey.id.as_str())
            .bind(passkey.account.as_str())
            .bind(passkey.credential_id.as_slice())
            .bind(passkey.credential.as_str())
            .bind(passkey.name.as_str())
            .bind(passkey.created.millis())
            .bind(passkey.used.map(Timestamp::millis))
            .execute(&mut *work)
            .await?;
        work.commit().await?;
        Ok(true)
    }

    /// The passkey that a device names so.
    pub async fn find_by_credential(
        &self,
        credential_id: &[u8],
    ) -> Result<Option<KeptPasskey>, StoreError> {
        let row = sqlx::query(FIND_BY_CREDENTIAL)
            .bind(credential_id)
            .fetch_optional(self.pools.read())
            .await?;
        row.as_ref().map(passkey).transpose()
    }

    /// An account's passkeys, the oldest first.
    pub async fn list_of(&self, account: &AccountId) -> Result<Vec<KeptPasskey>, StoreError> {
        let rows = sqlx::query(LIST_OF)
            .bind(account.as_str())
            .fetch_all(self.pools.read())
            .await?;
        rows.iter().map(passkey).collect()
    }

    /// Notes a use, after which the credential is another one. False if it is not the one that was
    /// looked at any more.
    pub async fn note_used(
        &self,
        before: &KeptPasskey,
        credential: &str,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(NOTE_USED)
            .bind(before.id.as_str())
            .bind(credential)
            .bind(before.credential.as_str())
            .bind(at.millis())
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Removes a passkey of this account. False if it has none of this id.
    pub async fn remove(&self, account: &AccountId, id: &PasskeyId) -> Result<bool, StoreError> {
        let done = sqlx::query(REMOVE)
            .bind(id.as_str())
            .bind(account.as_str())
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected() > 0)
    }
}

fn passkey(row: &Row) -> Result<KeptPasskey, StoreError> {
    Ok(KeptPasskey {
        id: parse(row, TABLE, "id", |text| text.parse().ok())?,
        account: parse(row, TABLE, "account_id", |text| text.parse().ok())?,
        credential_id: row.try_get("credential_id")?,
        credential: row.try_get("credential")?,
        name: row.try_get("name")?,
        created: time(row, "created_at")?,
        used: optional_time(row, "used_at")?,
    })
}
