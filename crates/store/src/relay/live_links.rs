//! Live links.
//!
//! Whether one still holds is decided in every query: its printer and its maker are there and not
//! suspended, its maker may use the printer, the app connection that made it has not ended.

use latchkey_model::app::AppName;
use latchkey_model::clock::Timestamp;
use latchkey_model::id::{AccountId, AppConnectionId, HostId, LiveLinkId, PrintId, PrinterId};
use latchkey_model::live_link::{AFTER_THE_PRINT, LiveLink, PrintEnd};
use latchkey_model::printer::PrinterName;
use latchkey_model::secret::LiveLinkHash;
use sqlx::Row as _;

use crate::dialect::Row;
use crate::error::StoreError;
use crate::pool::Pools;
use crate::row::{inconsistent, optional_time, parse, span, time};

const TABLE: &str = "live_links";

// A printer has only so many; of one that the maker may not use there is none.
const INSERT: &str = "
INSERT INTO live_links (id, secret_hash, printer_id, account_id, app_connection_id, created_at,
                        expires_at, print_id)
SELECT $1, $2, p.id, $4, $5, $6, $7, $8 FROM printers p
WHERE p.id = $3 AND (p.account_id = $4 OR EXISTS (
    SELECT 1 FROM printer_members m WHERE m.printer_id = p.id AND m.account_id = $4))
AND (SELECT count(*) FROM live_links l WHERE l.printer_id = p.id
     AND l.ended_at IS NULL AND l.expires_at > $6) < $9";

macro_rules! links_where {
    ($condition:literal) => {
        concat!(
            "SELECT l.id, l.printer_id, l.account_id, l.app_connection_id, l.created_at, ",
            "l.expires_at, l.print_id, l.ended_at, l.complete, l.took_seconds, l.file, ",
            "p.name AS printer_name, p.host_id, c.app_name ",
            "FROM live_links l JOIN printers p ON p.id = l.printer_id ",
            "JOIN accounts a ON a.id = l.account_id JOIN accounts o ON o.id = p.account_id ",
            "LEFT JOIN app_connections c ON c.id = l.app_connection_id ",
            "WHERE a.suspended_at IS NULL AND o.suspended_at IS NULL ",
            "AND (p.account_id = l.account_id OR EXISTS (SELECT 1 FROM printer_members m ",
            "WHERE m.printer_id = p.id AND m.account_id = l.account_id)) ",
            "AND (l.app_connection_id IS NULL OR (c.id IS NOT NULL AND c.ended_at IS NULL)) ",
            $condition
        )
    };
}

const FIND: &str = links_where!("AND l.secret_hash = $1");

const FIND_BY_ID: &str = links_where!("AND l.id = $1");

const LIST_OF_PRINTER: &str = links_where!(
    "AND l.printer_id = $1 AND p.account_id = $2 AND l.ended_at IS NULL AND l.expires_at > $3 \
     ORDER BY l.created_at DESC, l.id"
);

const LIST_WITH_PRINT: &str = links_where!("AND l.print_id IS NOT NULL AND l.ended_at IS NULL");

// What was seen is worth more than what was concluded.
const END_WITH_EVENTS: &str = "
UPDATE live_links SET ended_at = e.at,
    complete = CASE WHEN e.kind = 'complete' THEN 1 ELSE 0 END,
    took_seconds = e.printed_seconds, file = e.file
FROM printer_events e
WHERE live_links.print_id IS NOT NULL
AND (live_links.ended_at IS NULL OR live_links.complete IS NULL)
AND e.printer_id = live_links.printer_id AND e.print_id = live_links.print_id
AND e.kind IN ('complete', 'failed')
RETURNING live_links.id";

const END: &str = "
UPDATE live_links SET ended_at = $2 WHERE id = $1 AND print_id = $3 AND ended_at IS NULL";

const REVOKE: &str = "
DELETE FROM live_links WHERE id = $1 AND printer_id IN (
    SELECT p.id FROM printers p WHERE p.id = $2 AND p.account_id = $3)";

const PRUNE: &str = "
DELETE FROM live_links
WHERE (ended_at IS NULL AND expires_at <= $1) OR ended_at <= $2
OR app_connection_id IN (SELECT id FROM app_connections WHERE ended_at IS NOT NULL)";

/// A live link, with what its page needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedLink {
    /// The record.
    pub link: LiveLink,
    /// What the printer's owner calls it.
    pub printer: PrinterName,
    /// The printer's host, if it has one.
    pub host: Option<HostId>,
    /// The app that made it, if one did.
    pub app: Option<AppName>,
}

/// The live links of a relay.
#[derive(Debug, Clone, Copy)]
pub struct LiveLinks<'a> {
    pools: &'a Pools,
}

impl<'a> LiveLinks<'a> {
    pub(super) const fn new(pools: &'a Pools) -> Self {
        Self { pools }
    }

