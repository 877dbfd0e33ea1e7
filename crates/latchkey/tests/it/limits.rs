//! What a plan limits, over real sockets: relay, tunnel, host, and a printer's server that the test plays. Every
//! limit at its edge, from the caller's side and the printer's.

use std::time::Duration;

use futures_util::future::join_all;
use http::Method;
use http_body_util::BodyExt as _;
use latchkey_model::app_connection::AccessMode;
use latchkey_model::clock::{Clock as _, SystemClock};
use latchkey_model::limit::Month;
use latchkey_model::plan::{Entitlements, Plans};
use latchkey_net::body;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use crate::harness::inproc::{Door, Printer, RunningRelay};
use crate::harness::raw::{RawConnection, RawResponse};
use crate::harness::{eventually, within};

const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
const UPGRADE: [&str; 4] = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

/// A relay whose owner is on a plan with limits, a host, and an app connection.
struct House {
    relay: RunningRelay,
    printer: Printer,
    door: Door,
}

fn unlimited() -> Entitlements {
    Entitlements::default()
}

impl House {
    async fn new(plan: Entitlements) -> Self {
        let relay = relay(plan).await;
        let printer = Printer::start().await;
        let door = relay.attach(printer.address(), AccessMode::Enhanced, |_| {});
        let (door, ()) = tokio::join!(door, printer.answer_probe("403 Forbidden"));
        Self {
            relay,
            printer,
            door,
        }
    }

    /// A caller, and the printer's end of its request, whose head has been read.
    async fn asked(&self, line: &str, fields: &[&str]) -> (RawConnection, RawConnection) {
        let mut caller = self.door.connect().await;
        caller.send(self.door.head(line, fields)).await;
        let mut upstream = self.printer.accept().await;
        upstream.read_request_head().await;
        (caller, upstream)
    }

    /// What the relay answers by itself: the printer's server hears nothing of it.
    async fn refused(&self, line: &str, fields: &[&str]) -> RawResponse {
        let mut caller = self.door.connect().await;
        caller.send(self.door.head(line, fields)).await;
        caller.read_response().await
    }

    /// What is answered to a request that the printer answers so.
    async fn answered(&self, line: &str, answer: &str) -> RawResponse {
        let (mut caller, mut upstream) = self.asked(line, &[]).await;
        upstream.send(answer).await;
        if line.starts_with("HEAD") {
            return caller.read_response_head().await;
        }
        caller.read_response().await
    }

    /// The next request that the printer's server sees is this one.
    async fn works(&self, path: &str) {
        let mut caller = self.door.connect().await;
        caller
            .send(self.door.head(&format!("GET {path}"), &[]))
            .await;
        let mut upstream = self.printer.accept().await;
        let request = upstream.read_request().await;
        assert!(request.line.contains(path), "{}", request.line);
        upstream.send(with_length(200, 2) + "ok").await;
        assert_eq!(caller.read_response().await.status(), 200);
    }
}

async fn relay(plan: Entitlements) -> RunningRelay {
    RunningRelay::start(|relay| {
        let plans = [("supporter", plan), ("unlimited", unlimited())];
        let plans = plans.map(|(name, plan)| (name.parse().unwrap(), plan));
        relay.plans = Plans::new(plans.into_iter().collect());
    })
    .await
}

fn with_length(status: u16, length: u64) -> String {
    format!("HTTP/1.1 {status} Of it\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")
}

fn camera() -> String {
    let kind = "multipart/x-mixed-replace;boundary=x";
    let pixels = "x".repeat(2_000);
    let part = format!("--x\r\nContent-Length: 2007\r\n\r\n{pixels}picture\r\n");
    format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n\r\n{part}")
}

