//! The relay's own certificate: kept current while connections go on, and spoken of before it ends.

mod ending;
mod following;

use std::sync::Arc;
use std::time::Duration;

use latchkey_model::clock::Clock;
use latchkey_net::tls::{Certificate, Shown, TlsError};
use latchkey_web::metrics::Metrics;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::ending::Ending;
use self::following::Following;
use crate::config::Config;

pub(crate) use self::ending::{Stage, days};

/// How often is looked whether there is another certificate.
const LOOK: Duration = Duration::from_secs(5);

/// Asks a running relay to read its certificate again.
#[derive(Clone, Default)]
pub struct Reload(Arc<Notify>);

impl Reload {
    /// Asks once. Asked twice before it happened, it happens once.
    pub fn ask(&self) {
        self.0.notify_one();
    }
}

/// The names a relay's certificate has to be for, as hosts: the second stands for every app connection.
pub(crate) fn names(config: &Config) -> [String; 2] {
    let public = config.public_url.authority().host();
    let domain = config.connection_domain.host();
    [public.to_owned(), format!("app-latchkey.{domain}")]
}

/// Keeps what a relay's listener shows current.
pub(crate) struct Keeping {
    shown: Shown,
    following: Following,
    names: [String; 2],
    clock: Arc<dyn Clock>,
    reload: Reload,
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
        let (following, certificate) = Following::begin(files.clone())?;
        Ok(Some(Self {
            shown: Shown::new(certificate),
            following,
            names: names(config),
            clock: Arc::clone(clock),
            reload: reload.clone(),
        }))
    }

    /// What the listener shows.
    pub(crate) fn shown(&self) -> &Shown {
        &self.shown
    }

    /// Follows the certificate until stopped.
    pub(crate) async fn run(mut self, metrics: Arc<Metrics>, stop: CancellationToken) {
        let mut ending = Ending::new(&metrics);
        self.tell_names(&self.shown.current());
        loop {
            ending.tell(&self.shown.current(), self.clock.now());
            let asked = tokio::select! {
                () = stop.cancelled() => return,
                () = self.reload.0.notified() => true,
                () = tokio::time::sleep(LOOK) => false,
            };
            match self.following.look(asked) {
                None => {}
                Some(Ok(certificate)) => self.take(certificate),
                Some(Err(error)) => tracing::error!(
                    %error,
                    "the new certificate cannot be used; the old one is shown on"
                ),
            }
        }
    }

    fn take(&self, certificate: Certificate) {
        let days = days(&certificate, self.clock.now());
        tracing::info!(certificate.days = days, "the certificate was read again");
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
