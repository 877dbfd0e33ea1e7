//! One camera and many who watch it, over real sockets: the camera has one viewer, each of the others is judged,
//! counted and ended by themselves.

use std::net::SocketAddr;

use latchkey_host::config::{AuthorityMode, Credential, Webcam};
use latchkey_model::access::KeyScope;
use latchkey_model::account_session::AccountSession;
use latchkey_model::app_connection::AccessMode;
use latchkey_model::chance::SystemChance;
use latchkey_model::clock::{Clock as _, SystemClock};
use latchkey_model::id::{LiveLinkId, SessionId};
use latchkey_model::live_link::LiveLink;
use latchkey_model::secret::{LiveLinkSecret, SessionToken};
use latchkey_sim::{Faults, SimConfig, SimHandle, WebcamConfig};
use serde_json::json;
use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::harness::inproc::{Door, RunningRelay, upstream};
use crate::harness::raw::{RawConnection, RawResponse};
use crate::harness::stack::Stack;
use crate::harness::{eventually, within};

const KEY: &str = "sim-key-of-these-tests";
const STREAM: &str = "GET /webcam/?action=stream";
const SECRET: &str = "abcdefghijklmnopqrstuvwxyz";

/// A simulated printer in this process, whose camera counts its viewers.
struct Sim {
    address: SocketAddr,
    handle: SimHandle,
    _end: DropGuard,
}

impl Sim {
    async fn start() -> Self {
        let sim = latchkey_sim::bind(SimConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            api_key: KEY.to_owned(),
            webcam: WebcamConfig {
                fps: 20.0,
                width: 160,
                height: 90,
                quality: 50,
            },
            autoprint: None,
            ..SimConfig::default()
        });
        let sim = sim.await.unwrap();
        let (address, handle) = (sim.local_addr(), sim.handle());
        let end = CancellationToken::new();
        tokio::spawn(sim.run(end.clone()));
        Self {
            address,
            handle,
            _end: end.drop_guard(),
        }
    }

    /// From now on the camera answers nobody who is not there already.
    fn close_camera(&self) {
        self.handle.set_faults(Faults {
            hang: vec!["/webcam".to_owned()],
            ..Faults::default()
        });
    }

    async fn has_viewers(&self, count: usize) {
        let what = format!("{count} at the camera");
        eventually(&what, async || self.handle.viewers() == count).await;
    }
}

/// A printer with a camera beside it, its host, which judges callers, and a relay with an app connection.
struct House {
    sim: Sim,
    relay: RunningRelay,
    door: Door,
}

impl House {
    async fn new(authority: AuthorityMode) -> Self {
        let sim = Sim::start().await;
        let relay = RunningRelay::start(|_| {}).await;
        let address = sim.address;
        let door = relay.attach(address, AccessMode::Enhanced, move |host| {
            host.authority = authority;
            if authority == AuthorityMode::Host {
                host.upstream.credential = Credential::new(KEY);
            }
            let url = format!("http://{address}/webcam/").parse().unwrap();
            host.webcams = vec![Webcam {
                path: "/webcam/".to_owned(),
                address: latchkey_host::config::UpstreamAddress::from_url(&url).unwrap(),
            }];
            host.relay.as_mut().unwrap().printing = true;
        });
        Self {
            door: door.await,
            sim,
            relay,
        }
    }

    async fn connect(&self, scope: KeyScope) -> Door {
        let (_, printer) = self.door.ids.as_ref().unwrap();
        let relay = &self.relay;
        relay.connect_as(printer, AccessMode::Enhanced, scope).await
    }

    async fn ask(&self, request: &str) -> Viewer {
        let mut caller = RawConnection::connect(self.relay.address).await;
        caller.send(request).await;
        Viewer::new(caller).await
    }

    /// Watches through an app connection.
    async fn watch(&self, door: &Door) -> Viewer {
        self.ask(&door.head(STREAM, &[])).await
    }

    /// What somebody is answered who does not get to see it.
    async fn told(&self, door: &Door, line: &str, fields: &[&str]) -> RawResponse {
        let mut caller = door.connect().await;
        caller.send(door.head(line, fields)).await;
        caller.read_response().await
    }

