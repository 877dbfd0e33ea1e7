use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use latchkey_model::clock::Clock as _;
use latchkey_model::limit::{Limit, WebcamWindow};
use latchkey_model::plan::{Entitlements, Plans};
use latchkey_net::body::BodyError;
use latchkey_store::relay::WatchedWebcam;
use tokio_util::task::TaskTracker;

use super::*;
use crate::tests::Bench;

/// A camera that always has the same picture.
#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) asked: AtomicUsize,
    /// The type it gives its pictures, if not the usual one.
    pub(crate) kind: Option<&'static str>,
}

impl Source for Fake {
    fn snapshot<'a>(&'a self, _host: &'a HostId) -> BoxFuture<'a, Result<Picture, CameraError>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let picture = Picture {
            kind: HeaderValue::from_static(self.kind.unwrap_or("image/jpeg")),
            bytes: Bytes::from_static(b"picture"),
        };
        std::future::ready(Ok(picture)).boxed()
    }

    fn stream<'a>(
        &'a self,
        _host: &'a HostId,
        _pace: Pace,
    ) -> BoxFuture<'a, Result<Response<Body>, CameraError>> {
        let frames =
            stream::repeat_with(|| Ok::<_, BodyError>(Frame::data(Bytes::from_static(b"frame"))));
        let mut response = Response::new(body::boxed(StreamBody::new(frames)));
        let kind = self.kind.unwrap_or("multipart/x-mixed-replace; boundary=x");
        let fields = response.headers_mut();
        fields.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        fields.insert("set-cookie", HeaderValue::from_static("session=stolen"));
        std::future::ready(Ok(response)).boxed()
    }
}

fn host() -> HostId {
    HostId::of_public_key(&[1; 32])
}

async fn watching(fake: Fake) -> (Watching, Bench, PrinterId) {
    watching_on(fake, Entitlements::default()).await
}

/// The same where the printer's owner has this plan.
async fn watching_on(fake: Fake, plan: Entitlements) -> (Watching, Bench, PrinterId) {
    let bench = Bench::new().await;
    let ann = bench.account("ann@example.com").await;
    let printer = bench.printer(&ann, "Voron").await;
    let plans = HashMap::from([(ann.plan.clone(), plan)]);
    let watching = Watching::new(Making {
        source: Arc::new(fake),
        activity: Activity::new(bench.store().clone(), Arc::new(bench.clock.clone())),
        limits: Limits::new(
            bench.store().clone(),
            Arc::new(bench.clock.clone()),
            Plans::new(plans.into_iter().collect()),
            TaskTracker::new(),
        ),
        stopping: CancellationToken::new(),
    });
    (watching, bench, printer.id)
}

fn viewer(printer: &PrinterId, number: u64) -> Viewer {
    let chance = latchkey_model::chance::SeededChance::new(number);
    Viewer {
        printer: printer.clone(),
        by: By::Link(LiveLinkId::generate(&chance)),
    }
}

#[tokio::test]
async fn what_is_open_ends_with_what_allowed_it_and_nothing_else_does() {
    let (watching, _bench, printer) = watching(Fake::default()).await;
    let (one, other) = (viewer(&printer, 1), viewer(&printer, 2));
    let place = watching.enter(one.clone()).unwrap();
    let stream = place.stream(&host(), None).await.unwrap();
    assert!(!stream.headers().contains_key("set-cookie"));
    let mut body = stream.into_body();
    let place = watching.enter(other.clone()).unwrap();
    let mut others = place.stream(&host(), None).await.unwrap().into_body();
    assert!(body.frame().await.unwrap().is_ok());
    assert_eq!(watching.count(&one), 1);
    watching.end(&one);
    while let Some(Ok(_)) = body.frame().await {
        // What cuts it has its turn.
        tokio::task::yield_now().await;
    }
    assert!(others.frame().await.unwrap().is_ok());
    drop((body, others));
    assert!(watching.viewers().is_empty(), "places are given back");
}

#[tokio::test]
async fn what_ends_before_the_picture_runs_does_not_begin() {
    let (watching, _bench, printer) = watching(Fake::default()).await;
    let one = viewer(&printer, 1);
    let place = watching.enter(one.clone()).unwrap();
    watching.end(&one);
    assert_eq!(
        place.stream(&host(), None).await.unwrap_err(),
        CameraError::Failed
    );
    assert!(watching.viewers().is_empty());
}

