//! What holds of pictures and the links to them.

use latchkey_model::account::Suspension;
use latchkey_model::app_connection::EndReason;
use latchkey_model::id::PrinterId;
use latchkey_model::secret::SnapshotHash;

use super::Maker;
use crate::contract::{Case, Outcome, at, cases, check, check_eq};
use crate::error::StoreError;
use crate::relay::{NewSnapshot, Receiver, RelayStore, Room};

cases! { RelayStore,
    a_picture_is_seen_by_its_links_for_as_long_as_their_receivers_may,
    pictures_have_their_room_and_the_oldest_go,
    old_pictures_and_those_without_a_link_are_forgotten,
}

const ROOM: Room = Room {
    pictures: 3,
    bytes: 100,
};

fn hash(of: u8) -> SnapshotHash {
    SnapshotHash::from_bytes([of; 32])
}

async fn keep(
    store: &RelayStore,
    printer: &PrinterId,
    event: i64,
    sealed: &[u8],
) -> Result<(), StoreError> {
    let new = NewSnapshot {
        printer,
        event,
        at: at(100 + event),
        sealed,
    };
    store.snapshots().keep(&new, ROOM).await
}

async fn is_seen(store: &RelayStore, link: u8) -> Result<bool, StoreError> {
    let found = store.snapshots().find(&hash(link), at(0)).await?;
    Ok(found.is_some())
}

async fn a_picture_is_seen_by_its_links_for_as_long_as_their_receivers_may(
    store: &RelayStore,
) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.net").await?;
    let bob = make.household(store, "bob@example.net").await?;
    let (printer, shots) = (&ann.printer.id, store.snapshots());
    store.members().add(printer, &bob.account.id, at(1)).await?;
    check!(!shots.has(printer, 1).await?);
    keep(store, printer, 1, b"first").await?;
    keep(store, printer, 1, b"second").await?;
    check!(shots.has(printer, 1).await?);
    let app = Receiver::App(ann.connection.id.clone());
    for (link, receiver) in [
        (1, app.clone()),
        (1, app.clone()),
        (2, Receiver::Person(ann.account.id.clone())),
        (3, Receiver::Person(bob.account.id.clone())),
    ] {
        shots.link(&hash(link), printer, 1, &receiver).await?;
        let found = shots.find(&hash(link), at(100)).await?;
        check_eq!(found.map(|found| found.sealed), Some(b"first".to_vec()));
    }
    // Of a suspended owner's printer nobody sees a picture, and who is suspended sees none.
    let suspension = Suspension {
        at: at(8),
        reason: "x".to_owned(),
    };
    let accounts = store.accounts();
    accounts.suspend(&bob.account.id, &suspension).await?;
    check!(is_seen(store, 1).await? && is_seen(store, 2).await? && !is_seen(store, 3).await?);
    accounts.unsuspend(&bob.account.id).await?;
    accounts.suspend(&ann.account.id, &suspension).await?;
    for link in 1..=3 {
        check!(!is_seen(store, link).await?);
    }
    accounts.unsuspend(&ann.account.id).await?;
    check!(is_seen(store, 1).await? && is_seen(store, 2).await? && is_seen(store, 3).await?);
    // No picture, no link.
    shots.link(&hash(4), printer, 2, &app).await?;
    check!(!is_seen(store, 4).await?);
    check_eq!(shots.find(&hash(1), at(101)).await?, None);
    let reason = EndReason::Revoked;
    store
        .app_connections()
        .end(&ann.connection.id, reason, at(9))
        .await?;
    check!(!is_seen(store, 1).await? && is_seen(store, 2).await? && is_seen(store, 3).await?);
    store
        .members()
        .remove(printer, &bob.account.id, at(9))
        .await?;
    check!(!is_seen(store, 3).await?);
    store
        .printers()
        .remove(&ann.account.id, printer, at(9))
        .await?;
    check!(!is_seen(store, 2).await? && !shots.has(printer, 1).await?);
    keep(store, printer, 9, b"late").await?;
    check!(!shots.has(printer, 9).await?);
    Ok(())
}

async fn pictures_have_their_room_and_the_oldest_go(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.net").await?;
    let bob = make.household(store, "bob@example.net").await?;
    let printer = &ann.printer.id;
    keep(store, &bob.printer.id, 1, b"his").await?;
    for event in 1..=4 {
        keep(store, printer, event, b"some").await?;
    }
    let has = async |event| store.snapshots().has(printer, event).await;
    check!(!has(1).await? && has(2).await? && has(3).await? && has(4).await?);
    keep(store, printer, 5, &[0; 94]).await?;
    check!(!has(3).await? && has(4).await? && has(5).await?);
    keep(store, printer, 6, &[0; 101]).await?;
    check!(!has(5).await? && !has(6).await?);
    check!(store.snapshots().has(&bob.printer.id, 1).await?);
    Ok(())
}

async fn old_pictures_and_those_without_a_link_are_forgotten(store: &RelayStore) -> Outcome {
    let ann = Maker::default().household(store, "ann@example.net").await?;
    let (printer, shots) = (&ann.printer.id, store.snapshots());
    let receiver = Receiver::Person(ann.account.id.clone());
    for event in 1..=3 {
        keep(store, printer, event, b"some").await?;
    }
    for event in 1..=2 {
        let link = u8::try_from(event)?;
        shots.link(&hash(link), printer, event, &receiver).await?;
    }
    check_eq!(shots.prune(at(101), at(102)).await?, 1);
    check!(!is_seen(store, 1).await? && is_seen(store, 2).await?);
    check_eq!(shots.prune(at(101), at(103)).await?, 1);
    check!(is_seen(store, 2).await? && !shots.has(printer, 3).await?);
    Ok(())
}
