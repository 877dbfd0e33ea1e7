//! `/latchkey/account`: one's own password and where one is signed in.

use askama::Template;
use latchkey_web::moment::Moment;
use latchkey_web::shell::BarShell;

use super::{Group, Site, Viewer};

/// Posts `old`, `password`, `again` to `/latchkey/account/password`, `session` to
/// `/latchkey/account/end-session`, and nothing more to `/latchkey/sign-out`.
#[derive(Debug, Clone, Template)]
#[template(path = "host/account.html")]
pub struct AccountPage {
    pub shell: BarShell,
    pub site: Site,
    pub viewer: Viewer,
    pub sessions: Vec<SignedIn>,
    pub problem: Option<PasswordProblem>,
    pub done: Option<AccountDone>,
}

impl AccountPage {
    fn old_wrong(&self) -> bool {
        self.problem == Some(PasswordProblem::OldWrong)
    }

    fn size_wrong(&self) -> bool {
        matches!(
            self.problem,
            Some(PasswordProblem::TooShort { .. } | PasswordProblem::TooLong { .. })
        )
    }

    fn differ(&self) -> bool {
        self.problem == Some(PasswordProblem::Differ)
    }
}

/// A browser in which the person is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// Names the session in the form; not what the browser holds.
    pub id: String,
    /// "Firefox on Linux", as far as the browser told.
    pub device: String,
    /// Address prefix.
    pub from: String,
    pub seen: Moment,
    /// The session this page was asked for with.
    pub this_one: bool,
    /// Whether it outlives the browser.
    pub remembered: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordProblem {
    OldWrong,
    TooShort {
        least: usize,
    },
    TooLong {
        most: usize,
    },
    /// The two new ones differ.
    Differ,
    TooMany {
        minutes: u64,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountDone {
    PasswordChanged,
    SessionEnded,
}
