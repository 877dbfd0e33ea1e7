//! Codes that stand for something, once and for a minute, in memory only.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use latchkey_model::clock::Timestamp;
use latchkey_model::id::SessionId;

/// How long a code is good.
const LASTS: Duration = Duration::from_mins(1);
/// Most codes of one session at a time; then its oldest go.
pub(crate) const MOST_OF_A_SESSION: usize = 20;

/// Codes that wait, by their hashes, and what they stand for. Of too many the oldest go.
pub(crate) struct Codes<H, V> {
    most: usize,
    waiting: Mutex<VecDeque<Waiting<H, V>>>,
}

struct Waiting<H, V> {
    session: SessionId,
    hash: H,
    value: V,
    until: Timestamp,
}

impl<H: PartialEq, V> Codes<H, V> {
    pub(crate) const fn new(most: usize) -> Self {
        Self {
            most,
            waiting: Mutex::new(VecDeque::new()),
        }
    }

    /// Lets a code wait that was made in this session.
    pub(crate) fn put(&self, session: &SessionId, hash: H, value: V, now: Timestamp) {
        let mut waiting = self.lock();
        waiting.retain(|one| one.until > now);
        if waiting.iter().filter(|one| one.session == *session).count() >= MOST_OF_A_SESSION {
            let oldest = waiting.iter().position(|one| one.session == *session);
            oldest.and_then(|at| waiting.remove(at));
        } else if waiting.len() >= self.most {
            waiting.pop_front();
        }
        waiting.push_back(Waiting {
            session: session.clone(),
            hash,
            value,
            until: now.plus(LASTS),
        });
    }

    /// Takes a code: it is used up, whatever becomes of it. Its session, and what it stands for.
    pub(crate) fn take(&self, hash: &H, now: Timestamp) -> Option<(SessionId, V)> {
        let mut waiting = self.lock();
        let at = waiting.iter().position(|one| one.hash == *hash)?;
        let taken = waiting.remove(at)?;
        (taken.until > now).then_some((taken.session, taken.value))
    }

    /// Lets go of what is past.
    pub(crate) fn forget(&self, now: Timestamp) {
        self.lock().retain(|one| one.until > now);
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Waiting<H, V>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
