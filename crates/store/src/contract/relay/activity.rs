//! What holds of what was done at printers, and of how much data moved.

use latchkey_model::activity::Did;
use latchkey_model::id::PrinterId;
use latchkey_model::printing::{EventKind, PrinterEvent, Progress};

use super::{Household, Maker};
use crate::contract::{Case, Outcome, at, cases, check_eq};
use crate::relay::{Done, Happening, Moved, RelayStore, Told, TrafficOfDay};

cases! { RelayStore,
    what_is_done_again_within_a_quarter_of_an_hour_is_told_once,
    owners_see_everything_and_members_their_own,
    what_happened_to_the_printer_is_told_among_it,
    old_activity_and_more_than_enough_is_forgotten,
    traffic_is_added_up_by_day,
}

const QUARTER: i64 = 15 * 60 * 1000;

fn done(household: &Household, did: Did, millis: i64) -> Done {
    Done {
        printer: household.printer.id.clone(),
        did,
        about: household.connection.id.to_string(),
        name: String::new(),
        account: household.account.id.clone(),
        app: "OctoPod".to_owned(),
        at: at(millis),
        times: 1,
        bytes: 10,
    }
}

fn event(kind: EventKind, millis: i64) -> PrinterEvent {
    PrinterEvent {
        at: at(millis),
        kind,
        print: None,
        file: Some("vase.gcode".to_owned()),
        progress: Progress::default(),
        message: None,
    }
}

fn kinds(told: &[Told]) -> Vec<String> {
    let kind = |told: &Told| match &told.what {
        Happening::Did { did, times, .. } => format!("{} {times}", did.as_str()),
        Happening::Event { kind, .. } => kind.as_str().to_owned(),
    };
    told.iter().map(kind).collect()
}

async fn what_is_done_again_within_a_quarter_of_an_hour_is_told_once(
    store: &RelayStore,
) -> Outcome {
    let ann = Maker::default().household(store, "ann@example.net").await?;
    let activity = store.activity();
    let named = Done {
        name: "vase.gcode".to_owned(),
        ..done(&ann, Did::Upload, 3)
    };
    activity
        .add(&[
            done(&ann, Did::Read, 5),
            done(&ann, Did::Read, 2),
            done(&ann, Did::Camera, 4),
            named.clone(),
            done(&ann, Did::Upload, 1),
            done(&ann, Did::Read, QUARTER),
        ])
        .await?;
    let told = activity.list(&ann.account.id, at(i64::MAX), 9).await?;
    check_eq!(
        kinds(&told),
        ["read 1", "read 2", "camera 1", "upload 1", "upload 1"]
    );
    check_eq!(told[1].at, at(5));
    check_eq!(told[1].printer_name, ann.printer.name);
    check_eq!(
        told[3].what,
        Happening::Did {
            did: Did::Upload,
            app: named.app,
            name: named.name,
            account: named.account,
            email: ann.account.email.clone(),
            times: 1,
            bytes: 10,
        }
    );
    let page = activity.list(&ann.account.id, at(5), 2).await?;
    check_eq!(kinds(&page), ["camera 1", "upload 1"]);
    // Of a printer that is gone nothing is kept.
    let gone = Done {
        printer: "A".repeat(48).parse::<PrinterId>().expect("an id"),
        ..done(&ann, Did::Read, 1)
    };
    activity.add(&[gone]).await?;
    Ok(())
}

