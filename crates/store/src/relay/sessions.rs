//! Sessions at a relay.

use latchkey_model::account::Account;
use latchkey_model::account_session::{AccountSession, Factors, IDLE, LONGEST};
use latchkey_model::clock::Timestamp;
use latchkey_model::id::{AccountId, PasskeyId, SessionId};
use latchkey_model::secret::{PasswordHash, SessionHash};
use sqlx::Row as _;

use super::accounts::account_of;
use crate::dialect::Row;
use crate::error::StoreError;
use crate::pool::Pools;
use crate::row::{optional_time, parse, span, time};

const TABLE: &str = "sessions";

/// How many one account has at once.
const MOST: i64 = 100;

// Takes the account's row for as long as the session is made: who changes the password or suspends
// at the same time comes before, and then there is none, or after, and then ends this one too. The
// same is true of whoever begins to ask for codes, or removes the passkey.
const STILL_HOLDS: &str = "
UPDATE accounts SET password_hash = password_hash
WHERE id = $1 AND suspended_at IS NULL
  AND (password_hash = $2 OR (password_hash IS NULL AND $2 IS NULL))
  AND ($3 = 1 OR NOT EXISTS (SELECT 1 FROM code_generators g WHERE g.account_id = $1))
  AND ($4 = '' OR EXISTS (SELECT 1 FROM passkeys p WHERE p.id = $4 AND p.account_id = $1))";

const INSERT: &str = "
INSERT INTO sessions (id, session_hash, account_id, created_at, seen_at, proved_at, second_factor_at,
                      device, network)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

const END_LONGEST_UNSEEN: &str = "
DELETE FROM sessions WHERE id IN (
    SELECT id FROM sessions WHERE account_id = $1 AND id <> $2
    ORDER BY seen_at DESC, id LIMIT 1000000 OFFSET $3 - 1)";

// Every request of a browser: one look-up by a unique index, two by primary key, one by an index.
const FIND: &str = "
SELECT s.id, s.created_at AS session_created_at, s.seen_at, s.proved_at, s.second_factor_at,
       s.device, s.network,
       CASE WHEN EXISTS (SELECT 1 FROM code_generators g WHERE g.account_id = a.id)
            THEN 1 ELSE 0 END AS has_codes,
       CASE WHEN EXISTS (SELECT 1 FROM passkeys p WHERE p.account_id = a.id)
            THEN 1 ELSE 0 END AS has_passkeys,
       a.id AS account_id, a.email, a.plan, a.created_at, a.suspended_at, a.suspended_reason,
       a.administrator, a.email_verified_at
FROM sessions s
JOIN accounts a ON a.id = s.account_id
WHERE s.session_hash = $1";

const LIST_OF: &str = "
SELECT id, account_id, created_at AS session_created_at, seen_at, proved_at, second_factor_at,
       device, network
FROM sessions WHERE account_id = $1 ORDER BY seen_at DESC, id";

const TOUCH: &str = "UPDATE sessions SET seen_at = $2 WHERE id = $1 AND seen_at < $2";

const RENEW: &str = "
UPDATE sessions
SET session_hash = $2, proved_at = $3, seen_at = CASE WHEN seen_at > $3 THEN seen_at ELSE $3 END,
    second_factor_at = CASE WHEN $4 = 1 THEN $3 ELSE second_factor_at END
WHERE id = $1";

const END: &str = "DELETE FROM sessions WHERE id = $1 AND account_id = $2";

const END_OTHERS: &str = "DELETE FROM sessions WHERE account_id = $1 AND id <> $2";

const PRUNE: &str = "DELETE FROM sessions WHERE $1 - seen_at >= $2 OR $1 - created_at >= $3";

/// Browsers and networks that are known of one account.
const MOST_KNOWN: i64 = 50;

const IS_ANY_KNOWN: &str = "SELECT 1 FROM known_browsers WHERE account_id = $1 LIMIT 1";

