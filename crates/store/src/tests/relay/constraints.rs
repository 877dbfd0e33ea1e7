//! Tries to break each constraint with plain SQL, as a bug in a query would.

use latchkey_model::chance::SeededChance;
use latchkey_model::pairing::Pairing;
use latchkey_model::printer::HostKey;
use latchkey_model::secret::{PairingCode, PairingPoll};

use crate::contract::at;
use crate::contract::relay::{Household, Maker};
use crate::relay::RelayStore;
use crate::tests::all_refused;

async fn store() -> (RelayStore, Household) {
    let store = RelayStore::open_in_memory().await.unwrap();
    let household = Maker::default()
        .household(&store, "ann@example.com")
        .await
        .unwrap();
    (store, household)
}

#[tokio::test]
async fn account_cannot_be_kept_wrongly() {
    let (store, _) = store().await;
    let statements = [
        ("UPDATE accounts SET id = NULL", "NOT NULL"),
        ("UPDATE accounts SET email = NULL", "NOT NULL"),
        ("UPDATE accounts SET email = 'Ann@example.com'", "CHECK"),
        ("UPDATE accounts SET email = ''", "CHECK"),
        ("UPDATE accounts SET plan = NULL", "NOT NULL"),
        ("UPDATE accounts SET created_at = NULL", "NOT NULL"),
        (
            "UPDATE accounts SET created_at = 'today'",
            "cannot store TEXT",
        ),
        (
            "UPDATE accounts SET suspended_at = 1",
            "suspended_with_reason",
        ),
        (
            "UPDATE accounts SET suspended_reason = 'x'",
            "suspended_with_reason",
        ),
        (
            "INSERT INTO accounts (id, email, plan, created_at)
             SELECT 'other', email, plan, 1 FROM accounts",
            "UNIQUE constraint failed: accounts.email",
        ),
        (
            "INSERT INTO accounts (id, email, plan, created_at)
             SELECT id, 'other', plan, 1 FROM accounts",
            "UNIQUE constraint failed: accounts.id",
        ),
        ("DELETE FROM accounts", "FOREIGN KEY"),
    ];
    all_refused(store.pools(), &statements).await;
}

#[tokio::test]
async fn printer_cannot_be_kept_wrongly() {
    let (store, _) = store().await;
    let statements = [
        ("UPDATE printers SET id = NULL", "NOT NULL"),
        ("UPDATE printers SET id = 'SHORT'", "CHECK"),
        ("UPDATE printers SET id = id || 'ABCDEFGHIJKLM'", "CHECK"),
        ("UPDATE printers SET account_id = NULL", "NOT NULL"),
        ("UPDATE printers SET account_id = 'nobody'", "FOREIGN KEY"),
        ("UPDATE printers SET name = NULL", "NOT NULL"),
        ("UPDATE printers SET name = ''", "CHECK"),
        ("UPDATE printers SET name = hex(zeroblob(33))", "CHECK"),
        ("UPDATE printers SET created_at = NULL", "NOT NULL"),
        (
            "UPDATE printers SET host_key = zeroblob(32)",
            "host_id_with_key",
        ),
        (
            "UPDATE printers SET host_id = substr(hex(zeroblob(32)), 1, 52)",
            "host_id_with_key",
        ),
        (
            "UPDATE printers SET host_key = zeroblob(31), host_id = 'x'",
            "CHECK",
        ),
        (
            "UPDATE printers SET host_key = zeroblob(32), host_id = 'x'",
            "CHECK",
        ),
        ("DELETE FROM printers", "FOREIGN KEY"),
    ];
    all_refused(store.pools(), &statements).await;
}

#[tokio::test]
async fn host_cannot_be_two_printers() {
    let (store, ann) = store().await;
    let second = Maker::default().printer(&ann.account, "second");
    let mut second = second;
    second.id = "Z".repeat(48).parse().unwrap();
    store.printers().create(&second).await.unwrap();
    let statements = [(
        "UPDATE printers SET host_key = zeroblob(32),
                             host_id = substr(hex(zeroblob(32)), 1, 52)",
        "UNIQUE constraint failed: printers.host_id",
    )];
    all_refused(store.pools(), &statements).await;
}

