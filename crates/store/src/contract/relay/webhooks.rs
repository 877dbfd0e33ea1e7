//! What holds of webhooks.

use latchkey_model::app_connection::{AccessMode, EndReason};
use latchkey_model::id::{AppConnectionId, PrinterId};
use latchkey_model::printing::{EventKind, PrinterEvent, Progress};
use latchkey_model::webhook::EventFilter;

use super::{Household, Maker};
use crate::contract::{Case, Outcome, at, cases, check, check_eq};
use crate::error::StoreError;
use crate::relay::{NewWebhook, RelayStore, ToldWebhook, Webhook};

cases! { RelayStore,
    a_webhook_is_kept_as_it_was_set_and_goes_on_where_it_was,
    what_is_noted_counts_for_the_webhook_as_it_was_set_then,
    after_too_many_given_up_a_webhook_is_off_until_it_is_set_again,
    a_webhook_is_due_when_there_is_something_to_tell,
    the_webhook_whose_last_call_is_the_longest_ago_is_the_next,
    a_webhook_goes_with_its_app_connection_however_that_ends,
    each_sees_the_webhooks_of_their_own_apps_and_the_owner_all,
}

fn new(url: &[u8], millis: i64) -> NewWebhook<'_> {
    NewWebhook {
        url,
        secret: b"secret",
        filter: EventFilter::of([2, 3]),
        at: at(millis),
        over: at(millis - 1_000),
    }
}

fn told<'a>(webhook: &'a Webhook, number: i64, answer: &'a str) -> ToldWebhook<'a> {
    ToldWebhook {
        webhook,
        number,
        skipped: 0,
        answer,
        at: at(700),
    }
}

async fn happen(store: &RelayStore, printer: &PrinterId, times: usize) -> Result<(), StoreError> {
    for _ in 0..times {
        let event = PrinterEvent {
            at: at(1),
            kind: EventKind::Started,
            print: None,
            file: None,
            progress: Progress::default(),
            message: None,
        };
        store.events().add(printer, &event).await?;
    }
    Ok(())
}

async fn load(store: &RelayStore, id: &AppConnectionId) -> Result<Webhook, StoreError> {
    let found = store.webhooks().find(id).await?;
    found.ok_or(StoreError::Conflict)
}

async fn due(store: &RelayStore, now: i64) -> Result<usize, StoreError> {
    let due = store.webhooks().list_due(at(0), at(now), 10).await?;
    Ok(due.len())
}

async fn a_webhook_is_kept_as_it_was_set_and_goes_on_where_it_was(store: &RelayStore) -> Outcome {
    let Household {
        printer,
        connection,
        account,
        ..
    } = Maker::default().household(store, "a@example.net").await?;
    let (hooks, id) = (store.webhooks(), &connection.id);
    check_eq!(hooks.find(id).await?, None);
    check!(!hooks.delete(id).await?);
    happen(store, &printer.id, 3).await?;
    check!(hooks.set(id, &new(b"one", 500)).await?);
    let kept = load(store, id).await?;
    check_eq!(
        (kept.url.as_slice(), kept.secret.as_slice()),
        (&b"one"[..], &b"secret"[..])
    );
    check_eq!((&kept.printer, &kept.account), (&printer.id, &account.id));
    check_eq!((kept.done, kept.set, kept.generation), (3, at(500), 1));
    check_eq!(kept.filter, EventFilter::of([2, 3]));
    check_eq!((kept.last_answer, kept.disabled), (None, None));
    happen(store, &printer.id, 2).await?;
    check!(hooks.set(id, &new(b"two", 600)).await?);
    let again = load(store, id).await?;
    check_eq!((again.url.as_slice(), again.generation), (&b"two"[..], 2));
    check_eq!(again.done, 3);
    // What is over begins anew.
    check!(hooks.set(id, &new(b"two", 1_600)).await?);
    check_eq!(load(store, id).await?.done, 5);
    check!(hooks.delete(id).await?);
    check_eq!(hooks.find(id).await?, None);
    Ok(())
}

