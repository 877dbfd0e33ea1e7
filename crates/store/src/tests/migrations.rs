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
        } else if let Some((name, change)) = altered(line) {
            apply(&mut tables, name, change);
        } else if line.starts_with(')') {
            current = None;
        } else if let Some(table) = &current {
            let is_column = line.starts_with("    ") && !line.starts_with("     ");
            let first = line.split_whitespace().next().unwrap_or_default();
            if is_column && !matches!(first, "--" | "CONSTRAINT" | "PRIMARY" | ")") {
                tables.get_mut(table).unwrap().extend(column(table, line));
            }
        }
    }
    tables
}

fn column(table: &str, text: &str) -> Option<(String, String, bool)> {
    let mut words = text.split_whitespace();
    let (name, kind) = (words.next()?, words.next()?);
    let class = match kind.trim_end_matches([',', ';']) {
        "INTEGER" | "BIGINT" => "integer",
        "BLOB" | "BYTEA" => "bytes",
        "TEXT" => "text",
        other => panic!("{table}.{name} has the unknown type {other}"),
    };
    Some((
        name.to_owned(),
        class.to_owned(),
        !text.contains("NOT NULL"),
    ))
}

/// The table that a line outside of `CREATE TABLE` changes, and how.
fn altered(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("ALTER TABLE ")
        .or_else(|| line.strip_prefix("DROP TABLE "))
        .map(|rest| rest.split_once(' ').unwrap_or((rest, "")))
}

fn apply(tables: &mut Tables, name: &str, change: &str) {
    if let Some(text) = change.strip_prefix("ADD COLUMN ") {
        tables
            .entry(name.to_owned())
            .or_default()
            .extend(column(name, text));
    } else if let Some(new) = change.strip_prefix("RENAME TO ") {
        let columns = tables.remove(name).unwrap();
        tables.insert(new.trim_end_matches(';').to_owned(), columns);
    } else {
        tables.remove(name.trim_end_matches(';'));
    }
}

/// What follows is said differently: triggers, which no standard has.
const APART: &str = "-- From here on each database says it in its own way.";

/// Everything but comments and type names, so that constraints are compared too.
fn skeleton(sql: &str) -> String {
    let alike = sql.split(APART).next().unwrap();
    let code: Vec<_> = alike
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
fn both_databases_have_the_same_triggers() {
    let names = |engine| -> Vec<_> {
        let files = files("relay", engine);
        let lines = files.iter().flat_map(|(_, sql)| sql.lines());
        let names = lines.filter_map(|line| line.strip_prefix("CREATE TRIGGER "));
        names.map(str::to_owned).collect()
    };
    assert_eq!(names("sqlite"), names("postgres"));
    assert!(!names("sqlite").is_empty());
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
    let steps: Vec<_> = relay::STEPS.iter().map(|(.., sql)| *sql).collect();
    for (table, columns) in tables(&steps.join("\n")) {
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
