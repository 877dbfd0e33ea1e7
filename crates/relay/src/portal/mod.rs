//! The portal: an app sends a person here, who gives it access to a printer or does not.

mod codes;
mod exchange;
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
use latchkey_model::app_connection::{AccessMode, NewAppConnection};
use latchkey_model::chance::{Chance, letters};
use latchkey_model::clock::Clock;
use latchkey_model::id::{AccountId, SessionId};
use latchkey_model::portal::{Completion, Given, PortalRequest, Refused, RequestError, TargetKind};
use latchkey_model::printer::Printer;
use latchkey_store::{RelayStore, StoreError};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::apps;
use crate::config::{Config, UnregisteredApps};
use crate::life::Life;
use crate::mail::{Letter, Mail};
use crate::state::State;
use codes::Codes;
use keys::{KeyWish, Keys};
use outcomes::{Making, Outcomes, Terms};

pub(crate) use outcomes::{KeyOutcome, Outcome};

/// Where the portal begins.
pub(crate) const START: &str = "/appportal/v1";

/// The last page, for apps that name no other.
const COMPLETE: &str = "/appportal/v1/complete";

/// How often what is past is let go of.
const FORGET_EVERY: Duration = Duration::from_secs(15);

/// RFC 3986, unreserved: the rest of a name is encoded in an address.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

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

/// What a person decided.
#[derive(Debug)]
pub(crate) struct Decision<'a> {
    pub(crate) asked: Asked,
    pub(crate) account: &'a Account,
    pub(crate) session: &'a SessionId,
    pub(crate) printer: Printer,
    pub(crate) scope: KeyScope,
    pub(crate) with_key: bool,
    /// By what this form is known when it comes again.
    pub(crate) once: &'a str,
}

impl Decision<'_> {
    fn terms(&self) -> Terms {
        Terms {
            request: self.asked.request.to_query(),
            printer: self.printer.id.clone(),
            scope: self.scope,
            with_key: self.with_key,
        }
    }
}

/// Why nothing was given although somebody decided to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotGiven {
    /// The printer went away in between, or may no longer be used.
    #[error("the printer is not this account's to use any more")]
    PrinterGone,
    /// The form was sent before, and something else was said in it. Nothing of that is left.
    #[error("the form was sent before, with something else in it")]
    Changed,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Gives apps access, as people decide.
pub(crate) struct Portal {
    config: Arc<Config>,
    store: RelayStore,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    keys: Keys,
    mail: Mail,
    life: Life,
    outcomes: Outcomes,
    codes: Codes,
}

impl Portal {
    pub(crate) fn new(
        config: &Arc<Config>,
        store: &RelayStore,
        clock: &Arc<dyn Clock>,
        chance: &Arc<dyn Chance>,
        keys: Keys,
        mail: &Mail,
        life: &Life,
    ) -> Self {
        Self {
            config: Arc::clone(config),
            store: store.clone(),
            clock: Arc::clone(clock),
            chance: Arc::clone(chance),
            keys,
            mail: mail.clone(),
            life: life.clone(),
            outcomes: Outcomes::default(),
            codes: Codes::default(),
        }
    }

    /// Reads a request, and finds out who asks and whether the portal may lead back to them.
    pub(crate) async fn read(&self, query: &str) -> Result<Asked, NotAsked> {
        let request = PortalRequest::parse(query)?;
        let known = apps::look_up(&self.store, &request.app, request.key_name.as_ref()).await?;
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
        let may = match self.config.unregistered_apps {
            UnregisteredApps::Allow => true,
            UnregisteredApps::Loopback => kind == Some(TargetKind::Loopback),
            UnregisteredApps::Refuse => false,
        };
        may.then_some(()).ok_or(NotAsked::Unregistered)
    }

    /// Whether an account may have app connections; nothing if its plan is not defined, which is
    /// the operator's mistake.
    pub(crate) fn entitles(&self, account: &Account) -> Option<bool> {
        let plan = self.config.plans.find(&account.plan)?;
        Some(plan.app_connections)
    }

