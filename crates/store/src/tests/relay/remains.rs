//! What is left in the database of somebody who deleted their account.

use latchkey_model::account_session::AccountSession;
use latchkey_model::app_connection::AccessMode;
use latchkey_model::audit::AuditEntry;
use latchkey_model::id::{AccountId, SessionId};
use latchkey_model::secret::{PasswordHash, SessionHash};
use sqlx::{AssertSqlSafe, Row as _};

use crate::contract::at;
use crate::contract::relay::{Household, Maker};
use crate::relay::RelayStore;

/// Everything in all tables, a line for each value: table, column, and the bytes.
async fn all_values(store: &RelayStore) -> Vec<(String, Vec<u8>)> {
    let pool = store.pools().read();
    let tables = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name";
    let mut values = Vec::new();
    for table in sqlx::query(tables).fetch_all(pool).await.unwrap() {
        let table: String = table.get(0);
        let columns = format!("SELECT name FROM pragma_table_info('{table}')");
        let columns = sqlx::query(AssertSqlSafe(columns)).fetch_all(pool);
        for column in columns.await.unwrap() {
            let column: String = column.get(0);
            let all = format!("SELECT CAST(\"{column}\" AS BLOB) FROM \"{table}\"");
            let rows = sqlx::query(AssertSqlSafe(all)).fetch_all(pool);
            for row in rows.await.unwrap() {
                if let Some(value) = row.get::<Option<Vec<u8>>, _>(0) {
                    values.push((format!("{table}.{column}"), value));
                }
            }
        }
    }
    values
}

