//! App connections, the living and the tombstones.

use std::sync::Arc;

use latchkey_model::app_connection::{AppConnection, EndReason, OwnerStanding};
use latchkey_model::clock::Timestamp;
use latchkey_model::id::{AccountId, AppConnectionId, HostId, PrinterId};
use latchkey_model::plan::PlanName;
use latchkey_model::printer::PrinterName;
use latchkey_model::secret::{AppTokenHash, LabelHash};

use self::rows::{found, ids, listed};
use crate::dialect::{Connection, Row};
use crate::error::StoreError;
use crate::pool::Pools;
use crate::recall::Recall;
use crate::relay::{snapshots, webhooks};
use crate::row::number;

mod everywhere;
mod rows;
mod standing;
mod usage;

pub use everywhere::ListedElsewhere;
pub use standing::Standing;
pub use usage::{Usage, Use};

// Takes the printer from the table, so that a printer that the account may not use, or one just
// removed, gets no app connection; nor one that goes further than a member may.
const INSERT: &str = "
INSERT INTO app_connections (id, label_hash, app_token_hash, access_mode, basic_hash, bearer_hash,
                             printer_id, account_id, app_id, app_name, created_at, scope)
SELECT $1, $2, $3, $4, $5, $6, printers.id, $8, $9, $10, $11, $12
FROM printers WHERE printers.id = $7 AND (printers.account_id = $8 OR EXISTS (
    SELECT 1 FROM printer_members m WHERE m.printer_id = printers.id AND m.account_id = $8
      AND (m.level = 'full' OR $12 = 'view')))";

// The hot path: everything that decides about a call, in one look-up by a unique index and three
// by primary key. Of a suspended owner's printer nobody's app connection works.
const FIND_BY_LABEL: &str = "
SELECT c.id, c.label_hash, c.app_token_hash, c.access_mode, c.basic_hash, c.bearer_hash,
       c.account_id, c.printer_id, c.scope, c.app_id, c.app_name, c.created_at,
       c.ended_at, c.end_reason, p.name AS printer_name, p.host_id,
       coalesce(a.suspended_at, o.suspended_at) AS suspended_at, a.plan
FROM app_connections c
LEFT JOIN printers p ON p.id = c.printer_id
LEFT JOIN accounts a ON a.id = c.account_id
LEFT JOIN accounts o ON o.id = p.account_id
WHERE c.label_hash = $1";

const FIND_BY_APP_TOKEN: &str = "
SELECT c.id, c.label_hash, c.app_token_hash, c.access_mode, c.basic_hash, c.bearer_hash,
       c.account_id, c.printer_id, c.scope, c.app_id, c.app_name, c.created_at,
       c.ended_at, c.end_reason, p.name AS printer_name, p.host_id,
       coalesce(a.suspended_at, o.suspended_at) AS suspended_at, a.plan
FROM app_connections c
LEFT JOIN printers p ON p.id = c.printer_id
LEFT JOIN accounts a ON a.id = c.account_id
LEFT JOIN accounts o ON o.id = p.account_id
WHERE c.app_token_hash = $1";

const LIST_BY_PRINTER: &str = "
SELECT c.id, c.label_hash, c.app_token_hash, c.access_mode, c.basic_hash, c.bearer_hash,
       c.account_id, c.printer_id, c.scope, c.app_id, c.app_name, c.created_at,
       c.ended_at, c.end_reason, c.last_used_at, c.requests, c.bytes
FROM app_connections c
JOIN printers p ON p.id = c.printer_id
WHERE p.id = $1 AND (p.account_id = $2 OR c.account_id = $2)
ORDER BY c.created_at, c.id";

const FIND_LISTED: &str = "
SELECT c.id, c.label_hash, c.app_token_hash, c.access_mode, c.basic_hash, c.bearer_hash,
       c.account_id, c.printer_id, c.scope, c.app_id, c.app_name, c.created_at,
       c.ended_at, c.end_reason, c.last_used_at, c.requests, c.bytes
FROM app_connections c
JOIN printers p ON p.id = c.printer_id
WHERE c.id = $1 AND (p.account_id = $2 OR c.account_id = $2)";

const COUNT_OF: &str = "SELECT count(*) AS live FROM app_connections WHERE account_id = $1";

const HAS_ANY: &str = "SELECT 1 FROM app_connections LIMIT 1";

const LIST_ENDED_SINCE: &str = "
SELECT id FROM app_connections WHERE ended_at >= $1 ORDER BY ended_at, id";

