//! What the printer's server is given to do at once (F-12, F-13, F-27).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use latchkey_host::config::Load;
use latchkey_model::app_connection::AccessMode;

use super::{Server, ask, sent};
use crate::harness::eventually;
use crate::harness::inproc::{RunningRelay, Setup, Way, at_both_hops};
use crate::harness::raw::RawConnection;

at_both_hops!(
    a_flood_waits_at_the_host,
    who_cannot_be_served_hears_so,
    a_restart_of_the_server_costs_reading_nothing_and_writing_one_request_a_connection,
);

const UPGRADE: [&str; 4] = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

fn load(max_concurrent: usize, max_long: usize) -> Load {
    Load {
        max_concurrent,
        max_long,
    }
}

async fn a_flood_waits_at_the_host(way: Way) {
    let server = Server::start().await;
    let setup = Setup::new(way).host(|host| host.upstream.load = load(4, 4));
    let door = setup.open_before(server.at).await;
    let mut callers = Vec::new();
    for _ in 0..40 {
        callers.push(sent(&door, "GET /held", &[]).await);
    }
    // Three quarters of what there is, for one caller.
    server.has(3).await;
    server.answer(callers.len());
    for mut caller in callers {
        assert_eq!(caller.read_response().await.status(), 200);
    }
    assert_eq!(server.most(), 3);
}

async fn who_cannot_be_served_hears_so(way: Way) {
    let server = Server::start().await;
    let setup = Setup::new(way).host(|host| host.upstream.load = load(1, 1));
    let door = setup.open_before(server.at).await;
    // One is with the server and counts as long after a while, the second takes its place then.
    let mut first = sent(&door, "GET /held", &[]).await;
    server.has(1).await;
    let mut second = sent(&door, "GET /held", &[]).await;
    let mut third = sent(&door, "GET /held", &[]).await;
    server.has(2).await;
    // On the way one of the two may overtake the other.
    let told = tokio::select! {
        told = second.read_response() => {
            second = third;
            told
        }
        told = third.read_response() => told,
    };
    assert_eq!(told.status(), 503);
    assert_eq!(told.field("retry-after"), Some("2"));
    let body: serde_json::Value = serde_json::from_slice(&told.body).unwrap();
    assert_eq!(body["code"], "upstream_busy");
    assert_eq!(server.most(), 2);
    // And it recovers.
    server.answer(3);
    assert_eq!(first.read_response().await.status(), 200);
    assert_eq!(second.read_response().await.status(), 200);
    assert_eq!(ask(&door, "GET /held").await.status(), 200);
}

/// F-12: a server that says nothing, and one that says a byte now and then, to one app.
#[tokio::test]
async fn what_hangs_for_one_app_is_not_noticed_by_another() {
    let server = Server::start().await;
    let relay = RunningRelay::start(|_| {}).await;
    let first = relay.attach(server.at, AccessMode::Enhanced, |host| {
        host.upstream.load = load(4, 8);
    });
    let first = first.await;
    let (_, printer) = first.ids.clone().unwrap();
    let second = relay.connect(&printer, AccessMode::Enhanced).await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(sent(&first, "GET /silent", &[]).await);
    }
    server.has(3).await;
    for _ in 0..20 {
        assert_eq!(ask(&second, "GET /").await.status(), 200);
    }
    // A FIN alone would only say that they send no more.
    silent.into_iter().for_each(RawConnection::reset);
    server.has(0).await;
    let mut drips = Vec::new();
    for _ in 0..3 {
        let mut caller = sent(&first, "GET /drip", &[]).await;
        assert_eq!(caller.read_response_head().await.status(), 200);
        drips.push(caller);
    }
    for _ in 0..20 {
        assert_eq!(ask(&second, "GET /").await.status(), 200);
    }
    // After a few seconds what drips is beside the rest, for that app itself too.
    assert_eq!(ask(&first, "GET /").await.status(), 200);
    for mut caller in drips {
        assert_eq!(caller.read_exactly(1).await, b".");
    }
}

#[tokio::test]
async fn sockets_are_counted_apart_and_keep_nothing_from_being_asked() {
    let server = Server::start().await;
    let setup = Setup::new(Way::Lan).host(|host| host.upstream.load = load(4, 8));
    let door = setup.open_before(server.at).await;
    let mut sockets = Vec::new();
    for _ in 0..6 {
        let mut caller = sent(&door, "GET /socket", &UPGRADE).await;
        assert_eq!(caller.read_response_head().await.status(), 101);
        sockets.push(caller);
    }
    let mut one_more = sent(&door, "GET /socket", &UPGRADE).await;
    assert_eq!(one_more.read_response().await.status(), 503);
    for _ in 0..10 {
        assert_eq!(ask(&door, "GET /").await.status(), 200);
    }
    // A socket that ends makes room for the next.
    sockets.pop().unwrap().reset();
    server.has(5).await;
    let mut next = sent(&door, "GET /socket", &UPGRADE).await;
    assert_eq!(next.read_response_head().await.status(), 101);
}

/// F-13. The server is gone for no time at all, and all connections that were kept are dead.
async fn a_restart_of_the_server_costs_reading_nothing_and_writing_one_request_a_connection(
    way: Way,
) {
    let server = Server::start().await;
    let door = Arc::new(Setup::new(way).open_before(server.at).await);
    let stop = Arc::new(AtomicBool::new(false));
    let failed = Arc::new(AtomicUsize::new(0));
    let asked: Arc<[AtomicUsize]> = (0..8).map(|_| AtomicUsize::new(0)).collect();
    let callers: Vec<_> = (0..asked.len())
        .map(|number| {
            let (door, stop) = (Arc::clone(&door), Arc::clone(&stop));
            let (asked, failed) = (Arc::clone(&asked), Arc::clone(&failed));
            tokio::spawn(async move {
                let writes = number % 2 == 0;
                let head = if writes {
                    door.head("POST /", &["Content-Length: 0"])
                } else {
                    door.head("GET /", &[])
                };
                let mut caller = door.connect().await;
                while !stop.load(Ordering::SeqCst) {
                    caller.send(&head).await;
                    let status = caller.read_response().await.status();
                    asked[number].fetch_add(1, Ordering::SeqCst);
                    if writes && status == door.either(600, 502) {
                        failed.fetch_add(1, Ordering::SeqCst);
                    } else {
                        assert_eq!(status, 200, "writes: {writes}");
                    }
                }
            })
        })
        .collect();
    let mut open = 0;
    for _ in 0..10 {
        // Everybody has been answered since, so nothing meets two restarts.
        let before: Vec<_> = asked.iter().map(|one| one.load(Ordering::SeqCst)).collect();
        let went_on =
            |(one, before): (&AtomicUsize, &usize)| one.load(Ordering::SeqCst) > before + 3;
        eventually("everybody to be answered", async || {
            asked.iter().zip(&before).all(went_on)
        })
        .await;
        open += server.restart();
    }
    stop.store(true, Ordering::SeqCst);
    for caller in callers {
        caller.await.unwrap();
    }
    let failed = failed.load(Ordering::SeqCst);
    assert!(open > 0 && failed <= open, "{failed} of {open}");
}
