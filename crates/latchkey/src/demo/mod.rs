//! `latchkey demo`: relay, host and simulated printer in one process, with state that
//! is kept between starts. The configuration files it writes are ordinary ones: every
//! other command works on a running demo.

mod files;
mod ready;
mod report;
mod state;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use latchkey_host::Host;
use latchkey_host::config::FileApps;
use latchkey_model::chance::SystemChance;
use latchkey_model::clock::SystemClock;
use latchkey_net::listen::Stop;
use latchkey_relay::Relay;
use latchkey_sim::{Sim, SimConfig};
use tokio_util::task::TaskTracker;

use crate::browser;
use crate::cli::DemoArgs;
use crate::config::host::RawAuthority;
use crate::config::session_apps::{self, Overlay};
use crate::config::{self, Checking};
use crate::lifecycle::run_until_signalled;
use crate::output;

use self::report::Report;

/// Everything the demo runs, bound and not yet serving.
struct Parts {
    sim: Option<Sim>,
    host: Host,
    host_file: PathBuf,
    /// What the files say of apps that may get session keys.
    apps: FileApps,
    relay: Relay,
}

pub(crate) async fn run(args: DemoArgs) -> anyhow::Result<()> {
    files::prepare(&args.data)?;
    if !args.json {
        output::note("Starting the demo …");
    }
    let (parts, report) = set_up(&args).await?;
    let stop = Stop::default();
    let running = Box::pin(serve(parts, &stop));
    let announced = async {
        tokio::select! {
            outcome = announce(&args, &report) => outcome,
            () = stop.soft.cancelled() => Ok(()),
        }
    };
    let mut failed = None;
    let outcome = run_until_signalled(stop.clone(), async {
        let announce = async {
            if let Err(error) = announced.await {
                failed = Some(error);
                stop.soft.cancel();
            }
        };
        tokio::join!(running, announce);
    })
    .await;
    failed.map_or(outcome, Err)
}

/// Binds all parts, in the order in which they need each other's addresses.
async fn set_up(args: &DemoArgs) -> anyhow::Result<(Parts, Report)> {
    // Held until the roles take them, or the printer could get one of them.
    let for_relay = hold_port(args.relay_port, "--relay-port")?;
    let for_host = hold_port(args.host_port, "--host-port")?;
    let (relay_port, host_port) = (port_of(&for_relay)?, port_of(&for_host)?);
    let sim = match &args.upstream {
        Some(_) => None,
        None => Some(simulated_printer(&args.data).await?),
    };
    let sim_address = sim.as_ref().map(Sim::local_addr);
    let (relay_file, host_file) = files::write(args, relay_port, host_port, sim_address)?;
    let relay_config = config::relay::read(&Checking::alone(&relay_file))?.logged();
    let host_config = config::host::read(&Checking::alone(&host_file))?.logged();
    let apps = host_config.session_apps.clone();
    drop(for_host);
    let host = Host::bind(host_config, Arc::new(SystemClock), Arc::new(SystemChance)).await?;
    drop(for_relay);
    let relay = Relay::bind(
        relay_config.clone(),
        Arc::new(SystemClock),
        Arc::new(SystemChance),
    )
    .await?;
    let before = Report::load(&args.data);
    let before = before.as_ref();
    let state = state::keep(before, &relay.store(), &relay_config, host.public_key()).await?;
    let host_users = match host.store() {
        Some(store) => state::host_users(before, &store).await?,
        None => Vec::new(),
    };
    let report = Report {
        relay_url: relay_config.public_url.to_string(),
        connection_domain: relay_config.connection_domain.to_string(),
        host_url: format!("http://127.0.0.1:{host_port}"),
        sim_url: sim_address.map(|address| format!("http://{address}")),
        account: state.account,
        host_users,
        printer_id: state.printer_id,
        app_connections: state.app_connections,
    };
    report.save(&args.data)?;
    let parts = Parts {
        sim,
        host,
        host_file,
        apps,
        relay,
    };
    Ok((parts, report))
}

async fn simulated_printer(data: &Path) -> anyhow::Result<Sim> {
    let config = SimConfig {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        api_key: files::sim_key(data)?,
        uploads_dir: Some(data.join("sim-files")),
        name: "Demo printer".to_owned(),
        ..SimConfig::default()
    };
    latchkey_sim::bind(config)
        .await
        .context("cannot start the simulated printer")
}

/// Runs all parts until stopped: callers are let go first, the printer last.
async fn serve(parts: Parts, stop: &Stop) {
    let tracker = TaskTracker::new();
    let (host_stop, relay_stop) = (parts.host.stop(), parts.relay.stop());
    let printer_stop = Stop::default();
    if let Some(sim) = parts.sim {
        tracker.spawn(sim.run(printer_stop.soft.clone()));
    }
    let host_file = parts.host_file;
    let host = tracker.spawn(async move {
        session_apps::run_following(parts.host, &host_file, Overlay::Nothing, parts.apps).await;
    });
    let relay = tracker.spawn(parts.relay.run());
    tracker.close();
    let ends = async {
        let _ = relay.await;
        host_stop.soft.cancel();
        let _ = host.await;
        printer_stop.soft.cancel();
        tracker.wait().await;
    };
    let signals = async {
        stop.soft.cancelled().await;
        relay_stop.soft.cancel();
        stop.hard.cancelled().await;
        relay_stop.hard.cancel();
        host_stop.hard.cancel();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = ends => {}
        () = signals => {}
    }
}

/// Waits until everything answers and says so.
async fn announce(args: &DemoArgs, report: &Report) -> anyhow::Result<()> {
    ready::wait(report, args.upstream.is_none()).await?;
    if args.json {
        output::result(&serde_json::to_string(report)?);
    } else {
        output::note(&report.for_people(args));
    }
    if args.open {
        browser::open(&report.browser_url());
    }
    Ok(())
}

/// Who checks callers, if the command line does not say.
fn authority(args: &DemoArgs) -> RawAuthority {
    args.authority.unwrap_or(match args.upstream {
        Some(_) => RawAuthority::Upstream,
        None => RawAuthority::Host,
    })
}

fn port_of(listener: &TcpListener) -> anyhow::Result<u16> {
    Ok(listener.local_addr()?.port())
}

/// Holds the wanted port, or a free one for 0. Another program may still take it between its
/// letting go and its use.
fn hold_port(wanted: u16, option: &str) -> anyhow::Result<TcpListener> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, wanted)) {
        Ok(listener) => Ok(listener),
        Err(error) => bail!(
            "port {wanted} cannot be used ({error}); choose another with {option}, or 0 for a free one"
        ),
    }
}
