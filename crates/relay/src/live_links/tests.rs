use std::sync::atomic::Ordering;

use latchkey_model::account::Account;
use latchkey_model::chance::SeededChance;
use latchkey_model::limit::Month;
use latchkey_model::printer::{HostKey, Printer, PrinterName, Seen};
use latchkey_model::printing::{
    Condition, EventKind, Heats, Job, PrinterEvent, PrinterState, Progress,
};
use latchkey_model::sealed::MasterKey;
use latchkey_store::relay::MonthlyBytes;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::*;
use crate::activity::Activity;
use crate::limits::Limits;
use crate::tests::{Bench, Browser};
use crate::watching;
use crate::watching::tests::Fake;

/// Live links over a store, for tests of what uses them.
pub(crate) fn over(
    store: &RelayStore,
    clock: &Arc<dyn Clock>,
    events: &Events,
) -> (LiveLinks, Activity) {
    let activity = Activity::new(store.clone(), Arc::clone(clock));
    let watching = Watching::new(watching::Making {
        source: Arc::new(Fake::default()),
        activity: activity.clone(),
        limits: Limits::new(
            store.clone(),
            Arc::clone(clock),
            crate::tests::config().plans,
            TaskTracker::new(),
        ),
        stopping: CancellationToken::new(),
    });
    let links = LiveLinks::new(Parts {
        store: store.clone(),
        clock: Arc::clone(clock),
        chance: Arc::new(SeededChance::new(77)),
        key: MasterKey::from_bytes([7; 32]).signing("live links 1"),
        public_url: PublicUrl::from_url(&"https://relay.example".parse().unwrap()).unwrap(),
        events: events.clone(),
        watching,
    });
    (links, activity)
}

/// A printer that has a host, a camera, and prints.
struct Scene {
    bench: Bench,
    ann: Account,
    printer: Printer,
    print: PrintId,
}

impl Scene {
    async fn new() -> Self {
        let bench = Bench::new().await;
        bench.state.watching.set_source(Arc::new(Fake::default()));
        let ann = bench.account("ann@example.com").await;
        let printer = Printer {
            host: Some(HostKey::from_bytes([3; 32])),
            id: PrinterId::generate(&*bench.chance),
            account: ann.id.clone(),
            name: PrinterName::parse("Garage Voron").unwrap(),
            created: bench.clock.now(),
            seen: Seen::default(),
            local_address: None,
        };
        bench.store().printers().create(&printer).await.unwrap();
        let scene = Self {
            print: PrintId::generate(&*bench.chance),
            bench,
            ann,
            printer,
        };
        scene.does(Condition::Printing, Some(&scene.print));
        scene
    }

    fn does(&self, condition: Condition, print: Option<&PrintId>) {
        let state = PrinterState {
            at: self.bench.clock.now(),
            condition,
            job: print.map(|print| Job {
                print: print.clone(),
                file: "spiral-vase.gcode".to_owned(),
                started: Some(self.bench.clock.now()),
                progress: Progress {
                    percent: Some(62),
                    left_seconds: Some(4_300),
                    layer: Some(348),
                    layers: Some(561),
                    ..Progress::default()
                },
            }),
            heat: Heats::default(),
            message: None,
            has_camera: true,
        };
        let events = &self.bench.state.events;
        events.note_state(&self.printer.id, Some(state));
    }

    async fn happens(&self, kind: EventKind, print: &PrintId) {
        let event = PrinterEvent {
            at: self.bench.clock.now(),
            kind,
            print: Some(print.clone()),
            file: Some("spiral-vase.gcode".to_owned()),
            progress: Progress {
                printed_seconds: Some(9_000),
                ..Progress::default()
            },
            message: None,
        };
        let events = &self.bench.state.events;
        events.note(&self.printer.id, event).await.unwrap();
    }

    async fn make(&self, hours: u64, with_print: bool) -> Made {
        let wish = Wish {
            printer: self.printer.id.clone(),
            account: self.ann.id.clone(),
            app_connection: None,
            hours: LinkHours::try_from(hours).unwrap(),
            with_print,
        };
        self.bench.state.live_links.make(wish).await.unwrap()
    }

