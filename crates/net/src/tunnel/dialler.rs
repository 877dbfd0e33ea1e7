//! Keeps one tunnel to a relay up: dials, waits, dials again, moves when told to.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::carrier::End;
use super::connections::Common;
use super::control::{Refusal, RefusalCode, Welcome};
use super::dial::{Connect, DialError};
use super::dial_config::DialState;
use super::serve::{HostTunnel, Introduction, Phase, Run, StreamService};

/// The schedule when a relay says no and gives no time: only a person can change it.
const REFUSED_WAIT: Duration = Duration::from_mins(1);
/// The longest wait a relay may ask for.
const LONGEST_WAIT: Duration = Duration::from_hours(1);
/// A relay that heard nothing asks after the PING interval; its question may take so long.
const AFTER_SLEEP: Duration = Duration::from_millis(500);
/// The time a relay has to read why it is not trusted.
const PARTING: Duration = Duration::from_secs(2);

/// Further connections are dialled within this time after the first is up.
const BESIDE: Duration = Duration::from_secs(1);

/// One connection, over any way to connect.
pub(super) struct Core<S, C> {
    common: Arc<Common<S, C>>,
    /// Which of them it is, from 0.
    index: u8,
    backoff: Backoff,
    /// All tunnels that may still carry streams.
    tunnels: Vec<Arc<HostTunnel>>,
    /// The tunnel the relay wants to get rid of, until the next one is up.
    leaving: Option<Arc<HostTunnel>>,
    attempt: u32,
}

/// What follows an attempt or a tunnel.
enum Next {
    /// Dial again after this long.
    Wait {
        delay: Duration,
        why: String,
        /// The relay does not know this host.
        unpaired: bool,
        /// The relay asked for the delay.
        asked: bool,
    },
    /// Dial again; the present tunnel stays until the next one is up.
    Move { delay: Duration },
}

