//! The file that says where the log ends: one line, signed with the relay's key.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use latchkey_model::audit::{AuditHead, ChainHash};
use latchkey_model::sealed::SigningKey;
use tokio::io::AsyncWriteExt as _;

const FIRST_WORD: &str = "latchkey-audit-end-1";

/// What the signature is for.
const END: &str = "end";

/// Longer is not ours.
const LONGEST: u64 = 1024;

pub(super) struct EndFile {
    path: PathBuf,
    key: SigningKey,
}

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    Signed(AuditHead),
    /// The relay did not write it.
    Other,
    /// It belongs to another user, most likely because a command wrote it as one.
    Unreadable,
}

impl EndFile {
    pub(super) fn new(path: PathBuf, key: SigningKey) -> Self {
        Self { path, key }
    }

    pub(super) async fn read(&self) -> Found {
        let text = match read_short(&self.path).await {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Found::Nothing,
            Err(error) => {
                tracing::warn!(%error, "cannot read where the audit log ended");
                return Found::Unreadable;
            }
        };
        self.understand(&text).map_or(Found::Other, Found::Signed)
    }

    fn understand(&self, text: &str) -> Option<AuditHead> {
        let mut words = text.split_whitespace();
        if words.next() != Some(FIRST_WORD) {
            return None;
        }
        let head = AuditHead {
            number: words.next()?.parse().ok()?,
            hash: ChainHash::parse(words.next()?)?,
        };
        let signature = HEXLOWER.decode(words.next()?.as_bytes()).ok()?;
        let ours = words.next().is_none() && self.key.verify(&head.signed_text(END), &signature);
        ours.then_some(head)
    }

    /// Puts a new file in the place of the old one, so that there is a whole one at any time.
    pub(super) async fn write(&self, head: AuditHead) -> io::Result<()> {
        let signature = self.key.sign(&head.signed_text(END));
        let signature = HEXLOWER.encode(&signature);
        let line = format!("{FIRST_WORD} {} {} {signature}\n", head.number, head.hash);
        // A command may write at the same time.
        let mut new = self.path.clone().into_os_string();
        new.push(format!(".{}", std::process::id()));
        let new = PathBuf::from(new);
        let mut options = tokio::fs::OpenOptions::new();
        options.create(true).write(true).truncate(true);
        #[cfg(unix)]
        options.mode(0o600);
        let mut file = options.open(&new).await?;
        file.write_all(line.as_bytes()).await?;
        file.sync_all().await?;
        drop(file);
        tokio::fs::rename(&new, &self.path).await
    }
}

async fn read_short(path: &Path) -> io::Result<String> {
    use tokio::io::AsyncReadExt as _;

    let mut text = String::new();
    let file = tokio::fs::File::open(path).await?;
    file.take(LONGEST).read_to_string(&mut text).await?;
    Ok(text)
}
