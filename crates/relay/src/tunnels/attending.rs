//! Attending to a host for as long as it is here, whichever of its connections come and go: what it
//! tells, what it is asked, and whether its printer can be reached.

use std::time::Duration;

use latchkey_model::clock::Timestamp;
use latchkey_model::id::{HostId, PrinterId};
use latchkey_model::printer::Presence;
use latchkey_net::tunnel::Tunnel;
use tokio::sync::watch;

use super::accept::Desk;
use super::copies::Instance;
use super::{Lead, presence};
use crate::events::feed::Feed;

/// How often it is looked whether the connection that leads still takes streams: it closes when its
/// last stream has ended, and what the host tells on it ends by itself never.
const LOOK: Duration = Duration::from_secs(1);

/// Whose host it is.
#[derive(Clone)]
pub(super) struct Whose {
    pub(super) host: HostId,
    pub(super) printer: PrinterId,
    /// Since when the printer is its account's.
    pub(super) since: Timestamp,
}

/// A host that came.
pub(super) struct Visit {
    pub(super) number: u64,
    /// Whenever its connections change.
    pub(super) changed: watch::Receiver<()>,
}

impl Desk {
    /// Stays with a host until its last connection is gone. One task does it for each, so that what
    /// is noted of it is noted in order.
    pub(super) async fn attend(&self, whose: &Whose, mut visit: Visit) {
        loop {
            let mut known: Option<Instance> = None;
            loop {
                visit.changed.borrow_and_update();
                match self.tunnels.lead(&whose.host, visit.number) {
                    Lead::Is(tunnel) => {
                        let instance = tunnel.hello().instance;
                        if known.replace(instance) != Some(instance) {
                            tracing::info!(
                                printer.id = %whose.printer,
                                tunnel.id = tunnel.id(),
                                host.version = tunnel.hello().version,
                                "a host connected"
                            );
                            // What is over soon is boxed: this goes on for as long as the host is here.
                            let noted = self.note_seen(&whose.printer, Presence::Connected);
                            Box::pin(noted).await;
                            Box::pin(self.comings.came(&whose.printer)).await;
                        }
                        self.follow(whose, &tunnel, &mut visit).await;
                    }
                    Lead::Finishing => {
                        if visit.changed.changed().await.is_err() {
                            return;
                        }
                    }
                    Lead::None => break,
                    Lead::Elsewhere => return,
                }
            }
            if known.is_some() {
                tracing::info!(printer.id = %whose.printer, "a host is gone");
                self.events.note_state(&whose.printer, None);
                Box::pin(self.note_seen(&whose.printer, Presence::Lost)).await;
                let went = self.comings.clone();
                let went = went.went(whose.printer.clone(), self.stopping.clone());
                self.tracker.spawn(went);
            }
            // Perhaps it is back.
            if self.tunnels.retire(&whose.host, visit.number) {
                return;
            }
        }
    }

    /// Hears and asks the host through one connection, until another one is to lead.
    async fn follow(&self, whose: &Whose, tunnel: &Tunnel, visit: &mut Visit) {
        let feed = Feed {
            events: &self.events,
            clock: &self.clock,
            printer: &whose.printer,
            since: whose.since,
            tunnel,
            stopping: &self.stopping,
        };
        let questions = async {
            Box::pin(presence::tell_ended(&self.store, tunnel)).await;
            presence::follow_address(&self.store, &whose.printer, tunnel).await;
        };
        let accompany = async {
            futures_util::future::join(questions, feed.follow()).await;
            std::future::pending::<()>().await;
        };
        let leads_no_more = async {
            loop {
                let changed = tokio::time::timeout(LOOK, visit.changed.changed());
                let is_over = matches!(changed.await, Ok(Err(_)));
                if is_over || !self.tunnels.leads(&whose.host, visit.number, tunnel) {
                    return;
                }
            }
        };
        tokio::select! {
            () = leads_no_more => {}
            () = tunnel.closed() => {}
            () = accompany => {}
        }
    }
}
