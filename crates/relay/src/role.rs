//! A running relay: built from its configuration in one place, stopped in one place.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use latchkey_model::chance::Chance;
use latchkey_model::clock::Clock;
use latchkey_model::sealed::MasterKey;
use latchkey_net::client_addr::TrustedPeers;
use latchkey_net::cores::Deal;
use latchkey_net::egress::Egress;
use latchkey_net::key_file::{self, KeyFileError};
use latchkey_net::listen::{self, ListenError, ListenSettings, Stop};
use latchkey_net::proxy::coding::Tally;
use latchkey_net::tls::{Shown, TlsError};
use latchkey_net::tunnel::{Acceptor, AcceptorConfig, Settings};
use latchkey_store::{RelayStore, StoreError};
use latchkey_web::health::Health;
use latchkey_web::metrics::{CodedBytes, Metrics};
use latchkey_web::request_id::RequestIds;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accounts::Accounts;
use crate::acme::{Acme, AcmeError};
use crate::activity::Activity;
use crate::app_connections::origins::{Origins, Writer};
use crate::app_connections::usage::Usage;
use crate::audit::{self, Audit};
use crate::cache::Cache;
use crate::camera::Camera;
use crate::certificate::{Keeping, Reload};
use crate::config::Config;
use crate::edge::{Edge, Shared};
use crate::events::Events;
use crate::events::presence::Comings;
use crate::guesses::Guesses;
use crate::hosts::{HostsListener, Places};
use crate::issued::Issued;
use crate::life::{Endings, Life, Parts};
use crate::limits::Limits;
use crate::mail::{self, Mail, Post};
use crate::notices::Notices;
use crate::own_access::OwnAccess;
use crate::portal;
use crate::router::Router;
use crate::shares::Shares;
use crate::state::{Making, State};
use crate::sweep;
use crate::tunnels::{Desk, Reception, Tunnels, presence, rates};
use crate::web_origin::WebOrigin;

/// The name of the database file in the data directory.
const DATABASE: &str = "relay.db";

/// The name of the file with the key that forms are signed with, and how it begins.
const KEY: &str = "relay.key";
const KEY_PREFIX: &str = "latchkey-relay-master-1:";

/// Hosts told to move spread their return over this long.
const RECONNECT_SPREAD: Duration = Duration::from_secs(2);

/// Descriptors that are kept from callers and tunnels: the database, the status listener, calls of
/// webhooks, refusals.
const DESCRIPTORS: usize = 96;

