//! What does not go over a printer's uplink, over real sockets: text in fewer bytes, and what the printer's server says
//! has not changed. Callers and the server see nothing of either.

use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use latchkey_host::config as host;
use latchkey_model::app_connection::AccessMode;
use latchkey_net::body::{self, Body};
use latchkey_net::proxy::coding::{Coder, Sizes};
use latchkey_net::tunnel::{Dialler, DiallerConfig, HostIdentity, StreamHead};
use latchkey_relay::config as relay;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::harness::fake::{Asked, Fake, Reply};
use crate::harness::http::{Request, Response as Whole};
use crate::harness::inproc::{Door, RunningRelay};
use crate::harness::stack::free_address;
use crate::harness::{eventually, within};

/// A relay, and a host before a server that the test plays.
struct House {
    relay: RunningRelay,
    server: Fake,
    door: Door,
    status: SocketAddr,
}

fn unchanged_host(_: &mut host::Config) {}

impl House {
    async fn new<R>(replies: R) -> Self
    where
        R: Fn(&Asked) -> Reply + Send + Sync + 'static,
    {
        Self::with(replies, |_| {}, unchanged_host).await
    }

    async fn with<R>(
        replies: R,
        relay: impl FnOnce(&mut relay::Config),
        host: impl FnOnce(&mut host::Config),
    ) -> Self
    where
        R: Fn(&Asked) -> Reply + Send + Sync + 'static,
    {
        let status = free_address();
        let server = Fake::start(|_| replies).await;
        let relay = RunningRelay::start(|config| {
            config.status_listen = Some(status);
            relay(config);
        });
        let relay = relay.await;
        let door = relay.attach(address(&server), AccessMode::Bearer, host);
        let door = door.await;
        Self {
            relay,
            server,
            door,
            status,
        }
    }

    fn get(&self, path: &str) -> Request {
        get(&self.door, path)
    }

    /// A number of the relay's metrics.
    async fn metric(&self, name: &str) -> u64 {
        let page = Request::get(format!("http://{}/metrics", self.status));
        let page = page.send().await.read().await;
        let line = page.text().lines().find_map(|line| {
            let (named, number) = line.split_once(' ')?;
            (named == name).then(|| number.to_owned())
        });
        line.unwrap_or_else(|| panic!("no {name}")).parse().unwrap()
    }

    /// Bytes of coded answers: as the caller got them, and as they came. They are counted when an answer is over.
    async fn coded(&self) -> (u64, u64) {
        let plain = self.metric("latchkey_tunnel_plain_bytes_total").await;
        (
            plain,
            self.metric("latchkey_tunnel_coded_bytes_total").await,
        )
    }

    /// What the server was asked for by callers.
    fn asked(&self, path: &str) -> Vec<Asked> {
        let asked = self.server.asked().into_iter();
        asked.filter(|asked| asked.target == path).collect()
    }
}

fn address(server: &Fake) -> SocketAddr {
    let (_, port) = server.at.split_once(':').unwrap();
    SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()))
}

fn get(door: &Door, path: &str) -> Request {
    let request = Request::get(door.url(path)).via(door.address);
    request.header_opt("authorization", door.authorization().as_deref())
}

async fn read(request: Request) -> Whole {
    request.send().await.read().await
}

fn script() -> String {
    "function heat(tool) { return tool.target - tool.actual; }\n".repeat(2_000)
}

fn sent(kind: &'static str, body: &str) -> Reply {
    Reply::text(200, body).with("content-type", kind)
}

/// The fields of an answer; the time of day is not compared.
fn fields(of: &HeaderMap) -> HeaderMap {
    let mut fields = of.clone();
    fields.remove("date");
    fields
}

