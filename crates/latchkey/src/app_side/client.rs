//! A small HTTP/1.1 client for one server: no redirects, no cookies, short answers.

use std::io;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, request};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use latchkey_net::authority::Authority;
use latchkey_net::resolve::{self, ConnectError};
use latchkey_net::tls::{self, TlsError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::task::TaskTracker;
use url::Url;

use super::server::Server;

const CONNECT_WITHIN: Duration = Duration::from_secs(10);
const LONGEST_ANSWER: usize = 64 * 1024;
const LONGEST_KEY: usize = 512;

/// Why there is no answer, in a sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("cannot use what --ca-file names: {0}; it needs to be a CA certificate in PEM")]
    Settings(#[from] TlsError),
    #[error("cannot find {0}; check the URL and this machine's DNS")]
    Resolve(String),
    #[error("cannot connect to {0}: {1}; is it running, and is the port right?")]
    Connect(String, io::Error),
    #[error(
        "the certificate of {0} is not trusted ({1}); name its CA with --ca-file, or check this \
         machine's clock"
    )]
    Certificate(String, String),
    #[error("TLS with {0} failed: {1}; does that port speak https?")]
    Tls(String, io::Error),
    #[error("{0} does not answer as a web server: {1}; is the port right?")]
    Broken(String, String),
    #[error("{} did not answer within {} s; see whether it runs, then ask again", .0, .1.as_secs())]
    Silent(String, Duration),
}

impl CallError {
    /// Whether the same call may go well a little later.
    pub(crate) fn may_pass(&self) -> bool {
        !matches!(self, Self::Settings(_) | Self::Certificate(..))
    }
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    /// The body, if it is JSON.
    pub(crate) fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// A key in the body, if it is JSON. Keys go to scripts and into their commands: nothing
    /// but visible ASCII.
    pub(crate) fn key(&self, member: &str) -> Option<String> {
        let body = self.json()?;
        let key = body[member].as_str()?;
        let usable =
            (1..=LONGEST_KEY).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
        usable.then(|| key.to_owned())
    }

    /// Whether the body has this sentence in it, which is in lower case.
    pub(crate) fn says(&self, sentence: &str) -> bool {
        let text = String::from_utf8_lossy(&self.body);
        text.to_ascii_lowercase().contains(sentence)
    }

    /// Where the answer points, seen from `from`.
    pub(crate) fn location(&self, from: &Url) -> Option<Url> {
        let location = self.headers.get(LOCATION)?.to_str().ok()?;
        from.join(location).ok()
    }
}

/// Calls one server, over one connection as long as that lasts.
pub(crate) struct Client {
    server: Server,
    /// As a person knows it.
    name: String,
    tls: Option<TlsConnector>,
    sender: Option<SendRequest<Full<Bytes>>>,
    tracker: TaskTracker,
}

trait Io: AsyncRead + AsyncWrite + Unpin + Send + 'static {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Io for T {}

impl Client {
    /// `ca_file` is believed besides the public roots.
    pub(crate) fn new(server: Server, ca_file: Option<&Path>) -> Result<Self, CallError> {
        let tls = if server.is_https() {
            Some(TlsConnector::from(tls::http_client_config(ca_file)?))
        } else {
            None
        };
        let name =
            Authority::of_url(server.base()).map_or_else(String::new, |name| name.to_string());
        Ok(Self {
            server,
            name,
            tls,
            sender: None,
            tracker: TaskTracker::new(),
        })
    }

    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    /// The server's host and port, for sentences.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Asks for `url`, which is one of this server.
    pub(crate) async fn get(&mut self, url: &Url, within: Duration) -> Result<Answer, CallError> {
        self.call(Method::GET, url, None, within).await
    }

    /// Sends JSON to `url`, which is one of this server.
    pub(crate) async fn post(
        &mut self,
        url: &Url,
        json: &serde_json::Value,
        within: Duration,
    ) -> Result<Answer, CallError> {
        let body = Bytes::from(json.to_string());
        self.call(Method::POST, url, Some(body), within).await
    }

    /// Asks for `url` with a further field.
    pub(crate) async fn get_with(
        &mut self,
        url: &Url,
        (name, value): (HeaderName, HeaderValue),
        within: Duration,
    ) -> Result<Answer, CallError> {
        let mut request = self.request(Method::GET, url, None)?;
        request.headers_mut().insert(name, value);
        self.exchange(request, within).await
    }

