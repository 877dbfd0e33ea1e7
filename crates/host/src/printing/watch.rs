//! Following a printer: one round after the other, and what each one learns put where the relay
//! hears it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use latchkey_model::chance::SystemChance;
use latchkey_model::printing::PrinterEvent;
use tokio::time::{Instant, sleep};

use super::asking::Asking;
use super::seen::{Seen, Told};
use super::tale::Tale;
use super::{Shared, generic, moonraker, octoprint, prusalink};
use crate::config::UpstreamKind;
use crate::push::Pauses;

/// OctoPrint shows that a print is over before it says how it ended.
const OCTOPRINT_GRACE: Duration = Duration::from_secs(4);
/// How often it is looked whether there is a camera.
const CAMERA_EVERY: Duration = Duration::from_mins(5);

/// What a round with the server was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Round {
    /// Something was heard, until the server was lost.
    Heard,
    /// The server was not reached at all.
    NotReached,
}

/// Follows the printer for as long as this is awaited.
pub(super) async fn follow(shared: &Shared) {
    let asking = Asking::new(&shared.config);
    tokio::join!(watch(shared, &asking), look_for_camera(shared, &asking));
}

async fn watch(shared: &Shared, asking: &Asking) {
    let kind = shared.config.upstream.kind;
    let grace = match kind {
        UpstreamKind::OctoPrint => OCTOPRINT_GRACE,
        _ => Duration::ZERO,
    };
    let mut teller = Teller {
        shared,
        tale: Tale::new(grace),
        reached: false,
    };
    let mut pauses = Pauses::new(SystemChance);
    let mut octoprint = octoprint::Source::new(&shared.config);
    loop {
        let began = Instant::now();
        let round = match kind {
            UpstreamKind::OctoPrint => octoprint.follow(asking, &mut teller).await,
            UpstreamKind::Moonraker => moonraker::follow(asking, &mut teller).await,
            UpstreamKind::PrusaLink => prusalink::follow(asking, &mut teller).await,
            UpstreamKind::Generic => generic::follow(asking, &mut teller).await,
        };
        // A server that drops its sockets and is there again at once was not away.
        if round == Round::NotReached {
            teller.unreachable();
        }
        sleep(pauses.after(began)).await;
    }
}

async fn look_for_camera(shared: &Shared, asking: &Asking) {
    loop {
        let has_camera = shared.camera.look(asking).await;
        shared.has_camera.store(has_camera, Ordering::Relaxed);
        sleep(CAMERA_EVERY).await;
    }
}

/// Puts what is learned into the tale, and what the tale says into the outbox.
pub(super) struct Teller<'s> {
    shared: &'s Shared,
    tale: Tale,
    reached: bool,
}

impl Teller<'_> {
    pub(super) fn now(&self) -> latchkey_model::clock::Timestamp {
        self.shared.clock.now()
    }

    pub(super) fn see(&mut self, seen: Seen) {
        if !self.reached {
            self.reached = true;
            tracing::info!("the printer is followed");
        }
        let events = self.tale.see(self.now(), seen, &*self.shared.chance);
        self.publish(events);
    }

    pub(super) fn hear(&mut self, told: Told) {
        let events = self.tale.hear(self.now(), told, &*self.shared.chance);
        self.publish(events);
    }

    /// What is known of the printer does not count any more. A print may go on all the same.
    pub(super) fn unreachable(&mut self) {
        if self.reached {
            self.reached = false;
            tracing::info!(
                "the printer cannot be followed: its server does not reach it, or does not answer"
            );
        }
        self.tale.unreachable();
        self.publish(Vec::new());
    }

    fn publish(&self, events: Vec<PrinterEvent>) {
        let has_camera = self.shared.has_camera.load(Ordering::Relaxed);
        let state = self.tale.state(self.now(), has_camera);
        self.shared.outbox.put(events, state);
    }
}
