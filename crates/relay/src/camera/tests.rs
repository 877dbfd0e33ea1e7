use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame as BodyFrame;
use latchkey_net::body::{self, BodyError};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::running::MOST_VIEWERS;
use super::*;

const KIND: &str = "multipart/x-mixed-replace;boundary=x";
const SOON: Duration = Duration::from_secs(10);

type Piece = Result<BodyFrame<Bytes>, BodyError>;

/// A camera that the test plays, and who watches it.
struct Scene {
    register: Register,
    opened: AtomicUsize,
}

/// The camera's end of a picture.
struct Feed(mpsc::Sender<Piece>);

impl Feed {
    async fn frame(&self, number: u8, size: usize) {
        self.frames(&[number], size).await;
    }

    /// Frames that come at once.
    async fn frames(&self, numbers: &[u8], size: usize) {
        let parts: Vec<u8> = numbers.iter().flat_map(|it| part(*it, size)).collect();
        let piece = Ok(BodyFrame::data(parts.into()));
        timeout(SOON, self.0.send(piece)).await.unwrap().unwrap();
    }

    /// The relay has let go of it.
    async fn is_let_go(&self) {
        timeout(SOON, self.0.closed()).await.unwrap();
    }
}

/// A frame on the wire.
fn part(number: u8, size: usize) -> Bytes {
    let fields =
        format!("Content-Type: image/jpeg\r\nContent-Length: {size}\r\nX-Number: {number}");
    let mut part = format!("--x\r\n{fields}\r\n\r\n").into_bytes();
    part.resize(part.len() + size, number);
    part.extend_from_slice(b"\r\n");
    part.into()
}

fn camera() -> (Feed, Body) {
    let (feed, pieces) = mpsc::channel::<Piece>(1);
    let pieces = stream::unfold(pieces, |mut pieces| async move {
        let piece = pieces.recv().await?;
        Some((piece, pieces))
    });
    (Feed(feed), body::boxed(StreamBody::new(pieces)))
}

fn host() -> HostId {
    HostId::of_public_key(&[1; 32])
}

impl Scene {
    fn new() -> Self {
        Self {
            register: Register::new(TaskTracker::new(), CancellationToken::new()),
            opened: AtomicUsize::new(0),
        }
    }

    async fn try_watch(&self, body: Body, pace: Pace) -> Result<Body, WatchError> {
        let open = async {
            self.opened.fetch_add(1, Ordering::Relaxed);
            // Others come meanwhile.
            tokio::task::yield_now().await;
            Ok(Opened {
                kind: HeaderValue::from_static(KIND),
                body,
                has_tunnel: Box::new(|| true),
            })
        };
        let (kind, place) = self.register.enter(&host(), "a", open).await?;
        assert_eq!(kind, KIND);
        Ok(Viewer::new(place, pace, None).into_body())
    }

    async fn watch(&self, body: Body) -> Body {
        self.try_watch(body, Pace::default()).await.unwrap()
    }

    /// One more of those who watch what is running.
    async fn join(&self) -> Body {
        self.watch(body::empty()).await
    }

    fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }
}

async fn next(viewer: &mut Body) -> Option<Result<Bytes, BodyError>> {
    let frame = timeout(SOON, viewer.frame()).await.unwrap()?;
    Some(frame.map(|frame| frame.into_data().unwrap()))
}

async fn sees(viewer: &mut Body, number: u8, size: usize) {
    let expected = part(number, size);
    let mut seen = Vec::new();
    while seen.len() < expected.len() {
        seen.extend(next(viewer).await.expect("a frame").unwrap());
    }
    assert!(seen == expected, "not frame {number}");
}

#[test]
fn only_pictures_are_pictures() {
    for (said, picture) in [
        ("image/jpeg", Some("image/jpeg")),
        ("Image/PNG; x=y", Some("image/png")),
        ("image/svg+xml", None),
        ("text/html", None),
        ("image/jpeg, text/html", None),
        ("", None),
    ] {
        let kind = picture_kind(&HeaderValue::from_static(said));
        let picture = picture.map(HeaderValue::from_static);
        assert_eq!(kind, picture, "{said}");
    }
    for (said, running) in [
        ("multipart/x-mixed-replace;boundary=a", true),
        ("Multipart/X-Mixed-Replace; boundary=\"a b\"", true),
        ("multipart/x-mixed-replacement", false),
        ("text/html", false),
        ("video/mp4", false),
    ] {
        let kind = stream_kind(&HeaderValue::from_static(said));
        assert_eq!(kind.is_some(), running, "{said}");
    }
}