#[tokio::test]
async fn app_connection_cannot_be_kept_wrongly() {
    let (store, _) = store().await;
    let statements = [
        ("UPDATE app_connections SET id = NULL", "NOT NULL"),
        ("UPDATE app_connections SET label_hash = NULL", "NOT NULL"),
        (
            "UPDATE app_connections SET label_hash = zeroblob(31)",
            "CHECK",
        ),
        (
            "UPDATE app_connections SET label_hash = 'text'",
            "cannot store TEXT",
        ),
        (
            "UPDATE app_connections SET app_token_hash = NULL",
            "NOT NULL",
        ),
        (
            "UPDATE app_connections SET app_token_hash = zeroblob(33)",
            "CHECK",
        ),
        (
            "UPDATE app_connections SET basic_hash = zeroblob(1)",
            "CHECK",
        ),
        (
            "UPDATE app_connections SET bearer_hash = zeroblob(1)",
            "CHECK",
        ),
        ("UPDATE app_connections SET access_mode = 'open'", "CHECK"),
        (
            "UPDATE app_connections SET access_mode = 'none'",
            "hashes_of_mode",
        ),
        (
            "UPDATE app_connections SET access_mode = 'basic'",
            "hashes_of_mode",
        ),
        (
            "UPDATE app_connections SET access_mode = 'bearer'",
            "hashes_of_mode",
        ),
        (
            "UPDATE app_connections SET basic_hash = NULL",
            "hashes_of_mode",
        ),
        (
            "UPDATE app_connections SET bearer_hash = NULL",
            "hashes_of_mode",
        ),
    ];
    all_refused(store.pools(), &statements).await;
}

#[tokio::test]
async fn app_connection_cannot_be_half_live_or_take_anothers_place() {
    let (store, _) = store().await;
    let statements = [
        (
            "UPDATE app_connections SET printer_id = 'gone'",
            "FOREIGN KEY",
        ),
        (
            "UPDATE app_connections SET printer_id = NULL",
            "live_or_ended",
        ),
        (
            "UPDATE app_connections SET account_id = NULL",
            "live_or_ended",
        ),
        (
            "UPDATE app_connections SET account_id = 'gone'",
            "FOREIGN KEY",
        ),
        ("UPDATE app_connections SET scope = NULL", "live_or_ended"),
        ("UPDATE app_connections SET scope = 'half'", "CHECK"),
        ("UPDATE app_connections SET app_id = NULL", "live_or_ended"),
        (
            "UPDATE app_connections SET app_name = NULL",
            "live_or_ended",
        ),
        (
            "UPDATE app_connections SET created_at = NULL",
            "live_or_ended",
        ),
        ("UPDATE app_connections SET ended_at = 1", "live_or_ended"),
        (
            "UPDATE app_connections SET end_reason = 'revoked'",
            "live_or_ended",
        ),
        (
            "UPDATE app_connections SET ended_at = 1, end_reason = 'revoked'",
            "live_or_ended",
        ),
        (
            "INSERT INTO app_connections
             SELECT 'a', label_hash, zeroblob(32), access_mode, basic_hash, bearer_hash, account_id,
                    printer_id, scope, app_id, app_name, created_at, NULL, 0, 0, NULL, NULL
             FROM app_connections",
            "UNIQUE constraint failed: app_connections.label_hash",
        ),
        (
            "INSERT INTO app_connections
             SELECT 'a', zeroblob(32), app_token_hash, access_mode, basic_hash, bearer_hash,
                    account_id, printer_id, scope, app_id, app_name, created_at, NULL, 0, 0, NULL,
                    NULL
             FROM app_connections",
            "UNIQUE constraint failed: app_connections.app_token_hash",
        ),
    ];
    all_refused(store.pools(), &statements).await;
}

#[tokio::test]
async fn tombstone_keeps_nothing_personal() {
    let (store, ann) = store().await;
    store
        .accounts()
        .delete(&ann.account.id, at(90))
        .await
        .unwrap();
    let statements = [
        ("UPDATE app_connections SET end_reason = 'bored'", "CHECK"),
        (
            "UPDATE app_connections SET end_reason = NULL",
            "live_or_ended",
        ),
        (
            "UPDATE app_connections SET ended_at = NULL",
            "live_or_ended",
        ),
        (
            "UPDATE app_connections SET app_id = 'octopod'",
            "live_or_ended",
        ),
        (
            "UPDATE app_connections SET app_name = 'OctoPod'",
            "live_or_ended",
        ),
        ("UPDATE app_connections SET scope = 'full'", "live_or_ended"),
        ("UPDATE app_connections SET created_at = 1", "live_or_ended"),
        (
            "UPDATE app_connections SET last_used_at = 1",
            "live_or_ended",
        ),
        ("UPDATE app_connections SET requests = 1", "live_or_ended"),
        ("UPDATE app_connections SET bytes = 1", "live_or_ended"),
    ];
    all_refused(store.pools(), &statements).await;
}

