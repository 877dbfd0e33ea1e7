//! Users: people known to a host, named as in the printer's server.

use std::fmt;
use std::str::FromStr;

use crate::access::Access;
use crate::clock::Timestamp;
use crate::text::{self, NameError};

/// By what a person signs in at a host: 1 to 64 visible characters without blanks or colons.
///
/// Upper and lower case are told apart, as `OctoPrint` does. A colon would end the name where the
/// push socket's sign-in joins it with a session.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserName(String);

impl UserName {
    /// Reads a name as a person typed it.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let name = text::name(text, 64)?;
        if name
            .chars()
            .any(|c| c.is_whitespace() || c == ':' || c == '/')
        {
            return Err(NameError::Misleading);
        }
        Ok(Self(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is kept for callers that are no people, such as `_api`.
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with('_')
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Group {
    /// Everything, other users included.
    Admins,
    /// Everything with the printer, and keys of their own.
    Users,
    /// Looking only.
    Readonly,
}

impl Group {
    /// All groups, the mightiest first.
    pub const ALL: [Self; 3] = [Self::Admins, Self::Users, Self::Readonly];

    /// As `OctoPrint` writes it, and as it is kept.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admins => "admins",
            Self::Users => "users",
            Self::Readonly => "readonly",
        }
    }

    /// How far its members may go at the printer.
    pub const fn access(self) -> Access {
        match self {
            Self::Admins => Access::Admin,
            Self::Users => Access::Operate,
            Self::Readonly => Access::View,
        }
    }

    /// Whether its members may allow apps: `PLUGIN_APPKEYS_GRANT`.
    pub const fn may_grant(self) -> bool {
        matches!(self, Self::Admins | Self::Users)
    }

    /// Whether its members administer users and everybody's keys: `ADMIN`, `PLUGIN_APPKEYS_ADMIN`.
    pub const fn is_admin(self) -> bool {
        matches!(self, Self::Admins)
    }
}

/// A text names no group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a group is admins, users or readonly")]
pub struct ParseGroupError;

impl FromStr for Group {
    type Err = ParseGroupError;

    fn from_str(text: &str) -> Result<Self, ParseGroupError> {
        Self::ALL
            .into_iter()
            .find(|group| group.as_str() == text)
            .ok_or(ParseGroupError)
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A person known to a host. Holds no password: only a sign-in looks at that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// By what they sign in.
    pub name: UserName,
    /// What they may do.
    pub group: Group,
    /// Whether they may do it at present.
    pub active: bool,
    /// When they became known.
    pub created: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_names_are_one_visible_word() {
        for (text, expected) in [
            ("ann", Some("ann")),
            ("  Ann\n", Some("Ann")),
            ("ann@example.com", Some("ann@example.com")),
            ("jürgen", Some("jürgen")),
            ("", None),
            ("two words", None),
            ("ann:1", None),
            ("a/b", None),
            ("a\u{202e}b", None),
            ("a\0b", None),
        ] {
            let name = UserName::parse(text).ok();
            assert_eq!(name.as_ref().map(UserName::as_str), expected, "{text:?}");
        }
        assert!(UserName::parse(&"a".repeat(65)).is_err());
        assert!(UserName::parse("_api").unwrap().is_reserved());
    }

    #[test]
    fn groups_differ_in_what_they_may_do() {
        for (group, access, grants, admin) in [
            (Group::Admins, Access::Admin, true, true),
            (Group::Users, Access::Operate, true, false),
            (Group::Readonly, Access::View, false, false),
        ] {
            assert_eq!(group.access(), access);
            assert_eq!(group.may_grant(), grants);
            assert_eq!(group.is_admin(), admin);
            assert_eq!(group.as_str().parse(), Ok(group));
        }
        assert!("guests".parse::<Group>().is_err());
    }
}
