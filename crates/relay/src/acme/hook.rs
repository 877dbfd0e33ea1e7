//! The operator's program that sets and removes records in the DNS.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::fs::Access;
use tokio::io::AsyncReadExt as _;
use tokio::process::{ChildStderr, Command};
use tokio::time::timeout;

/// It returns when the record can be seen, which takes a while at some providers.
const WITHIN: Duration = Duration::from_mins(10);
/// After its end, for what it said last: what it left running may hold on to its output.
const GRACE: Duration = Duration::from_secs(1);
/// How much of what it says is told, in bytes.
const TOLD: usize = 500;

/// A record of type TXT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// Its whole name, without a dot at its end.
    pub(super) name: String,
    pub(super) value: String,
}

/// What the program is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Present,
    Cleanup,
}

impl Act {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Cleanup => "cleanup",
        }
    }
}

/// Why a record is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// It did not begin.
    #[error("cannot run {}: {cause}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Why not.
        cause: io::Error,
    },
    /// It said that it failed.
    #[error("`{} {act}` ended with {status}: {said}", program.display())]
    Failed {
        /// The program.
        program: PathBuf,
        /// What it was to do.
        act: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// What it said on its standard error, on one line.
        said: String,
    },
    /// It did not end.
    #[error("`{} {act}` did not end within ten minutes", program.display())]
    TimedOut {
        /// The program.
        program: PathBuf,
        /// What it was to do.
        act: &'static str,
    },
}

/// Runs the program, one call for one record.
#[derive(Debug, Clone)]
pub(super) struct Hook {
    program: PathBuf,
}

impl Hook {
    /// This program, if it is one.
    pub(super) fn new(program: &Path) -> Option<Self> {
        let may_run = program.is_file() && rustix::fs::access(program, Access::EXEC_OK).is_ok();
        may_run.then(|| Self {
            program: program.to_owned(),
        })
    }

    /// `PROGRAM present|cleanup NAME VALUE`, without a shell. Dropped, it is ended.
    pub(super) async fn call(&self, act: Act, record: &Record) -> Result<(), HookError> {
        let program = || self.program.clone();
        let run = timeout(WITHIN, self.run(act, record));
        let (status, said) = match run.await {
            Ok(Ok(ended)) => ended,
            Ok(Err(cause)) => {
                let program = program();
                return Err(HookError::Start { program, cause });
            }
            Err(_) => {
                return Err(HookError::TimedOut {
                    program: program(),
                    act: act.as_str(),
                });
            }
        };
        if status.success() {
            return Ok(());
        }
        Err(HookError::Failed {
            program: program(),
            act: act.as_str(),
            status,
            said: one_line(&String::from_utf8_lossy(&said)),
        })
    }

    async fn run(&self, act: Act, record: &Record) -> io::Result<(ExitStatus, Vec<u8>)> {
        let mut child = Command::new(&self.program)
            .arg(act.as_str())
            .args([&record.name, &record.value])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut said = Vec::new();
        let stderr = child.stderr.take();
        let status = {
            let mut listening = std::pin::pin!(listen(stderr, &mut said));
            tokio::select! {
                status = child.wait() => {
                    let _ = timeout(GRACE, &mut listening).await;
                    status
                }
                () = &mut listening => child.wait().await,
            }
        };
        Ok((status?, said))
    }
}

/// Takes what is said to its end, and keeps the beginning.
async fn listen(stderr: Option<ChildStderr>, said: &mut Vec<u8>) {
    let Some(mut stderr) = stderr else {
        return;
    };
    let mut piece = [0; 1024];
    while let Ok(count) = stderr.read(&mut piece).await
        && count > 0
    {
        let room = TOLD.saturating_sub(said.len()).min(count);
        said.extend_from_slice(&piece[..room]);
    }
}

/// What a stranger says, fit for a line of the log.
pub(super) fn one_line(text: &str) -> String {
    let plain = text.trim().chars().take(TOLD);
    let plain = plain.map(|c| if c.is_control() { ' ' } else { c });
    plain.collect()
}
