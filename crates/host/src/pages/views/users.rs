//! `/latchkey/users` and what is below it, for administrators.

use askama::Template;
use latchkey_web::moment::Moment;
use latchkey_web::shell::BarShell;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Group, Site, Viewer, initial};

/// `/latchkey/users`; its form posts `name`, `password`, `group` to the same address.
#[derive(Debug, Clone, Template)]
#[template(path = "host/users.html")]
pub struct Users {
    pub shell: BarShell,
    pub site: Site,
    pub viewer: Viewer,
    pub users: Vec<UserRow>,
    pub form: NewUser,
    /// What was just done, told once.
    pub done: Option<UserDone>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRow {
    pub name: String,
    pub group: Group,
    pub active: bool,
    pub keys: usize,
    /// The last request of a session.
    pub seen: Option<Moment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUser {
    pub name: String,
    pub group: Group,
    pub problem: Option<UserProblem>,
}

impl Default for NewUser {
    fn default() -> Self {
        Self {
            name: String::new(),
            group: Group::Users,
            problem: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserProblem {
    NameMissing,
    NameTaken,
    /// Longer than 64 characters, or with characters that are not seen.
    NameUnfit,
    PasswordTooShort {
        least: usize,
    },
    PasswordTooLong {
        most: usize,
    },
    /// The last active administrator would be gone.
    LastAdmin,
}

impl UserProblem {
    fn of_name(&self) -> bool {
        matches!(self, Self::NameMissing | Self::NameTaken | Self::NameUnfit)
    }

    fn of_group(&self) -> bool {
        *self == Self::LastAdmin
    }

    fn of_password(&self) -> bool {
        matches!(
            self,
            Self::PasswordTooShort { .. } | Self::PasswordTooLong { .. }
        )
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserDone {
    Added { name: String },
    Removed { name: String },
}

/// `/latchkey/users/<name>`; its forms post to `…/group` (`group`), `…/password`
/// (`password`), `…/activate`. Deactivating and removing have pages of their own.
#[derive(Debug, Clone, Template)]
#[template(path = "host/user.html")]
pub struct UserPage {
    pub shell: BarShell,
    pub site: Site,
    pub viewer: Viewer,
    pub user: UserRow,
    pub problem: Option<UserProblem>,
    pub changed: Option<UserChange>,
}

/// What was just changed, told once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserChange {
    Group,
    Password,
    Activated,
    Deactivated,
}

impl UserPage {
    fn is_viewer(&self) -> bool {
        self.user.name == self.viewer.user
    }
}

impl UserRow {
    fn initial(&self) -> String {
        initial(&self.name)
    }

    /// The name as a part of an address.
    fn path(&self) -> String {
        path_of(&self.name)
    }
}

/// `/latchkey/users/<name>/remove` and `…/deactivate`, which post to themselves.
#[derive(Debug, Clone, Template)]
#[template(path = "host/end_user.html")]
pub struct EndUser {
    pub shell: BarShell,
    pub site: Site,
    pub viewer: Viewer,
    pub user: UserRow,
    pub end: End,
    pub problem: Option<UserProblem>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Remove,
    Deactivate,
}

/// A name as one segment of a path; a dot alone would be taken for a step.
pub(crate) fn path_of(name: &str) -> String {
    const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');
    utf8_percent_encode(name, ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_one_segment_of_a_path() {
        for (name, path) in [
            ("tamsin", "tamsin"),
            ("a/b?c#d", "a%2Fb%3Fc%23d"),
            ("..", "%2E%2E"),
            ("Ünal K", "%C3%9Cnal%20K"),
        ] {
            assert_eq!(super::path_of(name), path);
        }
    }
}
