use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use latchkey_model::chance::SeededChance;
use latchkey_model::clock::FixedClock;

use super::*;

const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));
const ANN: &str = "aaaaaaaaaaaaaaaaaaaa";

/// A log in a folder of its own.
struct Bench {
    folder: tempfile::TempDir,
    clock: FixedClock,
}

impl Bench {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            clock: FixedClock::new(Timestamp::from_millis(1_760_000_000_000)),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn open(&self, key: u8) -> (Audit, RelayStore) {
        let store = RelayStore::open(self.path("relay.db")).await.unwrap();
        let audit = Audit::new(Making {
            store: store.clone(),
            clock: Arc::new(self.clock.clone()),
            chance: Arc::new(SeededChance::new(1)),
            key: &MasterKey::from_bytes([key; 32]),
            end: Some(Audit::end_file(self.folder.path())),
        });
        (audit, store)
    }

    /// A log with three entries, closed again.
    async fn with_three(&self) {
        let (audit, store) = self.open(1).await;
        for act in [Act::SignedIn, Act::PlanChanged, Act::SignedOut] {
            audit.note(entry(act)).await;
        }
        store.close().await;
    }
}

fn entry(act: Act) -> Entry {
    Entry {
        account: Some(ANN.parse().unwrap()),
        detail: "line one\r\nline two".to_owned(),
        address: Some(ADDRESS),
        ..Entry::new(Actor::Account(ANN.parse().unwrap()), act)
    }
}

async fn faults(audit: &Audit) -> Vec<AuditFault> {
    audit.verify(None).await.unwrap().faults
}

fn copy(from: &Path, to: &Path) {
    std::fs::copy(from, to).unwrap();
}

#[test]
fn acts_are_stable_words_that_read_well() {
    for (act, word, words) in [
        (Act::SignedIn, "signed_in", "Signed in"),
        (
            Act::AppConnectionMade,
            "app_connection_made",
            "App connection made",
        ),
    ] {
        assert_eq!(act.word(), word);
        assert_eq!(in_words(&act.word()), words);
    }
    assert_eq!(in_words(""), "");
}

#[tokio::test]
async fn an_entry_says_who_did_what_in_one_line() {
    let bench = Bench::new();
    let (audit, _) = bench.open(1).await;
    audit.note(entry(Act::SignedIn)).await;
    let long = Entry {
        detail: "x".repeat(1000),
        address: Some("::ffff:203.0.113.7".parse().unwrap()),
        ..Entry::new(Actor::CommandLine, Act::AppRegistered)
    };
    audit.note(long).await;
    let all = audit.list(&AuditFilter::default(), 10).await.unwrap();
    let [command, signed_in] = all.as_slice() else {
        panic!("{all:?}");
    };
    assert_eq!(signed_in.entry.actor, ANN);
    assert_eq!(signed_in.entry.act, "signed_in");
    assert_eq!(signed_in.entry.detail, "line one  line two");
    assert_eq!(signed_in.entry.network.as_deref(), Some("203.0.113.0/24"));
    assert_eq!(signed_in.address.as_ref().unwrap().text, "203.0.113.7");
    assert_eq!(command.entry.actor, COMMAND_LINE);
    assert_eq!(command.entry.detail.len(), LONGEST_DETAIL);
    assert_eq!(command.address.as_ref().unwrap().text, "203.0.113.7");
    assert_eq!(faults(&audit).await, []);
}

#[tokio::test]
async fn addresses_are_forgotten_after_a_week_and_entries_after_a_year() {
    let bench = Bench::new();
    let (audit, _) = bench.open(1).await;
    audit.note(entry(Act::SignedIn)).await;
    bench.clock.advance(WHOLE_ADDRESSES);
    audit.note(entry(Act::SignedOut)).await;
    let addresses = async || {
        let all = audit.list(&AuditFilter::default(), 10).await.unwrap();
        let addresses = all.into_iter().map(|record| record.address.is_some());
        addresses.collect::<Vec<_>>()
    };
    audit.forget().await.unwrap();
    assert_eq!(addresses().await, [true, true], "it is a week, and no more");
    bench.clock.advance(Duration::from_millis(1));
    audit.forget().await.unwrap();
    assert_eq!(addresses().await, [true, false]);
    assert_eq!(faults(&audit).await, []);
    bench.clock.advance(KEPT);
    audit.note(entry(Act::SignedIn)).await;
    audit.forget().await.unwrap();
    let checked = audit.verify(None).await.unwrap();
    assert_eq!((checked.entries, checked.head.number), (1, 3));
    assert_eq!(checked.faults, []);
    let file = std::fs::read_to_string(bench.path(Audit::END_FILE)).unwrap();
    assert!(file.starts_with("latchkey-audit-end-1 3 "));
}

