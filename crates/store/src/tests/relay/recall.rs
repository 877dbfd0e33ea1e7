//! What is remembered of the hot path's look-up is what the database would say.

use latchkey_model::app_connection::EndReason;
use latchkey_model::secret::LabelHash;

use crate::contract::at;
use crate::contract::relay::Maker;
use crate::relay::RelayStore;

#[cfg(any(target_os = "linux", target_os = "macos"))]
#[tokio::test]
async fn nothing_is_asked_again_until_somebody_commits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.db");
    let store = RelayStore::open(&path).await.unwrap();
    let make = Maker::default();
    let ann = make.household(&store, "ann@example.com").await.unwrap();
    let label = ann.credentials.label.hash();
    let recall = async || store.app_connections().recall_by_label_hash(&label).await;
    let first = recall().await.unwrap().unwrap();
    let again = recall().await.unwrap().unwrap();
    assert!(std::sync::Arc::ptr_eq(&first, &again), "it was read twice");

    // A commit of this process, about something else, makes it look again.
    make.household(&store, "bob@example.com").await.unwrap();
    let later = recall().await.unwrap().unwrap();
    assert!(!std::sync::Arc::ptr_eq(&first, &later));
    assert_eq!(first, later);
}

#[tokio::test]
async fn what_another_opening_commits_is_seen_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.db");
    let store = RelayStore::open(&path).await.unwrap();
    // As a command beside the running relay.
    let beside = RelayStore::open(&path).await.unwrap();
    let make = Maker::default();
    for round in 0..200 {
        let email = format!("a{round}@example.com");
        let household = make.household(&store, &email).await.unwrap();
        let label = household.credentials.label.hash();
        let find = async || {
            let found = store.app_connections().recall_by_label_hash(&label).await;
            found.unwrap().unwrap()
        };
        assert!(find().await.connection.live().is_some());
        assert!(find().await.connection.live().is_some());
        let id = &household.connection.id;
        let connections = beside.app_connections();
        let ended = connections.end(id, EndReason::Revoked, at(90)).await;
        assert!(ended.unwrap());
        assert!(find().await.connection.live().is_none(), "round {round}");
    }
}

#[tokio::test]
async fn checkpoints_and_closings_beside_confuse_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.db");
    let store = RelayStore::open(&path).await.unwrap();
    let make = Maker::default();
    let ann = make.household(&store, "ann@example.com").await.unwrap();
    let label = ann.credentials.label.hash();
    let find = async |label: LabelHash| {
        let found = store.app_connections().recall_by_label_hash(&label).await;
        found.unwrap().unwrap()
    };
    assert_eq!(find(label).await.connection, ann.connection);
    for round in 0..10 {
        let beside = RelayStore::open(&path).await.unwrap();
        let mut connection = beside.pools().write().acquire().await.unwrap();
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
            .execute(&mut *connection)
            .await
            .unwrap();
        drop(connection);
        let email = format!("b{round}@example.com");
        let other = make.household(&beside, &email).await.unwrap();
        beside.close().await;
        let label = other.credentials.label.hash();
        assert_eq!(find(label).await.connection, other.connection);
    }
    assert_eq!(find(label).await.connection, ann.connection);
}

#[tokio::test]
async fn a_database_without_a_file_is_asked_each_time() {
    let store = RelayStore::open_in_memory().await.unwrap();
    let ann = Maker::default();
    let ann = ann.household(&store, "ann@example.com").await.unwrap();
    let label = ann.credentials.label.hash();
    let connections = store.app_connections();
    let first = connections.recall_by_label_hash(&label).await.unwrap();
    let again = connections.recall_by_label_hash(&label).await.unwrap();
    let (first, again) = (first.unwrap(), again.unwrap());
    assert!(!std::sync::Arc::ptr_eq(&first, &again));
    assert_eq!(first, again);
}
