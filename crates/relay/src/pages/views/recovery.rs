//! `/forgotten`, `/reset`, `/verify`: pages that letters lead to.

use askama::Template;
use latchkey_web::shell::DoorShell;

use super::Site;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forgetting {
    /// The relay sends no e-mail.
    NoMail,
    Asked {
        email: String,
        problem: Option<ForgottenProblem>,
    },
    /// The same whether there is such an account or not.
    Sent { email: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForgottenProblem {
    EmailUnfit,
    TooMany { minutes: u64 },
    Stale,
}

#[derive(Debug, Clone, Template)]
#[template(path = "relay/forgotten.html")]
pub struct Forgotten {
    pub shell: DoorShell,
    pub site: Site,
    pub state: Forgetting,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resetting {
    Asked {
        code: String,
        problem: Option<ResetProblem>,
    },
    /// It was used, or is too old; or it never was one.
    Gone,
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetProblem {
    TooShort { least: usize },
    TooLong { most: usize },
    Differ,
    Stale,
    Busy,
}

#[derive(Debug, Clone, Template)]
#[template(path = "relay/reset.html")]
pub struct Reset {
    pub shell: DoorShell,
    pub site: Site,
    pub state: Resetting,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verifying {
    /// Programs that look at letters follow their links; only a person presses a button.
    Asked {
        code: String,
        email: String,
    },
    Gone,
    /// Somebody else's account has the address by now.
    Taken,
    Done {
        email: String,
    },
}

#[derive(Debug, Clone, Template)]
#[template(path = "relay/verify.html")]
pub struct Verify {
    pub shell: DoorShell,
    pub site: Site,
    pub state: Verifying,
}
