//! What holds of links that are good once.

use latchkey_model::account::Suspension;
use latchkey_model::link::{Link, LinkPurpose};
use latchkey_model::secret::LinkHash;

use super::Maker;
use crate::contract::{Case, Outcome, at, cases, check, check_eq};
use crate::error::StoreError;
use crate::relay::RelayStore;

cases! { RelayStore,
    link_is_good_once_for_its_purpose_and_its_time,
    link_goes_with_what_it_is_about,
    links_are_taken_back,
    letters_that_change_an_account_are_taken_back,
}

async fn link_is_good_once_for_its_purpose_and_its_time(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.com").await?;
    let link = Link {
        account: Some(ann.account.id.clone()),
        printer: Some(ann.printer.id.clone()),
        email: Some(make.account("bob@example.com").email),
        ..Link::new(LinkPurpose::SharePrinter, at(10))
    };
    let hash = LinkHash::of("a");
    let links = store.links();
    links.create(&hash, &link).await?;
    let last = at(link.expires.millis() - 1);
    check_eq!(links.find(&hash, last).await?, Some(link.clone()));
    check_eq!(links.find(&hash, link.expires).await?, None);
    let other = links.take(&hash, LinkPurpose::Invitation, at(20)).await?;
    check_eq!(other, None);
    let purpose = LinkPurpose::SharePrinter;
    check_eq!(links.take(&hash, purpose, link.expires).await?, None);
    check_eq!(links.take(&hash, purpose, last).await?, Some(link));
    check_eq!(links.take(&hash, purpose, last).await?, None);
    Ok(())
}

async fn link_goes_with_what_it_is_about(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let nobody = make.account("nobody@example.com");
    let link = Link {
        account: Some(nobody.id.clone()),
        ..Link::new(LinkPurpose::ResetPassword, at(10))
    };
    let answer = store.links().create(&LinkHash::of("a"), &link).await;
    check!(matches!(answer, Err(StoreError::Conflict)));
    store.accounts().create(&nobody, None).await?;
    store.links().create(&LinkHash::of("a"), &link).await?;
    store.accounts().delete(&nobody.id, at(20)).await?;
    check_eq!(store.links().find(&LinkHash::of("a"), at(30)).await?, None);
    Ok(())
}

async fn links_are_taken_back(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.account("ann@example.com");
    store.accounts().create(&ann, None).await?;
    let links = store.links();
    for (secret, account) in [("a", Some(ann.id.clone())), ("b", None), ("c", None)] {
        let link = Link {
            account,
            ..Link::new(LinkPurpose::Invitation, at(10))
        };
        links.create(&LinkHash::of(secret), &link).await?;
    }
    let purpose = LinkPurpose::Invitation;
    check_eq!(links.list(purpose, at(20)).await?.len(), 3);
    check_eq!(links.list(LinkPurpose::VerifyEmail, at(20)).await?.len(), 0);
    check!(links.drop(&LinkHash::of("b")).await?);
    check!(!links.drop(&LinkHash::of("b")).await?);
    check_eq!(links.drop_all(purpose, Some(&ann.id)).await?, 1);
    let left = links.list(purpose, at(20)).await?;
    check!(left.len() == 1 && left[0].0 == LinkHash::of("c"));
    check_eq!(links.drop_all(purpose, None).await?, 1);
    let old = Link::new(purpose, at(10));
    links.create(&LinkHash::of("d"), &old).await?;
    check_eq!(links.prune(at(old.expires.millis() - 1)).await?, 0);
    check_eq!(links.prune(old.expires).await?, 1);
    Ok(())
}

async fn letters_that_change_an_account_are_taken_back(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let (ann, bob) = (
        make.account("ann@example.com"),
        make.account("bob@example.com"),
    );
    let elsewhere = make.account("elsewhere@example.com").email;
    let links = store.links();
    let letters = [
        ("reset", &ann, LinkPurpose::ResetPassword, &ann.email),
        ("change", &ann, LinkPurpose::VerifyEmail, &elsewhere),
        ("same", &ann, LinkPurpose::VerifyEmail, &ann.email),
        ("bobs", &bob, LinkPurpose::VerifyEmail, &elsewhere),
        ("bobs reset", &bob, LinkPurpose::ResetPassword, &bob.email),
    ];
    for account in [&ann, &bob] {
        store.accounts().create(account, None).await?;
    }
    for (secret, account, purpose, email) in letters {
        let link = Link {
            account: Some(account.id.clone()),
            email: Some(email.clone()),
            ..Link::new(purpose, at(10))
        };
        links.create(&LinkHash::of(secret), &link).await?;
    }
    check_eq!(links.drop_letters(&ann.id).await?, 2);
    let is_good = async |secret| links.find(&LinkHash::of(secret), at(20)).await;
    for secret in ["reset", "change"] {
        check_eq!((secret, is_good(secret).await?), (secret, None));
    }
    for secret in ["same", "bobs", "bobs reset"] {
        check!(is_good(secret).await?.is_some());
    }
    let suspension = Suspension {
        at: at(20),
        reason: "unpaid".to_owned(),
    };
    check!(store.accounts().suspend(&bob.id, &suspension).await?);
    for secret in ["bobs", "bobs reset"] {
        check_eq!((secret, is_good(secret).await?), (secret, None));
    }
    Ok(())
}
