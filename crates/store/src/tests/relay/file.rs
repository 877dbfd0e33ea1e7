//! The database file: who can read it, what it survives, what is in it.

use std::fs;
use std::path::Path;

use latchkey_model::app_connection::EndReason;
use latchkey_model::secret::PasswordHash;
use sqlx::Row as _;

use crate::contract::at;
use crate::contract::relay::{Household, Maker};
use crate::error::StoreError;
use crate::pool::Pools;
use crate::relay::{RelayStore, STEPS};
use crate::tests::{contains, content};

#[tokio::test]
async fn writes_and_ends_survive_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.db");
    let make = Maker::default();
    let store = RelayStore::open(&path).await.unwrap();
    let ann = make.household(&store, "ann@example.com").await.unwrap();
    let bob = make.household(&store, "bob@example.com").await.unwrap();
    let id = &ann.connection.id;
    assert!(
        store
            .app_connections()
            .end(id, EndReason::Revoked, at(90))
            .await
            .unwrap()
    );
    store.close().await;

    // A second opening finds the migrations done, and everything as it was.
    let store = RelayStore::open(&path).await.unwrap();
    let find = async |household: &Household| {
        let label = household.credentials.label.hash();
        let found = store.app_connections().find_by_label_hash(&label).await;
        found.unwrap().unwrap().connection
    };
    assert!(find(&ann).await.live().is_none());
    assert_eq!(find(&bob).await, bob.connection);
}

#[tokio::test]
async fn inspecting_tells_versions_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.db");
    assert!(RelayStore::inspect(&path).await.is_err());
    assert!(!path.exists(), "nothing is made");

    // An older version's file: here the oldest of all, without one migration.
    let older = Pools::open(&path, &[]).await.unwrap();
    let versions = RelayStore::inspect(&path).await.unwrap();
    assert_eq!(
        (versions.found, versions.known),
        (0, STEPS.last().unwrap().0)
    );
    let tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'accounts'";
    let tables: i64 = sqlx::query_scalar(tables)
        .fetch_one(older.read())
        .await
        .unwrap();
    assert_eq!(tables, 0, "it is not brought up to date");
    older.close().await;

    let store = RelayStore::open(&path).await.unwrap();
    let while_open = RelayStore::inspect(&path).await.unwrap();
    assert_eq!(while_open.found, while_open.known);
    store.close().await;
    assert_eq!(RelayStore::inspect(&path).await.unwrap(), while_open);

    fs::write(&path, [b'x'; 4096]).unwrap();
    assert!(RelayStore::inspect(&path).await.is_err());
}

#[tokio::test]
async fn acknowledged_writes_are_in_a_copy_taken_without_closing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.db");
    let store = RelayStore::open(&path).await.unwrap();
    let make = Maker::default();
    for round in 0..20 {
        let household = make
            .household(&store, &format!("a{round}@example.com"))
            .await
            .unwrap();
        // What a machine that loses power here has on its disk: the file and its journal.
        let copy = folder.path().join(format!("copy{round}"));
        fs::create_dir(&copy).unwrap();
        for name in ["relay.db", "relay.db-wal"] {
            fs::copy(folder.path().join(name), copy.join(name)).unwrap();
        }
        let survivor = RelayStore::open(copy.join("relay.db")).await.unwrap();
        let label = household.credentials.label.hash();
        let found = survivor.app_connections().find_by_label_hash(&label).await;
        assert_eq!(found.unwrap().unwrap().connection, household.connection);
        survivor.close().await;
    }
}

#[tokio::test]
async fn two_processes_can_write_in_turn() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.db");
    let (one, two) = (
        RelayStore::open(&path).await.unwrap(),
        RelayStore::open(&path).await.unwrap(),
    );
    let make = Maker::default();
    let work = async |store: &RelayStore, name: &str| {
        for round in 0..20 {
            let email = format!("{name}{round}@example.com");
            let household = make.household(store, &email).await.unwrap();
            let account = &household.account.id;
            let deleted = store.accounts().delete(account, at(90)).await.unwrap();
            assert!(deleted.is_some());
        }
    };
    tokio::join!(work(&one, "a"), work(&two, "b"), work(&one, "c"));
    let ended = two.app_connections().list_ended_since(at(0)).await.unwrap();
    assert_eq!(ended.len(), 60);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn locks_hold_when_the_file_is_made_ready_once_more_in_the_process() {
    use std::os::unix::fs::MetadataExt;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.db");
    let store = RelayStore::open(&path).await.unwrap();
    Maker::default()
        .household(&store, "ann@example.com")
        .await
        .unwrap();
    let file = format!(":{} ", fs::metadata(&path).unwrap().ino());
    let is_locked = || fs::read_to_string("/proc/locks").unwrap().contains(&file);
    assert!(is_locked(), "SQLite holds it for as long as it is open");
    store.check().await.unwrap();
    let versions = store.versions().await.unwrap();
    assert_eq!(versions.found, versions.known);
    crate::pool::prepare_file(&path).unwrap();
    assert!(
        is_locked(),
        "else another process takes itself for the last"
    );
}

