//! What holds of app keys.

use latchkey_model::access::KeyScope;
use latchkey_model::app_key::LastUse;
use latchkey_model::id::AppConnectionId;
use latchkey_model::secret::{AppKeyHash, RequestTokenHash};
use latchkey_model::user::Group;

use super::{Maker, app, name};
use crate::contract::{Case, Outcome, at, cases, check, check_eq};
use crate::error::StoreError;
use crate::host::{FoundAppKey, HostStore, KeyUse};

cases! { HostStore,
    app_key_is_found_as_it_was_kept,
    one_key_of_an_app_and_user,
    scope_of_a_key_is_the_last_one_chosen,
    app_key_needs_its_user_and_its_own_text,
    keys_are_listed_by_user_and_app,
    revoked_key_is_gone,
    key_is_revoked_only_for_its_owner,
    grant_is_redeemed_once,
    redeeming_again_gives_the_key_that_is_there,
    redeeming_after_revoking_gives_a_new_key,
    redeeming_that_fails_takes_nothing,
    use_adds_up_and_passes_over_the_revoked,
    keys_of_an_app_connection_end_with_it_and_share_nothing,
}

async fn app_key_is_found_as_it_was_kept(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let keys = store.app_keys();
    let ann = make.known(store, "ann", Group::Admins).await?;
    let (new, text) = make.key(&ann, "OctoPod", KeyScope::View);
    let kept = keys.keep(&new).await?;
    check!(kept.is_new && !kept.rescoped);
    check_eq!((&kept.key, &kept.sealed), (&new.key, &new.sealed));

    let found = keys.find_by_hash(&text.hash()).await?;
    let expected = FoundAppKey {
        key: new.key.clone(),
        user: ann.clone(),
    };
    check_eq!(found, Some(expected));
    let by_app = keys.find(&ann.name, &app("OCTOPOD")).await?;
    let by_app = by_app.ok_or("not found by app")?;
    check_eq!(Some(&by_app), keys.find_by_id(&new.key.id).await?.as_ref());
    check_eq!((&by_app.key, by_app.is_new), (&new.key, false));
    let opened = make.sealing.open(&by_app.sealed, &by_app.key.id)?;
    check!(opened.expose() == text.expose());

    check_eq!(keys.find_by_hash(&AppKeyHash::of("unknown")).await?, None);
    check_eq!(keys.find(&ann.name, &app("OctoApp")).await?, None);
    check_eq!(keys.find(&name("Ann"), &app("OctoPod")).await?, None);
    let (other, _) = make.key(&ann, "OctoApp", KeyScope::Full);
    check_eq!(keys.find_by_id(&other.key.id).await?, None);
    Ok(())
}

async fn one_key_of_an_app_and_user(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let keys = store.app_keys();
    let ann = make.known(store, "ann", Group::Users).await?;
    let bob = make.known(store, "bob", Group::Users).await?;
    let (first, _) = make.key(&ann, "OctoPod", KeyScope::Full);
    keys.keep(&first).await?;
    for spelling in ["OctoPod", "octopod", "OCTOPOD", " Octo\u{200b}Pod "] {
        let (again, text) = make.key(&ann, spelling, KeyScope::Full);
        let kept = keys.keep(&again).await?;
        check!(!kept.is_new && !kept.rescoped);
        check_eq!((&kept.key, &kept.sealed), (&first.key, &first.sealed));
        check_eq!(keys.find_by_hash(&text.hash()).await?, None);
    }
    // Letters that SQL does not fold.
    let (accented, _) = make.key(&ann, "Äpp", KeyScope::Full);
    check!(keys.keep(&accented).await?.is_new);
    let (shouted, _) = make.key(&ann, "äPP", KeyScope::Full);
    check_eq!(keys.keep(&shouted).await?.key, accented.key);
    // Somebody else's key is another one.
    let (bobs, _) = make.key(&bob, "OctoPod", KeyScope::Full);
    check!(keys.keep(&bobs).await?.is_new);
    check_eq!(keys.list_of(&bob.name).await?, [bobs.key]);
    Ok(())
}

