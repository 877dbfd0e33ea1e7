//! All connections of a host to its relay: one, or several beside each other.

use std::sync::Arc;

use futures_util::future::join_all;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::backoff::{Backoff, SystemJitter};
use super::carrier::MOST_CONNECTIONS;
use super::dial::{DialError, TcpConnect, relay_name};
use super::dial_config::{DialState, DiallerConfig};
use super::dialler::Core;
use super::identity::HostIdentity;
use super::serve::StreamService;
use super::together::Together;

/// Keeps the tunnels to a relay up: one, or several beside each other.
pub struct Dialler<S> {
    nudge: Arc<Notify>,
    together: Arc<Together>,
    cores: Vec<Core<S, TcpConnect>>,
}

/// What all connections have in common.
pub(super) struct Common<S, C> {
    pub(super) connect: C,
    pub(super) config: DiallerConfig,
    pub(super) relay_name: String,
    pub(super) allow_unbound: bool,
    pub(super) identity: HostIdentity,
    pub(super) service: S,
    pub(super) tracker: TaskTracker,
    pub(super) nudge: Arc<Notify>,
    pub(super) together: Arc<Together>,
}

impl<S: StreamService> Dialler<S> {
    /// A dialler whose tasks run on `tracker`. Fails on a URL that may not be dialled.
    pub fn new(
        config: DiallerConfig,
        identity: HostIdentity,
        service: S,
        tracker: TaskTracker,
    ) -> Result<Self, DialError> {
        let connect = TcpConnect::new(
            &config.relay_url,
            config.ca_file.as_deref(),
            config.connect_timeout,
            tracker.clone(),
        )?;
        let connections = config.connections.clamp(1, MOST_CONNECTIONS);
        let together = Together::new(usize::from(connections));
        let nudge = Arc::default();
        let common = Arc::new(Common {
            relay_name: relay_name(&config.relay_url)?,
            allow_unbound: config.allow_unbound || connect.is_loopback(),
            connect,
            config,
            identity,
            service,
            tracker,
            nudge: Arc::clone(&nudge),
            together: Arc::clone(&together),
        });
        let cores = (0..connections).map(|index| {
            let jitter = Box::new(SystemJitter);
            Core::new(Arc::clone(&common), index, Backoff::new(jitter))
        });
        Ok(Self {
            nudge,
            together,
            cores: cores.collect(),
        })
    }

    /// Follows what the dialler does.
    pub fn state(&self) -> watch::Receiver<DialState> {
        self.together.follow()
    }

    /// Notified, it ends a wait at once: the network came back, or a person asked.
    pub fn nudge(&self) -> Arc<Notify> {
        Arc::clone(&self.nudge)
    }

    /// What to call when this machine was asleep: tunnels that then stay silent are given up
    /// sooner than others, and waits end.
    pub fn waker(&self) -> impl Fn() + Send + 'static + use<S> {
        let (together, nudge) = (Arc::clone(&self.together), Arc::clone(&self.nudge));
        move || {
            together.woke.notify_waiters();
            nudge.notify_one();
        }
    }

    /// Runs until `soft` is cancelled and the running streams are done, or `hard` cuts.
    pub async fn run(self, soft: CancellationToken, hard: CancellationToken) {
        let cores = self.cores.into_iter();
        let running = cores.map(|core| core.run(soft.clone(), hard.clone()));
        join_all(running).await;
    }
}
