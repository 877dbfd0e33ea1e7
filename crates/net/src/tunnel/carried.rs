//! Which app connections a tunnel has carried requests of: the host behind it is told when one of
//! them ends, and of no others.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::control::{ControlError, EndedNotice};
use super::open::Tunnel;

/// As many ids are remembered; with more, the host is told that any may have ended.
const MOST: usize = 1024;
/// Ids in one notice: far less than a control body may have.
const IN_A_NOTICE: usize = 100;
/// How often a host is told that does not answer.
const ATTEMPTS: u32 = 3;
const BETWEEN_ATTEMPTS: Duration = Duration::from_secs(1);

/// Shared by all tunnels of one running host.
#[derive(Debug, Clone, Default)]
pub struct Carried(Arc<Mutex<Ids>>);

#[derive(Debug, Default)]
struct Ids {
    known: HashSet<String>,
    /// Some were forgotten: whatever ends may be one of them.
    overflowed: bool,
    /// What the host has still to hear.
    ended: Vec<String>,
    any: bool,
    /// Somebody is telling it.
    telling: bool,
}

impl Carried {
    /// Whether both are one.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Takes up which app connections have ended. If the host has to hear of one, and nobody is
    /// telling it yet, what comes back tells it, through whichever of its tunnels `find` gives at
    /// that time.
    pub fn end<F>(
        &self,
        app_connections: &[String],
        find: F,
    ) -> Option<impl Future<Output = ()> + Send + use<F>>
    where
        F: Fn() -> Option<Tunnel> + Send + 'static,
    {
        self.take_up(app_connections).then(|| self.tell_by(find))
    }

    /// The same for all that there may be.
    pub fn end_any<F>(&self, find: F) -> Option<impl Future<Output = ()> + Send + use<F>>
    where
        F: Fn() -> Option<Tunnel> + Send + 'static,
    {
        self.lock().any = true;
        self.take_up(&[]).then(|| self.tell_by(find))
    }

    fn tell_by<F>(&self, find: F) -> impl Future<Output = ()> + Send + use<F>
    where
        F: Fn() -> Option<Tunnel> + Send + 'static,
    {
        self.clone().tell(move |notice| {
            let tunnel = find();
            async move {
                let tunnel = tunnel.ok_or(ControlError::Finished)?;
                tunnel.tell_ends(&notice).await
            }
        })
    }

    fn lock(&self) -> MutexGuard<'_, Ids> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a request of this app connection is about to be sent.
    pub(super) fn note(&self, id: &str) {
        let mut ids = self.lock();
        if ids.known.contains(id) {
            return;
        }
        if ids.known.len() >= MOST {
            ids.known.clear();
            ids.overflowed = true;
        }
        ids.known.insert(id.to_owned());
    }

    /// Takes up what of these the host has to hear. True if nobody is telling it yet: then the
    /// caller is to.
    pub(super) fn take_up(&self, ended: &[String]) -> bool {
        let mut ids = self.lock();
        for id in ended {
            if ids.known.remove(id) {
                ids.ended.push(id.clone());
            }
        }
        ids.any |= ids.overflowed && !ended.is_empty();
        let begins = !ids.telling && (ids.any || !ids.ended.is_empty());
        ids.telling |= begins;
        begins
    }

    /// Tells the host until there is nothing more to tell, or it cannot be told.
    pub(super) async fn tell<F>(self, mut notice: impl FnMut(EndedNotice) -> F)
    where
        F: Future<Output = Result<(), ControlError>>,
    {
        let mut failed = 0;
        while let Some(next) = self.next() {
            match notice(next).await {
                Ok(()) => failed = 0,
                // After a loss another tunnel may be there.
                Err(ControlError::Deadline | ControlError::Lost(_)) if failed + 1 < ATTEMPTS => {
                    failed += 1;
                    self.lock().any = true;
                    tokio::time::sleep(BETWEEN_ATTEMPTS).await;
                }
                Err(error) => {
                    // A host that is gone forgets it all when it comes back.
                    tracing::debug!(%error, "a host did not hear which app connections ended");
                    let mut ids = self.lock();
                    ids.overflowed = true;
                    ids.telling = false;
                    return;
                }
            }
        }
    }

    fn next(&self) -> Option<EndedNotice> {
        let mut ids = self.lock();
        if ids.any {
            ids.any = false;
            ids.overflowed = false;
            ids.ended.clear();
            ids.known.clear();
            let any = true;
            return Some(EndedNotice {
                any,
                ..EndedNotice::default()
            });
        }
        if ids.ended.is_empty() {
            ids.telling = false;
            return None;
        }
        let some = ids.ended.len().min(IN_A_NOTICE);
        let app_connections = ids.ended.drain(..some).collect();
        Some(EndedNotice {
            app_connections,
            any: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn told(carried: &Carried) -> (Vec<String>, bool) {
        let (mut told, mut any) = (Vec::new(), false);
        let telling = carried.clone().tell(|notice| {
            told.extend(notice.app_connections);
            any |= notice.any;
            std::future::ready(Ok(()))
        });
        telling.await;
        (told, any)
    }

    fn ids(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[tokio::test]
    async fn a_host_hears_of_what_it_carried_once_and_of_nothing_else() {
        let carried = Carried::default();
        carried.note("a");
        carried.note("b");
        assert!(!carried.take_up(&ids(&["x"])));
        assert!(carried.take_up(&ids(&["a", "x"])));
        assert!(!carried.take_up(&ids(&["b"])), "somebody tells it already");
        assert_eq!(told(&carried).await, (ids(&["a", "b"]), false));
        assert!(!carried.take_up(&ids(&["a"])));
        carried.note("a");
        assert!(carried.take_up(&ids(&["a"])));
    }

    #[tokio::test]
    async fn what_cannot_be_remembered_is_told_as_any() {
        let carried = Carried::default();
        for index in 0..=MOST {
            carried.note(&index.to_string());
        }
        assert!(carried.0.lock().unwrap().known.len() <= MOST);
        assert!(carried.take_up(&ids(&["0"])));
        assert_eq!(told(&carried).await, (ids(&[]), true));
        assert!(!carried.take_up(&ids(&["0"])));
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_does_not_answer_is_told_again_and_then_left() {
        let carried = Carried::default();
        carried.note("a");
        assert!(carried.take_up(&ids(&["a"])));
        let mut asked = 0;
        let telling = carried.clone().tell(|_| {
            asked += 1;
            std::future::ready(Err(ControlError::Deadline))
        });
        telling.await;
        assert_eq!(asked, ATTEMPTS);
        // The next end is told as any, so that the lost one is among them.
        assert!(carried.take_up(&ids(&["b"])));
        assert_eq!(told(&carried).await, (ids(&[]), true));
    }
}
