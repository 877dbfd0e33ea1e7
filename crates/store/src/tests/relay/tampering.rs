//! What somebody does to the audit log who has the database and no regard for its triggers.

use latchkey_model::audit::{AuditCheck, AuditEntry, AuditFault, AuditHead, WholeAddress};
use latchkey_model::chance::SeededChance;
use sqlx::AssertSqlSafe;

use crate::contract::at;
use crate::relay::RelayStore;

/// A log of four entries, and where it ends.
async fn log() -> (RelayStore, AuditHead) {
    let store = RelayStore::open_in_memory().await.unwrap();
    let whole = WholeAddress::new("203.0.113.7".to_owned(), &SeededChance::new(1));
    let mut head = AuditHead::EMPTY;
    for number in 1..=4 {
        let entry = AuditEntry {
            at: at(number),
            actor: "relay".to_owned(),
            act: "signed_in".to_owned(),
            account: None,
            printer: None,
            detail: number.to_string(),
            network: Some("203.0.113.0/24".to_owned()),
            address_hash: Some(whole.hash()),
        };
        head = store.audit().add(&entry, Some(&whole)).await.unwrap();
    }
    for trigger in [
        "audit_entries_are_not_changed",
        "audit_addresses_are_only_forgotten",
        "audit_entries_stay",
        "audit_anchor_only_moves_on",
        "audit_anchor_stays",
    ] {
        tamper(&store, &format!("DROP TRIGGER {trigger}")).await;
    }
    (store, head)
}

async fn tamper(store: &RelayStore, statement: &str) {
    sqlx::query(AssertSqlSafe(statement.to_owned()))
        .execute(store.pools().write())
        .await
        .unwrap();
}

async fn faults(store: &RelayStore, known: AuditHead) -> Vec<AuditFault> {
    let anchor = store.audit().anchor().await.unwrap();
    let mut check = AuditCheck::new(anchor.head, vec![known]);
    for record in store.audit().list_after(0, 100).await.unwrap() {
        check.next(&record);
    }
    check.finish().faults
}

#[tokio::test]
async fn whatever_is_done_to_the_log_shows() {
    let (store, head) = log().await;
    assert_eq!(faults(&store, head).await, []);
    for (statements, expected) in [
        (
            vec!["UPDATE audit_entries SET detail = 'x' WHERE number = 2"],
            vec![AuditFault::Changed { number: 2 }],
        ),
        (
            vec!["UPDATE audit_entries SET at = at - 1 WHERE number = 2"],
            vec![AuditFault::Changed { number: 2 }],
        ),
        (
            vec!["UPDATE audit_entries SET network = NULL WHERE number = 2"],
            vec![AuditFault::Changed { number: 2 }],
        ),
        (
            vec!["UPDATE audit_entries SET address = '203.0.113.8' WHERE number = 2"],
            vec![AuditFault::AddressChanged { number: 2 }],
        ),
        (
            vec!["DELETE FROM audit_entries WHERE number = 2"],
            vec![AuditFault::Missing { from: 2, to: 2 }],
        ),
        (
            vec!["DELETE FROM audit_entries WHERE number <= 2"],
            vec![AuditFault::Missing { from: 1, to: 2 }],
        ),
        (
            vec!["DELETE FROM audit_entries WHERE number >= 3"],
            vec![AuditFault::EndMissing { last: 2, known: 4 }],
        ),
        (
            vec!["DELETE FROM audit_entries"],
            vec![AuditFault::EndMissing { last: 0, known: 4 }],
        ),
        (
            vec![
                "UPDATE audit_entries SET number = 9 WHERE number = 2",
                "UPDATE audit_entries SET number = 2 WHERE number = 3",
                "UPDATE audit_entries SET number = 3 WHERE number = 9",
            ],
            vec![
                AuditFault::Changed { number: 2 },
                AuditFault::Changed { number: 3 },
                AuditFault::Changed { number: 4 },
            ],
        ),
    ] {
        let (store, head) = log().await;
        for statement in &statements {
            tamper(&store, statement).await;
        }
        assert_eq!(faults(&store, head).await, expected, "{statements:?}");
    }
}
