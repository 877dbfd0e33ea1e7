//! A simulated printer that speaks the part of OctoPrint's interface real apps use: REST, push socket,
//! downloads and uploads, and an MJPEG webcam whose picture is drawn from the G-code being "printed".
//!
//! It is the demo's upstream, the bench for app developers, and the printer of the tests. It knows
//! nothing of the other roles and uses no other crate of this workspace.

mod api;
mod chance;
mod config;
mod faults;
mod files;
mod gcode;
mod page;
mod physics;
mod printer;
mod push;
mod serve;
mod webcam;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use config::{Autoprint, SimConfig, WebcamConfig};
pub use faults::Faults;
pub use files::virtual_file::fill_virtual_file;
pub use printer::event::Event;
pub use printer::machine::Refusal;
pub use printer::state::PrinterState;

use api::{ApiError, Sessions};
use chance::Chance;
use faults::FaultSwitches;
use files::Library;
use files::path::LibraryPath;
use printer::Printer;
use printer::machine::Machine;
use webcam::Camera;

/// What everything in here shares.
pub(crate) type App = Arc<Shared>;

/// Why a simulated printer cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    #[error("cannot listen on {addr}")]
    Listen {
        addr: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot use the folder for uploads")]
    Uploads(#[source] std::io::Error),
    #[error("the API key is empty")]
    EmptyKey,
}

/// Why a print is not started through the handle.
#[derive(Debug, thiserror::Error)]
pub enum PrintError {
    #[error("there is no such file: {0}")]
    NoSuchFile(String),
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// A simulated printer that listens but does not answer yet.
#[derive(Debug)]
pub struct Sim {
    listener: TcpListener,
    app: App,
}

/// A way to steer a running simulated printer from the same program.
#[derive(Debug, Clone)]
pub struct SimHandle {
    app: App,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: SimConfig,
    pub(crate) local_addr: SocketAddr,
    /// Stable over restarts with the same seed and name: apps recognise a printer by it.
    pub(crate) uuid: String,
    pub(crate) printer: Printer,
    pub(crate) library: Library,
    pub(crate) faults: FaultSwitches,
    pub(crate) sessions: Sessions,
    pub(crate) camera: Camera,
    pub(crate) tracker: TaskTracker,
    pub(crate) shutdown: CancellationToken,
}

/// Opens the port and the folder of files. Nothing is answered before [`Sim::run`].
pub async fn bind(config: SimConfig) -> Result<Sim, SimError> {
    if config.api_key.is_empty() {
        return Err(SimError::EmptyKey);
    }
    let listen = |source| SimError::Listen {
        addr: config.listen,
        source,
    };
    let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
    let local_addr = listener.local_addr().map_err(listen)?;
    let library = Library::open(config.uploads_dir.clone()).map_err(SimError::Uploads)?;
    put_bundled_model(&library).map_err(SimError::Uploads)?;
    let speed = if config.speed.is_finite() {
        config.speed.clamp(0.01, 100_000.0)
    } else {
        1.0
    };
    let app = Arc::new(Shared {
        local_addr,
        uuid: uuid(config.seed, &config.name),
        printer: Printer::new(Machine::new(config.seed), speed),
        library,
        faults: FaultSwitches::new(Faults::default()),
        sessions: Sessions::default(),
        camera: Camera::new(config.webcam.within_bounds()),
        tracker: TaskTracker::new(),
        shutdown: CancellationToken::new(),
        config,
    });
    app.set_faults(app.config.faults.clone());
    Ok(Sim { listener, app })
}

impl Sim {
    /// Where it listens; tells the port when 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.app.local_addr
    }

    pub fn handle(&self) -> SimHandle {
        SimHandle {
            app: self.app.clone(),
        }
    }

    /// Answers until the token is cancelled, then ends within a few seconds, open streams included.
    pub async fn run(self, shutdown: CancellationToken) {
        serve::run(self.listener, self.app, shutdown).await;
    }
}

impl SimHandle {
    pub fn faults(&self) -> Faults {
        self.app.faults.current()
    }

    pub fn set_faults(&self, faults: Faults) {
        self.app.set_faults(faults);
    }

    /// Closes all push sockets and camera streams now.
    pub fn drop_sockets(&self) {
        self.app.faults.drop_sockets();
    }

    /// Selects a file of the library and prints it; `None` is the bundled model.
    pub fn start_print(&self, path: Option<&str>) -> Result<(), PrintError> {
        let name = path.unwrap_or(gcode::vase::NAME);
        let none = || PrintError::NoSuchFile(name.to_owned());
        let path = LibraryPath::parse_entry(name).map_err(|_| none())?;
        let file = self.app.library.selected(&path).ok_or_else(none)?;
        self.app.printer.with(|machine| {
            machine.select(file)?;
            machine.start()
        })?;
        Ok(())
    }

    pub fn cancel_print(&self) -> Result<(), Refusal> {
        self.app.printer.with(Machine::cancel)
    }

    pub fn state(&self) -> PrinterState {
        self.app.printer.with(|machine| machine.state())
    }

    /// Follows the state; short states may be skipped by a slow follower.
    pub fn states(&self) -> watch::Receiver<PrinterState> {
        self.app.printer.states()
    }

    /// Every event from now on.
    pub fn events(&self) -> broadcast::Receiver<Arc<Event>> {
        self.app.printer.events()
    }

    /// How many camera viewers there are.
    pub fn viewers(&self) -> usize {
        self.app.camera.viewers()
    }
}

impl Shared {
    pub(crate) fn set_faults(&self, faults: Faults) {
        self.printer.with(|machine| machine.unplug(faults.offline));
        self.faults.set(faults);
    }

    /// Selects a file and, if asked, starts to print it.
    pub(crate) fn select(&self, path: &LibraryPath, print: bool) -> Result<(), ApiError> {
        let file = self.library.selected(path).ok_or(ApiError::NotFound)?;
        self.printer.with(|machine| {
            machine.select(file)?;
            if print { machine.start() } else { Ok(()) }
        })?;
        Ok(())
    }

    /// Reads a file through and waits for it.
    pub(crate) async fn summarize(self: &Arc<Self>, path: LibraryPath) {
        let app = self.clone();
        // A file that cannot be read through simply has no estimate.
        let _ = tokio::task::spawn_blocking(move || app.library.summarize(&path)).await;
    }

    /// Reads a file through in the background.
    pub(crate) fn summarize_later(self: &Arc<Self>, path: LibraryPath) {
        let app = self.clone();
        self.tracker.spawn_blocking(move || {
            if app.library.summarize(&path).is_some() {
                app.printer
                    .announce(Event::about_file("MetadataAnalysisFinished", path.as_str()));
            }
        });
    }
}

fn put_bundled_model(library: &Library) -> std::io::Result<()> {
    let Ok(path) = LibraryPath::parse_entry(gcode::vase::NAME) else {
        return Ok(());
    };
    if library.find(&path).is_none() {
        std::fs::write(library.on_disk(&path), gcode::vase::gcode())?;
    }
    library.summarize(&path);
    Ok(())
}

fn uuid(seed: u64, name: &str) -> String {
    let mixed = name.bytes().fold(seed, |mixed, byte| {
        mixed.wrapping_mul(0x0100_0000_01b3) ^ u64::from(byte)
    });
    let mut chance = Chance::new(mixed);
    let hex = format!("{:016x}{:016x}", chance.next_u64(), chance.next_u64());
    format!(
        "{}-{}-4{}-8{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[13..16],
        &hex[17..20],
        &hex[20..]
    )
}
