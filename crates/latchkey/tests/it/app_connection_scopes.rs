//! App connections that may only look: the host applies to them what it applies to keys of that scope, whoever judges
//! callers, and nothing that comes through one goes further.

use futures_util::{SinkExt as _, StreamExt as _};
use http::Method;
use http::Response;
use hyper::body::Incoming;
use latchkey_host::config::{AuthorityMode, Credential, UpstreamKind};
use latchkey_model::access::KeyScope;
use latchkey_model::app_connection::{AccessMode, EndReason};
use latchkey_model::clock::{Clock as _, SystemClock};
use latchkey_net::body::{self, Body};
use latchkey_net::tunnel::{Dialler, DiallerConfig, HostIdentity, StreamHead};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::harness::home::Browser;
use crate::harness::http::{Response as Told, WebSocket, websocket};
use crate::harness::inproc::{Door, Printer, RunningRelay};
use crate::harness::open::socket_ended;
use crate::harness::stack::{Connection, Simulator, Stack};
use crate::harness::{eventually, within};

async fn ask(
    connection: &Connection,
    method: Method,
    path: &str,
    body: Option<Value>,
    key: Option<&str>,
) -> Told {
    let mut request = connection.request(method, path);
    if let Some(body) = &body {
        request = request.json(body);
    }
    if let Some(key) = key {
        request = request.header("X-Api-Key", key);
    }
    request.send().await.read().await
}

/// What a watching app is let do, and what not: at a host that judges, and at one that does not.
async fn watching_is_watching(stack: &Stack, key: Option<&str>) {
    let full = stack
        .connect_app_as(AccessMode::Bearer, KeyScope::Full)
        .await;
    let view = stack
        .connect_app_as(AccessMode::Bearer, KeyScope::View)
        .await;
    let get = |path| (Method::GET, path, None);
    let command = json!({"command": "home", "axes": ["x"]});
    let post = |path| (Method::POST, path, Some(command.clone()));
    for (method, path, body) in [
        get("/api/job"),
        get("/api/printer"),
        get("/api/files"),
        get("/api/version"),
    ] {
        let told = ask(&view, method, path, body, key).await;
        assert_eq!(told.status, 200, "{path}: {}", told.text());
    }
    for (method, path, body) in [
        post("/api/printer/printhead"),
        post("/api/job"),
        (Method::DELETE, "/api/files/local/none.gcode", None),
        post("/api/files/local"),
        post("/api/connection"),
        get("/api/plugin/softwareupdate/check"),
        get("/api/system/commands"),
        post("/%61pi/job"),
        post("//api/job"),
        (Method::PUT, "/api/unheard-of", None),
        get("/api/unheard-of"),
        get("/webcam/?action=command&id=1"),
    ] {
        let told = ask(&view, method.clone(), path, body, key).await;
        assert_eq!(told.status, 403, "{method} {path}: {}", told.text());
        assert!(told.json()["error"].is_string(), "{path}");
    }
    let homed = ask(
        &full,
        Method::POST,
        "/api/printer/printhead",
        Some(command),
        key,
    )
    .await;
    assert!(homed.status.is_success(), "{}", homed.text());
    let picture = ask(&view, Method::GET, "/webcam/?action=snapshot", None, key).await;
    assert_eq!(picture.status, 200);
}

/// The push socket through an app connection, by what a passive login told it.
async fn listens(connection: &Connection, key: Option<&str>) -> Value {
    let passive = Some(json!({"passive": true}));
    let me = ask(connection, Method::POST, "/api/login", passive, key)
        .await
        .json();
    let authorization = connection.authorization().unwrap();
    let url = connection.address("/sockjs/websocket");
    let headers = [("Authorization", &*authorization)];
    let (mut socket, _) = websocket(url, &headers).await.unwrap();
    let (name, session) = (
        me["name"].as_str().unwrap(),
        me["session"].as_str().unwrap(),
    );
    let auth = json!({"auth": format!("{name}:{session}")});
    socket.send(Message::text(auth.to_string())).await.unwrap();
    within("the printer's history", async {
        loop {
            let message = socket.next().await.unwrap().unwrap();
            if message
                .to_text()
                .is_ok_and(|text| text.contains("\"history\""))
            {
                break;
            }
        }
    })
    .await;
    me
}

#[tokio::test]
async fn a_watching_app_watches_where_the_host_judges() {
    let printer = Simulator::start().await;
    let stack = Stack::before(printer.url("")).authority_host(Simulator::KEY);
    let stack = stack.start().await;
    watching_is_watching(&stack, None).await;
    let view = stack
        .connect_app_as(AccessMode::Enhanced, KeyScope::View)
        .await;
    let me = listens(&view, None).await;
    assert_eq!(me["groups"], json!(["readonly"]));
    let settings = ask(&view, Method::GET, "/api/settings", None, None).await;
    assert_eq!(settings.status, 200);
    assert!(!settings.text().contains(Simulator::KEY));
}

