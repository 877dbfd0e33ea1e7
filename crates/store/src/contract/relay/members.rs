//! What holds of those who use somebody's printer, and of links to it.

use latchkey_model::account::Suspension;
use latchkey_model::account_session::AccountSession;
use latchkey_model::app_connection::AccessMode;
use latchkey_model::chance::SeededChance;
use latchkey_model::id::{PrinterId, SessionId};
use latchkey_model::link::{Link, LinkPurpose};
use latchkey_model::secret::LinkSecret;

use super::{Maker, find};
use crate::contract::{Case, Outcome, at, cases, check, check_eq};
use crate::error::StoreError;
use crate::relay::{Known, RelayStore};

cases! { RelayStore,
    members_use_a_printer_until_they_leave,
    a_membership_takes_its_app_connections_along,
    invitations_of_a_printer_are_its_own,
    accounts_are_searched_with_what_they_have,
    one_administrator_stays,
    new_browsers_are_told_from_known_ones,
}

async fn members_use_a_printer_until_they_leave(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let home = make.household(store, "ann@example.com").await?;
    let bob = make.account("bob@example.com");
    store.accounts().create(&bob, None).await?;
    let members = store.members();
    let (owner, printer) = (&home.account.id, &home.printer.id);
    check_eq!(members.find_used(&bob.id, printer).await?, None);
    check!(!members.add(printer, owner, at(50)).await?);
    let none = PrinterId::generate(&SeededChance::new(9));
    check!(!members.add(&none, &bob.id, at(50)).await?);
    check!(members.add(printer, &bob.id, at(50)).await?);
    check!(!members.add(printer, &bob.id, at(60)).await?);

    let listed = members.list(owner, printer).await?;
    check_eq!(listed.len(), 1);
    check_eq!(listed[0].email, bob.email);
    check_eq!(listed[0].since, at(50));
    check!(members.list(&bob.id, printer).await?.is_empty());

    let theirs = members.list_used(&bob.id).await?;
    check_eq!(theirs.len(), 1);
    check_eq!(theirs[0].owner, home.account.email);
    check!(!theirs[0].is_owned_by(&bob.id));
    check!(!theirs[0].owner_suspended);
    let suspension = Suspension {
        at: at(55),
        reason: "x".to_owned(),
    };
    store.accounts().suspend(owner, &suspension).await?;
    let of_suspended = members.find_used(&bob.id, printer).await?;
    check_eq!(of_suspended.map(|used| used.owner_suspended), Some(true));
    store.accounts().unsuspend(owner).await?;
    // Of the owner's app connections a member sees none.
    check_eq!(theirs[0].app_connections, 0);
    let own = members.find_used(owner, printer).await?;
    check_eq!(own.map(|own| own.app_connections), Some(1));

    check_eq!(
        members.remove(printer, &bob.id, at(70)).await?,
        Some(Vec::new())
    );
    check_eq!(members.remove(printer, &bob.id, at(70)).await?, None);
    check!(members.list_used(&bob.id).await?.is_empty());
    Ok(())
}

async fn a_membership_takes_its_app_connections_along(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let home = make.household(store, "ann@example.com").await?;
    let other = make.household(store, "bob@example.com").await?;
    let (bob, printer) = (&other.account, &home.printer);
    store.members().add(&printer.id, &bob.id, at(50)).await?;
    let mut theirs = printer.clone();
    theirs.account = bob.id.clone();
    let (connection, _) = make.app_connection(&theirs, AccessMode::Basic);
    store.app_connections().insert(&connection).await?;
    let seen = store
        .app_connections()
        .find_listed(&home.account.id, &connection.id)
        .await?;
    check!(seen.is_some());
    let seen = store
        .app_connections()
        .find_listed(&bob.id, &home.connection.id)
        .await?;
    check!(seen.is_none());
    let ended = store.members().remove(&printer.id, &bob.id, at(70)).await?;
    check_eq!(ended, Some(vec![connection.id.clone()]));
    let seen = store
        .app_connections()
        .find_listed(&bob.id, &connection.id)
        .await?;
    check!(seen.is_none());
    for stays in [&home, &other] {
        let found = find(store, stays).await?;
        check!(found.is_some_and(|found| found.live().is_some()));
    }
    Ok(())
}

