//! People's own access to printers: their hostnames, and the browsers that are let in there.

use latchkey_model::access::KeyScope;
use latchkey_model::account_session::{IDLE, LONGEST};
use latchkey_model::clock::Timestamp;
use latchkey_model::id::{AccountId, HostId, PrinterId, SessionId};
use latchkey_model::own_access::OwnLabel;
use latchkey_model::plan::PlanName;
use latchkey_model::secret::OwnCookieHash;
use sqlx::{QueryBuilder, Row as _};

use crate::dialect::{Engine, Row};
use crate::error::StoreError;
use crate::pool::Pools;
use crate::row::{optional_time, parse, time};

const TABLE: &str = "own_hosts";

/// In one statement. Databases have a bound on parameters, and a reader is busy meanwhile.
const AT_ONCE: usize = 500;

// Who may not use the printer has no hostname for it; of a suspended owner's nobody gets one.
const MAKE: &str = "
INSERT INTO own_hosts (label, account_id, printer_id, created_at)
SELECT $1, a.id, p.id, $4
FROM printers p JOIN accounts o ON o.id = p.account_id JOIN accounts a ON a.id = $2
WHERE p.id = $3 AND o.suspended_at IS NULL AND (p.account_id = a.id OR EXISTS (
    SELECT 1 FROM printer_members m WHERE m.printer_id = p.id AND m.account_id = a.id))
ON CONFLICT (account_id, printer_id) DO NOTHING";

const LABEL_OF: &str = "
SELECT h.label AS id
FROM own_hosts h JOIN printers p ON p.id = h.printer_id JOIN accounts o ON o.id = p.account_id
WHERE h.account_id = $1 AND h.printer_id = $2 AND o.suspended_at IS NULL";

const PRINTER_OF: &str = "
SELECT label AS id, printer_id FROM own_hosts WHERE label = $1 AND account_id = $2";

// One way in for each session and hostname. A session reaches only hostnames of its account.
const OPEN: &str = "
INSERT INTO own_sessions (session_id, label, cookie_hash, created_at)
SELECT s.id, h.label, $3, $4
FROM sessions s JOIN own_hosts h ON h.account_id = s.account_id
WHERE s.id = $1 AND h.label = $2
ON CONFLICT (session_id, label)
DO UPDATE SET cookie_hash = excluded.cookie_hash, created_at = excluded.created_at";

macro_rules! standing_of {
    ($($part:literal),*) => {
        concat!(
            "SELECT h.label AS id, h.account_id, h.printer_id, p.host_id, ",
            "o.id AS owner_id, o.plan AS owner_plan, ",
            "CASE WHEN p.account_id = h.account_id THEN 'full' ELSE m.level END AS level, ",
            "coalesce(a.suspended_at, o.suspended_at) AS suspended_at, ",
            "s.id AS session_id, s.created_at AS session_created_at, s.seen_at ",
            "FROM own_hosts h ",
            "JOIN printers p ON p.id = h.printer_id ",
            "JOIN accounts a ON a.id = h.account_id ",
            "JOIN accounts o ON o.id = p.account_id ",
            "LEFT JOIN printer_members m ",
            "ON m.printer_id = h.printer_id AND m.account_id = h.account_id ",
            $($part),*
        )
    };
}

// Every request of a browser at its own hostname: look-ups by unique indices and primary keys.
const FIND: &str = standing_of!(
    "LEFT JOIN own_sessions w ON w.label = h.label AND w.cookie_hash = $2 ",
    "LEFT JOIN sessions s ON s.id = w.session_id ",
    "WHERE h.label = $1"
);

const STANDINGS: &str = standing_of!(
    "JOIN own_sessions w ON w.label = h.label ",
    "JOIN sessions s ON s.id = w.session_id ",
    "WHERE w.session_id IN ("
);

/// A hostname of somebody's own, with what decides about a call there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundOwn {
    /// Whose it is.
    pub account: AccountId,
    /// Which printer it leads to.
    pub printer: PrinterId,
    /// The printer's owner.
    pub owner: AccountId,
    /// The owner's plan.
    pub owners_plan: PlanName,
    /// The host that speaks for the printer; missing until paired.
    pub host: Option<HostId>,
    /// What the cookie stands for, if it is one of this hostname.
    pub standing: Option<OwnStanding>,
}

/// A browser's right to be at such a hostname.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnStanding {
    /// The session it is part of.
    pub session: SessionId,
    /// Which hostname.
    pub label: OwnLabel,
    /// How far the person goes at the printer; nothing if they may not use it.
    level: Option<KeyScope>,
    suspended: bool,
    created: Timestamp,
    /// When the session was last used.
    pub seen: Timestamp,
}

impl OwnStanding {
    /// How far they go at `now`; nothing if they are not let in.
    pub fn level(&self, now: Timestamp) -> Option<KeyScope> {
        let alive = now.since(self.seen) < IDLE && now.since(self.created) < LONGEST;
        self.level.filter(|_| alive && !self.suspended)
    }
}

