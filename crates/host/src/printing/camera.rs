//! The camera beside the printer, shown to the relay: the first one that is configured, or that the
//! printer's server names and that the configuration leads to.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use latchkey_net::body::{self, Body};
use latchkey_net::proxy::endless::end_with;
use latchkey_net::tunnel::{CameraRefusal, LARGEST_PICTURE, PICTURE_DEADLINE, View};
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::asking::{Asking, Unreachable, uri};
use crate::config::{Config, UpstreamKind};
use crate::upstream::routes::{Routes, Target};

/// So many pictures, single and running ones, are sent at the same time.
const MOST_SHOWN: usize = 8;
/// A camera's places are looked up again after so long.
const FRESH: Duration = Duration::from_mins(5);
/// A little less than the relay waits, so that it hears why there is none.
const PATIENCE: Duration = PICTURE_DEADLINE.saturating_sub(Duration::from_secs(1));

/// The first camera.
pub(super) struct Camera {
    kind: UpstreamKind,
    asking: Asking,
    routes: Routes,
    /// The path of the first camera that is configured, without a slash at its end.
    configured: Option<String>,
    places: Mutex<Option<(Instant, Places)>>,
    shown: Arc<Semaphore>,
    stopping: CancellationToken,
}

/// Where its pictures are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Places {
    snapshot: Option<Place>,
    stream: Option<Place>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    uri: Uri,
    /// Only what is part of the printer server's own API.
    with_key: bool,
}

impl Camera {
    pub(super) fn new(config: &Config, stopping: CancellationToken) -> Self {
        let first = config.webcams.first();
        Self {
            kind: config.upstream.kind,
            asking: Asking::new(config),
            routes: Routes::new(config),
            configured: first.map(|webcam| webcam.path.trim_end_matches('/').to_owned()),
            places: Mutex::default(),
            shown: Arc::new(Semaphore::new(MOST_SHOWN)),
            stopping,
        }
    }

    /// Looks whether there is one that shows something.
    pub(super) async fn look(&self, asking: &Asking) -> bool {
        let places = self.learn().await;
        for place in [&places.snapshot, &places.stream].into_iter().flatten() {
            let asked = timeout(PATIENCE, asking.get(&place.uri, place.with_key)).await;
            if let Ok(Ok(response)) = asked
                && response.status() == StatusCode::OK
            {
                return true;
            }
        }
        false
    }

    /// Shows it.
    pub(super) async fn show(&self, view: View) -> Result<Response<Body>, CameraRefusal> {
        let permit = Arc::clone(&self.shown).try_acquire_owned();
        let permit = permit.map_err(|_| CameraRefusal::TooMany)?;
        let showing = async {
            let places = self.known().await;
            match view {
                View::Snapshot => self.snapshot(&places).await,
                View::Stream => self.stream(&places, permit).await,
            }
        };
        timeout(PATIENCE, showing)
            .await
            .unwrap_or(Err(CameraRefusal::TimedOut))
    }

    /// Where its running picture is.
    pub(super) async fn running_picture(&self) -> Option<Uri> {
        let places = timeout(PATIENCE, self.known()).await.ok()?;
        places.stream.map(|place| place.uri)
    }

    async fn snapshot(&self, places: &Places) -> Result<Response<Body>, CameraRefusal> {
        if let Some(place) = &places.snapshot {
            let response = self.ask(place).await?;
            let kind = kind(&response).ok_or(CameraRefusal::Failed)?;
            let whole = Limited::new(response.into_body(), LARGEST_PICTURE).collect();
            let whole = whole.await.map_err(|_| CameraRefusal::Failed)?.to_bytes();
            return Ok(picture(kind, body::full(whole)));
        }
        // A camera that has only a running picture: one out of it.
        let place = places.stream.as_ref().ok_or(CameraRefusal::NoCamera)?;
        let response = self.ask(place).await?;
        let jpeg = first_jpeg(response.into_body()).await;
        let jpeg = jpeg.ok_or(CameraRefusal::Failed)?;
        Ok(picture(
            HeaderValue::from_static("image/jpeg"),
            body::full(jpeg),
        ))
    }

    async fn stream(
        &self,
        places: &Places,
        permit: OwnedSemaphorePermit,
    ) -> Result<Response<Body>, CameraRefusal> {
        let place = places.stream.as_ref().ok_or(CameraRefusal::NoCamera)?;
        let response = self.ask(place).await?;
        let kind = kind(&response).ok_or(CameraRefusal::Failed)?;
        let running = body::boxed(Held {
            inner: response.into_body(),
            _permit: permit,
        });
        Ok(end_with(picture(kind, running), &self.stopping))
    }

