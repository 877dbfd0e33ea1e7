//! The relay this host is, or is to be, paired with: which one it is, and the way there.
//!
//! The configuration names it, or a pairing does ([`KeptRelay`]). Whichever it is, it is followed
//! while the host runs: a command beside the running host may pair it, and a page may end it.

pub(crate) mod dialling;
mod kept;
mod link;
pub(crate) mod pairing;
mod sleep;
#[cfg(test)]
pub(crate) mod tests;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use latchkey_model::clock::{Clock, Timestamp};
use latchkey_model::user::UserName;
use latchkey_net::tunnel::{DialState, HostIdentity, PairingAnswer, relay_name, usual_connections};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

pub use self::kept::KeptRelay;
use self::pairing::Attempt;
use crate::config::Relay;

/// How often it is looked whether a command paired this host.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Which relay, and what the dialler does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The relay's name, if there is one to dial.
    pub relay: Option<Arc<str>>,
    pub state: DialState,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            relay: None,
            state: DialState::Idle,
        }
    }
}

/// The host's standing with its relay. Clones share it.
#[derive(Clone)]
pub(crate) struct RelayLink(Arc<Inner>);

/// What a [`RelayLink`] works with.
pub(crate) struct Parts {
    /// As the configuration has it.
    pub(crate) configured: Option<Relay>,
    /// Where the rest is kept; nowhere in tests.
    pub(crate) file: Option<PathBuf>,
    pub(crate) identity: HostIdentity,
    /// What this host calls itself.
    pub(crate) name: String,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tracker: TaskTracker,
    pub(crate) stopping: CancellationToken,
}

struct Inner {
    parts: Parts,
    kept: Mutex<KeptRelay>,
    target: watch::Sender<Option<Relay>>,
    link: watch::Sender<Link>,
    /// Ends the dialler's wait.
    nudge: Notify,
    /// This machine was asleep.
    woke: Notify,
    attempt: Mutex<Option<Attempt>>,
}

impl RelayLink {
    pub(crate) fn new(parts: Parts) -> Self {
        let kept = parts.file.as_deref().map(KeptRelay::load);
        let kept = kept.unwrap_or_default();
        let target = target(parts.configured.as_ref(), &kept);
        let link = Link {
            relay: target.as_ref().and_then(name_of),
            state: DialState::Idle,
        };
        Self(Arc::new(Inner {
            parts,
            kept: Mutex::new(kept),
            target: watch::Sender::new(target),
            link: watch::Sender::new(link),
            nudge: Notify::new(),
            woke: Notify::new(),
            attempt: Mutex::new(None),
        }))
    }

    /// Follows which relay it is and what the dialler does.
    pub(crate) fn follow(&self) -> watch::Receiver<Link> {
        self.0.link.subscribe()
    }

    pub(crate) fn link(&self) -> Link {
        self.0.link.borrow().clone()
    }

    /// Which relay there is to dial.
    pub(crate) fn target(&self) -> Option<Relay> {
        self.0.target.borrow().clone()
    }

    /// Follows which relay there is to dial.
    pub(crate) fn follow_target(&self) -> watch::Receiver<Option<Relay>> {
        self.0.target.subscribe()
    }

    /// The relay that the configuration names; no other can be paired with.
    pub(crate) fn configured(&self) -> Option<&Relay> {
        self.0.parts.configured.as_ref()
    }

    /// What is kept of the pairing.
    pub(crate) fn kept(&self) -> KeptRelay {
        self.lock_kept().clone()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.parts.clock.now()
    }

    /// Whether the relay may have app keys made.
    pub(crate) fn allows_app_keys(&self) -> bool {
        self.target().is_some_and(|relay| relay.app_keys)
    }

    /// Notes that somebody took this host for theirs, and dials.
    pub(crate) async fn note_paired(
        &self,
        url: Url,
        answer: &PairingAnswer,
        by: Option<UserName>,
    ) -> std::io::Result<()> {
        let ca_file = self.lock_kept().ca_file.clone();
        let kept = paired(url, ca_file, answer, by, self.0.parts.clock.now().millis());
        self.keep(kept).await
    }

