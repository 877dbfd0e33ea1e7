//! Pictures of a printer's camera: for people who may look on our pages, on live links and beside
//! what is told of a print, which the relay asks for itself, and for whoever the host lets see them.
//!
//! However many watch a picture, the host is asked for it once. Who may watch is for the callers to
//! know; `docs/decisions/2026-11-26-camera-fan-out.md` says what is shared and why it may be.

mod pace;
mod parts;
mod register;
mod running;
#[cfg(test)]
pub(crate) mod tests;
mod viewer;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Response};
use latchkey_model::id::HostId;
use latchkey_model::limit::Reached;
use latchkey_net::body::Body;
use latchkey_net::tunnel::{self, CameraRefusal, ControlError, Tunnel};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use self::pace::{Caps, Pace, wanted};
use self::parts::Boundary;
use self::register::{Opened, Register};
use self::running::{Frame, Source};
use self::viewer::Viewer;
use crate::tunnels::{Kind, Tunnels};

/// A picture out of a running one is as good as a single one for so long.
const FRESH: Duration = Duration::from_secs(2);
/// The name of what a host without names shows.
const UNNAMED: &str = "";
/// The longest media type.
const LONGEST_KIND: usize = 200;

/// One picture.
#[derive(Debug, Clone)]
pub(crate) struct Picture {
    /// Its media type: JPEG, PNG, WebP or GIF, and nothing that a browser could run.
    pub(crate) kind: HeaderValue,
    pub(crate) bytes: Bytes,
}

/// Why there is no picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CameraError {
    #[error("the printer's host is not connected")]
    NotConnected,
    #[error("the printer has no camera, or its host is too old to show it")]
    NoCamera,
    #[error("the camera did not answer in time")]
    TimedOut,
    #[error("the camera failed")]
    Failed,
    #[error("too many look at the camera")]
    TooMany,
    #[error(transparent)]
    Limit(#[from] Reached),
}

/// A running picture, and its media type.
pub(crate) struct Watched {
    pub(crate) kind: HeaderValue,
    pub(crate) body: Body,
}

/// Why somebody cannot watch a picture that others may be watching.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WatchError {
    #[error(transparent)]
    Camera(#[from] CameraError),
    /// It can be shown to one at a time, as it comes.
    #[error("the camera's picture cannot be shared")]
    NotShared,
}

/// The cameras behind the tunnels. Clones share what is running.
#[derive(Clone)]
pub(crate) struct Camera {
    tunnels: Tunnels,
    register: Register,
}

impl Camera {
    /// `tracker` has what reads pictures, until `stopping`.
    pub(crate) fn new(tunnels: Tunnels, tracker: TaskTracker, stopping: CancellationToken) -> Self {
        Self {
            tunnels,
            register: Register::new(tracker, stopping),
        }
    }

    /// The picture as it is now: 4 MiB and 10 s at most. Out of the running one if somebody
    /// watches that.
    pub(crate) async fn snapshot(&self, host: &HostId) -> Result<Picture, CameraError> {
        let tunnel = self.tunnel(host)?;
        if self.register.shows(host) {
            let name = match self.register.named(host) {
                Some(name) => Ok(name),
                None => self.name(host, &tunnel).await,
            };
            let picture = name.ok().and_then(|name| self.newest(host, &name));
            if let Some(picture) = picture.or_else(|| self.newest(host, UNNAMED)) {
                return Ok(picture);
            }
        }
        let (kind, bytes) = tunnel.snapshot().await.map_err(|error| reason(&error))?;
        let kind = picture_kind(&kind).ok_or(CameraError::Failed)?;
        Ok(Picture { kind, bytes })
    }

    /// The newest frame of a running picture, if somebody watches it.
    pub(crate) fn newest(&self, host: &HostId, name: &str) -> Option<Picture> {
        let frame = self.register.newest(host, name, FRESH)?;
        picture_of(&frame)
    }

