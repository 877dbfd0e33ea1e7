//! `/admin/plans`: what accounts may do, and how many are on which plan.

use std::collections::BTreeMap;

use axum::Router;
use axum::routing::get;
use latchkey_model::plan::{Entitlements, PlanName};

use super::VERSION;
use crate::pages::views::{AdminPlans, Allowed, ListedPlan, Tab};
use crate::pages::visit::{Answered, Visit};
use crate::state::State;

pub(super) fn routes() -> Router<State> {
    Router::new().route("/admin/plans", get(show))
}

async fn show(visit: Visit) -> Answered {
    let account = visit.administrator()?;
    let counted = visit.state.store.accounts().count_by_plan().await;
    let counted = counted.map_err(|failure| visit.failed(&failure))?;
    let config = &visit.state.config;
    let mut plans: BTreeMap<&PlanName, (u64, Option<&Entitlements>)> = config
        .plans
        .iter()
        .map(|(name, allows)| (name, (0, Some(allows))))
        .collect();
    for (name, count) in &counted {
        plans.entry(name).or_default().0 = *count;
    }
    let plans = plans
        .into_iter()
        .map(|(name, (accounts, allows))| ListedPlan {
            name: name.to_string(),
            default: *name == config.default_plan,
            accounts,
            allows: allows.copied().map(Allowed),
        });
    let site = visit.site();
    let page = AdminPlans {
        shell: visit.viewer(account).bar(&site, Tab::Administration),
        site,
        version: VERSION,
        plans: plans.collect(),
    };
    Ok(visit.page(&page))
}
