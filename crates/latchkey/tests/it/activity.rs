//! What apps do, from the edge to what the relay keeps of it for those whose printers they are.

use http::Method;
use latchkey_model::activity::Did;
use latchkey_model::app_connection::AccessMode;
use latchkey_model::clock::Timestamp;
use latchkey_store::relay::{Happening, Moved};

use crate::harness::eventually;
use crate::harness::http::{Generated, Request};
use crate::harness::stack::{Simulator, Stack};

/// What is told of the stack's printer: what was done, the name in it, how often, how large.
async fn told(stack: &Stack) -> Vec<(Did, String, u64, u64)> {
    let store = stack.open_store().await;
    let end = Timestamp::from_millis(i64::MAX);
    let told = store.activity().list(&stack.account, end, 99).await;
    store.close().await;
    let told = told
        .unwrap()
        .into_iter()
        .filter_map(|told| match told.what {
            Happening::Did {
                did,
                name,
                times,
                bytes,
                ..
            } => Some((did, name, times, bytes)),
            Happening::Event { .. } => None,
        });
    told.collect()
}

async fn moved(stack: &Stack) -> Moved {
    let store = stack.open_store().await;
    let days = store.traffic().list(&stack.printer, 0).await;
    store.close().await;
    let mut all = Moved::default();
    for (_, moved) in days.unwrap() {
        all.add(&moved);
    }
    all
}

#[tokio::test]
async fn what_an_app_does_is_told_in_kinds_and_counted_in_bytes() {
    let simulator = Simulator::start().await;
    let stack = Stack::before(simulator.url("")).start().await;
    let app = stack.connection(AccessMode::Bearer);
    let with_key = |request: Request| request.header("X-Api-Key", Simulator::KEY);
    for _ in 0..3 {
        let read = with_key(app.get("/api/version")).send().await.read().await;
        assert_eq!(read.status, 200);
    }
    let file = Generated {
        size: 300_000,
        seed: 5,
    };
    let upload = with_key(app.post("/api/files/local")).upload("file", "spiral vase.gcode", file);
    assert_eq!(upload.send().await.status(), 201);
    // What the printer's server refuses was not done.
    let refused = app.request(Method::DELETE, "/api/files/local/none.gcode");
    assert!(with_key(refused).send().await.status().is_client_error());
    let mut camera = with_key(app.get("/webcam/?action=stream")).send().await;
    assert_eq!(camera.status(), 200);
    camera.chunk().await.unwrap();
    for password in ["wrong", "wrong again"] {
        let wrong = Request::get(app.address("/api/version")).basic("nobody", password);
        assert_eq!(wrong.send().await.status(), 606);
    }
    eventually("what was done", async || {
        let told = told(&stack).await;
        let has = |did, times| told.iter().any(|one| one.0 == did && one.2 == times);
        has(Did::Read, 3) && has(Did::Camera, 1) && has(Did::WrongPassword, 2)
    })
    .await;
    let all = told(&stack).await;
    let upload = all.iter().find(|one| one.0 == Did::Upload).unwrap();
    assert_eq!(upload.1, "spiral vase.gcode");
    assert!((300_000..310_000).contains(&upload.3), "{upload:?}");
    let wrong = all.iter().find(|one| one.0 == Did::WrongPassword).unwrap();
    assert_eq!(wrong.1, "127.0.0.0/24");
    assert!(all.iter().all(|one| one.0 != Did::Delete), "{all:?}");
    // The camera still runs, and counts while it does.
    eventually("its pictures to be counted", async || {
        let moved = moved(&stack).await;
        moved.camera > 0 && moved.sent > moved.camera && moved.received >= 300_000
    })
    .await;
}