    /// A name for a form.
    pub(crate) fn name_form(&self) -> String {
        letters(&*self.chance, NAME_OF_FORM, LENGTH_OF_NAME)
    }

    /// Makes the app connection that somebody decided to give; one, however often the form of
    /// the decision arrives. If it says something else than before, none is left.
    pub(crate) async fn give(&self, decision: Decision<'_>) -> Result<Arc<Outcome>, NotGiven> {
        let Decision {
            account,
            session,
            once,
            ..
        } = decision;
        let now = self.clock.now();
        let terms = decision.terms();
        let making = self.outcomes.of(session, once, now, || {
            let wanted = self.wanted(&decision);
            let (connection, credentials) = wanted.generate(&*self.chance, &*self.clock);
            (terms.clone(), connection, credentials)
        });
        let Some(making) = making.filter(|making| making.terms == terms) else {
            self.take_back(&account.id, session, once).await?;
            return Err(NotGiven::Changed);
        };
        let made = making.outcome(self.make(&making, decision)).await;
        match made {
            Ok(outcome) if !making.is_void() => Ok(outcome),
            Ok(_) => Err(NotGiven::Changed),
            Err(error) => {
                // Whether any of it was kept is not known; nobody gets it.
                if let Err(failure) = self.take_back(&account.id, session, once).await {
                    tracing::error!(error = %failure, "what was made in vain could not be ended");
                }
                Err(error)
            }
        }
    }

    /// Takes back what was given by a form, or is being given at this moment, because somebody
    /// changed their mind; and lets nothing be given by it from now on.
    pub(crate) async fn take_back(
        &self,
        account: &AccountId,
        session: &SessionId,
        once: &str,
    ) -> Result<(), StoreError> {
        let Some(making) = self.outcomes.void(session, once, self.clock.now()) else {
            return Ok(());
        };
        making.void().await;
        let id = &making.connection.id;
        if self.life.revoke(account, id).await? {
            tracing::info!(app_connection.id = %id, "an app's access was taken back in the portal");
        }
        Ok(())
    }

    fn wanted(&self, decision: &Decision<'_>) -> NewAppConnection {
        let request = &decision.asked.request;
        let app_name = AppName::parse(decision.asked.name());
        let access = if request.hostname_only && self.config.allow_hostname_only {
            AccessMode::None
        } else {
            AccessMode::Enhanced
        };
        NewAppConnection {
            account: decision.account.id.clone(),
            printer: decision.printer.id.clone(),
            app: request.app.clone(),
            app_name: app_name.expect("an id or a name of an app is a name"),
            access,
            scope: decision.scope,
        }
    }

    async fn make(
        &self,
        making: &Making,
        decision: Decision<'_>,
    ) -> Result<Arc<Outcome>, NotGiven> {
        if making.is_void() {
            return Err(NotGiven::Changed);
        }
        self.keep(making).await?;
        // Whoever changed their mind meanwhile waits, to end it.
        if making.is_void() {
            return Err(NotGiven::Changed);
        }
        let connection = &making.connection;
        tracing::info!(
            app_connection.id = %connection.id,
            account.id = %decision.account.id,
            printer.id = %decision.printer.id,
            "an app was given access in the portal"
        );
        self.mail.tell(
            &decision.account.id,
            Letter::AppConnected {
                app: AppName::parse(decision.asked.name()).expect("a name of an app is a name"),
                printer: decision.printer.name.clone(),
            },
        );
        let (key, key_text) = self.key(making, &decision).await;
        let printer = &decision.printer;
        let local_ip = printer.local_address.as_deref().and_then(ip_of);
        let given = Given {
            id: &connection.id,
            url: &self
                .config
                .connection_url(making.credentials.label.expose()),
            printer_name: printer.name.as_str(),
            printer_page: &self.page_of(printer),
            local_ip: local_ip.as_deref(),
            key: key_text.as_deref().map(String::as_str),
        };
        let values = Completion::given(&given, &making.credentials);
        let request = &decision.asked.request;
        let completion = match &request.code {
            None => values,
            Some(wish) => {
                let (chance, now) = (&*self.chance, self.clock.now());
                let session = decision.session;
                let code = self
                    .codes
                    .issue(session, wish.challenge, values, chance, now);
                Completion::code(&code, wish.state.as_deref())
            }
        };
        Ok(Arc::new(Outcome {
            address: completion.address(&self.base(request)),
            asked: decision.asked,
            printer: decision.printer,
            key,
        }))
    }

