//! What is measured against each other: ways to one and the same server.

mod latchkey;
mod others;
mod paired;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::load::Target;
use crate::process::Running;

pub use latchkey::{Latchkey, Place};
pub use others::{bore, nginx, rathole};
pub use paired::{Access, prepare, prepare_hosts};

/// The names of all, in the order of tables.
pub const NAMES: [&str; 5] = ["direct", "nginx", "bore", "rathole", "latchkey"];

/// One way.
#[derive(Debug)]
pub struct Contender {
    /// One of [`NAMES`].
    pub name: &'static str,
    /// Where callers go.
    pub target: Target,
    /// The programs in between; none for the direct way.
    pub programs: Vec<Running>,
}

/// Where programs are, and where they may write.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The built `latchkey`.
    pub latchkey: PathBuf,
    /// This program.
    pub own: PathBuf,
    /// nginx, if there is one.
    pub nginx: Option<PathBuf>,
    /// The folder with `bore` and `rathole`, if they were built.
    pub peers: Option<PathBuf>,
    /// A folder that goes away at the end.
    pub folder: PathBuf,
}

impl Contender {
    /// The ids of its programs.
    pub fn ids(&self) -> Vec<u32> {
        self.programs.iter().map(Running::id).collect()
    }
}

impl Setting {
    /// This program again, in another part.
    pub fn own(&self, part: &str) -> Command {
        let mut command = Command::new(&self.own);
        command.arg(part);
        command
    }

    /// `bore` or `rathole`, if it was built.
    pub fn peer(&self, name: &str) -> Option<PathBuf> {
        let path = self.peers.as_ref()?.join(name);
        path.exists().then_some(path)
    }

    /// A folder of its own for one contender.
    pub fn room(&self, name: &str) -> std::io::Result<PathBuf> {
        let folder = self.folder.join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }
}

/// The server itself, in a process of its own, and the direct way to it.
pub async fn direct(setting: &Setting) -> anyhow::Result<(Running, Contender)> {
    let address = free_address()?;
    let mut command = setting.own("serve");
    command.args(["--listen", &address.to_string()]);
    let mut server = Running::start("server", command, &setting.folder)?;
    server.listens(address).await?;
    let direct = Contender {
        name: "direct",
        target: Target::plain(address),
        programs: Vec::new(),
    };
    Ok((server, direct))
}

/// An address that nothing listens on now.
pub fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn write(folder: &Path, name: &str, text: impl AsRef<[u8]>) -> std::io::Result<PathBuf> {
    let path = folder.join(name);
    std::fs::write(&path, text)?;
    Ok(path)
}
