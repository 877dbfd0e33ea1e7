//! Keeps one tunnel to a relay up: dials, waits, dials again, moves when told to.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::backoff::{Backoff, SystemJitter};
use super::carrier::End;
use super::control::{Refusal, RefusalCode, Welcome};
use super::dial::{Connect, DialError, TcpConnect, relay_name};
use super::dial_config::{DialState, DiallerConfig};
use super::identity::HostIdentity;
use super::serve::{HostTunnel, Introduction, Phase, Run, StreamService};

/// The schedule when a relay says no and gives no time: only a person can change it.
const REFUSED_WAIT: Duration = Duration::from_mins(1);
/// The longest wait a relay may ask for.
const LONGEST_WAIT: Duration = Duration::from_hours(1);
/// The time a relay has to read why it is not trusted.
const PARTING: Duration = Duration::from_secs(2);

/// Keeps one tunnel to a relay up.
pub struct Dialler<S> {
    core: Core<S, TcpConnect>,
}

/// A dialler over any way to connect.
pub(super) struct Core<S, C> {
    pub(super) connect: C,
    pub(super) config: DiallerConfig,
    pub(super) relay_name: String,
    pub(super) allow_unbound: bool,
    pub(super) identity: HostIdentity,
    pub(super) service: S,
    pub(super) tracker: TaskTracker,
    pub(super) backoff: Backoff,
    pub(super) state: watch::Sender<DialState>,
    pub(super) nudge: Arc<Notify>,
    /// All tunnels that may still carry streams.
    pub(super) tunnels: Vec<Arc<HostTunnel>>,
    /// The tunnel the relay wants to get rid of, until the next one is up.
    pub(super) leaving: Option<Arc<HostTunnel>>,
    pub(super) attempt: u32,
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
        let relay_name = relay_name(&config.relay_url)?;
        let allow_unbound = config.allow_unbound || connect.is_loopback();
        Ok(Self {
            core: Core {
                connect,
                relay_name,
                allow_unbound,
                config,
                identity,
                service,
                tracker,
                backoff: Backoff::new(Box::new(SystemJitter)),
                state: watch::Sender::new(DialState::Idle),
                nudge: Arc::default(),
                tunnels: Vec::new(),
                leaving: None,
                attempt: 0,
            },
        })
    }

    /// Follows what the dialler does.
    pub fn state(&self) -> watch::Receiver<DialState> {
        self.core.state.subscribe()
    }

    /// Notified, it ends a wait at once: the network came back, or a person asked.
    pub fn nudge(&self) -> Arc<Notify> {
        Arc::clone(&self.core.nudge)
    }

    /// Runs until `soft` is cancelled and the running streams are done, or `hard` cuts.
    pub async fn run(self, soft: CancellationToken, hard: CancellationToken) {
        self.core.run(soft, hard).await;
    }
}

/// What follows an attempt or a tunnel.
enum Next {
    /// Dial again after this long.
    Wait {
        delay: Duration,
        why: String,
        /// The relay does not know this host.
        unpaired: bool,
    },
    /// Dial again; the present tunnel stays until the next one is up.
    Move { delay: Duration },
}

impl<S: StreamService, C: Connect> Core<S, C> {
    pub(super) async fn run(mut self, soft: CancellationToken, hard: CancellationToken) {
        loop {
            let step = self.step(&soft, &hard);
            tokio::select! {
                biased;
                () = hard.cancelled() => break,
                () = soft.cancelled() => break,
                () = step => {}
            }
        }
        // The tunnels themselves finish with `soft` and are cut with `hard`.
        self.set(DialState::Draining);
        for tunnel in self.tunnels.drain(..) {
            tunnel.closed().await;
        }
        self.set(DialState::Stopped);
    }

    /// One tunnel's life, or one failed attempt, and the wait after it.
    async fn step(&mut self, soft: &CancellationToken, hard: &CancellationToken) {
        self.attempt = self.attempt.saturating_add(1);
        self.set(DialState::Dialling {
            attempt: self.attempt,
        });
        let next = match self.open(soft, hard).await {
            Ok((tunnel, welcome)) => {
                self.attempt = 0;
                if let Some(leaving) = self.leaving.take() {
                    leaving.finish();
                }
                self.stay(&tunnel, welcome).await
            }
            Err(error) => self.after_failure(&error),
        };
        match next {
            Next::Wait {
                delay,
                why,
                unpaired,
            } => {
                self.set(DialState::Waiting {
                    until: Instant::now() + delay,
                    why,
                    unpaired,
                });
                self.sleep(delay).await;
            }
            Next::Move { delay } => {
                self.set(DialState::Draining);
                self.sleep(delay).await;
            }
        }
    }

    /// Dials and waits for the relay's decision.
    async fn open(
        &mut self,
        soft: &CancellationToken,
        hard: &CancellationToken,
    ) -> Result<(Arc<HostTunnel>, Welcome), DialError> {
        let dialled = self.connect.connect().await?;
        let config = &self.config;
        let introduction = Introduction {
            identity: self.identity.clone(),
            connection: config.connection,
            name: config.host_name.clone(),
            version: config.version.clone(),
            features: config.features.clone(),
            relay_name: self.relay_name.clone(),
            exporter: dialled.exporter,
            allow_unbound: self.allow_unbound,
        };
        let run = Run {
            settings: &config.settings,
            tracker: &self.tracker,
            soft,
            hard,
        };
        let tunnel = HostTunnel::start(dialled.io, introduction, self.service.clone(), &run);
        let tunnel = Arc::new(tunnel);
        self.tunnels.retain(|tunnel| !tunnel.is_closed());
        self.tunnels.push(Arc::clone(&tunnel));
        let decided = self.decision(&tunnel).await;
        if decided.is_err() {
            tunnel.finish();
            // The answer that says why must still get through.
            let _ = timeout(PARTING, tunnel.closed()).await;
            tunnel.cut();
        }
        decided.map(|welcome| (tunnel, welcome))
    }

