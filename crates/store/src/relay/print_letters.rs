//! Who wants letters about a printer, and how far those have come.

use latchkey_model::id::{AccountId, PrinterId};
use latchkey_model::print_letter::Occasions;
use latchkey_model::printer::PrinterName;
use sqlx::Row as _;

use crate::dialect::{Connection, Row};
use crate::error::StoreError;
use crate::pool::Pools;
use crate::row::parse;

const TABLE: &str = "print_letters";

// Only who may use the printer. Who wanted none begins with what happens from now on.
const CHOOSE: &str = "
INSERT INTO print_letters (printer_id, account_id, occasions, done_number)
SELECT p.id, $2, $3, (SELECT coalesce(max(number), 0) FROM printer_events WHERE printer_id = p.id)
FROM printers p WHERE p.id = $1 AND (p.account_id = $2 OR EXISTS (
    SELECT 1 FROM printer_members m WHERE m.printer_id = p.id AND m.account_id = $2))
ON CONFLICT (printer_id, account_id) DO UPDATE SET occasions = excluded.occasions";

const DROP: &str = "DELETE FROM print_letters WHERE printer_id = $1 AND account_id = $2";

const FIND: &str = "
SELECT occasions FROM print_letters WHERE printer_id = $1 AND account_id = $2";

// Of a suspended owner's printer nobody is told.
const LIST_DUE: &str = "
SELECT l.printer_id AS id, l.account_id, l.occasions, l.done_number, p.name
FROM print_letters l
JOIN printers p ON p.id = l.printer_id
JOIN accounts a ON a.id = l.account_id
JOIN accounts o ON o.id = p.account_id
WHERE a.suspended_at IS NULL AND o.suspended_at IS NULL
AND a.email_verified_at IS NOT NULL AND (p.account_id = a.id OR EXISTS (
    SELECT 1 FROM printer_members m WHERE m.printer_id = p.id AND m.account_id = a.id))
AND EXISTS (SELECT 1 FROM printer_events e
    WHERE e.printer_id = p.id AND e.number > l.done_number)
ORDER BY l.printer_id, l.account_id LIMIT $1";

const PASS: &str = "
UPDATE print_letters SET done_number = $3
WHERE printer_id = $1 AND account_id = $2 AND done_number < $3";

/// Somebody who wants letters about a printer, and before whom there are events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingReader {
    /// About which printer.
    pub printer: PrinterId,
    /// What it is called.
    pub name: PrinterName,
    /// Who.
    pub account: AccountId,
    /// About what.
    pub occasions: Occasions,
    /// The number of the last event that needs nothing more.
    pub done: i64,
}

/// Who wants letters about the printers of a relay.
#[derive(Debug, Clone, Copy)]
pub struct PrintLetters<'a> {
    pools: &'a Pools,
}

impl<'a> PrintLetters<'a> {
    pub(super) const fn new(pools: &'a Pools) -> Self {
        Self { pools }
    }

    /// Takes what somebody wants letters about. False if the printer is none of theirs.
    pub async fn choose(
        &self,
        printer: &PrinterId,
        account: &AccountId,
        occasions: Occasions,
    ) -> Result<bool, StoreError> {
        let query = if occasions.is_empty() { DROP } else { CHOOSE };
        let query = sqlx::query(query)
            .bind(printer.as_str())
            .bind(account.as_str());
        let query = if occasions.is_empty() {
            query
        } else {
            query.bind(occasions.bits())
        };
        let done = query.execute(self.pools.write()).await?;
        Ok(occasions.is_empty() || done.rows_affected() > 0)
    }

    /// What somebody wants letters about.
    pub async fn find(
        &self,
        printer: &PrinterId,
        account: &AccountId,
    ) -> Result<Occasions, StoreError> {
        let row = sqlx::query(FIND)
            .bind(printer.as_str())
            .bind(account.as_str())
            .fetch_optional(self.pools.read())
            .await?;
        let bits: Option<i64> = row.map(|row| row.try_get("occasions")).transpose()?;
        Ok(bits.map_or(Occasions::NONE, Occasions::from_bits))
    }

    /// Who wants letters, at an address that is known to be theirs, may use the printer, and has
    /// events before them.
    pub async fn list_due(&self, most: u32) -> Result<Vec<WaitingReader>, StoreError> {
        let rows = sqlx::query(LIST_DUE)
            .bind(i64::from(most))
            .fetch_all(self.pools.read())
            .await?;
        rows.iter().map(waiting).collect()
    }

    /// Notes that events up to this number need nothing more.
    pub async fn pass(&self, reader: &WaitingReader, number: i64) -> Result<(), StoreError> {
        sqlx::query(PASS)
            .bind(reader.printer.as_str())
            .bind(reader.account.as_str())
            .bind(number)
            .execute(self.pools.write())
            .await?;
        Ok(())
    }
}

/// Forgets what a member wanted whose use of a printer ends in this transaction.
pub(super) async fn end_of_membership(
    work: &mut Connection,
    printer: &PrinterId,
    account: &AccountId,
) -> Result<(), StoreError> {
    sqlx::query(DROP)
        .bind(printer.as_str())
        .bind(account.as_str())
        .execute(work)
        .await?;
    Ok(())
}

fn waiting(row: &Row) -> Result<WaitingReader, StoreError> {
    Ok(WaitingReader {
        printer: parse(row, TABLE, "id", |text| text.parse().ok())?,
        name: parse(row, TABLE, "name", |text| PrinterName::parse(text).ok())?,
        account: parse(row, TABLE, "account_id", |text| text.parse().ok())?,
        occasions: Occasions::from_bits(row.try_get("occasions")?),
        done: row.try_get("done_number")?,
    })
}
