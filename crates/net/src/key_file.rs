//! Files with 32 secret bytes, made once and readable by their owner alone.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

/// How many bytes such a file holds.
pub const LENGTH: usize = 32;

/// Why a key file is not available.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file or its folder cannot be read or written.
    #[error("cannot use the key file {}: {cause}", path.display())]
    File {
        /// The key file.
        path: PathBuf,
        /// Why not.
        cause: io::Error,
    },
    /// The file holds something else.
    #[error("{} is not a key file of this kind; move it away to get a new one", .0.display())]
    NotAKey(PathBuf),
    /// Others on this machine can read the file.
    #[error("others can read the key file {}; run chmod 600 on it", .0.display())]
    Readable(PathBuf),
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: {0}")]
    Random(#[from] getrandom::Error),
}

/// Loads the key at `path`, or makes one and keeps it there (mode 0600).
///
/// `prefix` starts the file, so that another file is never taken for a key.
pub fn load_or_create(path: &Path, prefix: &str) -> Result<Zeroizing<[u8; LENGTH]>, KeyFileError> {
    match load(path, prefix) {
        Err(KeyFileError::File { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => {
            let mut fresh = Zeroizing::new([0; LENGTH]);
            getrandom::fill(fresh.as_mut())?;
            store(path, prefix, &fresh).map_err(|cause| KeyFileError::File {
                path: path.to_owned(),
                cause,
            })?;
            // Read back: when two started at once, the first file stays.
            load(path, prefix)
        }
        other => other,
    }
}

fn load(path: &Path, prefix: &str) -> Result<Zeroizing<[u8; LENGTH]>, KeyFileError> {
    let file_error = |cause| KeyFileError::File {
        path: path.to_owned(),
        cause,
    };
    let text = Zeroizing::new(fs::read_to_string(path).map_err(file_error)?);
    refuse_shared(path, &fs::metadata(path).map_err(file_error)?)?;
    let not_a_key = || KeyFileError::NotAKey(path.to_owned());
    let encoded = text.trim_end().strip_prefix(prefix).ok_or_else(not_a_key)?;
    let mut secret = Zeroizing::new([0; LENGTH]);
    match URL_SAFE_NO_PAD.decode_slice(encoded, secret.as_mut()) {
        Ok(LENGTH) => Ok(secret),
        _ => Err(not_a_key()),
    }
}

/// Writes beside the target, then links it into place: a crash leaves either no key
/// or a whole one, and an existing one is never replaced.
fn store(path: &Path, prefix: &str, secret: &[u8; LENGTH]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder)?;
    let mut unique = [0; 8];
    getrandom::fill(&mut unique)?;
    let unique = data_encoding::HEXLOWER.encode(&unique);
    let draft = folder.join(format!(".host-key-{unique}.tmp"));
    let written =
        write_draft(&draft, prefix, secret).and_then(|()| match fs::hard_link(&draft, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            // Some file systems know no links.
            Err(_) => fs::rename(&draft, path),
            Ok(()) => Ok(()),
        });
    let _ = fs::remove_file(&draft);
    written?;
    #[cfg(unix)]
    fs::File::open(folder)?.sync_all()?;
    Ok(())
}

fn write_draft(draft: &Path, prefix: &str, secret: &[u8; LENGTH]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(draft)?;
    let encoded = Zeroizing::new(URL_SAFE_NO_PAD.encode(secret));
    writeln!(file, "{prefix}{}", *encoded)?;
    file.sync_all()
}

#[cfg(unix)]
fn refuse_shared(path: &Path, metadata: &fs::Metadata) -> Result<(), KeyFileError> {
    use std::os::unix::fs::PermissionsExt;
    // Nothing for group and others: the lower six bits are off.
    if metadata.permissions().mode().trailing_zeros() >= 6 {
        Ok(())
    } else {
        Err(KeyFileError::Readable(path.to_owned()))
    }
}

#[cfg(not(unix))]
fn refuse_shared(_: &Path, _: &fs::Metadata) -> Result<(), KeyFileError> {
    Ok(())
}
