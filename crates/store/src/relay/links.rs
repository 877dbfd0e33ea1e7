//! Links that are good once.

use latchkey_model::access::KeyScope;
use latchkey_model::account::Email;
use latchkey_model::clock::Timestamp;
use latchkey_model::id::{AccountId, PrinterId};
use latchkey_model::link::{Link, LinkPurpose};
use latchkey_model::secret::LinkHash;
use sqlx::Row as _;

use crate::dialect::{Connection, Row};
use crate::error::StoreError;
use crate::pool::Pools;
use crate::row::{bytes, inconsistent, parse, time};

const TABLE: &str = "links";

const INSERT: &str = "
INSERT INTO links (secret_hash, purpose, account_id, printer_id, email, created_at, expires_at, level)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";

const FIND: &str = "
SELECT secret_hash, purpose, account_id, printer_id, email, created_at, expires_at, level,
       'link' AS id
FROM links WHERE secret_hash = $1 AND expires_at > $2";

const TAKE: &str = "
DELETE FROM links WHERE secret_hash = $1 AND purpose = $2 AND expires_at > $3
RETURNING secret_hash, purpose, account_id, printer_id, email, created_at, expires_at, level,
          'link' AS id";

const LIST: &str = "
SELECT secret_hash, purpose, account_id, printer_id, email, created_at, expires_at, level,
       'link' AS id
FROM links WHERE purpose = $1 AND expires_at > $2 ORDER BY created_at DESC, secret_hash";

const LIST_OF_PRINTER: &str = "
SELECT secret_hash, purpose, account_id, printer_id, email, created_at, expires_at, level,
       'link' AS id
FROM links WHERE purpose = 'share_printer' AND printer_id = $1 AND expires_at > $2
ORDER BY created_at DESC, secret_hash";

const DROP: &str = "DELETE FROM links WHERE secret_hash = $1";

const DROP_OF: &str = "DELETE FROM links WHERE purpose = $1 AND account_id = $2";

// Of the letters that confirm an address only those that would change it: one that says again
// that the address is theirs gives nobody anything.
const DROP_LETTERS: &str = "
DELETE FROM links WHERE account_id = $1 AND (purpose = 'reset_password' OR
    (purpose = 'verify_email' AND
     email <> (SELECT accounts.email FROM accounts WHERE accounts.id = $1)))";

const DROP_ALL: &str = "DELETE FROM links WHERE purpose = $1";

const PRUNE: &str = "DELETE FROM links WHERE expires_at <= $1";

/// The links of a relay.
#[derive(Debug, Clone, Copy)]
pub struct Links<'a> {
    pools: &'a Pools,
}

impl<'a> Links<'a> {
    pub(super) const fn new(pools: &'a Pools) -> Self {
        Self { pools }
    }

    /// Keeps a link. [`StoreError::Conflict`] if what it is about is gone.
    pub async fn create(&self, hash: &LinkHash, link: &Link) -> Result<(), StoreError> {
        sqlx::query(INSERT)
            .bind(hash.as_bytes().as_slice())
            .bind(link.purpose.as_str())
            .bind(link.account.as_ref().map(AccountId::as_str))
            .bind(link.printer.as_ref().map(PrinterId::as_str))
            .bind(link.email.as_ref().map(Email::as_str))
            .bind(link.created.millis())
            .bind(link.expires.millis())
            .bind(link.level.map(KeyScope::as_str))
            .execute(self.pools.write())
            .await?;
        Ok(())
    }

    /// The link with this secret, while it is good.
    pub async fn find(&self, hash: &LinkHash, now: Timestamp) -> Result<Option<Link>, StoreError> {
        let row = sqlx::query(FIND)
            .bind(hash.as_bytes().as_slice())
            .bind(now.millis())
            .fetch_optional(self.pools.read())
            .await?;
        row.as_ref().map(link).transpose()
    }

    /// Uses a link up. Of several who try at once one gets it.
    pub async fn take(
        &self,
        hash: &LinkHash,
        purpose: LinkPurpose,
        now: Timestamp,
    ) -> Result<Option<Link>, StoreError> {
        let mut work = self.pools.begin().await?;
        let taken = take(&mut work, hash, purpose, now).await?;
        work.commit().await?;
        Ok(taken)
    }

