//! Webhooks: apps are told what happens to a printer, at an address that they name.
//!
//! Responsible for what an app may ask about its webhook, and for telling: in order, at least
//! once, one call at a time for each webhook. What was told is kept, so that a relay that was
//! stopped or killed goes on where it was.

mod delivery;
#[cfg(test)]
mod tests;
mod wire;
mod work;

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use latchkey_model::app_connection::OwnerStanding;
use latchkey_model::chance::Chance;
use latchkey_model::clock::{Clock, Timestamp};
use latchkey_model::id::{AccountId, AppConnectionId, PrinterId};
use latchkey_model::plan::Plans;
use latchkey_model::printer::PrinterName;
use latchkey_model::sealed::{MasterKey, Vault};
use latchkey_model::secret::WebhookSecret;
use latchkey_model::webhook::EventFilter;
use latchkey_net::egress::{Egress, EgressError, Named, UrlError};
use latchkey_store::relay::{NewWebhook, Webhook};
use latchkey_store::{RelayStore, StoreError};
use latchkey_web::limits::{Limits, TooMany, Window};
use tokio::sync::Notify;

use self::wire::{About, Call};
use crate::audit::{Act, Actor, Audit, Entry};
use crate::config::PublicUrl;
use crate::events::Events;
use crate::life::Life;
use crate::pages::paths;
use crate::snapshots::{Snapshots, before};

/// How long a webhook lives after it was last set.
pub(crate) const LIFE: Duration = Duration::from_hours(180 * 24);

/// How long a receiver may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// So many events in a row given up, and the webhook is off.
pub(crate) const MOST_FAILURES: u32 = 10;

/// How often an app may have its webhook tested.
const TESTS: [Window; 1] = [Window::new(10, Duration::from_mins(1))];

/// How long is waited between tries, and for what nobody says.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// After the first failure, the second, and so on; then the event is given up.
    again: [Duration; 4],
    /// After something of our own failed.
    doubt: Duration,
    /// Between looks at what is due.
    look: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            again: [
                Duration::from_secs(10),
                Duration::from_secs(30),
                Duration::from_mins(2),
                Duration::from_mins(7),
            ],
            doubt: Duration::from_secs(30),
            look: Duration::from_secs(5),
        }
    }
}

/// How often an app may set or delete its webhook.
const CHANGES: [Window; 1] = [Window::new(10, Duration::from_mins(1))];

/// What [`Webhooks`] work with.
pub(crate) struct Making<'a> {
    pub(crate) public_url: &'a PublicUrl,
    pub(crate) plans: &'a Plans,
    pub(crate) store: &'a RelayStore,
    pub(crate) clock: &'a Arc<dyn Clock>,
    pub(crate) chance: &'a Arc<dyn Chance>,
    pub(crate) key: &'a MasterKey,
    pub(crate) life: &'a Life,
    pub(crate) events: &'a Events,
    pub(crate) audit: &'a Audit,
    pub(crate) snapshots: &'a Snapshots,
    pub(crate) egress: Egress,
}

/// The webhooks. Clones share them.
#[derive(Clone)]
pub(crate) struct Webhooks {
    shared: Arc<Shared>,
    pace: Pace,
}

struct Shared {
    public_url: PublicUrl,
    plans: Plans,
    store: RelayStore,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    vault: Vault,
    life: Life,
    events: Events,
    audit: Audit,
    snapshots: Snapshots,
    egress: Egress,
    tests: Limits<AppConnectionId>,
    changes: Limits<AppConnectionId>,
    wake: Notify,
}

/// What a call ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Status(StatusCode),
    None(EgressError),
}

impl Answer {
    /// The contract wants this one.
    fn is_good(self) -> bool {
        self == Self::Status(StatusCode::OK)
    }

    /// As it is kept and logged: a status, or a word.
    fn word(self) -> String {
        match self {
            Self::Status(status) => status.as_u16().to_string(),
            Self::None(error) => error.as_str().to_owned(),
        }
    }

    /// Reads [`Self::word`].
    pub(crate) fn parse(word: &str) -> Option<Self> {
        if let Ok(status) = word.parse() {
            return Some(Self::Status(status));
        }
        let known = EgressError::ALL.into_iter();
        let mut known = known.filter(|error| error.as_str() == word);
        known.next().map(Self::None)
    }
}