#[tokio::test]
async fn a_watching_app_watches_where_the_printers_server_judges() {
    let printer = Simulator::start().await;
    let stack = Stack::before(printer.url("")).start().await;
    // Its key would let it do everything; the app connection that it comes through does not.
    watching_is_watching(&stack, Some(Simulator::KEY)).await;
    let view = stack
        .connect_app_as(AccessMode::Enhanced, KeyScope::View)
        .await;
    listens(&view, Some(Simulator::KEY)).await;
}

#[tokio::test]
async fn no_key_and_no_sign_in_lifts_what_the_owner_chose() {
    let printer = Simulator::start().await;
    let stack = Stack::before(printer.url("")).authority_host(Simulator::KEY);
    let stack = stack.start().await;
    let store = latchkey_store::HostStore::open(stack.folder().join("host/host.db"))
        .await
        .unwrap();
    let password = "correct horse battery";
    let hash = latchkey_web::password::Passwords::default()
        .hash(password)
        .await
        .unwrap();
    let ann = latchkey_model::user::User {
        name: latchkey_model::user::UserName::parse("ann").unwrap(),
        group: latchkey_model::user::Group::Admins,
        active: true,
        created: latchkey_model::clock::Timestamp::from_millis(1),
    };
    store.users().create(&ann, Some(&hash)).await.unwrap();
    for (scope, allowed) in [(KeyScope::Full, true), (KeyScope::View, false)] {
        // By its hostname alone, as a browser uses one.
        let connection = stack.connect_app_as(AccessMode::None, scope).await;
        let mut browser = Browser::at(&connection.url);
        let told = browser.log_in("ann", password).await;
        assert_eq!(told.status, 200, "{}", told.text());
        let homing = json!({"command": "home", "axes": ["x"]});
        let told = browser.post("/api/printer/printhead", &homing).await;
        assert_eq!(told.status.is_success(), allowed, "{}", told.text());
        let told = browser.get("/latchkey/users").await;
        assert_eq!(told.status == 200, allowed, "{}", told.status);
        let told = browser.get("/api/job").await;
        assert_eq!(told.status, 200, "looking is allowed to both");
    }
}

