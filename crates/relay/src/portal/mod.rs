//! The portal: an app sends a person here, who gives it access to a printer or does not.

mod codes;
pub(crate) mod exchange;
mod give;
pub(crate) mod http;
pub(crate) mod keys;
mod outcomes;
mod pages;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use latchkey_model::access::KeyScope;
use latchkey_model::account::Account;
use latchkey_model::app::{AppName, RegisteredApp};
use latchkey_model::chance::{Chance, letters};
use latchkey_model::clock::Clock;
use latchkey_model::id::SessionId;
use latchkey_model::portal::{Completion, PortalRequest, Refused, RequestError, TargetKind};
use latchkey_model::printer::Printer;
use latchkey_store::{RelayStore, StoreError};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::activity::Activity;
use crate::apps;
use crate::audit::Audit;
use crate::config::{Config, UnregisteredApps};
use crate::life::Life;
use crate::notices::Notices;
use crate::state::State;
use codes::Codes;
use keys::Keys;
use outcomes::Outcomes;

pub(crate) use give::{Decision, NotGiven};
pub(crate) use outcomes::{KeyOutcome, Outcome};

/// Where the portal begins.
pub(crate) const START: &str = "/appportal/v1";

/// The last page, for apps that name no other.
const COMPLETE: &str = "/appportal/v1/complete";

/// How often what is past is let go of.
const FORGET_EVERY: Duration = Duration::from_secs(15);

/// Letters and digits that name a form: 22 have 130 bits.
const NAME_OF_FORM: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const LENGTH_OF_NAME: usize = 22;

/// A request that may be put to a person, with what is known of the app.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) request: PortalRequest,
    pub(crate) registered: Option<RegisteredApp>,
    /// The registered app that it could be taken for, and is not.
    pub(crate) imitates: Option<AppName>,
}

impl Asked {
    /// What people are told the app is called.
    pub(crate) fn name(&self) -> &str {
        match &self.registered {
            Some(app) => app.name.as_str(),
            None => self.request.app.as_str(),
        }
    }

    /// Whether the operator vouches for it.
    pub(crate) fn is_verified(&self) -> bool {
        self.registered
            .as_ref()
            .is_some_and(RegisteredApp::is_brand)
    }

    /// A page of the portal that goes on with this request.
    pub(crate) fn path(&self, page: &str) -> String {
        format!("{START}{page}?{}", self.request.to_query())
    }
}

/// Why a request is not put to anybody.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotAsked {
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The app is registered, and not for this return address.
    #[error("the return address is none of the app's")]
    OtherTarget,
    /// The operator lets registered apps ask only, or besides them programs of one's own device.
    #[error("this relay does not know the app")]
    Unregistered,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Gives apps access, as people decide.
pub(crate) struct Portal {
    parts: Parts,
    outcomes: Outcomes,
    codes: Codes,
}

/// What a [`Portal`] works with.
pub(crate) struct Parts {
    pub(crate) config: Arc<Config>,
    pub(crate) store: RelayStore,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) chance: Arc<dyn Chance>,
    pub(crate) keys: Keys,
    pub(crate) notices: Notices,
    pub(crate) life: Life,
    pub(crate) activity: Activity,
    pub(crate) audit: Audit,
}

impl Portal {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            parts,
            outcomes: Outcomes::default(),
            codes: Codes::default(),
        }
    }

    /// Reads a request, and finds out who asks and whether the portal may lead back to them.
    pub(crate) async fn read(&self, query: &str) -> Result<Asked, NotAsked> {
        let request = PortalRequest::parse(query)?;
        let known =
            apps::look_up(&self.parts.store, &request.app, request.key_name.as_ref()).await?;
        match &known.registered {
            Some(app) => {
                let allowed = request
                    .target
                    .as_ref()
                    .is_none_or(|target| app.allows(target));
                allowed.then_some(()).ok_or(NotAsked::OtherTarget)?;
            }
            None => self.lets_in(&request)?,
        }
        Ok(Asked {
            request,
            registered: known.registered,
            imitates: known.imitates,
        })
    }

    fn lets_in(&self, request: &PortalRequest) -> Result<(), NotAsked> {
        let kind = request
            .target
            .as_ref()
            .map(latchkey_model::portal::ReturnTarget::kind);
        let may = match self.parts.config.unregistered_apps {
            UnregisteredApps::Allow => true,
            UnregisteredApps::Loopback => kind == Some(TargetKind::Loopback),
            UnregisteredApps::Refuse => false,
        };
        may.then_some(()).ok_or(NotAsked::Unregistered)
    }

    /// Whether an account may have app connections; nothing if its plan is not defined, which is
    /// the operator's mistake.
    pub(crate) fn entitles(&self, account: &Account) -> Option<bool> {
        let plan = self.parts.config.plans.find(&account.plan)?;
        Some(plan.app_connections)
    }

    /// How far somebody goes at a printer, and so how far an app of theirs may go. At one that is no
    /// longer theirs to use, no further than looking.
    pub(crate) async fn level(
        &self,
        account: &Account,
        printer: &Printer,
    ) -> Result<KeyScope, StoreError> {
        let members = self.parts.store.members();
        let used = members.find_used(&account.id, &printer.id).await?;
        Ok(used.map_or(KeyScope::View, |used| used.level))
    }

    /// How many app connections an account may have allowed, if that is limited.
    fn most(&self, account: &Account) -> Option<u64> {
        self.parts
            .config
            .plans
            .find(&account.plan)?
            .max_app_connections
    }

    /// Whether an account may have one more app connection.
    pub(crate) async fn has_room(&self, account: &Account) -> Result<bool, StoreError> {
        let Some(most) = self.most(account) else {
            return Ok(true);
        };
        let live = self.parts.store.app_connections();
        Ok(live.count_of(&account.id).await? < most)
    }

    /// A name for a form.
    pub(crate) fn name_form(&self) -> String {
        letters(&*self.parts.chance, NAME_OF_FORM, LENGTH_OF_NAME)
    }

    /// What came of a form, for its session and for a short while.
    pub(crate) fn outcome(&self, session: &SessionId, once: &str) -> Option<Arc<Outcome>> {
        self.outcomes.find(session, once, self.parts.clock.now())
    }

    /// Lets go of what nobody may see any more.
    fn forget_past(&self) {
        let now = self.parts.clock.now();
        self.outcomes.forget(now);
        self.codes.forget(now);
    }

    /// What a code stands for, for whoever proves that they asked for it.
    pub(crate) fn redeem(&self, code: &str, verifier: &str) -> Option<Arc<Completion>> {
        self.codes.take(code, verifier, self.parts.clock.now())
    }

    /// The address that tells an app that it gets nothing.
    pub(crate) fn refusal(&self, request: &PortalRequest, why: Refused) -> Zeroizing<String> {
        Completion::refused(why, request.state()).address(&self.base(request))
    }

    fn base(&self, request: &PortalRequest) -> String {
        match &request.target {
            Some(target) => target.as_str().to_owned(),
            None => format!("{}{COMPLETE}", self.parts.config.public_url),
        }
    }
}

/// Keeps what was handed over no longer in memory than somebody may ask for it, also when nobody
/// comes any more.
pub(crate) async fn forget(state: State, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(FORGET_EVERY) => state.portal.forget_past(),
        }
    }
}

/// Whether a text has the shape of a form's name.
fn names_form(text: &str) -> bool {
    text.len() == LENGTH_OF_NAME && text.bytes().all(|b| NAME_OF_FORM.contains(&b))
}