macro_rules! end_where {
    ($condition:literal) => {
        concat!(
            "UPDATE app_connections SET ended_at = $1, end_reason = $2, account_id = NULL, ",
            "printer_id = NULL, scope = NULL, app_id = NULL, app_name = NULL, ",
            "created_at = NULL, last_used_at = NULL, requests = 0, bytes = 0 ",
            "WHERE ended_at IS NULL AND (",
            $condition,
            ") RETURNING id"
        )
    };
}

const END: &str = end_where!("id = $3");

const END_OWNED: &str = end_where!(
    "id = $3 AND (account_id = $4 OR printer_id IN (SELECT printers.id FROM printers WHERE printers.account_id = $4))"
);

const END_OF_PRINTER: &str = end_where!(
    "printer_id IN (SELECT printers.id FROM printers WHERE printers.id = $3 AND printers.account_id = $4)"
);

// An owner's, of everybody; a member's, of their own.
const END_REVOKED_AT: &str = end_where!(
    "printer_id = $3 AND (account_id = $4 OR printer_id IN (SELECT printers.id FROM printers WHERE printers.account_id = $4))"
);

const END_OF_MEMBER: &str = end_where!("printer_id = $3 AND account_id = $4");

// For good: whoever raises a member does not raise apps that were let in before.
const LOWER_OF_MEMBER: &str = "
UPDATE app_connections SET scope = 'view'
WHERE ended_at IS NULL AND printer_id = $1 AND account_id = $2 AND scope = 'full' RETURNING id";

const END_OF_ACCOUNT: &str = end_where!(
    "account_id = $3 OR printer_id IN (SELECT printers.id FROM printers WHERE printers.account_id = $3)"
);

/// An app connection, with what decides whether it may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundAppConnection {
    /// The record, which may be a tombstone.
    pub connection: AppConnection,
    /// Whose it is; missing exactly for tombstones.
    pub holder: Option<Holder>,
}

impl FoundAppConnection {
    /// The owner's standing, given whether a plan has app connections. Nothing if
    /// `plan_allows` knows no answer: that is a doubt, to be answered by 600.
    pub fn owner_standing(
        &self,
        plan_allows: impl FnOnce(&PlanName) -> Option<bool>,
    ) -> Option<OwnerStanding> {
        match &self.holder {
            // A tombstone's answer does not depend on its former owner.
            None => Some(OwnerStanding::Entitled),
            Some(holder) => plan_allows(&holder.plan)
                .map(|allowed| OwnerStanding::of(holder.suspended, allowed)),
        }
    }
}

/// Whose a live app connection is, and where it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The account.
    pub account: AccountId,
    /// Whether the account is suspended.
    pub suspended: bool,
    /// The account's plan.
    pub plan: PlanName,
    /// The printer.
    pub printer: PrinterId,
    /// What the owner calls the printer.
    pub printer_name: PrinterName,
    /// The host that speaks for the printer; missing until paired.
    pub host: Option<HostId>,
}

/// An app connection as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The record.
    pub connection: AppConnection,
    /// How it was used.
    pub usage: Usage,
}

/// The app connections of a relay.
#[derive(Debug, Clone, Copy)]
pub struct AppConnections<'a> {
    pools: &'a Pools,
    recall: &'a Recall<LabelHash, FoundAppConnection>,
}

impl<'a> AppConnections<'a> {
    pub(super) const fn new(
        pools: &'a Pools,
        recall: &'a Recall<LabelHash, FoundAppConnection>,
    ) -> Self {
        Self { pools, recall }
    }

    /// Keeps a new app connection.
    ///
    /// [`StoreError::Conflict`] if its label was ever used, or if the account has no such
    /// printer (any more), or if it has ended already.
    pub async fn insert(&self, connection: &AppConnection) -> Result<(), StoreError> {
        let mut work = self.pools.begin().await?;
        insert_in(&mut work, connection).await?;
        work.commit().await?;
        Ok(())
    }

    /// The same, unless the account has allowed `most` already; then it keeps nothing and says
    /// false.
    pub async fn insert_within(
        &self,
        connection: &AppConnection,
        most: u64,
    ) -> Result<bool, StoreError> {
        let live = connection.live().ok_or(StoreError::Conflict)?;
        let mut work = self.pools.begin().await?;
        let counted = sqlx::query(COUNT_OF)
            .bind(live.account.as_str())
            .fetch_one(&mut *work)
            .await?;
        if number(&counted, "live")? >= most {
            return Ok(false);
        }
        insert_in(&mut work, connection).await?;
        work.commit().await?;
        Ok(true)
    }