    async fn ask(&self, place: &Place) -> Result<Response<Incoming>, CameraRefusal> {
        let asked = self.asking.get(&place.uri, place.with_key).await;
        let response = asked.map_err(|Unreachable| CameraRefusal::Failed)?;
        match response.status() {
            StatusCode::OK => Ok(response),
            StatusCode::NOT_FOUND | StatusCode::NO_CONTENT => Err(CameraRefusal::NoCamera),
            _ => Err(CameraRefusal::Failed),
        }
    }

    async fn known(&self) -> Places {
        let known = {
            let known = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            known.clone()
        };
        match known {
            Some((when, places)) if when.elapsed() < FRESH => places,
            _ => self.learn().await,
        }
    }

    /// Finds out where the pictures are, and remembers it.
    async fn learn(&self) -> Places {
        let named = match self.kind {
            UpstreamKind::OctoPrint => self.octoprints().await,
            UpstreamKind::Moonraker => self.moonrakers().await,
            UpstreamKind::PrusaLink => self.prusalinks().await,
            UpstreamKind::Generic => None,
        };
        let places = named
            .filter(|places| *places != Places::default())
            .or_else(|| self.usual())
            .unwrap_or_default();
        let mut known = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some((Instant::now(), places.clone()));
        places
    }

    async fn octoprints(&self) -> Option<Places> {
        let settings = self.asking.json_of("/api/settings").await?;
        let webcam = &settings["webcam"];
        if webcam["webcamEnabled"] == false {
            return None;
        }
        let first = &webcam["webcams"][0]["compat"];
        let of = |old: &str, new: &str| {
            let named = [&webcam[old], &first[new]];
            named.into_iter().find_map(|url| self.place(url))
        };
        Some(Places {
            snapshot: of("snapshotUrl", "snapshot"),
            stream: of("streamUrl", "stream"),
        })
    }

    async fn moonrakers(&self) -> Option<Places> {
        let answer = self.asking.json_of("/server/webcams/list").await?;
        let webcams = answer["result"]["webcams"].as_array()?;
        let first = webcams.iter().find(|webcam| webcam["enabled"] != false)?;
        // Other services are no running pictures that a browser can show as one.
        let streams = first["service"]
            .as_str()
            .is_none_or(|service| service.starts_with("mjpegstreamer") || service == "uv4l-mjpeg");
        Some(Places {
            snapshot: self.place(&first["snapshot_url"]),
            stream: self.place(&first["stream_url"]).filter(|_| streams),
        })
    }

    async fn prusalinks(&self) -> Option<Places> {
        let answer = self.asking.json_of("/api/v1/cameras").await?;
        answer["camera_list"].as_array()?.first()?;
        let uri = self.asking.uri("/api/v1/cameras/snap").ok()?;
        Some(Places {
            snapshot: Some(Place {
                uri,
                with_key: true,
            }),
            stream: None,
        })
    }

    /// Where mjpg-streamer and those that took its place have their pictures.
    fn usual(&self) -> Option<Places> {
        let path = self.configured.as_ref()?;
        let place = |action: &str| self.place_of_path(&format!("{path}/?action={action}"));
        Some(Places {
            snapshot: place("snapshot"),
            stream: place("stream"),
        })
    }

    /// Where an address leads that the printer's server names, if the configuration leads there.
    fn place(&self, named: &Value) -> Option<Place> {
        let named = named.as_str()?.trim();
        if named.starts_with('/') && !named.starts_with("//") {
            return self.place_of_path(named);
        }
        let rest = named.strip_prefix("http://")?;
        let (authority, path) = match rest.find(['/', '?']) {
            Some(end) => rest.split_at(end),
            None => (rest, "/"),
        };
        let slash = if path.starts_with('/') { "" } else { "/" };
        let path = format!("{slash}{path}");
        let wanted = with_port(authority);
        let server = self.routes.all().find(|route| {
            let address = route.address;
            let below = path.strip_prefix(address.base_path());
            with_port(&address.authority().to_string()) == wanted
                && below.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
        })?;
        let uri = Uri::builder()
            .scheme("http")
            .authority(server.address.authority().to_string())
            .path_and_query(path)
            .build();
        Some(Place {
            uri: uri.ok()?,
            with_key: false,
        })
    }

