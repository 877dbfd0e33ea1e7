//! What happened to printers, as much as is kept of it.

use latchkey_model::clock::Timestamp;
use latchkey_model::id::{PrintId, PrinterId};
use latchkey_model::printing::{EventKind, PrinterEvent, Progress};
use sqlx::Row as _;

use crate::dialect::{Connection, Row};
use crate::error::StoreError;
use crate::pool::Pools;
use crate::row::{inconsistent, parse, time};

const TABLE: &str = "printer_events";

const ADD: &str = "
INSERT INTO printer_events (printer_id, number, at, kind, print_id, file, message, percent,
    printed_seconds, left_seconds, z_micrometers, layer, layers)
SELECT p.id, (SELECT coalesce(max(number), 0) + 1 FROM printer_events WHERE printer_id = p.id),
    $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12
FROM printers p WHERE p.id = $1
RETURNING number";

macro_rules! events_where {
    ($condition:literal) => {
        concat!(
            "SELECT printer_id AS id, number, at, kind, print_id, file, message, percent, ",
            "printed_seconds, left_seconds, z_micrometers, layer, layers ",
            "FROM printer_events WHERE printer_id = $1 ",
            $condition
        )
    };
}

const LIST: &str = events_where!("AND number < $2 ORDER BY number DESC LIMIT $3");

const LIST_AFTER: &str = events_where!("AND number > $2 ORDER BY number LIMIT $3");

const NEWEST: &str = "SELECT coalesce(max(number), 0) FROM printer_events WHERE printer_id = $1";

// The newest one stays, for its number.
const FORGET: &str = "
DELETE FROM printer_events WHERE number < (SELECT max(n.number) FROM printer_events n
    WHERE n.printer_id = printer_events.printer_id)
AND (at < $1 OR number <= (SELECT max(n.number) FROM printer_events n
    WHERE n.printer_id = printer_events.printer_id) - $2)";

const HEARD: &str = "SELECT number FROM event_cursors WHERE printer_id = $1 AND run = $2";

// Changes nothing for what was heard before.
const HEAR: &str = "
INSERT INTO event_cursors (printer_id, run, number)
SELECT p.id, $2, $3 FROM printers p WHERE p.id = $1
ON CONFLICT (printer_id) DO UPDATE SET run = excluded.run, number = excluded.number
WHERE event_cursors.run <> excluded.run OR event_cursors.number < excluded.number";

const LAST_OF_TWO: &str = "
SELECT kind FROM printer_events WHERE printer_id = $1 AND kind IN ($2, $3)
ORDER BY number DESC LIMIT 1";

/// An event, with its number at its printer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberedEvent {
    /// Counts the printer's events; later ones have higher numbers.
    pub number: i64,
    /// What happened.
    pub event: PrinterEvent,
}

/// What happened to printers.
#[derive(Debug, Clone, Copy)]
pub struct Events<'a> {
    pools: &'a Pools,
}

impl<'a> Events<'a> {
    pub(super) const fn new(pools: &'a Pools) -> Self {
        Self { pools }
    }

    /// Keeps an event. Its number; nothing if there is no such printer.
    pub async fn add(
        &self,
        printer: &PrinterId,
        event: &PrinterEvent,
    ) -> Result<Option<i64>, StoreError> {
        let mut work = self.pools.begin().await?;
        let number = add(&mut work, printer, event).await?;
        work.commit().await?;
        Ok(number)
    }

    /// Keeps an event that a host reported as number `reported` of this run. Its number at the
    /// printer; nothing if it was kept before, or if there is no such printer.
    pub async fn add_reported(
        &self,
        printer: &PrinterId,
        run: &[u8; 16],
        reported: u64,
        event: &PrinterEvent,
    ) -> Result<Option<i64>, StoreError> {
        let mut work = self.pools.begin().await?;
        let heard = sqlx::query(HEAR)
            .bind(printer.as_str())
            .bind(run.as_slice())
            .bind(i64::try_from(reported).unwrap_or(i64::MAX))
            .execute(&mut *work)
            .await?;
        if heard.rows_affected() == 0 {
            return Ok(None);
        }
        let number = add(&mut work, printer, event).await?;
        work.commit().await?;
        Ok(number)
    }

    /// The number of the last event of this run of its host that was kept; 0 if none was.
    pub async fn heard(&self, printer: &PrinterId, run: &[u8; 16]) -> Result<u64, StoreError> {
        let row = sqlx::query(HEARD)
            .bind(printer.as_str())
            .bind(run.as_slice())
            .fetch_optional(self.pools.read())
            .await?;
        let number: Option<i64> = row.map(|row| row.try_get(0)).transpose()?;
        Ok(number.map_or(0, |number| u64::try_from(number).unwrap_or(0)))
    }