#[tokio::test]
async fn however_many_watch_it_is_asked_for_once() {
    let scene = Scene::new();
    let (feed, camera) = camera();
    let mut cameras: Vec<_> = (1..20).map(|_| body::empty()).collect();
    cameras.insert(0, camera);
    let watch = cameras.into_iter().map(|camera| scene.watch(camera));
    let mut viewers = join_all(watch).await;
    assert_eq!(scene.opened(), 1);
    for number in 0..3 {
        feed.frame(number, 30_000).await;
        for viewer in &mut viewers {
            sees(viewer, number, 30_000).await;
        }
    }
    // Who comes later begins with what is there.
    sees(&mut scene.join().await, 2, 30_000).await;
    assert_eq!(scene.opened(), 1);
}

#[tokio::test]
async fn who_is_slow_gets_the_newest_frame_and_delays_nobody() {
    let scene = Scene::new();
    let (feed, camera) = camera();
    let mut fast = scene.watch(camera).await;
    let mut slow = scene.join().await;
    let mut stalled = scene.join().await;
    // More than a piece: the slow ones are left in the middle of it.
    let size = 100_000;
    feed.frame(0, size).await;
    let begun = next(&mut slow).await.unwrap().unwrap();
    next(&mut stalled).await.unwrap().unwrap();
    sees(&mut fast, 0, size).await;
    for number in 1..50 {
        feed.frame(number, size).await;
        sees(&mut fast, number, size).await;
    }
    let rest = next(&mut slow).await.unwrap().unwrap();
    assert!([begun, rest].concat() == part(0, size), "whole frames only");
    sees(&mut slow, 49, size).await;
}

#[tokio::test(start_paused = true)]
async fn what_comes_at_once_is_seen_by_who_takes_it_at_once() {
    let scene = Scene::new();
    let (feed, camera) = camera();
    let mut viewer = scene.watch(camera).await;
    feed.frame(0, 10).await;
    sees(&mut viewer, 0, 10).await;
    feed.frames(&[1, 2, 3], 10).await;
    for number in 1..=3 {
        sees(&mut viewer, number, 10).await;
    }
    // Who comes later is slow, and sees the newest.
    feed.frames(&[4, 5, 6], 10).await;
    sleep(Duration::from_millis(100)).await;
    sees(&mut viewer, 6, 10).await;
    // Of more at once only some are kept, and who missed one sees the newest.
    feed.frames(&[7, 8, 9, 10, 11, 12], 10).await;
    sees(&mut viewer, 12, 10).await;
    // Large ones are not kept at all.
    feed.frames(&[13, 14, 15], 1_000_000).await;
    sees(&mut viewer, 15, 1_000_000).await;
}

#[tokio::test]
async fn it_goes_on_without_who_opened_it_and_ends_with_the_last_one() {
    let scene = Scene::new();
    let (feed, cam) = camera();
    let opener = scene.watch(cam).await;
    let mut other = scene.join().await;
    drop(opener);
    feed.frame(1, 10).await;
    sees(&mut other, 1, 10).await;
    drop(other);
    feed.is_let_go().await;
    // And the next one begins anew.
    let (feed, cam) = camera();
    let mut next = scene.watch(cam).await;
    assert_eq!(scene.opened(), 2);
    feed.frame(2, 10).await;
    sees(&mut next, 2, 10).await;
}

#[tokio::test]
async fn a_camera_waits_while_nobody_is_ready() {
    let scene = Scene::new();
    let (feed, camera) = camera();
    let mut viewer = scene.watch(camera).await;
    feed.frame(0, 100_000).await;
    next(&mut viewer).await.unwrap().unwrap();
    let mut taken = 0;
    // The viewer is in the middle of a frame, and asks for nothing.
    let pouring = async {
        for number in 1.. {
            feed.frame(number, 100_000).await;
            taken += 100_000;
        }
    };
    let poured = timeout(Duration::from_millis(300), pouring).await;
    assert!(poured.is_err());
    assert!((100_000..600_000).contains(&taken), "{taken}");
    next(&mut viewer).await.unwrap().unwrap();
    let (_, ()) = tokio::join!(next(&mut viewer), feed.frame(99, 100_000));
}

