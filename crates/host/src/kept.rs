//! What a host keeps on disk, opened the same way by the running host and by the commands that
//! work beside it.

use std::io;
use std::path::{Path, PathBuf};

use latchkey_model::sealed::MasterKey;
use latchkey_net::key_file::{self, KeyFileError};
use latchkey_net::tunnel::{HostIdentity, IdentityError};
use latchkey_store::{HostStore, StoreError};

use crate::config::Config;

const KEY_PREFIX: &str = "latchkey-host-master-1:";

/// Why what a host keeps cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    #[error("cannot use the data directory {}: {cause}; does it belong to another user?", path.display())]
    Data { path: PathBuf, cause: io::Error },
    #[error("cannot use the database {}: {cause}{}", path.display(), remedy(cause))]
    Database { path: PathBuf, cause: StoreError },
    #[error(
        "{} is not this host's key file; put the right one back: with a new one no app key can \
         be shown again, and people sign in anew",
        .0.display()
    )]
    NotTheKey(PathBuf),
    #[error(transparent)]
    Key(#[from] KeyFileError),
    #[error("cannot use the host's identity: {0}")]
    Identity(#[from] IdentityError),
}

const fn remedy(cause: &StoreError) -> &'static str {
    match cause {
        StoreError::Unavailable(_) => "; does it belong to another user, or is the disk full?",
        _ => "",
    }
}

impl Config {
    /// The host's database.
    pub fn database(&self) -> PathBuf {
        self.data.join("host.db")
    }

    /// The file with the key that app keys are sealed with.
    pub fn master_key(&self) -> PathBuf {
        self.key_file
            .clone()
            .unwrap_or_else(|| self.data.join("host.key"))
    }

    /// Reads the host's identity, or makes it, with the directory around it.
    pub fn load_identity(&self) -> Result<HostIdentity, KeptError> {
        self.make_data_dir()?;
        Ok(HostIdentity::load_or_create(
            &self.data.join("identity.key"),
        )?)
    }

    /// Opens the host's database, or makes it, with the directory around it.
    pub async fn open_store(&self) -> Result<HostStore, KeptError> {
        self.make_data_dir()?;
        let path = self.database();
        let opened = HostStore::open(&path).await;
        opened.map_err(|cause| KeptError::Database { path, cause })
    }

    /// Makes the data directory if there is none; only its owner can look into it.
    pub(crate) fn make_data_dir(&self) -> Result<(), KeptError> {
        private_dir(&self.data).map_err(|cause| KeptError::Data {
            path: self.data.clone(),
            cause,
        })
    }

    /// Loads the key that app keys are sealed with, or makes one.
    pub fn load_master_key(&self) -> Result<MasterKey, KeptError> {
        match key_file::load_or_create(&self.master_key(), KEY_PREFIX) {
            Ok(bytes) => Ok(MasterKey::from_bytes(*bytes)),
            Err(KeyFileError::NotAKey(path)) => Err(KeptError::NotTheKey(path)),
            Err(error) => Err(error.into()),
        }
    }
}

fn private_dir(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
