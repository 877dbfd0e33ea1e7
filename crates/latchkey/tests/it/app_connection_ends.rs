//! The life of an app connection: each way in which it ends or rests, with everything it can have open. What is open is
//! cut at the caller and at the printer, and what is asked next is told the truth.

use std::time::Duration;

use futures_util::future::join_all;
use http_body_util::BodyExt as _;
use latchkey_host::relay::Link;
use latchkey_model::access::KeyScope;
use latchkey_model::account::{Account, Email};
use latchkey_model::app_connection::AccessMode;
use latchkey_model::chance::SystemChance;
use latchkey_model::clock::{Clock as _, SystemClock};
use latchkey_model::id::AccountId;
use latchkey_net::body;
use latchkey_net::tunnel::DialState;
use tokio::time::Instant;

use crate::harness::inproc::{Door, Printer, RunningRelay};
use crate::harness::raw::RawConnection;
use crate::harness::{eventually, within};

/// The promise is 1 s for this relay's own pages and 3 s for others; machines under test are slow.
const SOON: Duration = Duration::from_secs(2);
const AFTER_A_LOOK: Duration = Duration::from_secs(5);

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
const UPGRADE: [&str; 4] = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];
const FRAME: &[u8] = b"--x\r\nContent-Type: image/jpeg\r\nContent-Length: 7\r\n\r\npicture\r\n";

/// A relay, a host, a printer that the test plays, and an app connection to it.
struct House {
    relay: RunningRelay,
    printer: Printer,
    door: Door,
    /// Who allowed the app connection, if that is not the printer's owner; and the owner's own,
    /// which keeps the host's folder.
    member: Option<(AccountId, Door)>,
}

impl House {
    /// One whose app connection was allowed by somebody with whom the printer is shared.
    async fn of_member() -> Self {
        let mut house = Self::new().await;
        let (_, printer) = house.door.ids.clone().unwrap();
        let store = &house.relay.store;
        let member = Account::new(
            AccountId::generate(&SystemChance),
            Email::parse("member@latchkey.example").unwrap(),
            SystemClock.now(),
            "supporter".parse().unwrap(),
        );
        store.accounts().create(&member, None).await.unwrap();
        let members = store.members();
        let added = members.add(&printer, &member.id, SystemClock.now()).await;
        assert!(added.unwrap());
        let (access, scope) = (AccessMode::Enhanced, KeyScope::Full);
        let relay = &house.relay;
        let door = relay.connect_for(&member.id, &printer, access, scope).await;
        let owners = std::mem::replace(&mut house.door, door);
        house.member = Some((member.id, owners));
        house
    }

    async fn new() -> Self {
        // Long enough to be asked something while it stops.
        let relay = RunningRelay::start(|relay| relay.drain = Duration::from_secs(30)).await;
        let printer = Printer::start().await;
        let door = relay.attach(printer.address(), AccessMode::Enhanced, |_| {});
        let (door, ()) = tokio::join!(door, printer.answer_probe("403 Forbidden"));
        Self {
            relay,
            printer,
            door,
            member: None,
        }
    }

    /// What a request is told that shows this.
    async fn told(&self, authorization: Option<&str>) -> u16 {
        let mut caller = self.door.connect().await;
        let mut head = format!("GET /later HTTP/1.1\r\nHost: {}\r\n", self.door.authority);
        if let Some(authorization) = authorization {
            head.extend(["Authorization: ", authorization, "\r\n"]);
        }
        caller.send(head + "\r\n").await;
        caller.read_response().await.status()
    }

    /// What the right credentials, wrong ones and none are told.
    async fn all_told(&self) -> [u16; 3] {
        let right = self.door.authorization().unwrap();
        [
            self.told(Some(&right)).await,
            self.told(Some("Bearer wrong")).await,
            self.told(None).await,
        ]
    }

    /// A request that the printer answers.
    async fn works(&self) {
        let mut caller = self.door.connect().await;
        caller.send(self.door.head("GET /works", &[])).await;
        let mut upstream = self.printer.accept().await;
        upstream.read_request().await;
        upstream.send(OK).await;
        assert_eq!(caller.read_response().await.status(), 200);
    }