/// Why a relay cannot start.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(
        "cannot open the database {}: {cause}; see whether the disk is full, the folder \
         belongs to another user, or an older program opens a newer database",
        path.display()
    )]
    Store { path: PathBuf, cause: StoreError },
    #[error(transparent)]
    Key(#[from] KeyFileError),
    #[error("cannot use the certificate: {0}")]
    Tls(#[from] TlsError),
    #[error("cannot use the certificate of `hosts.tls`: {0}")]
    HostsTls(TlsError),
    #[error("cannot ask for a certificate: {0}")]
    Acme(#[from] AcmeError),
    #[error("cannot use `webhooks.ca`: {0}")]
    WebhookCa(TlsError),
    #[error("cannot use the mail server of `smtp`: {0}")]
    Mail(#[from] lettre::transport::smtp::Error),
}

/// A relay that has its sockets and its database and has not begun to serve.
pub struct Relay {
    config: Arc<Config>,
    store: RelayStore,
    key: MasterKey,
    listener: TcpListener,
    hosts: Option<Box<HostsListener>>,
    status_listener: Option<TcpListener>,
    settings: ListenSettings,
    /// Keeps the certificate current, if TLS ends here.
    keeping: Option<Keeping>,
    /// Gets another one in time, if the relay asks for it itself.
    acme: Option<Acme>,
    reload: Reload,
    stop: Stop,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    mail: Mail,
    post: Option<Post>,
    life: Life,
    egress: Egress,
    events: Events,
    comings: Comings,
}

impl Relay {
    /// Lets connections run on runtimes of their own.
    #[must_use]
    pub fn on(mut self, deal: Deal) -> Self {
        self.settings.deal = Some(deal);
        self
    }

    /// Where a relay with this data directory keeps its database.
    pub fn database(data: &std::path::Path) -> PathBuf {
        data.join(DATABASE)
    }

    /// The key of a relay with this data directory, which is made if there is none.
    pub(crate) fn master_key(data: &std::path::Path) -> Result<MasterKey, KeyFileError> {
        let key = key_file::load_or_create(&data.join(KEY), KEY_PREFIX)?;
        Ok(MasterKey::from_bytes(*key))
    }

    /// Opens the database, loads the certificate, takes the sockets. A relay that asks for its
    /// certificate itself and has none waits for it here.
    pub async fn bind(
        config: Config,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn Chance>,
    ) -> Result<Self, RelayError> {
        let reload = Reload::default();
        let mut acme = Acme::open(&config, &clock, &reload)?;
        let path = Self::database(&config.data);
        let store = RelayStore::open(&path)
            .await
            .map_err(|cause| RelayError::Store { path, cause })?;
        // After the database, which makes the folder.
        let key = Self::master_key(&config.data)?;
        if let Some(acme) = &mut acme {
            acme.await_first().await;
        }
        let keeping = Keeping::open(&config, &clock, &reload)?;
        let tls = keeping.as_ref().map(Keeping::shown);
        let tls = tls.map(Shown::server_config).transpose()?;
        let listener = listen::bind(config.listen).await?;
        let hosts = HostsListener::bind(&config, keeping.as_ref(), &clock, &reload).await?;
        let status_listener = match config.status_listen {
            Some(address) => Some(listen::bind(address).await?),
            None => None,
        };
        let settings = ListenSettings {
            tls,
            trusted: TrustedPeers::new(config.trusted_proxies.clone()),
            max_connections: connections_each(1 + usize::from(hosts.is_some())),
            ..ListenSettings::default()
        };
        let webhooks = &config.webhooks;
        let egress = Egress::new(webhooks.rules.clone(), webhooks.ca.as_deref());
        let egress = egress.map_err(RelayError::WebhookCa)?;
        let config = Arc::new(config);
        let (mail, post) = Post::open(&mail::Making {
            config: &config,
            store: &store,
            clock: &clock,
            chance: &chance,
        })?;
        let life = Life::new(Parts {
            store: store.clone(),
            plans: config.plans.clone(),
            tunnels: Tunnels::default(),
            endings: Endings::default(),
            clock: Arc::clone(&clock),
            tracker: TaskTracker::new(),
            cache: Cache::new(config.cache),
        });
        let events = Events::new(store.clone());
        Ok(Self {
            mail,
            post,
            life,
            egress,
            comings: Comings::new(events.clone(), Arc::clone(&clock)),
            events,
            config,
            store,
            key,
            listener,
            hosts: hosts.map(Box::new),
            status_listener,
            settings,
            keeping,
            acme,
            reload,
            stop: Stop::default(),
            clock,
            chance,
        })
    }

    /// The address callers connect to, and hosts that do not come by a listener of their own.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The address of the listener for hosts alone, if there is one.
    pub fn hosts_addr(&self) -> Option<SocketAddr> {
        self.hosts.as_ref()?.local_addr().ok()
    }

    /// The address of the health listener.
    pub fn status_addr(&self) -> Option<SocketAddr> {
        self.status_listener.as_ref()?.local_addr().ok()
    }

    /// The address at which a relay without administrator gets its first, once; nothing if it has
    /// one. Only for whoever started it.
    pub async fn first_administrator(&self) -> Result<Option<String>, StoreError> {
        let accounts = Accounts::new(&self.config, &self.store, &self.clock, &self.chance);
        let secret = accounts.first_administrator().await?;
        Ok(secret.map(|secret| {
            let base = &self.config.public_url;
            format!("{base}/sign-up?invitation={}", secret.expose())
        }))
    }

    /// What this relay remembers.
    pub fn store(&self) -> RelayStore {
        self.store.clone()
    }

    /// How what people have at this relay ends.
    pub fn life(&self) -> Life {
        self.life.clone()
    }

    /// Lets the running relay read its certificate again.
    pub fn reload(&self) -> Reload {
        self.reload.clone()
    }

    /// The two stop signals; see [`Stop`].
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Serves until stopped. After the soft signal hosts are told to move, running
    /// requests have the configured time, then everything is cut.
    pub async fn run(mut self) {
        // Callers before tunnels: a tunnel must outlive the requests that use it.
        let callers = TaskTracker::new();
        let tunnel_tasks = self.life.tracker().clone();
        let metrics: Arc<Metrics> = Arc::default();
        if let Some(deal) = self.settings.deal.clone() {
            let help = "Tasks of connections, beside the others";
            metrics.reading("connection_tasks", help, move || {
                i64::try_from(deal.tasks()).unwrap_or(i64::MAX)
            });
        }
        let tunnels = self.life.tunnels().clone();
        tunnels.report(&metrics);
        let notices = self.notices();
        let (shared, writer) = self.shared(&callers, &metrics, &notices);
        let (usage, activity) = (shared.usage.clone(), shared.activity.clone());
        // Also while running requests finish.
        let served = CancellationToken::new();
        tunnel_tasks.spawn(writer.run(served.clone()));
        self.watch(&shared, &tunnel_tasks, &served);
        let router = self.router(shared, &tunnel_tasks, notices);
        if let Some(hosts) = self.hosts.take() {
            self.serve_hosts(*hosts, &router, &callers, &metrics);
        }
        if let Some(keeping) = self.keeping.take() {
            tunnel_tasks.spawn(keeping.run(Arc::clone(&metrics), self.stop.soft.clone()));
        }
        if let Some(acme) = self.acme.take() {
            tunnel_tasks.spawn(acme.run(self.stop.soft.clone()));
        }
        if let Some(post) = self.post.take() {
            tunnel_tasks.spawn(post.run(self.stop.soft.clone()));
        }
        self.note_all_lost(&tunnel_tasks).await;
        if let Some(listener) = self.status_listener.take() {
            self.serve_status(listener, &metrics, &tunnel_tasks);
        }
        let serving = listen::serve(
            self.listener,
            self.settings,
            router,
            self.stop.clone(),
            callers.clone(),
        );
        callers.spawn(serving);
        self.stop.soft.cancelled().await;
        callers.close();
        tunnel_tasks.close();
        let gentle = async {
            tunnels.drain(RECONNECT_SPREAD).await;
            callers.wait().await;
            served.cancel();
            tunnels.finish();
            tunnel_tasks.wait().await;
        };
        let cut = async {
            tunnels.close();
            callers.wait().await;
            served.cancel();
            tunnel_tasks.wait().await;
        };
        self.stop.drain(self.config.drain, gentle, cut).await;
        usage.write().await;
        activity.write().await;
        self.store.close().await;
    }

    fn shared(
        &self,
        callers: &TaskTracker,
        metrics: &Arc<Metrics>,
        notices: &Notices,
    ) -> (Shared, Writer) {
        let (store, clock) = (self.store.clone(), Arc::clone(&self.clock));
        let (origins, writer) = Origins::new(store, clock, notices.clone());
        let shared = Shared {
            origins,
            own: OwnAccess::new(
                &self.config,
                &self.store,
                &self.clock,
                &self.chance,
                &self.key,
            ),
            activity: Activity::new(self.store.clone(), Arc::clone(&self.clock)),
            config: Arc::clone(&self.config),
            store: self.store.clone(),
            tunnels: self.life.tunnels().clone(),
            endings: self.life.endings().clone(),
            guesses: Guesses::new(Arc::clone(&self.clock)),
            usage: Usage::new(self.store.clone(), Arc::clone(&self.clock)),
            limits: self.limits(callers),
            shares: Shares::new(self.config.admission),
            metrics: Arc::clone(metrics),
            ids: RequestIds::default(),
            issued: Issued::new(Arc::clone(&self.clock)),
            cache: self.life.cache().clone(),
            undone: undone(metrics),
            camera: Camera::new(
                self.life.tunnels().clone(),
                callers.clone(),
                self.stop.soft.clone(),
            ),
            tracker: callers.clone(),
            stopping: self.stop.soft.clone(),
        };
        (shared, writer)
    }

    /// Begins what looks and writes now and then while requests are served.
    fn watch(&self, shared: &Shared, tasks: &TaskTracker, served: &CancellationToken) {
        let tunnels = &shared.tunnels;
        tasks.spawn(self.life.clone().watch(served.clone()));
        let changes = self.life.changes().clone();
        tasks.spawn(shared.own.clone().watch(changes, served.clone()));
        tasks.spawn(shared.usage.clone().watch(served.clone()));
        tasks.spawn(shared.limits.clone().watch(served.clone()));
        tasks.spawn(shared.activity.clone().watch(served.clone()));
        tasks.spawn(rates::watch(tunnels.clone(), served.clone()));
        shared.cache.register(&shared.metrics);
        tasks.spawn(shared.cache.clone().watch(served.clone()));
        tasks.spawn(presence::watch(
            tunnels.clone(),
            self.store.clone(),
            Arc::clone(&self.clock),
            served.clone(),
        ));
    }

    /// No host is connected to a relay that just started, whatever was noted last. Those that were
    /// have a minute to come back.
    async fn note_all_lost(&self, tunnel_tasks: &TaskTracker) {
        match self.store.printers().list_connected().await {
            Ok(were_here) => {
                let went = self.comings.clone();
                tunnel_tasks.spawn(went.all_went(were_here, self.stop.soft.clone()));
            }
            Err(error) => tracing::warn!(%error, "cannot look which hosts were connected"),
        }
        if let Err(error) = self.store.printers().note_all_lost().await {
            tracing::warn!(%error, "cannot note that no host is connected yet");
        }
    }

    fn limits(&self, callers: &TaskTracker) -> Limits {
        let (store, clock) = (self.store.clone(), Arc::clone(&self.clock));
        Limits::new(store, clock, self.config.plans.clone(), callers.clone())
    }

    fn audit(&self) -> Audit {
        Audit::new(audit::Making {
            store: self.store.clone(),
            clock: Arc::clone(&self.clock),
            chance: Arc::clone(&self.chance),
            key: &self.key,
            end: Some(Audit::end_file(&self.config.data)),
        })
    }

    fn serve_hosts(
        &self,
        mut hosts: HostsListener,
        router: &Router,
        callers: &TaskTracker,
        metrics: &Arc<Metrics>,
    ) {
        if let Some(keeping) = hosts.keeping.take() {
            let keeping = keeping.run(Arc::clone(metrics), self.stop.soft.clone());
            self.life.tracker().spawn(keeping);
        }
        let places = Places {
            most: self.settings.max_connections,
            deal: self.settings.deal.as_ref().map(Deal::apart),
        };
        let (stop, tracker) = (self.stop.clone(), callers.clone());
        callers.spawn(hosts.serve(router.clone(), places, stop, tracker));
    }

    fn serve_status(&self, listener: TcpListener, metrics: &Arc<Metrics>, tasks: &TaskTracker) {
        let health = health(metrics, &self.store);
        let soft = self.stop.soft.clone();
        tasks.spawn(async move {
            if let Err(error) = health.serve(listener, soft).await {
                tracing::error!(%error, "the status listener ended");
            }
        });
    }

    fn notices(&self) -> Notices {
        let (store, clock) = (self.store.clone(), Arc::clone(&self.clock));
        Notices::new(store, clock, self.mail.clone())
    }

    fn router(&self, shared: Shared, tunnel_tasks: &TaskTracker, notices: Notices) -> Router {
        let acceptor = AcceptorConfig {
            relay_name: self.config.public_url.authority().to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            settings: Settings::default(),
        };
        let reception = Reception::new(Desk {
            acceptor: Acceptor::new(acceptor, tunnel_tasks.clone()),
            tunnels: shared.tunnels.clone(),
            store: self.store.clone(),
            clock: Arc::clone(&self.clock),
            chance: Arc::clone(&self.chance),
            tracker: tunnel_tasks.clone(),
            comings: self.comings.clone(),
            events: self.events.clone(),
            notices: notices.clone(),
            stopping: self.stop.soft.clone(),
        });
        let state = State::new(Making {
            config: Arc::clone(&self.config),
            store: self.store.clone(),
            clock: Arc::clone(&self.clock),
            chance: Arc::clone(&self.chance),
            tunnels: shared.tunnels.clone(),
            life: self.life.clone(),
            mail: self.mail.clone(),
            egress: self.egress.clone(),
            events: self.events.clone(),
            own_access: shared.own.clone(),
            activity: shared.activity.clone(),
            stopping: self.stop.soft.clone(),
            audit: self.audit(),
            notices,
            limits: shared.limits.clone(),
            camera: shared.camera.clone(),
            key: MasterKey::from_bytes(*self.key.expose()),
        });
        let soft = self.stop.soft.clone();
        tunnel_tasks.spawn(state.live_links.clone().watch(soft));
        tunnel_tasks.spawn(portal::forget(state.clone(), self.stop.soft.clone()));
        tunnel_tasks.spawn(state.webhooks.clone().run(self.stop.soft.clone()));
        tunnel_tasks.spawn(state.print_letters.clone().run(self.stop.soft.clone()));
        tunnel_tasks.spawn(sweep::run(state.clone(), self.stop.soft.clone()));
        let metrics = Arc::clone(&shared.metrics);
        let web_origin = WebOrigin::new(state, reception, metrics, shared.tracker.clone());
        let edge = Edge::new(shared);
        Router { edge, web_origin }
    }
}

/// How many connections each of so many listeners takes. Who fills one does not fill the other.
fn connections_each(listeners: usize) -> usize {
    listen::connections_within(10_000 * listeners, DESCRIPTORS) / listeners
}

/// Counts what hosts made shorter for the tunnel.
fn undone(metrics: &Metrics) -> Tally {
    let bytes = CodedBytes::register(metrics);
    Arc::new(move |one| bytes.add(one.plain, one.coded))
}

fn health(metrics: &Arc<Metrics>, store: &RelayStore) -> Health {
    let store = store.clone();
    Health::new(Arc::clone(metrics)).check("store", move || {
        let store = store.clone();
        async move {
            store.check().await.map_err(|error| {
                tracing::warn!(%error, "the database failed its check");
                "the database does not answer".into()
            })
        }
    })
}
