//! The address on this machine to which a browser comes back with a result (RFC 8252, 7.3).
//!
//! Anything on this machine, and any page in its browser, may ask there. What counts is a GET
//! below a path that nobody else knows, and that the result belongs to what was asked for;
//! everything else gets an answer and changes nothing.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use latchkey_model::chance::Chance;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::portal::random;

/// Browsers open a few connections ahead.
const MOST_CONNECTIONS: usize = 32;
/// How long a connection may take to say what it wants.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// How long the last answers have.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Before a connection is taken again, if one could not be.
const BREATH: Duration = Duration::from_millis(100);

/// What is told the person in the browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page {
    Done,
    NotAllowed,
    Failed,
    /// Not what is waited for.
    Stray,
    /// It has come already.
    Again,
    Nothing,
    Method,
}

/// A query that came to the address, and where the page about it goes.
pub(crate) struct Arrival {
    pub(crate) query: String,
    pub(crate) tell: oneshot::Sender<Page>,
}

/// Listens until it is dropped or [`close`](Self::close)d.
pub(crate) struct ReturnAddress {
    url: String,
    arrivals: mpsc::Receiver<Arrival>,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl ReturnAddress {
    /// Takes a free port on loopback.
    pub(crate) async fn open(chance: &dyn Chance) -> io::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let path = format!("/{}", random(chance));
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
            let _ = tell.send(Page::Again);
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
            Page::Nothing
        } else if request.method() == Method::HEAD {
            // A look ahead, by whatever looks after people in browsers.
            Page::Stray
        } else if request.method() != Method::GET {
            Page::Method
        } else {
            let query = request.uri().query().unwrap_or_default();
            self.ask(query.to_owned()).await
        };
        page.response()
    }

    async fn ask(&self, query: String) -> Page {
        let (tell, told) = oneshot::channel();
        if self.sender.send(Arrival { query, tell }).await.is_err() {
            return Page::Again;
        }
        told.await.unwrap_or(Page::Again)
    }
}

impl Page {
    fn words(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Done => (
                StatusCode::OK,
                "Done",
                "The app has its access. You can close this page and go back to the app.",
            ),
            Self::NotAllowed => (
                StatusCode::OK,
                "Not allowed",
                "The app got no access. You can close this page and go back to the app.",
            ),
            Self::Failed => (
                StatusCode::BAD_GATEWAY,
                "That did not work",
                "The app could not fetch its access. Go back to the app: it says why.",
            ),
            Self::Stray => (
                StatusCode::BAD_REQUEST,
                "Nothing to see here",
                "This is not what the app waits for. Go back to the page where you allow it.",
            ),
            Self::Again => (
                StatusCode::OK,
                "Done already",
                "The app has its answer. You can close this page and go back to the app.",
            ),
            Self::Nothing => (
                StatusCode::NOT_FOUND,
                "Nothing to see here",
                "There is nothing at this address.",
            ),
            Self::Method => (
                StatusCode::METHOD_NOT_ALLOWED,
                "Nothing to see here",
                "This address takes no such request.",
            ),
        }
    }

    /// Loads nothing, runs nothing, and tells nobody the address it was shown at.
    fn response(self) -> Response<Full<Bytes>> {
        const FIELDS: [(HeaderName, &str); 6] = [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CACHE_CONTROL, "no-store"),
            (REFERRER_POLICY, "no-referrer"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (
                CONTENT_SECURITY_POLICY,
                "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
                 form-action 'none'; frame-ancestors 'none'",
            ),
            // The command ends soon.
            (CONNECTION, "close"),
        ];
        let (status, title, sentence) = self.words();
        let html = include_str!("return_address.html")
            .replace("{title}", title)
            .replace("{sentence}", sentence);
        let mut response = Response::new(Full::new(Bytes::from(html)));
        *response.status_mut() = status;
        for (name, value) in FIELDS {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn each_page_says_what_happened_and_loads_nothing() {
        for page in [
            Page::Done,
            Page::NotAllowed,
            Page::Failed,
            Page::Stray,
            Page::Again,
            Page::Nothing,
            Page::Method,
        ] {
            let (status, title, sentence) = page.words();
            let response = page.response();
            assert_eq!(response.status(), status);
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let html = std::str::from_utf8(&body).unwrap();
            assert!(html.contains(title) && html.contains(sentence));
            for outside in ["http", "src=", "href=", "url(", "<script", "{"] {
                let shown = html.split("</style>").nth(1).unwrap();
                assert!(!shown.contains(outside), "{outside}");
            }
        }
    }
}
