//! Putting the authority together, in one place, from the configuration.

use std::sync::Arc;

use latchkey_model::chance::Chance;
use latchkey_model::clock::Clock;
use latchkey_model::sealed::MasterKey;
use latchkey_store::host::HostStore;
use latchkey_web::limits::{Limits, OF_AN_ADDRESS};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::endings::Endings;
use super::reception::Reception;
use super::{Authority, Parts};
use crate::app_connections::AppConnections;
use crate::app_keys::usage::Usage;
use crate::app_keys::{AppKeys, Minting};
use crate::config::{Config, UpstreamKind};
use crate::kept::KeptError;
use crate::key_requests::KeyRequests;
use crate::local_api::LocalApi;
use crate::notices::Notices;
use crate::pages::Pages;
use crate::push::{Push, PushSettings, PushUpstream};
use crate::session_keys::{SessionKeys, SessionKeysParts};
use crate::sessions::{Sessions, SessionsParts};
use crate::users::Users;

/// What clients are told of the server's version where no printer's server says one.
pub(crate) const API_VERSION: &str = "1.11.8";

/// What the authority needs of the role.
pub(crate) struct Surroundings {
    pub(crate) pages: Pages,
    pub(crate) local_api: LocalApi,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) chance: Arc<dyn Chance>,
    pub(crate) tracker: TaskTracker,
    pub(crate) stopping: CancellationToken,
}

/// An authority that has its database and has not begun to work.
pub(crate) struct Opened {
    pub(crate) authority: Authority,
    pub(crate) reception: Reception,
}

impl Opened {
    /// Opens the database, makes it and the key file if there is none.
    pub(crate) async fn open(config: &Config, around: Surroundings) -> Result<Self, KeptError> {
        let store = config.open_store().await?;
        let master = config.load_master_key()?;
        let opened = Self::with(config, around, store, &master);
        let session_keys = &opened.authority.session_keys;
        session_keys
            .load()
            .await
            .map_err(|cause| KeptError::Database {
                path: config.database(),
                cause,
            })?;
        Ok(opened)
    }

    /// Of a database that is open already.
    pub(crate) fn with(
        config: &Config,
        around: Surroundings,
        store: HostStore,
        master: &MasterKey,
    ) -> Self {
        let authority = Authority::new(parts(config, &around, store, master));
        let has_socket = config.upstream.kind == UpstreamKind::OctoPrint;
        let push = Push::new(PushSettings {
            listeners: Arc::new(authority.clone()),
            notices: authority.notices.sender(),
            upstream: has_socket.then(|| PushUpstream {
                address: config.upstream.address.clone(),
                credential: config.upstream.credential.clone(),
            }),
            server_version: API_VERSION.to_owned(),
            tracker: around.tracker,
            stopping: around.stopping,
        });
        Self {
            reception: Reception::new(authority.clone(), push),
            authority,
        }
    }
}

impl Authority {
    /// Starts what works beside the requests, until stopped.
    pub(crate) fn start(&self, tracker: &TaskTracker, stop: &CancellationToken) {
        tracker.spawn(self.key_requests.clone().watch(stop.clone()));
        tracker.spawn(self.clone().recheck_until(stop.clone()));
        tracker.spawn(self.usage.clone().watch(stop.clone()));
        tracker.spawn(self.session_keys.clone().watch(stop.clone()));
        tracker.spawn(self.sessions.clone().watch(stop.clone()));
    }
}

fn parts(config: &Config, around: &Surroundings, store: HostStore, master: &MasterKey) -> Parts {
    let Surroundings {
        pages,
        clock,
        chance,
        ..
    } = around;
    let (endings, notices) = (Endings::default(), Notices::default());
    let app_connections = AppConnections::new(endings.clone());
    let session_keys = SessionKeys::new(SessionKeysParts {
        store: Some(store.clone()),
        files: config.session_apps.clone(),
        endings: endings.clone(),
        clock: Arc::clone(clock),
        chance: Arc::clone(chance),
        tracker: around.tracker.clone(),
    });
    let minting = Minting::new(
        store.clone(),
        master.sealing(),
        endings.clone(),
        Arc::clone(chance),
    );
    let users = Users::new(
        store.clone(),
        endings.clone(),
        notices.clone(),
        Arc::clone(clock),
        chance,
    );
    Parts {
        key_requests: KeyRequests::new(
            store.clone(),
            minting.clone(),
            notices.clone(),
            Arc::clone(clock),
            Arc::clone(chance),
        ),
        app_keys: AppKeys::new(store.clone(), minting, endings.clone(), Arc::clone(clock)),
        session_keys: session_keys.clone(),
        app_connections: app_connections.clone(),
        local_api: around.local_api.clone(),
        usage: Usage::new(store.clone(), Arc::clone(clock)),
        sessions: Sessions::new(SessionsParts {
            store: store.clone(),
            passwords: users.passwords.clone(),
            endings: endings.clone(),
            session_keys,
            app_connections: app_connections.clone(),
            notices: notices.clone(),
            clock: Arc::clone(clock),
            chance: Arc::clone(chance),
            master: master.clone(),
        }),
        users,
        request_limits: Limits::new(&OF_AN_ADDRESS),
        endings,
        notices,
        pages: pages.clone(),
        fresh_for: config.fresh_for,
        clock: Arc::clone(clock),
        store,
    }
}