impl<S: StreamService, C: Connect> Core<S, C> {
    pub(super) fn new(common: Arc<Common<S, C>>, index: u8, backoff: Backoff) -> Self {
        Self {
            common,
            index,
            backoff,
            tunnels: Vec::new(),
            leaving: None,
            attempt: 0,
        }
    }

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
        self.turn().await;
        self.attempt = self.attempt.saturating_add(1);
        self.set(DialState::Dialling {
            attempt: self.attempt,
        });
        let refusals = self.common.together.refusals();
        let next = match self.open(soft, hard).await {
            Ok((tunnel, welcome)) => {
                self.attempt = 0;
                if let Some(leaving) = self.leaving.take() {
                    leaving.finish();
                }
                self.stay(&tunnel, welcome, refusals).await
            }
            Err(error) => self.after_failure(&error),
        };
        match next {
            Next::Wait {
                delay,
                why,
                unpaired,
                asked,
            } => {
                self.set(DialState::Waiting {
                    until: Instant::now() + delay,
                    why,
                    unpaired,
                });
                self.sleep(delay, asked).await;
            }
            Next::Move { delay } => {
                self.set(DialState::Draining);
                self.sleep(delay, true).await;
            }
        }
    }

    /// Waits until this one may be dialled; of the further ones each after a moment of its own, so
    /// that not all hosts dial all of theirs at once when a relay comes back.
    async fn turn(&mut self) {
        let together = Arc::clone(&self.common.together);
        let index = usize::from(self.index);
        if index == 0 {
            return;
        }
        loop {
            together.turn(index).await;
            tokio::time::sleep(self.backoff.spread(BESIDE)).await;
            if together.is_turn(index) {
                return;
            }
        }
    }

    /// Dials and waits for the relay's decision.
    async fn open(
        &mut self,
        soft: &CancellationToken,
        hard: &CancellationToken,
    ) -> Result<(Arc<HostTunnel>, Welcome), DialError> {
        let common = Arc::clone(&self.common);
        let dialled = common.connect.connect().await?;
        let config = &common.config;
        let introduction = Introduction {
            identity: common.identity.clone(),
            connection: config.connection.saturating_add(self.index),
            name: config.host_name.clone(),
            version: config.version.clone(),
            features: config.features.clone(),
            relay_name: common.relay_name.clone(),
            exporter: dialled.exporter,
            allow_unbound: common.allow_unbound,
        };
        let run = Run {
            settings: &config.settings,
            tracker: &common.tracker,
            soft,
            hard,
        };
        let tunnel = HostTunnel::start(dialled.io, introduction, common.service.clone(), &run);
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
        let settings = &self.common.config.settings;
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
            Err(_) => Err(DialError::Silent(self.common.relay_name.clone())),
            Ok(Some(Phase::Welcomed(welcome))) => Ok(welcome),
            Ok(Some(Phase::Mistrusted(mistrust))) => Err(mistrust.into()),
            Ok(Some(Phase::Refused(refusal))) => Err(refusal.into()),
            Ok(_) => {
                tunnel.closed().await;
                Err(DialError::Ended {
                    relay: self.common.relay_name.clone(),
                    end: tunnel.end(),
                })
            }
        }
    }

    /// Follows a tunnel until it ends or has to be replaced.
    async fn stay(&mut self, tunnel: &Arc<HostTunnel>, welcome: Welcome, refusals: u64) -> Next {
        let tunnel_id = welcome.tunnel_id;
        let since = Instant::now();
        tracing::info!(tunnel.id = %tunnel_id.escape_debug(), relay.name = %self.common.relay_name, "tunnel is up");
        let together = Arc::clone(&self.common.together);
        together.welcomed(welcome.connections.unwrap_or(1));
        self.set(DialState::Connected {
            tunnel_id: tunnel_id.clone(),
            since,
            connections: 1,
            printer_id: welcome.printer_id,
        });
        let mut phase = tunnel.phase.clone();
        let changed = async {
            let changed = phase.wait_for(|phase| !matches!(phase, Phase::Welcomed(_)));
            changed.await.ok().map(|phase| phase.clone())
        };
        let changed = tokio::select! {
            biased;
            changed = changed => {
                if let Some(Phase::Refused(refusal)) = &changed {
                    together.refused(self.index.into(), refusal);
                }
                changed
            }
            () = tunnel.closed() => None,
            () = self.slept_away(tunnel) => {
                tunnel.cut();
                None
            }
            refusal = together.refused_elsewhere(self.index.into(), refusals) => {
                Some(Phase::Refused(refusal))
            }
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
                let relay = &self.common.relay_name;
                let why = match tunnel.end() {
                    End::Finished | End::ClosedByPeer => {
                        format!("{relay} closed the tunnel; dialling again")
                    }
                    end => format!("the tunnel to {relay} broke: {end}"),
                };
                Next::Wait {
                    delay: self.backoff.next(),
                    why,
                    unpaired: false,
                    asked: false,
                }
            }
        };
        if let Next::Wait { why, .. } = &next {
            self.report_end(&tunnel_id, since, why);
        }
        next
    }

    /// Waits until this machine woke up and the tunnel then stayed silent for longer than a living
    /// relay does.
    async fn slept_away(&self, tunnel: &HostTunnel) {
        loop {
            self.common.together.woke.notified().await;
            let before = tunnel.came();
            tokio::time::sleep(self.common.config.settings.ping_interval + AFTER_SLEEP).await;
            if tunnel.came() == before {
                return;
            }
        }
    }

    fn report_end(&self, tunnel_id: &str, since: Instant, why: &str) {
        tracing::info!(
            tunnel.id = %tunnel_id.escape_debug(),
            relay.name = %self.common.relay_name,
            duration_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX),
            error = %why.escape_debug(),
            "tunnel ended"
        );
    }

    fn after_failure(&mut self, error: &DialError) -> Next {
        let next = match error {
            DialError::Refused(refusal) => {
                self.common.together.refused(self.index.into(), refusal);
                self.after_refusal(refusal)
            }
            DialError::Unavailable {
                retry_after: Some(wait),
                ..
            } => Next::Wait {
                delay: self.backoff.asked((*wait).min(LONGEST_WAIT)),
                why: error.to_string(),
                unpaired: false,
                asked: true,
            },
            _ => Next::Wait {
                delay: self.backoff.next(),
                why: error.to_string(),
                unpaired: false,
                asked: false,
            },
        };
        if let Next::Wait { delay, why, .. } = &next {
            tracing::warn!(
                relay.name = %self.common.relay_name,
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
        let wait = refusal.retry_after_ms.map(Duration::from_millis);
        let wait = wait.or(slow.then_some(REFUSED_WAIT));
        let asked = wait.is_some();
        let delay = match wait {
            Some(wait) => self.backoff.asked(wait.min(LONGEST_WAIT)),
            None => self.backoff.next(),
        };
        Next::Wait {
            asked,
            delay,
            why: format!("the relay refuses this host: {}", refusal.sentence),
            unpaired: refusal.code == RefusalCode::UnknownHost,
        }
    }

    /// Waits before the next attempt, unless somebody ends it.
    async fn sleep(&mut self, delay: Duration, asked: bool) {
        let common = Arc::clone(&self.common);
        let mut until = Instant::now() + delay;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return,
                () = common.nudge.notified() => {
                    self.backoff.reset();
                    return common.together.hurry.notify_waiters();
                }
                () = common.together.hurry.notified() => return self.backoff.reset(),
                // Until now others were up, and this one could wait for longer.
                () = common.together.lost.notified(), if self.index == 0 && !asked => {
                    self.backoff.reset();
                    until = until.min(Instant::now() + self.backoff.next());
                }
            }
        }
    }

    fn set(&self, state: DialState) {
        self.common.together.publish(self.index.into(), state);
    }
}
