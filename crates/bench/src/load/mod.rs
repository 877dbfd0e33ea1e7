//! Load: callers of every kind, over HTTP/1.1 as apps and browsers speak it.

mod bulk;
mod closed;
mod open;
mod page;
mod sockets;
mod viewers;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::header::HOST;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

pub use bulk::{download, endless_download, upload};
pub use closed::{fresh, kept};
pub use open::at_rate;
pub use page::{Browser, Visit, parts_of};
pub use sockets::echo;
pub use viewers::{Seen, Viewer, watch};

use crate::payload::Payload;

/// Nothing that is measured takes longer for one answer.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// Where callers go, and as whom.
#[derive(Clone, Debug)]
pub struct Target {
    /// The address to connect to.
    pub address: SocketAddr,
    /// What they call it.
    pub authority: String,
    /// What they say besides, such as credentials.
    pub headers: HeaderMap,
}

/// One caller's connection.
pub struct Connection {
    sender: SendRequest<Payload>,
}

/// What came of many requests.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Whole answers with 200.
    pub done: u64,
    /// Everything else.
    pub failed: u64,
    /// How long it took.
    pub took: Duration,
    /// Of each answer, in microseconds.
    pub latencies: Vec<u32>,
}

impl Target {
    /// A server that asks nobody who they are.
    pub fn plain(address: SocketAddr) -> Self {
        Self {
            address,
            authority: address.to_string(),
            headers: HeaderMap::new(),
        }
    }

    /// Connects.
    pub async fn connect(&self) -> anyhow::Result<Connection> {
        let socket = self.socket().await?;
        let (sender, driver) = http1::handshake(TokioIo::new(socket)).await?;
        TaskTracker::new().spawn(async move {
            // Its end is seen where the answer is awaited.
            let _ = driver.await;
        });
        Ok(Connection { sender })
    }

    pub(crate) async fn socket(&self) -> io::Result<TcpStream> {
        let socket = timeout(PATIENCE, TcpStream::connect(self.address)).await;
        let socket = socket.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        socket.set_nodelay(true)?;
        Ok(socket)
    }

    /// A request of this target.
    pub fn request(&self, method: Method, path: &str, body: Payload) -> Request<Payload> {
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().expect("paths here are fixed or were parsed");
        *request.headers_mut() = self.headers.clone();
        let authority = self.authority.parse().expect("an authority is a field");
        request.headers_mut().insert(HOST, authority);
        request
    }

    /// A request without a body.
    pub fn get(&self, path: &str) -> Request<Payload> {
        self.request(Method::GET, path, Payload::empty())
    }
}

impl Connection {
    /// Sends a request and waits for the head of its answer.
    pub async fn send(&mut self, request: Request<Payload>) -> anyhow::Result<Response<Incoming>> {
        let path = request.uri().path().to_owned();
        let answer = async {
            self.sender.ready().await?;
            self.sender.send_request(request).await
        };
        let answer = timeout(PATIENCE, answer).await.context("no answer")?;
        answer.with_context(|| format!("asking for {path}"))
    }

    /// The same with the whole answer, which must be a good one.
    pub async fn whole(&mut self, request: Request<Payload>) -> anyhow::Result<Bytes> {
        let answer = self.send(request).await?;
        ensure!(answer.status() == StatusCode::OK, "{}", answer.status());
        let body = timeout(PATIENCE, answer.into_body().collect()).await?;
        Ok(body?.to_bytes())
    }
}

impl Outcome {
    /// Whole answers a second.
    pub fn a_second(&self) -> f64 {
        crate::stats::count(self.done) / self.took.as_secs_f64().max(f64::EPSILON)
    }

    /// The latency that this part of the answers did not exceed, in milliseconds.
    pub fn percentile(&self, part: f64) -> f64 {
        let mut sorted: Vec<f64> = self.latencies.iter().map(|&us| f64::from(us)).collect();
        sorted.sort_by(f64::total_cmp);
        crate::stats::quantile(&sorted, part) / 1_000.0
    }

    pub(crate) fn note(&mut self, latency: Duration, worked: bool) {
        if worked {
            self.done += 1;
            let micros = u32::try_from(latency.as_micros()).unwrap_or(u32::MAX);
            self.latencies.push(micros);
        } else {
            self.failed += 1;
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.done += other.done;
        self.failed += other.failed;
        self.latencies.extend(other.latencies);
    }
}