    /// All good links for one purpose with their hashes, the newest first.
    pub async fn list(
        &self,
        purpose: LinkPurpose,
        now: Timestamp,
    ) -> Result<Vec<(LinkHash, Link)>, StoreError> {
        let rows = sqlx::query(LIST)
            .bind(purpose.as_str())
            .bind(now.millis())
            .fetch_all(self.pools.read())
            .await?;
        rows.iter().map(with_hash).collect()
    }

    /// The good invitations to a printer with their hashes, the newest first.
    pub async fn list_of_printer(
        &self,
        printer: &PrinterId,
        now: Timestamp,
    ) -> Result<Vec<(LinkHash, Link)>, StoreError> {
        let rows = sqlx::query(LIST_OF_PRINTER)
            .bind(printer.as_str())
            .bind(now.millis())
            .fetch_all(self.pools.read())
            .await?;
        rows.iter().map(with_hash).collect()
    }

    /// Takes a link back. Says whether there was one.
    pub async fn drop(&self, hash: &LinkHash) -> Result<bool, StoreError> {
        let done = sqlx::query(DROP)
            .bind(hash.as_bytes().as_slice())
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Takes back what an account has for one purpose, or everybody if nobody is named.
    pub async fn drop_all(
        &self,
        purpose: LinkPurpose,
        account: Option<&AccountId>,
    ) -> Result<u64, StoreError> {
        let query = match account {
            Some(account) => sqlx::query(DROP_OF)
                .bind(purpose.as_str())
                .bind(account.as_str()),
            None => sqlx::query(DROP_ALL).bind(purpose.as_str()),
        };
        Ok(query.execute(self.pools.write()).await?.rows_affected())
    }

    /// Takes back by what an account would get another password or another address.
    pub async fn drop_letters(&self, account: &AccountId) -> Result<u64, StoreError> {
        let mut connection = self.pools.write().acquire().await?;
        drop_letters(&mut connection, account).await
    }

    /// Forgets links that are no longer good.
    pub async fn prune(&self, now: Timestamp) -> Result<u64, StoreError> {
        let done = sqlx::query(PRUNE)
            .bind(now.millis())
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected())
    }
}

/// [`Links::take`] as a part of something greater.
pub(super) async fn take(
    work: &mut Connection,
    hash: &LinkHash,
    purpose: LinkPurpose,
    now: Timestamp,
) -> Result<Option<Link>, StoreError> {
    let row = sqlx::query(TAKE)
        .bind(hash.as_bytes().as_slice())
        .bind(purpose.as_str())
        .bind(now.millis())
        .fetch_optional(work)
        .await?;
    row.as_ref().map(link).transpose()
}

/// [`Links::drop_letters`] as a part of something greater.
pub(super) async fn drop_letters(
    work: &mut Connection,
    account: &AccountId,
) -> Result<u64, StoreError> {
    let done = sqlx::query(DROP_LETTERS)
        .bind(account.as_str())
        .execute(work)
        .await?;
    Ok(done.rows_affected())
}

/// There is an administrator now: nobody else becomes the first.
pub(super) async fn drop_first_administrators(work: &mut Connection) -> Result<(), StoreError> {
    sqlx::query(DROP_ALL)
        .bind(LinkPurpose::FirstAdministrator.as_str())
        .execute(work)
        .await?;
    Ok(())
}

fn with_hash(row: &Row) -> Result<(LinkHash, Link), StoreError> {
    let hash = LinkHash::from_bytes(bytes(row, TABLE, "secret_hash")?);
    Ok((hash, link(row)?))
}

fn link(row: &Row) -> Result<Link, StoreError> {
    let optional = |column: &'static str| row.try_get::<Option<String>, _>(column);
    let unreadable = || inconsistent(row, TABLE);
    Ok(Link {
        purpose: parse(row, TABLE, "purpose", |text| text.parse().ok())?,
        account: optional("account_id")?
            .map(|text| text.parse().map_err(|_| unreadable()))
            .transpose()?,
        printer: optional("printer_id")?
            .map(|text| text.parse().map_err(|_| unreadable()))
            .transpose()?,
        level: optional("level")?
            .map(|text| text.parse().map_err(|_| unreadable()))
            .transpose()?,
        email: optional("email")?
            .map(|text| Email::parse(&text).map_err(|_| unreadable()))
            .transpose()?,
        created: time(row, "created_at")?,
        expires: time(row, "expires_at")?,
    })
}
