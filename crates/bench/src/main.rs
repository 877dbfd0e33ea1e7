//! The program behind `./bench`. Results go to standard output.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use latchkey_bench::board::Board;
use latchkey_bench::contenders::Setting;
use latchkey_bench::paths::{Choice, Field, Size};
use latchkey_bench::{hosts, paths, peer, report, say, slow};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
#[command(
    name = "latchkey-bench",
    about = "Run it by ./bench, which sets up what it needs"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everybody's way to one server, in rounds
    Paths {
        #[command(flatten)]
        programs: Programs,
        /// How often everything is done
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// How long each thing is, in seconds
        #[arg(long, default_value_t = 3.0)]
        seconds: f64,
        /// Megabytes of a download and of an upload
        #[arg(long, default_value_t = 256)]
        bulk: u64,
        /// Only these ways, by name
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
        /// Only these things, as in `rps-32` or `up`; their programs' processor time goes to standard error
        #[arg(long, value_delimiter = ',')]
        what: Vec<String>,
    },
    /// Many idle hosts, and their coming back
    Hosts {
        #[command(flatten)]
        programs: Programs,
        /// Idle ones
        #[arg(long, default_value_t = 5_000)]
        idle: usize,
        /// Those that come back
        #[arg(long, default_value_t = 2_000)]
        back: usize,
    },
    /// The slow link, in a network namespace of its own
    SlowLink {
        #[command(flatten)]
        programs: Programs,
        /// How often everything is done
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// Percent of packets that are lost
        #[arg(long, value_delimiter = ',', default_values_t = [0.0, 1.0, 3.0])]
        loss: Vec<f64>,
        /// A real OctoPrint's command
        #[arg(long)]
        octoprint: Option<PathBuf>,
    },
    /// The server that everything is measured in front of
    Serve {
        #[arg(long)]
        listen: SocketAddr,
    },
}

#[derive(Args)]
struct Programs {
    /// The built `latchkey`
    #[arg(long)]
    latchkey: PathBuf,
    /// nginx
    #[arg(long)]
    nginx: Option<PathBuf>,
    /// The folder with bore and rathole
    #[arg(long)]
    peers: Option<PathBuf>,
    /// Names and versions of what is measured, as NAME=VERSION
    #[arg(long = "version-of")]
    versions: Vec<String>,
    /// Put the tables into this page
    #[arg(long)]
    write: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let command = Cli::parse().command;
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        outcome = run(command) => outcome,
        // Dropped, everything that was started ends with it.
        _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
        _ = terminated.recv() => anyhow::bail!("interrupted"),
    }
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve { listen } => peer::run(listen).await,
        Command::Paths {
            programs,
            rounds,
            seconds,
            bulk,
            only,
            what,
        } => {
            let size = Size {
                rounds,
                time: Duration::from_secs_f64(seconds),
                rate: 500,
                bulk: bulk * 1_000_000,
                viewers: 100,
            };
            programs.paths(&size, &Choice { only, what }).await
        }
        Command::Hosts {
            programs,
            idle,
            back,
        } => {
            let (_folder, setting) = programs.setting()?;
            let idle = hosts::idle(&setting, idle).await?;
            let back = hosts::back(&setting, back).await?;
            programs.tell("hosts", &report::hosts(&idle, &back))
        }
        Command::SlowLink {
            programs,
            rounds,
            loss,
            octoprint,
        } => {
            let (_folder, setting) = programs.setting()?;
            let plan = slow::Plan {
                rounds,
                losses: loss.iter().map(|percent| percent / 100.0).collect(),
                octoprint,
            };
            let (laps, visits) = slow::run(&setting, &plan).await?;
            programs.tell("slow-link", &report::slow(&laps, &visits))
        }
    }
}

impl Programs {
    async fn paths(&self, size: &Size, choice: &Choice) -> anyhow::Result<()> {
        let (_folder, setting) = self.setting()?;
        let versions = self.versions.iter().filter_map(|text| {
            let (name, version) = text.split_once('=')?;
            Some((name.to_owned(), version.to_owned()))
        });
        let machine = report::machine(&versions.collect::<Vec<_>>());
        let mut board = Board::default();
        let field = Field::start(&setting, choice, &mut board).await?;
        paths::measure(&field, size, choice, &mut board).await?;
        drop(field);
        for trouble in &board.troubles {
            say(trouble);
        }
        self.tell("paths", &report::paths(&board, size, &machine))
    }

    /// The folder goes away with what comes first.
    fn setting(&self) -> anyhow::Result<(tempfile::TempDir, Setting)> {
        let folder = tempfile::TempDir::with_prefix("latchkey-bench-")?;
        let setting = Setting {
            latchkey: absolute(&self.latchkey)?,
            own: std::env::current_exe()?,
            nginx: self.nginx.clone(),
            peers: self.peers.clone(),
            folder: folder.path().to_owned(),
        };
        Ok((folder, setting))
    }

    fn tell(&self, name: &str, text: &str) -> anyhow::Result<()> {
        #[expect(clippy::print_stdout, reason = "the one place that prints results")]
        {
            println!("\n{text}");
        }
        match &self.write {
            Some(page) => report::write(page, name, text),
            None => Ok(()),
        }
    }
}

fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    path.canonicalize()
        .with_context(|| path.display().to_string())
}
