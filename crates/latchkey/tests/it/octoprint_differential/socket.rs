//! Section 8 of the contract: the push socket, as far as the workflow goes through it.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::server::{Probe, Visitor};
use crate::harness::http::{WebSocket, websocket};
use crate::harness::within;

const RAW: &str = "/sockjs/websocket";
const FRAMED: &str = "/sockjs/123/0f9bd8c7-1b3a-4a53-8e6e-0a5f2a1c9d11/websocket";

pub(super) async fn pages(probe: &mut Probe) {
    probe.section("socket pages");
    let visitor = probe.visitor();
    for path in ["/sockjs/info", "/sockjs", "/sockjs/"] {
        probe.ask(path, visitor.get(path)).await;
    }
    for origin in [
        None,
        Some(probe.server.base.clone()),
        Some("http://elsewhere.example".to_owned()),
    ] {
        let headers: Vec<_> = origin
            .iter()
            .map(|origin| ("Origin", origin.as_str()))
            .collect();
        for path in [
            RAW,
            FRAMED,
            "/sockjs/1234/abc/websocket",
            "/sockjs/123/a.b/websocket",
        ] {
            let opened = websocket(format!("{}{path}", probe.server.base), &headers).await;
            let opened = opened.map_or_else(|refusal| refusal.status.as_u16(), |_| 101);
            let foreign = origin.as_ref().map(|origin| origin != &probe.server.base);
            probe.note(&format!("{path}, foreign {foreign:?}"), json!(opened));
        }
    }
}

/// Whether a message of a client ends the socket.
pub(super) async fn odd_messages(probe: &mut Probe) {
    probe.section("odd messages");
    let wrong = json!({"auth": format!("{}:wrong", probe.server.user.name)});
    for path in [RAW, FRAMED] {
        for odd in [
            "",
            "{",
            "[]",
            "5",
            "null",
            "\"text\"",
            r#"{"auth": 5}"#,
            r#"{"throttle": "x"}"#,
            r#"{"subscribe": 5}"#,
        ] {
            let mut socket = Socket::open(probe, path).await;
            if socket.framed {
                socket.frame().await;
            }
            socket.until("connected").await;
            socket.say_text(odd).await;
            socket.say(&wrong).await;
            let answered = within("an answer", socket.frame_or_end()).await;
            let what = answered.map_or("ended", |_| "went on");
            probe.note(&format!("{odd} to {path}"), json!(what));
        }
    }
}

pub(super) async fn raw(probe: &mut Probe) {
    probe.section("raw socket");
    talk(probe, Socket::open(probe, RAW).await).await;
}

pub(super) async fn framed(probe: &mut Probe) {
    probe.section("framed socket");
    let mut socket = Socket::open(probe, FRAMED).await;
    let opening = socket.frame().await;
    probe.note("the first frame", json!(opening));
    talk(probe, socket).await;
}

async fn talk(probe: &mut Probe, mut socket: Socket) {
    let [admin, user, _] = probe.people();
    let mut visitor = probe.signed_in(&user).await;
    let connected = socket.until("connected").await;
    let members: Vec<_> = connected.as_object().unwrap().keys().cloned().collect();
    probe.note(
        "connected",
        json!({"version": connected["version"], "members": members}),
    );
    let permissions = connected["permissions"].as_array().unwrap();
    let ours = permissions
        .iter()
        .filter(|one| one["key"].as_str().unwrap().starts_with("PLUGIN_APPKEYS"));
    let ours: Vec<_> = ours
        .map(|one| {
            json!([
                one["key"],
                one["default_groups"],
                one["dangerous"],
                one["needs"]
            ])
        })
        .collect();
    probe.note("permissions of the workflow", json!(ours));

    for odd in ["{", r#"{"auth": "without a colon"}"#, r#"{"nothing": 1}"#] {
        socket.say_text(odd).await;
    }
    socket
        .say(&json!({"auth": format!("{}:wrong", user.name)}))
        .await;
    let refused = socket.until("reauthRequired").await;
    probe.note("wrong session", refused);

    // Asked before the login here: told upon it.
    let before = probe.request(&json!({"app": "socket, before"})).await;
    socket.say(&auth(&visitor).await).await;
    let mut order = Vec::new();
    while !order.iter().any(|name| name == "timelapse") {
        order.extend(socket.names().await);
    }
    order.retain(|name| name == "history" || name == "timelapse");
    probe.note("after the login", json!(order));

    socket.say(&json!({"throttle": 2})).await;
    let (token, user_token) = probe.request_seen_by("socket, after", &visitor).await;
    probe.note("a request", socket.plugin("socket, after").await);
    visitor.decide(&user_token, &json!(false)).send().await;
    probe.note("its end", socket.end_of(&user_token).await);
    let restricted = json!({"app": "socket, restricted", "user": user.name});
    let restricted = probe.request(&restricted).await;
    probe.note(
        "a restricted request",
        socket.plugin("socket, restricted").await,
    );
    probe.note(
        "tokens differ",
        json!(token != user_token && before != restricted),
    );
    let unwatched = visitor.pending("socket, restricted").await.unwrap();
    probe.note("its end by time", socket.end_of(&unwatched).await);

    let boss = probe.signed_in(&admin).await;
    boss.post("/api/logout", &json!({})).send().await;
    let logout = visitor
        .post("/api/logout", &json!({}))
        .send()
        .await
        .read()
        .await;
    visitor.learn(&logout);
    let told = within("the logout", socket.told("reauthRequired")).await;
    probe.note("logout", told.unwrap_or_else(|| json!("the socket ended")));
}