#[tokio::test]
async fn text_takes_fewer_bytes_and_is_the_same() {
    let house = House::new(|asked| {
        let body = match asked.target.as_str() {
            "/app.js" => script(),
            _ => "small".to_owned(),
        };
        sent("application/javascript", &body)
            .with("etag", "W/\"weak\"")
            .with("cache-control", "no-transform")
    })
    .await;
    let direct = read(Request::get(format!("{}/app.js", house.server.url()))).await;
    let through = read(house.get("/app.js")).await;
    assert_eq!(through.status, 200);
    assert_eq!(fields(&through.headers), fields(&direct.headers));
    assert_eq!(through.body, direct.body);
    let length = script().len() as u64;
    let (mut plain, mut coded) = (0, 0);
    eventually("the count", async || {
        (plain, coded) = house.coded().await;
        plain > 0
    })
    .await;
    assert_eq!(plain, length);
    assert!(coded * 10 < length, "{coded}");
    // The server is told nothing of it.
    let seen = house.asked("/app.js").pop().unwrap();
    assert!(
        !seen
            .headers
            .keys()
            .any(|name| name.as_str().starts_with("latchkey"))
    );
    assert_eq!(seen.field("accept-encoding"), None);
    assert_eq!(read(house.get("/small.js")).await.text(), "small");
    assert_eq!(house.coded().await, (plain, coded));
}

#[tokio::test]
async fn parts_heads_and_what_is_coded_already_are_left_as_they_are() {
    let house = House::new(|asked| match asked.target.as_str() {
        "/part.js" => Reply::text(206, &script()[100..5_000])
            .with("content-type", "text/javascript")
            .with("content-range", "bytes 100-4999/116000")
            .with("etag", "\"a\""),
        "/gone.html" => Reply::text(404, &script()).with("content-type", "text/html"),
        "/coded.js" => sent("text/javascript", &script()).with("content-encoding", "x-own"),
        "/same.js" => Reply::status(304).with("etag", "\"a\""),
        "/picture" => sent("image/png", &script()),
        _ => sent("text/javascript", &script()),
    })
    .await;
    let same = async |path: &str, method: http::Method| {
        let direct = Request::new(method.clone(), format!("{}{path}", house.server.url()));
        let through = Request::new(method, house.door.url(path)).via(house.door.address);
        let through = through.header_opt("authorization", house.door.authorization().as_deref());
        let (direct, through) = (read(direct).await, read(through).await);
        assert_eq!(through.status, direct.status, "{path}");
        assert_eq!(fields(&through.headers), fields(&direct.headers), "{path}");
        assert_eq!(through.body, direct.body, "{path}");
    };
    for path in [
        "/part.js",
        "/gone.html",
        "/coded.js",
        "/same.js",
        "/picture",
    ] {
        same(path, http::Method::GET).await;
    }
    same("/app.js", http::Method::HEAD).await;
    same("/app.js", http::Method::POST).await;
    eventually("both that were coded", async || {
        house.coded().await.0 == 4_900 + script().len() as u64
    })
    .await;
}

#[tokio::test]
async fn only_what_no_other_page_can_have_chosen_is_coded() {
    let house = House::new(|_| sent("text/html", &script())).await;
    for site in ["cross-site", "same-site"] {
        let foreign = house.get("/page").header("sec-fetch-site", site);
        assert_eq!(read(foreign).await.body, script());
    }
    let old = house.get("/page").header("cookie", "session=1");
    assert_eq!(read(old).await.body, script());
    let own = house.get("/page").header("cookie", "session=1");
    let own = own.header("sec-fetch-site", "same-origin");
    assert_eq!(read(own).await.body, script());
    eventually("the one that was coded", async || house.coded().await.0 > 0).await;
    assert_eq!(house.coded().await.0, script().len() as u64);
    // What a server marks as secret is left alone.
    let secret = |_: &Asked| sent("text/html", &script()).with("cache-control", "no-store");
    let house = House::new(secret).await;
    assert_eq!(read(house.get("/page")).await.body, script());
    assert_eq!(house.coded().await, (0, 0));
}

