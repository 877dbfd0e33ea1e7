//! Whether anybody committed anything, told without asking the database.
//!
//! In WAL mode a commit, of whichever connection and process, becomes visible by a change of the
//! header of the WAL index, the file beside the database that ends in `-shm`. Its layout is
//! documented (<https://www.sqlite.org/walformat.html>, section 2.1: 48 bytes, twice), and the SQLite that
//! is used is compiled in. As long as these bytes are the same, a query would see the same
//! database as before: SQLite itself decides by them which snapshot a reader gets.

use std::fs::File;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// Both copies of the header.
const HEADER: usize = 96;

/// What the header was at some moment.
pub(crate) type Version = [u8; HEADER];

/// Follows the commits of one database file. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Commits(Arc<Index>);

#[derive(Debug)]
struct Index {
    /// Missing for a database without a file.
    path: Option<PathBuf>,
    // Never closed: closing any descriptor of the file drops the locks that SQLite holds on it in
    // this process (POSIX, fcntl). It is opened once, when it is first needed.
    file: OnceLock<Option<ManuallyDrop<File>>>,
}

impl Commits {
    /// Of the database file at `path`.
    pub(crate) fn of(path: &Path) -> Self {
        let mut path = path.as_os_str().to_owned();
        path.push("-shm");
        Self(Arc::new(Index {
            path: Some(path.into()),
            file: OnceLock::new(),
        }))
    }

    /// Of a database of which nothing can be known without asking it.
    pub(crate) fn unknown() -> Self {
        Self(Arc::new(Index {
            path: None,
            file: OnceLock::new(),
        }))
    }

    /// The version of the database as of now. Nothing if it cannot be told.
    pub(crate) fn version(&self) -> Option<Version> {
        let file = self.0.file.get_or_init(|| {
            let path = self.0.path.as_ref()?;
            File::open(path).ok().map(ManuallyDrop::new)
        });
        read(file.as_ref()?)
    }
}

// Elsewhere a read need not see what another process wrote into its mapping of the file.
#[cfg(any(target_os = "linux", target_os = "macos"))]
fn read(file: &File) -> Option<Version> {
    use std::os::unix::fs::{FileExt as _, MetadataExt as _};

    let mut header = [0; HEADER];
    file.read_exact_at(&mut header, 0).ok()?;
    // The last connection that closes removes the file; the next one makes another.
    let is_there = file.metadata().ok()?.nlink() > 0;
    is_there.then_some(header)
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn read(_: &File) -> Option<Version> {
    None
}
