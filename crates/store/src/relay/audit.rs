//! The audit log: entries are added and read, and cut off from the oldest on; nothing else.

use latchkey_model::audit::{AuditEntry, AuditHead, AuditRecord, ChainHash, WholeAddress};
use latchkey_model::clock::Timestamp;
use latchkey_model::id::AccountId;
use sqlx::Row as _;

use crate::dialect::{Connection, Row};
use crate::error::StoreError;
use crate::pool::Pools;
use crate::row::{bytes, inconsistent, number, optional_bytes, time};

const TABLE: &str = "audit_entries";

// Takes the one row for as long as the entry is made: one is written after the other.
const TAKE_TURN: &str = "UPDATE audit_anchor SET number = number WHERE id = 1";

const HEAD: &str = "
SELECT number AS id, number, hash FROM audit_entries ORDER BY number DESC LIMIT 1";

const ANCHOR: &str = "SELECT number AS id, number, hash, seal FROM audit_anchor WHERE id = 1";

const ADD: &str = "
INSERT INTO audit_entries (number, at, actor, act, account_id, printer_id, detail, network,
    address_hash, address, address_salt, hash)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";

macro_rules! entries_where {
    ($condition:literal) => {
        concat!(
            "SELECT number AS id, number, at, actor, act, account_id, printer_id, detail, ",
            "network, address_hash, address, address_salt, hash FROM audit_entries WHERE ",
            $condition
        )
    };
}

const LIST: &str = entries_where!(
    "number < $1 AND ($2 = '' OR account_id = $2 OR actor = $2) AND ($3 = '' OR act = $3) ORDER BY number DESC LIMIT $4"
);

const LIST_AFTER: &str = entries_where!("number > $1 ORDER BY number LIMIT $2");

const FIND: &str = entries_where!("number = $1");

const ACTS: &str = "SELECT DISTINCT act AS id FROM audit_entries ORDER BY act";

// The newest one stays, so that the log never seems empty.
const LAST_BEFORE: &str = "
SELECT max(number) AS number FROM audit_entries
WHERE (at < $1 OR number <= (SELECT max(number) FROM audit_entries) - $2)
  AND number < (SELECT max(number) FROM audit_entries)";

const MOVE_ANCHOR: &str = "
UPDATE audit_anchor SET number = $1, hash = $2, seal = $3 WHERE id = 1 AND number < $1";

const CUT: &str = "DELETE FROM audit_entries WHERE number <= $1";

const FORGET_ADDRESSES: &str = "
UPDATE audit_entries SET address = NULL, address_salt = NULL
WHERE at < $1 AND address IS NOT NULL";

/// Up to where a log was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditAnchor {
    /// The last entry that is no longer there, and its hash.
    pub head: AuditHead,
    /// What the relay's key says to it; nothing if nothing was cut off yet.
    pub seal: Option<[u8; 32]>,
}

/// Which entries somebody wants to see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Before this number.
    pub before: Option<u64>,
    /// By this account or about it.
    pub account: Option<AccountId>,
    /// With this word for what was done.
    pub act: Option<String>,
}

/// The audit log of a relay.
#[derive(Debug, Clone, Copy)]
pub struct AuditLog<'a> {
    pools: &'a Pools,
}

impl<'a> AuditLog<'a> {
    pub(super) const fn new(pools: &'a Pools) -> Self {
        Self { pools }
    }

    /// Writes an entry after all others. Where the log ends then.
    pub async fn add(
        &self,
        entry: &AuditEntry,
        address: Option<&WholeAddress>,
    ) -> Result<AuditHead, StoreError> {
        let mut work = self.pools.begin().await?;
        sqlx::query(TAKE_TURN).execute(&mut *work).await?;
        let before = head(&mut work).await?;
        let number = before.number + 1;
        let hash = entry.chained(&before.hash, number);
        sqlx::query(ADD)
            .bind(signed(number))
            .bind(entry.at.millis())
            .bind(entry.actor.as_str())
            .bind(entry.act.as_str())
            .bind(entry.account.as_deref())
            .bind(entry.printer.as_deref())
            .bind(entry.detail.as_str())
            .bind(entry.network.as_deref())
            .bind(entry.address_hash.as_ref().map(<[u8; 32]>::as_slice))
            .bind(address.map(|whole| whole.text.as_str()))
            .bind(address.map(|whole| whole.salt.as_slice()))
            .bind(hash.as_bytes().as_slice())
            .execute(&mut *work)
            .await?;
        work.commit().await?;
        Ok(AuditHead { number, hash })
    }

    /// Where the log ends.
    pub async fn head(&self) -> Result<AuditHead, StoreError> {
        let mut connection = self.pools.read().acquire().await?;
        head(&mut connection).await
    }

    /// Up to where it was cut off.
    pub async fn anchor(&self) -> Result<AuditAnchor, StoreError> {
        let mut connection = self.pools.read().acquire().await?;
        anchor(&mut connection).await
    }

