//! `latchkey relay`.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use latchkey_model::chance::SystemChance;
use latchkey_model::clock::SystemClock;
use latchkey_net::cores::Cores;
use latchkey_relay::Relay;
use latchkey_relay::certificate::Reload;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::{self, Checking};
use crate::lifecycle::{Signals, run_until};
use crate::output;

pub(crate) async fn run(path: &Path) -> anyhow::Result<()> {
    let config = config::relay::read(&Checking::with_environment(path))?.logged();
    let mut signals = Signals::catch()?;
    // Dropped at the end of all, after the last connection.
    let cores = Cores::start(std::thread::available_parallelism().map_or(1, usize::from))
        .context("cannot start threads")?;
    // It may wait for its first certificate for a long time.
    let bound = Relay::bind(config, Arc::new(SystemClock), Arc::new(SystemChance));
    let relay = tokio::select! {
        relay = Box::pin(bound) => relay?,
        () = signals.next() => {
            tracing::info!("stopped before it listened");
            return Ok(());
        }
    };
    let relay = relay.on(cores.deal());
    tracing::info!(
        relay.address = %relay.local_addr()?,
        hosts.address = relay.hosts_addr().map(tracing::field::display),
        status.address = relay.status_addr().map(tracing::field::display),
        "the relay is listening"
    );
    if let Some(link) = relay.first_administrator().await? {
        // Not in the log: whoever opens it first runs this relay.
        output::note(&format!(
            "Nobody runs this relay yet. The first account is made here, once:\n\n    {link}\n"
        ));
    }
    let hangups = signal(SignalKind::hangup()).context("cannot listen for signals")?;
    let reload = relay.reload();
    let stop = relay.stop();
    let running = async {
        tokio::select! {
            () = relay.run() => {}
            () = follow(hangups, reload) => {}
        }
    };
    run_until(signals, stop, running).await
}

/// SIGHUP: the certificates are read again.
async fn follow(mut hangups: Signal, reload: Reload) {
    while hangups.recv().await.is_some() {
        reload.ask();
    }
    std::future::pending::<()>().await;
}
