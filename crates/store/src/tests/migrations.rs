//! The migrations: both databases get the same tables, and running them again does nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sqlx::Row as _;

use crate::host;
use crate::pool::{Pools, Step};
use crate::relay;

/// Columns of each table: name, type class, whether it may be missing.
type Tables = BTreeMap<String, Vec<(String, String, bool)>>;

fn folder(role: &str, engine: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("migrations")
        .join(role)
        .join(engine)
}

fn files(role: &str, engine: &str) -> Vec<(String, String)> {
    let mut files: Vec<_> = fs::read_dir(folder(role, engine))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// Reads the tables out of `CREATE TABLE` statements laid out one column a line.
fn tables(sql: &str) -> Tables {
    let mut tables = Tables::new();
    let mut current: Option<String> = None;
    for line in sql.lines() {
        if let Some(name) = line.strip_prefix("CREATE TABLE ") {
            let name = name.trim_end_matches(" (").to_owned();
            tables.insert(name.clone(), Vec::new());
            current = Some(name);
        } else if line.starts_with(')') {
            current = None;
        } else if let Some(table) = &current {
            let words: Vec<_> = line.split_whitespace().collect();
            let is_column = line.starts_with("    ") && !line.starts_with("     ");
            let [name, kind, ..] = words[..] else {
                continue;
            };
            if !is_column || matches!(name, "--" | "CONSTRAINT" | ")") {
                continue;
            }
            let class = match kind.trim_end_matches(',') {
                "INTEGER" | "BIGINT" => "integer",
                "BLOB" | "BYTEA" => "bytes",
                "TEXT" => "text",
                other => panic!("{table}.{name} has the unknown type {other}"),
            };
            let column = (
                name.to_owned(),
                class.to_owned(),
                !line.contains("NOT NULL"),
            );
            tables.get_mut(table).unwrap().push(column);
        }
    }
    tables
}

/// Everything but comments and type names, so that constraints are compared too.
fn skeleton(sql: &str) -> String {
    let code: Vec<_> = sql
        .lines()
        .map(|line| line.split("--").next().unwrap())
        .collect();
    let mut code = code.join("\n");
    for (theirs, ours) in [
        ("BIGINT", "INTEGER"),
        ("BYTEA", "BLOB"),
        (") STRICT;", ");"),
    ] {
        code = code.replace(theirs, ours);
    }
    let words: Vec<_> = code.split_whitespace().collect();
    words.join(" ").replace(" ,", ",")
}

#[test]
fn both_databases_of_a_relay_have_the_same_migrations_tables_and_columns() {
    let (sqlite, postgres) = (files("relay", "sqlite"), files("relay", "postgres"));
    let names = |files: &[(String, String)]| -> Vec<String> {
        files.iter().map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(names(&sqlite), names(&postgres));
    for ((name, ours), (_, theirs)) in sqlite.iter().zip(&postgres) {
        assert_eq!(tables(ours), tables(theirs), "{name}");
        assert_eq!(skeleton(ours), skeleton(theirs), "{name}");
        assert!(
            !theirs.contains("BLOB") && !theirs.contains("INTEGER"),
            "{name}"
        );
    }
}

#[test]
fn each_migration_file_is_a_step() {
    for (role, steps) in [("relay", relay::STEPS), ("host", host::STEPS)] {
        let files = files(role, "sqlite");
        assert_eq!(files.len(), steps.len(), "{role}");
        for ((name, content), (version, description, sql)) in files.iter().zip(steps) {
            let expected = format!("{version:04}_{}.sql", description.replace(' ', "_"));
            assert_eq!(*name, expected);
            assert_eq!(content, sql);
        }
    }
}

#[tokio::test]
async fn tables_in_sqlite_are_the_ones_read_from_the_text() {
    let store = relay::RelayStore::open_in_memory().await.unwrap();
    for (table, columns) in tables(relay::STEPS[0].2) {
        let rows = sqlx::query("SELECT name, \"notnull\" FROM pragma_table_info($1)")
            .bind(&table)
            .fetch_all(store.pools().read())
            .await
            .unwrap();
        let real: Vec<(String, bool)> = rows
            .iter()
            .map(|row| (row.get(0), row.get::<i64, _>(1) == 0))
            .collect();
        let read: Vec<_> = columns
            .into_iter()
            .map(|(name, _, optional)| (name, optional))
            .collect();
        assert_eq!(real, read, "{table}");
    }
}

#[tokio::test]
async fn failed_step_leaves_the_last_whole_one_and_can_be_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.db");
    let first: Step = (1, "first", "CREATE TABLE a (x INTEGER);");
    let broken: Step = (
        2,
        "second",
        "CREATE TABLE b (x INTEGER); INSERT INTO gone VALUES (1);",
    );
    let mended: Step = (2, "second", "CREATE TABLE b (x INTEGER);");
    assert!(Pools::open(&path, &[first, broken]).await.is_err());
    for _ in 0..2 {
        let pools = Pools::open(&path, &[first, mended]).await.unwrap();
        let row = sqlx::query("SELECT count(*) FROM sqlite_master WHERE name IN ('a', 'b')")
            .fetch_one(pools.read())
            .await
            .unwrap();
        assert_eq!(row.get::<i64, _>(0), 2);
        pools.close().await;
    }
}

#[tokio::test]
async fn database_of_a_newer_release_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.db");
    let first: Step = (1, "first", "CREATE TABLE a (x INTEGER);");
    let second: Step = (2, "second", "CREATE TABLE b (x INTEGER);");
    Pools::open(&path, &[first, second])
        .await
        .unwrap()
        .close()
        .await;
    assert!(Pools::open(&path, &[first]).await.is_err());
}
