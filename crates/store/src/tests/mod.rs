//! What is tried from inside: the contracts on SQLite, constraints, files, migrations.

use std::fs;
use std::path::Path;

use sqlx::AssertSqlSafe;

use crate::pool::Pools;

mod contract;
mod host;
mod migrations;
mod relay;

/// Runs each statement and expects the database to name the constraint it breaks.
async fn all_refused(pools: &Pools, statements: &[(&str, &str)]) {
    for (statement, constraint) in statements {
        let answer = sqlx::query(AssertSqlSafe((*statement).to_owned()))
            .execute(pools.write())
            .await;
        match answer {
            Ok(_) => panic!("accepted: {statement}"),
            Err(error) => assert!(
                error.to_string().contains(constraint),
                "{statement}: {error}"
            ),
        }
    }
}

/// All bytes of the files in a folder.
fn content(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        all.extend(fs::read(entry.unwrap().path()).unwrap());
    }
    all
}

fn contains(all: &[u8], text: &str) -> bool {
    all.windows(text.len())
        .any(|window| window == text.as_bytes())
}
