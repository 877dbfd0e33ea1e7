//! What is kept of the relay, in a file of its own in the data directory: the running host and the
//! command beside it both write it, each whole or not at all.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use url::Url;

/// The file's name.
const FILE: &str = "relay.json";

/// What is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeptRelay {
    /// The relay this host was paired with; counts where the configuration names none.
    pub url: Option<Url>,
    /// A certificate authority believed beside the public ones.
    pub ca_file: Option<PathBuf>,
    /// The relay of the configuration that this host is not to dial any more.
    pub left: Option<Url>,
    /// Who confirmed, as far as the relay tells.
    pub account: Option<String>,
    /// What the printer is called there.
    pub printer: Option<String>,
    /// When it was confirmed, in milliseconds since 1970.
    pub confirmed_at: Option<i64>,
    /// Who of this host's users paired it; nobody if a command did.
    pub by: Option<String>,
}

impl KeptRelay {
    /// Where it is kept.
    pub fn file(data: &Path) -> PathBuf {
        data.join(FILE)
    }

    /// Reads it; nothing if there is none, or if it cannot be read.
    pub fn load(file: &Path) -> Self {
        let text = match fs::read(file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::default(),
            Err(error) => {
                tracing::warn!(file = %file.display(), %error, "cannot read with which relay this host is paired");
                return Self::default();
            }
        };
        serde_json::from_slice(&text).unwrap_or_else(|error| {
            tracing::warn!(file = %file.display(), %error, "cannot read with which relay this host is paired");
            Self::default()
        })
    }

    /// Writes it whole or not at all.
    pub fn save(&self, file: &Path) -> io::Result<()> {
        let fresh = file.with_extension(format!("{}.new", std::process::id()));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut written = options.open(&fresh)?;
        written.write_all(&serde_json::to_vec_pretty(self)?)?;
        written.sync_all()?;
        fs::rename(&fresh, file)
    }
}
