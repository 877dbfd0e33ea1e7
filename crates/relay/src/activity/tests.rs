use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt as _;
use latchkey_store::relay::{Happening, Moved};

use super::*;
use crate::tests::Bench;

async fn told(bench: &Bench, account: &AccountId) -> Vec<(Did, u64, u64)> {
    let end = Timestamp::from_millis(i64::MAX);
    let told = bench
        .store()
        .activity()
        .list(account, end, 99)
        .await
        .unwrap();
    let told = told.into_iter().map(|told| match told.what {
        Happening::Did {
            did, times, bytes, ..
        } => (did, times, bytes),
        Happening::Event { kind, .. } => panic!("{kind:?}"),
    });
    told.collect()
}

#[tokio::test]
async fn the_same_again_is_one_line_within_a_quarter_of_an_hour() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let printer = bench.printer(&ann, "Voron").await;
    let connection = bench.app_connection(&ann, &printer, "Fieldglass").await;
    let activity = Activity::new(bench.store().clone(), Arc::new(bench.clock.clone()));
    let caller = Caller {
        printer: printer.id.clone(),
        connection: connection.id.clone(),
        account: ann.id.clone(),
        app: "Fieldglass".to_owned(),
    };
    for _ in 0..3 {
        activity.by_app(&caller, Did::Read, None, 2);
    }
    activity.by_app(&caller, Did::Camera, None, 0);
    activity.write().await;
    activity.by_app(&caller, Did::Read, None, 2);
    activity.write().await;
    let mut all = told(&bench, &ann.id).await;
    all.sort_unstable();
    assert_eq!(all, [(Did::Read, 4, 8), (Did::Camera, 1, 0)]);
    bench.clock.advance(Duration::from_mins(15));
    activity.by_app(&caller, Did::Read, None, 2);
    activity.write().await;
    assert_eq!(told(&bench, &ann.id).await.len(), 3);
}

#[tokio::test]
async fn what_cannot_be_written_waits_and_has_an_end() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let printer = bench.printer(&ann, "Voron").await;
    let activity = Activity::new(bench.store().clone(), Arc::new(bench.clock.clone()));
    let person = Person {
        printer: &printer.id,
        account: &ann.id,
        app: None,
    };
    activity.by_person(Did::Shared, person);
    let moving = activity.follow(&printer.id, || (5, 7));
    bench.store().close().await;
    activity.write().await;
    assert_eq!(activity.lock().len(), 1);
    let kept = activity.0.traffic.take(day_of(bench.clock.now()));
    assert_eq!(kept[0].moved.sent, 5);
    drop(moving);
    let caller = |number: usize| Caller {
        printer: printer.id.clone(),
        connection: format!("{number:0>20}")
            .replace(['0', '1', '8', '9'], "a")
            .parse()
            .unwrap(),
        account: ann.id.clone(),
        app: "x".to_owned(),
    };
    for number in 0..=MOST {
        activity.by_app(&caller(7), Did::Upload, Some(number.to_string()), 0);
        if number + 2 == MANY {
            assert!(activity.0.full.notified().now_or_never().is_some());
        }
    }
    assert_eq!(activity.lock().len(), MOST);
}

#[tokio::test]
async fn data_is_counted_while_it_moves_and_once_and_the_camera_apart() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let printer = bench.printer(&ann, "Voron").await;
    let activity = Activity::new(bench.store().clone(), Arc::new(bench.clock.clone()));
    let sent = Arc::new(AtomicU64::new(10));
    let count = Arc::clone(&sent);
    let moving = activity.follow(&printer.id, move || (count.load(Ordering::Relaxed), 3));
    activity.write().await;
    moving.is_camera();
    sent.store(25, Ordering::Relaxed);
    activity.write().await;
    bench.clock.advance(Duration::from_hours(24));
    sent.store(30, Ordering::Relaxed);
    drop(moving);
    activity.write().await;
    let days = bench.store().traffic().list(&printer.id, 0).await.unwrap();
    let today = day_of(bench.clock.now());
    let moved = |sent, camera, received| Moved {
        sent,
        camera,
        received,
    };
    assert_eq!(
        days,
        [(today - 1, moved(25, 15, 3)), (today, moved(5, 5, 0))]
    );
    forget(
        bench.store(),
        bench.clock.now().plus(Duration::from_hours(60 * 24)),
    )
    .await
    .unwrap();
    let days = bench.store().traffic().list(&printer.id, 0).await.unwrap();
    assert_eq!(days.len(), 1);
}

#[tokio::test]
async fn people_read_in_plain_words_what_was_done_and_only_what_is_theirs() {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let bob = bench.account("bob@example.com").await;
    let printer = bench.printer(&ann, "Voron").await;
    bench.share(&printer, &bob).await;
    let (anns, bobs) = (
        bench.app_connection(&ann, &printer, "Fieldglass").await,
        bench.app_connection(&bob, &printer, "Spool Butler").await,
    );
    let activity = &bench.state.activity;
    let caller = |connection: &latchkey_model::app_connection::AppConnection, app: &str| Caller {
        printer: printer.id.clone(),
        connection: connection.id.clone(),
        account: connection.live().unwrap().account.clone(),
        app: app.to_owned(),
    };
    let file = Some("spiral-vase.gcode".to_owned());
    activity.by_app(&caller(&anns, "Fieldglass"), Did::Upload, file, 18_000_000);
    activity.by_app(&caller(&bobs, "Spool Butler"), Did::Camera, None, 0);
    let network = Some("203.0.113.0/24".to_owned());
    for _ in 0..5 {
        let attacked = caller(&bobs, "Spool Butler");
        activity.by_app(&attacked, Did::WrongPassword, network.clone(), 0);
    }
    drop(activity.follow(&printer.id, || (9_400_000_000, 0)));
    let mut owner = bench.signed_in(&ann).await;
    let revoke = format!("/app-connections/{}/revoke", anns.id);
    owner.get(&revoke).await.is(200);
    owner.post(&revoke, &[]).await.is(303);
    // A second click is told once.
    owner.post(&revoke, &[]).await;
    activity.write().await;
    let page = owner.get("/activity").await;
    page.says("Today");
    page.says("added <bdi>spiral-vase.gcode</bdi> (18 MB)");
    page.says(
        "5 wrong passwords for <b><bdi>Spool Butler</bdi></b> from <bdi>203.0.113.0/24</bdi>",
    );
    page.says("You revoked <b><bdi>Fieldglass</bdi></b>");
    assert_eq!(page.text.matches("You revoked").count(), 1);
    let page = owner.get(&format!("/printers/{}", printer.id)).await;
    page.says("opened the camera");
    page.says("9.4 GB in 14 days");
    let mut member = bench.signed_in(&bob).await;
    let page = member.get("/activity").await;
    page.says("opened the camera");
    assert!(!page.text.contains("Fieldglass"), "{}", page.text);
    assert!(!page.text.contains("ann@example.com"));
    bench.clock.advance(Duration::from_hours(24));
    // The session is over by then.
    let mut owner = bench.signed_in(&ann).await;
    owner.get("/activity").await.says("Yesterday");
    let older = owner.get("/activity?before=0").await;
    older.says("Nothing older");
    owner
        .get("/activity?before=nonsense")
        .await
        .says("Yesterday");
}
