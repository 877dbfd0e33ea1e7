//! What the web origin's routes work with: built once, shared by all.

use std::ops::Deref;
use std::sync::Arc;

use latchkey_model::chance::Chance;
use latchkey_model::clock::{Clock, Timestamp};
use latchkey_model::sealed::MasterKey;
use latchkey_net::egress::Egress;
use latchkey_store::RelayStore;
use tokio_util::sync::CancellationToken;

use crate::accounts::Accounts;
use crate::activity::Activity;
use crate::audit::Audit;
use crate::camera::Camera;
use crate::config::Config;
use crate::events::Events;
use crate::life::Life;
use crate::limits::Limits;
use crate::live_links::{self, LiveLinks};
use crate::mail::Mail;
use crate::notices::Notices;
use crate::own_access::OwnAccess;
use crate::pairing::Pairings;
use crate::passkeys::Passkeys;
use crate::portal::keys::Keys;
use crate::portal::{self, Portal};
use crate::print_letters::{self, PrintLetters};
use crate::second_factors::SecondFactors;
use crate::sessions::Sessions;
use crate::snapshots::{self, Snapshots};
use crate::tunnels::Tunnels;
use crate::watching::{self, Watching};
use crate::webhooks::{self, Webhooks};

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
    /// What owners of accounts are told of.
    pub(crate) notices: Notices,
    pub(crate) second_factors: SecondFactors,
    pub(crate) passkeys: Passkeys,
    /// What printers do.
    pub(crate) events: Events,
    /// What counts against plans.
    pub(crate) limits: Limits,
    /// Who looks through the cameras.
    pub(crate) watching: Watching,
    pub(crate) live_links: LiveLinks,
    /// What apps and people do.
    pub(crate) activity: Activity,
    pub(crate) audit: Audit,
    /// Pictures that go with what is told.
    pub(crate) snapshots: Snapshots,
    pub(crate) webhooks: Webhooks,
    pub(crate) print_letters: PrintLetters,
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
    pub(crate) notices: Notices,
    pub(crate) events: Events,
    /// The way out to addresses that others name.
    pub(crate) egress: Egress,
    pub(crate) activity: Activity,
    /// Ends what does not end by itself.
    pub(crate) stopping: CancellationToken,
    pub(crate) own_access: OwnAccess,
    pub(crate) audit: Audit,
    pub(crate) limits: Limits,
    pub(crate) camera: Camera,
    pub(crate) key: MasterKey,
}

impl Making {
    /// What tells others of what happens, with the pictures that go with it.
    fn telling(&self, camera: &Camera) -> (Snapshots, Webhooks, PrintLetters) {
        let snapshots = Snapshots::new(snapshots::Making {
            config: &self.config,
            store: &self.store,
            events: &self.events,
            clock: &self.clock,
            chance: &self.chance,
            key: &self.key,
            camera: Arc::new(camera.clone()),
        });
        let webhooks = Webhooks::new(webhooks::Making {
            public_url: &self.config.public_url,
            plans: &self.config.plans,
            store: &self.store,
            clock: &self.clock,
            chance: &self.chance,
            key: &self.key,
            life: &self.life,
            events: &self.events,
            audit: &self.audit,
            snapshots: &snapshots,
            egress: self.egress.clone(),
        });
        let print_letters = PrintLetters::new(print_letters::Making {
            store: &self.store,
            clock: &self.clock,
            events: &self.events,
            mail: &self.mail,
            snapshots: &snapshots,
        });
        (snapshots, webhooks, print_letters)
    }

    /// What shows printers, to their people and to whoever has a live link.
    fn showing(&self, camera: Camera) -> (Watching, LiveLinks) {
        let watching = Watching::new(watching::Making {
            source: Arc::new(camera),
            activity: self.activity.clone(),
            limits: self.limits.clone(),
            stopping: self.stopping.clone(),
        });
        let live_links = LiveLinks::new(live_links::Parts {
            store: self.store.clone(),
            clock: Arc::clone(&self.clock),
            chance: Arc::clone(&self.chance),
            key: self.key.signing("live links 1"),
            public_url: self.config.public_url.clone(),
            events: self.events.clone(),
            watching: watching.clone(),
        });
        (watching, live_links)
    }

    fn portal(&self) -> Portal {
        Portal::new(portal::Parts {
            config: Arc::clone(&self.config),
            store: self.store.clone(),
            clock: Arc::clone(&self.clock),
            chance: Arc::clone(&self.chance),
            keys: Keys::new(self.tunnels.clone()),
            notices: self.notices.clone(),
            life: self.life.clone(),
            activity: self.activity.clone(),
            audit: self.audit.clone(),
        })
    }
}

impl State {
    pub(crate) fn new(making: Making) -> Self {
        let (snapshots, webhooks, print_letters) = making.telling(&making.camera);
        let (watching, live_links) = making.showing(making.camera.clone());
        let (config, store) = (&making.config, &making.store);
        let (clock, chance, key) = (&making.clock, &making.chance, &making.key);
        let sessions = Sessions::new(config, store, clock, chance, key);
        let accounts = Accounts::new(config, store, clock, chance);
        let pairings = Pairings::new(config, store, clock, chance);
        let second_factors = SecondFactors::new(config, store, clock, chance, key);
        let passkeys = Passkeys::new(config, store, clock, chance, key);
        let portal = making.portal();
        Self(Arc::new(Parts {
            watching,
            live_links,
            snapshots,
            webhooks,
            print_letters,
            started: clock.now(),
            sessions,
            accounts,
            pairings,
            second_factors,
            passkeys,
            portal,
            notices: making.notices,
            activity: making.activity,
            audit: making.audit,
            events: making.events,
            limits: making.limits,
            config: making.config,
            store: making.store,
            clock: making.clock,
            tunnels: making.tunnels,
            life: making.life,
            mail: making.mail,
            own_access: making.own_access,
        }))
    }
}

impl Deref for State {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