/// What a page sends after a passive login.
async fn auth(visitor: &Visitor) -> Value {
    let login = visitor
        .post("/api/login", &json!({"passive": true}))
        .send()
        .await
        .read()
        .await
        .json();
    json!({"auth": format!("{}:{}", login["name"].as_str().unwrap(), login["session"].as_str().unwrap())})
}

struct Socket {
    stream: WebSocket,
    framed: bool,
    waiting: Vec<Value>,
}

impl Socket {
    async fn open(probe: &Probe, path: &str) -> Self {
        let (stream, _) = websocket(format!("{}{path}", probe.server.base), &[])
            .await
            .unwrap();
        Self {
            stream,
            framed: path == FRAMED,
            waiting: Vec::new(),
        }
    }

    async fn frame(&mut self) -> String {
        let frame = within("a message", self.frame_or_end()).await;
        frame.expect("the socket is open")
    }

    async fn frame_or_end(&mut self) -> Option<String> {
        loop {
            match self.stream.next().await?.ok()? {
                Message::Text(text) => return Some(text.to_string()),
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }

    async fn say(&mut self, message: &Value) {
        self.say_text(&message.to_string()).await;
    }

    async fn say_text(&mut self, text: &str) {
        let text = if self.framed {
            json!([text]).to_string()
        } else {
            text.to_owned()
        };
        // A server that has ended the socket is noticed when it is read.
        let _ = self.stream.send(Message::text(text)).await;
    }

    async fn next(&mut self) -> Value {
        let next = within("a message", self.next_or_end()).await;
        next.expect("the socket is open")
    }

    async fn next_or_end(&mut self) -> Option<Value> {
        while self.waiting.is_empty() {
            let frame = self.frame_or_end().await?;
            match frame.strip_prefix('a') {
                Some(messages) if self.framed => {
                    self.waiting = serde_json::from_str(messages).unwrap();
                }
                None if self.framed && frame.starts_with('c') => return None,
                None if self.framed => assert_eq!(frame, "h", "an unknown frame"),
                _ => self.waiting = vec![serde_json::from_str(&frame).unwrap()],
            }
        }
        Some(self.waiting.remove(0))
    }

    /// The names of the next message's members; there is one.
    async fn names(&mut self) -> Vec<String> {
        self.next()
            .await
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect()
    }

    async fn until(&mut self, name: &str) -> Value {
        let told = within(name, self.told(name)).await;
        told.unwrap_or_else(|| panic!("the socket ended before {name}"))
    }

    async fn told(&mut self, name: &str) -> Option<Value> {
        loop {
            let mut message = self.next_or_end().await?;
            if !message[name].is_null() {
                return Some(message[name].take());
            }
        }
    }

    /// What is pushed about the request of `app`.
    async fn plugin(&mut self, app: &str) -> Value {
        loop {
            let message = self.until("plugin").await;
            if message["data"]["app_name"] == app {
                return message;
            }
        }
    }

    async fn end_of(&mut self, user_token: &str) -> Value {
        loop {
            let message = self.until("plugin").await;
            if message["data"]["type"] == "end_request"
                && message["data"]["user_token"] == user_token
            {
                return message;
            }
        }
    }
}