    /// Leaves the relay: it is not dialled any more, also after a restart.
    pub(crate) async fn unpair(&self) -> std::io::Result<()> {
        self.stop_pairing();
        let left = self.configured().map(|relay| relay.url.clone());
        let kept = KeptRelay {
            left,
            ..KeptRelay::default()
        };
        self.keep(kept).await?;
        tracing::info!("this host left its relay");
        Ok(())
    }

    async fn keep(&self, kept: KeptRelay) -> std::io::Result<()> {
        if let Some(file) = self.0.parts.file.clone() {
            let written = kept.clone();
            let saved = tokio::task::spawn_blocking(move || written.save(&file)).await;
            saved.map_err(std::io::Error::other)??;
        }
        self.take_up(kept);
        Ok(())
    }

    /// Goes by what is kept from now on.
    fn take_up(&self, kept: KeptRelay) {
        let target = target(self.configured(), &kept);
        let hint = kept.account.clone();
        let changed = {
            let mut before = self.lock_kept();
            let changed = *before != kept;
            *before = kept;
            changed
        };
        self.0.target.send_if_modified(|before| {
            let differs = !same(before.as_ref(), target.as_ref());
            if differs {
                *before = target;
            }
            differs
        });
        if changed {
            if let Some(hint) = hint {
                // In no log of ours is a whole address, and this is none.
                tracing::info!(account.hint = hint, "this host was paired");
            }
            self.0.nudge.notify_one();
        }
    }

    /// Looks now and then whether a command paired this host, until stopped.
    pub(crate) async fn watch_file(self) {
        let Some(file) = self.0.parts.file.clone() else {
            return;
        };
        let mut seen = self.kept();
        let stop = self.0.parts.stopping.clone();
        loop {
            let rest = tokio::time::sleep(LOOK_EVERY);
            if stop.run_until_cancelled(rest).await.is_none() {
                return;
            }
            let path = file.clone();
            let read = tokio::task::spawn_blocking(move || KeptRelay::load(&path)).await;
            match read {
                Ok(kept) if kept != seen => {
                    seen = kept.clone();
                    self.take_up(kept);
                }
                Ok(_) => {}
                Err(error) => tracing::error!(%error, "looking for a pairing failed"),
            }
        }
    }

    fn lock_kept(&self) -> MutexGuard<'_, KeptRelay> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is kept once a host is paired; for the command too.
pub fn paired(
    url: Url,
    ca_file: Option<PathBuf>,
    answer: &PairingAnswer,
    by: Option<UserName>,
    now: i64,
) -> KeptRelay {
    KeptRelay {
        url: Some(url),
        ca_file,
        left: None,
        account: answer.account.as_deref().map(printable),
        printer: answer.printer_name.as_deref().map(printable),
        confirmed_at: Some(now),
        by: by.map(|by| by.to_string()),
    }
}

/// A relay's text, fit for pages, logs and terminals.
fn printable(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let fit = |c: &char| !c.is_control() && !turns(*c);
    text.chars().filter(fit).take(200).collect()
}

fn target(configured: Option<&Relay>, kept: &KeptRelay) -> Option<Relay> {
    match configured {
        Some(relay) if kept.left.as_ref() == Some(&relay.url) => None,
        Some(relay) => Some(relay.clone()),
        None => kept.url.clone().map(|url| Relay {
            url,
            ca_file: kept.ca_file.clone(),
            allow_unbound: false,
            connections: usual_connections(),
            app_keys: true,
            printing: true,
            compression: true,
        }),
    }
}

fn name_of(relay: &Relay) -> Option<Arc<str>> {
    relay_name(&relay.url).ok().map(Into::into)
}

fn same(one: Option<&Relay>, other: Option<&Relay>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => one.url == other.url && one.ca_file == other.ca_file,
        _ => false,
    }
}
