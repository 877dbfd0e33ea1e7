//! A person's own access to a printer, from the page of the web origin to the printer's server, which the test plays: how
//! a browser gets in, what the printer sees of it, who is kept out, and each way in which it ends with what it has open.

use std::time::Duration;

use futures_util::future::join_all;
use latchkey_model::access::KeyScope;
use latchkey_model::account::{Account, Email};
use latchkey_model::account_session::AccountSession;
use latchkey_model::app_connection::AccessMode;
use latchkey_model::chance::SystemChance;
use latchkey_model::clock::{Clock as _, SystemClock};
use latchkey_model::id::{AccountId, PrinterId, SessionId};
use latchkey_model::own_access::OwnLabel;
use latchkey_model::secret::SessionToken;
use tokio::time::Instant;

use crate::harness::inproc::{Door, Printer, RunningRelay};
use crate::harness::raw::{RawConnection, RawResponse};

/// The promise is 1 s; machines under test are slow.
const SOON: Duration = Duration::from_secs(5);

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
const UPGRADE: [&str; 4] = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];
const NAVIGATION: [&str; 3] = [
    "Sec-Fetch-Mode: navigate",
    "Sec-Fetch-Dest: document",
    "Sec-Fetch-Site: none",
];

/// A relay, a host, a printer that the test plays, its owner and somebody it is shared with.
struct House {
    relay: RunningRelay,
    printer: Printer,
    door: Door,
    member: AccountId,
}

/// Somebody's browser, signed in at the relay and let in at a hostname of theirs.
struct Person {
    account: AccountId,
    session: SessionId,
    /// At the web origin.
    sign_in: String,
    authority: String,
    /// At the hostname.
    cookie: String,
}

impl House {
    async fn new() -> Self {
        let relay = RunningRelay::start(|_| {}).await;
        let printer = Printer::start().await;
        let door = relay.attach(printer.address(), AccessMode::Enhanced, |_| {});
        let (door, ()) = tokio::join!(door, printer.answer_probe("403 Forbidden"));
        let member = Account::new(
            AccountId::generate(&SystemChance),
            Email::parse("member@latchkey.example").unwrap(),
            SystemClock.now(),
            "supporter".parse().unwrap(),
        );
        relay.store.accounts().create(&member, None).await.unwrap();
        let (_, id) = door.ids.as_ref().unwrap();
        let members = relay.store.members();
        let added = members.add(id, &member.id, SystemClock.now()).await;
        assert!(added.unwrap());
        Self {
            relay,
            printer,
            door,
            member: member.id,
        }
    }

    fn id(&self) -> &PrinterId {
        &self.door.ids.as_ref().unwrap().1
    }

