//! Whether the time of a refusal tells that a hostname once was an app connection's, in the manner
//! of dudect (Reparaz, Balasch, Verbauwhede: "Dude, is my code constant time?", 2017):
//! `cargo run --release -p latchkey-relay --example guess_timing -- [GUESSES]`.
//!
//! Both classes are answered 603 and the same bytes: names that never were, and one that ended,
//! asked with wrong credentials. Prints Welch's t; below 4.5 the two cannot be told apart. Of real
//! guessers, whose guesses cross a network and are slowed down after twenty a minute, far less is
//! to be feared than of this one.
#![expect(clippy::print_stdout, reason = "a measurement is printed")]

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use latchkey_model::access::KeyScope;
use latchkey_model::account::{Account, Email};
use latchkey_model::app::{AppId, AppName};
use latchkey_model::app_connection::{AccessMode, NewAppConnection};
use latchkey_model::chance::{Chance, SystemChance};
use latchkey_model::clock::{Clock, SystemClock};
use latchkey_model::id::{AccountId, PrinterId};
use latchkey_model::plan::{Entitlements, Plans};
use latchkey_model::printer::{HostKey, Printer, PrinterName, Seen};
use latchkey_model::secret::ConnectionLabel;
use latchkey_relay::Relay;
use latchkey_relay::config::{
    AdministratorsFactor, Admission, CacheBounds, Config, PublicUrl, Registration,
    UnregisteredApps, Webhooks,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

/// The slowest were interrupted: of all times, so many in a thousand are left out.
const LEFT_OUT: usize = 50;
const DOMAIN: &str = "printers.localhost";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let wanted: usize = std::env::args().nth(1).map_or(Ok(10_000), |n| n.parse())?;
    let folder = tempfile::tempdir()?;
    let relay = Relay::bind(
        config(folder.path())?,
        Arc::new(SystemClock),
        Arc::new(SystemChance),
    )
    .await?;
    let ended = ended(&relay).await?;
    let (address, stop) = (relay.local_addr()?, relay.stop());
    let tasks = TaskTracker::new();
    tasks.spawn(relay.run());
    let mut caller = TcpStream::connect(address).await?;
    let mut times: [Vec<Duration>; 2] = Default::default();
    for number in 0..wanted {
        let mut coin = [0];
        SystemChance.fill(&mut coin);
        let class = usize::from(coin[0] & 1);
        let never = ConnectionLabel::generate(&SystemChance);
        let label = [ended.as_str(), never.expose()][class];
        times[class].push(guess(&mut caller, label, number).await?);
    }
    stop.hard.cancel();
    stop.soft.cancel();
    let [ended, never] = times.map(kept_times);
    for (what, times) in [("ended:     ", &ended), ("never was: ", &never)] {
        println!("{what}{:.1} µs, {} guesses", mean(times), times.len());
    }
    println!("t = {:.2}", welch(&ended, &never));
    Ok(())
}

async fn guess(
    caller: &mut TcpStream,
    label: &str,
    number: usize,
) -> Result<Duration, Box<dyn Error>> {
    // A new address for every twenty.
    let from = Ipv4Addr::from_bits(0xC612_0000 + u32::try_from(number / 20)?);
    let head = format!(
        "GET / HTTP/1.1\r\nHost: {label}.{DOMAIN}\r\nX-Forwarded-For: {from}\r\n\
         Authorization: Bearer wrong\r\n\r\n"
    );
    let start = Instant::now();
    caller.write_all(head.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        if caller.read_buf(&mut answer).await? == 0 {
            return Err("the relay closed the connection".into());
        }
    }
    let took = start.elapsed();
    if !answer.starts_with(b"HTTP/1.1 603 ") {
        return Err(String::from_utf8_lossy(&answer).into());
    }
    Ok(took)
}

fn config(data: &Path) -> Result<Config, Box<dyn Error>> {
    let plan = "supporter".parse()?;
    let plans = [("supporter".parse()?, Entitlements::default())];
    Ok(Config {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        status_listen: None,
        public_url: PublicUrl::from_url(&"http://localhost".parse()?)?,
        connection_domain: DOMAIN.parse()?,
        tls: None,
        acme: None,
        hosts: None,
        trusted_proxies: vec!["127.0.0.1/32".parse()?],
        data: data.to_owned(),
        registration: Registration::Closed,
        unregistered_apps: UnregisteredApps::Refuse,
        allow_hostname_only: false,
        default_plan: plan,
        plans: Plans::new(plans.into_iter().collect()),
        administrators_factor: AdministratorsFactor::IfSet,
        smtp: None,
        webhooks: Webhooks::default(),
        compression: true,
        cache: CacheBounds::default(),
        admission: Admission::default(),
        first_byte: Duration::from_secs(35),
        drain: Duration::from_secs(1),
    })
}

/// The label of an app connection that has ended.
async fn ended(relay: &Relay) -> Result<String, Box<dyn Error>> {
    let (store, now) = (relay.store(), SystemClock.now());
    let account = Account::new(
        AccountId::generate(&SystemChance),
        Email::parse("owner@latchkey.example")?,
        now,
        "supporter".parse()?,
    );
    store.accounts().create(&account, None).await?;
    let printer = Printer {
        id: PrinterId::generate(&SystemChance),
        account: account.id.clone(),
        name: PrinterName::parse("Printer")?,
        host: Some(HostKey::from_bytes([1; 32])),
        created: now,
        seen: Seen::default(),
        local_address: None,
    };
    store.printers().create(&printer).await?;
    let wanted = NewAppConnection {
        account: account.id.clone(),
        printer: printer.id,
        app: AppId::parse("devtest")?,
        app_name: AppName::parse("Test")?,
        access: AccessMode::Bearer,
        scope: KeyScope::Full,
    };
    let (connection, credentials) = wanted.generate(&SystemChance, &SystemClock);
    store.app_connections().insert(&connection).await?;
    relay.life().revoke(&account.id, &connection.id).await?;
    Ok(credentials.label.expose().to_owned())
}

fn kept_times(mut times: Vec<Duration>) -> Vec<f64> {
    times.sort();
    times.truncate(times.len() - times.len() * LEFT_OUT / 1_000);
    times.iter().map(|time| time.as_secs_f64() * 1e6).collect()
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