    fn place_of_path(&self, path_and_query: &str) -> Option<Place> {
        let path = path_and_query.split(['?', '#']).next().unwrap_or_default();
        let route = self.routes.find(path);
        let at_server = match route.target {
            Target::Printer => path_and_query.to_owned(),
            Target::Webcam => path_and_query.strip_prefix(route.prefix)?.to_owned(),
        };
        Some(Place {
            uri: uri(route.address, &at_server)?,
            with_key: false,
        })
    }
}

/// Host and port; names of this machine are one.
fn with_port(authority: &str) -> String {
    let authority = authority.to_ascii_lowercase();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (host, port),
        _ => (authority.as_str(), "80"),
    };
    let host = match host {
        "localhost" | "[::1]" => "127.0.0.1",
        host => host,
    };
    format!("{host}:{port}")
}

fn kind(response: &Response<Incoming>) -> Option<HeaderValue> {
    response.headers().get(CONTENT_TYPE).cloned()
}

fn picture(kind: HeaderValue, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// The first whole JPEG of a running picture.
async fn first_jpeg(mut body: Incoming) -> Option<Bytes> {
    let mut read = BytesMut::new();
    let mut searched = 0;
    while read.len() <= LARGEST_PICTURE {
        let frame = body.frame().await?.ok()?;
        read.extend_from_slice(frame.data_ref()?);
        let start = read.windows(2).position(|pair| pair == [0xff, 0xd8]);
        let Some(start) = start else { continue };
        let from = searched.max(start + 2);
        let end = read
            .get(from..)?
            .windows(2)
            .position(|pair| pair == [0xff, 0xd9]);
        if let Some(end) = end {
            read.truncate(from + end + 2);
            return Some(read.split_off(start).freeze());
        }
        searched = read.len().saturating_sub(1);
    }
    None
}

/// A running picture that counts for as long as it is held.
struct Held {
    inner: Incoming,
    _permit: OwnedSemaphorePermit,
}

impl hyper::body::Body for Held {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, hyper::Error>>> {
        std::pin::Pin::new(&mut self.inner).poll_frame(cx)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::{UpstreamAddress, Webcam};

    fn camera(webcams: &[(&str, &str)]) -> Camera {
        let address = |text: &str| UpstreamAddress::from_url(&text.parse().unwrap()).unwrap();
        let mut config = crate::sessions::tests::config();
        config.upstream.address = address("http://127.0.0.1:5000");
        config.webcams = webcams
            .iter()
            .map(|(path, server)| Webcam {
                path: (*path).to_owned(),
                address: address(server),
            })
            .collect();
        Camera::new(&config, CancellationToken::new())
    }

    #[test]
    fn an_address_leads_where_the_configuration_leads_or_nowhere() {
        let camera = camera(&[("/webcam/", "http://127.0.0.1:8080/cam")]);
        for (named, uri) in [
            (
                "/webcam/?action=stream",
                Some("http://127.0.0.1:8080/cam/?action=stream"),
            ),
            ("/webcam/x/../y", Some("http://127.0.0.1:8080/cam/x/../y")),
            ("/other?x", Some("http://127.0.0.1:5000/other?x")),
            (
                "http://127.0.0.1:8080/cam/?a",
                Some("http://127.0.0.1:8080/cam/?a"),
            ),
            (
                "http://localhost:5000/webcam/?a",
                Some("http://127.0.0.1:5000/webcam/?a"),
            ),
            ("http://127.0.0.1:8080/elsewhere", None),
            ("http://127.0.0.1:8081/cam/", None),
            ("http://192.168.1.9/cam/", None),
            ("http://user@127.0.0.1:8080/cam/", None),
            ("https://127.0.0.1:8080/cam/", None),
            ("//192.168.1.9/x", None),
            ("file:///etc/passwd", None),
            ("", None),
        ] {
            let place = camera.place(&json!(named));
            assert!(place.as_ref().is_none_or(|place| !place.with_key));
            let found = place.map(|place| place.uri.to_string());
            assert_eq!(found.as_deref(), uri, "{named}");
        }
        assert_eq!(camera.place(&json!(null)), None);
    }

    #[test]
    fn a_camera_that_nobody_describes_is_asked_as_most_are() {
        let places = camera(&[("/cam/", "http://127.0.0.1:8080")])
            .usual()
            .unwrap();
        let uri = |place: Option<Place>| place.unwrap().uri.to_string();
        assert_eq!(
            uri(places.snapshot),
            "http://127.0.0.1:8080/?action=snapshot"
        );
        assert_eq!(uri(places.stream), "http://127.0.0.1:8080/?action=stream");
        assert_eq!(camera(&[]).usual(), None);
    }
}
