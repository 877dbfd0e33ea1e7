//! What printers do: their state now, and what happened to them.

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

/// An event that is kept, as listeners hear of it.
#[derive(Debug, Clone)]
pub(crate) struct Happened {
    pub(crate) printer: PrinterId,
    pub(crate) event: NumberedEvent,
}

/// What printers do. Clones share it.
#[derive(Clone)]
pub(crate) struct Events(Arc<Shared>);

struct Shared {
    store: RelayStore,
    /// Of printers whose host is connected: as many as there are tunnels.
    states: Mutex<HashMap<PrinterId, PrinterState>>,
    happened: broadcast::Sender<Happened>,
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
        if let Some(number) = number {
            let happened = Happened {
                printer: printer.clone(),
                event: NumberedEvent { number, event },
            };
            // Nobody may listen.
            let _ = self.0.happened.send(happened);
        }
        Ok(())
    }

    /// Hears of what happens from now on.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Happened> {
        self.0.happened.subscribe()
    }

    fn states(&self) -> MutexGuard<'_, HashMap<PrinterId, PrinterState>> {
        self.0.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
