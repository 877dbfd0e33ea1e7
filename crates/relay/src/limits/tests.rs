//! Limits as they meet requests, without sockets.

use futures_util::future::join_all;
use futures_util::{FutureExt as _, stream};
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use latchkey_model::account::{Account, Email};
use latchkey_model::chance::SeededChance;
use latchkey_model::clock::FixedClock;
use latchkey_model::limit::Limit;
use latchkey_model::printer::{Printer, PrinterName, Seen};
use latchkey_net::body::{self, Body, BodyError};

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_760_000_000_000);
const PIECE: u64 = 16 * 1024;
const MIB: u64 = 1024 * 1024;

struct Bench {
    limits: Limits,
    store: RelayStore,
    clock: FixedClock,
    account: AccountId,
    printer: PrinterId,
    plan: Entitlements,
}

fn unlimited() -> Entitlements {
    Entitlements::default()
}

impl Bench {
    /// An account with a printer, on this plan, with `unlimited` beside it.
    async fn new(plan: Entitlements) -> Self {
        let store = RelayStore::open_in_memory().await.unwrap();
        let (chance, clock) = (SeededChance::new(1), FixedClock::new(NOW));
        let account = Account::new(
            AccountId::generate(&chance),
            Email::parse("owner@latchkey.example").unwrap(),
            NOW,
            "limited".parse().unwrap(),
        );
        store.accounts().create(&account, None).await.unwrap();
        let printer = Printer {
            id: PrinterId::generate(&chance),
            account: account.id.clone(),
            name: PrinterName::parse("Printer").unwrap(),
            host: None,
            created: NOW,
            seen: Seen::default(),
            local_address: None,
        };
        store.printers().create(&printer).await.unwrap();
        Self {
            limits: limits(&store, &clock, plan),
            store,
            clock,
            account: account.id,
            printer: printer.id,
            plan,
        }
    }

    async fn try_begin(&self) -> Result<Pass, NotNow> {
        let subject = Subject {
            account: &self.account,
            printer: &self.printer,
            plan: &self.plan,
        };
        self.limits.begin(subject, false).await
    }

    async fn begin(&self) -> Pass {
        self.try_begin().await.unwrap()
    }

    async fn refused(&self) -> Limit {
        match self.try_begin().await {
            Err(NotNow::Reached(reached)) => reached.limit,
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("let in"),
        }
    }

    /// Lets time run by itself, once the database is not needed any more: it does not wait.
    async fn pause(&self) {
        drop(self.begin().await);
        tokio::time::pause();
    }

    /// What a relay that starts now makes of the same database.
    fn restart(&mut self) {
        self.limits = limits(&self.store, &self.clock, self.plan);
    }

    async fn used(&self) -> Used {
        self.limits.used(&self.account, &self.plan).await.unwrap()
    }

    /// How much of a download of this length arrives.
    async fn download(&self, bytes: u64) -> u64 {
        let pass = self.begin().await;
        let response = pass.answer(&Method::GET, Response::new(pieces(bytes)));
        arrived(response.unwrap().into_body()).await
    }
}

fn limits(store: &RelayStore, clock: &FixedClock, plan: Entitlements) -> Limits {
    let plans = [("limited", plan), ("unlimited", unlimited())];
    let plans = plans.map(|(name, plan)| (name.parse().unwrap(), plan));
    Limits::new(
        store.clone(),
        Arc::new(clock.clone()),
        Plans::new(plans.into_iter().collect()),
        TaskTracker::new(),
    )
}

/// A body whose length nobody is told.
fn pieces(bytes: u64) -> Body {
    let pieces = (0..bytes / PIECE).map(|_| {
        let piece = vec![b'x'; usize::try_from(PIECE).unwrap()];
        Ok::<_, BodyError>(Frame::data(piece.into()))
    });
    body::boxed(StreamBody::new(stream::iter(pieces)))
}

/// A camera that shows a picture every hundredth of a second.
fn camera() -> Response<Body> {
    let pictures = stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        Some((Ok::<_, BodyError>(Frame::data("picture".into())), ()))
    });
    let kind = "multipart/x-mixed-replace;boundary=x";
    let response = Response::builder().header("content-type", kind);
    response
        .body(body::boxed(StreamBody::new(Box::pin(pictures))))
        .unwrap()
}

