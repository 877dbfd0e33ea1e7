//! Pictures, taken by a camera that is none.

use std::sync::atomic::{AtomicUsize, Ordering};

use latchkey_model::account::Account;
use latchkey_model::printer::Printer;
use latchkey_model::printing::{Condition, EventKind, Heats, PrinterEvent, PrinterState, Progress};

use super::*;
use crate::tests::Bench;

pub(crate) const JPEG: &[u8] = b"\xff\xd8\xff\xe0 a picture with enough in it to be told";

/// Shows the same picture to everybody, and counts.
#[derive(Clone)]
pub(crate) struct FakeCamera(Arc<Shown>);

struct Shown {
    picture: Result<Picture, CameraError>,
    taken: AtomicUsize,
}

impl FakeCamera {
    pub(crate) fn showing(picture: Picture) -> Self {
        Self::with(Ok(picture))
    }

    fn with(picture: Result<Picture, CameraError>) -> Self {
        Self(Arc::new(Shown {
            picture,
            taken: AtomicUsize::new(0),
        }))
    }

    pub(crate) fn taken(&self) -> usize {
        self.0.taken.load(Ordering::Relaxed)
    }
}

impl Takes for FakeCamera {
    fn take<'a>(&'a self, _: &'a HostId) -> BoxFuture<'a, Result<Picture, CameraError>> {
        self.0.taken.fetch_add(1, Ordering::Relaxed);
        let picture = self.0.picture.clone();
        Box::pin(async move {
            // So that others come while it is taken.
            tokio::task::yield_now().await;
            picture
        })
    }
}

/// The pictures of a bench, taken by this camera.
pub(crate) fn with_camera(bench: &Bench, camera: &FakeCamera) -> Snapshots {
    let parts = &bench.state;
    Snapshots::new(Making {
        config: &parts.config,
        store: &parts.store,
        events: &parts.events,
        clock: &parts.clock,
        chance: &bench.chance,
        key: &MasterKey::from_bytes([7; 32]),
        camera: Arc::new(camera.clone()),
    })
}

/// The printer's host is there, and says that it has a camera.
pub(crate) async fn camera_on(bench: &Bench, printer: &Printer) {
    let host = HostKey::from_bytes([9; 32]);
    let printers = bench.store().printers();
    let attached = printers
        .attach_host(&printer.account, &printer.id, &host)
        .await;
    attached.unwrap();
    let state = PrinterState {
        at: bench.clock.now(),
        condition: Condition::Printing,
        job: None,
        heat: Heats::default(),
        message: None,
        has_camera: true,
    };
    bench.state.events.note_state(&printer.id, Some(state));
}

struct Scene {
    bench: Bench,
    owner: Account,
    printer: Printer,
}

impl Scene {
    async fn new() -> Self {
        let bench = Bench::new().await;
        let owner = bench.account("ann@example.com").await;
        let printer = bench.printer(&owner, "Voron").await;
        camera_on(&bench, &printer).await;
        Self {
            bench,
            owner,
            printer,
        }
    }

    fn event(&self, number: i64) -> NumberedEvent {
        NumberedEvent {
            number,
            event: PrinterEvent {
                at: self.bench.clock.now(),
                kind: EventKind::Complete,
                print: None,
                file: None,
                progress: Progress::default(),
                message: None,
            },
        }
    }

    fn owner(&self) -> Receiver {
        Receiver::Person(self.owner.id.clone())
    }

    async fn link(&self, snapshots: &Snapshots, number: i64) -> Option<String> {
        let event = self.event(number);
        snapshots
            .link(&self.printer.id, &event, &self.owner())
            .await
    }

    async fn get(&self, link: &str) -> crate::tests::Reply {
        let path = link.strip_prefix("https://relay.example.net").unwrap();
        self.bench.browser().get(path).await
    }
}

fn jpeg() -> Picture {
    Picture {
        kind: HeaderValue::from_static("text/html"),
        bytes: JPEG.into(),
    }
}

#[tokio::test]
async fn one_picture_is_taken_and_each_has_a_link_of_their_own() {
    let scene = Scene::new().await;
    let camera = FakeCamera::showing(jpeg());
    let snapshots = with_camera(&scene.bench, &camera);
    let app = scene
        .bench
        .app_connection(&scene.owner, &scene.printer, "App")
        .await;
    let app = Receiver::App(app.id.clone());
    let (event, printer) = (scene.event(1), &scene.printer.id);
    let owner = scene.owner();
    let (one, other) = tokio::join!(
        snapshots.link(printer, &event, &owner),
        snapshots.link(printer, &event, &app),
    );
    assert_eq!(camera.taken(), 1);
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_ne!(one, other);
    assert_eq!(
        snapshots.link(printer, &event, &owner).await,
        Some(one.clone())
    );
    for link in [&one, &other] {
        let reply = scene.get(link).await;
        reply.is(200);
        // What it is by its bytes, not by the camera's word.
        for (name, value) in [
            ("content-type", "image/jpeg"),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "default-src 'none'; sandbox"),
        ] {
            assert_eq!(reply.headers[name], value);
        }
        assert!(
            reply.headers["x-robots-tag"]
                .to_str()
                .unwrap()
                .contains("noindex")
        );
    }
    let (path, secret) = one.rsplit_once('/').unwrap();
    let guessed = format!("{path}/{}", secret.chars().rev().collect::<String>());
    scene.get(&guessed).await.is(404);
    scene.get(&format!("{path}/x")).await.is(404);
}