async fn places_of(store: &RelayStore, text: &str) -> Vec<String> {
    let values = all_values(store).await;
    let has = |value: &[u8]| {
        value
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    let places = values.into_iter().filter(|(_, value)| has(value));
    places.map(|(place, _)| place).collect()
}

/// Bob in every table that can have him: his session, links of his and to him, a pairing, his
/// printer shared with Ann and Ann's with him, and app connections each has at the other's.
async fn involve(store: &RelayStore, make: &Maker, ann: &Household, bob: &Household) {
    let accounts = store.accounts();
    let hash = PasswordHash::new("$argon2id$bobs".to_owned());
    accounts
        .set_password_hash(&bob.account.id, &hash)
        .await
        .unwrap();
    let session = AccountSession {
        id: "sessionofbobaaaaaaaa".parse::<SessionId>().unwrap(),
        account: bob.account.id.clone(),
        created: at(1),
        seen: at(1),
        proved: at(1),
        second_factor: None,
        device: "Bobs browser".to_owned(),
        network: "203.0.113.0/24".to_owned(),
    };
    let cookie = SessionHash::from_bytes([7; 32]);
    let opened = store.sessions().open(&session, &cookie, Some(&hash)).await;
    assert!(opened.unwrap());
    let (ann_id, bob_id) = (&ann.account.id, &bob.account.id);
    let (anns, bobs) = (&ann.printer.id, &bob.printer.id);
    let email = bob.account.email.as_str();
    for statement in [
        format!(
            "INSERT INTO printer_members (printer_id, account_id, since_at) VALUES ('{anns}', '{bob_id}', 1), ('{bobs}', '{ann_id}', 1)"
        ),
        format!(
            "INSERT INTO links (secret_hash, purpose, account_id, printer_id, email, created_at, expires_at) VALUES (randomblob(32), 'reset_password', '{bob_id}', NULL, '{email}', 1, 2)"
        ),
        format!(
            "INSERT INTO links (secret_hash, purpose, account_id, printer_id, email, created_at, expires_at) VALUES (randomblob(32), 'share_printer', '{ann_id}', '{anns}', '{email}', 1, 2)"
        ),
        format!(
            "INSERT INTO links (secret_hash, purpose, account_id, printer_id, email, created_at, expires_at) VALUES (randomblob(32), 'share_printer', '{bob_id}', '{bobs}', 'c@example.com', 1, 2)"
        ),
        format!(
            "INSERT INTO pairings VALUES (randomblob(32), randomblob(32), substr(hex(randomblob(26)), 1, 52), randomblob(32), 'Bobs host', 'net', 1, 2, 'confirmed', '{bob_id}', '{bobs}')"
        ),
        format!(
            "INSERT INTO own_hosts VALUES ('own-{}', '{bob_id}', '{anns}', 1), ('own-{}', '{ann_id}', '{bobs}', 1)",
            "b".repeat(26),
            "c".repeat(26)
        ),
        format!(
            "INSERT INTO own_sessions VALUES ('sessionofbobaaaaaaaa', 'own-{}', randomblob(32), 1)",
            "b".repeat(26)
        ),
        format!(
            "UPDATE printers SET network = 'bobs-network', local_address = '192.168.7.7', name = 'Bobs printer' WHERE id = '{bobs}'"
        ),
    ] {
        let done = sqlx::query(AssertSqlSafe(statement)).execute(store.pools().write());
        done.await.unwrap();
    }
    let entry = AuditEntry {
        at: at(1),
        actor: bob_id.to_string(),
        act: "signed_in".to_owned(),
        account: Some(bob_id.to_string()),
        printer: Some(bobs.to_string()),
        detail: String::new(),
        network: None,
        address_hash: None,
    };
    store.audit().add(&entry, None).await.unwrap();
    guard(store, bob_id).await;
    tell(store, ann, bob).await;
    for (account, printer) in [(ann, bob), (bob, ann)] {
        let (mut connection, _) = make.app_connection(&printer.printer, AccessMode::Bearer);
        if let latchkey_model::app_connection::AppConnectionState::Live(live) =
            &mut connection.state
        {
            live.account = account.account.id.clone();
        }
        store.app_connections().insert(&connection).await.unwrap();
    }
}

/// What is told of printers, to apps and people, and kept of what they do.
async fn tell(store: &RelayStore, ann: &Household, bob: &Household) {
    let (ann_id, bob_id) = (&ann.account.id, &bob.account.id);
    let (anns, bobs) = (&ann.printer.id, &bob.printer.id);
    for statement in [
        format!(
            "INSERT INTO webhooks (app_connection_id, printer_id, generation, url, secret, set_at, done_number, tries, due_at, failures, skipped) SELECT id, '{anns}', 1, CAST('Bobs hook' AS BLOB), x'00', 1, 0, 0, 0, 0, 0 FROM app_connections WHERE account_id = '{bob_id}' AND printer_id = '{bobs}'"
        ),
        format!(
            "INSERT INTO snapshots VALUES ('{anns}', 1, 1, 1, x'00'), ('{bobs}', 1, 1, 1, CAST('Bobs picture' AS BLOB))"
        ),
        format!(
            "INSERT INTO snapshot_links VALUES (randomblob(32), '{anns}', 1, NULL, '{bob_id}'), (randomblob(32), '{bobs}', 1, NULL, '{ann_id}')"
        ),
        format!(
            "INSERT INTO print_letters VALUES ('{anns}', '{bob_id}', 1, 0), ('{bobs}', '{ann_id}', 1, 0)"
        ),
        format!(
            "INSERT INTO live_links VALUES ('bobs-link', randomblob(32), '{bobs}', '{bob_id}', NULL, 1, 2, 'p', 3, 1, 4, 'Bobs file'), ('anns-link', randomblob(32), '{anns}', '{bob_id}', NULL, 1, 2, NULL, NULL, NULL, NULL, NULL)"
        ),
        format!(
            "INSERT INTO activity VALUES ('{bobs}', 1, 'read', '', 'Bobs file', '{ann_id}', 'App', 1, 1, 1), ('{anns}', 1, 'read', '', '', '{bob_id}', 'Bobs app', 1, 1, 1)"
        ),
        format!("INSERT INTO printer_traffic VALUES ('{bobs}', 1, 1, 1, 1)"),
    ] {
        let done = sqlx::query(AssertSqlSafe(statement)).execute(store.pools().write());
        done.await.unwrap();
    }
}

/// What guards an account beside its password, and what its owner was told.
async fn guard(store: &RelayStore, account: &AccountId) {
    for statement in [
        format!("INSERT INTO code_generators VALUES ('{account}', X'00', 1, 1)"),
        format!("INSERT INTO recovery_codes VALUES ('{account}', randomblob(32))"),
        format!(
            "INSERT INTO passkeys VALUES ('passkeyofbobaaaaaaaa', '{account}', X'07', '{{}}', 'Bobs phone', 1, 1)"
        ),
        format!(
            "INSERT INTO account_notices VALUES ('{account}', 1, 1, 'new_device', '', 'Bobs browser', 'bobs-network')"
        ),
        format!(
            "INSERT INTO app_connection_origins SELECT id, '{account}', 'bobs-network', 'Bobs app', 1 FROM app_connections"
        ),
    ] {
        let done = sqlx::query(AssertSqlSafe(statement)).execute(store.pools().write());
        done.await.unwrap();
    }
}

#[tokio::test]
async fn of_a_deleted_account_nothing_remains_but_tombstones() {
    let store = RelayStore::open_in_memory().await.unwrap();
    let make = Maker::default();
    let ann = make.household(&store, "ann@example.com").await.unwrap();
    let bob = make.household(&store, "bob@example.com").await.unwrap();
    involve(&store, &make, &ann, &bob).await;
    let traces = [
        bob.account.id.as_str(),
        bob.account.email.as_str(),
        bob.printer.id.as_str(),
        "Bobs",
        "$argon2id$bobs",
        "bobs-network",
        "192.168.7.7",
        "sessionofbobaaaaaaaa",
        "bbbbbbbbbbbbbbbbbbbbbbbbbb",
        "cccccccccccccccccccccccccc",
    ];
    for trace in traces {
        assert!(!places_of(&store, trace).await.is_empty(), "{trace}");
    }
    let deleted = store.accounts().delete(&bob.account.id, at(90)).await;
    let deleted = deleted.unwrap().unwrap();
    assert_eq!(deleted.app_connections.len(), 3);
    for trace in traces {
        // Of who did what the ids are kept, which lead to nobody any more.
        let mut places = places_of(&store, trace).await;
        places.retain(|place| !place.starts_with("audit_entries."));
        assert_eq!(places, [""; 0], "{trace}");
    }
    let email = places_of(&store, bob.account.email.as_str()).await;
    assert_eq!(email, [""; 0], "also there");
    let entries = store.audit().list_after(0, 10).await.unwrap();
    assert_eq!(entries.len(), 1, "nobody deletes what they did");
    // The tombstones, by which apps are told that it is over; and Ann has what was hers.
    let ids: Vec<_> = deleted.app_connections;
    let standings = store.app_connections().standings(&ids).await.unwrap();
    assert_eq!(standings.iter().filter(|one| one.has_ended()).count(), 3);
    let anns = store.app_connections();
    let anns = anns.list_by_printer(&ann.account.id, &ann.printer.id);
    assert_eq!(anns.await.unwrap().len(), 1);
}
