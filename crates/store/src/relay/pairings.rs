//! Hosts that wait to be attached to an account.

use latchkey_model::clock::Timestamp;
use latchkey_model::id::{AccountId, PrinterId};
use latchkey_model::pairing::{Pairing, PairingOutcome};
use latchkey_model::printer::{HostKey, Printer};
use latchkey_model::secret::{PairingCodeHash, PairingPollHash};
use sqlx::Row as _;

use crate::dialect::{Connection, Row};
use crate::error::StoreError;
use crate::pool::Pools;
use crate::row::{bytes, inconsistent, number, parse, time};

const TABLE: &str = "pairings";

const PRUNE: &str = "DELETE FROM pairings WHERE expires_at <= $1";

const DROP_OF_HOST: &str = "DELETE FROM pairings WHERE host_id = $1";

const COUNT: &str = "SELECT count(*) AS waiting FROM pairings";

const INSERT: &str = "
INSERT INTO pairings
    (code_hash, poll_hash, host_id, host_key, host_name, network, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";

const FIND_BY_CODE: &str = "
SELECT host_id AS id, host_key, host_name, network, created_at, expires_at, outcome, account_id,
       printer_id
FROM pairings WHERE code_hash = $1 AND expires_at > $2";

const FIND_BY_POLL: &str = "
SELECT host_id AS id, host_key, host_name, network, created_at, expires_at, outcome, account_id,
       printer_id
FROM pairings WHERE poll_hash = $1 AND expires_at > $2";

const REFUSE: &str = "
UPDATE pairings SET outcome = 'refused', account_id = $3
WHERE code_hash = $1 AND expires_at > $2 AND outcome IS NULL";

const CONFIRM: &str = "
UPDATE pairings SET outcome = 'confirmed', account_id = $3, printer_id = $4
WHERE code_hash = $1 AND expires_at > $2 AND outcome IS NULL";

const PRINTER_OF_HOST: &str = "SELECT id, account_id FROM printers WHERE host_id = $1";

const MAKE_PRINTER: &str = "
INSERT INTO printers (id, account_id, name, host_id, host_key, created_at)
VALUES ($1, $2, $3, $4, $5, $6)";

const COUNT_PRINTERS: &str = "SELECT count(*) AS own FROM printers WHERE account_id = $1";

const RENAME_PRINTER: &str = "UPDATE printers SET name = $2 WHERE id = $1";

/// What became of a confirmation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmation {
    /// The host is this new printer of the account.
    Made(PrinterId),
    /// The host was this printer of the account before, and is again, with its app connections.
    Again(PrinterId),
    /// The host is somebody else's printer, and stays it.
    Taken,
    /// The account has as many printers as it may have; the code stays good.
    Full,
    /// The code is not, or no longer, good.
    Gone,
}

/// The pairings of a relay.
#[derive(Debug, Clone, Copy)]
pub struct Pairings<'a> {
    pools: &'a Pools,
}

impl<'a> Pairings<'a> {
    pub(super) const fn new(pools: &'a Pools) -> Self {
        Self { pools }
    }

    /// Lets a host wait, in place of what it waited for before. False if `most` wait already.
    pub async fn start(
        &self,
        code: &PairingCodeHash,
        poll: &PairingPollHash,
        pairing: &Pairing,
        most: u32,
    ) -> Result<bool, StoreError> {
        let host = pairing.host.id();
        let mut work = self.pools.begin().await?;
        sqlx::query(PRUNE)
            .bind(pairing.created.millis())
            .execute(&mut *work)
            .await?;
        sqlx::query(DROP_OF_HOST)
            .bind(host.as_str())
            .execute(&mut *work)
            .await?;
        let counted = sqlx::query(COUNT).fetch_one(&mut *work).await?;
        if counted.try_get::<i64, _>("waiting")? >= i64::from(most) {
            return Ok(false);
        }
        sqlx::query(INSERT)
            .bind(code.as_bytes().as_slice())
            .bind(poll.as_bytes().as_slice())
            .bind(host.as_str())
            .bind(pairing.host.as_bytes().as_slice())
            .bind(pairing.host_name.as_str())
            .bind(pairing.network.as_str())
            .bind(pairing.created.millis())
            .bind(pairing.expires.millis())
            .execute(&mut *work)
            .await?;
        work.commit().await?;
        Ok(true)
    }

    /// The pairing with this code, decided or not, while it is good.
    pub async fn find_by_code(
        &self,
        code: &PairingCodeHash,
        now: Timestamp,
    ) -> Result<Option<Pairing>, StoreError> {
        let row = sqlx::query(FIND_BY_CODE)
            .bind(code.as_bytes().as_slice())
            .bind(now.millis())
            .fetch_optional(self.pools.read())
            .await?;
        row.as_ref().map(pairing).transpose()
    }

    /// The pairing that a host asks about, decided or not, while it is good.
    pub async fn find_by_poll(
        &self,
        poll: &PairingPollHash,
        now: Timestamp,
    ) -> Result<Option<Pairing>, StoreError> {
        let row = sqlx::query(FIND_BY_POLL)
            .bind(poll.as_bytes().as_slice())
            .bind(now.millis())
            .fetch_optional(self.pools.read())
            .await?;
        row.as_ref().map(pairing).transpose()
    }

