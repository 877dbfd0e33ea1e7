//! Pictures of the camera beside a host, asked for by its relay.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use hyper::body::Incoming;
use serde::{Deserialize, Serialize};

use super::control::{self, ControlError, Problem, ReadError};
use super::open::Tunnel;
use super::serve::StreamService;
use crate::body::{self, Body};
use crate::proxy::shared_camera::is_name;

/// A host with this feature shows its camera.
pub const FEATURE_CAMERA: &str = "camera";
/// A host with this feature has names for pictures, under which each is fetched once however many
/// see it.
pub const FEATURE_SHARED_CAMERA: &str = "shared-camera";

/// Says of a forwarded request that the relay can show one picture to many.
pub(super) const SHARES: HeaderName = HeaderName::from_static("latchkey-shares");
pub(super) const SHARES_CAMERA: HeaderValue = HeaderValue::from_static("camera");

/// Among a request's extensions at either end: the answer may name a picture in place of showing
/// it ([`SharedCamera`](crate::proxy::shared_camera::SharedCamera)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharesCamera;

/// A picture by its name.
#[derive(Debug, Serialize, Deserialize)]
struct Named {
    camera: String,
}

/// Time for a picture, from the question to its last byte.
pub const PICTURE_DEADLINE: Duration = Duration::from_secs(10);
/// The largest picture.
pub const LARGEST_PICTURE: usize = 4 * 1024 * 1024;

/// Largest answer that is no picture.
const LONGEST_ANSWER: usize = 4 * 1024;

/// The body of a question that needs none.
#[derive(Serialize)]
struct Nothing {}

const NOTHING: Nothing = Nothing {};

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
            let asked = self.look("/snapshot", FEATURE_CAMERA, &NOTHING);
            let (parts, body) = asked.await?.into_parts();
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
        running(self.look("/stream", FEATURE_CAMERA, &NOTHING)).await
    }

    /// The running picture with this name.
    pub async fn shared_camera(&self, name: &str) -> Result<Response<Body>, CameraError> {
        let named = Named {
            camera: name.to_owned(),
        };
        running(self.look("/shared-camera", FEATURE_SHARED_CAMERA, &named)).await
    }

    /// Whether the host has names for pictures.
    pub fn names_cameras(&self) -> bool {
        self.can(FEATURE_SHARED_CAMERA)
    }

    /// The name of the picture that [`Tunnel::camera_stream`] shows.
    pub async fn camera_name(&self) -> Result<String, CameraError> {
        if !self.can(FEATURE_CAMERA) {
            return Err(CameraRefusal::NoCamera.into());
        }
        let asked = self.look("/camera-name", FEATURE_SHARED_CAMERA, &NOTHING);
        let answer = async {
            let whole = body::read_up_to(LONGEST_ANSWER, asked.await?.into_body());
            let whole = whole.await.map_err(|_| CameraRefusal::Failed)?;
            let named = serde_json::from_slice::<Named>(&whole);
            let named = named.map_err(|_| CameraRefusal::Failed)?;
            Ok::<_, CameraError>(named.camera)
        };
        let answer = tokio::time::timeout(PICTURE_DEADLINE, answer).await;
        let name = answer.unwrap_or(Err(CameraRefusal::TimedOut.into()))?;
        if is_name(&name) {
            Ok(name)
        } else {
            Err(CameraRefusal::Failed.into())
        }
    }

    async fn look(
        &self,
        path: &'static str,
        feature: &str,
        value: &impl Serialize,
    ) -> Result<Response<Body>, CameraError> {
        if !self.can(feature) {
            return Err(CameraRefusal::NoCamera.into());
        }
        let mut sender = self.sender().ok_or(ControlError::Finished)?;
        // It may go on for as long as a forwarded one.
        let active = self.count().ok_or(CameraRefusal::TooMany)?;
        if path != "/snapshot" {
            active.note_heavy();
        }
        let asked = control::ask(&mut sender, path, value, PICTURE_DEADLINE).await?;
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

/// A running picture, once it has begun, with its media type alone.
async fn running(
    looking: impl Future<Output = Result<Response<Body>, CameraError>>,
) -> Result<Response<Body>, CameraError> {
    let looking = tokio::time::timeout(PICTURE_DEADLINE, looking);
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
    Ok(shown.unwrap_or_else(refused))
}

/// The host's side of a picture's name.
pub(super) async fn tell_name(
    service: &impl StreamService,
    body: Incoming,
    within: Duration,
) -> Result<Response<Body>, ReadError> {
    control::read(body, within).await?;
    let named = service.camera_name().await;
    Ok(match named {
        Ok(camera) => control::answer(StatusCode::OK, &Named { camera }),
        Err(refusal) => refused(refusal),
    })
}

/// The host's side of a picture with a name.
pub(super) async fn show_shared(
    service: &impl StreamService,
    body: Incoming,
    within: Duration,
) -> Result<Response<Body>, ReadError> {
    let named: Named = control::read_json(body, within).await?;
    let shown = service.shared_camera(named.camera).await;
    Ok(shown.unwrap_or_else(refused))
}

fn refused(refusal: CameraRefusal) -> Response<Body> {
    control::problem(refusal.status(), refusal.code(), refusal.to_string())
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