const SEE_KNOWN: &str = "
UPDATE known_browsers SET seen_at = $4 WHERE account_id = $1 AND device = $2 AND network = $3";

const KEEP_KNOWN: &str = "
INSERT INTO known_browsers (account_id, device, network, seen_at) VALUES ($1, $2, $3, $4)";

const FORGET_KNOWN: &str = "
DELETE FROM known_browsers WHERE account_id = $1 AND seen_at < (
    SELECT seen_at FROM known_browsers WHERE account_id = $1
    ORDER BY seen_at DESC LIMIT 1 OFFSET $2 - 1)";

/// Whether an account was used with a browser, and from a network, before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// With both of them.
    Known,
    /// Not with both of them.
    New,
    /// It was not used at all.
    First,
}

/// A session, with what decides about a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundSession {
    /// The session, which may have ended by its age.
    pub session: AccountSession,
    /// Whose it is.
    pub account: Account,
    /// By what the account is guarded beside its password.
    pub factors: Factors,
}

/// The sessions of a relay.
#[derive(Debug, Clone, Copy)]
pub struct Sessions<'a> {
    pools: &'a Pools,
}

impl<'a> Sessions<'a> {
    pub(super) const fn new(pools: &'a Pools) -> Self {
        Self { pools }
    }

    /// Keeps a new session of who proved `password_hash`. Of more than 100 of one account the
    /// longest unseen end. False if it is another password by now, or the account is suspended
    /// or gone, or asks for codes and the session is of somebody who gave none.
    ///
    /// [`StoreError::Conflict`] if the id or the hash is taken.
    pub async fn open(
        &self,
        session: &AccountSession,
        hash: &SessionHash,
        password_hash: Option<&PasswordHash>,
    ) -> Result<bool, StoreError> {
        self.open_by(session, hash, password_hash, None).await
    }

    /// The same for who proved a passkey. False also if the account has it no longer.
    pub async fn open_by(
        &self,
        session: &AccountSession,
        hash: &SessionHash,
        password_hash: Option<&PasswordHash>,
        passkey: Option<&PasskeyId>,
    ) -> Result<bool, StoreError> {
        let mut work = self.pools.begin().await?;
        let holds = sqlx::query(STILL_HOLDS)
            .bind(session.account.as_str())
            .bind(password_hash.map(PasswordHash::expose))
            .bind(i64::from(session.second_factor.is_some()))
            .bind(passkey.map_or("", PasskeyId::as_str))
            .execute(&mut *work)
            .await?;
        if holds.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query(INSERT)
            .bind(session.id.as_str())
            .bind(hash.as_bytes().as_slice())
            .bind(session.account.as_str())
            .bind(session.created.millis())
            .bind(session.seen.millis())
            .bind(session.proved.millis())
            .bind(session.second_factor.map(Timestamp::millis))
            .bind(session.device.as_str())
            .bind(session.network.as_str())
            .execute(&mut *work)
            .await?;
        sqlx::query(END_LONGEST_UNSEEN)
            .bind(session.account.as_str())
            .bind(session.id.as_str())
            .bind(MOST)
            .execute(&mut *work)
            .await?;
        work.commit().await?;
        Ok(true)
    }

    /// Notes from where an account is used, and says whether that is new. Of more than 50 the
    /// longest unseen are forgotten.
    pub async fn note_browser(&self, session: &AccountSession) -> Result<Known, StoreError> {
        let mut work = self.pools.begin().await?;
        let any = sqlx::query(IS_ANY_KNOWN)
            .bind(session.account.as_str())
            .fetch_optional(&mut *work)
            .await?;
        let seen = sqlx::query(SEE_KNOWN)
            .bind(session.account.as_str())
            .bind(session.device.as_str())
            .bind(session.network.as_str())
            .bind(session.seen.millis())
            .execute(&mut *work)
            .await?;
        if seen.rows_affected() == 0 {
            sqlx::query(KEEP_KNOWN)
                .bind(session.account.as_str())
                .bind(session.device.as_str())
                .bind(session.network.as_str())
                .bind(session.seen.millis())
                .execute(&mut *work)
                .await?;
            sqlx::query(FORGET_KNOWN)
                .bind(session.account.as_str())
                .bind(MOST_KNOWN)
                .execute(&mut *work)
                .await?;
        }
        work.commit().await?;
        Ok(match (any.is_some(), seen.rows_affected()) {
            (false, _) => Known::First,
            (true, 0) => Known::New,
            (true, _) => Known::Known,
        })
    }