#[tokio::test]
async fn each_end_can_switch_coding_off_and_an_older_other_one_changes_nothing() {
    let script_only = |_: &Asked| sent("application/json", &script());
    let old_host = |host: &mut host::Config| host.relay.as_mut().unwrap().compression = false;
    let house = House::with(script_only, |_| {}, old_host).await;
    assert_eq!(read(house.get("/x")).await.body, script());
    assert_eq!(house.coded().await, (0, 0));
    let old_relay = |relay: &mut relay::Config| relay.compression = false;
    let house = House::with(script_only, old_relay, unchanged_host).await;
    assert_eq!(read(house.get("/x")).await.body, script());
    assert_eq!(house.coded().await, (0, 0));
}

/// An answer as a host may give it that does what it likes.
type Misdeed = fn(StreamHead) -> Response<Body>;

/// What a caller is told through a host that answers so, if it is told all of it.
async fn told_by(misdeed: Misdeed) -> Result<(u16, String), String> {
    let relay = RunningRelay::start(|_| {}).await;
    let identity = HostIdentity::generate().unwrap();
    let door = relay
        .record(identity.public_key(), AccessMode::Bearer)
        .await;
    let url = relay.config().public_url.to_string().parse().unwrap();
    let config = DiallerConfig::new(url, "Hostile".to_owned(), "0".to_owned());
    let service = move |request: http::Request<Incoming>, head: StreamHead| async move {
        match request.uri().path() {
            "/ready" => Response::new(body::full("ready")),
            _ => misdeed(head),
        }
    };
    let dialler = Dialler::new(config, identity, service, TaskTracker::new()).unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(dialler.run(stop.clone(), CancellationToken::new()));
    eventually("the host", async || {
        read(get(&door, "/ready")).await.status == 200
    })
    .await;
    // Broken at once, it may break off before its head.
    let answer = within("an answer", get(&door, "/").try_send()).await;
    let mut answer = answer.map_err(|error| error.to_string())?;
    let status = answer.status().as_u16();
    let mut whole = Vec::new();
    let outcome = loop {
        match answer.chunk().await {
            Ok(Some(piece)) => whole.extend_from_slice(&piece),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error.to_string()),
        }
    };
    stop.cancel();
    outcome.map(|()| (status, String::from_utf8(whole).unwrap()))
}

/// The good answer, which a misdeed is made from.
fn coded(text: &str) -> Response<Body> {
    let coder = Coder::new(Arc::new(|_: Sizes| {}));
    let mut response = Response::new(body::full(text.to_owned()));
    let fields = response.headers_mut();
    fields.insert("content-type", "text/html".parse().unwrap());
    fields.insert("content-length", text.len().into());
    coder.code(&http::Method::GET, response)
}

/// The same, cut off in good order after this many bytes.
fn cut(text: &str, length: usize) -> Response<Body> {
    coded(text).map(|body| {
        let some = async move {
            let whole = body.collect().await?.to_bytes();
            Ok::<_, body::BodyError>(hyper::body::Frame::data(whole.slice(..length)))
        };
        body::boxed(http_body_util::StreamBody::new(futures_util::stream::once(
            some,
        )))
    })
}

#[tokio::test]
async fn a_host_that_codes_wrongly_ends_its_own_answers_only() {
    let honest = told_by(|head| {
        assert!(head.may_code);
        coded(&script())
    });
    assert_eq!(honest.await, Ok((200, script())));
    let misdeeds: [Misdeed; 3] = [
        |_| cut(&script(), 40),
        |_| {
            let mut longer = coded(&script());
            let length = script().len() - 1;
            longer
                .headers_mut()
                .insert("latchkey-length", length.into());
            longer
        },
        |_| {
            let mut shorter = coded(&script());
            shorter
                .headers_mut()
                .insert("latchkey-length", 999_999.into());
            shorter
        },
    ];
    for misdeed in misdeeds {
        let broken = told_by(misdeed).await;
        assert!(broken.is_err(), "{broken:?}");
    }
    let refused: [Misdeed; 2] = [
        |_| {
            let mut both = coded(&script());
            both.headers_mut()
                .insert("latchkey-coding", "br".parse().unwrap());
            both
        },
        |_| {
            let mut empty = coded(&script());
            *empty.status_mut() = StatusCode::NO_CONTENT;
            empty.map(|_| body::empty())
        },
    ];
    for misdeed in refused {
        let (status, _) = told_by(misdeed).await.unwrap();
        assert_eq!(status, 600);
    }
}

