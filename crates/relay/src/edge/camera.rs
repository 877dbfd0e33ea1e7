//! Running pictures that callers share: who may see one is asked of the host for each of them, and
//! the picture is fetched once.

use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RANGE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use latchkey_model::id::HostId;
use latchkey_model::relay_status::RelayStatus;
use latchkey_net::body::{self, Body};
use latchkey_net::listen::Call;
use latchkey_net::proxy::endings::Hold;
use latchkey_net::proxy::endless::is_webcam;
use latchkey_net::proxy::shared_camera::{SharedCamera, Shows};
use latchkey_net::tunnel::SharesCamera;
use latchkey_web::request_log::{RequestLine, Side};

use super::forward::Forwarded;
use super::{Admission, Edge, Trouble, lean};
use crate::camera::{CameraError, Pace, WatchError, wanted};
use crate::limits::Pass;

/// What a request is forwarded with.
#[derive(Clone, Copy)]
pub(super) struct Forwarding<'a> {
    pub(super) call: &'a Call,
    pub(super) admission: &'a Admission,
    pub(super) line: &'a RequestLine,
    pub(super) hold: &'a Hold,
}

impl Edge {
    /// Forwards a request, and shows a picture that others watch too where the host says so.
    pub(super) async fn forward_or_show(
        &self,
        mut request: Request<Body>,
        with: Forwarding<'_>,
        pass: &Pass,
    ) -> Result<Forwarded, Trouble> {
        let caps = pass.caps();
        let pace = Pace::new(wanted(request.uri()), caps);
        let (Some(again), Some(host)) = (again(&request, with.call), &with.admission.host) else {
            return self.forward_alone(request, with, pace).await;
        };
        request.extensions_mut().insert(SharesCamera);
        let (call, admission) = (with.call, with.admission);
        let forwarded = self.forward(request, call, admission, with.line, with.hold);
        let mut response = match forwarded.await? {
            Forwarded::Plain(response) => response,
            socket @ Forwarded::WebSocket(..) => return Ok(socket),
        };
        let shown = SharedCamera::take(response.headers_mut());
        let Some(shown) = shown.filter(|_| response.status() == StatusCode::OK) else {
            return self.alone(response, pace).map(Forwarded::Plain);
        };
        match self.show(host, &shown, response, pace.clone()).await {
            Ok(response) => Ok(Forwarded::Plain(response)),
            Err(WatchError::Camera(CameraError::TooMany)) => Err(too_many()),
            // As if nobody could share it; that way it is told what is wrong, too.
            Err(_) => self.forward_alone(again, with, pace).await,
        }
    }

    async fn forward_alone(
        &self,
        request: Request<Body>,
        with: Forwarding<'_>,
        pace: Pace,
    ) -> Result<Forwarded, Trouble> {
        let (call, admission) = (with.call, with.admission);
        let forwarded = self.forward(request, call, admission, with.line, with.hold);
        match forwarded.await? {
            Forwarded::Plain(response) => self.alone(response, pace).map(Forwarded::Plain),
            socket @ Forwarded::WebSocket(..) => Ok(socket),
        }
    }

    /// An answer as it comes; a running picture at the caller's pace, if there is one to keep.
    fn alone(&self, response: Response<Body>, pace: Pace) -> Result<Response<Body>, Trouble> {
        if !is_webcam(response.headers()) || !pace.is_bounded() {
            return Ok(response);
        }
        let shown = self.shared.camera.alone(response, pace);
        shown.map_err(|_| Trouble::Status(RelayStatus::Unknown, Some((Side::Upstream, "camera"))))
    }

    /// What the host lets a caller see.
    async fn show(
        &self,
        host: &HostId,
        shown: &SharedCamera,
        response: Response<Body>,
        pace: Pace,
    ) -> Result<Response<Body>, WatchError> {
        let camera = &self.shared.camera;
        let (mut head, seen) = response.into_parts();
        let body = match shown.shows {
            Shows::Stream => {
                // Until the picture is there, its beginning is kept by the host with the answer.
                let (seen, held) = if shown.held {
                    (None, Some(seen))
                } else {
                    (Some(seen), None)
                };
                let watched = camera.watch(host, &shown.name, pace, held).await?;
                drop(seen);
                // Of the host's answer, which has no byte.
                head.headers.remove(CONTENT_LENGTH);
                head.headers.insert(CONTENT_TYPE, watched.kind);
                watched.body
            }
            Shows::Picture => {
                let picture = camera.newest(host, &shown.name);
                let picture = picture.ok_or(WatchError::NotShared)?;
                let no_store = HeaderValue::from_static("no-store");
                head.headers.insert(CACHE_CONTROL, no_store);
                let length = HeaderValue::from(picture.bytes.len());
                head.headers.insert(CONTENT_LENGTH, length);
                head.headers.insert(CONTENT_TYPE, picture.kind);
                body::full(picture.bytes)
            }
        };
        Ok(Response::from_parts(head, body))
    }
}

/// The same request once more, if it may be for a picture that others see too.
fn again(request: &Request<Body>, call: &Call) -> Option<Request<Body>> {
    let is_plain = request.method() == Method::GET
        && !call.websocket
        && hyper::body::Body::is_end_stream(request.body())
        && !request.headers().contains_key(RANGE);
    is_plain.then(|| lean::copy(request))
}

/// It passes by itself, so it is none of what ends an app connection.
fn too_many() -> Trouble {
    Trouble::Status(RelayStatus::WebcamLimit, Some((Side::Us, "viewers")))
}
