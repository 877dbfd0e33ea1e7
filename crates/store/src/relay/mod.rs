//! What a relay remembers.

use std::path::Path;
use std::sync::Arc;

use latchkey_model::secret::LabelHash;

use crate::error::StoreError;
use crate::pool::{Pools, SchemaVersions, Step};
use crate::recall::Recall;

mod account_usage;
mod accounts;
mod activity;
mod app_connections;
mod apps;
mod audit;
mod events;
mod links;
mod live_links;
mod members;
mod notices;
mod origins;
mod overviews;
mod own_access;
mod pairings;
mod passkeys;
mod print_letters;
mod printers;
mod second_factors;
mod sessions;
mod snapshots;
mod traffic;
mod webhooks;

pub use account_usage::{AccountUsage, KeptUsage, MonthlyBytes, WatchedWebcam};
pub use accounts::{Accounts, DeletedAccount, SignIn};
pub use activity::{Activities, Done, Happening, Told};
pub use app_connections::{
    AppConnections, FoundAppConnection, Holder, Listed, ListedElsewhere, Standing, Usage, Use,
};
pub use apps::Apps;
pub use audit::{AuditAnchor, AuditFilter, AuditLog};
pub use events::{Events, NumberedEvent};
pub use links::Links;
pub use live_links::{ListedLink, LiveLinks};
pub use members::{Member, Members, UsedPrinter};
pub use notices::Notices;
pub use origins::{Origins, UsedFrom};
pub use overviews::{Overview, Totals};
pub use own_access::{FoundOwn, OwnAccess, OwnStanding};
pub use pairings::{Confirmation, Pairings};
pub use passkeys::{KeptPasskey, Passkeys};
pub use print_letters::{PrintLetters, WaitingReader};
pub use printers::{Printers, RemovedPrinter};
pub use second_factors::{CodeGenerator, SecondFactors};
pub use sessions::{FoundSession, Known, Sessions};
pub use snapshots::{NewSnapshot, Receiver, Room, Snapshot, Snapshots};
pub use traffic::{Moved, Traffic, TrafficOfDay};
pub use webhooks::{NewWebhook, ToldWebhook, Webhook, Webhooks};

pub(crate) const STEPS: &[Step] = &[
    (
        1,
        "accounts printers app_connections",
        include_str!("../../migrations/relay/sqlite/0001_accounts_printers_app_connections.sql"),
    ),
    (
        2,
        "sessions links members pairings apps",
        include_str!("../../migrations/relay/sqlite/0002_sessions_links_members_pairings_apps.sql"),
    ),
    (
        3,
        "printer_events",
        include_str!("../../migrations/relay/sqlite/0003_printer_events.sql"),
    ),
    (
        4,
        "event_cursors",
        include_str!("../../migrations/relay/sqlite/0004_event_cursors.sql"),
    ),
    (
        5,
        "webhooks",
        include_str!("../../migrations/relay/sqlite/0005_webhooks.sql"),
    ),
    (
        6,
        "own_access",
        include_str!("../../migrations/relay/sqlite/0006_own_access.sql"),
    ),
    (
        7,
        "limits",
        include_str!("../../migrations/relay/sqlite/0007_limits.sql"),
    ),
    (
        8,
        "second_factors",
        include_str!("../../migrations/relay/sqlite/0008_second_factors.sql"),
    ),
    (
        9,
        "audit",
        include_str!("../../migrations/relay/sqlite/0009_audit.sql"),
    ),
    (
        10,
        "live_links",
        include_str!("../../migrations/relay/sqlite/0010_live_links.sql"),
    ),
    (
        11,
        "activity",
        include_str!("../../migrations/relay/sqlite/0011_activity.sql"),
    ),
];

/// The relay's database. Clones share it.
#[derive(Debug, Clone)]
pub struct RelayStore {
    pools: Pools,
    recall: Arc<Recall<LabelHash, FoundAppConnection>>,
}

impl RelayStore {
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

    /// The accounts.
    pub const fn accounts(&self) -> Accounts<'_> {
        Accounts::new(&self.pools)
    }

    /// What is counted against the plans of accounts.
    pub const fn account_usage(&self) -> AccountUsage<'_> {
        AccountUsage::new(&self.pools)
    }

    /// The printers.
    pub const fn printers(&self) -> Printers<'_> {
        Printers::new(&self.pools)
    }

    /// The app connections.
    pub fn app_connections(&self) -> AppConnections<'_> {
        AppConnections::new(&self.pools, &self.recall)
    }

    /// The hosts that wait to be paired.
    pub const fn pairings(&self) -> Pairings<'_> {
        Pairings::new(&self.pools)
    }

    /// The sessions.
    pub const fn sessions(&self) -> Sessions<'_> {
        Sessions::new(&self.pools)
    }

    /// Links that are good once.
    pub const fn links(&self) -> Links<'_> {
        Links::new(&self.pools)
    }

    /// Apps that the operator registered.
    pub const fn apps(&self) -> Apps<'_> {
        Apps::new(&self.pools)
    }

    /// Who did what.
    pub const fn audit(&self) -> AuditLog<'_> {
        AuditLog::new(&self.pools)
    }

    /// What happened to printers.
    pub const fn events(&self) -> Events<'_> {
        Events::new(&self.pools)
    }

    /// Where apps want to be told what happens.
    pub const fn webhooks(&self) -> Webhooks<'_> {
        Webhooks::new(&self.pools)
    }

    /// Pictures that go with what was told.
    pub const fn snapshots(&self) -> Snapshots<'_> {
        Snapshots::new(&self.pools)
    }

    /// Who wants letters about printers.
    pub const fn print_letters(&self) -> PrintLetters<'_> {
        PrintLetters::new(&self.pools)
    }

    /// Live links.
    pub const fn live_links(&self) -> LiveLinks<'_> {
        LiveLinks::new(&self.pools)
    }

    /// What apps and people did at printers.
    pub const fn activity(&self) -> Activities<'_> {
        Activities::new(&self.pools)
    }

    /// How much data moved for printers.
    pub const fn traffic(&self) -> Traffic<'_> {
        Traffic::new(&self.pools)
    }

    /// What accounts are guarded by beside their passwords.
    pub const fn second_factors(&self) -> SecondFactors<'_> {
        SecondFactors::new(&self.pools)
    }

    /// The passkeys.
    pub const fn passkeys(&self) -> Passkeys<'_> {
        Passkeys::new(&self.pools)
    }

    /// What accounts' owners are told of.
    pub const fn notices(&self) -> Notices<'_> {
        Notices::new(&self.pools)
    }

    /// From where app connections are used.
    pub const fn origins(&self) -> Origins<'_> {
        Origins::new(&self.pools)
    }

    /// Who uses the printers.
    pub const fn members(&self) -> Members<'_> {
        Members::new(&self.pools)
    }

    /// People's own access to printers.
    pub const fn own_access(&self) -> OwnAccess<'_> {
        OwnAccess::new(&self.pools)
    }

    /// Checks that the database can be read and written, for a readiness probe.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.pools.check().await
    }

    /// How far the database is in its migrations, as [`RelayStore::inspect`] tells of one that this
    /// process has not open.
    pub async fn versions(&self) -> Result<SchemaVersions, StoreError> {
        self.pools.versions(STEPS).await
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