    fn path(&self, below: &str) -> String {
        format!("/printers/{}/live{below}", self.printer.id)
    }
}

fn path_of(made: &Made) -> String {
    made.url
        .strip_prefix("https://relay.example.net")
        .unwrap()
        .to_owned()
}

/// What a stranger is told where there is nothing.
async fn is_gone(browser: &mut Browser<'_>, path: &str) {
    for below in ["", "/state", "/snapshot", "/camera"] {
        let reply = browser.get(&format!("{path}{below}")).await;
        reply.is(404);
        reply.says("This link has ended");
        assert!(!reply.text.contains("Voron"), "{below}");
    }
}

#[tokio::test]
async fn a_stranger_sees_the_printer_and_nothing_of_its_owner() {
    let scene = Scene::new().await;
    let made = scene.make(24, false).await;
    let mut stranger = scene.bench.browser();
    let page = stranger.get(&path_of(&made)).await;
    page.is(200);
    for text in [
        "Garage Voron",
        "Printing",
        "spiral-vase.gcode",
        "62%",
        "about 1 h 12 min left",
        "348 of 561",
        "You can watch, nothing else.",
        "This link ends in 1 day.",
    ] {
        page.says(text);
    }
    assert!(!page.text.contains("ann@example.com"));
    assert!(!page.text.contains(scene.printer.id.as_str()));
    assert_eq!(page.headers["referrer-policy"], "no-referrer");
    assert!(
        page.headers["x-robots-tag"]
            .to_str()
            .unwrap()
            .contains("noindex")
    );
    assert_eq!(page.headers["cache-control"], "no-store");
    assert!(!page.headers.contains_key("set-cookie"));
    let state = stranger.get(&format!("{}/state", path_of(&made))).await;
    state.is(200);
    state.says("\"percent\":62");
    let picture = stranger.get(&format!("{}/snapshot", path_of(&made))).await;
    picture.is(200);
    assert_eq!(picture.headers["content-type"], "image/jpeg");
    let policy = picture.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("sandbox"));
    let short = made
        .short_url
        .strip_prefix("https://relay.example.net")
        .unwrap();
    let led = stranger.get(short).await;
    led.is(302);
    assert_eq!(led.location(), path_of(&made));
}

#[tokio::test]
async fn what_never_was_and_what_is_over_look_the_same() {
    let scene = Scene::new().await;
    let made = scene.make(1, false).await;
    let path = path_of(&made);
    let mut stranger = scene.bench.browser();
    let unknown = format!("/live/{}", "a".repeat(26));
    is_gone(&mut stranger, &unknown).await;
    is_gone(&mut stranger, "/live/nonsense").await;
    stranger.get(&path).await.is(200);
    scene.bench.clock.advance(Duration::from_hours(1));
    let gone = stranger.get(&path).await;
    assert_eq!(gone.text, stranger.get(&unknown).await.text);
    is_gone(&mut stranger, &path).await;
}

#[tokio::test]
async fn a_link_ends_with_its_print_and_shows_how_for_a_day() {
    let scene = Scene::new().await;
    let made = scene.make(24, true).await;
    let path = path_of(&made);
    let mut stranger = scene.bench.browser();
    let page = stranger.get(&path).await;
    page.says("This link ends when the print does, in ");
    // The next print is not this one.
    scene.does(Condition::Ready, Some(&scene.print));
    scene.happens(EventKind::Complete, &scene.print).await;
    let over = stranger.get(&path).await;
    over.is(200);
    over.says("The print is over");
    over.says("Finished");
    over.says("2 h 30 min");
    let next = PrintId::generate(&*scene.bench.chance);
    scene.does(Condition::Printing, Some(&next));
    for below in ["/state", "/snapshot", "/camera"] {
        stranger.get(&format!("{path}{below}")).await.is(404);
    }
    scene.bench.clock.advance(Duration::from_hours(24));
    is_gone(&mut stranger, &path).await;
}

