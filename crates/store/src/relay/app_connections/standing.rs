//! Whether what is open in the name of app connections still may be, many at a time.

use latchkey_model::app_connection::OwnerStanding;
use latchkey_model::id::AppConnectionId;
use latchkey_model::plan::PlanName;
use sqlx::QueryBuilder;

use super::AppConnections;
use crate::dialect::{Engine, Row};
use crate::error::StoreError;
use crate::row::{optional_time, parse};

/// In one statement. Databases have a bound on parameters, and a reader is busy meanwhile.
const AT_ONCE: usize = 500;

// The same joins, and the same rule of suspension, as for a call.
const STANDINGS: &str = "
SELECT c.id, c.ended_at, coalesce(a.suspended_at, o.suspended_at) AS suspended_at, a.plan
FROM app_connections c
LEFT JOIN printers p ON p.id = c.printer_id
LEFT JOIN accounts a ON a.id = c.account_id
LEFT JOIN accounts o ON o.id = p.account_id
WHERE c.id IN (";

/// What is kept of an app connection's right to have something open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Which one.
    pub id: AppConnectionId,
    /// Suspension and plan of its owner; missing exactly for tombstones.
    owner: Option<(bool, PlanName)>,
}

impl Standing {
    /// Whether it has ended for good.
    pub const fn has_ended(&self) -> bool {
        self.owner.is_none()
    }

    /// The owner's standing, given whether a plan has app connections; see
    /// [`FoundAppConnection::owner_standing`](super::FoundAppConnection::owner_standing).
    pub fn owner(
        &self,
        plan_allows: impl FnOnce(&PlanName) -> Option<bool>,
    ) -> Option<OwnerStanding> {
        let (suspended, plan) = self.owner.as_ref()?;
        Some(OwnerStanding::of(*suspended, plan_allows(plan)?))
    }
}

impl AppConnections<'_> {
    /// The standing of each of these. What there is no record of at all is left out: records
    /// stay for good, so the database is not the one that they were in.
    pub async fn standings(&self, ids: &[AppConnectionId]) -> Result<Vec<Standing>, StoreError> {
        let mut standings = Vec::with_capacity(ids.len());
        for ids in ids.chunks(AT_ONCE) {
            let mut query = QueryBuilder::<Engine>::new(STANDINGS);
            let mut list = query.separated(", ");
            for id in ids {
                list.push_bind(id.as_str());
            }
            query.push(")");
            let rows = query.build().fetch_all(self.pools.read()).await?;
            for row in &rows {
                standings.push(standing(row)?);
            }
        }
        Ok(standings)
    }
}

fn standing(row: &Row) -> Result<Standing, StoreError> {
    const TABLE: &str = "app_connections";
    let owner = match optional_time(row, "ended_at")? {
        Some(_) => None,
        None => Some((
            optional_time(row, "suspended_at")?.is_some(),
            parse(row, TABLE, "plan", |text| text.parse().ok())?,
        )),
    };
    Ok(Standing {
        id: parse(row, TABLE, "id", |text| text.parse().ok())?,
        owner,
    })
}
