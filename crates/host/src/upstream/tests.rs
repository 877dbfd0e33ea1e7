//! What is open in a caller's name ends with their key or session, over real sockets.

use std::convert::Infallible;
use std::net::Ipv4Addr;

use bytes::Bytes;
use http_body::Frame;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use latchkey_model::access::KeyScope;
use latchkey_net::body::BodyError;
use latchkey_net::client_addr::Scheme;
use latchkey_net::proxy::splice::Farewell;
use latchkey_net::proxy::upgrade;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::*;
use crate::authority::endings::{Endings, Holder};
use crate::config::{UpstreamAddress, UpstreamKind, Webcam};
use crate::service::Door;
use crate::sessions::tests::config;

/// How soon everything has to be over.
const SOON: Duration = Duration::from_secs(1);

pub(super) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    let Ok(output) = tokio::time::timeout(SOON, future).await else {
        panic!("{what} did not come within a second");
    };
    output
}

/// A printer's server, the host's way to it, and somebody who is let in for now.
pub(super) struct Bench {
    pub(super) server: TcpListener,
    pub(super) upstream: Upstream,
    endings: Endings,
    pub(super) admission: Admission,
}

fn holder() -> Holder {
    Holder::Key("a".repeat(20).parse().unwrap())
}

impl Bench {
    pub(super) async fn new() -> Self {
        Self::of(UpstreamKind::OctoPrint).await
    }

    async fn of(kind: UpstreamKind) -> Self {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", server.local_addr().unwrap());
        let address = UpstreamAddress::from_url(&url.parse().unwrap()).unwrap();
        let config = Config {
            upstream: crate::config::Upstream {
                kind,
                address: address.clone(),
                credential: None,
                load: crate::config::Load::default(),
            },
            webcams: vec![Webcam {
                path: "/webcam/".to_owned(),
                address,
            }],
            client_address: ClientAddress::Hide,
            drain: SOON,
            ..config()
        };
        let endings = Endings::default();
        let hold = endings.hold(holder());
        Self {
            server,
            upstream: Upstream::new(config, Trust::default()),
            admission: Admission::Upto(Access::Admin, Some(hold)),
            endings,
        }
    }

    /// Takes the request at the server, up to the end of its head, and says something.
    pub(super) async fn take(&self, answer: &str) -> TcpStream {
        let (mut connection, _) = self.server.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(connection.read_u8().await.unwrap());
        }
        connection.write_all(answer.as_bytes()).await.unwrap();
        connection
    }

    async fn pass(&self, request: Request<Body>, websocket: bool) -> Answer {
        self.pass_by(Door::Lan, &self.admission, request, websocket)
            .await
    }

    /// Through an app connection that only shows the printer, before a server that judges itself.
    async fn show(&self, request: Request<Body>, websocket: bool) -> Answer {
        let door = Door::Tunnel {
            app_connection: Some("c1".to_owned()),
            scope: KeyScope::View,
        };
        self.pass_by(door, &Admission::Untouched, request, websocket)
            .await
    }

    pub(super) async fn pass_by(
        &self,
        door: Door,
        admission: &Admission,
        request: Request<Body>,
        websocket: bool,
    ) -> Answer {
        let inbound = Inbound {
            door,
            address: Ipv4Addr::LOCALHOST.into(),
            scheme: Scheme::Http,
            authority: "door".parse().unwrap(),
            prefix: String::new(),
            websocket,
            request_id: "r".to_owned(),
        };
        let passed = self.upstream.pass(request, &inbound, admission);
        passed.await.unwrap()
    }

    pub(super) fn end(&self) {
        self.endings.end(&holder());
    }
}

pub(super) fn get(path: &str) -> Request<Body> {
    Request::get(path).body(body::empty()).unwrap()
}

pub(super) fn plain(answer: Answer) -> Response<Body> {
    match answer {
        Answer::Plain(response) => response,
        Answer::WebSocket(..) | Answer::OwnSocket(..) => panic!("a socket"),
    }
}

