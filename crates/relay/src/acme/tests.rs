use std::collections::VecDeque;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Mutex;

use instant_acme::AccountCredentials;
use latchkey_model::clock::FixedClock;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use tempfile::TempDir;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::hook::{Act, Hook, HookError, Record, one_line};
use super::*;

const NAMES: [&str; 2] = ["relay.example.com", "*.printers.example.net"];
/// 1 November 2026.
const BEGIN: i64 = 1_793_491_200;
const DAY: i64 = 86_400;

/// Good for 90 days.
fn given(names: &[&str]) -> Given {
    let key = KeyPair::generate().unwrap();
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut wanted = CertificateParams::new(names).unwrap();
    wanted.not_before = date_time_ymd(2026, 11, 1);
    wanted.not_after = date_time_ymd(2027, 1, 30);
    let certificate = wanted.self_signed(&key).unwrap();
    Given {
        chain: certificate.pem().into(),
        key: key.serialize_pem().into(),
    }
}

fn refusal() -> AcmeError {
    AcmeError::Authority("rateLimited".to_owned())
}

type Answers = Mutex<VecDeque<Result<Given, AcmeError>>>;

/// Answers each time with the next, and notes when it was asked for what.
struct Fake {
    answers: Answers,
    asked: Mutex<Vec<(Instant, Vec<String>)>>,
}

impl Fake {
    fn new(answers: impl IntoIterator<Item = Result<Given, AcmeError>>) -> Arc<Self> {
        Arc::new(Self {
            answers: Mutex::new(answers.into_iter().collect()),
            asked: Mutex::default(),
        })
    }

    fn asked(&self) -> Vec<Instant> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|(at, _)| *at).collect()
    }
}

impl Authority for Arc<Fake> {
    fn certificate<'a>(&'a self, names: &'a [String]) -> BoxFuture<'a, Result<Given, AcmeError>> {
        let mut asked = self.asked.lock().unwrap();
        asked.push((Instant::now(), names.to_vec()));
        let next = self.answers.lock().unwrap().pop_front();
        Box::pin(std::future::ready(next.unwrap_or_else(|| Err(refusal()))))
    }
}

fn directory() -> url::Url {
    "https://acme.example/directory".parse().unwrap()
}

fn acme(folder: &Path, authority: &Arc<Fake>, clock: &FixedClock) -> Acme {
    Acme {
        authority: Box::new(Arc::clone(authority)),
        kept: Kept::new(folder, &directory()),
        held: None,
        wanted: NAMES.map(str::to_owned).to_vec(),
        names: ["relay.example.com", "app-x.printers.example.net"].map(str::to_owned),
        clock: Arc::new(clock.clone()),
        reload: Reload::default(),
    }
}

fn day(days: i64) -> Timestamp {
    Timestamp::from_millis((BEGIN + days * DAY) * 1000)
}

