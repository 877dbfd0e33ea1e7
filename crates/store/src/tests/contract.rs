//! The contract on SQLite, in memory and in a file.

use crate::contract::CASES;
use crate::relay::RelayStore;

#[tokio::test]
async fn sqlite_in_memory_keeps_the_contract() {
    for (name, case) in CASES {
        let store = RelayStore::open_in_memory().await.unwrap();
        case(&store).await.unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

#[tokio::test]
async fn sqlite_in_a_file_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    for (name, case) in CASES {
        let store = RelayStore::open(folder.path().join(name)).await.unwrap();
        case(&store).await.unwrap_or_else(|e| panic!("{name}: {e}"));
        store.close().await;
    }
}
