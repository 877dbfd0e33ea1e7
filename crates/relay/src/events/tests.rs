//! What a relay makes of what hosts tell, and of their coming and going. The host is the tests' own
//! and says whatever it likes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use latchkey_model::clock::Clock;
use latchkey_model::id::HostId;
use latchkey_model::printer::Printer;
use latchkey_model::printing::{Condition, EventKind, PrinterEvent};
use latchkey_net::body::{self, Body};
use latchkey_net::tunnel::{
    Acceptor, AcceptorConfig, CameraRefusal, Dialler, DiallerConfig, FEATURE_CAMERA,
    FEATURE_PRINTING, HostIdentity, Settings, StreamHead, StreamService, Tunnel, View,
};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::feed::Feed;
use super::presence::Comings;
use crate::camera::{Camera, CameraError, Pace};
use crate::tests::Bench;

const LIMIT: Duration = Duration::from_secs(20);

/// A host that says these lines and then nothing, and shows pictures of this kind.
#[derive(Clone)]
struct Host {
    lines: Arc<[String]>,
    kind: &'static str,
}

impl StreamService for Host {
    async fn serve(&self, _: Request<Incoming>, _: StreamHead) -> Response<Body> {
        Response::new(body::empty())
    }

    fn printing(&self, after: u64) -> Option<Body> {
        let lines: Vec<_> = self
            .lines
            .iter()
            .filter(|line| number(line).is_none_or(|number| number > after))
            .map(|line| Ok::<_, std::io::Error>(Frame::data(Bytes::from(format!("{line}\n")))))
            .collect();
        let lines = futures_util::stream::iter(lines).chain(futures_util::stream::pending());
        Some(body::boxed(StreamBody::new(lines)))
    }

    async fn camera(&self, view: View) -> Result<Response<Body>, CameraRefusal> {
        let mut response = Response::new(match view {
            View::Snapshot => body::full("a picture"),
            View::Stream => {
                let frame = Frame::data(Bytes::from_static(b"--x\r\n\r\na picture\r\n--x\r\n"));
                let first = std::iter::once(Ok::<_, std::io::Error>(frame));
                let frames = futures_util::stream::iter(first);
                body::boxed(StreamBody::new(
                    frames.chain(futures_util::stream::pending()),
                ))
            }
        });
        let kind = HeaderValue::from_static(self.kind);
        response.headers_mut().insert(CONTENT_TYPE, kind);
        let planted = HeaderValue::from_static("planted");
        response.headers_mut().insert("set-cookie", planted);
        Ok(response)
    }
}

fn number(line: &str) -> Option<u64> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    line["event"]["number"].as_u64()
}

/// A printer, and the tunnel of its host.
struct Scene {
    bench: Bench,
    printer: Printer,
    tunnel: Tunnel,
    stopping: CancellationToken,
    _end: DropGuard,
}

impl Scene {
    async fn of(lines: &[String], kind: &'static str) -> Self {
        let bench = Bench::new().await;
        let owner = bench.account("ann@example.net").await;
        let printer = bench.printer(&owner, "Voron").await;
        let end = CancellationToken::new();
        let host = Host {
            lines: lines.into(),
            kind,
        };
        let tunnel = timeout(LIMIT, tunnel(host, &end)).await.unwrap();
        Self {
            bench,
            printer,
            tunnel,
            stopping: CancellationToken::new(),
            _end: end.drop_guard(),
        }
    }

