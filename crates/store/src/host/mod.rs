//! What a host remembers.

use std::path::Path;
use std::sync::Arc;

use latchkey_model::clock::Timestamp;
use latchkey_model::secret::AppKeyHash;

use crate::error::StoreError;
use crate::pool::{Pools, SchemaVersions, Step};
use crate::recall::Recall;

mod app_keys;
mod grants;
mod keys_through_relay;
mod remembered;
mod session_apps;
mod session_key_log;
mod sessions;
mod users;

pub use app_keys::{AppKeys, FoundAppKey, KeptAppKey, NewAppKey};
pub use grants::{Grant, Grants};
pub use remembered::Remembered;
pub use session_apps::{KeptSessionApp, SessionAppSwitch, SessionApps};
pub use session_key_log::{SessionKeyLog, SessionKeyOutcome, SessionKeyRecord};
pub use sessions::{FoundSession, Sessions};
pub use users::{Change, Ended, UserSignIn, Users};

pub(crate) const STEPS: &[Step] = &[
    (
        1,
        "users app_keys grants sessions remembered",
        include_str!(
            "../../migrations/host/sqlite/0001_users_app_keys_grants_sessions_remembered.sql"
        ),
    ),
    (
        2,
        "session_apps session_app_switches session_key_log",
        include_str!(
            "../../migrations/host/sqlite/0002_session_apps_session_app_switches_session_key_log.sql"
        ),
    ),
    (
        3,
        "app_keys of app connections",
        include_str!("../../migrations/host/sqlite/0003_app_keys_of_app_connections.sql"),
    ),
];

/// Use of a key, by whichever id, that is not yet kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUse<I> {
    /// Which one.
    pub id: I,
    /// When it was last used.
    pub at: Timestamp,
    /// From which network.
    pub network: String,
    /// How many requests came since the last batch.
    pub requests: u64,
}

/// The host's database. Clones share it.
#[derive(Debug, Clone)]
pub struct HostStore {
    pools: Pools,
    recall: Arc<Recall<AppKeyHash, FoundAppKey>>,
}

impl HostStore {
    /// Opens the database file at `path`, makes it (readable by its owner alone) if there is
    /// none, and brings it up to date.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let pools = Pools::open(path.as_ref(), STEPS).await?;
        Ok(Self {
            pools,
            recall: Arc::default(),
        })
    }

    /// Looks at the database file at `path` without changing it, so that a file in use by
    /// another version of the program stays that version's. SQLite may leave empty journals
    /// beside it.
    pub async fn inspect(path: impl AsRef<Path>) -> Result<SchemaVersions, StoreError> {
        Pools::inspect(path.as_ref(), STEPS).await
    }

    /// Opens an empty database that vanishes with the last clone.
    pub async fn open_in_memory() -> Result<Self, StoreError> {
        let pools = Pools::open_in_memory(STEPS).await?;
        Ok(Self {
            pools,
            recall: Arc::default(),
        })
    }

    /// The users.
    pub const fn users(&self) -> Users<'_> {
        Users::new(&self.pools)
    }

    /// The app keys.
    pub fn app_keys(&self) -> AppKeys<'_> {
        AppKeys::new(&self.pools, &self.recall)
    }

    /// The granted key requests whose key was not fetched yet.
    pub const fn grants(&self) -> Grants<'_> {
        Grants::new(&self.pools)
    }

    /// The sessions.
    pub const fn sessions(&self) -> Sessions<'_> {
        Sessions::new(&self.pools)
    }

    /// The remembered browsers.
    pub const fn remembered(&self) -> Remembered<'_> {
        Remembered::new(&self.pools)
    }

    /// The apps that may get session keys.
    pub const fn session_apps(&self) -> SessionApps<'_> {
        SessionApps::new(&self.pools)
    }

    /// The log of session keys.
    pub const fn session_key_log(&self) -> SessionKeyLog<'_> {
        SessionKeyLog::new(&self.pools)
    }

    /// Checks that the database can be read and written, for a readiness probe.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.pools.check().await
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