    /// Entries, the newest first.
    pub async fn list(
        &self,
        filter: &AuditFilter,
        most: u32,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        let rows = sqlx::query(LIST)
            .bind(filter.before.map_or(i64::MAX, signed))
            .bind(filter.account.as_ref().map_or("", AccountId::as_str))
            .bind(filter.act.as_deref().unwrap_or_default())
            .bind(i64::from(most))
            .fetch_all(self.pools.read())
            .await?;
        rows.iter().map(record).collect()
    }

    /// Entries after a number, the oldest first.
    pub async fn list_after(&self, after: u64, most: u32) -> Result<Vec<AuditRecord>, StoreError> {
        let rows = sqlx::query(LIST_AFTER)
            .bind(signed(after))
            .bind(i64::from(most))
            .fetch_all(self.pools.read())
            .await?;
        rows.iter().map(record).collect()
    }

    /// The entry with this number.
    pub async fn find(&self, number: u64) -> Result<Option<AuditRecord>, StoreError> {
        let row = sqlx::query(FIND)
            .bind(signed(number))
            .fetch_optional(self.pools.read())
            .await?;
        row.as_ref().map(record).transpose()
    }

    /// The words for what was done that are in the log.
    pub async fn acts(&self) -> Result<Vec<String>, StoreError> {
        let rows = sqlx::query(ACTS).fetch_all(self.pools.read()).await?;
        rows.iter().map(|row| Ok(row.try_get("id")?)).collect()
    }

    /// The last entry that is older than `before`, or beyond the `most` newest ones.
    pub async fn last_to_cut(
        &self,
        before: Timestamp,
        most: u64,
    ) -> Result<Option<AuditRecord>, StoreError> {
        let row = sqlx::query(LAST_BEFORE)
            .bind(before.millis())
            .bind(signed(most))
            .fetch_one(self.pools.read())
            .await?;
        match row.try_get::<Option<i64>, _>("number")? {
            Some(last) => self.find(u64::try_from(last).unwrap_or(0)).await,
            None => Ok(None),
        }
    }

    /// Cuts the log off up to `head`, which `seal` says the relay wanted. Says how many entries
    /// went; none if it was cut off further already.
    pub async fn cut(&self, head: &AuditHead, seal: &[u8; 32]) -> Result<u64, StoreError> {
        let mut work = self.pools.begin().await?;
        let moved = sqlx::query(MOVE_ANCHOR)
            .bind(signed(head.number))
            .bind(head.hash.as_bytes().as_slice())
            .bind(seal.as_slice())
            .execute(&mut *work)
            .await?;
        if moved.rows_affected() == 0 {
            return Ok(0);
        }
        let done = sqlx::query(CUT)
            .bind(signed(head.number))
            .execute(&mut *work)
            .await?;
        work.commit().await?;
        Ok(done.rows_affected())
    }

    /// Forgets whole addresses of entries older than `before`. Says of how many.
    pub async fn forget_addresses(&self, before: Timestamp) -> Result<u64, StoreError> {
        let done = sqlx::query(FORGET_ADDRESSES)
            .bind(before.millis())
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected())
    }
}

async fn head(connection: &mut Connection) -> Result<AuditHead, StoreError> {
    let row = sqlx::query(HEAD).fetch_optional(&mut *connection).await?;
    match row {
        Some(row) => Ok(AuditHead {
            number: number(&row, "number")?,
            hash: ChainHash::from_bytes(bytes(&row, TABLE, "hash")?),
        }),
        None => Ok(anchor(connection).await?.head),
    }
}

async fn anchor(connection: &mut Connection) -> Result<AuditAnchor, StoreError> {
    let row = sqlx::query(ANCHOR).fetch_one(connection).await?;
    let hash = optional_bytes(&row, "audit_anchor", "hash")?;
    Ok(AuditAnchor {
        head: AuditHead {
            number: number(&row, "number")?,
            hash: hash.map_or(ChainHash::START, ChainHash::from_bytes),
        },
        seal: optional_bytes(&row, "audit_anchor", "seal")?,
    })
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn record(row: &Row) -> Result<AuditRecord, StoreError> {
    let text = |column: &'static str| row.try_get::<Option<String>, _>(column);
    let salt: Option<Vec<u8>> = row.try_get("address_salt")?;
    let salt = salt
        .map(|salt| salt.try_into().map_err(|_| inconsistent(row, TABLE)))
        .transpose()?;
    let address = text("address")?.zip(salt);
    Ok(AuditRecord {
        number: number(row, "number")?,
        entry: AuditEntry {
            at: time(row, "at")?,
            actor: row.try_get("actor")?,
            act: row.try_get("act")?,
            account: text("account_id")?,
            printer: text("printer_id")?,
            detail: row.try_get("detail")?,
            network: text("network")?,
            address_hash: optional_bytes(row, TABLE, "address_hash")?,
        },
        address: address.map(|(text, salt)| WholeAddress { text, salt }),
        hash: ChainHash::from_bytes(bytes(row, TABLE, "hash")?),
    })
}
