//! What the web origin's routes work with: built once, shared by all.

use std::ops::Deref;
use std::sync::Arc;

use latchkey_model::chance::Chance;
use latchkey_model::clock::{Clock, Timestamp};
use latchkey_model::sealed::MasterKey;
use latchkey_store::RelayStore;

use crate::accounts::Accounts;
use crate::audit::Audit;
use crate::camera::Camera;
use crate::config::Config;
use crate::events::Events;
use crate::life::Life;
use crate::mail::Mail;
use crate::own_access::OwnAccess;
use crate::pairing::Pairings;
use crate::portal::keys::Keys;
use crate::portal::{self, Portal};
use crate::sessions::Sessions;
use crate::tunnels::Tunnels;

/// Shared by all routes; clones are cheap.
#[derive(Clone)]
pub(crate) struct State(Arc<Parts>);

pub(crate) struct Parts {
    pub(crate) config: Arc<Config>,
    pub(crate) store: RelayStore,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tunnels: Tunnels,
    /// How app connections, printers and accounts end.
    pub(crate) life: Life,
    pub(crate) mail: Mail,
    /// What printers do.
    pub(crate) events: Events,
    pub(crate) camera: Camera,
    pub(crate) audit: Audit,
    /// When this relay started.
    pub(crate) started: Timestamp,
    pub(crate) sessions: Sessions,
    pub(crate) accounts: Accounts,
    pub(crate) pairings: Pairings,
    pub(crate) portal: Portal,
    pub(crate) own_access: OwnAccess,
}

/// What a [`State`] is made from.
pub(crate) struct Making {
    pub(crate) config: Arc<Config>,
    pub(crate) store: RelayStore,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) chance: Arc<dyn Chance>,
    pub(crate) tunnels: Tunnels,
    pub(crate) life: Life,
    pub(crate) mail: Mail,
    pub(crate) events: Events,
    pub(crate) own_access: OwnAccess,
    pub(crate) audit: Audit,
    pub(crate) key: MasterKey,
}

impl State {
    pub(crate) fn new(making: Making) -> Self {
        let Making {
            config,
            store,
            clock,
            chance,
            tunnels,
            life,
            mail,
            events,
            own_access,
            audit,
            key,
        } = making;
        let sessions = Sessions::new(&config, &store, &clock, &chance, &key);
        let accounts = Accounts::new(&config, &store, &clock, &chance);
        let pairings = Pairings::new(&config, &store, &clock, &chance);
        let keys = Keys::new(tunnels.clone());
        let portal = Portal::new(portal::Parts {
            config: Arc::clone(&config),
            store: store.clone(),
            clock: Arc::clone(&clock),
            chance,
            keys,
            mail: mail.clone(),
            life: life.clone(),
            audit: audit.clone(),
        });
        Self(Arc::new(Parts {
            camera: Camera::new(tunnels.clone()),
            audit,
            started: clock.now(),
            events,
            config,
            store,
            clock,
            tunnels,
            life,
            mail,
            sessions,
            accounts,
            pairings,
            portal,
            own_access,
        }))
    }
}

impl Deref for State {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