async fn what_is_noted_counts_for_the_webhook_as_it_was_set_then(store: &RelayStore) -> Outcome {
    let house = Maker::default().household(store, "a@example.net").await?;
    let (hooks, id) = (store.webhooks(), &house.connection.id);
    check!(hooks.set(id, &new(b"one", 500)).await?);
    happen(store, &house.printer.id, 9).await?;
    let first = load(store, id).await?;
    hooks
        .note_failed(&first, at(800), "timed_out", at(700))
        .await?;
    let failed = load(store, id).await?;
    check_eq!((failed.tries, failed.due, failed.done), (1, at(800), 0));
    check_eq!(failed.last_answer, Some(("timed_out".to_owned(), at(700))));
    let skipping = ToldWebhook {
        skipped: 2,
        ..told(&first, 3, "200")
    };
    hooks.note_told(&skipping).await?;
    let after = load(store, id).await?;
    check_eq!((after.done, after.tries, after.skipped), (3, 0, 2));
    check_eq!(after.due, at(0));
    hooks.pass(&first, 5, 1).await?;
    // A number never goes back.
    hooks.pass(&first, 4, 1).await?;
    let passed = load(store, id).await?;
    check_eq!((passed.done, passed.skipped), (5, 3));
    check!(hooks.set(id, &new(b"two", 600)).await?);
    let anew = load(store, id).await?;
    hooks.note_told(&told(&first, 6, "200")).await?;
    hooks.pass(&first, 6, 1).await?;
    hooks
        .note_failed(&first, at(900), "timed_out", at(700))
        .await?;
    check!(!hooks.note_given_up(&told(&first, 6, "500"), 1).await?);
    check_eq!(load(store, id).await?, anew);
    Ok(())
}

async fn after_too_many_given_up_a_webhook_is_off_until_it_is_set_again(
    store: &RelayStore,
) -> Outcome {
    let house = Maker::default().household(store, "a@example.net").await?;
    let (hooks, id) = (store.webhooks(), &house.connection.id);
    check!(hooks.set(id, &new(b"one", 500)).await?);
    happen(store, &house.printer.id, 9).await?;
    let hook = load(store, id).await?;
    check!(!hooks.note_given_up(&told(&hook, 1, "500"), 2).await?);
    // One that is told in between starts the count anew.
    hooks.note_told(&told(&hook, 2, "200")).await?;
    check!(!hooks.note_given_up(&told(&hook, 3, "500"), 2).await?);
    check_eq!(due(store, 900).await?, 1);
    check!(hooks.note_given_up(&told(&hook, 4, "500"), 2).await?);
    let off = load(store, id).await?;
    check_eq!(
        (off.failures, off.disabled, off.done),
        (2, Some(at(700)), 4)
    );
    check_eq!(due(store, 900).await?, 0);
    check!(hooks.set(id, &new(b"one", 600)).await?);
    let on = load(store, id).await?;
    check_eq!((on.failures, on.disabled, on.done), (0, None, 9));
    Ok(())
}

async fn a_webhook_is_due_when_there_is_something_to_tell(store: &RelayStore) -> Outcome {
    let house = Maker::default().household(store, "a@example.net").await?;
    let (hooks, id) = (store.webhooks(), &house.connection.id);
    check!(hooks.set(id, &new(b"one", 500)).await?);
    check_eq!(due(store, 900).await?, 0);
    happen(store, &house.printer.id, 1).await?;
    let listed = hooks.list_due(at(0), at(900), 10).await?;
    check_eq!(listed, [(id.clone(), house.account.id.clone())]);
    check_eq!(hooks.list_due(at(500), at(900), 10).await?, []);
    let hook = load(store, id).await?;
    hooks.note_failed(&hook, at(950), "500", at(900)).await?;
    check_eq!((due(store, 949).await?, due(store, 950).await?), (0, 1));
    hooks.note_told(&told(&hook, 1, "200")).await?;
    check_eq!(due(store, 2_000).await?, 0);
    check_eq!(hooks.prune(at(499)).await?, 0);
    check_eq!(hooks.prune(at(500)).await?, 1);
    Ok(())
}

