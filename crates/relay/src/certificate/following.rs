//! Files that somebody else renews.

use latchkey_net::tls::{Certificate, Files, Stamp, TlsError};

/// Notices that the files were replaced.
pub(super) struct Following {
    files: Files,
    /// What was read last, whether it was good or not; nothing if a file was not there.
    read: Option<Stamp>,
    /// What stood there at the last look.
    seen: Option<Stamp>,
}

impl Following {
    /// Reads them for the first time.
    pub(super) fn begin(files: Files) -> Result<(Self, Certificate), TlsError> {
        // Looked at before reading: what changes meanwhile is read once more.
        let stamp = files.stamp().ok();
        let certificate = Certificate::from_files(&files)?;
        let following = Self {
            files,
            read: stamp,
            seen: stamp,
        };
        Ok((following, certificate))
    }

    /// Reads them again if they changed and stayed so for two looks, or if somebody asks.
    ///
    /// Certificate and key are two files: between their changes they do not fit.
    pub(super) fn look(&mut self, asked: bool) -> Option<Result<Certificate, TlsError>> {
        let stamp = self.files.stamp().ok();
        let settled = std::mem::replace(&mut self.seen, stamp) == stamp;
        if !asked && (stamp == self.read || !settled) {
            return None;
        }
        self.read = stamp;
        Some(Certificate::from_files(&self.files))
    }
}