    async fn open(&self, kind: Kind) -> Opened {
        let mut caller = self.door.connect().await;
        caller.send(kind.request(&self.door)).await;
        let mut upstream = self.printer.accept().await;
        upstream.read_request_head().await;
        match kind {
            Kind::Waiting => {}
            Kind::Socket => {
                upstream.send(SWITCH).await;
                assert_eq!(caller.read_response_head().await.status(), 101);
                upstream.send([0x81, 2, b'h', b'i']).await;
                caller.read_until(b"hi").await;
            }
            Kind::Camera => {
                let kind = "Content-Type: multipart/x-mixed-replace;boundary=x";
                upstream
                    .send(format!("HTTP/1.1 200 OK\r\n{kind}\r\n\r\n"))
                    .await;
                upstream.send(FRAME).await;
                assert_eq!(caller.read_response_head().await.status(), 200);
                caller.read_until("picture").await;
            }
            Kind::Download => {
                upstream
                    .send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nbegins")
                    .await;
                assert_eq!(caller.read_response_head().await.status(), 200);
                caller.read_until("begins").await;
            }
            Kind::Upload => {
                caller.send("begins").await;
                upstream.read_until("begins").await;
            }
        }
        Opened {
            kind,
            caller,
            upstream,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Waiting,
    Socket,
    Camera,
    Download,
    Upload,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::Waiting,
        Self::Socket,
        Self::Camera,
        Self::Download,
        Self::Upload,
    ];

    fn request(self, door: &Door) -> String {
        match self {
            Self::Waiting => door.head("GET /poll", &[]),
            Self::Socket => door.head("GET /websocket", &UPGRADE),
            Self::Camera => door.head("GET /webcam/?action=stream", &[]),
            Self::Download => door.head("GET /downloads/files/local/big.gcode", &[]),
            Self::Upload => door.head("POST /api/files/local", &["Content-Length: 1000000"]),
        }
    }
}

/// Something open, from both ends.
struct Opened {
    kind: Kind,
    caller: RawConnection,
    upstream: RawConnection,
}

impl Opened {
    /// Waits for the cut. When each end saw it, from `began` on.
    async fn cut(self, began: Instant, told: u16) -> (Kind, Duration, Duration) {
        let Self {
            kind,
            mut caller,
            mut upstream,
        } = self;
        let at_caller = async {
            match kind {
                // No answer has begun, so there is one to give.
                Kind::Waiting | Kind::Upload => {
                    assert_eq!(caller.read_response().await.status(), told, "{kind:?}");
                }
                Kind::Socket => {
                    let (rest, _) = caller.read_to_end().await;
                    // 1008: what let it in has ended. Not 1000 or 1002, nor a socket that just dies.
                    assert_eq!(rest, [0x88, 2, 0x03, 0xF0]);
                }
                Kind::Camera | Kind::Download => {
                    let (rest, _) = caller.read_to_end().await;
                    assert!(
                        !rest.ends_with(b"0\r\n\r\n"),
                        "half an answer passed for a whole one"
                    );
                }
            }
            began.elapsed()
        };
        let at_printer = async {
            upstream.read_to_end().await;
            began.elapsed()
        };
        let (at_caller, at_printer) = tokio::join!(at_caller, at_printer);
        (kind, at_caller, at_printer)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Revoked,
    AllRevoked,
    MemberEnded,
    PrinterRemoved,
    AccountDeleted,
    Suspended,
    Downgraded,
    RevokedByAnother,
    DeletedByAnother,
    SuspendedByAnother,
    DowngradedByAnother,
}

impl How {
    async fn happens(self, house: &House) {
        let RunningRelay { life, account, .. } = &house.relay;
        let (connection, printer) = house.door.ids.as_ref().unwrap();
        let now = SystemClock.now();
        let free = "free".parse().unwrap();
        match self {
            Self::Revoked => assert!(life.revoke(account, connection).await.unwrap()),
            Self::AllRevoked => assert_eq!(life.revoke_all(account, printer).await.unwrap(), 1),
            Self::MemberEnded => {
                let (member, _) = house.member.as_ref().unwrap();
                assert!(life.remove_member(printer, member).await.unwrap());
            }
            Self::PrinterRemoved => assert!(life.remove_printer(account, printer).await.unwrap()),
            Self::AccountDeleted => assert!(life.delete_account(account).await.unwrap()),
            Self::Suspended => assert!(life.suspend(account, "unpaid").await.unwrap()),
            Self::Downgraded => assert!(life.set_plan(account, &free).await.unwrap()),
            Self::RevokedByAnother => {
                let store = house.relay.open_store().await;
                let reason = latchkey_model::app_connection::EndReason::Revoked;
                let ended = store.app_connections().end(connection, reason, now).await;
                assert!(ended.unwrap());
            }
            Self::DeletedByAnother => {
                let store = house.relay.open_store().await;
                let deleted = store.accounts().delete(account, now).await.unwrap();
                assert_eq!(deleted.unwrap().app_connections.len(), 1);
            }
            Self::SuspendedByAnother => {
                let store = house.relay.open_store().await;
                let suspension = latchkey_model::account::Suspension {
                    at: now,
                    reason: "unpaid".to_owned(),
                };
                assert!(
                    store
                        .accounts()
                        .suspend(account, &suspension)
                        .await
                        .unwrap()
                );
            }
            Self::DowngradedByAnother => {
                let store = house.relay.open_store().await;
                assert!(store.accounts().set_plan(account, &free).await.unwrap());
            }
        }
    }