    /// A live link to the printer.
    async fn share(&self) {
        let now = SystemClock.now();
        let link = LiveLink {
            id: LiveLinkId::generate(&SystemChance),
            printer: self.door.ids.as_ref().unwrap().1.clone(),
            account: self.relay.account.clone(),
            app_connection: None,
            created: now,
            expires: now.plus(std::time::Duration::from_hours(1)),
            print: None,
            ended: None,
        };
        let secret = LiveLinkSecret::parse(SECRET).unwrap();
        let links = self.relay.store.live_links();
        assert!(links.create(&link, &secret.hash(), 9).await.unwrap());
    }

    /// The cookie of the owner's browser, signed in at the relay.
    async fn sign_in(&self) -> String {
        let now = SystemClock.now();
        let session = AccountSession {
            id: SessionId::generate(&SystemChance),
            account: self.relay.account.clone(),
            created: now,
            seen: now,
            proved: now,
            second_factor: None,
            device: "Firefox on Linux".to_owned(),
            network: "192.0.2.0/24".to_owned(),
        };
        let token = SessionToken::generate(&SystemChance);
        let sessions = self.relay.store.sessions();
        assert!(sessions.open(&session, &token.hash(), None).await.unwrap());
        format!("lk_session={}", token.expose())
    }

    fn at_web_origin(&self, path: &str, cookie: &str) -> String {
        let authority = self.relay.config().public_url.authority();
        format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nCookie: {cookie}\r\n\r\n")
    }
}

/// Somebody who watches.
struct Viewer {
    caller: RawConnection,
    head: RawResponse,
    /// What is left over of the last frame.
    rest: Vec<u8>,
}

/// One frame of it.
struct Seen {
    timestamp: f64,
    jpeg: Vec<u8>,
}

impl Viewer {
    async fn new(mut caller: RawConnection) -> Self {
        let head = caller.read_response_head().await;
        assert_eq!(head.status(), 200, "{head:?}");
        let kind = head.field("content-type").unwrap();
        assert!(kind.starts_with("multipart/x-mixed-replace"), "{kind}");
        Self {
            caller,
            head,
            rest: Vec::new(),
        }
    }

    async fn more(&mut self) {
        let line = String::from_utf8(self.caller.read_until("\r\n").await).unwrap();
        let size = usize::from_str_radix(line.trim_end(), 16).unwrap();
        assert!(size > 0, "the stream ended");
        self.rest.extend(self.caller.read_exactly(size).await);
        self.caller.read_exactly(2).await;
    }

    /// The next frame, which is a whole one.
    async fn frame(&mut self) -> Seen {
        let end = loop {
            match self.rest.windows(4).position(|four| four == b"\r\n\r\n") {
                Some(at) => break at + 4,
                None => self.more().await,
            }
        };
        let head = String::from_utf8(self.rest[..end].to_vec()).unwrap();
        assert!(head.starts_with("--"), "{head}");
        let field = |name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap().trim().to_owned()
        };
        let length: usize = field("Content-Length:").parse().unwrap();
        let timestamp = field("X-Timestamp:").parse().unwrap();
        while self.rest.len() < end + length + 2 {
            self.more().await;
        }
        let jpeg = self.rest[end..end + length].to_vec();
        assert!(jpeg.starts_with(&[0xff, 0xd8]) && jpeg.ends_with(&[0xff, 0xd9]));
        self.rest.drain(..end + length + 2);
        Seen { timestamp, jpeg }
    }

    /// It is broken off, not ended.
    async fn sees_its_end(mut self) {
        let (rest, _) = self.caller.read_to_end().await;
        assert!(!rest.ends_with(b"0\r\n\r\n"), "it passed for a whole one");
    }
}