/// People's own access at a relay.
#[derive(Debug, Clone, Copy)]
pub struct OwnAccess<'a> {
    pools: &'a Pools,
}

impl<'a> OwnAccess<'a> {
    pub(super) const fn new(pools: &'a Pools) -> Self {
        Self { pools }
    }

    /// The hostname of an account for a printer: `fresh` if it had none. Nothing if it may not
    /// use the printer, or if nobody may since the owner is suspended.
    pub async fn label_of(
        &self,
        account: &AccountId,
        printer: &PrinterId,
        fresh: &OwnLabel,
        at: Timestamp,
    ) -> Result<Option<OwnLabel>, StoreError> {
        let mut work = self.pools.begin().await?;
        sqlx::query(MAKE)
            .bind(fresh.as_str())
            .bind(account.as_str())
            .bind(printer.as_str())
            .bind(at.millis())
            .execute(&mut *work)
            .await?;
        let row = sqlx::query(LABEL_OF)
            .bind(account.as_str())
            .bind(printer.as_str())
            .fetch_optional(&mut *work)
            .await?;
        work.commit().await?;
        row.as_ref().map(label).transpose()
    }

    /// Which printer a hostname leads to, if it is this account's.
    pub async fn printer_of(
        &self,
        account: &AccountId,
        label: &OwnLabel,
    ) -> Result<Option<PrinterId>, StoreError> {
        let row = sqlx::query(PRINTER_OF)
            .bind(label.as_str())
            .bind(account.as_str())
            .fetch_optional(self.pools.read())
            .await?;
        row.as_ref()
            .map(|row| parse(row, TABLE, "printer_id", |text| text.parse().ok()))
            .transpose()
    }

    /// Lets the browser of a session in at a hostname of its account, by this cookie and no earlier
    /// one. False if the session or the hostname is gone.
    pub async fn open(
        &self,
        session: &SessionId,
        label: &OwnLabel,
        cookie: &OwnCookieHash,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(OPEN)
            .bind(session.as_str())
            .bind(label.as_str())
            .bind(cookie.as_bytes().as_slice())
            .bind(at.millis())
            .execute(self.pools.write())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// A hostname, with what this cookie is worth there.
    pub async fn find(
        &self,
        label: &OwnLabel,
        cookie: &OwnCookieHash,
    ) -> Result<Option<FoundOwn>, StoreError> {
        let row = sqlx::query(FIND)
            .bind(label.as_str())
            .bind(cookie.as_bytes().as_slice())
            .fetch_optional(self.pools.read())
            .await?;
        row.as_ref().map(found).transpose()
    }

    /// Where the browsers of these sessions are let in.
    pub async fn standings(&self, sessions: &[SessionId]) -> Result<Vec<OwnStanding>, StoreError> {
        let mut standings = Vec::new();
        for sessions in sessions.chunks(AT_ONCE) {
            let mut query = QueryBuilder::<Engine>::new(STANDINGS);
            let mut list = query.separated(", ");
            for session in sessions {
                list.push_bind(session.as_str());
            }
            query.push(")");
            let rows = query.build().fetch_all(self.pools.read()).await?;
            for row in &rows {
                standings.extend(standing(row)?);
            }
        }
        Ok(standings)
    }
}

fn label(row: &Row) -> Result<OwnLabel, StoreError> {
    parse(row, TABLE, "id", |text| text.parse().ok())
}

fn found(row: &Row) -> Result<FoundOwn, StoreError> {
    Ok(FoundOwn {
        account: parse(row, TABLE, "account_id", |text| text.parse().ok())?,
        printer: parse(row, TABLE, "printer_id", |text| text.parse().ok())?,
        host: match row.try_get::<Option<&str>, _>("host_id")? {
            None => None,
            Some(_) => Some(parse(row, TABLE, "host_id", |text| text.parse().ok())?),
        },
        owner: parse(row, TABLE, "owner_id", |text| text.parse().ok())?,
        owners_plan: parse(row, TABLE, "owner_plan", |text| text.parse().ok())?,
        standing: standing(row)?,
    })
}

fn standing(row: &Row) -> Result<Option<OwnStanding>, StoreError> {
    if row.try_get::<Option<&str>, _>("session_id")?.is_none() {
        return Ok(None);
    }
    Ok(Some(OwnStanding {
        session: parse(row, TABLE, "session_id", |text| text.parse().ok())?,
        label: label(row)?,
        level: match row.try_get::<Option<&str>, _>("level")? {
            None => None,
            Some(_) => Some(parse(row, TABLE, "level", |text| text.parse().ok())?),
        },
        suspended: optional_time(row, "suspended_at")?.is_some(),
        created: time(row, "session_created_at")?,
        seen: time(row, "seen_at")?,
    }))
}