    async fn sign_in(&self, account: &AccountId) -> (SessionId, String) {
        let now = SystemClock.now();
        let session = AccountSession {
            id: SessionId::generate(&SystemChance),
            account: account.clone(),
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
        (session.id, format!("lk_session={}", token.expose()))
    }

    /// One request to whatever name, and its answer.
    async fn ask(
        &self,
        authority: &str,
        request: &str,
        fields: &[&str],
        body: &str,
    ) -> RawResponse {
        let mut caller = RawConnection::connect(self.relay.address).await;
        let mut fields = fields.join("\r\n");
        if !fields.is_empty() {
            fields.push_str("\r\n");
        }
        let length = if body.is_empty() {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        let head = format!("{request} HTTP/1.1\r\nHost: {authority}\r\n{fields}{length}\r\n");
        caller.send(head + body).await;
        caller.read_response().await
    }

    fn web(&self) -> String {
        self.relay.config().public_url.authority().to_string()
    }

    /// The hostname, and a fresh code for it, from the page that leads there.
    async fn page(&self, sign_in: &str) -> (String, String) {
        let path = format!("GET /printers/{}/open", self.id());
        let cookie = format!("Cookie: {sign_in}");
        let page = self.ask(&self.web(), &path, &[&cookie], "").await;
        assert_eq!(page.status(), 200);
        let html = String::from_utf8(page.body).unwrap();
        let after = |before: &str| {
            let rest = html.split_once(before).expect("the page has a form").1;
            rest.split('"').next().unwrap().to_owned()
        };
        let enter = after("action=\"http://");
        let authority = enter.strip_suffix("/latchkey/enter").unwrap().to_owned();
        (authority, after("name=\"code\" value=\""))
    }

    async fn enter(&self, authority: &str, code: &str, origin: &str) -> RawResponse {
        let form = "Content-Type: application/x-www-form-urlencoded";
        let origin = format!("Origin: {origin}");
        let body = format!("code={code}");
        let fields = [form, &origin, "Sec-Fetch-Site: cross-site"];
        let request = "POST /latchkey/enter";
        self.ask(authority, request, &fields, &body).await
    }

    async fn open(&self, account: &AccountId) -> Person {
        let (session, sign_in) = self.sign_in(account).await;
        let (authority, code) = self.page(&sign_in).await;
        let origin = format!("http://{}", self.web());
        let answer = self.enter(&authority, &code, &origin).await;
        assert_eq!(
            (answer.status(), answer.field("location")),
            (303, Some("/"))
        );
        let cookie = answer.field("set-cookie").unwrap();
        assert!(cookie.contains("; HttpOnly; SameSite=Lax"), "{cookie}");
        assert!(!cookie.to_lowercase().contains("domain"), "{cookie}");
        Person {
            account: account.clone(),
            session,
            sign_in,
            authority,
            cookie: cookie.split(';').next().unwrap().to_owned(),
        }
    }

    /// Nobody at the printer's server hears of what happens meanwhile.
    async fn without_the_printer<T>(&self, what: impl Future<Output = T>) -> T {
        tokio::select! {
            biased;
            outcome = what => outcome,
            _ = self.printer.accept() => panic!("it reached the printer"),
        }
    }
}

impl Person {
    fn head(&self, request: &str, fields: &[&str]) -> String {
        let (authority, cookie) = (&self.authority, &self.cookie);
        let mut fields = fields.join("\r\n");
        if !fields.is_empty() {
            fields.push_str("\r\n");
        }
        format!(
            "{request} HTTP/1.1\r\nHost: {authority}\r\nCookie: a=1; {cookie}; b=2\r\n{fields}\r\n"
        )
    }

    fn label(&self) -> &str {
        self.authority.split('.').next().unwrap()
    }

    /// A request that is not to reach the printer.
    async fn told(&self, house: &House, request: &str, fields: &[&str]) -> RawResponse {
        house
            .without_the_printer(async {
                let mut caller = RawConnection::connect(house.relay.address).await;
                caller.send(self.head(request, fields)).await;
                caller.read_response().await
            })
            .await
    }
}

#[tokio::test]
async fn the_printer_sees_a_person_at_their_own_hostname_and_nothing_of_the_relays() {
    let house = House::new().await;
    let owner = house.open(&house.relay.account).await;
    let mut caller = RawConnection::connect(house.relay.address).await;
    let own = format!("Origin: http://{}", owner.authority);
    let fields = ["Content-Length: 2", &own, "Sec-Fetch-Site: same-origin"];
    caller
        .send(owner.head("POST /api/job", &fields) + "{}")
        .await;
    let mut upstream = house.printer.accept().await;
    let seen = upstream.read_request().await;
    assert_eq!(seen.values("cookie"), ["a=1; b=2"]);
    assert_eq!(seen.values("x-forwarded-host"), [owner.authority.as_str()]);
    let all = seen.fields.join("\n").to_lowercase();
    assert!(!all.contains("lk_"), "{all}");
    // A printer may set what it likes, but for what is ours, and for nobody else.
    upstream
        .send(
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\
             Set-Cookie: session_P80=x; Path=/; Domain=localhost\r\n\
             Set-Cookie: lk_own=evil; Path=/\r\n\
             Set-Cookie: __Host-lk_session=evil; Path=/; Secure\r\n\r\nok",
        )
        .await;
    let answer = caller.read_response().await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.values("set-cookie"), ["session_P80=x; Path=/"]);

    // Somebody else has another hostname; each cookie is good at its own.
    let member = house.open(&house.member).await;
    assert_ne!(member.authority, owner.authority);
    let stray = Person {
        cookie: owner.cookie.clone(),
        ..member
    };
    assert_eq!(stray.told(&house, "GET /", &[]).await.status(), 401);
}

#[tokio::test]
async fn who_is_not_signed_in_there_is_led_to_the_web_origin_whatever_the_name() {
    let house = House::new().await;
    let owner = house.open(&house.relay.account).await;
    let (_, domain) = owner.authority.split_once('.').unwrap();
    let unknown = OwnLabel::generate(&SystemChance);
    let unknown = format!("{unknown}.{domain}");
    let mut answers = Vec::new();
    for authority in [&owner.authority, &unknown] {
        let label = authority.split('.').next().unwrap();
        let asked = house.ask(authority, "GET /x?y", &NAVIGATION, "");
        let page = house.without_the_printer(asked).await;
        assert_eq!(page.status(), 303);
        let way_in = format!("http://{}/open/{label}", house.web());
        assert_eq!(page.field("location"), Some(way_in.as_str()));
        let asked = house.ask(authority, "GET /api/version", &[], "");
        let call = house.without_the_printer(asked).await;
        assert_eq!(call.status(), 401);
        let framed = ["Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"];
        let framed = house.ask(authority, "GET /", &framed, "").await;
        assert_eq!(framed.status(), 401);
        let fake = format!("Cookie: lk_own=lk_own_{}.AAAA", "a".repeat(47));
        let fake = house.ask(authority, "GET /", &[&fake], "").await;
        assert_eq!(fake.status(), 401);
        let fields = |answer: &RawResponse| {
            let names = answer
                .fields
                .iter()
                .filter_map(|field| field.split(':').next());
            names.map(str::to_lowercase).collect::<Vec<_>>()
        };
        let told = [&page, &call, &framed, &fake].map(fields);
        assert!(told.iter().flatten().all(|name| name != "clear-site-data"));
        answers.push(told);
    }
    assert_eq!(answers[0], answers[1], "a name tells whether it exists");
}

#[tokio::test]
async fn a_code_is_taken_once_from_a_page_of_the_web_origin_only() {
    let house = House::new().await;
    let (_, sign_in) = house.sign_in(&house.relay.account).await;
    let origin = format!("http://{}", house.web());
    let (authority, code) = house.page(&sign_in).await;
    for foreign in [
        "https://evil.example",
        "null",
        &format!("http://{authority}"),
    ] {
        let answer = house.enter(&authority, &code, foreign).await;
        assert_eq!((answer.status(), answer.field("set-cookie")), (403, None));
    }
    let bare = house
        .ask(&authority, "POST /latchkey/enter", &[], "code=x")
        .await;
    assert_eq!(bare.status(), 403);
    let large = "x".repeat(5000);
    assert_eq!(house.enter(&authority, &large, &origin).await.status(), 400);
    // Nothing of that used it up.
    let entered = house.enter(&authority, &code, &origin).await;
    assert_eq!(entered.field("location"), Some("/"));
    for code in [code.as_str(), "", "nonsense"] {
        let again = house.enter(&authority, code, &origin).await;
        assert_eq!((again.status(), again.field("set-cookie")), (303, None));
        let label = authority.split('.').next().unwrap();
        let way_in = format!("{origin}/open/{label}");
        assert_eq!(again.field("location"), Some(way_in.as_str()));
    }
}

#[tokio::test]
async fn a_page_of_another_address_reaches_nothing_with_the_cookie() {
    let house = House::new().await;
    let owner = house.open(&house.relay.account).await;
    let neighbour = format!(
        "Origin: http://{}",
        owner
            .authority
            .replace("own-", "own-a")
            .replacen('b', "c", 1)
    );
    let (same_site, cross_site) = ("Sec-Fetch-Site: same-site", "Sec-Fetch-Site: cross-site");
    let socket = |origin: &'static str| {
        let mut fields = UPGRADE.to_vec();
        fields.push(origin);
        fields
    };
    for (request, fields) in [
        ("POST /api/job", vec![neighbour.as_str()]),
        ("POST /api/job", vec![same_site]),
        ("DELETE /api/files/local/a", vec![cross_site]),
        ("GET /websocket", socket("Origin: https://evil.example")),
        ("GET /websocket", socket("Origin: null")),
        (
            "GET /webcam/?action=snapshot",
            vec![same_site, "Sec-Fetch-Dest: image"],
        ),
        (
            "GET /",
            vec![
                same_site,
                "Sec-Fetch-Mode: navigate",
                "Sec-Fetch-Dest: iframe",
            ],
        ),
    ] {
        let answer = owner.told(&house, request, &fields).await;
        assert_eq!(answer.status(), 403, "{request} {fields:?}");
    }
    // A person who follows a link is let in.
    let mut caller = RawConnection::connect(house.relay.address).await;
    let fields = [
        cross_site,
        "Sec-Fetch-Mode: navigate",
        "Sec-Fetch-Dest: document",
    ];
    caller.send(owner.head("GET /", &fields)).await;
    let mut upstream = house.printer.accept().await;
    upstream.read_request().await;
    upstream.send(OK).await;
    assert_eq!(caller.read_response().await.status(), 200);
}