#[tokio::test]
async fn however_many_watch_the_camera_has_one_viewer() {
    let house = House::new(AuthorityMode::Host).await;
    let other = house.connect(KeyScope::View).await;
    house.share().await;
    let cookie = house.sign_in().await;
    let (_, printer) = house.door.ids.clone().unwrap();
    let at_page = house.at_web_origin(&format!("/printers/{printer}/camera"), &cookie);
    let by_link = house.at_web_origin(&format!("/live/{SECRET}/camera"), "a=b");
    let mut viewers = Vec::new();
    for _ in 0..7 {
        viewers.push(house.watch(&house.door).await);
        viewers.push(house.watch(&other).await);
    }
    for _ in 0..3 {
        viewers.push(house.ask(&at_page).await);
        viewers.push(house.ask(&by_link).await);
    }
    assert_eq!(viewers.len(), 20);
    for _ in 0..3 {
        for viewer in &mut viewers {
            viewer.frame().await;
        }
        assert_eq!(house.sim.handle.viewers(), 1);
    }
    // The page of the relay's own keeps its own fields, and an app is told what the camera says.
    assert!(viewers[18].head.field("content-security-policy").is_some());
    assert!(viewers[0].head.field("content-security-policy").is_none());
    assert!(viewers[0].head.field("cache-control").is_some());
    assert!(
        viewers
            .iter()
            .all(|one| one.head.field("latchkey-camera").is_none())
    );

    // Nobody needs the camera any more: neither who comes now, nor single pictures.
    house.sim.close_camera();
    let mut late = house
        .ask(&house.door.head(&format!("{STREAM}&1764138000123"), &[]))
        .await;
    let seen = late.frame().await;
    let single = "GET /webcam/?action=snapshot";
    for picture in [
        house.told(&house.door, single, &[]).await,
        house.told(&other, single, &[]).await,
    ] {
        assert_eq!(picture.status(), 200);
        assert_eq!(picture.field("content-type"), Some("image/jpeg"));
        assert!(picture.body.len() > seen.jpeg.len() / 2);
        assert!(picture.body.starts_with(&[0xff, 0xd8]));
    }
    for path in [
        format!("/printers/{printer}/snapshot"),
        format!("/live/{SECRET}/snapshot"),
    ] {
        let mut caller = RawConnection::connect(house.relay.address).await;
        caller.send(house.at_web_origin(&path, &cookie)).await;
        let picture = caller.read_response().await;
        assert_eq!(picture.status(), 200, "{path}");
        assert!(picture.body.starts_with(&[0xff, 0xd8]));
    }
    drop((viewers, late));
    house.sim.has_viewers(0).await;
}

#[tokio::test]
async fn everybody_is_judged_while_it_runs() {
    let house = House::new(AuthorityMode::Host).await;
    let other = house.connect(KeyScope::View).await;
    let mut viewer = house.watch(&house.door).await;
    viewer.frame().await;
    // A key that the host does not know is not made good by the app connection.
    let wrong = house.told(&house.door, STREAM, &["X-Api-Key: own"]).await;
    assert_eq!(wrong.status(), 403);
    let command = "GET /webcam/?action=command&id=1";
    assert_eq!(house.told(&other, command, &[]).await.status(), 403);
    let mut stranger = RawConnection::connect(house.relay.address).await;
    let authority = &house.door.authority;
    stranger
        .send(format!("{STREAM} HTTP/1.1\r\nHost: {authority}\r\n\r\n"))
        .await;
    assert_eq!(stranger.read_response().await.status(), 606);
    viewer.frame().await;
    assert_eq!(house.sim.handle.viewers(), 1);
}

#[tokio::test]
async fn who_is_revoked_is_cut_and_the_others_go_on() {
    for authority in [AuthorityMode::Host, AuthorityMode::Upstream] {
        let house = House::new(authority).await;
        let other = house.connect(KeyScope::Full).await;
        // The one who opened it is the one who goes.
        let mut opener = house.watch(&house.door).await;
        let mut second = house.watch(&house.door).await;
        let mut stays = house.watch(&other).await;
        for viewer in [&mut opener, &mut second, &mut stays] {
            viewer.frame().await;
        }
        let (connection, _) = house.door.ids.as_ref().unwrap();
        let revoked = house.relay.life.revoke(&house.relay.account, connection);
        assert!(revoked.await.unwrap());
        opener.sees_its_end().await;
        second.sees_its_end().await;
        assert_eq!(house.told(&house.door, STREAM, &[]).await.status(), 604);
        for _ in 0..5 {
            stays.frame().await;
        }
        assert_eq!(house.sim.handle.viewers(), 1);
        // And the last one who leaves lets the camera go.
        drop(stays);
        house.sim.has_viewers(0).await;
        let mut again = house.watch(&other).await;
        again.frame().await;
        assert_eq!(house.sim.handle.viewers(), 1);
    }
}