    /// How many live app connections an account has allowed.
    pub async fn count_of(&self, account: &AccountId) -> Result<u64, StoreError> {
        let counted = sqlx::query(COUNT_OF)
            .bind(account.as_str())
            .fetch_one(self.pools.read())
            .await?;
        number(&counted, "live")
    }

    /// The app connection with this label, living or dead, if there ever was one.
    pub async fn find_by_label_hash(
        &self,
        label: &LabelHash,
    ) -> Result<Option<FoundAppConnection>, StoreError> {
        let row = sqlx::query(FIND_BY_LABEL)
            .bind(label.as_bytes().as_slice())
            .fetch_optional(self.pools.read())
            .await?;
        row.as_ref().map(found).transpose()
    }

    /// The same, and the same answer, without asking the database while nobody has committed
    /// anything since it was asked.
    pub async fn recall_by_label_hash(
        &self,
        label: &LabelHash,
    ) -> Result<Option<Arc<FoundAppConnection>>, StoreError> {
        let find = self.find_by_label_hash(label);
        let commits = self.pools.commits();
        self.recall.or_find(commits, *label, find).await
    }

    /// The app connection with this token for the App API, living or dead.
    pub async fn find_by_app_token_hash(
        &self,
        app_token: &AppTokenHash,
    ) -> Result<Option<FoundAppConnection>, StoreError> {
        let row = sqlx::query(FIND_BY_APP_TOKEN)
            .bind(app_token.as_bytes().as_slice())
            .fetch_optional(self.pools.read())
            .await?;
        row.as_ref().map(found).transpose()
    }

    /// The live app connections of a printer of `owner`, oldest first.
    pub async fn list_by_printer(
        &self,
        owner: &AccountId,
        printer: &PrinterId,
    ) -> Result<Vec<Listed>, StoreError> {
        let rows = sqlx::query(LIST_BY_PRINTER)
            .bind(printer.as_str())
            .bind(owner.as_str())
            .fetch_all(self.pools.read())
            .await?;
        rows.iter().map(listed).collect()
    }

    /// A live app connection that the account allowed, or that leads to a printer of its own.
    pub async fn find_listed(
        &self,
        account: &AccountId,
        id: &AppConnectionId,
    ) -> Result<Option<Listed>, StoreError> {
        let row = sqlx::query(FIND_LISTED)
            .bind(id.as_str())
            .bind(account.as_str())
            .fetch_optional(self.pools.read())
            .await?;
        row.as_ref().map(listed).transpose()
    }

    /// Whether there has ever been an app connection: ended ones are kept for good.
    pub async fn has_any(&self) -> Result<bool, StoreError> {
        let row = sqlx::query(HAS_ANY)
            .fetch_optional(self.pools.read())
            .await?;
        Ok(row.is_some())
    }

    /// What ended at `since` or later: for a node that may have missed the message.
    pub async fn list_ended_since(
        &self,
        since: Timestamp,
    ) -> Result<Vec<AppConnectionId>, StoreError> {
        let rows = sqlx::query(LIST_ENDED_SINCE)
            .bind(since.millis())
            .fetch_all(self.pools.read())
            .await?;
        ids(&rows)
    }

    /// Ends an app connection for good. Says whether it was live.
    pub async fn end(
        &self,
        id: &AppConnectionId,
        reason: EndReason,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut work = self.pools.begin().await?;
        let rows = sqlx::query(END)
            .bind(at.millis())
            .bind(reason.as_str())
            .bind(id.as_str())
            .fetch_all(&mut *work)
            .await?;
        let ended = with_what_hangs_on_them(&mut work, &rows).await?;
        work.commit().await?;
        Ok(!ended.is_empty())
    }

    /// Ends an app connection of `owner` for good. Says whether it was live and theirs.
    pub async fn end_owned(
        &self,
        owner: &AccountId,
        id: &AppConnectionId,
        reason: EndReason,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut work = self.pools.begin().await?;
        let rows = sqlx::query(END_OWNED)
            .bind(at.millis())
            .bind(reason.as_str())
            .bind(id.as_str())
            .bind(owner.as_str())
            .fetch_all(&mut *work)
            .await?;
        let ended = with_what_hangs_on_them(&mut work, &rows).await?;
        work.commit().await?;
        Ok(!ended.is_empty())
    }

