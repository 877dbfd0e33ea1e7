//! Which hosts are here: accepting tunnels, deciding whose they are, finding them.

mod accept;
mod attending;
mod copies;
mod here;
pub(crate) mod http;
mod metrics;
mod placement;
pub(crate) mod presence;
pub(crate) mod rates;
mod sending;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use latchkey_model::id::HostId;
use latchkey_net::tunnel::{Carried, HostRun, Refusal, RefusalCode, Tunnel};

use attending::Visit;
use copies::{History, Instance};
use here::Here;
use rates::Rates;
use tokio::time::Instant;

pub(crate) use accept::{Desk, Dialled, Reception, unknown_host};
pub(crate) use placement::Kind;
pub(crate) use sending::{NoAnswer, weighed};

/// All tunnels of this relay, by host.
///
/// One printer has one running host, which has up to four connections; of two with the same number
/// the newer wins. Another process with the same identity is held outside: it may be a copied
/// memory card.
#[derive(Clone, Default)]
pub(crate) struct Tunnels(Arc<Mutex<Registry>>);

#[derive(Default)]
struct Registry {
    live: HashMap<HostId, Here>,
    /// How many have come.
    visits: u64,
    /// The processes of each host since this relay started; no more than there are printers.
    histories: HashMap<HostId, History>,
    rates: Rates,
    /// This relay is going away: newcomers are to finish at once.
    closing: bool,
}

/// Why a tunnel does not get in.
#[derive(Debug, PartialEq, Eq)]
enum NotIn {
    /// Another running process with the same identity is connected.
    Taken,
    /// What the host was told with its welcome is not so any more.
    TooLate,
}

/// A tunnel that got in.
#[derive(Default)]
struct Placed {
    /// Of another process, to be sent away.
    replaced: Vec<Tunnel>,
    /// The host was not here, and somebody has to attend to it.
    visit: Option<Visit>,
    /// The host believes that it heard of all that ended, and nobody was there to tell it.
    unheard: bool,
}

/// Which connection of a host leads.
enum Lead {
    Is(Tunnel),
    /// None takes new streams; some have not ended.
    Finishing,
    /// None is left.
    None,
    /// The host was sent away; if it is here, it came anew.
    Elsewhere,
}

impl Tunnels {
    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The least busy tunnel of a host, of those that take new streams.
    pub(crate) fn find(&self, host: &HostId) -> Option<Tunnel> {
        self.find_for(host, Kind::Small)
    }

    /// The tunnel of a host that is best for what is to be sent.
    pub(crate) fn find_for(&self, host: &HostId, kind: Kind) -> Option<Tunnel> {
        self.place(host, kind, &[])
    }

    /// Which run of the host's program is here: of all its tunnels the same.
    pub(crate) fn run_of(&self, host: &HostId) -> Option<HostRun> {
        let registry = self.registry();
        let tunnel = registry.live.get(host)?.open().next()?;
        Some(HostRun(tunnel.hello().instance))
    }

    /// The tunnel that is best for it, but none of these.
    fn place(&self, host: &HostId, kind: Kind, but: &[Tunnel]) -> Option<Tunnel> {
        let registry = self.registry();
        let tried = |tunnel: &Tunnel| but.iter().any(|tried| tried.id() == tunnel.id());
        let open = registry.live.get(host)?.open();
        let open: Vec<&Tunnel> = open.filter(|tunnel| !tried(tunnel)).collect();
        placement::choose(kind, &open)
    }

    /// The tunnel through which a host is asked things.
    pub(crate) fn lead_of(&self, host: &HostId) -> Option<Tunnel> {
        self.registry().live.get_mut(host)?.lead()
    }

    /// The connection that leads a host's others, during this visit.
    fn lead(&self, host: &HostId, visit: u64) -> Lead {
        let mut registry = self.registry();
        let here = registry.live.get_mut(host);
        let Some(here) = here.filter(|here| here.visit == visit) else {
            return Lead::Elsewhere;
        };
        match here.lead() {
            Some(tunnel) => Lead::Is(tunnel),
            None if here.is_empty() => Lead::None,
            None => Lead::Finishing,
        }
    }

    fn leads(&self, host: &HostId, visit: u64, tunnel: &Tunnel) -> bool {
        matches!(self.lead(host, visit), Lead::Is(lead) if lead.id() == tunnel.id())
    }

    /// How many hosts are here.
    pub(crate) fn count(&self) -> usize {
        let registry = self.registry();
        registry.live.values().filter(|here| here.is_open()).count()
    }

    /// Which process of a host is here, and its tunnels that take new streams, if there are any.
    fn current_process(&self, host: &HostId) -> Option<(Instance, Vec<Tunnel>)> {
        let registry = self.registry();
        let here = registry.live.get(host)?;
        let open: Vec<Tunnel> = here.open().cloned().collect();
        (!open.is_empty()).then(|| (here.instance(), open))
    }

    /// What the tunnels of this process have carried, if one is up.
    fn carried(&self, host: &HostId, instance: Instance) -> Option<Carried> {
        let registry = self.registry();
        let here = registry.live.get(host)?;
        let same = here.instance() == instance && here.is_open();
        same.then(|| here.carried().clone())
    }

