//! People's own access: a printer's whole web interface in the browser of somebody who may use the
//! printer, at a hostname that is theirs alone.
//!
//! The web origin shows a page with a code in a form (`http.rs`); the form goes to the hostname,
//! where the edge takes the code for a cookie (`edge/own.rs`). The cookie is part of the session:
//! whatever ends that, or the person's use of the printer, ends it, and `watch.rs` cuts what is open.

mod codes;
pub(crate) mod cookie;
pub(crate) mod http;
#[cfg(test)]
mod tests;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use ::http::HeaderValue;
use latchkey_model::access::KeyScope;
use latchkey_model::chance::Chance;
use latchkey_model::clock::{Clock, Timestamp};
use latchkey_model::id::{AccountId, HostId, PrinterId, SessionId};
use latchkey_model::own_access::OwnLabel;
use latchkey_model::plan::PlanName;
use latchkey_model::sealed::MasterKey;
use latchkey_model::secret::{OwnCode, OwnCookie};
use latchkey_net::proxy::endings;
use latchkey_store::{RelayStore, StoreError};
use tokio::sync::Notify;

use self::codes::Codes;
use self::cookie::Cookies;
use crate::config::Config;

/// Where the form of the page goes, at the hostname.
pub(crate) const ENTER: &str = "/latchkey/enter";

/// How often a session's last use is written.
const TOUCH_EVERY: Duration = Duration::from_mins(1);

/// In whose name something is open: another level is another right.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Way {
    pub(crate) session: SessionId,
    pub(crate) label: OwnLabel,
    pub(crate) level: KeyScope,
}

/// Somebody who was let in at a hostname of theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LetIn {
    pub(crate) way: Way,
    pub(crate) printer: PrinterId,
    pub(crate) host: Option<HostId>,
    /// The printer's owner, against whose plan it counts.
    pub(crate) owner: AccountId,
    pub(crate) plan: PlanName,
}

/// Why nobody was let in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outside {
    /// They have to come from the web origin, as everybody who is not signed in.
    NotSignedIn,
    /// The same, of somebody whose cookie stands for nothing any more.
    SignedOut,
    /// They had access, and this hostname leads nowhere for good.
    Over,
}

/// What a page needs to lead somebody to their printer.
#[derive(Debug)]
pub(crate) struct Handover {
    pub(crate) label: OwnLabel,
    pub(crate) code: OwnCode,
}

/// Own access at a relay. Clones share everything.
#[derive(Clone)]
pub(crate) struct OwnAccess(Arc<Parts>);

struct Parts {
    config: Arc<Config>,
    store: RelayStore,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    codes: Codes,
    cookies: Cookies,
    endings: endings::Endings<Way>,
}

impl OwnAccess {
    pub(crate) fn new(
        config: &Arc<Config>,
        store: &RelayStore,
        clock: &Arc<dyn Clock>,
        chance: &Arc<dyn Chance>,
        key: &MasterKey,
    ) -> Self {
        let secure = config.public_url.scheme().is_secure();
        Self(Arc::new(Parts {
            config: Arc::clone(config),
            store: store.clone(),
            clock: Arc::clone(clock),
            chance: Arc::clone(chance),
            codes: Codes::default(),
            cookies: Cookies::new(key.signing("relay own access"), secure),
            endings: endings::Endings::default(),
        }))
    }

    /// Begins the way of a signed-in person to a printer. Nothing if it leads nowhere: they may not
    /// use it, or nobody may.
    pub(crate) async fn begin(
        &self,
        session: &SessionId,
        account: &AccountId,
        printer: &PrinterId,
    ) -> Result<Option<Handover>, StoreError> {
        let now = self.0.clock.now();
        let fresh = OwnLabel::generate(&*self.0.chance);
        let store = self.0.store.own_access();
        let Some(label) = store.label_of(account, printer, &fresh, now).await? else {
            return Ok(None);
        };
        let code = self.0.codes.issue(session, &label, &*self.0.chance, now);
        Ok(Some(Handover { label, code }))
    }

    /// Takes a code at the hostname it was made for. Gives the cookie to set; nothing if the code is
    /// none, was used, is too old or another hostname's, or if its session ended.
    pub(crate) async fn enter(
        &self,
        label: &OwnLabel,
        code: &str,
    ) -> Result<Option<HeaderValue>, StoreError> {
        let now = self.0.clock.now();
        let Some(session) = self.0.codes.take(code, label, now) else {
            return Ok(None);
        };
        let cookie = OwnCookie::generate(&*self.0.chance);
        let store = self.0.store.own_access();
        let opened = store.open(&session, label, &cookie.hash(), now).await?;
        if !opened {
            return Ok(None);
        }
        let found = store.find(label, &cookie.hash()).await?;
        if let Some(found) = found {
            tracing::info!(
                account.id = %found.account,
                printer.id = %found.printer,
                "somebody opened a printer"
            );
        }
        Ok(Some(self.0.cookies.set(label, &cookie)))
    }

    /// Decides by what is stored, for each request.
    pub(crate) async fn admit(
        &self,
        label: &OwnLabel,
        headers: &::http::HeaderMap,
    ) -> Result<Result<LetIn, Outside>, StoreError> {
        // Without a cookie that was really given for this hostname there is nothing to look up: who
        // only knows, or guesses, a name learns nothing of it.
        let Some(hash) = self.0.cookies.read(headers, label) else {
            return Ok(Err(Outside::NotSignedIn));
        };
        let Some(found) = self.0.store.own_access().find(label, &hash).await? else {
            return Ok(Err(Outside::Over));
        };
        let now = self.0.clock.now();
        let standing = found.standing.as_ref();
        let level = standing.and_then(|standing| standing.level(now));
        let (Some(standing), Some(level)) = (standing, level) else {
            return Ok(Err(Outside::SignedOut));
        };
        self.note_use(&standing.session, standing.seen, now).await?;
        Ok(Ok(LetIn {
            way: Way {
                session: standing.session.clone(),
                label: standing.label.clone(),
                level,
            },
            printer: found.printer,
            host: found.host,
            owner: found.owner,
            plan: found.owners_plan,
        }))
    }

    /// Whoever uses their printer is not idle.
    async fn note_use(
        &self,
        session: &SessionId,
        seen: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if now.since(seen) >= TOUCH_EVERY {
            self.0.store.sessions().touch(session, now).await?;
        }
        Ok(())
    }

    /// What is open, for whoever opens something.
    pub(crate) fn endings(&self) -> &endings::Endings<Way> {
        &self.0.endings
    }

    /// The cookies of these hostnames.
    pub(crate) fn cookies(&self) -> &Cookies {
        &self.0.cookies
    }

    /// The address of the page that leads to a hostname, for whoever is not signed in there. It is
    /// the same whether there is such a hostname or not.
    pub(crate) fn way_in(&self, label: &OwnLabel) -> String {
        format!("{}/open/{label}", self.0.config.public_url)
    }
}

/// Tells that something may have ended by which people have something open.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changes(Arc<Notify>);

impl Changes {
    /// It is looked at once, not only with the next look.
    pub(crate) fn note(&self) {
        self.0.notify_one();
    }

    pub(crate) async fn noted(&self) {
        self.0.notified().await;
    }
}