    /// Notes that a host is not this account's. False if the code is not, or no longer, good.
    pub async fn refuse(
        &self,
        code: &PairingCodeHash,
        account: &AccountId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(REFUSE)
            .bind(code.as_bytes().as_slice())
            .bind(now.millis())
            .bind(account.as_str())
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Makes a waiting host a printer of `printer.account`, by `printer`'s id and name. One that
    /// is a printer of this account already stays the same printer and takes the name.
    ///
    /// Of several who confirm at once one succeeds.
    pub async fn confirm(
        &self,
        code: &PairingCodeHash,
        printer: &Printer,
        now: Timestamp,
    ) -> Result<Confirmation, StoreError> {
        self.confirm_within(code, printer, None, now).await
    }

    /// The same, for an account that may have `most` printers of its own.
    pub async fn confirm_within(
        &self,
        code: &PairingCodeHash,
        printer: &Printer,
        most: Option<u64>,
        now: Timestamp,
    ) -> Result<Confirmation, StoreError> {
        let mut work = self.pools.begin().await?;
        let row = sqlx::query(FIND_BY_CODE)
            .bind(code.as_bytes().as_slice())
            .bind(now.millis())
            .fetch_optional(&mut *work)
            .await?;
        let waiting = row.as_ref().map(pairing).transpose()?;
        let waiting = waiting.filter(|found| found.outcome == PairingOutcome::Waiting);
        let Some(waiting) = waiting else {
            return Ok(Confirmation::Gone);
        };
        let host = waiting.host.id();
        let row = sqlx::query(PRINTER_OF_HOST)
            .bind(host.as_str())
            .fetch_optional(&mut *work)
            .await?;
        let confirmed = match row {
            Some(row) if row.try_get::<&str, _>("account_id")? != printer.account.as_str() => {
                return Ok(Confirmation::Taken);
            }
            Some(row) => {
                let id = parse(&row, "printers", "id", |text| text.parse().ok())?;
                rename(&mut work, &id, printer).await?;
                Confirmation::Again(id)
            }
            None => {
                let own = sqlx::query(COUNT_PRINTERS)
                    .bind(printer.account.as_str())
                    .fetch_one(&mut *work)
                    .await?;
                let own = number(&own, "own")?;
                if most.is_some_and(|most| own >= most) {
                    return Ok(Confirmation::Full);
                }
                make(&mut work, &waiting, printer).await?;
                Confirmation::Made(printer.id.clone())
            }
        };
        if let Confirmation::Made(id) | Confirmation::Again(id) = &confirmed {
            sqlx::query(CONFIRM)
                .bind(code.as_bytes().as_slice())
                .bind(now.millis())
                .bind(printer.account.as_str())
                .bind(id.as_str())
                .execute(&mut *work)
                .await?;
        }
        work.commit().await?;
        Ok(confirmed)
    }

    /// Forgets pairings that are no longer good.
    pub async fn prune(&self, now: Timestamp) -> Result<u64, StoreError> {
        let done = sqlx::query(PRUNE)
            .bind(now.millis())
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected())
    }
}

async fn rename(
    work: &mut Connection,
    id: &PrinterId,
    printer: &Printer,
) -> Result<(), StoreError> {
    sqlx::query(RENAME_PRINTER)
        .bind(id.as_str())
        .bind(printer.name.as_str())
        .execute(work)
        .await?;
    Ok(())
}

async fn make(
    work: &mut Connection,
    waiting: &Pairing,
    printer: &Printer,
) -> Result<(), StoreError> {
    sqlx::query(MAKE_PRINTER)
        .bind(printer.id.as_str())
        .bind(printer.account.as_str())
        .bind(printer.name.as_str())
        .bind(waiting.host.id().as_str())
        .bind(waiting.host.as_bytes().as_slice())
        .bind(printer.created.millis())
        .execute(work)
        .await?;
    Ok(())
}

fn pairing(row: &Row) -> Result<Pairing, StoreError> {
    let unreadable = || inconsistent(row, TABLE);
    let optional = |column: &'static str| row.try_get::<Option<String>, _>(column);
    let outcome = match optional("outcome")?.as_deref() {
        None => PairingOutcome::Waiting,
        Some("refused") => PairingOutcome::Refused,
        Some("confirmed") => PairingOutcome::Confirmed {
            account: parse(row, TABLE, "account_id", |text| text.parse().ok())?,
            printer: parse(row, TABLE, "printer_id", |text| text.parse().ok())?,
        },
        Some(_) => return Err(unreadable()),
    };
    Ok(Pairing {
        host: HostKey::from_bytes(bytes(row, TABLE, "host_key")?),
        host_name: row.try_get("host_name")?,
        network: row.try_get("network")?,
        created: time(row, "created_at")?,
        expires: time(row, "expires_at")?,
        outcome,
    })
}
