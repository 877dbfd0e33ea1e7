use latchkey_model::clock::{FixedClock, Timestamp};
use latchkey_net::tunnel::PairingState;

use super::*;

fn parts(configured: Option<&str>, file: Option<PathBuf>) -> Parts {
    Parts {
        configured: configured.map(|url| Relay {
            url: url.parse().unwrap(),
            ca_file: None,
            allow_unbound: false,
            connections: 2,
            app_keys: true,
            printing: true,
            compression: true,
        }),
        file,
        identity: HostIdentity::generate().unwrap(),
        name: "voron".to_owned(),
        clock: Arc::new(FixedClock::new(Timestamp::from_millis(7_000))),
        tracker: TaskTracker::new(),
        stopping: CancellationToken::new(),
    }
}

/// A host that was told of no relay.
pub(crate) fn unset() -> RelayLink {
    RelayLink::new(parts(None, None))
}

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

fn answer() -> PairingAnswer {
    PairingAnswer {
        state: PairingState::Confirmed,
        printer_name: Some("Garage\u{202e}\u{7}".to_owned()),
        printer_id: None,
        account: Some("t…@x.example".to_owned()),
    }
}

fn dialled(link: &RelayLink) -> Option<String> {
    link.target().map(|relay| relay.url.to_string())
}

#[tokio::test]
async fn what_was_paired_is_dialled_now_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = KeptRelay::file(folder.path());
    let link = RelayLink::new(parts(None, Some(file.clone())));
    assert_eq!(dialled(&link), None);
    let by: UserName = UserName::parse("ann").unwrap();
    let relay = url("https://relay.example.com");
    link.note_paired(relay.clone(), &answer(), Some(by.clone()))
        .await
        .unwrap();
    let again = RelayLink::new(parts(None, Some(file.clone())));
    for link in [link, again] {
        assert_eq!(dialled(&link).as_deref(), Some(relay.as_str()));
        let kept = link.kept();
        assert_eq!(kept.by.as_deref(), Some("ann"));
        assert_eq!(kept.printer.as_deref(), Some("Garage"));
        assert_eq!(kept.confirmed_at, Some(7_000));
        link.unpair().await.unwrap();
        assert_eq!(dialled(&link), None);
        link.note_paired(relay.clone(), &answer(), Some(by.clone()))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn the_configuration_names_the_relay_and_leaving_it_lasts() {
    let folder = tempfile::tempdir().unwrap();
    let file = KeptRelay::file(folder.path());
    let (own, other) = ("https://own.example/", "https://other.example/");
    let open = |configured| RelayLink::new(parts(Some(configured), Some(file.clone())));
    let link = open(own);
    link.note_paired(url(own), &answer(), None).await.unwrap();
    assert_eq!(dialled(&link).as_deref(), Some(own));
    link.unpair().await.unwrap();
    assert_eq!(dialled(&open(own)), None);
    // Another one that somebody writes there is dialled.
    assert_eq!(dialled(&open(other)).as_deref(), Some(other));
    link.note_paired(url(own), &answer(), None).await.unwrap();
    assert_eq!(dialled(&open(own)).as_deref(), Some(own));
}

#[tokio::test(start_paused = true)]
async fn a_command_beside_the_running_host_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let file = KeptRelay::file(folder.path());
    let link = RelayLink::new(parts(None, Some(file.clone())));
    let watching = link.0.parts.tracker.spawn(link.clone().watch_file());
    let mut targets = link.0.target.subscribe();
    let relay = url("https://relay.example.com");
    paired(relay.clone(), None, &answer(), None, 5)
        .save(&file)
        .unwrap();
    targets.changed().await.unwrap();
    assert_eq!(dialled(&link).as_deref(), Some(relay.as_str()));
    // Paired anew with the same relay: nothing else is dialled, but at once.
    paired(relay, None, &answer(), None, 6).save(&file).unwrap();
    link.0.nudge.notified().await;
    link.0.nudge.notified().await;
    assert!(!targets.has_changed().unwrap());
    link.0.parts.stopping.cancel();
    watching.await.unwrap();
}

#[test]
fn a_file_that_is_none_is_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = KeptRelay::file(folder.path());
    std::fs::write(&file, "{").unwrap();
    assert_eq!(KeptRelay::load(&file), KeptRelay::default());
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_ran_ahead_means_that_this_machine_slept() {
    let clock = FixedClock::new(Timestamp::from_millis(7_000));
    let link = RelayLink::new(Parts {
        clock: Arc::new(clock.clone()),
        ..parts(None, None)
    });
    let tracker = TaskTracker::new();
    tracker.spawn(link.clone().watch_sleep());
    let woke = async |within| {
        let woke = link.0.woke.notified();
        tokio::time::timeout(Duration::from_secs(within), woke)
            .await
            .is_ok()
    };
    assert!(!woke(60).await, "nothing happened");
    clock.advance(Duration::from_secs(3));
    assert!(!woke(60).await, "a busy machine");
    clock.advance(Duration::from_hours(8));
    assert!(woke(5).await);
    assert!(!woke(60).await, "told once");
}
