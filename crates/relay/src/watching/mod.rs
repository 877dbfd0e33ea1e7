//! Looking through printers' cameras, for people on our pages and for whoever has a live link.
//!
//! Who may look is for the callers to know; here it is seen to that many who look cost a printer's
//! uplink little, that there are not too many, that what is open ends with what allowed it, and
//! that it counts against the plan of the printer's owner.

mod pictures;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::{BoxFuture, FutureExt as _};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Response};
use latchkey_model::id::{AccountId, HostId, LiveLinkId, PrinterId, SessionId};
use latchkey_net::body::{self, Body};
use latchkey_net::proxy::cut::cut;
use latchkey_net::proxy::endings::{Endings, Hold};
use latchkey_net::proxy::endless::end_with;
use latchkey_web::request_log::{ByteCount, CountedBody};
use tokio_util::sync::CancellationToken;

use self::pictures::Pictures;
use crate::activity::{Activity, is_running_picture};
use crate::camera::{Camera, CameraError, Pace, Picture};
use crate::limits::{Limits, NotNow};

/// So many may watch a printer's running picture by live links at once. It costs the uplink one
/// picture however many they are, but each of them costs the relay's; who comes later sees single
/// pictures.
pub(crate) const MOST_BY_LINK: usize = 60;
/// And so many of those who use the printer. Together they leave places before the camera for apps.
const MOST_PEOPLE: usize = 20;

/// What is shown as a picture of a camera. Nothing that a browser reads as a document: it would be
/// one at our own address.
const PICTURES: [&[u8]; 4] = [b"image/jpeg", b"image/png", b"image/webp", b"image/gif"];

/// Where pictures come from.
pub(crate) trait Source: Send + Sync {
    fn snapshot<'a>(&'a self, host: &'a HostId) -> BoxFuture<'a, Result<Picture, CameraError>>;

    fn stream<'a>(
        &'a self,
        host: &'a HostId,
        pace: Pace,
    ) -> BoxFuture<'a, Result<Response<Body>, CameraError>>;
}

impl Source for Camera {
    fn snapshot<'a>(&'a self, host: &'a HostId) -> BoxFuture<'a, Result<Picture, CameraError>> {
        self.snapshot(host).boxed()
    }

    fn stream<'a>(
        &'a self,
        host: &'a HostId,
        pace: Pace,
    ) -> BoxFuture<'a, Result<Response<Body>, CameraError>> {
        self.stream(host, pace).boxed()
    }
}

/// Who watches a printer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Viewer {
    pub(crate) printer: PrinterId,
    pub(crate) by: By,
}

/// By what somebody may watch.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum By {
    Link(LiveLinkId),
    Session {
        account: AccountId,
        session: SessionId,
    },
}

/// Too many watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

/// The cameras, and who looks through them. Clones share it.
#[derive(Clone)]
pub(crate) struct Watching(Arc<Shared>);

/// What [`Watching`] works with.
pub(crate) struct Making {
    pub(crate) source: Arc<dyn Source>,
    pub(crate) activity: Activity,
    pub(crate) limits: Limits,
    /// Ends what does not end by itself.
    pub(crate) stopping: CancellationToken,
}

struct Shared {
    source: Arc<dyn Source>,
    #[cfg(test)]
    source_in_tests: std::sync::OnceLock<Arc<dyn Source>>,
    activity: Activity,
    limits: Limits,
    stopping: CancellationToken,
    endings: Endings<Viewer>,
    /// How many running pictures each has open.
    open: Mutex<HashMap<Viewer, usize>>,
    pictures: Pictures,
}

/// Somebody's place among those who watch.
pub(crate) struct Place {
    watching: Watching,
    viewer: Viewer,
    hold: Hold,
}

impl Watching {
    pub(crate) fn new(making: Making) -> Self {
        let Making {
            source,
            activity,
            limits,
            stopping,
        } = making;
        Self(Arc::new(Shared {
            source,
            #[cfg(test)]
            source_in_tests: std::sync::OnceLock::new(),
            activity,
            limits,
            stopping,
            endings: Endings::default(),
            open: Mutex::default(),
            pictures: Pictures::default(),
        }))
    }

