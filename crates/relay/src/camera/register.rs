//! Which pictures are running, and for whom: each is opened by the first who watches it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use latchkey_model::id::HostId;
use latchkey_net::body::Body;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::parts::Boundary;
use super::running::{End, Frame, NoPlace, Place, Running, Source};
use super::{CameraError, WatchError};

/// Pictures of one host at a time. What comes besides is not shared.
const MOST_OF_A_HOST: usize = 16;
/// All that run at this relay.
const MOST: usize = 2_000;
/// For so long nobody tries to share a picture again that could not be read, and the name of a
/// host's picture is good.
const KNOWN_FOR: Duration = Duration::from_mins(5);
/// For so long whoever waited for a picture with others learns with them that there is none.
const FAILED_FOR: Duration = Duration::from_secs(1);

/// What runs. Clones share it.
#[derive(Clone)]
pub(super) struct Register(Arc<Shared>);

struct Shared {
    pictures: Mutex<HashMap<Key, Arc<Slot>>>,
    /// Of each host whose picture the relay itself shows, its name.
    names: Mutex<HashMap<HostId, (Instant, String)>>,
    tracker: TaskTracker,
    stopping: CancellationToken,
}

type Key = (HostId, String);

/// A place for one picture. Who opens it holds the lock, and the others wait.
#[derive(Default)]
struct Slot(tokio::sync::Mutex<State>);

impl Slot {
    fn runs(&self) -> bool {
        let state = self.0.try_lock();
        state.is_ok_and(|state| matches!(&*state, State::Running(_, running) if !running.is_over()))
    }
}

#[derive(Default)]
enum State {
    #[default]
    Closed,
    Running(HeaderValue, Arc<Running>),
    Failed(Instant, CameraError),
}

/// A picture that was just opened.
pub(super) struct Opened {
    pub(super) kind: HeaderValue,
    pub(super) body: Body,
    pub(super) has_tunnel: Box<dyn Fn() -> bool + Send + Sync>,
}

impl State {
    /// Whether it could not be read a while ago.
    fn is_unreadable(&self) -> bool {
        let Self::Running(_, running) = self else {
            return false;
        };
        matches!(running.end(), Some(End::Unreadable(_))) && running.ended_within(KNOWN_FOR)
    }

    fn is_of_use(&self) -> bool {
        match self {
            Self::Closed => false,
            Self::Running(_, running) => !running.is_over() || self.is_unreadable(),
            Self::Failed(at, _) => at.elapsed() < FAILED_FOR,
        }
    }
}

impl Register {
    pub(super) fn new(tracker: TaskTracker, stopping: CancellationToken) -> Self {
        Self(Arc::new(Shared {
            pictures: Mutex::default(),
            names: Mutex::default(),
            tracker,
            stopping,
        }))
    }

    /// Takes a place before a picture, which `open` begins if nobody else has.
    pub(super) async fn enter(
        &self,
        host: &HostId,
        name: &str,
        open: impl Future<Output = Result<Opened, CameraError>>,
    ) -> Result<(HeaderValue, Place), WatchError> {
        let slot = self.slot(host, name).ok_or(WatchError::NotShared)?;
        let mut state = slot.0.lock().await;
        match &*state {
            _ if state.is_unreadable() => return Err(WatchError::NotShared),
            State::Running(kind, running) => match running.enter() {
                Ok(place) => return Ok((kind.clone(), place)),
                Err(NoPlace::Full) => return Err(CameraError::TooMany.into()),
                Err(NoPlace::Over) => {}
            },
            State::Failed(at, error) if at.elapsed() < FAILED_FOR => return Err((*error).into()),
            State::Failed(..) | State::Closed => {}
        }
        // Whoever opens it and goes away leaves it to the next one.
        *state = State::Closed;
        let opened = match open.await {
            Ok(opened) => opened,
            Err(error) => {
                *state = State::Failed(Instant::now(), error);
                return Err(error.into());
            }
        };
        let boundary = Boundary::of(&opened.kind).map_err(|_| WatchError::NotShared)?;
        let source = Source {
            boundary,
            body: opened.body,
            has_tunnel: opened.has_tunnel,
        };
        let place = self.start(source).ok_or(CameraError::Failed)?;
        *state = State::Running(opened.kind.clone(), Arc::clone(&place.running));
        Ok((opened.kind, place))
    }

    /// Begins a picture that is not to be found here, and takes the first place before it.
    pub(super) fn start(&self, source: Source) -> Option<Place> {
        let running = Running::start(source, &self.0.tracker, &self.0.stopping);
        running.enter().ok()
    }

    /// The newest frame of a picture, if it is no older than this.
    pub(super) fn newest(&self, host: &HostId, name: &str, age: Duration) -> Option<Arc<Frame>> {
        let slot = self
            .pictures()
            .get(&(host.clone(), name.to_owned()))
            .cloned();
        let slot = slot?;
        let state = slot.0.try_lock().ok()?;
        match &*state {
            State::Running(_, running) => running.newest(age),
            _ => None,
        }
    }

    /// Whether a picture is running.
    pub(super) fn runs(&self, host: &HostId, name: &str) -> bool {
        let pictures = self.pictures();
        let slot = pictures.get(&(host.clone(), name.to_owned()));
        slot.is_some_and(|slot| slot.runs())
    }

    /// Whether any picture of a host's is.
    pub(super) fn shows(&self, host: &HostId) -> bool {
        let pictures = self.pictures();
        let mut of_host = pictures.iter().filter(|((of, _), _)| of == host);
        of_host.any(|(_, slot)| slot.runs())
    }

    /// The name of the picture that a host shows the relay, if it said so lately.
    pub(super) fn named(&self, host: &HostId) -> Option<String> {
        let names = self.names();
        let (at, name) = names.get(host)?;
        (at.elapsed() < KNOWN_FOR).then(|| name.clone())
    }

    pub(super) fn name(&self, host: &HostId, name: &str) {
        let mut names = self.names();
        names.retain(|_, (at, _)| at.elapsed() < KNOWN_FOR);
        names.insert(host.clone(), (Instant::now(), name.to_owned()));
    }

    fn slot(&self, host: &HostId, name: &str) -> Option<Arc<Slot>> {
        let mut pictures = self.pictures();
        let key = (host.clone(), name.to_owned());
        if let Some(slot) = pictures.get(&key) {
            return Some(Arc::clone(slot));
        }
        pictures.retain(|_, slot| {
            // Who holds it is about to watch.
            Arc::strong_count(slot) > 1 || slot.0.try_lock().is_ok_and(|state| state.is_of_use())
        });
        let of_host = pictures.keys().filter(|(of, _)| of == host).count();
        if of_host >= MOST_OF_A_HOST || pictures.len() >= MOST {
            return None;
        }
        let slot = Arc::<Slot>::default();
        pictures.insert(key, Arc::clone(&slot));
        Some(slot)
    }

    fn pictures(&self) -> MutexGuard<'_, HashMap<Key, Arc<Slot>>> {
        self.0
            .pictures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn names(&self) -> MutexGuard<'_, HashMap<HostId, (Instant, String)>> {
        self.0.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