#[tokio::test]
async fn a_print_that_ended_unseen_ends_its_link_too() {
    let scene = Scene::new().await;
    let made = scene.make(24, true).await;
    let links = &scene.bench.state.live_links;
    scene.does(Condition::Error, Some(&scene.print));
    links.recheck_prints().await.unwrap();
    let mut stranger = scene.bench.browser();
    stranger
        .get(&path_of(&made))
        .await
        .says("This link ends when");
    let next = PrintId::generate(&*scene.bench.chance);
    scene.does(Condition::Printing, Some(&next));
    links.recheck_prints().await.unwrap();
    stranger
        .get(&path_of(&made))
        .await
        .says("The print is over");
    // And one that was seen to end while nobody looked at the page.
    let other = scene.make(24, true).await;
    scene.happens(EventKind::Failed, &next).await;
    links.recheck_prints().await.unwrap();
    scene.bench.state.events.note_state(&scene.printer.id, None);
    let page = stranger.get(&path_of(&other)).await;
    page.says("Did not complete");
}

#[tokio::test]
async fn without_a_print_there_is_none_to_end_with() {
    let scene = Scene::new().await;
    let wish = Wish {
        printer: scene.printer.id.clone(),
        account: scene.ann.id.clone(),
        app_connection: None,
        hours: LinkHours::USUAL,
        with_print: true,
    };
    let links = &scene.bench.state.live_links;
    scene.does(Condition::Ready, Some(&scene.print));
    let refused = links.make(wish.clone()).await;
    assert!(matches!(refused, Err(NotMade::NoPrint)));
    scene.bench.state.events.note_state(&scene.printer.id, None);
    let refused = links.make(wish.clone()).await;
    assert!(matches!(refused, Err(NotMade::NoPrint)));
    let mut owner = scene.bench.signed_in(&scene.ann).await;
    owner.get(&scene.path("")).await.says("No print goes on.");
    let refused = owner.post(&scene.path(""), &[("until", "print")]).await;
    refused.is(409);
    refused.says("No print goes on");
    for nonsense in ["", "0", "17521", "soon"] {
        let refused = owner.post(&scene.path(""), &[("until", nonsense)]).await;
        refused.is(400);
    }
    for _ in 0..MOST_OF_A_PRINTER {
        scene.make(1, false).await;
    }
    let full = owner.post(&scene.path(""), &[("until", "24")]).await;
    full.is(409);
    full.says("There are too many links");
}

#[tokio::test]
async fn its_owner_makes_a_link_sees_it_again_and_ends_it() {
    let scene = Scene::new().await;
    let mut owner = scene.bench.signed_in(&scene.ann).await;
    owner
        .get(&scene.path(""))
        .await
        .says("Nobody watches this printer");
    let made = owner.post(&scene.path(""), &[("until", "print")]).await;
    made.leads_to(&scene.path("?done=made"));
    let page = owner.get(made.location()).await;
    page.says("The link is made");
    let address = page.after("<code>https://relay.example.net").to_owned();
    let mut stranger = scene.bench.browser();
    stranger.get(&address).await.is(200);
    let link = page.after("name=\"link\" value=\"").to_owned();
    // Somebody else, with a printer of their own.
    let bob = scene.bench.account("bob@example.com").await;
    let bobs = scene.bench.printer(&bob, "Prusa").await;
    let mut other = scene.bench.signed_in(&bob).await;
    other.get("/account").await;
    let taken = other.post(&scene.path("/revoke"), &[("link", &link)]).await;
    taken.is(404);
    let elsewhere = format!("/printers/{}/live/revoke", bobs.id);
    other.post(&elsewhere, &[("link", &link)]).await.is(303);
    stranger.get(&address).await.is(200);
    let ended = owner.post(&scene.path("/revoke"), &[("link", &link)]).await;
    ended.leads_to(&scene.path("?done=ended"));
    is_gone(&mut stranger, &address).await;
    // A second click finds it done.
    let again = owner.post(&scene.path("/revoke"), &[("link", &link)]).await;
    again.leads_to(&scene.path("?done=ended"));
    scene.bench.state.activity.write().await;
    let activity = owner.get("/activity").await;
    activity.says("made a live link");
    activity.says("ended a live link");
}

