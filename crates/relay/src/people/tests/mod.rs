//! The pages of people, through the real routes.

mod account;
mod admin;
mod late_forms;
mod printers;
mod recovery;
mod sharing;
mod signing_in;
mod telling;
mod usage;

use std::time::Duration;

use latchkey_model::app_connection::AppConnection;

use crate::tests::Bench;

/// Just longer than a password counts as typed lately.
const STALE: Duration = Duration::from_millis(5 * 60 * 1000 + 1);

async fn is_live(bench: &Bench, connection: &AppConnection) -> bool {
    let store = bench.store().app_connections();
    let found = store.find_by_label_hash(&connection.hashes.label).await;
    found.unwrap().unwrap().connection.live().is_some()
}