async fn the_webhook_whose_last_call_is_the_longest_ago_is_the_next(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.net").await?;
    let bob = make.household(store, "bob@example.net").await?;
    let (hooks, anns, bobs) = (store.webhooks(), &ann.connection.id, &bob.connection.id);
    let next = async || -> Result<Option<AppConnectionId>, StoreError> {
        let due = hooks.list_due(at(0), at(900), 1).await?;
        Ok(due.into_iter().next().map(|(id, _)| id))
    };
    for house in [&ann, &bob] {
        check!(hooks.set(&house.connection.id, &new(b"one", 500)).await?);
        happen(store, &house.printer.id, 9).await?;
    }
    // One that always succeeds does not come before one that has to be tried again.
    let failed = load(store, bobs).await?;
    hooks.note_failed(&failed, at(800), "500", at(600)).await?;
    let hook = load(store, anns).await?;
    hooks.note_told(&told(&hook, 1, "200")).await?;
    check_eq!(next().await?, Some(bobs.clone()));
    let later = ToldWebhook {
        at: at(800),
        ..told(&failed, 1, "200")
    };
    hooks.note_told(&later).await?;
    check_eq!(next().await?, Some(anns.clone()));
    // Nor does one that was deleted and set again.
    check!(hooks.delete(bobs).await?);
    check!(hooks.set(bobs, &new(b"one", 850)).await?);
    happen(store, &bob.printer.id, 1).await?;
    check_eq!(next().await?, Some(anns.clone()));
    Ok(())
}

async fn a_webhook_goes_with_its_app_connection_however_that_ends(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.net").await?;
    let bob = make.household(store, "bob@example.net").await?;
    let hooks = store.webhooks();
    let (anns, account) = (&ann.printer.id, &ann.account.id);
    store.members().add(anns, &bob.account.id, at(1)).await?;
    for end in 0..6 {
        let (mut connection, _) = make.app_connection(&ann.printer, AccessMode::Bearer);
        if end >= 4
            && let latchkey_model::app_connection::AppConnectionState::Live(live) =
                &mut connection.state
        {
            live.account = bob.account.id.clone();
        }
        let id = connection.id.clone();
        store.app_connections().insert(&connection).await?;
        check!(hooks.set(&id, &new(b"one", 500)).await?);
        let (connections, reason) = (store.app_connections(), EndReason::Revoked);
        match end {
            0 => drop(connections.end(&id, reason, at(9)).await?),
            1 | 3 => drop(connections.end_owned(account, &id, reason, at(9)).await?),
            2 => drop(connections.end_all_at(account, anns, reason, at(9)).await?),
            4 => drop(store.members().remove(anns, &bob.account.id, at(9)).await?),
            _ => {
                store.members().add(anns, &bob.account.id, at(1)).await?;
                drop(store.printers().remove(account, anns, at(9)).await?);
            }
        }
        check_eq!(hooks.find(&id).await?, None);
        check!(!hooks.delete(&id).await?);
        check!(!hooks.set(&id, &new(b"one", 500)).await?);
        if end == 4 {
            store.members().add(anns, &bob.account.id, at(1)).await?;
        }
    }
    let id = &bob.connection.id;
    check!(hooks.set(id, &new(b"one", 500)).await?);
    store.accounts().delete(&bob.account.id, at(9)).await?;
    check!(!hooks.delete(id).await?);
    Ok(())
}

async fn each_sees_the_webhooks_of_their_own_apps_and_the_owner_all(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.net").await?;
    let bob = make.household(store, "bob@example.net").await?;
    let hooks = store.webhooks();
    store
        .members()
        .add(&ann.printer.id, &bob.account.id, at(1))
        .await?;
    check!(hooks.set(&ann.connection.id, &new(b"one", 500)).await?);
    let shown = hooks.list_shown(&ann.printer.id, &ann.account.id).await?;
    check_eq!(shown.len(), 1);
    check_eq!(
        hooks.list_shown(&ann.printer.id, &bob.account.id).await?,
        []
    );
    check_eq!(
        hooks.list_shown(&bob.printer.id, &ann.account.id).await?,
        []
    );
    Ok(())
}