#[tokio::test]
async fn other_servers_are_judged_by_their_own_tables_whoever_judges_callers() {
    const SOCKET: [&str; 4] = [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    let moonraker = (
        UpstreamKind::Moonraker,
        ["GET /printer/info", "GET /server/files/list"],
        [
            "POST /printer/gcode/script?script=G28",
            "GET /printer/gcode/script?script=G28",
            "GET /machine/reboot",
            "DELETE /server/files/gcodes/a.gcode",
        ],
    );
    let prusalink = (
        UpstreamKind::PrusaLink,
        ["GET /api/v1/status", "GET /api/v1/job"],
        [
            "PUT /api/v1/files/usb/a.gcode",
            "DELETE /api/v1/job/1",
            "GET /api/settings",
            "POST /api/job",
        ],
    );
    for (kind, looks, acts) in [moonraker, prusalink] {
        for authority in [AuthorityMode::Host, AuthorityMode::Upstream] {
            let relay = RunningRelay::start(|_| {}).await;
            let printer = Printer::start().await;
            let door = relay.attach(printer.address(), AccessMode::Bearer, |host| {
                host.upstream.kind = kind;
                host.authority = authority;
            });
            let (door, ()) = tokio::join!(door, printer.answer_probe("403 Forbidden"));
            let (_, id) = door.ids.clone().unwrap();
            let view = relay
                .connect_as(&id, AccessMode::Bearer, KeyScope::View)
                .await;
            let mut caller = view.connect().await;
            for act in acts {
                caller.send(view.head(act, &["Content-Length: 0"])).await;
                let told = caller.read_response().await;
                assert_eq!(told.status(), 403, "{act} {authority:?}");
            }
            caller.send(view.head("GET /websocket", &SOCKET)).await;
            let told = caller.read_response().await;
            assert_eq!(told.status(), 403, "a socket by which all can be done");
            let mut upstream = None;
            for look in looks {
                caller.send(view.head(look, &[])).await;
                if upstream.is_none() {
                    upstream = Some(printer.accept().await);
                }
                let upstream = upstream.as_mut().unwrap();
                let seen = upstream.read_request().await;
                assert_eq!(seen.line, format!("{look} HTTP/1.1"));
                assert_eq!(seen.field("latchkey-scope"), None);
                let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
                upstream.send(answer).await;
                assert_eq!(caller.read_response().await.status(), 200, "{look}");
            }
        }
    }
}

#[tokio::test]
async fn an_old_host_is_not_sent_what_may_only_look() {
    let relay = RunningRelay::start(|_| {}).await;
    let identity = HostIdentity::generate().unwrap();
    let view = relay
        .record_as(identity.public_key(), AccessMode::Bearer, KeyScope::View)
        .await;
    let (_, printer) = view.ids.clone().unwrap();
    let full = relay.connect(&printer, AccessMode::Bearer).await;
    // What it says of itself has no features.
    let url = relay.config().public_url.to_string().parse().unwrap();
    let config = DiallerConfig::new(url, "Old".to_owned(), "0.0.1".to_owned());
    let service = |_: http::Request<Incoming>, _: StreamHead| async {
        Response::<Body>::new(body::full("passed"))
    };
    let dialler = Dialler::new(config, identity, service, TaskTracker::new()).unwrap();
    let (soft, hard) = (CancellationToken::new(), CancellationToken::new());
    tokio::spawn(dialler.run(soft.clone(), hard));
    let ask = async |door: &Door| {
        let mut caller = door.connect().await;
        caller.send(door.head("GET /api/job", &[])).await;
        caller.read_response().await
    };
    eventually("the old host", async || ask(&full).await.status() == 200).await;
    let told = ask(&view).await;
    assert_eq!(told.status(), 600);
    let told: Value = serde_json::from_slice(&told.body).unwrap();
    assert!(
        told["Error"].as_str().unwrap().contains("Update the host"),
        "{told}"
    );
    soft.cancel();
}

/// A client at home that listens by what an app connection was told, and what it said.
async fn listening_at_home(relay: &RunningRelay) -> (Door, WebSocket, Message, Simulator) {
    let printer = Simulator::start().await;
    let door = relay.attach(printer.address(), AccessMode::Bearer, |host| {
        host.authority = AuthorityMode::Host;
        host.upstream.credential = Credential::new(Simulator::KEY);
    });
    let door = door.await;
    let mut caller = door.connect().await;
    let passive = r#"{"passive":true}"#;
    let fields = ["Content-Type: application/json", "Content-Length: 16"];
    caller
        .send(door.head("POST /api/login", &fields) + passive)
        .await;
    let told = caller.read_response().await;
    assert_eq!(told.status(), 200);
    let me: Value = serde_json::from_slice(&told.body).unwrap();
    let (name, session) = (me["name"].as_str(), me["session"].as_str());
    let handle = format!("{}:{}", name.unwrap(), session.unwrap());
    let auth = Message::text(json!({"auth": handle}).to_string());
    // At home, where no relay cuts anything.
    let (mut socket, _) = websocket(at_home(&door), &[]).await.unwrap();
    socket.send(auth.clone()).await.unwrap();
    heard(&mut socket, "\"history\"").await;
    (door, socket, auth, printer)
}

fn at_home(door: &Door) -> String {
    format!("http://{}/sockjs/websocket", door.lan)
}

#[tokio::test]
async fn the_hosts_push_socket_hears_when_an_app_connection_ends() {
    let relay = RunningRelay::start(|_| {}).await;
    let (door, mut socket, auth, _printer) = listening_at_home(&relay).await;
    let (connection, _) = door.ids.as_ref().unwrap();
    assert!(relay.life.revoke(&relay.account, connection).await.unwrap());
    socket_ended(&mut socket).await;
    let (mut socket, _) = websocket(at_home(&door), &[]).await.unwrap();
    socket.send(auth).await.unwrap();
    heard(&mut socket, "reauthRequired").await;
}

#[tokio::test]
async fn a_host_hears_of_what_another_program_ended_with_nothing_open() {
    let relay = RunningRelay::start(|_| {}).await;
    let (door, mut socket, _, _printer) = listening_at_home(&relay).await;
    let (connection, _) = door.ids.as_ref().unwrap();
    let store = relay.open_store().await;
    let ended = store
        .app_connections()
        .end(connection, EndReason::Revoked, SystemClock.now())
        .await;
    assert!(ended.unwrap());
    // The relay looks for such ends every ten seconds.
    socket_ended(&mut socket).await;
}

async fn heard(socket: &mut WebSocket, part: &str) {
    within(part, async {
        loop {
            let message = socket.next().await.unwrap().unwrap();
            if message.to_text().is_ok_and(|text| text.contains(part)) {
                return;
            }
        }
    })
    .await;
}
