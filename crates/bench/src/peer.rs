//! The plain server that everything is measured in front of: small answers, large files, uploads, an echoing WebSocket,
//! a webcam, and the parts of a page.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _, stream};
use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH,
    SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE,
};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_util::task::TaskTracker;

use crate::frames;
use crate::payload::{Payload, noise};

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A small answer, as of an API: what `GET /api/job` weighs.
const SMALL: &str = r#"{"job": {"file": {"name": "bracket.gcode", "origin": "local", "size": 1468987}, "estimatedPrintTime": 8811, "filament": {"tool0": {"length": 810.5, "volume": 5.36}}}, "progress": {"completion": 22.6, "filepos": 337942, "printTime": 276, "printTimeLeft": 912}, "state": "Printing"}"#;

/// Serves until it is dropped.
pub async fn serve(listener: TcpListener) {
    let noise = noise();
    let tracker = TaskTracker::new();
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        let noise = noise.clone();
        tracker.spawn(connection(socket, noise, tracker.clone()));
    }
}

/// Listens at this address, then serves.
pub async fn run(listen: SocketAddr) -> anyhow::Result<()> {
    serve(TcpListener::bind(listen).await?).await;
    Ok(())
}

async fn connection(socket: TcpStream, noise: Bytes, tracker: TaskTracker) {
    let _ = socket.set_nodelay(true);
    let service = service_fn(move |request| {
        let (noise, tracker) = (noise.clone(), tracker.clone());
        async move { Ok::<_, Infallible>(answer(request, &noise, &tracker).await) }
    });
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades()
        .await;
}

async fn answer(
    request: Request<Incoming>,
    noise: &Bytes,
    tracker: &TaskTracker,
) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    match path.split('/').skip(1).collect::<Vec<_>>()[..] {
        ["small"] => typed("application/json", Payload::of(SMALL)),
        ["bytes", count] => match count.parse() {
            Ok(count) => typed("application/octet-stream", Payload::repeated(noise, count)),
            Err(_) => plain(StatusCode::BAD_REQUEST, "no number"),
        },
        ["asset", size] => asset(&request, size, noise),
        ["sink"] => sink(request).await,
        ["echo"] => upgrade(request, tracker),
        // Behind a path of its own a camera may be its own server, whose path is cut off.
        ["webcam" | "", ..] => webcam(&query, noise),
        _ => plain(StatusCode::NOT_FOUND, "nothing here"),
    }
}

fn typed(kind: &'static str, body: Payload) -> Response<Body> {
    let mut response = Response::new(body.boxed_unsync());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// What a browser keeps, and asks about each time.
fn asset(request: &Request<Incoming>, size: &str, noise: &Bytes) -> Response<Body> {
    let Ok(size) = size.parse() else {
        return plain(StatusCode::BAD_REQUEST, "no number");
    };
    let tag: HeaderValue = format!("\"{size}\"").parse().expect("a number in quotes");
    let known = request.headers().get(IF_NONE_MATCH) == Some(&tag);
    let mut response = typed(
        "application/octet-stream",
        if known {
            Payload::empty()
        } else {
            Payload::repeated(noise, size)
        },
    );
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(ETAG, tag);
    response
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = typed("text/plain", Payload::of(text));
    *response.status_mut() = status;
    response
}

async fn sink(request: Request<Incoming>) -> Response<Body> {
    let mut body = request.into_body();
    let mut count = 0_u64;
    while let Some(Ok(frame)) = body.frame().await {
        count += frame.data_ref().map_or(0, Bytes::len) as u64;
    }
    typed("text/plain", Payload::of(count.to_string()))
}

fn upgrade(request: Request<Incoming>, tracker: &TaskTracker) -> Response<Body> {
    let Some(key) = request.headers().get(SEC_WEBSOCKET_KEY) else {
        return plain(StatusCode::UPGRADE_REQUIRED, "a WebSocket is here");
    };
    let accept = derive_accept_key(key.as_bytes());
    tracker.spawn(async move {
        let Ok(upgraded) = hyper::upgrade::on(request).await else {
            return;
        };
        let io = TokioIo::new(upgraded);
        let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, None).await;
        while let Some(Ok(message)) = socket.next().await {
            let is_content = message.is_text() || message.is_binary();
            if is_content && socket.send(message).await.is_err() {
                return;
            }
        }
    });
    let mut response = Response::new(Payload::empty().boxed_unsync());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    let accept = accept.parse().expect("base64 is a field's value");
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    response
}

/// A running picture: `rate` a second (10), of `size` bytes (30,000). Late ones are left out, as by a camera.
fn webcam(query: &str, noise: &Bytes) -> Response<Body> {
    let number = |name: &str, otherwise: u32| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let found = pairs.find(|(key, _)| *key == name);
        found
            .and_then(|(_, value)| value.parse().ok())
            .unwrap_or(otherwise)
    };
    let gap = Duration::from_secs(1) / number("rate", 10).max(1);
    let size = usize::try_from(number("size", 30_000)).unwrap_or(usize::MAX);
    let noise = noise.clone();
    let begun = Instant::now();
    let pictures = stream::unfold(0_u32, move |number| {
        let noise = noise.clone();
        async move {
            sleep_until(begun + gap * number).await;
            let part = frames::part(u64::from(number), size, &noise);
            let passed = begun.elapsed().as_nanos() / gap.as_nanos().max(1);
            let next = u32::try_from(passed + 1)
                .unwrap_or(u32::MAX)
                .max(number + 1);
            Some((Ok(Frame::data(part)), next))
        }
    });
    let mut response = Response::new(StreamBody::new(pictures).boxed_unsync());
    let kind = format!("multipart/x-mixed-replace; boundary={}", frames::BOUNDARY);
    let kind = kind.parse().expect("letters are a field's value");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
