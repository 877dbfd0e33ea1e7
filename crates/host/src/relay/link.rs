//! Keeps a dialler for the relay that there is, and ends it when there is another, or none.

use std::sync::Arc;
use std::time::Duration;

use latchkey_net::tunnel::{DialError, DialState, Dialler, StreamService};
use tokio_util::sync::CancellationToken;

use super::{Link, RelayLink, name_of, same};
use crate::config::Relay;

/// Time for the running requests of a relay that the host leaves.
const PARTING: Duration = Duration::from_secs(2);

impl RelayLink {
    /// Dials whatever relay there is, until `soft` is cancelled and the last streams are done, or
    /// `hard` cuts.
    pub(crate) async fn run<S: StreamService>(
        self,
        make: impl Fn(&Relay) -> Result<Dialler<S>, DialError>,
        soft: CancellationToken,
        hard: CancellationToken,
    ) {
        let mut targets = self.0.target.subscribe();
        while !soft.is_cancelled() {
            let target = targets.borrow_and_update().clone();
            let made = target.as_ref().map(|relay| (relay, make(relay)));
            match made {
                Some((relay, Ok(dialler))) => self.stay(relay, dialler, &soft, &hard).await,
                Some((relay, Err(error))) => {
                    tracing::error!(%error, "this relay cannot be dialled");
                    self.publish(name_of(relay), DialState::Idle);
                }
                None => self.publish(None, DialState::Idle),
            }
            if soft.is_cancelled() {
                return;
            }
            let still = same(target.as_ref(), targets.borrow().as_ref());
            if still {
                tokio::select! {
                    changed = targets.changed() => if changed.is_err() { return },
                    () = soft.cancelled() => return,
                }
            }
        }
    }

    /// Dials one relay until there is another or none, or the host stops.
    async fn stay<S: StreamService>(
        &self,
        relay: &Relay,
        dialler: Dialler<S>,
        soft: &CancellationToken,
        hard: &CancellationToken,
    ) {
        let name = name_of(relay);
        let (end, cut) = (soft.child_token(), hard.child_token());
        let (mut state, nudge, wake) = (dialler.state(), dialler.nudge(), dialler.waker());
        let mut targets = self.0.target.subscribe();
        let mut running = std::pin::pin!(dialler.run(end.clone(), cut.clone()));
        loop {
            self.publish(name.clone(), state.borrow_and_update().clone());
            tokio::select! {
                () = running.as_mut() => break,
                _ = state.changed() => {}
                () = self.0.nudge.notified() => nudge.notify_one(),
                () = self.0.woke.notified() => wake(),
                _ = targets.changed() => {
                    if same(Some(relay), targets.borrow_and_update().as_ref()) {
                        continue;
                    }
                    end.cancel();
                    if tokio::time::timeout(PARTING, running.as_mut()).await.is_err() {
                        cut.cancel();
                        running.as_mut().await;
                    }
                    return;
                }
            }
        }
        self.publish(name, state.borrow().clone());
    }

    fn publish(&self, relay: Option<Arc<str>>, state: DialState) {
        let link = Link { relay, state };
        self.0.link.send_if_modified(|before| {
            let changed = *before != link;
            if changed {
                *before = link;
            }
            changed
        });
    }
}