    /// Keeps the new app connection, unless an earlier arrival of the same form did, whose
    /// sender did not wait for the end.
    async fn keep(&self, making: &Making) -> Result<(), NotGiven> {
        let app_connections = self.store.app_connections();
        match app_connections.insert(&making.connection).await {
            Ok(()) => Ok(()),
            Err(StoreError::Conflict) => {
                let label = making.credentials.label.hash();
                let found = app_connections.find_by_label_hash(&label).await?;
                let kept = found.is_some_and(|found| found.connection == making.connection);
                kept.then_some(()).ok_or(NotGiven::PrinterGone)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Without a key the rest goes on: what was asked for above all is the app connection.
    async fn key(
        &self,
        making: &Making,
        decision: &Decision<'_>,
    ) -> (KeyOutcome, Option<Zeroizing<String>>) {
        let Some(name) = &decision.asked.request.key_name else {
            return (KeyOutcome::NotAsked, None);
        };
        if !decision.with_key {
            return (KeyOutcome::Declined, None);
        }
        // A key at the host is its owner's, and goes further than one who only uses the printer.
        if decision.printer.account != decision.account.id {
            return (KeyOutcome::Failed, None);
        }
        let asked = self.keys.make_key(KeyWish {
            printer: &decision.printer,
            name,
            scope: decision.scope,
            connection: &making.connection.id,
        });
        let refusal = match tokio::time::timeout(keys::PATIENCE, asked).await {
            Ok(Ok(key)) => return (KeyOutcome::Made, Some(key)),
            Ok(Err(refusal)) => refusal.to_string(),
            Err(_) => "the printer's host did not answer in time".to_owned(),
        };
        tracing::warn!(
            app_connection.id = %making.connection.id,
            printer.id = %decision.printer.id,
            reason = refusal,
            "an app was given access without the key it asked for"
        );
        (KeyOutcome::Failed, None)
    }

    /// What came of a form, for its session and for a short while.
    pub(crate) fn outcome(&self, session: &SessionId, once: &str) -> Option<Arc<Outcome>> {
        self.outcomes.find(session, once, self.clock.now())
    }

    /// Lets go of what nobody may see any more.
    fn forget_past(&self) {
        let now = self.clock.now();
        self.outcomes.forget(now);
        self.codes.forget(now);
    }

    /// What a code stands for, for whoever proves that they asked for it.
    pub(crate) fn redeem(&self, code: &str, verifier: &str) -> Option<Arc<Completion>> {
        self.codes.take(code, verifier, self.clock.now())
    }

    /// The address that tells an app that it gets nothing.
    pub(crate) fn refusal(&self, request: &PortalRequest, why: Refused) -> Zeroizing<String> {
        Completion::refused(why, request.state()).address(&self.base(request))
    }

    fn base(&self, request: &PortalRequest) -> String {
        match &request.target {
            Some(target) => target.as_str().to_owned(),
            None => format!("{}{COMPLETE}", self.config.public_url),
        }
    }

    /// Where a person watches a printer: by its name, since apps build the address from that.
    fn page_of(&self, printer: &Printer) -> String {
        let name = utf8_percent_encode(printer.name.as_str(), SEGMENT);
        format!("{}/view/{name}", self.config.public_url)
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

/// The IP address in what a host says of where it is.
fn ip_of(text: &str) -> Option<String> {
    let ip = text.parse().ok();
    let ip = ip.or_else(|| Some(text.parse::<std::net::SocketAddr>().ok()?.ip()));
    ip.map(|ip: std::net::IpAddr| ip.to_string())
}
