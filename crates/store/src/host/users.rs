//! Users.

use latchkey_model::id::{AppKeyId, SessionId};
use latchkey_model::secret::PasswordHash;
use latchkey_model::user::{Group, User, UserName};
use sqlx::Row as _;

use super::{app_keys, grants, remembered, sessions};
use crate::dialect::{Connection, Row};
use crate::error::StoreError;
use crate::pool::Pools;
use crate::row::{parse, time};

const TABLE: &str = "users";

const CREATE: &str = "
INSERT INTO users (name, user_group, active, password_hash, created_at)
VALUES ($1, $2, $3, $4, $5)";

const CREATE_FIRST: &str = "
INSERT INTO users (name, user_group, active, password_hash, created_at)
SELECT $1, $2, $3, $4, $5
WHERE NOT EXISTS (SELECT 1 FROM users WHERE user_group = 'admins' AND active = 1)";

const ANY_ADMIN: &str = "SELECT 1 FROM users WHERE user_group = 'admins' AND active = 1 LIMIT 1";

const FIND: &str = "
SELECT name AS id, name AS user_name, user_group, active AS user_active,
       created_at AS user_created_at, password_hash
FROM users WHERE name = $1";

const LIST: &str = "
SELECT name AS id, name AS user_name, user_group, active AS user_active,
       created_at AS user_created_at
FROM users ORDER BY name";

const REHASH: &str = "
UPDATE users SET password_hash = $3 WHERE name = $1 AND password_hash = $2";

const SET_PASSWORD_HASH: &str = "UPDATE users SET password_hash = $2 WHERE name = $1";

const ACTIVATE: &str = "UPDATE users SET active = 1 WHERE name = $1";

/// Whoever is looked at is no active administrator, or not the only one.
macro_rules! where_an_admin_stays {
    ($statement:literal) => {
        concat!(
            $statement,
            " AND (user_group <> 'admins' OR active = 0 OR EXISTS (
                SELECT 1 FROM users AS other
                WHERE other.name <> $1 AND other.user_group = 'admins' AND other.active = 1))"
        )
    };
}

const SET_GROUP: &str =
    where_an_admin_stays!("UPDATE users SET user_group = $2 WHERE name = $1 AND user_group <> $2");

const DEACTIVATE: &str =
    where_an_admin_stays!("UPDATE users SET active = 0 WHERE name = $1 AND active = 1");

const REMOVE: &str = where_an_admin_stays!("DELETE FROM users WHERE name = $1");

/// What a sign-in looks at.
#[derive(Debug, Clone)]
pub struct UserSignIn {
    /// Whose it is.
    pub user: User,
    /// What the password is checked against; missing if there is no password.
    pub password_hash: Option<PasswordHash>,
}

/// What became of a change to a user.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Change {
    /// It was made, or was so already.
    Done(Ended),
    /// There is no such user.
    Missing,
    /// It would have left no active administrator. Nothing was changed.
    LastAdmin,
}

/// In whose name nothing may stay open after a change: they ended, or may do less or more.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ended {
    /// The app keys.
    pub app_keys: Vec<AppKeyId>,
    /// The sessions.
    pub sessions: Vec<SessionId>,
}

/// The users of a host.
#[derive(Debug, Clone, Copy)]
pub struct Users<'a> {
    pools: &'a Pools,
}

impl<'a> Users<'a> {
    pub(super) const fn new(pools: &'a Pools) -> Self {
        Self { pools }
    }

    /// Keeps a new user. [`StoreError::Conflict`] if the name is taken.
    pub async fn create(
        &self,
        user: &User,
        password_hash: Option<&PasswordHash>,
    ) -> Result<(), StoreError> {
        self.insert(CREATE, user, password_hash).await?;
        Ok(())
    }

    /// Keeps the first administrator. False if there is an active one already;
    /// [`StoreError::Conflict`] if the name is taken.
    pub async fn create_first(
        &self,
        user: &User,
        password_hash: &PasswordHash,
    ) -> Result<bool, StoreError> {
        let created = self.insert(CREATE_FIRST, user, Some(password_hash)).await?;
        Ok(created > 0)
    }

