//! From an upgraded connection to a registered tunnel.

use std::sync::Arc;
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use latchkey_model::chance::{Chance, letters};
use latchkey_model::clock::Clock;
use latchkey_model::id::{HostId, PrinterId};
use latchkey_model::printer::HostKey;
use latchkey_model::printer::Presence;
use latchkey_net::tls::Exporter;
use latchkey_net::tunnel::{Acceptor, Arrival, HostHello, Refusal, RefusalCode, Tunnel};
use latchkey_store::RelayStore;
use tokio_util::task::TaskTracker;

use super::{Taken, Tunnels, refusal};

/// How long the host already connected may take to show that it is alive, when
/// another process appears with its identity.
const PROOF_OF_LIFE: Duration = Duration::from_secs(3);

/// Receives hosts.
#[derive(Clone)]
pub(crate) struct Reception(Arc<Desk>);

pub(crate) struct Desk {
    pub(crate) acceptor: Acceptor,
    pub(crate) tunnels: Tunnels,
    pub(crate) store: RelayStore,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) chance: Arc<dyn Chance>,
    pub(crate) tracker: TaskTracker,
}

impl Reception {
    pub(crate) fn new(desk: Desk) -> Self {
        Self(Arc::new(desk))
    }

    /// Takes over a connection that is about to be upgraded.
    pub(crate) fn receive(&self, connection: OnUpgrade, exporter: Option<Exporter>) {
        let desk = Arc::clone(&self.0);
        self.0.tracker.spawn(async move {
            let Ok(upgraded) = connection.await else {
                return;
            };
            let accepted = desk.acceptor.accept(TokioIo::new(upgraded), exporter);
            match accepted.await {
                Ok(arrival) => desk.decide(arrival).await,
                Err(error) => tracing::warn!(%error, "a host did not complete its hello"),
            }
        });
    }
}

impl Desk {
    async fn decide(&self, arrival: Arrival) {
        let host = HostKey::from_bytes(arrival.hello.host_key).id();
        let printer = match self.printer_of(&host).await {
            Ok(printer) => printer,
            Err(refusal) => return arrival.refuse(refusal).await,
        };
        let lifeless = match self.other_process(&host, &arrival.hello).await {
            Other::None => None,
            Other::Lifeless(id) => Some(id),
            Other::Alive => {
                warn_of_copy(&printer);
                return arrival.refuse(held()).await;
            }
        };
        let id = letters(&*self.chance, b"abcdefghijkmnpqrstuvwxyz23456789", 12);
        let tunnel = match arrival.welcome(&id, Some(printer.as_str())).await {
            Ok(tunnel) => tunnel,
            Err(error) => return tracing::warn!(%error, "a host left before its welcome"),
        };
        let placed = self
            .tunnels
            .put(host.clone(), tunnel.clone(), lifeless.as_deref());
        if let Err(Taken) = placed {
            warn_of_copy(&printer);
            return tunnel.dismiss(held()).await;
        }
        self.stay_with(host, printer, tunnel).await;
    }

    /// The printer this host belongs to.
    async fn printer_of(&self, host: &HostId) -> Result<PrinterId, Refusal> {
        let found = self.store.printers().find_by_host(host).await;
        match found {
            Ok(Some(printer)) => Ok(printer.id),
            Ok(None) => {
                tracing::info!("a host that is paired with no printer was sent away");
                Err(unknown_host())
            }
            Err(error) => {
                tracing::error!(%error, "cannot look up a host's printer");
                Err(busy())
            }
        }
    }

    /// Looks for another running process with the same identity.
    async fn other_process(&self, host: &HostId, hello: &HostHello) -> Other {
        match self.tunnels.find(host) {
            Some(current) if current.hello().instance != hello.instance => {
                if current.probe(PROOF_OF_LIFE).await {
                    Other::Alive
                } else {
                    Other::Lifeless(current.id().to_owned())
                }
            }
            _ => Other::None,
        }
    }

    /// Stays with a registered tunnel to its end.
    async fn stay_with(&self, host: HostId, printer: PrinterId, tunnel: Tunnel) {
        tracing::info!(
            printer.id = %printer,
            tunnel.id = tunnel.id(),
            host.version = tunnel.hello().version,
            "a host connected"
        );
        self.note_seen(&printer, Presence::Connected).await;
        tunnel.closed().await;
        let was_current = self.tunnels.remove(&host, &tunnel);
        if was_current {
            self.note_seen(&printer, Presence::Lost).await;
        }
        let duration = tunnel.since().elapsed();
        tracing::info!(
            printer.id = %printer,
            tunnel.id = tunnel.id(),
            duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            replaced = !was_current,
            end = ?tunnel.end(),
            "a host's tunnel ended"
        );
    }

    async fn note_seen(&self, printer: &PrinterId, presence: Presence) {
        let now = self.clock.now();
        if let Err(error) = self
            .store
            .printers()
            .note_seen(printer, presence, now)
            .await
        {
            tracing::warn!(%error, "cannot note when a printer was seen");
        }
    }
}

/// What is known of another process with a newcomer's identity.
enum Other {
    None,
    /// Its tunnel, by id, shows no sign of life.
    Lifeless(String),
    Alive,
}

fn warn_of_copy(printer: &PrinterId) {
    tracing::warn!(
        printer.id = %printer,
        "a second host with the same identity was held off; was its disk copied?"
    );
}

pub(crate) fn unknown_host() -> Refusal {
    refusal(
        RefusalCode::UnknownHost,
        "This relay has no printer for this host. Pair them first.",
        Duration::from_mins(1),
    )
}

fn held() -> Refusal {
    refusal(
        RefusalCode::Held,
        "Another running host has the same identity and is connected. \
         If its disk was copied, give one of the two a new identity and pair it.",
        Duration::from_secs(30),
    )
}

fn busy() -> Refusal {
    refusal(
        RefusalCode::Busy,
        "The relay cannot look up this host at the moment.",
        Duration::from_secs(10),
    )
}