    async fn decision(&self, tunnel: &HostTunnel) -> Result<Welcome, DialError> {
        let settings = &self.config.settings;
        let mut phase = tunnel.phase.clone();
        let decided = async {
            let decided = phase
                .wait_for(|phase| !matches!(phase, Phase::AwaitingHello | Phase::AwaitingDecision));
            decided.await.ok().map(|phase| phase.clone())
        };
        let decided = tokio::select! {
            biased;
            decided = timeout(settings.hello_deadline + settings.control_deadline, decided) => decided,
            () = tunnel.closed() => Ok(None),
        };
        match decided {
            Err(_) => Err(DialError::Silent(self.relay_name.clone())),
            Ok(Some(Phase::Welcomed(welcome))) => Ok(welcome),
            Ok(Some(Phase::Mistrusted(mistrust))) => Err(mistrust.into()),
            Ok(Some(Phase::Refused(refusal))) => Err(refusal.into()),
            Ok(_) => {
                tunnel.closed().await;
                Err(DialError::Ended {
                    relay: self.relay_name.clone(),
                    end: tunnel.end(),
                })
            }
        }
    }

    /// Follows a tunnel until it ends or has to be replaced.
    async fn stay(&mut self, tunnel: &Arc<HostTunnel>, welcome: Welcome) -> Next {
        let tunnel_id = welcome.tunnel_id;
        let since = Instant::now();
        tracing::info!(tunnel.id = %tunnel_id.escape_debug(), relay.name = %self.relay_name, "tunnel is up");
        self.set(DialState::Connected {
            tunnel_id: tunnel_id.clone(),
            since,
            printer_id: welcome.printer_id,
        });
        let mut phase = tunnel.phase.clone();
        let changed = async {
            let changed = phase.wait_for(|phase| !matches!(phase, Phase::Welcomed(_)));
            changed.await.ok().map(|phase| phase.clone())
        };
        let changed = tokio::select! {
            biased;
            changed = changed => changed,
            () = tunnel.closed() => None,
        };
        self.backoff.lived(since.elapsed());
        let next = match changed {
            Some(Phase::Draining { reconnect_after }) => {
                self.leaving = Some(Arc::clone(tunnel));
                self.backoff.reset();
                let delay = self.backoff.spread(reconnect_after.min(LONGEST_WAIT));
                self.report_end(&tunnel_id, since, "the relay moves its hosts");
                return Next::Move { delay };
            }
            Some(Phase::Refused(refusal)) => {
                tunnel.finish();
                self.after_refusal(&refusal)
            }
            _ => {
                tunnel.closed().await;
                let why = match tunnel.end() {
                    End::Finished | End::ClosedByPeer => {
                        format!("{} closed the tunnel; dialling again", self.relay_name)
                    }
                    end => format!("the tunnel to {} broke: {end}", self.relay_name),
                };
                Next::Wait {
                    delay: self.backoff.next(),
                    why,
                    unpaired: false,
                }
            }
        };
        if let Next::Wait { why, .. } = &next {
            self.report_end(&tunnel_id, since, why);
        }
        next
    }

    fn report_end(&self, tunnel_id: &str, since: Instant, why: &str) {
        tracing::info!(
            tunnel.id = %tunnel_id.escape_debug(),
            relay.name = %self.relay_name,
            duration_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX),
            error = %why.escape_debug(),
            "tunnel ended"
        );
    }

    fn after_failure(&mut self, error: &DialError) -> Next {
        let next = match error {
            DialError::Refused(refusal) => self.after_refusal(refusal),
            DialError::Unavailable {
                retry_after: Some(wait),
                ..
            } => Next::Wait {
                delay: self.backoff.asked((*wait).min(LONGEST_WAIT)),
                why: error.to_string(),
                unpaired: false,
            },
            _ => Next::Wait {
                delay: self.backoff.next(),
                why: error.to_string(),
                unpaired: false,
            },
        };
        if let Next::Wait { delay, why, .. } = &next {
            tracing::warn!(
                relay.name = %self.relay_name,
                attempt = self.attempt,
                retry_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
                error = %why.escape_debug(),
                "no tunnel"
            );
        }
        next
    }

    fn after_refusal(&mut self, refusal: &Refusal) -> Next {
        let slow = matches!(
            refusal.code,
            RefusalCode::UnknownHost | RefusalCode::Held | RefusalCode::Replaced
        );
        let asked = refusal.retry_after_ms.map(Duration::from_millis);
        let delay = match asked.or(slow.then_some(REFUSED_WAIT)) {
            Some(wait) => self.backoff.asked(wait.min(LONGEST_WAIT)),
            None => self.backoff.next(),
        };
        Next::Wait {
            delay,
            why: format!("the relay refuses this host: {}", refusal.sentence),
            unpaired: refusal.code == RefusalCode::UnknownHost,
        }
    }

    async fn sleep(&mut self, delay: Duration) {
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = self.nudge.notified() => self.backoff.reset(),
        }
    }

    fn set(&self, state: DialState) {
        self.state.send_replace(state);
    }
}
