//! Webhooks, told to receivers that behave in every way.

mod api;
mod receiver;

use std::sync::Mutex;

use latchkey_model::account::Account;
use latchkey_model::app_connection::{AppConnection, ConnectionCredentials};
use latchkey_model::clock::FixedClock;
use latchkey_model::printer::Printer;
use latchkey_model::printing::{EventKind, PrinterEvent, Progress};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::receiver::{Reaction, Receiver, Seen};
use super::delivery::Next;
use super::*;
use crate::camera::Picture;
use crate::snapshots::tests::{FakeCamera, JPEG, camera_on, with_camera};
use crate::tests::Bench;

struct Scene {
    bench: Bench,
    hooks: Webhooks,
    owner: Account,
    printer: Printer,
    connection: AppConnection,
    credentials: ConnectionCredentials,
    whose: Whose,
    workers: Mutex<Vec<AbortHandle>>,
}

async fn lenient_bench() -> Bench {
    Bench::with(|config| {
        config.webhooks.rules.allow_networks = vec!["127.0.0.0/8".parse().unwrap()];
        config.webhooks.rules.allow_http = true;
    })
    .await
}

impl Scene {
    async fn new() -> Self {
        let bench = lenient_bench().await;
        let owner = bench.account("ann@example.com").await;
        let printer = bench.printer(&owner, "Garage Voron").await;
        let (connection, credentials) = bench.new_app_connection(&owner, &printer, "Fieldglass");
        let store = bench.store().app_connections();
        store.insert(&connection).await.unwrap();
        Self {
            hooks: bench.state.webhooks.clone().hurried(),
            whose: Whose {
                app_connection: connection.id.clone(),
                account: owner.id.clone(),
                printer: printer.id.clone(),
                printer_name: printer.name.clone(),
            },
            owner,
            printer,
            connection,
            credentials,
            bench,
            workers: Mutex::default(),
        }
    }

    fn clock(&self) -> &FixedClock {
        &self.bench.clock
    }

    async fn set(&self, receiver: &Receiver) -> Set {
        let set = self.hooks.set(&self.whose, &receiver.url, EventFilter::ALL);
        set.await.unwrap()
    }

    /// Starts telling.
    fn work(&self) {
        let run = self.hooks.clone().run(CancellationToken::new());
        let worker = TaskTracker::new().spawn(run);
        self.workers.lock().unwrap().push(worker.abort_handle());
    }

    /// Ends it as a kill does.
    fn kill(&self) {
        for worker in self.workers.lock().unwrap().drain(..) {
            worker.abort();
        }
    }

    /// A tenth of a print was done, again.
    async fn happen(&self, kind: EventKind, percent: u8) {
        let event = PrinterEvent {
            at: self.clock().now(),
            kind,
            print: None,
            file: Some("vase.gcode".to_owned()),
            progress: Progress {
                percent: Some(percent),
                ..Progress::default()
            },
            message: None,
        };
        let events = &self.bench.state.events;
        events.note(&self.printer.id, event).await.unwrap();
    }

    async fn webhook(&self) -> Option<Webhook> {
        let store = self.bench.store().webhooks();
        store.find(&self.connection.id).await.unwrap()
    }

