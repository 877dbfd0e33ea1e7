//! What the printer's server says, over real sockets.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{self, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;
use crate::config::{Credential, UpstreamAddress};

const KEY: &str = "upstream-key";
/// A number that no two sessions share, so that each `auth` shows which login it is from.
static SESSION: AtomicUsize = AtomicUsize::new(0);

/// A printer's server with a push socket, directed by the test.
#[derive(Clone)]
struct Server {
    arrivals: mpsc::Sender<Visit>,
    version: Arc<Mutex<&'static str>>,
    greeted: Arc<AtomicUsize>,
    refuses: Arc<AtomicBool>,
}

/// One socket at the server, once it has been told who comes.
struct Visit {
    auth: String,
    heard: mpsc::Receiver<String>,
    say: mpsc::Sender<String>,
}

impl Server {
    async fn start() -> (Self, PushUpstream, mpsc::Receiver<Visit>) {
        let (arrivals, visits) = mpsc::channel(16);
        let server = Self {
            arrivals,
            version: Arc::new(Mutex::new("9.9.9")),
            greeted: Arc::default(),
            refuses: Arc::default(),
        };
        let router = Router::new()
            .route("/base/api/login", post(login))
            .route("/base/sockjs/websocket", get(upgrade))
            .with_state(server.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/base/", listener.local_addr().unwrap());
        TaskTracker::new().spawn(async move { axum::serve(listener, router).await });
        let upstream = PushUpstream {
            address: UpstreamAddress::from_url(&url.parse().unwrap()).unwrap(),
            credential: Credential::new(KEY),
        };
        (server, upstream, visits)
    }

    fn connected(&self) -> Value {
        json!({ "connected": { "version": *self.version.lock().unwrap() } })
    }
}

async fn login(
    State(server): State<Server>,
    headers: HeaderMap,
    body: String,
) -> Result<String, StatusCode> {
    let body: Value = serde_json::from_str(&body).unwrap();
    let admitted = headers.get("x-api-key").is_some_and(|key| key == KEY);
    if body["passive"] != true || !admitted || server.refuses.load(Ordering::Relaxed) {
        return Ok(json!({ "needs": {} }).to_string());
    }
    let number = SESSION.fetch_add(1, Ordering::Relaxed);
    Ok(json!({ "name": "host", "session": format!("n{number}") }).to_string())
}

async fn upgrade(
    State(server): State<Server>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    assert!(!headers.contains_key("origin") && !headers.contains_key("x-api-key"));
    upgrade.on_upgrade(|socket| visit(server, socket))
}

async fn visit(server: Server, mut socket: WebSocket) {
    server.greeted.fetch_add(1, Ordering::Relaxed);
    let connected = server.connected().to_string();
    if socket.send(ws::Message::text(connected)).await.is_err() {
        return;
    }
    let Some(Ok(ws::Message::Text(auth))) = socket.recv().await else {
        return;
    };
    let (tell, heard) = mpsc::channel(16);
    let (say, mut said) = mpsc::channel::<String>(16);
    let auth = auth.to_string();
    server
        .arrivals
        .send(Visit { auth, heard, say })
        .await
        .unwrap();
    loop {
        tokio::select! {
            // The test has enough of this socket.
            message = said.recv() => match message {
                Some(message) => socket.send(ws::Message::text(message)).await.unwrap(),
                None => return,
            },
            message = socket.recv() => match message {
                Some(Ok(ws::Message::Text(text))) => tell.send(text.to_string()).await.unwrap(),
                Some(Ok(_)) => {}
                _ => return,
            },
        }
    }
}

impl Visit {
    async fn say(&self, message: Value) {
        self.say.send(message.to_string()).await.unwrap();
    }

    async fn hears(&mut self) -> String {
        timeout(LIMIT, self.heard.recv()).await.unwrap().unwrap()
    }

