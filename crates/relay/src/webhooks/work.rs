//! The task that tells webhooks: several at once, and each one thing after the other.

use std::collections::HashMap;
use std::time::Duration;

use latchkey_model::id::{AccountId, AppConnectionId};
use tokio::sync::broadcast::error::RecvError;
use tokio::task::{self, JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::delivery::Next;
use super::{LIFE, Webhooks};
use crate::snapshots::before;

/// Webhooks that are called at once, and those of one account among them: receivers that hang
/// must not hold up everybody's.
const AT_ONCE: usize = 32;
const OF_ONE: usize = 4;

/// Webhooks that are looked at for who is next.
const LOOKED_AT: u32 = 10_000;

/// So many things in a row, then it is another webhook's turn.
const IN_A_ROW: usize = 16;

/// What is being told when the relay stops may be finished so long; the rest is told after the
/// next start.
const GOODBYE: Duration = Duration::from_secs(2);

/// Whom is being told.
#[derive(Default)]
struct UnderWay {
    /// A task for each, which the database and other receivers do not wait for. Dropped, all end.
    running: JoinSet<Outcome>,
    whose: HashMap<task::Id, (AppConnectionId, AccountId)>,
    /// Those in doubt, and until when: not more than there are webhooks.
    resting: HashMap<AppConnectionId, Instant>,
}

/// How a delivery came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Done,
    /// Its webhook has to be left alone for a while.
    InDoubt,
}

impl UnderWay {
    fn has_room_for(&self, id: &AppConnectionId, account: &AccountId) -> bool {
        let of_one = self.whose.values().filter(|(_, whose)| whose == account);
        self.whose.len() < AT_ONCE
            && !self.whose.values().any(|(running, _)| running == id)
            && !self.resting.contains_key(id)
            && of_one.count() < OF_ONE
    }

    /// Takes a delivery out that ended. One that panicked is in doubt.
    fn end(&mut self, ended: Result<(task::Id, Outcome), JoinError>, doubt: Duration) {
        let (task, outcome) = match ended {
            Ok(ended) => ended,
            Err(error) => (error.id(), Outcome::InDoubt),
        };
        let whose = self.whose.remove(&task);
        if let (Some((id, _)), Outcome::InDoubt) = (whose, outcome) {
            self.resting.insert(id, Instant::now() + doubt);
        }
    }
}

impl Webhooks {
    /// Tells until stopped. Dropped, it ends at once: what was not noted is told again.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut heard = self.shared.events.listen();
        let mut under_way = UnderWay::default();
        loop {
            self.begin(&mut under_way, &stop).await;
            tokio::select! {
                () = stop.cancelled() => break,
                Some(ended) = under_way.running.join_next_with_id() => {
                    under_way.end(ended, self.pace.doubt);
                }
                () = self.shared.wake.notified() => {}
                event = heard.recv() => match event {
                    // Whatever was missed is in the store.
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                },
                () = sleep(self.pace.look) => {}
            }
        }
        let rest = async { while under_way.running.join_next().await.is_some() {} };
        // What is cut is told again.
        let _ = timeout(GOODBYE, rest).await;
    }

    async fn begin(&self, under_way: &mut UnderWay, stop: &CancellationToken) {
        if under_way.whose.len() >= AT_ONCE {
            return;
        }
        let moment = Instant::now();
        under_way.resting.retain(|_, until| *until > moment);
        let now = self.shared.clock.now();
        let store = self.shared.store.webhooks();
        let due = match store.list_due(before(now, LIFE), now, LOOKED_AT).await {
            Ok(due) => due,
            Err(error) => {
                tracing::warn!(%error, "cannot look which webhooks are due");
                return;
            }
        };
        for (id, account) in due {
            if under_way.has_room_for(&id, &account) {
                let (hooks, stop) = (self.clone(), stop.clone());
                let to = id.clone();
                let delivery = async move { hooks.deliver(&to, &stop).await };
                let task = under_way.running.spawn(delivery).id();
                under_way.whose.insert(task, (id, account));
            }
        }
    }

    async fn deliver(&self, id: &AppConnectionId, stop: &CancellationToken) -> Outcome {
        for _ in 0..IN_A_ROW {
            if stop.is_cancelled() {
                break;
            }
            match self.step(id).await {
                Ok(Next::More) => {}
                Ok(Next::Rest) => break,
                Ok(Next::Doubt) => return Outcome::InDoubt,
                Err(error) => {
                    tracing::warn!(%error, "a webhook has to wait: the database failed");
                    return Outcome::InDoubt;
                }
            }
        }
        Outcome::Done
    }
}
