//! What holds of what is counted against plans.

use std::time::Duration;

use latchkey_model::app_connection::AccessMode;
use latchkey_model::limit::{Month, WebcamWindow};

use super::Maker;
use crate::contract::{Case, Outcome, at, cases, check, check_eq};
use crate::error::StoreError;
use crate::relay::{KeptUsage, MonthlyBytes, RelayStore, WatchedWebcam};

cases! { RelayStore,
    bytes_add_up_by_month_and_windows_are_as_they_were_last,
    use_of_what_is_no_more_is_passed_over_and_the_rest_is_kept,
    plans_are_those_of_now,
    old_months_and_windows_are_forgotten,
    app_connections_are_kept_up_to_the_limit_of_the_account,
}

const MONTH: Month = Month::from_number(24_310);

async fn bytes_add_up_by_month_and_windows_are_as_they_were_last(store: &RelayStore) -> Outcome {
    let maker = Maker::default();
    let one = maker.household(store, "a@example.net").await?;
    let other = maker.household(store, "b@example.net").await?;
    let bytes = |month, bytes| MonthlyBytes {
        account: one.account.id.clone(),
        month,
        bytes,
    };
    let watched = |began, seconds| WatchedWebcam {
        account: one.account.id.clone(),
        printer: one.printer.id.clone(),
        window: WebcamWindow {
            began: at(began),
            used: Duration::from_secs(seconds),
        },
    };
    let usage = store.account_usage();
    usage.keep(&[], &[]).await?;
    check_eq!(
        usage.load(&one.account.id, MONTH).await?,
        KeptUsage::default()
    );
    let before = MONTH.before(1);
    usage
        .keep(&[bytes(MONTH, 5), bytes(before, 3)], &[watched(7, 9)])
        .await?;
    usage.keep(&[bytes(MONTH, 6)], &[watched(8, 2)]).await?;
    let kept = usage.load(&one.account.id, MONTH).await?;
    check_eq!(kept.bytes, 11);
    check_eq!(
        kept.webcams,
        [(one.printer.id.clone(), watched(8, 2).window)]
    );
    check_eq!(usage.load(&one.account.id, before).await?.bytes, 3);
    check_eq!(
        usage.load(&other.account.id, MONTH).await?,
        KeptUsage::default()
    );
    // A printer that is removed takes its window along, and no bytes.
    store
        .printers()
        .remove(&one.account.id, &one.printer.id, at(9))
        .await?;
    let left = usage.load(&one.account.id, MONTH).await?;
    check_eq!((left.bytes, left.webcams.len()), (11, 0));
    Ok(())
}

async fn use_of_what_is_no_more_is_passed_over_and_the_rest_is_kept(store: &RelayStore) -> Outcome {
    let maker = Maker::default();
    let here = maker.household(store, "a@example.net").await?;
    let gone = maker.account("b@example.net");
    let absent = maker.printer(&here.account, "none");
    let bytes = |account: &latchkey_model::account::Account| MonthlyBytes {
        account: account.id.clone(),
        month: MONTH,
        bytes: 4,
    };
    let watched = WatchedWebcam {
        account: here.account.id.clone(),
        printer: absent.id.clone(),
        window: WebcamWindow::new(at(1)),
    };
    let usage = store.account_usage();
    usage
        .keep(&[bytes(&gone), bytes(&here.account)], &[watched])
        .await?;
    check_eq!(usage.load(&gone.id, MONTH).await?, KeptUsage::default());
    let kept = usage.load(&here.account.id, MONTH).await?;
    check_eq!((kept.bytes, kept.webcams.len()), (4, 0));
    Ok(())
}

async fn plans_are_those_of_now(store: &RelayStore) -> Outcome {
    let maker = Maker::default();
    let account = maker.account("a@example.net");
    store.accounts().create(&account, None).await?;
    let free = "free".parse().expect("a plan name");
    store.accounts().set_plan(&account.id, &free).await?;
    let nobody = maker.account("b@example.net");
    let usage = store.account_usage();
    let asked = [nobody.id.clone(), account.id.clone()];
    check_eq!(usage.plans(&asked).await?, [(account.id, free)]);
    check!(usage.plans(&[]).await?.is_empty());
    Ok(())
}

async fn old_months_and_windows_are_forgotten(store: &RelayStore) -> Outcome {
    let maker = Maker::default();
    let one = maker.household(store, "a@example.net").await?;
    let bytes = |month| MonthlyBytes {
        account: one.account.id.clone(),
        month,
        bytes: 1,
    };
    let watched = WatchedWebcam {
        account: one.account.id.clone(),
        printer: one.printer.id.clone(),
        window: WebcamWindow::new(at(50)),
    };
    let usage = store.account_usage();
    let old = MONTH.before(1);
    usage.keep(&[bytes(old), bytes(MONTH)], &[watched]).await?;
    usage.forget(MONTH, at(50)).await?;
    let kept = usage.load(&one.account.id, MONTH).await?;
    check_eq!((kept.bytes, kept.webcams.len()), (1, 1));
    check_eq!(usage.load(&one.account.id, old).await?.bytes, 0);
    usage.forget(MONTH, at(51)).await?;
    check!(usage.load(&one.account.id, MONTH).await?.webcams.is_empty());
    Ok(())
}

async fn app_connections_are_kept_up_to_the_limit_of_the_account(store: &RelayStore) -> Outcome {
    let maker = Maker::default();
    let one = maker.household(store, "a@example.net").await?;
    let other = maker.household(store, "b@example.net").await?;
    let connections = store.app_connections();
    let made = || maker.app_connection(&one.printer, AccessMode::Enhanced).0;
    let second = made();
    check!(!connections.insert_within(&second, 1).await?);
    check!(connections.insert_within(&second, 2).await?);
    check!(!connections.insert_within(&made(), 2).await?);
    check_eq!(connections.count_of(&one.account.id).await?, 2);
    check_eq!(connections.count_of(&other.account.id).await?, 1);
    // What is there already is no question of the limit.
    let twice = connections.insert_within(&second, 9).await;
    check!(matches!(twice, Err(StoreError::Conflict)));
    // What has ended makes room.
    let reason = latchkey_model::app_connection::EndReason::Revoked;
    connections.end(&second.id, reason, at(30)).await?;
    check!(connections.insert_within(&made(), 2).await?);
    // A printer that may not be used is no question of the limit.
    let (stranger, _) =
        maker.app_connection(&maker.printer(&one.account, "none"), AccessMode::None);
    let refused = connections.insert_within(&stranger, 9).await;
    check!(matches!(refused, Err(StoreError::Conflict)));
    Ok(())
}