async fn scope_of_a_key_is_the_last_one_chosen(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let keys = store.app_keys();
    let ann = make.known(store, "ann", Group::Users).await?;
    let (first, text) = make.key(&ann, "OctoPod", KeyScope::Full);
    keys.keep(&first).await?;
    for scope in [KeyScope::View, KeyScope::Full] {
        let (again, _) = make.key(&ann, "octopod", scope);
        let kept = keys.keep(&again).await?;
        check!(kept.rescoped && !kept.is_new);
        check_eq!((&kept.key.id, kept.key.scope), (&first.key.id, scope));
        let found = keys.find_by_hash(&text.hash()).await?;
        check_eq!(found.map(|found| found.key), Some(kept.key));
    }
    Ok(())
}

async fn app_key_needs_its_user_and_its_own_text(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let keys = store.app_keys();
    let ann = make.known(store, "ann", Group::Users).await?;
    let (nobodys, _) = make.key(
        &make.user("nobody", Group::Users),
        "OctoPod",
        KeyScope::Full,
    );
    let answer = keys.keep(&nobodys).await;
    check!(matches!(answer, Err(StoreError::Conflict)));
    let (first, _) = make.key(&ann, "OctoPod", KeyScope::Full);
    keys.keep(&first).await?;
    let (mut second, _) = make.key(&ann, "OctoApp", KeyScope::Full);
    second.key.hash = first.key.hash;
    let answer = keys.keep(&second).await;
    check!(matches!(answer, Err(StoreError::Conflict)));
    check_eq!(keys.list().await?, [first.key]);
    Ok(())
}

async fn keys_are_listed_by_user_and_app(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let keys = store.app_keys();
    let bob = make.known(store, "bob", Group::Users).await?;
    let ann = make.known(store, "ann", Group::Users).await?;
    for (user, app_name) in [(&bob, "b"), (&ann, "Z"), (&bob, "A"), (&ann, "y")] {
        let (new, _) = make.key(user, app_name, KeyScope::Full);
        keys.keep(&new).await?;
    }
    let listed = keys.list().await?;
    let listed: Vec<_> = listed
        .iter()
        .map(|key| (key.user.as_str(), key.app.as_str()))
        .collect();
    check_eq!(
        listed,
        [("ann", "y"), ("ann", "Z"), ("bob", "A"), ("bob", "b")]
    );
    let of_bob = keys.list_of(&bob.name).await?;
    let of_bob: Vec<_> = of_bob.iter().map(|key| key.app.as_str()).collect();
    check_eq!(of_bob, ["A", "b"]);
    Ok(())
}

async fn revoked_key_is_gone(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let keys = store.app_keys();
    let ann = make.known(store, "ann", Group::Users).await?;
    let (stays, stays_text) = make.key(&ann, "stays", KeyScope::Full);
    keys.keep(&stays).await?;
    for way in ["app", "hash", "id"] {
        let (new, text) = make.key(&ann, "OctoPod", KeyScope::Full);
        let kept = keys.keep(&new).await?;
        check!(kept.is_new);
        let (id, hash) = (&new.key.id, text.hash());
        let revoke = async || match way {
            "app" => keys.revoke(&ann.name, &app("octopod")).await,
            "hash" => keys.revoke_by_hash(&hash, None).await,
            _ => keys.revoke_by_id(id, None).await,
        };
        check_eq!(revoke().await?.as_ref(), Some(id));
        check_eq!(revoke().await?, None);
        check_eq!(keys.find_by_hash(&hash).await?, None);
        check_eq!(keys.find_by_id(id).await?, None);
        check_eq!(keys.find(&ann.name, &app("OctoPod")).await?, None);
    }
    check!(keys.find_by_hash(&stays_text.hash()).await?.is_some());
    Ok(())
}

