//! Running pictures that the relay fetches once, however many callers see them.
//!
//! A picture is shared where its camera shows it to somebody who brings nothing at all: no key, no
//! cookie, no sign-in, not even the host's. Then it is the same for all. Whether a caller may see
//! it is judged for each of them before anything here is asked, as for any other request; what
//! they get is the picture's name, and with it nobody but the relay can do anything.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use http::header::{
    ACCEPT, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, EXPIRES, HOST, PRAGMA, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use hyper::body::{Frame, Incoming};
use latchkey_net::body::{self, Body, BodyError};
use latchkey_net::proxy::endless::is_webcam;
use latchkey_net::proxy::failure::HostFailure;
use latchkey_net::proxy::shared_camera::{SHARED_CAMERA, SharedCamera, Shows};
use latchkey_net::tunnel::{CameraRefusal, PICTURE_DEADLINE};
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, Sleep, timeout};

use super::Upstream;

mod addresses;
mod sharing;
#[cfg(test)]
mod tests;

/// Pictures that are known by name at the same time. What comes besides is not shared.
const MOST: usize = 32;
/// A picture can be fetched for so long after its name was last given.
const NAMED_FOR: Duration = Duration::from_secs(30);
/// A little less than the relay waits, so that it hears why there is none.
const PATIENCE: Duration = PICTURE_DEADLINE.saturating_sub(Duration::from_secs(1));
/// A name is so much of the digest of what the camera is asked.
const NAME_BYTES: usize = 16;

/// Of a camera's answer, what all who see its picture are told.
const TOLD: [HeaderName; 5] = [
    CONTENT_TYPE,
    CACHE_CONTROL,
    PRAGMA,
    EXPIRES,
    ACCESS_CONTROL_ALLOW_ORIGIN,
];

/// The pictures known by name. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Cameras(Arc<Mutex<HashMap<String, Known>>>);

struct Known {
    /// What the camera is asked.
    uri: Uri,
    /// What whoever sees it is told of it.
    told: HeaderMap,
    named: Instant,
    /// How often it is being shown to the relay: once, but for moments.
    running: usize,
    /// An answer of the camera's that the relay has still to fetch.
    waiting: Weak<Waiting>,
}

/// A camera's answer that nobody has fetched yet.
struct Waiting(Mutex<Option<Response<Incoming>>>);

impl Waiting {
    fn new(response: Response<Incoming>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Some(response))))
    }

    fn take(&self) -> Option<Response<Incoming>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// What comes of wanting to share.
enum Sharing {
    /// It may be seen by this name.
    Shared(Response<Body>),
    /// It is an answer like any other.
    Own(Response<Incoming>),
    /// It is not to be had this way.
    Neither,
}

impl Known {
    fn is_over(&self) -> bool {
        self.running == 0 && self.waiting.strong_count() == 0 && self.named.elapsed() >= NAMED_FOR
    }

    fn is_there(&self) -> bool {
        self.running > 0 || self.waiting.strong_count() > 0
    }
}

impl Cameras {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a caller see a picture that is there already.
    fn show(&self, name: &str, shows: Shows, held: bool) -> Option<Response<Body>> {
        let mut known = self.lock();
        let found = known.get_mut(name).filter(|found| found.is_there())?;
        if shows == Shows::Picture && found.running == 0 {
            return None;
        }
        found.named = Instant::now();
        let body = if held && shows == Shows::Stream {
            body::boxed(Seen { waiting: None })
        } else {
            body::empty()
        };
        answer(name, shows, held, &found.told, body)
    }

    /// Lets a caller see the picture that this answer begins, if it can be shared.
    fn begin(&self, uri: Uri, response: Response<Incoming>, held: bool) -> Sharing {
        let name = name_of(&uri);
        if !can_be_shared(&response) || !has_room(&mut self.lock(), &name) {
            return Sharing::Own(response);
        }
        // Of two who asked at once, the second one's answer is not needed.
        if let Some(shared) = self.show(&name, Shows::Stream, held) {
            return Sharing::Shared(shared);
        }
        let told = told_of(response.headers());
        let waiting = Waiting::new(response);
        let seen = body::boxed(Seen::after(Arc::clone(&waiting)));
        let Some(shared) = answer(&name, Shows::Stream, held, &told, seen) else {
            return Sharing::Neither;
        };
        let mut known = self.lock();
        let running = known.get(&name).map_or(0, |known| known.running);
        let fresh = Known {
            uri,
            told,
            named: Instant::now(),
            running,
            waiting: Arc::downgrade(&waiting),
        };
        known.insert(name, fresh);
        Sharing::Shared(shared)
    }

    /// Gives a picture its name, to be fetched soon.
    fn name(&self, uri: Uri) -> Option<String> {
        let name = name_of(&uri);
        let mut known = self.lock();
        if !has_room(&mut known, &name) {
            return None;
        }
        let fresh = || Known {
            uri,
            told: HeaderMap::new(),
            named: Instant::now(),
            running: 0,
            waiting: Weak::new(),
        };
        let found = known.entry(name.clone()).or_insert_with(fresh);
        found.named = Instant::now();
        Some(name)
    }

    /// What is asked for a picture, and the answer to it if that is there.
    fn take(&self, name: &str) -> Option<(Uri, Option<Response<Incoming>>, Shown)> {
        let mut known = self.lock();
        let found = known.get_mut(name).filter(|found| !found.is_over())?;
        let waiting = found.waiting.upgrade();
        let waiting = waiting.and_then(|waiting| waiting.take());
        found.running += 1;
        let shown = Shown {
            cameras: self.clone(),
            name: name.to_owned(),
        };
        Some((found.uri.clone(), waiting, shown))
    }
}