    /// Keeps a new link. False if the maker may not use the printer, or `most` links of it are
    /// good.
    pub async fn create(
        &self,
        link: &LiveLink,
        secret: &LiveLinkHash,
        most: u32,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(INSERT)
            .bind(link.id.as_str())
            .bind(secret.as_bytes().as_slice())
            .bind(link.printer.as_str())
            .bind(link.account.as_str())
            .bind(link.app_connection.as_ref().map(AppConnectionId::as_str))
            .bind(link.created.millis())
            .bind(link.expires.millis())
            .bind(link.print.as_ref().map(PrintId::as_str))
            .bind(i64::from(most))
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// The link with this secret, while it holds. Whether its time is over is for the caller.
    pub async fn find(&self, secret: &LiveLinkHash) -> Result<Option<ListedLink>, StoreError> {
        let row = sqlx::query(FIND)
            .bind(secret.as_bytes().as_slice())
            .fetch_optional(self.pools.read())
            .await?;
        row.as_ref().map(listed).transpose()
    }

    /// The same by its id.
    pub async fn find_by_id(&self, id: &LiveLinkId) -> Result<Option<ListedLink>, StoreError> {
        let row = sqlx::query(FIND_BY_ID)
            .bind(id.as_str())
            .fetch_optional(self.pools.read())
            .await?;
        row.as_ref().map(listed).transpose()
    }

    /// The good links of a printer, for its owner, the newest first.
    pub async fn list_of_printer(
        &self,
        owner: &AccountId,
        printer: &PrinterId,
        now: Timestamp,
    ) -> Result<Vec<ListedLink>, StoreError> {
        let rows = sqlx::query(LIST_OF_PRINTER)
            .bind(printer.as_str())
            .bind(owner.as_str())
            .bind(now.millis())
            .fetch_all(self.pools.read())
            .await?;
        rows.iter().map(listed).collect()
    }

    /// All links that end with a print which has not ended.
    pub async fn list_with_print(&self) -> Result<Vec<ListedLink>, StoreError> {
        let rows = sqlx::query(LIST_WITH_PRINT)
            .fetch_all(self.pools.read())
            .await?;
        rows.iter().map(listed).collect()
    }

    /// Ends the links whose print has ended by what happened to their printers. Which ones.
    pub async fn end_with_events(&self) -> Result<Vec<LiveLinkId>, StoreError> {
        let rows = sqlx::query(END_WITH_EVENTS)
            .fetch_all(self.pools.write())
            .await?;
        let id = |row| parse(row, TABLE, "id", |id| id.parse().ok());
        rows.iter().map(id).collect()
    }

    /// Ends a link whose print is over though nobody saw it end. False if it has ended.
    pub async fn end(
        &self,
        id: &LiveLinkId,
        print: &PrintId,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(END)
            .bind(id.as_str())
            .bind(at.millis())
            .bind(print.as_str())
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Takes back a link of the owner's printer, whoever made it. False if there is none.
    pub async fn revoke(
        &self,
        owner: &AccountId,
        printer: &PrinterId,
        id: &LiveLinkId,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(REVOKE)
            .bind(id.as_str())
            .bind(printer.as_str())
            .bind(owner.as_str())
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Forgets the links that show nothing any more.
    pub async fn prune(&self, now: Timestamp) -> Result<u64, StoreError> {
        let done = sqlx::query(PRUNE)
            .bind(now.millis())
            .bind(now.millis() - span(AFTER_THE_PRINT))
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected())
    }
}

fn listed(row: &Row) -> Result<ListedLink, StoreError> {
    let unreadable = || inconsistent(row, TABLE);
    let text = |column: &str| row.try_get::<Option<String>, _>(column);
    let print = text("print_id")?.map(|id| id.parse().map_err(|_| unreadable()));
    let app_connection = text("app_connection_id")?.map(|id| id.parse().map_err(|_| unreadable()));
    let host = text("host_id")?.map(|id| id.parse().map_err(|_| unreadable()));
    let app = text("app_name")?.map(|name| AppName::parse(&name).map_err(|_| unreadable()));
    let ended = match optional_time(row, "ended_at")? {
        None => None,
        Some(at) => {
            let seconds: Option<i64> = row.try_get("took_seconds")?;
            let complete: Option<i64> = row.try_get("complete")?;
            Some(PrintEnd {
                at,
                complete: complete.map(|complete| complete == 1),
                seconds: seconds.and_then(|seconds| u64::try_from(seconds).ok()),
                file: text("file")?,
            })
        }
    };
    Ok(ListedLink {
        link: LiveLink {
            id: parse(row, TABLE, "id", |id| id.parse().ok())?,
            printer: parse(row, TABLE, "printer_id", |id| id.parse().ok())?,
            account: parse(row, TABLE, "account_id", |id| id.parse().ok())?,
            app_connection: app_connection.transpose()?,
            created: time(row, "created_at")?,
            expires: time(row, "expires_at")?,
            print: print.transpose()?,
            ended,
        },
        printer: parse(row, TABLE, "printer_name", |name| {
            PrinterName::parse(name).ok()
        })?,
        host: host.transpose()?,
        app: app.transpose()?,
    })
}
