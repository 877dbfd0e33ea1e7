use std::fs;
use std::path::Path;

use latchkey_model::clock::{FixedClock, Timestamp};
use latchkey_net::tls::Files;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::ending::Stage;
use super::*;

fn pair() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let names = ["relay.example.com", "*.printers.example.net"];
    let mut wanted = CertificateParams::new(names.map(str::to_owned)).unwrap();
    wanted.not_before = date_time_ymd(2026, 11, 1);
    wanted.not_after = date_time_ymd(2027, 1, 30);
    let certificate = wanted.self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn files(folder: &Path) -> Files {
    Files {
        cert: folder.join("cert.pem"),
        key: folder.join("key.pem"),
    }
}

/// As renewing programs do: a new file takes the old one's name.
fn put(path: &Path, text: &str) {
    let draft = path.with_extension("draft");
    fs::write(&draft, text).unwrap();
    fs::rename(draft, path).unwrap();
}

fn at(days: i64) -> Timestamp {
    // Of 30 January 2027.
    Timestamp::from_millis((1_801_267_200 - days * 86_400) * 1000)
}

#[test]
fn what_is_said_follows_the_days_that_are_left() {
    let (chain, key) = pair();
    let certificate = Certificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
    let mut ending = Ending::new(Place::Relay, &Metrics::new());
    let mut said = |days, more| {
        let now = at(days).plus(Duration::from_millis(more));
        ending.tell(&certificate, now)
    };
    assert_eq!(said(91, 0), Some(Stage::NotYet));
    assert_eq!(said(90, 0), Some(Stage::Fine));
    assert_eq!(said(21, 0), None);
    assert_eq!(said(21, 1000), Some(Stage::Soon));
    assert_eq!(said(21, 60_000), None);
    assert_eq!(said(20, 1000), Some(Stage::Soon));
    assert_eq!(said(7, 1000), Some(Stage::Urgent));
    assert_eq!(said(7, 2000), None);
    assert_eq!(said(0, 1000), Some(Stage::Over));
}

#[test]
fn files_are_read_when_both_have_settled() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path());
    let (chain, key) = pair();
    put(&files.cert, &chain);
    put(&files.key, &key);
    let (mut following, first) = Following::begin(files.clone()).unwrap();
    assert!(following.look(false).is_none());

    let (chain, key) = pair();
    put(&files.cert, &chain);
    assert!(following.look(false).is_none(), "half of it is new");
    put(&files.key, &key);
    assert!(following.look(false).is_none(), "just changed");
    let second = following.look(false).unwrap().unwrap();
    assert_ne!(first.leaf(), second.leaf());
    assert!(following.look(false).is_none());

    // What does not fit is said once, and good files are taken afterwards.
    put(&files.key, &pair().1);
    assert!(following.look(false).is_none());
    assert!(following.look(false).unwrap().is_err());
    assert!(following.look(false).is_none());
    assert!(following.look(true).unwrap().is_err(), "somebody asks");
    fs::remove_file(&files.key).unwrap();
    assert!(following.look(false).is_none());
    assert!(following.look(false).unwrap().is_err());
    put(&files.key, &key);
    assert!(following.look(false).is_none());
    let third = following.look(false).unwrap().unwrap();
    assert_eq!(second.leaf(), third.leaf());
}

#[tokio::test(start_paused = true)]
async fn a_running_relay_shows_what_is_there_and_never_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path());
    let (chain, key) = pair();
    put(&files.cert, &chain);
    put(&files.key, &key);
    let reload = Reload::default();
    let clock: Arc<dyn Clock> = Arc::new(FixedClock::new(at(50)));
    let keeping = Keeping::follow(Place::Relay, &files, &clock, &reload).unwrap();
    let shown = keeping.shown().clone();
    let metrics: Arc<Metrics> = Arc::default();
    let stop = CancellationToken::new();
    let tracker = tokio_util::task::TaskTracker::new();
    tracker.spawn(keeping.run(Arc::clone(&metrics), stop.clone()));
    tokio::time::sleep(LOOK).await;
    let text = metrics.encode();
    assert!(
        text.contains("latchkey_certificate_ends_timestamp_seconds 1801267200"),
        "{text}"
    );

    let first = shown.current();
    put(&files.cert, "broken");
    reload.ask();
    tokio::time::sleep(LOOK * 3).await;
    assert_eq!(shown.current().leaf(), first.leaf());

    let (chain, key) = pair();
    put(&files.key, &key);
    put(&files.cert, &chain);
    tokio::time::sleep(LOOK * 3).await;
    let second = shown.current();
    assert_ne!(second.leaf(), first.leaf());

    let (chain, key) = pair();
    put(&files.key, &key);
    put(&files.cert, &chain);
    reload.ask();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_ne!(shown.current().leaf(), second.leaf(), "at once when asked");
    stop.cancel();
    tracker.close();
    tracker.wait().await;
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_has_both_certificates_read_and_each_has_its_own_metric() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let both = folders.each_ref().map(|folder| files(folder.path()));
    let renew = || {
        for files in &both {
            let (chain, key) = pair();
            put(&files.cert, &chain);
            put(&files.key, &key);
        }
    };
    renew();
    let reload = Reload::default();
    let clock: Arc<dyn Clock> = Arc::new(FixedClock::new(at(50)));
    let keeping = [
        Keeping::follow(Place::Relay, &both[0], &clock, &reload).unwrap(),
        Keeping::for_hosts(&both[1], &clock, &reload).unwrap(),
    ];
    let shown = keeping.each_ref().map(|keeping| keeping.shown().clone());
    let first = shown.each_ref().map(Shown::current);
    let metrics: Arc<Metrics> = Arc::default();
    let stop = CancellationToken::new();
    let tracker = tokio_util::task::TaskTracker::new();
    // Asked before they run, and not lost.
    renew();
    reload.ask();
    for keeping in keeping {
        tracker.spawn(keeping.run(Arc::clone(&metrics), stop.clone()));
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    for (shown, first) in shown.iter().zip(first) {
        assert_ne!(shown.current().leaf(), first.leaf());
    }
    let text = metrics.encode();
    for name in ["certificate", "hosts_certificate"] {
        let line = format!("latchkey_{name}_ends_timestamp_seconds 1801267200");
        assert!(text.contains(&line), "{text}");
    }
    stop.cancel();
    tracker.close();
    tracker.wait().await;
}
