//! One running host that is here: its connections, and which of them leads.

use std::collections::BTreeMap;

use latchkey_net::tunnel::{Carried, Tunnel};
use tokio::sync::watch;

use super::copies::Instance;
use super::placement::Pictures;

/// Connections that others took the place of and that go on for a while; more are cut.
const MOST_PARTING: usize = 8;

/// The connections of one running host.
pub(super) struct Here {
    /// Which coming it is: the same host may go and come again.
    pub(super) visit: u64,
    instance: Instance,
    /// By number, four at most.
    tunnels: BTreeMap<u8, Tunnel>,
    /// They take no new streams, and end with their last one.
    parting: Vec<Tunnel>,
    /// Of which app connections they have carried requests.
    carried: Carried,
    /// The one that is asked and told things, by its id. It stays as long as it is open.
    lead: Option<String>,
    pub(super) pictures: Pictures,
    changed: watch::Sender<()>,
}

impl Here {
    pub(super) fn new(visit: u64, tunnel: Tunnel) -> Self {
        let hello = tunnel.hello();
        Self {
            visit,
            instance: hello.instance,
            carried: tunnel.carried().clone(),
            tunnels: BTreeMap::from([(hello.connection, tunnel)]),
            parting: Vec::new(),
            lead: None,
            pictures: Pictures::default(),
            changed: watch::Sender::new(()),
        }
    }

    pub(super) fn instance(&self) -> Instance {
        self.instance
    }

    pub(super) fn carried(&self) -> &Carried {
        &self.carried
    }

    /// Changes when a connection comes, goes, or another takes its place.
    pub(super) fn follow(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Those that take new streams, in the order of their numbers.
    pub(super) fn open(&self) -> impl Iterator<Item = &Tunnel> {
        self.tunnels.values().filter(|tunnel| tunnel.is_open())
    }

    pub(super) fn is_open(&self) -> bool {
        self.open().next().is_some()
    }

    /// Whether no connection is left.
    pub(super) fn is_empty(&self) -> bool {
        self.tunnels.is_empty()
    }

    /// Those that count, whether or not they take new streams.
    pub(super) fn current(&self) -> impl Iterator<Item = &Tunnel> {
        self.tunnels.values()
    }

    /// All, also those that only finish.
    pub(super) fn into_all(self) -> Vec<Tunnel> {
        self.tunnels.into_values().chain(self.parting).collect()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Tunnel> {
        self.tunnels.values().chain(&self.parting)
    }

    /// Adds a connection of the same process. An older one of the same number finishes its streams.
    pub(super) fn join(&mut self, tunnel: Tunnel) {
        tunnel.share(self.carried.clone());
        let number = tunnel.hello().connection;
        if let Some(older) = self.tunnels.insert(number, tunnel) {
            older.finish();
            self.parting.retain(|parting| parting.end().is_none());
            if self.parting.len() >= MOST_PARTING {
                self.parting.remove(0).close();
            }
            self.parting.push(older);
        }
        self.changed.send_replace(());
    }

    /// Puts another process in the place of this one, whose connections are given back.
    pub(super) fn replace(&mut self, tunnel: Tunnel) -> Vec<Tunnel> {
        let hello = tunnel.hello();
        self.instance = hello.instance;
        self.carried = tunnel.carried().clone();
        self.lead = None;
        let number = hello.connection;
        let before = std::mem::replace(&mut self.tunnels, BTreeMap::from([(number, tunnel)]));
        let parting = std::mem::take(&mut self.parting);
        self.changed.send_replace(());
        before.into_values().chain(parting).collect()
    }

    /// Forgets one that ended. Says whether it was one that counts.
    pub(super) fn remove(&mut self, tunnel: &Tunnel) -> bool {
        let number = tunnel.hello().connection;
        let counts = self
            .tunnels
            .get(&number)
            .is_some_and(|current| current.id() == tunnel.id());
        if counts {
            self.tunnels.remove(&number);
            self.changed.send_replace(());
        } else {
            self.parting.retain(|parting| parting.id() != tunnel.id());
        }
        counts
    }

    /// The connection that leads: the same one as before, if it is open.
    pub(super) fn lead(&mut self) -> Option<Tunnel> {
        let as_before = self
            .open()
            .find(|tunnel| Some(tunnel.id()) == self.lead.as_deref());
        let lead = as_before.or_else(|| self.open().next()).cloned()?;
        self.lead = Some(lead.id().to_owned());
        Some(lead)
    }
}
