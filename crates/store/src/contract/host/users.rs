//! What holds of users.

use latchkey_model::access::KeyScope;
use latchkey_model::secret::{PasswordHash, RememberToken};
use latchkey_model::user::Group;

use super::{Maker, NOTHING_ENDED, name};
use crate::contract::{Case, Outcome, at, cases, check, check_eq};
use crate::error::StoreError;
use crate::host::{Change, Ended, HostStore};

cases! { HostStore,
    user_is_found_as_it_was_kept,
    one_user_for_each_name,
    first_user_is_first,
    users_are_listed_by_name,
    new_password_ends_what_the_old_one_opened,
    password_is_rehashed_only_while_it_is_the_same,
    another_group_cuts_what_is_open,
    deactivated_user_has_no_session,
    removed_user_takes_everything_along,
    one_administrator_stays,
}

fn phc(text: &str) -> PasswordHash {
    PasswordHash::new(format!("$argon2id${text}"))
}

async fn password_of(store: &HostStore, text: &str) -> Result<Option<String>, StoreError> {
    let found = store.users().find_sign_in(&name(text)).await?;
    let hash = found.and_then(|found| found.password_hash);
    Ok(hash.map(|hash| hash.expose().to_owned()))
}

async fn user_is_found_as_it_was_kept(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let users = store.users();
    check!(!users.any_admin().await?);
    let ann = make.user("ann", Group::Admins);
    let mut bob = make.user("jürgen@example.com", Group::Readonly);
    bob.active = false;
    users.create(&ann, Some(&phc("1"))).await?;
    users.create(&bob, None).await?;
    check!(users.any_admin().await?);
    check_eq!(users.find(&ann.name).await?, Some(ann.clone()));
    check_eq!(users.find(&bob.name).await?, Some(bob.clone()));
    let sign_in = users.find_sign_in(&ann.name).await?.ok_or("not found")?;
    check_eq!(sign_in.user, ann);
    check_eq!(
        password_of(store, "ann").await?.as_deref(),
        Some("$argon2id$1")
    );
    check_eq!(password_of(store, "jürgen@example.com").await?, None);
    check_eq!(users.find(&name("nobody")).await?, None);
    check!(users.find_sign_in(&name("nobody")).await?.is_none());
    Ok(())
}

async fn one_user_for_each_name(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let users = store.users();
    let ann = make.known(store, "ann", Group::Admins).await?;
    let again = users.create(&make.user("ann", Group::Readonly), None).await;
    check!(matches!(again, Err(StoreError::Conflict)));
    check_eq!(users.find(&ann.name).await?, Some(ann));
    // Upper and lower case are two people.
    check_eq!(users.find(&name("Ann")).await?, None);
    make.known(store, "Ann", Group::Users).await?;
    Ok(())
}

async fn first_user_is_first(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let users = store.users();
    let (ann, bob) = (
        make.user("ann", Group::Admins),
        make.user("bob", Group::Admins),
    );
    check!(users.create_first(&ann, &phc("1")).await?);
    check!(!users.create_first(&bob, &phc("2")).await?);
    check!(!users.create_first(&ann, &phc("2")).await?);
    check_eq!(users.list().await?, [ann]);
    check_eq!(
        password_of(store, "ann").await?.as_deref(),
        Some("$argon2id$1")
    );
    Ok(())
}

async fn users_are_listed_by_name(store: &HostStore) -> Outcome {
    let make = Maker::default();
    for user in ["cid", "ann", "Bob"] {
        make.known(store, user, Group::Users).await?;
    }
    let listed = store.users().list().await?;
    let names: Vec<_> = listed.iter().map(|user| user.name.as_str()).collect();
    check_eq!(names, ["Bob", "ann", "cid"]);
    Ok(())
}

