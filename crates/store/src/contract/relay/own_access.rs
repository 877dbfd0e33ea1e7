//! What holds of people's own access to printers, and of how far members go.

use latchkey_model::access::KeyScope;
use latchkey_model::account::{Account, Suspension};
use latchkey_model::account_session::{AccountSession, IDLE};
use latchkey_model::app_connection::AccessMode;
use latchkey_model::chance::SeededChance;
use latchkey_model::id::{PrinterId, SessionId};
use latchkey_model::link::{Link, LinkPurpose};
use latchkey_model::own_access::OwnLabel;
use latchkey_model::secret::{LinkSecret, OwnCookieHash, SessionHash};

use super::Maker;
use crate::contract::{Case, Outcome, at, cases, check, check_eq};
use crate::error::StoreError;
use crate::relay::RelayStore;

cases! { RelayStore,
    a_hostname_is_one_persons_for_one_printer,
    a_way_in_ends_with_its_session,
    a_way_in_ends_with_the_use_of_the_printer,
    a_members_level_bounds_their_apps,
    an_invitation_keeps_its_level,
}

fn label(seed: u64) -> OwnLabel {
    OwnLabel::generate(&SeededChance::new(seed))
}

async fn sign_in(
    store: &RelayStore,
    account: &Account,
    name: &str,
) -> Result<SessionId, StoreError> {
    let id = SessionId::generate(&SeededChance::new(u64::from(name.as_bytes()[0])));
    let session = AccountSession {
        id: id.clone(),
        account: account.id.clone(),
        created: at(100),
        seen: at(100),
        proved: at(100),
        second_factor: None,
        device: "Firefox".to_owned(),
        network: "192.0.2.0/24".to_owned(),
    };
    let opened = store.sessions();
    opened.open(&session, &SessionHash::of(name), None).await?;
    Ok(id)
}

async fn a_hostname_is_one_persons_for_one_printer(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.com").await?;
    let bob = make.household(store, "bob@example.com").await?;
    let own = store.own_access();
    let (id, printer) = (&ann.account.id, &ann.printer.id);
    check_eq!(
        own.label_of(id, printer, &label(1), at(5)).await?,
        Some(label(1))
    );
    check_eq!(
        own.label_of(id, printer, &label(2), at(6)).await?,
        Some(label(1))
    );
    let none = PrinterId::generate(&SeededChance::new(9));
    check_eq!(own.label_of(id, &none, &label(3), at(6)).await?, None);
    // Bob may not use it; then he may.
    let bobs = &bob.account.id;
    check_eq!(own.label_of(bobs, printer, &label(3), at(6)).await?, None);
    store.members().add(printer, bobs, at(7)).await?;
    check_eq!(
        own.label_of(bobs, printer, &label(3), at(8)).await?,
        Some(label(3))
    );
    check_eq!(
        own.printer_of(bobs, &label(3)).await?,
        Some(printer.clone())
    );
    check_eq!(own.printer_of(bobs, &label(1)).await?, None);
    check_eq!(own.printer_of(id, &label(3)).await?, None);
    let suspension = Suspension {
        at: at(10),
        reason: "unpaid".to_owned(),
    };
    store.accounts().suspend(id, &suspension).await?;
    check_eq!(own.label_of(bobs, printer, &label(4), at(8)).await?, None);
    store.accounts().unsuspend(id).await?;
    // Who comes back gets another hostname.
    store.members().remove(printer, bobs, at(20)).await?;
    check_eq!(own.printer_of(bobs, &label(3)).await?, None);
    store.members().add(printer, bobs, at(21)).await?;
    check_eq!(
        own.label_of(bobs, printer, &label(5), at(22)).await?,
        Some(label(5))
    );
    Ok(())
}

async fn a_way_in_ends_with_its_session(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.com").await?;
    let bob = make.household(store, "bob@example.com").await?;
    let own = store.own_access();
    own.label_of(&ann.account.id, &ann.printer.id, &label(1), at(5))
        .await?;
    let first = sign_in(store, &ann.account, "first").await?;
    let second = sign_in(store, &ann.account, "second").await?;
    let bobs = sign_in(store, &bob.account, "bobs").await?;
    let cookie = OwnCookieHash::of;
    // Nobody gets in at another's hostname.
    check!(!own.open(&bobs, &label(1), &cookie("x"), at(101)).await?);
    check!(!own.open(&first, &label(2), &cookie("x"), at(101)).await?);
    check!(own.open(&first, &label(1), &cookie("a"), at(101)).await?);
    check!(own.open(&first, &label(1), &cookie("b"), at(102)).await?);
    check!(own.open(&second, &label(1), &cookie("c"), at(103)).await?);
    let worth = async |text: &str| -> Result<Option<SessionId>, StoreError> {
        let found = own.find(&label(1), &cookie(text)).await?;
        Ok(found
            .and_then(|found| found.standing)
            .map(|standing| standing.session))
    };
    check_eq!(worth("a").await?, None);
    check_eq!(worth("b").await?, Some(first.clone()));
    check_eq!(worth("c").await?, Some(second.clone()));
    check_eq!(own.find(&label(2), &cookie("b")).await?, None);
    let found = own.find(&label(1), &cookie("b")).await?;
    let standing = found.and_then(|found| found.standing);
    let level = |now| standing.as_ref().and_then(|standing| standing.level(now));
    check_eq!(level(at(104)), Some(KeyScope::Full));
    check_eq!(level(at(100).plus(IDLE)), None);
    let both = [first.clone(), second.clone(), bobs];
    check_eq!(own.standings(&both).await?.len(), 2);
    store.sessions().end(&ann.account.id, &first).await?;
    check_eq!(worth("b").await?, None);
    let left = own.standings(&both).await?;
    check_eq!(left.len(), 1);
    check_eq!(left[0].session, second);
    let suspension = Suspension {
        at: at(110),
        reason: "unpaid".to_owned(),
    };
    store
        .accounts()
        .suspend(&ann.account.id, &suspension)
        .await?;
    let left = own.standings(&both).await?;
    check_eq!(left[0].level(at(111)), None);
    Ok(())
}

