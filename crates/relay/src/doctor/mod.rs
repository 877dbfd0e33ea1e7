//! What keeps a relay from working, and what to do about it: for `latchkey doctor` and for the
//! page of whoever runs the relay, which say the same.

mod certificate;
mod outside;

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;

use latchkey_model::clock::Timestamp;
use latchkey_store::{RelayStore, SchemaVersions, StoreError};
use tokio::net::TcpListener;

use crate::config::Config;
use crate::role::Relay;

/// 1 November 2026. A clock before that is one that was never set.
const EARLIEST: i64 = 1_793_491_200_000;

/// Less free space than this is told of, and less than that is wrong.
const LITTLE_SPACE: u64 = 1 << 30;
const NO_SPACE: u64 = 100 << 20;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    Fine(String),
    /// Works, but the owner should know.
    Note(String),
    /// What is wrong, and what to try.
    Wrong {
        what: String,
        try_this: String,
    },
}

pub fn wrong(what: impl Into<String>, try_this: impl Into<String>) -> Finding {
    Finding::Wrong {
        what: what.into(),
        try_this: try_this.into(),
    }
}

/// Looks at a relay that may be running in another process, with this configuration.
pub async fn examine(config: &Config, now: Timestamp) -> Vec<Finding> {
    let path = Relay::database(&config.data);
    examine_with(config, now, database(&path, RelayStore::inspect)).await
}

/// The same for the relay that runs here, which has its database open: the file is left alone.
pub(crate) async fn examine_this(
    config: &Config,
    now: Timestamp,
    store: &RelayStore,
) -> Vec<Finding> {
    examine_with(config, now, open_database(config, store)).await
}

async fn examine_with(
    config: &Config,
    now: Timestamp,
    database: impl Future<Output = Finding>,
) -> Vec<Finding> {
    let (listening, database, outside) =
        tokio::join!(listener(config.listen), database, outside::examine(config),);
    let mut findings = vec![clock(now), listening];
    if let Some(hosts) = &config.hosts {
        findings.push(listener(hosts.listen).await);
    }
    findings.extend([data(&config.data), database]);
    findings.extend(space(&config.data));
    findings.push(certificate::examine(config, now));
    findings.extend(certificate::examine_for_hosts(config, now));
    findings.extend(outside);
    findings
}

/// Whether the clock was ever set.
pub fn clock(now: Timestamp) -> Finding {
    if now.millis() >= EARLIEST {
        return Finding::Fine("the clock is set".to_owned());
    }
    wrong(
        "the clock is wrong, so certificates will seem invalid",
        "set the time, for example with `timedatectl set-ntp true`",
    )
}

/// Whether a role may listen there.
pub async fn listener(address: SocketAddr) -> Finding {
    match TcpListener::bind(address).await {
        Ok(_) => Finding::Fine(format!("{address} is free to listen on")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Finding::Note(format!(
            "{address} is in use; that is right if Latchkey is running"
        )),
        Err(error) => wrong(
            format!("cannot listen on {address}: {error}"),
            "choose an address of this machine under `listen`; ports below 1024 need a privilege",
        ),
    }
}

/// Whether a data directory is there, and nobody else's to see.
pub fn data(path: &Path) -> Finding {
    let shown = path.display();
    match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Finding::Note(format!("{shown} does not exist yet and will be made"))
        }
        Err(error) => wrong(
            format!("cannot look at {shown}: {error}"),
            "let the user Latchkey runs as own that directory",
        ),
        Ok(meta) if !meta.is_dir() => wrong(
            format!("{shown} is not a directory"),
            "name another one under `data`",
        ),
        Ok(meta) => match mode(&meta) & 0o077 {
            0 => Finding::Fine(format!("{shown} is there and private")),
            _ => wrong(
                format!("others on this machine can look into {shown}"),
                format!("chmod 700 {shown}"),
            ),
        },
    }
}

fn mode(meta: &std::fs::Metadata) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&meta.permissions())
}

/// Bytes that may still be written below a path; nothing if that cannot be told.
pub(crate) fn free_space(path: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(path).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

fn space(path: &Path) -> Option<Finding> {
    let free = free_space(path)?;
    let megabytes = free >> 20;
    Some(if free < NO_SPACE {
        wrong(
            format!(
                "the disk of {} is full: {megabytes} MB are free",
                path.display()
            ),
            "make room, or nothing more can be written down and people cannot sign in",
        )
    } else if free < LITTLE_SPACE {
        Finding::Note(format!(
            "little room is left on the disk of {}: {megabytes} MB",
            path.display()
        ))
    } else {
        Finding::Fine(format!("{} GB of the disk are free", free >> 30))
    })
}

/// A running role may have the database open, and may be of another version: it is only
/// looked at. Not for a process that has it open itself, which would lose SQLite's locks on it.
pub async fn database<'p, Look>(path: &'p Path, inspect: impl FnOnce(&'p Path) -> Look) -> Finding
where
    Look: Future<Output = Result<SchemaVersions, StoreError>>,
{
    let shown = path.display();
    // Opened before SQLite does: closing a file drops the locks that SQLite has on it.
    match OpenOptions::new().append(true).open(path) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Finding::Note("the database does not exist yet and will be made".to_owned());
        }
        Err(error) => {
            return wrong(
                format!("cannot write to {shown}: {error}"),
                "let the user Latchkey runs as own that file",
            );
        }
    }
    found(path, inspect(path).await)
}

async fn open_database(config: &Config, store: &RelayStore) -> Finding {
    let versions = match store.check().await {
        Ok(()) => store.versions().await,
        Err(error) => Err(error),
    };
    found(&Relay::database(&config.data), versions)
}

fn found(path: &Path, versions: Result<SchemaVersions, StoreError>) -> Finding {
    let shown = path.display();
    match versions {
        Ok(SchemaVersions { found, known }) if found > known => wrong(
            format!("{shown} was made by a newer Latchkey (version {found}, {known} is known)"),
            "run that Latchkey, or one newer still",
        ),
        Ok(SchemaVersions { found, known }) if found < known => Finding::Note(format!(
            "{shown} has version {found}; starting this Latchkey brings it to {known} \
             and shuts out the older one"
        )),
        Ok(SchemaVersions { found, .. }) => {
            Finding::Fine(format!("the database opens and has version {found}"))
        }
        Err(error) => wrong(
            format!("cannot use {shown}: {}", with_causes(&error)),
            "see whether the file is damaged, or belongs to another user",
        ),
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