    /// Listens until `done`.
    async fn follow(&self, mut done: impl AsyncFnMut(&Self) -> bool) {
        let clock: Arc<dyn Clock> = Arc::new(self.bench.clock.clone());
        let feed = Feed {
            events: &self.bench.state.events,
            clock: &clock,
            printer: &self.printer.id,
            since: self.printer.created,
            tunnel: &self.tunnel,
            stopping: &self.stopping,
        };
        let until = async {
            while !done(self).await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let followed = timeout(LIMIT, async {
            tokio::select! {
                () = feed.follow() => {}
                () = until => {}
            }
        });
        followed.await.unwrap();
    }

    async fn events(&self) -> Vec<PrinterEvent> {
        let store = self.bench.store().events();
        let kept = store.list_after(&self.printer.id, 0, 5_000).await.unwrap();
        kept.into_iter().map(|kept| kept.event).collect()
    }
}

/// A tunnel of this host to a relay that is no more than its end.
async fn tunnel(host: Host, end: &CancellationToken) -> Tunnel {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let tracker = TaskTracker::new();
    let url = format!("http://localhost:{port}").parse().unwrap();
    let config = DiallerConfig {
        features: vec![FEATURE_PRINTING.to_owned(), FEATURE_CAMERA.to_owned()],
        ..DiallerConfig::new(url, "Workshop".to_owned(), "0".to_owned())
    };
    let identity = HostIdentity::generate().unwrap();
    let dialler = Dialler::new(config, identity, host, tracker.clone()).unwrap();
    tracker.spawn(dialler.run(end.clone(), end.clone()));
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let agreed = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                  Upgrade: latchkey/1\r\n\r\n";
    stream.write_all(agreed.as_bytes()).await.unwrap();
    let config = AcceptorConfig {
        relay_name: format!("localhost:{port}"),
        version: "0".to_owned(),
        settings: Settings::default(),
    };
    let acceptor = Acceptor::new(config, tracker);
    let arrival = acceptor.accept(stream, None).await.unwrap();
    arrival.welcome("tunnel", None).await.unwrap()
}

fn event(number: u64, kind: &str) -> String {
    json!({"now": 50_000, "event": {"number": number, "at": 50_000, "kind": kind}}).to_string()
}

#[tokio::test]
async fn hostile_lines_do_no_harm_and_the_rest_is_kept_once() {
    let text = "x\u{202e}<script>".repeat(90);
    let lines = [
        String::new(),
        "{".to_owned(),
        "[]".to_owned(),
        "\u{0}".to_owned(),
        r#"{"now": 1}"#.to_owned(),
        r#"{"now": 1, "event": {"number": -1, "at": 1, "kind": "paused"}}"#.to_owned(),
        event(1, "melted"),
        event(2, "offline"),
        event(3, "online"),
        // Before the printer was this account's.
        json!({"now": 50_000, "event": {"number": 4, "at": 49_999, "kind": "paused"}}).to_string(),
        json!({"now": 50_000, "event": {
            "number": 5, "at": 90_000, "kind": "started", "percent": 255,
            "file": format!("../{text}"), "message": text, "more": [1, 2],
        }})
        .to_string(),
        event(5, "complete"),
        json!({"now": 50_000, "state": {"at": 50_000, "condition": "printing", "message": text}})
            .to_string(),
        event(7, "paused"),
    ];
    let scene = Scene::of(&lines, "image/jpeg").await;
    let mut heard = scene.bench.state.events.listen();
    scene
        .follow(async |scene| scene.events().await.len() == 2)
        .await;
    let kept = scene.events().await;
    let kinds: Vec<_> = kept.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::Started, EventKind::Paused]);
    assert_eq!(kept[0].at, scene.bench.clock.now(), "not in the future");
    let words = [kept[0].file.clone(), kept[0].message.clone()];
    for words in words.into_iter().flatten() {
        assert!(words.chars().count() <= 200 && !words.contains('\u{202e}'));
    }
    assert_eq!(kept[0].progress.percent, Some(100));
    let state = scene.bench.state.events.state(&scene.printer.id).unwrap();
    assert_eq!(state.condition, Condition::Printing);
    assert!(state.message.unwrap().len() <= 200);
    assert_eq!(heard.recv().await.unwrap().number, 1);
    // The same host again, which says it all again.
    scene.follow(async |_| true).await;
    let again = timeout(
        Duration::from_millis(300),
        scene.follow(async |scene| scene.events().await.len() > 2),
    );
    assert!(again.await.is_err(), "{:?}", scene.events().await);
}

#[tokio::test]
async fn a_host_that_floods_is_heard_as_much_as_a_host_may_say() {
    let mut lines: Vec<String> = (1..=3_000).map(|number| event(number, "paused")).collect();
    lines.push(json!({"now": 1, "state": {"at": 1, "condition": "error"}}).to_string());
    let scene = Scene::of(&lines, "image/jpeg").await;
    let events = scene.bench.state.events.clone();
    let printer = scene.printer.id.clone();
    scene
        .follow(async |_| events.state(&printer).is_some())
        .await;
    let kept = scene.events().await.len();
    assert!((200..300).contains(&kept), "{kept}");
}

#[tokio::test]
async fn a_line_without_end_ends_the_conversation() {
    let scene = Scene::of(&["x".repeat(100_000), event(1, "paused")], "image/jpeg").await;
    let mut lines = scene.tunnel.printing(0).await.unwrap().unwrap();
    assert!(lines.next().await.is_err());
    drop(lines);
    let hear = scene.follow(async |scene| !scene.events().await.is_empty());
    assert!(timeout(Duration::from_millis(300), hear).await.is_err());
}

