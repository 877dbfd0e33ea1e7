//! The contracts on SQLite, in memory and in a file.

use crate::contract::{host, relay};
use crate::host::HostStore;
use crate::relay::RelayStore;

#[tokio::test]
async fn relay_in_memory_keeps_the_contract() {
    for (name, case) in relay::cases() {
        let store = RelayStore::open_in_memory().await.unwrap();
        case(&store).await.unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

#[tokio::test]
async fn relay_in_a_file_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    for (name, case) in relay::cases() {
        let store = RelayStore::open(folder.path().join(name)).await.unwrap();
        case(&store).await.unwrap_or_else(|e| panic!("{name}: {e}"));
        store.close().await;
    }
}

#[tokio::test]
async fn host_in_memory_keeps_the_contract() {
    for (name, case) in host::cases() {
        let store = HostStore::open_in_memory().await.unwrap();
        case(&store).await.unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

#[tokio::test]
async fn host_in_a_file_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    for (name, case) in host::cases() {
        let store = HostStore::open(folder.path().join(name)).await.unwrap();
        case(&store).await.unwrap_or_else(|e| panic!("{name}: {e}"));
        store.close().await;
    }
}
