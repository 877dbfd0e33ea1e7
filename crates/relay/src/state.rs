//! What the web origin's routes work with: built once, shared by all.

use std::ops::Deref;
use std::sync::Arc;

use latchkey_model::chance::Chance;
use latchkey_model::clock::{Clock, Timestamp};
use latchkey_model::sealed::MasterKey;
use latchkey_store::RelayStore;
use tokio_util::sync::CancellationToken;

use crate::accounts::Accounts;
use crate::activity::Activity;
use crate::audit::Audit;
use crate::camera::Camera;
use crate::config::Config;
use crate::events::Events;
use crate::life::Life;
use crate::live_links::{self, LiveLinks};
use crate::mail::Mail;
use crate::own_access::OwnAccess;
use crate::pairing::Pairings;
use crate::portal::keys::Keys;
use crate::portal::{self, Portal};
use crate::sessions::Sessions;
use crate::tunnels::Tunnels;
use crate::watching::{self, Watching};

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
    /// Who looks through the cameras.
    pub(crate) watching: Watching,
    pub(crate) live_links: LiveLinks,
    /// What apps and people do.
    pub(crate) activity: Activity,
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
    pub(crate) activity: Activity,
    /// Ends what does not end by itself.
    pub(crate) stopping: CancellationToken,
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
            activity,
            stopping,
            own_access,
            audit,
            key,
        } = making;
        let sessions = Sessions::new(&config, &store, &clock, &chance, &key);
        let accounts = Accounts::new(&config, &store, &clock, &chance);
        let pairings = Pairings::new(&config, &store, &clock, &chance);
        let camera = Camera::new(tunnels.clone());
        let watching = Watching::new(watching::Making {
            source: Arc::new(camera.clone()),
            activity: activity.clone(),
            tracker: life.tracker().clone(),
            stopping,
        });
        let live_links = LiveLinks::new(live_links::Parts {
            store: store.clone(),
            clock: Arc::clone(&clock),
            chance: Arc::clone(&chance),
            key: key.signing("live links 1"),
            public_url: config.public_url.clone(),
            events: events.clone(),
            watching: watching.clone(),
        });
        let keys = Keys::new(tunnels.clone());
        let portal = Portal::new(portal::Parts {
            config: Arc::clone(&config),
            store: store.clone(),
            clock: Arc::clone(&clock),
            chance,
            keys,
            mail: mail.clone(),
            life: life.clone(),
            activity: activity.clone(),
            audit: audit.clone(),
        });
        Self(Arc::new(Parts {
            camera,
            watching,
            live_links,
            activity,
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
