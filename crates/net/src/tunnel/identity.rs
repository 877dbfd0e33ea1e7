//! A host's identity: an Ed25519 key made on the host, which never leaves it.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer, SigningKey};
use zeroize::Zeroizing;

/// Starts the key file, so that another file is never taken for a key.
const PREFIX: &str = "latchkey-host-key-1:";

/// Why the identity is not available.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file or its folder cannot be read or written.
    #[error("cannot use the host key file {}: {cause}", path.display())]
    File {
        /// The key file.
        path: PathBuf,
        /// Why not.
        cause: io::Error,
    },
    /// The file holds something else.
    #[error(
        "{} is not a host key file; move it away to get a new identity, then pair again",
        .0.display()
    )]
    NotAKey(PathBuf),
    /// Others on this machine can read the file.
    #[error("others can read the host key file {}; run chmod 600 on it", .0.display())]
    Readable(PathBuf),
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: {0}")]
    Random(#[from] getrandom::Error),
}

/// A host's key pair, and the instance number of this run of the program.
#[derive(Clone)]
pub struct HostIdentity {
    key: Arc<SigningKey>,
    instance: [u8; 16],
}

impl HostIdentity {
    /// Makes a new identity that is kept nowhere.
    pub fn generate() -> Result<Self, IdentityError> {
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(secret.as_mut())?;
        Self::from_secret(&secret)
    }

    /// Loads the identity from `path`, or makes one and keeps it there (mode 0600).
    ///
    /// Load it once per run: each load draws a new instance number, by which a relay
    /// tells a restarted host from a second machine with a copied key.
    pub fn load_or_create(path: &Path) -> Result<Self, IdentityError> {
        match Self::load(path) {
            Err(IdentityError::File { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => {
                let fresh = Self::generate()?;
                fresh.store(path).map_err(|cause| IdentityError::File {
                    path: path.to_owned(),
                    cause,
                })?;
                // Read back: when two started at once, the first file stays.
                Self::load(path)
            }
            other => other,
        }
    }

    /// The public part, by which a relay knows this host.
    pub fn public_key(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    /// Sixteen random bytes, drawn when the identity was loaded.
    pub fn instance(&self) -> [u8; 16] {
        self.instance
    }

    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }

    fn from_secret(secret: &[u8; 32]) -> Result<Self, IdentityError> {
        let mut instance = [0; 16];
        getrandom::fill(&mut instance)?;
        Ok(Self {
            key: Arc::new(SigningKey::from_bytes(secret)),
            instance,
        })
    }

    fn load(path: &Path) -> Result<Self, IdentityError> {
        let file_error = |cause| IdentityError::File {
            path: path.to_owned(),
            cause,
        };
        let text = Zeroizing::new(fs::read_to_string(path).map_err(file_error)?);
        refuse_shared(path, &fs::metadata(path).map_err(file_error)?)?;
        let not_a_key = || IdentityError::NotAKey(path.to_owned());
        let encoded = text.trim_end().strip_prefix(PREFIX).ok_or_else(not_a_key)?;
        let mut secret = Zeroizing::new([0; 32]);
        match URL_SAFE_NO_PAD.decode_slice(encoded, secret.as_mut()) {
            Ok(32) => Self::from_secret(&secret),
            _ => Err(not_a_key()),
        }
    }

    /// Writes beside the target, then links it into place: a crash leaves either no key
    /// or a whole one, and an existing one is never replaced.
    fn store(&self, path: &Path) -> io::Result<()> {
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        fs::create_dir_all(folder)?;
        let mut unique = [0; 8];
        getrandom::fill(&mut unique)?;
        let unique = data_encoding::HEXLOWER.encode(&unique);
        let draft = folder.join(format!(".host-key-{unique}.tmp"));
        let written = self
            .write_draft(&draft)
            .and_then(|()| match fs::hard_link(&draft, path) {
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

    fn write_draft(&self, draft: &Path) -> io::Result<()> {
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(draft)?;
        let secret = Zeroizing::new(self.key.to_bytes());
        let encoded = Zeroizing::new(URL_SAFE_NO_PAD.encode(*secret));
        writeln!(file, "{PREFIX}{}", *encoded)?;
        file.sync_all()
    }
}

impl fmt::Debug for HostIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostIdentity")
            .field(
                "public_key",
                &data_encoding::HEXLOWER.encode(&self.public_key()),
            )
            .finish_non_exhaustive()
    }
}

#[cfg(unix)]
fn refuse_shared(path: &Path, metadata: &fs::Metadata) -> Result<(), IdentityError> {
    use std::os::unix::fs::PermissionsExt;
    // Nothing for group and others: the lower six bits are off.
    if metadata.permissions().mode().trailing_zeros() >= 6 {
        Ok(())
    } else {
        Err(IdentityError::Readable(path.to_owned()))
    }
}

#[cfg(not(unix))]
fn refuse_shared(_: &Path, _: &fs::Metadata) -> Result<(), IdentityError> {
    Ok(())
}
