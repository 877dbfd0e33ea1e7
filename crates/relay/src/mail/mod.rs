//! Letters: a bounded queue, and one task that sends what is in it.
//!
//! No answer waits for a letter, and none tells by its time whether there was one to send: what
//! depends on whether an account exists is looked up by the task. Addresses are never logged, nor
//! what a mail server says, which may repeat them.

mod letters;
mod post;
#[cfg(test)]
mod tests;

use latchkey_model::account::Email;
use latchkey_model::id::AccountId;
use tokio::sync::mpsc;

pub(crate) use self::letters::{Letter, PrintNews};
pub(crate) use self::post::{Making, Post};

/// Letters that wait to be looked at.
const QUEUE: usize = 256;

/// Places that only letters get which somebody waits for.
const KEPT_FREE: usize = 64;

/// What there is to do.
#[derive(Debug)]
enum Job {
    /// A letter to an address, whoever has it.
    Send { to: Email, letter: Letter },
    /// A notice, for those whose address is known to be theirs.
    Tell { account: AccountId, letter: Letter },
    /// A letter with a new password's link, if somebody has an account with this address.
    Reset { email: Email },
}

impl Job {
    /// Whether somebody cannot go on without it.
    const fn is_waited_for(&self) -> bool {
        match self {
            Self::Reset { .. } => true,
            Self::Tell { .. } => false,
            Self::Send { letter, .. } => matches!(
                letter,
                Letter::Verify { .. }
                    | Letter::Reset { .. }
                    | Letter::JoinPrinter { .. }
                    | Letter::Invitation { .. }
            ),
        }
    }
}

/// Where letters are handed in. Without a mail server they go nowhere.
#[derive(Debug, Clone)]
pub(crate) struct Mail(Option<mpsc::Sender<Job>>);

impl Mail {
    /// For a relay that sends no e-mail.
    pub(crate) const fn off() -> Self {
        Self(None)
    }

    /// Whether this relay sends e-mail.
    pub(crate) const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Whether one more letter that nobody waits for would be taken now.
    pub(crate) fn has_room(&self) -> bool {
        let queue = self.0.as_ref();
        queue.is_some_and(|queue| queue.capacity() > KEPT_FREE)
    }

    fn queue() -> (Self, mpsc::Receiver<Job>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self(Some(sender)), receiver)
    }

    /// Sends a letter to an address that somebody gave.
    pub(crate) fn send(&self, to: &Email, letter: Letter) {
        let to = to.clone();
        self.hand_in(Job::Send { to, letter });
    }

    /// Tells somebody what happened to their account, if its address is confirmed: others must
    /// not get letters because somebody typed their address.
    pub(crate) fn tell(&self, account: &AccountId, letter: Letter) {
        let account = account.clone();
        self.hand_in(Job::Tell { account, letter });
    }

    /// Sends a link to a new password to whoever has an account with this address.
    pub(crate) fn reset(&self, email: &Email) {
        let email = email.clone();
        self.hand_in(Job::Reset { email });
    }

    fn hand_in(&self, job: Job) {
        if let Some(queue) = &self.0
            && (!(job.is_waited_for() || self.has_room()) || queue.try_send(job).is_err())
        {
            tracing::warn!(
                limit.name = "letters",
                "a letter was dropped: too many wait"
            );
        }
    }
}