#[tokio::test]
async fn dropped_work_changes_nothing_and_blocks_nobody() {
    let store = RelayStore::open_in_memory().await.unwrap();
    let make = Maker::default();
    let ann = make.household(&store, "ann@example.com").await.unwrap();
    let mut work = store.pools().begin().await.unwrap();
    sqlx::query("UPDATE accounts SET plan = 'free'")
        .execute(&mut *work)
        .await
        .unwrap();
    drop(work);
    let kept = store.accounts().load(&ann.account.id).await.unwrap();
    assert_eq!(kept.plan, ann.account.plan);
    store.check().await.unwrap();
}

#[tokio::test]
async fn settings_are_what_durability_needs() {
    let folder = tempfile::tempdir().unwrap();
    let store = RelayStore::open(folder.path().join("relay.db"))
        .await
        .unwrap();
    for pool in [store.pools().read(), store.pools().write()] {
        let mut connection = pool.acquire().await.unwrap();
        let mode = sqlx::query("PRAGMA journal_mode")
            .fetch_one(&mut *connection)
            .await
            .unwrap();
        assert_eq!(mode.get::<String, _>(0), "wal");
        for (pragma, expected) in [
            ("PRAGMA synchronous", 2),
            ("PRAGMA foreign_keys", 1),
            ("PRAGMA busy_timeout", 5_000),
        ] {
            let row = sqlx::query(pragma)
                .fetch_one(&mut *connection)
                .await
                .unwrap();
            assert_eq!(row.get::<i64, _>(0), expected, "{pragma}");
        }
    }
    let written = sqlx::query("DELETE FROM accounts")
        .execute(store.pools().read())
        .await;
    assert!(written.is_err(), "readers cannot write");
}

#[tokio::test]
async fn closed_store_says_that_it_is_unavailable() {
    let store = RelayStore::open_in_memory().await.unwrap();
    store.close().await;
    let ann = Maker::default().account("ann@example.com");
    let error = store.accounts().find(&ann.id).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(store.check().await.is_err());
}

#[tokio::test]
async fn file_of_something_else_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.db");
    let text = "not a database, but long enough to be taken for one at first sight".repeat(20);
    fs::write(&path, &text).unwrap();
    let error = RelayStore::open(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::Failed(_)), "{error:?}");
    assert!(
        error.to_string().contains("file is not a database"),
        "{error}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn file_that_cannot_be_made_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().join("taken");
    fs::create_dir(&taken).unwrap();
    let mut cases = vec![(taken, "directory")];
    let locked = folder.path().join("locked");
    fs::create_dir(&locked).unwrap();
    let mut mode = fs::metadata(&locked).unwrap().permissions();
    mode.set_readonly(true);
    fs::set_permissions(&locked, mode).unwrap();
    // The administrator may write everywhere, also when running tests.
    if fs::write(locked.join("probe"), "").is_err() {
        cases.push((locked.join("relay.db"), "Permission denied"));
    }
    for (path, reason) in cases {
        let error = RelayStore::open(&path).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[tokio::test]
async fn full_disk_is_named_and_no_value_with_it() {
    let store = RelayStore::open_in_memory().await.unwrap();
    sqlx::query("PRAGMA max_page_count = 1")
        .execute(store.pools().write())
        .await
        .unwrap();
    let make = Maker::default();
    let mut round = 0;
    let error = loop {
        round += 1;
        let email = format!("secret{round}@example.com");
        if let Err(error) = make.household(&store, &email).await {
            break error.to_string();
        }
    };
    assert!(error.contains("cannot be used at present"), "{error}");
    assert!(error.contains("database or disk is full"), "{error}");
    assert!(!error.contains("secret"), "{error}");
}

#[tokio::test]
async fn file_of_a_newer_program_is_told_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.db");
    let mut steps = STEPS.to_vec();
    steps.push((
        999,
        "from the future",
        "CREATE TABLE later (id TEXT) STRICT",
    ));
    let newer = Pools::open(&path, &steps).await.unwrap();
    newer.close().await;
    let error = RelayStore::open(&path).await.unwrap_err().to_string();
    assert!(error.contains("a newer version of this program"), "{error}");
    assert!(error.contains("999"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_can_read_the_files() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("data");
    let path = inner.join("relay.db");
    let store = RelayStore::open(&path).await.unwrap();
    Maker::default()
        .household(&store, "ann@example.com")
        .await
        .unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&inner), 0o700);
    let files: Vec<_> = fs::read_dir(&inner)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(files.len() >= 3, "file, journal and index: {files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn no_plain_secret_is_in_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let store = RelayStore::open(folder.path().join("relay.db"))
        .await
        .unwrap();
    let make = Maker::default();
    let ann = make.household(&store, "ann@example.com").await.unwrap();
    let phc = PasswordHash::new("$argon2id$canary".to_owned());
    let accounts = store.accounts();
    accounts
        .set_password_hash(&ann.account.id, &phc)
        .await
        .unwrap();
    let all = content(folder.path());
    assert!(contains(&all, "ann@example.com"), "the search works");
    for secret in [
        ann.credentials.label.expose(),
        ann.credentials.user(),
        ann.credentials.password(),
        ann.credentials.bearer(),
        ann.credentials.app_token.expose(),
    ] {
        assert!(!contains(&all, secret));
    }
}
