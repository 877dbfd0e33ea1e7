//! What holds of accounts.

use std::slice;

use latchkey_model::account::{Account, Email, Suspension};
use latchkey_model::app_connection::{AppConnectionState, EndReason};
use latchkey_model::link::{Link, LinkPurpose};
use latchkey_model::secret::{LinkHash, PasswordHash};

use super::{Maker, find};
use crate::contract::{Case, Outcome, at, cases, check, check_eq};
use crate::error::StoreError;
use crate::relay::RelayStore;

cases! { RelayStore,
    accounts_administer_and_answer_letters,
    account_is_found_as_it_was_kept,
    one_account_for_each_address,
    accounts_are_listed_in_pages,
    account_is_made_by_a_link_that_is_used_up_by_it_alone,
    nobody_is_the_first_administrator_after_another,
    password_and_plan_change,
    suspension_begins_and_ends_once,
    deleted_account_leaves_nothing_but_tombstones,
}

async fn account_is_found_as_it_was_kept(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let mut account = make.account("ann@example.com");
    account.suspended = Some(Suspension {
        at: at(30),
        reason: "unpaid".to_owned(),
    });
    let phc = PasswordHash::new("$argon2id$…".to_owned());
    store.accounts().create(&account, Some(&phc)).await?;
    check_eq!(store.accounts().load(&account.id).await?, account);
    let upper = Email::parse("ANN@Example.com")?;
    check_eq!(
        store.accounts().find_by_email(&upper).await?,
        Some(account.clone())
    );
    let sign_in = store.accounts().find_sign_in(&upper).await?;
    let kept = sign_in.and_then(|found| found.password_hash);
    check_eq!(kept.as_ref().map(PasswordHash::expose), Some(phc.expose()));
    let nobody = make.account("nobody@example.com");
    check_eq!(store.accounts().find(&nobody.id).await?, None);
    check_eq!(store.accounts().find_by_email(&nobody.email).await?, None);
    check!(matches!(
        store.accounts().load(&nobody.id).await,
        Err(StoreError::Missing { table: "accounts" })
    ));
    Ok(())
}

async fn one_account_for_each_address(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    store
        .accounts()
        .create(&make.account("ann@example.com"), None)
        .await?;
    let again = make.account("Ann@Example.com");
    let answer = store.accounts().create(&again, None).await;
    check!(matches!(answer, Err(StoreError::Conflict)));
    check_eq!(store.accounts().find(&again.id).await?, None);
    Ok(())
}

async fn accounts_are_listed_in_pages(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    for email in ["c@example.com", "a@example.com", "b@example.com"] {
        store.accounts().create(&make.account(email), None).await?;
    }
    let first = store.accounts().list(None, 2).await?;
    let emails: Vec<_> = first.iter().map(|account| account.email.as_str()).collect();
    check_eq!(emails, ["a@example.com", "b@example.com"]);
    let after = first.last().map(|account| &account.email);
    let second = store.accounts().list(after, 2).await?;
    let emails: Vec<_> = second.iter().map(|found| found.email.as_str()).collect();
    check_eq!(emails, ["c@example.com"]);
    Ok(())
}

async fn password_and_plan_change(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let (ann, nobody) = (
        make.account("ann@example.com"),
        make.account("n@example.com"),
    );
    store.accounts().create(&ann, None).await?;
    check!(
        store
            .accounts()
            .find_password_hash(&ann.id)
            .await?
            .is_none()
    );
    let phc = PasswordHash::new("$argon2id$new".to_owned());
    check!(store.accounts().set_password_hash(&ann.id, &phc).await?);
    check!(!store.accounts().set_password_hash(&nobody.id, &phc).await?);
    let kept = store.accounts().find_password_hash(&ann.id).await?;
    check_eq!(kept.as_ref().map(PasswordHash::expose), Some(phc.expose()));
    let other = PasswordHash::new("$argon2id$other".to_owned());
    let accounts = store.accounts();
    check!(
        !accounts
            .replace_password_hash(&ann.id, &other, &phc)
            .await?
    );
    check!(
        accounts
            .replace_password_hash(&ann.id, &phc, &other)
            .await?
    );
    check!(!accounts.replace_password_hash(&ann.id, &phc, &phc).await?);
    let kept = accounts.find_password_hash(&ann.id).await?;
    check_eq!(
        kept.as_ref().map(PasswordHash::expose),
        Some(other.expose())
    );
    let free = "free".parse()?;
    check!(store.accounts().set_plan(&ann.id, &free).await?);
    check!(!store.accounts().set_plan(&nobody.id, &free).await?);
    check_eq!(store.accounts().load(&ann.id).await?.plan, free);
    Ok(())
}

async fn suspension_begins_and_ends_once(store: &RelayStore) -> Outcome {
    let ann = Maker::default().account("ann@example.com");
    store.accounts().create(&ann, None).await?;
    let first = Suspension {
        at: at(50),
        reason: "abuse".to_owned(),
    };
    let second = Suspension {
        at: at(60),
        reason: "other".to_owned(),
    };
    check!(store.accounts().suspend(&ann.id, &first).await?);
    check!(!store.accounts().suspend(&ann.id, &second).await?);
    check_eq!(store.accounts().load(&ann.id).await?.suspended, Some(first));
    check!(store.accounts().unsuspend(&ann.id).await?);
    check!(!store.accounts().unsuspend(&ann.id).await?);
    check_eq!(store.accounts().load(&ann.id).await?.suspended, None);
    Ok(())
}

