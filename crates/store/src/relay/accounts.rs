//! Accounts.

use latchkey_model::account::{Account, Email, Suspension};
use latchkey_model::app_connection::EndReason;
use latchkey_model::clock::Timestamp;
use latchkey_model::id::{AccountId, AppConnectionId, PrinterId};
use latchkey_model::link::LinkPurpose;
use latchkey_model::plan::PlanName;
use latchkey_model::secret::{LinkHash, PasswordHash};
use sqlx::Row as _;

use super::{app_connections, links, printers};
use crate::dialect::{Connection, Row};
use crate::error::StoreError;
use crate::pool::Pools;
use crate::row::{optional_time, parse, time};

const TABLE: &str = "accounts";

const CREATE: &str = "
INSERT INTO accounts (id, email, password_hash, plan, created_at, suspended_at, suspended_reason,
                      administrator, email_verified_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

const FIND: &str = "
SELECT id, email, plan, created_at, suspended_at, suspended_reason,
       administrator, email_verified_at
FROM accounts WHERE id = $1";

const FIND_BY_EMAIL: &str = "
SELECT id, email, password_hash, plan, created_at, suspended_at, suspended_reason,
       administrator, email_verified_at
FROM accounts WHERE email = $1";

const LIST: &str = "
SELECT id, email, plan, created_at, suspended_at, suspended_reason,
       administrator, email_verified_at
FROM accounts WHERE email > $1 ORDER BY email LIMIT $2";

const FIND_PASSWORD_HASH: &str = "SELECT password_hash FROM accounts WHERE id = $1";

const SET_PASSWORD_HASH: &str = "UPDATE accounts SET password_hash = $2 WHERE id = $1";

const REPLACE_PASSWORD_HASH: &str = "
UPDATE accounts SET password_hash = $2 WHERE id = $1 AND password_hash = $3";

const SET_PLAN: &str = "UPDATE accounts SET plan = $2 WHERE id = $1";

const SUSPEND: &str = "
UPDATE accounts SET suspended_at = $2, suspended_reason = $3
WHERE id = $1 AND suspended_at IS NULL";

const UNSUSPEND: &str = "
UPDATE accounts SET suspended_at = NULL, suspended_reason = NULL
WHERE id = $1 AND suspended_at IS NOT NULL";

const SET_ADMINISTRATOR: &str = "UPDATE accounts SET administrator = $2 WHERE id = $1";

const HAS_ADMINISTRATOR: &str = "SELECT 1 FROM accounts WHERE administrator = 1 LIMIT 1";

const NOTE_VERIFIED: &str = "
UPDATE accounts SET email_verified_at = $3 WHERE id = $1 AND email = $2";

const SET_EMAIL: &str = "
UPDATE accounts SET email = $2, email_verified_at = $3 WHERE id = $1";

// Invitations that went to the address, too: nothing about the person stays.
const DROP_LINKS_TO: &str = "
DELETE FROM links WHERE email = (SELECT accounts.email FROM accounts WHERE accounts.id = $1)";

const DELETE: &str = "DELETE FROM accounts WHERE id = $1";

/// What a sign-in looks at, and later whether that still holds.
#[derive(Debug, Clone)]
pub struct SignIn {
    /// Whose it is.
    pub account: Account,
    /// What the password is checked against; missing if there is no password.
    pub password_hash: Option<PasswordHash>,
}

/// What went with a deleted account. Its open streams and tunnels must be cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedAccount {
    /// The printers that were removed.
    pub printers: Vec<PrinterId>,
    /// The app connections that ended.
    pub app_connections: Vec<AppConnectionId>,
}

/// The accounts of a relay.
#[derive(Debug, Clone, Copy)]
pub struct Accounts<'a> {
    pools: &'a Pools,
}

impl<'a> Accounts<'a> {
    pub(super) const fn new(pools: &'a Pools) -> Self {
        Self { pools }
    }

