//! What came of a decision, for a short while: a form sent twice makes one app connection.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use latchkey_model::app_connection::{AppConnection, ConnectionCredentials};
use latchkey_model::clock::Timestamp;
use latchkey_model::id::SessionId;
use latchkey_model::printer::Printer;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use super::Asked;

/// How long the last page can be looked at again.
const LASTS: Duration = Duration::from_mins(2);
/// Most of one session, and of all; then its oldest, or the oldest of all, go.
const MOST_OF_A_SESSION: usize = 20;
const MOST: usize = 1000;

/// What became of the key that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyOutcome {
    NotAsked,
    Made,
    /// The person did not want it.
    Declined,
    /// The host could not make it.
    Failed,
}

/// What the last page says and where it leads.
pub(crate) struct Outcome {
    pub(crate) asked: Asked,
    pub(crate) printer: Printer,
    pub(crate) key: KeyOutcome,
    /// The address with everything in it.
    pub(crate) address: Zeroizing<String>,
}

/// An app connection that is being made: the same one however often its form arrives, and
/// although the browser that sent it may have gone before the answer.
pub(super) struct Making {
    pub(super) connection: AppConnection,
    pub(super) credentials: ConnectionCredentials,
    pub(super) outcome: OnceCell<Arc<Outcome>>,
}

/// Forms that were sent, in memory only: what came of them is secret.
#[derive(Default)]
pub(super) struct Outcomes(Mutex<VecDeque<Sent>>);

struct Sent {
    session: SessionId,
    name: String,
    until: Timestamp,
    making: Arc<Making>,
}

impl Outcomes {
    /// What is made for a form, which `begin` begins when it arrives for the first time.
    pub(super) fn of(
        &self,
        session: &SessionId,
        name: &str,
        now: Timestamp,
        begin: impl FnOnce() -> (AppConnection, ConnectionCredentials),
    ) -> Arc<Making> {
        let mut sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sent.retain(|one| one.until > now);
        if let Some(known) = find(&sent, session, name) {
            return known;
        }
        if sent.iter().filter(|one| one.session == *session).count() >= MOST_OF_A_SESSION {
            let oldest = sent.iter().position(|one| one.session == *session);
            oldest.and_then(|at| sent.remove(at));
        } else if sent.len() >= MOST {
            sent.pop_front();
        }
        let (connection, credentials) = begin();
        let making = Arc::new(Making {
            connection,
            credentials,
            outcome: OnceCell::new(),
        });
        sent.push_back(Sent {
            session: session.clone(),
            name: name.to_owned(),
            until: now.plus(LASTS),
            making: Arc::clone(&making),
        });
        making
    }

    /// Lets go of what is past.
    pub(super) fn forget(&self, now: Timestamp) {
        let mut sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sent.retain(|one| one.until > now);
    }

    /// What came of a form, if something has.
    pub(super) fn find(
        &self,
        session: &SessionId,
        name: &str,
        now: Timestamp,
    ) -> Option<Arc<Outcome>> {
        let mut sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sent.retain(|one| one.until > now);
        find(&sent, session, name)?.outcome.get().cloned()
    }
}

fn find(sent: &VecDeque<Sent>, session: &SessionId, name: &str) -> Option<Arc<Making>> {
    let known = sent
        .iter()
        .find(|one| one.session == *session && one.name == name)?;
    Some(Arc::clone(&known.making))
}