/// A server whose script has a tag, and that shows it to some only.
fn guarded(asked: &Asked) -> Reply {
    if asked.field("x-api-key") == Some("nobodys") {
        return Reply::text(403, "not yours");
    }
    let tag = asked.field("x-tag").unwrap_or("\"one\"");
    let reply = if asked.field("if-none-match") == Some(tag) {
        Reply::status(304)
    } else {
        sent("application/javascript", &script())
    };
    reply
        .with("etag", tag)
        .with("x-asked-by", asked.field("x-api-key").unwrap_or("-"))
}

#[tokio::test]
async fn what_has_not_changed_does_not_come_again_and_looks_as_if_it_had() {
    let house = House::new(guarded).await;
    let direct = read(Request::get(format!("{}/app.js", house.server.url()))).await;
    for round in 0..3 {
        let through = read(house.get("/app.js")).await;
        assert_eq!(through.status, 200, "{round}");
        assert_eq!(fields(&through.headers), fields(&direct.headers), "{round}");
        assert_eq!(through.body, direct.body, "{round}");
    }
    // The first, directly, and three through the relay: the server is asked each time.
    let conditions = house.asked("/app.js");
    let conditions: Vec<_> = conditions
        .iter()
        .map(|asked| asked.field("if-none-match"))
        .collect();
    assert_eq!(conditions, [None, None, Some("\"one\""), Some("\"one\"")]);
    assert_eq!(house.metric("latchkey_cache_answers_total").await, 2);
    let length = script().len() as u64;
    assert_eq!(
        house.metric("latchkey_cache_answer_bytes_total").await,
        2 * length
    );
    assert!(house.metric("latchkey_cache_bytes").await > length);
    // Another one in its place.
    let other = read(house.get("/app.js").header("x-tag", "\"two\"")).await;
    assert_eq!(
        (other.status, other.header("etag")),
        (StatusCode::OK, "\"two\"")
    );
    assert_eq!(house.metric("latchkey_cache_answers_total").await, 2);
}

#[tokio::test]
async fn who_may_not_have_it_does_not_get_what_another_one_brought() {
    let house = House::new(guarded).await;
    let with = |key: &str| house.get("/app.js").header("x-api-key", key);
    for _ in 0..2 {
        assert_eq!(read(with("somebodys")).await.body, script());
    }
    assert_eq!(house.metric("latchkey_cache_answers_total").await, 1);
    let refused = read(with("nobodys")).await;
    assert_eq!(
        (refused.status, refused.text()),
        (StatusCode::FORBIDDEN, "not yours")
    );
    // And who may have it gets what is told to them, not to the first.
    let another = read(with("another")).await;
    assert_eq!(another.body, script());
    assert_eq!(another.header("x-asked-by"), "another");
    assert_eq!(house.metric("latchkey_cache_answers_total").await, 2);
}

#[tokio::test]
async fn a_callers_own_questions_reach_the_server_as_they_are() {
    let house = House::new(guarded).await;
    read(house.get("/app.js")).await;
    let same = read(house.get("/app.js").header("if-none-match", "\"one\"")).await;
    assert_eq!(
        (same.status, same.body.len()),
        (StatusCode::NOT_MODIFIED, 0)
    );
    let other = read(house.get("/app.js").header("if-none-match", "\"none\"")).await;
    assert_eq!(
        (other.status, other.body.len()),
        (StatusCode::OK, script().len())
    );
    let part = read(house.get("/app.js").range(0, 9)).await;
    assert_eq!(part.status, 200, "this server knows no ranges");
    let anew = read(house.get("/app.js").header("cache-control", "no-cache")).await;
    assert_eq!(anew.body, script());
    let asked = house.asked("/app.js");
    let asked: Vec<_> = asked
        .iter()
        .map(|asked| asked.field("if-none-match"))
        .collect();
    let own = [None, Some("\"one\""), Some("\"none\""), None, None];
    assert_eq!(asked, own);
    assert_eq!(house.metric("latchkey_cache_answers_total").await, 0);
}