/// Whose webhook it is about.
#[derive(Debug, Clone)]
pub(crate) struct Whose {
    pub(crate) app_connection: AppConnectionId,
    pub(crate) account: AccountId,
    pub(crate) printer: PrinterId,
    pub(crate) printer_name: PrinterName,
}

/// A webhook that was just set.
#[derive(Debug)]
pub(crate) struct Set {
    /// What its calls are known by.
    pub(crate) secret: WebhookSecret,
    /// Until when it lives.
    pub(crate) until: Timestamp,
}

/// Why a webhook was not set, deleted or tested.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WebhookError {
    #[error("{0}")]
    Url(#[from] UrlError),
    #[error("there is no webhook")]
    None,
    #[error("there were too many calls")]
    TooMany(TooMany),
    /// The app connection ended in this moment.
    #[error("the app connection has ended")]
    Ended,
    #[error("what is kept of the webhook cannot be read")]
    Sealed,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Webhooks {
    pub(crate) fn new(making: Making<'_>) -> Self {
        let shared = Shared {
            public_url: making.public_url.clone(),
            plans: making.plans.clone(),
            store: making.store.clone(),
            clock: Arc::clone(making.clock),
            chance: Arc::clone(making.chance),
            vault: making.key.vault("latchkey relay webhooks 1"),
            life: making.life.clone(),
            events: making.events.clone(),
            audit: making.audit.clone(),
            snapshots: making.snapshots.clone(),
            egress: making.egress,
            tests: Limits::new(&TESTS),
            changes: Limits::new(&CHANGES),
            wake: Notify::new(),
        };
        Self {
            shared: Arc::new(shared),
            pace: Pace::default(),
        }
    }

    /// Sets the one webhook of an app connection. At the same address its secret stays the same;
    /// another address gets another one, for the former receiver knows the old one.
    pub(crate) async fn set(
        &self,
        whose: &Whose,
        url: &str,
        filter: EventFilter,
    ) -> Result<Set, WebhookError> {
        let url = self.shared.egress.read(url)?;
        let (id, now) = (&whose.app_connection, self.shared.clock.now());
        let counted = self.shared.changes.count(id, now);
        counted.map_err(WebhookError::TooMany)?;
        let store = self.shared.store.webhooks();
        let former = store.find(id).await?;
        let kept = former.as_ref().and_then(|former| self.open(former).ok());
        let known = kept.filter(|(known, _)| *known == url);
        // Whoever sets the same again only lets it live longer.
        let is_same = known.is_some()
            && former.is_some_and(|former| {
                former.filter == filter && former.disabled.is_none() && self.lives(&former)
            });
        let secret = match known {
            Some((_, secret)) => secret,
            None => WebhookSecret::generate(&*self.shared.chance),
        };
        let (vault, chance) = (&self.shared.vault, &*self.shared.chance);
        let sealed = vault.seal(url.as_str().as_bytes(), id.as_str(), chance);
        let sealed_secret = vault.seal(secret.expose().as_bytes(), &row_of_secret(id), chance);
        let new = NewWebhook {
            url: &sealed,
            secret: &sealed_secret,
            filter,
            at: now,
            over: before(now, LIFE),
        };
        if !store.set(id, &new).await? {
            return Err(WebhookError::Ended);
        }
        if !is_same {
            self.note(whose, Act::WebhookSet).await;
        }
        self.shared.wake.notify_one();
        let until = now.plus(LIFE);
        Ok(Set { secret, until })
    }

    /// Deletes the webhook of an app connection. Nothing is wrong if there was none.
    pub(crate) async fn delete(&self, whose: &Whose) -> Result<(), WebhookError> {
        let (id, now) = (&whose.app_connection, self.shared.clock.now());
        let counted = self.shared.changes.count(id, now);
        counted.map_err(WebhookError::TooMany)?;
        if self.shared.store.webhooks().delete(id).await? {
            self.note(whose, Act::WebhookDeleted).await;
        }
        Ok(())
    }

    /// Calls the webhook with a test, whatever its filter, and whether or not it is off.
    pub(crate) async fn test(&self, whose: &Whose) -> Result<Answer, WebhookError> {
        let id = &whose.app_connection;
        let now = self.shared.clock.now();
        let hold = self.shared.life.endings().hold(id.clone());
        let found = self.shared.store.webhooks().find(id).await?;
        let webhook = found.filter(|webhook| self.lives(webhook));
        let webhook = webhook.ok_or(WebhookError::None)?;
        let counted = self.shared.tests.count(id, now);
        counted.map_err(WebhookError::TooMany)?;
        let opened = self.open(&webhook);
        let (url, secret) = opened.map_err(|_| WebhookError::Sealed)?;
        let page = paths::page_of(&self.shared.public_url, &whose.printer_name);
        let call = Call::test(About {
            printer_id: whose.printer.as_str(),
            printer_name: whose.printer_name.as_str(),
            secret_key: secret.expose(),
            page: &page,
        });
        tokio::select! {
            biased;
            () = hold.until_ended() => Err(WebhookError::Ended),
            answer = self.call(&url, &call) => Ok(answer),
        }
    }

    /// The host that a webhook is called at, for people: the rest of its address may be secret.
    pub(crate) fn receiver(&self, webhook: &Webhook) -> String {
        let opened = self.open(webhook).ok();
        let host = opened.and_then(|(url, _)| url.host_str().map(ToOwned::to_owned));
        host.unwrap_or_default()
    }

    /// Whether a webhook was set lately enough.
    pub(crate) fn lives(&self, webhook: &Webhook) -> bool {
        webhook.set > before(self.shared.clock.now(), LIFE)
    }

    /// Forgets what is over.
    pub(crate) async fn prune(&self) -> Result<(), StoreError> {
        let over = before(self.shared.clock.now(), LIFE);
        self.shared.store.webhooks().prune(over).await?;
        Ok(())
    }

    async fn call(&self, url: &Named, call: &Call<'_>) -> Answer {
        let body = serde_json::to_vec(call).expect("calls are plain data");
        let called = self.shared.egress.post_json(url, body.into(), PATIENCE);
        called.await.map_or_else(Answer::None, Answer::Status)
    }

    /// A webhook's address and secret.
    fn open(&self, webhook: &Webhook) -> Result<(Named, WebhookSecret), Unreadable> {
        let (vault, id) = (&self.shared.vault, &webhook.app_connection);
        let text = |sealed: &[u8], row: &str| {
            let opened = vault.open(sealed, row).map_err(|_| Unreadable)?;
            String::from_utf8(opened.to_vec()).map_err(|_| Unreadable)
        };
        let url = text(&webhook.url, id.as_str())?;
        let secret = text(&webhook.secret, &row_of_secret(id))?;
        let url = Named::parse(&url).ok_or(Unreadable)?;
        let secret = WebhookSecret::parse(&secret).map_err(|_| Unreadable)?;
        Ok((url, secret))
    }

    /// Whether the app connection's people may use it now; nothing if that is in doubt.
    async fn is_entitled(&self, id: &AppConnectionId) -> Result<Option<bool>, StoreError> {
        let store = self.shared.store.app_connections();
        let standings = store.standings(std::slice::from_ref(id)).await?;
        let plans = &self.shared.plans;
        let standing = standings.first().and_then(|standing| {
            standing.owner(|plan| plans.find(plan).map(|rights| rights.app_connections))
        });
        Ok(standing.map(|standing| standing == OwnerStanding::Entitled))
    }

    async fn note(&self, whose: &Whose, act: Act) {
        let entry = Entry {
            actor: match act {
                Act::WebhookOff => Actor::Relay,
                _ => Actor::App,
            },
            act,
            account: Some(whose.account.clone()),
            printer: Some(whose.printer.clone()),
            detail: whose.app_connection.to_string(),
            address: None,
        };
        self.shared.audit.note(entry).await;
    }

    /// Waits for nothing.
    #[cfg(test)]
    fn hurried(mut self) -> Self {
        self.pace = Pace {
            again: [Duration::ZERO; 4],
            doubt: Duration::from_millis(20),
            look: Duration::from_millis(20),
        };
        self
    }
}

/// What is kept cannot be read: the key file was changed.
#[derive(Debug, Clone, Copy)]
struct Unreadable;

fn row_of_secret(id: &AppConnectionId) -> String {
    format!("{id} secret")
}
