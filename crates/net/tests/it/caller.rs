//! A scripted caller: raw bytes in, raw answers out, and handlers that record.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use latchkey_net::body::{self, Body};
use latchkey_net::gate::Rejection;
use latchkey_net::listen::{self, Call, Handler, ListenSettings, Stop};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

/// Far longer than anything here takes; only a hung test waits for it.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

/// Awaits `future`, and fails the test if it hangs.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    let in_time = tokio::time::timeout(DEADLINE, future).await;
    in_time.unwrap_or_else(|_| panic!("still waiting: {what}"))
}

/// A listener at work on a port of its own.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) stop: Stop,
    pub(crate) tracker: TaskTracker,
}

impl Server {
    pub(crate) async fn start<H: Handler>(settings: ListenSettings, handler: H) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            stop: Stop::default(),
            tracker: TaskTracker::new(),
        };
        server.tracker.spawn(listen::serve(
            listener,
            settings,
            handler,
            server.stop.clone(),
            server.tracker.clone(),
        ));
        server
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends `bytes` and the end of the stream, and reads all that comes back.
    pub(crate) async fn exchange(&self, bytes: &[u8]) -> Vec<Answer> {
        let mut stream = self.connect().await;
        // A refusal may close the connection before everything is sent.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        soon("the end of the connection", read_answers(&mut stream)).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.soft.cancel();
        self.stop.hard.cancel();
    }
}

/// One answer as it stood on the wire.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn closes(&self) -> bool {
        let head = self.head.to_ascii_lowercase();
        head.contains("connection: close")
            || head.starts_with("http/1.0") && !head.contains("connection: keep-alive")
    }
}

/// Reads to the end of the connection.
pub(crate) async fn read_answers(stream: &mut TcpStream) -> Vec<Answer> {
    let mut bytes = Vec::new();
    // A reset is an end too; what arrived before it counts.
    let _ = stream.read_to_end(&mut bytes).await;
    let mut rest = &bytes[..];
    std::iter::from_fn(|| split_answer(&mut rest)).collect()
}

/// Reads exactly one answer with a Content-Length.
pub(crate) async fn read_answer<S: tokio::io::AsyncRead + Unpin>(stream: &mut S) -> Answer {
    let mut bytes = Vec::new();
    loop {
        if let Some(answer) = split_answer(&mut &bytes[..]) {
            return answer;
        }
        let mut byte = [0];
        let count = soon("an answer", stream.read(&mut byte)).await.unwrap();
        assert_eq!(
            count,
            1,
            "ended after {:?}",
            String::from_utf8_lossy(&bytes)
        );
        bytes.push(byte[0]);
    }
}

fn split_answer(rest: &mut &[u8]) -> Option<Answer> {
    let end = rest.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8(rest[..end].to_vec()).unwrap();
    let status: u16 = head.split(' ').nth(1)?.parse().unwrap();
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, value)| value.trim().parse().unwrap());
    let body = rest.get(end..end + length)?.to_vec();
    *rest = &rest[end + length..];
    Some(Answer { status, head, body })
}

/// A request as it reached the handler.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) target: String,
    pub(crate) fields: HeaderMap,
    pub(crate) authority: String,
    pub(crate) websocket: bool,
    /// `None` when it broke off.
    pub(crate) body: Option<Vec<u8>>,
}

/// Reads every request to its end, remembers it and answers 200; 400 to a broken body.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Vec<Seen>>>);

impl Recorder {
    /// Takes what was seen since the last time.
    pub(crate) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Handler for Recorder {
    async fn handle(&self, request: Request<Body>, call: Call) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let collected = body.collect().await.ok();
        let complete = collected.is_some();
        self.0.lock().unwrap().push(Seen {
            target: parts.uri.to_string(),
            fields: parts.headers,
            authority: call.authority.to_string(),
            websocket: call.websocket,
            body: collected.map(|body| {
                assert!(body.trailers().is_none_or(HeaderMap::is_empty));
                body.to_bytes().to_vec()
            }),
        });
        let mut response = Response::new(body::full(parts.uri.path().to_owned()));
        if !complete {
            *response.status_mut() = StatusCode::BAD_REQUEST;
        }
        response
    }

    fn refuse(&self, rejection: Rejection) -> Response<Body> {
        refusal(rejection)
    }
}

/// A handler made of one function.
#[derive(Clone)]
pub(crate) struct With<F>(pub(crate) F);

impl<F, Answered> Handler for With<F>
where
    F: Fn(Request<Body>, Call) -> Answered + Clone + Send + Sync + 'static,
    Answered: Future<Output = Response<Body>> + Send,
{
    async fn handle(&self, request: Request<Body>, call: Call) -> Response<Body> {
        (self.0)(request, call).await
    }

    fn refuse(&self, rejection: Rejection) -> Response<Body> {
        refusal(rejection)
    }
}

/// Tells when it is dropped.
pub(crate) struct Dropped(pub(crate) mpsc::Sender<()>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.try_send(());
    }
}

/// An answer whose body goes on for ever, as fast as it is taken.
pub(crate) fn endless(guard: Dropped) -> Response<Body> {
    let block = Bytes::from(vec![b'x'; 64 * 1024]);
    let frames = stream::unfold((guard, block), async |(guard, block)| {
        let frame = Ok::<_, Infallible>(Frame::data(block.clone()));
        Some((frame, (guard, block)))
    });
    Response::new(body::boxed(StreamBody::new(Box::pin(frames))))
}

fn refusal(rejection: Rejection) -> Response<Body> {
    let mut response = Response::new(body::full(rejection.to_string()));
    *response.status_mut() = rejection.status();
    response
}
