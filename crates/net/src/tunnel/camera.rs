//! Pictures of the camera beside a host, asked for by its relay.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use hyper::body::Incoming;

use super::control::{self, ControlError, Problem, ReadError};
use super::open::Tunnel;
use super::serve::StreamService;
use crate::body::{self, Body};

/// A host with this feature shows its camera.
pub const FEATURE_CAMERA: &str = "camera";

/// Time for a picture, from the question to its last byte.
pub const PICTURE_DEADLINE: Duration = Duration::from_secs(10);
/// The largest picture.
pub const LARGEST_PICTURE: usize = 4 * 1024 * 1024;

/// What is wanted of a camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// One picture.
    Snapshot,
    /// The running picture: `multipart/x-mixed-replace`, without end.
    Stream,
}

/// Why a host shows nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CameraRefusal {
    /// It has no camera, or none of this kind.
    #[error("this host has no camera, or none that it can reach")]
    NoCamera,
    /// It did not answer.
    #[error("the camera did not answer in time")]
    TimedOut,
    /// It answered something else.
    #[error("the camera failed")]
    Failed,
    /// Too many look already.
    #[error("too many look at the camera")]
    TooMany,
}

impl CameraRefusal {
    const ALL: [Self; 4] = [Self::NoCamera, Self::TimedOut, Self::Failed, Self::TooMany];

    const fn code(self) -> &'static str {
        match self {
            Self::NoCamera => "no_camera",
            Self::TimedOut => "timed_out",
            Self::Failed => "failed",
            Self::TooMany => "too_many",
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::NoCamera => StatusCode::NOT_FOUND,
            Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            Self::Failed => StatusCode::BAD_GATEWAY,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
        }
    }
}

/// Why a relay has no picture.
#[derive(Debug, thiserror::Error)]
pub enum CameraError {
    /// The host declined.
    #[error(transparent)]
    Refused(#[from] CameraRefusal),
    /// The question or its answer did not get through.
    #[error(transparent)]
    Control(#[from] ControlError),
}

impl Tunnel {
    /// A picture as it is now: its media type, as the host says, and the whole of it.
    pub async fn snapshot(&self) -> Result<(HeaderValue, Bytes), CameraError> {
        let asked = async {
            let (parts, body) = self.look("/snapshot", View::Snapshot).await?.into_parts();
            let whole = body::read_up_to(LARGEST_PICTURE, body).await;
            let whole = whole.map_err(|_| CameraRefusal::Failed)?;
            Ok((kind(&parts.headers)?, whole))
        };
        tokio::time::timeout(PICTURE_DEADLINE, asked)
            .await
            .unwrap_or(Err(CameraRefusal::TimedOut.into()))
    }

    /// The running picture, as the host says it: with a media type and a body without end, and
    /// no other field.
    pub async fn camera_stream(&self) -> Result<Response<Body>, CameraError> {
        let looking = tokio::time::timeout(PICTURE_DEADLINE, self.look("/stream", View::Stream));
        let looking = looking
            .await
            .unwrap_or(Err(CameraRefusal::TimedOut.into()))?;
        let (parts, body) = looking.into_parts();
        let mut response = Response::new(body);
        response
            .headers_mut()
            .insert(CONTENT_TYPE, kind(&parts.headers)?);
        Ok(response)
    }

    async fn look(&self, path: &'static str, view: View) -> Result<Response<Body>, CameraError> {
        if !self.can(FEATURE_CAMERA) {
            return Err(CameraRefusal::NoCamera.into());
        }
        let mut sender = self.sender().ok_or(ControlError::Finished)?;
        // It may go on for as long as a forwarded one.
        let active = self.count().ok_or(CameraRefusal::TooMany)?;
        if view == View::Stream {
            active.note_heavy();
        }
        let nothing = serde_json::json!({});
        let asked = control::ask(&mut sender, path, &nothing, PICTURE_DEADLINE).await?;
        let status = asked.status();
        if status == StatusCode::OK {
            return Ok(active.keep(asked));
        }
        match control::read_answer::<Problem>(asked, PICTURE_DEADLINE).await {
            Ok(problem) => {
                let known = CameraRefusal::ALL
                    .into_iter()
                    .find(|known| known.code() == problem.code);
                Err(known.unwrap_or(CameraRefusal::Failed).into())
            }
            Err(_) => Err(ControlError::Declined(status).into()),
        }
    }
}

fn kind(headers: &http::HeaderMap) -> Result<HeaderValue, CameraRefusal> {
    headers
        .get(CONTENT_TYPE)
        .cloned()
        .ok_or(CameraRefusal::Failed)
}

/// The host's side of it.
pub(super) async fn show(
    service: &impl StreamService,
    body: Incoming,
    view: View,
    within: Duration,
) -> Result<Response<Body>, ReadError> {
    control::read(body, within).await?;
    let shown = service.camera(view).await;
    Ok(shown.unwrap_or_else(|refusal| {
        control::problem(refusal.status(), refusal.code(), refusal.to_string())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_words_of_their_own() {
        let mut codes: Vec<_> = CameraRefusal::ALL.map(CameraRefusal::code).to_vec();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), CameraRefusal::ALL.len());
    }
}