fn file(folder: &TempDir) -> String {
    fs::read_to_string(folder.path().join("certificate.pem")).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_host_below_the_wildcard_is_not_named_twice() {
    let cases: [(&str, &str, &[&str]); 5] = [
        ("relay.example.com", "printers.example.net", &NAMES),
        ("relay.example.com", "example.com", &["*.example.com"]),
        (
            "a.relay.example.com",
            "example.com",
            &["a.relay.example.com", "*.example.com"],
        ),
        (
            "example.com",
            "example.com",
            &["example.com", "*.example.com"],
        ),
        (
            "notexample.com",
            "example.com",
            &["notexample.com", "*.example.com"],
        ),
    ];
    for (host, domain, names) in cases {
        assert_eq!(wanted(host, domain), names, "{host} {domain}");
    }
}

#[test]
fn an_authority_is_asked_less_and_less_often() {
    let minutes = |failures| pause(failures).as_secs() / 60;
    let first: Vec<_> = (0..9).map(minutes).collect();
    assert_eq!(first, [2, 4, 8, 16, 32, 64, 128, 256, 360]);
    assert_eq!(minutes(u32::MAX), 360);
}

#[test]
fn what_is_kept_is_for_its_owner_alone_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let kept = Kept::new(folder.path(), &directory());
    assert!(kept.certificate().is_none());
    let path = folder.path().join("certificate.pem");
    // Whoever stood there before had other manners.
    fs::write(&path, "nothing").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(path.with_extension("draft"), "half of it").unwrap();
    assert!(kept.certificate().is_none(), "it is garbled");
    kept.keep(&given(&NAMES)).unwrap();
    assert_eq!(mode(&path), 0o600);
    assert!(!path.with_extension("draft").exists());
    let held = kept.certificate().unwrap();
    assert!(held.of_this_directory && held.certificate.is_for("relay.example.com"));

    let credentials = || -> AccountCredentials {
        let text = r#"{"id": "https://acme.example/account/1", "key_pkcs8": "AAAA"}"#;
        serde_json::from_str(text).unwrap()
    };
    assert!(kept.account().is_none());
    kept.keep_account(credentials()).unwrap();
    let account = folder.path().join("acme-account.json");
    assert_eq!(mode(&account), 0o600);
    assert!(kept.account().is_some());

    // Neither belongs to another authority.
    let other = "https://staging.acme.example/directory".parse().unwrap();
    let elsewhere = Kept::new(folder.path(), &other);
    assert!(!elsewhere.certificate().unwrap().of_this_directory);
    assert!(elsewhere.account().is_none());
    fs::write(&account, "{").unwrap();
    assert!(kept.account().is_none());
}

#[tokio::test(start_paused = true)]
async fn the_first_one_is_waited_for_and_a_good_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let clock = FixedClock::new(day(0));
    let fake = Fake::new([Err(refusal()), Err(refusal()), Ok(given(&NAMES))]);
    let begun = Instant::now();
    acme(folder.path(), &fake, &clock).await_first().await;
    let asked = fake.asked();
    let after: Vec<_> = asked.iter().map(|at| (*at - begun).as_secs()).collect();
    assert_eq!(after, [0, 120, 360]);
    assert_eq!(fake.asked.lock().unwrap()[0].1, NAMES);
    assert!(file(&folder).starts_with("given by https://acme.example/directory\n"));

    // As long as it is good, whatever its age, a start waits for nobody.
    clock.set(day(89));
    let nobody = Fake::new([]);
    acme(folder.path(), &nobody, &clock).await_first().await;
    assert!(nobody.asked().is_empty());
    clock.set(day(91));
    let again = Fake::new([Ok(given(&NAMES))]);
    acme(folder.path(), &again, &clock).await_first().await;
    assert_eq!(again.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn it_is_renewed_after_two_thirds_of_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let clock = FixedClock::new(day(0));
    // The clock has the next one old as well: it must not be asked for again at once.
    let fake = Fake::new([
        Ok(given(&NAMES)),
        Err(refusal()),
        Ok(given(&NAMES)),
        Ok(given(&NAMES)),
    ]);
    let mut acme = acme(folder.path(), &fake, &clock);
    acme.await_first().await;
    let first = file(&folder);
    let stop = CancellationToken::new();
    let tracker = TaskTracker::new();
    tracker.spawn(acme.run(stop.clone()));
    clock.set(Timestamp::from_millis(day(60).millis() - 1));
    tokio::time::sleep(LOOK * 10).await;
    assert_eq!(fake.asked().len(), 1);

    clock.set(day(60));
    tokio::time::sleep(LOOK * 2).await;
    assert_eq!(fake.asked().len(), 2);
    assert_eq!(file(&folder), first, "the old one is shown on");
    tokio::time::sleep(FIRST_PAUSE).await;
    let asked = fake.asked();
    assert_eq!((asked.len(), asked[2] - asked[1]), (3, FIRST_PAUSE));
    assert_ne!(file(&folder), first);

    tokio::time::sleep(Duration::from_hours(71)).await;
    assert_eq!(fake.asked().len(), 3);
    tokio::time::sleep(Duration::from_hours(2)).await;
    assert_eq!(fake.asked().len(), 4);
    stop.cancel();
    tracker.close();
    tracker.wait().await;
}

