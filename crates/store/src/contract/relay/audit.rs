//! What holds of the audit log.

use latchkey_model::audit::{AuditEntry, AuditHead, WholeAddress};
use latchkey_model::chance::SeededChance;

use crate::contract::{Case, Outcome, at, cases, check, check_eq};
use crate::relay::{AuditFilter, RelayStore};

cases! { RelayStore,
    entries_are_chained_in_the_order_in_which_they_came,
    entries_are_found_by_account_and_act,
    log_that_was_cut_off_goes_on,
    whole_addresses_are_forgotten_and_the_chain_holds,
}

fn entry(millis: i64, act: &str) -> AuditEntry {
    AuditEntry {
        at: at(millis),
        actor: "relay".to_owned(),
        act: act.to_owned(),
        account: None,
        printer: None,
        detail: "a detail".to_owned(),
        network: Some("203.0.113.0/24".to_owned()),
        address_hash: None,
    }
}

async fn entries_are_chained_in_the_order_in_which_they_came(store: &RelayStore) -> Outcome {
    let audit = store.audit();
    check_eq!(audit.head().await?, AuditHead::EMPTY);
    let mut heads = vec![AuditHead::EMPTY];
    for number in 1..=3 {
        let head = audit.add(&entry(number, "signed_in"), None).await?;
        check_eq!(head, audit.head().await?);
        heads.push(head);
    }
    let all = audit.list_after(0, 10).await?;
    check_eq!(all.len(), 3);
    for (record, before) in all.iter().zip(&heads) {
        check_eq!(record.number, before.number + 1);
        check!(record.follows(&before.hash));
    }
    check_eq!(audit.list_after(2, 10).await?, &all[2..]);
    check_eq!(audit.find(2).await?.as_ref(), all.get(1));
    check_eq!(audit.find(4).await?, None);
    Ok(())
}

async fn entries_are_found_by_account_and_act(store: &RelayStore) -> Outcome {
    let audit = store.audit();
    let ann = "aaaaaaaaaaaaaaaaaaaa";
    let about = AuditEntry {
        account: Some(ann.to_owned()),
        ..entry(1, "suspended")
    };
    let by = AuditEntry {
        actor: ann.to_owned(),
        ..entry(2, "signed_in")
    };
    for entry in [&about, &by, &entry(3, "signed_in")] {
        audit.add(entry, None).await?;
    }
    let numbers = async |filter: AuditFilter, most| {
        let found = audit.list(&filter, most).await?;
        let numbers: Vec<_> = found.iter().map(|record| record.number).collect();
        Ok::<_, crate::StoreError>(numbers)
    };
    let all = AuditFilter::default;
    let account = Some(ann.parse()?);
    check_eq!(numbers(all(), 10).await?, [3, 2, 1]);
    check_eq!(numbers(all(), 2).await?, [3, 2]);
    let before = Some(3);
    check_eq!(numbers(AuditFilter { before, ..all() }, 10).await?, [2, 1]);
    check_eq!(
        numbers(
            AuditFilter {
                account: account.clone(),
                ..all()
            },
            10
        )
        .await?,
        [2, 1]
    );
    let act = Some("signed_in".to_owned());
    let both = AuditFilter {
        account,
        act: act.clone(),
        before: None,
    };
    check_eq!(numbers(both, 10).await?, [2]);
    check_eq!(numbers(AuditFilter { act, ..all() }, 10).await?, [3, 2]);
    check_eq!(audit.acts().await?, ["signed_in", "suspended"]);
    Ok(())
}

async fn log_that_was_cut_off_goes_on(store: &RelayStore) -> Outcome {
    let audit = store.audit();
    for millis in 1..=4 {
        audit.add(&entry(millis, "signed_in"), None).await?;
    }
    check_eq!(audit.last_to_cut(at(1), 10).await?, None);
    let last = audit.last_to_cut(at(3), 10).await?.ok_or("something")?;
    check_eq!(last.number, 2);
    let beyond = audit.last_to_cut(at(1), 1).await?.ok_or("something")?;
    check_eq!(beyond.number, 3);
    // However old it is, the newest one stays.
    let newest = audit.last_to_cut(at(99), 10).await?.ok_or("something")?;
    check_eq!(newest.number, 3);
    let head = AuditHead {
        number: last.number,
        hash: last.hash,
    };
    check_eq!(audit.cut(&head, &[7; 32]).await?, 2);
    check_eq!(audit.cut(&head, &[8; 32]).await?, 0);
    let anchor = audit.anchor().await?;
    check_eq!((anchor.head, anchor.seal), (head, Some([7; 32])));
    let kept = audit.list_after(0, 10).await?;
    check_eq!(kept.len(), 2);
    check!(kept[0].follows(&anchor.head.hash));
    check_eq!(audit.add(&entry(9, "signed_in"), None).await?.number, 5);
    Ok(())
}

async fn whole_addresses_are_forgotten_and_the_chain_holds(store: &RelayStore) -> Outcome {
    let audit = store.audit();
    let whole = WholeAddress::new("203.0.113.7".to_owned(), &SeededChance::new(1));
    for millis in [1, 5] {
        let entry = AuditEntry {
            address_hash: Some(whole.hash()),
            ..entry(millis, "signed_in")
        };
        audit.add(&entry, Some(&whole)).await?;
    }
    check_eq!(audit.forget_addresses(at(5)).await?, 1);
    check_eq!(audit.forget_addresses(at(5)).await?, 0);
    let all = audit.list_after(0, 10).await?;
    check_eq!(all[0].address, None);
    check_eq!(all[0].entry.network.as_deref(), Some("203.0.113.0/24"));
    check_eq!(all[1].address.as_ref(), Some(&whole));
    check!(all[0].follows(&AuditHead::EMPTY.hash) && all[1].follows(&all[0].hash));
    check!(
        all.iter()
            .all(latchkey_model::audit::AuditRecord::has_its_address)
    );
    Ok(())
}
