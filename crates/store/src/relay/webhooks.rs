//! Webhooks: where apps want to be told, and how far that has come.
//!
//! A webhook goes with its app connection, in the same transaction. What one of these functions
//! notes is about the webhook as it was set then: if it was set anew meanwhile, nothing is noted.

use latchkey_model::app::AppName;
use latchkey_model::clock::Timestamp;
use latchkey_model::id::{AccountId, AppConnectionId, PrinterId};
use latchkey_model::webhook::EventFilter;
use sqlx::Row as _;

use crate::dialect::Row;
use crate::error::StoreError;
use crate::pool::Pools;
use crate::row::{number, optional_time, parse, time};

const TABLE: &str = "webhooks";

// Only of a live app connection. It begins with what happens from now on. Set again, it goes on
// where it was, unless it was off or over.
const SET: &str = "
INSERT INTO webhooks (app_connection_id, printer_id, generation, url, secret, kinds, set_at,
    done_number, tries, due_at, failures, skipped)
SELECT c.id, c.printer_id, 1, $2, $3, $4, $5, (SELECT coalesce(max(number), 0)
    FROM printer_events WHERE printer_id = c.printer_id), 0, 0, 0, 0
FROM app_connections c WHERE c.id = $1 AND c.ended_at IS NULL
ON CONFLICT (app_connection_id) DO UPDATE SET generation = webhooks.generation + 1,
    url = excluded.url, secret = excluded.secret, kinds = excluded.kinds,
    set_at = excluded.set_at, tries = 0, due_at = 0, failures = 0, disabled_at = NULL,
    done_number = CASE WHEN webhooks.disabled_at IS NULL AND webhooks.set_at > $6
        THEN webhooks.done_number ELSE excluded.done_number END";

macro_rules! webhooks_where {
    ($condition:literal) => {
        concat!(
            "SELECT w.app_connection_id AS id, w.printer_id, c.account_id, c.app_name, ",
            "w.generation, w.url, w.secret, w.kinds, w.set_at, w.done_number, w.tries, w.due_at, ",
            "w.failures, w.skipped, w.last_answer, w.last_answer_at, w.disabled_at ",
            "FROM webhooks w JOIN app_connections c ON c.id = w.app_connection_id ",
            "JOIN printers p ON p.id = w.printer_id WHERE c.ended_at IS NULL AND ",
            $condition
        )
    };
}

const FIND: &str = webhooks_where!("c.id = $1");

const LIST_SHOWN: &str = webhooks_where!(
    "p.id = $1 AND (p.account_id = $2 OR c.account_id = $2) ORDER BY c.created_at, c.id"
);

// By when they were last called, or else set: nobody comes before others for having been quick.
const LIST_DUE: &str = "
SELECT w.app_connection_id AS id, c.account_id FROM webhooks w
JOIN app_connections c ON c.id = w.app_connection_id
WHERE c.ended_at IS NULL AND w.disabled_at IS NULL AND w.set_at > $1 AND w.due_at <= $2
AND EXISTS (SELECT 1 FROM printer_events e
    WHERE e.printer_id = w.printer_id AND e.number > w.done_number)
ORDER BY coalesce(w.last_answer_at, w.set_at), w.app_connection_id LIMIT $3";

pub(super) const DELETE: &str = "DELETE FROM webhooks WHERE app_connection_id = $1";

const PASS: &str = "
UPDATE webhooks SET done_number = $3, skipped = skipped + $4, tries = 0, due_at = 0
WHERE app_connection_id = $1 AND generation = $2 AND done_number < $3";

const NOTE_TOLD: &str = "
UPDATE webhooks SET done_number = $3, skipped = skipped + $4, tries = 0, due_at = 0, failures = 0,
    last_answer = $5, last_answer_at = $6
WHERE app_connection_id = $1 AND generation = $2 AND done_number < $3";

const NOTE_FAILED: &str = "
UPDATE webhooks SET tries = tries + 1, due_at = $3, last_answer = $4, last_answer_at = $5
WHERE app_connection_id = $1 AND generation = $2";

const NOTE_GIVEN_UP: &str = "
UPDATE webhooks SET done_number = $3, skipped = skipped + $4, tries = 0, due_at = 0,
    failures = failures + 1, last_answer = $5, last_answer_at = $6,
    disabled_at = CASE WHEN failures + 1 >= $7 THEN $6 ELSE disabled_at END
