//! What a relay remembers.

use std::path::Path;

use latchkey_model::clock::Timestamp;
use sqlx::Row as _;

use crate::dialect::Row;
use crate::error::StoreError;
use crate::pool::{Pools, Step};

mod accounts;
mod app_connections;
mod printers;

pub use accounts::{Accounts, DeletedAccount, SignIn};
pub use app_connections::{AppConnections, FoundAppConnection, Holder, Listed, Usage, Use};
pub use printers::{Printers, RemovedPrinter};

pub(crate) const STEPS: &[Step] = &[(
    1,
    "accounts printers app_connections",
    include_str!("../../migrations/relay/sqlite/0001_accounts_printers_app_connections.sql"),
)];

/// How far a database file is in its migrations, and how far this program goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaVersions {
    /// The last migration of the file; 0 if it has none.
    pub found: i64,
    /// The last migration this program knows.
    pub known: i64,
}

/// The relay's database. Clones share it.
#[derive(Debug, Clone)]
pub struct RelayStore {
    pools: Pools,
}

impl RelayStore {
    /// Opens the database file at `path`, makes it (readable by its owner alone) if there is
    /// none, and brings it up to date.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let pools = Pools::open(path.as_ref(), STEPS).await?;
        Ok(Self { pools })
    }

    /// Looks at the database file at `path` without changing it, so that a file in use by
    /// another version of the program stays that version's. SQLite may leave empty journals
    /// beside it.
    pub async fn inspect(path: impl AsRef<Path>) -> Result<SchemaVersions, StoreError> {
        let found = Pools::version(path.as_ref()).await?;
        let known = STEPS.last().map_or(0, |(version, ..)| *version);
        Ok(SchemaVersions { found, known })
    }

    /// Opens an empty database that vanishes with the last clone.
    pub async fn open_in_memory() -> Result<Self, StoreError> {
        let pools = Pools::open_in_memory(STEPS).await?;
        Ok(Self { pools })
    }

    /// The accounts.
    pub const fn accounts(&self) -> Accounts<'_> {
        Accounts::new(&self.pools)
    }

    /// The printers.
    pub const fn printers(&self) -> Printers<'_> {
        Printers::new(&self.pools)
    }

    /// The app connections.
    pub const fn app_connections(&self) -> AppConnections<'_> {
        AppConnections::new(&self.pools)
    }

    /// Checks that the database can be read and written, for a readiness probe.
    pub async fn check(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(self.pools.read()).await?;
        self.pools.begin().await?.rollback().await?;
        Ok(())
    }

    /// Finishes what is running and closes all connections.
    pub async fn close(&self) {
        self.pools.close().await;
    }

    #[cfg(test)]
    pub(crate) const fn pools(&self) -> &Pools {
        &self.pools
    }
}

/// Reads a column's text as a value of the model.
fn parse<T>(
    row: &Row,
    table: &'static str,
    column: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, StoreError> {
    let text: &str = row.try_get(column)?;
    match parse(text) {
        Some(value) => Ok(value),
        None => Err(StoreError::inconsistent(table, row.try_get("id")?)),
    }
}

fn time(row: &Row, column: &str) -> Result<Timestamp, StoreError> {
    Ok(Timestamp::from_millis(row.try_get(column)?))
}

fn optional_time(row: &Row, column: &str) -> Result<Option<Timestamp>, StoreError> {
    let millis: Option<i64> = row.try_get(column)?;
    Ok(millis.map(Timestamp::from_millis))
}

/// Reads 32 bytes, if there are any.
fn optional_bytes(
    row: &Row,
    table: &'static str,
    column: &str,
) -> Result<Option<[u8; 32]>, StoreError> {
    let Some(bytes) = row.try_get::<Option<&[u8]>, _>(column)? else {
        return Ok(None);
    };
    match bytes.try_into() {
        Ok(bytes) => Ok(Some(bytes)),
        Err(_) => Err(StoreError::inconsistent(table, row.try_get("id")?)),
    }
}

/// A counter's step as it is kept. Bounded, so that no single step brings the sum near its end.
fn count(step: u64) -> i64 {
    const LARGEST: i64 = 1 << 48;
    i64::try_from(step).unwrap_or(LARGEST).min(LARGEST)
}
