//! What printers do: their state now, and what happened to them.
//!
//! [`feed`] hears it of the hosts, [`presence`] sees whether they are here.

mod allowance;
pub(crate) mod feed;
pub(crate) mod presence;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use latchkey_model::id::PrinterId;
use latchkey_model::printing::{PrinterEvent, PrinterState};
use latchkey_store::relay::NumberedEvent;
use latchkey_store::{RelayStore, StoreError};
use tokio::sync::broadcast;

/// So many events may be unheard before a listener misses some; who must not miss any reads them
/// from the store.
const UNHEARD: usize = 256;

/// What printers do. Clones share it.
#[derive(Clone)]
pub(crate) struct Events(Arc<Shared>);

struct Shared {
    store: RelayStore,
    /// Of printers whose host is connected: as many as there are tunnels.
    states: Mutex<HashMap<PrinterId, PrinterState>>,
    happened: broadcast::Sender<NumberedEvent>,
}

impl Events {
    pub(crate) fn new(store: RelayStore) -> Self {
        Self(Arc::new(Shared {
            store,
            states: Mutex::default(),
            happened: broadcast::channel(UNHEARD).0,
        }))
    }

    /// What a printer does now. Nothing while its host is not connected, or does not tell.
    pub(crate) fn state(&self, printer: &PrinterId) -> Option<PrinterState> {
        self.states().get(printer).cloned()
    }

    /// Takes what a host says of its printer; nothing when the host is gone.
    pub(crate) fn note_state(&self, printer: &PrinterId, state: Option<PrinterState>) {
        let mut states = self.states();
        match state {
            Some(state) => states.insert(printer.clone(), state),
            None => states.remove(printer),
        };
    }

    /// Keeps what happened, then tells whoever listens.
    pub(crate) async fn note(
        &self,
        printer: &PrinterId,
        event: PrinterEvent,
    ) -> Result<(), StoreError> {
        let number = self.0.store.events().add(printer, &event).await?;
        self.tell(number, event);
        Ok(())
    }

    /// The same for what a host reports as number `reported` of this run; what was kept before
    /// happens no second time.
    async fn note_reported(
        &self,
        printer: &PrinterId,
        run: &[u8; 16],
        reported: u64,
        event: PrinterEvent,
    ) -> Result<(), StoreError> {
        let events = self.0.store.events();
        let number = events.add_reported(printer, run, reported, &event).await?;
        self.tell(number, event);
        Ok(())
    }

    fn tell(&self, number: Option<i64>, event: PrinterEvent) {
        if let Some(number) = number {
            // Nobody may listen.
            let _ = self.0.happened.send(NumberedEvent { number, event });
        }
    }

    /// Hears of what happens from now on.
    pub(crate) fn listen(&self) -> broadcast::Receiver<NumberedEvent> {
        self.0.happened.subscribe()
    }

    fn store(&self) -> &RelayStore {
        &self.0.store
    }

    fn states(&self) -> MutexGuard<'_, HashMap<PrinterId, PrinterState>> {
        self.0.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
