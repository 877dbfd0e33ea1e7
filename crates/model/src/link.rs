//! Links that are good once: whoever has one may do the one thing that it is for.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::access::KeyScope;
use crate::account::Email;
use crate::clock::Timestamp;
use crate::id::{AccountId, PrinterId};

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkPurpose {
    /// Making the first account of a relay, which administers it.
    FirstAdministrator,
    /// Making an account where not everybody may.
    Invitation,
    /// Proving that an address is one's own.
    VerifyEmail,
    /// Choosing a new password.
    ResetPassword,
    /// Using somebody's printer.
    SharePrinter,
}

impl LinkPurpose {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::FirstAdministrator,
        Self::Invitation,
        Self::VerifyEmail,
        Self::ResetPassword,
        Self::SharePrinter,
    ];

    /// The word that is kept.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FirstAdministrator => "first_administrator",
            Self::Invitation => "invitation",
            Self::VerifyEmail => "verify_email",
            Self::ResetPassword => "reset_password",
            Self::SharePrinter => "share_printer",
        }
    }

    /// How long a link for it is good.
    pub const fn lasts(self) -> Duration {
        match self {
            Self::ResetPassword => Duration::from_hours(1),
            Self::VerifyEmail => Duration::from_hours(2 * 24),
            Self::FirstAdministrator | Self::Invitation | Self::SharePrinter => {
                Duration::from_hours(7 * 24)
            }
        }
    }
}

impl fmt::Display for LinkPurpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text names nothing that a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is nothing that a link is for")]
pub struct ParseLinkPurposeError;

impl FromStr for LinkPurpose {
    type Err = ParseLinkPurposeError;

    fn from_str(text: &str) -> Result<Self, ParseLinkPurposeError> {
        Self::ALL
            .into_iter()
            .find(|purpose| purpose.as_str() == text)
            .ok_or(ParseLinkPurposeError)
    }
}

/// A link, without the secret in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What it is for.
    pub purpose: LinkPurpose,
    /// Whose address or password it is about, or who invites.
    pub account: Option<AccountId>,
    /// What an invitation shares.
    pub printer: Option<PrinterId>,
    /// How far an invitation lets go at the printer; nothing for everything.
    pub level: Option<KeyScope>,
    /// The address it went to, if it went to one.
    pub email: Option<Email>,
    /// When it was made.
    pub created: Timestamp,
    /// When it is no longer good.
    pub expires: Timestamp,
}

impl Link {
    /// A link that is made at `now`, about nobody yet.
    pub fn new(purpose: LinkPurpose, now: Timestamp) -> Self {
        Self {
            purpose,
            account: None,
            printer: None,
            level: None,
            email: None,
            created: now,
            expires: now.plus(purpose.lasts()),
        }
    }
}
