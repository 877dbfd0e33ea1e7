//! Printers.

use latchkey_model::app_connection::EndReason;
use latchkey_model::clock::Timestamp;
use latchkey_model::id::{AccountId, AppConnectionId, HostId, PrinterId};
use latchkey_model::printer::{CopySeen, HostKey, Presence, Printer, PrinterName, Seen};
use sqlx::{QueryBuilder, Row as _};

use super::app_connections;
use crate::dialect::{Connection, Engine, Row};
use crate::error::StoreError;
use crate::pool::Pools;
use crate::row::{optional_bytes, optional_time, parse, time};

const TABLE: &str = "printers";

const CREATE: &str = "
INSERT INTO printers (id, account_id, name, host_id, host_key, created_at)
VALUES ($1, $2, $3, $4, $5, $6)";

const FIND: &str = "
SELECT id, account_id, name, host_key, created_at,
       online_since_at, last_connected_at, last_seen_at, local_address, network,
       copy_seen_at, copy_network
FROM printers WHERE id = $1";

const FIND_OWNED: &str = "
SELECT id, account_id, name, host_key, created_at,
       online_since_at, last_connected_at, last_seen_at, local_address, network,
       copy_seen_at, copy_network
FROM printers WHERE id = $1 AND account_id = $2";

const FIND_BY_HOST: &str = "
SELECT id, account_id, name, host_key, created_at,
       online_since_at, last_connected_at, last_seen_at, local_address, network,
       copy_seen_at, copy_network
FROM printers WHERE host_id = $1";

const LIST_BY_ACCOUNT: &str = "
SELECT id, account_id, name, host_key, created_at,
       online_since_at, last_connected_at, last_seen_at, local_address, network,
       copy_seen_at, copy_network
FROM printers WHERE account_id = $1 ORDER BY name, id";

const LIST_USABLE: &str = "
SELECT id, account_id, name, host_key, created_at,
       online_since_at, last_connected_at, last_seen_at, local_address, network,
       copy_seen_at, copy_network
FROM printers WHERE account_id = $1 OR EXISTS (
    SELECT 1 FROM printer_members m WHERE m.printer_id = printers.id AND m.account_id = $1)
ORDER BY name, id";

const ATTACH_HOST: &str = "
UPDATE printers SET host_id = $3, host_key = $4 WHERE id = $1 AND account_id = $2";

const RENAME: &str = "UPDATE printers SET name = $3 WHERE id = $1 AND account_id = $2";

const REMOVE: &str = "DELETE FROM printers WHERE id = $1 AND account_id = $2";

const REMOVE_OF_ACCOUNT: &str = "DELETE FROM printers WHERE account_id = $1 RETURNING id";

const NOTE_CONNECTED: &str = "
UPDATE printers SET online_since_at = $2, last_connected_at = $2, last_seen_at = $2
WHERE id = $1";

const NOTE_NETWORK: &str = "UPDATE printers SET network = $2 WHERE id = $1";

const NOTE_COPY: &str = "
UPDATE printers SET copy_seen_at = $2, copy_network = $3 WHERE id = $1";

const FORGET_COPY: &str = "
UPDATE printers SET copy_seen_at = NULL, copy_network = NULL WHERE id = $1";

const NOTE_ALIVE: &str = "UPDATE printers SET last_seen_at = $2 WHERE id = $1";

const NOTE_HOST_ALIVE: &str = "UPDATE printers SET last_seen_at = $2 WHERE host_id = $1";

const NOTE_LOST: &str = "
UPDATE printers SET online_since_at = NULL, last_seen_at = $2 WHERE id = $1";

const LIST_CONNECTED: &str = "SELECT id FROM printers WHERE online_since_at IS NOT NULL";

const NOTE_LOCAL_ADDRESS: &str = "UPDATE printers SET local_address = $2 WHERE id = $1";

const PAIRED: &str = "SELECT id, host_id FROM printers WHERE host_id IN (";

/// In one statement. Databases have a bound on parameters, and a reader is busy meanwhile.
const AT_ONCE: usize = 500;

const NOTE_ALL_LOST: &str = "
UPDATE printers SET online_since_at = NULL WHERE online_since_at IS NOT NULL";

/// What went with a removed printer. Its open streams and its tunnel must be cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedPrinter {
    /// The app connections that ended.
    pub app_connections: Vec<AppConnectionId>,
}

/// The printers of a relay.
#[derive(Debug, Clone, Copy)]
pub struct Printers<'a> {
    pools: &'a Pools,
}

impl<'a> Printers<'a> {
    pub(super) const fn new(pools: &'a Pools) -> Self {
        Self { pools }
    }

