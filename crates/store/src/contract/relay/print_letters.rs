//! What holds of who wants letters about a printer.

use latchkey_model::account::Suspension;
use latchkey_model::print_letter::{Occasion, Occasions};
use latchkey_model::printing::{EventKind, PrinterEvent, Progress};

use super::Maker;
use crate::contract::{Case, Outcome, at, cases, check, check_eq};
use crate::relay::RelayStore;

cases! { RelayStore,
    what_somebody_wants_letters_about_is_kept_for_who_may_use_the_printer,
    readers_are_due_from_their_choice_on,
    nobody_is_told_of_a_suspended_owners_printer,
}

fn offline() -> PrinterEvent {
    PrinterEvent {
        at: at(1),
        kind: EventKind::Offline,
        print: None,
        file: None,
        progress: Progress::default(),
        message: None,
    }
}

async fn what_somebody_wants_letters_about_is_kept_for_who_may_use_the_printer(
    store: &RelayStore,
) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.net").await?;
    let bob = make.household(store, "bob@example.net").await?;
    let (letters, printer) = (store.print_letters(), &ann.printer.id);
    let (anns, bobs) = (&ann.account.id, &bob.account.id);
    let some = Occasions::of([Occasion::Done]);
    check!(letters.choose(printer, anns, some).await?);
    check!(!letters.choose(printer, bobs, some).await?);
    check_eq!(letters.find(printer, anns).await?, some);
    check_eq!(letters.find(printer, bobs).await?, Occasions::NONE);
    let other = Occasions::of([Occasion::Away, Occasion::Trouble]);
    check!(letters.choose(printer, anns, other).await?);
    check_eq!(letters.find(printer, anns).await?, other);
    check!(letters.choose(printer, anns, Occasions::NONE).await?);
    check_eq!(letters.find(printer, anns).await?, Occasions::NONE);
    store.members().add(printer, bobs, at(1)).await?;
    check!(letters.choose(printer, bobs, some).await?);
    // Who comes back later has to choose anew.
    store.members().remove(printer, bobs, at(2)).await?;
    store.members().add(printer, bobs, at(3)).await?;
    check_eq!(letters.find(printer, bobs).await?, Occasions::NONE);
    Ok(())
}

async fn readers_are_due_from_their_choice_on(store: &RelayStore) -> Outcome {
    let ann = Maker::default().household(store, "ann@example.net").await?;
    let (letters, printer) = (store.print_letters(), &ann.printer.id);
    store.events().add(printer, &offline()).await?;
    let some = Occasions::of([Occasion::Away]);
    check!(letters.choose(printer, &ann.account.id, some).await?);
    check_eq!(letters.list_due(10).await?, []);
    store.events().add(printer, &offline()).await?;
    // Another choice changes nothing about what came before it.
    check!(letters.choose(printer, &ann.account.id, some).await?);
    check_eq!(letters.list_due(10).await?, []);
    let accounts = store.accounts();
    check!(
        accounts
            .note_verified(&ann.account.id, &ann.account.email, at(3))
            .await?
    );
    let due = letters.list_due(10).await?;
    check_eq!(due.len(), 1);
    let reader = &due[0];
    check_eq!(
        (&reader.account, &reader.name),
        (&ann.account.id, &ann.printer.name)
    );
    check_eq!((reader.occasions, reader.done), (some, 1));
    let suspension = Suspension {
        at: at(5),
        reason: "x".to_owned(),
    };
    store
        .accounts()
        .suspend(&ann.account.id, &suspension)
        .await?;
    check_eq!(letters.list_due(10).await?, []);
    store.accounts().unsuspend(&ann.account.id).await?;
    letters.pass(reader, 2).await?;
    letters.pass(reader, 1).await?;
    check_eq!(letters.list_due(10).await?, []);
    Ok(())
}

async fn nobody_is_told_of_a_suspended_owners_printer(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.net").await?;
    let bob = make.household(store, "bob@example.net").await?;
    let (letters, printer, accounts) = (store.print_letters(), &ann.printer.id, store.accounts());
    let bobs = &bob.account;
    store.members().add(printer, &bobs.id, at(1)).await?;
    check!(accounts.note_verified(&bobs.id, &bobs.email, at(2)).await?);
    let some = Occasions::of([Occasion::Away]);
    check!(letters.choose(printer, &bobs.id, some).await?);
    store.events().add(printer, &offline()).await?;
    check_eq!(letters.list_due(10).await?.len(), 1);
    let suspension = Suspension {
        at: at(5),
        reason: "x".to_owned(),
    };
    accounts.suspend(&ann.account.id, &suspension).await?;
    check_eq!(letters.list_due(10).await?, []);
    accounts.unsuspend(&ann.account.id).await?;
    check_eq!(letters.list_due(10).await?.len(), 1);
    Ok(())
}