async fn key_is_revoked_only_for_its_owner(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let keys = store.app_keys();
    let ann = make.known(store, "ann", Group::Users).await?;
    let bob = make.known(store, "bob", Group::Admins).await?;
    let (new, text) = make.key(&ann, "OctoPod", KeyScope::Full);
    keys.keep(&new).await?;
    let (id, hash) = (&new.key.id, text.hash());
    check_eq!(keys.revoke(&bob.name, &app("OctoPod")).await?, None);
    check_eq!(keys.revoke_by_id(id, Some(&bob.name)).await?, None);
    check_eq!(keys.revoke_by_hash(&hash, Some(&bob.name)).await?, None);
    check!(keys.find_by_hash(&hash).await?.is_some());
    check_eq!(
        keys.revoke_by_id(id, Some(&ann.name)).await?.as_ref(),
        Some(id)
    );
    keys.keep(&new).await?;
    check_eq!(
        keys.revoke_by_hash(&hash, Some(&ann.name)).await?.as_ref(),
        Some(id)
    );
    Ok(())
}

async fn grant_is_redeemed_once(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let keys = store.app_keys();
    let ann = make.known(store, "ann", Group::Users).await?;
    let (grant, token) = make.grant(&ann, "OctoPod", KeyScope::View);
    store.grants().keep(&token.hash(), &grant).await?;
    let unknown = RequestTokenHash::of("unknown");
    let make_key = |grant| make.key_of(&grant);
    check_eq!(keys.redeem(&unknown, make_key).await?, None);
    let redeemed = keys.redeem(&token.hash(), make_key).await?;
    let redeemed = redeemed.ok_or("nothing was redeemed")?;
    check!(redeemed.is_new);
    let key = &redeemed.key;
    check_eq!(
        (&key.user, &key.app, key.scope),
        (&grant.user, &grant.app, grant.scope)
    );
    check_eq!(keys.redeem(&token.hash(), make_key).await?, None);
    check_eq!(store.grants().find(&token.hash()).await?, None);
    check_eq!(keys.list().await?, [redeemed.key]);
    Ok(())
}

async fn redeeming_again_gives_the_key_that_is_there(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let keys = store.app_keys();
    let ann = make.known(store, "ann", Group::Users).await?;
    let (first, _) = make.key(&ann, "OctoPod", KeyScope::Full);
    keys.keep(&first).await?;
    let (grant, token) = make.grant(&ann, "OCTOPOD", KeyScope::View);
    store.grants().keep(&token.hash(), &grant).await?;
    let make_key = |grant| make.key_of(&grant);
    let redeemed = keys.redeem(&token.hash(), make_key).await?;
    let redeemed = redeemed.ok_or("nothing was redeemed")?;
    check!(!redeemed.is_new && redeemed.rescoped);
    check_eq!(redeemed.sealed, first.sealed);
    let mut expected = first.key;
    expected.scope = KeyScope::View;
    check_eq!(redeemed.key, expected);
    check_eq!(keys.list().await?, [expected]);
    Ok(())
}

async fn redeeming_after_revoking_gives_a_new_key(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let keys = store.app_keys();
    let ann = make.known(store, "ann", Group::Users).await?;
    let (first, text) = make.key(&ann, "OctoPod", KeyScope::Full);
    keys.keep(&first).await?;
    let (grant, token) = make.grant(&ann, "OctoPod", KeyScope::Full);
    store.grants().keep(&token.hash(), &grant).await?;
    keys.revoke(&ann.name, &app("OctoPod")).await?;
    let make_key = |grant| make.key_of(&grant);
    let redeemed = keys.redeem(&token.hash(), make_key).await?;
    let redeemed = redeemed.ok_or("nothing was redeemed")?;
    check!(redeemed.is_new);
    check!(redeemed.key.id != first.key.id && redeemed.key.hash != first.key.hash);
    check_eq!(keys.find_by_hash(&text.hash()).await?, None);
    Ok(())
}