impl Upstream {
    /// Gives the picture at this address, at a server that is configured, its name.
    pub(crate) fn name_camera(&self, uri: &Uri) -> Option<String> {
        self.shared.cameras.name(addresses::plain(uri)?)
    }

    /// Shows the relay a picture that was named lately.
    pub(crate) async fn show_camera(&self, name: &str) -> Result<Response<Body>, CameraRefusal> {
        let taken = self.shared.cameras.take(name);
        let (uri, waiting, shown) = taken.ok_or(CameraRefusal::NoCamera)?;
        let response = match waiting {
            Some(response) => response,
            None => timeout(PATIENCE, self.ask_camera(uri))
                .await
                .map_err(|_| CameraRefusal::TimedOut)??,
        };
        let kind = response.headers().get(CONTENT_TYPE).cloned();
        let kind = kind.filter(|_| can_be_shared(&response));
        let kind = kind.ok_or(CameraRefusal::Failed)?;
        shown.tell(response.headers());
        let mut answer = Response::new(body::boxed(Running {
            inner: response.into_body(),
            _shown: shown,
        }));
        answer.headers_mut().insert(CONTENT_TYPE, kind);
        Ok(answer)
    }

    /// Asks a camera on behalf of nobody.
    async fn ask_camera(&self, uri: Uri) -> Result<Response<Incoming>, CameraRefusal> {
        let (mut parts, ()) = Request::new(()).into_parts();
        let host = uri.authority().map(http::uri::Authority::as_str);
        let host = host.and_then(|host| HeaderValue::try_from(host).ok());
        let host = host.ok_or(CameraRefusal::Failed)?;
        parts.headers.insert(HOST, host);
        parts
            .headers
            .insert(ACCEPT, HeaderValue::from_static("*/*"));
        if self.forwards_address() {
            sharing::come_from_outside(&mut parts.headers);
        }
        parts.uri = uri;
        let asked = self.send(parts, body::empty()).await;
        let response = asked.map_err(|failure| match failure {
            HostFailure::TimedOut => CameraRefusal::TimedOut,
            _ => CameraRefusal::Failed,
        })?;
        match response.status() {
            StatusCode::OK => Ok(response),
            StatusCode::NOT_FOUND | StatusCode::NO_CONTENT => Err(CameraRefusal::NoCamera),
            _ => Err(CameraRefusal::Failed),
        }
    }
}

/// A picture's name: what the camera is asked for it, and not to be read out of it.
fn name_of(uri: &Uri) -> String {
    let digest = Sha256::digest(uri.to_string().as_bytes());
    HEXLOWER.encode(&digest[..NAME_BYTES])
}

/// Whether there is room for a picture of this name; those that are over make some.
fn has_room(known: &mut HashMap<String, Known>, name: &str) -> bool {
    if known.contains_key(name) {
        return true;
    }
    known.retain(|_, known| !known.is_over());
    known.len() < MOST
}

/// Whether an answer is a running picture that is the same for all, as far as it tells.
fn can_be_shared(response: &Response<Incoming>) -> bool {
    let headers = response.headers();
    let varies = headers.get_all(VARY).iter().any(|value| {
        let value = value.to_str().unwrap_or("*").to_ascii_lowercase();
        ["*", "cookie", "authorization", "origin"]
            .iter()
            .any(|name| value.split(',').any(|word| word.trim() == *name))
    });
    let mut origins = headers.get_all(ACCESS_CONTROL_ALLOW_ORIGIN).iter();
    let kind = headers.get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    response.status() == StatusCode::OK
        && is_webcam(headers)
        && kind.to_ascii_lowercase().contains("boundary=")
        && !varies
        && origins.all(|origin| origin == "*")
}

fn told_of(headers: &HeaderMap) -> HeaderMap {
    let mut told = HeaderMap::new();
    for name in TOLD {
        if let Some(value) = headers.get(&name) {
            told.insert(name, value.clone());
        }
    }
    told
}

fn answer(
    name: &str,
    shows: Shows,
    held: bool,
    told: &HeaderMap,
    body: Body,
) -> Option<Response<Body>> {
    let said = SharedCamera {
        name: name.to_owned(),
        shows,
        held,
    };
    let mut answer = Response::new(body);
    let fields = answer.headers_mut();
    if shows == Shows::Stream {
        // It may have been named before anybody saw how it answers.
        told.get(CONTENT_TYPE)?;
        fields.clone_from(told);
    }
    fields.insert(SHARED_CAMERA, said.to_value()?);
    Some(answer)
}

/// A body that goes on for as long as somebody may see a picture, and holds the camera's answer for
/// a while, until the relay has fetched it.
struct Seen {
    waiting: Option<(Arc<Waiting>, Pin<Box<Sleep>>)>,
}

impl Seen {
    fn after(waiting: Arc<Waiting>) -> Self {
        let patience = Box::pin(tokio::time::sleep(PATIENCE));
        Self {
            waiting: Some((waiting, patience)),
        }
    }
}

impl hyper::body::Body for Seen {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some((_, patience)) = &mut self.waiting
            && patience.as_mut().poll(cx).is_ready()
        {
            // Nobody came for it. What is fetched later is asked for anew.
            self.waiting = None;
        }
        Poll::Pending
    }
}

/// A picture is being shown to the relay for as long as this is there.
struct Shown {
    cameras: Cameras,
    name: String,
}

impl Shown {
    /// Keeps what whoever sees it is told of it.
    fn tell(&self, headers: &HeaderMap) {
        if let Some(known) = self.cameras.lock().get_mut(&self.name) {
            known.told = told_of(headers);
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if let Some(known) = self.cameras.lock().get_mut(&self.name) {
            known.running = known.running.saturating_sub(1);
        }
    }
}

struct Running {
    inner: Incoming,
    _shown: Shown,
}

impl hyper::body::Body for Running {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }
}
