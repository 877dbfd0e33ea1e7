//! What the host knows of the relay's app connections: which of them have called since the tunnel
//! began, and have not ended since.
//!
//! The relay judges calls, and cuts what it cuts. The host needs to know for what it hands out
//! itself: handles for the push socket, which are good at home too.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use latchkey_net::tunnel::Ended;

use crate::authority::endings::{Endings, Holder};

/// With more, the one known longest is forgotten. Its handle is good again after its next call.
const MOST: usize = 1024;

/// App connections that hold, as far as the host can know. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct AppConnections {
    known: Arc<Mutex<Known>>,
    endings: Endings,
}

#[derive(Default)]
struct Known {
    ids: HashSet<String>,
    order: VecDeque<String>,
}

impl AppConnections {
    pub(crate) fn new(endings: Endings) -> Self {
        Self {
            known: Arc::default(),
            endings,
        }
    }

    /// Notes one that the relay has just let in.
    pub(crate) fn note(&self, id: &str) {
        let mut known = self.known();
        if known.ids.contains(id) {
            return;
        }
        if known.order.len() >= MOST
            && let Some(first) = known.order.pop_front()
        {
            known.ids.remove(&first);
        }
        known.ids.insert(id.to_owned());
        known.order.push_back(id.to_owned());
    }

    /// Whether it called since the tunnel began, and has not ended.
    pub(crate) fn is_known(&self, id: &str) -> bool {
        self.known().ids.contains(id)
    }

    /// Forgets what ended, and ends what is open in its name. Where any may have ended, it is only
    /// let go: most hold, and their apps may come back.
    pub(crate) fn hear(&self, ended: Ended) {
        match ended {
            Ended::These(ids) => {
                for id in ids {
                    self.forget(&id);
                    self.endings.end(&Holder::AppConnection(id));
                }
            }
            Ended::Any => {
                *self.known() = Known::default();
                self.endings.note();
                for holder in self.endings.holders() {
                    if matches!(holder, Holder::AppConnection(_)) {
                        self.endings.let_go(&holder);
                    }
                }
            }
        }
    }

    fn forget(&self, id: &str) {
        let mut known = self.known();
        if known.ids.remove(id) {
            known.order.retain(|other| other != id);
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold_of(connections: &AppConnections, id: &str) -> crate::authority::endings::Hold {
        let holder = Holder::AppConnection(id.to_owned());
        connections.endings.hold(holder)
    }

    #[test]
    fn what_ended_is_forgotten_and_its_sockets_end() {
        let connections = AppConnections::default();
        connections.note("a");
        connections.note("b");
        let (a, b) = (hold_of(&connections, "a"), hold_of(&connections, "b"));
        connections.hear(Ended::These(vec!["a".to_owned(), "never seen".to_owned()]));
        assert!(!connections.is_known("a") && connections.is_known("b"));
        assert!(a.ended().is_cancelled() && !b.ended().is_cancelled());
        assert!(!a.may_return());
        connections.hear(Ended::Any);
        assert!(!connections.is_known("b") && b.ended().is_cancelled());
        assert!(b.may_return(), "nobody said that it ended");
        connections.note("b");
        assert!(connections.is_known("b"));
    }

    #[test]
    fn no_more_are_remembered_than_there_is_room_for() {
        let connections = AppConnections::default();
        for index in 0..=MOST {
            connections.note(&index.to_string());
        }
        assert_eq!(connections.known().ids.len(), MOST);
        assert!(!connections.is_known("0") && connections.is_known(&MOST.to_string()));
    }
}
