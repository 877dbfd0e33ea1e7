//! What holds of live links.

use latchkey_model::account::Suspension;
use latchkey_model::app_connection::{AccessMode, EndReason};
use latchkey_model::chance::SeededChance;
use latchkey_model::clock::Timestamp;
use latchkey_model::id::{LiveLinkId, PrintId};
use latchkey_model::live_link::{LiveLink, PrintEnd};
use latchkey_model::printing::{EventKind, PrinterEvent, Progress};
use latchkey_model::secret::LiveLinkHash;

use super::{Household, Maker};
use crate::contract::{Case, Outcome, at, cases, check_eq};
use crate::relay::RelayStore;

cases! { RelayStore,
    links_are_found_while_they_hold_and_by_their_secret_alone,
    links_end_with_their_printer_and_their_account,
    links_rest_while_an_account_is_suspended,
    links_end_with_the_membership_and_the_app_that_made_them,
    a_printer_has_so_many_links_and_no_more,
    links_end_with_their_print_and_no_other,
    the_owner_alone_takes_links_back,
    links_that_show_nothing_are_forgotten,
}

fn link(household: &Household, seed: u64) -> (LiveLink, LiveLinkHash) {
    let link = LiveLink {
        id: LiveLinkId::generate(&SeededChance::new(seed)),
        printer: household.printer.id.clone(),
        account: household.account.id.clone(),
        app_connection: None,
        created: at(100),
        expires: at(1_000),
        print: None,
        ended: None,
    };
    let byte = u8::try_from(seed).expect("a small one");
    (link, LiveLinkHash::from_bytes([byte; 32]))
}

fn event(kind: EventKind, print: &PrintId, millis: i64) -> PrinterEvent {
    PrinterEvent {
        at: at(millis),
        kind,
        print: Some(print.clone()),
        file: Some("vase.gcode".to_owned()),
        progress: Progress {
            printed_seconds: Some(3_600),
            ..Progress::default()
        },
        message: None,
    }
}

async fn links_are_found_while_they_hold_and_by_their_secret_alone(store: &RelayStore) -> Outcome {
    let ann = Maker::default().household(store, "ann@example.net").await?;
    let links = store.live_links();
    let (link, secret) = link(&ann, 1);
    check_eq!(links.create(&link, &secret, 9).await?, true);
    let found = links.find(&secret).await?.expect("it was just made");
    check_eq!((&found.link, &found.printer), (&link, &ann.printer.name));
    check_eq!(found.app, None);
    check_eq!(links.find_by_id(&link.id).await?, Some(found.clone()));
    let other = LiveLinkHash::from_bytes([9; 32]);
    check_eq!(links.find(&other).await?, None);
    let (owner, printer) = (&ann.account.id, &ann.printer.id);
    check_eq!(
        links.list_of_printer(owner, printer, at(999)).await?,
        std::slice::from_ref(&found)
    );
    check_eq!(links.list_of_printer(owner, printer, at(1_000)).await?, []);
    // The same secret does not come twice.
    let (again, _) = self::link(&ann, 2);
    check_eq!(links.create(&again, &secret, 9).await.is_err(), true);
    Ok(())
}

async fn links_end_with_their_printer_and_their_account(store: &RelayStore) -> Outcome {
    let maker = Maker::default();
    let ann = maker.household(store, "ann@example.net").await?;
    let bob = maker.household(store, "bob@example.net").await?;
    let links = store.live_links();
    let ((anns, first), (bobs, second)) = (link(&ann, 1), link(&bob, 2));
    links.create(&anns, &first, 9).await?;
    links.create(&bobs, &second, 9).await?;
    store
        .printers()
        .remove(&ann.account.id, &ann.printer.id, at(200))
        .await?;
    check_eq!(links.find(&first).await?, None);
    check_eq!(links.find(&second).await?.is_some(), true);
    store.accounts().delete(&bob.account.id, at(200)).await?;
    check_eq!(links.find(&second).await?, None);
    // Of what is gone there is no link.
    check_eq!(links.create(&anns, &first, 9).await?, false);
    Ok(())
}

