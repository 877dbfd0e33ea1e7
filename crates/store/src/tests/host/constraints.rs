//! Tries to break each constraint with plain SQL, as a bug in a query would.

use latchkey_model::access::KeyScope;
use latchkey_model::secret::{RememberToken, RequestToken};
use latchkey_model::user::{Group, User};

use crate::StoreError;
use crate::contract::at;
use crate::contract::host::{Maker, OpenedSession};
use crate::host::{HostStore, NewAppKey};
use crate::tests::all_refused;

/// One row in each table.
async fn store() -> (HostStore, User, NewAppKey, OpenedSession) {
    let store = HostStore::open_in_memory().await.unwrap();
    let make = Maker::default();
    let ann = make.known(&store, "ann", Group::Admins).await.unwrap();
    let (key, _) = make.key(&ann, "OctoPod", KeyScope::Full);
    store.app_keys().keep(&key).await.unwrap();
    let (grant, token) = make.grant(&ann, "OctoApp", KeyScope::Full);
    store.grants().keep(&token.hash(), &grant).await.unwrap();
    let session = make.opened(&store, &ann, 100).await.unwrap();
    let token = RememberToken::generate(&make.chance);
    let remembered = store.remembered();
    remembered
        .keep(&token.hash(), &ann.name, at(100))
        .await
        .unwrap();
    (store, ann, key, session)
}

#[tokio::test]
async fn user_cannot_be_kept_wrongly() {
    let (store, ..) = store().await;
    let statements = [
        ("UPDATE users SET name = NULL", "NOT NULL"),
        ("UPDATE users SET name = ''", "CHECK"),
        ("UPDATE users SET name = hex(zeroblob(33))", "CHECK"),
        // A renamed user would lose everything.
        ("UPDATE users SET name = 'bob'", "FOREIGN KEY"),
        ("UPDATE users SET user_group = NULL", "NOT NULL"),
        ("UPDATE users SET user_group = 'guests'", "CHECK"),
        ("UPDATE users SET active = NULL", "NOT NULL"),
        ("UPDATE users SET active = 2", "CHECK"),
        ("UPDATE users SET password_hash = ''", "CHECK"),
        ("UPDATE users SET created_at = NULL", "NOT NULL"),
        ("UPDATE users SET created_at = 'today'", "cannot store TEXT"),
        (
            "INSERT INTO users SELECT * FROM users",
            "UNIQUE constraint failed: users.name",
        ),
    ];
    all_refused(store.pools(), &statements).await;
}