async fn redeeming_that_fails_takes_nothing(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let keys = store.app_keys();
    let ann = make.known(store, "ann", Group::Users).await?;
    let (taken, _) = make.key(&ann, "OctoApp", KeyScope::Full);
    keys.keep(&taken).await?;
    let (grant, token) = make.grant(&ann, "OctoPod", KeyScope::Full);
    store.grants().keep(&token.hash(), &grant).await?;
    let clash = |grant| {
        let mut new = make.key_of(&grant);
        new.key.hash = taken.key.hash;
        new
    };
    let answer = keys.redeem(&token.hash(), clash).await;
    check!(matches!(answer, Err(StoreError::Conflict)));
    check_eq!(store.grants().find(&token.hash()).await?, Some(grant));
    let make_key = |grant| make.key_of(&grant);
    check!(keys.redeem(&token.hash(), make_key).await?.is_some());
    Ok(())
}

async fn use_adds_up_and_passes_over_the_revoked(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let keys = store.app_keys();
    let ann = make.known(store, "ann", Group::Users).await?;
    let (new, text) = make.key(&ann, "OctoPod", KeyScope::Full);
    let (revoked, _) = make.key(&ann, "gone", KeyScope::Full);
    keys.keep(&new).await?;
    let used = |id: &latchkey_model::id::AppKeyId, millis, network: &str, requests| KeyUse {
        id: id.clone(),
        at: at(millis),
        network: network.to_owned(),
        requests,
    };
    let (id, gone) = (&new.key.id, &revoked.key.id);
    keys.note_uses(&[]).await?;
    keys.note_uses(&[used(gone, 200, "home", 5), used(id, 200, "home", 2)])
        .await?;
    keys.note_uses(&[used(id, 150, "elsewhere", 1)]).await?;
    let found = keys.find_by_hash(&text.hash()).await?;
    let found = found.ok_or("not found")?.key;
    let last_use = LastUse {
        at: at(200),
        network: "home".to_owned(),
    };
    check_eq!((&found.last_use, found.requests), (&Some(last_use), 3));
    check_eq!(keys.find_by_id(gone).await?, None);
    // The same key given again keeps its count.
    check_eq!(keys.keep(&new).await?.key, found);
    // No batch, however odd, makes a later one fail.
    for millis in [300, 400] {
        keys.note_uses(&[used(id, millis, "away", u64::MAX)])
            .await?;
    }
    let found = keys.find_by_id(id).await?.ok_or("not found")?;
    let last_use = LastUse {
        at: at(400),
        network: "away".to_owned(),
    };
    check_eq!(found.key.last_use, Some(last_use));
    Ok(())
}

async fn keys_of_an_app_connection_end_with_it_and_share_nothing(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let keys = store.app_keys();
    let ann = make.known(store, "ann", Group::Admins).await?;
    let (home, _) = make.key(&ann, "OctoPod", KeyScope::Full);
    keys.keep(&home).await?;
    let connection: AppConnectionId = "abcdefghijklmnop2345".parse()?;
    let other: AppConnectionId = "bbcdefghijklmnop2345".parse()?;
    let made = |app: &str, connection: &AppConnectionId| {
        let (mut new, _) = make.key(&ann, app, KeyScope::View);
        new.key.through = Some(connection.clone());
        new
    };
    let taken = keys.keep_new(&made("octopod", &connection)).await;
    check!(matches!(taken, Err(StoreError::Conflict)));
    let (first, second) = (made("OctoPod 2", &connection), made("OctoApp", &other));
    keys.keep_new(&first).await?;
    keys.keep_new(&second).await?;
    let found = keys.find_by_hash(&first.key.hash).await?;
    check_eq!(found.map(|found| found.key), Some(first.key.clone()));
    check_eq!(
        keys.app_connections(9).await?,
        [connection.clone(), other.clone()]
    );
    check_eq!(keys.app_connections(1).await?.len(), 1);
    // What somebody allows at the host stays.
    let (again, _) = make.key(&ann, "OctoApp", KeyScope::View);
    let kept = keys.keep(&again).await?;
    check_eq!((kept.key.id, kept.key.through), (second.key.id, None));
    check!(keys.revoke_of_app_connection(&other).await?.is_empty());
    check_eq!(
        keys.revoke_of_app_connection(&connection).await?,
        [first.key.id]
    );
    check_eq!(keys.list().await?.len(), 2);
    Ok(())
}
