//! What a host says of itself at home to whoever asks, so that apps find it and know what it can.
//!
//! It is a hint and no proof: a host proves itself by its key, to its relay.

pub(crate) mod http;
mod kept;
#[cfg(test)]
mod tests;
mod wire;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use latchkey_model::id::PrinterId;
use latchkey_net::tunnel::DialState;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

pub(crate) use self::kept::Frontend;
use self::kept::Kept;
use crate::config::{AuthorityMode, UpstreamKind};
use crate::relay::Link;

/// How often what changed is kept at most.
const KEPT_EVERY: Duration = Duration::from_secs(5);

/// What a host knows of itself. Clones share it.
#[derive(Clone)]
pub(crate) struct LocalApi(Arc<Inner>);

struct Inner {
    facts: Facts,
    /// Where what is learnt is kept; nowhere in tests.
    file: Option<PathBuf>,
    kept: Mutex<Kept>,
    /// What the file says.
    saved: Mutex<Kept>,
    changed: Notify,
    /// Whether there is a tunnel just now.
    connected: AtomicBool,
    /// The relay's name, if there is one.
    relay: Mutex<Option<String>>,
}

/// What stays as it is while the host runs.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) name: String,
    /// What follows from the host's key; most relays know the printer by it.
    pub(crate) printer_id: PrinterId,
    pub(crate) authority: AuthorityMode,
    pub(crate) upstream: UpstreamKind,
    /// The listener at home.
    pub(crate) listen: SocketAddr,
    /// The relay's name at the start, if there is one.
    pub(crate) relay: Option<String>,
}

impl LocalApi {
    /// Reads what an earlier run learnt.
    pub(crate) fn open(facts: Facts, file: Option<PathBuf>) -> Self {
        let mut kept = file.as_deref().map(kept::load).unwrap_or_default();
        let saved = Mutex::new(kept.clone());
        // Of another relay, or of none any more.
        if kept.paired_with != facts.relay {
            kept.paired_with = None;
            kept.printer_id = None;
        }
        Self(Arc::new(Inner {
            relay: Mutex::new(facts.relay.clone()),
            facts,
            file,
            kept: Mutex::new(kept),
            saved,
            changed: Notify::new(),
            connected: AtomicBool::new(false),
        }))
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.0.facts
    }

    /// By what the relay knows this host's printer. Before pairing, by what it will.
    pub(crate) fn printer_id(&self) -> PrinterId {
        let told = self.kept().printer_id.clone();
        told.unwrap_or_else(|| self.0.facts.printer_id.clone())
    }

    /// Whether the relay has let this host in, now or the last time it said anything about it.
    pub(crate) fn is_paired(&self) -> bool {
        self.kept().paired_with.is_some()
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.0.connected.load(Ordering::Relaxed)
    }

    /// Where a local proxy shows this host, if a page has told.
    pub(crate) fn frontend(&self) -> Option<Frontend> {
        self.kept().frontend
    }

    /// Notes where a local proxy shows this host.
    pub(crate) fn set_frontend(&self, frontend: Frontend) {
        self.change(|kept| kept.frontend = Some(frontend));
    }

    /// The addresses of this machine under which its listener answers at home.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        crate::interfaces::lan_addresses(self.0.facts.listen)
    }

    /// The relay's name, if there is one.
    pub(crate) fn relay(&self) -> Option<String> {
        let relay = &self.0.relay;
        relay.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where this host is at home, as apps are to be told: the port of a proxy that shows it, if a
    /// page has told, or its own. None if it listens to itself alone and nobody shows it.
    pub(crate) fn home_address(&self) -> Option<String> {
        let frontend = self.frontend();
        let address = self.addresses().into_iter().next();
        let address = address.unwrap_or_else(|| self.0.facts.listen.ip());
        if address.is_unspecified() {
            return None;
        }
        let port = frontend.map_or(self.0.facts.listen.port(), |frontend| frontend.port);
        Some(match port {
            80 => address.to_string(),
            port => SocketAddr::new(address, port).to_string(),
        })
    }

    /// Learns which relay there is and whether it knows this host, until stopped.
    pub(crate) async fn follow(self, mut link: watch::Receiver<Link>, stop: CancellationToken) {
        loop {
            let Link { relay, state } = link.borrow_and_update().clone();
            self.set_relay(relay.as_deref());
            self.learn(&state);
            tokio::select! {
                changed = link.changed() => if changed.is_err() { return },
                () = stop.cancelled() => return,
            }
        }
    }

    fn set_relay(&self, relay: Option<&str>) {
        let mut known = self.0.relay.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_deref() == relay {
            return;
        }
        *known = relay.map(str::to_owned);
        drop(known);
        self.change(|kept| {
            // Of another relay, or of none any more.
            if kept.paired_with.as_deref() != relay {
                kept.paired_with = None;
                kept.printer_id = None;
            }
        });
    }

    fn learn(&self, state: &DialState) {
        let connected = matches!(state, DialState::Connected { .. });
        self.0.connected.store(connected, Ordering::Relaxed);
        match state {
            DialState::Connected { printer_id, .. } => self.change(|kept| {
                kept.paired_with = self.relay();
                if let Some(id) = printer_id.as_ref().and_then(|id| id.parse().ok()) {
                    kept.printer_id = Some(id);
                }
            }),
            DialState::Waiting { unpaired: true, .. } => self.change(|kept| {
                kept.paired_with = None;
                kept.printer_id = None;
            }),
            _ => {}
        }
    }

    fn change(&self, change: impl FnOnce(&mut Kept)) {
        let mut kept = self.kept();
        let before = kept.clone();
        change(&mut kept);
        if *kept == before {
            return;
        }
        self.0.changed.notify_one();
    }

    /// Keeps what changes, until stopped and once more then. Not at once: whoever changes it may
    /// do so often, and a small host's disk wears.
    pub(crate) async fn keep(self, stop: CancellationToken) {
        let changed = || stop.run_until_cancelled(self.0.changed.notified());
        while changed().await.is_some() {
            let rest = tokio::time::sleep(KEPT_EVERY);
            stop.run_until_cancelled(rest).await;
            self.save().await;
        }
        self.save().await;
    }

    async fn save(&self) {
        let Some(file) = self.0.file.clone() else {
            return;
        };
        let kept = self.kept().clone();
        if *self.0.saved.lock().unwrap_or_else(PoisonError::into_inner) == kept {
            return;
        }
        let written = kept.clone();
        let saved = tokio::task::spawn_blocking(move || kept::save(&file, &written)).await;
        match saved {
            Ok(Ok(())) => {
                *self.0.saved.lock().unwrap_or_else(PoisonError::into_inner) = kept;
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "what this host learnt of itself could not be kept");
            }
            Err(error) => tracing::error!(%error, "keeping what this host learnt of itself failed"),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
