//! A certificate that the relay gets by itself: ACME (RFC 8555), proved by records in the DNS.
//!
//! An authority is asked for one certificate and never for one per app connection: authorities
//! publish what they certify, and the hostname of an app connection is half of its secret. What is
//! given goes into one file, chain and key together, and is shown by whoever follows files that
//! others renew (`crate::certificate`). This module only sees to it that there is a good one in time.

mod courier;
mod directory;
mod hook;
mod kept;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use latchkey_model::clock::{Clock, Timestamp};
use latchkey_net::tls::{Certificate, TlsError};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use self::directory::Directory;
use self::hook::{Hook, HookError};
use self::kept::{Held, Kept};
use crate::certificate::{self, Reload, Stage, days};
use crate::config::Config;

/// How often is looked whether it is time.
const LOOK: Duration = Duration::from_secs(5);
/// After a first failure. Authorities count failures too: Let's Encrypt allows five an hour.
const FIRST_PAUSE: Duration = Duration::from_mins(2);
const LONGEST_PAUSE: Duration = Duration::from_hours(6);

/// Whether records in the DNS can be set with it.
pub(crate) fn can_run(program: &Path) -> bool {
    Hook::new(program).is_some()
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    /// The authority's own server cannot be believed.
    #[error("cannot use `tls.acme.ca`: {0}")]
    Ca(TlsError),
    /// There is nothing to set records with.
    #[error("{} of `tls.acme.dns.exec` is no program that can be run", .0.display())]
    NoProgram(PathBuf),
    /// The authority refused, or was not understood.
    #[error("{0}")]
    Authority(String),
    /// A record was not set.
    #[error(transparent)]
    Hook(#[from] HookError),
    /// What was given was not kept.
    #[error("cannot keep {}: {cause}", path.display())]
    Keep {
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: io::Error,
    },
    /// What was given is no certificate with its key.
    #[error("what the authority gave cannot be used: {0}")]
    Unusable(TlsError),
    /// What was given is for somebody else.
    #[error("what the authority gave is not for {0}")]
    OtherName(String),
}

/// What an authority gave, in PEM.
struct Given {
    chain: Zeroizing<String>,
    key: Zeroizing<String>,
}

/// Who gives certificates.
trait Authority: Send + Sync {
    /// Proves that these names are ours, and gets a certificate for all of them.
    fn certificate<'a>(&'a self, names: &'a [String]) -> BoxFuture<'a, Result<Given, AcmeError>>;
}

/// Sees to it that a relay has a certificate.
pub(crate) struct Acme {
    authority: Box<dyn Authority>,
    kept: Kept,
    /// What there is now.
    held: Option<Held>,
    /// What is asked for, wildcards as such.
    wanted: Vec<String>,
    /// What it has to be for, as hosts.
    names: [String; 2],
    clock: Arc<dyn Clock>,
    reload: Reload,
}

impl Acme {
    /// What a relay needs that asks for its certificate itself; nothing if it does not.
    pub(crate) fn open(
        config: &Config,
        clock: &Arc<dyn Clock>,
        reload: &Reload,
    ) -> Result<Option<Self>, AcmeError> {
        let Some(settings) = &config.acme else {
            return Ok(None);
        };
        let kept = Kept::new(&config.data, &settings.directory);
        let authority = Directory::open(settings, kept.clone())?;
        Ok(Some(Self {
            authority: Box::new(authority),
            held: None,
            kept,
            wanted: wanted(
                config.public_url.authority().host(),
                config.connection_domain.host(),
            ),
            names: certificate::names(config),
            clock: Arc::clone(clock),
            reload: reload.clone(),
        }))
    }

    /// Returns when there is a certificate that can be shown, which may be at once.
    pub(crate) async fn await_first(&mut self) {
        self.held = self.kept.certificate();
        let now = self.clock.now();
        let over = |held: &Held| Stage::of(&held.certificate, now) == Stage::Over;
        if self.held.as_ref().is_some_and(|held| !over(held)) {
            return;
        }
        tracing::info!("there is no certificate yet; the relay begins when there is one");
        let mut failures = 0;
        while let Err(error) = self.obtain().await {
            let pause = pause(failures);
            failures += 1;
            tracing::error!(
                %error,
                retry_ms = millis(pause),
                "no certificate was given; the relay waits for one"
            );
            tokio::time::sleep(pause).await;
        }
    }

    /// Gets the next certificate when two thirds of the last one's time are over, until stopped.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut failures = 0;
        let mut pause = LOOK;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            if !self.is_due(self.clock.now()) {
                pause = LOOK;
                continue;
            }
            let obtained = tokio::select! {
                () = stop.cancelled() => return,
                obtained = self.obtain() => obtained,
            };
            pause = match obtained {
                Ok(rest) => {
                    failures = 0;
                    self.reload.ask();
                    rest
                }
                Err(error) => {
                    let pause = self::pause(failures);
                    failures += 1;
                    tracing::warn!(
                        %error,
                        retry_ms = millis(pause),
                        "the certificate was not renewed; the old one is shown on"
                    );
                    pause
                }
            };
        }
    }

    fn is_due(&self, now: Timestamp) -> bool {
        let Some(held) = &self.held else {
            return true;
        };
        let certificate = &held.certificate;
        let third = (certificate.ends() - certificate.begins()) / 3;
        let due = certificate.begins() + 2 * third;
        !held.of_this_directory
            || now.millis() >= due.saturating_mul(1000)
            || self.missing(certificate).is_some()
    }

    /// A name that the certificate should be for and is not.
    fn missing(&self, certificate: &Certificate) -> Option<&String> {
        self.names.iter().find(|name| !certificate.is_for(name))
    }

    /// Gets a certificate and keeps it. Returns how long to leave the authority alone from now on,
    /// even if the clock of this machine says that the new one is old already.
    async fn obtain(&mut self) -> Result<Duration, AcmeError> {
        tracing::info!(
            certificate.names = %self.wanted.join(" "),
            "the authority is asked for a certificate"
        );
        let given = self.authority.certificate(&self.wanted).await?;
        let certificate = Certificate::from_pem(given.chain.as_bytes(), given.key.as_bytes());
        let certificate = certificate.map_err(AcmeError::Unusable)?;
        if let Some(name) = self.missing(&certificate) {
            return Err(AcmeError::OtherName(name.clone()));
        }
        self.kept.keep(&given)?;
        let days = days(&certificate, self.clock.now());
        tracing::info!(certificate.days = days, "a certificate was given");
        let life = certificate.ends() - certificate.begins();
        self.held = Some(Held {
            certificate,
            of_this_directory: true,
        });
        let life = Duration::from_secs(u64::try_from(life).unwrap_or(0));
        Ok((life / 30).max(LOOK))
    }
}

fn millis(pause: Duration) -> u64 {
    u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)
}

/// How long to wait after so many failures before this one.
fn pause(failures: u32) -> Duration {
    let times = 2_u32.saturating_pow(failures);
    FIRST_PAUSE.saturating_mul(times).min(LONGEST_PAUSE)
}

/// The names in a certificate: the relay's own host, and everything right below the domain of app
/// connections. Authorities refuse a host beside a wildcard that stands for it.
fn wanted(host: &str, domain: &str) -> Vec<String> {
    let wildcard = format!("*.{domain}");
    let label = host.strip_suffix(domain);
    let label = label.and_then(|label| label.strip_suffix('.'));
    if label.is_some_and(|label| !label.is_empty() && !label.contains('.')) {
        return vec![wildcard];
    }
    vec![host.to_owned(), wildcard]
}
