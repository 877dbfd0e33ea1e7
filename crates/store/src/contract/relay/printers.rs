//! What holds of printers.

use std::slice;

use latchkey_model::app_connection::{AccessMode, AppConnectionState, EndReason};
use latchkey_model::printer::{CopySeen, HostKey, Presence, PrinterName, Seen};

use super::{Maker, find};
use crate::contract::{Case, Outcome, at, cases, check, check_eq};
use crate::error::StoreError;
use crate::relay::RelayStore;

cases! { RelayStore,
    printer_is_found_as_it_was_kept,
    printer_needs_its_account,
    host_speaks_for_one_printer,
    printer_changes_only_for_its_owner,
    presence_is_noted,
    networks_and_copies_are_noted,
    removed_printer_ends_its_app_connections,
}

async fn printer_is_found_as_it_was_kept(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.account("ann@example.com");
    store.accounts().create(&ann, None).await?;
    let mut paired = make.printer(&ann, "Zürich 🖨️");
    let key = HostKey::from_bytes([3; 32]);
    paired.host = Some(key);
    let bare = make.printer(&ann, "Annex");
    store.printers().create(&paired).await?;
    store.printers().create(&bare).await?;
    check_eq!(store.printers().load(&paired.id).await?, paired);
    check_eq!(
        store.printers().find_by_host(&key.id()).await?,
        Some(paired.clone())
    );
    let other_host = HostKey::from_bytes([4; 32]).id();
    check_eq!(store.printers().find_by_host(&other_host).await?, None);
    check_eq!(
        store.printers().list_by_account(&ann.id).await?,
        [bare, paired]
    );
    Ok(())
}

async fn printer_needs_its_account(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let printer = make.printer(&make.account("nobody@example.com"), "MK4");
    let answer = store.printers().create(&printer).await;
    check!(matches!(answer, Err(StoreError::Conflict)));
    check_eq!(store.printers().find(&printer.id).await?, None);
    Ok(())
}

async fn host_speaks_for_one_printer(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let (ann, bob) = (
        make.household(store, "ann@example.com").await?,
        make.household(store, "bob@example.com").await?,
    );
    let (key, new_key) = (HostKey::from_bytes([3; 32]), HostKey::from_bytes([4; 32]));
    let printers = store.printers();
    check!(
        printers
            .attach_host(&ann.account.id, &ann.printer.id, &key)
            .await?
    );
    check!(
        printers
            .attach_host(&ann.account.id, &ann.printer.id, &key)
            .await?
    );
    let stolen = printers
        .attach_host(&bob.account.id, &bob.printer.id, &key)
        .await;
    check!(matches!(stolen, Err(StoreError::Conflict)));
    check!(
        printers
            .attach_host(&ann.account.id, &ann.printer.id, &new_key)
            .await?
    );
    check_eq!(printers.find_by_host(&key.id()).await?, None);
    let found = printers.find_by_host(&new_key.id()).await?;
    check_eq!(found.map(|printer| printer.id), Some(ann.printer.id));
    // The old key is free again.
    check!(
        printers
            .attach_host(&bob.account.id, &bob.printer.id, &key)
            .await?
    );
    Ok(())
}

async fn printer_changes_only_for_its_owner(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let (ann, bob) = (
        make.household(store, "ann@example.com").await?,
        make.household(store, "bob@example.com").await?,
    );
    let printers = store.printers();
    let name = PrinterName::parse("Mine now")?;
    let key = HostKey::from_bytes([3; 32]);
    let (thief, target) = (&bob.account.id, &ann.printer.id);
    check_eq!(printers.find_owned(thief, target).await?, None);
    check!(!printers.rename(thief, target, &name).await?);
    check!(!printers.attach_host(thief, target, &key).await?);
    check_eq!(printers.remove(thief, target, at(90)).await?, None);
    let listed = store
        .app_connections()
        .list_by_printer(thief, target)
        .await?;
    check!(listed.is_empty());
    check_eq!(printers.load(target).await?, ann.printer);
    let found = find(store, &ann).await?;
    check_eq!(found, Some(ann.connection.clone()));

    check!(printers.rename(&ann.account.id, target, &name).await?);
    let owned = printers.find_owned(&ann.account.id, target).await?;
    check_eq!(owned.map(|printer| printer.name), Some(name));
    Ok(())
}