#[tokio::test]
async fn who_watches_is_cut_off_when_the_link_is_revoked_or_its_reason_ends() {
    let scene = Scene::new().await;
    let state = &scene.bench.state;
    let host = scene.printer.host.as_ref().map(HostKey::id).unwrap();
    let watch = async |made: &Made| {
        let place = state
            .watching
            .enter(viewer(&scene.printer.id, &made.id))
            .unwrap();
        place.stream(&host, None).await.unwrap()
    };
    let revoked = scene.make(24, false).await;
    let stream = watch(&revoked).await;
    let (owner, printer) = (&scene.ann.id, &scene.printer.id);
    state.live_links.recheck_viewers().await.unwrap();
    assert_eq!(state.watching.viewers().len(), 1);
    assert!(
        state
            .live_links
            .revoke(owner, printer, &revoked.id)
            .await
            .unwrap()
    );
    assert!(is_cut(stream).await);
    // Ends that come from elsewhere.
    let (timed, printed, owned) = (
        scene.make(1, false).await,
        scene.make(24, true).await,
        scene.make(24, false).await,
    );
    let streams = [
        watch(&timed).await,
        watch(&printed).await,
        watch(&owned).await,
    ];
    let [first, second, third] = streams;
    scene.bench.clock.advance(Duration::from_hours(1));
    state.live_links.recheck_viewers().await.unwrap();
    assert!(is_cut(first).await);
    scene.happens(EventKind::Complete, &scene.print).await;
    state.live_links.recheck_prints().await.unwrap();
    state.live_links.recheck_viewers().await.unwrap();
    assert!(is_cut(second).await);
    state.life.suspend(owner, "because").await.unwrap();
    state.live_links.recheck_viewers().await.unwrap();
    assert!(is_cut(third).await);
    let mut stranger = scene.bench.browser();
    is_gone(&mut stranger, &path_of(&owned)).await;
}

/// Whether a running picture, which has no end, broke off.
async fn is_cut(stream: ::http::Response<latchkey_net::body::Body>) -> bool {
    use http_body_util::BodyExt as _;
    let mut body = stream.into_body();
    for _ in 0..100 {
        match body.frame().await {
            Some(Ok(_)) => {}
            Some(Err(_)) => return true,
            None => return false,
        }
        tokio::task::yield_now().await;
    }
    false
}

#[tokio::test]
async fn people_are_cut_off_when_their_session_or_their_use_of_the_printer_ends() {
    let scene = Scene::new().await;
    let state = &scene.bench.state;
    let bob = scene.bench.account("bob@example.com").await;
    scene.bench.share(&scene.printer, &bob).await;
    let host = scene.printer.host.as_ref().map(HostKey::id).unwrap();
    let watch = async |account: &Account| {
        drop(scene.bench.signed_in(account).await);
        let sessions = state.store.sessions().list_of(&account.id).await.unwrap();
        let viewer = Viewer {
            printer: scene.printer.id.clone(),
            by: By::Session {
                account: account.id.clone(),
                session: sessions[0].id.clone(),
            },
        };
        let place = state.watching.enter(viewer).unwrap();
        (
            place.stream(&host, None).await.unwrap(),
            sessions[0].id.clone(),
        )
    };
    let (anns, session) = watch(&scene.ann).await;
    let (bobs, _) = watch(&bob).await;
    state.live_links.recheck_viewers().await.unwrap();
    state.sessions.end(&scene.ann.id, &session).await.unwrap();
    let printer = &scene.printer.id;
    state.life.remove_member(printer, &bob.id).await.unwrap();
    state.live_links.recheck_viewers().await.unwrap();
    assert!(is_cut(anns).await && is_cut(bobs).await);
}

