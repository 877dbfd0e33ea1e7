//! The address on this machine to which a browser comes back with a result (RFC 8252, 7.3).
//!
//! Anything on this machine, and any page in its browser, may ask there. What counts is a GET
//! at the one path, with a result that belongs to what was asked for; everything else gets an
//! answer and changes nothing.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderValue, Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use latchkey_web::returned::Returned;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Browsers open a few connections ahead.
const MOST_CONNECTIONS: usize = 32;
/// How long a connection may take to say what it wants.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// How long the last answers have.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Before a connection is taken again, if one could not be.
const BREATH: Duration = Duration::from_millis(100);

/// A query that came to the address, and where the page about it goes.
pub(crate) struct Arrival {
    pub(crate) query: String,
    pub(crate) tell: oneshot::Sender<Returned>,
}

/// Listens until it is dropped or [`close`](Self::close)d.
pub(crate) struct ReturnAddress {
    url: String,
    arrivals: mpsc::Receiver<Arrival>,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl ReturnAddress {
    /// Takes a free port on loopback. What counts arrives at `path`, which begins with a slash.
    pub(crate) async fn open(path: String) -> io::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let url = format!("http://{}{path}", listener.local_addr()?);
        let (sender, arrivals) = mpsc::channel(1);
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        let desk = Arc::new(Desk { path, sender });
        tracker.spawn(accept(listener, desk, tracker.clone(), stop.clone()));
        Ok(Self {
            url,
            arrivals,
            tracker,
            stop,
        })
    }

    /// The address, without a query.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The next query that comes.
    pub(crate) async fn next(&mut self) -> Arrival {
        let arrival = self.arrivals.recv().await;
        arrival.expect("the listener has a sender as long as this is here")
    }

    /// Takes nothing more, and lets the answers that are on their way arrive.
    pub(crate) async fn close(mut self) {
        self.stop.cancel();
        self.arrivals.close();
        while let Ok(Arrival { tell, .. }) = self.arrivals.try_recv() {
            let _ = tell.send(Returned::Again);
        }
        self.tracker.close();
        let _ = timeout(LAST_WORDS, self.tracker.wait()).await;
    }
}

impl Drop for ReturnAddress {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

struct Desk {
    path: String,
    sender: mpsc::Sender<Arrival>,
}

async fn accept(
    listener: TcpListener,
    desk: Arc<Desk>,
    tracker: TaskTracker,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        let Ok((socket, _)) = accepted else {
            // Too many files are open, most likely; that lasts a little.
            sleep(BREATH).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            continue;
        };
        let (desk, stop) = (Arc::clone(&desk), stop.clone());
        tracker.spawn(async move {
            serve(socket, desk, stop).await;
            drop(place);
        });
    }
}

async fn serve(socket: TcpStream, desk: Arc<Desk>, stop: CancellationToken) {
    let service = service_fn(move |request| {
        let desk = Arc::clone(&desk);
        async move { Ok::<_, Infallible>(desk.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .serve_connection(TokioIo::new(socket), service);
    tokio::pin!(connection);
    tokio::select! {
        // How it ends is the browser's business.
        _ = &mut connection => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

impl Desk {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let page = if request.uri().path() != self.path {
            Returned::Nothing
        } else if request.method() == Method::HEAD {
            // A look ahead, by whatever looks after people in browsers.
            Returned::Stray
        } else if request.method() != Method::GET {
            Returned::Method
        } else {
            let query = request.uri().query().unwrap_or_default();
            self.ask(query.to_owned()).await
        };
        response(page)
    }

    async fn ask(&self, query: String) -> Returned {
        let (tell, told) = oneshot::channel();
        if self.sender.send(Arrival { query, tell }).await.is_err() {
            return Returned::Again;
        }
        told.await.unwrap_or(Returned::Again)
    }
}

fn response(page: Returned) -> Response<Full<Bytes>> {
    let mut response = page.respond().map(Full::new);
    // The command ends soon.
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    response
}
