//! Sessions: a browser's sign-in at a host.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::id::SessionId;
use crate::user::UserName;

/// A session that nobody uses for so long has ended. An open push socket is use.
pub const IDLE: Duration = Duration::from_mins(15);

/// No session lasts longer, however much it is used.
pub const LONGEST: Duration = Duration::from_hours(30 * 24);

/// How long a remembered browser is signed in again without a password.
pub const REMEMBERED: Duration = Duration::from_hours(90 * 24);

/// How a session began; the words are those of `OctoPrint`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// With name and password.
    Password,
    /// By a cookie that outlived an earlier session.
    RememberMe,
}

impl Mechanism {
    /// As it is kept and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::RememberMe => "remember_me",
        }
    }

    /// The mechanism that is written so.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Password, Self::RememberMe]
            .into_iter()
            .find(|mechanism| mechanism.as_str() == text)
    }
}

/// A browser's sign-in at a host. Its cookie is not in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its identifier.
    pub id: SessionId,
    /// Who signed in.
    pub user: UserName,
    /// How.
    pub mechanism: Mechanism,
    /// When.
    pub created: Timestamp,
    /// When it was last used.
    pub seen: Timestamp,
    /// When the person last proved by a password who they are; never, for a remembered browser.
    pub credentials_seen: Option<Timestamp>,
    /// What the browser says it is, shortened.
    pub device: String,
    /// From which network it signed in.
    pub network: String,
}

impl Session {
    /// Whether it still holds at `now`.
    pub fn is_alive(&self, now: Timestamp) -> bool {
        now.since(self.seen) < IDLE && now.since(self.created) < LONGEST
    }

    /// Whether the person proved who they are within `limit`; always, when the limit is zero,
    /// which switches the check off.
    pub fn is_fresh(&self, now: Timestamp, limit: Duration) -> bool {
        limit.is_zero()
            || self
                .credentials_seen
                .is_some_and(|seen| now.since(seen) <= limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;
    const DAY: i64 = 24 * 60 * MINUTE;

    fn session(seen: i64, credentials_seen: Option<i64>) -> Session {
        Session {
            id: "abcdefghijklmnop2345".parse().unwrap(),
            user: UserName::parse("ann").unwrap(),
            mechanism: Mechanism::Password,
            created: Timestamp::from_millis(0),
            seen: Timestamp::from_millis(seen),
            credentials_seen: credentials_seen.map(Timestamp::from_millis),
            device: String::new(),
            network: String::new(),
        }
    }

    #[test]
    fn a_session_ends_when_idle_and_after_thirty_days() {
        for (seen, now, alive) in [
            (0, 15 * MINUTE - 1, true),
            (0, 15 * MINUTE, false),
            (30 * DAY - 1, 30 * DAY - 1, true),
            (30 * DAY, 30 * DAY, false),
        ] {
            let alive_now = session(seen, None).is_alive(Timestamp::from_millis(now));
            assert_eq!(alive_now, alive, "{seen} {now}");
        }
    }

    #[test]
    fn credentials_are_fresh_for_the_limit_and_never_without_a_password() {
        let five = Duration::from_mins(5);
        for (seen, now, limit, fresh) in [
            (Some(0), 5 * MINUTE, five, true),
            (Some(0), 5 * MINUTE + 1, five, false),
            (Some(0), DAY, Duration::ZERO, true),
            (None, 0, five, false),
            (None, 0, Duration::ZERO, true),
        ] {
            let is = session(0, seen).is_fresh(Timestamp::from_millis(now), limit);
            assert_eq!(is, fresh, "{seen:?} {now}");
        }
    }

    #[test]
    fn mechanisms_are_read_as_they_are_written() {
        for mechanism in [Mechanism::Password, Mechanism::RememberMe] {
            assert_eq!(Mechanism::parse(mechanism.as_str()), Some(mechanism));
        }
    }
}