    /// Connects, so that what is wrong with that is known before anything else is done.
    pub(crate) async fn reach(&mut self) -> Result<(), CallError> {
        if self.sender.is_none() {
            self.sender = Some(self.connect().await?);
        }
        Ok(())
    }

    /// A request for `target`, a path as it goes on the wire, with what proves who asks.
    pub(crate) fn build(&self, method: Method, target: &str) -> request::Builder {
        let agent = concat!("latchkey/", env!("CARGO_PKG_VERSION"));
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header(HOST, &self.name)
            .header(USER_AGENT, agent);
        match self.server.authorization() {
            Some(authorization) => request.header(AUTHORIZATION, authorization),
            None => request,
        }
    }

    /// Sends a request over a connection of its own. The body of the answer arrives as it is
    /// read, and for that there is no limit.
    pub(crate) async fn stream<B>(
        &self,
        request: Request<B>,
    ) -> Result<Response<Incoming>, CallError>
    where
        B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    {
        let mut sender = self.connect().await?;
        let answer = sender.send_request(request).await;
        answer.map_err(|error| self.broken(&error))
    }

    async fn call(
        &mut self,
        method: Method,
        url: &Url,
        body: Option<Bytes>,
        within: Duration,
    ) -> Result<Answer, CallError> {
        let request = self.request(method, url, body)?;
        self.exchange(request, within).await
    }

    async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        within: Duration,
    ) -> Result<Answer, CallError> {
        match timeout(within, self.send(request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                self.sender = None;
                Err(error)
            }
            Err(_) => {
                self.sender = None;
                Err(CallError::Silent(self.name.clone(), within))
            }
        }
    }

    fn request(
        &self,
        method: Method,
        url: &Url,
        body: Option<Bytes>,
    ) -> Result<Request<Full<Bytes>>, CallError> {
        let target = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let mut request = self.build(method, &target);
        request = request.header(ACCEPT, "application/json");
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        request
            .body(Full::new(body.unwrap_or_default()))
            .map_err(|error| self.broken(&error))
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, CallError> {
        let mut sender = self.sender.take();
        if let Some(kept) = &mut sender
            && kept.ready().await.is_err()
        {
            sender = None;
        }
        let mut sender = match sender {
            Some(kept) => kept,
            None => self.connect().await?,
        };
        let answer = match sender.try_send_request(request).await {
            Ok(answer) => answer,
            Err(mut error) => match error.take_message() {
                // The server had closed the kept connection: not a byte was sent on it.
                Some(request) => {
                    sender = self.connect().await?;
                    let sent = sender.send_request(request).await;
                    sent.map_err(|error| self.broken(&error))?
                }
                None => return Err(self.broken(error.error())),
            },
        };
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, LONGEST_ANSWER).collect().await;
        let body = body.map_err(|error| self.broken(&*error))?.to_bytes();
        self.sender = Some(sender);
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
        })
    }

    async fn connect<B>(&self) -> Result<SendRequest<B>, CallError>
    where
        B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    {
        let silent = || CallError::Silent(self.name.clone(), CONNECT_WITHIN);
        let io = timeout(CONNECT_WITHIN, self.open());
        let io = io.await.map_err(|_| silent())??;
        let (sender, connection) = http1::handshake(TokioIo::new(io))
            .await
            .map_err(|error| self.broken(&error))?;
        // It ends with the sender.
        self.tracker.spawn(connection);
        Ok(sender)
    }

    async fn open(&self) -> Result<Box<dyn Io>, CallError> {
        let socket = self.open_socket().await?;
        let Some(connector) = &self.tls else {
            return Ok(Box::new(socket));
        };
        let name = tls::server_name(self.server.host());
        let name = name.ok_or_else(|| CallError::Resolve(self.name.clone()))?;
        match connector.connect(name, socket).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(match tls::certificate_error(&error) {
                Some(why) => CallError::Certificate(self.name.clone(), why.to_string()),
                None => CallError::Tls(self.name.clone(), error),
            }),
        }
    }

    async fn open_socket(&self) -> Result<TcpStream, CallError> {
        let (host, port) = (self.server.host(), self.server.port());
        let connected = resolve::connect(host, port, CONNECT_WITHIN).await;
        connected.map_err(|error| {
            let name = self.name.clone();
            match error {
                ConnectError::Resolve(_) => CallError::Resolve(name),
                ConnectError::Connect(cause) => CallError::Connect(name, cause),
            }
        })
    }

    pub(crate) fn broken(&self, error: &(dyn std::error::Error + 'static)) -> CallError {
        CallError::Broken(self.name.clone(), error.to_string())
    }
}
