//! How far a caller may go at the printer.

use std::fmt;
use std::str::FromStr;

/// How far a caller may go at the printer; each level includes those before it.
///
/// Which request needs which level depends on the printer's server, and is the host's table
/// (`docs/reference/access-levels.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// Look: state, temperatures, files' names, camera. Nothing changes.
    View,
    /// Everything a person may do with the printer: print, move, heat, add and delete files.
    Operate,
    /// Settings, users and the machine itself as well.
    Admin,
}

/// What a person chose for an app's key when they allowed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyScope {
    /// Everything its owner may do.
    Full,
    /// Looking only.
    View,
}

impl KeyScope {
    /// As it is kept and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::View => "view",
        }
    }

    /// How far a key of this scope goes for an owner who may go as far as `owner`.
    pub fn limit(self, owner: Access) -> Access {
        match self {
            Self::Full => owner,
            Self::View => Access::View,
        }
    }
}

/// A text names no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a scope is full or view")]
pub struct ParseKeyScopeError;

impl FromStr for KeyScope {
    type Err = ParseKeyScopeError;

    fn from_str(text: &str) -> Result<Self, ParseKeyScopeError> {
        [Self::Full, Self::View]
            .into_iter()
            .find(|scope| scope.as_str() == text)
            .ok_or(ParseKeyScopeError)
    }
}

impl fmt::Display for KeyScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_never_goes_further_than_its_owner() {
        use Access::{Admin, Operate, View};
        for (scope, owner, limit) in [
            (KeyScope::Full, Admin, Admin),
            (KeyScope::Full, Operate, Operate),
            (KeyScope::Full, View, View),
            (KeyScope::View, Admin, View),
            (KeyScope::View, View, View),
        ] {
            assert_eq!(scope.limit(owner), limit, "{scope} of {owner:?}");
        }
    }

    #[test]
    fn scopes_are_read_as_they_are_written() {
        for scope in [KeyScope::Full, KeyScope::View] {
            assert_eq!(scope.to_string().parse(), Ok(scope));
        }
        assert!("Full".parse::<KeyScope>().is_err());
    }
}