#[tokio::test]
async fn row_that_breaks_the_model_is_named_not_guessed_about() {
    let (store, ann) = store().await;
    sqlx::query("UPDATE accounts SET plan = 'No Plan'")
        .execute(store.pools().write())
        .await
        .unwrap();
    let error = store.accounts().load(&ann.account.id).await.unwrap_err();
    assert!(
        matches!(&error, crate::StoreError::Inconsistent { table: "accounts", row }
            if *row == ann.account.id.as_str()),
        "{error:?}"
    );
    let label = ann.credentials.label.hash();
    let error = store
        .app_connections()
        .find_by_label_hash(&label)
        .await
        .unwrap_err();
    assert!(matches!(error, crate::StoreError::Inconsistent { .. }));
}

#[tokio::test]
async fn pairing_cannot_be_kept_wrongly() {
    let (store, _) = store().await;
    let chance = SeededChance::new(3);
    let code = PairingCode::generate(&chance).hash();
    let poll = PairingPoll::generate(&chance).hash();
    let key = HostKey::from_bytes([1; 32]);
    let pairing = Pairing::new(key, "octopi".to_owned(), "192.0.2.0/24".to_owned(), at(1));
    let pairings = store.pairings();
    assert!(pairings.start(&code, &poll, &pairing, 9).await.unwrap());
    let statements = [
        ("UPDATE pairings SET code_hash = NULL", "NOT NULL"),
        ("UPDATE pairings SET code_hash = zeroblob(31)", "CHECK"),
        (
            "UPDATE pairings SET code_hash = 'BCDF'",
            "cannot store TEXT",
        ),
        ("UPDATE pairings SET poll_hash = NULL", "NOT NULL"),
        ("UPDATE pairings SET poll_hash = zeroblob(33)", "CHECK"),
        ("UPDATE pairings SET host_id = 'short'", "CHECK"),
        ("UPDATE pairings SET host_id = NULL", "NOT NULL"),
        ("UPDATE pairings SET host_key = zeroblob(31)", "CHECK"),
        ("UPDATE pairings SET host_name = NULL", "NOT NULL"),
        ("UPDATE pairings SET network = NULL", "NOT NULL"),
        ("UPDATE pairings SET expires_at = NULL", "NOT NULL"),
        ("UPDATE pairings SET outcome = 'maybe'", "CHECK"),
        ("UPDATE pairings SET account_id = 'nobody'", "FOREIGN KEY"),
        ("UPDATE pairings SET printer_id = 'none'", "FOREIGN KEY"),
        (
            "INSERT INTO pairings (code_hash, poll_hash, host_id, host_key, host_name, network,
                 created_at, expires_at)
             SELECT zeroblob(32), zeroblob(32), host_id, host_key, host_name, network, 1, 2
             FROM pairings",
            "UNIQUE constraint failed: pairings.host_id",
        ),
    ];
    all_refused(store.pools(), &statements).await;
}