#[tokio::test]
async fn an_end_that_is_gone_is_told_also_after_more_was_written() {
    let bench = Bench::new();
    let (audit, store) = bench.open(1).await;
    audit.note(entry(Act::SignedIn)).await;
    store.close().await;
    copy(&bench.path("relay.db"), &bench.path("earlier.db"));
    let (audit, store) = bench.open(1).await;
    for _ in 0..2 {
        audit.note(entry(Act::PlanChanged)).await;
    }
    store.close().await;
    copy(&bench.path("earlier.db"), &bench.path("relay.db"));
    let (audit, _) = bench.open(1).await;
    let gone = [AuditFault::EndMissing { last: 1, known: 3 }];
    assert_eq!(faults(&audit).await, gone);
    // What comes afterwards does not cover it up.
    for _ in 0..4 {
        audit.note(entry(Act::SignedOut)).await;
    }
    let anew = [AuditFault::OtherChain { number: 3 }];
    assert_eq!(faults(&audit).await, anew);
    // Until somebody has seen to it.
    std::fs::remove_file(bench.path(Audit::END_FILE)).unwrap();
    assert_eq!(faults(&audit).await, [AuditFault::NothingKnown]);
    audit.note(entry(Act::SignedOut)).await;
    assert_eq!(faults(&audit).await, []);
}

#[tokio::test]
async fn who_has_not_the_relays_key_cannot_say_where_the_log_ends_or_begins() {
    let bench = Bench::new();
    bench.with_three().await;
    let (other, store) = bench.open(2).await;
    assert_eq!(faults(&other).await, [AuditFault::KnownByOther]);
    // Nor is the note overwritten by who cannot read it.
    other.note(entry(Act::SignedIn)).await;
    bench.clock.advance(KEPT + WHOLE_ADDRESSES);
    other.forget().await.unwrap();
    store.close().await;
    let (audit, _) = bench.open(1).await;
    assert_eq!(faults(&audit).await, [AuditFault::CutByOther]);
}

#[tokio::test]
async fn what_is_written_down_elsewhere_is_compared() {
    let bench = Bench::new();
    bench.with_three().await;
    let (audit, _) = bench.open(1).await;
    let second = audit.0.store.audit().find(2).await.unwrap().unwrap();
    let known = AuditHead {
        number: 2,
        hash: second.hash,
    };
    let checked = audit.verify(Some(known)).await.unwrap();
    assert_eq!((checked.entries, checked.faults), (3, Vec::new()));
    let other = AuditHead { number: 3, ..known };
    let checked = audit.verify(Some(other)).await.unwrap();
    assert_eq!(checked.faults, [AuditFault::OtherChain { number: 3 }]);
}

#[tokio::test]
async fn who_does_the_same_again_and_again_does_not_fill_the_log() {
    let bench = Bench::new();
    let (audit, _) = bench.open(1).await;
    let by_relay = || Entry {
        actor: Actor::Relay,
        ..entry(Act::WebhookSet)
    };
    for _ in 0..100 {
        audit.note(entry(Act::PrinterRenamed)).await;
        audit.note(by_relay()).await;
        audit
            .note(Entry::new(Actor::CommandLine, Act::AppChanged))
            .await;
    }
    // It hides nothing else, nor what others do.
    let bob = "bbbbbbbbbbbbbbbbbbbb".parse().unwrap();
    let bobs = Entry::new(Actor::Account(bob), Act::PrinterRenamed);
    audit.note(entry(Act::PasswordChanged)).await;
    audit.note(bobs).await;
    let acts = async || {
        let all = audit.list(&AuditFilter::default(), 1000).await.unwrap();
        let acts = all.into_iter().map(|record| record.entry);
        acts.collect::<Vec<_>>()
    };
    let found = acts().await;
    for (act, times) in [
        ("printer_renamed", 61),
        ("webhook_set", 60),
        ("app_changed", 100),
        ("password_changed", 1),
        ("more_than_usual", 2),
    ] {
        let count = found.iter().filter(|entry| entry.act == act).count();
        assert_eq!(count, times, "{act}");
    }
    let more = found.iter().filter(|entry| entry.act == "more_than_usual");
    let mut more: Vec<_> = more
        .map(|entry| (entry.actor.as_str(), entry.detail.as_str()))
        .collect();
    more.sort_unstable();
    assert_eq!(more, [(ANN, "printer_renamed"), (RELAY, "webhook_set")]);
    bench.clock.advance(Duration::from_hours(1));
    audit.note(entry(Act::PrinterRenamed)).await;
    assert_eq!(acts().await[0].act, "printer_renamed");
    assert_eq!(faults(&audit).await, []);
}
