//! What accounts are guarded by beside their passwords: generators of codes, and recovery codes.

use latchkey_model::clock::Timestamp;
use latchkey_model::id::AccountId;
use latchkey_model::secret::RecoveryCodeHash;
use sqlx::Row as _;

use crate::dialect::Connection;
use crate::error::StoreError;
use crate::pool::Pools;
use crate::row::{number, time};

const ADD: &str = "
INSERT INTO code_generators (account_id, sealed_seed, created_at, last_step)
VALUES ($1, $2, $3, $4)";

const FIND: &str = "
SELECT account_id AS id, sealed_seed, created_at, last_step
FROM code_generators WHERE account_id = $1";

// Of two who come with one code, or with an earlier one, one counts.
const TAKE_STEP: &str = "
UPDATE code_generators SET last_step = $2 WHERE account_id = $1 AND last_step < $2";

const REMOVE: &str = "DELETE FROM code_generators WHERE account_id = $1";

const IS_THERE: &str = "
UPDATE code_generators SET last_step = last_step WHERE account_id = $1";

const ADD_RECOVERY_CODE: &str = "
INSERT INTO recovery_codes (account_id, code_hash) VALUES ($1, $2)";

const TAKE_RECOVERY_CODE: &str = "
DELETE FROM recovery_codes WHERE account_id = $1 AND code_hash = $2";

const COUNT_RECOVERY_CODES: &str = "
SELECT COUNT(*) AS codes FROM recovery_codes WHERE account_id = $1";

const DROP_RECOVERY_CODES: &str = "DELETE FROM recovery_codes WHERE account_id = $1";

const REMOVE_PASSKEYS: &str = "DELETE FROM passkeys WHERE account_id = $1";

/// What makes an account's codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeGenerator {
    /// The seed, sealed.
    pub sealed_seed: Vec<u8>,
    /// Since when.
    pub created: Timestamp,
    /// The step of the last code that counted.
    pub last_step: i64,
}

/// The generators and recovery codes of a relay's accounts.
#[derive(Debug, Clone, Copy)]
pub struct SecondFactors<'a> {
    pools: &'a Pools,
}

impl<'a> SecondFactors<'a> {
    pub(super) const fn new(pools: &'a Pools) -> Self {
        Self { pools }
    }

    /// Keeps an account's generator and its recovery codes, in place of earlier codes.
    /// [`StoreError::Conflict`] if it has a generator, or is not there.
    pub async fn add(
        &self,
        account: &AccountId,
        generator: &CodeGenerator,
        recovery: &[RecoveryCodeHash],
    ) -> Result<(), StoreError> {
        let mut work = self.pools.begin().await?;
        sqlx::query(ADD)
            .bind(account.as_str())
            .bind(generator.sealed_seed.as_slice())
            .bind(generator.created.millis())
            .bind(generator.last_step)
            .execute(&mut *work)
            .await?;
        replace_codes(&mut work, account, recovery).await?;
        work.commit().await?;
        Ok(())
    }

    /// An account's generator, if it has one.
    pub async fn find(&self, account: &AccountId) -> Result<Option<CodeGenerator>, StoreError> {
        let row = sqlx::query(FIND)
            .bind(account.as_str())
            .fetch_optional(self.pools.read())
            .await?;
        row.map(|row| {
            Ok(CodeGenerator {
                sealed_seed: row.try_get("sealed_seed")?,
                created: time(&row, "created_at")?,
                last_step: row.try_get("last_step")?,
            })
        })
        .transpose()
    }

    /// Uses up the code of a step, with all before it. False if it was used up, or there is no
    /// generator.
    pub async fn take_step(&self, account: &AccountId, step: i64) -> Result<bool, StoreError> {
        let done = sqlx::query(TAKE_STEP)
            .bind(account.as_str())
            .bind(step)
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Uses up a recovery code. Says how many are left; nothing if it was none.
    pub async fn take_recovery_code(
        &self,
        account: &AccountId,
        code: &RecoveryCodeHash,
    ) -> Result<Option<u64>, StoreError> {
        let mut work = self.pools.begin().await?;
        let done = sqlx::query(TAKE_RECOVERY_CODE)
            .bind(account.as_str())
            .bind(code.as_bytes().as_slice())
            .execute(&mut *work)
            .await?;
        if done.rows_affected() == 0 {
            return Ok(None);
        }
        let left = sqlx::query(COUNT_RECOVERY_CODES)
            .bind(account.as_str())
            .fetch_one(&mut *work)
            .await?;
        let left = number(&left, "codes")?;
        work.commit().await?;
        Ok(Some(left))
    }

    /// How many recovery codes are left.
    pub async fn count_recovery_codes(&self, account: &AccountId) -> Result<u64, StoreError> {
        let row = sqlx::query(COUNT_RECOVERY_CODES)
            .bind(account.as_str())
            .fetch_one(self.pools.read())
            .await?;
        number(&row, "codes")
    }

    /// Replaces all recovery codes. False if the account has no generator, whose codes they could
    /// stand for.
    pub async fn replace_recovery_codes(
        &self,
        account: &AccountId,
        codes: &[RecoveryCodeHash],
    ) -> Result<bool, StoreError> {
        let mut work = self.pools.begin().await?;
        let there = sqlx::query(IS_THERE)
            .bind(account.as_str())
            .execute(&mut *work)
            .await?;
        if there.rows_affected() == 0 {
            return Ok(false);
        }
        replace_codes(&mut work, account, codes).await?;
        work.commit().await?;
        Ok(true)
    }

    /// Takes the generator away, with the recovery codes. False if there was none.
    pub async fn remove(&self, account: &AccountId) -> Result<bool, StoreError> {
        let mut work = self.pools.begin().await?;
        let had = remove_codes(&mut work, account).await?;
        work.commit().await?;
        Ok(had)
    }

    /// Takes everything away that is asked for beside the password, passkeys too. False if there
    /// was nothing.
    pub async fn remove_all(&self, account: &AccountId) -> Result<bool, StoreError> {
        let mut work = self.pools.begin().await?;
        let codes = remove_codes(&mut work, account).await?;
        let passkeys = sqlx::query(REMOVE_PASSKEYS)
            .bind(account.as_str())
            .execute(&mut *work)
            .await?;
        work.commit().await?;
        Ok(codes || passkeys.rows_affected() > 0)
    }
}

async fn remove_codes(work: &mut Connection, account: &AccountId) -> Result<bool, StoreError> {
    sqlx::query(DROP_RECOVERY_CODES)
        .bind(account.as_str())
        .execute(&mut *work)
        .await?;
    let done = sqlx::query(REMOVE)
        .bind(account.as_str())
        .execute(&mut *work)
        .await?;
    Ok(done.rows_affected() > 0)
}

async fn replace_codes(
    work: &mut Connection,
    account: &AccountId,
    codes: &[RecoveryCodeHash],
) -> Result<(), StoreError> {
    sqlx::query(DROP_RECOVERY_CODES)
        .bind(account.as_str())
        .execute(&mut *work)
        .await?;
    for code in codes {
        sqlx::query(ADD_RECOVERY_CODE)
            .bind(account.as_str())
            .bind(code.as_bytes().as_slice())
            .execute(&mut *work)
            .await?;
    }
    Ok(())
}
