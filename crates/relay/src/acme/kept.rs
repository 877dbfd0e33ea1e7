//! What is kept in the data directory: the account at the authority, and what it gave last.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use instant_acme::AccountCredentials;
use latchkey_net::tls::{Certificate, Files};
use serde::{Deserialize, Serialize};
use url::Url;
use zeroize::Zeroizing;

use super::{AcmeError, Given};
use crate::config;

const ACCOUNT: &str = "acme-account.json";
/// How the file with the certificate begins; after it, whose it is. PEM lets other text stand around it.
const GIVEN_BY: &str = "given by ";

/// A certificate that is kept.
pub(super) struct Held {
    pub(super) certificate: Certificate,
    /// Whether the authority gave it that is asked now.
    pub(super) of_this_directory: bool,
}

/// Where it is kept, and for whom.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    files: Files,
    account: PathBuf,
    /// The address of the authority's directory.
    directory: String,
}

/// An account is one at one authority.
#[derive(Serialize, Deserialize)]
struct Account {
    directory: String,
    credentials: AccountCredentials,
}

impl Kept {
    pub(super) fn new(data: &Path, directory: &Url) -> Self {
        Self {
            files: config::Acme::files(data),
            account: data.join(ACCOUNT),
            directory: directory.to_string(),
        }
    }

    /// The address of the authority's directory.
    pub(super) fn directory(&self) -> &str {
        &self.directory
    }

    /// The certificate, if there is one.
    pub(super) fn certificate(&self) -> Option<Held> {
        let path = &self.files.cert;
        if !path.exists() {
            return None;
        }
        let certificate = match Certificate::from_files(&self.files) {
            Ok(certificate) => certificate,
            Err(error) => {
                tracing::warn!(%error, "the certificate that was kept cannot be used");
                return None;
            }
        };
        let by = first_line(path).unwrap_or_default();
        let by = by.strip_prefix(GIVEN_BY).unwrap_or_default();
        Some(Held {
            certificate,
            of_this_directory: by.trim_end() == self.directory,
        })
    }

    /// Keeps a certificate in the place of the one before.
    pub(super) fn keep(&self, given: &Given) -> Result<(), AcmeError> {
        let [key, chain] = [&given.key, &given.chain].map(|text| text.trim_end());
        let text = format!("{GIVEN_BY}{}\n{key}\n{chain}\n", self.directory);
        put(&self.files.cert, Zeroizing::new(text).as_bytes())
    }

    /// The account at this authority, if there is one.
    pub(super) fn account(&self) -> Option<AccountCredentials> {
        let text = match fs::read_to_string(&self.account) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(%error, "the account at the authority cannot be read; a new one is made");
                return None;
            }
        };
        match serde_json::from_str::<Account>(&text) {
            Ok(account) if account.directory == self.directory => Some(account.credentials),
            Ok(_) => None,
            // What serde says may quote the key.
            Err(_) => {
                tracing::warn!("the account at the authority is garbled; a new one is made");
                None
            }
        }
    }

    /// Keeps an account in the place of the one before.
    pub(super) fn keep_account(&self, credentials: AccountCredentials) -> Result<(), AcmeError> {
        let account = Account {
            directory: self.directory.clone(),
            credentials,
        };
        let text = serde_json::to_string(&account).map(Zeroizing::new);
        let text = text.map_err(|error| not_kept(&self.account, error.into()))?;
        put(&self.account, text.as_bytes())
    }
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), AcmeError> {
    replace(path, bytes).map_err(|cause| not_kept(path, cause))
}

fn not_kept(path: &Path, cause: io::Error) -> AcmeError {
    AcmeError::Keep {
        path: path.to_owned(),
        cause,
    }
}

fn first_line(path: &Path) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(File::open(path)?).read_line(&mut line)?;
    Ok(line)
}

/// Writes beside the file and moves it into place, for its owner alone: whoever reads has the old
/// one or the new one, whole.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("draft");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
