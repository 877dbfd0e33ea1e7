//! What holds of registered apps.

use latchkey_model::app::{AppId, AppName, RegisteredApp, Website};
use latchkey_model::portal::TargetRule;

use crate::contract::{Case, Outcome, at, cases, check, check_eq};
use crate::error::StoreError;
use crate::relay::RelayStore;

cases! { RelayStore,
    app_is_found_as_it_was_registered,
    names_that_look_alike_are_taken_once,
    removed_app_leaves_nothing,
    app_changes_in_what_it_may_have_anew,
}

fn app(id: &str, name: &str) -> RegisteredApp {
    RegisteredApp {
        id: AppId::parse(id).expect("an id"),
        name: AppName::parse(name).expect("a name"),
        developer: None,
        website: None,
        targets: Vec::new(),
        has_logo: false,
        created: at(70),
    }
}

async fn app_is_found_as_it_was_registered(store: &RelayStore) -> Outcome {
    let rules = ["fieldglass:", "http://127.0.0.1/cb", "*"];
    let whole = RegisteredApp {
        developer: Some(AppName::parse("Northlight Labs")?),
        website: Some(Website::parse("https://northlight.example")?),
        targets: rules
            .iter()
            .map(|text| TargetRule::parse(text))
            .collect::<Result<_, _>>()?,
        has_logo: true,
        ..app("fieldglass", "Fieldglass")
    };
    let bare = app("bare", "Bare");
    store.apps().insert(&whole, Some(b"picture")).await?;
    store.apps().insert(&bare, None).await?;
    check_eq!(store.apps().list().await?, [bare.clone(), whole.clone()]);
    check_eq!(
        store.apps().find_logo(&whole.id).await?,
        Some(b"picture".to_vec())
    );
    check_eq!(store.apps().find_logo(&bare.id).await?, None);
    check_eq!(
        store.apps().find_logo(&AppId::parse("nobody")?).await?,
        None
    );
    Ok(())
}

async fn names_that_look_alike_are_taken_once(store: &RelayStore) -> Outcome {
    store
        .apps()
        .insert(&app("octopod", "OctoPod"), None)
        .await?;
    for again in [
        app("octopod", "Other"),
        app("other", "OctoPod"),
        app("other", "0ct0 pod"),
    ] {
        let answer = store.apps().insert(&again, None).await;
        check!(matches!(answer, Err(StoreError::Conflict)));
    }
    check_eq!(store.apps().list().await?.len(), 1);
    Ok(())
}

async fn removed_app_leaves_nothing(store: &RelayStore) -> Outcome {
    let app = app("octopod", "OctoPod");
    store.apps().insert(&app, Some(b"picture")).await?;
    check!(store.apps().remove(&app.id).await?);
    check!(!store.apps().remove(&app.id).await?);
    check_eq!(store.apps().list().await?, []);
    check_eq!(store.apps().find_logo(&app.id).await?, None);
    store.apps().insert(&app, None).await?;
    Ok(())
}

async fn app_changes_in_what_it_may_have_anew(store: &RelayStore) -> Outcome {
    let first = app("octopod", "OctoPod");
    store.apps().insert(&first, None).await?;
    let changed = RegisteredApp {
        developer: Some(AppName::parse("Northlight Labs")?),
        website: Some(Website::parse("https://northlight.example")?),
        targets: vec![TargetRule::parse("octopod:")?],
        ..first.clone()
    };
    check!(store.apps().update(&changed).await?);
    check_eq!(store.apps().list().await?, [changed]);
    check!(store.apps().set_logo(&first.id, Some(b"picture")).await?);
    check!(store.apps().list().await?[0].has_logo);
    check!(store.apps().set_logo(&first.id, None).await?);
    check!(!store.apps().list().await?[0].has_logo);
    let nobody = app("nobody", "Nobody");
    check!(!store.apps().update(&nobody).await?);
    check!(!store.apps().set_logo(&nobody.id, None).await?);
    Ok(())
}
