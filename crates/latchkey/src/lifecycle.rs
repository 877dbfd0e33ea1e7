//! From running to stopped: of a role the first signal drains and the second cuts; a command ends.

use anyhow::{Context, bail};
use latchkey_net::listen::Stop;
use tokio::signal::unix::{SignalKind, signal};

/// Turns SIGINT and SIGTERM into the two stop signals of a role, for as long as it runs.
pub(crate) async fn run_until_signalled(
    stop: Stop,
    role: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    tokio::pin!(role);
    let mut asked = false;
    loop {
        tokio::select! {
            () = &mut role => {
                if asked {
                    return Ok(());
                }
                bail!("it stopped by itself; the log says more");
            }
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if std::mem::replace(&mut asked, true) {
            tracing::warn!("second signal: cutting what still runs");
            stop.hard.cancel();
        } else {
            tracing::info!("stopping: running requests finish, new ones are not taken");
            stop.soft.cancel();
        }
    }
}

/// Runs a command's work unless SIGINT or SIGTERM asks it to stop. They are caught before the work
/// begins: whoever sees something of it may send one.
pub(crate) async fn unless_signalled(
    work: impl Future<Output = anyhow::Result<()>>,
    stopped: impl FnOnce() -> anyhow::Error,
) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    tokio::select! {
        done = work => done,
        _ = interrupt.recv() => Err(stopped()),
        _ = terminate.recv() => Err(stopped()),
    }
}
