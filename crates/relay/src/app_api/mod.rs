//! What an app may ask the relay about its app connection.
//!
//! Responsible for whom a token belongs to and what its holder is told. As at the edge, only
//! what is certain is final: apps delete their connection on 603 to 605, so every doubt is 600.

pub(crate) mod described;
pub(crate) mod http;
mod live;
mod token;
pub(crate) mod webhook;
mod wire;

use std::net::IpAddr;
use std::sync::Arc;

use latchkey_model::app_connection::Refusal;
use latchkey_model::clock::Clock;
use latchkey_model::id::AppConnectionId;
use latchkey_model::plan::{Entitlements, Plans};
use latchkey_model::relay_status::RelayStatus;
use latchkey_model::secret::AppToken;
use latchkey_store::relay::{FoundAppConnection, Holder};
use latchkey_store::{RelayStore, StoreError};

use self::wire::{GadgetStatus, Info};
use crate::activity::Activity;
use crate::audit::Audit;
use crate::config::PublicUrl;
use crate::guesses::Guesses;
use crate::issued::Issued;
use crate::live_links::LiveLinks;
use crate::pages::paths;
use crate::state::State;
use crate::tunnels::Tunnels;
use crate::webhooks::Webhooks;

/// Answers apps about their app connections.
#[derive(Clone)]
pub(crate) struct AppApi {
    shared: Arc<Shared>,
}

struct Shared {
    facts: Facts,
    issued: Issued,
    guesses: Guesses,
}

/// What is told comes from these.
struct Facts {
    public_url: PublicUrl,
    plans: Plans,
    store: RelayStore,
    tunnels: Tunnels,
    clock: Arc<dyn Clock>,
    webhooks: Webhooks,
    live_links: LiveLinks,
    activity: Activity,
    audit: Audit,
}

/// Whom a token belongs to, and what their plan allows.
struct Admission {
    id: AppConnectionId,
    app: String,
    holder: Holder,
    plan: Entitlements,
}

impl AppApi {
    pub(crate) fn new(state: &State) -> Self {
        Self::of(Facts {
            public_url: state.config.public_url.clone(),
            plans: state.config.plans.clone(),
            store: state.store.clone(),
            tunnels: state.tunnels.clone(),
            clock: Arc::clone(&state.clock),
            webhooks: state.webhooks.clone(),
            live_links: state.live_links.clone(),
            activity: state.activity.clone(),
            audit: state.audit.clone(),
        })
    }

    fn of(facts: Facts) -> Self {
        let guesses = Guesses::new(Arc::clone(&facts.clock));
        let issued = Issued::new(Arc::clone(&facts.clock));
        Self {
            shared: Arc::new(Shared {
                facts,
                issued,
                guesses,
            }),
        }
    }

    /// What the holder of this token is told about the app connection. A printer that is not
    /// connected is a fact like others, and no error.
    async fn info(&self, token: &str) -> Result<Info, RelayStatus> {
        let Admission { holder, plan, .. } = self.admit(token).await?;
        let facts = &self.shared.facts;
        let printer = facts.store.printers().find(&holder.printer).await;
        let printer = printer.map_err(|error| doubt(&error))?;
        // It was there a moment ago, and may have been removed since; the next call knows.
        let printer = printer.ok_or(RelayStatus::Unknown)?;
        let host = holder.host.as_ref();
        let is_online = host.is_some_and(|host| facts.tunnels.find(host).is_some());
        let page = paths::page_of(&self.shared.facts.public_url, &printer.name);
        Ok(Info::new(&printer, is_online, page, &plan))
    }

    /// What watches the print says to the holder of this token.
    async fn gadget_status(&self, token: &str) -> Result<GadgetStatus, RelayStatus> {
        self.admit(token).await?;
        Ok(GadgetStatus::DISABLED)
    }

    /// Waits before a refusal that may be a guess, if there were many from this address. What is
    /// answered never changes, and a right token never waits: behind one address there may be a
    /// whole household.
    async fn slow_down(&self, status: RelayStatus, address: IpAddr) {
        self.shared.guesses.slow_down(status, address).await;
    }

    async fn admit(&self, token: &str) -> Result<Admission, RelayStatus> {
        let Some(found) = self.find(token).await? else {
            self.check_issued().await?;
            return Err(RelayStatus::NotFound);
        };
        let plans = &self.shared.facts.plans;
        let standing = found
            .owner_standing(|plan| plans.find(plan).map(|rights| rights.app_connections))
            .ok_or_else(unknown_plan)?;
        let admitted = found.connection.admit_app_token(standing);
        let live = admitted.map_err(Refusal::status)?;
        let app = live.app_name.as_str().to_owned();
        let holder = found.holder.ok_or(RelayStatus::Unknown)?;
        let plan = *plans.find(&holder.plan).ok_or_else(unknown_plan)?;
        Ok(Admission {
            id: found.connection.id,
            app,
            holder,
            plan,
        })
    }

    async fn find(&self, token: &str) -> Result<Option<FoundAppConnection>, RelayStatus> {
        // Not a token of ours: there is nothing to look for.
        let Ok(token) = AppToken::parse(token) else {
            return Ok(None);
        };
        let store = self.shared.facts.store.app_connections();
        let found = store.find_by_app_token_hash(&token.hash()).await;
        found.map_err(|error| doubt(&error))
    }

    /// Tells whether an unknown token is certainly nobody's.
    async fn check_issued(&self) -> Result<(), RelayStatus> {
        let checked = self.shared.issued.check(&self.shared.facts.store).await;
        if checked.map_err(|error| doubt(&error))? {
            return Ok(());
        }
        Err(RelayStatus::Unknown)
    }
}

fn doubt(error: &StoreError) -> RelayStatus {
    tracing::error!(%error, "cannot look up an app connection for the App API");
    RelayStatus::Unknown
}

/// The account's plan was taken out of the configuration. That is the operator's slip;
/// nobody's app connection may end over it.
fn unknown_plan() -> RelayStatus {
    tracing::error!("an account's plan is not in the configuration");
    RelayStatus::Unknown
}

#[cfg(test)]
mod tests;
