//! A running host: built from its configuration in one place, stopped in one place.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use ipnet::IpNet;
use latchkey_model::chance::Chance;
use latchkey_model::clock::Clock;
use latchkey_model::id::{HostId, PrinterId};
use latchkey_net::client_addr::TrustedPeers;
use latchkey_net::listen::{self, ListenError, ListenSettings, Stop};
use latchkey_net::proxy::coding::Coder;
use latchkey_net::tunnel::{DialError, DialState, HostIdentity, relay_name};
use latchkey_store::host::HostStore;
use latchkey_web::health::Health;
use latchkey_web::metrics::{CodedBytes, Metrics};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::announce::{self, Announcement};
use crate::app_connections::AppConnections;
use crate::app_keys::through_relay::{KeysThroughRelay, Maker, OctoPrintKeys};
use crate::authority::opening::{Opened, Surroundings};
use crate::config::{AuthorityMode, Config, FileApps, Relay, UpstreamKind};
use crate::doors::{Doors, LanDoor};
use crate::kept::KeptError;
use crate::local_api::{Facts, LocalApi};
use crate::pages::Pages;
use crate::printing::Printing;
use crate::relay::dialling::Dialling;
use crate::relay::{self, KeptRelay, Link, RelayLink};
use crate::service::{ByWhom, Service};
use crate::session_keys::SessionKeys;
use crate::upstream::Upstream;
use crate::upstream::probe::{self, Trust};
use crate::upstream_authority::UpstreamAuthority;

/// Descriptors that are kept from callers: the database, the tunnel, the status listener, refusals.
/// Of the rest each caller may need a second one, for the printer's server.
const DESCRIPTORS: usize = 48;

/// Why a host cannot start.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Kept(#[from] KeptError),
    #[error("cannot dial the relay: {0}")]
    Relay(#[from] DialError),
}

/// A host that has its sockets and has not begun to serve.
pub struct Host {
    config: Config,
    identity: HostIdentity,
    listener: TcpListener,
    status_listener: Option<TcpListener>,
    stop: Stop,
    tracker: TaskTracker,
    relay: RelayLink,
    dialling: Dialling,
    lan: LanDoor,
    judged: Judged,
    local_api: LocalApi,
}

/// Who judges callers, with what works beside the requests.
enum Judged {
    Host(Opened),
    Upstream(UpstreamAuthority),
}

impl Judged {
    /// Such a host as judges nobody hands out nothing.
    fn app_connections(&self) -> AppConnections {
        match self {
            Self::Host(opened) => opened.authority.app_connections.clone(),
            Self::Upstream(_) => AppConnections::default(),
        }
    }

    fn by_whom(&self) -> ByWhom {
        match self {
            Self::Host(opened) => ByWhom::Host(opened.reception.clone()),
            Self::Upstream(beside) => ByWhom::Upstream(beside.clone()),
        }
    }
}

/// Takes what files say of apps that may get session keys, while the host runs.
#[derive(Clone)]
pub struct SessionAppsFeed(SessionKeys);

impl SessionAppsFeed {
    /// From now on this counts. Keys of apps that are gone, switched off or changed end.
    pub async fn replace(&self, files: FileApps) {
        self.0.set_files(files).await;
    }
}

