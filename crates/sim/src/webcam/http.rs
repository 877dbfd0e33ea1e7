//! `/webcam/`: the stream and single pictures, in the manner of mjpg-streamer. No key, as there.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::{Frame, Viewer};
use crate::App;
use crate::api::{ApiError, query_value};

/// A single picture is given up after so long; at the slowest pace the next is 10 s away.
const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(15);

pub(super) const BOUNDARY: &str = "latchkeyframe";

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/webcam", get(webcam))
        .route("/webcam/", get(webcam))
}

async fn webcam(State(app): State<App>, uri: Uri) -> Response {
    match query_value(&uri, "action").as_deref() {
        None | Some("stream") => stream_frames(
            &app,
            query_value(&uri, "fps").and_then(|fps| fps.parse().ok()),
        ),
        Some("snapshot") => snapshot(&app).await,
        Some(_) => ApiError::bad("action can be stream or snapshot").into_response(),
    }
}

async fn snapshot(app: &App) -> Response {
    let viewer = Viewer::new(app);
    let mut frames = viewer.frames();
    tokio::select! {
        fresh = frames.changed() => if fresh.is_err() { return StatusCode::SERVICE_UNAVAILABLE.into_response() },
        () = sleep(SNAPSHOT_PATIENCE) => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        () = app.shutdown.cancelled() => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
    let jpeg = frames.borrow().jpeg.clone();
    let mut headers = uncached();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/jpeg"));
    (headers, jpeg).into_response()
}

fn stream_frames(app: &App, fps: Option<f64>) -> Response {
    let viewer = Viewer::new(app);
    let pace = fps
        .filter(|fps| *fps > 0.0)
        .map(|fps| Duration::from_secs_f64(1.0 / fps.clamp(0.05, 60.0)));
    let stream = Stream {
        frames: viewer.frames(),
        drops: app.faults.drops(),
        viewer,
        pace,
        next: Instant::now(),
    };
    let kind = format!("multipart/x-mixed-replace;boundary={BOUNDARY}");
    let mut headers = uncached();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::try_from(kind)
            .unwrap_or(HeaderValue::from_static("multipart/x-mixed-replace")),
    );
    (
        headers,
        Body::from_stream(stream::unfold(stream, Stream::next)),
    )
        .into_response()
}

fn uncached() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-store, no-cache, must-revalidate, max-age=0"),
    );
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    headers
}

/// One viewer's stream. Whoever reads slowly misses pictures: only the newest is kept.
struct Stream {
    viewer: Viewer,
    frames: watch::Receiver<Frame>,
    drops: broadcast::Receiver<()>,
    pace: Option<Duration>,
    next: Instant,
}

/// The fault that cuts the stream off in the middle.
#[derive(Debug, thiserror::Error)]
#[error("the stream was cut off on purpose")]
struct CutOff;

impl Stream {
    async fn next(mut self) -> Option<(Result<Bytes, CutOff>, Self)> {
        let shutdown = self.viewer.app.shutdown.clone();
        let outcome = tokio::select! {
            () = shutdown.cancelled() => return None,
            _ = self.drops.recv() => Err(CutOff),
            frame = fresh_frame(&mut self.frames, self.next) => Ok(frame?),
        };
        if let Some(pace) = self.pace {
            self.next = (self.next + pace).max(Instant::now());
        }
        Some((outcome, self))
    }
}

async fn fresh_frame(frames: &mut watch::Receiver<Frame>, not_before: Instant) -> Option<Bytes> {
    sleep_until(not_before).await;
    frames.changed().await.ok()?;
    Some(frames.borrow_and_update().part.clone())
}
