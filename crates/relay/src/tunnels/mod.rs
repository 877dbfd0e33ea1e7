//! Which hosts are here: accepting tunnels, deciding whose they are, finding them.

mod accept;
mod copies;
pub(crate) mod http;
pub(crate) mod presence;
pub(crate) mod rates;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use latchkey_model::id::HostId;
use latchkey_net::tunnel::{Refusal, RefusalCode, Tunnel};

use copies::History;
use rates::Rates;
use tokio::time::Instant;

pub(crate) use accept::{Desk, Reception, unknown_host};

/// All tunnels of this relay, by host.
///
/// One printer has at most one live tunnel and the newest wins, as long as it is the
/// same running host that dialled both. Another process with the same identity is held
/// outside: it may be a copied memory card.
#[derive(Clone, Default)]
pub(crate) struct Tunnels(Arc<Mutex<Registry>>);

#[derive(Default)]
struct Registry {
    live: HashMap<HostId, Tunnel>,
    /// The processes of each host since this relay started; no more than there are printers.
    histories: HashMap<HostId, History>,
    rates: Rates,
    /// This relay is going away: newcomers are to finish at once.
    closing: bool,
}

/// Another running process with the same identity is connected.
#[derive(Debug)]
struct Taken;

impl Tunnels {
    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tunnel of a host, if it takes new streams.
    pub(crate) fn find(&self, host: &HostId) -> Option<Tunnel> {
        self.registry()
            .live
            .get(host)
            .filter(|tunnel| tunnel.is_open())
            .cloned()
    }

    /// How many hosts are here.
    pub(crate) fn count(&self) -> usize {
        let registry = self.registry();
        let open = registry.live.values().filter(|tunnel| tunnel.is_open());
        open.count()
    }

    /// Makes a tunnel the host's only one. The older one finishes its streams, if it is the same
    /// process's, or is given back to be sent away.
    ///
    /// The older one must be the same process's, or closed, or the one with the id `leaving`, which
    /// did not answer or which the owner wants replaced. Looking and deciding is one step: of two
    /// processes that arrive together only the first gets in.
    fn put(
        &self,
        host: HostId,
        tunnel: Tunnel,
        leaving: Option<&str>,
    ) -> Result<Option<Tunnel>, Taken> {
        let (instance, now) = (tunnel.hello().instance, Instant::now());
        let mut registry = self.registry();
        let mut replaced = None;
        if let Some(older) = registry.live.get(&host) {
            let same_process = older.hello().instance == instance;
            if !same_process && older.is_open() && leaving != Some(older.id()) {
                return Err(Taken);
            }
            if same_process {
                older.finish();
            } else {
                replaced = Some(older.clone());
            }
        }
        let history = registry.histories.entry(host.clone()).or_default();
        if history.is_locked_out(instance, now) {
            return Err(Taken);
        }
        history.admit(instance, now);
        if registry.closing {
            tunnel.finish();
        }
        registry.live.insert(host, tunnel);
        Ok(replaced)
    }

    /// Takes a tunnel in without a reception.
    #[cfg(test)]
    pub(crate) fn admit(&self, host: HostId, tunnel: Tunnel) {
        assert!(self.put(host, tunnel, None).is_ok());
    }

    /// Lets the next other process with this host's key in, in place of the one that is here. False
    /// if the two were swapped too often lately.
    pub(crate) fn prefer_next(&self, host: &HostId) -> bool {
        let mut registry = self.registry();
        let history = registry.histories.entry(host.clone()).or_default();
        history.prefer_next(Instant::now())
    }

    /// Whether the owner wants this process in place of the one that is here.
    fn is_preferred(&self, host: &HostId, instance: [u8; 16]) -> bool {
        let registry = self.registry();
        let history = registry.histories.get(host);
        history.is_some_and(|history| history.is_preferred(instance, Instant::now()))
    }

    /// Whether this process is kept out because two take turns.
    fn is_locked_out(&self, host: &HostId, instance: [u8; 16]) -> bool {
        let registry = self.registry();
        let history = registry.histories.get(host);
        history.is_some_and(|history| history.is_locked_out(instance, Instant::now()))
    }

    /// Forgets a tunnel that ended, unless another took its place. Says whether it did.
    fn remove(&self, host: &HostId, tunnel: &Tunnel) -> bool {
        let mut registry = self.registry();
        let is_current = registry
            .live
            .get(host)
            .is_some_and(|current| current.id() == tunnel.id());
        if is_current {
            registry.live.remove(host);
        }
        is_current
    }

    /// Looks how much came and went on each since the last look.
    fn measure(&self) {
        let mut registry = self.registry();
        let registry = &mut *registry;
        registry.rates.measure(&registry.live, Instant::now());
    }

    /// Bytes in a second that lately came and went on a tunnel.
    pub(crate) fn rate(&self, tunnel: &Tunnel) -> u64 {
        self.registry().rates.of(tunnel)
    }

    /// The same of all tunnels.
    pub(crate) fn rate_of_all(&self) -> u64 {
        self.registry().rates.of_all()
    }

    /// All that take new streams.
    pub(crate) fn all(&self) -> Vec<Tunnel> {
        let registry = self.registry();
        let open = registry.live.values().filter(|tunnel| tunnel.is_open());
        open.cloned().collect()
    }

    /// Whose tunnels are here.
    pub(crate) fn hosts(&self) -> Vec<HostId> {
        self.registry().live.keys().cloned().collect()
    }

    /// Takes a host's tunnel out, so that nothing more is sent to it. It is the caller's to end.
    pub(crate) fn forget(&self, host: &HostId) -> Option<Tunnel> {
        let mut registry = self.registry();
        registry.histories.remove(host);
        registry.live.remove(host)
    }

    /// Asks all hosts to dial again, elsewhere if they can.
    pub(crate) async fn drain(&self, reconnect_after: Duration) {
        let tunnels: Vec<Tunnel> = self.registry().live.values().cloned().collect();
        let asked = tunnels.iter().map(|tunnel| async {
            if let Err(error) = tunnel.drain(reconnect_after).await {
                tracing::debug!(tunnel.id = tunnel.id(), %error, "a host did not hear of the drain");
            }
        });
        futures_util::future::join_all(asked).await;
    }

    /// Takes no new streams anywhere; each tunnel, also one that comes now, closes when
    /// its streams are done.
    pub(crate) fn finish(&self) {
        let mut registry = self.registry();
        registry.closing = true;
        for tunnel in registry.live.values() {
            tunnel.finish();
        }
    }

    /// Cuts all tunnels.
    pub(crate) fn close(&self) {
        for (_, tunnel) in self.registry().live.drain() {
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