#[tokio::test]
async fn so_many_watch_by_links_and_leave_places_to_those_who_use_the_printer() {
    let (watching, bench, printer) = watching(Fake::default()).await;
    let places: Vec<_> = (0..MOST_BY_LINK)
        .map(|number| watching.enter(viewer(&printer, number as u64 % 3)).unwrap())
        .collect();
    assert!(watching.enter(viewer(&printer, 99)).is_err());
    let person = Viewer {
        printer: printer.clone(),
        by: By::Session {
            account: AccountId::generate(&*bench.chance),
            session: SessionId::generate(&*bench.chance),
        },
    };
    assert!(watching.enter(person).is_ok());
    let elsewhere = PrinterId::generate(&*bench.chance);
    assert!(watching.enter(viewer(&elsewhere, 1)).is_ok());
    drop(places);
    assert!(watching.enter(viewer(&printer, 99)).is_ok());
}

#[tokio::test]
async fn nothing_but_pictures_comes_through() {
    let fake = Fake {
        kind: Some("text/html"),
        ..Fake::default()
    };
    let (watching, _bench, printer) = watching(fake).await;
    let picture = watching.snapshot(&printer, &host()).await;
    assert_eq!(picture.unwrap_err(), CameraError::Failed);
    let place = watching.enter(viewer(&printer, 1)).unwrap();
    assert_eq!(
        place.stream(&host(), None).await.unwrap_err(),
        CameraError::Failed
    );
}

#[tokio::test]
async fn a_stopping_relay_waits_for_nobody_who_watches() {
    let (watching, _bench, printer) = watching(Fake::default()).await;
    let place = watching.enter(viewer(&printer, 1)).unwrap();
    let mut body = place.stream(&host(), None).await.unwrap().into_body();
    assert!(body.frame().await.unwrap().is_ok());
    watching.0.stopping.cancel();
    while let Some(frame) = body.frame().await {
        frame.unwrap();
        tokio::task::yield_now().await;
    }
}

fn limit_of<T>(shown: &Result<T, CameraError>) -> Limit {
    match shown {
        Err(CameraError::Limit(reached)) => reached.limit,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("shown"),
    }
}

#[tokio::test]
async fn running_pictures_are_open_for_the_printers_owner() {
    let plan = Entitlements {
        max_concurrent_streams: Some(1),
        ..Entitlements::default()
    };
    let (watching, _bench, printer) = watching_on(Fake::default(), plan).await;
    let watch = async |number| {
        let place = watching.enter(viewer(&printer, number)).unwrap();
        place.stream(&host(), None).await
    };
    let first = watch(1).await.unwrap();
    assert_eq!(limit_of(&watch(2).await), Limit::WebcamStreams);
    assert_eq!(watching.viewers().len(), 1, "places are given back");
    // However many wait for single pictures, they keep nothing from the owner.
    watching.snapshot(&printer, &host()).await.unwrap();
    drop(first);
    assert!(watch(2).await.is_ok());
}

#[tokio::test]
async fn running_pictures_take_the_time_that_the_owners_plan_has_for_the_webcam() {
    let plan = Entitlements {
        max_webcam_seconds_per_window: Some(60),
        ..Entitlements::default()
    };
    let (watching, bench, printer) = watching_on(Fake::default(), plan).await;
    let owner = bench.store().printers().find(&printer).await.unwrap();
    let used_up = WatchedWebcam {
        account: owner.unwrap().account,
        printer: printer.clone(),
        window: WebcamWindow {
            began: bench.clock.now(),
            used: std::time::Duration::from_mins(1),
        },
    };
    let usage = bench.store().account_usage();
    usage.keep(&[], &[used_up]).await.unwrap();
    let place = watching.enter(viewer(&printer, 1)).unwrap();
    let refused = place.stream(&host(), None).await;
    assert_eq!(limit_of(&refused), Limit::WebcamTime);
    assert!(watching.viewers().is_empty(), "places are given back");
    watching.snapshot(&printer, &host()).await.unwrap();
}

#[tokio::test]
async fn every_picture_counts_in_the_month_of_the_printers_owner() {
    let plan = Entitlements {
        max_bytes_per_month: Some(16),
        ..Entitlements::default()
    };
    let (watching, _bench, printer) = watching_on(Fake::default(), plan).await;
    let place = watching.enter(viewer(&printer, 1)).unwrap();
    let mut body = place.stream(&host(), None).await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    watching.snapshot(&printer, &host()).await.unwrap();
    // Of the 16 bytes a frame took 5 and a picture 7. The same picture is no cheaper.
    let again = watching.snapshot(&printer, &host()).await;
    assert_eq!(limit_of(&again), Limit::Month);
    assert!(body.frame().await.is_none(), "it ends in good order");
}
