//! What happens at the same time, and what is broken off.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use latchkey_model::access::KeyScope;
use latchkey_model::secret::{PasswordHash, RememberToken};
use latchkey_model::user::Group;

use crate::contract::at;
use crate::contract::host::{Maker, app};
use crate::host::{Change, HostStore};

/// Two openings of one file, as two processes have them.
async fn pair(folder: &tempfile::TempDir) -> (HostStore, HostStore) {
    let path = folder.path().join("host.db");
    (
        HostStore::open(&path).await.unwrap(),
        HostStore::open(&path).await.unwrap(),
    )
}

#[tokio::test]
async fn two_who_redeem_one_token_get_one_key() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = pair(&folder).await;
    let make = Maker::default();
    let ann = make.known(&one, "ann", Group::Users).await.unwrap();
    for round in 0..20 {
        let (grant, token) = make.grant(&ann, &format!("app {round}"), KeyScope::Full);
        let token = token.hash();
        one.grants().keep(&token, &grant).await.unwrap();
        let redeem = async |store: &HostStore| {
            let make_key = |grant| make.key_of(&grant);
            store.app_keys().redeem(&token, make_key).await.unwrap()
        };
        let (a, b, c) = tokio::join!(redeem(&one), redeem(&two), redeem(&one));
        let redeemed: Vec<_> = [a, b, c].into_iter().flatten().collect();
        assert_eq!(redeemed.len(), 1);
        let kept = two.app_keys().find(&ann.name, &grant.app).await.unwrap();
        assert_eq!(kept.unwrap().key, redeemed[0].key);
    }
    assert_eq!(two.app_keys().list().await.unwrap().len(), 20);
}

#[tokio::test]
async fn two_tokens_of_one_app_get_the_same_key() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = pair(&folder).await;
    let make = Maker::default();
    let ann = make.known(&one, "ann", Group::Users).await.unwrap();
    for round in 0..20 {
        let redeem = async |store: &HostStore, spelling: &str| {
            let (grant, token) = make.grant(&ann, &format!("{spelling}{round}"), KeyScope::Full);
            store.grants().keep(&token.hash(), &grant).await.unwrap();
            let make_key = |grant| make.key_of(&grant);
            let redeemed = store.app_keys().redeem(&token.hash(), make_key).await;
            redeemed.unwrap().unwrap()
        };
        let (a, b) = tokio::join!(redeem(&one, "App"), redeem(&two, "aPP"));
        assert_eq!((&a.key, &a.sealed), (&b.key, &b.sealed));
        assert!(a.is_new != b.is_new);
    }
}

#[tokio::test]
async fn two_browsers_with_one_token_let_one_in() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = pair(&folder).await;
    let make = Maker::default();
    let ann = make.known(&one, "ann", Group::Users).await.unwrap();
    for _ in 0..20 {
        let token = RememberToken::generate(&make.chance).hash();
        let remembered = one.remembered();
        remembered.keep(&token, &ann.name, at(100)).await.unwrap();
        let take = async |store: &HostStore| store.remembered().take(&token, at(101)).await;
        let (a, b) = tokio::join!(take(&one), take(&two));
        let let_in = [a.unwrap(), b.unwrap()].into_iter().flatten().count();
        assert_eq!(let_in, 1);
    }
}

