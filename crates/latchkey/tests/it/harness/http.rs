//! An HTTP/1.1 client for stories: one connection per request, no redirects followed, no cookies kept unless asked,
//! nothing decoded. It calls loopback only; a name such as `app-xyz.localhost` is dialed at 127.0.0.1 and sent as `Host`.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};

use base64::Engine as _;
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, RANGE, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite};
use url::{Host, Url};

use super::within;

const CHUNK: usize = 16 * 1024;
const BOUNDARY: &str = "latchkey-test-boundary-7e1d";

/// Anything that went wrong before there was an answer: refused, reset, malformed.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Bytes that look random and are the same for the same seed, without being held in memory.
#[derive(Clone, Copy)]
pub(crate) struct Generated {
    pub(crate) seed: u64,
    pub(crate) size: usize,
}

impl Generated {
    pub(crate) fn chunks(self) -> impl Iterator<Item = Bytes> + Send + Sync {
        let mut state = self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut left = self.size;
        std::iter::from_fn(move || {
            let size = left.min(CHUNK);
            left -= size;
            let mut chunk = BytesMut::with_capacity(size + 8);
            while chunk.len() < size {
                // xorshift64
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                chunk.extend_from_slice(&state.to_le_bytes());
            }
            chunk.truncate(size);
            (size > 0).then(|| chunk.freeze())
        })
    }

    pub(crate) fn bytes(self) -> Bytes {
        let mut all = BytesMut::with_capacity(self.size);
        self.chunks()
            .for_each(|chunk| all.extend_from_slice(&chunk));
        all.freeze()
    }

    pub(crate) fn sha256(self) -> [u8; 32] {
        let mut hash = Sha256::new();
        self.chunks().for_each(|chunk| hash.update(&chunk));
        hash.finalize().into()
    }
}

/// A request being put together; ends in [`Request::send`].
pub(crate) struct Request {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: BoxBody<Bytes, Infallible>,
    via: Option<SocketAddr>,
}

impl Request {
    pub(crate) fn new(method: Method, url: impl AsRef<str>) -> Self {
        let url = Url::parse(url.as_ref()).unwrap();
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: Full::default().boxed(),
            via: None,
        }
    }

    pub(crate) fn get(url: impl AsRef<str>) -> Self {
        Self::new(Method::GET, url)
    }

    pub(crate) fn post(url: impl AsRef<str>) -> Self {
        Self::new(Method::POST, url)
    }

    /// Adds a header field; the same name may be added more than once.
    pub(crate) fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        let name: HeaderName = name.as_ref().parse().unwrap();
        self.headers
            .append(name, HeaderValue::from_str(value.as_ref()).unwrap());
        self
    }

    /// Adds a header field if there is a value for it.
    pub(crate) fn header_opt(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.header(name, value),
            None => self,
        }
    }

    pub(crate) fn basic(self, user: &str, password: &str) -> Self {
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        self.header(AUTHORIZATION, format!("Basic {pair}"))
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header(AUTHORIZATION, format!("Bearer {token}"))
    }

    /// Sends the cookies in `jar`.
    pub(crate) fn cookies(self, jar: &Cookies) -> Self {
        let line = jar.line();
        if line.is_empty() {
            self
        } else {
            self.header(COOKIE, line)
        }
    }

    /// Asks for bytes `first` to `last`, both included.
    pub(crate) fn range(self, first: u64, last: u64) -> Self {
        self.header(RANGE, format!("bytes={first}-{last}"))
    }

    pub(crate) fn body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.body = Full::new(body.into()).boxed();
        self.header(CONTENT_TYPE, content_type)
    }

    /// A body that does not say what it is.
    pub(crate) fn body_untyped(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Full::new(body.into()).boxed();
        self
    }

    pub(crate) fn json(self, body: &serde_json::Value) -> Self {
        self.body("application/json", body.to_string())
    }

    pub(crate) fn form(self, fields: &[(&str, &str)]) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        self.body("application/x-www-form-urlencoded", body)
    }

    /// A multipart upload of one file, streamed with a known length.
    pub(crate) fn upload(mut self, field: &str, filename: &str, content: Generated) -> Self {
        let before = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{filename}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        let after = format!("\r\n--{BOUNDARY}--\r\n");
        let length = before.len() + content.size + after.len();
        let parts = std::iter::once(Bytes::from(before))
            .chain(content.chunks())
            .chain([Bytes::from(after)]);
        let frames = stream::iter(parts.map(|part| Ok::<_, Infallible>(Frame::data(part))));
        self.body = StreamBody::new(frames).boxed();
        self.header(
            CONTENT_TYPE,
            format!("multipart/form-data; boundary={BOUNDARY}"),
        )
        .header(CONTENT_LENGTH, length.to_string())
    }

    /// Dials `address` whatever the URL says; `Host` stays the URL's.
    pub(crate) fn via(mut self, address: SocketAddr) -> Self {
        self.via = Some(address);
        self
    }

    /// Sends it and waits for the head of the answer.
    pub(crate) async fn send(self) -> Answer {
        let what = format!("{} {}", self.method, self.url);
        within(&what, self.try_send())
            .await
            .unwrap_or_else(|failure| panic!("{what}: {failure}"))
    }

    /// Like [`Self::send`], with the failure as a value.
    pub(crate) async fn try_send(self) -> Result<Answer, Failure> {
        let tcp = TcpStream::connect(self.via.unwrap_or_else(|| loopback(&self.url))).await?;
        tcp.set_nodelay(true)?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(tcp)).await?;
        let connection = tokio::spawn(async move {
            // A failure shows in the answer or its body.
            let _ = connection.await;
        })
        .abort_handle();
        let mut request = http::Request::builder()
            .method(self.method)
            .uri(&self.url[url::Position::BeforePath..url::Position::AfterQuery])
            .body(self.body)?;
        *request.headers_mut() = self.headers;
        if !request.headers().contains_key(HOST) {
            request
                .headers_mut()
                .insert(HOST, HeaderValue::from_str(&authority(&self.url))?);
        }
        let (head, body) = sender.send_request(request).await?.into_parts();
        Ok(Answer {
            head,
            body,
            connection,
        })
    }
}