#[tokio::test]
async fn what_is_told_cannot_be_kept_wrongly() {
    let (store, house) = store().await;
    let (printer, account) = (&house.printer.id, &house.account.id);
    let app = &house.connection.id;
    for good in [
        format!(
            "INSERT INTO webhooks (app_connection_id, printer_id, generation, url, secret, set_at, done_number, tries, due_at, failures, skipped) VALUES ('{app}', '{printer}', 1, x'00', x'00', 1, 0, 0, 0, 0, 0)"
        ),
        format!("INSERT INTO snapshots VALUES ('{printer}', 1, 1, 1, x'00')"),
        format!("INSERT INTO snapshot_links VALUES (x'01', '{printer}', 1, '{app}', NULL)"),
        format!("INSERT INTO print_letters VALUES ('{printer}', '{account}', 1, 0)"),
    ] {
        let done = sqlx::query(sqlx::AssertSqlSafe(good)).execute(store.pools().write());
        done.await.unwrap();
    }
    let statements = [
        ("UPDATE webhooks SET app_connection_id = 'x'", "FOREIGN KEY"),
        ("UPDATE webhooks SET printer_id = 'x'", "FOREIGN KEY"),
        ("UPDATE webhooks SET url = NULL", "NOT NULL"),
        ("UPDATE webhooks SET secret = NULL", "NOT NULL"),
        ("UPDATE webhooks SET kinds = 'all'", "cannot store TEXT"),
        (
            "INSERT INTO webhooks SELECT * FROM webhooks",
            "UNIQUE constraint failed: webhooks.app_connection_id",
        ),
        ("UPDATE snapshots SET printer_id = 'x'", "FOREIGN KEY"),
        ("UPDATE snapshots SET picture = NULL", "NOT NULL"),
        (
            "INSERT INTO snapshots SELECT * FROM snapshots",
            "UNIQUE constraint failed: snapshots",
        ),
        ("UPDATE snapshot_links SET event_number = 2", "FOREIGN KEY"),
        (
            "UPDATE snapshot_links SET app_connection_id = NULL",
            "given_to_one",
        ),
        (
            "UPDATE snapshot_links SET account_id = (SELECT id FROM accounts)",
            "given_to_one",
        ),
        (
            "INSERT INTO snapshot_links SELECT * FROM snapshot_links",
            "UNIQUE constraint failed: snapshot_links.hash",
        ),
        ("UPDATE print_letters SET account_id = 'x'", "FOREIGN KEY"),
        (
            "INSERT INTO print_letters SELECT * FROM print_letters",
            "UNIQUE constraint failed: print_letters",
        ),
    ];
    all_refused(store.pools(), &statements).await;
}

#[tokio::test]
async fn audit_log_is_only_added_to() {
    let store = RelayStore::open_in_memory().await.unwrap();
    let entry = latchkey_model::audit::AuditEntry {
        at: at(1),
        actor: "relay".to_owned(),
        act: "signed_in".to_owned(),
        account: None,
        printer: None,
        detail: String::new(),
        network: None,
        address_hash: Some([1; 32]),
    };
    let mut head = store.audit().add(&entry, None).await.unwrap();
    for _ in 0..2 {
        head = store.audit().add(&entry, None).await.unwrap();
    }
    let statements = [
        ("UPDATE audit_entries SET detail = 'x'", "is not changed"),
        ("UPDATE audit_entries SET at = 2", "is not changed"),
        ("UPDATE audit_entries SET actor = 'x'", "is not changed"),
        (
            "UPDATE audit_entries SET number = number + 1",
            "is not changed",
        ),
        (
            "UPDATE audit_entries SET hash = zeroblob(32)",
            "is not changed",
        ),
        (
            "UPDATE audit_entries SET address = 'x', address_salt = zeroblob(16)",
            "is not changed",
        ),
        ("DELETE FROM audit_entries", "is not removed"),
        (
            "DELETE FROM audit_entries WHERE number = 3",
            "is not removed",
        ),
        ("DELETE FROM audit_anchor", "stays so"),
        (
            "INSERT INTO audit_anchor VALUES (2, 0, NULL, NULL)",
            "CHECK",
        ),
        (
            "INSERT INTO audit_entries (number, at, actor, act, detail, hash)
             VALUES (0, 1, 'a', 'b', '', zeroblob(32))",
            "CHECK",
        ),
        (
            "INSERT INTO audit_entries (number, at, actor, act, detail, hash)
             VALUES (3, 1, 'a', 'b', '', zeroblob(32))",
            "UNIQUE",
        ),
        (
            "INSERT INTO audit_entries (number, at, actor, act, detail, hash)
             VALUES (9, 1, 'a', 'b', '', zeroblob(31))",
            "CHECK",
        ),
        (
            "INSERT INTO audit_entries (number, at, actor, act, detail, hash, address)
             VALUES (9, 1, 'a', 'b', '', zeroblob(32), 'x')",
            "address_with_salt",
        ),
    ];
    all_refused(store.pools(), &statements).await;
    let audit = store.audit();
    assert_eq!(audit.list_after(0, 10).await.unwrap().len(), 3);
    head.number = 2;
    assert_eq!(audit.cut(&head, &[1; 32]).await.unwrap(), 2);
    let back = [("UPDATE audit_anchor SET number = 0", "stays so")];
    all_refused(store.pools(), &back).await;
}
