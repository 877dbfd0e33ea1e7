//! `/login/`.

use askama::Template;
use latchkey_web::shell::DoorShell;

use super::Site;

/// Posts `user`, `pass`, `remember`, `redirect`, `csrf_token` to `/login/`.
#[derive(Debug, Clone, Template)]
#[template(path = "host/sign_in.html")]
pub struct SignIn {
    pub shell: DoorShell,
    pub site: Site,
    pub purpose: Purpose,
    pub user: UserField,
    pub remember: bool,
    /// Where to go on to, sent back as it came; checked when it is used.
    pub redirect: String,
    pub problem: Option<SignInProblem>,
}

/// What comes after signing in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// Nothing in particular.
    Printer,
    /// To decide about a request; the app's name where it is known.
    Decide { app: Option<String> },
    /// The person is signed in, but longer than five minutes ago. To decide, again.
    DecideFresh { app: Option<String> },
    /// The same, to see, make or revoke a key, or to change users. `back` is the way out.
    Fresh { back: String },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserField {
    /// Anybody; with what was typed before an error.
    Free { typed: String },
    /// This user and no other.
    Fixed { name: String },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignInProblem {
    /// Name and password do not go together, or the user is not active.
    WrongPair,
    /// After how many minutes it is worth trying again.
    TooMany { minutes: u64 },
    /// The form was older than the session, or without a cookie.
    Stale,
    /// Signed in as somebody who may not do what comes next.
    MayNot { user: String },
}

impl SignIn {
    /// Whether the person is signed in and is asked for the password once more.
    pub(crate) fn again(&self) -> bool {
        matches!(
            self.purpose,
            Purpose::DecideFresh { .. } | Purpose::Fresh { .. }
        )
    }

    /// The app that waits for a decision.
    fn app(&self) -> Option<&str> {
        match &self.purpose {
            Purpose::Decide { app } | Purpose::DecideFresh { app } => app.as_deref(),
            _ => None,
        }
    }

    fn deciding(&self) -> bool {
        matches!(
            self.purpose,
            Purpose::Decide { .. } | Purpose::DecideFresh { .. }
        )
    }

    fn wrong(&self) -> bool {
        self.problem == Some(SignInProblem::WrongPair)
    }
}