async fn new_password_ends_what_the_old_one_opened(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let users = store.users();
    let ann = make.known(store, "ann", Group::Users).await?;
    let bob = make.known(store, "bob", Group::Users).await?;
    let kept = make.opened(store, &ann, 100).await?;
    let other = make.opened(store, &ann, 100).await?;
    let bobs = make.opened(store, &bob, 100).await?;
    let (token, bobs_token) = (
        RememberToken::generate(&make.chance),
        RememberToken::generate(&make.chance),
    );
    let remembered = store.remembered();
    remembered.keep(&token.hash(), &ann.name, at(100)).await?;
    remembered
        .keep(&bobs_token.hash(), &bob.name, at(100))
        .await?;
    let (key, _) = make.key(&ann, "OctoPod", KeyScope::Full);
    store.app_keys().keep(&key).await?;

    let keep = Some(&kept.session.id);
    let change = users.set_password_hash(&ann.name, &phc("2"), keep).await?;
    let expected = Ended {
        app_keys: Vec::new(),
        sessions: vec![other.session.id],
    };
    check_eq!(change, Change::Done(expected));
    check_eq!(
        password_of(store, "ann").await?.as_deref(),
        Some("$argon2id$2")
    );
    check!(store.sessions().find(&other.token.hash()).await?.is_none());
    check!(store.sessions().find(&kept.token.hash()).await?.is_some());
    check!(store.sessions().find(&bobs.token.hash()).await?.is_some());
    check_eq!(remembered.take(&token.hash(), at(101)).await?, None);
    check_eq!(
        remembered.take(&bobs_token.hash(), at(101)).await?,
        Some(bob)
    );
    check_eq!(store.app_keys().list_of(&ann.name).await?, [key.key]);

    // Without one to keep, all end; and a session to keep may be somebody else's or nobody's.
    let change = users.set_password_hash(&ann.name, &phc("3"), None).await?;
    let expected = Ended {
        app_keys: Vec::new(),
        sessions: vec![kept.session.id],
    };
    check_eq!(change, Change::Done(expected));
    let change = users
        .set_password_hash(&name("nobody"), &phc("4"), None)
        .await?;
    check_eq!(change, Change::Missing);
    Ok(())
}

async fn password_is_rehashed_only_while_it_is_the_same(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let users = store.users();
    let ann = make.user("ann", Group::Users);
    users.create(&ann, Some(&phc("old"))).await?;
    let session = make.opened(store, &ann, 100).await?;
    check!(!users.rehash(&ann.name, &phc("older"), &phc("new")).await?);
    check_eq!(
        password_of(store, "ann").await?.as_deref(),
        Some("$argon2id$old")
    );
    check!(users.rehash(&ann.name, &phc("old"), &phc("new")).await?);
    check_eq!(
        password_of(store, "ann").await?.as_deref(),
        Some("$argon2id$new")
    );
    check!(
        !users
            .rehash(&name("nobody"), &phc("old"), &phc("new"))
            .await?
    );
    let found = store.sessions().find(&session.token.hash()).await?;
    check!(found.is_some());
    Ok(())
}

async fn another_group_cuts_what_is_open(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let users = store.users();
    let ann = make.known(store, "ann", Group::Users).await?;
    let session = make.opened(store, &ann, 100).await?;
    let (key, text) = make.key(&ann, "OctoPod", KeyScope::Full);
    store.app_keys().keep(&key).await?;
    let change = users.set_group(&ann.name, Group::Readonly).await?;
    let cut = Ended {
        app_keys: vec![key.key.id.clone()],
        sessions: vec![session.session.id.clone()],
    };
    check_eq!(change, Change::Done(cut));
    let by_key = store.app_keys().find_by_hash(&text.hash()).await?;
    check_eq!(by_key.map(|found| found.user.group), Some(Group::Readonly));
    let by_cookie = store.sessions().find(&session.token.hash()).await?;
    check_eq!(
        by_cookie.map(|found| found.user.group),
        Some(Group::Readonly)
    );
    // What was so already cuts nothing.
    let change = users.set_group(&ann.name, Group::Readonly).await?;
    check_eq!(change, NOTHING_ENDED);
    let change = users.set_group(&name("nobody"), Group::Users).await?;
    check_eq!(change, Change::Missing);
    Ok(())
}