async fn deleted_account_leaves_nothing_but_tombstones(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.com").await?;
    let bob = make.household(store, "bob@example.com").await?;
    let deleted = store.accounts().delete(&ann.account.id, at(90)).await?;
    let deleted = deleted.ok_or("was not deleted")?;
    check_eq!(deleted.printers, slice::from_ref(&ann.printer.id));
    check_eq!(deleted.app_connections, slice::from_ref(&ann.connection.id));
    check_eq!(
        store.accounts().delete(&ann.account.id, at(91)).await?,
        None
    );
    check_eq!(store.accounts().find(&ann.account.id).await?, None);
    check_eq!(
        store.accounts().find_by_email(&ann.account.email).await?,
        None
    );
    check_eq!(store.printers().find(&ann.printer.id).await?, None);
    let tombstone = find(store, &ann).await?.ok_or("no tombstone")?;
    let state = AppConnectionState::Ended {
        reason: EndReason::AccountDeleted,
        at: at(90),
    };
    check_eq!(tombstone.state, state);
    check_eq!(find(store, &bob).await?, Some(bob.connection.clone()));
    check_eq!(store.accounts().load(&bob.account.id).await?, bob.account);
    // The address is free again.
    let again = make.account("ann@example.com");
    store.accounts().create(&again, None).await?;
    Ok(())
}

async fn account_is_made_by_a_link_that_is_used_up_by_it_alone(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let [ann, again, bob] =
        ["ann@example.com", "Ann@example.com", "bob@example.com"].map(|email| make.account(email));
    let (phc, hash) = (PasswordHash::new("phc".to_owned()), LinkHash::of("a"));
    let accounts = store.accounts();
    accounts.create(&ann, None).await?;
    let purpose = LinkPurpose::Invitation;
    let none = accounts.create_by_link(&bob, &phc, &hash, purpose).await?;
    check!(!none && accounts.find(&bob.id).await?.is_none());
    let link = Link::new(purpose, at(10));
    store.links().create(&hash, &link).await?;
    let taken = accounts.create_by_link(&again, &phc, &hash, purpose).await;
    check!(matches!(taken, Err(StoreError::Conflict)));
    let other = LinkPurpose::FirstAdministrator;
    check!(!accounts.create_by_link(&bob, &phc, &hash, other).await?);
    check!(accounts.create_by_link(&bob, &phc, &hash, purpose).await?);
    check_eq!(accounts.load(&bob.id).await?, bob);
    check_eq!(store.links().find(&hash, at(20)).await?, None);
    Ok(())
}

async fn nobody_is_the_first_administrator_after_another(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let [ann, bob] = ["ann@example.com", "bob@example.com"].map(|email| Account {
        administrator: true,
        ..make.account(email)
    });
    let (phc, hash) = (PasswordHash::new("phc".to_owned()), LinkHash::of("a"));
    let (accounts, links) = (store.accounts(), store.links());
    let purpose = LinkPurpose::FirstAdministrator;
    let link = Link::new(purpose, at(10));
    let invitation = Link::new(LinkPurpose::Invitation, at(10));
    let kept = LinkHash::of("kept");
    links.create(&kept, &invitation).await?;
    links.create(&hash, &link).await?;
    accounts.create(&ann, None).await?;
    check_eq!(links.find(&hash, at(20)).await?, None);
    // One that was made at the same moment.
    links.create(&hash, &link).await?;
    check!(!accounts.create_by_link(&bob, &phc, &hash, purpose).await?);
    check!(accounts.set_administrator(&ann.id, false).await?);
    check!(accounts.create_by_link(&bob, &phc, &hash, purpose).await?);
    check!(accounts.set_administrator(&bob.id, false).await?);
    links.create(&hash, &link).await?;
    check!(accounts.set_administrator(&ann.id, true).await?);
    check_eq!(links.find(&hash, at(20)).await?, None);
    check_eq!(links.find(&kept, at(20)).await?, Some(invitation));
    Ok(())
}

async fn accounts_administer_and_answer_letters(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let (ann, bob) = (
        make.account("ann@example.com"),
        make.account("bob@example.com"),
    );
    let accounts = store.accounts();
    accounts.create(&ann, None).await?;
    accounts.create(&bob, None).await?;
    check!(!accounts.has_administrator().await?);
    check!(accounts.set_administrator(&ann.id, true).await?);
    check!(accounts.has_administrator().await?);
    check!(accounts.load(&ann.id).await?.administrator);
    check!(accounts.set_administrator(&ann.id, false).await?);
    check!(!accounts.has_administrator().await?);
    check!(!accounts.note_verified(&ann.id, &bob.email, at(30)).await?);
    check!(accounts.note_verified(&ann.id, &ann.email, at(30)).await?);
    check_eq!(accounts.load(&ann.id).await?.email_verified, Some(at(30)));
    let taken = accounts.set_email(&ann.id, &bob.email, None).await;
    check!(matches!(taken, Err(StoreError::Conflict)));
    let new = make.account("new@example.com").email;
    check!(accounts.set_email(&ann.id, &new, None).await?);
    let changed = accounts.load(&ann.id).await?;
    check!(changed.email == new && changed.email_verified.is_none());
    Ok(())
}
