//! Sessions.

use latchkey_model::clock::Timestamp;
use latchkey_model::id::SessionId;
use latchkey_model::secret::{PushHandleHash, SessionHash};
use latchkey_model::session::{IDLE, LONGEST, Mechanism, Session};
use latchkey_model::user::{User, UserName};
use sqlx::Row as _;

use super::users::user;
use crate::dialect::{Connection, Row};
use crate::error::StoreError;
use crate::pool::Pools;
use crate::row::{optional_time, parse, span, time};

const TABLE: &str = "sessions";

/// How many one user has at once.
const MOST: i64 = 100;

const INSERT: &str = "
INSERT INTO sessions (id, user_name, session_hash, push_hash, mechanism, created_at, seen_at,
                      credentials_seen_at, device, network)
SELECT $1, users.name, $3, $4, $5, $6, $7, $8, $9, $10
FROM users WHERE users.name = $2 AND users.active = 1";

const END_LONGEST_UNSEEN: &str = "
DELETE FROM sessions WHERE rowid IN (
    SELECT rowid FROM sessions WHERE user_name = $1 AND id <> $2
    ORDER BY seen_at DESC, rowid DESC LIMIT -1 OFFSET $3 - 1)
RETURNING id";

// Every request of a browser: one look-up by a unique index and one by primary key.
const FIND: &str = "
SELECT s.id, s.mechanism, s.created_at, s.seen_at, s.credentials_seen_at, s.device, s.network,
       u.name AS user_name, u.user_group, u.active AS user_active, u.created_at AS user_created_at
FROM sessions s
JOIN users u ON u.name = s.user_name
WHERE s.session_hash = $1";

const FIND_BY_PUSH: &str = "
SELECT s.id, s.mechanism, s.created_at, s.seen_at, s.credentials_seen_at, s.device, s.network,
       u.name AS user_name, u.user_group, u.active AS user_active, u.created_at AS user_created_at
FROM sessions s
JOIN users u ON u.name = s.user_name
WHERE s.push_hash = $1 AND s.user_name = $2";

const LIST_OF: &str = "
SELECT id, user_name, mechanism, created_at, seen_at, credentials_seen_at, device, network
FROM sessions WHERE user_name = $1 ORDER BY seen_at DESC, id";

const TOUCH: &str = "UPDATE sessions SET seen_at = $2 WHERE id = $1 AND seen_at < $2";

const RENEW: &str = "
UPDATE sessions
SET session_hash = $2, credentials_seen_at = $3, mechanism = 'password',
    seen_at = CASE WHEN seen_at > $3 THEN seen_at ELSE $3 END
WHERE id = $1";

const END: &str = "DELETE FROM sessions WHERE id = $1";

const END_OF: &str = "DELETE FROM sessions WHERE user_name = $1 AND id <> $2 RETURNING id";

const IDS_OF: &str = "SELECT id FROM sessions WHERE user_name = $1 ORDER BY id";

// Of an inactive user nothing holds, whatever is still kept.
const HOLDS: &str = "
SELECT 1 FROM sessions s JOIN users u ON u.name = s.user_name AND u.active = 1
WHERE s.id = $1";

const PRUNE: &str = "
DELETE FROM sessions WHERE $1 - seen_at >= $2 OR $1 - created_at >= $3 RETURNING id";

/// A session, with what decides about a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundSession {
    /// The session, which may have ended by its age.
    pub session: Session,
    /// Whose it is.
    pub user: User,
}

/// The sessions of a host.
#[derive(Debug, Clone, Copy)]
pub struct Sessions<'a> {
    pools: &'a Pools,
}

impl<'a> Sessions<'a> {
    pub(super) const fn new(pools: &'a Pools) -> Self {
        Self { pools }
    }