#[tokio::test]
async fn who_stays_at_an_old_frame_is_cut_when_there_are_too_many() {
    const LARGE: usize = 4_000_000;
    let scene = Scene::new();
    let (feed, camera) = camera();
    let mut healthy = scene.watch(camera).await;
    let mut stalled = Vec::new();
    for number in 0..6 {
        feed.frame(number, LARGE).await;
        sees(&mut healthy, number, LARGE).await;
        let mut one = scene.join().await;
        next(&mut one).await.unwrap().unwrap();
        stalled.push(one);
    }
    feed.frame(6, LARGE).await;
    sees(&mut healthy, 6, LARGE).await;
    let mut cut = Vec::new();
    for one in &mut stalled {
        cut.push(next(one).await.unwrap().is_err());
    }
    assert_eq!(cut, [true, true, true, false, false, false], "the oldest");
    assert!(next(&mut stalled[0]).await.is_none());
}

#[tokio::test]
async fn it_ends_as_the_camera_does() {
    let last = |piece: &'static [u8]| Ok(BodyFrame::data(Bytes::from_static(piece)));
    for (end, said) in [
        (Some(last(b"--x--\r\n")), Some(&b"--x--\r\n"[..])),
        (None, None),
    ] {
        let scene = Scene::new();
        let (feed, camera) = camera();
        let mut viewer = scene.watch(camera).await;
        feed.frame(1, 10).await;
        sees(&mut viewer, 1, 10).await;
        if let Some(end) = end {
            feed.0.send(end).await.unwrap();
        }
        drop(feed);
        let end = next(&mut viewer).await.map(Result::unwrap);
        assert_eq!(end.as_deref(), said);
        assert!(next(&mut viewer).await.is_none());
    }
    let scene = Scene::new();
    let (feed, camera) = camera();
    let mut viewer = scene.watch(camera).await;
    feed.frame(1, 10).await;
    feed.0.send(Err("broken".into())).await.unwrap();
    // What came before is shown.
    sees(&mut viewer, 1, 10).await;
    assert!(next(&mut viewer).await.unwrap().is_err());
    assert!(next(&mut viewer).await.is_none());
}

#[tokio::test]
async fn what_cannot_be_read_is_not_shared_again() {
    let scene = Scene::new();
    let (feed, cam) = camera();
    let mut viewer = scene.watch(cam).await;
    let nonsense = Bytes::from(vec![b'x'; 20_000]);
    feed.0.send(Ok(BodyFrame::data(nonsense))).await.unwrap();
    assert!(next(&mut viewer).await.unwrap().is_err());
    feed.is_let_go().await;
    let again = scene.try_watch(body::empty(), Pace::default()).await;
    assert_eq!(again.err(), Some(WatchError::NotShared));
    assert_eq!(scene.opened(), 1);
    // Another picture of the same host is another matter.
    let open = async { Err(CameraError::NoCamera) };
    let other = scene.register.enter(&host(), "b", open).await;
    assert_eq!(other.err(), Some(CameraError::NoCamera.into()));
}

#[tokio::test(start_paused = true)]
async fn frames_are_left_out_for_who_wants_fewer() {
    let scene = Scene::new();
    let (feed, camera) = camera();
    let mut all = scene.watch(camera).await;
    let pace = |fps| Pace::new(fps, Caps::default);
    let few = scene.try_watch(body::empty(), pace(Some(2.0))).await;
    // 100 kB in a second.
    let caps = || Caps {
        bytes_per_second: Some(100_000),
        ..Caps::default()
    };
    let narrow = scene.try_watch(body::empty(), Pace::new(None, caps)).await;
    let count = async |mut viewer: Body| {
        let mut frames = 0;
        while let Some(Ok(_)) = next(&mut viewer).await {
            frames += 1;
        }
        frames
    };
    let film = async {
        for number in 0..100 {
            feed.frame(number, 20_000).await;
            sees(&mut all, number, 20_000).await;
            sleep(Duration::from_millis(100)).await;
        }
        drop((feed, all));
    };
    // Ten seconds.
    let (few, narrow, ()) = tokio::join!(count(few.unwrap()), count(narrow.unwrap()), film);
    assert!((19..=22).contains(&few), "{few}");
    assert!((46..=52).contains(&narrow), "{narrow}");
}