async fn a_way_in_ends_with_the_use_of_the_printer(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.com").await?;
    let bob = make.household(store, "bob@example.com").await?;
    let own = store.own_access();
    let (printer, bobs) = (&ann.printer.id, &bob.account.id);
    let members = store.members();
    members
        .add_up_to(printer, bobs, KeyScope::View, at(7))
        .await?;
    own.label_of(bobs, printer, &label(1), at(8)).await?;
    own.label_of(&ann.account.id, printer, &label(2), at(8))
        .await?;
    let (his, hers) = (
        sign_in(store, &bob.account, "his").await?,
        sign_in(store, &ann.account, "ann").await?,
    );
    let cookie = OwnCookieHash::of;
    own.open(&his, &label(1), &cookie("b"), at(101)).await?;
    own.open(&hers, &label(2), &cookie("a"), at(101)).await?;
    let sessions = [his, hers];
    let levels = async || -> Result<Vec<Option<KeyScope>>, StoreError> {
        let mut standings = own.standings(&sessions).await?;
        standings.sort_by_key(|one| one.label != label(1));
        Ok(standings.iter().map(|one| one.level(at(102))).collect())
    };
    let (view, full) = (Some(KeyScope::View), Some(KeyScope::Full));
    check_eq!(levels().await?, [view, full]);
    members.set_level(printer, bobs, KeyScope::Full).await?;
    check_eq!(levels().await?, [full, full]);
    members.remove(printer, bobs, at(110)).await?;
    check_eq!(levels().await?, [full]);
    check_eq!(own.find(&label(1), &cookie("b")).await?, None);
    store
        .printers()
        .remove(&ann.account.id, printer, at(120))
        .await?;
    check!(own.standings(&sessions).await?.is_empty());
    check_eq!(own.find(&label(2), &cookie("a")).await?, None);
    Ok(())
}

async fn a_members_level_bounds_their_apps(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.com").await?;
    let bob = make.household(store, "bob@example.com").await?;
    let (printer, bobs) = (&ann.printer.id, &bob.account.id);
    let members = store.members();
    check_eq!(
        members.set_level(printer, bobs, KeyScope::View).await?,
        None
    );
    members
        .add_up_to(printer, bobs, KeyScope::View, at(7))
        .await?;
    check_eq!(
        members.list(&ann.account.id, printer).await?[0].level,
        KeyScope::View
    );
    let level = async || -> Result<Option<KeyScope>, StoreError> {
        let used = members.find_used(bobs, printer).await?;
        Ok(used.map(|used| used.level))
    };
    check_eq!(level().await?, Some(KeyScope::View));
    let owners = members.find_used(&ann.account.id, printer).await?;
    check_eq!(owners.map(|used| used.level), Some(KeyScope::Full));

    let mut theirs = ann.printer.clone();
    theirs.account = bobs.clone();
    let (full, _) = make.app_connection(&theirs, AccessMode::Basic);
    let apps = store.app_connections();
    check!(matches!(
        apps.insert(&full).await,
        Err(StoreError::Conflict)
    ));
    check_eq!(
        members.set_level(printer, bobs, KeyScope::View).await?,
        None
    );
    check_eq!(
        members.set_level(printer, bobs, KeyScope::Full).await?,
        Some(Vec::new())
    );
    apps.insert(&full).await?;
    check_eq!(
        members.set_level(printer, bobs, KeyScope::View).await?,
        Some(vec![full.id.clone()])
    );
    let scope = async |id| -> Result<Option<KeyScope>, StoreError> {
        let listed = apps.find_listed(&ann.account.id, id).await?;
        let live = listed.and_then(|listed| listed.connection.live().cloned());
        Ok(live.map(|live| live.scope))
    };
    check_eq!(scope(&full.id).await?, Some(KeyScope::View));
    // The owner's own stays, and raising the member raises no app.
    check_eq!(scope(&ann.connection.id).await?, Some(KeyScope::Full));
    members.set_level(printer, bobs, KeyScope::Full).await?;
    check_eq!(scope(&full.id).await?, Some(KeyScope::View));
    Ok(())
}

async fn an_invitation_keeps_its_level(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.com").await?;
    for (seed, level) in [(1, None), (2, Some(KeyScope::View))] {
        let secret = LinkSecret::generate(&SeededChance::new(seed));
        let link = Link {
            account: Some(ann.account.id.clone()),
            printer: Some(ann.printer.id.clone()),
            level,
            ..Link::new(LinkPurpose::SharePrinter, at(10))
        };
        store.links().create(&secret.hash(), &link).await?;
        let taken = store.links();
        let taken = taken
            .take(&secret.hash(), LinkPurpose::SharePrinter, at(11))
            .await?;
        check_eq!(taken, Some(link));
    }
    Ok(())
}