    /// The running picture, with all the fields that a browser needs to be told: whoever passes it
    /// on adds none and removes none.
    pub(crate) async fn stream(
        &self,
        host: &HostId,
        pace: Pace,
    ) -> Result<Response<Body>, CameraError> {
        let tunnel = self.tunnel(host)?;
        let name = self.name(host, &tunnel).await?;
        let watched = match self.watch(host, &name, pace.clone(), None).await {
            // A camera that shows itself to its neighbours alone.
            Err(WatchError::Camera(CameraError::Failed | CameraError::NoCamera))
                if name != UNNAMED =>
            {
                self.watch(host, UNNAMED, pace, None).await
            }
            watched => watched,
        };
        let Watched { kind, body } = watched.map_err(|error| match error {
            WatchError::Camera(error) => error,
            WatchError::NotShared => CameraError::Failed,
        })?;
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, kind);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // A hostile host could send a page as one of the pictures.
        let sandbox = HeaderValue::from_static("sandbox; default-src 'none'");
        headers.insert(CONTENT_SECURITY_POLICY, sandbox);
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        Ok(response)
    }

    /// The running picture with this name, for one who may see it, until `held` ends.
    pub(crate) async fn watch(
        &self,
        host: &HostId,
        name: &str,
        pace: Pace,
        held: Option<Body>,
    ) -> Result<Watched, WatchError> {
        let open = async {
            let tunnel = self.tunnel(host)?;
            let shown = if name == UNNAMED {
                tunnel.camera_stream().await
            } else {
                tunnel.shared_camera(name).await
            };
            let shown = shown.map_err(|error| reason(&error))?;
            let kind = shown.headers().get(CONTENT_TYPE).and_then(stream_kind);
            Ok(Opened {
                kind: kind.ok_or(CameraError::Failed)?,
                body: shown.into_body(),
                has_tunnel: Box::new(move || tunnel.is_open()),
            })
        };
        let (kind, place) = self.register.enter(host, name, open).await?;
        let body = Viewer::new(place, pace, held).into_body();
        Ok(Watched { kind, body })
    }

    /// A running picture that one person alone watches, at their pace.
    pub(crate) fn alone(
        &self,
        response: Response<Body>,
        pace: Pace,
    ) -> Result<Response<Body>, CameraError> {
        let kind = response.headers().get(CONTENT_TYPE);
        let boundary = kind.and_then(|kind| Boundary::of(kind).ok());
        let boundary = boundary.ok_or(CameraError::Failed)?;
        let (head, body) = response.into_parts();
        let place = self.register.start(Source {
            boundary,
            body,
            has_tunnel: Box::new(|| true),
        });
        let place = place.ok_or(CameraError::TooMany)?;
        let body = Viewer::new(place, pace, None).into_body();
        Ok(Response::from_parts(head, body))
    }

    /// The name of the picture that the host shows the relay. A name that was given a while ago is
    /// good only while the picture runs.
    async fn name(&self, host: &HostId, tunnel: &Tunnel) -> Result<String, CameraError> {
        if !tunnel.names_cameras() {
            return Ok(UNNAMED.to_owned());
        }
        let known = self.register.named(host);
        if let Some(name) = known.filter(|name| self.register.runs(host, name)) {
            return Ok(name);
        }
        let name = tunnel.camera_name().await;
        let name = name.map_err(|error| reason(&error))?;
        self.register.name(host, &name);
        Ok(name)
    }

    fn tunnel(&self, host: &HostId) -> Result<Tunnel, CameraError> {
        let tunnel = self.tunnels.find_for(host, Kind::Bulk);
        tunnel.ok_or(CameraError::NotConnected)
    }
}

/// A frame as a single picture.
fn picture_of(frame: &Arc<Frame>) -> Option<Picture> {
    Some(Picture {
        kind: picture_kind(frame.kind.as_ref()?)?,
        bytes: frame.data.clone(),
    })
}

fn reason(error: &tunnel::CameraError) -> CameraError {
    match error {
        tunnel::CameraError::Refused(CameraRefusal::NoCamera) => CameraError::NoCamera,
        tunnel::CameraError::Refused(CameraRefusal::TimedOut)
        | tunnel::CameraError::Control(ControlError::Deadline) => CameraError::TimedOut,
        tunnel::CameraError::Refused(CameraRefusal::TooMany) => CameraError::TooMany,
        tunnel::CameraError::Refused(CameraRefusal::Failed)
        | tunnel::CameraError::Control(ControlError::Declined(_)) => CameraError::Failed,
        tunnel::CameraError::Control(ControlError::Lost(_) | ControlError::Finished) => {
            CameraError::NotConnected
        }
    }
}

/// The media type in words of our own, if it is a picture's.
fn picture_kind(said: &HeaderValue) -> Option<HeaderValue> {
    let said = said.to_str().ok()?;
    let essence = said.split(';').next().unwrap_or_default().trim();
    let known = ["image/jpeg", "image/png", "image/webp", "image/gif"];
    let known = known
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(essence))?;
    Some(HeaderValue::from_static(known))
}

/// The media type of a running picture, as it is: its boundary is needed to read it.
fn stream_kind(said: &HeaderValue) -> Option<HeaderValue> {
    let text = said.to_str().ok()?;
    let essence = text.split(';').next().unwrap_or_default().trim();
    let running = essence.eq_ignore_ascii_case("multipart/x-mixed-replace");
    (running && text.len() <= LONGEST_KIND).then(|| said.clone())
}