#[tokio::test]
async fn app_key_cannot_be_kept_wrongly() {
    let (store, ..) = store().await;
    let statements = [
        ("UPDATE app_keys SET id = NULL", "NOT NULL"),
        ("UPDATE app_keys SET id = 'short'", "CHECK"),
        ("UPDATE app_keys SET user_name = NULL", "NOT NULL"),
        ("UPDATE app_keys SET user_name = 'nobody'", "FOREIGN KEY"),
        ("UPDATE app_keys SET user_name = 'ANN'", "FOREIGN KEY"),
        ("UPDATE app_keys SET app_name = NULL", "NOT NULL"),
        ("UPDATE app_keys SET app_name = ''", "CHECK"),
        ("UPDATE app_keys SET app_name = hex(zeroblob(33))", "CHECK"),
        ("UPDATE app_keys SET app_fold = NULL", "NOT NULL"),
        ("UPDATE app_keys SET hash = NULL", "NOT NULL"),
        ("UPDATE app_keys SET hash = zeroblob(31)", "CHECK"),
        ("UPDATE app_keys SET hash = 'text'", "cannot store TEXT"),
        ("UPDATE app_keys SET sealed = NULL", "NOT NULL"),
        ("UPDATE app_keys SET sealed = zeroblob(40)", "CHECK"),
        (
            "UPDATE app_keys SET sealed = hex(zeroblob(43))",
            "cannot store TEXT",
        ),
        ("UPDATE app_keys SET scope = NULL", "NOT NULL"),
        ("UPDATE app_keys SET scope = 'admin'", "CHECK"),
        ("UPDATE app_keys SET created_at = NULL", "NOT NULL"),
        ("UPDATE app_keys SET requests = -1", "CHECK"),
        ("UPDATE app_keys SET app_connection_id = 'short'", "CHECK"),
        ("UPDATE app_keys SET requests = NULL", "NOT NULL"),
        (
            "UPDATE app_keys SET last_used_at = 1",
            "used_from_somewhere",
        ),
        (
            "UPDATE app_keys SET last_network = 'home'",
            "used_from_somewhere",
        ),
        (
            "INSERT INTO app_keys
             SELECT hex(zeroblob(10)), user_name, app_name, app_fold, zeroblob(32), sealed, scope,
                    created_at, NULL, NULL, 0, NULL FROM app_keys",
            "UNIQUE constraint failed: app_keys.user_name, app_keys.app_fold",
        ),
        (
            "INSERT INTO app_keys
             SELECT hex(zeroblob(10)), user_name, app_name, 'other', hash, sealed, scope,
                    created_at, NULL, NULL, 0, NULL FROM app_keys",
            "UNIQUE constraint failed: app_keys.hash",
        ),
        (
            "INSERT INTO app_keys
             SELECT id, user_name, app_name, 'other', zeroblob(32), sealed, scope,
                    created_at, NULL, NULL, 0, NULL FROM app_keys",
            "UNIQUE constraint failed: app_keys.id",
        ),
    ];
    all_refused(store.pools(), &statements).await;
}

#[tokio::test]
async fn grant_cannot_be_kept_wrongly() {
    let (store, ..) = store().await;
    let statements = [
        ("UPDATE grants SET token_hash = NULL", "NOT NULL"),
        ("UPDATE grants SET token_hash = zeroblob(33)", "CHECK"),
        ("UPDATE grants SET token_hash = 'text'", "cannot store TEXT"),
        ("UPDATE grants SET user_name = NULL", "NOT NULL"),
        ("UPDATE grants SET user_name = 'nobody'", "FOREIGN KEY"),
        ("UPDATE grants SET app_name = NULL", "NOT NULL"),
        ("UPDATE grants SET app_name = ''", "CHECK"),
        ("UPDATE grants SET app_name = hex(zeroblob(33))", "CHECK"),
        ("UPDATE grants SET scope = NULL", "NOT NULL"),
        ("UPDATE grants SET scope = 'admin'", "CHECK"),
        ("UPDATE grants SET granted_at = NULL", "NOT NULL"),
        (
            "INSERT INTO grants SELECT * FROM grants",
            "UNIQUE constraint failed: grants.token_hash",
        ),
    ];
    all_refused(store.pools(), &statements).await;
}

#[tokio::test]
async fn session_cannot_be_kept_wrongly() {
    let (store, ..) = store().await;
    let statements = [
        ("UPDATE sessions SET id = NULL", "NOT NULL"),
        ("UPDATE sessions SET id = 'short'", "CHECK"),
        ("UPDATE sessions SET user_name = NULL", "NOT NULL"),
        ("UPDATE sessions SET user_name = 'nobody'", "FOREIGN KEY"),
        ("UPDATE sessions SET session_hash = NULL", "NOT NULL"),
        ("UPDATE sessions SET session_hash = zeroblob(31)", "CHECK"),
        ("UPDATE sessions SET push_hash = NULL", "NOT NULL"),
        ("UPDATE sessions SET push_hash = zeroblob(31)", "CHECK"),
        ("UPDATE sessions SET mechanism = NULL", "NOT NULL"),
        ("UPDATE sessions SET mechanism = 'apikey'", "CHECK"),
        (
            "UPDATE sessions SET credentials_seen_at = NULL",
            "password_was_seen",
        ),
        ("UPDATE sessions SET created_at = NULL", "NOT NULL"),
        ("UPDATE sessions SET seen_at = NULL", "NOT NULL"),
        ("UPDATE sessions SET device = NULL", "NOT NULL"),
        ("UPDATE sessions SET network = NULL", "NOT NULL"),
        (
            "INSERT INTO sessions
             SELECT id, user_name, zeroblob(32), zeroblob(32), mechanism, 1, 1, 1, '', ''
             FROM sessions",
            "UNIQUE constraint failed: sessions.id",
        ),
        (
            "INSERT INTO sessions
             SELECT hex(zeroblob(10)), user_name, session_hash, zeroblob(32), mechanism, 1, 1, 1,
                    '', '' FROM sessions",
            "UNIQUE constraint failed: sessions.session_hash",
        ),
        (
            "INSERT INTO sessions
             SELECT hex(zeroblob(10)), user_name, zeroblob(32), push_hash, mechanism, 1, 1, 1,
                    '', '' FROM sessions",
            "UNIQUE constraint failed: sessions.push_hash",
        ),
    ];
    all_refused(store.pools(), &statements).await;
}