impl Host {
    /// Takes the sockets and reads, or makes, the identity.
    ///
    /// With `authority: host`, opens the database and the key file too.
    pub async fn bind(
        config: Config,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn Chance>,
    ) -> Result<Self, HostError> {
        let identity = config.load_identity()?;
        let listener = listen::bind(config.listen).await?;
        let status_listener = match config.status_listen {
            Some(address) => Some(listen::bind(address).await?),
            None => None,
        };
        let stop = Stop::default();
        let tracker = TaskTracker::new();
        let trust = Trust::default();
        let relay = relay_link(&config, &identity, &clock, &tracker, &stop);
        let pages = pages(&config, &relay, &trust);
        let local_api = local_api(&config, &relay, &identity, &listener)?;
        let printing = Printing::new(
            &config,
            Arc::clone(&clock),
            Arc::clone(&chance),
            stop.soft.clone(),
        );
        let judged = match config.authority {
            AuthorityMode::Upstream => Judged::Upstream(UpstreamAuthority::new(
                &config,
                local_api.clone(),
                clock,
                chance,
                tracker.clone(),
            )),
            AuthorityMode::Host => {
                let around = Surroundings {
                    pages: pages.clone(),
                    local_api: local_api.clone(),
                    clock,
                    chance,
                    tracker: tracker.clone(),
                    stopping: stop.soft.clone(),
                };
                Judged::Host(Opened::open(&config, around).await?)
            }
        };
        let doors = Doors {
            service: Service::new(Upstream::new(config.clone(), trust), judged.by_whom()),
            metrics: Arc::default(),
            ids: Arc::default(),
            tracker: tracker.clone(),
            stopping: stop.soft.clone(),
        };
        let dialling = Dialling {
            identity: identity.clone(),
            host_name: config.name.clone(),
            doors: doors.clone(),
            app_connections: judged.app_connections(),
            keys: KeysThroughRelay::new(relay.clone(), maker(&config, &judged), tracker.clone()),
            local_api: local_api.clone(),
            printing,
            coder: coder(&doors.metrics),
        };
        // What cannot be dialled for what the configuration says is told at the start.
        if let Some(relay) = &config.relay {
            dialling.dialler(relay)?;
        }
        let lan = LanDoor {
            doors,
            pages,
            hostnames: config.hostnames.as_slice().into(),
        };
        Ok(Self {
            config,
            identity,
            listener,
            status_listener,
            stop,
            tracker,
            relay,
            dialling,
            lan,
            judged,
            local_api,
        })
    }

    /// The database of users and keys, if the host is the authority.
    pub fn store(&self) -> Option<HostStore> {
        let Judged::Host(opened) = &self.judged else {
            return None;
        };
        Some(opened.authority.store.clone())
    }

    /// Where changes of the registered apps go; `None` if this host cannot have session keys.
    pub fn session_apps(&self) -> Option<SessionAppsFeed> {
        let session_keys = match &self.judged {
            Judged::Host(opened) => &opened.authority.session_keys,
            Judged::Upstream(beside) => beside.session_keys.as_ref()?,
        };
        Some(SessionAppsFeed(session_keys.clone()))
    }

    /// What whoever makes the first administrator has to type in the browser; `None` once there
    /// is one, or if this host knows nobody.
    pub async fn setup_code(&self) -> Option<String> {
        let Judged::Host(opened) = &self.judged else {
            return None;
        };
        opened.authority.users.setup_code().await
    }

    /// The address of the LAN door.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The address of the health listener.
    pub fn status_addr(&self) -> Option<SocketAddr> {
        self.status_listener.as_ref()?.local_addr().ok()
    }

    /// The public half of the identity.
    pub fn public_key(&self) -> [u8; 32] {
        self.identity.public_key()
    }

    /// Follows which relay there is and what the dialler is doing.
    pub fn link(&self) -> watch::Receiver<Link> {
        self.relay.follow()
    }

    /// The two stop signals; see [`Stop`].
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Serves until stopped. After the soft signal running requests have the
    /// configured time, then they are cut.
    pub async fn run(self) {
        let link = self.link();
        let Self {
            config,
            identity,
            listener,
            status_listener,
            stop,
            tracker,
            relay,
            dialling,
            lan,
            judged,
            local_api,
        } = self;
        let settings = ListenSettings {
            trusted: trusted(&config.trusted_proxies),
            max_connections: listen::connections_within(20_000, DESCRIPTORS) / 2,
            ..ListenSettings::default()
        };
        let trust = lan.pages.trust.clone();
        tracker.spawn(local_api.clone().keep(stop.soft.clone()));
        tracker.spawn(local_api.follow(link.clone(), stop.soft.clone()));
        tracker.spawn(relay.clone().watch_file());
        tracker.spawn(relay.clone().watch_sleep());
        report(&lan.doors.metrics, link.clone());
        let health = health(&lan.doors.metrics, link, trust.clone());
        if let Ok(address) = listener.local_addr() {
            let announcement = Announcement::of(&config, address, &identity.public_key());
            announce::start(announcement, &tracker, &stop.soft);
        }
        let serving = listen::serve(listener, settings, lan, stop.clone(), tracker.clone());
        tracker.spawn(serving);
        if let Some(listener) = status_listener {
            let soft = stop.soft.clone();
            tracker.spawn(async move {
                if let Err(error) = health.serve(listener, soft).await {
                    tracing::error!(%error, "the status listener ended");
                }
            });
        }
        match &judged {
            Judged::Host(opened) => opened.authority.start(&tracker, &stop.soft),
            Judged::Upstream(beside) => beside.start(&tracker, &stop.soft),
        }
        tracker.spawn(dialling.printing.clone().run(relay.clone()));
        tracker.spawn(probe::watch(config.clone(), trust, stop.soft.clone()));
        let dial = move |relay: &Relay| dialling.dialler(relay);
        tracker.spawn(relay.run(dial, stop.soft.clone(), stop.hard.clone()));
        stop.soft.cancelled().await;
        tracker.close();
        stop.drain(config.drain, tracker.wait(), tracker.wait())
            .await;
        if let Judged::Host(opened) = judged {
            opened.authority.store.close().await;
        }
    }
}