    /// Keeps a new printer. [`StoreError::Conflict`] if its id or its host is taken, or its
    /// account is gone. What was [`seen`](Printer::seen) of it is not kept.
    pub async fn create(&self, printer: &Printer) -> Result<(), StoreError> {
        let host = printer.host.as_ref();
        sqlx::query(CREATE)
            .bind(printer.id.as_str())
            .bind(printer.account.as_str())
            .bind(printer.name.as_str())
            .bind(host.map(|key| key.id().to_string()))
            .bind(host.map(|key| key.as_bytes().as_slice()))
            .bind(printer.created.millis())
            .execute(self.pools.write())
            .await?;
        Ok(())
    }

    /// The printer with this id, if there is one, whoever owns it.
    pub async fn find(&self, id: &PrinterId) -> Result<Option<Printer>, StoreError> {
        let row = sqlx::query(FIND)
            .bind(id.as_str())
            .fetch_optional(self.pools.read())
            .await?;
        row.as_ref().map(printer).transpose()
    }

    /// The printer with this id, whoever owns it; [`StoreError::Missing`] if there is none.
    pub async fn load(&self, id: &PrinterId) -> Result<Printer, StoreError> {
        let found = self.find(id).await?;
        found.ok_or(StoreError::Missing { table: TABLE })
    }

    /// The printer with this id, if it belongs to `owner`.
    pub async fn find_owned(
        &self,
        owner: &AccountId,
        id: &PrinterId,
    ) -> Result<Option<Printer>, StoreError> {
        let row = sqlx::query(FIND_OWNED)
            .bind(id.as_str())
            .bind(owner.as_str())
            .fetch_optional(self.pools.read())
            .await?;
        row.as_ref().map(printer).transpose()
    }

    /// The printer that a host may speak for, if there is one.
    pub async fn find_by_host(&self, host: &HostId) -> Result<Option<Printer>, StoreError> {
        let row = sqlx::query(FIND_BY_HOST)
            .bind(host.as_str())
            .fetch_optional(self.pools.read())
            .await?;
        row.as_ref().map(printer).transpose()
    }

    /// The printers of `owner` by name.
    pub async fn list_by_account(&self, owner: &AccountId) -> Result<Vec<Printer>, StoreError> {
        let rows = sqlx::query(LIST_BY_ACCOUNT)
            .bind(owner.as_str())
            .fetch_all(self.pools.read())
            .await?;
        rows.iter().map(printer).collect()
    }

    /// The printers that an account may use, its own and those shared with it, by name.
    pub async fn list_usable(&self, account: &AccountId) -> Result<Vec<Printer>, StoreError> {
        let rows = sqlx::query(LIST_USABLE)
            .bind(account.as_str())
            .fetch_all(self.pools.read())
            .await?;
        rows.iter().map(printer).collect()
    }