async fn links_rest_while_an_account_is_suspended(store: &RelayStore) -> Outcome {
    let ann = Maker::default().household(store, "ann@example.net").await?;
    let links = store.live_links();
    let (link, secret) = link(&ann, 1);
    links.create(&link, &secret, 9).await?;
    let suspension = Suspension {
        at: at(200),
        reason: "because".to_owned(),
    };
    store
        .accounts()
        .suspend(&ann.account.id, &suspension)
        .await?;
    check_eq!(links.find(&secret).await?, None);
    check_eq!(links.find_by_id(&link.id).await?, None);
    store.accounts().unsuspend(&ann.account.id).await?;
    check_eq!(links.find(&secret).await?.is_some(), true);
    Ok(())
}

async fn links_end_with_the_membership_and_the_app_that_made_them(store: &RelayStore) -> Outcome {
    let maker = Maker::default();
    let ann = maker.household(store, "ann@example.net").await?;
    let bob = maker.household(store, "bob@example.net").await?;
    let links = store.live_links();
    let (by_bob, secret) = link(&ann, 1);
    let by_bob = LiveLink {
        account: bob.account.id.clone(),
        ..by_bob
    };
    check_eq!(links.create(&by_bob, &secret, 9).await?, false);
    let (printer, member) = (&ann.printer.id, &bob.account.id);
    store.members().add(printer, member, at(50)).await?;
    check_eq!(links.create(&by_bob, &secret, 9).await?, true);
    check_eq!(links.find(&secret).await?.is_some(), true);
    store.members().remove(printer, member, at(150)).await?;
    check_eq!(links.find(&secret).await?, None);
    // And one that an app made ends with the app's access.
    let (connection, _) = maker.app_connection(&ann.printer, AccessMode::Bearer);
    store.app_connections().insert(&connection).await?;
    let (by_app, secret) = link(&ann, 2);
    let by_app = LiveLink {
        app_connection: Some(connection.id.clone()),
        ..by_app
    };
    links.create(&by_app, &secret, 9).await?;
    let found = links.find(&secret).await?.expect("it was just made");
    check_eq!(found.app.expect("an app").as_str(), "OctoPod");
    store
        .app_connections()
        .end(&connection.id, EndReason::Revoked, at(160))
        .await?;
    check_eq!(links.find(&secret).await?, None);
    check_eq!(links.prune(at(170)).await?, 1);
    Ok(())
}

async fn a_printer_has_so_many_links_and_no_more(store: &RelayStore) -> Outcome {
    let ann = Maker::default().household(store, "ann@example.net").await?;
    let links = store.live_links();
    for (seed, made) in [(1, true), (2, true), (3, false)] {
        let (link, secret) = link(&ann, seed);
        check_eq!(links.create(&link, &secret, 2).await?, made);
    }
    // What is over does not count.
    let (link, secret) = link(&ann, 4);
    let later = LiveLink {
        created: at(1_000),
        expires: at(2_000),
        ..link
    };
    check_eq!(links.create(&later, &secret, 2).await?, true);
    Ok(())
}