async fn deactivated_user_has_no_session(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let users = store.users();
    let ann = make.known(store, "ann", Group::Users).await?;
    let session = make.opened(store, &ann, 100).await?;
    let token = RememberToken::generate(&make.chance);
    let remembered = store.remembered();
    remembered.keep(&token.hash(), &ann.name, at(100)).await?;
    let (key, text) = make.key(&ann, "OctoPod", KeyScope::Full);
    store.app_keys().keep(&key).await?;
    let (grant, request) = make.grant(&ann, "OctoApp", KeyScope::Full);
    store.grants().keep(&request.hash(), &grant).await?;

    let change = users.set_active(&ann.name, false).await?;
    let cut = Ended {
        app_keys: vec![key.key.id.clone()],
        sessions: vec![session.session.id.clone()],
    };
    check_eq!(change, Change::Done(cut));
    check_eq!(users.set_active(&ann.name, false).await?, NOTHING_ENDED);
    check_eq!(store.sessions().list_of(&ann.name).await?, []);
    let found = store.app_keys().find_by_hash(&text.hash()).await?;
    check_eq!(found.map(|found| found.user.active), Some(false));
    let make_key = |grant| make.key_of(&grant);
    let redeemed = store.app_keys().redeem(&request.hash(), make_key).await?;
    check_eq!(redeemed, None);
    // Nothing new begins either.
    let again = make.opened(store, &ann, 200).await;
    check!(matches!(again, Err(StoreError::Conflict)));
    let again = RememberToken::generate(&make.chance);
    let again = remembered.keep(&again.hash(), &ann.name, at(200)).await;
    check!(matches!(again, Err(StoreError::Conflict)));
    let again = store.grants().keep(&request.hash(), &grant).await;
    check!(matches!(again, Err(StoreError::Conflict)));

    check_eq!(users.set_active(&ann.name, true).await?, NOTHING_ENDED);
    check_eq!(users.find(&ann.name).await?, Some(ann));
    check_eq!(remembered.take(&token.hash(), at(201)).await?, None);
    check_eq!(store.grants().find(&request.hash()).await?, None);
    let found = store.app_keys().find_by_hash(&text.hash()).await?;
    check_eq!(found.map(|found| found.key), Some(key.key));
    for active in [true, false] {
        let change = users.set_active(&name("nobody"), active).await?;
        check_eq!(change, Change::Missing);
    }
    Ok(())
}

async fn removed_user_takes_everything_along(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let users = store.users();
    let ann = make.known(store, "ann", Group::Users).await?;
    let bob = make.known(store, "bob", Group::Users).await?;
    let session = make.opened(store, &ann, 100).await?;
    let token = RememberToken::generate(&make.chance);
    let remembered = store.remembered();
    remembered.keep(&token.hash(), &ann.name, at(100)).await?;
    let (key, text) = make.key(&ann, "OctoPod", KeyScope::Full);
    let (bobs, _) = make.key(&bob, "OctoPod", KeyScope::Full);
    store.app_keys().keep(&key).await?;
    store.app_keys().keep(&bobs).await?;
    let (grant, request) = make.grant(&ann, "OctoApp", KeyScope::Full);
    store.grants().keep(&request.hash(), &grant).await?;

    let change = users.remove(&ann.name).await?;
    let ended = Ended {
        app_keys: vec![key.key.id],
        sessions: vec![session.session.id],
    };
    check_eq!(change, Change::Done(ended));
    check_eq!(users.remove(&ann.name).await?, Change::Missing);
    // Whoever has the name next inherits nothing.
    let next = make.known(store, "ann", Group::Users).await?;
    check_eq!(store.app_keys().find_by_hash(&text.hash()).await?, None);
    check_eq!(store.app_keys().list().await?, [bobs.key]);
    check_eq!(store.sessions().list_of(&next.name).await?, []);
    check_eq!(store.grants().find(&request.hash()).await?, None);
    check_eq!(remembered.take(&token.hash(), at(101)).await?, None);
    Ok(())
}

async fn one_administrator_stays(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let users = store.users();
    let ann = make.known(store, "ann", Group::Admins).await?;
    make.known(store, "bob", Group::Users).await?;
    let mut cid = make.user("cid", Group::Admins);
    cid.active = false;
    users.create(&cid, None).await?;
    let session = make.opened(store, &ann, 100).await?;

    let demoted = users.set_group(&ann.name, Group::Users).await?;
    check_eq!(demoted, Change::LastAdmin);
    check_eq!(users.set_active(&ann.name, false).await?, Change::LastAdmin);
    check_eq!(users.remove(&ann.name).await?, Change::LastAdmin);
    check_eq!(users.find(&ann.name).await?, Some(ann.clone()));
    let found = store.sessions().find(&session.token.hash()).await?;
    check!(found.is_some());
    // What changes no number of administrators may be done.
    let change = users.set_group(&ann.name, Group::Admins).await?;
    check_eq!(change, NOTHING_ENDED);
    check_eq!(users.set_active(&ann.name, true).await?, NOTHING_ENDED);

    // An administrator who is let in again is one.
    check_eq!(users.set_active(&cid.name, true).await?, NOTHING_ENDED);
    let change = users.set_group(&ann.name, Group::Users).await?;
    check!(matches!(change, Change::Done(_)));
    check_eq!(users.remove(&cid.name).await?, Change::LastAdmin);
    // Whoever is none may go.
    check_eq!(users.remove(&name("bob")).await?, NOTHING_ENDED);
    Ok(())
}