    fn is_another(self) -> bool {
        format!("{self:?}").ends_with("ByAnother")
    }

    /// What the right credentials, wrong ones and none are told from then on.
    fn told(self) -> [u16; 3] {
        match self {
            // Whoever owns it may not use it: the credentials do not matter.
            Self::Suspended
            | Self::Downgraded
            | Self::SuspendedByAnother
            | Self::DowngradedByAnother => [605, 605, 605],
            // It is over, which only its app may know.
            _ => [604, 603, 603],
        }
    }
}

#[expect(clippy::print_stdout, reason = "what was measured is to be seen")]
async fn everything_open_is_cut(how: How) {
    let house = match how {
        How::MemberEnded => House::of_member().await,
        _ => House::new().await,
    };
    let mut open = Vec::new();
    for kind in Kind::ALL {
        open.push(house.open(kind).await);
    }
    assert_eq!(house.told(Some("Bearer wrong")).await, 606);
    let began = Instant::now();
    how.happens(&house).await;
    let told = how.told();
    let cut = join_all(open.into_iter().map(|open| open.cut(began, told[0]))).await;
    let limit = if how.is_another() { AFTER_A_LOOK } else { SOON };
    for (kind, at_caller, at_printer) in cut {
        println!(
            "{how:?}: {kind:?} cut after {} ms at the caller, {} ms at the printer",
            at_caller.as_millis(),
            at_printer.as_millis()
        );
        assert!(at_caller < limit && at_printer < limit, "{how:?} {kind:?}");
    }
    assert_eq!(house.all_told().await, told, "{how:?}");
}

macro_rules! each_end {
    ($($name:ident: $how:ident,)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            everything_open_is_cut(How::$how).await;
        }
    )+};
}

each_end! {
    a_revocation_cuts_everything_open: Revoked,
    revoking_all_of_a_printer_cuts_everything_open: AllRevoked,
    the_end_of_a_membership_cuts_everything_open: MemberEnded,
    removing_the_printer_cuts_everything_open: PrinterRemoved,
    deleting_the_account_cuts_everything_open: AccountDeleted,
    a_suspension_cuts_everything_open: Suspended,
    a_plan_without_app_connections_cuts_everything_open: Downgraded,
    a_revocation_by_another_program_cuts_everything_open: RevokedByAnother,
    an_account_deleted_by_another_program_cuts_everything_open: DeletedByAnother,
    a_suspension_by_another_program_cuts_everything_open: SuspendedByAnother,
    a_plan_set_by_another_program_cuts_everything_open: DowngradedByAnother,
}

