//! What holds of apps that may get session keys.

use latchkey_model::session_key::{Registration, SessionAppName, SessionScope};

use crate::contract::{Case, Outcome, at, cases, check, check_eq};
use crate::error::StoreError;
use crate::host::{HostStore, KeptSessionApp, SessionAppSwitch};

cases! { HostStore,
    app_is_listed_as_it_was_kept,
    app_is_kept_once,
    removed_app_takes_its_switch_along,
    last_switch_counts,
    only_so_many_apps_are_kept,
}

fn app(name: &str) -> KeptSessionApp {
    KeptSessionApp {
        registration: Registration {
            name: SessionAppName::parse(name).expect("a name"),
            pubkey: Some("MEgC".to_owned()),
            enabled: true,
            allow_weak_keys: false,
            scope: SessionScope::Full,
        },
        at: at(10),
        by: "ann".to_owned(),
    }
}

fn switch(name: &str, enabled: bool) -> SessionAppSwitch {
    SessionAppSwitch {
        name: SessionAppName::parse(name).expect("a name"),
        enabled,
        wording: [7; 32],
        at: at(20),
        by: "bob".to_owned(),
    }
}

async fn app_is_listed_as_it_was_kept(store: &HostStore) -> Outcome {
    let mut kept = Vec::new();
    for (index, scope) in SessionScope::ALL.into_iter().enumerate() {
        let mut app = app(&format!("com.example.app:{index}"));
        app.registration.scope = scope;
        app.registration.allow_weak_keys = index == 1;
        store.session_apps().keep(&app).await?;
        kept.push(app);
    }
    check_eq!(store.session_apps().list().await?, kept);
    Ok(())
}

async fn app_is_kept_once(store: &HostStore) -> Outcome {
    store.session_apps().keep(&app("a:1")).await?;
    let again = store.session_apps().keep(&app("a:1")).await;
    check!(matches!(again, Err(StoreError::Conflict)));
    store.session_apps().keep(&app("A:1")).await?;
    let mut without = app("b:1");
    without.registration.pubkey = None;
    let without = store.session_apps().keep(&without).await;
    check!(matches!(without, Err(StoreError::Conflict)));
    check_eq!(store.session_apps().list().await?.len(), 2);
    Ok(())
}

async fn removed_app_takes_its_switch_along(store: &HostStore) -> Outcome {
    for name in ["a:1", "b:1"] {
        store.session_apps().keep(&app(name)).await?;
        store.session_apps().switch(&switch(name, false)).await?;
    }
    // Registered elsewhere, and only switched here.
    store.session_apps().switch(&switch("c:1", false)).await?;
    let name = app("a:1").registration.name;
    check!(store.session_apps().remove(&name, None).await?);
    check!(!store.session_apps().remove(&name, None).await?);
    let elsewhere = switch("c:1", false).name;
    let on = switch("c:1", true);
    check!(!store.session_apps().remove(&elsewhere, Some(&on)).await?);
    check_eq!(store.session_apps().list().await?, [app("b:1")]);
    check_eq!(
        store.session_apps().list_switches().await?,
        [switch("b:1", false), switch("c:1", false)]
    );
    // Another takes its place.
    let name = app("b:1").registration.name;
    let on = switch("b:1", true);
    check!(store.session_apps().remove(&name, Some(&on)).await?);
    check_eq!(
        store.session_apps().list_switches().await?,
        [on, switch("c:1", false)]
    );
    Ok(())
}

async fn last_switch_counts(store: &HostStore) -> Outcome {
    store.session_apps().switch(&switch("a:1", false)).await?;
    let mut last = switch("a:1", true);
    last.wording = [8; 32];
    last.at = at(30);
    "eve".clone_into(&mut last.by);
    store.session_apps().switch(&last).await?;
    check_eq!(store.session_apps().list_switches().await?, [last]);
    Ok(())
}

async fn only_so_many_apps_are_kept(store: &HostStore) -> Outcome {
    for index in 0..200 {
        store
            .session_apps()
            .keep(&app(&format!("a:{index}")))
            .await?;
    }
    let one_more = store.session_apps().keep(&app("b:1")).await;
    check!(matches!(one_more, Err(StoreError::Conflict)));
    Ok(())
}