    /// The session of this cookie, if it was not ended. Its age is for the caller to look at.
    pub async fn find(&self, hash: &SessionHash) -> Result<Option<FoundSession>, StoreError> {
        let row = sqlx::query(FIND)
            .bind(hash.as_bytes().as_slice())
            .fetch_optional(self.pools.read())
            .await?;
        row.as_ref()
            .map(|row| {
                Ok(FoundSession {
                    session: session(row)?,
                    account: account_of(row, "account_id")?,
                    factors: Factors {
                        codes: row.try_get::<i64, _>("has_codes")? != 0,
                        passkeys: row.try_get::<i64, _>("has_passkeys")? != 0,
                    },
                })
            })
            .transpose()
    }

    /// An account's sessions, the last used first; some may have ended by their age.
    pub async fn list_of(&self, account: &AccountId) -> Result<Vec<AccountSession>, StoreError> {
        let rows = sqlx::query(LIST_OF)
            .bind(account.as_str())
            .fetch_all(self.pools.read())
            .await?;
        rows.iter().map(session).collect()
    }

    /// Notes that the session was used.
    pub async fn touch(&self, id: &SessionId, at: Timestamp) -> Result<(), StoreError> {
        sqlx::query(TOUCH)
            .bind(id.as_str())
            .bind(at.millis())
            .execute(self.pools.write())
            .await?;
        Ok(())
    }

    /// Gives the session a new cookie, after the person proved who they are, with a second factor
    /// or without. False if it ended.
    pub async fn renew(
        &self,
        id: &SessionId,
        hash: &SessionHash,
        at: Timestamp,
        second_factor: bool,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(RENEW)
            .bind(id.as_str())
            .bind(hash.as_bytes().as_slice())
            .bind(at.millis())
            .bind(i64::from(second_factor))
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Ends a session of this account. Says whether there was one.
    pub async fn end(&self, account: &AccountId, id: &SessionId) -> Result<bool, StoreError> {
        let done = sqlx::query(END)
            .bind(id.as_str())
            .bind(account.as_str())
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Ends an account's sessions, all or all but one. Says how many.
    pub async fn end_others(
        &self,
        account: &AccountId,
        except: Option<&SessionId>,
    ) -> Result<u64, StoreError> {
        let done = sqlx::query(END_OTHERS)
            .bind(account.as_str())
            .bind(except.map_or("", SessionId::as_str))
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected())
    }

    /// Forgets sessions that ended by their age.
    pub async fn prune(&self, now: Timestamp) -> Result<u64, StoreError> {
        let done = sqlx::query(PRUNE)
            .bind(now.millis())
            .bind(span(IDLE))
            .bind(span(LONGEST))
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected())
    }
}

fn session(row: &Row) -> Result<AccountSession, StoreError> {
    Ok(AccountSession {
        id: parse(row, TABLE, "id", |text| text.parse().ok())?,
        account: parse(row, TABLE, "account_id", |text| text.parse().ok())?,
        created: time(row, "session_created_at")?,
        seen: time(row, "seen_at")?,
        proved: time(row, "proved_at")?,
        second_factor: optional_time(row, "second_factor_at")?,
        device: row.try_get("device")?,
        network: row.try_get("network")?,
    })
}