#[tokio::test]
async fn what_does_not_serve_is_not_kept_and_what_serves_no_longer_is_due() {
    let folder = tempfile::tempdir().unwrap();
    let clock = FixedClock::new(day(0));
    let mut garbled = given(&NAMES);
    garbled.key = given(&NAMES).key;
    let fake = Fake::new([Ok(garbled), Ok(given(&NAMES[..1])), Ok(given(&NAMES))]);
    let mut acme = acme(folder.path(), &fake, &clock);
    assert!(acme.is_due(day(0)));
    assert!(matches!(acme.obtain().await, Err(AcmeError::Unusable(_))));
    assert!(matches!(
        acme.obtain().await,
        Err(AcmeError::OtherName(name)) if name == "app-x.printers.example.net"
    ));
    assert!(!folder.path().join("certificate.pem").exists());
    assert_eq!(acme.obtain().await.unwrap(), Duration::from_hours(72));
    assert!(!acme.is_due(day(59)));
    acme.names[0] = "other.example.com".to_owned();
    assert!(acme.is_due(day(59)), "the relay has another name");
    acme.names[0] = "relay.example.com".to_owned();
    acme.held.as_mut().unwrap().of_this_directory = false;
    assert!(acme.is_due(day(59)), "another authority is asked now");
}

fn script(folder: &TempDir, text: &str) -> PathBuf {
    let path = folder.path().join("hook");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    path
}

fn record() -> Record {
    Record {
        name: "_acme-challenge.example.com".to_owned(),
        value: "-$(touch x) 'y'".to_owned(),
    }
}

#[tokio::test]
async fn the_program_is_given_words_and_no_shell_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    let told = folder.path().join("told");
    let text = format!("printf '%s\\n' $# \"$@\" >>'{}'", told.display());
    let hook = Hook::new(&script(&folder, &text)).unwrap();
    hook.call(Act::Present, &record()).await.unwrap();
    hook.call(Act::Cleanup, &record()).await.unwrap();
    let told = fs::read_to_string(told).unwrap();
    let words = "_acme-challenge.example.com\n-$(touch x) 'y'\n";
    assert_eq!(told, format!("3\npresent\n{words}3\ncleanup\n{words}"));
}

#[tokio::test]
async fn a_program_that_fails_is_heard() {
    let folder = tempfile::tempdir().unwrap();
    let text = "echo \"no such\nzone\" >&2; yes | head -c 100000 >&2; exit 3";
    let hook = Hook::new(&script(&folder, text)).unwrap();
    let error = hook.call(Act::Present, &record()).await.unwrap_err();
    assert!(matches!(error, HookError::Failed { .. }), "{error:?}");
    let said = error.to_string();
    assert!(said.contains("exit status: 3: no such zone y y"), "{said}");
    assert!(said.len() < 1000 && !said.contains('\n'), "{said}");
    // What it leaves running is not waited for.
    let late = folder.path().join("late");
    let text = format!("(sleep 30; : >'{}') & exit 0", late.display());
    let hook = Hook::new(&script(&folder, &text)).unwrap();
    hook.call(Act::Present, &record()).await.unwrap();
    assert!(!late.exists());
}

#[test]
fn only_programs_are_programs() {
    let folder = tempfile::tempdir().unwrap();
    let path = script(&folder, "");
    assert!(Hook::new(&path).is_some());
    assert!(Hook::new(folder.path()).is_none());
    assert!(Hook::new(&folder.path().join("none")).is_none());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(Hook::new(&path).is_none());
}

#[test]
fn strangers_say_one_line() {
    assert_eq!(one_line(" a\r\n\u{1b}[1mb\n"), "a   [1mb");
    assert_eq!(one_line(&"ü".repeat(5000)).chars().count(), 500);
}
