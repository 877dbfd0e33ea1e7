//! Pictures of a printer's camera, asked for by the relay itself for people who may look: on the
//! owner's pages, on live links, beside what is told of a print.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Response};
use latchkey_model::id::HostId;
use latchkey_model::limit::Reached;
use latchkey_net::body::{self, Body};
use latchkey_net::tunnel::{self, CameraRefusal, ControlError, Tunnel};

use crate::tunnels::{Kind, Tunnels};

/// So many may look at one camera at the same time.
const MOST_VIEWERS: usize = 8;
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

/// The cameras behind the tunnels.
#[derive(Clone)]
pub(crate) struct Camera {
    tunnels: Tunnels,
    viewers: Viewers,
}

impl Camera {
    pub(crate) fn new(tunnels: Tunnels) -> Self {
        Self {
            tunnels,
            viewers: Viewers::default(),
        }
    }

    /// The picture as it is now: 4 MiB and 10 s at most.
    pub(crate) async fn snapshot(&self, host: &HostId) -> Result<Picture, CameraError> {
        let (tunnel, _viewer) = self.enter(host)?;
        let (kind, bytes) = tunnel.snapshot().await.map_err(|error| reason(&error))?;
        let kind = picture_kind(&kind).ok_or(CameraError::Failed)?;
        Ok(Picture { kind, bytes })
    }

    /// The running picture as the camera sends it, without end, with all the fields that a browser
    /// needs to be told: whoever passes it on adds none and removes none. Dropping the body ends it
    /// at the printer.
    pub(crate) async fn stream(&self, host: &HostId) -> Result<Response<Body>, CameraError> {
        let (tunnel, viewer) = self.enter(host)?;
        let shown = tunnel.camera_stream().await;
        let shown = shown.map_err(|error| reason(&error))?;
        let kind = shown.headers().get(CONTENT_TYPE).and_then(stream_kind);
        let kind = kind.ok_or(CameraError::Failed)?;
        let body = body::boxed(Watched {
            inner: shown.into_body(),
            _viewer: viewer,
        });
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

    fn enter(&self, host: &HostId) -> Result<(Tunnel, Viewer), CameraError> {
        let tunnel = self.tunnels.find_for(host, Kind::Bulk);
        let tunnel = tunnel.ok_or(CameraError::NotConnected)?;
        let viewer = self.viewers.enter(host).ok_or(CameraError::TooMany)?;
        Ok((tunnel, viewer))
    }
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

/// How many look at each camera now.
#[derive(Clone, Default)]
struct Viewers(Arc<Mutex<HashMap<HostId, usize>>>);

/// One who looks, until dropped.
struct Viewer {
    viewers: Viewers,
    host: HostId,
}

impl Viewers {
    fn enter(&self, host: &HostId) -> Option<Viewer> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(host.clone()).or_default();
        if *count >= MOST_VIEWERS {
            return None;
        }
        *count += 1;
        Some(Viewer {
            viewers: self.clone(),
            host: host.clone(),
        })
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        let counts = self.viewers.0.lock();
        let mut counts = counts.unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.host) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.host);
            }
        }
    }
}

/// A running picture that counts.
struct Watched {
    inner: Body,
    _viewer: Viewer,
}

impl hyper::body::Body for Watched {
    type Data = Bytes;
    type Error = body::BodyError;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        std::pin::Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pictures_are_pictures() {
        for (said, picture) in [
            ("image/jpeg", Some("image/jpeg")),
            ("Image/PNG; x=y", Some("image/png")),
            ("image/svg+xml", None),
            ("text/html", None),
            ("image/jpeg, text/html", None),
            ("", None),
        ] {
            let kind = picture_kind(&HeaderValue::from_static(said));
            let picture = picture.map(HeaderValue::from_static);
            assert_eq!(kind, picture, "{said}");
        }
        for (said, running) in [
            ("multipart/x-mixed-replace;boundary=a", true),
            ("Multipart/X-Mixed-Replace; boundary=\"a b\"", true),
            ("multipart/x-mixed-replacement", false),
            ("text/html", false),
            ("video/mp4", false),
        ] {
            let kind = stream_kind(&HeaderValue::from_static(said));
            assert_eq!(kind.is_some(), running, "{said}");
        }
    }

    #[test]
    fn only_so_many_look_at_one_camera() {
        let viewers = Viewers::default();
        let host = |seed| HostId::of_public_key(&[seed; 32]);
        let mut inside: Vec<_> = (0..MOST_VIEWERS)
            .map(|_| viewers.enter(&host(1)).unwrap())
            .collect();
        assert!(viewers.enter(&host(1)).is_none());
        assert!(
            viewers.enter(&host(2)).is_some(),
            "another's camera is free"
        );
        inside.pop();
        assert!(viewers.enter(&host(1)).is_some());
        inside.clear();
        assert!(viewers.0.lock().unwrap().is_empty());
    }
}
