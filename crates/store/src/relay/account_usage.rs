//! What is counted against the plans of accounts, written in batches.

use std::time::Duration;

use latchkey_model::clock::Timestamp;
use latchkey_model::id::{AccountId, PrinterId};
use latchkey_model::limit::{Month, WebcamWindow};
use latchkey_model::plan::PlanName;
use sqlx::{QueryBuilder, Row as _};

use crate::dialect::{Engine, Row};
use crate::error::StoreError;
use crate::pool::Pools;
use crate::row::{count, number, parse, span, time};

/// In one statement. Databases have a bound on parameters, and a reader is busy meanwhile.
const AT_ONCE: usize = 500;

// Takes the account from the table: one that was deleted meanwhile is passed over.
const ADD_BYTES: &str = "
INSERT INTO account_months (account_id, month, bytes)
SELECT a.id, $2, $3 FROM accounts a WHERE a.id = $1
ON CONFLICT (account_id, month) DO UPDATE SET bytes = account_months.bytes + excluded.bytes";

const SET_WINDOW: &str = "
INSERT INTO webcam_windows (account_id, printer_id, began_at, used_ms)
SELECT a.id, p.id, $3, $4 FROM accounts a, printers p WHERE a.id = $1 AND p.id = $2
ON CONFLICT (account_id, printer_id) DO UPDATE
SET began_at = excluded.began_at, used_ms = excluded.used_ms";

const BYTES: &str = "
SELECT account_id AS id, bytes FROM account_months WHERE account_id = $1 AND month = $2";

const WINDOWS: &str = "
SELECT printer_id AS id, began_at, used_ms FROM webcam_windows WHERE account_id = $1";

const PLANS: &str = "SELECT id, plan FROM accounts WHERE id IN (";

const FORGET_MONTHS: &str = "DELETE FROM account_months WHERE month < $1";

const FORGET_WINDOWS: &str = "DELETE FROM webcam_windows WHERE began_at < $1";

/// Bytes of an account that are not yet kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonthlyBytes {
    /// Whose.
    pub account: AccountId,
    /// In which month they passed.
    pub month: Month,
    /// How many since the last batch.
    pub bytes: u64,
}

/// A window of a webcam, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedWebcam {
    /// Who watched.
    pub account: AccountId,
    /// Whose webcam.
    pub printer: PrinterId,
    /// When the window began, and how much of it was watched.
    pub window: WebcamWindow,
}

/// What is kept of an account's use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeptUsage {
    /// Bytes of the month that was asked for.
    pub bytes: u64,
    /// The last window of each webcam.
    pub webcams: Vec<(PrinterId, WebcamWindow)>,
}

/// What is counted against the plans of accounts.
#[derive(Debug, Clone, Copy)]
pub struct AccountUsage<'a> {
    pools: &'a Pools,
}

impl<'a> AccountUsage<'a> {
    pub(super) const fn new(pools: &'a Pools) -> Self {
        Self { pools }
    }

    /// What is kept of an account's use, in a month.
    pub async fn load(&self, account: &AccountId, month: Month) -> Result<KeptUsage, StoreError> {
        let row = sqlx::query(BYTES)
            .bind(account.as_str())
            .bind(month.number())
            .fetch_optional(self.pools.read())
            .await?;
        let bytes = row.map(|row| number(&row, "bytes")).transpose()?;
        let rows = sqlx::query(WINDOWS)
            .bind(account.as_str())
            .fetch_all(self.pools.read())
            .await?;
        Ok(KeptUsage {
            bytes: bytes.unwrap_or(0),
            webcams: rows.iter().map(window).collect::<Result<_, _>>()?,
        })
    }

    /// Keeps a batch, as a whole or not at all. What is of accounts and printers that are no more
    /// is passed over.
    pub async fn keep(
        &self,
        months: &[MonthlyBytes],
        webcams: &[WatchedWebcam],
    ) -> Result<(), StoreError> {
        if months.is_empty() && webcams.is_empty() {
            return Ok(());
        }
        let mut work = self.pools.begin().await?;
        for of_month in months {
            sqlx::query(ADD_BYTES)
                .bind(of_month.account.as_str())
                .bind(of_month.month.number())
                .bind(count(of_month.bytes))
                .execute(&mut *work)
                .await?;
        }
        for watched in webcams {
            sqlx::query(SET_WINDOW)
                .bind(watched.account.as_str())
                .bind(watched.printer.as_str())
                .bind(watched.window.began.millis())
                .bind(span(watched.window.used))
                .execute(&mut *work)
                .await?;
        }
        work.commit().await?;
        Ok(())
    }

    /// The plans that these accounts are on. Those that are no more are left out.
    pub async fn plans(
        &self,
        accounts: &[AccountId],
    ) -> Result<Vec<(AccountId, PlanName)>, StoreError> {
        let mut plans = Vec::with_capacity(accounts.len());
        for accounts in accounts.chunks(AT_ONCE) {
            let mut query = QueryBuilder::<Engine>::new(PLANS);
            let mut list = query.separated(", ");
            for account in accounts {
                list.push_bind(account.as_str());
            }
            query.push(")");
            let rows = query.build().fetch_all(self.pools.read()).await?;
            for row in &rows {
                let id = parse(row, "accounts", "id", |text| text.parse().ok())?;
                let plan = parse(row, "accounts", "plan", |text| text.parse().ok())?;
                plans.push((id, plan));
            }
        }
        Ok(plans)
    }

    /// Forgets months before `month`, and windows that began before `before`.
    pub async fn forget(&self, month: Month, before: Timestamp) -> Result<(), StoreError> {
        let mut work = self.pools.begin().await?;
        sqlx::query(FORGET_MONTHS)
            .bind(month.number())
            .execute(&mut *work)
            .await?;
        sqlx::query(FORGET_WINDOWS)
            .bind(before.millis())
            .execute(&mut *work)
            .await?;
        work.commit().await?;
        Ok(())
    }
}

fn window(row: &Row) -> Result<(PrinterId, WebcamWindow), StoreError> {
    let used: i64 = row.try_get("used_ms")?;
    let window = WebcamWindow {
        began: time(row, "began_at")?,
        used: Duration::from_millis(u64::try_from(used).unwrap_or(0)),
    };
    let printer = parse(row, "webcam_windows", "id", |text| text.parse().ok())?;
    Ok((printer, window))
}