    /// The picture of this moment.
    pub(crate) async fn snapshot(
        &self,
        printer: &PrinterId,
        host: &HostId,
    ) -> Result<Picture, CameraError> {
        let take = async {
            let picture = self.source().snapshot(host).await?;
            self.0.activity.pictured(printer, picture.bytes.len());
            if PICTURES.contains(&picture.kind.as_bytes()) {
                Ok(picture)
            } else {
                Err(CameraError::Failed)
            }
        };
        let pass = self.0.limits.begin_picture(printer).await;
        let pass = pass.map_err(|not_now| refusal(&not_now))?;
        let picture = self.0.pictures.get(host, take).await?;
        pass.show(picture.bytes.len())?;
        Ok(picture)
    }

    /// Takes a place to watch from. Whoever takes one has to look again whether it may be
    /// watched: what ends from now on ends here too.
    pub(crate) fn enter(&self, viewer: Viewer) -> Result<Place, Full> {
        let mut open = self.open();
        let by_link = |by: &By| matches!(by, By::Link(_));
        let same = open.iter().filter(|(other, _)| {
            other.printer == viewer.printer && by_link(&other.by) == by_link(&viewer.by)
        });
        let taken: usize = same.map(|(_, count)| count).sum();
        let most = if by_link(&viewer.by) {
            MOST_BY_LINK
        } else {
            MOST_PEOPLE
        };
        if taken >= most {
            return Err(Full);
        }
        *open.entry(viewer.clone()).or_default() += 1;
        Ok(Place {
            hold: self.0.endings.hold(viewer.clone()),
            watching: self.clone(),
            viewer,
        })
    }

    /// Ends what is open by this.
    pub(crate) fn end(&self, viewer: &Viewer) {
        self.0.endings.end(viewer);
    }

    /// Who has something open.
    pub(crate) fn viewers(&self) -> Vec<Viewer> {
        self.open().keys().cloned().collect()
    }

    /// How many watch by a link.
    pub(crate) fn count(&self, viewer: &Viewer) -> usize {
        self.open().get(viewer).copied().unwrap_or_default()
    }

    /// Forgets pictures whose moment is over.
    pub(crate) fn sweep(&self) {
        self.0.pictures.sweep();
    }

    fn source(&self) -> &dyn Source {
        #[cfg(test)]
        if let Some(source) = self.0.source_in_tests.get() {
            return &**source;
        }
        &*self.0.source
    }

    #[cfg(test)]
    pub(crate) fn set_source(&self, source: Arc<dyn Source>) {
        assert!(self.0.source_in_tests.set(source).is_ok());
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Viewer, usize>> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// The running picture, until what allowed it ends or this relay stops, with so many frames in
    /// a second if they are wanted to be fewer.
    pub(crate) async fn stream(
        self,
        host: &HostId,
        fps: Option<f64>,
    ) -> Result<Response<Body>, CameraError> {
        let hold = self.hold.clone();
        let shared = Arc::clone(&self.watching.0);
        let open = async {
            let pass = shared.limits.begin_webcam(&self.viewer.printer).await;
            let pass = pass.map_err(|not_now| refusal(&not_now))?;
            let pace = Pace::new(fps, pass.caps());
            let stream = self.watching.source().stream(host, pace).await?;
            Ok::<_, CameraError>((stream, pass))
        };
        let (stream, pass) = tokio::select! {
            biased;
            () = hold.clone().until_ended() => return Err(CameraError::Failed),
            opened = open => opened?,
        };
        if !is_running_picture(stream.headers()) {
            return Err(CameraError::Failed);
        }
        let sent = ByteCount::default();
        let count = sent.clone();
        let printer = &self.viewer.printer;
        let moving = shared.activity.follow(printer, move || (count.get(), 0));
        moving.is_camera();
        let (head, body) = end_with(stream, &shared.stopping).into_parts();
        let body = cut(body, hold, (self, moving));
        let mut answer = Response::new(body::boxed(CountedBody::new(body, sent)));
        // Of the host's own fields nothing else.
        let kind = head.headers.get(CONTENT_TYPE).cloned();
        let kind = kind.unwrap_or(HeaderValue::from_static("multipart/x-mixed-replace"));
        answer.headers_mut().insert(CONTENT_TYPE, kind);
        Ok(pass.answer(&Method::GET, answer)?)
    }
}

/// Why there is no picture, where the plan of the printer's owner is what it failed at.
fn refusal(not_now: &NotNow) -> CameraError {
    match not_now {
        NotNow::Reached(reached) => (*reached).into(),
        NotNow::Store(_) | NotNow::NoPlan => {
            tracing::error!(error = %not_now, "cannot count a picture against a plan");
            CameraError::Failed
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.watching.open();
        if let Some(count) = open.get_mut(&self.viewer) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.viewer);
            }
        }
    }
}
