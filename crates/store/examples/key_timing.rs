//! Whether the time of looking a key up tells how much of it is right, in the manner of dudect
//! (Reparaz, Balasch, Verbauwhede: "Dude, is my code constant time?", 2017):
//! `cargo run --release -p latchkey-store --example key_timing --features contract -- [LOOK-UPS]`.
//!
//! One class asks for a key that is wrong in its last letter alone, the other for random ones.
//! Prints Welch's t; below 10 the two cannot be told apart.
#![expect(clippy::print_stdout, reason = "a measurement is printed")]

use std::error::Error;
use std::time::Duration;

use latchkey_model::access::KeyScope;
use latchkey_model::chance::Chance;
use latchkey_model::secret::{AppKeyHash, AppKeyText};
use latchkey_model::user::Group;
use latchkey_store::HostStore;
use latchkey_store::contract::host::Maker;
use tokio::time::Instant;

/// Keys that are kept beside the one that is guessed.
const KEPT: usize = 100;
/// The slowest were interrupted: of all times, so many in a thousand are left out.
const LEFT_OUT: usize = 50;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let wanted: usize = std::env::args().nth(1).map_or(Ok(200_000), |n| n.parse())?;
    let folder = tempfile::tempdir()?;
    let store = HostStore::open(folder.path().join("host.db")).await?;
    let make = Maker::default();
    let user = make.known(&store, "ann", Group::Users).await?;
    let mut kept = String::new();
    for number in 0..KEPT {
        let (key, text) = make.key(&user, &format!("App {number}"), KeyScope::Full);
        store.app_keys().keep(&key).await?;
        text.expose().clone_into(&mut kept);
    }
    let near = wrong_at_the_end(&kept);
    let mut times: [Vec<Duration>; 2] = Default::default();
    for _ in 0..wanted {
        let mut coin = [0];
        make.chance.fill(&mut coin);
        let class = usize::from(coin[0] & 1);
        let random = AppKeyText::generate(&make.chance);
        let asked = [near.as_str(), random.expose()][class];
        let start = Instant::now();
        let found = store
            .app_keys()
            .find_by_hash(&AppKeyHash::of(asked))
            .await?;
        times[class].push(start.elapsed());
        if found.is_some() {
            return Err("a wrong key was found".into());
        }
    }
    let [near, random] = times.map(kept_times);
    println!(
        "wrong in the last letter: {:.0} ns, {} look-ups",
        mean(&near),
        near.len()
    );
    println!(
        "wrong altogether:         {:.0} ns, {} look-ups",
        mean(&random),
        random.len()
    );
    println!("t = {:.2}", welch(&near, &random));
    Ok(())
}

fn wrong_at_the_end(key: &str) -> String {
    let (start, last) = key.split_at(key.len() - 1);
    format!("{start}{}", if last == "A" { "B" } else { "A" })
}

fn kept_times(mut times: Vec<Duration>) -> Vec<f64> {
    times.sort();
    times.truncate(times.len() - times.len() * LEFT_OUT / 1_000);
    times.iter().map(|time| time.as_secs_f64() * 1e9).collect()
}

fn mean(times: &[f64]) -> f64 {
    times.iter().sum::<f64>() / count(times)
}

fn variance(times: &[f64]) -> f64 {
    let mean = mean(times);
    times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (count(times) - 1.0)
}

fn welch(one: &[f64], other: &[f64]) -> f64 {
    let error = variance(one) / count(one) + variance(other) / count(other);
    (mean(one) - mean(other)) / error.sqrt()
}

fn count(times: &[f64]) -> f64 {
    f64::from(u32::try_from(times.len()).unwrap_or(u32::MAX))
}