    async fn insert(
        &self,
        statement: &'static str,
        user: &User,
        password_hash: Option<&PasswordHash>,
    ) -> Result<u64, StoreError> {
        let done = sqlx::query(statement)
            .bind(user.name.as_str())
            .bind(user.group.as_str())
            .bind(user.active)
            .bind(password_hash.map(PasswordHash::expose))
            .bind(user.created.millis())
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected())
    }

    /// Whether there is an active administrator.
    pub async fn any_admin(&self) -> Result<bool, StoreError> {
        let row = sqlx::query(ANY_ADMIN)
            .fetch_optional(self.pools.read())
            .await?;
        Ok(row.is_some())
    }

    /// The user with this name, if there is one.
    pub async fn find(&self, name: &UserName) -> Result<Option<User>, StoreError> {
        Ok(self.find_sign_in(name).await?.map(|found| found.user))
    }

    /// The user with this name and what their password is checked against.
    pub async fn find_sign_in(&self, name: &UserName) -> Result<Option<UserSignIn>, StoreError> {
        let row = sqlx::query(FIND)
            .bind(name.as_str())
            .fetch_optional(self.pools.read())
            .await?;
        row.map(|row| {
            let phc: Option<String> = row.try_get("password_hash")?;
            Ok(UserSignIn {
                user: user(&row, TABLE)?,
                password_hash: phc.map(PasswordHash::new),
            })
        })
        .transpose()
    }

    /// All users by name.
    pub async fn list(&self) -> Result<Vec<User>, StoreError> {
        let rows = sqlx::query(LIST).fetch_all(self.pools.read()).await?;
        rows.iter().map(|row| user(row, TABLE)).collect()
    }

    /// Changes the password. Ends all sessions but `keep`, and no browser is remembered.
    pub async fn set_password_hash(
        &self,
        name: &UserName,
        password_hash: &PasswordHash,
        keep: Option<&SessionId>,
    ) -> Result<Change, StoreError> {
        let mut work = self.pools.begin().await?;
        let done = sqlx::query(SET_PASSWORD_HASH)
            .bind(name.as_str())
            .bind(password_hash.expose())
            .execute(&mut *work)
            .await?;
        if done.rows_affected() == 0 {
            return Ok(Change::Missing);
        }
        let sessions = sessions::end_of(&mut work, name, keep).await?;
        remembered::forget_of(&mut work, name).await?;
        work.commit().await?;
        Ok(Change::Done(Ended {
            app_keys: Vec::new(),
            sessions,
        }))
    }

    /// Keeps the same password under a better hash. False if `old` is not its hash any more.
    pub async fn rehash(
        &self,
        name: &UserName,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(REHASH)
            .bind(name.as_str())
            .bind(old.expose())
            .bind(new.expose())
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Puts the user into another group. Keys and sessions stay and may do as much as the new
    /// group; what is open in their name began with other rights and must be cut.
    pub async fn set_group(&self, name: &UserName, group: Group) -> Result<Change, StoreError> {
        let mut work = self.pools.begin().await?;
        let done = sqlx::query(SET_GROUP)
            .bind(name.as_str())
            .bind(group.as_str())
            .execute(&mut *work)
            .await?;
        if done.rows_affected() == 0 {
            return unchanged(&mut work, name, |user| user.group == group).await;
        }
        let cut = Ended {
            app_keys: app_keys::ids_of(&mut work, name).await?,
            sessions: sessions::ids_of(&mut work, name).await?,
        };
        work.commit().await?;
        Ok(Change::Done(cut))
    }

    /// Lets the user in, or no longer. Deactivating ends sessions, and no browser is remembered
    /// and no grant can be fetched; app keys stay, and hold again when the user is let in again.
    pub async fn set_active(&self, name: &UserName, active: bool) -> Result<Change, StoreError> {
        let mut work = self.pools.begin().await?;
        let statement = if active { ACTIVATE } else { DEACTIVATE };
        let done = sqlx::query(statement)
            .bind(name.as_str())
            .execute(&mut *work)
            .await?;
        if done.rows_affected() == 0 {
            return unchanged(&mut work, name, |user| user.active == active).await;
        }
        let mut ended = Ended::default();
        if !active {
            ended.app_keys = app_keys::ids_of(&mut work, name).await?;
            ended.sessions = sessions::end_of(&mut work, name, None).await?;
            remembered::forget_of(&mut work, name).await?;
            grants::drop_of(&mut work, name).await?;
        }
        work.commit().await?;
        Ok(Change::Done(ended))
    }

    /// Removes the user, and with them their app keys, grants, sessions and remembered browsers.
    pub async fn remove(&self, name: &UserName) -> Result<Change, StoreError> {
        let mut work = self.pools.begin().await?;
        let ended = Ended {
            app_keys: app_keys::ids_of(&mut work, name).await?,
            sessions: sessions::ids_of(&mut work, name).await?,
        };
        let done = sqlx::query(REMOVE)
            .bind(name.as_str())
            .execute(&mut *work)
            .await?;
        if done.rows_affected() == 0 {
            return unchanged(&mut work, name, |_| false).await;
        }
        work.commit().await?;
        Ok(Change::Done(ended))
    }
}

/// Why a statement changed no row.
async fn unchanged(
    work: &mut Connection,
    name: &UserName,
    is_so_already: impl FnOnce(&User) -> bool,
) -> Result<Change, StoreError> {
    let row = sqlx::query(FIND)
        .bind(name.as_str())
        .fetch_optional(work)
        .await?;
    Ok(match row {
        None => Change::Missing,
        Some(row) if is_so_already(&user(&row, TABLE)?) => Change::Done(Ended::default()),
        Some(_) => Change::LastAdmin,
    })
}

/// Reads the user out of a row of `table`, which may be one that users are joined to.
pub(super) fn user(row: &Row, table: &'static str) -> Result<User, StoreError> {
    Ok(User {
        name: parse(row, table, "user_name", |text| UserName::parse(text).ok())?,
        group: parse(row, table, "user_group", |text| text.parse().ok())?,
        active: row.try_get("user_active")?,
        created: time(row, "user_created_at")?,
    })
}