    /// Keeps a new session. Of more than 100 of one user the longest unseen end; says which.
    ///
    /// [`StoreError::Conflict`] if the id or a hash is taken, or the user is gone or inactive.
    pub async fn open(
        &self,
        session: &Session,
        hash: &SessionHash,
        push: &PushHandleHash,
    ) -> Result<Vec<SessionId>, StoreError> {
        let mut work = self.pools.begin().await?;
        let done = sqlx::query(INSERT)
            .bind(session.id.as_str())
            .bind(session.user.as_str())
            .bind(hash.as_bytes().as_slice())
            .bind(push.as_bytes().as_slice())
            .bind(session.mechanism.as_str())
            .bind(session.created.millis())
            .bind(session.seen.millis())
            .bind(session.credentials_seen.map(Timestamp::millis))
            .bind(session.device.as_str())
            .bind(session.network.as_str())
            .execute(&mut *work)
            .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::Conflict);
        }
        let ended = sqlx::query(END_LONGEST_UNSEEN)
            .bind(session.user.as_str())
            .bind(session.id.as_str())
            .bind(MOST)
            .fetch_all(&mut *work)
            .await?;
        let ended = ids(&ended)?;
        work.commit().await?;
        Ok(ended)
    }

    /// The session of this cookie, if it was not ended. Its age is for the caller to look at.
    pub async fn find(&self, hash: &SessionHash) -> Result<Option<FoundSession>, StoreError> {
        let row = sqlx::query(FIND)
            .bind(hash.as_bytes().as_slice())
            .fetch_optional(self.pools.read())
            .await?;
        row.as_ref().map(found).transpose()
    }

    /// The session that the push socket knows by this handle, if it is the user's.
    pub async fn find_by_push(
        &self,
        user: &UserName,
        push: &PushHandleHash,
    ) -> Result<Option<FoundSession>, StoreError> {
        let row = sqlx::query(FIND_BY_PUSH)
            .bind(push.as_bytes().as_slice())
            .bind(user.as_str())
            .fetch_optional(self.pools.read())
            .await?;
        row.as_ref().map(found).transpose()
    }

    /// Whether a session is kept and its user active. Its age is for the caller to look at.
    pub async fn holds(&self, id: &SessionId) -> Result<bool, StoreError> {
        let row = sqlx::query(HOLDS)
            .bind(id.as_str())
            .fetch_optional(self.pools.read())
            .await?;
        Ok(row.is_some())
    }

    /// The sessions of a user, the last seen first.
    pub async fn list_of(&self, user: &UserName) -> Result<Vec<Session>, StoreError> {
        let rows = sqlx::query(LIST_OF)
            .bind(user.as_str())
            .fetch_all(self.pools.read())
            .await?;
        rows.iter().map(session).collect()
    }

    /// Notes use; an earlier time than the noted one changes nothing.
    pub async fn touch(&self, id: &SessionId, at: Timestamp) -> Result<(), StoreError> {
        sqlx::query(TOUCH)
            .bind(id.as_str())
            .bind(at.millis())
            .execute(self.pools.write())
            .await?;
        Ok(())
    }

    /// Notes that the person proved by a password who they are. From now on the cookie is
    /// another one. False if the session has ended.
    pub async fn renew(
        &self,
        id: &SessionId,
        new: &SessionHash,
        credentials_seen: Timestamp,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(RENEW)
            .bind(id.as_str())
            .bind(new.as_bytes().as_slice())
            .bind(credentials_seen.millis())
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Ends a session. Says whether there was one.
    pub async fn end(&self, id: &SessionId) -> Result<bool, StoreError> {
        let done = sqlx::query(END)
            .bind(id.as_str())
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Ends the sessions of a user but one. Says which.
    pub async fn end_of(
        &self,
        user: &UserName,
        but: Option<&SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        let mut work = self.pools.begin().await?;
        let ended = end_of(&mut work, user, but).await?;
        work.commit().await?;
        Ok(ended)
    }

    /// Ends what was idle or lasted too long ([`IDLE`], [`LONGEST`]). Says which.
    pub async fn prune(&self, now: Timestamp) -> Result<Vec<SessionId>, StoreError> {
        let rows = sqlx::query(PRUNE)
            .bind(now.millis())
            .bind(span(IDLE))
            .bind(span(LONGEST))
            .fetch_all(self.pools.write())
            .await?;
        ids(&rows)
    }
}

pub(super) async fn end_of(
    work: &mut Connection,
    user: &UserName,
    but: Option<&SessionId>,
) -> Result<Vec<SessionId>, StoreError> {
    let rows = sqlx::query(END_OF)
        .bind(user.as_str())
        .bind(but.map_or("", SessionId::as_str))
        .fetch_all(work)
        .await?;
    ids(&rows)
}

pub(super) async fn ids_of(
    work: &mut Connection,
    user: &UserName,
) -> Result<Vec<SessionId>, StoreError> {
    let rows = sqlx::query(IDS_OF)
        .bind(user.as_str())
        .fetch_all(work)
        .await?;
    ids(&rows)
}

fn ids(rows: &[Row]) -> Result<Vec<SessionId>, StoreError> {
    rows.iter()
        .map(|row| parse(row, TABLE, "id", |text| text.parse().ok()))
        .collect()
}

fn found(row: &Row) -> Result<FoundSession, StoreError> {
    Ok(FoundSession {
        session: session(row)?,
        user: user(row, TABLE)?,
    })
}

fn session(row: &Row) -> Result<Session, StoreError> {
    Ok(Session {
        id: parse(row, TABLE, "id", |text| text.parse().ok())?,
        user: parse(row, TABLE, "user_name", |text| UserName::parse(text).ok())?,
        mechanism: parse(row, TABLE, "mechanism", Mechanism::parse)?,
        created: time(row, "created_at")?,
        seen: time(row, "seen_at")?,
        credentials_seen: optional_time(row, "credentials_seen_at")?,
        device: row.try_get("device")?,
        network: row.try_get("network")?,
    })
}