/// The host has let go of the server.
pub(super) async fn closed(mut connection: TcpStream) {
    let mut rest = Vec::new();
    // A reset is an end as well.
    let _ = soon("the end at the server", connection.read_to_end(&mut rest)).await;
}

#[tokio::test]
async fn a_transfer_breaks_off_when_its_key_ends() {
    let file = "Content-Type: application/octet-stream\r\nContent-Length: 1000000";
    let stream = "Content-Type: multipart/x-mixed-replace; boundary=x";
    for (path, fields) in [
        ("/downloads/files/local/a.gcode", file),
        ("/webcam/?action=stream", stream),
    ] {
        let bench = Bench::new().await;
        let head = format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\nbegun");
        let (answer, connection) = tokio::join!(bench.pass(get(path), false), bench.take(&head));
        let mut body = plain(answer).into_body();
        let begun = body.frame().await.unwrap().unwrap();
        assert_eq!(begun.into_data().unwrap(), "begun");
        bench.end();
        let next = soon("the end of the body", body.frame()).await.unwrap();
        assert!(next.is_err(), "{path}");
        closed(connection).await;
    }
}

#[tokio::test]
async fn an_answer_is_not_waited_for_when_the_key_has_ended() {
    let bench = Bench::new().await;
    let ending = async {
        let connection = bench.take("").await;
        bench.end();
        connection
    };
    let (answer, connection) = tokio::join!(bench.pass(get("/api/job"), false), ending);
    assert_eq!(plain(answer).status(), StatusCode::FORBIDDEN);
    closed(connection).await;
    // Nothing begins any more either.
    let late = soon("a refusal", bench.pass(get("/api/job"), false)).await;
    assert_eq!(plain(late).status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn an_upload_breaks_off_when_its_key_ends() {
    let bench = Bench::new().await;
    let pieces = begun_upload();
    let request = Request::post("/api/files/local").body(pieces).unwrap();
    let ending = async {
        let mut connection = bench.take("").await;
        let mut piece = [0; 5];
        connection.read_exact(&mut piece).await.unwrap();
        bench.end();
        connection
    };
    let (answer, connection) = tokio::join!(bench.pass(request, false), ending);
    assert_eq!(plain(answer).status(), StatusCode::FORBIDDEN);
    closed(connection).await;
}

/// A body with one piece now, and the next one never.
fn begun_upload() -> Body {
    struct Pieces(Option<Bytes>);
    impl http_body::Body for Pieces {
        type Data = Bytes;
        type Error = BodyError;

        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<Frame<Bytes>, BodyError>>> {
            match self.0.take() {
                Some(piece) => std::task::Poll::Ready(Some(Ok(Frame::data(piece)))),
                None => std::task::Poll::Pending,
            }
        }
    }
    body::boxed(Pieces(Some(Bytes::from_static(b"begun"))))
}

/// A caller's socket: its own end, and the host's once it is upgraded.
async fn caller(tracker: &TaskTracker) -> (TcpStream, OnUpgrade) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (upgraded, asked) = oneshot::channel();
    tracker.spawn(async move {
        let (connection, _) = listener.accept().await.unwrap();
        let upgraded = std::sync::Mutex::new(Some(upgraded));
        let service = service_fn(|mut request| {
            let upgrade = hyper::upgrade::on(&mut request);
            let upgraded = upgraded.lock().unwrap().take().unwrap();
            upgraded.send(upgrade).ok().unwrap();
            let answer = upgrade::open(Version::HTTP_11, HeaderMap::new());
            async { Ok::<_, Infallible>(answer) }
        });
        let _ = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(connection), service)
            .with_upgrades()
            .await;
    });
    let mut own = TcpStream::connect(address).await.unwrap();
    let head = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    own.write_all(head.as_bytes()).await.unwrap();
    (own, asked.await.unwrap())
}