#[tokio::test]
async fn who_may_only_watch_changes_nothing() {
    let house = House::new().await;
    let life = &house.relay.life;
    let lowered = life.set_member_level(house.id(), &house.member, KeyScope::View);
    assert!(lowered.await.unwrap());
    let member = house.open(&house.member).await;
    let own = format!("Origin: http://{}", member.authority);
    let refused = member.told(&house, "POST /api/job", &[&own]).await;
    assert_eq!(refused.status(), 403);
    let mut caller = RawConnection::connect(house.relay.address).await;
    caller.send(member.head("GET /api/version", &[])).await;
    let mut upstream = house.printer.accept().await;
    upstream.read_request().await;
    upstream.send(OK).await;
    assert_eq!(caller.read_response().await.status(), 200);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    SignedOut,
    SignedOutByAnother,
    Lowered,
    MemberEnded,
    PrinterRemoved,
    AccountDeleted,
    Suspended,
    OwnerSuspended,
}

impl How {
    async fn happens(self, house: &House, person: &Person) {
        let RunningRelay { life, account, .. } = &house.relay;
        let printer = house.id();
        match self {
            Self::SignedOut => {
                let cookie = format!("Cookie: {}", person.sign_in);
                let page = house
                    .ask(&house.web(), "GET /account", &[&cookie], "")
                    .await;
                let form = page.field("set-cookie").unwrap();
                let form = form.split(';').next().unwrap();
                let html = String::from_utf8(page.body.clone()).unwrap();
                let token = html.split_once("name=\"csrf_token\" value=\"").unwrap().1;
                let token = token.split('"').next().unwrap();
                let cookie = format!("Cookie: {}; {form}", person.sign_in);
                let kind = "Content-Type: application/x-www-form-urlencoded";
                let body = format!("csrf_token={token}");
                let fields = [cookie.as_str(), kind];
                let out = house
                    .ask(&house.web(), "POST /sign-out", &fields, &body)
                    .await;
                assert_eq!(out.status(), 303);
            }
            Self::SignedOutByAnother => {
                let store = house.relay.open_store().await;
                let ended = store.sessions().end(&person.account, &person.session).await;
                assert!(ended.unwrap());
            }
            Self::Lowered => {
                let lowered = life.set_member_level(printer, &person.account, KeyScope::View);
                assert!(lowered.await.unwrap());
            }
            Self::MemberEnded => {
                assert!(life.remove_member(printer, &person.account).await.unwrap());
            }
            Self::PrinterRemoved => assert!(life.remove_printer(account, printer).await.unwrap()),
            Self::AccountDeleted => assert!(life.delete_account(&person.account).await.unwrap()),
            Self::Suspended => assert!(life.suspend(&person.account, "unpaid").await.unwrap()),
            Self::OwnerSuspended => assert!(life.suspend(account, "unpaid").await.unwrap()),
        }
    }