#[tokio::test]
async fn remembered_browser_cannot_be_kept_wrongly() {
    let (store, ..) = store().await;
    let statements = [
        ("UPDATE remembered SET token_hash = NULL", "NOT NULL"),
        ("UPDATE remembered SET token_hash = zeroblob(31)", "CHECK"),
        ("UPDATE remembered SET user_name = NULL", "NOT NULL"),
        ("UPDATE remembered SET user_name = 'nobody'", "FOREIGN KEY"),
        ("UPDATE remembered SET created_at = NULL", "NOT NULL"),
        (
            "INSERT INTO remembered SELECT * FROM remembered",
            "UNIQUE constraint failed: remembered.token_hash",
        ),
    ];
    all_refused(store.pools(), &statements).await;
}

/// The hot path of every request, and what a user's end looks for, must not read whole tables.
#[tokio::test]
async fn look_ups_go_by_an_index() {
    use sqlx::Row as _;

    let (store, ..) = store().await;
    for lookup in [
        "SELECT * FROM app_keys k JOIN users u ON u.name = k.user_name WHERE k.hash = $1",
        "SELECT * FROM app_keys WHERE user_name = $1 AND app_fold = $2",
        "SELECT * FROM sessions s JOIN users u ON u.name = s.user_name WHERE s.session_hash = $1",
        "SELECT * FROM sessions WHERE push_hash = $1 AND user_name = $2",
        "SELECT * FROM sessions WHERE user_name = $1",
        "SELECT * FROM remembered WHERE token_hash = $1",
        "SELECT * FROM remembered WHERE user_name = $1",
        "SELECT * FROM grants WHERE token_hash = $1",
        "SELECT * FROM grants WHERE user_name = $1",
        "SELECT * FROM grants WHERE granted_at < $1",
    ] {
        let plan = sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {lookup}")))
            .fetch_all(store.pools().read())
            .await
            .unwrap();
        assert!(!plan.is_empty());
        for step in plan {
            let step: String = step.get("detail");
            assert!(step.starts_with("SEARCH"), "{lookup}: {step}");
        }
    }
}

#[tokio::test]
async fn row_that_breaks_the_model_is_named_not_guessed_about() {
    let (store, ann, key, session) = store().await;
    for statement in [
        "UPDATE app_keys SET app_name = char(8238)",
        "UPDATE sessions SET id = upper(id)",
    ] {
        sqlx::query(statement)
            .execute(store.pools().write())
            .await
            .unwrap();
    }
    let error = store.app_keys().find_by_hash(&key.key.hash).await;
    assert!(
        matches!(&error, Err(StoreError::Inconsistent { table: "app_keys", row })
            if row == key.key.id.as_str()),
        "{error:?}"
    );
    let error = store.sessions().find(&session.token.hash()).await;
    assert!(
        matches!(&error, Err(StoreError::Inconsistent { table: "sessions", row })
            if *row == session.session.id.as_str().to_uppercase()),
        "{error:?}"
    );
    assert!(store.users().find(&ann.name).await.unwrap().is_some());
}

