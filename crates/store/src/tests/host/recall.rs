//! What is remembered of the look-up of a key is what the database would say.

use std::sync::Arc;

use latchkey_model::access::KeyScope;
use latchkey_model::user::Group;

use crate::contract::host::Maker;
use crate::host::HostStore;

#[tokio::test]
async fn what_a_command_beside_the_host_revokes_is_gone_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("host.db");
    let store = HostStore::open(&path).await.unwrap();
    let beside = HostStore::open(&path).await.unwrap();
    let make = Maker::default();
    let ann = make.known(&store, "ann", Group::Users).await.unwrap();
    for round in 0..100 {
        let (key, text) = make.key(&ann, &format!("App {round}"), KeyScope::Full);
        store.app_keys().keep(&key).await.unwrap();
        let hash = text.hash();
        let recall = async || store.app_keys().recall_by_hash(&hash).await.unwrap();
        let (first, again) = (recall().await.unwrap(), recall().await.unwrap());
        assert_eq!((&first.key, &first.user), (&key.key, &ann));
        if cfg!(any(target_os = "linux", target_os = "macos")) {
            assert!(Arc::ptr_eq(&first, &again), "it was read twice");
        }
        let id = &key.key.id;
        let revoked = beside.app_keys().revoke_by_id(id, None).await.unwrap();
        assert!(revoked.is_some());
        assert_eq!(recall().await, None, "round {round}");
    }
}
