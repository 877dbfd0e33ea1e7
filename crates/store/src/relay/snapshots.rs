//! Pictures that go with what was told of a print, and the links by which they are seen.

use latchkey_model::clock::Timestamp;
use latchkey_model::id::{AccountId, AppConnectionId, PrinterId};
use latchkey_model::secret::SnapshotHash;
use sqlx::Row as _;

use crate::error::StoreError;
use crate::pool::Pools;

// Nothing for a printer that is gone. The first one of an event stays.
const KEEP: &str = "
INSERT INTO snapshots (printer_id, event_number, taken_at, size, picture)
SELECT p.id, $2, $3, $4, $5 FROM printers p WHERE p.id = $1
ON CONFLICT (printer_id, event_number) DO NOTHING";

// So many of the newest as fit.
const BOUND: &str = "
DELETE FROM snapshots WHERE printer_id = $1 AND event_number IN (
    SELECT s.event_number FROM snapshots s WHERE s.printer_id = $1 AND (
        (SELECT count(*) FROM snapshots n WHERE n.printer_id = $1
            AND n.event_number >= s.event_number) > $2
        OR (SELECT sum(n.size) FROM snapshots n WHERE n.printer_id = $1
            AND n.event_number >= s.event_number) > $3))";

const HAS: &str = "SELECT 1 FROM snapshots WHERE printer_id = $1 AND event_number = $2";

const LINK: &str = "
INSERT INTO snapshot_links (hash, printer_id, event_number, app_connection_id, account_id)
SELECT $1, s.printer_id, s.event_number, $4, $5 FROM snapshots s
WHERE s.printer_id = $2 AND s.event_number = $3
ON CONFLICT (hash) DO NOTHING";

// For as long as whom it was given to may see the printer: of a suspended owner's nobody does.
const FIND: &str = "
SELECT s.printer_id AS id, s.event_number, s.picture FROM snapshot_links l
JOIN snapshots s ON s.printer_id = l.printer_id AND s.event_number = l.event_number
JOIN printers p ON p.id = s.printer_id
JOIN accounts o ON o.id = p.account_id
LEFT JOIN app_connections c ON c.id = l.app_connection_id AND c.ended_at IS NULL
JOIN accounts a ON a.id = coalesce(c.account_id, l.account_id)
WHERE l.hash = $1 AND s.taken_at > $2 AND a.suspended_at IS NULL AND o.suspended_at IS NULL AND (
    c.id IS NOT NULL OR l.account_id = p.account_id
    OR EXISTS (SELECT 1 FROM printer_members m
        WHERE m.printer_id = p.id AND m.account_id = l.account_id))";

pub(super) const DELETE_LINKS: &str = "DELETE FROM snapshot_links WHERE app_connection_id = $1";

const PRUNE: &str = "
DELETE FROM snapshots WHERE taken_at <= $1 OR NOT EXISTS (SELECT 1 FROM snapshot_links l
    WHERE l.printer_id = snapshots.printer_id AND l.event_number = snapshots.event_number)
AND taken_at <= $2";

/// To whom a link is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receiver {
    /// To an app.
    App(AppConnectionId),
    /// To a person.
    Person(AccountId),
}

/// A picture in the making.
#[derive(Debug)]
pub struct NewSnapshot<'a> {
    /// Of which printer.
    pub printer: &'a PrinterId,
    /// With which event it goes.
    pub event: i64,
    /// When it was taken.
    pub at: Timestamp,
    /// The picture, sealed.
    pub sealed: &'a [u8],
}

/// A picture that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Of which printer.
    pub printer: PrinterId,
    /// With which event it goes.
    pub event: i64,
    /// The picture, sealed.
    pub sealed: Vec<u8>,
}

/// How many pictures of one printer are kept.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Of the newest.
    pub pictures: u32,
    /// Together.
    pub bytes: u64,
}

/// The pictures of a relay.
#[derive(Debug, Clone, Copy)]
pub struct Snapshots<'a> {
    pools: &'a Pools,
}

impl<'a> Snapshots<'a> {
    pub(super) const fn new(pools: &'a Pools) -> Self {
        Self { pools }
    }

    /// Keeps a picture; older ones of the printer for which there is no room go. Nothing is kept
    /// of a printer that is gone.
    pub async fn keep(&self, new: &NewSnapshot<'_>, room: Room) -> Result<(), StoreError> {
        let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let size = u64::try_from(new.sealed.len()).unwrap_or(u64::MAX);
        let mut work = self.pools.begin().await?;
        sqlx::query(KEEP)
            .bind(new.printer.as_str())
            .bind(new.event)
            .bind(new.at.millis())
            .bind(signed(size))
            .bind(new.sealed)
            .execute(&mut *work)
            .await?;
        sqlx::query(BOUND)
            .bind(new.printer.as_str())
            .bind(i64::from(room.pictures))
            .bind(signed(room.bytes))
            .execute(&mut *work)
            .await?;
        work.commit().await?;
        Ok(())
    }

    /// Whether there is a picture of this event.
    pub async fn has(&self, printer: &PrinterId, event: i64) -> Result<bool, StoreError> {
        let row = sqlx::query(HAS)
            .bind(printer.as_str())
            .bind(event)
            .fetch_optional(self.pools.read())
            .await?;
        Ok(row.is_some())
    }

    /// Gives somebody a link to a picture; the same one again is the same link. Nothing comes of
    /// it if there is no such picture.
    pub async fn link(
        &self,
        hash: &SnapshotHash,
        printer: &PrinterId,
        event: i64,
        receiver: &Receiver,
    ) -> Result<(), StoreError> {
        let (app, person) = match receiver {
            Receiver::App(id) => (Some(id.as_str()), None),
            Receiver::Person(id) => (None, Some(id.as_str())),
        };
        sqlx::query(LINK)
            .bind(hash.as_bytes().as_slice())
            .bind(printer.as_str())
            .bind(event)
            .bind(app)
            .bind(person)
            .execute(self.pools.write())
            .await?;
        Ok(())
    }

    /// The picture of a link, for as long as whoever got it may see the printer. Those taken at
    /// `over` or before are over.
    pub async fn find(
        &self,
        hash: &SnapshotHash,
        over: Timestamp,
    ) -> Result<Option<Snapshot>, StoreError> {
        let row = sqlx::query(FIND)
            .bind(hash.as_bytes().as_slice())
            .bind(over.millis())
            .fetch_optional(self.pools.read())
            .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        Ok(Some(Snapshot {
            printer: crate::row::parse(&row, "snapshots", "id", |text| text.parse().ok())?,
            event: row.try_get("event_number")?,
            sealed: row.try_get("picture")?,
        }))
    }

    /// Forgets pictures taken at `over` or before, and those taken at `settled` or before to
    /// which no link leads any more.
    pub async fn prune(&self, over: Timestamp, settled: Timestamp) -> Result<u64, StoreError> {
        let done = sqlx::query(PRUNE)
            .bind(over.millis())
            .bind(settled.millis())
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected())
    }
}
