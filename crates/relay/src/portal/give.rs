//! What is given by a form: one app connection, or after a change of mind none.

use std::net::IpAddr;
use std::sync::Arc;

use latchkey_model::access::KeyScope;
use latchkey_model::account::Account;
use latchkey_model::account_notice::NoticeKind;
use latchkey_model::activity::Did;
use latchkey_model::app::AppName;
use latchkey_model::app_connection::{AccessMode, NewAppConnection};
use latchkey_model::id::{AccountId, AppConnectionId, SessionId};
use latchkey_model::portal::{Completion, Given};
use latchkey_model::printer::Printer;
use latchkey_store::StoreError;
use zeroize::Zeroizing;

use super::keys::{self, KeyWish};
use super::outcomes::{KeyOutcome, Making, Outcome, Terms};
use super::{Asked, Portal};
use crate::activity::Person;
use crate::audit::{Act, Actor, Entry};
use crate::mail::Letter;
use crate::pages::paths;

/// What a person decided.
#[derive(Debug)]
pub(crate) struct Decision<'a> {
    pub(crate) asked: Asked,
    pub(crate) account: &'a Account,
    pub(crate) session: &'a SessionId,
    pub(crate) printer: Printer,
    pub(crate) scope: KeyScope,
    pub(crate) with_key: bool,
    /// From where.
    pub(crate) address: IpAddr,
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
    /// The account has as many app connections as its plan allows.
    #[error("the account has all app connections that its plan allows")]
    Full,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Portal {
    /// Makes the app connection that somebody decided to give; one, however often the form of
    /// the decision arrives. If it says something else than before, none is left.
    pub(crate) async fn give(&self, decision: Decision<'_>) -> Result<Arc<Outcome>, NotGiven> {
        let Decision {
            account,
            session,
            once,
            ..
        } = decision;
        let now = self.parts.clock.now();
        let terms = decision.terms();
        let making = self.outcomes.of(session, once, now, || {
            let wanted = self.wanted(&decision);
            let (connection, credentials) =
                wanted.generate(&*self.parts.chance, &*self.parts.clock);
            (terms.clone(), connection, credentials)
        });
        let Some(making) = making.filter(|making| making.terms == terms) else {
            self.take_back(&account.id, session, once).await?;
            return Err(NotGiven::Changed);
        };
        let made = making.outcome(Box::pin(self.make(&making, decision))).await;
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
        let Some(making) = self.outcomes.void(session, once, self.parts.clock.now()) else {
            return Ok(());
        };
        making.void().await;
        let id = &making.connection.id;
        if self.parts.life.revoke(account, id).await? {
            tracing::info!(app_connection.id = %id, "an app's access was taken back in the portal");
            let live = making.connection.live();
            let entry = Entry {
                account: live.map(|live| live.account.clone()),
                printer: live.map(|live| live.printer.clone()),
                detail: id.to_string(),
                ..Entry::new(Actor::Account(account.clone()), Act::AppConnectionRevoked)
            };
            self.parts.audit.note(entry).await;
        }
        Ok(())
    }

    fn wanted(&self, decision: &Decision<'_>) -> NewAppConnection {
        let request = &decision.asked.request;
        let app_name = AppName::parse(decision.asked.name());
        let access = if request.hostname_only && self.parts.config.allow_hostname_only {
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
        self.keep(making, decision.account).await?;
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
        let person = Person {
            printer: &decision.printer.id,
            account: &decision.account.id,
            app: Some((&connection.id, decision.asked.name())),
        };
        self.parts.activity.by_person(Did::Allowed, person);
        self.note(Act::AppConnectionMade, &connection.id, &decision)
            .await;
        let letter = Letter::AppConnected {
            app: AppName::parse(decision.asked.name()).expect("a name of an app is a name"),
            printer: decision.printer.name.clone(),
        };
        let (account, notices) = (&decision.account.id, &self.parts.notices);
        notices.tell(account, letter, None).await;
        let (key, key_text) = self.key(making, &decision).await;
        if key == KeyOutcome::Made {
            let detail = format!("{}, {}", decision.asked.name(), decision.printer.name);
            let kind = NoticeKind::AppKeyMade;
            notices.note(account, kind, detail, None).await;
        }
        let printer = &decision.printer;
        let local_ip = printer.local_address.as_deref().and_then(ip_of);
        let given = Given {
            id: &connection.id,
            url: &self
                .parts
                .config
                .connection_url(making.credentials.label.expose()),
            printer_name: printer.name.as_str(),
            printer_page: &paths::page_of(&self.parts.config.public_url, &printer.name),
            local_ip: local_ip.as_deref(),
            key: key_text.as_deref().map(String::as_str),
        };
        let values = Completion::given(&given, &making.credentials);
        let request = &decision.asked.request;
        let completion = match &request.code {
            None => values,
            Some(wish) => {
                let (chance, now) = (&*self.parts.chance, self.parts.clock.now());
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

    async fn note(&self, act: Act, id: &AppConnectionId, decision: &Decision<'_>) {
        let (account, printer) = (&decision.account.id, &decision.printer.id);
        let entry = Entry {
            account: Some(account.clone()),
            printer: Some(printer.clone()),
            detail: format!("{id}, {}", decision.asked.name()),
            address: Some(decision.address),
            ..Entry::new(Actor::Account(account.clone()), act)
        };
        self.parts.audit.note(entry).await;
    }

    /// Keeps the new app connection, unless an earlier arrival of the same form did, whose
    /// sender did not wait for the end.
    async fn keep(&self, making: &Making, account: &Account) -> Result<(), NotGiven> {
        let app_connections = self.parts.store.app_connections();
        let most = self.most(account).unwrap_or(u64::MAX);
        let inserted = app_connections.insert_within(&making.connection, most);
        let refused = match inserted.await {
            Ok(true) => return Ok(()),
            Ok(false) => NotGiven::Full,
            Err(StoreError::Conflict) => NotGiven::PrinterGone,
            Err(error) => return Err(error.into()),
        };
        let label = making.credentials.label.hash();
        let found = app_connections.find_by_label_hash(&label).await?;
        let kept = found.is_some_and(|found| found.connection == making.connection);
        kept.then_some(()).ok_or(refused)
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
        let asked = self.parts.keys.make_key(KeyWish {
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
}

/// The IP address in what a host says of where it is.
fn ip_of(text: &str) -> Option<String> {
    let ip = text.parse().ok();
    let ip = ip.or_else(|| Some(text.parse::<std::net::SocketAddr>().ok()?.ip()));
    ip.map(|ip: IpAddr| ip.to_string())
}
