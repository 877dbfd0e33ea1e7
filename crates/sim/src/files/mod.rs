//! The library of printable files: folders and files below one root on disk.
//! `path` decides what may be a name at all; `range` which part of a file was asked for;
//! `virtual_file` makes up large files for tests without storing them.

pub(crate) mod listing;
pub(crate) mod path;
pub(crate) mod range;
pub(crate) mod virtual_file;

use std::collections::HashMap;
use std::io::{self, BufReader};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use tempfile::{NamedTempFile, TempDir};

use crate::gcode::summary::Summary;
use crate::printer::job::Selected;
use path::LibraryPath;

/// Uploads in progress live here until they are whole; the dot keeps it out of listings.
const INCOMING: &str = ".incoming";

#[derive(Debug)]
pub(crate) struct Library {
    root: PathBuf,
    /// Summaries by path, each with the size and date of the file it was read from.
    summaries: Mutex<HashMap<String, (u64, i64, Summary)>>,
    /// A temporary root is removed with the library.
    _temporary: Option<TempDir>,
}

/// A file found on disk.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stored {
    pub(crate) on_disk: PathBuf,
    pub(crate) size: u64,
    /// Unix seconds of the last change.
    pub(crate) date: i64,
    /// Changes with the content, for `ETag`.
    pub(crate) version: String,
    pub(crate) folder: bool,
}

impl Library {
    /// Opens the folder, or a temporary one.
    pub(crate) fn open(root: Option<PathBuf>) -> io::Result<Self> {
        let (root, temporary) = if let Some(root) = root {
            (root, None)
        } else {
            let temporary = tempfile::Builder::new().prefix("latchkey-sim-").tempdir()?;
            (temporary.path().to_owned(), Some(temporary))
        };
        std::fs::create_dir_all(root.join(INCOMING))?;
        Ok(Self {
            root,
            summaries: Mutex::default(),
            _temporary: temporary,
        })
    }

    pub(crate) fn on_disk(&self, path: &LibraryPath) -> PathBuf {
        self.root.join(path.as_str())
    }

    /// A fresh file for an upload in progress; it goes away unless it is kept.
    pub(crate) fn incoming(&self) -> io::Result<NamedTempFile> {
        NamedTempFile::new_in(self.root.join(INCOMING))
    }

    pub(crate) fn find(&self, path: &LibraryPath) -> Option<Stored> {
        Stored::read(self.on_disk(path))
    }

    pub(crate) fn summary(&self, path: &str, stored: &Stored) -> Option<Summary> {
        let summaries = self
            .summaries
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        summaries
            .get(path)
            .filter(|(size, date, _)| (*size, *date) == (stored.size, stored.date))
            .map(|(_, _, summary)| summary.clone())
    }

    /// Reads the whole file; call it where blocking is fine.
    pub(crate) fn summarize(&self, path: &LibraryPath) -> Option<Summary> {
        let stored = self.find(path).filter(|stored| !stored.folder)?;
        let file = std::fs::File::open(&stored.on_disk).ok()?;
        let summary = Summary::read(BufReader::new(file));
        let mut summaries = self
            .summaries
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        summaries.insert(
            path.as_str().to_owned(),
            (stored.size, stored.date, summary.clone()),
        );
        Some(summary)
    }

    /// Forgets what is known about a path and everything below it.
    pub(crate) fn forget(&self, path: &LibraryPath) {
        let below = format!("{path}/");
        let mut summaries = self
            .summaries
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        summaries.retain(|known, _| known != path.as_str() && !known.starts_with(&below));
    }

    /// The file as a job takes it.
    pub(crate) fn selected(&self, path: &LibraryPath) -> Option<Selected> {
        let stored = self.find(path).filter(|stored| !stored.folder)?;
        let summary = self.summary(path.as_str(), &stored);
        Some(Selected {
            path: path.as_str().to_owned(),
            on_disk: stored.on_disk,
            size: stored.size,
            date: stored.date,
            summary,
        })
    }
}

impl Stored {
    pub(crate) fn read(on_disk: PathBuf) -> Option<Self> {
        // Not through a symbolic link: it could lead out of the library.
        let metadata = std::fs::symlink_metadata(&on_disk)
            .ok()
            .filter(|m| m.is_file() || m.is_dir())?;
        let changed = metadata
            .modified()
            .ok()
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
            .unwrap_or_default();
        Some(Self {
            size: metadata.len(),
            date: i64::try_from(changed.as_secs()).unwrap_or(0),
            version: format!("{:x}-{:x}", metadata.len(), changed.as_nanos()),
            folder: metadata.is_dir(),
            on_disk,
        })
    }
}
