//! What holds of remembered browsers.

use latchkey_model::secret::RememberHash;
use latchkey_model::session::REMEMBERED;
use latchkey_model::user::Group;

use super::{Maker, name};
use crate::contract::{Case, Outcome, at, cases, check, check_eq};
use crate::error::StoreError;
use crate::host::HostStore;

cases! { HostStore,
    remembered_browser_is_let_in_once,
    browser_is_remembered_for_ninety_days,
    forgotten_browser_is_not_let_in,
    remembering_needs_the_user_and_its_own_token,
    oldest_remembered_browser_gives_way,
}

fn token(text: &str) -> RememberHash {
    RememberHash::of(text)
}

async fn remembered_browser_is_let_in_once(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let remembered = store.remembered();
    let ann = make.known(store, "ann", Group::Users).await?;
    remembered.keep(&token("1"), &ann.name, at(100)).await?;
    check_eq!(remembered.take(&token("2"), at(101)).await?, None);
    check_eq!(remembered.take(&token("1"), at(101)).await?, Some(ann));
    check_eq!(remembered.take(&token("1"), at(101)).await?, None);
    Ok(())
}

async fn browser_is_remembered_for_ninety_days(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let remembered = store.remembered();
    let ann = make.known(store, "ann", Group::Users).await?;
    let end = at(100).plus(REMEMBERED);
    let just_before = at(end.millis() - 1);
    for (text, now, let_in) in [
        ("in time", just_before, true),
        ("too late", end, false),
        ("clock set back", at(1), true),
    ] {
        remembered.keep(&token(text), &ann.name, at(100)).await?;
        let user = remembered.take(&token(text), now).await?;
        check_eq!((text, user.is_some()), (text, let_in));
        // Too late once is too late for good, whatever the clock says then.
        check_eq!(remembered.take(&token(text), at(100)).await?, None);
    }
    remembered.keep(&token("old"), &ann.name, at(100)).await?;
    remembered.keep(&token("new"), &ann.name, at(101)).await?;
    check_eq!(remembered.prune(just_before).await?, 0);
    check_eq!(remembered.prune(end).await?, 1);
    check_eq!(remembered.take(&token("new"), at(102)).await?, Some(ann));
    Ok(())
}

async fn forgotten_browser_is_not_let_in(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let remembered = store.remembered();
    let ann = make.known(store, "ann", Group::Users).await?;
    let bob = make.known(store, "bob", Group::Users).await?;
    for text in ["1", "2", "3"] {
        remembered.keep(&token(text), &ann.name, at(100)).await?;
    }
    remembered.keep(&token("bob"), &bob.name, at(100)).await?;
    remembered.forget(&token("1")).await?;
    remembered.forget(&token("unknown")).await?;
    check_eq!(remembered.take(&token("1"), at(101)).await?, None);
    check!(remembered.take(&token("2"), at(101)).await?.is_some());
    remembered.forget_of(&ann.name).await?;
    check_eq!(remembered.take(&token("3"), at(101)).await?, None);
    check_eq!(remembered.take(&token("bob"), at(101)).await?, Some(bob));
    Ok(())
}

async fn remembering_needs_the_user_and_its_own_token(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let remembered = store.remembered();
    let ann = make.known(store, "ann", Group::Users).await?;
    let bob = make.known(store, "bob", Group::Users).await?;
    let nobody = name("nobody");
    let answer = remembered.keep(&token("1"), &nobody, at(100)).await;
    check!(matches!(answer, Err(StoreError::Conflict)));
    remembered.keep(&token("1"), &ann.name, at(100)).await?;
    let answer = remembered.keep(&token("1"), &bob.name, at(100)).await;
    check!(matches!(answer, Err(StoreError::Conflict)));
    check_eq!(remembered.take(&token("1"), at(101)).await?, Some(ann));
    Ok(())
}

async fn oldest_remembered_browser_gives_way(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let remembered = store.remembered();
    let ann = make.known(store, "ann", Group::Users).await?;
    let bob = make.known(store, "bob", Group::Users).await?;
    remembered.keep(&token("bob"), &bob.name, at(1)).await?;
    for index in 0..101 {
        let text = index.to_string();
        remembered
            .keep(&token(&text), &ann.name, at(100 + index))
            .await?;
    }
    check_eq!(remembered.take(&token("0"), at(300)).await?, None);
    for text in ["1", "100", "bob"] {
        check!(remembered.take(&token(text), at(300)).await?.is_some());
    }
    Ok(())
}
