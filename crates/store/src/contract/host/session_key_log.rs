//! What holds of the log of session keys.

use latchkey_model::id::SessionKeyId;
use latchkey_model::session_key::{Refusal, SessionAppName, SessionScope};

use super::Maker;
use crate::contract::{Case, Outcome, at, cases, check, check_eq};
use crate::error::StoreError;
use crate::host::{HostStore, KeyUse, SessionKeyOutcome, SessionKeyRecord};

cases! { HostStore,
    entry_is_listed_as_it_was_added,
    newest_come_first_of_one_app_or_all,
    uses_add_up_and_the_latest_is_told,
    key_ends_once_and_not_after_its_time,
    refusals_do_not_push_out_what_was_verified,
}

fn record(make: &Maker, app: &str, outcome: SessionKeyOutcome, millis: i64) -> SessionKeyRecord {
    SessionKeyRecord {
        id: SessionKeyId::generate(&make.chance),
        app: SessionAppName::parse(app).expect("a name"),
        outcome,
        at: at(millis),
        network: "192.168.1.0/24".to_owned(),
        ended: None,
        requests: 0,
        last_use: None,
    }
}

fn verified(make: &Maker, app: &str, millis: i64) -> SessionKeyRecord {
    let (scope, until) = (SessionScope::Full, at(millis + 1000));
    record(
        make,
        app,
        SessionKeyOutcome::Verified { scope, until },
        millis,
    )
}

async fn entry_is_listed_as_it_was_added(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let mut added = Vec::new();
    for scope in SessionScope::ALL {
        let until = at(500);
        added.push(record(
            &make,
            "a:1",
            SessionKeyOutcome::Verified { scope, until },
            10,
        ));
    }
    for refusal in Refusal::ALL {
        let mut refused = record(&make, "a:1", SessionKeyOutcome::Refused(refusal), 10);
        refused.requests = 3;
        added.push(refused);
    }
    for record in &added {
        store.session_key_log().add(record).await?;
    }
    let again = store.session_key_log().add(&added[0]).await;
    check!(matches!(again, Err(StoreError::Conflict)));
    added.reverse();
    check_eq!(store.session_key_log().list(None, 100).await?, added);
    Ok(())
}

async fn newest_come_first_of_one_app_or_all(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let entries = [
        verified(&make, "a:1", 10),
        verified(&make, "b:1", 30),
        verified(&make, "a:1", 20),
    ];
    for entry in &entries {
        store.session_key_log().add(entry).await?;
    }
    let [first, second, third] = entries;
    let log = store.session_key_log();
    check_eq!(log.list(None, 2).await?, [second, third.clone()]);
    let app = first.app.clone();
    check_eq!(log.list(Some(&app), 10).await?, [third, first]);
    Ok(())
}

async fn uses_add_up_and_the_latest_is_told(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let entry = verified(&make, "a:1", 10);
    store.session_key_log().add(&entry).await?;
    for (millis, network, requests) in [(40, "10.0.0.0/24", 2), (30, "10.0.1.0/24", 3)] {
        let used = KeyUse {
            id: entry.id.clone(),
            at: at(millis),
            network: network.to_owned(),
            requests,
        };
        let unknown = KeyUse {
            id: SessionKeyId::generate(&make.chance),
            ..used.clone()
        };
        store.session_key_log().note_uses(&[used, unknown]).await?;
    }
    let expected = SessionKeyRecord {
        requests: 5,
        last_use: Some((at(40), "10.0.0.0/24".to_owned())),
        ..entry
    };
    check_eq!(store.session_key_log().list(None, 10).await?, [expected]);
    Ok(())
}

async fn key_ends_once_and_not_after_its_time(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let (old, ended, lasting) = (
        verified(&make, "a:1", 10),
        verified(&make, "a:2", 5000),
        verified(&make, "a:3", 5000),
    );
    let refused = SessionKeyOutcome::Refused(Refusal::Key);
    let refused = record(&make, "a:4", refused, 5000);
    for entry in [&old, &ended, &lasting, &refused] {
        store.session_key_log().add(entry).await?;
    }
    let log = store.session_key_log();
    for millis in [5100, 5200] {
        log.end(&ended.id, at(millis)).await?;
    }
    log.end(&old.id, at(5300)).await?;
    log.end_all(at(5400)).await?;
    let end_of = async |entry: &SessionKeyRecord| {
        let found = log.list(Some(&entry.app), 1).await?;
        Ok::<_, StoreError>(found[0].ended)
    };
    check_eq!(end_of(&ended).await?, Some(at(5100)));
    check_eq!(end_of(&old).await?, None);
    check_eq!(end_of(&lasting).await?, Some(at(5400)));
    check_eq!(end_of(&refused).await?, None);
    Ok(())
}

async fn refusals_do_not_push_out_what_was_verified(store: &HostStore) -> Outcome {
    let make = Maker::default();
    let kept = verified(&make, "a:1", 1);
    store.session_key_log().add(&kept).await?;
    for millis in 2..=503 {
        let refused = SessionKeyOutcome::Refused(Refusal::Signature);
        let refused = record(&make, "b:1", refused, millis);
        store.session_key_log().add(&refused).await?;
    }
    let all = store.session_key_log().list(None, 1000).await?;
    check_eq!(all.len(), 501);
    check_eq!(all.last(), Some(&kept));
    check_eq!(all[499].at, at(4));
    Ok(())
}