WHERE app_connection_id = $1 AND generation = $2 AND done_number < $3
RETURNING disabled_at";

const PRUNE: &str = "
DELETE FROM webhooks WHERE set_at <= $1 OR EXISTS (SELECT 1 FROM app_connections c
    WHERE c.id = webhooks.app_connection_id AND c.ended_at IS NOT NULL)";

/// A webhook of a live app connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Whose it is.
    pub app_connection: AppConnectionId,
    /// Which printer it is told of.
    pub printer: PrinterId,
    /// Who allowed the app.
    pub account: AccountId,
    /// What the app is called.
    pub app_name: AppName,
    /// How often it was set.
    pub generation: i64,
    /// Its address, sealed.
    pub url: Vec<u8>,
    /// What its calls are known by, sealed.
    pub secret: Vec<u8>,
    /// Which events it is called for.
    pub filter: EventFilter,
    /// When it was last set.
    pub set: Timestamp,
    /// The number of the last event that needs nothing more.
    pub done: i64,
    /// How often the next one was tried.
    pub tries: u32,
    /// When it may be tried again.
    pub due: Timestamp,
    /// How many events in a row were given up.
    pub failures: u32,
    /// How many events were never told.
    pub skipped: u64,
    /// What the last call ended with, by a word of the caller's, and when.
    pub last_answer: Option<(String, Timestamp)>,
    /// When it was switched off, after too many failures.
    pub disabled: Option<Timestamp>,
}

/// A webhook in the making.
#[derive(Debug)]
pub struct NewWebhook<'a> {
    /// Its address, sealed.
    pub url: &'a [u8],
    /// What its calls are known by, sealed.
    pub secret: &'a [u8],
    /// Which events it is called for.
    pub filter: EventFilter,
    /// Now.
    pub at: Timestamp,
    /// What was set then or before is over.
    pub over: Timestamp,
}

/// A call that was made, or will not be made any more.
#[derive(Debug, Clone, Copy)]
pub struct ToldWebhook<'a> {
    /// The webhook as it was when the call was made.
    pub webhook: &'a Webhook,
    /// The event's number: all up to it need nothing more.
    pub number: i64,
    /// How many events were never told.
    pub skipped: u64,
    /// What it ended with, and when.
    pub answer: &'a str,
    /// When.
    pub at: Timestamp,
}

/// The webhooks of a relay.
#[derive(Debug, Clone, Copy)]
pub struct Webhooks<'a> {
    pools: &'a Pools,
}

impl<'a> Webhooks<'a> {
    pub(super) const fn new(pools: &'a Pools) -> Self {
        Self { pools }
    }