#[tokio::test]
async fn so_many_watch_and_no_more() {
    let scene = Scene::new();
    let (_feed, cam) = camera();
    let mut viewers = vec![scene.watch(cam).await];
    while viewers.len() < MOST_VIEWERS {
        viewers.push(scene.join().await);
    }
    let more = scene.try_watch(body::empty(), Pace::default()).await;
    assert_eq!(more.err(), Some(CameraError::TooMany.into()));
    viewers.pop();
    scene.join().await;
    assert_eq!(scene.opened(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_host_has_so_many_pictures_at_a_time_and_forgets_what_is_over() {
    let scene = Scene::new();
    let open = |name: String| {
        let register = scene.register.clone();
        async move {
            let (feed, body) = camera();
            let opened = Opened {
                kind: HeaderValue::from_static(KIND),
                body,
                has_tunnel: Box::new(|| true),
            };
            let entered = register.enter(&host(), &name, async { Ok(opened) }).await;
            entered.map(|(_, place)| (place, feed))
        }
    };
    let mut places = Vec::new();
    for number in 0..16 {
        places.push(open(number.to_string()).await.unwrap());
    }
    let more = open("more".to_owned()).await;
    assert_eq!(more.err(), Some(WatchError::NotShared));
    let (place, feed) = places.remove(0);
    drop(place);
    feed.is_let_go().await;
    open("more".to_owned()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_waited_together_learns_together_that_there_is_none() {
    let scene = Scene::new();
    let fail = async || {
        let open = async {
            scene.opened.fetch_add(1, Ordering::Relaxed);
            sleep(Duration::from_secs(5)).await;
            Err(CameraError::TimedOut)
        };
        scene.register.enter(&host(), "a", open).await.err()
    };
    let began = Instant::now();
    let all = join_all((0..10).map(|_| fail())).await;
    assert!(
        all.iter()
            .all(|error| *error == Some(CameraError::TimedOut.into()))
    );
    assert_eq!((scene.opened(), began.elapsed().as_secs()), (1, 5));
    sleep(SOON).await;
    fail().await;
    assert_eq!(scene.opened(), 2);
}

#[tokio::test]
async fn a_viewer_goes_when_the_host_says_so_and_the_others_stay() {
    let scene = Scene::new();
    let (feed, cam) = camera();
    let mut other = scene.watch(cam).await;
    let (held, held_body) = camera();
    let open = async { unreachable!("it runs") };
    let (_, place) = scene.register.enter(&host(), "a", open).await.unwrap();
    let mut viewer = Viewer::new(place, Pace::default(), Some(held_body)).into_body();
    feed.frame(1, 10).await;
    sees(&mut viewer, 1, 10).await;
    sees(&mut other, 1, 10).await;
    held.0.send(Err("revoked".into())).await.unwrap();
    assert!(next(&mut viewer).await.unwrap().is_err());
    feed.frame(2, 10).await;
    sees(&mut other, 2, 10).await;
}

#[tokio::test(start_paused = true)]
async fn single_pictures_come_out_of_the_running_one_while_it_is_new() {
    let scene = Scene::new();
    let (feed, camera) = camera();
    let picture = || {
        let frame = scene.register.newest(&host(), "a", FRESH)?;
        picture_of(&frame)
    };
    assert!(picture().is_none() && !scene.register.shows(&host()));
    let mut viewer = scene.watch(camera).await;
    assert!(picture().is_none(), "no frame has come");
    feed.frame(7, 1_000).await;
    sees(&mut viewer, 7, 1_000).await;
    let shown = picture().unwrap();
    assert_eq!(
        (shown.kind.as_bytes(), shown.bytes.len()),
        (&b"image/jpeg"[..], 1_000)
    );
    assert!(scene.register.shows(&host()));
    sleep(Duration::from_secs(3)).await;
    assert!(picture().is_none(), "that was another moment");
}

#[tokio::test(start_paused = true)]
async fn a_picture_whose_tunnel_is_gone_is_joined_only_while_it_moves() {
    let scene = Scene::new();
    let (feed, body) = camera();
    let open = async {
        Ok(Opened {
            kind: HeaderValue::from_static(KIND),
            body,
            has_tunnel: Box::new(|| false),
        })
    };
    let (_, place) = scene.register.enter(&host(), "a", open).await.unwrap();
    let mut first = Viewer::new(place, Pace::default(), None).into_body();
    sleep(Duration::from_secs(4)).await;
    feed.frame(1, 10).await;
    sees(&mut first, 1, 10).await;
    sleep(Duration::from_secs(4)).await;
    scene.join().await;
    assert_eq!(scene.opened(), 0);
    sleep(Duration::from_secs(2)).await;
    let (_other, body) = camera();
    scene.watch(body).await;
    assert_eq!(scene.opened(), 1);
}