async fn links_end_with_their_print_and_no_other(store: &RelayStore) -> Outcome {
    let ann = Maker::default().household(store, "ann@example.net").await?;
    let links = store.live_links();
    let chance = SeededChance::new(5);
    let (print, other) = (PrintId::generate(&chance), PrintId::generate(&chance));
    let ((bound, first), (free, second)) = (link(&ann, 1), link(&ann, 2));
    let bound = LiveLink {
        print: Some(print.clone()),
        ..bound
    };
    links.create(&bound, &first, 9).await?;
    links.create(&free, &second, 9).await?;
    check_eq!(links.list_with_print().await?.len(), 1);
    let events = store.events();
    for (kind, of) in [(EventKind::Complete, &other), (EventKind::Paused, &print)] {
        events.add(&ann.printer.id, &event(kind, of, 200)).await?;
        check_eq!(links.end_with_events().await?, []);
    }
    events
        .add(&ann.printer.id, &event(EventKind::Complete, &print, 300))
        .await?;
    check_eq!(
        links.end_with_events().await?.as_slice(),
        std::slice::from_ref(&bound.id)
    );
    check_eq!(links.end_with_events().await?, []);
    check_eq!(links.list_with_print().await?, []);
    let ended = links.find(&first).await?.expect("it shows the end");
    let end = PrintEnd {
        at: at(300),
        complete: Some(true),
        seconds: Some(3_600),
        file: Some("vase.gcode".to_owned()),
    };
    check_eq!(ended.link.ended, Some(end));
    check_eq!(links.end(&bound.id, &print, at(400)).await?, false);
    let of_printer = links.list_of_printer(&ann.account.id, &ann.printer.id, at(310));
    check_eq!(of_printer.await?.len(), 1);
    // Nobody saw this one end.
    let (unseen, third) = link(&ann, 3);
    let other = PrintId::generate(&chance);
    let unseen = LiveLink {
        print: Some(other.clone()),
        ..unseen
    };
    links.create(&unseen, &third, 9).await?;
    check_eq!(links.end(&unseen.id, &print, at(400)).await?, false);
    check_eq!(links.end(&unseen.id, &other, at(400)).await?, true);
    let ended = links.find(&third).await?.and_then(|found| found.link.ended);
    check_eq!(ended.expect("it ended").complete, None);
    // What was seen is worth more.
    let failed = event(EventKind::Failed, &other, 390);
    events.add(&ann.printer.id, &failed).await?;
    check_eq!(
        links.end_with_events().await?.as_slice(),
        std::slice::from_ref(&unseen.id)
    );
    let ended = links.find(&third).await?.and_then(|found| found.link.ended);
    let ended = ended.expect("it ended");
    check_eq!((ended.complete, ended.at), (Some(false), at(390)));
    Ok(())
}

async fn the_owner_alone_takes_links_back(store: &RelayStore) -> Outcome {
    let maker = Maker::default();
    let ann = maker.household(store, "ann@example.net").await?;
    let bob = maker.household(store, "bob@example.net").await?;
    let links = store.live_links();
    let (link, secret) = link(&ann, 1);
    links.create(&link, &secret, 9).await?;
    let (anns, bobs) = (&ann.printer.id, &bob.printer.id);
    for (owner, printer) in [
        (&bob.account.id, anns),
        (&bob.account.id, bobs),
        (&ann.account.id, bobs),
    ] {
        check_eq!(links.revoke(owner, printer, &link.id).await?, false);
        check_eq!(links.list_of_printer(owner, printer, at(200)).await?, []);
    }
    check_eq!(links.revoke(&ann.account.id, anns, &link.id).await?, true);
    check_eq!(links.revoke(&ann.account.id, anns, &link.id).await?, false);
    check_eq!(links.find(&secret).await?, None);
    Ok(())
}

async fn links_that_show_nothing_are_forgotten(store: &RelayStore) -> Outcome {
    const DAY: i64 = 86_400_000;
    let ann = Maker::default().household(store, "ann@example.net").await?;
    let links = store.live_links();
    let print = PrintId::generate(&SeededChance::new(5));
    let ((free, first), (bound, second)) = (link(&ann, 1), link(&ann, 2));
    let bound = LiveLink {
        print: Some(print.clone()),
        ..bound
    };
    links.create(&free, &first, 9).await?;
    links.create(&bound, &second, 9).await?;
    links.end(&bound.id, &print, at(500)).await?;
    check_eq!(links.prune(at(999)).await?, 0);
    check_eq!(links.prune(at(1_000)).await?, 1);
    check_eq!(links.find(&first).await?, None);
    check_eq!(links.prune(at(500 + DAY - 1)).await?, 0);
    check_eq!(links.prune(Timestamp::from_millis(500 + DAY)).await?, 1);
    Ok(())
}