async fn owners_see_everything_and_members_their_own(store: &RelayStore) -> Outcome {
    let maker = Maker::default();
    let ann = maker.household(store, "ann@example.net").await?;
    let bob = maker.household(store, "bob@example.net").await?;
    let activity = store.activity();
    let members = store.members();
    members.add(&ann.printer.id, &bob.account.id, at(1)).await?;
    let by_bob = Done {
        account: bob.account.id.clone(),
        ..done(&ann, Did::Camera, 9)
    };
    activity
        .add(&[
            done(&ann, Did::Read, 8),
            by_bob,
            done(&bob, Did::Control, 7),
        ])
        .await?;
    let everything = activity.list(&ann.account.id, at(99), 9).await?;
    check_eq!(kinds(&everything), ["camera 1", "read 1"]);
    let own = activity.list(&bob.account.id, at(99), 9).await?;
    check_eq!(kinds(&own), ["camera 1", "control 1"]);
    let of_printer = activity.list_of_printer(&bob.account.id, &ann.printer.id, at(99), 9);
    check_eq!(kinds(&of_printer.await?), ["camera 1"]);
    members
        .remove(&ann.printer.id, &bob.account.id, at(20))
        .await?;
    let own = activity.list(&bob.account.id, at(99), 9).await?;
    check_eq!(kinds(&own), ["control 1"]);
    Ok(())
}

async fn what_happened_to_the_printer_is_told_among_it(store: &RelayStore) -> Outcome {
    let maker = Maker::default();
    let ann = maker.household(store, "ann@example.net").await?;
    let bob = maker.household(store, "bob@example.net").await?;
    store.activity().add(&[done(&ann, Did::Read, 45)]).await?;
    for (kind, millis) in [
        (EventKind::Started, 10),
        (EventKind::Progress, 20),
        (EventKind::Offline, 30),
        (EventKind::Offline, 40),
        (EventKind::Online, 50),
    ] {
        store
            .events()
            .add(&ann.printer.id, &event(kind, millis))
            .await?;
    }
    let told = store.activity().list(&ann.account.id, at(99), 9).await?;
    check_eq!(
        kinds(&told),
        ["online", "read 1", "offline", "offline", "started"]
    );
    check_eq!(
        told[0].what,
        Happening::Event {
            kind: EventKind::Online,
            file: Some("vase.gcode".to_owned()),
            message: None,
            away_since: Some(at(40)),
        }
    );
    check_eq!(store.activity().list(&bob.account.id, at(99), 9).await?, []);
    Ok(())
}

async fn old_activity_and_more_than_enough_is_forgotten(store: &RelayStore) -> Outcome {
    let maker = Maker::default();
    let ann = maker.household(store, "ann@example.net").await?;
    let bob = maker.household(store, "bob@example.net").await?;
    let activity = store.activity();
    let many: Vec<_> = (0..6)
        .map(|number| done(&ann, Did::Read, number * QUARTER))
        .collect();
    activity.add(&many).await?;
    activity.add(&[done(&bob, Did::Read, 0)]).await?;
    check_eq!(activity.forget(at(0), 3).await?, 3);
    let told = activity.list(&ann.account.id, at(i64::MAX), 9).await?;
    check_eq!(told.len(), 3);
    check_eq!(told[0].at, at(5 * QUARTER));
    check_eq!(activity.forget(at(0), 3).await?, 0);
    check_eq!(activity.forget(at(4 * QUARTER), 3).await?, 2);
    check_eq!(
        activity.list(&bob.account.id, at(i64::MAX), 9).await?.len(),
        0
    );
    Ok(())
}

async fn traffic_is_added_up_by_day(store: &RelayStore) -> Outcome {
    let maker = Maker::default();
    let ann = maker.household(store, "ann@example.net").await?;
    let traffic = store.traffic();
    let part = |day, sent| TrafficOfDay {
        printer: ann.printer.id.clone(),
        day,
        moved: Moved {
            sent,
            camera: 2,
            received: 3,
        },
    };
    let gone = TrafficOfDay {
        printer: maker.printer(&ann.account, "gone").id,
        ..part(7, 1)
    };
    traffic
        .add(&[part(7, 10), part(8, 20), part(7, 5), gone])
        .await?;
    let moved = |sent, camera, received| Moved {
        sent,
        camera,
        received,
    };
    check_eq!(
        traffic.list(&ann.printer.id, 0).await?,
        [(7, moved(15, 4, 6)), (8, moved(20, 2, 3))]
    );
    check_eq!(traffic.list(&ann.printer.id, 8).await?.len(), 1);
    check_eq!(traffic.forget(8).await?, 1);
    check_eq!(traffic.list(&ann.printer.id, 0).await?.len(), 1);
    Ok(())
}