fn chunk(size: usize) -> String {
    format!("{size:x}\r\n{}\r\n", "x".repeat(size))
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

fn told(response: &RawResponse, status: u16) -> String {
    assert_eq!(response.status(), status, "{response:?}");
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(body["Status"], status);
    assert!(body["Result"].is_null());
    body["Error"].as_str().unwrap().to_owned()
}

fn no_download_over(bytes: u64) -> Entitlements {
    Entitlements {
        max_download_bytes: Some(bytes),
        ..unlimited()
    }
}

#[tokio::test]
async fn a_download_of_known_length_is_refused_before_its_first_byte() {
    let house = House::new(no_download_over(100)).await;
    let whole = house
        .answered("GET /file", &(with_length(200, 100) + &"x".repeat(100)))
        .await;
    assert_eq!((whole.status(), whole.body.len()), (200, 100));
    let large = house.answered("GET /file", &with_length(200, 101)).await;
    assert!(told(&large, 607).contains("larger than allowed"));
    assert_eq!(large.field("retry-after"), None, "no time helps");
    // A range is as long as itself, and what has no body has no length.
    let range = with_length(206, 100) + &"x".repeat(100);
    let range = house.answered("GET /file", &range).await;
    assert_eq!((range.status(), range.body.len()), (206, 100));
    let range = house.answered("GET /file", &with_length(206, 101)).await;
    told(&range, 607);
    let head = house.answered("HEAD /file", &with_length(200, 9_999)).await;
    assert_eq!(head.status(), 200);
    assert_eq!(head.field("content-length"), Some("9999"));
    let same = "HTTP/1.1 304 Not Modified\r\nContent-Length: 9999\r\nConnection: close\r\n\r\n";
    assert_eq!(house.answered("GET /file", same).await.status(), 304);
}

#[tokio::test]
async fn a_download_of_unknown_length_breaks_off_at_the_limit() {
    let house = House::new(no_download_over(1_000)).await;
    let (mut caller, mut upstream) = house.asked("GET /file", &[]).await;
    upstream.send(format!("{CHUNKED}{}", chunk(600))).await;
    assert_eq!(caller.read_response_head().await.status(), 200);
    caller.read_until("x".repeat(600)).await;
    upstream.send(chunk(401)).await;
    let (rest, _) = caller.read_to_end().await;
    let rest = String::from_utf8(rest).unwrap();
    assert!(
        !rest.contains('x') && !rest.contains("0\r\n\r\n"),
        "{rest:?}"
    );
    // And the printer's server is not left to send the rest.
    upstream.read_to_end().await;
    // To the byte it passes whole.
    let exact = format!("{CHUNKED}{}{}0\r\n\r\n", chunk(600), chunk(400));
    let exact = house.answered("GET /file", &exact).await;
    assert_eq!(exact.body.len(), 1_000);
}

fn no_upload_over(bytes: u64) -> Entitlements {
    Entitlements {
        max_upload_bytes: Some(bytes),
        ..unlimited()
    }
}

#[tokio::test]
async fn an_upload_of_known_length_is_refused_before_a_byte_of_it() {
    let house = House::new(no_upload_over(100)).await;
    for fields in [
        &["Content-Length: 101"][..],
        &["Content-Length: 101", "Expect: 100-continue"],
    ] {
        // The first answer: nobody is told to go on with it.
        let refused = house.refused("POST /api/files/local", fields).await;
        assert!(told(&refused, 608).contains("larger than allowed"));
    }
    house.works("/after").await;
    let fields = ["Content-Length: 100", "Expect: 100-continue"];
    let mut caller = house.door.connect().await;
    caller
        .send(house.door.head("POST /api/files/local", &fields))
        .await;
    assert_eq!(caller.read_response_head().await.status(), 100);
    caller.send("x".repeat(100)).await;
    let mut upstream = house.printer.accept().await;
    assert_eq!(upstream.read_request().await.body.len(), 100);
    upstream.send(with_length(201, 0)).await;
    assert_eq!(caller.read_response().await.status(), 201);
}

#[tokio::test]
async fn an_upload_of_unknown_length_is_stopped_where_it_passes_the_limit() {
    let house = House::new(no_upload_over(1_000)).await;
    let fields = ["Transfer-Encoding: chunked"];
    let (mut caller, mut upstream) = house.asked("POST /api/files/local", &fields).await;
    caller.send(chunk(600)).await;
    upstream.read_until("x".repeat(600)).await;
    caller.send(chunk(401)).await;
    let refused = caller.read_response().await;
    told(&refused, 608);
    let (rest, _) = upstream.read_to_end().await;
    let rest = String::from_utf8(rest).unwrap();
    assert!(
        !rest.contains("0\r\n\r\n"),
        "never a complete one: {rest:?}"
    );
    let (mut caller, mut upstream) = house.asked("POST /api/files/local", &fields).await;
    caller.send(chunk(1_000) + "0\r\n\r\n").await;
    assert_eq!(upstream.read_chunks().await.len(), 1_000);
    upstream.send(with_length(201, 0)).await;
    assert_eq!(caller.read_response().await.status(), 201);
}

fn piece(size: usize) -> hyper::body::Frame<bytes::Bytes> {
    hyper::body::Frame::data("x".repeat(size).into())
}

#[tokio::test]
async fn over_http2_it_is_the_same() {
    let plan = Entitlements {
        max_upload_bytes: Some(100),
        ..no_download_over(100)
    };
    let house = House::new(plan).await;
    let mut caller = house.door.http2().await;
    let upload = house.door.http2_request("POST", "/api/files/local");
    let upload = upload.header("content-length", 101);
    let upload = upload.body(body::full("x".repeat(101))).unwrap();
    let refused = within("an answer", caller.send_request(upload))
        .await
        .unwrap();
    assert_eq!(refused.status().as_u16(), 608);
    // Without a length: the second piece comes when the first has arrived.
    let (arrived, go_on) = tokio::sync::oneshot::channel::<()>();
    let second = async move {
        go_on.await.unwrap();
        Some((Ok(piece(60)), None))
    };
    let mut second = Some(Box::pin(second));
    let pieces = futures_util::stream::unfold(Some(()), move |first| {
        let second = if first.is_none() { second.take() } else { None };
        async move {
            match (first, second) {
                (Some(()), _) => Some((Ok::<_, body::BodyError>(piece(60)), None)),
                (None, Some(second)) => second.await,
                (None, None) => None,
            }
        }
    });
    let upload = house.door.http2_request("POST", "/api/files/local");
    let upload = upload
        .body(body::boxed(http_body_util::StreamBody::new(Box::pin(
            pieces,
        ))))
        .unwrap();
    let printing = async {
        let mut upstream = house.printer.accept().await;
        upstream.read_request_head().await;
        upstream.read_until("x".repeat(60)).await;
        arrived.send(()).unwrap();
        upstream.read_to_end().await;
    };
    let (refused, ()) = tokio::join!(caller.send_request(upload), printing);
    assert_eq!(refused.unwrap().status().as_u16(), 608);
    let ask = |path| {
        let request = house.door.http2_request("GET", path);
        request.body(body::empty()).unwrap()
    };
    let known = async {
        let mut upstream = house.printer.accept().await;
        upstream.read_request_head().await;
        upstream.send(with_length(200, 101)).await;
        upstream
    };
    let (refused, _upstream) = tokio::join!(caller.send_request(ask("/known")), known);
    assert_eq!(refused.unwrap().status().as_u16(), 607);
    let unknown = async {
        let mut upstream = house.printer.accept().await;
        upstream.read_request_head().await;
        upstream.send(format!("{CHUNKED}{}", chunk(60))).await;
        upstream
    };
    let (answer, mut upstream) = tokio::join!(caller.send_request(ask("/unknown")), unknown);
    let mut body = answer.unwrap().into_body();
    let first = within("a piece", body.frame()).await.unwrap().unwrap();
    assert_eq!(first.into_data().unwrap().len(), 60);
    upstream.send(chunk(60)).await;
    let second = within("the end", body.frame()).await.unwrap();
    assert!(second.unwrap_err().is_reset(), "not an end");
}

trait IsReset {
    fn is_reset(&self) -> bool;
}

impl IsReset for hyper::Error {
    /// That the stream was taken back, and the connection was not.
    fn is_reset(&self) -> bool {
        !self.is_closed() && !self.is_canceled()
    }
}

#[tokio::test]
async fn a_webcam_stream_ends_in_good_order_and_the_window_is_used_up() {
    let plan = Entitlements {
        max_webcam_stream_seconds: Some(1),
        max_webcam_seconds_per_window: Some(2),
        webcam_window_seconds: Some(3_600),
        // A picture is no file.
        max_download_bytes: Some(1_000),
        ..unlimited()
    };
    let house = House::new(plan).await;
    for _ in 0..2 {
        let (mut caller, mut upstream) = house.asked("GET /webcam/?action=stream", &[]).await;
        upstream.send(camera()).await;
        let watched = caller.read_response().await;
        assert_eq!(watched.status(), 200);
        assert!(watched.body.ends_with(b"picture\r\n"), "the whole of it");
        // The camera is let go.
        upstream.read_to_end().await;
    }
    let (mut caller, mut upstream) = house.asked("GET /webcam/?action=stream", &[]).await;
    upstream.send(camera()).await;
    let refused = caller.read_response().await;
    assert!(told(&refused, 609).contains("later"));
    let again: u64 = refused.field("retry-after").unwrap().parse().unwrap();
    assert!((3_000..=3_601).contains(&again), "{again}");
    upstream.read_to_end().await;
    // Single pictures are no streams.
    let picture = "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: 1\r\n\r\nx";
    let picture = house
        .answered("GET /webcam/?action=snapshot", picture)
        .await;
    assert_eq!(picture.status(), 200);
}

#[tokio::test]
async fn so_much_is_open_at_once_and_no_more() {
    let plan = Entitlements {
        max_concurrent_streams: Some(2),
        ..unlimited()
    };
    let house = House::new(plan).await;
    let (mut socket, mut sockets_printer) = house.asked("GET /websocket", &UPGRADE).await;
    sockets_printer.send(SWITCH).await;
    assert_eq!(socket.read_response_head().await.status(), 101);
    let (mut waiting, mut waited_for) = house.asked("GET /poll", &[]).await;
    for (line, status) in [
        ("GET /api/version", 600),
        ("POST /api/job", 600),
        ("GET /webcam/?action=stream", 609),
    ] {
        let refused = house.refused(line, &[]).await;
        assert!(told(&refused, status).contains("at once"));
        assert!(refused.field("retry-after").is_some());
    }
    // What ends makes room, at once.
    waited_for.send(with_length(200, 2) + "ok").await;
    assert_eq!(waiting.read_response().await.status(), 200);
    house.works("/next").await;
    drop(socket);
    sockets_printer.read_to_end().await;
    let (_first, _) = house.asked("GET /poll", &[]).await;
    eventually("the socket's place to be free", async || {
        let mut caller = house.door.connect().await;
        caller.send(house.door.head("GET /second", &[])).await;
        let free = tokio::select! {
            response = caller.read_response() => response.status() != 600,
            _ = house.printer.accept() => true,
        };
        free
    })
    .await;
}

fn a_month_of(bytes: u64) -> Entitlements {
    Entitlements {
        max_bytes_per_month: Some(bytes),
        ..unlimited()
    }
}

#[tokio::test]
async fn a_month_that_is_used_up_is_told_and_ends_nothing_for_good() {
    let house = House::new(a_month_of(100_000)).await;
    let (mut socket, mut printer) = house.asked("GET /websocket", &UPGRADE).await;
    printer.send(SWITCH).await;
    assert_eq!(socket.read_response_head().await.status(), 101);
    // What is longer than the rest is not begun.
    let large = house
        .answered("GET /file", &with_length(200, 100_001))
        .await;
    assert!(told(&large, 600).contains("month"));
    let (mut caller, mut upstream) = house.asked("GET /file", &[]).await;
    upstream.send(CHUNKED).await;
    assert_eq!(caller.read_response_head().await.status(), 200);
    // The printer may be cut off in the middle of it.
    while upstream.try_send(chunk(10_000)).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let (rest, _) = caller.read_to_end().await;
    let arrived = rest.split(|byte| *byte == b'x').count() - 1;
    assert!(arrived <= 100_000, "{arrived}");
    // Less than a piece is left.
    let refused = house.answered("GET /rest", &with_length(200, 50_000)).await;
    assert!(told(&refused, 600).contains("month"));
    let left = Month::of(SystemClock.now())
        .left(SystemClock.now())
        .as_secs();
    let again: u64 = refused.field("retry-after").unwrap().parse().unwrap();
    assert!(again.abs_diff(left) < 60, "{again}");
    // The socket moves more than that, and is told that it goes, and may be back.
    let mut frame = vec![0x82, 126, 0x27, 0x10];
    frame.extend([b'y'; 10_000]);
    printer.send(frame.repeat(8)).await;
    let (last, _) = socket.read_to_end().await;
    assert!(last.ends_with(&[0x88, 2, 0x03, 0xe9]), "1001");
    // Another plan, and everything is there again.
    let unlimited = "unlimited".parse().unwrap();
    let life = &house.relay.life;
    assert!(
        life.set_plan(&house.relay.account, &unlimited)
            .await
            .unwrap()
    );
    house.works("/again").await;
}

#[tokio::test]
async fn a_hundred_downloads_at_once_get_what_the_month_has_and_not_a_byte_more() {
    const MIB: usize = 1024 * 1024;
    const MONTH: u64 = 20 * MIB as u64;
    let house = House::new(a_month_of(MONTH)).await;
    let printer = house.printer.address();
    drop(house.printer);
    // Every request gets a MiB whose length nobody is told.
    let listener = TcpListener::bind(printer).await.unwrap();
    tokio::spawn(async move {
        loop {
            let mut upstream = RawConnection::over(listener.accept().await.unwrap().0);
            tokio::spawn(async move {
                upstream.read_request_head().await;
                let mut upstream = upstream.into_stream();
                let piece = chunk(MIB / 16);
                let answer = CHUNKED.to_owned() + &piece.repeat(16) + "0\r\n\r\n";
                // Cut off at the limit.
                let _ = upstream.write_all(answer.as_bytes()).await;
            });
        }
    });
    let before = kept(&house.relay).await;
    let downloads = (0..100).map(async |_| {
        let mut caller = house.door.http2().await;
        let request = house.door.http2_request(Method::GET.as_str(), "/file");
        let request = request.body(body::empty()).unwrap();
        // A reset may overtake the head.
        let Ok(response) = within("an answer", caller.send_request(request)).await else {
            return 0;
        };
        if response.status() != 200 {
            assert_eq!(response.status().as_u16(), 600);
            return 0;
        }
        let (mut body, mut arrived) = (response.into_body(), 0);
        while let Some(Ok(frame)) = within("a piece", body.frame()).await {
            arrived += frame.into_data().map_or(0, |data| data.len());
        }
        arrived as u64
    });
    let arrived: u64 = join_all(downloads).await.iter().sum();
    assert!(arrived + before <= MONTH, "{arrived} and {before} before");
    // And it was of use, but for what resets overtook.
    assert!(arrived > MONTH / 2, "{arrived}");
    // An orderly stop forgets nothing.
    house.relay.stop.soft.cancel();
    within("the relay to stop", house.relay.running)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_rate_slows_down_all_that_is_open_together_and_loses_nothing() {
    const SIZE: usize = 128 * 1024;
    let house = House::new(Entitlements {
        max_bytes_per_second: Some(SIZE as u64),
        ..unlimited()
    })
    .await;
    let content = "x".repeat(SIZE);
    let answer = with_length(200, SIZE as u64) + &content;
    let begun = tokio::time::Instant::now();
    let (mut first, mut upstream) = house.asked("GET /one", &[]).await;
    let (mut second, mut other) = house.asked("GET /two", &[]).await;
    tokio::join!(upstream.send(&answer), other.send(&answer));
    let (one, two) = tokio::join!(first.read_response(), second.read_response());
    assert!(one.body == content.as_bytes() && two.body == content.as_bytes());
    // An upload is slowed down the same way, and not taken for a slow caller's.
    let length = format!("Content-Length: {SIZE}");
    let (mut caller, mut upstream) = house.asked("POST /three", &[&length]).await;
    caller.send(&content).await;
    assert!(upstream.read_exactly(SIZE).await == content.as_bytes());
    upstream.send(with_length(200, 2) + "ok").await;
    assert_eq!(caller.read_response().await.status(), 200);
    // Three seconds' worth, one of which passes at once.
    assert!(
        begun.elapsed() >= Duration::from_millis(1_900),
        "{:?}",
        begun.elapsed()
    );
}

/// The bytes of this month in the database.
async fn kept(relay: &RunningRelay) -> u64 {
    let store = relay.open_store().await;
    let month = Month::of(SystemClock.now());
    let kept = store.account_usage().load(&relay.account, month).await;
    kept.unwrap().bytes
}

#[tokio::test]
async fn what_was_counted_is_written_at_a_stop_and_counts_after_it() {
    let mut house = House::new(unlimited()).await;
    let answer = with_length(200, 5_000) + &"x".repeat(5_000);
    assert_eq!(house.answered("GET /file", &answer).await.body.len(), 5_000);
    house.relay.stop.soft.cancel();
    within("the relay to stop", &mut house.relay.running)
        .await
        .unwrap();
    let bytes = kept(&house.relay).await;
    assert!((5_000..6_000).contains(&bytes), "{bytes}");
}

#[tokio::test]
async fn a_plan_that_is_changed_by_a_command_holds_for_a_running_download() {
    let house = House::new(no_download_over(1_000)).await;
    let store = house.relay.open_store().await;
    let account = &house.relay.account;
    let plan = async |name: &str| {
        let plan = name.parse().unwrap();
        assert!(store.accounts().set_plan(account, &plan).await.unwrap());
    };
    plan("unlimited").await;
    let (mut caller, mut upstream) = house.asked("GET /file", &[]).await;
    upstream.send(format!("{CHUNKED}{}", chunk(5_000))).await;
    caller.read_until("x".repeat(5_000)).await;
    plan("supporter").await;
    // The next request knows at once, what runs within two seconds.
    let large = house.answered("GET /large", &with_length(200, 1_001)).await;
    told(&large, 607);
    while upstream.try_send(chunk(1)).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (rest, _) = caller.read_to_end().await;
    assert!(!rest.ends_with(b"0\r\n\r\n"), "broken off");
}
