//! Pictures that go with what is told of a print: one for each event that somebody is told of,
//! sealed, for a week, under links that nobody guesses.
//!
//! Whoever is told of an event asks here for a link. The first one who asks soon after the event
//! has the picture taken; the others get a link of their own to the same one.

pub(crate) mod http;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::http::HeaderValue;
use data_encoding::BASE64URL_NOPAD;
use futures_util::future::BoxFuture;
use latchkey_model::chance::Chance;
use latchkey_model::clock::{Clock, Timestamp};
use latchkey_model::id::{HostId, PrinterId};
use latchkey_model::printer::HostKey;
use latchkey_model::sealed::{MasterKey, SigningKey, Vault};
use latchkey_model::secret::{SnapshotHash, SnapshotSecret};
use latchkey_store::relay::{NewSnapshot, NumberedEvent, Receiver, Room};
use latchkey_store::{RelayStore, StoreError};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::camera::{Camera, CameraError, Picture};
use crate::config::Config;
use crate::events::Events;

/// How long a picture is kept.
pub(crate) const KEPT: Duration = Duration::from_hours(7 * 24);

/// So soon after an event a picture shows it; later ones show something else.
const SOON: Duration = Duration::from_mins(1);

/// How long a camera may take.
const PATIENCE: Duration = Duration::from_secs(12);

/// So many pictures are taken at once, over all printers.
const AT_ONCE: usize = 8;

/// Largest picture that is kept.
const LARGEST: usize = 4 * 1024 * 1024;

/// What is kept of one printer.
const ROOM: Room = Room {
    pictures: 200,
    bytes: 32 * 1024 * 1024,
};

/// Events whose picture is being taken, or failed lately. Beyond it there are none.
const MOST_TAKING: usize = 256;

/// Who takes pictures.
pub(crate) trait Takes: Send + Sync {
    fn take<'a>(&'a self, host: &'a HostId) -> BoxFuture<'a, Result<Picture, CameraError>>;
}

impl Takes for Camera {
    fn take<'a>(&'a self, host: &'a HostId) -> BoxFuture<'a, Result<Picture, CameraError>> {
        Box::pin(self.snapshot(host))
    }
}

/// What [`Snapshots`] work with.
pub(crate) struct Making<'a> {
    pub(crate) config: &'a Config,
    pub(crate) store: &'a RelayStore,
    pub(crate) events: &'a Events,
    pub(crate) clock: &'a Arc<dyn Clock>,
    pub(crate) chance: &'a Arc<dyn Chance>,
    pub(crate) key: &'a MasterKey,
    pub(crate) camera: Arc<dyn Takes>,
}

/// The pictures. Clones share them.
#[derive(Clone)]
pub(crate) struct Snapshots(Arc<Shared>);

struct Shared {
    /// The relay's address; nothing if the operator wants no pictures.
    base: Option<String>,
    store: RelayStore,
    events: Events,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    vault: Vault,
    signing: SigningKey,
    camera: Arc<dyn Takes>,
    at_once: Semaphore,
    taking: Mutex<HashMap<(PrinterId, i64), Taking>>,
}

/// Who comes second waits for the first, and learns whether there is a picture.
struct Taking {
    at: Timestamp,
    outcome: Arc<tokio::sync::Mutex<Option<bool>>>,
}

impl Snapshots {
    pub(crate) fn new(making: Making<'_>) -> Self {
        let Config {
            webhooks,
            public_url,
            ..
        } = making.config;
        Self(Arc::new(Shared {
            base: webhooks.snapshots.then(|| public_url.to_string()),
            store: making.store.clone(),
            events: making.events.clone(),
            clock: Arc::clone(making.clock),
            chance: Arc::clone(making.chance),
            vault: making.key.vault("latchkey relay snapshots 1"),
            signing: making.key.signing("latchkey relay snapshot links 1"),
            camera: making.camera,
            at_once: Semaphore::new(AT_ONCE),
            taking: Mutex::default(),
        }))
    }

    /// Whether this relay keeps pictures.
    pub(crate) fn is_on(&self) -> bool {
        self.0.base.is_some()
    }

    /// A link to the picture of an event, for one receiver; nothing if there is none. Asked
    /// again it is the same link.
    pub(crate) async fn link(
        &self,
        printer: &PrinterId,
        event: &NumberedEvent,
        receiver: &Receiver,
    ) -> Option<String> {
        let base = self.0.base.as_ref()?;
        match self.link_to(printer, event, receiver).await {
            Ok(secret) => Some(format!("{base}/snapshot/{}", secret?.expose())),
            Err(error) => {
                tracing::warn!(%error, "a picture was not kept: the database failed");
                None
            }
        }
    }