    /// Takes a tunnel in. An older one of the same process with the same number finishes its streams.
    ///
    /// Those that are there must be the same process's, or closed, or those of the process `leaving`,
    /// which did not answer or which the owner wants replaced. Looking and deciding is one step: of
    /// two processes that arrive together only the first gets in. `beside` is what the host was told
    /// with its welcome: that it has heard of all that ended through another tunnel.
    fn put(
        &self,
        host: &HostId,
        tunnel: &Tunnel,
        beside: bool,
        leaving: Option<Instance>,
    ) -> Result<Placed, NotIn> {
        let (instance, now) = (tunnel.hello().instance, Instant::now());
        let mut registry = self.registry();
        let registry = &mut *registry;
        let here = registry.live.get_mut(host);
        if let Some(here) = &here {
            let same_process = here.instance() == instance;
            if !same_process && here.is_open() && leaving != Some(here.instance()) {
                return Err(NotIn::Taken);
            }
            if same_process && beside && !here.carried().is(tunnel.carried()) {
                return Err(NotIn::TooLate);
            }
        }
        let history = registry.histories.entry(host.clone()).or_default();
        if history.is_locked_out(instance, now) {
            return Err(NotIn::Taken);
        }
        history.admit(instance, now);
        if registry.closing {
            tunnel.finish();
        }
        let mut placed = Placed::default();
        match here {
            Some(here) if here.instance() == instance => here.join(tunnel.clone()),
            Some(here) => {
                placed.replaced = here.replace(tunnel.clone());
                placed.unheard = beside;
            }
            None => {
                registry.visits += 1;
                let number = registry.visits;
                let here = Here::new(number, tunnel.clone());
                let changed = here.follow();
                placed.visit = Some(Visit { number, changed });
                placed.unheard = beside;
                registry.live.insert(host.clone(), here);
            }
        }
        Ok(placed)
    }

    /// Takes a tunnel in without a reception.
    #[cfg(test)]
    pub(crate) fn admit(&self, host: &HostId, tunnel: &Tunnel) {
        assert!(self.put(host, tunnel, false, None).is_ok());
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
        let here = registry.live.get_mut(host);
        here.is_some_and(|here| here.remove(tunnel))
    }

    /// Forgets a host whose last tunnel ended. False if it is back.
    fn retire(&self, host: &HostId, visit: u64) -> bool {
        let mut registry = self.registry();
        let here = registry.live.get(host);
        let here = here.filter(|here| here.visit == visit);
        let is_back = here.is_some_and(|here| !here.is_empty());
        if here.is_some() && !is_back {
            registry.live.remove(host);
        }
        !is_back
    }

    /// Tells the hosts that have to hear of it that these app connections have ended. What comes
    /// back does it.
    pub(crate) fn hear_of_ends(&self, ended: &[String]) -> Vec<impl Future<Output = ()> + use<>> {
        let registry = self.registry();
        let hosts = registry.live.iter().filter_map(|(host, here)| {
            let finder = self.finder(host, here.carried());
            here.carried().end(ended, finder)
        });
        hosts.collect()
    }

    /// Tells a host that any app connection may have ended.
    fn hear_of_any(
        &self,
        host: &HostId,
        carried: &Carried,
    ) -> Option<impl Future<Output = ()> + use<>> {
        carried.end_any(self.finder(host, carried))
    }

    /// Finds the tunnel through which a host is told things, while it is the same one.
    fn finder(
        &self,
        host: &HostId,
        carried: &Carried,
    ) -> impl Fn() -> Option<Tunnel> + Send + 'static + use<> {
        let (tunnels, host, carried) = (self.clone(), host.clone(), carried.clone());
        move || {
            let mut registry = tunnels.registry();
            let here = registry.live.get_mut(&host)?;
            if here.carried().is(&carried) {
                here.lead()
            } else {
                None
            }
        }
    }

    /// Looks how much came and went on each since the last look.
    fn measure(&self) {
        let mut registry = self.registry();
        let registry = &mut *registry;
        let live = registry.live.values().flat_map(Here::current);
        registry.rates.measure(live, Instant::now());
    }

    /// Bytes in a second that lately came and went on a tunnel.
    pub(crate) fn rate(&self, tunnel: &Tunnel) -> u64 {
        self.registry().rates.of(tunnel)
    }

    /// The same of all tunnels.
    pub(crate) fn rate_of_all(&self) -> u64 {
        self.registry().rates.of_all()
    }

    /// All that take new streams, each host's together in the order of their numbers.
    pub(crate) fn all(&self) -> Vec<Vec<Tunnel>> {
        let registry = self.registry();
        let open = registry.live.values().filter(|here| here.is_open());
        open.map(|here| here.open().cloned().collect()).collect()
    }

    /// Whose tunnels are here.
    pub(crate) fn hosts(&self) -> Vec<HostId> {
        let registry = self.registry();
        let here = registry.live.iter().filter(|(_, here)| !here.is_empty());
        here.map(|(host, _)| host.clone()).collect()
    }

    /// All of one host's, also those that only finish.
    pub(crate) fn all_of(&self, host: &HostId) -> Vec<Tunnel> {
        let registry = self.registry();
        let here = registry.live.get(host);
        here.map_or_else(Vec::new, |here| here.all().cloned().collect())
    }

    /// Takes a host's tunnels out, so that nothing more is sent to it. They are the caller's to end.
    pub(crate) fn forget(&self, host: &HostId) -> Vec<Tunnel> {
        let mut registry = self.registry();
        registry.histories.remove(host);
        let here = registry.live.remove(host);
        here.map_or_else(Vec::new, Here::into_all)
    }

    /// Asks all hosts to dial again, elsewhere if they can.
    pub(crate) async fn drain(&self, reconnect_after: Duration) {
        let tunnels: Vec<Tunnel> = {
            let registry = self.registry();
            let live = registry.live.values().flat_map(Here::current);
            live.cloned().collect()
        };
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
        for tunnel in registry.live.values().flat_map(Here::current) {
            tunnel.finish();
        }
    }

    /// Cuts all tunnels.
    pub(crate) fn close(&self) {
        for (_, here) in self.registry().live.drain() {
            for tunnel in here.into_all() {
                tunnel.close();
            }
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
