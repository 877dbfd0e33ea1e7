//! From running to stopped: of a role the first signal drains and the second cuts; a command ends.

use anyhow::{Context, bail};
use latchkey_net::listen::Stop;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGINT and SIGTERM, caught from when this is made on. None of them is lost between two who wait.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub(crate) fn catch() -> anyhow::Result<Self> {
        let caught = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            interrupt: caught(SignalKind::interrupt())?,
            terminate: caught(SignalKind::terminate())?,
        })
    }

    /// Returns when one of them came.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Turns SIGINT and SIGTERM into the two stop signals of a role, for as long as it runs.
pub(crate) async fn run_until_signalled(
    stop: Stop,
    role: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    run_until(Signals::catch()?, stop, role).await
}

/// The same for who caught them before there was a role to stop.
pub(crate) async fn run_until(
    mut signals: Signals,
    stop: Stop,
    role: impl Future<Output = ()>,
) -> anyhow::Result<()> {
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
            () = signals.next() => {}
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
    let mut signals = Signals::catch()?;
    tokio::select! {
        done = work => done,
        () = signals.next() => Err(stopped()),
    }
}