    /// Ends the app connections to a printer that `account` may end: as its owner all of them, as
    /// a member their own. Says which.
    pub async fn end_all_at(
        &self,
        account: &AccountId,
        printer: &PrinterId,
        reason: EndReason,
        at: Timestamp,
    ) -> Result<Vec<AppConnectionId>, StoreError> {
        let mut work = self.pools.begin().await?;
        let rows = sqlx::query(END_REVOKED_AT)
            .bind(at.millis())
            .bind(reason.as_str())
            .bind(printer.as_str())
            .bind(account.as_str())
            .fetch_all(&mut *work)
            .await?;
        let ended = with_what_hangs_on_them(&mut work, &rows).await?;
        work.commit().await?;
        Ok(ended)
    }
}

/// Which app connections ended, after what hangs on them is forgotten: their webhooks, and the
/// pictures they were told of.
async fn with_what_hangs_on_them(
    work: &mut Connection,
    rows: &[Row],
) -> Result<Vec<AppConnectionId>, StoreError> {
    let ended = ids(rows)?;
    for delete in [webhooks::DELETE, snapshots::DELETE_LINKS] {
        for id in &ended {
            sqlx::query(delete)
                .bind(id.as_str())
                .execute(&mut *work)
                .await?;
        }
    }
    Ok(ended)
}

async fn insert_in(work: &mut Connection, connection: &AppConnection) -> Result<(), StoreError> {
    let live = connection.live().ok_or(StoreError::Conflict)?;
    let hashes = &connection.hashes;
    let basic = hashes.access.basic();
    let bearer = hashes.access.bearer();
    let done = sqlx::query(INSERT)
        .bind(connection.id.as_str())
        .bind(hashes.label.as_bytes().as_slice())
        .bind(hashes.app_token.as_bytes().as_slice())
        .bind(hashes.access.mode().as_str())
        .bind(basic.as_ref().map(|hash| hash.as_bytes().as_slice()))
        .bind(bearer.as_ref().map(|hash| hash.as_bytes().as_slice()))
        .bind(live.printer.as_str())
        .bind(live.account.as_str())
        .bind(live.app.as_str())
        .bind(live.app_name.as_str())
        .bind(live.created.millis())
        .bind(live.scope.as_str())
        .execute(work)
        .await?;
    if done.rows_affected() == 0 {
        return Err(StoreError::Conflict);
    }
    Ok(())
}

pub(super) async fn end_of_printer(
    work: &mut Connection,
    owner: &AccountId,
    printer: &PrinterId,
    reason: EndReason,
    at: Timestamp,
) -> Result<Vec<AppConnectionId>, StoreError> {
    let rows = sqlx::query(END_OF_PRINTER)
        .bind(at.millis())
        .bind(reason.as_str())
        .bind(printer.as_str())
        .bind(owner.as_str())
        .fetch_all(&mut *work)
        .await?;
    with_what_hangs_on_them(work, &rows).await
}

pub(super) async fn end_of_membership(
    work: &mut Connection,
    printer: &PrinterId,
    member: &AccountId,
    reason: EndReason,
    at: Timestamp,
) -> Result<Vec<AppConnectionId>, StoreError> {
    let rows = sqlx::query(END_OF_MEMBER)
        .bind(at.millis())
        .bind(reason.as_str())
        .bind(printer.as_str())
        .bind(member.as_str())
        .fetch_all(&mut *work)
        .await?;
    with_what_hangs_on_them(work, &rows).await
}

/// Lets the app connections of a member only look from now on. Says which did more.
pub(super) async fn lower_of_member(
    work: &mut Connection,
    printer: &PrinterId,
    member: &AccountId,
) -> Result<Vec<AppConnectionId>, StoreError> {
    let rows = sqlx::query(LOWER_OF_MEMBER)
        .bind(printer.as_str())
        .bind(member.as_str())
        .fetch_all(work)
        .await?;
    ids(&rows)
}

pub(super) async fn end_of_account(
    work: &mut Connection,
    owner: &AccountId,
    reason: EndReason,
    at: Timestamp,
) -> Result<Vec<AppConnectionId>, StoreError> {
    let rows = sqlx::query(END_OF_ACCOUNT)
        .bind(at.millis())
        .bind(reason.as_str())
        .bind(owner.as_str())
        .fetch_all(&mut *work)
        .await?;
    with_what_hangs_on_them(work, &rows).await
}
