//! The relay's own certificates: kept current while connections go on, and spoken of before it ends.

mod ending;
mod following;

use std::sync::Arc;
use std::time::Duration;

use latchkey_model::clock::Clock;
use latchkey_net::tls::{Certificate, Files, Shown, TlsError};
use latchkey_web::metrics::Metrics;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::ending::Ending;
use self::following::Following;
use crate::config::Config;

pub(crate) use self::ending::{Stage, days};

/// How often is looked whether there is another certificate.
const LOOK: Duration = Duration::from_secs(5);

/// Asks a running relay to read its certificates again.
#[derive(Clone, Default)]
pub struct Reload(watch::Sender<()>);

impl Reload {
    /// Asks once. Asked twice before it happened, it happens once.
    pub fn ask(&self) {
        self.0.send_replace(());
    }
}

/// The names a relay's certificate has to be for, as hosts: the second stands for every app connection.
pub(crate) fn names(config: &Config) -> [String; 2] {
    let public = config.public_url.authority().host();
    let domain = config.connection_domain.host();
    [public.to_owned(), format!("app-latchkey.{domain}")]
}

/// Which listener shows a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The one for everybody.
    Relay,
    /// The one for hosts, which has a certificate of its own.
    Hosts,
}

impl Place {
    /// The key in the configuration.
    fn key(self) -> &'static str {
        match self {
            Self::Relay => "tls",
            Self::Hosts => "hosts.tls",
        }
    }
}

/// Keeps what a relay's listener shows current.
pub(crate) struct Keeping {
    place: Place,
    shown: Shown,
    following: Following,
    /// What it has to be for, as far as the relay knows.
    names: Vec<String>,
    clock: Arc<dyn Clock>,
    asked: watch::Receiver<()>,
}

impl Keeping {
    /// Loads the certificate, if TLS ends here.
    pub(crate) fn open(
        config: &Config,
        clock: &Arc<dyn Clock>,
        reload: &Reload,
    ) -> Result<Option<Self>, TlsError> {
        let Some(files) = &config.tls else {
            return Ok(None);
        };
        let mut keeping = Self::follow(Place::Relay, files, clock, reload)?;
        keeping.names = names(config).to_vec();
        Ok(Some(keeping))
    }

    /// Loads the certificate of the listener for hosts. By which names they come is not known.
    pub(crate) fn for_hosts(
        files: &Files,
        clock: &Arc<dyn Clock>,
        reload: &Reload,
    ) -> Result<Self, TlsError> {
        Self::follow(Place::Hosts, files, clock, reload)
    }

    fn follow(
        place: Place,
        files: &Files,
        clock: &Arc<dyn Clock>,
        reload: &Reload,
    ) -> Result<Self, TlsError> {
        // From here on: whatever is asked later has not been read yet.
        let asked = reload.0.subscribe();
        let (following, certificate) = Following::begin(files.clone())?;
        Ok(Self {
            place,
            shown: Shown::new(certificate),
            following,
            names: Vec::new(),
            clock: Arc::clone(clock),
            asked,
        })
    }

    /// What the listener shows.
    pub(crate) fn shown(&self) -> &Shown {
        &self.shown
    }

    /// Follows the certificate until stopped.
    pub(crate) async fn run(mut self, metrics: Arc<Metrics>, stop: CancellationToken) {
        let mut ending = Ending::new(self.place, &metrics);
        self.tell_names(&self.shown.current());
        loop {
            ending.tell(&self.shown.current(), self.clock.now());
            let asked = tokio::select! {
                () = stop.cancelled() => return,
                Ok(()) = self.asked.changed() => true,
                () = tokio::time::sleep(LOOK) => false,
            };
            match self.following.look(asked) {
                None => {}
                Some(Ok(certificate)) => self.take(certificate),
                Some(Err(error)) => tracing::error!(
                    %error,
                    certificate.at = self.place.key(),
                    "the new certificate cannot be used; the old one is shown on"
                ),
            }
        }
    }

    fn take(&self, certificate: Certificate) {
        let days = days(&certificate, self.clock.now());
        tracing::info!(
            certificate.days = days,
            certificate.at = self.place.key(),
            "the certificate was read again"
        );
        self.tell_names(&certificate);
        self.shown.replace(certificate);
    }

    fn tell_names(&self, certificate: &Certificate) {
        for name in self.names.iter().filter(|name| !certificate.is_for(name)) {
            tracing::warn!(
                certificate.name = %name,
                "the certificate is not for a name of this relay"
            );
        }
    }
}

#[cfg(test)]
mod tests;