    async fn ends(mut self) {
        while timeout(LIMIT, self.heard.recv()).await.unwrap().is_some() {}
    }
}

async fn next(visits: &mut mpsc::Receiver<Visit>) -> Visit {
    let visit = timeout(LIMIT, visits.recv()).await.unwrap().unwrap();
    assert!(
        visit.auth.starts_with("{\"auth\":\"host:n"),
        "{}",
        visit.auth
    );
    visit
}

/// A bench with a server, and ada who is told everything.
async fn start() -> (Bench, Server, mpsc::Receiver<Visit>) {
    let (server, upstream, visits) = Server::start().await;
    let bench = Bench::new(Some(upstream));
    bench.admit("ada", "s", true, true);
    (bench, server, visits)
}

#[tokio::test]
async fn the_servers_own_first_message_is_told_and_asked_for_once() {
    let (bench, server, _visits) = start().await;
    let mut clients =
        futures_util::future::join_all((0..8).map(|_| bench.connect(Framing::Raw))).await;
    for client in &mut clients {
        assert_eq!(client.next().await, server.connected());
    }
    assert_eq!(server.greeted.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_client_hears_what_the_server_says_but_not_on_whose_behalf() {
    let (bench, server, mut visits) = start().await;
    let mut client = bench.listen("ada:s").await;
    let visit = next(&mut visits).await;
    let told = [
        json!({ "history": { "temps": [] } }),
        json!({ "timelapse": null }),
        json!({ "current": { "logs": ["ok"] } }),
        json!({ "event": { "type": "Connected", "payload": null } }),
        json!({ "plugin": { "plugin": "other", "data": 1 } }),
    ];
    visit.say(server.connected()).await;
    visit
        .say(json!({ "plugin": { "plugin": "appkeys", "data": { "type": "request_access" } } }))
        .await;
    for message in &told {
        visit.say(message.clone()).await;
    }
    for message in told {
        assert_eq!(client.next().await, message);
    }
    // The host's own messages come in between.
    bench.notify(asked("t", None));
    assert_eq!(told_of(&client.next().await), ("request_access", "t"));
}

#[tokio::test]
async fn only_wishes_go_up_and_again_after_a_reconnection() {
    let (bench, _server, mut visits) = start().await;
    let mut client = bench.listen("ada:s").await;
    let mut visit = next(&mut visits).await;
    for message in [
        json!({ "gcode": "M112" }),
        json!({ "auth": "nocolon" }),
        json!({ "throttle": 4 }),
        json!({ "subscribe": { "state": true, "plugins": ["x"], "events": false } }),
    ] {
        client.say(message).await;
    }
    let subscription = r#"{"subscribe":{"state":true,"plugins":["x"],"events":false}}"#;
    while visit.hears().await != subscription {}
    drop(visit);
    let mut again = next(&mut visits).await;
    assert_eq!(again.hears().await, r#"{"throttle":4}"#);
    assert_eq!(again.hears().await, subscription);
    again.say(json!({ "current": {} })).await;
    assert_eq!(client.next().await, json!({ "current": {} }));
}

#[tokio::test]
async fn nothing_but_throttle_and_subscribe_is_ever_sent_up() {
    let (bench, _server, mut visits) = start().await;
    let mut client = bench.listen("ada:s").await;
    let mut visit = next(&mut visits).await;
    client.say(json!({ "gcode": "M112" })).await;
    client
        .say(json!({ "throttle": 2, "command": "M112" }))
        .await;
    assert_eq!(visit.hears().await, r#"{"throttle":2}"#);
}

#[tokio::test]
async fn a_server_that_was_updated_says_so_once() {
    let (bench, server, mut visits) = start().await;
    let mut client = bench.listen("ada:s").await;
    drop(next(&mut visits).await);
    *server.version.lock().unwrap() = "10.0.0";
    for news in [Some(server.connected()), None] {
        let visit = next(&mut visits).await;
        visit.say(json!({ "current": {} })).await;
        if let Some(news) = news {
            assert_eq!(client.next().await, news);
        }
        assert_eq!(client.next().await, json!({ "current": {} }));
    }
}

#[tokio::test]
async fn an_expired_session_of_the_hosts_own_is_renewed_unnoticed() {
    let (bench, _server, mut visits) = start().await;
    let mut client = bench.listen("ada:s").await;
    let first = next(&mut visits).await;
    first
        .say(json!({ "reauthRequired": { "reason": "stale" } }))
        .await;
    let second = next(&mut visits).await;
    assert_ne!(first.auth, second.auth);
    second.say(json!({ "current": {} })).await;
    assert_eq!(client.next().await, json!({ "current": {} }));
}

#[tokio::test]
async fn the_servers_socket_ends_with_the_session_it_was_opened_for() {
    let (bench, _server, mut visits) = start().await;
    let mut client = bench.listen("ada:s").await;
    let visit = next(&mut visits).await;
    let (session, reason) = ("s".to_owned(), super::super::EndReason::Logout);
    bench.notify(Notice::SessionEnded { session, reason });
    let told = client.next().await;
    assert_eq!(told, json!({ "reauthRequired": { "reason": "logout" } }));
    visit.ends().await;
    client.hears_nothing().await;
    client.say(json!({ "auth": "ada:s" })).await;
    let visit = next(&mut visits).await;
    drop(client);
    visit.ends().await;
}

#[tokio::test]
async fn who_may_not_hear_of_the_printer_has_no_socket_there() {
    let (bench, _server, mut visits) = start().await;
    bench.admit("eve", "s", true, false);
    let mut eve = bench.listen("eve:s").await;
    bench.settle().await;
    bench.notify(asked("t", None));
    assert_eq!(told_of(&eve.next().await), ("request_access", "t"));
    eve.hears_nothing().await;
    assert!(visits.try_recv().is_err());
}

#[tokio::test]
async fn who_may_no_longer_hear_of_the_printer_loses_the_socket_there() {
    let (bench, _server, mut visits) = start().await;
    let mut client = bench.listen("ada:s").await;
    let visit = next(&mut visits).await;
    bench.admit("ada", "s", true, false);
    // Whoever misses notices is asked after at once.
    for _ in 0..300 {
        bench.notify(asked("flood", None));
    }
    visit.ends().await;
    client.say(json!({ "auth": "nobody:nothing" })).await;
    while client.next().await["reauthRequired"].is_null() {}
}

#[tokio::test]
async fn a_server_that_comes_later_is_heard_then() {
    let (bench, server, mut visits) = start().await;
    server.refuses.store(true, Ordering::Relaxed);
    let mut client = bench.listen("ada:s").await;
    bench.notify(asked("t", None));
    assert_eq!(told_of(&client.next().await), ("request_access", "t"));
    server.refuses.store(false, Ordering::Relaxed);
    let visit = next(&mut visits).await;
    visit.say(json!({ "history": {} })).await;
    assert_eq!(client.next().await, json!({ "history": {} }));
}

#[tokio::test]
async fn without_a_server_to_ask_the_host_speaks_for_itself() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let upstream = PushUpstream {
        address: UpstreamAddress::from_url(&url.parse().unwrap()).unwrap(),
        credential: Credential::new(KEY),
    };
    let bench = Bench::new(Some(upstream));
    let mut client = bench.connect(Framing::Raw).await;
    assert_eq!(client.next().await["connected"]["version"], "1.11.8");
}

#[tokio::test]
async fn all_sockets_end_when_the_host_stops() {
    let (bench, _server, mut visits) = start().await;
    let mut client = bench.listen("ada:s").await;
    let visit = next(&mut visits).await;
    bench.stopping.cancel();
    assert_eq!(client.close_code().await, 1001);
    drop(client);
    visit.ends().await;
    bench.tracker.close();
    timeout(LIMIT, bench.tracker.wait()).await.unwrap();
}
