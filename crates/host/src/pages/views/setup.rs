//! `/latchkey/setup`: the first person, who becomes the administrator.

use askama::Template;
use latchkey_web::shell::DoorShell;

use super::Site;

/// Posts `code`, `name`, `password`, `again`, `csrf_token` to `/latchkey/setup`.
#[derive(Debug, Clone, Template)]
#[template(path = "host/setup.html")]
pub struct Setup {
    pub shell: DoorShell,
    pub site: Site,
    pub state: SetupState,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetupState {
    Asking(SetupForm),
    /// Only for callers at home, and this one is not.
    NotFromHere,
    /// There is an administrator already.
    Done,
}

/// What stands in the form; never a password.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SetupForm {
    pub code: String,
    pub name: String,
    pub problem: Option<SetupProblem>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetupProblem {
    CodeWrong,
    TooMany {
        minutes: u64,
    },
    NameMissing,
    NameUnfit,
    PasswordTooShort {
        least: usize,
    },
    PasswordTooLong {
        most: usize,
    },
    /// The two passwords differ.
    Differ,
}

impl SetupForm {
    fn code_wrong(&self) -> bool {
        self.problem == Some(SetupProblem::CodeWrong)
    }

    fn name_error(&self) -> Option<SetupProblem> {
        self.problem.filter(|problem| {
            matches!(problem, SetupProblem::NameMissing | SetupProblem::NameUnfit)
        })
    }

    fn size_error(&self) -> Option<SetupProblem> {
        self.problem.filter(|problem| {
            matches!(
                problem,
                SetupProblem::PasswordTooShort { .. } | SetupProblem::PasswordTooLong { .. }
            )
        })
    }

    fn differ(&self) -> bool {
        self.problem == Some(SetupProblem::Differ)
    }
}