#[tokio::test]
async fn a_socket_is_closed_as_not_allowed_when_its_key_ends() {
    const SWITCH: &str =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let bench = Bench::new().await;
    let tracker = TaskTracker::new();
    let (answer, mut server) = tokio::join!(
        bench.pass(get("/sockjs/websocket"), true),
        bench.take(SWITCH)
    );
    let Answer::WebSocket(_, socket, hold, _turn) = answer else {
        panic!("refused");
    };
    let (mut own, upgrade) = caller(&tracker).await;
    let end = Farewell::when(CancellationToken::new(), hold);
    let joined = tracker.spawn(upgrade::join(upgrade, socket, end));
    let message = [0x81, 2, b'h', b'i'];
    server.write_all(&message).await.unwrap();
    let mut heard = Vec::new();
    while !heard.ends_with(&message) {
        heard.push(own.read_u8().await.unwrap());
    }
    bench.end();
    heard.clear();
    soon("the farewell", own.read_to_end(&mut heard))
        .await
        .unwrap();
    assert_eq!(heard, [0x88, 2, 0x03, 0xF0]);
    assert!(soon("the end", joined).await.unwrap().is_some());
    closed(server).await;
}

fn asked(method: &Method, path: &str) -> Request<Body> {
    let request = Request::builder().method(method).uri(path);
    request.body(body::empty()).unwrap()
}

#[tokio::test]
async fn signing_in_through_a_view_is_octoprints_alone_and_nothing_but_that() {
    const DONE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    let (get, post) = (Method::GET, Method::POST);
    for (method, path) in [
        (&post, "/api/login"),
        (&post, "/api/logout"),
        (&get, "/api/currentuser"),
        (&Method::OPTIONS, "/api/login"),
    ] {
        let bench = Bench::new().await;
        let request = asked(method, path);
        let (answer, _server) = tokio::join!(bench.show(request, false), bench.take(DONE));
        assert_eq!(plain(answer).status(), StatusCode::OK, "{method} {path}");
    }
    for (kind, method, path, websocket) in [
        (UpstreamKind::OctoPrint, &get, "/api/login", true),
        (UpstreamKind::OctoPrint, &Method::PUT, "/api/login", false),
        (
            UpstreamKind::OctoPrint,
            &Method::DELETE,
            "/api/currentuser",
            false,
        ),
        (UpstreamKind::OctoPrint, &Method::TRACE, "/api/login", false),
        (UpstreamKind::OctoPrint, &post, "/api/login/", false),
        (UpstreamKind::Moonraker, &post, "/api/login", false),
        (UpstreamKind::PrusaLink, &post, "/api/logout", false),
        (UpstreamKind::PrusaLink, &post, "/api/currentuser", false),
        (UpstreamKind::Generic, &post, "/api/login", false),
        (UpstreamKind::Generic, &get, "/api/currentuser", false),
    ] {
        let bench = Bench::of(kind).await;
        let request = asked(method, path);
        let answer = soon("a refusal", bench.show(request, websocket)).await;
        let status = plain(answer).status();
        assert!(
            status.is_client_error(),
            "{kind:?} {method} {path}: {status}"
        );
    }
}

#[tokio::test]
async fn through_a_view_octoprint_tells_nobodys_key() {
    const KEYS: &str = r#"{"apikey":"planted","api":{"key":"planted"},"session":"s","name":"bob"}"#;
    let told = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{KEYS}",
        KEYS.len()
    );
    for (method, path) in [(Method::POST, "/api/login"), (Method::GET, "/api/settings")] {
        let bench = Bench::new().await;
        let request = asked(&method, path);
        let (answer, _server) = tokio::join!(bench.show(request, false), bench.take(&told));
        let body = plain(answer).into_body().collect().await.unwrap();
        let body = String::from_utf8(body.to_bytes().to_vec()).unwrap();
        assert!(
            !body.contains("planted") && body.contains("bob"),
            "{path}: {body}"
        );
        assert!(body.contains("\"s\""), "{path}: {body}");
        let bench = Bench::new().await;
        // At home they are the person's own.
        let at_home = bench.pass_by(
            Door::Lan,
            &Admission::Untouched,
            asked(&method, path),
            false,
        );
        let (answer, _server) = tokio::join!(at_home, bench.take(&told));
        let body = plain(answer).into_body().collect().await.unwrap();
        assert_eq!(body.to_bytes(), KEYS, "{path}");
    }
}
