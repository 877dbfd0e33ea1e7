//! Pairing from the host's page: a code is shown, and the relay is asked how it went.

use std::path::PathBuf;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use latchkey_model::clock::Timestamp;
use latchkey_model::user::UserName;
use latchkey_net::tunnel::{
    PairingAnswer, PairingClient, PairingError, PairingStarted, PairingState,
};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::RelayLink;

/// The longest time for which a relay may have its code shown, and between two questions.
const LONGEST: Duration = Duration::from_hours(1);
const SLOWEST: Duration = Duration::from_secs(30);
/// After a question that got no answer.
const SLOWER: Duration = Duration::from_secs(5);

/// A pairing that a page began. Another one takes its place.
pub(super) struct Attempt {
    shown: Arc<Shown>,
    progress: Progress,
    /// Ends the questions.
    over: CancellationToken,
}

/// What a person needs to confirm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) relay: String,
    pub(crate) code: String,
    pub(crate) link: String,
    pub(crate) page: String,
    pub(crate) expires: Timestamp,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    Waiting,
    Confirmed,
    Refused,
    Expired,
    /// It was confirmed, and could not be kept.
    NotKept,
}

/// A pairing that goes on.
struct Asking {
    client: PairingClient,
    url: Url,
    poll: String,
    interval: Duration,
    expires: Timestamp,
    by: UserName,
}

impl RelayLink {
    /// Asks the relay for a code, and from then on how it went.
    pub(crate) async fn start_pairing(&self, url: Url, by: UserName) -> Result<(), PairingError> {
        let ca_file = self.ca_file_for(&url);
        let client = PairingClient::new(&url, ca_file.as_deref())?;
        let parts = &self.0.parts;
        let now = parts.clock.now();
        let seconds = now.millis().div_euclid(1000);
        let started = client.start(&parts.identity, &parts.name, seconds).await?;
        let shown = Arc::new(shown(client.relay(), &started, now));
        let over = parts.stopping.child_token();
        let attempt = Attempt {
            shown: Arc::clone(&shown),
            progress: Progress::Waiting,
            over: over.clone(),
        };
        if let Some(before) = self.attempt().replace(attempt) {
            before.over.cancel();
        }
        let asking = Asking {
            client,
            url,
            poll: started.poll,
            interval: Duration::from_secs(started.interval).clamp(Duration::from_secs(1), SLOWEST),
            expires: shown.expires,
            by,
        };
        let link = self.clone();
        parts.tracker.spawn(async move {
            let asked = over.run_until_cancelled(link.follow_pairing(asking)).await;
            if let Some(progress) = asked {
                link.set_progress(&over, progress);
            }
        });
        Ok(())
    }

    /// What the page shows of a pairing it began.
    pub(crate) fn pairing(&self) -> Option<(Arc<Shown>, Progress)> {
        let attempt = self.attempt();
        let attempt = attempt.as_ref()?;
        Some((Arc::clone(&attempt.shown), attempt.progress))
    }

    /// Shows no code any more. One that somebody has typed already may still be confirmed at the
    /// relay; this host does not learn of it then, but the tunnel does.
    pub(crate) fn stop_pairing(&self) {
        if let Some(attempt) = self.attempt().take() {
            attempt.over.cancel();
        }
    }

    async fn follow_pairing(&self, asking: Asking) -> Progress {
        let mut pause = asking.interval;
        loop {
            tokio::time::sleep(pause).await;
            if self.0.parts.clock.now() >= asking.expires {
                return Progress::Expired;
            }
            match asking.client.poll(&asking.poll).await {
                Ok(answer) => match answer.state {
                    PairingState::Pending => pause = asking.interval,
                    PairingState::Refused => return Progress::Refused,
                    PairingState::Expired => return Progress::Expired,
                    PairingState::Confirmed => return self.confirmed(asking, &answer).await,
                },
                // Also when it is told to slow down.
                Err(error) => {
                    tracing::debug!(%error, "the relay does not say how the pairing went");
                    pause = (pause + SLOWER).min(SLOWEST);
                }
            }
        }
    }

    async fn confirmed(&self, asking: Asking, answer: &PairingAnswer) -> Progress {
        match self.note_paired(asking.url, answer, Some(asking.by)).await {
            Ok(()) => Progress::Confirmed,
            Err(error) => {
                tracing::error!(%error, "the pairing could not be kept");
                Progress::NotKept
            }
        }
    }

    fn set_progress(&self, of: &CancellationToken, progress: Progress) {
        if let Some(attempt) = self.attempt().as_mut()
            && !of.is_cancelled()
        {
            attempt.progress = progress;
        }
    }

    /// The configured relay's, or what a command was told.
    fn ca_file_for(&self, url: &Url) -> Option<PathBuf> {
        if let Some(relay) = self.configured() {
            return relay.ca_file.clone();
        }
        let kept = self.kept();
        kept.ca_file.filter(|_| kept.url.as_ref() == Some(url))
    }

    fn attempt(&self) -> MutexGuard<'_, Option<Attempt>> {
        let attempt = &self.0.attempt;
        attempt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shown(relay: &str, started: &PairingStarted, now: Timestamp) -> Shown {
    Shown {
        relay: relay.to_owned(),
        code: super::printable(&started.code),
        link: super::printable(&started.link),
        page: super::printable(&started.page),
        expires: now.plus(Duration::from_secs(started.expires_in).min(LONGEST)),
    }
}
