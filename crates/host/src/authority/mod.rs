//! Who is calling, and what follows from it.
//!
//! Every request is looked at once, before anything answers it: a browser's session, an app's
//! key, or an app connection that the relay has checked. What the caller may do at the printer's
//! server is another table's business.

pub(crate) mod access;
pub(crate) mod caller;
pub(crate) mod endings;
pub(crate) mod identify;
mod listeners;
pub(crate) mod opening;
pub(crate) mod owner;
mod paths;
pub(crate) mod reception;
mod recheck;
mod router;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use latchkey_model::access::Access;
use latchkey_model::clock::Clock;
use latchkey_store::host::HostStore;
use latchkey_web::limits::{Limits, household};

use self::caller::Caller;
use self::endings::Endings;
use crate::app_connections::AppConnections;
use crate::app_keys::AppKeys;
use crate::app_keys::usage::Usage;
use crate::key_requests::KeyRequests;
use crate::local_api::LocalApi;
use crate::notices::Notices;
use crate::pages::Pages;
use crate::session_keys::SessionKeys;
use crate::sessions::Sessions;
use crate::users::Users;

use self::endings::Hold;

/// What a request may do at the printer's server; decided before it is passed on.
#[derive(Debug, Clone)]
pub(crate) enum Admission {
    /// `authority: upstream`: pass everything through untouched, add nothing.
    Untouched,
    /// `authority: host`: let in up to this level; the caller's credential is removed, the
    /// upstream's added. What is open then ends with the hold, if the caller has one.
    Upto(Access, Option<Hold>),
}

/// Everything that the host as authority consists of. Clones share it.
#[derive(Clone)]
pub(crate) struct Authority(Arc<Parts>);

/// What [`Authority`] shares.
pub(crate) struct Parts {
    pub(crate) store: HostStore,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) key_requests: KeyRequests,
    pub(crate) app_keys: AppKeys,
    pub(crate) app_connections: AppConnections,
    pub(crate) session_keys: SessionKeys,
    pub(crate) usage: Usage,
    pub(crate) users: Users,
    pub(crate) sessions: Sessions,
    pub(crate) request_limits: Limits<IpAddr>,
    pub(crate) endings: Endings,
    pub(crate) notices: Notices,
    pub(crate) pages: Pages,
    pub(crate) local_api: LocalApi,
    /// How long a password counts for what needs one that was typed lately; zero for always.
    pub(crate) fresh_for: Duration,
}

impl Deref for Authority {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Authority {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Counts an app's wish for a key; false when there were too many from the address.
    pub(crate) fn count_key_request(&self, from: IpAddr) -> bool {
        let now = self.clock.now();
        self.request_limits.count(&household(from), now).is_ok()
    }

    /// Whether the caller proved lately who they are. A key always does.
    pub(crate) fn is_fresh(&self, caller: &Caller) -> bool {
        match caller {
            Caller::App(_) => true,
            Caller::Person(person) => person.1.is_fresh(self.clock.now(), self.fresh_for),
            Caller::Guest | Caller::SessionKey(_) | Caller::AppConnection(..) => false,
        }
    }
}
