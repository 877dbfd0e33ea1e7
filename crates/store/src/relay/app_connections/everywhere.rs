//! All app connections that a person may revoke, over all printers.

use latchkey_model::account::Email;
use latchkey_model::id::AccountId;
use latchkey_model::printer::PrinterName;

use super::rows::listed;
use super::{AppConnections, Listed};
use crate::dialect::Row;
use crate::error::StoreError;
use crate::row::parse;

// What leads to printers of their own, whoever allowed it, and what they allowed elsewhere.
const LIST_EVERYWHERE: &str = "
SELECT c.id, c.label_hash, c.app_token_hash, c.access_mode, c.basic_hash, c.bearer_hash,
       c.account_id, c.printer_id, c.scope, c.app_id, c.app_name, c.created_at,
       c.ended_at, c.end_reason, c.last_used_at, c.requests, c.bytes,
       p.name AS printer_name, a.email AS allowed_by
FROM app_connections c
JOIN printers p ON p.id = c.printer_id
JOIN accounts a ON a.id = c.account_id
WHERE p.account_id = $1 OR c.account_id = $1
ORDER BY c.app_name, p.name, c.created_at, c.id
LIMIT $2";

/// An app connection, with where it leads and who allowed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedElsewhere {
    /// The app connection.
    pub listed: Listed,
    /// What the printer is called.
    pub printer_name: PrinterName,
    /// Who allowed it.
    pub allowed_by: Email,
}

impl AppConnections<'_> {
    /// The live app connections that the account may revoke, by app, up to `most`.
    pub async fn list_everywhere(
        &self,
        account: &AccountId,
        most: u32,
    ) -> Result<Vec<ListedElsewhere>, StoreError> {
        let rows = sqlx::query(LIST_EVERYWHERE)
            .bind(account.as_str())
            .bind(i64::from(most))
            .fetch_all(self.pools.read())
            .await?;
        rows.iter().map(elsewhere).collect()
    }
}

fn elsewhere(row: &Row) -> Result<ListedElsewhere, StoreError> {
    const TABLE: &str = "app_connections";
    Ok(ListedElsewhere {
        listed: listed(row)?,
        printer_name: parse(row, TABLE, "printer_name", |text| {
            PrinterName::parse(text).ok()
        })?,
        allowed_by: parse(row, TABLE, "allowed_by", |text| Email::parse(text).ok())?,
    })
}
