//! When a host counts as gone, and as back: one that dials again at once was not away.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use latchkey_model::clock::{Clock, Timestamp};
use latchkey_model::id::PrinterId;
use latchkey_model::printing::{EventKind, PrinterEvent, Progress};
use latchkey_store::StoreError;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::Events;

/// A host that is away for so long is offline.
const AWAY: Duration = Duration::from_mins(1);

/// Who came and went. Clones share it.
#[derive(Clone)]
pub(crate) struct Comings {
    events: Events,
    clock: Arc<dyn Clock>,
    /// How often each printer's host has come and gone, while it is not certain that it stays so.
    /// Locked while something is written, so that what happened first is written first.
    turns: Arc<Mutex<Turns>>,
    away: Duration,
}

#[derive(Default)]
struct Turns {
    next: u64,
    waiting: HashMap<PrinterId, u64>,
}

impl Comings {
    pub(crate) fn new(events: Events, clock: Arc<dyn Clock>) -> Self {
        Self {
            events,
            clock,
            turns: Arc::default(),
            away: AWAY,
        }
    }

    /// Lets tests wait less.
    #[cfg(test)]
    pub(crate) fn hurry(&mut self) {
        self.away = Duration::from_millis(20);
    }

    /// Notes that a printer's host is here.
    pub(crate) async fn came(&self, printer: &PrinterId) {
        let mut turns = self.turns.lock().await;
        turns.waiting.remove(printer);
        let noted = async {
            if self.was_last(printer).await? == Some(EventKind::Offline) {
                self.note(printer, EventKind::Online, self.clock.now())
                    .await?;
            }
            Ok::<_, StoreError>(())
        };
        if let Err(error) = noted.await {
            tracing::warn!(%error, "cannot note that a host is back");
        }
    }

    /// Notes that a printer's host is gone, when it has stayed so for a minute. Nothing if the relay
    /// stops before.
    pub(crate) async fn went(self, printer: PrinterId, stopping: CancellationToken) {
        self.all_went(vec![printer], stopping).await;
    }

    /// The same of several: those that were here when the relay ended last, too.
    pub(crate) async fn all_went(self, printers: Vec<PrinterId>, stopping: CancellationToken) {
        let at = self.clock.now();
        let turn = {
            let mut turns = self.turns.lock().await;
            turns.next += 1;
            let turn = turns.next;
            let waiting = printers.iter().map(|printer| (printer.clone(), turn));
            turns.waiting.extend(waiting);
            turn
        };
        let away = stopping.run_until_cancelled(tokio::time::sleep(self.away));
        if away.await.is_none() {
            return;
        }
        for printer in printers {
            if let Err(error) = self.stayed_away(&printer, turn, at).await {
                tracing::warn!(%error, "cannot note that a host is gone");
            }
        }
    }

    async fn stayed_away(
        &self,
        printer: &PrinterId,
        turn: u64,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut turns = self.turns.lock().await;
        if turns.waiting.get(printer) != Some(&turn) {
            return Ok(());
        }
        turns.waiting.remove(printer);
        if self.was_last(printer).await? != Some(EventKind::Offline) {
            self.note(printer, EventKind::Offline, at).await?;
        }
        Ok(())
    }

    async fn was_last(&self, printer: &PrinterId) -> Result<Option<EventKind>, StoreError> {
        let presence = [EventKind::Online, EventKind::Offline];
        self.events
            .store()
            .events()
            .last_of(printer, presence)
            .await
    }

    async fn note(
        &self,
        printer: &PrinterId,
        kind: EventKind,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let event = PrinterEvent {
            at,
            kind,
            print: None,
            file: None,
            progress: Progress::default(),
            message: None,
        };
        self.events.note(printer, event).await
    }
}
