//! Accounts as whoever runs the relay sees them.

use latchkey_model::account::{Account, Email};
use latchkey_model::clock::Timestamp;
use latchkey_model::id::AccountId;
use latchkey_model::plan::PlanName;

use super::accounts::{Accounts, account_of};
use crate::dialect::Row;
use crate::error::StoreError;
use crate::row::{number, optional_time, parse};

// What people type is looked for as it is: no character of it stands for others.
macro_rules! overviews_where {
    ($condition:literal) => {
        concat!(
            "SELECT a.id, a.email, a.plan, a.created_at, a.suspended_at, a.suspended_reason, ",
            "a.administrator, a.email_verified_at, ",
            "(SELECT count(*) FROM printers p WHERE p.account_id = a.id) AS printers, ",
            "(SELECT count(*) FROM app_connections c WHERE c.account_id = a.id) AS apps, ",
            "(SELECT max(s.seen_at) FROM sessions s WHERE s.account_id = a.id) AS seen_at ",
            "FROM accounts a WHERE ",
            $condition
        )
    };
}

const SEARCH: &str = overviews_where!(
    "a.email > $1 AND (a.email LIKE '%' || $2 || '%' ESCAPE '\\' OR EXISTS (SELECT 1 FROM printers n WHERE n.account_id = a.id AND lower(n.name) LIKE '%' || $2 || '%' ESCAPE '\\')) ORDER BY a.email LIMIT $3"
);

const FIND_OVERVIEW: &str = overviews_where!("a.id = $1");

const TOTALS: &str = "
SELECT (SELECT count(*) FROM accounts) AS accounts,
       (SELECT count(*) FROM printers) AS printers,
       (SELECT count(*) FROM app_connections WHERE ended_at IS NULL) AS apps";

const COUNT_BY_PLAN: &str = "
SELECT plan AS id, count(*) AS accounts FROM accounts GROUP BY plan ORDER BY plan";

// The last one stays: of two who stop at the same time, one finds that they are it.
const STOP_ADMINISTERING: &str = "
UPDATE accounts SET administrator = 0
WHERE id = $1 AND administrator = 1 AND EXISTS (
    SELECT 1 FROM accounts o
    WHERE o.administrator = 1 AND o.suspended_at IS NULL AND o.id <> $1)";

const HAS_OTHER_ADMINISTRATOR: &str = "
SELECT 1 FROM accounts
WHERE administrator = 1 AND suspended_at IS NULL AND id <> $1 LIMIT 1";

/// An account with what it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// The account.
    pub account: Account,
    /// How many printers are its own.
    pub printers: u64,
    /// How many app connections it allowed.
    pub app_connections: u64,
    /// When somebody last did something with it in a browser that is still known.
    pub seen: Option<Timestamp>,
}

/// How much there is at a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Accounts.
    pub accounts: u64,
    /// Printers.
    pub printers: u64,
    /// App connections that have not ended.
    pub app_connections: u64,
}

impl Accounts<'_> {
    /// Up to `limit` accounts with this text in their addresses or their printers' names, in the
    /// order of their addresses, from the one after `after`.
    pub async fn search(
        &self,
        text: &str,
        after: Option<&Email>,
        limit: u32,
    ) -> Result<Vec<Overview>, StoreError> {
        let rows = sqlx::query(SEARCH)
            .bind(after.map_or("", Email::as_str))
            .bind(literal(text))
            .bind(i64::from(limit))
            .fetch_all(self.pools().read())
            .await?;
        rows.iter().map(overview).collect()
    }

    /// One account with what it has.
    pub async fn find_overview(&self, id: &AccountId) -> Result<Option<Overview>, StoreError> {
        let row = sqlx::query(FIND_OVERVIEW)
            .bind(id.as_str())
            .fetch_optional(self.pools().read())
            .await?;
        row.as_ref().map(overview).transpose()
    }

    /// How many accounts are on each plan that any is on.
    pub async fn count_by_plan(&self) -> Result<Vec<(PlanName, u64)>, StoreError> {
        let rows = sqlx::query(COUNT_BY_PLAN)
            .fetch_all(self.pools().read())
            .await?;
        rows.iter()
            .map(|row| {
                let plan = parse(row, "accounts", "id", |text| text.parse().ok())?;
                Ok((plan, number(row, "accounts")?))
            })
            .collect()
    }

    /// How much there is in all.
    pub async fn totals(&self) -> Result<Totals, StoreError> {
        let row = sqlx::query(TOTALS).fetch_one(self.pools().read()).await?;
        Ok(Totals {
            accounts: number(&row, "accounts")?,
            printers: number(&row, "printers")?,
            app_connections: number(&row, "apps")?,
        })
    }

    /// Whether somebody else can sign in and run this relay.
    pub async fn has_other_administrator(&self, id: &AccountId) -> Result<bool, StoreError> {
        let row = sqlx::query(HAS_OTHER_ADMINISTRATOR)
            .bind(id.as_str())
            .fetch_optional(self.pools().read())
            .await?;
        Ok(row.is_some())
    }

    /// Makes an administrator an ordinary person again. False if they are none, or the last one
    /// who can sign in.
    pub async fn stop_administering(&self, id: &AccountId) -> Result<bool, StoreError> {
        let done = sqlx::query(STOP_ADMINISTERING)
            .bind(id.as_str())
            .execute(self.pools().write())
            .await?;
        Ok(done.rows_affected() > 0)
    }
}

/// A text for LIKE that stands for itself, in the letters of addresses.
fn literal(text: &str) -> String {
    let mut literal = String::new();
    for c in text.to_lowercase().chars() {
        if matches!(c, '%' | '_' | '\\') {
            literal.push('\\');
        }
        literal.push(c);
    }
    literal
}

fn overview(row: &Row) -> Result<Overview, StoreError> {
    Ok(Overview {
        account: account_of(row, "id")?,
        printers: number(row, "printers")?,
        app_connections: number(row, "apps")?,
        seen: optional_time(row, "seen_at")?,
    })
}