fn relay_link(
    config: &Config,
    identity: &HostIdentity,
    clock: &Arc<dyn Clock>,
    tracker: &TaskTracker,
    stop: &Stop,
) -> RelayLink {
    RelayLink::new(relay::Parts {
        configured: config.relay.clone(),
        file: Some(KeptRelay::file(&config.data)),
        identity: identity.clone(),
        name: config.name.clone(),
        clock: Arc::clone(clock),
        tracker: tracker.clone(),
        stopping: stop.soft.clone(),
    })
}

fn pages(config: &Config, relay: &RelayLink, trust: &Trust) -> Pages {
    let webcam = config.webcams.first();
    Pages {
        name: config.name.as_str().into(),
        relay: relay.clone(),
        upstream_kind: config.upstream.kind.as_str(),
        webcam: webcam.map(|webcam| webcam.path.as_str().into()),
        trust: trust.clone(),
    }
}

fn local_api(
    config: &Config,
    relay: &RelayLink,
    identity: &HostIdentity,
    listener: &TcpListener,
) -> Result<LocalApi, DialError> {
    let relay = relay.target().map(|relay| relay_name(&relay.url));
    let facts = Facts {
        name: config.name.clone(),
        printer_id: PrinterId::from(&HostId::of_public_key(&identity.public_key())),
        authority: config.authority,
        upstream: config.upstream.kind,
        listen: listener.local_addr().unwrap_or(config.listen),
        relay: relay.transpose()?,
    };
    Ok(LocalApi::open(facts, Some(config.data.join("local.json"))))
}

/// What makes answers shorter on their way to the relay.
fn coder(metrics: &Metrics) -> Coder {
    let sizes = CodedBytes::register(metrics);
    Coder::new(Arc::new(move |one| sizes.add(one.plain, one.coded)))
}

/// Who makes the keys that the relay asks for.
fn maker(config: &Config, judged: &Judged) -> Maker {
    match (judged, &config.upstream.credential) {
        (Judged::Host(opened), _) => Maker::Host(opened.authority.clone()),
        (Judged::Upstream(_), Some(key)) if config.upstream.kind == UpstreamKind::OctoPrint => {
            let address = config.upstream.address.clone();
            Maker::OctoPrint(Box::new(OctoPrintKeys::new(address, key.clone())))
        }
        (Judged::Upstream(_), _) => Maker::Nobody,
    }
}

/// Loopback is believed as OctoPrint believes it: a local reverse proxy is common.
fn trusted(configured: &[IpNet]) -> TrustedPeers {
    let loopback = ["127.0.0.0/8", "::1/128"].map(|net| net.parse().expect("a network"));
    TrustedPeers::new(
        loopback
            .into_iter()
            .chain(configured.iter().copied())
            .collect(),
    )
}

fn report(metrics: &Metrics, link: watch::Receiver<Link>) {
    let help = "Connections to the relay that are up";
    metrics.reading("relay_connections", help, move || {
        match link.borrow().state {
            DialState::Connected { connections, .. } => i64::try_from(connections).unwrap_or(0),
            _ => 0,
        }
    });
}

fn health(metrics: &Arc<Metrics>, link: watch::Receiver<Link>, trust: Trust) -> Health {
    let health = Health::new(Arc::clone(metrics)).check("upstream", move || {
        let answers = trust.answers();
        async move {
            if answers {
                Ok(())
            } else {
                Err("the printer's server does not answer".into())
            }
        }
    });
    health.check("tunnel", move || {
        let ready = {
            let link = link.borrow();
            // Without a relay there is nothing to wait for.
            link.relay.is_none() || matches!(link.state, DialState::Connected { .. })
        };
        async move {
            if ready {
                Ok(())
            } else {
                Err("no tunnel to the relay".into())
            }
        }
    })
}
