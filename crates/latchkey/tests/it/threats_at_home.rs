//! What somebody might try against a host at home, over real sockets.

use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{SinkExt as _, StreamExt as _};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::home::{ANN, BOB, Browser, EVE, Home, Person};
use crate::harness::http::{Request, websocket};
use crate::harness::raw::RawConnection;
use crate::harness::within;

const TOLD_WITHIN: Duration = Duration::from_secs(5);

async fn host() -> Home {
    let mut home = Home::prepare("http://127.0.0.1:9", "nobody-is-there").await;
    home.configure("hostnames", json!(["printer.fritz.box"]));
    home.start_host().await;
    home
}

struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    /// A push socket in the name of whoever is signed in.
    async fn open(home: &Home, browser: &mut Browser) -> Self {
        let (mut socket, _) = websocket(home.url("/sockjs/websocket"), &[]).await.unwrap();
        let me = browser.post("/api/login", &json!({"passive": true})).await;
        let me = me.json();
        let auth = format!(
            "{}:{}",
            me["name"].as_str().unwrap(),
            me["session"].as_str().unwrap()
        );
        let auth = json!({ "auth": auth }).to_string();
        socket.send(Message::text(auth)).await.unwrap();
        let mut socket = Self(socket);
        // What cannot be is answered after what can.
        socket.settle().await;
        socket
    }

    async fn next(&mut self) -> Value {
        loop {
            let message = self.0.next().await.unwrap().unwrap();
            if let Message::Text(text) = message {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    /// Everything told up to now; asks for a throttle, which nobody answers, and for the time
    /// that a notice may take.
    async fn transcript(&mut self, wait: Duration) -> Vec<Value> {
        let mut told = Vec::new();
        while let Ok(message) = timeout(wait, self.next()).await {
            told.push(message);
        }
        told
    }

    async fn settle(&mut self) {
        within("the first messages", async {
            while self.next().await.get("connected").is_none() {}
        })
        .await;
        self.transcript(Duration::from_millis(500)).await;
    }
}

#[tokio::test]
async fn a_stolen_cookie_dies_with_the_session_and_open_sockets_are_told() {
    let home = host().await;
    let mut ann = home.sign_in(ANN).await;
    for (path, fields, reason) in [
        ("/api/logout", &[][..], "logout"),
        (
            "/latchkey/users/bob/password",
            &[("password", BOB.password)][..],
            "modified",
        ),
        ("/latchkey/users/bob/deactivate", &[][..], "modified"),
        ("/latchkey/users/bob/remove", &[][..], "removed"),
    ] {
        let mut bob = home.sign_in(BOB).await;
        let mut thief = bob.clone();
        let mut socket = Socket::open(&home, &mut bob).await;
        let me = thief.get("/api/currentuser").await.json();
        assert_eq!(me["name"], BOB.name, "{path}");
        if path == "/api/logout" {
            let left = bob.post(path, &json!({})).await;
            assert_eq!(left.status, StatusCode::OK);
        } else {
            let done = ann.submit(path, fields).await;
            assert_eq!(done.status, StatusCode::SEE_OTHER, "{path}: {done:?}");
        }
        let me = thief.get("/api/currentuser").await.json();
        assert_eq!(me["name"], Value::Null, "{path}: the copy is dead at once");
        let told = timeout(TOLD_WITHIN, async {
            loop {
                let message = socket.next().await;
                if let Some(reason) = message["reauthRequired"]["reason"].as_str() {
                    break reason.to_owned();
                }
            }
        });
        assert_eq!(told.await.as_deref(), Ok(reason), "{path}");
        if path.ends_with("/deactivate") {
            ann.submit("/latchkey/users/bob/activate", &[]).await;
        }
    }
}

#[tokio::test]
async fn who_changes_their_password_stays_and_everybody_else_goes() {
    let home = host().await;
    let (mut bob, mut thief) = (home.sign_in(BOB).await, home.sign_in(BOB).await);
    let mut stays = Socket::open(&home, &mut bob).await;
    let mut ends = Socket::open(&home, &mut thief).await;
    let change = [
        ("old", BOB.password),
        ("password", "another-long-one"),
        ("again", "another-long-one"),
    ];
    let changed = bob.submit("/latchkey/account/password", &change).await;
    assert_eq!(
        changed.header("location"),
        "/latchkey/account?done=password"
    );
    assert_eq!(
        thief.get("/api/currentuser").await.json()["name"],
        Value::Null
    );
    assert_eq!(bob.get("/api/currentuser").await.json()["name"], BOB.name);
    let told = timeout(TOLD_WITHIN, ends.next()).await.unwrap();
    assert_eq!(told["reauthRequired"]["reason"], "modified");
    ask(&home, "Fieldglass", None).await;
    let told = timeout(TOLD_WITHIN, stays.next()).await.unwrap();
    assert_eq!(told["plugin"]["data"]["app_name"], "Fieldglass", "{told}");
}

async fn ask(home: &Home, app: &str, user: Option<&str>) {
    let wish = json!({"app": app, "user": user});
    let asked = Request::post(home.url("/plugin/appkeys/request")).json(&wish);
    assert_eq!(asked.send().await.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn nobody_hears_of_requests_that_they_may_not_decide() {
    let home = host().await;
    let mut sockets = Vec::new();
    for person in [ANN, BOB, EVE] {
        let person: Person = person;
        let mut browser = home.sign_in(person).await;
        sockets.push((person.name, Socket::open(&home, &mut browser).await));
    }
    let (guest, _) = websocket(home.url("/sockjs/websocket"), &[]).await.unwrap();
    let mut guest = Socket(guest);
    guest.settle().await;
    sockets.push(("a guest", guest));
    ask(&home, "For bob alone", Some(BOB.name)).await;
    ask(&home, "For everybody", None).await;
    for (who, socket) in &mut sockets {
        let told = socket.transcript(Duration::from_secs(1)).await;
        let apps: Vec<_> = told
            .iter()
            .filter_map(|message| message["plugin"]["data"]["app_name"].as_str())
            .collect();
        let expected: &[&str] = match *who {
            "ann" => &["For everybody"],
            "bob" => &["For bob alone", "For everybody"],
            _ => &[],
        };
        assert_eq!(apps, expected, "{who}");
        let all = json!(told).to_string();
        assert_eq!(all.contains("user_token"), !expected.is_empty(), "{who}");
    }
}

#[tokio::test]
async fn a_page_that_points_its_name_at_the_host_is_turned_away() {
    let home = host().await;
    let address = home.address();
    for (host, expected) in [
        ("127.0.0.1", 201),
        ("127.0.0.1:5010", 201),
        ("192.168.1.5:5010", 201),
        ("[::1]:5010", 201),
        ("[fe80::1]", 201),
        ("localhost", 201),
        ("LOCALHOST:5010", 201),
        ("octopi", 201),
        ("octopi.local", 201),
        ("OctoPi.Local:80", 201),
        ("voron.home.arpa", 201),
        ("printer.fritz.box", 201),
        ("Printer.Fritz.Box:5010", 201),
        ("evil.example", 421),
        ("evil.example:5010", 421),
        ("fritz.box", 421),
        ("x.printer.fritz.box", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example", 421),
        ("octopi.local.evil.example", 421),
        ("evil-local.example", 421),
        ("xlocal.com", 421),
    ] {
        let body = r#"{"app":"Rebound"}"#;
        // Of an address of its own, as far as limits go.
        let from = format!(
            "10.0.{}.{}",
            host.len(),
            host.bytes().map(u32::from).sum::<u32>() % 250
        );
        let request = format!(
            "POST /plugin/appkeys/request HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: {from}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        let mut connection = RawConnection::connect(address).await;
        connection.send(request).await;
        let answer = connection.read_response().await;
        assert_eq!(answer.status(), expected, "{host}");
    }
    let mut ann = home.sign_in(ANN).await;
    let waiting = ann.get("/api/plugin/appkeys").await.json();
    let waiting = waiting["pending"].as_object().unwrap().len();
    assert_eq!(waiting, 13, "what was turned away has asked for nothing");
    // What a proxy that is trusted says is the name the caller used.
    let through = Request::post(home.url("/plugin/appkeys/request"))
        .header("X-Forwarded-Host", "printer.example")
        .header("X-Forwarded-Proto", "https")
        .json(&json!({"app": "Fieldglass"}));
    let through = through.send().await.read().await;
    assert_eq!(through.status, StatusCode::CREATED);
    let location = through.header("location");
    assert!(location.starts_with("https://printer.example/plugin/appkeys/request/"));
}

/// Each check takes 19 MiB; four may run at once.
const FOUR_CHECKS: u64 = 4 * (19 << 20);
/// Two hundred connections, and what the allocator has not given back yet of checks that are over.
const BESIDE: u64 = 48 << 20;

#[tokio::test]
async fn two_hundred_sign_ins_at_once_take_the_memory_of_four() {
    let home = host().await;
    let before = home.host.resident();
    home.host.forget_peak();
    let sign_ins = (0..200).map(|number| {
        let mut browser = home.browser();
        browser.address = Some(format!("10.1.1.{number}"));
        async move {
            browser
                .log_in(&format!("user{number}"), "guessed-password")
                .await
        }
    });
    let answers = join_all(sign_ins).await;
    for answer in &answers {
        assert!(matches!(answer.status.as_u16(), 403 | 503), "{answer:?}");
    }
    let checked = answers.iter().filter(|answer| answer.status == 403).count();
    assert!(checked >= 4, "{checked}");
    let growth = home.host.peak().saturating_sub(before);
    println!(
        "200 sign-ins, {checked} checked, grew by {} KiB",
        growth / 1024
    );
    assert!(growth < FOUR_CHECKS + BESIDE, "{growth}");
}