    /// Whether the hostname leads nowhere for good.
    fn is_over(self) -> bool {
        matches!(
            self,
            Self::MemberEnded | Self::PrinterRemoved | Self::AccountDeleted
        )
    }
}

async fn everything_open_is_cut(how: How) {
    let house = House::new().await;
    let person = house.open(&house.member).await;
    let mut open = Vec::new();
    for (request, fields, answer) in [
        ("GET /poll", &[][..], ""),
        ("GET /websocket", &UPGRADE[..], SWITCH),
        (
            "GET /download",
            &[],
            "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nbegins",
        ),
        ("POST /upload", &["Content-Length: 1000000"], ""),
    ] {
        let mut caller = RawConnection::connect(house.relay.address).await;
        caller.send(person.head(request, fields)).await;
        let mut upstream = house.printer.accept().await;
        upstream.read_request_head().await;
        if !answer.is_empty() {
            upstream.send(answer).await;
            caller.read_response_head().await;
        }
        open.push((request, caller, upstream));
    }
    let began = Instant::now();
    how.happens(&house, &person).await;
    join_all(
        open.into_iter()
            .map(async |(request, mut caller, mut upstream)| {
                let at_caller = async {
                    if request == "GET /poll" || request.starts_with("POST") {
                        let status = caller.read_response().await.status();
                        let expected = match how {
                            // At another level they are still in.
                            How::Lowered => [600, 600],
                            // With the printer its host goes, which may be seen first.
                            How::PrinterRemoved => [601, 401],
                            _ => [401, 401],
                        };
                        assert!(expected.contains(&status), "{how:?} {request}: {status}");
                    } else {
                        caller.read_to_end().await;
                    }
                    assert!(began.elapsed() < SOON, "{how:?} {request} at the caller");
                };
                let at_printer = async {
                    upstream.read_to_end().await;
                    assert!(began.elapsed() < SOON, "{how:?} {request} at the printer");
                };
                tokio::join!(at_caller, at_printer)
            }),
    )
    .await;
    if how == How::Lowered {
        let own = format!("Origin: http://{}", person.authority);
        let told = person.told(&house, "POST /api/job", &[&own]).await;
        assert_eq!(told.status(), 403);
        return;
    }
    let page = person.told(&house, "GET /", &NAVIGATION).await;
    let taken = page.field("set-cookie").unwrap_or_default();
    assert!(
        taken.starts_with("lk_own=;") && taken.contains("Max-Age=0"),
        "{taken}"
    );
    if how.is_over() {
        assert_eq!(page.status(), 404, "{how:?}");
        assert_eq!(page.field("clear-site-data"), Some("\"*\""));
    } else {
        assert_eq!((page.status(), page.field("clear-site-data")), (303, None));
        let location = page.field("location").unwrap();
        assert!(location.ends_with(&format!("/open/{}", person.label())));
    }
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
    signing_out_cuts_everything_open: SignedOut,
    a_session_ended_by_another_program_cuts_everything_open: SignedOutByAnother,
    a_lower_level_cuts_everything_open: Lowered,
    the_end_of_a_membership_cuts_everything_open: MemberEnded,
    removing_the_printer_cuts_everything_open: PrinterRemoved,
    deleting_the_account_cuts_everything_open: AccountDeleted,
    a_suspension_cuts_everything_open: Suspended,
    the_owners_suspension_cuts_everything_open: OwnerSuspended,
}
