//! How much data moved for printers, by day.

use latchkey_model::id::PrinterId;
use sqlx::Row as _;

use crate::error::StoreError;
use crate::pool::Pools;
use crate::row::{count, number};

// Of a printer that is gone nothing is kept.
const ADD: &str = "
INSERT INTO printer_traffic (printer_id, day, sent, camera, received)
SELECT p.id, $2, $3, $4, $5 FROM printers p WHERE p.id = $1
ON CONFLICT (printer_id, day) DO UPDATE SET
    sent = printer_traffic.sent + excluded.sent,
    camera = printer_traffic.camera + excluded.camera,
    received = printer_traffic.received + excluded.received";

const LIST: &str = "
SELECT day, sent, camera, received FROM printer_traffic
WHERE printer_id = $1 AND day >= $2 ORDER BY day";

const FORGET: &str = "DELETE FROM printer_traffic WHERE day < $1";

/// Bytes that moved for a printer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moved {
    /// From the printer.
    pub sent: u64,
    /// How many of those were of its camera.
    pub camera: u64,
    /// Towards it.
    pub received: u64,
}

impl Moved {
    /// Adds what moved besides.
    pub fn add(&mut self, more: &Self) {
        self.sent = self.sent.saturating_add(more.sent);
        self.camera = self.camera.saturating_add(more.camera);
        self.received = self.received.saturating_add(more.received);
    }
}

/// What moved for one printer on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrafficOfDay {
    /// For which printer.
    pub printer: PrinterId,
    /// The day in UTC, counted from 1970.
    pub day: i64,
    /// How much.
    pub moved: Moved,
}

/// How much data moved for the printers of a relay.
#[derive(Debug, Clone, Copy)]
pub struct Traffic<'a> {
    pools: &'a Pools,
}

impl<'a> Traffic<'a> {
    pub(super) const fn new(pools: &'a Pools) -> Self {
        Self { pools }
    }

    /// Adds a batch, as a whole or not at all. Printers that are gone are passed over.
    pub async fn add(&self, batch: &[TrafficOfDay]) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let mut work = self.pools.begin().await?;
        for part in batch {
            sqlx::query(ADD)
                .bind(part.printer.as_str())
                .bind(part.day)
                .bind(count(part.moved.sent))
                .bind(count(part.moved.camera))
                .bind(count(part.moved.received))
                .execute(&mut *work)
                .await?;
        }
        work.commit().await?;
        Ok(())
    }

    /// What moved for a printer from a day on, by day. Days without anything are missing.
    pub async fn list(
        &self,
        printer: &PrinterId,
        from: i64,
    ) -> Result<Vec<(i64, Moved)>, StoreError> {
        let rows = sqlx::query(LIST)
            .bind(printer.as_str())
            .bind(from)
            .fetch_all(self.pools.read())
            .await?;
        let day = |row| {
            let moved = Moved {
                sent: number(row, "sent")?,
                camera: number(row, "camera")?,
                received: number(row, "received")?,
            };
            Ok((row.try_get("day")?, moved))
        };
        rows.iter().map(day).collect()
    }

    /// Forgets the days before one.
    pub async fn forget(&self, before: i64) -> Result<u64, StoreError> {
        let done = sqlx::query(FORGET)
            .bind(before)
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected())
    }
}