    /// Lets the host with this key, and from now on only that one, speak for the printer.
    ///
    /// False if `owner` has no such printer, [`StoreError::Conflict`] if the host speaks for
    /// another one.
    pub async fn attach_host(
        &self,
        owner: &AccountId,
        id: &PrinterId,
        key: &HostKey,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(ATTACH_HOST)
            .bind(id.as_str())
            .bind(owner.as_str())
            .bind(key.id().as_str())
            .bind(key.as_bytes().as_slice())
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Renames the printer. False if `owner` has no such printer.
    pub async fn rename(
        &self,
        owner: &AccountId,
        id: &PrinterId,
        name: &PrinterName,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(RENAME)
            .bind(id.as_str())
            .bind(owner.as_str())
            .bind(name.as_str())
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Which of these hosts speak for a printer.
    pub async fn which_are_paired(&self, hosts: &[HostId]) -> Result<Vec<HostId>, StoreError> {
        let mut paired = Vec::with_capacity(hosts.len());
        for hosts in hosts.chunks(AT_ONCE) {
            let mut query = QueryBuilder::<Engine>::new(PAIRED);
            let mut list = query.separated(", ");
            for host in hosts {
                list.push_bind(host.as_str());
            }
            query.push(")");
            let rows = query.build().fetch_all(self.pools.read()).await?;
            for row in &rows {
                paired.push(parse(row, TABLE, "host_id", |text| text.parse().ok())?);
            }
        }
        Ok(paired)
    }

    /// Removes the printer and ends its app connections. Nothing if `owner` has no such printer.
    pub async fn remove(
        &self,
        owner: &AccountId,
        id: &PrinterId,
        at: Timestamp,
    ) -> Result<Option<RemovedPrinter>, StoreError> {
        let mut work = self.pools.begin().await?;
        let ended =
            app_connections::end_of_printer(&mut work, owner, id, EndReason::PrinterRemoved, at)
                .await?;
        let done = sqlx::query(REMOVE)
            .bind(id.as_str())
            .bind(owner.as_str())
            .execute(&mut *work)
            .await?;
        if done.rows_affected() == 0 {
            return Ok(None);
        }
        work.commit().await?;
        Ok(Some(RemovedPrinter {
            app_connections: ended,
        }))
    }

    /// Notes what was noticed of the printer's host. False if there is no such printer.
    pub async fn note_seen(
        &self,
        id: &PrinterId,
        presence: Presence,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let statement = match presence {
            Presence::Connected => NOTE_CONNECTED,
            Presence::Alive => NOTE_ALIVE,
            Presence::Lost => NOTE_LOST,
        };
        let done = sqlx::query(statement)
            .bind(id.as_str())
            .bind(at.millis())
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Notes of many hosts at once that they are connected still.
    pub async fn note_hosts_alive(
        &self,
        hosts: &[HostId],
        at: Timestamp,
    ) -> Result<(), StoreError> {
        if hosts.is_empty() {
            return Ok(());
        }
        let mut work = self.pools.begin().await?;
        for host in hosts {
            sqlx::query(NOTE_HOST_ALIVE)
                .bind(host.as_str())
                .bind(at.millis())
                .execute(&mut *work)
                .await?;
        }
        work.commit().await?;
        Ok(())
    }

    /// Notes from which network the host is connected. False if there is no such printer.
    pub async fn note_network(&self, id: &PrinterId, network: &str) -> Result<bool, StoreError> {
        let done = sqlx::query(NOTE_NETWORK)
            .bind(id.as_str())
            .bind(network)
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Notes that a second running host with the printer's key was held off, or with nothing that
    /// its owner has seen to it. False if there is no such printer.
    pub async fn note_copy(
        &self,
        id: &PrinterId,
        copy: Option<&CopySeen>,
    ) -> Result<bool, StoreError> {
        let query = match copy {
            Some(copy) => sqlx::query(NOTE_COPY)
                .bind(id.as_str())
                .bind(copy.at.millis())
                .bind(copy.network.as_str()),
            None => sqlx::query(FORGET_COPY).bind(id.as_str()),
        };
        let done = query.execute(self.pools.write()).await?;
        Ok(done.rows_affected() > 0)
    }

    /// Notes where the host is in its owner's network. False if there is no such printer.
    pub async fn note_local_address(
        &self,
        id: &PrinterId,
        address: &str,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(NOTE_LOCAL_ADDRESS)
            .bind(id.as_str())
            .bind(address)
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// The printers whose hosts are noted as connected.
    pub async fn list_connected(&self) -> Result<Vec<PrinterId>, StoreError> {
        let rows = sqlx::query(LIST_CONNECTED)
            .fetch_all(self.pools.read())
            .await?;
        rows.iter()
            .map(|row| parse(row, TABLE, "id", |text| text.parse().ok()))
            .collect()
    }

    /// Notes that no host is connected: what was kept before a crash is no longer true. Only for
    /// a relay of one node, when it starts. Says how many were thought to be online.
    pub async fn note_all_lost(&self) -> Result<u64, StoreError> {
        let done = sqlx::query(NOTE_ALL_LOST)
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected())
    }
}

pub(super) async fn remove_of_account(
    work: &mut Connection,
    owner: &AccountId,
) -> Result<Vec<PrinterId>, StoreError> {
    let rows = sqlx::query(REMOVE_OF_ACCOUNT)
        .bind(owner.as_str())
        .fetch_all(work)
        .await?;
    rows.iter()
        .map(|row| parse(row, TABLE, "id", |text| text.parse().ok()))
        .collect()
}

pub(super) fn printer(row: &Row) -> Result<Printer, StoreError> {
    let copy_network: Option<String> = row.try_get("copy_network")?;
    let copy = optional_time(row, "copy_seen_at")?.zip(copy_network);
    Ok(Printer {
        id: parse(row, TABLE, "id", |text| text.parse().ok())?,
        account: parse(row, TABLE, "account_id", |text| text.parse().ok())?,
        name: parse(row, TABLE, "name", |text| PrinterName::parse(text).ok())?,
        host: optional_bytes(row, TABLE, "host_key")?.map(HostKey::from_bytes),
        created: time(row, "created_at")?,
        seen: Seen {
            online_since: optional_time(row, "online_since_at")?,
            last_connected: optional_time(row, "last_connected_at")?,
            last_seen: optional_time(row, "last_seen_at")?,
            network: row.try_get("network")?,
            copy: copy.map(|(at, network)| CopySeen { at, network }),
        },
        local_address: row.try_get("local_address")?,
    })
}
