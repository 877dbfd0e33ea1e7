//! Apps that may get session keys: registered on the host's page, and switched on or off there.

use latchkey_model::clock::Timestamp;
use latchkey_model::session_key::{Registration, SessionAppName};
use sqlx::Row as _;

use crate::dialect::{Connection, Row};
use crate::error::StoreError;
use crate::pool::Pools;
use crate::row::{bytes, parse, time};

const TABLE: &str = "session_apps";
const SWITCHES: &str = "session_app_switches";

/// Most apps that the page registers: each is looked at on every change.
const MOST: i64 = 200;

const INSERT: &str = "
INSERT INTO session_apps (name, pubkey, allow_weak_keys, scope, created_at, created_by)
SELECT $1, $2, $3, $4, $5, $6 WHERE (SELECT count(*) FROM session_apps) < $7";

const LIST: &str = "
SELECT name AS id, name, pubkey, allow_weak_keys, scope, created_at, created_by
FROM session_apps ORDER BY name";

const REMOVE: &str = "DELETE FROM session_apps WHERE name = $1";

const SWITCH: &str = "
INSERT INTO session_app_switches (name, enabled, wording, switched_at, switched_by)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (name) DO UPDATE
SET enabled = $2, wording = $3, switched_at = $4, switched_by = $5";

const FORGET_SWITCH: &str = "DELETE FROM session_app_switches WHERE name = $1";

const LIST_SWITCHES: &str = "
SELECT name AS id, name, enabled, wording, switched_at, switched_by
FROM session_app_switches ORDER BY name";

/// An app that somebody registered on the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSessionApp {
    /// What they entered; enabled, for switching off is another matter.
    pub registration: Registration,
    /// When.
    pub at: Timestamp,
    /// Who, by name.
    pub by: String,
}

/// An app that somebody switched on or off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionAppSwitch {
    /// Which.
    pub name: SessionAppName,
    /// On.
    pub enabled: bool,
    /// Which wording of its entry they saw.
    pub wording: [u8; 32],
    /// When.
    pub at: Timestamp,
    /// Who, by name.
    pub by: String,
}

/// The registered apps of a host, as far as they are not in files.
#[derive(Debug, Clone, Copy)]
pub struct SessionApps<'a> {
    pools: &'a Pools,
}

impl<'a> SessionApps<'a> {
    pub(super) const fn new(pools: &'a Pools) -> Self {
        Self { pools }
    }

    /// Keeps an app.
    ///
    /// [`StoreError::Conflict`] if there is one of that name, or there are 200 already, or it has
    /// no public key.
    pub async fn keep(&self, app: &KeptSessionApp) -> Result<(), StoreError> {
        let entry = &app.registration;
        let Some(pubkey) = &entry.pubkey else {
            return Err(StoreError::Conflict);
        };
        let done = sqlx::query(INSERT)
            .bind(entry.name.as_str())
            .bind(pubkey)
            .bind(entry.allow_weak_keys)
            .bind(entry.scope.as_str())
            .bind(app.at.millis())
            .bind(&app.by)
            .bind(MOST)
            .execute(self.pools.write())
            .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::Conflict);
        }
        Ok(())
    }

    /// All of them, by name.
    pub async fn list(&self) -> Result<Vec<KeptSessionApp>, StoreError> {
        let rows = sqlx::query(LIST).fetch_all(self.pools.read()).await?;
        rows.iter().map(kept).collect()
    }

    /// Removes one, with its switch; another switch may take that one's place. False if there was
    /// none, and then nothing is changed.
    pub async fn remove(
        &self,
        name: &SessionAppName,
        switch: Option<&SessionAppSwitch>,
    ) -> Result<bool, StoreError> {
        let mut work = self.pools.begin().await?;
        let removed = sqlx::query(REMOVE)
            .bind(name.as_str())
            .execute(&mut *work)
            .await?;
        if removed.rows_affected() > 0 {
            sqlx::query(FORGET_SWITCH)
                .bind(name.as_str())
                .execute(&mut *work)
                .await?;
            if let Some(switch) = switch {
                set(&mut work, switch).await?;
            }
        }
        work.commit().await?;
        Ok(removed.rows_affected() > 0)
    }

    /// Switches an app on or off, in place of what was said of it before.
    pub async fn switch(&self, switch: &SessionAppSwitch) -> Result<(), StoreError> {
        let mut work = self.pools.begin().await?;
        set(&mut work, switch).await?;
        work.commit().await?;
        Ok(())
    }

    /// All switches, by name.
    pub async fn list_switches(&self) -> Result<Vec<SessionAppSwitch>, StoreError> {
        let rows = sqlx::query(LIST_SWITCHES)
            .fetch_all(self.pools.read())
            .await?;
        rows.iter().map(switch).collect()
    }
}

async fn set(work: &mut Connection, switch: &SessionAppSwitch) -> Result<(), StoreError> {
    sqlx::query(SWITCH)
        .bind(switch.name.as_str())
        .bind(switch.enabled)
        .bind(switch.wording.as_slice())
        .bind(switch.at.millis())
        .bind(&switch.by)
        .execute(work)
        .await?;
    Ok(())
}

fn kept(row: &Row) -> Result<KeptSessionApp, StoreError> {
    Ok(KeptSessionApp {
        registration: Registration {
            name: parse(row, TABLE, "name", |text| SessionAppName::parse(text).ok())?,
            pubkey: row.try_get("pubkey")?,
            enabled: true,
            allow_weak_keys: row.try_get("allow_weak_keys")?,
            scope: parse(row, TABLE, "scope", |text| text.parse().ok())?,
        },
        at: time(row, "created_at")?,
        by: row.try_get("created_by")?,
    })
}

fn switch(row: &Row) -> Result<SessionAppSwitch, StoreError> {
    Ok(SessionAppSwitch {
        name: parse(row, SWITCHES, "name", |text| {
            SessionAppName::parse(text).ok()
        })?,
        enabled: row.try_get("enabled")?,
        wording: bytes(row, SWITCHES, "wording")?,
        at: time(row, "switched_at")?,
        by: row.try_get("switched_by")?,
    })
}