    /// Sets the one webhook of an app connection. False if that has ended.
    pub async fn set(
        &self,
        id: &AppConnectionId,
        new: &NewWebhook<'_>,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(SET)
            .bind(id.as_str())
            .bind(new.url)
            .bind(new.secret)
            .bind(new.filter.bits())
            .bind(new.at.millis())
            .bind(new.over.millis())
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// The webhook of a live app connection.
    pub async fn find(&self, id: &AppConnectionId) -> Result<Option<Webhook>, StoreError> {
        let row = sqlx::query(FIND)
            .bind(id.as_str())
            .fetch_optional(self.pools.read())
            .await?;
        row.as_ref().map(webhook).transpose()
    }

    /// The webhooks of a printer that an account may see: the owner all, a member their own.
    pub async fn list_shown(
        &self,
        printer: &PrinterId,
        account: &AccountId,
    ) -> Result<Vec<Webhook>, StoreError> {
        let rows = sqlx::query(LIST_SHOWN)
            .bind(printer.as_str())
            .bind(account.as_str())
            .fetch_all(self.pools.read())
            .await?;
        rows.iter().map(webhook).collect()
    }

    /// Which webhooks may be called now and have events before them, with whose they are;
    /// first those whose last call is the longest ago. Those set at `over` or before are over.
    pub async fn list_due(
        &self,
        over: Timestamp,
        now: Timestamp,
        most: u32,
    ) -> Result<Vec<(AppConnectionId, AccountId)>, StoreError> {
        let rows = sqlx::query(LIST_DUE)
            .bind(over.millis())
            .bind(now.millis())
            .bind(i64::from(most))
            .fetch_all(self.pools.read())
            .await?;
        let ids = rows.iter().map(|row| {
            Ok((
                parse(row, TABLE, "id", |text| text.parse().ok())?,
                parse(row, TABLE, "account_id", |text| text.parse().ok())?,
            ))
        });
        ids.collect()
    }

    /// Deletes the webhook of an app connection. False if there was none.
    pub async fn delete(&self, id: &AppConnectionId) -> Result<bool, StoreError> {
        let done = sqlx::query(DELETE)
            .bind(id.as_str())
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Notes that events up to this number need nothing more, `skipped` of them untold.
    pub async fn pass(
        &self,
        webhook: &Webhook,
        number: i64,
        skipped: u64,
    ) -> Result<(), StoreError> {
        sqlx::query(PASS)
            .bind(webhook.app_connection.as_str())
            .bind(webhook.generation)
            .bind(number)
            .bind(crate::row::count(skipped))
            .execute(self.pools.write())
            .await?;
        Ok(())
    }

    /// Notes that an event was told.
    pub async fn note_told(&self, told: &ToldWebhook<'_>) -> Result<(), StoreError> {
        sqlx::query(NOTE_TOLD)
            .bind(told.webhook.app_connection.as_str())
            .bind(told.webhook.generation)
            .bind(told.number)
            .bind(crate::row::count(told.skipped))
            .bind(told.answer)
            .bind(told.at.millis())
            .execute(self.pools.write())
            .await?;
        Ok(())
    }

    /// Notes that a call failed, and when the next may be made.
    pub async fn note_failed(
        &self,
        webhook: &Webhook,
        due: Timestamp,
        answer: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query(NOTE_FAILED)
            .bind(webhook.app_connection.as_str())
            .bind(webhook.generation)
            .bind(due.millis())
            .bind(answer)
            .bind(at.millis())
            .execute(self.pools.write())
            .await?;
        Ok(())
    }

    /// Notes that an event was given up; after so many in a row the webhook is off. Says whether
    /// it is now.
    pub async fn note_given_up(
        &self,
        told: &ToldWebhook<'_>,
        most: u32,
    ) -> Result<bool, StoreError> {
        let row = sqlx::query(NOTE_GIVEN_UP)
            .bind(told.webhook.app_connection.as_str())
            .bind(told.webhook.generation)
            .bind(told.number)
            .bind(crate::row::count(told.skipped))
            .bind(told.answer)
            .bind(told.at.millis())
            .bind(i64::from(most))
            .fetch_optional(self.pools.write())
            .await?;
        let Some(row) = row else {
            return Ok(false);
        };
        Ok(optional_time(&row, "disabled_at")?.is_some())
    }

    /// Forgets what was set at `over` or before.
    pub async fn prune(&self, over: Timestamp) -> Result<u64, StoreError> {
        let done = sqlx::query(PRUNE)
            .bind(over.millis())
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected())
    }
}

fn webhook(row: &Row) -> Result<Webhook, StoreError> {
    let small = |column: &str| -> Result<u32, StoreError> {
        Ok(u32::try_from(number(row, column)?).unwrap_or(u32::MAX))
    };
    let answer: Option<String> = row.try_get("last_answer")?;
    Ok(Webhook {
        app_connection: parse(row, TABLE, "id", |text| text.parse().ok())?,
        printer: parse(row, TABLE, "printer_id", |text| text.parse().ok())?,
        account: parse(row, TABLE, "account_id", |text| text.parse().ok())?,
        app_name: parse(row, TABLE, "app_name", |text| AppName::parse(text).ok())?,
        generation: row.try_get("generation")?,
        url: row.try_get("url")?,
        secret: row.try_get("secret")?,
        filter: EventFilter::from_bits(row.try_get("kinds")?),
        set: time(row, "set_at")?,
        done: row.try_get("done_number")?,
        tries: small("tries")?,
        due: time(row, "due_at")?,
        failures: small("failures")?,
        skipped: number(row, "skipped")?,
        last_answer: answer.zip(optional_time(row, "last_answer_at")?),
        disabled: optional_time(row, "disabled_at")?,
    })
}