#[tokio::test]
async fn two_printers_and_two_app_connections_share_nothing() {
    let house = House::new(guarded).await;
    read(house.get("/app.js")).await;
    let (_, printer) = house.door.ids.clone().unwrap();
    let neighbour = house.relay.connect(&printer, AccessMode::Bearer).await;
    assert_eq!(read(get(&neighbour, "/app.js")).await.body, script());
    // Another printer, which says the same tag of something else.
    let elsewhere = Fake::start(|_| {
        |_: &Asked| sent("application/javascript", &"other\n".repeat(900)).with("etag", "\"one\"")
    });
    let elsewhere = elsewhere.await;
    let other = house
        .relay
        .attach(address(&elsewhere), AccessMode::Bearer, |_| {});
    let other = other.await;
    for _ in 0..2 {
        assert_eq!(
            read(get(&other, "/app.js")).await.text(),
            "other\n".repeat(900)
        );
        assert_eq!(read(house.get("/app.js")).await.body, script());
    }
    let asked = house.asked("/app.js");
    assert_eq!(
        asked[1].field("if-none-match"),
        None,
        "of the other hostname"
    );
}

#[tokio::test]
async fn a_server_that_says_unchanged_without_a_tag_is_asked_again_without_a_word_to_the_caller() {
    let vague = |asked: &Asked| {
        if asked.field("if-none-match").is_some() {
            return Reply::status(304);
        }
        sent("application/javascript", &script()).with("etag", "\"one\"")
    };
    let house = House::new(vague).await;
    for _ in 0..4 {
        let told = read(house.get("/app.js")).await;
        assert_eq!((told.status, told.body), (StatusCode::OK, script().into()));
    }
    let asked = house.asked("/app.js").len();
    assert_eq!(asked, 5, "once more for the doubt, and never again");
    assert_eq!(house.metric("latchkey_cache_answers_total").await, 0);
}

#[tokio::test]
async fn what_is_for_one_caller_is_not_kept() {
    let personal = |asked: &Asked| match asked.target.as_str() {
        "/cookie" => guarded(asked).with("set-cookie", "session=1; Path=/"),
        "/secret" => guarded(asked).with("cache-control", "no-store"),
        "/varies" => guarded(asked).with("vary", "Cookie"),
        "/weak" => sent("text/css", &script()).with("etag", "W/\"one\""),
        _ => sent("text/plain", &script()).with("etag", "\"one\""),
    };
    let house = House::new(personal).await;
    for path in ["/cookie", "/secret", "/varies", "/weak", "/about"] {
        for _ in 0..2 {
            assert_eq!(read(house.get(path)).await.body, script(), "{path}");
        }
        let asked = house.asked(path);
        assert!(
            asked
                .iter()
                .all(|asked| asked.field("if-none-match").is_none()),
            "{path}"
        );
    }
    assert_eq!(house.metric("latchkey_cache_answers_total").await, 0);
}

#[tokio::test]
async fn a_printer_that_is_removed_takes_along_what_was_kept_and_the_switch_keeps_nothing() {
    let house = House::new(guarded).await;
    read(house.get("/app.js")).await;
    assert!(house.metric("latchkey_cache_bytes").await > 0);
    let (_, printer) = house.door.ids.clone().unwrap();
    let RunningRelay { life, account, .. } = &house.relay;
    assert!(life.remove_printer(account, &printer).await.unwrap());
    assert_eq!(house.metric("latchkey_cache_bytes").await, 0);
    let off = |relay: &mut relay::Config| relay.cache.max_bytes = 0;
    let house = House::with(guarded, off, unchanged_host).await;
    for _ in 0..2 {
        assert_eq!(read(house.get("/app.js")).await.body, script());
    }
    let asked = house.asked("/app.js");
    assert!(
        asked
            .iter()
            .all(|asked| asked.field("if-none-match").is_none())
    );
    assert_eq!(house.metric("latchkey_cache_bytes").await, 0);
}
