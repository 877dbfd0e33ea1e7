//! The push socket as its clients meet it.

mod conversations;
mod doors;
mod passing_on;
mod posts;
mod requests;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, SinkExt, StreamExt};
use latchkey_net::client_addr::Scheme;
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio::sync::broadcast;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::framing::Framing;
use super::{Listener, Listeners, Notice, Push, PushSettings, PushUpstream, socket};
use crate::authority::endings::{Endings, Holder};
use crate::service::{Door, Inbound};

const SOMEBODY: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 7));
/// Longer than any test takes, shorter than anybody's patience.
const LIMIT: Duration = Duration::from_secs(40);

/// Knows people by `user:session`.
#[derive(Default)]
struct People {
    known: Mutex<HashMap<String, Listener>>,
    endings: Endings,
    /// By which they came who said who they are.
    doors: Mutex<Vec<Door>>,
}

impl Listeners for People {
    fn identify<'a>(
        &'a self,
        user: &'a str,
        session: &'a str,
        door: &'a Door,
    ) -> BoxFuture<'a, Option<Listener>> {
        self.doors.lock().unwrap().push(door.clone());
        let known = self.known.lock().unwrap();
        let listener = known.get(&format!("{user}:{session}")).cloned();
        async { listener }.boxed()
    }
}

struct Bench {
    push: Push,
    people: Arc<People>,
    notices: broadcast::Sender<Notice>,
    stopping: CancellationToken,
    tracker: TaskTracker,
}

impl Bench {
    fn new(upstream: Option<PushUpstream>) -> Self {
        let people = Arc::<People>::default();
        let (notices, _) = broadcast::channel(256);
        let (stopping, tracker) = (CancellationToken::new(), TaskTracker::new());
        let push = Push::new(PushSettings {
            listeners: Arc::clone(&people) as Arc<dyn Listeners>,
            notices: notices.clone(),
            upstream,
            server_version: "1.11.8".to_owned(),
            tracker: tracker.clone(),
            stopping: stopping.clone(),
        });
        Self {
            push,
            people,
            notices,
            stopping,
            tracker,
        }
    }

    /// Makes `user` known by a session, with all rights or none; its holder to end it by.
    fn admit(&self, user: &str, session: &str, sees_requests: bool, receives: bool) -> Holder {
        let letter =
            char::from(b'a' + u8::try_from(self.people.known.lock().unwrap().len()).unwrap());
        let holder = Holder::Session(letter.to_string().repeat(20).parse().unwrap());
        let listener = Listener {
            user: user.to_owned(),
            sees_requests,
            receives_upstream: receives,
            hold: self.people.endings.hold(holder.clone()),
        };
        let mut known = self.people.known.lock().unwrap();
        known.insert(format!("{user}:{session}"), listener);
        holder
    }

    fn forget(&self, auth: &str) {
        self.people.known.lock().unwrap().remove(auth).unwrap();
    }

    /// A client whose upgrade is done.
    async fn connect(&self, framing: Framing) -> Client {
        self.connect_by(Door::Lan, framing).await
    }

    async fn connect_by(&self, door: Door, framing: Framing) -> Client {
        let (near, far) = tokio::io::duplex(256 * 1024);
        let shared = Arc::clone(&self.push.0);
        let seat = shared.seats.take(SOMEBODY).unwrap();
        self.tracker
            .spawn(socket::talk(shared, seat, door, framing, far));
        let socket = WebSocketStream::from_raw_socket(near, Role::Client, None).await;
        Client { socket }
    }

    /// A client that is past the first message and known as `auth`.
    async fn listen(&self, auth: &str) -> Client {
        let mut client = self.connect(Framing::Raw).await;
        assert!(client.next().await["connected"].is_object());
        client.say(json!({ "auth": auth })).await;
        client
    }

    /// One who is told everything and hears nothing of a printer.
    async fn decider(&self, user: &str) -> Client {
        self.admit(user, "s", true, false);
        let client = self.listen(&format!("{user}:s")).await;
        self.settle().await;
        client
    }

    fn notify(&self, notice: Notice) {
        assert!(self.notices.send(notice).is_ok());
    }

    /// Lets everybody act on what has been said so far.
    async fn settle(&self) {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }
}

struct Client {
    socket: WebSocketStream<DuplexStream>,
}

impl Client {
    async fn say(&mut self, message: Value) {
        self.send(message.to_string()).await;
    }

    async fn send(&mut self, text: String) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    /// The next text, whatever pings come before it.
    async fn text(&mut self) -> String {
        loop {
            let message = tokio::time::timeout(LIMIT, self.socket.next()).await;
            match message.expect("in time").expect("open").unwrap() {
                Message::Text(text) => return text.to_string(),
                Message::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    async fn next(&mut self) -> Value {
        serde_json::from_str(&self.text().await).unwrap()
    }

    /// The code with which the socket is closed, whatever comes before.
    async fn close_code(&mut self) -> u16 {
        loop {
            let message = tokio::time::timeout(LIMIT, self.socket.next()).await;
            if let Message::Close(frame) = message.expect("in time").expect("a goodbye").unwrap() {
                return frame.unwrap().code.into();
            }
        }
    }

    /// Nothing more has been said, for the answer to a question is next.
    async fn hears_nothing(&mut self) {
        self.say(json!({ "auth": "nobody:nothing" })).await;
        let next = self.next().await;
        assert_eq!(next, json!({ "reauthRequired": { "reason": "stale" } }));
    }
}

fn asked(token: &str, user: Option<&str>) -> Notice {
    Notice::AccessRequested {
        app_name: "Some App".to_owned(),
        user_token: token.to_owned(),
        user: user.map(str::to_owned),
        remote_address: "192.0.2.7".to_owned(),
    }
}

fn told_of(message: &Value) -> (&str, &str) {
    let data = &message["plugin"]["data"];
    assert_eq!(message["plugin"]["plugin"], "appkeys", "{message}");
    let (kind, token) = (&data["type"], &data["user_token"]);
    (kind.as_str().unwrap(), token.as_str().unwrap())
}

fn inbound(websocket: bool) -> Inbound {
    Inbound {
        door: Door::Lan,
        address: SOMEBODY,
        scheme: Scheme::Http,
        authority: "octopi.local:5010".parse().unwrap(),
        prefix: String::new(),
        websocket,
        request_id: "0123456789abcdef".to_owned(),
    }
}