#[tokio::test]
async fn two_first_users_are_one() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..10 {
        let path = folder.path().join(round.to_string());
        let (one, two) = (
            HostStore::open(&path).await.unwrap(),
            HostStore::open(&path).await.unwrap(),
        );
        let make = Maker::default();
        let create = async |store: &HostStore, name: &str| {
            let phc = PasswordHash::new("$argon2id$".to_owned());
            let user = make.user(name, Group::Admins);
            store.users().create_first(&user, &phc).await.unwrap()
        };
        let (a, b) = tokio::join!(create(&one, "ann"), create(&two, "bob"));
        assert!(a != b, "{a} {b}");
        assert_eq!(two.users().list().await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn two_administrators_cannot_remove_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = pair(&folder).await;
    let make = Maker::default();
    let ann = make.known(&one, "ann", Group::Admins).await.unwrap();
    for _ in 0..20 {
        let bob = make.known(&one, "bob", Group::Admins).await.unwrap();
        let (a, b) = tokio::join!(
            async { one.users().set_active(&ann.name, false).await.unwrap() },
            async { two.users().remove(&bob.name).await.unwrap() },
        );
        let done = |change: &Change| matches!(change, Change::Done(_));
        assert!(done(&a) != done(&b), "{a:?} {b:?}");
        let users = one.users();
        let admins = users.list().await.unwrap();
        assert!(
            admins
                .iter()
                .any(|user| user.active && user.group.is_admin())
        );
        // Both are there again for the next round.
        let _ = users.set_active(&ann.name, true).await.unwrap();
        let _ = users.remove(&bob.name).await.unwrap();
    }
}

#[tokio::test]
async fn key_that_is_used_while_revoked_does_not_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = pair(&folder).await;
    let make = Maker::default();
    let ann = make.known(&one, "ann", Group::Users).await.unwrap();
    for _ in 0..20 {
        let (new, text) = make.key(&ann, "OctoPod", KeyScope::Full);
        one.app_keys().keep(&new).await.unwrap();
        let used = [crate::host::KeyUse {
            id: new.key.id.clone(),
            at: at(200),
            network: "home".to_owned(),
            requests: 1,
        }];
        let octopod = app("OctoPod");
        let (revoked, noted) = tokio::join!(
            async { one.app_keys().revoke(&ann.name, &octopod).await },
            async { two.app_keys().note_uses(&used).await },
        );
        assert_eq!(revoked.unwrap(), Some(new.key.id));
        noted.unwrap();
        // An acknowledged end is seen by whoever looks next, in either process.
        for store in [&one, &two] {
            let found = store.app_keys().find_by_hash(&text.hash()).await.unwrap();
            assert_eq!(found, None);
        }
    }
}

/// Polls a future so often at most and drops it then: while its last step runs, or after it.
async fn broken_off<F: Future>(future: F, polls: usize, after: bool) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Pending if left == 0 && !after => Poll::Ready(None),
            answer => answer.map(Some),
        }
    })
    .await
}

#[tokio::test]
async fn redeeming_that_is_broken_off_is_done_or_not_begun() {
    let folder = tempfile::tempdir().unwrap();
    let store = HostStore::open(folder.path().join("host.db"))
        .await
        .unwrap();
    let make = Maker::default();
    let ann = make.known(&store, "ann", Group::Users).await.unwrap();
    let keys = store.app_keys();
    for after in [false, true] {
        let mut rounds = 0;
        loop {
            rounds += 1;
            let (grant, token) = make.grant(&ann, &format!("{after} {rounds}"), KeyScope::Full);
            let token = token.hash();
            store.grants().keep(&token, &grant).await.unwrap();
            let redeem = keys.redeem(&token, |grant| make.key_of(&grant));
            let finished = broken_off(redeem, rounds, after).await.is_some();
            store.check().await.unwrap();
            let stays = store.grants().find(&token).await.unwrap().is_some();
            let key = keys.find(&ann.name, &grant.app).await.unwrap();
            assert!(stays != key.is_some(), "{after} {rounds}");
            if finished {
                assert!(!stays);
                break;
            }
        }
        assert!(rounds > 1, "nothing was broken off");
    }
}

#[tokio::test]
async fn dropped_work_changes_nothing_and_blocks_nobody() {
    let store = HostStore::open_in_memory().await.unwrap();
    let make = Maker::default();
    let ann = make.known(&store, "ann", Group::Users).await.unwrap();
    let (new, _) = make.key(&ann, "OctoPod", KeyScope::Full);
    store.app_keys().keep(&new).await.unwrap();
    let mut work = store.pools().begin().await.unwrap();
    sqlx::query("DELETE FROM users")
        .execute(&mut *work)
        .await
        .unwrap();
    drop(work);
    assert_eq!(store.users().list().await.unwrap(), [ann]);
    assert_eq!(store.app_keys().list().await.unwrap(), [new.key]);
    store.check().await.unwrap();
}
