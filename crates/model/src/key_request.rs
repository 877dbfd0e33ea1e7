//! Key requests: an app's pending wish for an app key.
//!
//! Responsible for how long a wish lives and who may decide it. Leaves to others where wishes
//! are kept and who is told of them.

use std::net::IpAddr;
use std::time::Duration;

use crate::access::KeyScope;
use crate::app::AppName;
use crate::clock::Timestamp;
use crate::user::UserName;

/// A wish that its app does not ask after for so long has been given up.
pub const STALE: Duration = Duration::from_secs(5);

/// No wish waits longer, however often its app asks.
pub const CUT_OFF: Duration = Duration::from_mins(10);

/// An app's wish, waiting for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRequest {
    /// What the app calls itself; nobody has checked it.
    pub app: AppName,
    /// The one user who may decide; anybody who may grant, if missing.
    pub user: Option<String>,
    /// Where the app asked from.
    pub remote: IpAddr,
    /// When it first asked.
    pub created: Timestamp,
    /// When it last asked.
    pub polled: Timestamp,
}

/// Whether a wish still waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// It does.
    Yes,
    /// Its app stopped asking.
    Stale,
    /// It waited too long.
    CutOff,
}

/// What a person decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The app gets a key of this scope.
    Grant(KeyScope),
    /// It does not.
    Deny,
}

impl KeyRequest {
    /// A wish that was just made.
    ///
    /// `user` stays text: a wish for somebody whom nobody knows is made like any other, so that it
    /// cannot be used to find out who is known. Nobody can decide it.
    pub fn new(app: AppName, user: Option<String>, remote: IpAddr, now: Timestamp) -> Self {
        Self {
            app,
            user: user.filter(|user| !user.is_empty()),
            remote,
            created: now,
            polled: now,
        }
    }

    /// Whether it waits at `now`.
    pub fn waiting(&self, now: Timestamp) -> Waiting {
        if now.since(self.created) >= CUT_OFF {
            Waiting::CutOff
        } else if now.since(self.polled) > STALE {
            Waiting::Stale
        } else {
            Waiting::Yes
        }
    }

    /// Notes that the app asked after it.
    pub fn poll(&mut self, now: Timestamp) {
        self.polled = now;
    }

    /// Whether `user` may see and decide it. That they may grant at all is another question.
    pub fn concerns(&self, user: &UserName) -> bool {
        self.user
            .as_deref()
            .is_none_or(|only| only == user.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(user: Option<&str>) -> KeyRequest {
        KeyRequest::new(
            AppName::parse("Fieldglass").unwrap(),
            user.map(str::to_owned),
            [192, 0, 2, 7].into(),
            Timestamp::from_millis(0),
        )
    }

    #[test]
    fn a_request_lives_as_long_as_its_app_asks_and_ten_minutes_at_most() {
        let at = |millis| Timestamp::from_millis(millis);
        // (last poll, now, waiting), all in milliseconds after creation
        for (polled, now, waiting) in [
            (0, 0, Waiting::Yes),
            (0, 5_000, Waiting::Yes),
            (0, 5_001, Waiting::Stale),
            (5_000, 10_000, Waiting::Yes),
            (5_000, 10_001, Waiting::Stale),
            (599_000, 599_999, Waiting::Yes),
            (599_000, 600_000, Waiting::CutOff),
            (0, 600_000, Waiting::CutOff),
            // A clock that was set back ends nothing.
            (10_000, 9_000, Waiting::Yes),
        ] {
            let mut request = request(None);
            request.poll(at(polled));
            assert_eq!(request.waiting(at(now)), waiting, "{polled} {now}");
        }
    }

    #[test]
    fn a_request_for_one_user_concerns_nobody_else() {
        let (ann, bob) = (
            UserName::parse("ann").unwrap(),
            UserName::parse("bob").unwrap(),
        );
        for (user, for_ann, for_bob) in [
            (None, true, true),
            (Some(""), true, true),
            (Some("ann"), true, false),
            (Some("Ann"), false, false),
            (Some("nobody"), false, false),
        ] {
            let request = request(user);
            assert_eq!(request.concerns(&ann), for_ann, "{user:?}");
            assert_eq!(request.concerns(&bob), for_bob, "{user:?}");
        }
    }
}
