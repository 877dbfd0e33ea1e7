//! The binary: command line, configuration, start-up, shutdown.

mod app_side;
mod browser;
mod cli;
mod commands;
mod config;
mod demo;
mod import;
mod lifecycle;
mod output;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use latchkey_web::logging::flush_log;
use mimalloc::MiMalloc;
use tokio::runtime::Runtime;

use crate::cli::{Cli, Command, KeyAction};

/// A fifth of what a small request costs was the system's: `docs/decisions/2026-11-26-request-path.md`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = run(cli);
    flush_log();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error);
            // Scripts tell a wrong configuration from a failure: see `--help`.
            let is_usage = error.chain().any(|cause| {
                cause.is::<config::ConfigError>() || cause.is::<app_side::UsageError>()
            });
            ExitCode::from(if is_usage { 2 } else { 1 })
        }
    }
}

fn runtime_for(command: &Command) -> std::io::Result<Runtime> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if matches!(command, Command::Host { .. }) {
        // Beside a printer one thread carries more than any uplink does, and one that never wakes
        // another needs a fifth less. What takes long, as passwords do, has threads of its own.
        runtime.worker_threads(1);
    }
    runtime.enable_all().build()
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let runtime = runtime_for(&cli.command)?;
    let outcome = runtime.block_on(async {
        match cli.command {
            Command::Demo(args) => {
                cli.log.init("warn")?;
                demo::run(args).await
            }
            Command::Relay { config } => {
                cli.log.init("info")?;
                commands::relay::run(&config).await
            }
            Command::Host { config } => {
                cli.log.init("info")?;
                commands::host::run(&config).await
            }
            Command::Pair(args) => {
                cli.log.init("warn")?;
                commands::pair::run(args).await
            }
            Command::Sim(args) => {
                cli.log.init("info")?;
                commands::sim::run(args).await
            }
            Command::User(action) => {
                cli.log.init("warn")?;
                commands::user::run(action).await
            }
            Command::Account(action) => {
                cli.log.init("warn")?;
                commands::account::run(action).await
            }
            Command::ImportOctoprint(args) => {
                cli.log.init("warn")?;
                commands::import_octoprint::run(&args).await
            }
            Command::Key(action) => {
                cli.log.init("warn")?;
                match action {
                    KeyAction::Request(args) => commands::key::request(args).await,
                    KeyAction::Session(args) => commands::key::session(&args).await,
                }
            }
            Command::App(action) => {
                cli.log.init("warn")?;
                commands::app::run(action).await
            }
            Command::Audit(action) => {
                cli.log.init("warn")?;
                commands::audit::run(action).await
            }
            Command::Connect(args) => {
                cli.log.init("warn")?;
                commands::connect::run(args).await
            }
            Command::Info(args) => {
                cli.log.init("warn")?;
                commands::info::run(&args).await
            }
            Command::Request(args) => {
                cli.log.init("warn")?;
                commands::request::run(&args).await
            }
            Command::AppKeygen(args) => {
                cli.log.init("warn")?;
                commands::app_keygen::run(args).await
            }
            Command::Config(action) => {
                cli.log.init("warn")?;
                commands::config::run(&action)
            }
            Command::Doctor { config } => {
                cli.log.init("off")?;
                commands::doctor::run(&config).await
            }
        }
    });
    // A name look-up that hangs must not hold up the end.
    runtime.shutdown_timeout(Duration::from_millis(100));
    outcome
}