    /// Waits until the webhook is as wanted.
    async fn until(&self, wanted: impl Fn(&Webhook) -> bool) -> Webhook {
        loop {
            let found = self.webhook().await.filter(|webhook| wanted(webhook));
            if let Some(found) = found {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.kill();
    }
}

#[tokio::test]
async fn events_are_told_in_order_as_the_contract_says() {
    let scene = Scene::new().await;
    let mut receiver = Receiver::start(&[]).await;
    scene.happen(EventKind::Started, 0).await;
    let set = scene.set(&receiver).await;
    scene.work();
    scene.happen(EventKind::Progress, 10).await;
    // Has no number in the contract.
    scene.happen(EventKind::Offline, 11).await;
    scene.happen(EventKind::Complete, 100).await;
    let first = receiver.call().await;
    assert_eq!(first["EventType"], 6);
    assert_eq!(first["Progress"], 10);
    assert_eq!(first["PrinterId"], scene.printer.id.as_str());
    assert_eq!(first["PrinterName"], "Garage Voron");
    assert_eq!(first["SecretKey"], set.secret.expose());
    assert_eq!(first["FileName"], "vase.gcode");
    let page = "https://relay.example.net/view/Garage%20Voron";
    assert_eq!(first["QuickViewUrl"], page);
    assert_eq!(first.get("SnapshotUrl"), None, "no camera");
    assert_eq!(receiver.call().await["EventType"], 2);
    let told = scene.until(|hook| hook.done == 4).await;
    assert_eq!((told.skipped, told.failures, told.tries), (0, 0, 0));
    assert_eq!(told.last_answer.unwrap().0, "200");
    assert!(receiver.is_quiet());
}

#[tokio::test]
async fn nothing_but_200_is_taken_for_told_and_the_next_event_waits() {
    let scene = Scene::new().await;
    let mut trap = Receiver::start(&[]).await;
    let mut receiver = Receiver::start(&[
        Reaction::Status(204),
        Reaction::Status(500),
        Reaction::Cut,
        Reaction::Redirect(trap.url.clone()),
    ])
    .await;
    scene.set(&receiver).await;
    scene.happen(EventKind::Progress, 1).await;
    scene.happen(EventKind::Progress, 2).await;
    scene.work();
    for expected in [1, 1, 1, 1, 1, 2] {
        assert_eq!(receiver.number().await, expected);
    }
    let told = scene.until(|hook| hook.done == 2).await;
    assert_eq!((told.skipped, told.failures), (0, 0));
    assert!(trap.is_quiet(), "a redirect was followed");
}

#[tokio::test]
async fn what_was_tried_five_times_is_skipped_and_after_ten_in_a_row_it_is_off() {
    let scene = Scene::new().await;
    let mut receiver = Receiver::start(&[const { Reaction::Status(500) }; 51]).await;
    scene.set(&receiver).await;
    scene.work();
    for percent in 1..=12 {
        scene.happen(EventKind::Progress, percent).await;
    }
    for event in 1..=10 {
        for _ in 0..5 {
            assert_eq!(receiver.number().await, event);
        }
    }
    let off = scene.until(|hook| hook.disabled.is_some()).await;
    assert_eq!((off.done, off.skipped, off.failures), (10, 10, 10));
    assert_eq!(off.last_answer.unwrap().0, "500");
    // A test goes out all the same, and changes nothing.
    let answer = scene.hooks.test(&scene.whose).await.unwrap();
    assert_eq!(answer, Answer::Status(StatusCode::INTERNAL_SERVER_ERROR));
    assert_eq!(receiver.call().await["EventType"], 16);
    assert!(scene.webhook().await.unwrap().disabled.is_some());
    let answer = scene.hooks.test(&scene.whose).await.unwrap();
    assert_eq!(answer, Answer::Status(StatusCode::OK));
    assert_eq!(receiver.call().await["EventType"], 16);
    // Set again it goes on with what happens then.
    scene.set(&receiver).await;
    scene.happen(EventKind::Progress, 13).await;
    assert_eq!(receiver.number().await, 13);
}

#[tokio::test]
async fn a_relay_that_is_killed_tells_everything_in_order_at_least_once() {
    let scene = Scene::new().await;
    let mut receiver = Receiver::start(&[]).await;
    scene.set(&receiver).await;
    let mut journal: Vec<u64> = Vec::new();
    for percent in 1..=40 {
        scene.happen(EventKind::Progress, percent).await;
        if percent % 8 == 0 {
            // It is killed while a call is on its way and nobody knows how it ends.
            receiver.then(&[Reaction::Status(200), Reaction::Hang]);
            scene.work();
            for _ in 0..2 {
                journal.push(receiver.number().await);
            }
            scene.kill();
            assert_eq!(receiver.seen().await, Seen::Gone);
        }
    }
    scene.work();
    while journal.last() != Some(&40) {
        journal.push(receiver.number().await);
    }
    assert!(journal.is_sorted(), "{journal:?}");
    assert_eq!(journal.len(), 45, "each kill has one event told again");
    journal.dedup();
    assert_eq!(journal, (1..=40).collect::<Vec<_>>());
}

#[tokio::test]
async fn who_hangs_is_cut_when_the_app_connection_ends_and_holds_up_nobody() {
    let scene = Scene::new().await;
    let mut hanging = Receiver::start(&[Reaction::Hang]).await;
    let mut other = Receiver::start(&[]).await;
    scene.set(&hanging).await;
    let bench = &scene.bench;
    let second = bench
        .app_connection(&scene.owner, &scene.printer, "Other")
        .await;
    let whose = Whose {
        app_connection: second.id.clone(),
        ..scene.whose.clone()
    };
    let set = scene.hooks.set(&whose, &other.url, EventFilter::ALL);
    set.await.unwrap();
    scene.work();
    for percent in 1..=3 {
        scene.happen(EventKind::Progress, percent).await;
    }
    assert_eq!(hanging.number().await, 1);
    for percent in 1..=3 {
        assert_eq!(other.number().await, percent);
    }
    let life = &bench.state.life;
    let revoked = life.revoke(&scene.owner.id, &scene.connection.id).await;
    assert!(revoked.unwrap());
    assert_eq!(hanging.seen().await, Seen::Gone);
    assert_eq!(scene.webhook().await, None);
    scene.happen(EventKind::Progress, 4).await;
    assert_eq!(other.number().await, 4);
    assert!(hanging.is_quiet());
}

#[tokio::test]
async fn a_test_that_hangs_ends_with_the_app_connection() {
    let scene = Scene::new().await;
    let mut receiver = Receiver::start(&[Reaction::Hang]).await;
    scene.set(&receiver).await;
    let (hooks, whose) = (scene.hooks.clone(), scene.whose.clone());
    let testing = TaskTracker::new().spawn(async move { hooks.test(&whose).await });
    receiver.call().await;
    let life = &scene.bench.state.life;
    assert!(
        life.remove_printer(&scene.owner.id, &scene.printer.id)
            .await
            .unwrap()
    );
    assert!(matches!(testing.await.unwrap(), Err(WebhookError::Ended)));
    assert_eq!(receiver.seen().await, Seen::Gone);
}

#[tokio::test]
async fn a_deleted_accounts_webhooks_are_gone_while_they_are_called() {
    let scene = Scene::new().await;
    let mut receiver = Receiver::start(&[Reaction::Hang]).await;
    scene.set(&receiver).await;
    scene.work();
    scene.happen(EventKind::Started, 1).await;
    receiver.call().await;
    let life = &scene.bench.state.life;
    assert!(life.delete_account(&scene.owner.id).await.unwrap());
    assert_eq!(receiver.seen().await, Seen::Gone);
    assert_eq!(scene.webhook().await, None);
    let again = scene
        .hooks
        .set(&scene.whose, &receiver.url, EventFilter::ALL);
    assert!(matches!(again.await, Err(WebhookError::Ended)));
}

#[tokio::test]
async fn after_180_days_a_webhook_is_over() {
    let scene = Scene::new().await;
    let mut receiver = Receiver::start(&[]).await;
    scene.set(&receiver).await;
    let id = &scene.connection.id;
    let span = LIFE.checked_sub(Duration::from_millis(1)).unwrap();
    let last = scene.clock().now().plus(span);
    scene.clock().set(last);
    scene.happen(EventKind::Progress, 1).await;
    assert_eq!(scene.hooks.step(id).await.unwrap(), Next::More);
    assert_eq!(receiver.number().await, 1);
    scene.clock().set(last.plus(Duration::from_millis(1)));
    scene.happen(EventKind::Progress, 2).await;
    assert_eq!(scene.hooks.step(id).await.unwrap(), Next::Rest);
    let tested = scene.hooks.test(&scene.whose).await;
    assert!(matches!(tested, Err(WebhookError::None)));
    scene.hooks.prune().await.unwrap();
    assert_eq!(scene.webhook().await, None);
    // It begins anew with what happens then.
    scene.set(&receiver).await;
    scene.happen(EventKind::Progress, 3).await;
    assert_eq!(scene.hooks.step(id).await.unwrap(), Next::More);
    assert_eq!(receiver.number().await, 3);
    assert!(receiver.is_quiet());
}

#[tokio::test]
async fn who_may_not_use_it_is_told_nothing_not_even_later() {
    let scene = Scene::new().await;
    let mut receiver = Receiver::start(&[]).await;
    scene.set(&receiver).await;
    let (id, life) = (&scene.connection.id, &scene.bench.state.life);
    let account = &scene.owner.id;
    for times in 0..2 {
        if times == 0 {
            life.suspend(account, "because").await.unwrap();
        } else {
            life.set_plan(account, &"free".parse().unwrap())
                .await
                .unwrap();
        }
        scene.happen(EventKind::Progress, 1).await;
        assert_eq!(scene.hooks.step(id).await.unwrap(), Next::Rest);
        life.unsuspend(account).await.unwrap();
        life.set_plan(account, &"supporter".parse().unwrap())
            .await
            .unwrap();
        assert_eq!(scene.hooks.step(id).await.unwrap(), Next::Rest);
    }
    // A plan that nobody knows is a doubt: nothing is told, and nothing is lost.
    scene.happen(EventKind::Progress, 2).await;
    let accounts = scene.bench.store().accounts();
    accounts
        .set_plan(account, &"unknown".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(scene.hooks.step(id).await.unwrap(), Next::Doubt);
    accounts
        .set_plan(account, &"supporter".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(scene.hooks.step(id).await.unwrap(), Next::More);
    assert_eq!(receiver.number().await, 2);
    assert!(receiver.is_quiet());
}

#[tokio::test]
async fn history_that_is_forgotten_is_skipped_and_counted() {
    let scene = Scene::new().await;
    let mut receiver = Receiver::start(&[]).await;
    scene.set(&receiver).await;
    for percent in 1..=5 {
        scene.happen(EventKind::Progress, percent).await;
    }
    let events = scene.bench.store().events();
    events.forget(Timestamp::from_millis(0), 2).await.unwrap();
    scene.work();
    assert_eq!(receiver.number().await, 4);
    assert_eq!(receiver.number().await, 5);
    assert_eq!(scene.until(|hook| hook.done == 5).await.skipped, 3);
}

#[tokio::test]
async fn a_filter_lets_through_what_it_names() {
    let scene = Scene::new().await;
    let mut receiver = Receiver::start(&[]).await;
    let filter = EventFilter::of([2, 3]);
    let set = scene.hooks.set(&scene.whose, &receiver.url, filter);
    set.await.unwrap();
    scene.work();
    // More than are looked at in one go.
    for _ in 0..70 {
        scene.happen(EventKind::Progress, 1).await;
    }
    scene.happen(EventKind::Failed, 2).await;
    scene.happen(EventKind::Started, 3).await;
    assert_eq!(receiver.number().await, 2);
    scene.until(|hook| hook.done == 72).await;
    assert!(receiver.is_quiet());
}

#[tokio::test]
async fn a_receiver_at_home_is_not_called_unless_it_is_allowed() {
    let scene = Scene::new().await;
    let mut receiver = Receiver::start(&[]).await;
    scene.set(&receiver).await;
    scene.happen(EventKind::Progress, 1).await;
    // The operator takes the permission back: what is set already is looked at again.
    let bench = Bench::new().await;
    let strict = Webhooks::new(Making {
        public_url: &scene.bench.state.config.public_url,
        plans: &scene.bench.state.config.plans,
        store: scene.bench.store(),
        clock: &scene.bench.state.clock,
        chance: &scene.bench.chance,
        key: &MasterKey::from_bytes([7; 32]),
        life: &scene.bench.state.life,
        events: &scene.bench.state.events,
        audit: &scene.bench.state.audit,
        snapshots: &bench.state.snapshots,
        egress: Egress::new(latchkey_net::egress::EgressRules::default(), None).unwrap(),
    })
    .hurried();
    assert_eq!(strict.step(&scene.connection.id).await.unwrap(), Next::More);
    let failed = scene.webhook().await.unwrap();
    assert_eq!(failed.last_answer.unwrap().0, "refused_address");
    assert!(receiver.is_quiet());
}

#[tokio::test]
async fn with_another_key_nothing_is_told_and_nothing_lost() {
    let scene = Scene::new().await;
    let mut receiver = Receiver::start(&[]).await;
    scene.set(&receiver).await;
    scene.happen(EventKind::Progress, 1).await;
    let mut other = scene.hooks.clone();
    let parts = &scene.bench.state;
    other.shared = Webhooks::new(Making {
        public_url: &parts.config.public_url,
        plans: &parts.config.plans,
        store: &parts.store,
        clock: &parts.clock,
        chance: &scene.bench.chance,
        key: &MasterKey::from_bytes([8; 32]),
        life: &parts.life,
        events: &parts.events,
        audit: &parts.audit,
        snapshots: &parts.snapshots,
        egress: scene.hooks.shared.egress.clone(),
    })
    .shared;
    assert_eq!(other.step(&scene.connection.id).await.unwrap(), Next::Doubt);
    assert!(receiver.is_quiet());
    assert_eq!(
        scene.hooks.step(&scene.connection.id).await.unwrap(),
        Next::More
    );
    assert_eq!(receiver.number().await, 1);
}

#[tokio::test]
async fn what_is_told_has_a_picture_of_its_own_moment() {
    let scene = Scene::new().await;
    let camera = FakeCamera::showing(Picture {
        kind: "image/jpeg".parse().unwrap(),
        bytes: JPEG.into(),
    });
    let snapshots = with_camera(&scene.bench, &camera);
    camera_on(&scene.bench, &scene.printer).await;
    let parts = &scene.bench.state;
    let hooks = Webhooks::new(Making {
        public_url: &parts.config.public_url,
        plans: &parts.config.plans,
        store: &parts.store,
        clock: &parts.clock,
        chance: &scene.bench.chance,
        key: &MasterKey::from_bytes([7; 32]),
        life: &parts.life,
        events: &parts.events,
        audit: &parts.audit,
        snapshots: &snapshots,
        egress: scene.hooks.shared.egress.clone(),
    })
    .hurried();
    // Nobody is told yet, and nothing is kept.
    scene.happen(EventKind::Started, 0).await;
    let mut receiver = Receiver::start(&[Reaction::Status(500)]).await;
    scene.set(&receiver).await;
    scene.happen(EventKind::Complete, 100).await;
    let id = &scene.connection.id;
    assert_eq!(hooks.step(id).await.unwrap(), Next::More);
    let first = receiver.call().await["SnapshotUrl"].clone();
    assert_eq!(hooks.step(id).await.unwrap(), Next::More);
    assert_eq!(
        receiver.call().await["SnapshotUrl"],
        first,
        "the same picture"
    );
    assert_eq!(camera.taken(), 1);
    let path = first
        .as_str()
        .unwrap()
        .strip_prefix("https://relay.example.net");
    let path = path.unwrap().to_owned();
    scene.bench.browser().get(&path).await.is(200);
    let life = &scene.bench.state.life;
    assert!(life.revoke(&scene.owner.id, id).await.unwrap());
    scene.bench.browser().get(&path).await.is(404);
}