#[tokio::test]
async fn grant_of_an_inactive_user_gives_no_key() {
    let (store, ann, ..) = store().await;
    let make = Maker::default();
    let (grant, token) = make.grant(&ann, "Fieldglass", KeyScope::Full);
    let token = RequestToken::parse(&format!("{}x", token.expose())).unwrap();
    store.grants().keep(&token.hash(), &grant).await.unwrap();
    // Deactivating drops grants; this is what is left if that were forgotten.
    sqlx::query("UPDATE users SET active = 0")
        .execute(store.pools().write())
        .await
        .unwrap();
    let keys = store.app_keys();
    let before = keys.list().await.unwrap();
    let redeemed = keys
        .redeem(&token.hash(), |grant| make.key_of(&grant))
        .await
        .unwrap();
    assert_eq!(redeemed, None);
    assert_eq!(keys.list().await.unwrap(), before);
}

#[tokio::test]
async fn session_app_cannot_be_kept_wrongly() {
    let store = HostStore::open_in_memory().await.unwrap();
    let pool = store.pools().write();
    let rows = [
        "INSERT INTO session_apps VALUES ('a:1', 'MEgC', 0, 'full', 1, 'ann')",
        "INSERT INTO session_app_switches VALUES ('a:1', 0, zeroblob(32), 1, 'ann')",
    ];
    for row in rows {
        sqlx::query(row).execute(pool).await.unwrap();
    }
    let statements = [
        ("UPDATE session_apps SET name = 'a'", "CHECK"),
        ("UPDATE session_apps SET pubkey = NULL", "NOT NULL"),
        ("UPDATE session_apps SET pubkey = ''", "CHECK"),
        ("UPDATE session_apps SET allow_weak_keys = 2", "CHECK"),
        ("UPDATE session_apps SET scope = 'root'", "CHECK"),
        ("UPDATE session_apps SET created_by = ''", "CHECK"),
        (
            "INSERT INTO session_apps SELECT * FROM session_apps",
            "UNIQUE constraint failed: session_apps.name",
        ),
        ("UPDATE session_app_switches SET enabled = NULL", "NOT NULL"),
        ("UPDATE session_app_switches SET enabled = 2", "CHECK"),
        (
            "UPDATE session_app_switches SET wording = zeroblob(31)",
            "CHECK",
        ),
        ("UPDATE session_app_switches SET switched_by = ''", "CHECK"),
    ];
    all_refused(store.pools(), &statements).await;
}

#[tokio::test]
async fn session_key_cannot_be_logged_wrongly() {
    let store = HostStore::open_in_memory().await.unwrap();
    let row = "INSERT INTO session_key_log
        VALUES ('abcdefghijklmnopqrst', 'a:1', 'full', 1, 'net', 2, NULL, 0, NULL, NULL)";
    let pool = store.pools().write();
    sqlx::query(row).execute(pool).await.unwrap();
    let statements = [
        ("UPDATE session_key_log SET id = 'short'", "CHECK"),
        ("UPDATE session_key_log SET app_name = ''", "CHECK"),
        ("UPDATE session_key_log SET outcome = 'root'", "CHECK"),
        (
            "UPDATE session_key_log SET outcome = 'key'",
            "verified_for_a_time",
        ),
        (
            "UPDATE session_key_log SET valid_until = NULL",
            "verified_for_a_time",
        ),
        (
            "UPDATE session_key_log SET outcome = 'key', valid_until = NULL, ended_at = 3",
            "only_what_was_verified_ends",
        ),
        ("UPDATE session_key_log SET requests = -1", "CHECK"),
        (
            "UPDATE session_key_log SET last_at = 3",
            "last_from_somewhere",
        ),
        (
            "INSERT INTO session_key_log SELECT * FROM session_key_log",
            "UNIQUE constraint failed: session_key_log.id",
        ),
    ];
    all_refused(store.pools(), &statements).await;
}
