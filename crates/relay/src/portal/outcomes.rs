//! What came of a decision, for a short while: a form sent twice makes one app connection.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use latchkey_model::access::KeyScope;
use latchkey_model::app_connection::{AppConnection, ConnectionCredentials};
use latchkey_model::clock::Timestamp;
use latchkey_model::id::{PrinterId, SessionId};
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

/// What a form says beside its name. One that says something else is another decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Terms {
    /// The app's request in its one spelling: which app, and where it leads.
    pub(super) request: String,
    pub(super) printer: PrinterId,
    pub(super) scope: KeyScope,
    pub(super) with_key: bool,
}

/// An app connection that is being made: the same one however often its form arrives, and
/// although the browser that sent it may have gone before the answer.
pub(super) struct Making {
    pub(super) terms: Terms,
    pub(super) connection: AppConnection,
    pub(super) credentials: ConnectionCredentials,
    outcome: OnceCell<Arc<Outcome>>,
    /// Nobody is to get it any more: the person changed their mind, or it could not be made.
    void: AtomicBool,
}

impl Making {
    /// What came of it, which `make` brings about if nobody did yet.
    pub(super) async fn outcome<E>(
        &self,
        make: impl Future<Output = Result<Arc<Outcome>, E>>,
    ) -> Result<Arc<Outcome>, E> {
        Ok(Arc::clone(self.outcome.get_or_try_init(|| make).await?))
    }

    pub(super) fn is_void(&self) -> bool {
        self.void.load(Ordering::SeqCst)
    }

    /// Lets nobody have it any more, and waits for whoever is at making it.
    pub(super) async fn void(&self) {
        self.void.store(true, Ordering::SeqCst);
        let nobody_after = async || Err::<Arc<Outcome>, ()>(());
        // What comes of it counts no more; only that nobody is at it.
        let _ = self.outcome.get_or_try_init(nobody_after).await;
    }
}

/// Forms that were sent, in memory only: what came of them is secret.
#[derive(Default)]
pub(super) struct Outcomes(Mutex<VecDeque<Sent>>);

struct Sent {
    session: SessionId,
    name: String,
    until: Timestamp,
    /// Nothing if it was answered with a no before anything was made: then nothing is.
    making: Option<Arc<Making>>,
}

impl Outcomes {
    /// What is made for a form, which `begin` begins when it arrives for the first time. Nothing
    /// for one in which somebody said no.
    pub(super) fn of(
        &self,
        session: &SessionId,
        name: &str,
        now: Timestamp,
        begin: impl FnOnce() -> (Terms, AppConnection, ConnectionCredentials),
    ) -> Option<Arc<Making>> {
        let mut sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sent.retain(|one| one.until > now);
        if let Some(known) = position(&sent, session, name) {
            let making = sent[known].making.clone();
            return making.filter(|making| !making.is_void());
        }
        let (terms, connection, credentials) = begin();
        let making = Arc::new(Making {
            terms,
            connection,
            credentials,
            outcome: OnceCell::new(),
            void: AtomicBool::new(false),
        });
        keep(&mut sent, session, name, now, Some(Arc::clone(&making)));
        Some(making)
    }

    /// Notes that somebody said no in a form, or something else than before, and tells what was
    /// made for it or is.
    pub(super) fn void(
        &self,
        session: &SessionId,
        name: &str,
        now: Timestamp,
    ) -> Option<Arc<Making>> {
        let mut sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sent.retain(|one| one.until > now);
        let Some(known) = position(&sent, session, name) else {
            keep(&mut sent, session, name, now, None);
            return None;
        };
        sent[known].making.clone()
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
        let making = sent[position(&sent, session, name)?].making.as_ref()?;
        let outcome = making.outcome.get().filter(|_| !making.is_void());
        outcome.cloned()
    }
}

fn position(sent: &VecDeque<Sent>, session: &SessionId, name: &str) -> Option<usize> {
    sent.iter()
        .position(|one| one.session == *session && one.name == name)
}

fn keep(
    sent: &mut VecDeque<Sent>,
    session: &SessionId,
    name: &str,
    now: Timestamp,
    making: Option<Arc<Making>>,
) {
    if sent.iter().filter(|one| one.session == *session).count() >= MOST_OF_A_SESSION {
        let oldest = sent.iter().position(|one| one.session == *session);
        oldest.and_then(|at| sent.remove(at));
    } else if sent.len() >= MOST {
        sent.pop_front();
    }
    sent.push_back(Sent {
        session: session.clone(),
        name: name.to_owned(),
        until: now.plus(LASTS),
        making,
    });
}
