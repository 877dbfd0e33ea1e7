//! Tests of the whole tunnel: both ends in one process, over memory or real sockets.

mod dialling;
mod ends;
mod greeting;
mod hostile;
mod lifetime;
mod questions;
mod several;
mod streams;

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::dial::Io;
use super::serve::{HostTunnel, Introduction, Run};
use super::*;
use crate::body::{self, Body};

const NAME: &str = "relay.example.com";

/// One test's tasks and tokens.
struct Bench {
    tracker: TaskTracker,
    soft: CancellationToken,
    hard: CancellationToken,
    settings: Settings,
    identity: HostIdentity,
}

impl Bench {
    fn new() -> Self {
        Self {
            tracker: TaskTracker::new(),
            soft: CancellationToken::new(),
            hard: CancellationToken::new(),
            settings: Settings::default(),
            identity: HostIdentity::generate().unwrap(),
        }
    }

    fn acceptor(&self, relay_name: &str) -> Acceptor {
        let config = AcceptorConfig {
            relay_name: relay_name.to_owned(),
            version: "1.2.3".to_owned(),
            settings: self.settings.clone(),
        };
        Acceptor::new(config, self.tracker.clone())
    }

    fn introduction(&self, exporter: Option<Exporter>) -> Introduction {
        Introduction {
            identity: self.identity.clone(),
            connection: 0,
            name: "Workshop".to_owned(),
            version: "0.1.0".to_owned(),
            features: vec!["webcam-pace".to_owned()],
            relay_name: NAME.to_owned(),
            allow_unbound: exporter.is_none(),
            exporter,
        }
    }

    fn host(
        &self,
        io: impl Io + 'static,
        introduction: Introduction,
        service: impl StreamService,
    ) -> HostTunnel {
        let run = Run {
            settings: &self.settings,
            tracker: &self.tracker,
            soft: &self.soft,
            hard: &self.hard,
        };
        HostTunnel::start(io, introduction, service, &run)
    }

    /// A welcomed tunnel over memory.
    async fn tunnel(&self, service: impl StreamService) -> (Tunnel, HostTunnel) {
        let (host_io, relay_io) = pipe();
        let host = self.host(host_io, self.introduction(None), service);
        let arrival = self.acceptor(NAME).accept(relay_io, None).await.unwrap();
        (arrival.welcome("tun-1", None).await.unwrap(), host)
    }
}

fn pipe() -> (DuplexStream, DuplexStream) {
    tokio::io::duplex(64 * 1024)
}

fn head() -> StreamHead {
    StreamHead {
        caller: [203, 0, 113, 9].into(),
        scheme: Scheme::Https,
        app_connection: Some("app-7".to_owned()),
        scope: Scope::Full,
        request: "req-1".to_owned(),
        may_code: false,
    }
}

fn get(path: &str) -> Request<Body> {
    request("GET", path, body::empty())
}

fn request(method: &str, path: &str, body: Body) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(format!("https://app-1.example.net{path}"))
        .body(body)
        .unwrap()
}

async fn ok(_: Request<Incoming>, _: StreamHead) -> Response<Body> {
    Response::new(body::full("ok"))
}

async fn text(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A body that a test feeds by hand.
fn channel_body() -> (mpsc::Sender<Result<Bytes, body::BodyError>>, Body) {
    let (feed, mut frames) = mpsc::channel(1);
    let stream = futures_util::stream::poll_fn(move |cx| {
        frames.poll_recv(cx).map(|next| {
            next.map(|next: Result<Bytes, body::BodyError>| next.map(http_body::Frame::data))
        })
    });
    (feed, body::boxed(http_body_util::StreamBody::new(stream)))
}

/// A relay's web origin on a real socket, reduced to the upgrade.
struct WebOrigin {
    port: u16,
    arrivals: mpsc::Receiver<(Box<dyn Io>, Option<Exporter>)>,
}

impl WebOrigin {
    async fn start(bench: &Bench, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (found, arrivals) = mpsc::channel(8);
        let tracker = bench.tracker.clone();
        bench.tracker.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (found, tls) = (found.clone(), tls.clone());
                tracker.spawn(async move {
                    match tls {
                        None => upgrade(socket, None, found).await,
                        Some(config) => {
                            let Ok(stream) = TlsAcceptor::from(config).accept(socket).await else {
                                return;
                            };
                            let exporter = crate::tls::server_exporter(&stream).unwrap();
                            upgrade(stream, Some(exporter), found).await;
                        }
                    }
                });
            }
        });
        Self { port, arrivals }
    }

    async fn next(&mut self) -> (Box<dyn Io>, Option<Exporter>) {
        self.arrivals.recv().await.unwrap()
    }
}

async fn upgrade(
    io: impl Io + 'static,
    exporter: Option<Exporter>,
    found: mpsc::Sender<(Box<dyn Io>, Option<Exporter>)>,
) {
    let tracker = TaskTracker::new();
    let service = service_fn(|mut request: Request<Incoming>| {
        assert_eq!(request.uri().path(), TUNNEL_PATH);
        assert_eq!(request.headers()["upgrade"], TUNNEL_UPGRADE);
        let (found, exporter) = (found.clone(), exporter.clone());
        tracker.spawn(async move {
            let upgraded = hyper::upgrade::on(&mut request).await.unwrap();
            let io: Box<dyn Io> = Box::new(TokioIo::new(upgraded));
            let _ = found.send((io, exporter)).await;
        });
        async {
            let response = Response::builder()
                .status(101)
                .header("connection", "Upgrade")
                .header("upgrade", TUNNEL_UPGRADE)
                .body(body::empty());
            response.map_err(std::io::Error::other)
        }
    });
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades()
        .await;
}

/// A certificate for `localhost` in a folder of its own.
struct Pki {
    folder: tempfile::TempDir,
}

impl Pki {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(folder.path().join("cert.pem"), pair.cert.pem()).unwrap();
        std::fs::write(
            folder.path().join("key.pem"),
            pair.signing_key.serialize_pem(),
        )
        .unwrap();
        Self { folder }
    }

    fn cert(&self) -> std::path::PathBuf {
        self.folder.path().join("cert.pem")
    }

    fn server(&self) -> Arc<rustls::ServerConfig> {
        crate::tls::server_config(&self.cert(), &self.folder.path().join("key.pem")).unwrap()
    }
}
