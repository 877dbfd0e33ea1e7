//! What holds of grants.

use latchkey_model::access::KeyScope;
use latchkey_model::secret::RequestTokenHash;
use latchkey_model::user::Group;

use super::Maker;
use crate::contract::{Case, Outcome, at, cases, check, check_eq};
use crate::error::StoreError;
use crate::host::HostStore;

cases! { HostStore,
    grant_is_found_as_it_was_kept,
    grant_needs_its_user_and_its_own_token,
    old_grants_are_pruned,
    oldest_grants_give_way,
}

async fn grant_is_found_as_it_was_kept(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let ann = make.known(store, "ann", Group::Users).await?;
    for scope in [KeyScope::Full, KeyScope::View] {
        let (grant, token) = make.grant(&ann, "Fieldglass 🔭", scope);
        store.grants().keep(&token.hash(), &grant).await?;
        for _ in 0..2 {
            let found = store.grants().find(&token.hash()).await?;
            check_eq!(found.as_ref(), Some(&grant));
        }
    }
    let unknown = RequestTokenHash::of("unknown");
    check_eq!(store.grants().find(&unknown).await?, None);
    Ok(())
}

async fn grant_needs_its_user_and_its_own_token(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let ann = make.known(store, "ann", Group::Users).await?;
    let (grant, token) = make.grant(&ann, "OctoPod", KeyScope::Full);
    store.grants().keep(&token.hash(), &grant).await?;
    let (other, _) = make.grant(&ann, "OctoApp", KeyScope::Full);
    let answer = store.grants().keep(&token.hash(), &other).await;
    check!(matches!(answer, Err(StoreError::Conflict)));
    check_eq!(store.grants().find(&token.hash()).await?, Some(grant));
    let nobody = make.user("nobody", Group::Users);
    let (nobodys, token) = make.grant(&nobody, "OctoPod", KeyScope::Full);
    let answer = store.grants().keep(&token.hash(), &nobodys).await;
    check!(matches!(answer, Err(StoreError::Conflict)));
    Ok(())
}

async fn old_grants_are_pruned(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let ann = make.known(store, "ann", Group::Users).await?;
    let mut tokens = Vec::new();
    for millis in [100, 200] {
        let (mut grant, token) = make.grant(&ann, "OctoPod", KeyScope::Full);
        grant.at = at(millis);
        store.grants().keep(&token.hash(), &grant).await?;
        tokens.push(token.hash());
    }
    check_eq!(store.grants().prune(at(200)).await?, 1);
    check_eq!(store.grants().find(&tokens[0]).await?, None);
    check!(store.grants().find(&tokens[1]).await?.is_some());
    Ok(())
}

async fn oldest_grants_give_way(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let ann = make.known(store, "ann", Group::Users).await?;
    let keep = async |index: i64, millis: i64| {
        let (mut grant, _) = make.grant(&ann, "OctoPod", KeyScope::Full);
        grant.at = at(millis);
        let token = RequestTokenHash::of(&index.to_string());
        store.grants().keep(&token, &grant).await
    };
    let known = async |index: i64| {
        let token = RequestTokenHash::of(&index.to_string());
        Ok::<_, StoreError>(store.grants().find(&token).await?.is_some())
    };
    for index in 0..1000 {
        keep(index, 100 + index / 2).await?;
    }
    check!(known(0).await?);
    keep(1000, 5_000).await?;
    check!(!known(0).await?);
    check!(known(1).await?);
    // The new one stays even if the clock was set back before it came.
    keep(1001, 1).await?;
    check!(known(1001).await?);
    check!(!known(1).await?);
    check!(known(2).await?);
    Ok(())
}