/// An answer whose body is still arriving. Dropping it closes the connection.
pub(crate) struct Answer {
    head: http::response::Parts,
    body: Incoming,
    connection: AbortHandle,
}

impl Answer {
    pub(crate) fn status(&self) -> StatusCode {
        self.head.status
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// The next piece of the body; `None` at its end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            match within("more of the body", self.body.frame()).await {
                None => return Ok(None),
                Some(frame) => {
                    if let Ok(data) = frame?.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// The whole body.
    pub(crate) async fn read(mut self) -> Response {
        let mut body = BytesMut::new();
        while let Some(chunk) = self.chunk().await.unwrap() {
            body.extend_from_slice(&chunk);
        }
        let head = self.head.clone();
        Response {
            status: head.status,
            headers: head.headers,
            body: body.freeze(),
        }
    }

    /// Reads the body without holding it: its length and SHA-256.
    pub(crate) async fn digest(mut self) -> (usize, [u8; 32]) {
        let (mut length, mut hash) = (0, Sha256::new());
        while let Some(chunk) = self.chunk().await.unwrap() {
            length += chunk.len();
            hash.update(&chunk);
        }
        (length, hash.finalize().into())
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Response {
    /// The value of a header field that must be there once.
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut values = self.headers.get_all(name).iter();
        let value = values
            .next()
            .unwrap_or_else(|| panic!("no {name} in {self:?}"));
        assert!(values.next().is_none(), "more than one {name} in {self:?}");
        value.to_str().unwrap()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

/// Cookies by name, kept only as far as a test asks: no expiry, no path, no domain.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cookies(BTreeMap<String, String>);

impl Cookies {
    /// Takes over what `headers` set.
    pub(crate) fn learn(&mut self, headers: &HeaderMap) {
        for line in headers.get_all(SET_COOKIE) {
            let pair = line.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.0
                .insert(name.trim().to_owned(), value.trim().to_owned());
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The value of the first cookie whose name starts so.
    pub(crate) fn find(&self, prefix: &str) -> Option<&str> {
        let found = self.0.iter().find(|(name, _)| name.starts_with(prefix));
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn put(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    /// Loses the cookies that `keep`, told name and value, does not want.
    pub(crate) fn retain(&mut self, keep: impl Fn(&str, &str) -> bool) {
        self.0.retain(|name, value| keep(name, value));
    }

    /// The value of a `Cookie` header.
    pub(crate) fn line(&self) -> String {
        self.0
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join("; ")
    }
}

pub(crate) type WebSocket = WebSocketStream<TcpStream>;

/// Opens a WebSocket at an `http://` or `ws://` address. `Err` is the answer of a server that would not.
pub(crate) async fn websocket(
    url: impl AsRef<str>,
    headers: &[(&str, &str)],
) -> Result<(WebSocket, HeaderMap), Box<Response>> {
    let mut url = Url::parse(url.as_ref()).unwrap();
    let tcp = within("a connection", TcpStream::connect(loopback(&url)))
        .await
        .unwrap();
    url.set_scheme("ws").unwrap();
    let mut request = url.as_str().into_client_request().unwrap();
    for (name, value) in headers {
        let name: HeaderName = name.parse().unwrap();
        request
            .headers_mut()
            .insert(name, HeaderValue::from_str(value).unwrap());
    }
    match within("a WebSocket", client_async(request, tcp)).await {
        Ok((socket, response)) => Ok((socket, response.into_parts().0.headers)),
        Err(tungstenite::Error::Http(response)) => {
            let (head, body) = response.into_parts();
            let body = body.unwrap_or_default().into();
            Err(Box::new(Response {
                status: head.status,
                headers: head.headers,
                body,
            }))
        }
        Err(error) => panic!("{url}: {error}"),
    }
}

/// Where a URL is dialed. Tests call nothing but this machine.
fn loopback(url: &Url) -> SocketAddr {
    let ip = match url.host().unwrap() {
        Host::Domain(name) if name == "localhost" || name.ends_with(".localhost") => {
            Ipv4Addr::LOCALHOST
        }
        Host::Ipv4(ip) if ip.is_loopback() => ip,
        other => panic!("tests call loopback only, not {other}"),
    };
    (ip, url.port_or_known_default().unwrap()).into()
}

fn authority(url: &Url) -> String {
    url[url::Position::BeforeHost..url::Position::AfterPort].to_owned()
}

#[cfg(test)]
mod tests {
    use futures_util::{SinkExt as _, StreamExt as _};
    use tokio_tungstenite::tungstenite::Message;

    use super::super::raw::{Act, RawUpstream, Signal};
    use super::*;

    fn ok(body: &str) -> Act {
        Act::send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    #[tokio::test]
    async fn request_is_sent_as_written_and_dialed_at_loopback() {
        let upstream = RawUpstream::start([vec![Act::until("\r\n\r\n"), ok("hi")]]).await;
        let url = format!("http://app-xyz.localhost:{}/a%20b?c=d", upstream.port());
        let answer = Request::get(url)
            .basic("user", "pass")
            .range(2, 5)
            .header("X-One", "1")
            .send()
            .await;
        assert_eq!(answer.read().await.text(), "hi");

        let sent = String::from_utf8(upstream.finished().await[0].received.clone()).unwrap();
        assert!(sent.starts_with("GET /a%20b?c=d HTTP/1.1\r\n"), "{sent}");
        assert!(
            sent.contains(&format!("host: app-xyz.localhost:{}\r\n", upstream.port())),
            "{sent}"
        );
        assert!(
            sent.contains("authorization: Basic dXNlcjpwYXNz\r\n"),
            "{sent}"
        );
        assert!(sent.contains("range: bytes=2-5\r\n"), "{sent}");
    }

    #[tokio::test]
    async fn redirect_is_shown_not_followed_and_cookies_are_learned() {
        let redirect = "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\n\
                        Content-Length: 0\r\n\r\n";
        let upstream = RawUpstream::start([
            vec![Act::until("\r\n\r\n"), Act::send(redirect)],
            vec![Act::until("\r\n\r\nx=y+z"), ok("{\"n\":1}")],
        ])
        .await;
        let response = Request::get(upstream.url("/")).send().await.read().await;
        assert_eq!(
            (response.status.as_u16(), response.header("location")),
            (302, "/elsewhere")
        );
        let mut cookies = Cookies::default();
        cookies.learn(&response.headers);
        assert_eq!(cookies.get("b"), Some("2"));

        let post = Request::post(upstream.url("/"))
            .cookies(&cookies)
            .bearer("t")
            .form(&[("x", "y z")]);
        assert_eq!(post.send().await.read().await.json()["n"], 1);
        let sent = String::from_utf8(upstream.finished().await[1].received.clone()).unwrap();
        assert!(
            sent.contains("cookie: a=1; b=2\r\n") && sent.contains("authorization: Bearer t\r\n"),
            "{sent}"
        );
    }

    #[tokio::test]
    async fn upload_streams_the_generated_bytes_with_their_length() {
        let content = Generated {
            seed: 7,
            size: 3 * CHUNK + 5,
        };
        let upstream =
            RawUpstream::start([vec![Act::until(format!("\r\n--{BOUNDARY}--\r\n")), ok("")]]).await;
        let url = format!("http://printer.example:{}/", upstream.port());
        let answer = Request::post(url)
            .via(upstream.address())
            .upload("file", "cube.gcode", content)
            .send()
            .await;
        assert_eq!(answer.status(), 200);
        assert!(answer.headers().contains_key(CONTENT_LENGTH));

        let sent = upstream.finished().await[0].received.clone();
        let bytes = content.bytes();
        assert!(sent.windows(bytes.len()).any(|window| window == bytes));
        assert!(String::from_utf8_lossy(&sent).contains("filename=\"cube.gcode\""));
    }

    #[tokio::test]
    async fn body_arrives_piece_by_piece_and_a_broken_one_is_a_failure() {
        let go = Signal::default();
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n";
        let script = vec![
            Act::until("\r\n\r\n"),
            Act::send(head),
            Act::wait(&go),
            Act::send("3\r\ntwo\r\n"),
            Act::Close,
        ];
        let upstream = RawUpstream::start([script]).await;
        let mut answer = Request::get(upstream.url("/stream")).send().await;
        assert_eq!(answer.chunk().await.unwrap().unwrap(), "one");
        go.give();
        assert_eq!(answer.chunk().await.unwrap().unwrap(), "two");
        assert!(answer.chunk().await.is_err());
    }

    #[tokio::test]
    async fn digest_of_what_was_generated_matches() {
        let content = Generated {
            seed: 1,
            size: 40_000,
        };
        let mut response = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
            content.size
        )
        .into_bytes();
        response.extend_from_slice(&content.bytes());
        let upstream =
            RawUpstream::start([vec![Act::until("\r\n\r\n"), Act::send(response)]]).await;
        let digest = Request::get(upstream.url("/")).send().await.digest().await;
        assert_eq!(digest, (content.size, content.sha256()));
    }

    #[tokio::test]
    async fn websocket_carries_headers_and_a_refusal_is_shown() {
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = server.local_addr().unwrap().port();
        let echo = tokio::spawn(async move {
            let mut socket = tokio_tungstenite::accept_async(server.accept().await.unwrap().0)
                .await
                .unwrap();
            let message = socket.next().await.unwrap().unwrap();
            socket.send(message).await.unwrap();
        });
        let (mut socket, headers) = websocket(
            format!("http://app-1.localhost:{port}/sockjs"),
            &[("Authorization", "Bearer t")],
        )
        .await
        .unwrap();
        assert!(headers.contains_key("sec-websocket-accept"));
        socket.send(Message::text("hello")).await.unwrap();
        assert_eq!(
            socket.next().await.unwrap().unwrap(),
            Message::text("hello")
        );
        echo.await.unwrap();

        let refusal = Act::send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
        let upstream = RawUpstream::start([vec![Act::until("\r\n\r\n"), refusal]]).await;
        let refused = websocket(
            upstream.url("/sockjs"),
            &[("Origin", "http://evil.localhost")],
        )
        .await
        .unwrap_err();
        assert_eq!((refused.status.as_u16(), refused.text()), (403, "no"));
        let sent = String::from_utf8(upstream.finished().await[0].received.clone()).unwrap();
        assert!(
            sent.to_lowercase()
                .contains("origin: http://evil.localhost\r\n"),
            "{sent}"
        );
    }
}
