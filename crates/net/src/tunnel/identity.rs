//! A host's identity: an Ed25519 key made on the host, which never leaves it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use ed25519_dalek::{Signer, SigningKey};
use zeroize::Zeroizing;

use crate::key_file::{self, KeyFileError};

/// Starts the key file, so that another file is never taken for a key.
const PREFIX: &str = "latchkey-host-key-1:";

/// Why the identity is not available.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file with the key is not available.
    #[error(transparent)]
    File(#[from] KeyFileError),
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
        Self::from_secret(&*key_file::load_or_create(path, PREFIX)?)
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