#[tokio::test]
async fn a_picture_is_sealed_and_gone_after_a_week_or_with_its_printer() {
    let scene = Scene::new().await;
    let snapshots = with_camera(&scene.bench, &FakeCamera::showing(jpeg()));
    let link = scene.link(&snapshots, 1).await.unwrap();
    let secret = link.rsplit_once('/').unwrap().1;
    let hash = SnapshotSecret::parse(secret).unwrap().hash();
    let store = scene.bench.store().snapshots();
    let kept = store.find(&hash, Timestamp::from_millis(0)).await.unwrap();
    let kept = kept.unwrap().sealed;
    assert!(!kept.windows(9).any(|part| part == b"a picture"));
    let begun = scene.bench.clock.now();
    let last = begun.plus(KEPT.checked_sub(Duration::from_millis(1)).unwrap());
    scene.bench.clock.set(last);
    snapshots.prune().await.unwrap();
    scene.get(&link).await.is(200);
    scene.bench.clock.set(begun.plus(KEPT));
    scene.get(&link).await.is(404);
    snapshots.prune().await.unwrap();
    assert!(!store.has(&scene.printer.id, 1).await.unwrap());

    let link = scene.link(&snapshots, 2).await.unwrap();
    scene.get(&link).await.is(200);
    let life = &scene.bench.state.life;
    assert!(
        life.remove_printer(&scene.owner.id, &scene.printer.id)
            .await
            .unwrap()
    );
    scene.get(&link).await.is(404);
}

#[tokio::test]
async fn of_what_is_late_or_has_no_camera_there_is_no_picture() {
    let scene = Scene::new().await;
    let camera = FakeCamera::showing(jpeg());
    let snapshots = with_camera(&scene.bench, &camera);
    let event = scene.event(1);
    let later = scene.bench.clock.now().plus(SOON);
    scene.bench.clock.set(later);
    let link = snapshots
        .link(&scene.printer.id, &event, &scene.owner())
        .await;
    assert_eq!(link, None);
    scene.bench.state.events.note_state(&scene.printer.id, None);
    assert_eq!(scene.link(&snapshots, 2).await, None);
    assert_eq!(camera.taken(), 0);
    camera_on(&scene.bench, &scene.printer).await;
    // Switched off by the operator.
    let off = Bench::with(|config| config.webhooks.snapshots = false).await;
    assert!(!off.state.snapshots.is_on() && scene.bench.state.snapshots.is_on());
    let event = scene.event(3);
    let (snapshots, owner) = (&off.state.snapshots, scene.owner());
    let link = snapshots.link(&scene.printer.id, &event, &owner).await;
    assert_eq!(link, None);
}

#[tokio::test]
async fn what_is_no_picture_is_not_kept_and_not_asked_for_again() {
    let scene = Scene::new().await;
    let html = Picture {
        kind: HeaderValue::from_static("image/jpeg"),
        bytes: "<html><script>alert(1)</script>".into(),
    };
    let large = Picture {
        kind: HeaderValue::from_static("image/jpeg"),
        bytes: [JPEG, &vec![0; LARGEST]].concat().into(),
    };
    for (number, picture) in [(1, Ok(html)), (2, Ok(large)), (3, Err(CameraError::Failed))] {
        let camera = FakeCamera::with(picture);
        let snapshots = with_camera(&scene.bench, &camera);
        for _ in 0..2 {
            assert_eq!(scene.link(&snapshots, number).await, None);
        }
        assert_eq!(camera.taken(), 1, "the second did not ask again");
        let store = scene.bench.store().snapshots();
        assert!(!store.has(&scene.printer.id, number).await.unwrap());
    }
}

#[test]
fn pictures_are_known_by_their_first_bytes() {
    for (bytes, kind) in [
        (JPEG, Some("image/jpeg")),
        (b"\x89PNG\r\n\x1a\n\0", Some("image/png")),
        (b"RIFF\0\0\0\0WEBPVP8 ", Some("image/webp")),
        (b"RIFF\0\0\0\0WAVEfmt ", None),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", None),
        (b"GIF89a", None),
        (b"", None),
    ] {
        assert_eq!(image_type(bytes), kind);
    }
}
