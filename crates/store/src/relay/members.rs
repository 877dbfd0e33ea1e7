//! Who uses a printer: its owner, and the accounts the owner shares it with.

use latchkey_model::access::KeyScope;
use latchkey_model::account::Email;
use latchkey_model::app_connection::EndReason;
use latchkey_model::clock::Timestamp;
use latchkey_model::id::{AccountId, AppConnectionId, PrinterId};
use latchkey_model::printer::Printer;

use super::{app_connections, print_letters, printers};
use crate::dialect::Row;
use crate::error::StoreError;
use crate::pool::Pools;
use crate::row::{number, optional_time, parse, time};

const TABLE: &str = "printer_members";

// Not the owner: who owns a printer uses it anyway.
const ADD: &str = "
INSERT INTO printer_members (printer_id, account_id, since_at, level)
SELECT p.id, a.id, $3, $4 FROM printers p JOIN accounts a ON a.id = $2
WHERE p.id = $1 AND p.account_id <> a.id
ON CONFLICT (printer_id, account_id) DO NOTHING";

const LIST: &str = "
SELECT m.account_id AS id, a.email, m.since_at, m.level
FROM printer_members m
JOIN printers p ON p.id = m.printer_id
JOIN accounts a ON a.id = m.account_id
WHERE p.id = $1 AND p.account_id = $2 ORDER BY a.email";

const REMOVE: &str = "DELETE FROM printer_members WHERE printer_id = $1 AND account_id = $2";

// Whoever comes back later gets another hostname.
const FORGET_HOST: &str = "DELETE FROM own_hosts WHERE printer_id = $1 AND account_id = $2";

const SET_LEVEL: &str = "
UPDATE printer_members SET level = $3
WHERE printer_id = $1 AND account_id = $2 AND level <> $3";

macro_rules! used_where {
    ($condition:literal) => {
        concat!(
            "SELECT p.id, p.account_id, p.name, p.host_key, p.created_at, p.online_since_at, ",
            "p.last_connected_at, p.last_seen_at, p.local_address, p.network, p.copy_seen_at, ",
            "p.copy_network, o.email, o.suspended_at, CASE WHEN p.account_id = $1 THEN 'full' ELSE ",
            "(SELECT m.level FROM printer_members m WHERE m.printer_id = p.id ",
            "AND m.account_id = $1) END AS level, (SELECT count(*) FROM app_connections c ",
            "WHERE c.printer_id = p.id AND (p.account_id = $1 OR c.account_id = $1)) AS apps ",
            "FROM printers p JOIN accounts o ON o.id = p.account_id ",
            "WHERE (p.account_id = $1 OR EXISTS (SELECT 1 FROM printer_members m ",
            "WHERE m.printer_id = p.id AND m.account_id = $1))",
            $condition
        )
    };
}

const LIST_USED: &str = used_where!(" ORDER BY p.name, p.id");

const FIND_USED: &str = used_where!(" AND p.id = $2");

/// Somebody the owner shares a printer with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub account: AccountId,
    /// Their address.
    pub email: Email,
    /// Since when.
    pub since: Timestamp,
    /// How far they go.
    pub level: KeyScope,
}

/// A printer as one who may use it sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedPrinter {
    /// The record.
    pub printer: Printer,
    /// The owner's address.
    pub owner: Email,
    /// How many app connections there are, as far as this account may see them.
    pub app_connections: u64,
    /// How far this account goes; its owner as far as there is.
    pub level: KeyScope,
    /// Whether the owner's account is suspended: nobody sees anything of the printer then.
    pub owner_suspended: bool,
}

impl UsedPrinter {
    /// Whether it is this account's own.
    pub fn is_owned_by(&self, account: &AccountId) -> bool {
        self.printer.account == *account
    }
}

/// Who uses the printers of a relay.
#[derive(Debug, Clone, Copy)]
pub struct Members<'a> {
    pools: &'a Pools,
}

impl<'a> Members<'a> {
    pub(super) const fn new(pools: &'a Pools) -> Self {
        Self { pools }
    }

    /// Lets an account use a printer, for everything. False if it may already, or if one of them is
    /// gone.
    pub async fn add(
        &self,
        printer: &PrinterId,
        account: &AccountId,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.add_up_to(printer, account, KeyScope::Full, at).await
    }

