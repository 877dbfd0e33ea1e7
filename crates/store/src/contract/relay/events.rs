//! What holds of what happened to printers.

use latchkey_model::chance::SeededChance;
use latchkey_model::id::{PrintId, PrinterId};
use latchkey_model::printing::{EventKind, PrinterEvent, Progress};

use super::Maker;
use crate::contract::{Case, Outcome, at, cases, check_eq};
use crate::relay::{NumberedEvent, RelayStore};

cases! { RelayStore,
    events_are_read_as_they_were_kept_and_numbered_by_printer,
    a_reported_event_is_kept_once_whatever_the_host_says_again,
    old_events_and_more_than_enough_are_forgotten_but_not_the_newest,
}

fn event(kind: EventKind, millis: i64) -> PrinterEvent {
    PrinterEvent {
        at: at(millis),
        kind,
        print: None,
        file: None,
        progress: Progress::default(),
        message: None,
    }
}

fn numbers(events: &[NumberedEvent]) -> Vec<i64> {
    events.iter().map(|event| event.number).collect()
}

async fn events_are_read_as_they_were_kept_and_numbered_by_printer(store: &RelayStore) -> Outcome {
    let maker = Maker::default();
    let account = maker.account("a@example.net");
    store.accounts().create(&account, None).await?;
    let (one, other) = (
        maker.printer(&account, "one"),
        maker.printer(&account, "other"),
    );
    for printer in [&one, &other] {
        store.printers().create(printer).await?;
    }
    let whole = PrinterEvent {
        print: Some(PrintId::generate(&SeededChance::new(4))),
        file: Some("vase.gcode".to_owned()),
        progress: Progress {
            percent: Some(100),
            printed_seconds: Some(3_600),
            left_seconds: Some(0),
            z_micrometers: Some(180_200),
            layer: Some(561),
            layers: Some(561),
        },
        message: Some("done".to_owned()),
        ..event(EventKind::Complete, 40)
    };
    let started = event(EventKind::Started, 30);
    let events = store.events();
    check_eq!(events.newest(&one.id).await?, 0);
    check_eq!(events.add(&one.id, &started).await?, Some(1));
    check_eq!(events.add(&one.id, &whole).await?, Some(2));
    check_eq!(events.add(&other.id, &started).await?, Some(1));
    let nobody = PrinterId::generate(&SeededChance::new(9));
    check_eq!(events.add(&nobody, &started).await?, None);
    check_eq!(events.newest(&one.id).await?, 2);
    let newest = events.list(&one.id, i64::MAX, 1).await?;
    check_eq!(
        newest,
        [NumberedEvent {
            number: 2,
            event: whole
        }]
    );
    check_eq!(numbers(&events.list(&one.id, 2, 9).await?), [1]);
    check_eq!(numbers(&events.list_after(&one.id, 0, 9).await?), [1, 2]);
    check_eq!(numbers(&events.list_after(&one.id, 1, 9).await?), [2]);
    Ok(())
}

async fn a_reported_event_is_kept_once_whatever_the_host_says_again(store: &RelayStore) -> Outcome {
    let maker = Maker::default();
    let account = maker.account("a@example.net");
    store.accounts().create(&account, None).await?;
    let (one, other) = (
        maker.printer(&account, "one"),
        maker.printer(&account, "other"),
    );
    for printer in [&one, &other] {
        store.printers().create(printer).await?;
    }
    let events = store.events();
    let (first, second) = ([1; 16], [2; 16]);
    let paused = event(EventKind::Paused, 5);
    check_eq!(events.heard(&one.id, &first).await?, 0);
    for (run, reported, kept) in [
        (first, 1, Some(1)),
        (first, 1, None),
        (first, 4, Some(2)),
        (first, 3, None),
        // The host was started anew, and counts anew.
        (second, 1, Some(3)),
        (second, u64::MAX, Some(4)),
        (second, u64::MAX, None),
    ] {
        let number = events
            .add_reported(&one.id, &run, reported, &paused)
            .await?;
        check_eq!(number, kept);
    }
    check_eq!(events.heard(&one.id, &first).await?, 0);
    check_eq!(
        events.heard(&one.id, &second).await?,
        i64::MAX.unsigned_abs()
    );
    check_eq!(events.heard(&other.id, &second).await?, 0);
    let nobody = PrinterId::generate(&SeededChance::new(9));
    check_eq!(
        events.add_reported(&nobody, &first, 1, &paused).await?,
        None
    );
    let presence = [EventKind::Online, EventKind::Offline];
    check_eq!(events.last_of(&one.id, presence).await?, None);
    events.add(&one.id, &event(EventKind::Offline, 6)).await?;
    events.add(&one.id, &event(EventKind::Paused, 7)).await?;
    check_eq!(
        events.last_of(&one.id, presence).await?,
        Some(EventKind::Offline)
    );
    check_eq!(events.last_of(&other.id, presence).await?, None);
    Ok(())
}

async fn old_events_and_more_than_enough_are_forgotten_but_not_the_newest(
    store: &RelayStore,
) -> Outcome {
    let maker = Maker::default();
    let account = maker.account("a@example.net");
    store.accounts().create(&account, None).await?;
    let (one, other) = (
        maker.printer(&account, "one"),
        maker.printer(&account, "other"),
    );
    for printer in [&one, &other] {
        store.printers().create(printer).await?;
    }
    let events = store.events();
    for millis in 1..=5 {
        events
            .add(&one.id, &event(EventKind::Progress, millis))
            .await?;
    }
    events.add(&other.id, &event(EventKind::Offline, 1)).await?;
    check_eq!(events.forget(at(3), 10).await?, 2);
    check_eq!(numbers(&events.list_after(&one.id, 0, 9).await?), [3, 4, 5]);
    check_eq!(events.forget(at(0), 2).await?, 1);
    check_eq!(numbers(&events.list_after(&one.id, 0, 9).await?), [4, 5]);
    check_eq!(events.forget(at(100), 0).await?, 1);
    check_eq!(numbers(&events.list_after(&one.id, 0, 9).await?), [5]);
    check_eq!(numbers(&events.list_after(&other.id, 0, 9).await?), [1]);
    check_eq!(
        events.add(&one.id, &event(EventKind::Online, 101)).await?,
        Some(6)
    );
    Ok(())
}
