//! What holds of notices.

use std::time::Duration;

use latchkey_model::account_notice::{Notice, NoticeKind};

use super::Maker;
use crate::contract::{Case, Outcome, at, cases, check, check_eq};
use crate::relay::RelayStore;

cases! { RelayStore,
    notices_are_listed_newest_first_and_of_many_the_oldest_go,
    notices_are_forgotten_after_ninety_days,
}

fn notice(millis: i64) -> Notice {
    Notice {
        at: at(millis),
        kind: NoticeKind::PasskeyAdded,
        detail: "Phone".to_owned(),
        device: "Firefox on Linux".to_owned(),
        network: "192.0.2.0/24".to_owned(),
    }
}

async fn notices_are_listed_newest_first_and_of_many_the_oldest_go(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let (ann, bob) = (
        make.account("ann@example.com"),
        make.account("bob@example.com"),
    );
    let notices = store.notices();
    check!(!notices.add(&ann.id, &notice(0)).await?);
    for account in [&ann, &bob] {
        store.accounts().create(account, None).await?;
    }
    check!(notices.add(&bob.id, &notice(1)).await?);
    for millis in 0..102 {
        check!(notices.add(&ann.id, &notice(millis)).await?);
    }
    let listed = notices.list(&ann.id, 1000).await?;
    check_eq!(listed.len(), 100);
    check_eq!(listed[0], notice(101));
    check_eq!(listed[99], notice(2));
    check_eq!(notices.list(&ann.id, 2).await?.len(), 2);
    check_eq!(notices.list(&bob.id, 2).await?, [notice(1)]);
    Ok(())
}

async fn notices_are_forgotten_after_ninety_days(store: &RelayStore) -> Outcome {
    let ann = Maker::default().account("ann@example.com");
    store.accounts().create(&ann, None).await?;
    store.notices().add(&ann.id, &notice(0)).await?;
    let days = i64::try_from(Duration::from_hours(90 * 24).as_millis())?;
    check_eq!(store.notices().prune(at(days - 1)).await?, 0);
    check_eq!(store.notices().prune(at(days)).await?, 1);
    Ok(())
}