    pub(super) const fn pools(self) -> &'a Pools {
        self.pools
    }

    /// Keeps a new account. [`StoreError::Conflict`] if the address is taken. The first
    /// administrator's link is no longer good once there is one.
    pub async fn create(
        &self,
        account: &Account,
        password_hash: Option<&PasswordHash>,
    ) -> Result<(), StoreError> {
        let mut work = self.pools.begin().await?;
        insert(&mut work, account, password_hash).await?;
        work.commit().await?;
        Ok(())
    }

    /// The same for who has a link, which is used up if, and only if, there is an account by it.
    /// False if the link is no longer good, as the first administrator's is once there is one.
    pub async fn create_by_link(
        &self,
        account: &Account,
        password_hash: &PasswordHash,
        hash: &LinkHash,
        purpose: LinkPurpose,
    ) -> Result<bool, StoreError> {
        let mut work = self.pools.begin().await?;
        if purpose == LinkPurpose::FirstAdministrator
            && sqlx::query(HAS_ADMINISTRATOR)
                .fetch_optional(&mut *work)
                .await?
                .is_some()
        {
            return Ok(false);
        }
        if links::take(&mut work, hash, purpose, account.created)
            .await?
            .is_none()
        {
            return Ok(false);
        }
        insert(&mut work, account, Some(password_hash)).await?;
        work.commit().await?;
        Ok(true)
    }

    /// The account with this id, if there is one.
    pub async fn find(&self, id: &AccountId) -> Result<Option<Account>, StoreError> {
        let row = sqlx::query(FIND)
            .bind(id.as_str())
            .fetch_optional(self.pools.read())
            .await?;
        row.as_ref().map(account).transpose()
    }

    /// The account with this id; [`StoreError::Missing`] if there is none.
    pub async fn load(&self, id: &AccountId) -> Result<Account, StoreError> {
        let found = self.find(id).await?;
        found.ok_or(StoreError::Missing { table: TABLE })
    }

    /// The account with this address, if there is one.
    pub async fn find_by_email(&self, email: &Email) -> Result<Option<Account>, StoreError> {
        Ok(self.find_sign_in(email).await?.map(|found| found.account))
    }

    /// The account with this address and what its password is checked against.
    pub async fn find_sign_in(&self, email: &Email) -> Result<Option<SignIn>, StoreError> {
        let row = sqlx::query(FIND_BY_EMAIL)
            .bind(email.as_str())
            .fetch_optional(self.pools.read())
            .await?;
        row.map(|row| {
            Ok(SignIn {
                account: account(&row)?,
                password_hash: password_hash(&row)?,
            })
        })
        .transpose()
    }

    /// What the password of an account is checked against.
    pub async fn find_password_hash(
        &self,
        id: &AccountId,
    ) -> Result<Option<PasswordHash>, StoreError> {
        let row = sqlx::query(FIND_PASSWORD_HASH)
            .bind(id.as_str())
            .fetch_optional(self.pools.read())
            .await?;
        row.as_ref().map_or(Ok(None), password_hash)
    }

    /// Up to `limit` accounts in the order of their addresses, from the one after `after`.
    pub async fn list(
        &self,
        after: Option<&Email>,
        limit: u32,
    ) -> Result<Vec<Account>, StoreError> {
        let rows = sqlx::query(LIST)
            .bind(after.map_or("", Email::as_str))
            .bind(i64::from(limit))
            .fetch_all(self.pools.read())
            .await?;
        rows.iter().map(account).collect()
    }

    /// Changes the password. False if there is no such account.
    pub async fn set_password_hash(
        &self,
        id: &AccountId,
        password_hash: &PasswordHash,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(SET_PASSWORD_HASH)
            .bind(id.as_str())
            .bind(password_hash.expose())
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Changes the password of whoever proved `old`. False if it is another one by now.
    pub async fn replace_password_hash(
        &self,
        id: &AccountId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(REPLACE_PASSWORD_HASH)
            .bind(id.as_str())
            .bind(new.expose())
            .bind(old.expose())
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Puts the account on another plan. False if there is no such account.
    pub async fn set_plan(&self, id: &AccountId, plan: &PlanName) -> Result<bool, StoreError> {
        let done = sqlx::query(SET_PLAN)
            .bind(id.as_str())
            .bind(plan.as_str())
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Makes somebody an administrator, or an ordinary person again. False if there is no such
    /// account.
    pub async fn set_administrator(
        &self,
        id: &AccountId,
        administrator: bool,
    ) -> Result<bool, StoreError> {
        let mut work = self.pools.begin().await?;
        let done = sqlx::query(SET_ADMINISTRATOR)
            .bind(id.as_str())
            .bind(i64::from(administrator))
            .execute(&mut *work)
            .await?;
        let done = done.rows_affected() > 0;
        if done && administrator {
            links::drop_first_administrators(&mut work).await?;
        }
        work.commit().await?;
        Ok(done)
    }

    /// Whether anybody administers this relay.
    pub async fn has_administrator(&self) -> Result<bool, StoreError> {
        let row = sqlx::query(HAS_ADMINISTRATOR)
            .fetch_optional(self.pools.read())
            .await?;
        Ok(row.is_some())
    }

    /// Notes that a letter to this address was answered. False if it is no longer the account's.
    pub async fn note_verified(
        &self,
        id: &AccountId,
        email: &Email,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(NOTE_VERIFIED)
            .bind(id.as_str())
            .bind(email.as_str())
            .bind(at.millis())
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Changes the address. False if there is no such account, [`StoreError::Conflict`] if the
    /// address is somebody else's.
    pub async fn set_email(
        &self,
        id: &AccountId,
        email: &Email,
        verified: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(SET_EMAIL)
            .bind(id.as_str())
            .bind(email.as_str())
            .bind(verified.map(Timestamp::millis))
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Suspends the account, and takes back by what it would get another password or address. False
    /// if there is none or it was suspended already.
    pub async fn suspend(
        &self,
        id: &AccountId,
        suspension: &Suspension,
    ) -> Result<bool, StoreError> {
        let mut work = self.pools.begin().await?;
        let done = sqlx::query(SUSPEND)
            .bind(id.as_str())
            .bind(suspension.at.millis())
            .bind(suspension.reason.as_str())
            .execute(&mut *work)
            .await?;
        links::drop_letters(&mut work, id).await?;
        work.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    /// Ends the suspension. False if there was none.
    pub async fn unsuspend(&self, id: &AccountId) -> Result<bool, StoreError> {
        let done = sqlx::query(UNSUSPEND)
            .bind(id.as_str())
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Deletes the account with its printers and ends its app connections: nothing but
    /// tombstones remain. Nothing if there is no such account.
    pub async fn delete(
        &self,
        id: &AccountId,
        at: Timestamp,
    ) -> Result<Option<DeletedAccount>, StoreError> {
        let mut work = self.pools.begin().await?;
        let ended =
            app_connections::end_of_account(&mut work, id, EndReason::AccountDeleted, at).await?;
        let removed = printers::remove_of_account(&mut work, id).await?;
        sqlx::query(DROP_LINKS_TO)
            .bind(id.as_str())
            .execute(&mut *work)
            .await?;
        let done = sqlx::query(DELETE)
            .bind(id.as_str())
            .execute(&mut *work)
            .await?;
        if done.rows_affected() == 0 {
            return Ok(None);
        }
        work.commit().await?;
        Ok(Some(DeletedAccount {
            printers: removed,
            app_connections: ended,
        }))
    }
}

async fn insert(
    work: &mut Connection,
    account: &Account,
    password_hash: Option<&PasswordHash>,
) -> Result<(), StoreError> {
    let suspension = account.suspended.as_ref();
    sqlx::query(CREATE)
        .bind(account.id.as_str())
        .bind(account.email.as_str())
        .bind(password_hash.map(PasswordHash::expose))
        .bind(account.plan.as_str())
        .bind(account.created.millis())
        .bind(suspension.map(|suspension| suspension.at.millis()))
        .bind(suspension.map(|suspension| suspension.reason.as_str()))
        .bind(i64::from(account.administrator))
        .bind(account.email_verified.map(Timestamp::millis))
        .execute(&mut *work)
        .await?;
    if account.administrator {
        links::drop_first_administrators(work).await?;
    }
    Ok(())
}

fn account(row: &Row) -> Result<Account, StoreError> {
    account_of(row, "id")
}

/// The account in a row that has its id in the column `id`.
pub(super) fn account_of(row: &Row, id: &'static str) -> Result<Account, StoreError> {
    let reason: Option<String> = row.try_get("suspended_reason")?;
    Ok(Account {
        id: parse(row, TABLE, id, |text| text.parse().ok())?,
        email: parse(row, TABLE, "email", |text| Email::parse(text).ok())?,
        created: time(row, "created_at")?,
        suspended: optional_time(row, "suspended_at")?
            .zip(reason)
            .map(|(at, reason)| Suspension { at, reason }),
        plan: parse(row, TABLE, "plan", |text| text.parse().ok())?,
        administrator: row.try_get::<i64, _>("administrator")? != 0,
        email_verified: optional_time(row, "email_verified_at")?,
    })
}

fn password_hash(row: &Row) -> Result<Option<PasswordHash>, StoreError> {
    let phc: Option<String> = row.try_get("password_hash")?;
    Ok(phc.map(PasswordHash::new))
}
