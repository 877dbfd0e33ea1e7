//! Sessions at a relay: a browser's sign-in with an account.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::id::{AccountId, SessionId};

/// A session that nobody uses for so long has ended.
pub const IDLE: Duration = Duration::from_hours(12);

/// No session lasts longer, however much it is used.
pub const LONGEST: Duration = Duration::from_hours(30 * 24);

/// For so long after a password was typed nobody is asked for it again.
pub const FRESH: Duration = Duration::from_mins(5);

/// By what an account is guarded beside its password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Factors {
    /// Codes of a generator.
    pub codes: bool,
    /// Passkeys.
    pub passkeys: bool,
}

impl Factors {
    /// Whether there is any.
    pub const fn any(self) -> bool {
        self.codes || self.passkeys
    }
}

/// A browser's sign-in at a relay. Its cookie is not in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSession {
    /// Its identifier.
    pub id: SessionId,
    /// Who signed in.
    pub account: AccountId,
    /// When.
    pub created: Timestamp,
    /// When it was last used.
    pub seen: Timestamp,
    /// When the person last proved who they are.
    pub proved: Timestamp,
    /// When they last did so with a second factor.
    pub second_factor: Option<Timestamp>,
    /// What the browser says it is, shortened.
    pub device: String,
    /// From which network it signed in.
    pub network: String,
}

impl AccountSession {
    /// Whether it still holds at `now`.
    pub fn is_alive(&self, now: Timestamp) -> bool {
        now.since(self.seen) < IDLE && now.since(self.created) < LONGEST
    }

    /// Whether the person proved lately who they are.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        now.since(self.proved) <= FRESH
    }

    /// Whether they did so with a second factor.
    pub fn is_fresh_with_second_factor(&self, now: Timestamp) -> bool {
        let at = self.second_factor;
        at.is_some_and(|at| now.since(at) <= FRESH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(created: i64, seen: i64, proved: i64) -> AccountSession {
        AccountSession {
            id: "abcdefghijklmnopqrst".parse().unwrap(),
            account: "abcdefghijklmnopqrst".parse().unwrap(),
            created: Timestamp::from_millis(created),
            seen: Timestamp::from_millis(seen),
            proved: Timestamp::from_millis(proved),
            second_factor: None,
            device: String::new(),
            network: String::new(),
        }
    }

    #[test]
    fn a_session_ends_when_idle_and_when_old() {
        let hours = |hours: i64| hours * 3_600_000;
        let alive =
            |created, seen, now| session(created, seen, 0).is_alive(Timestamp::from_millis(now));
        assert!(alive(0, 0, hours(12) - 1));
        assert!(!alive(0, 0, hours(12)));
        assert!(alive(0, hours(719), hours(720) - 1));
        assert!(!alive(0, hours(719), hours(720)));
    }

    #[test]
    fn a_proof_is_fresh_for_five_minutes() {
        let fresh = |now| session(0, 0, 0).is_fresh(Timestamp::from_millis(now));
        assert!(fresh(300_000));
        assert!(!fresh(300_001));
    }

    #[test]
    fn a_password_alone_is_no_second_factor() {
        let mut session = session(0, 0, 0);
        let fresh = |session: &AccountSession, now| {
            session.is_fresh_with_second_factor(Timestamp::from_millis(now))
        };
        assert!(!fresh(&session, 0));
        session.second_factor = Some(Timestamp::from_millis(0));
        assert!(fresh(&session, 300_000));
        assert!(!fresh(&session, 300_001));
    }
}
