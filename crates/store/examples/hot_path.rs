//! Measures the look-up that decides about each call, and the one that decides about all that is
//! open, once a second: `cargo run --release -p latchkey-store
//! --example hot_path --features contract -- [APP CONNECTIONS]`.
#![expect(clippy::print_stdout, reason = "a measurement is printed")]

use std::error::Error;
use std::time::Duration;

use latchkey_model::app_connection::{AccessMode, PresentedCredential};
use latchkey_model::secret::LabelHash;
use latchkey_store::RelayStore;
use latchkey_store::contract::relay::Maker;
use tokio::time::Instant;

const ROUNDS: usize = 20_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let wanted: usize = std::env::args().nth(1).map_or(Ok(10_000), |n| n.parse())?;
    let folder = tempfile::tempdir()?;
    let store = RelayStore::open(folder.path().join("relay.db")).await?;
    let make = Maker::default();
    let household = make.household(&store, "ann@example.com").await?;
    let mut labels = vec![household.credentials.label.hash()];
    let mut ids = vec![household.connection.id.clone()];
    let filling = Instant::now();
    while labels.len() < wanted {
        let (connection, credentials) =
            make.app_connection(&household.printer, AccessMode::Enhanced);
        store.app_connections().insert(&connection).await?;
        labels.push(credentials.label.hash());
        ids.push(connection.id);
    }
    let each = filling.elapsed() / u32::try_from(wanted)?;
    println!("{wanted} app connections, {each:?} for each durable insert");

    report("known label", lookups(&store, &labels).await?);
    let unknown: Vec<_> = (0..1_000)
        .map(|number| LabelHash::of(&format!("app-{number}")))
        .collect();
    report("unknown label", lookups(&store, &unknown).await?);
    report("rule alone", decisions(&store, &labels[0]).await?);
    let mut times = Vec::new();
    for _ in 0..100 {
        let start = Instant::now();
        store.app_connections().standings(&ids).await?;
        times.push(start.elapsed());
    }
    report("standing of all, open at once", times);
    Ok(())
}

async fn lookups(
    store: &RelayStore,
    labels: &[LabelHash],
) -> Result<Vec<Duration>, Box<dyn Error>> {
    let mut times = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        // A large odd step, so that neighbours in the table are not neighbours in time.
        let label = &labels[round * 7_919 % labels.len()];
        let start = Instant::now();
        store.app_connections().find_by_label_hash(label).await?;
        times.push(start.elapsed());
    }
    Ok(times)
}

async fn decisions(store: &RelayStore, label: &LabelHash) -> Result<Vec<Duration>, Box<dyn Error>> {
    let found = store.app_connections().find_by_label_hash(label).await?;
    let found = found.ok_or("not found")?;
    let standing = found.owner_standing(|_| Some(true)).ok_or("no standing")?;
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let token = PresentedCredential::Bearer("lk_conn_wrong");
        std::hint::black_box(found.connection.admit(token, standing)).err();
        times.push(start.elapsed());
    }
    Ok(times)
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |percent: usize| times[times.len() * percent / 100];
    println!("{what}: median {:?}, p99 {:?}", at(50), at(99));
}
