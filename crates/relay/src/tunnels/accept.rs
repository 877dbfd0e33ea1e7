//! From an upgraded connection to a registered tunnel.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use latchkey_model::app_key::network_of;
use latchkey_model::chance::{Chance, letters};
use latchkey_model::clock::Clock;
use latchkey_model::id::{HostId, PrinterId};
use latchkey_model::printer::{CopySeen, HostKey, Presence, Printer};
use latchkey_net::authority::Authority;
use latchkey_net::tls::Exporter;
use latchkey_net::tunnel::{
    Acceptor, Arrival, HostHello, Invitation, MOST_CONNECTIONS, Refusal, RefusalCode, Tunnel,
};
use latchkey_store::RelayStore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::attending::Whose;
use super::copies::Instance;
use super::{NotIn, Placed, Tunnels, refusal};
use crate::events::Events;
use crate::events::presence::Comings;
use crate::mail::Letter;
use crate::notices::Notices;

/// For so long after a copy was last held off its owner is not told again.
const COPY_TOLD_AGAIN: Duration = Duration::from_hours(24);

/// How long the host already connected may take to show that it is alive, when
/// another process appears with its identity.
const PROOF_OF_LIFE: Duration = Duration::from_secs(3);

/// How somebody dialled who wants to be a host's tunnel.
pub(crate) struct Dialled {
    /// Of the TLS connection, if TLS ends here.
    pub(crate) exporter: Option<Exporter>,
    pub(crate) address: IpAddr,
    /// By what name this relay was asked for, if it is not that of the public URL.
    pub(crate) named: Option<Authority>,
}

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
    pub(crate) fn receive(&self, connection: OnUpgrade, dialled: Dialled) {
        let desk = Arc::clone(&self.0);
        self.0.tracker.spawn(async move {
            let Ok(upgraded) = connection.await else {
                return;
            };
            let acceptor = match dialled.named {
                Some(name) => desk.acceptor.named(name.to_string()),
                None => desk.acceptor.clone(),
            };
            // Boxed, as all that is over soon: this task stays for as long as the host, and with it
            // the room for whatever it awaits.
            let accepted = acceptor.accept(TokioIo::new(upgraded), dialled.exporter);
            let arrival = match Box::pin(accepted).await {
                Ok(arrival) => arrival,
                Err(error) => {
                    return tracing::warn!(%error, "a host did not complete its hello");
                }
            };
            let network = network_of(dialled.address);
            let decided = Box::pin(Arc::clone(&desk).decide(arrival, &network)).await;
            if let Some((whose, tunnel)) = decided {
                desk.stay_with(&whose, &tunnel).await;
            }
        });
    }
}

impl Desk {
    /// Takes a host in, if it may come in.
    async fn decide(self: Arc<Self>, arrival: Arrival, network: &str) -> Option<(Whose, Tunnel)> {
        let host = HostKey::from_bytes(arrival.hello.host_key).id();
        let instance = arrival.hello.instance;
        if arrival.hello.connection >= MOST_CONNECTIONS {
            arrival.refuse(no_such_connection()).await;
            return None;
        }
        let printer = match self.printer_of(&host).await {
            Ok(printer) => printer,
            Err(refusal) => {
                arrival.refuse(refusal).await;
                return None;
            }
        };
        let whose = Whose {
            host,
            printer: printer.id,
            since: printer.created,
        };
        let leaving = match self.other_process(&whose.host, &arrival.hello).await {
            Other::None => None,
            Other::Leaving(instance) => Some(instance),
            Other::Alive => {
                self.note_copy(&whose.printer, network).await;
                arrival.refuse(held()).await;
                return None;
            }
        };
        let beside = self.tunnels.carried(&whose.host, instance);
        let is_beside = beside.is_some();
        let id = letters(&*self.chance, b"abcdefghijkmnpqrstuvwxyz23456789", 12);
        let invitation = Invitation {
            tunnel_id: &id,
            printer_id: Some(whose.printer.as_str()),
            connections: MOST_CONNECTIONS,
            beside,
        };
        let tunnel = match arrival.welcome_as(invitation).await {
            Ok(tunnel) => tunnel,
            Err(error) => {
                tracing::warn!(%error, "a host left before its welcome");
                return None;
            }
        };
        let placed = self.tunnels.put(&whose.host, &tunnel, is_beside, leaving);
        match placed {
            Err(NotIn::Taken) => {
                self.note_copy(&whose.printer, network).await;
                tunnel.dismiss(held()).await;
                return None;
            }
            Err(NotIn::TooLate) => {
                tunnel.dismiss(busy()).await;
                return None;
            }
            Ok(placed) => self.take_in(placed, &whose, &tunnel, network).await,
        }
        Some((whose, tunnel))
    }

    /// What follows for the host and for others from a tunnel that got in.
    async fn take_in(
        self: &Arc<Self>,
        placed: Placed,
        whose: &Whose,
        tunnel: &Tunnel,
        network: &str,
    ) {
        let is_newcomer = placed.visit.is_some() || !placed.replaced.is_empty();
        for replaced in placed.replaced {
            self.tracker
                .spawn(async move { replaced.dismiss(held()).await });
        }
        if placed.unheard
            && let Some(telling) = self.tunnels.hear_of_any(&whose.host, tunnel.carried())
        {
            self.tracker.spawn(telling);
        }
        if let Some(visit) = placed.visit {
            let (desk, whose) = (Arc::clone(self), whose.clone());
            self.tracker
                .spawn(async move { desk.attend(&whose, visit).await });
        }
        if is_newcomer {
            let printers = self.store.printers();
            if let Err(error) = printers.note_network(&whose.printer, network).await {
                tracing::warn!(%error, "cannot note from where a host is connected");
            }
        }
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
        let Some(current) = self.tunnels.current_process(host) else {
            return Other::None;
        };
        let (there, tunnels) = current;
        if there == hello.instance {
            return Other::None;
        }
        if self.tunnels.is_preferred(host, hello.instance) {
            return Other::Leaving(there);
        }
        // It is enough that one of them answers.
        let asked = tunnels.iter().map(|tunnel| {
            Box::pin(async move { tunnel.probe(PROOF_OF_LIFE).await.then_some(()).ok_or(()) })
        });
        match futures_util::future::select_ok(asked).await {
            Ok(_) => Other::Alive,
            Err(()) => Other::Leaving(there),
        }
    }

    /// Stays with a registered tunnel to its end.
    async fn stay_with(&self, whose: &Whose, tunnel: &Tunnel) {
        tracing::info!(
            printer.id = %whose.printer,
            tunnel.id = tunnel.id(),
            tunnel.connection = tunnel.hello().connection,
            "a host's tunnel is up"
        );
        tunnel.closed().await;
        let was_current = self.tunnels.remove(&whose.host, tunnel);
        let duration = tunnel.since().elapsed();
        tracing::info!(
            printer.id = %whose.printer,
            tunnel.id = tunnel.id(),
            tunnel.connection = tunnel.hello().connection,
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

    pub(super) async fn note_seen(&self, printer: &PrinterId, presence: Presence) {
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
    /// It shows no sign of life, or the owner wants the newcomer in its place.
    Leaving(Instance),
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

fn no_such_connection() -> Refusal {
    refusal(
        RefusalCode::Connection,
        "The relay takes four connections of a host, with the numbers 0 to 3.",
        Duration::from_hours(1),
    )
}

fn busy() -> Refusal {
    refusal(
        RefusalCode::Busy,
        "The relay cannot look up this host at the moment.",
        Duration::from_secs(10),
    )
}