    async fn link_to(
        &self,
        printer: &PrinterId,
        event: &NumberedEvent,
        receiver: &Receiver,
    ) -> Result<Option<SnapshotSecret>, StoreError> {
        if !self.is_there(printer, event).await? {
            return Ok(None);
        }
        let whose = match receiver {
            Receiver::App(id) => format!("app {id}"),
            Receiver::Person(id) => format!("person {id}"),
        };
        let text = format!("{printer} {} {whose}", event.number);
        let text = BASE64URL_NOPAD.encode(&self.0.signing.sign(&text));
        let secret = SnapshotSecret::parse(&text).ok();
        if let Some(secret) = &secret {
            let links = self.0.store.snapshots();
            links
                .link(&secret.hash(), printer, event.number, receiver)
                .await?;
        }
        Ok(secret)
    }

    /// Whether there is a picture of an event, after one was taken if it is time for that.
    async fn is_there(
        &self,
        printer: &PrinterId,
        event: &NumberedEvent,
    ) -> Result<bool, StoreError> {
        let store = self.0.store.snapshots();
        let now = self.0.clock.now();
        if now.since(event.event.at) >= SOON {
            return store.has(printer, event.number).await;
        }
        let Some(outcome) = self.join(printer, event.number, now) else {
            return store.has(printer, event.number).await;
        };
        let mut outcome = outcome.lock().await;
        if let Some(taken) = *outcome {
            return Ok(taken);
        }
        let taken =
            store.has(printer, event.number).await? || self.take(printer, event.number).await?;
        *outcome = Some(taken);
        Ok(taken)
    }

    fn join(
        &self,
        printer: &PrinterId,
        number: i64,
        now: Timestamp,
    ) -> Option<Arc<tokio::sync::Mutex<Option<bool>>>> {
        let mut taking = self.0.taking.lock().unwrap_or_else(PoisonError::into_inner);
        taking.retain(|_, taking| {
            now.since(taking.at) < SOON || Arc::strong_count(&taking.outcome) > 1
        });
        let key = (printer.clone(), number);
        if let Some(known) = taking.get(&key) {
            return Some(Arc::clone(&known.outcome));
        }
        if taking.len() >= MOST_TAKING {
            return None;
        }
        let outcome = Arc::default();
        let begun = Taking {
            at: now,
            outcome: Arc::clone(&outcome),
        };
        taking.insert(key, begun);
        Some(outcome)
    }

    async fn take(&self, printer: &PrinterId, event: i64) -> Result<bool, StoreError> {
        let state = self.0.events.state(printer);
        if !state.is_some_and(|state| state.has_camera) {
            return Ok(false);
        }
        let found = self.0.store.printers().find(printer).await?;
        let Some(host) = found.and_then(|found| found.host.as_ref().map(HostKey::id)) else {
            return Ok(false);
        };
        // Never closed.
        let Ok(_permit) = self.0.at_once.acquire().await else {
            return Ok(false);
        };
        let picture = match timeout(PATIENCE, self.0.camera.take(&host)).await {
            Ok(Ok(picture)) => picture,
            Ok(Err(error)) => {
                tracing::debug!(printer.id = %printer, %error, "no picture of an event");
                return Ok(false);
            }
            Err(_) => return Ok(false),
        };
        if picture.bytes.len() > LARGEST || image_type(&picture.bytes).is_none() {
            tracing::debug!(printer.id = %printer, "what a camera gave is no picture to keep");
            return Ok(false);
        }
        let row = row(printer, event);
        let sealed = self.0.vault.seal(&picture.bytes, &row, &*self.0.chance);
        let new = NewSnapshot {
            printer,
            event,
            at: self.0.clock.now(),
            sealed: &sealed,
        };
        self.0.store.snapshots().keep(&new, ROOM).await?;
        // The printer may have been removed meanwhile.
        self.0.store.snapshots().has(printer, event).await
    }

    /// The picture of a link.
    pub(crate) async fn find(&self, hash: &SnapshotHash) -> Result<Option<Picture>, StoreError> {
        let over = before(self.0.clock.now(), KEPT);
        let found = self.0.store.snapshots().find(hash, over).await?;
        let Some(found) = found else {
            return Ok(None);
        };
        let row = row(&found.printer, found.event);
        let Ok(bytes) = self.0.vault.open(&found.sealed, &row) else {
            tracing::error!("a picture cannot be opened: it was sealed with another key");
            return Ok(None);
        };
        let kind = image_type(&bytes);
        Ok(kind.map(|kind| Picture {
            kind: HeaderValue::from_static(kind),
            bytes: bytes.to_vec().into(),
        }))
    }

    /// Forgets what is over.
    pub(crate) async fn prune(&self) -> Result<(), StoreError> {
        let now = self.0.clock.now();
        // Whoever is told of an event gets a link within minutes.
        let settled = before(now, Duration::from_hours(1));
        let over = before(now, KEPT);
        self.0.store.snapshots().prune(over, settled).await?;
        Ok(())
    }
}

fn row(printer: &PrinterId, event: i64) -> String {
    format!("{printer} {event}")
}

/// So long before.
pub(crate) fn before(now: Timestamp, span: Duration) -> Timestamp {
    let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(now.millis().saturating_sub(span))
}

/// What a picture is by its first bytes, whatever the camera called it: the three that browsers
/// show and nothing can be hidden in that they run.
fn image_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => Some("image/webp"),
        _ => None,
    }
}
