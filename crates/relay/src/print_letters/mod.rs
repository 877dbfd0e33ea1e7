//! Letters about prints: people choose what they are written to about.
//!
//! Responsible for which event becomes a letter to whom. How letters are sent is `mail`'s: a
//! letter counts as told when it was handed in there, so a relay that is killed may lose those
//! that were not sent yet.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use latchkey_model::clock::Clock;
use latchkey_model::id::{AccountId, PrinterId};
use latchkey_model::print_letter::{Occasion, Occasions};
use latchkey_model::printing::EventKind;
use latchkey_store::relay::{NumberedEvent, Receiver, WaitingReader};
use latchkey_store::{RelayStore, StoreError};
use latchkey_web::limits::{Limits, Window};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::events::Events;
use crate::mail::{Letter, Mail, PrintNews};
use crate::snapshots::Snapshots;

/// Most letters about prints that one person gets; what comes beyond is not written.
const MOST: [Window; 1] = [Window::new(12, Duration::from_hours(1))];

/// Who is away for a shorter time is not worth a letter.
const AWAY: Duration = Duration::from_mins(5);

/// Of what is older nobody is told: the relay was away, or the letters were.
const LATE: Duration = Duration::from_hours(6);

/// Between looks at what is due.
const LOOK: Duration = Duration::from_secs(30);

/// Readers that are looked at in one go, and at once.
const READERS: u32 = 10_000;
const AT_ONCE: usize = 8;

/// Events that are looked at in one go.
const PAGE: u32 = 64;

/// What [`PrintLetters`] work with.
#[derive(Clone, Copy)]
pub(crate) struct Making<'a> {
    pub(crate) store: &'a RelayStore,
    pub(crate) clock: &'a Arc<dyn Clock>,
    pub(crate) events: &'a Events,
    pub(crate) mail: &'a Mail,
    pub(crate) snapshots: &'a Snapshots,
}

/// The letters about prints. Clones share what is counted.
#[derive(Clone)]
pub(crate) struct PrintLetters(Arc<Shared>);

struct Shared {
    store: RelayStore,
    clock: Arc<dyn Clock>,
    events: Events,
    mail: Mail,
    snapshots: Snapshots,
    written: Limits<AccountId>,
}

/// What becomes of an event for somebody.
enum Verdict {
    /// Nothing.
    Pass,
    /// That is not known yet.
    Wait,
    Write(Occasion),
}

impl PrintLetters {
    pub(crate) fn new(making: Making<'_>) -> Self {
        Self(Arc::new(Shared {
            store: making.store.clone(),
            clock: Arc::clone(making.clock),
            events: making.events.clone(),
            mail: making.mail.clone(),
            snapshots: making.snapshots.clone(),
            written: Limits::new(&MOST),
        }))
    }

    /// Whether there can be any.
    pub(crate) fn is_on(&self) -> bool {
        self.0.mail.is_on()
    }

    /// What somebody wants letters about.
    pub(crate) async fn chosen(
        &self,
        printer: &PrinterId,
        account: &AccountId,
    ) -> Result<Occasions, StoreError> {
        self.0.store.print_letters().find(printer, account).await
    }

    /// Takes what somebody wants letters about. False if they may not use the printer.
    pub(crate) async fn choose(
        &self,
        printer: &PrinterId,
        account: &AccountId,
        occasions: Occasions,
    ) -> Result<bool, StoreError> {
        let letters = self.0.store.print_letters();
        letters.choose(printer, account, occasions).await
    }

    /// Writes until stopped.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut heard = self.0.events.listen();
        while self.is_on() {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.write_due() => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                event = heard.recv() => match event {
                    // Whatever was missed is in the store.
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                },
                () = sleep(LOOK) => {}
            }
        }
    }

    async fn write_due(&self) {
        let due = match self.0.store.print_letters().list_due(READERS).await {
            Ok(due) => due,
            Err(error) => {
                tracing::warn!(%error, "cannot look who waits for letters");
                return;
            }
        };
        let writing = stream::iter(due).for_each_concurrent(AT_ONCE, |reader| async move {
            if let Err(error) = self.write(&reader).await {
                tracing::warn!(%error, "a letter has to wait: the database failed");
            }
        });
        writing.await;
    }

    /// Writes somebody what is before them.
    async fn write(&self, reader: &WaitingReader) -> Result<(), StoreError> {
        let store = &self.0.store;
        let events = store.events();
        let events = events
            .list_after(&reader.printer, reader.done, PAGE)
            .await?;
        for (at, event) in events.iter().enumerate() {
            let occasion = match self.judge(reader, event, &events[at + 1..]) {
                Verdict::Wait => return Ok(()),
                Verdict::Pass => None,
                Verdict::Write(occasion) => Some(occasion),
            };
            if let Some(occasion) = occasion
                && !self.hand_in(reader, event, occasion).await
            {
                return Ok(());
            }
            store.print_letters().pass(reader, event.number).await?;
        }
        Ok(())
    }

    fn judge(
        &self,
        reader: &WaitingReader,
        event: &NumberedEvent,
        later: &[NumberedEvent],
    ) -> Verdict {
        let wanted = Occasion::of(event.event.kind).filter(|what| reader.occasions.has(*what));
        let Some(occasion) = wanted else {
            return Verdict::Pass;
        };
        let age = self.0.clock.now().since(event.event.at);
        if age >= LATE {
            return Verdict::Pass;
        }
        if occasion == Occasion::Away {
            let mut later = later.iter();
            if later.any(|later| later.event.kind == EventKind::Online) {
                return Verdict::Pass;
            }
            if age < AWAY {
                return Verdict::Wait;
            }
        }
        Verdict::Write(occasion)
    }

    /// False if it has to be tried again.
    async fn hand_in(
        &self,
        reader: &WaitingReader,
        event: &NumberedEvent,
        occasion: Occasion,
    ) -> bool {
        let shared = &self.0;
        if !shared.mail.has_room() {
            return false;
        }
        let account = &reader.account;
        if shared.written.count(account, shared.clock.now()).is_err() {
            tracing::debug!(limit.name = "print_letters", "a letter was not written");
            return true;
        }
        let receiver = Receiver::Person(account.clone());
        // Of who is away there is nobody to take a picture.
        let picture = if occasion == Occasion::Away {
            None
        } else {
            let link = shared.snapshots.link(&reader.printer, event, &receiver);
            link.await
        };
        let news = PrintNews {
            occasion,
            printer: reader.name.clone(),
            id: reader.printer.clone(),
            file: event.event.file.clone(),
            message: event.event.message.clone(),
            picture,
        };
        shared.mail.tell(account, Letter::Print(Box::new(news)));
        true
    }
}
