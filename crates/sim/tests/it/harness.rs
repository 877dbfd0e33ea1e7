//! Starts a simulator on a free port and talks HTTP to it.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use latchkey_sim::{SimConfig, SimHandle, WebcamConfig, bind};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) const KEY: &str = "the-right-key";
/// Longer than anything here takes; only a failure waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Bench {
    pub(crate) addr: SocketAddr,
    pub(crate) handle: SimHandle,
    client: Client<HttpConnector, Body>,
    shutdown: CancellationToken,
    running: JoinHandle<()>,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

impl Bench {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut SimConfig)) -> Self {
        let mut config = SimConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            api_key: KEY.to_owned(),
            speed: 2_000.0,
            autoprint: None,
            webcam: WebcamConfig {
                width: 160,
                height: 96,
                ..WebcamConfig::default()
            },
            ..SimConfig::default()
        };
        change(&mut config);
        let sim = bind(config).await.unwrap();
        let (addr, handle, shutdown) = (sim.local_addr(), sim.handle(), CancellationToken::new());
        let running = TaskTracker::new().spawn(sim.run(shutdown.clone()));
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self {
            addr,
            handle,
            client,
            shutdown,
            running,
        }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        timeout(PATIENCE, async {
            let (parts, body) = self.open(request).await.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            Answer {
                status: parts.status,
                headers: parts.headers,
                body,
            }
        })
        .await
        .unwrap()
    }

    /// Sends and leaves the body of the answer to be read.
    pub(crate) async fn open(
        &self,
        request: Request<Body>,
    ) -> http::Response<hyper::body::Incoming> {
        self.client.request(request).await.unwrap()
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.addr))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(
            self.request("GET", path)
                .header("x-api-key", KEY)
                .body(Body::empty())
                .unwrap(),
        )
        .await
    }

    pub(crate) async fn post(&self, path: &str, json: &Value) -> Answer {
        let request = self
            .request("POST", path)
            .header("x-api-key", KEY)
            .header("content-type", "application/json");
        self.send(request.body(Body::from(json.to_string())).unwrap())
            .await
    }

    /// Uploads as apps do: a multipart form.
    pub(crate) async fn upload(
        &self,
        name: &str,
        content: &[u8],
        fields: &[(&str, &str)],
    ) -> Answer {
        let mut form = Vec::new();
        form.extend_from_slice(
            format!(
                "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n"
            )
            .as_bytes(),
        );
        form.extend_from_slice(content);
        for (name, value) in fields {
            form.extend_from_slice(
                format!(
                    "\r\n--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}"
                )
                .as_bytes(),
            );
        }
        form.extend_from_slice(b"\r\n--b--\r\n");
        let request = self
            .request("POST", "/api/files/local")
            .header("x-api-key", KEY);
        self.send(
            request
                .header("content-type", "multipart/form-data; boundary=b")
                .body(Body::from(form))
                .unwrap(),
        )
        .await
    }

    /// Ends the simulator and waits for its end.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        timeout(PATIENCE, self.running).await.unwrap().unwrap();
    }
}