/// A connection whose kernel takes little beyond what its program reads.
async fn narrow(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    let stream = socket.connect(address).await.unwrap();
    SockRef::from(&stream)
        .set_recv_buffer_size(4 * 1024)
        .unwrap();
    stream
}

#[tokio::test]
async fn who_stalls_delays_nobody() {
    let house = House::new(AuthorityMode::Host).await;
    let mut stalled = Vec::new();
    for _ in 0..3 {
        let mut caller = RawConnection::over(narrow(house.relay.address).await);
        caller.send(house.door.head(STREAM, &[])).await;
        stalled.push(caller);
    }
    let mut viewers = Vec::new();
    for _ in 0..9 {
        viewers.push(house.watch(&house.door).await);
    }
    // More than all buffers between the camera and somebody who reads nothing hold.
    let mut last = 0.0;
    for _ in 0..60 {
        for viewer in &mut viewers {
            let seen = viewer.frame().await;
            last = seen.timestamp.max(last);
        }
        let answer = house.told(&house.door, "GET /api/version", &[]).await;
        assert_eq!(answer.status(), 200);
    }
    assert_eq!(house.sim.handle.viewers(), 1);
    // Who reads again is shown whole frames.
    let mut back = Viewer::new(stalled.pop().unwrap()).await;
    let first = back.frame().await;
    assert!(first.timestamp < last, "it was in the buffers");
    while back.frame().await.timestamp < last {}
}

#[tokio::test]
async fn fewer_frames_are_shown_to_who_wants_fewer() {
    let house = House::new(AuthorityMode::Upstream).await;
    let mut all = house.watch(&house.door).await;
    let few = house.door.head(&format!("{STREAM}&fps=4"), &[]);
    let mut few = house.ask(&few).await;
    let mut last = few.frame().await.timestamp;
    for _ in 0..4 {
        let next = few.frame().await.timestamp;
        // A quarter of a second apart, less what one may be early and one came late.
        assert!(next - last > 0.1, "{}", next - last);
        last = next;
    }
    all.frame().await;
    assert_eq!(house.sim.handle.viewers(), 1);
}

#[tokio::test]
async fn a_camera_at_the_printers_own_server_is_shared_too() {
    let sim = Sim::start().await;
    let relay = RunningRelay::start(|_| {}).await;
    let door = relay.attach(sim.address, AccessMode::Enhanced, |host| {
        host.upstream.address = upstream(sim.address);
    });
    let door = door.await;
    let mut viewers = Vec::new();
    for cookie in ["Cookie: session=a", "Cookie: session=b", "X-Api-Key: own"] {
        let mut caller = door.connect().await;
        caller.send(door.head(STREAM, &[cookie])).await;
        viewers.push(Viewer::new(caller).await);
    }
    for viewer in &mut viewers {
        viewer.frame().await;
    }
    assert_eq!(sim.handle.viewers(), 1);
}

#[tokio::test]
async fn a_lost_tunnel_ends_it_and_the_next_one_shows_it_again() {
    let sim = Sim::start().await;
    let mut stack = Stack::before(format!("http://{}", sim.address))
        .authority_host(KEY)
        .host(
            "webcams",
            json!([{"path": "/webcam/", "url": format!("http://{}/webcam/", sim.address)}]),
        )
        .start()
        .await;
    let app = stack.connection(AccessMode::Bearer).clone();
    let ask = async || {
        let answer = app.get("/webcam/?action=stream").send().await;
        assert_eq!(answer.status(), 200);
        answer
    };
    let (mut one, mut other) = (ask().await, ask().await);
    for viewer in [&mut one, &mut other] {
        viewer.chunk().await.unwrap().expect("a frame");
    }
    assert_eq!(sim.handle.viewers(), 1);
    stack.host.kill().await;
    for mut viewer in [one, other] {
        within("the end", async {
            while let Ok(Some(_)) = viewer.chunk().await {}
        })
        .await;
    }
    sim.has_viewers(0).await;
    stack.start_host().await;
    let (mut one, mut other) = (ask().await, ask().await);
    for viewer in [&mut one, &mut other] {
        viewer.chunk().await.unwrap().expect("a frame");
    }
    assert_eq!(sim.handle.viewers(), 1);
}