    /// Which of the two happened last, as far as it is remembered.
    pub async fn last_of(
        &self,
        printer: &PrinterId,
        kinds: [EventKind; 2],
    ) -> Result<Option<EventKind>, StoreError> {
        let row = sqlx::query(LAST_OF_TWO)
            .bind(printer.as_str())
            .bind(kinds[0].as_str())
            .bind(kinds[1].as_str())
            .fetch_optional(self.pools.read())
            .await?;
        let kind: Option<String> = row.map(|row| row.try_get(0)).transpose()?;
        Ok(kind.as_deref().and_then(EventKind::parse))
    }

    /// A printer's events before `before`, the newest first.
    pub async fn list(
        &self,
        printer: &PrinterId,
        before: i64,
        most: u32,
    ) -> Result<Vec<NumberedEvent>, StoreError> {
        self.read(LIST, printer, before, most).await
    }

    /// A printer's events after `after`, the oldest first.
    pub async fn list_after(
        &self,
        printer: &PrinterId,
        after: i64,
        most: u32,
    ) -> Result<Vec<NumberedEvent>, StoreError> {
        self.read(LIST_AFTER, printer, after, most).await
    }

    async fn read(
        &self,
        query: &'static str,
        printer: &PrinterId,
        number: i64,
        most: u32,
    ) -> Result<Vec<NumberedEvent>, StoreError> {
        let rows = sqlx::query(query)
            .bind(printer.as_str())
            .bind(number)
            .bind(i64::from(most))
            .fetch_all(self.pools.read())
            .await?;
        rows.iter().map(event).collect()
    }

    /// The number of a printer's newest event; 0 if it has none.
    pub async fn newest(&self, printer: &PrinterId) -> Result<i64, StoreError> {
        let row = sqlx::query(NEWEST)
            .bind(printer.as_str())
            .fetch_one(self.pools.read())
            .await?;
        Ok(row.try_get(0)?)
    }

    /// Forgets what happened before `before`, and all but the newest `most` of each printer. Each
    /// printer's newest event stays.
    pub async fn forget(&self, before: Timestamp, most: u32) -> Result<u64, StoreError> {
        let done = sqlx::query(FORGET)
            .bind(before.millis())
            .bind(i64::from(most))
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected())
    }
}

async fn add(
    connection: &mut Connection,
    printer: &PrinterId,
    event: &PrinterEvent,
) -> Result<Option<i64>, StoreError> {
    let progress = &event.progress;
    let signed = |value: Option<u64>| value.map(|value| i64::try_from(value).unwrap_or(i64::MAX));
    let row = sqlx::query(ADD)
        .bind(printer.as_str())
        .bind(event.at.millis())
        .bind(event.kind.as_str())
        .bind(event.print.as_ref().map(PrintId::as_str))
        .bind(event.file.as_deref())
        .bind(event.message.as_deref())
        .bind(progress.percent.map(i64::from))
        .bind(signed(progress.printed_seconds))
        .bind(signed(progress.left_seconds))
        .bind(signed(progress.z_micrometers))
        .bind(progress.layer.map(i64::from))
        .bind(progress.layers.map(i64::from))
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|row| row.try_get("number")).transpose()?)
}

fn event(row: &Row) -> Result<NumberedEvent, StoreError> {
    let print: Option<&str> = row.try_get("print_id")?;
    let print = print.map(|id| id.parse().map_err(|_| inconsistent(row, TABLE)));
    let progress = Progress {
        percent: small(row, "percent")?,
        printed_seconds: small(row, "printed_seconds")?,
        left_seconds: small(row, "left_seconds")?,
        z_micrometers: small(row, "z_micrometers")?,
        layer: small(row, "layer")?,
        layers: small(row, "layers")?,
    };
    Ok(NumberedEvent {
        number: row.try_get("number")?,
        event: PrinterEvent {
            at: time(row, "at")?,
            kind: parse(row, TABLE, "kind", EventKind::parse)?,
            print: print.transpose()?,
            file: row.try_get("file")?,
            progress,
            message: row.try_get("message")?,
        },
    })
}

fn small<T: TryFrom<i64>>(row: &Row, column: &str) -> Result<Option<T>, StoreError> {
    let value: Option<i64> = row.try_get(column)?;
    let value = value.map(|value| T::try_from(value).map_err(|_| inconsistent(row, TABLE)));
    value.transpose()
}