    /// The same as far as a level.
    pub async fn add_up_to(
        &self,
        printer: &PrinterId,
        account: &AccountId,
        level: KeyScope,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(ADD)
            .bind(printer.as_str())
            .bind(account.as_str())
            .bind(at.millis())
            .bind(level.as_str())
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Whom `owner` shares a printer with, by address.
    pub async fn list(
        &self,
        owner: &AccountId,
        printer: &PrinterId,
    ) -> Result<Vec<Member>, StoreError> {
        let rows = sqlx::query(LIST)
            .bind(printer.as_str())
            .bind(owner.as_str())
            .fetch_all(self.pools.read())
            .await?;
        rows.iter().map(member).collect()
    }

    /// Changes how far a member goes. Who is lowered takes their app connections along; says which
    /// of those went further before. Nothing if there is no such member, or at that level already.
    /// Who may ask for it is for the caller to know.
    pub async fn set_level(
        &self,
        printer: &PrinterId,
        account: &AccountId,
        level: KeyScope,
    ) -> Result<Option<Vec<AppConnectionId>>, StoreError> {
        let mut work = self.pools.begin().await?;
        let done = sqlx::query(SET_LEVEL)
            .bind(printer.as_str())
            .bind(account.as_str())
            .bind(level.as_str())
            .execute(&mut *work)
            .await?;
        if done.rows_affected() == 0 {
            return Ok(None);
        }
        let lowered = match level {
            KeyScope::Full => Vec::new(),
            KeyScope::View => app_connections::lower_of_member(&mut work, printer, account).await?,
        };
        work.commit().await?;
        Ok(Some(lowered))
    }

    /// Ends an account's use of somebody else's printer, and its app connections there. Nothing
    /// if it had none. Who may ask for it is for the caller to know: the owner, or the member.
    pub async fn remove(
        &self,
        printer: &PrinterId,
        account: &AccountId,
        at: Timestamp,
    ) -> Result<Option<Vec<AppConnectionId>>, StoreError> {
        let mut work = self.pools.begin().await?;
        let done = sqlx::query(REMOVE)
            .bind(printer.as_str())
            .bind(account.as_str())
            .execute(&mut *work)
            .await?;
        if done.rows_affected() == 0 {
            return Ok(None);
        }
        sqlx::query(FORGET_HOST)
            .bind(printer.as_str())
            .bind(account.as_str())
            .execute(&mut *work)
            .await?;
        let ended =
            app_connections::end_of_membership(&mut work, printer, account, EndReason::Revoked, at)
                .await?;
        print_letters::end_of_membership(&mut work, printer, account).await?;
        work.commit().await?;
        Ok(Some(ended))
    }

    /// All printers that an account may use, its own and others', by name.
    pub async fn list_used(&self, account: &AccountId) -> Result<Vec<UsedPrinter>, StoreError> {
        let rows = sqlx::query(LIST_USED)
            .bind(account.as_str())
            .fetch_all(self.pools.read())
            .await?;
        rows.iter().map(used).collect()
    }

    /// A printer, if the account may use it.
    pub async fn find_used(
        &self,
        account: &AccountId,
        printer: &PrinterId,
    ) -> Result<Option<UsedPrinter>, StoreError> {
        let row = sqlx::query(FIND_USED)
            .bind(account.as_str())
            .bind(printer.as_str())
            .fetch_optional(self.pools.read())
            .await?;
        row.as_ref().map(used).transpose()
    }
}

fn member(row: &Row) -> Result<Member, StoreError> {
    Ok(Member {
        account: parse(row, TABLE, "id", |text| text.parse().ok())?,
        email: parse(row, TABLE, "email", |text| Email::parse(text).ok())?,
        since: time(row, "since_at")?,
        level: parse(row, TABLE, "level", |text| text.parse().ok())?,
    })
}

fn used(row: &Row) -> Result<UsedPrinter, StoreError> {
    Ok(UsedPrinter {
        printer: printers::printer(row)?,
        owner: parse(row, TABLE, "email", |text| Email::parse(text).ok())?,
        app_connections: number(row, "apps")?,
        level: parse(row, TABLE, "level", |text| text.parse().ok())?,
        owner_suspended: optional_time(row, "suspended_at")?.is_some(),
    })
}
