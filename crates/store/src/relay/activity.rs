//! What apps and people did at printers, told together with what happened to the printers.

use latchkey_model::account::Email;
use latchkey_model::activity::{Did, slot_of};
use latchkey_model::clock::Timestamp;
use latchkey_model::id::{AccountId, PrinterId};
use latchkey_model::printer::PrinterName;
use latchkey_model::printing::EventKind;
use sqlx::Row as _;

use crate::dialect::Row;
use crate::error::StoreError;
use crate::pool::Pools;
use crate::row::{count, inconsistent, number, optional_time, parse, time};

const TABLE: &str = "activity";

// Of printers and accounts that are gone nothing is kept.
const ADD: &str = "
INSERT INTO activity (printer_id, slot_at, kind, about, name, account_id, app, at, times, bytes)
SELECT p.id, $2, $3, $4, $5, a.id, $7, $8, $9, $10
FROM printers p JOIN accounts a ON a.id = $6 WHERE p.id = $1
ON CONFLICT (printer_id, slot_at, kind, about, name, account_id) DO UPDATE SET
    at = CASE WHEN activity.at > excluded.at THEN activity.at ELSE excluded.at END,
    times = activity.times + excluded.times,
    bytes = activity.bytes + excluded.bytes";

// An owner sees everybody's, others their own. Of what happened to the printer, what says nothing
// that the next line does not say is left out.
macro_rules! told_where {
    ($condition:literal) => {
        concat!(
            "SELECT * FROM (",
            "SELECT d.printer_id AS id, p.name AS printer, d.at AS at, 'did' AS source, ",
            "d.kind AS kind, d.app AS app, d.name AS name, a.email AS email, ",
            "d.account_id AS account_id, ",
            "d.times AS times, d.bytes AS bytes, NULL AS before_at ",
            "FROM activity d JOIN printers p ON p.id = d.printer_id ",
            "JOIN accounts a ON a.id = d.account_id ",
            "WHERE d.at < $2 AND (p.account_id = $1 OR (d.account_id = $1 AND EXISTS (SELECT 1 ",
            "FROM printer_members m WHERE m.printer_id = p.id AND m.account_id = $1)))",
            $condition,
            " UNION ALL ",
            "SELECT d.printer_id AS id, p.name AS printer, d.at AS at, 'event' AS source, ",
            "d.kind AS kind, coalesce(d.message, '') AS app, coalesce(d.file, '') AS name, ",
            "'' AS email, '' AS account_id, 1 AS times, 0 AS bytes, (SELECT max(o.at) FROM printer_events o ",
            "WHERE d.kind = 'online' AND o.printer_id = d.printer_id AND o.number < d.number ",
            "AND o.kind = 'offline') AS before_at ",
            "FROM printer_events d JOIN printers p ON p.id = d.printer_id ",
            "WHERE d.at < $2 AND d.kind NOT IN ('progress', 'first_layer', 'third_layer') ",
            "AND (p.account_id = $1 OR EXISTS (SELECT 1 FROM printer_members m ",
            "WHERE m.printer_id = p.id AND m.account_id = $1))",
            $condition,
            ") told ORDER BY at DESC, source, kind, name, app LIMIT $3"
        )
    };
}

const LIST: &str = told_where!("");

const LIST_OF_PRINTER: &str = told_where!(" AND d.printer_id = $4");

const FORGET_OLD: &str = "DELETE FROM activity WHERE at < $1";

const WITH_TOO_MANY: &str = "
SELECT printer_id FROM activity GROUP BY printer_id HAVING count(*) > $1";

const FORGET_TOO_MANY: &str = "
DELETE FROM activity WHERE printer_id = $1 AND at < (
    SELECT n.at FROM activity n WHERE n.printer_id = $1 ORDER BY n.at DESC LIMIT 1 OFFSET $2)";

/// Something done at a printer that is not yet kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// At which printer.
    pub printer: PrinterId,
    /// What.
    pub did: Did,
    /// Which app connection did it or was concerned; empty where none was.
    pub about: String,
    /// A file's name, or a network; empty where there is none.
    pub name: String,
    /// Whose app connection, or which person.
    pub account: AccountId,
    /// The app's name; empty where none was concerned.
    pub app: String,
    /// When it was done last.
    pub at: Timestamp,
    /// How often.
    pub times: u64,
    /// How large it was.
    pub bytes: u64,
}

/// Something that is told of a printer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Of which printer.
    pub printer: PrinterId,
    /// What its owner calls it.
    pub printer_name: PrinterName,
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: Happening,
}