#[tokio::test]
async fn listening_ends_when_the_tunnel_is_finished_or_the_relay_stops() {
    let scene = Scene::of(&[], "image/jpeg").await;
    scene.tunnel.finish();
    scene.follow(async |_| false).await;
    timeout(LIMIT, scene.tunnel.closed()).await.unwrap();
    let scene = Scene::of(&[], "image/jpeg").await;
    scene.stopping.cancel();
    scene.follow(async |_| false).await;
}

#[tokio::test]
async fn a_camera_shows_pictures_and_nothing_else() {
    let host = HostId::of_public_key(&[1; 32]);
    for (kind, snapshot, stream) in [
        ("image/jpeg", true, false),
        ("image/svg+xml", false, false),
        ("text/html", false, false),
        ("multipart/x-mixed-replace;boundary=x", false, true),
    ] {
        let scene = Scene::of(&[], kind).await;
        let tunnels = crate::tunnels::Tunnels::default();
        let stopping = CancellationToken::new();
        let camera = Camera::new(tunnels.clone(), TaskTracker::new(), stopping);
        let none = camera.snapshot(&host).await;
        assert_eq!(none.unwrap_err(), CameraError::NotConnected);
        tunnels.admit(&host, &scene.tunnel);
        match camera.snapshot(&host).await {
            Ok(picture) => {
                assert!(snapshot, "{kind}");
                assert_eq!(picture.kind, kind);
                assert_eq!(picture.bytes, "a picture");
            }
            Err(error) => assert!(!snapshot && error == CameraError::Failed, "{kind}"),
        }
        let Ok(running) = camera.stream(&host, Pace::default()).await else {
            assert!(!stream, "{kind}");
            continue;
        };
        assert!(stream, "{kind}");
        assert_eq!(running.headers()[CONTENT_TYPE], kind);
        assert!(running.headers().contains_key(CONTENT_SECURITY_POLICY));
        assert!(!running.headers().contains_key("set-cookie"));
        let mut open = vec![running];
        let refused = loop {
            match camera.stream(&host, Pace::default()).await {
                Ok(more) => open.push(more),
                Err(error) => break error,
            }
        };
        assert_eq!((refused, open.len()), (CameraError::TooMany, 100));
        let mut body = open.pop().unwrap().into_body();
        assert!(body.frame().await.unwrap().is_ok());
        drop(body);
        assert!(camera.stream(&host, Pace::default()).await.is_ok());
    }
}

#[tokio::test]
async fn a_host_is_gone_when_it_stays_away_and_back_only_then() {
    let bench = Bench::new().await;
    let owner = bench.account("ann@example.net").await;
    let (one, other) = (
        bench.printer(&owner, "one").await.id,
        bench.printer(&owner, "other").await.id,
    );
    let clock: Arc<dyn Clock> = Arc::new(bench.clock.clone());
    let mut comings = Comings::new(bench.state.events.clone(), clock);
    let patient = comings.clone();
    comings.hurry();
    let stop = CancellationToken::new();
    let kinds = async |printer| {
        let store = bench.store().events();
        let kept = store.list_after(printer, 0, 9).await.unwrap();
        kept.into_iter()
            .map(|kept| kept.event.kind)
            .collect::<Vec<_>>()
    };
    // The first time ever is no coming back.
    comings.came(&one).await;
    assert_eq!(kinds(&one).await, []);
    // One that dials again at once.
    let away = tokio::join!(
        comings.clone().went(one.clone(), stop.clone()),
        comings.came(&one)
    );
    let ((), ()) = away;
    assert_eq!(kinds(&one).await, []);
    // One that comes, goes, and comes and goes.
    tokio::join!(
        comings.clone().went(one.clone(), stop.clone()),
        comings.clone().went(one.clone(), stop.clone())
    );
    assert_eq!(kinds(&one).await, [EventKind::Offline]);
    comings.clone().went(one.clone(), stop.clone()).await;
    assert_eq!(kinds(&one).await, [EventKind::Offline]);
    comings.came(&one).await;
    comings.came(&one).await;
    assert_eq!(kinds(&one).await, [EventKind::Offline, EventKind::Online]);
    // Those that were here when the relay ended, of which one comes back.
    let all = vec![one.clone(), other.clone()];
    tokio::join!(
        comings.clone().all_went(all, stop.clone()),
        comings.came(&one)
    );
    assert_eq!(kinds(&one).await.len(), 2);
    assert_eq!(kinds(&other).await, [EventKind::Offline]);
    // A relay that stops says nothing of its hosts.
    stop.cancel();
    patient.went(one.clone(), stop).await;
    assert_eq!(kinds(&one).await.len(), 2);
}
