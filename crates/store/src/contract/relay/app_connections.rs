//! What holds of app connections.

use std::slice;

use latchkey_model::account::Suspension;
use latchkey_model::app_connection::{
    AccessMode, AppConnectionState, EndReason, OwnerStanding, PresentedCredential, Refusal,
};
use latchkey_model::id::AppConnectionId;
use latchkey_model::printer::HostKey;
use latchkey_model::secret::LabelHash;

use super::{Household, Maker, find};
use crate::contract::{Case, Outcome, at, cases, check, check_eq};
use crate::error::StoreError;
use crate::relay::{RelayStore, Standing, Use};

cases! { RelayStore,
    app_connection_is_found_as_it_was_kept,
    app_connection_needs_the_owners_printer,
    label_is_never_used_again,
    ended_app_connection_is_a_tombstone,
    app_connection_ends_only_for_its_owner,
    use_adds_up_and_passes_over_the_ended,
    suspension_and_plan_show_on_the_hot_path,
    standings_say_what_may_stay_open,
    an_owner_ends_all_at_a_printer_and_a_stranger_none,
    everything_that_one_may_revoke_is_listed_over_all_printers,
}

async fn app_connection_is_found_as_it_was_kept(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.com").await?;
    let key = HostKey::from_bytes([3; 32]);
    let connections = store.app_connections();
    let mut all = vec![ann.connection.clone()];
    for access in [AccessMode::None, AccessMode::Basic, AccessMode::Bearer] {
        let (connection, credentials) = make.app_connection(&ann.printer, access);
        connections.insert(&connection).await?;
        let by_label = connections
            .find_by_label_hash(&credentials.label.hash())
            .await?;
        check_eq!(
            by_label.map(|found| found.connection),
            Some(connection.clone())
        );
        let by_token = connections
            .find_by_app_token_hash(&credentials.app_token.hash())
            .await?;
        check_eq!(
            by_token.map(|found| found.connection),
            Some(connection.clone())
        );
        all.push(connection);
    }
    store
        .printers()
        .attach_host(&ann.account.id, &ann.printer.id, &key)
        .await?;
    let label = ann.credentials.label.hash();
    let found = connections.find_by_label_hash(&label).await?;
    let holder = found.and_then(|found| found.holder).ok_or("no holder")?;
    check_eq!(holder.account, ann.account.id);
    check_eq!(holder.printer, ann.printer.id);
    check_eq!(holder.printer_name, ann.printer.name);
    check_eq!(holder.host, Some(key.id()));
    check_eq!(holder.plan, ann.account.plan);
    check!(!holder.suspended);
    let unknown = LabelHash::of("app-unknown");
    check_eq!(connections.find_by_label_hash(&unknown).await?, None);
    let listed = connections
        .list_by_printer(&ann.account.id, &ann.printer.id)
        .await?;
    all.sort_by(|one, two| one.id.cmp(&two.id));
    let listed: Vec<_> = listed.into_iter().map(|found| found.connection).collect();
    check_eq!(listed, all);
    Ok(())
}

async fn app_connection_needs_the_owners_printer(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.com").await?;
    let bob = make.household(store, "bob@example.com").await?;
    let mut foreign = ann.printer.clone();
    foreign.account = bob.account.id.clone();
    let gone = make.printer(&ann.account, "never kept");
    for printer in [foreign, gone] {
        let (connection, credentials) = make.app_connection(&printer, AccessMode::Enhanced);
        let answer = store.app_connections().insert(&connection).await;
        check!(matches!(answer, Err(StoreError::Conflict)));
        let label = credentials.label.hash();
        let found = store.app_connections().find_by_label_hash(&label).await?;
        check_eq!(found, None);
    }
    Ok(())
}

async fn label_is_never_used_again(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.com").await?;
    let connections = store.app_connections();
    for round in ["live", "ended"] {
        let (mut again, _) = make.app_connection(&ann.printer, AccessMode::Enhanced);
        again.hashes.label = ann.connection.hashes.label;
        let answer = connections.insert(&again).await;
        check!(matches!(answer, Err(StoreError::Conflict)));
        if round == "live" {
            check!(
                connections
                    .end(&ann.connection.id, EndReason::Revoked, at(90))
                    .await?
            );
        }
    }
    Ok(())
}