#[tokio::test]
async fn what_rested_works_again_with_nothing_to_set_up() {
    let house = House::new().await;
    let RunningRelay { life, account, .. } = &house.relay;
    let (free, supporter) = ("free".parse().unwrap(), "supporter".parse().unwrap());
    assert!(life.set_plan(account, &free).await.unwrap());
    assert_eq!(house.all_told().await, [605; 3]);
    assert!(life.set_plan(account, &supporter).await.unwrap());
    house.works().await;
    assert!(life.suspend(account, "unpaid").await.unwrap());
    assert_eq!(house.all_told().await, [605; 3]);
    assert!(life.unsuspend(account).await.unwrap());
    house.works().await;
    // And it still ends at once afterwards.
    let open = house.open(Kind::Camera).await;
    let (connection, _) = house.door.ids.as_ref().unwrap();
    assert!(life.revoke(account, connection).await.unwrap());
    within("the cut", open.cut(Instant::now(), 604)).await;
}

#[tokio::test]
async fn another_app_connection_of_the_printer_goes_on() {
    let house = House::new().await;
    let other = house.relay.life.clone();
    let (first, printer) = house.door.ids.clone().unwrap();
    let open = house.open(Kind::Download).await;
    let stays = house.open_another(&printer).await;
    assert!(other.revoke(&house.relay.account, &first).await.unwrap());
    within("the cut", open.cut(Instant::now(), 604)).await;
    let Opened {
        mut caller,
        mut upstream,
        ..
    } = stays;
    upstream.send("more").await;
    caller.read_until("more").await;
}

impl House {
    /// A download of a second app connection to the same printer.
    async fn open_another(&self, printer: &latchkey_model::id::PrinterId) -> Opened {
        let door = self.relay.connect(printer, AccessMode::Bearer).await;
        let mut caller = door.connect().await;
        caller.send(Kind::Download.request(&door)).await;
        let mut upstream = self.printer.accept().await;
        upstream.read_request_head().await;
        upstream
            .send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nbegins")
            .await;
        caller.read_until("begins").await;
        Opened {
            kind: Kind::Download,
            caller,
            upstream,
        }
    }
}

#[tokio::test]
async fn a_caller_that_takes_nothing_does_not_keep_the_printer_busy() {
    let house = House::new().await;
    let Opened {
        caller,
        mut upstream,
        ..
    } = house.open(Kind::Download).await;
    // Until all buffers on the way are full.
    let piece = vec![7; 256 * 1024];
    let full = Duration::from_secs(1);
    while tokio::time::timeout(full, upstream.try_send(&piece))
        .await
        .is_ok_and(|sent| sent.is_ok())
    {}
    let (connection, _) = house.door.ids.as_ref().unwrap();
    let began = Instant::now();
    let revoked = house.relay.life.revoke(&house.relay.account, connection);
    assert!(revoked.await.unwrap());
    upstream.read_to_end().await;
    println!(
        "a stalled download was cut after {} ms",
        began.elapsed().as_millis()
    );
    assert!(began.elapsed() < SOON);
    drop(caller);
}

#[tokio::test]
async fn over_http2_the_streams_are_reset_and_the_connection_goes_on() {
    let house = House::new().await;
    let mut caller = house.door.http2().await;
    let get = |path| {
        house
            .door
            .http2_request("GET", path)
            .body(body::empty())
            .unwrap()
    };
    let flowing = tokio::spawn(caller.send_request(get("/webcam/?action=stream")));
    let mut upstream = house.printer.accept().await;
    upstream.read_request().await;
    upstream
        .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        .await;
    let mut answer = within("the answer", flowing).await.unwrap().unwrap();
    let frame = within("a frame", answer.frame()).await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "one");
    let waiting = tokio::spawn(caller.send_request(get("/poll")));
    let mut polled = house.printer.accept().await;
    polled.read_request().await;
    let (connection, _) = house.door.ids.as_ref().unwrap();
    let revoked = house.relay.life.revoke(&house.relay.account, connection);
    assert!(revoked.await.unwrap());
    let cut = within("the reset", answer.frame()).await.unwrap();
    assert!(cut.is_err(), "the stream has to be reset, not ended");
    let told = within("the answer", waiting).await.unwrap().unwrap();
    assert_eq!(told.status(), 604);
    upstream.read_to_end().await;
    polled.read_to_end().await;
    let next = within("the next answer", caller.send_request(get("/next"))).await;
    assert_eq!(next.unwrap().status(), 604);
}

