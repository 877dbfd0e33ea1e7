//! The little that a host learns of itself, in a file beside its key.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use latchkey_model::id::PrinterId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Kept {
    pub(super) frontend: Option<Frontend>,
    /// The relay that has let this host in.
    pub(super) paired_with: Option<String>,
    /// By what that relay knows this host's printer.
    pub(super) printer_id: Option<PrinterId>,
}

/// Where a local proxy shows this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Frontend {
    pub(crate) port: u16,
    pub(crate) https: bool,
}

/// What is in the file; nothing if it cannot be read, for all of it is learnt again.
pub(super) fn load(file: &Path) -> Kept {
    let text = match fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Kept::default(),
        Err(error) => {
            tracing::warn!(file = %file.display(), %error, "what this host learnt of itself is lost");
            return Kept::default();
        }
    };
    serde_json::from_slice(&text).unwrap_or_else(|error| {
        tracing::warn!(file = %file.display(), %error, "what this host learnt of itself is lost");
        Kept::default()
    })
}

/// Writes the file whole or not at all.
pub(super) fn save(file: &Path, kept: &Kept) -> io::Result<()> {
    let fresh = file.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut written = options.open(&fresh)?;
    written.write_all(&serde_json::to_vec_pretty(kept)?)?;
    written.sync_all()?;
    fs::rename(&fresh, file)
}