async fn ended_app_connection_is_a_tombstone(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.com").await?;
    let connections = store.app_connections();
    let id = &ann.connection.id;
    check!(connections.end(id, EndReason::Revoked, at(90)).await?);
    // The first end stands.
    check!(
        !connections
            .end(id, EndReason::PrinterRemoved, at(95))
            .await?
    );
    let label = ann.credentials.label.hash();
    let found = connections.find_by_label_hash(&label).await?;
    let found = found.ok_or("the tombstone is gone")?;
    check_eq!(found.holder, None);
    check_eq!(found.connection.hashes, ann.connection.hashes);
    let state = AppConnectionState::Ended {
        reason: EndReason::Revoked,
        at: at(90),
    };
    check_eq!(found.connection.state, state);
    let standing = found.owner_standing(|_| None).ok_or("no standing")?;
    check_eq!(standing, OwnerStanding::Entitled);
    let bearer = PresentedCredential::Bearer(ann.credentials.bearer());
    let answer = found.connection.admit(bearer, standing).err();
    check_eq!(answer, Some(Refusal::Ended));
    let nothing = PresentedCredential::Nothing;
    let answer = found.connection.admit(nothing, standing).err();
    check_eq!(answer, Some(Refusal::NotFound));
    let token = ann.credentials.app_token.hash();
    check!(connections.find_by_app_token_hash(&token).await?.is_some());
    let listed = connections
        .list_by_printer(&ann.account.id, &ann.printer.id)
        .await?;
    check!(listed.is_empty());
    check_eq!(
        connections.list_ended_since(at(90)).await?,
        slice::from_ref(id)
    );
    check_eq!(connections.list_ended_since(at(91)).await?, []);
    // A tombstone is nothing to insert.
    let answer = connections.insert(&found.connection).await;
    check!(matches!(answer, Err(StoreError::Conflict)));
    Ok(())
}

async fn app_connection_ends_only_for_its_owner(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.com").await?;
    let bob = make.household(store, "bob@example.com").await?;
    let connections = store.app_connections();
    let id = &ann.connection.id;
    let reason = EndReason::Revoked;
    check!(
        !connections
            .end_owned(&bob.account.id, id, reason, at(90))
            .await?
    );
    check_eq!(find(store, &ann).await?, Some(ann.connection.clone()));
    check!(
        connections
            .end_owned(&ann.account.id, id, reason, at(90))
            .await?
    );
    check!(
        !connections
            .end_owned(&ann.account.id, id, reason, at(91))
            .await?
    );
    check_eq!(find(store, &bob).await?, Some(bob.connection.clone()));
    Ok(())
}

async fn use_adds_up_and_passes_over_the_ended(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.com").await?;
    let bob = make.household(store, "bob@example.com").await?;
    let connections = store.app_connections();
    let used = |household: &Household, millis, requests, bytes| Use {
        id: household.connection.id.clone(),
        at: at(millis),
        requests,
        bytes,
    };
    connections
        .end(&bob.connection.id, EndReason::Revoked, at(90))
        .await?;
    connections.mark_used(&[]).await?;
    connections
        .mark_used(&[used(&ann, 200, 2, 1_000), used(&bob, 200, 5, 5)])
        .await?;
    connections.mark_used(&[used(&ann, 150, 1, 24)]).await?;
    let listed = connections
        .list_by_printer(&ann.account.id, &ann.printer.id)
        .await?;
    let usage = listed.first().ok_or("not listed")?.usage;
    check_eq!(usage.last_used, Some(at(200)));
    check_eq!((usage.requests, usage.bytes), (3, 1_024));
    // No batch, however odd, makes a later one fail.
    connections
        .mark_used(&[used(&ann, 300, u64::MAX, u64::MAX)])
        .await?;
    connections
        .mark_used(&[used(&ann, 400, u64::MAX, 1)])
        .await?;
    Ok(())
}

async fn suspension_and_plan_show_on_the_hot_path(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.com").await?;
    let label = ann.credentials.label.hash();
    let standing = async || {
        let found = store.app_connections().find_by_label_hash(&label).await?;
        let found = found.ok_or("not found")?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(found.owner_standing(|plan| {
            match plan.as_str() {
                "supporter" => Some(true),
                "free" => Some(false),
                _ => None,
            }
        }))
    };
    check_eq!(standing().await?, Some(OwnerStanding::Entitled));
    let suspension = Suspension {
        at: at(50),
        reason: "unpaid".to_owned(),
    };
    store
        .accounts()
        .suspend(&ann.account.id, &suspension)
        .await?;
    check_eq!(standing().await?, Some(OwnerStanding::Suspended));
    store.accounts().unsuspend(&ann.account.id).await?;
    store
        .accounts()
        .set_plan(&ann.account.id, &"free".parse()?)
        .await?;
    check_eq!(standing().await?, Some(OwnerStanding::PlanWithout));
    store
        .accounts()
        .set_plan(&ann.account.id, &"lost".parse()?)
        .await?;
    check_eq!(standing().await?, None);
    Ok(())
}