#[tokio::test]
async fn of_a_suspended_owners_printer_a_member_sees_nothing() {
    let scene = Scene::new().await;
    let state = &scene.bench.state;
    let bob = scene.bench.account("bob@example.com").await;
    scene.bench.share(&scene.printer, &bob).await;
    let mut member = scene.bench.signed_in(&bob).await;
    let picture = format!("/printers/{}/snapshot", scene.printer.id);
    member.get(&picture).await.is(200);
    member.get("/printers/state").await.says("spiral-vase");
    let sessions = state.store.sessions().list_of(&bob.id).await.unwrap();
    let viewer = Viewer {
        printer: scene.printer.id.clone(),
        by: By::Session {
            account: bob.id.clone(),
            session: sessions[0].id.clone(),
        },
    };
    let place = state.watching.enter(viewer).unwrap();
    let host = scene.printer.host.as_ref().map(HostKey::id).unwrap();
    let stream = place.stream(&host, None).await.unwrap();
    state.life.suspend(&scene.ann.id, "because").await.unwrap();
    state.live_links.recheck_viewers().await.unwrap();
    assert!(is_cut(stream).await);
    for below in ["snapshot", "camera"] {
        let path = format!("/printers/{}/{below}", scene.printer.id);
        member.get(&path).await.is(404);
    }
    let page = format!("/printers/{}", scene.printer.id);
    for path in ["/printers/state", "/printers", &page] {
        let reply = member.get(path).await;
        reply.is(200);
        assert!(!reply.text.contains("spiral-vase"), "{path}");
    }
    state.life.unsuspend(&scene.ann.id).await.unwrap();
    member.get(&picture).await.is(200);
}

#[tokio::test]
async fn when_the_owners_month_is_used_up_there_is_no_picture_and_it_is_said_why() {
    let scene = Scene::new().await;
    let (store, owner) = (scene.bench.store(), &scene.ann.id);
    let small = "small".parse().unwrap();
    assert!(store.accounts().set_plan(owner, &small).await.unwrap());
    let used_up = MonthlyBytes {
        account: owner.clone(),
        month: Month::of(scene.bench.clock.now()),
        bytes: 10_000_000_000,
    };
    store.account_usage().keep(&[used_up], &[]).await.unwrap();
    let live = path_of(&scene.make(24, false).await);
    let own = format!("/printers/{}", scene.printer.id);
    let mut person = scene.bench.signed_in(&scene.ann).await;
    for path in [live, own] {
        for below in ["snapshot", "camera"] {
            let refused = person.get(&format!("{path}/{below}")).await;
            refused.is(429);
            refused.says("in a month is used up");
            assert!(refused.headers.contains_key("retry-after"), "{path}");
        }
        person.get(&path).await.is(200);
    }
}

#[tokio::test]
async fn a_doubt_cuts_nobody_off() {
    let scene = Scene::new().await;
    let state = &scene.bench.state;
    let made = scene.make(24, false).await;
    let place = state
        .watching
        .enter(viewer(&scene.printer.id, &made.id))
        .unwrap();
    let host = scene.printer.host.as_ref().map(HostKey::id).unwrap();
    let stream = place.stream(&host, None).await.unwrap();
    scene.bench.store().close().await;
    assert!(state.live_links.recheck_viewers().await.is_err());
    assert!(!is_cut(stream).await);
}

#[tokio::test]
async fn guessing_is_bounded_by_address_and_a_known_link_is_not_kept_from_anybody() {
    let scene = Scene::new().await;
    let made = scene.make(24, false).await;
    let mut guesser = scene.bench.browser();
    let unknown = format!("/live/{}", "a".repeat(26));
    for _ in 0..60 {
        guesser.get(&unknown).await.is(404);
    }
    let refused = guesser.get(&unknown).await;
    refused.is(429);
    assert!(refused.headers.contains_key("retry-after"));
    guesser.get(&path_of(&made)).await.is(200);
    scene.bench.browser().get(&unknown).await.is(404);
    for _ in 0..600 {
        guesser.get(&format!("{}/state", path_of(&made))).await;
    }
    guesser.get(&path_of(&made)).await.is(429);
    scene.bench.clock.advance(Duration::from_mins(1));
    guesser.get(&path_of(&made)).await.is(200);
}

#[tokio::test]
async fn many_who_look_cost_the_printer_one_picture() {
    let scene = Scene::new().await;
    let fake = Arc::new(Fake::default());
    let watching = Watching::new(watching::Making {
        source: Arc::clone(&fake) as _,
        activity: scene.bench.state.activity.clone(),
        limits: scene.bench.state.limits.clone(),
        stopping: CancellationToken::new(),
    });
    let host = scene.printer.host.as_ref().map(HostKey::id).unwrap();
    for _ in 0..50 {
        watching.snapshot(&scene.printer.id, &host).await.unwrap();
    }
    assert_eq!(fake.asked.load(Ordering::Relaxed), 1);
}
