//! Apps that the operator registered.

use latchkey_model::app::{AppId, AppName, RegisteredApp, Website, fold};
use latchkey_model::portal::TargetRule;
use sqlx::Row as _;

use crate::dialect::Row;
use crate::error::StoreError;
use crate::pool::Pools;
use crate::row::{inconsistent, parse, time};

const TABLE: &str = "apps";

const INSERT: &str = "
INSERT INTO apps (id, name, name_fold, developer, website, targets, logo, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";

const LIST: &str = "
SELECT id, name, developer, website, targets, logo IS NOT NULL AS has_logo, created_at
FROM apps ORDER BY id";

const FIND_LOGO: &str = "SELECT logo FROM apps WHERE id = $1";

const UPDATE: &str = "
UPDATE apps SET developer = $2, website = $3, targets = $4 WHERE id = $1";

const SET_LOGO: &str = "UPDATE apps SET logo = $2 WHERE id = $1";

const REMOVE: &str = "DELETE FROM apps WHERE id = $1";

/// The registered apps of a relay.
#[derive(Debug, Clone, Copy)]
pub struct Apps<'a> {
    pools: &'a Pools,
}

impl<'a> Apps<'a> {
    pub(super) const fn new(pools: &'a Pools) -> Self {
        Self { pools }
    }

    /// Registers an app, with its picture. [`StoreError::Conflict`] if its id is taken, or its
    /// name or one that looks like it. Whether it `has_logo` follows from the picture.
    pub async fn insert(&self, app: &RegisteredApp, logo: Option<&[u8]>) -> Result<(), StoreError> {
        let targets: Vec<_> = app.targets.iter().map(ToString::to_string).collect();
        sqlx::query(INSERT)
            .bind(app.id.as_str())
            .bind(app.name.as_str())
            .bind(fold(app.name.as_str()))
            .bind(app.developer.as_ref().map(AppName::as_str))
            .bind(app.website.as_ref().map(Website::as_str))
            .bind(targets.join("\n"))
            .bind(logo)
            .bind(app.created.millis())
            .execute(self.pools.write())
            .await?;
        Ok(())
    }

    /// All of them, by id.
    pub async fn list(&self) -> Result<Vec<RegisteredApp>, StoreError> {
        let rows = sqlx::query(LIST).fetch_all(self.pools.read()).await?;
        rows.iter().map(app).collect()
    }

    /// The picture of an app, if it has one.
    pub async fn find_logo(&self, id: &AppId) -> Result<Option<Vec<u8>>, StoreError> {
        let row = sqlx::query(FIND_LOGO)
            .bind(id.as_str())
            .fetch_optional(self.pools.read())
            .await?;
        Ok(row.map(|row| row.try_get("logo")).transpose()?.flatten())
    }

    /// Changes what an app may have anew: developer, website and targets. Says whether there is
    /// such an app.
    pub async fn update(&self, app: &RegisteredApp) -> Result<bool, StoreError> {
        let targets: Vec<_> = app.targets.iter().map(ToString::to_string).collect();
        let done = sqlx::query(UPDATE)
            .bind(app.id.as_str())
            .bind(app.developer.as_ref().map(AppName::as_str))
            .bind(app.website.as_ref().map(Website::as_str))
            .bind(targets.join("\n"))
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Gives an app another picture, or none. Says whether there is such an app.
    pub async fn set_logo(&self, id: &AppId, logo: Option<&[u8]>) -> Result<bool, StoreError> {
        let done = sqlx::query(SET_LOGO)
            .bind(id.as_str())
            .bind(logo)
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Takes an app's registration away. Its app connections go on. Says whether there was one.
    pub async fn remove(&self, id: &AppId) -> Result<bool, StoreError> {
        let done = sqlx::query(REMOVE)
            .bind(id.as_str())
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected() > 0)
    }
}

fn app(row: &Row) -> Result<RegisteredApp, StoreError> {
    let optional = |column: &'static str| row.try_get::<Option<String>, _>(column);
    let unreadable = || inconsistent(row, TABLE);
    let targets: String = row.try_get("targets")?;
    Ok(RegisteredApp {
        id: parse(row, TABLE, "id", |text| AppId::parse(text).ok())?,
        name: parse(row, TABLE, "name", |text| AppName::parse(text).ok())?,
        developer: optional("developer")?
            .map(|text| AppName::parse(&text).map_err(|_| unreadable()))
            .transpose()?,
        website: optional("website")?
            .map(|text| Website::parse(&text).map_err(|_| unreadable()))
            .transpose()?,
        targets: targets
            .lines()
            .map(|text| TargetRule::parse(text).map_err(|_| unreadable()))
            .collect::<Result<_, _>>()?,
        has_logo: row.try_get("has_logo")?,
        created: time(row, "created_at")?,
    })
}
