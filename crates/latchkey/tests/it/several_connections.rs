//! A host with several connections to its relay: what goes over one is lost with it, and nothing else; the printer stays
//! where it is until the last is gone.

use std::sync::Arc;

use ::http::{Method, Response, StatusCode};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::StreamBody;
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;
use latchkey_model::app_connection::AccessMode;
use latchkey_model::printing::EventKind;
use latchkey_net::body::{self, Body};
use latchkey_net::listen::Stop;
use latchkey_net::tunnel::{
    DialState, Dialler, DiallerConfig, Ended, FEATURE_ENDS, FEATURE_PRINTING, HostIdentity,
    StreamHead, StreamService,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_util::task::TaskTracker;

use crate::harness::http::{self, Answer, Generated};
use crate::harness::inproc::{Door, Printer, RunningRelay};
use crate::harness::{eventually, within};

/// More than a small answer.
const LARGE: usize = 100_000;
const PICTURES: &str = "multipart/x-mixed-replace;boundary=x";

/// Feeds an answer.
type Feed = mpsc::Sender<Bytes>;

/// What a connection of the host sees.
#[derive(Debug)]
enum Seen {
    /// A request, and its answer's body, if the test is to write it.
    Request(String, Option<Feed>),
    /// The relay listens to what the printer does.
    Listened,
    Ended(Ended),
}

/// One connection of a host, which answers what the test asks for.
#[derive(Clone)]
struct Connection {
    name: &'static str,
    seen: mpsc::Sender<(&'static str, Seen)>,
}

impl Connection {
    fn note(&self, seen: Seen) {
        self.seen.try_send((self.name, seen)).unwrap();
    }
}

impl StreamService for Connection {
    async fn serve(&self, mut request: ::http::Request<Incoming>, _: StreamHead) -> Response<Body> {
        let path = request.uri().path().to_owned();
        let (feed, feeding) = mpsc::channel(1);
        let feed = Some(feed).filter(|_| path.starts_with("/fed"));
        self.note(Seen::Request(path.clone(), feed));
        let response = Response::builder();
        match path.as_str() {
            // Each knows why it is waited for.
            "/waits" if self.name == "zero" => std::future::pending().await,
            "/echo" => {
                let key = request.headers()["sec-websocket-key"].as_bytes();
                let accept = derive_accept_key(key);
                let upgrade = hyper::upgrade::on(&mut request);
                tokio::spawn(async move {
                    let mut io = TokioIo::new(upgrade.await.unwrap());
                    let mut bytes = [0; 1024];
                    while let Ok(read @ 1..) = io.read(&mut bytes).await {
                        // What comes back is not masked: the test's message is longer than its head.
                        let _ = io.write_all(&unmasked(&bytes[..read])).await;
                    }
                });
                let response = response.header("sec-websocket-accept", accept);
                response.body(body::empty())
            }
            "/fed/pictures" => response.header("content-type", PICTURES).body(fed(feeding)),
            _ if path.starts_with("/fed") => response.body(fed(feeding)),
            _ => {
                let read = http_body_util::BodyExt::collect(request.into_body()).await;
                drop(read);
                response.body(body::full(self.name))
            }
        }
        .unwrap()
    }

    fn hear(&self, ended: Ended) {
        self.note(Seen::Ended(ended));
    }

    fn printing(&self, _: u64) -> Option<Body> {
        self.note(Seen::Listened);
        let (feed, feeding) = mpsc::channel(1);
        tokio::spawn(async move { feed.closed().await });
        Some(fed(feeding))
    }
}

/// The same small message as a server sends it.
fn unmasked(frame: &[u8]) -> Vec<u8> {
    let length = usize::from(frame[1] & 0x7f);
    let (mask, text) = (&frame[2..6], &frame[6..6 + length]);
    let text = text.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m);
    [frame[0], frame[1] & 0x7f]
        .into_iter()
        .chain(text)
        .collect()
}

fn fed(mut feeding: mpsc::Receiver<Bytes>) -> Body {
    let frames = futures_util::stream::poll_fn(move |cx| {
        let next = feeding.poll_recv(cx);
        next.map(|next| next.map(|bytes| Ok::<_, body::BodyError>(Frame::data(bytes))))
    });
    body::boxed(StreamBody::new(frames))
}

/// A host's process with two connections, each of which can be cut by itself.
struct Host {
    seen: mpsc::Receiver<(&'static str, Seen)>,
    states: [watch::Receiver<DialState>; 2],
    stops: [Stop; 2],
}

impl Host {
    async fn start(relay: &RunningRelay) -> (Self, Door) {
        let identity = HostIdentity::generate().unwrap();
        let door = relay.record(identity.public_key(), AccessMode::None).await;
        let (give, seen) = mpsc::channel(64);
        let mut lines = Vec::new();
        for (number, name) in [(0, "zero"), (1, "one")] {
            let service = Connection {
                name,
                seen: give.clone(),
            };
            lines.push(line(relay, &identity, number, service).await);
        }
        let [(zero, stop_zero), (one, stop_one)] = lines.try_into().ok().unwrap();
        let mut host = Self {
            seen,
            states: [zero, one],
            stops: [stop_zero, stop_one],
        };
        // Nobody told it of what ended before it had a tunnel. Of the second it knows that.
        assert!(matches!(
            host.next().await,
            ("zero", Seen::Ended(Ended::Any))
        ));
        assert!(matches!(host.next().await, ("zero", Seen::Listened)));
        (host, door)
    }

    async fn next(&mut self) -> (&'static str, Seen) {
        within("something at the host", self.seen.recv())
            .await
            .unwrap()
    }

    /// The next request, with its answer to be fed.
    async fn asked(&mut self) -> (&'static str, String, Option<Feed>) {
        match self.next().await {
            (name, Seen::Request(path, feed)) => (name, path, feed),
            (name, other) => panic!("{name}: {other:?}"),
        }
    }

    fn cut(&self, number: usize) {
        self.stops[number].hard.cancel();
    }
}

/// Dials one connection, and waits until it is up.
async fn line(
    relay: &RunningRelay,
    identity: &HostIdentity,
    number: u8,
    service: Connection,
) -> (watch::Receiver<DialState>, Stop) {
    let url = relay.config().public_url.to_string().parse().unwrap();
    let config = DiallerConfig {
        connection: number,
        features: [FEATURE_ENDS, FEATURE_PRINTING].map(str::to_owned).to_vec(),
        ..DiallerConfig::new(url, "Workshop".to_owned(), "0".to_owned())
    };
    let dialler = Dialler::new(config, identity.clone(), service, TaskTracker::new()).unwrap();
    let (mut state, stop) = (dialler.state(), Stop::default());
    tokio::spawn(dialler.run(stop.soft.clone(), stop.hard.clone()));
    let up = state.wait_for(|state| matches!(state, DialState::Connected { .. }));
    within("the tunnel", up).await.unwrap();
    (state, stop)
}

async fn get(door: &Door, path: &str) -> Answer {
    let request = http::Request::get(door.url(path)).via(door.address);
    request.send().await
}

/// Which connection answers.
async fn who(door: &Door) -> String {
    get(door, "/who").await.read().await.text().to_owned()
}

async fn read(answer: &mut Answer, wanted: usize) {
    let mut read = 0;
    while read < wanted {
        read += answer.chunk().await.unwrap().unwrap().len();
    }
}

#[tokio::test]
async fn what_goes_over_one_connection_is_lost_with_it_and_nothing_else() {
    let relay = RunningRelay::start(|_| {}).await;
    let (mut host, door) = Host::start(&relay).await;
    let mut lost = get(&door, "/fed/a").await;
    let (name, _, feed) = host.asked().await;
    assert_eq!(name, "zero");
    let a = feed.unwrap();
    within("room", a.send(vec![0; LARGE].into())).await.unwrap();
    read(&mut lost, LARGE).await;
    // Small ones keep off what is heavy.
    let mut kept = get(&door, "/fed/b").await;
    let (name, _, feed) = host.asked().await;
    assert_eq!(name, "one");
    let b = feed.unwrap();
    let (mut socket, _) = http::websocket(door.url("/echo"), &[]).await.unwrap();
    assert_eq!(host.asked().await.0, "one");
    let printers = relay.store.printers();
    let (_, printer) = door.ids.clone().unwrap();
    let before = printers.find(&printer).await.unwrap().unwrap().seen;
    assert!(before.online_since.is_some());

    host.cut(0);
    while let Ok(more) = lost.chunk().await {
        assert!(more.is_some(), "what came so far must not look complete");
    }
    within("the end", a.closed()).await;
    // The other one tells what the printer does from now on.
    assert!(matches!(host.next().await, ("one", Seen::Listened)));
    b.send("more".into()).await.unwrap();
    read(&mut kept, 4).await;
    socket.send(Message::text("still here")).await.unwrap();
    let echo = within("the echo", socket.next()).await.unwrap().unwrap();
    assert_eq!(echo.into_text().unwrap().as_str(), "still here");
    assert_eq!(who(&door).await, "one");
    let now = printers.find(&printer).await.unwrap().unwrap().seen;
    assert_eq!(now.online_since, before.online_since);

    host.cut(1);
    eventually("the printer to be away", async || {
        let printer = printers.find(&printer).await.unwrap().unwrap();
        printer.seen.online_since.is_none()
    })
    .await;
    assert_eq!(get(&door, "/who").await.status().as_u16(), 601);
    // It counts as offline when it stays away; for the one that was lost first nothing was told.
    let events = relay
        .store
        .events()
        .list_after(&printer, 0, 10)
        .await
        .unwrap();
    let presence = [EventKind::Offline, EventKind::Online];
    assert!(
        !events
            .iter()
            .any(|kept| presence.contains(&kept.event.kind))
    );
}

#[tokio::test]
async fn a_request_that_only_asks_is_sent_again_and_no_other() {
    let relay = RunningRelay::start(|_| {}).await;
    for (method, again) in [("GET", 1), ("HEAD", 1), ("OPTIONS", 1), ("POST", 0)] {
        let (mut host, door) = Host::start(&relay).await;
        let method: Method = method.parse().unwrap();
        let request = http::Request::new(method.clone(), door.url("/waits"));
        let waiting = tokio::spawn(request.via(door.address).send());
        let (name, path, _) = host.asked().await;
        assert_eq!((name, path.as_str()), ("zero", "/waits"));
        host.cut(0);
        let answer = within("the answer", waiting).await.unwrap();
        let status = answer.status().as_u16();
        assert_eq!(status == 200, again == 1, "{method}: {status}");
        if method == Method::GET {
            assert_eq!(answer.read().await.text(), "one");
        }
        let mut seen = 0;
        // This one comes after all the others.
        assert_eq!(who(&door).await, "one");
        loop {
            match host.next().await {
                ("one", Seen::Request(path, _)) if path == "/who" => break,
                ("one", Seen::Request(..)) => seen += 1,
                _ => {}
            }
        }
        assert_eq!(seen, again, "{method}");
        host.cut(1);
    }
}

#[tokio::test]
async fn small_requests_keep_off_the_connection_with_bulk() {
    let relay = RunningRelay::start(|_| {}).await;
    let (mut host, door) = Host::start(&relay).await;
    let mut bulk = Vec::new();
    // The first time nobody knows what it is, afterwards everybody does.
    for _ in 0..3 {
        let pictures = get(&door, "/fed/pictures").await;
        let (name, _, feed) = host.asked().await;
        assert_eq!(name, "zero");
        bulk.push((pictures, feed));
        for _ in 0..3 {
            assert_eq!(who(&door).await, "one");
            host.asked().await;
        }
    }
    let upload = http::Request::post(door.url("/upload")).via(door.address);
    let content = Generated {
        seed: 1,
        size: LARGE,
    };
    let answer = upload.body("application/octet-stream", content.bytes());
    assert_eq!(answer.send().await.read().await.text(), "zero");
    host.asked().await;
    drop(bulk);
    // When nothing is heavy any more, either will do.
    eventually("the pictures to end", async || who(&door).await == "zero").await;
}

#[tokio::test]
async fn what_ended_is_cut_on_all_connections_and_told_once() {
    let relay = RunningRelay::start(|_| {}).await;
    let (mut host, door) = Host::start(&relay).await;
    let mut open = Vec::new();
    for (path, wanted) in [("/fed/pictures", "zero"), ("/fed/b", "one")] {
        let answer = get(&door, path).await;
        let (name, _, feed) = host.asked().await;
        assert_eq!(name, wanted);
        open.push((answer, feed));
    }
    let (connection, _) = door.ids.clone().unwrap();
    let revoked = relay.life.revoke(&relay.account, &connection).await;
    assert!(revoked.unwrap());
    for (answer, feed) in &mut open {
        while let Ok(more) = answer.chunk().await {
            assert!(more.is_some());
        }
        within("the end at the host", feed.as_ref().unwrap().closed()).await;
    }
    let ended = Ended::These(vec![connection.to_string()]);
    match host.next().await {
        (_, Seen::Ended(told)) => assert_eq!(told, ended),
        (name, other) => panic!("{name}: {other:?}"),
    }
    assert!(host.seen.try_recv().is_err(), "it heard of it already");
}

#[tokio::test]
async fn a_printer_that_is_removed_loses_all_connections() {
    let relay = RunningRelay::start(|_| {}).await;
    let (mut host, door) = Host::start(&relay).await;
    let (_, printer) = door.ids.clone().unwrap();
    let removed = relay.life.remove_printer(&relay.account, &printer).await;
    assert!(removed.unwrap());
    for state in &mut host.states {
        let told = state.wait_for(|s| matches!(s, DialState::Waiting { unpaired: true, .. }));
        within("a connection to hear of it", told).await.unwrap();
    }
}

#[tokio::test]
async fn four_connections_are_taken_and_no_fifth() {
    let relay = RunningRelay::start(|_| {}).await;
    let identity = HostIdentity::generate().unwrap();
    let door = relay.record(identity.public_key(), AccessMode::None).await;
    let (seen, _seen) = mpsc::channel(64);
    let service = |name| Connection {
        name,
        seen: seen.clone(),
    };
    let mut open = Vec::new();
    for number in 0..4 {
        open.push(line(&relay, &identity, number, service("one of four")).await);
    }
    let url = relay.config().public_url.to_string().parse().unwrap();
    let config = DiallerConfig {
        connection: 4,
        ..DiallerConfig::new(url, "Workshop".to_owned(), "0".to_owned())
    };
    let tracker = TaskTracker::new();
    let dialler = Dialler::new(config, identity, service("fifth"), tracker).unwrap();
    let (mut state, stop) = (dialler.state(), Stop::default());
    tokio::spawn(dialler.run(stop.soft.clone(), stop.hard.clone()));
    let refused = state.wait_for(|state| matches!(state, DialState::Waiting { .. }));
    match &*within("a refusal", refused).await.unwrap() {
        DialState::Waiting { why, .. } => assert!(why.contains("four connections"), "{why}"),
        state => panic!("{state:?}"),
    }
    assert_eq!(get(&door, "/who").await.status(), StatusCode::OK);
    for (state, _) in open {
        assert!(matches!(*state.borrow(), DialState::Connected { .. }));
    }
}

#[tokio::test]
async fn a_host_keeps_two_connections_and_says_so() {
    let relay = RunningRelay::start(|_| {}).await;
    let printer = Arc::new(Printer::start().await);
    let door = relay.attach(printer.address(), AccessMode::None, |_| {});
    let (door, ()) = tokio::join!(door, printer.answer_probe("403 Forbidden"));
    let mut link = door.link.clone().unwrap();
    let both = link.wait_for(
        |link| matches!(link.state, DialState::Connected { connections, .. } if connections == 2),
    );
    within("both connections", both).await.unwrap();
    let (_, printer) = door.ids.clone().unwrap();
    let removed = relay.life.remove_printer(&relay.account, &printer).await;
    assert!(removed.unwrap());
    let unpaired =
        link.wait_for(|link| matches!(link.state, DialState::Waiting { unpaired: true, .. }));
    within("the host to hear of it", unpaired).await.unwrap();
}
