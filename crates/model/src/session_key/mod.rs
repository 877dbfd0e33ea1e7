//! App Session Keys: an app that was registered with its public key signs for a key that is good
//! for two hours.
//!
//! What is signed, how long what is good, which registrations count and how far a key goes. The
//! keys themselves are kept by the host.

mod app;
mod public_key;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::access::Access;
use crate::user::Group;

pub use app::{Registration, STRONG_BITS, SessionApp, SessionAppName, Unusable};
pub use public_key::{PublicKey, PublicKeyError, Reject};

/// How long an app has to sign for an unverified key.
pub const UNVERIFIED_FOR: Duration = Duration::from_mins(1);

/// How long a verified key is good, from the making of the unverified one on.
pub const VERIFIED_FOR: Duration = Duration::from_hours(2);

/// What stands for the version of an app that names none.
pub const ANY_VERSION: &str = "any";

/// What an app signs to have a key verified.
pub fn signed_text(name: &SessionAppName, key: &str) -> String {
    format!("{name}:{key}")
}

/// How far a session key goes; chosen where its app is registered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum SessionScope {
    /// Everything a person may do with the printer.
    #[default]
    Full,
    /// Looking only.
    View,
    /// The printer server's settings, users and machine as well.
    Admin,
}

impl SessionScope {
    /// All of them, the usual one first.
    pub const ALL: [Self; 3] = [Self::Full, Self::View, Self::Admin];

    /// As it is written in configurations, and kept.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::View => "view",
            Self::Admin => "admin",
        }
    }

    /// How far it goes at the printer.
    pub const fn access(self) -> Access {
        self.group().access()
    }

    /// The group whose rights at the printer it has.
    pub const fn group(self) -> Group {
        match self {
            Self::Full => Group::Users,
            Self::View => Group::Readonly,
            Self::Admin => Group::Admins,
        }
    }
}

/// A text names no scope of a session key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a scope is full, view or admin")]
pub struct ParseSessionScopeError;

impl FromStr for SessionScope {
    type Err = ParseSessionScopeError;

    fn from_str(text: &str) -> Result<Self, ParseSessionScopeError> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.as_str() == text)
            .ok_or(ParseSessionScopeError)
    }
}

impl fmt::Display for SessionScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why an app that is registered got no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Its entry is switched off, or its public key cannot be used.
    Unusable,
    /// The signature is none of its key.
    Signature,
    /// The key to be verified is unknown, too old or verified already.
    Key,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Unusable, Self::Signature, Self::Key];

    /// As it is kept.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unusable => "unusable",
            Self::Signature => "signature",
            Self::Key => "key",
        }
    }
}

/// A text names no refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a refusal is unusable, signature or key")]
pub struct ParseRefusalError;

impl FromStr for Refusal {
    type Err = ParseRefusalError;

    fn from_str(text: &str) -> Result<Self, ParseRefusalError> {
        Self::ALL
            .into_iter()
            .find(|refusal| refusal.as_str() == text)
            .ok_or(ParseRefusalError)
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
