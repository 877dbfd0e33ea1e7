use latchkey_model::chance::SeededChance;
use latchkey_model::clock::{FixedClock, Timestamp};

use super::*;

async fn users() -> (Users, HostStore) {
    let store = HostStore::open_in_memory().await.unwrap();
    let chance: Arc<dyn Chance> = Arc::new(SeededChance::new(5));
    let clock: Arc<dyn Clock> = Arc::new(FixedClock::new(Timestamp::from_millis(0)));
    let users = Users::new(
        store.clone(),
        Endings::default(),
        Notices::default(),
        clock,
        &chance,
    );
    (users, store)
}

fn name(text: &str) -> UserName {
    UserName::parse(text).unwrap()
}

#[tokio::test]
async fn the_first_administrator_needs_the_code_and_is_made_once() {
    let (users, _) = users().await;
    assert!(!users.is_set_up().await);
    let code = users.setup_code().await.unwrap();
    let wrong = users.create_first("BBBB-BBBB", "ann", "long-enough").await;
    assert!(matches!(wrong, Err(FirstError::CodeWrong)));
    let short = users.create_first(&code, "ann", "short").await;
    assert!(matches!(
        short,
        Err(FirstError::User(UserError::PasswordTooShort))
    ));
    let ann = users
        .create_first(&code, "ann", "long-enough")
        .await
        .unwrap();
    assert_eq!((ann.group, ann.active), (Group::Admins, true));
    assert!(users.is_set_up().await);
    assert_eq!(users.setup_code().await, None);
    let again = users.create_first(&code, "eve", "long-enough").await;
    assert!(matches!(again, Err(FirstError::Done)));
    assert!(!users.exists(&name("eve")).await.unwrap());
}

#[tokio::test]
async fn the_last_administrator_stays() {
    let (users, _) = users().await;
    users
        .add("ann", "long-enough", Group::Admins)
        .await
        .unwrap();
    users.add("bob", "long-enough", Group::Users).await.unwrap();
    let ann = name("ann");
    for outcome in [
        users.remove(&ann).await,
        users.set_active(&ann, false).await,
        users.set_group(&ann, Group::Users).await,
    ] {
        assert!(matches!(outcome, Err(UserError::LastAdmin)), "{outcome:?}");
    }
    users.set_group(&name("bob"), Group::Admins).await.unwrap();
    users.remove(&ann).await.unwrap();
    assert!(!users.exists(&ann).await.unwrap());
}

#[tokio::test]
async fn names_and_passwords_that_will_not_do_are_named_as_such() {
    let (users, _) = users().await;
    users.add("ann", "long-enough", Group::Users).await.unwrap();
    for (name, password, expected) in [
        ("", "long-enough", "NameMissing"),
        ("two words", "long-enough", "NameUnfit"),
        ("_api", "long-enough", "NameUnfit"),
        ("ann", "long-enough", "NameTaken"),
        ("bob", "1234567", "PasswordTooShort"),
        ("bob", &"x".repeat(257), "PasswordTooLong"),
    ] {
        let error = users.add(name, password, Group::Users).await.unwrap_err();
        assert_eq!(format!("{error:?}"), expected, "{name:?}");
    }
}

#[tokio::test]
async fn changing_ones_own_password_needs_the_old_one() {
    let (users, store) = users().await;
    users.add("ann", "long-enough", Group::Users).await.unwrap();
    let (ann, keep) = (name("ann"), "abcdefghijklmnop2345".parse().unwrap());
    let wrong = users
        .change_own_password(&ann, "not-the-old", "another-one", &keep)
        .await;
    assert!(matches!(wrong, Err(UserError::OldWrong)));
    users
        .change_own_password(&ann, "long-enough", "another-one", &keep)
        .await
        .unwrap();
    let kept = store.users().find_sign_in(&ann).await.unwrap().unwrap();
    let kept = kept.password_hash.unwrap();
    assert!(
        users
            .passwords
            .verify("another-one", &kept)
            .await
            .unwrap()
            .ok
    );
    assert!(
        !users
            .passwords
            .verify("long-enough", &kept)
            .await
            .unwrap()
            .ok
    );
}

#[tokio::test]
async fn what_a_removed_user_has_open_ends() {
    let (users, store) = users().await;
    users
        .add("ann", "long-enough", Group::Admins)
        .await
        .unwrap();
    let bob = users.add("bob", "long-enough", Group::Users).await.unwrap();
    let chance: Arc<dyn Chance> = Arc::new(SeededChance::new(6));
    let sealing = latchkey_model::sealed::MasterKey::from_bytes([1; 32]).sealing();
    let minting =
        crate::app_keys::Minting::new(store.clone(), sealing, users.endings.clone(), chance);
    let app = latchkey_model::app::AppName::cleaned("App").unwrap();
    let scope = latchkey_model::access::KeyScope::Full;
    let now = Timestamp::from_millis(0);
    minting.generate(&bob.name, &app, scope, now).await.unwrap();
    let key = store
        .app_keys()
        .find(&bob.name, &app)
        .await
        .unwrap()
        .unwrap();
    let hold = users.endings.hold(Holder::Key(key.key.id));
    let mut heard = users.notices.listen();
    users.remove(&bob.name).await.unwrap();
    assert!(hold.ended().is_cancelled());
    assert!(matches!(
        heard.try_recv(),
        Ok(Notice::UserChanged {
            reason: EndReason::Removed,
            ..
        })
    ));
    assert!(store.app_keys().list().await.unwrap().is_empty());
}

#[tokio::test]
async fn somebody_without_rights_does_not_end_the_first_run() {
    let (users, _) = users().await;
    users.add("bob", "long-enough", Group::Users).await.unwrap();
    assert!(!users.is_set_up().await);
    let code = users.setup_code().await.unwrap();
    let taken = users.create_first(&code, "bob", "long-enough").await;
    assert!(matches!(taken, Err(FirstError::User(UserError::NameTaken))));
    users
        .create_first(&code, "ann", "long-enough")
        .await
        .unwrap();
    assert!(users.is_set_up().await);
}
