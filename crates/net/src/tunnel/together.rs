//! What the connections of one host share: what people are told of them, when the further ones
//! may be dialled, and a refusal that is meant for all.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::control::{Refusal, RefusalCode};
use super::dial_config::DialState;

/// Shared by the connections of one dialler. The first one knocks; the others are dialled while one
/// is up, so that a host that is not let in does not knock several times.
pub(super) struct Together {
    seen: Mutex<Seen>,
    state: watch::Sender<DialState>,
    gate: watch::Sender<Gate>,
    verdict: watch::Sender<Verdict>,
    /// Ends every wait.
    pub(super) hurry: Notify,
    /// None is up any more: whoever waits longer than after a loss need not.
    pub(super) lost: Notify,
    /// This machine slept: tunnels may be dead without a sign.
    pub(super) woke: Notify,
}

struct Seen {
    states: Vec<DialState>,
    since: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Gate {
    /// One is up.
    up: bool,
    /// How many the relay takes.
    most: usize,
}

/// The last refusal that was meant for all, with its number and who heard it.
#[derive(Debug, Clone, Default)]
struct Verdict {
    number: u64,
    by: usize,
    refusal: Option<Refusal>,
}

impl Together {
    pub(super) fn new(connections: usize) -> Arc<Self> {
        Arc::new(Self {
            seen: Mutex::new(Seen {
                states: vec![DialState::Idle; connections],
                since: None,
            }),
            state: watch::Sender::new(DialState::Idle),
            gate: watch::Sender::new(Gate { up: false, most: 1 }),
            verdict: watch::Sender::default(),
            hurry: Notify::new(),
            lost: Notify::new(),
            woke: Notify::new(),
        })
    }

    /// Follows what all of them together do.
    pub(super) fn follow(&self) -> watch::Receiver<DialState> {
        self.state.subscribe()
    }

    /// Takes note of what one does.
    pub(super) fn publish(&self, index: usize, state: DialState) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.states[index] = state;
        let all = seen.together();
        let up = matches!(all, DialState::Connected { .. });
        self.state.send_replace(all);
        let was_up = self.set_up(up);
        drop(seen);
        if was_up && !up {
            self.lost.notify_waiters();
        }
    }

    fn set_up(&self, up: bool) -> bool {
        let was_up = self.gate.borrow().up;
        self.gate.send_if_modified(|gate| {
            gate.up = up;
            was_up != up
        });
        was_up
    }

    /// Takes note of how many connections the relay takes.
    pub(super) fn welcomed(&self, most: u8) {
        self.gate.send_if_modified(|gate| {
            let before = gate.most;
            gate.most = usize::from(most);
            before != gate.most
        });
    }

    /// Waits until this one may be dialled.
    pub(super) async fn turn(&self, index: usize) {
        if index > 0 {
            let mut gate = self.gate.subscribe();
            // The sender is in here.
            let _ = gate.wait_for(|gate| gate.up && index < gate.most).await;
        }
    }

    /// Whether this one may still be dialled.
    pub(super) fn is_turn(&self, index: usize) -> bool {
        let gate = *self.gate.borrow();
        index == 0 || gate.up && index < gate.most
    }

    /// Takes note of a refusal; all others go by it, if it is meant for the host.
    pub(super) fn refused(&self, index: usize, refusal: &Refusal) {
        if !matches!(refusal.code, RefusalCode::UnknownHost | RefusalCode::Held) {
            return;
        }
        self.verdict.send_modify(|verdict| {
            verdict.number += 1;
            verdict.by = index;
            verdict.refusal = Some(refusal.clone());
        });
    }

    /// The number of the last refusal.
    pub(super) fn refusals(&self) -> u64 {
        self.verdict.borrow().number
    }

    /// Waits for a refusal after this one that another connection heard.
    pub(super) async fn refused_elsewhere(&self, index: usize, after: u64) -> Refusal {
        let mut verdicts = self.verdict.subscribe();
        loop {
            let heard = {
                let verdict = verdicts.borrow_and_update();
                let news = verdict.number > after && verdict.by != index;
                verdict.refusal.clone().filter(|_| news)
            };
            match heard {
                Some(refusal) => return refusal,
                None if verdicts.changed().await.is_err() => std::future::pending().await,
                None => {}
            }
        }
    }
}