/// What is told of a printer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// An app or a person did something.
    Did {
        /// What.
        did: Did,
        /// The app's name; empty where none was concerned.
        app: String,
        /// A file's name, or a network; empty where there is none.
        name: String,
        /// Whose app connection, or which person.
        account: AccountId,
        /// Their address.
        email: Email,
        /// How often.
        times: u64,
        /// How large it was.
        bytes: u64,
    },
    /// Something happened to the printer.
    Event {
        /// What.
        kind: EventKind,
        /// The file's name.
        file: Option<String>,
        /// What the printer's server said of it.
        message: Option<String>,
        /// For a host that came back: since when it was away.
        away_since: Option<Timestamp>,
    },
}

/// What was done at the printers of a relay.
#[derive(Debug, Clone, Copy)]
pub struct Activities<'a> {
    pools: &'a Pools,
}

impl<'a> Activities<'a> {
    pub(super) const fn new(pools: &'a Pools) -> Self {
        Self { pools }
    }

    /// Keeps a batch, as a whole or not at all.
    pub async fn add(&self, batch: &[Done]) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let mut work = self.pools.begin().await?;
        for done in batch {
            sqlx::query(ADD)
                .bind(done.printer.as_str())
                .bind(slot_of(done.at).millis())
                .bind(done.did.as_str())
                .bind(&done.about)
                .bind(&done.name)
                .bind(done.account.as_str())
                .bind(&done.app)
                .bind(done.at.millis())
                .bind(count(done.times))
                .bind(count(done.bytes))
                .execute(&mut *work)
                .await?;
        }
        work.commit().await?;
        Ok(())
    }

    /// What is told to an account of all printers it uses, before a moment, the newest first.
    pub async fn list(
        &self,
        account: &AccountId,
        before: Timestamp,
        most: u32,
    ) -> Result<Vec<Told>, StoreError> {
        let rows = sqlx::query(LIST)
            .bind(account.as_str())
            .bind(before.millis())
            .bind(i64::from(most))
            .fetch_all(self.pools.read())
            .await?;
        rows.iter().map(told).collect()
    }

    /// The same of one printer.
    pub async fn list_of_printer(
        &self,
        account: &AccountId,
        printer: &PrinterId,
        before: Timestamp,
        most: u32,
    ) -> Result<Vec<Told>, StoreError> {
        let rows = sqlx::query(LIST_OF_PRINTER)
            .bind(account.as_str())
            .bind(before.millis())
            .bind(i64::from(most))
            .bind(printer.as_str())
            .fetch_all(self.pools.read())
            .await?;
        rows.iter().map(told).collect()
    }

    /// Forgets what was done before `before`, and all but about the newest `most` of each printer.
    pub async fn forget(&self, before: Timestamp, most: u32) -> Result<u64, StoreError> {
        let old = sqlx::query(FORGET_OLD)
            .bind(before.millis())
            .execute(self.pools.write())
            .await?;
        let mut forgotten = old.rows_affected();
        let rows = sqlx::query(WITH_TOO_MANY)
            .bind(i64::from(most))
            .fetch_all(self.pools.read())
            .await?;
        for row in &rows {
            let printer: &str = row.try_get("printer_id")?;
            let done = sqlx::query(FORGET_TOO_MANY)
                .bind(printer)
                .bind(i64::from(most) - 1)
                .execute(self.pools.write())
                .await?;
            forgotten += done.rows_affected();
        }
        Ok(forgotten)
    }
}

fn told(row: &Row) -> Result<Told, StoreError> {
    let text = |column: &str| row.try_get::<String, _>(column);
    let some = |text: String| (!text.is_empty()).then_some(text);
    let what = match row.try_get("source")? {
        "did" => Happening::Did {
            did: parse(row, TABLE, "kind", Did::parse)?,
            app: text("app")?,
            name: text("name")?,
            account: parse(row, TABLE, "account_id", |id| id.parse().ok())?,
            email: parse(row, TABLE, "email", |text| Email::parse(text).ok())?,
            times: number(row, "times")?,
            bytes: number(row, "bytes")?,
        },
        "event" => Happening::Event {
            kind: parse(row, TABLE, "kind", EventKind::parse)?,
            file: some(text("name")?),
            message: some(text("app")?),
            away_since: optional_time(row, "before_at")?,
        },
        _ => return Err(inconsistent(row, TABLE)),
    };
    Ok(Told {
        printer: parse(row, TABLE, "id", |id| id.parse().ok())?,
        printer_name: parse(row, TABLE, "printer", |name| PrinterName::parse(name).ok())?,
        at: time(row, "at")?,
        what,
    })
}
