use std::net::Ipv4Addr;

use ::http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use ::http::{HeaderMap, Request, StatusCode};
use axum::body::Body;
use http_body_util::BodyExt as _;
use latchkey_model::account::Email;
use latchkey_model::chance::SeededChance;
use latchkey_model::clock::{FixedClock, Timestamp};
use latchkey_net::tunnel::HostIdentity;
use latchkey_store::relay::SignIn;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::config::PublicUrl;
use crate::mail::Mail;
use crate::pages::visit::Arrival;
use crate::sessions::Visitor;
use crate::state::State;

const RELAY: &str = "relay.example.com";
/// 2025-10-09.
const NOW: i64 = 1_760_000_000_000;

struct Bench {
    state: State,
    clock: FixedClock,
    chance: Arc<SeededChance>,
    nonce: std::cell::Cell<u8>,
}

struct Person {
    account: Account,
    cookie: String,
}

struct Page {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Page {
    fn location(&self) -> &str {
        self.headers
            .get(LOCATION)
            .map_or("", |value| value.to_str().unwrap())
    }

    fn token(&self) -> String {
        let (_, rest) = self
            .text
            .split_once("name=\"csrf_token\" value=\"")
            .unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

impl Bench {
    async fn new() -> Self {
        let clock = FixedClock::new(Timestamp::from_millis(NOW));
        let chance = Arc::new(SeededChance::new(7));
        let store = RelayStore::open_in_memory().await.unwrap();
        let url = "https://relay.example.com".parse().unwrap();
        let config = Arc::new(Config {
            public_url: PublicUrl::from_url(&url).unwrap(),
            ..crate::tests::config()
        });
        let (as_clock, as_chance): (Arc<dyn Clock>, Arc<dyn Chance>) =
            (Arc::new(clock.clone()), Arc::clone(&chance) as _);
        let state = crate::tests::state(config, store, &as_clock, &as_chance, Mail::off());
        Self {
            state,
            clock,
            chance,
            nonce: std::cell::Cell::new(0),
        }
    }

    fn later(&self, seconds: i64) {
        let now = self.clock.now().millis() + seconds * 1000;
        self.clock.set(Timestamp::from_millis(now));
    }

    async fn person(&self, email: &str) -> Person {
        let account = Account::new(
            AccountId::generate(&*self.chance),
            Email::parse(email).unwrap(),
            self.clock.now(),
            "supporter".parse().unwrap(),
        );
        let accounts = self.state.store.accounts();
        accounts.create(&account, None).await.unwrap();
        let visitor = Visitor {
            headers: &HeaderMap::new(),
            address: Ipv4Addr::LOCALHOST.into(),
        };
        let proved = SignIn {
            account: account.clone(),
            password_hash: None,
        };
        let opened = self.state.sessions.open(&proved, &visitor).await.unwrap();
        let opened = opened.unwrap();
        let first = |set: &::http::HeaderValue| {
            let text = set.to_str().unwrap();
            text.split(';').next().unwrap().to_owned()
        };
        let mut person = Person {
            account,
            cookie: first(&opened.cookie),
        };
        let page = self.get(&person, "/pair").await;
        person.cookie = format!("{}; {}", person.cookie, first(&page.headers[SET_COOKIE]));
        person
    }

    async fn ask(&self, request: ::http::request::Builder, body: Body) -> Page {
        self.ask_from(request, body, 5).await
    }

    async fn ask_from(&self, request: ::http::request::Builder, body: Body, from: u8) -> Page {
        let mut request: Request<Body> = request.body(body).unwrap();
        request.extensions_mut().insert(Arrival {
            address: Ipv4Addr::new(203, 0, from, 9).into(),
            request_id: "req".to_owned(),
        });
        let router = crate::web_origin::router(self.state.clone());
        let response = router.oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let text = body.collect().await.unwrap().to_bytes();
        Page {
            status: head.status,
            headers: head.headers,
            text: String::from_utf8(text.to_vec()).unwrap(),
        }
    }

    async fn get(&self, person: &Person, path: &str) -> Page {
        let request = Request::get(path).header(COOKIE, &person.cookie);
        self.ask(request, Body::empty()).await
    }

    async fn post(&self, person: &Person, fields: &[(&str, &str)]) -> Page {
        let token = self.get(person, "/pair").await.token();
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .append_pair("csrf_token", &token)
            .finish();
        let request = Request::post("/pair")
            .header(COOKIE, &person.cookie)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.ask(request, Body::from(body)).await
    }

    async fn api(&self, path: &str, body: &Value) -> Page {
        self.api_from(path, body, 5).await
    }

    async fn api_from(&self, path: &str, body: &Value, from: u8) -> Page {
        let request = Request::post(path).header(CONTENT_TYPE, "application/json");
        self.ask_from(request, Body::from(body.to_string()), from)
            .await
    }

    fn wish(&self, identity: &HostIdentity) -> Value {
        self.nonce.set(self.nonce.get() + 1);
        let now = self.clock.now().millis() / 1000;
        let nonce = [self.nonce.get(); 32];
        json!(PairingStart::sign(identity, RELAY, "octopi", now, &nonce))
    }

    /// A host that waits: its code and what it asks by.
    async fn waiting(&self, identity: &HostIdentity) -> (String, String) {
        let started = self.api("/api/pairing", &self.wish(identity)).await;
        assert_eq!(started.status, StatusCode::OK, "{}", started.text);
        let started = started.json();
        let text = |name: &str| started[name].as_str().unwrap().to_owned();
        assert_eq!(
            text("link"),
            format!("https://{RELAY}/pair?code={}", text("code"))
        );
        assert_eq!(started["interval"], 5);
        assert_eq!(started["expires_in"], 900);
        (text("code"), text("poll"))
    }

    async fn state_of(&self, poll: &str) -> Value {
        self.later(5);
        self.api("/api/pairing/poll", &json!({"poll": poll}))
            .await
            .json()
    }

    async fn printers_of(&self, person: &Person) -> Vec<Printer> {
        let printers = self.state.store.printers();
        printers.list_by_account(&person.account.id).await.unwrap()
    }
}

fn identity() -> HostIdentity {
    HostIdentity::generate().unwrap()
}

fn add<'a>(code: &'a str, name: &'a str) -> [(&'a str, &'a str); 3] {
    [("code", code), ("name", name), ("answer", "add")]
}

#[tokio::test]
async fn a_host_is_paired_by_its_code_and_both_sides_see_both_names() {
    let bench = Bench::new().await;
    let (ann, host) = (bench.person("ann@oyelaran.example").await, identity());
    let empty = bench.get(&ann, "/pair").await;
    let command = "latchkey pair --config host.yaml <bdi>https://";
    assert!(empty.text.contains(command), "{}", empty.text);
    let (code, poll) = bench.waiting(&host).await;
    assert_eq!(bench.state_of(&poll).await["state"], "pending");
    let page = bench
        .get(&ann, &format!("/pair?code={}", code.to_lowercase()))
        .await;
    for shown in [
        code.as_str(),
        "octopi",
        "ann@oyelaran.example",
        "203.0.5.0/24",
    ] {
        assert!(page.text.contains(shown), "{shown}");
    }
    let done = bench.post(&ann, &add(&code, "Garage Voron")).await;
    let printer = &bench.printers_of(&ann).await[0];
    assert_eq!(
        done.location(),
        format!("/printers/{}?done=paired", printer.id)
    );
    assert_eq!(printer.name.as_str(), "Garage Voron");
    let key = HostKey::from_bytes(host.public_key());
    assert_eq!(printer.id, PrinterId::from(&key.id()));
    assert_eq!(printer.host, Some(key));
    let state = bench.state_of(&poll).await;
    assert_eq!(state["state"], "confirmed");
    assert_eq!(state["printer_name"], "Garage Voron");
    assert_eq!(state["printer_id"], printer.id.as_str());
    assert_eq!(state["account"], "a…@oyelaran.example");
}

#[tokio::test]
async fn a_host_signs_for_the_name_by_which_it_asked() {
    let bench = Bench::new().await;
    let asked = "hosts.example.com:7443";
    let now = bench.clock.now().millis() / 1000;
    for (nonce, signed, status) in [
        (1, asked, StatusCode::OK),
        (2, RELAY, StatusCode::FORBIDDEN),
        (3, "hosts.example.com", StatusCode::FORBIDDEN),
    ] {
        let wish = PairingStart::sign(&identity(), signed, "octopi", now, &[nonce; 32]);
        let request = Request::post("/api/pairing")
            .header(CONTENT_TYPE, "application/json")
            .extension(http::Named(asked.parse().unwrap()));
        let started = bench
            .ask(request, Body::from(json!(wish).to_string()))
            .await;
        assert_eq!(started.status, status, "{signed}: {}", started.text);
        if status == StatusCode::OK {
            let page = &started.json()["page"];
            assert_eq!(page, "https://relay.example.com/pair");
        }
    }
}

#[tokio::test]
async fn a_second_click_changes_nothing_and_leads_on() {
    let bench = Bench::new().await;
    let ann = bench.person("ann@example.com").await;
    let (code, _) = bench.waiting(&identity()).await;
    let first = bench.post(&ann, &add(&code, "One")).await;
    let mut again = add(&code, "Two").to_vec();
    again.push(("then", "/appportal/v1?appid=x"));
    let second = bench.post(&ann, &again).await;
    assert_eq!(first.status, StatusCode::SEE_OTHER);
    assert_eq!(second.location(), "/appportal/v1?appid=x");
    let printers = bench.printers_of(&ann).await;
    assert_eq!(printers.len(), 1);
    assert_eq!(printers[0].name.as_str(), "One");
    // The code is used up for everybody else.
    let eve = bench.person("eve@example.com").await;
    let page = bench.post(&eve, &add(&code, "Mine")).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_way_back_leads_to_pages_of_ours_only() {
    let bench = Bench::new().await;
    let ann = bench.person("ann@example.com").await;
    let (code, _) = bench.waiting(&identity()).await;
    let mut fields = add(&code, "One").to_vec();
    fields.push(("then", "//evil.example"));
    let done = bench.post(&ann, &fields).await;
    assert!(
        done.location().starts_with("/printers/"),
        "{}",
        done.location()
    );
}

#[tokio::test]
async fn who_is_not_signed_in_comes_back_to_the_code() {
    let bench = Bench::new().await;
    let page = bench
        .ask(Request::get("/pair?code=BCDF-GHJK&then=/x"), Body::empty())
        .await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    let back = "/sign-in?then=/pair%3Fcode%3DBCDF-GHJK%26then%3D/x";
    assert_eq!(page.location(), back);
}

#[tokio::test]
async fn a_form_from_elsewhere_adds_nothing() {
    let bench = Bench::new().await;
    let ann = bench.person("ann@example.com").await;
    let (code, _) = bench.waiting(&identity()).await;
    for body in [
        format!("code={code}&name=x&answer=add"),
        format!("code={code}&name=x&answer=add&csrf_token=wrong"),
    ] {
        let request = Request::post("/pair")
            .header(COOKIE, &ann.cookie)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let page = bench.ask(request, Body::from(body)).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN);
    }
    assert!(bench.printers_of(&ann).await.is_empty());
}

#[tokio::test]
async fn a_refused_host_hears_so_and_its_code_is_used_up() {
    let bench = Bench::new().await;
    let ann = bench.person("ann@example.com").await;
    let (code, poll) = bench.waiting(&identity()).await;
    let page = bench
        .post(&ann, &[("code", &code), ("answer", "refuse")])
        .await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(bench.state_of(&poll).await["state"], "refused");
    let late = bench.post(&ann, &add(&code, "x")).await;
    assert_eq!(late.status, StatusCode::NOT_FOUND);
    assert!(bench.printers_of(&ann).await.is_empty());
}

#[tokio::test]
async fn a_code_expires() {
    let bench = Bench::new().await;
    let ann = bench.person("ann@example.com").await;
    let (code, poll) = bench.waiting(&identity()).await;
    bench.later(15 * 60);
    let late = bench.post(&ann, &add(&code, "x")).await;
    assert_eq!(late.status, StatusCode::NOT_FOUND);
    assert_eq!(bench.state_of(&poll).await["state"], "expired");
}

#[tokio::test]
async fn another_accounts_printer_is_never_displaced() {
    let bench = Bench::new().await;
    let (ann, eve) = (
        bench.person("ann@example.com").await,
        bench.person("eve@example.com").await,
    );
    let host = identity();
    let (code, _) = bench.waiting(&host).await;
    bench.post(&ann, &add(&code, "Garage")).await;
    let (code, poll) = bench.waiting(&host).await;
    let page = bench.get(&eve, &format!("/pair?code={code}")).await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    assert!(page.text.contains("belongs to another account"));
    let page = bench.post(&eve, &add(&code, "Mine")).await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    assert!(bench.printers_of(&eve).await.is_empty());
    assert_eq!(bench.state_of(&poll).await["state"], "pending");
    // Its owner pairs it anew, and it stays the same printer.
    let page = bench.get(&ann, &format!("/pair?code={code}")).await;
    assert!(page.text.contains("You have it already"));
    bench.post(&ann, &add(&code, "Shed")).await;
    let printers = bench.printers_of(&ann).await;
    assert_eq!(printers.len(), 1);
    assert_eq!(printers[0].name.as_str(), "Shed");
}

#[tokio::test]
async fn an_account_gets_as_many_printers_as_its_plan_allows() {
    let bench = Bench::new().await;
    let ann = bench.person("ann@example.com").await;
    let accounts = bench.state.store.accounts();
    let plan = async |name: &str| {
        let plan = name.parse().unwrap();
        accounts.set_plan(&ann.account.id, &plan).await.unwrap();
    };
    plan("small").await;
    let (first, second) = (identity(), identity());
    let (code, _) = bench.waiting(&first).await;
    bench.post(&ann, &add(&code, "Garage")).await;
    let (code, poll) = bench.waiting(&second).await;
    for page in [
        bench.get(&ann, &format!("/pair?code={code}")).await,
        bench.post(&ann, &add(&code, "Shed")).await,
    ] {
        assert_eq!(page.status, StatusCode::CONFLICT);
        assert!(page.text.contains("no room for another printer"));
        assert!(page.text.contains("one printer of your own"));
    }
    assert_eq!(bench.printers_of(&ann).await.len(), 1);
    assert_eq!(bench.state_of(&poll).await["state"], "pending");
    // What is theirs already needs no room.
    let (again, _) = bench.waiting(&first).await;
    bench.post(&ann, &add(&again, "Shed")).await;
    assert_eq!(bench.printers_of(&ann).await[0].name.as_str(), "Shed");
    // The same code is good on another plan.
    plan("supporter").await;
    bench.post(&ann, &add(&code, "Attic")).await;
    assert_eq!(bench.printers_of(&ann).await.len(), 2);
}

#[tokio::test]
async fn of_two_who_pair_the_last_printer_at_once_one_does() {
    let bench = Bench::new().await;
    let ann = bench.person("ann@example.com").await;
    let accounts = bench.state.store.accounts();
    let small = "small".parse().unwrap();
    accounts.set_plan(&ann.account.id, &small).await.unwrap();
    let mut codes = Vec::new();
    for _ in 0..4 {
        codes.push(bench.waiting(&identity()).await.0);
    }
    let forms: Vec<_> = codes.iter().map(|code| add(code, "Printer")).collect();
    let posts = forms.iter().map(|form| bench.post(&ann, form));
    futures_util::future::join_all(posts).await;
    assert_eq!(bench.printers_of(&ann).await.len(), 1);
}

#[tokio::test]
async fn five_wrong_codes_close_the_page_for_the_right_one_too() {
    let bench = Bench::new().await;
    let (ann, ben) = (
        bench.person("ann@example.com").await,
        bench.person("ben@example.com").await,
    );
    let (code, _) = bench.waiting(&identity()).await;
    for wrong in [
        "BBBB-BBBB",
        "CCCC-CCCC",
        "DDDD-DDDD",
        "FFFF-FFFF",
        "GGGG-GGGG",
    ] {
        let page = bench.get(&ann, &format!("/pair?code={wrong}")).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND);
        // What is no code is no try.
        let page = bench.get(&ann, "/pair?code=hello").await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST);
    }
    let right = format!("/pair?code={code}");
    assert_eq!(bench.get(&ann, &right).await.status, 429);
    assert_eq!(bench.post(&ann, &add(&code, "x")).await.status, 429);
    let refuse = [("code", code.as_str()), ("answer", "refuse")];
    assert_eq!(bench.post(&ann, &refuse).await.status, 429);
    // Others are not kept out by it, and after a while neither is she.
    assert_eq!(bench.get(&ben, &right).await.status, StatusCode::OK);
    bench.later(15 * 60);
    assert_eq!(bench.get(&ann, &right).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn guesses_are_bounded_for_an_address_and_for_all() {
    let bench = Bench::new().await;
    let mut people = Vec::new();
    for number in 0..5 {
        people.push(bench.person(&format!("p{number}@example.com")).await);
    }
    let pairings = &bench.state.pairings;
    let address = |last: u8| Ipv4Addr::new(198, 51, 100, last).into();
    let mut wrong = 0;
    for person in &people {
        for _ in 0..5 {
            let by = Typist {
                account: &person.account,
                address: address(1),
            };
            let outcome = pairings.find("BBBB-BBBB", by).await;
            wrong += u32::from(matches!(outcome, Err(CodeError::Wrong)));
        }
    }
    assert_eq!(wrong, 20, "of one address");
    for number in wrong..EVERYWHERE {
        let count = pairings.wrong_everywhere.count(&(), bench.clock.now());
        assert!(count.is_ok(), "{number}");
    }
    let ann = bench.person("ann@example.com").await;
    let by = Typist {
        account: &ann.account,
        address: address(77),
    };
    let outcome = pairings.find("BBBB-BBBB", by).await;
    assert!(matches!(outcome, Err(CodeError::TooMany(_))));
    // The sum in the documentation.
    let guesses = f64::from(2 * EVERYWHERE);
    assert!(guesses / 20_f64.powi(8) < 1e-7);
}

#[tokio::test]
async fn nobody_gets_a_code_for_somebody_elses_host() {
    let bench = Bench::new().await;
    let (host, thief) = (identity(), identity());
    let mut stolen = bench.wish(&thief);
    stolen["host_key"] = bench.wish(&host)["host_key"].clone();
    let page = bench.api("/api/pairing", &stolen).await;
    assert_eq!(
        (page.status, &page.json()["code"]),
        (StatusCode::FORBIDDEN, &json!("signature"))
    );
    let elsewhere = PairingStart::sign(&host, "evil.example", "x", NOW / 1000, &[9; 32]);
    let page = bench.api("/api/pairing", &json!(elsewhere)).await;
    assert_eq!(page.json()["code"], "signature");
    // What somebody recorded is worth nothing, soon or late.
    let wish = bench.wish(&host);
    assert_eq!(
        bench.api("/api/pairing", &wish).await.status,
        StatusCode::OK
    );
    assert_eq!(
        bench.api("/api/pairing", &wish).await.json()["code"],
        "replayed"
    );
    bench.later(11 * 60);
    assert_eq!(
        bench.api("/api/pairing", &wish).await.json()["code"],
        "clock"
    );
    for malformed in [json!({}), json!([]), json!({"host_key": 5})] {
        let page = bench.api("/api/pairing", &malformed).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST);
        assert_eq!(page.json()["code"], "malformed_request");
    }
    let long = json!({ "host_key": "x".repeat(10_000) });
    assert_eq!(
        bench.api("/api/pairing", &long).await.status,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn codes_are_bounded_for_a_host_and_an_address() {
    let bench = Bench::new().await;
    let host = identity();
    for _ in 0..20 {
        bench.waiting(&host).await;
    }
    let page = bench.api("/api/pairing", &bench.wish(&host)).await;
    assert_eq!(
        (page.status.as_u16(), &page.json()["code"]),
        (429, &json!("too_many"))
    );
    assert!(page.headers.contains_key("retry-after"));
    for _ in 0..39 {
        bench.waiting(&identity()).await;
    }
    let page = bench.api("/api/pairing", &bench.wish(&identity())).await;
    assert_eq!(page.status.as_u16(), 429);
    let page = bench
        .api_from("/api/pairing", &bench.wish(&identity()), 6)
        .await;
    assert_eq!(page.status, StatusCode::OK, "from elsewhere");
}

#[tokio::test]
async fn who_asks_too_often_is_told_to_slow_down() {
    let bench = Bench::new().await;
    let (_, poll) = bench.waiting(&identity()).await;
    let asked = json!({"poll": poll});
    assert_eq!(
        bench.api("/api/pairing/poll", &asked).await.status,
        StatusCode::OK
    );
    let page = bench.api("/api/pairing/poll", &asked).await;
    assert_eq!(
        (page.status.as_u16(), &page.json()["code"]),
        (429, &json!("slow_down"))
    );
    assert_eq!(bench.state_of(&poll).await["state"], "pending");
    let unknown = bench.state_of("lk_pair_nobodys").await;
    assert_eq!(unknown, json!({"state": "expired"}));
}

#[tokio::test]
async fn a_page_of_the_code_sets_no_trap_for_names() {
    let bench = Bench::new().await;
    let ann = bench.person("ann@example.com").await;
    let (code, _) = bench.waiting(&identity()).await;
    let long = "x".repeat(65);
    for name in ["", "  ", long.as_str()] {
        let page = bench.post(&ann, &add(&code, name)).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST);
        assert!(page.text.contains("This name does not work"));
    }
    let page = bench.post(&ann, &[("code", &code), ("name", "x")]).await;
    assert_eq!(
        page.status,
        StatusCode::BAD_REQUEST,
        "neither add nor refuse"
    );
    assert!(bench.printers_of(&ann).await.is_empty());
    let look = [("code", "bcdf ghjk"), ("answer", "look"), ("then", "/x")];
    let page = bench.post(&ann, &look).await;
    assert_eq!(page.location(), "/pair?code=bcdf%20ghjk&then=/x");
}

#[tokio::test]
async fn the_other_host_is_let_in_by_its_owner_alone() {
    use latchkey_model::printer::CopySeen;
    let bench = Bench::new().await;
    let (ann, eve) = (
        bench.person("ann@example.com").await,
        bench.person("eve@example.com").await,
    );
    let (code, _) = bench.waiting(&identity()).await;
    bench.post(&ann, &add(&code, "Garage")).await;
    let printer = bench.printers_of(&ann).await.remove(0);
    let path = format!("/printers/{}/swap", printer.id);
    let page = bench.get(&ann, &path).await;
    assert!(page.text.contains("There is no other computer"));
    let copy = CopySeen {
        at: bench.clock.now(),
        network: "198.51.100.0/24".to_owned(),
    };
    let printers = bench.state.store.printers();
    printers.note_copy(&printer.id, Some(&copy)).await.unwrap();
    assert_eq!(bench.get(&eve, &path).await.status, StatusCode::NOT_FOUND);
    let page = bench.get(&ann, &path).await;
    assert!(page.text.contains("198.51.100.0/24"));
    let post = async |person: &Person| {
        let page = bench.get(person, "/pair").await;
        let body = format!("csrf_token={}", page.token());
        let request = Request::post(&path)
            .header(COOKIE, &person.cookie)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        bench.ask(request, Body::from(body)).await
    };
    assert_eq!(post(&eve).await.status, StatusCode::NOT_FOUND);
    let done = post(&ann).await;
    assert_eq!(done.location(), format!("/printers/{}", printer.id));
    let seen = printers.load(&printer.id).await.unwrap().seen;
    assert_eq!(seen.copy, None);
    // The password was typed too long ago.
    printers.note_copy(&printer.id, Some(&copy)).await.unwrap();
    bench.later(3600);
    assert!(post(&ann).await.location().starts_with("/sign-in/again"));
}