impl Seen {
    /// One state for all: connected as long as one is, else what the first does.
    fn together(&mut self) -> DialState {
        let mut up = self.states.iter().filter_map(|state| match state {
            DialState::Connected {
                tunnel_id,
                since,
                printer_id,
                ..
            } => Some((tunnel_id.clone(), *since, printer_id.clone())),
            _ => None,
        });
        if let Some((tunnel_id, began, printer_id)) = up.next() {
            let connections = 1 + up.count();
            return DialState::Connected {
                tunnel_id,
                since: *self.since.get_or_insert(began),
                connections,
                printer_id,
            };
        }
        self.since = None;
        let first = &self.states[0];
        let all_over = self.states.iter().all(|state| *state == DialState::Stopped);
        if *first == DialState::Stopped && !all_over {
            return DialState::Draining;
        }
        first.clone()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn connected(tunnel_id: &str) -> DialState {
        DialState::Connected {
            tunnel_id: tunnel_id.to_owned(),
            since: Instant::now(),
            connections: 1,
            printer_id: None,
        }
    }

    fn up(together: &Together) -> Option<(String, Instant, usize)> {
        match together.follow().borrow().clone() {
            DialState::Connected {
                tunnel_id,
                since,
                connections,
                ..
            } => Some((tunnel_id, since, connections)),
            _ => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_connected_as_long_as_one_is() {
        let together = Together::new(2);
        let began = Instant::now();
        together.publish(0, connected("a"));
        tokio::time::advance(std::time::Duration::from_secs(5)).await;
        together.publish(1, connected("b"));
        assert_eq!(up(&together), Some(("a".to_owned(), began, 2)));
        let mut lost = std::pin::pin!(together.lost.notified());
        assert!(lost.as_mut().now_or_never().is_none());
        together.publish(0, DialState::Dialling { attempt: 1 });
        assert_eq!(up(&together), Some(("b".to_owned(), began, 1)));
        assert!(lost.as_mut().now_or_never().is_none());
        together.publish(1, DialState::Idle);
        assert!(lost.now_or_never().is_some());
        let dialling = DialState::Dialling { attempt: 1 };
        assert_eq!(*together.follow().borrow(), dialling);
        together.publish(0, DialState::Stopped);
        assert_eq!(*together.follow().borrow(), DialState::Draining);
        together.publish(1, DialState::Stopped);
        assert_eq!(*together.follow().borrow(), DialState::Stopped);
    }

    #[tokio::test]
    async fn further_ones_wait_for_one_that_is_up_and_for_leave() {
        let together = Together::new(3);
        assert!(together.turn(0).now_or_never().is_some());
        together.publish(0, connected("a"));
        assert!(together.turn(1).now_or_never().is_none(), "an old relay");
        together.welcomed(2);
        assert!(together.turn(1).now_or_never().is_some());
        assert!(together.turn(2).now_or_never().is_none());
        together.publish(0, DialState::Draining);
        assert!(together.turn(1).now_or_never().is_none());
        assert!(!together.is_turn(1));
    }

    #[tokio::test]
    async fn a_refusal_is_for_all_if_it_is_meant_for_the_host() {
        let together = Together::new(2);
        let refusal = |code| Refusal {
            code,
            sentence: String::new(),
            retry_after_ms: None,
        };
        for code in [RefusalCode::Busy, RefusalCode::Connection] {
            together.refused(1, &refusal(code));
        }
        assert!(together.refused_elsewhere(0, 0).now_or_never().is_none());
        together.refused(1, &refusal(RefusalCode::UnknownHost));
        let heard = together.refused_elsewhere(0, 0).now_or_never().unwrap();
        assert_eq!(heard.code, RefusalCode::UnknownHost);
        assert!(together.refused_elsewhere(1, 0).now_or_never().is_none());
        let after = together.refusals();
        assert!(
            together
                .refused_elsewhere(0, after)
                .now_or_never()
                .is_none()
        );
    }
}
