//! The database file: what it survives, what is in it. Opening is the same for both roles.

use std::fs;

use latchkey_model::access::KeyScope;
use latchkey_model::secret::{PasswordHash, RememberToken};
use latchkey_model::user::Group;

use crate::contract::at;
use crate::contract::host::Maker;
use crate::host::{HostStore, STEPS};
use crate::tests::{contains, content};

#[tokio::test]
async fn keys_grants_and_sessions_survive_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("host.db");
    let make = Maker::default();
    let store = HostStore::open(&path).await.unwrap();
    let ann = make.known(&store, "ann", Group::Users).await.unwrap();
    let (key, text) = make.key(&ann, "OctoPod", KeyScope::Full);
    let (revoked, revoked_text) = make.key(&ann, "revoked", KeyScope::Full);
    for key in [&key, &revoked] {
        store.app_keys().keep(key).await.unwrap();
    }
    let id = &revoked.key.id;
    store.app_keys().revoke_by_id(id, None).await.unwrap();
    let (grant, request) = make.grant(&ann, "OctoApp", KeyScope::View);
    store.grants().keep(&request.hash(), &grant).await.unwrap();
    let session = make.opened(&store, &ann, 100).await.unwrap();
    store.close().await;

    // A second opening finds the migrations done, and everything as it was.
    let store = HostStore::open(&path).await.unwrap();
    let keys = store.app_keys();
    let found = keys.find_by_hash(&text.hash()).await.unwrap().unwrap();
    assert_eq!((found.key, found.user), (key.key, ann));
    let gone = keys.find_by_hash(&revoked_text.hash()).await.unwrap();
    assert_eq!(gone, None);
    let found = store.sessions().find(&session.token.hash()).await.unwrap();
    assert_eq!(found.unwrap().session, session.session);
    let make_key = |grant| make.key_of(&grant);
    let redeemed = keys.redeem(&request.hash(), make_key).await.unwrap();
    assert!(redeemed.unwrap().is_new);
    assert_eq!(
        HostStore::inspect(&path).await.unwrap().found,
        STEPS.last().unwrap().0
    );
}

#[tokio::test]
async fn acknowledged_ends_are_in_a_copy_taken_without_closing() {
    let folder = tempfile::tempdir().unwrap();
    let store = HostStore::open(folder.path().join("host.db"))
        .await
        .unwrap();
    let make = Maker::default();
    let ann = make.known(&store, "ann", Group::Users).await.unwrap();
    for round in 0..20 {
        let (grant, token) = make.grant(&ann, "OctoPod", KeyScope::Full);
        store.grants().keep(&token.hash(), &grant).await.unwrap();
        let make_key = |grant| make.key_of(&grant);
        let redeemed = store.app_keys().redeem(&token.hash(), make_key).await;
        let key = redeemed.unwrap().unwrap().key;
        let revoked = round % 2 == 0;
        if revoked {
            let id = store.app_keys().revoke_by_id(&key.id, None).await.unwrap();
            assert!(id.is_some());
        }
        // What a machine that loses power here has on its disk: the file and its journal.
        let copy = folder.path().join(format!("copy{round}"));
        fs::create_dir(&copy).unwrap();
        for name in ["host.db", "host.db-wal"] {
            fs::copy(folder.path().join(name), copy.join(name)).unwrap();
        }
        let survivor = HostStore::open(copy.join("host.db")).await.unwrap();
        let found = survivor.app_keys().find_by_hash(&key.hash).await.unwrap();
        assert_eq!(found.is_some(), !revoked);
        assert_eq!(survivor.grants().find(&token.hash()).await.unwrap(), None);
        survivor.close().await;
    }
}

#[tokio::test]
async fn no_plain_secret_is_in_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let store = HostStore::open(folder.path().join("host.db"))
        .await
        .unwrap();
    let make = Maker::default();
    let ann = make.user("ann", Group::Users);
    let phc = PasswordHash::new("$argon2id$canary".to_owned());
    store.users().create(&ann, Some(&phc)).await.unwrap();
    let (key, text) = make.key(&ann, "OctoPod", KeyScope::Full);
    store.app_keys().keep(&key).await.unwrap();
    let (grant, request) = make.grant(&ann, "OctoApp", KeyScope::View);
    store.grants().keep(&request.hash(), &grant).await.unwrap();
    let session = make.opened(&store, &ann, 100).await.unwrap();
    let token = RememberToken::generate(&make.chance);
    let remembered = store.remembered();
    remembered
        .keep(&token.hash(), &ann.name, at(100))
        .await
        .unwrap();
    // Errors are logged, so they hold no value either.
    let (mut clash, _) = make.key(&ann, "other", KeyScope::Full);
    clash.key.hash = key.key.hash;
    let error = store.app_keys().keep(&clash).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("ann"));

    let all = content(folder.path());
    for kept in ["OctoPod", "$argon2id$canary", session.session.id.as_str()] {
        assert!(contains(&all, kept), "the search works: {kept}");
    }
    for (what, secret) in [
        ("app key", text.expose()),
        ("request token", request.expose()),
        ("session", session.token.expose()),
        ("push handle", session.push.expose()),
        ("remembered browser", token.expose()),
    ] {
        assert!(!contains(&all, secret), "{what}");
    }
}