#[tokio::test]
async fn a_host_whose_printer_was_removed_hears_that_it_is_unpaired() {
    let house = House::new().await;
    let mut link = house.door.link.clone().unwrap();
    assert!(matches!(link.borrow().state, DialState::Connected { .. }));
    How::PrinterRemoved.happens(&house).await;
    let unpaired = |link: &Link| matches!(link.state, DialState::Waiting { unpaired: true, .. });
    within("the host to hear of it", link.wait_for(unpaired))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_host_whose_printer_another_program_removed_hears_of_it_too() {
    let house = House::new().await;
    let mut link = house.door.link.clone().unwrap();
    How::DeletedByAnother.happens(&house).await;
    let unpaired = |link: &Link| matches!(link.state, DialState::Waiting { unpaired: true, .. });
    within("the host to hear of it", link.wait_for(unpaired))
        .await
        .unwrap();
}

#[tokio::test]
async fn use_is_counted_while_a_socket_is_open() {
    let house = House::new().await;
    let Opened {
        mut caller,
        mut upstream,
        ..
    } = house.open(Kind::Socket).await;
    let message = [&[0x82, 125][..], &[7; 125]].concat();
    upstream.send(&message).await;
    caller.read_exactly(message.len()).await;
    let (_, printer) = house.door.ids.as_ref().unwrap();
    let store = house.relay.store.clone();
    let usage = async || {
        let listed = store.app_connections();
        let listed = listed.list_by_printer(&house.relay.account, printer).await;
        listed.unwrap()[0].usage
    };
    eventually("the use to be written", async || {
        let usage = usage().await;
        // The frame before this one, too. The harness asks until the door is ready, so there are more requests.
        usage.bytes >= 131 && usage.requests >= 1 && usage.last_used.is_some()
    })
    .await;
    let before = usage().await;
    caller.send(&[0x81, 0x82, 0, 0, 0, 0, b'y', b'o']).await;
    upstream.read_until("yo").await;
    eventually("more use to be written", async || {
        usage().await.bytes == before.bytes + 8
    })
    .await;
    assert_eq!(usage().await.requests, before.requests);
}

#[tokio::test]
async fn a_relay_that_stops_still_notices_ends() {
    let house = House::new().await;
    let open = house.open(Kind::Download).await;
    house.relay.stop.soft.cancel();
    // It takes nothing new any more.
    eventually("the relay to stop", async || {
        tokio::net::TcpStream::connect(house.door.address)
            .await
            .is_err()
    })
    .await;
    let began = Instant::now();
    How::RevokedByAnother.happens(&house).await;
    let (_, at_caller, at_printer) = within("the cut", open.cut(began, 604)).await;
    assert!(at_caller < AFTER_A_LOOK && at_printer < AFTER_A_LOOK);
    within("the relay to end", house.relay.running)
        .await
        .unwrap();
}

#[tokio::test]
async fn use_is_written_when_the_relay_stops() {
    let house = House::new().await;
    house.works().await;
    let before = Instant::now();
    let store = house.relay.open_store().await;
    house.relay.stop.soft.cancel();
    within("the relay to end", house.relay.running)
        .await
        .unwrap();
    assert!(
        before.elapsed() < Duration::from_secs(4),
        "it was not written because of its time"
    );
    let (_, printer) = house.door.ids.as_ref().unwrap();
    let listed = store.app_connections();
    let listed = listed
        .list_by_printer(&house.relay.account, printer)
        .await
        .unwrap();
    // The answer's "ok", and what the door asked before it was ready.
    let usage = listed[0].usage;
    assert!(usage.requests >= 2 && usage.bytes >= 2, "{usage:?}");
}
