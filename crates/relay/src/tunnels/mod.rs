//! Which hosts are here: accepting tunnels, deciding whose they are, finding them.

mod accept;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use latchkey_model::id::HostId;
use latchkey_net::tunnel::{Refusal, RefusalCode, Tunnel};

pub(crate) use accept::{Desk, Reception};

/// All tunnels of this relay, by host.
///
/// One printer has at most one live tunnel and the newest wins, as long as it is the
/// same running host that dialled both. Another process with the same identity is held
/// outside: it may be a copied memory card.
#[derive(Clone, Default)]
pub(crate) struct Tunnels(Arc<Mutex<HashMap<HostId, Tunnel>>>);

impl Tunnels {
    fn live(&self) -> MutexGuard<'_, HashMap<HostId, Tunnel>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tunnel of a host, if it takes new streams.
    pub(crate) fn find(&self, host: &HostId) -> Option<Tunnel> {
        self.live()
            .get(host)
            .filter(|tunnel| tunnel.is_open())
            .cloned()
    }

    /// Makes a tunnel the host's only one. The older one finishes its streams.
    fn put(&self, host: HostId, tunnel: Tunnel) {
        if let Some(older) = self.live().insert(host, tunnel) {
            older.finish();
        }
    }

    /// Forgets a tunnel that ended, unless another took its place. Says whether it did.
    fn remove(&self, host: &HostId, tunnel: &Tunnel) -> bool {
        let mut live = self.live();
        let is_current = live
            .get(host)
            .is_some_and(|current| current.id() == tunnel.id());
        if is_current {
            live.remove(host);
        }
        is_current
    }

    /// Asks all hosts to dial again, elsewhere if they can.
    pub(crate) async fn drain(&self, reconnect_after: Duration) {
        let tunnels: Vec<Tunnel> = self.live().values().cloned().collect();
        let asked = tunnels.iter().map(|tunnel| async {
            if let Err(error) = tunnel.drain(reconnect_after).await {
                tracing::debug!(tunnel.id = tunnel.id(), %error, "a host did not hear of the drain");
            }
        });
        futures_util::future::join_all(asked).await;
    }

    /// Takes no new streams anywhere; each tunnel closes when its streams are done.
    pub(crate) fn finish(&self) {
        for tunnel in self.live().values() {
            tunnel.finish();
        }
    }

    /// Cuts all tunnels.
    pub(crate) fn close(&self) {
        for (_, tunnel) in self.live().drain() {
            tunnel.close();
        }
    }
}

fn refusal(code: RefusalCode, sentence: &str, retry_after: Duration) -> Refusal {
    Refusal {
        code,
        sentence: sentence.to_owned(),
        retry_after_ms: u64::try_from(retry_after.as_millis()).ok(),
    }
}