async fn invitations_of_a_printer_are_its_own(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let home = make.household(store, "ann@example.com").await?;
    let other = make.household(store, "bob@example.com").await?;
    let secret = LinkSecret::generate(&SeededChance::new(9));
    let link = Link {
        account: Some(home.account.id.clone()),
        printer: Some(home.printer.id.clone()),
        ..Link::new(LinkPurpose::SharePrinter, at(10))
    };
    store.links().create(&secret.hash(), &link).await?;
    let of = async |printer: &PrinterId, now| store.links().list_of_printer(printer, now).await;
    let listed = of(&home.printer.id, at(10)).await?;
    check_eq!(listed, vec![(secret.hash(), link.clone())]);
    check!(of(&other.printer.id, at(10)).await?.is_empty());
    check!(of(&home.printer.id, link.expires).await?.is_empty());
    store
        .printers()
        .remove(&home.account.id, &home.printer.id, at(20))
        .await?;
    check_eq!(store.links().find(&secret.hash(), at(20)).await?, None);
    Ok(())
}

async fn accounts_are_searched_with_what_they_have(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let home = make.household(store, "ann_b@example.com").await?;
    for email in ["annxb@example.com", "a%@example.com", "carl@example.net"] {
        store.accounts().create(&make.account(email), None).await?;
    }
    let search = async |text: &str| -> Result<Vec<String>, StoreError> {
        let found = store.accounts().search(text, None, 10).await?;
        let emails = found
            .iter()
            .map(|found| found.account.email.as_str().to_owned());
        Ok(emails.collect())
    };
    check_eq!(search("NN_B").await?, ["ann_b@example.com"]);
    check_eq!(search("%").await?, ["a%@example.com"]);
    check!(search("\\").await?.is_empty());
    check_eq!(search("").await?.len(), 4);
    check_eq!(search("example.net").await?, ["carl@example.net"]);
    let first = store.accounts().search("ann", None, 1).await?;
    let after = first.last().map(|found| &found.account.email);
    let second = store.accounts().search("ann", after, 10).await?;
    check_eq!(second.len(), 1);
    let one = store.accounts().find_overview(&home.account.id).await?;
    let counts = one.map(|one| (one.printers, one.app_connections, one.seen));
    check_eq!(counts, Some((1, 1, None)));
    let totals = store.accounts().totals().await?;
    check_eq!(
        (totals.accounts, totals.printers, totals.app_connections),
        (4, 1, 1)
    );
    Ok(())
}

async fn one_administrator_stays(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let accounts = store.accounts();
    let ann = make.account("ann@example.com");
    let bob = make.account("bob@example.com");
    for account in [&ann, &bob] {
        accounts.create(account, None).await?;
        accounts.set_administrator(&account.id, true).await?;
    }
    check!(accounts.has_other_administrator(&ann.id).await?);
    let suspension = Suspension {
        at: at(10),
        reason: "unpaid".to_owned(),
    };
    accounts.suspend(&bob.id, &suspension).await?;
    check!(!accounts.has_other_administrator(&ann.id).await?);
    check!(!accounts.stop_administering(&ann.id).await?);
    accounts.unsuspend(&bob.id).await?;
    check!(accounts.stop_administering(&ann.id).await?);
    check!(!accounts.stop_administering(&ann.id).await?);
    check!(!accounts.stop_administering(&bob.id).await?);
    check!(accounts.load(&bob.id).await?.administrator);
    Ok(())
}

async fn new_browsers_are_told_from_known_ones(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.account("ann@example.com");
    store.accounts().create(&ann, None).await?;
    let chance = SeededChance::new(9);
    let note = async |device: &str, seen: i64| {
        let session = AccountSession {
            id: SessionId::generate(&chance),
            account: ann.id.clone(),
            created: at(seen),
            seen: at(seen),
            proved: at(seen),
            second_factor: None,
            device: device.to_owned(),
            network: "192.0.2.0/24".to_owned(),
        };
        store.sessions().note_browser(&session).await
    };
    check_eq!(note("Firefox", 1).await?, Known::First);
    check_eq!(note("Firefox", 2).await?, Known::Known);
    check_eq!(note("Chrome", 3).await?, Known::New);
    check_eq!(note("Chrome", 4).await?, Known::Known);
    for number in 0..50 {
        check_eq!(
            note(&format!("Other {number}"), 10 + number).await?,
            Known::New
        );
    }
    check_eq!(note("Firefox", 100).await?, Known::New);
    check_eq!(note("Other 49", 101).await?, Known::Known);
    store.accounts().delete(&ann.id, at(200)).await?;
    store.accounts().create(&ann, None).await?;
    check_eq!(note("Other 49", 300).await?, Known::First);
    Ok(())
}