async fn standings_say_what_may_stay_open(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.com").await?;
    let bob = make.household(store, "bob@example.com").await?;
    let (never_kept, _) = make.app_connection(&ann.printer, AccessMode::Bearer);
    let connections = store.app_connections();
    let standing = async |id: &AppConnectionId| {
        let asked = [never_kept.id.clone(), id.clone()];
        let found = store.app_connections().standings(&asked).await?;
        // There is no record of the other one.
        check_eq!(found.len(), 1);
        let found = found.into_iter().next().ok_or("none")?;
        check_eq!(&found.id, id);
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(found)
    };
    let may = |standing: &Standing| {
        standing.owner(|plan| (plan.as_str() != "lost").then_some(plan.as_str() != "free"))
    };
    let id = &ann.connection.id;
    check_eq!(may(&standing(id).await?), Some(OwnerStanding::Entitled));
    for (plan, expected) in [
        ("free", Some(OwnerStanding::PlanWithout)),
        ("lost", None),
        ("supporter", Some(OwnerStanding::Entitled)),
    ] {
        let accounts = store.accounts();
        accounts.set_plan(&ann.account.id, &plan.parse()?).await?;
        check_eq!(may(&standing(id).await?), expected);
    }
    let suspension = Suspension {
        at: at(50),
        reason: "unpaid".to_owned(),
    };
    store
        .accounts()
        .suspend(&ann.account.id, &suspension)
        .await?;
    check_eq!(may(&standing(id).await?), Some(OwnerStanding::Suspended));
    check!(!standing(id).await?.has_ended());
    connections.end(id, EndReason::Revoked, at(60)).await?;
    check!(standing(id).await?.has_ended());
    check_eq!(may(&standing(id).await?), None);
    check!(!standing(&bob.connection.id).await?.has_ended());
    // More than one statement takes.
    let many: Vec<_> = std::iter::repeat_n(bob.connection.id.clone(), 1_100).collect();
    check_eq!(connections.standings(&many).await?.len(), 3);
    check!(connections.standings(&[]).await?.is_empty());
    Ok(())
}

async fn an_owner_ends_all_at_a_printer_and_a_stranger_none(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.com").await?;
    let bob = make.household(store, "bob@example.com").await?;
    let (second, _) = make.app_connection(&ann.printer, AccessMode::Bearer);
    let connections = store.app_connections();
    connections.insert(&second).await?;
    let at_anns = &ann.printer.id;
    let reason = EndReason::Revoked;
    let by_bob = connections
        .end_all_at(&bob.account.id, at_anns, reason, at(80))
        .await?;
    check!(by_bob.is_empty());
    let mut by_ann = connections
        .end_all_at(&ann.account.id, at_anns, reason, at(80))
        .await?;
    by_ann.sort_unstable();
    let mut all = vec![ann.connection.id.clone(), second.id.clone()];
    all.sort_unstable();
    check_eq!(by_ann, all);
    let bobs = connections
        .standings(slice::from_ref(&bob.connection.id))
        .await?;
    check!(bobs.iter().all(|standing| !standing.has_ended()));
    Ok(())
}

async fn everything_that_one_may_revoke_is_listed_over_all_printers(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.com").await?;
    let bob = make.household(store, "bob@example.com").await?;
    store
        .members()
        .add(&ann.printer.id, &bob.account.id, at(1))
        .await?;
    let (mut shared, _) = make.app_connection(&ann.printer, AccessMode::Bearer);
    if let AppConnectionState::Live(live) = &mut shared.state {
        live.account = bob.account.id.clone();
    }
    let connections = store.app_connections();
    connections.insert(&shared).await?;
    let everywhere = async |whose: &Household, most| {
        let found = connections.list_everywhere(&whose.account.id, most).await?;
        let mut found: Vec<_> = found
            .into_iter()
            .map(|found| {
                (
                    found.listed.connection.id,
                    found.allowed_by.as_str().to_owned(),
                )
            })
            .collect();
        found.sort();
        Ok::<_, StoreError>(found)
    };
    let sorted = |mut all: Vec<(AppConnectionId, String)>| {
        all.sort();
        all
    };
    let by = |of: &AppConnectionId, email: &str| (of.clone(), email.to_owned());
    check_eq!(
        everywhere(&ann, 10).await?,
        sorted(vec![
            by(&ann.connection.id, "ann@example.com"),
            by(&shared.id, "bob@example.com"),
        ])
    );
    check_eq!(
        everywhere(&bob, 10).await?,
        sorted(vec![
            by(&bob.connection.id, "bob@example.com"),
            by(&shared.id, "bob@example.com"),
        ])
    );
    check_eq!(everywhere(&ann, 1).await?.len(), 1);
    connections
        .end(&shared.id, EndReason::Revoked, at(2))
        .await?;
    check_eq!(everywhere(&bob, 10).await?.len(), 1);
    Ok(())
}
