//! Callers of every kind against the plain server.

use std::time::Duration;

use latchkey_bench::load::{self, Browser, Target};
use latchkey_bench::payload::noise;
use latchkey_bench::peer;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;
use tokio_util::task::TaskTracker;

const SHORT: Duration = Duration::from_millis(200);

async fn server() -> (Target, AbortOnDropHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = Target::plain(listener.local_addr().unwrap());
    let serving = TaskTracker::new().spawn(peer::serve(listener));
    (target, AbortOnDropHandle::new(serving))
}

#[tokio::test]
async fn every_kind_of_load_is_answered() {
    let (target, _serving) = server().await;
    for outcome in [
        load::kept(&target, "/small", 4, SHORT).await.unwrap(),
        load::fresh(&target, "/small", 4, SHORT).await.unwrap(),
        load::at_rate(&target, "/small", 200, SHORT).await.unwrap(),
        load::echo(&target, 3, SHORT).await.unwrap(),
    ] {
        assert!(outcome.done > 0 && outcome.failed == 0, "{outcome:?}");
        assert_eq!(outcome.latencies.len() as u64, outcome.done);
        assert!(outcome.percentile(0.99) >= outcome.percentile(0.5));
    }
    let megabytes = 3_000_001;
    assert!(load::download(&target, megabytes).await.unwrap() > 0.0);
    assert!(load::upload(&target, &noise(), megabytes).await.unwrap() > 0.0);
}

#[tokio::test]
async fn a_rate_is_kept_to() {
    let (target, _serving) = server().await;
    let outcome = load::at_rate(&target, "/small", 100, Duration::from_millis(500));
    let outcome = outcome.await.unwrap();
    // From the one at 0 ms to the one at 500 ms.
    assert_eq!(outcome.done, 51);
}

#[tokio::test]
async fn what_is_refused_is_a_failure() {
    let (target, _serving) = server().await;
    assert!(load::kept(&target, "/nothing", 1, SHORT).await.is_err());
    assert!(
        load::watch(&target, "/small", 0, SHORT)
            .await
            .unwrap()
            .whole
            == 0
    );
    assert!(
        load::watch(&target, "/small", 2, SHORT).await.is_err(),
        "no webcam"
    );
}

#[tokio::test]
async fn viewers_see_whole_pictures() {
    let (target, _serving) = server().await;
    let path = "/webcam/?action=stream&rate=50&size=5000";
    let seen = load::watch(&target, path, 5, Duration::from_millis(500));
    let seen = seen.await.unwrap();
    assert_eq!((seen.viewers, seen.broken), (5, 0));
    assert!(seen.whole >= 5, "{seen:?}");
}

#[tokio::test]
async fn a_browser_asks_again_only_whether_something_changed() {
    let (target, _serving) = server().await;
    let parts: Vec<String> = (1..=20)
        .map(|part| format!("/asset/{}", part * 100))
        .collect();
    let browser = Browser::default();
    let first = browser.load(&target, &parts).await.unwrap();
    assert_eq!((first.asked, first.unchanged, first.bytes), (20, 0, 21_000));
    let second = browser.load(&target, &parts).await.unwrap();
    assert_eq!((second.asked, second.unchanged, second.bytes), (20, 20, 0));
}