async fn arrived(mut body: Body) -> u64 {
    let mut bytes = 0;
    while let Some(Ok(frame)) = body.frame().await {
        bytes += frame.data_ref().map_or(0, bytes::Bytes::len) as u64;
    }
    bytes
}

fn answer(status: u16, length: u64) -> Response<Body> {
    let response = Response::builder().status(status);
    let response = response.header("content-length", length);
    response.body(pieces(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_downloads_at_once_get_no_more_than_the_month_has() {
    let bench = Bench::new(Entitlements {
        max_bytes_per_month: Some(10 * MIB),
        ..unlimited()
    })
    .await;
    let mut passes = Vec::new();
    for _ in 0..100 {
        passes.push(bench.begin().await);
    }
    let tasks = TaskTracker::new();
    let downloads = passes.into_iter().map(|pass| {
        let response = pass.answer(&Method::GET, Response::new(pieces(MIB)));
        tasks.spawn(arrived(response.unwrap().into_body()))
    });
    let arrived = join_all(downloads.collect::<Vec<_>>()).await;
    let whole: u64 = arrived.into_iter().map(Result::unwrap).sum();
    assert_eq!(whole, 10 * MIB, "to the byte, and nothing was lost either");
    assert_eq!(bench.used().await.bytes, 10 * MIB);
    assert_eq!(bench.refused().await, Limit::Month);
}

#[tokio::test]
async fn counts_survive_a_restart_and_a_month_does_not() {
    let mut bench = Bench::new(Entitlements {
        max_bytes_per_month: Some(MIB),
        ..unlimited()
    })
    .await;
    assert_eq!(bench.download(MIB).await, MIB);
    bench.limits.write().await;
    bench.restart();
    assert_eq!(bench.used().await.bytes, MIB);
    assert_eq!(bench.refused().await, Limit::Month);
    let next = Month::of(NOW).left(NOW);
    bench.clock.set(NOW.plus(next));
    assert_eq!(bench.used().await.bytes, 0);
    assert_eq!(bench.download(MIB).await, MIB);
    bench.limits.write().await;
    let kept = bench.store.account_usage();
    for month in [Month::of(NOW), Month::of(NOW.plus(next))] {
        let kept = kept.load(&bench.account, month).await.unwrap();
        assert_eq!(kept.bytes, MIB);
    }
}

#[tokio::test]
async fn what_cannot_be_written_waits_for_the_next_time() {
    let bench = Bench::new(unlimited()).await;
    assert_eq!(bench.download(MIB).await, MIB);
    bench.store.close().await;
    bench.limits.write().await;
    let book = bench.limits.found(&bench.account).unwrap();
    let left: u64 = book.counts().take_bytes().map(|(_, bytes)| bytes).sum();
    assert_eq!(left, MIB);
}

#[tokio::test]
async fn a_plan_that_changes_holds_for_what_is_open() {
    let bench = Bench::new(Entitlements {
        max_download_bytes: Some(4 * PIECE),
        ..unlimited()
    })
    .await;
    let accounts = bench.store.accounts();
    accounts
        .set_plan(&bench.account, &"unlimited".parse().unwrap())
        .await
        .unwrap();
    let pass = bench.begin().await;
    let response = pass.answer(&Method::GET, Response::new(pieces(MIB)));
    let mut body = response.unwrap().into_body();
    assert!(body.frame().await.unwrap().is_ok());
    bench.limits.look().await.unwrap();
    for _ in 1..10 {
        assert!(body.frame().await.unwrap().is_ok());
    }
    accounts
        .set_plan(&bench.account, &"limited".parse().unwrap())
        .await
        .unwrap();
    bench.limits.look().await.unwrap();
    assert!(body.frame().await.unwrap().is_err());
    // A plan that nobody defined changes nothing.
    let pass = bench.begin().await;
    accounts
        .set_plan(&bench.account, &"gone".parse().unwrap())
        .await
        .unwrap();
    bench.limits.look().await.unwrap();
    assert!(
        pass.answer(&Method::GET, answer(200, 4 * PIECE + 1))
            .is_err()
    );
}

#[tokio::test]
async fn a_download_is_measured_by_what_is_sent() {
    let bench = Bench::new(Entitlements {
        max_download_bytes: Some(100),
        ..unlimited()
    })
    .await;
    for (method, status, length, passes) in [
        (Method::GET, 200, 100, true),
        (Method::GET, 200, 101, false),
        // A range is as long as itself.
        (Method::GET, 206, 100, true),
        (Method::GET, 206, 101, false),
        (Method::POST, 200, 101, false),
        (Method::GET, 500, 101, false),
        // Nothing of these is sent, whatever they say.
        (Method::HEAD, 200, 101, true),
        (Method::GET, 304, 101, true),
    ] {
        let what = format!("{method} {status} {length}");
        let answered = bench.begin().await.answer(&method, answer(status, length));
        match answered {
            Ok(_) => assert!(passes, "{what}"),
            Err(reached) => {
                assert!(!passes, "{what}");
                assert_eq!(reached.limit, Limit::Download);
            }
        }
    }
    assert_eq!(bench.download(PIECE).await, 0, "the piece that is too much");
}

#[tokio::test]
async fn an_upload_is_refused_by_its_length_and_stopped_where_none_is_told() {
    let bench = Bench::new(Entitlements {
        max_upload_bytes: Some(2 * PIECE),
        ..unlimited()
    })
    .await;
    let told = |length| {
        let request = Request::builder().header("content-length", length);
        request.body(pieces(0)).unwrap()
    };
    let pass = bench.begin().await;
    assert!(pass.request(told(2 * PIECE)).is_ok());
    let reached = pass.request(told(2 * PIECE + 1)).map(|_| ()).unwrap_err();
    assert_eq!(reached.limit, Limit::Upload);
    let request = pass.request(Request::new(pieces(3 * PIECE))).unwrap();
    assert!(pass.stopped().now_or_never().is_none());
    assert_eq!(arrived(request.into_body()).await, 2 * PIECE);
    assert_eq!(pass.stopped().now_or_never().unwrap().limit, Limit::Upload);
    assert_eq!(bench.used().await.bytes, 2 * PIECE);
}

#[tokio::test]
async fn what_is_longer_than_the_month_has_is_not_begun() {
    let bench = Bench::new(Entitlements {
        max_bytes_per_month: Some(100),
        ..unlimited()
    })
    .await;
    let answered = bench.begin().await.answer(&Method::GET, answer(200, 101));
    let reached = answered.map(|_| ()).unwrap_err();
    assert_eq!(reached.limit, Limit::Month);
    assert_eq!(reached.again, Some(Month::of(NOW).left(NOW)));
    assert!(
        bench
            .begin()
            .await
            .answer(&Method::GET, answer(200, 100))
            .is_ok()
    );
}

#[tokio::test]
async fn a_stream_is_open_until_its_last_byte() {
    let bench = Bench::new(Entitlements {
        max_concurrent_streams: Some(1),
        ..unlimited()
    })
    .await;
    let pass = bench.begin().await;
    assert_eq!(bench.refused().await, Limit::Streams);
    let response = Response::builder().header("content-length", 2 * PIECE);
    let response = response.body(pieces(2 * PIECE)).unwrap();
    let mut body = pass.answer(&Method::GET, response).unwrap().into_body();
    assert!(body.frame().await.unwrap().is_ok());
    assert_eq!(bench.refused().await, Limit::Streams);
    assert!(body.frame().await.unwrap().is_ok());
    let next = bench.begin().await;
    drop(body);
    assert_eq!(bench.refused().await, Limit::Streams, "and is closed once");
    drop(next);
    let answered = bench
        .begin()
        .await
        .answer(&Method::GET, Response::new(pieces(MIB)));
    drop(answered);
    drop(bench.begin().await.answer(&Method::HEAD, answer(200, 5)));
    bench.begin().await;
}

#[tokio::test]
async fn a_picture_ends_in_good_order_at_its_own_length() {
    let bench = Bench::new(Entitlements {
        max_webcam_stream_seconds: Some(3),
        // A picture is no file.
        max_download_bytes: Some(1),
        ..unlimited()
    })
    .await;
    bench.pause().await;
    let begun = tokio::time::Instant::now();
    let body = bench.begin().await.answer(&Method::GET, camera()).unwrap();
    let collected = body.into_body().collect().await;
    assert!(!collected.unwrap().to_bytes().is_empty());
    let took = begun.elapsed();
    assert!((3_000..3_100).contains(&took.as_millis()), "{took:?}");
}

#[tokio::test]
async fn pictures_of_one_printer_share_the_time_of_the_window() {
    let mut bench = Bench::new(Entitlements {
        max_webcam_seconds_per_window: Some(10),
        webcam_window_seconds: Some(3_600),
        ..unlimited()
    })
    .await;
    let watch = |pass: Pass| pass.answer(&Method::GET, camera()).unwrap().into_body();
    bench.pause().await;
    // What somebody leaves early is not used.
    drop(watch(bench.begin().await));
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(bench.used().await.webcams.is_empty());
    let begun = tokio::time::Instant::now();
    let bodies = [bench.begin().await, bench.begin().await].map(watch);
    for arrived in join_all(bodies.map(arrived)).await {
        assert!(arrived > 0);
    }
    let took = begun.elapsed();
    assert!((5_000..6_100).contains(&took.as_millis()), "{took:?}");
    tokio::time::resume();
    bench.limits.write().await;
    bench.restart();
    let [(_, used, left)] = &bench.used().await.webcams[..] else {
        panic!("one webcam");
    };
    assert_eq!(used.as_secs(), 10);
    assert_eq!(left.as_secs(), 3_600);
    let refused = bench.begin().await.answer(&Method::GET, camera());
    let reached = refused.map(|_| ()).unwrap_err();
    assert_eq!(reached.limit, Limit::WebcamTime);
    assert_eq!(reached.again, Some(Duration::from_hours(1)));
    bench.clock.set(NOW.plus(Duration::from_hours(1)));
    assert!(bench.begin().await.answer(&Method::GET, camera()).is_ok());
}

#[tokio::test]
async fn a_socket_ends_when_the_month_is_used_up_and_is_no_file() {
    let bench = Bench::new(Entitlements {
        max_bytes_per_month: Some(100),
        max_download_bytes: Some(1),
        max_upload_bytes: Some(1),
        ..unlimited()
    })
    .await;
    let moved = Arc::new(std::sync::atomic::AtomicU64::new(99));
    let count = Arc::clone(&moved);
    let order = std::sync::atomic::Ordering::Relaxed;
    bench.pause().await;
    let mut socket = bench.begin().await.socket(move || count.load(order));
    tokio::select! {
        () = socket.used_up() => panic!("a byte is left"),
        () = tokio::time::sleep(Duration::from_secs(10)) => {}
    }
    assert_eq!(bench.used().await.bytes, 99);
    moved.store(105, order);
    tokio::time::timeout(Duration::from_secs(2), socket.used_up())
        .await
        .unwrap_or(());
    drop(socket);
    // What went through before anybody counted counts.
    assert_eq!(bench.used().await.bytes, 105);
    assert_eq!(bench.refused().await, Limit::Month);
}

#[tokio::test]
async fn books_that_nobody_uses_are_put_away_and_read_again() {
    let bench = Bench::new(unlimited()).await;
    assert_eq!(bench.download(MIB).await, MIB);
    bench.limits.put_away();
    assert!(bench.limits.found(&bench.account).is_some());
    for _ in 0..PUT_AWAY_AFTER / WRITE_AFTER {
        bench.limits.write().await;
    }
    bench.limits.put_away();
    assert!(bench.limits.found(&bench.account).is_none());
    assert_eq!(bench.used().await.bytes, MIB);
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_a_doubt() {
    let bench = Bench::new(unlimited()).await;
    bench.store.close().await;
    assert!(matches!(bench.try_begin().await, Err(NotNow::Store(_))));
}

#[test]
fn a_webcam_is_known_by_its_address() {
    for (path, webcam) in [
        ("/webcam/?action=stream", true),
        ("/webcam2/stream", true),
        ("/camera?action=stream&x", true),
        ("/api/version", false),
        ("/api/job?action=streaming", false),
        ("/files/webcam.gcode", false),
    ] {
        assert_eq!(asks_for_webcam(&path.parse().unwrap()), webcam, "{path}");
    }
}