async fn presence_is_noted(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.com").await?;
    let (printers, id) = (store.printers(), &ann.printer.id);
    check_eq!(printers.load(id).await?.seen, Seen::default());
    check!(printers.list_connected().await?.is_empty());
    check!(printers.note_seen(id, Presence::Connected, at(100)).await?);
    check_eq!(&printers.list_connected().await?[..], slice::from_ref(id));
    check!(printers.note_seen(id, Presence::Alive, at(160)).await?);
    let online = Seen {
        online_since: Some(at(100)),
        last_connected: Some(at(100)),
        last_seen: Some(at(160)),
        ..Seen::default()
    };
    check_eq!(printers.load(id).await?.seen, online);
    check!(printers.note_seen(id, Presence::Lost, at(170)).await?);
    check!(printers.list_connected().await?.is_empty());
    let offline = Seen {
        online_since: None,
        last_connected: Some(at(100)),
        last_seen: Some(at(170)),
        ..Seen::default()
    };
    check_eq!(printers.load(id).await?.seen, offline);
    check_eq!(printers.note_all_lost().await?, 0);
    check!(printers.note_seen(id, Presence::Connected, at(200)).await?);
    check_eq!(printers.note_all_lost().await?, 1);
    check_eq!(printers.load(id).await?.seen.online_since, None);
    check!(printers.note_local_address(id, "192.168.1.9").await?);
    let kept = printers.load(id).await?.local_address;
    check_eq!(kept.as_deref(), Some("192.168.1.9"));
    let other = make.printer(&ann.account, "other").id;
    check!(!printers.note_seen(&other, Presence::Alive, at(1)).await?);
    Ok(())
}

async fn networks_and_copies_are_noted(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.com").await?;
    let (printers, id) = (store.printers(), &ann.printer.id);
    let other = make.printer(&ann.account, "other").id;
    check!(printers.note_network(id, "203.0.113.0/24").await?);
    check!(!printers.note_network(&other, "203.0.113.0/24").await?);
    let copy = CopySeen {
        at: at(70),
        network: "198.51.100.0/24".to_owned(),
    };
    check!(printers.note_copy(id, Some(&copy)).await?);
    check!(!printers.note_copy(&other, Some(&copy)).await?);
    let key = HostKey::from_bytes([3; 32]);
    printers.attach_host(&ann.account.id, id, &key).await?;
    let hosts = [HostKey::from_bytes([4; 32]).id(), key.id()];
    printers.note_hosts_alive(&hosts, at(80)).await?;
    let seen = Seen {
        last_seen: Some(at(80)),
        network: Some("203.0.113.0/24".to_owned()),
        copy: Some(copy),
        ..Seen::default()
    };
    check_eq!(printers.load(id).await?.seen, seen);
    check!(printers.note_copy(id, None).await?);
    check_eq!(printers.load(id).await?.seen.copy, None);
    Ok(())
}

async fn removed_printer_ends_its_app_connections(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.com").await?;
    let bob = make.household(store, "bob@example.com").await?;
    let kept = make.printer(&ann.account, "kept");
    store.printers().create(&kept).await?;
    let (other, _) = make.app_connection(&kept, AccessMode::Bearer);
    store.app_connections().insert(&other).await?;
    let printers = store.printers();
    let removed = printers
        .remove(&ann.account.id, &ann.printer.id, at(90))
        .await?;
    let removed = removed.ok_or("was not removed")?;
    check_eq!(removed.app_connections, slice::from_ref(&ann.connection.id));
    check_eq!(printers.find(&ann.printer.id).await?, None);
    check_eq!(
        printers
            .remove(&ann.account.id, &ann.printer.id, at(91))
            .await?,
        None
    );
    let tombstone = find(store, &ann).await?.ok_or("no tombstone")?;
    let state = AppConnectionState::Ended {
        reason: EndReason::PrinterRemoved,
        at: at(90),
    };
    check_eq!(tombstone.state, state);
    check_eq!(find(store, &bob).await?, Some(bob.connection.clone()));
    let listed = store
        .app_connections()
        .list_by_printer(&ann.account.id, &kept.id)
        .await?;
    check_eq!(listed.len(), 1);
    // The same host may be paired anew, under the id apps know.
    printers.create(&ann.printer).await?;
    Ok(())
}
