//! What a connected host tells: heard line by line, believed within bounds, kept.

use std::sync::Arc;
use std::time::Duration;

use latchkey_model::clock::{Clock, Timestamp};
use latchkey_model::id::PrinterId;
use latchkey_model::printing::{News, Report, ReportedEvent};
use latchkey_net::tunnel::{Lines, Tunnel};
use latchkey_store::StoreError;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::Events;
use super::allowance::Allowance;

/// Between two attempts to listen.
const AGAIN: Duration = Duration::from_secs(5);
/// How often it is looked whether the tunnel is on its way out: it closes when its last stream has
/// ended, and this one ends by itself never.
const LOOK: Duration = Duration::from_secs(1);

/// A host sends one state a second. A few may come together after a stall on the way.
const STATES: (u32, Duration) = (5, Duration::from_secs(1));
/// What a host has kept for later comes at once: it keeps 200.
const EVENTS: (u32, Duration) = (200, Duration::from_secs(1));

/// Listens to one host.
pub(crate) struct Feed<'a> {
    pub(crate) events: &'a Events,
    pub(crate) clock: &'a Arc<dyn Clock>,
    pub(crate) printer: &'a PrinterId,
    /// Since when the printer is this account's. What was before is none of its business.
    pub(crate) since: Timestamp,
    pub(crate) tunnel: &'a Tunnel,
    pub(crate) stopping: &'a CancellationToken,
}

/// How much of it is believed yet.
struct Patience {
    states: Allowance,
    events: Allowance,
    complained: Option<Instant>,
}

impl Feed<'_> {
    /// Listens for as long as the tunnel takes new streams and the relay does not stop.
    pub(crate) async fn follow(&self) {
        let follow = async {
            let mut patience = Patience {
                states: Allowance::new(STATES.0, STATES.1),
                events: Allowance::new(EVENTS.0, EVENTS.1),
                complained: None,
            };
            while self.tunnel.is_open() {
                match Box::pin(self.listen()).await {
                    Some(lines) => self.hear(lines, &mut patience).await,
                    None => return,
                }
                tokio::time::sleep(AGAIN).await;
            }
        };
        tokio::select! {
            () = self.stopping.cancelled() => {}
            () = self.tunnel.closed() => {}
            () = follow => {}
        }
    }

    /// The host's lines; nothing if it never has any.
    async fn listen(&self) -> Option<Lines> {
        loop {
            let store = self.events.store();
            let run = self.tunnel.hello().instance;
            let asked = match store.events().heard(self.printer, &run).await {
                Ok(after) => self.tunnel.printing(after).await,
                Err(error) => {
                    tracing::warn!(%error, "cannot look up what was heard of a host");
                    tokio::time::sleep(AGAIN).await;
                    continue;
                }
            };
            match asked {
                Ok(Some(lines)) => return Some(lines),
                Ok(None) => return None,
                Err(error) => {
                    tracing::debug!(tunnel.id = self.tunnel.id(), %error, "a host tells nothing");
                    if !self.tunnel.is_open() {
                        return None;
                    }
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }

    async fn hear(&self, mut lines: Lines, patience: &mut Patience) {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                line = lines.next() => match line {
                    Ok(Some(line)) => {
                        // Boxed: there is one of these for each host, and seldom a line.
                        if let Err(error) = Box::pin(self.take(&line, patience)).await {
                            // Listening anew begins with what could not be kept.
                            tracing::warn!(%error, "cannot keep what a host reports");
                            return;
                        }
                    }
                    Ok(None) => return,
                    Err(error) => {
                        tracing::debug!(tunnel.id = self.tunnel.id(), %error, "a host's lines ended");
                        return;
                    }
                },
                _ = look.tick() => if !self.tunnel.is_open() { return },
            }
        }
    }

    async fn take(&self, line: &[u8], patience: &mut Patience) -> Result<(), StoreError> {
        // A newer host may say what this relay does not know.
        let Ok(report) = serde_json::from_slice::<Report>(line) else {
            tracing::debug!(
                tunnel.id = self.tunnel.id(),
                "a host said something unknown"
            );
            return Ok(());
        };
        match report.heard(self.clock.now()) {
            News::State(state) => {
                if patience.states.take() {
                    self.events.note_state(self.printer, Some(state));
                } else {
                    patience.complain(self.printer);
                }
                Ok(())
            }
            News::Event(ReportedEvent { number, event }) => {
                if !event.kind.is_reported() || event.at < self.since {
                    return Ok(());
                }
                if !patience.events.take() {
                    patience.complain(self.printer);
                    return Ok(());
                }
                let run = self.tunnel.hello().instance;
                self.events
                    .note_reported(self.printer, &run, number, event)
                    .await
            }
        }
    }
}

impl Patience {
    fn complain(&mut self, printer: &PrinterId) {
        let lately = |at: Instant| at.elapsed() < Duration::from_mins(1);
        if !self.complained.is_some_and(lately) {
            self.complained = Some(Instant::now());
            tracing::warn!(
                printer.id = %printer,
                "a host reports more than hosts do; the rest is dropped"
            );
        }
    }
}
