//! From an upgraded connection to a registered tunnel.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use latchkey_model::app_key::network_of;
use latchkey_model::chance::{Chance, letters};
use latchkey_model::clock::{Clock, Timestamp};
use latchkey_model::id::{HostId, PrinterId};
use latchkey_model::printer::{CopySeen, HostKey, Presence, Printer};
use latchkey_net::tls::Exporter;
use latchkey_net::tunnel::{Acceptor, Arrival, HostHello, Refusal, RefusalCode, Tunnel};
use latchkey_store::RelayStore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Taken, Tunnels, presence, refusal};
use crate::events::Events;
use crate::events::feed::Feed;
use crate::events::presence::Comings;
use crate::mail::Letter;
use crate::notices::Notices;

/// For so long after a copy was last held off its owner is not told again.
const COPY_TOLD_AGAIN: Duration = Duration::from_hours(24);

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
    pub(crate) notices: Notices,
    pub(crate) events: Events,
    pub(crate) comings: Comings,
    /// Nothing is listened to any more.
    pub(crate) stopping: CancellationToken,
}

impl Reception {
    pub(crate) fn new(desk: Desk) -> Self {
        Self(Arc::new(desk))
    }

    /// Takes over a connection that is about to be upgraded.
    pub(crate) fn receive(
        &self,
        connection: OnUpgrade,
        exporter: Option<Exporter>,
        address: IpAddr,
    ) {
        let desk = Arc::clone(&self.0);
        self.0.tracker.spawn(async move {
            let Ok(upgraded) = connection.await else {
                return;
            };
            let accepted = desk.acceptor.accept(TokioIo::new(upgraded), exporter);
            match accepted.await {
                Ok(arrival) => desk.decide(arrival, &network_of(address)).await,
                Err(error) => tracing::warn!(%error, "a host did not complete its hello"),
            }
        });
    }
}

impl Desk {
    async fn decide(&self, arrival: Arrival, network: &str) {
        let host = HostKey::from_bytes(arrival.hello.host_key).id();
        let printer = match self.printer_of(&host).await {
            Ok(printer) => printer,
            Err(refusal) => return arrival.refuse(refusal).await,
        };
        let (since, printer) = (printer.created, printer.id);
        let leaving = match self.other_process(&host, &arrival.hello).await {
            Other::None => None,
            Other::Leaving(id) => Some(id),
            Other::Alive => {
                self.note_copy(&printer, network).await;
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
            .put(host.clone(), tunnel.clone(), leaving.as_deref());
        match placed {
            Err(Taken) => {
                self.note_copy(&printer, network).await;
                return tunnel.dismiss(held()).await;
            }
            Ok(Some(replaced)) => {
                self.tracker
                    .spawn(async move { replaced.dismiss(held()).await });
            }
            Ok(None) => {}
        }
        let whose = Whose {
            host,
            printer,
            since,
        };
        self.stay_with(whose, tunnel, network).await;
    }

    /// The printer this host belongs to.
    async fn printer_of(&self, host: &HostId) -> Result<Printer, Refusal> {
        let found = self.store.printers().find_by_host(host).await;
        match found {
            Ok(Some(printer)) => Ok(printer),
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
        if self.tunnels.is_locked_out(host, hello.instance) {
            return Other::Alive;
        }
        match self.tunnels.find(host) {
            Some(current) if current.hello().instance != hello.instance => {
                if self.tunnels.is_preferred(host, hello.instance) {
                    Other::Leaving(current.id().to_owned())
                } else if current.probe(PROOF_OF_LIFE).await {
                    Other::Alive
                } else {
                    Other::Leaving(current.id().to_owned())
                }
            }
            _ => Other::None,
        }
    }

    /// Stays with a registered tunnel to its end.
    async fn stay_with(&self, whose: Whose, tunnel: Tunnel, network: &str) {
        let Whose {
            host,
            printer,
            since,
        } = whose;
        tracing::info!(
            printer.id = %printer,
            tunnel.id = tunnel.id(),
            host.version = tunnel.hello().version,
            "a host connected"
        );
        self.note_seen(&printer, Presence::Connected).await;
        self.comings.came(&printer).await;
        if let Err(error) = self.store.printers().note_network(&printer, network).await {
            tracing::warn!(%error, "cannot note from where a host is connected");
        }
        let feed = Feed {
            events: &self.events,
            clock: &self.clock,
            printer: &printer,
            since,
            tunnel: &tunnel,
            stopping: &self.stopping,
        };
        let questions = async {
            presence::tell_ended(&self.store, &tunnel).await;
            presence::follow_address(&self.store, &printer, &tunnel).await;
        };
        let accompany = futures_util::future::join(questions, feed.follow());
        tokio::select! {
            () = tunnel.closed() => {}
            _ = accompany => tunnel.closed().await,
        }
        let was_current = self.tunnels.remove(&host, &tunnel);
        if was_current {
            self.events.note_state(&printer, None);
            self.note_seen(&printer, Presence::Lost).await;
            let went = self.comings.clone();
            let went = went.went(printer.clone(), self.stopping.clone());
            self.tracker.spawn(went);
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

    async fn note_copy(&self, printer: &PrinterId, network: &str) {
        tracing::warn!(
            printer.id = %printer,
            "a second host with the same identity was held off; was its disk copied?"
        );
        let copy = CopySeen {
            at: self.clock.now(),
            network: network.to_owned(),
        };
        let printers = self.store.printers();
        let before = printers.find(printer).await.ok().flatten();
        if let Err(error) = printers.note_copy(printer, Some(&copy)).await {
            tracing::warn!(%error, "cannot note that a second host was held off");
        }
        // It comes again every few seconds: its owner is told once a day.
        let Some(before) = before else {
            return;
        };
        let told = before.seen.copy.as_ref();
        if told.is_some_and(|told| copy.at.since(told.at) < COPY_TOLD_AGAIN) {
            return;
        }
        let letter = Letter::CopyHeldOff {
            printer: before.name,
            network: copy.network,
        };
        self.notices.tell(&before.account, letter, None).await;
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

/// Whose tunnel it is.
struct Whose {
    host: HostId,
    printer: PrinterId,
    /// Since when the printer is its account's.
    since: Timestamp,
}

/// What is known of another process with a newcomer's identity.
enum Other {
    None,
    /// Its tunnel, by id, shows no sign of life, or the owner wants the newcomer in its place.
    Leaving(String),
    /// It is here, or the two take turns.
    Alive,
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
         If its disk was copied, give one of the two a new identity and pair it. \
         The owner can also choose this one on the printer's page at the relay.",
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
