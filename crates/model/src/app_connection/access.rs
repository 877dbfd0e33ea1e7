//! How app connections prove themselves: modes, what callers present, what is kept of it.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::secret::BearerHash;

/// How an app connection proves itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccessMode {
    /// By its hostname alone: whoever knows the name is let in.
    None,
    /// By user name and password.
    Basic,
    /// By a bearer token.
    Bearer,
    /// By either of both.
    Enhanced,
}

impl AccessMode {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::None, Self::Basic, Self::Bearer, Self::Enhanced];

    /// The mode a portal gives to an app that asks with `word`.
    ///
    /// Everything is [`Enhanced`](Self::Enhanced): `basic` changed its meaning between the
    /// drafts of the contract from "a Basic pair" to "hostname only", so the safe reading
    /// gives credentials; unknown, empty and missing words likewise. The one way to a
    /// connection without credentials is an explicit `none` or `simple` *and* an operator who
    /// allows it.
    pub fn from_auth_type(word: Option<&str>, operator_allows_none: bool) -> Self {
        let word = word.unwrap_or_default().trim();
        let asks_for_none =
            word.eq_ignore_ascii_case("none") || word.eq_ignore_ascii_case("simple");
        if asks_for_none && operator_allows_none {
            Self::None
        } else {
            Self::Enhanced
        }
    }

    /// The word that is kept and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic => "basic",
            Self::Bearer => "bearer",
            Self::Enhanced => "enhanced",
        }
    }

    /// Whether a Basic pair belongs to it.
    pub const fn has_basic(self) -> bool {
        matches!(self, Self::Basic | Self::Enhanced)
    }

    /// Whether a bearer token belongs to it.
    pub const fn has_bearer(self) -> bool {
        matches!(self, Self::Bearer | Self::Enhanced)
    }
}

impl fmt::Display for AccessMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text names no access mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an access mode is none, basic, bearer or enhanced")]
pub struct ParseAccessModeError;

impl FromStr for AccessMode {
    type Err = ParseAccessModeError;

    /// Reads the word as it was kept; an app's wish goes through
    /// [`from_auth_type`](Self::from_auth_type).
    fn from_str(text: &str) -> Result<Self, ParseAccessModeError> {
        Self::ALL
            .into_iter()
            .find(|mode| mode.as_str() == text)
            .ok_or(ParseAccessModeError)
    }
}

/// What a caller presents to an app connection.
#[derive(Clone, Copy)]
pub enum PresentedCredential<'a> {
    /// No credential.
    Nothing,
    /// A user name and a password.
    Basic {
        /// Everything before the first colon.
        user: &'a str,
        /// Everything after it.
        password: &'a str,
    },
    /// A bearer token.
    Bearer(&'a str),
    /// Something that is neither, or cannot be decoded.
    Unreadable,
}

impl fmt::Debug for PresentedCredential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Basic { .. } => "Basic(…)",
            Self::Bearer(_) => "Bearer(…)",
            Self::Unreadable => "Unreadable",
        })
    }
}

/// The SHA-256 of `user:password`. One hash, since a pair is only ever right as a whole.
#[derive(Clone, Copy)]
pub struct BasicHash([u8; 32]);

impl BasicHash {
    /// The hash of a pair. Unambiguous, because a user name cannot have a colon.
    pub fn of(user: &str, password: &str) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(user.as_bytes());
        hasher.update(b":");
        hasher.update(password.as_bytes());
        Self(hasher.finalize().into())
    }

    /// The hash as it was kept.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes to keep.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for BasicHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for BasicHash {}

impl fmt::Debug for BasicHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BasicHash(…)")
    }
}

/// The access mode with exactly the hashes that belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessHashes {
    /// [`AccessMode::None`].
    None,
    /// [`AccessMode::Basic`].
    Basic(BasicHash),
    /// [`AccessMode::Bearer`].
    Bearer(BearerHash),
    /// [`AccessMode::Enhanced`].
    Enhanced(BasicHash, BearerHash),
}

impl AccessHashes {
    /// Puts a mode and its hashes together, if they belong together.
    pub fn new(
        mode: AccessMode,
        basic: Option<BasicHash>,
        bearer: Option<BearerHash>,
    ) -> Option<Self> {
        match (mode, basic, bearer) {
            (AccessMode::None, None, None) => Some(Self::None),
            (AccessMode::Basic, Some(basic), None) => Some(Self::Basic(basic)),
            (AccessMode::Bearer, None, Some(bearer)) => Some(Self::Bearer(bearer)),
            (AccessMode::Enhanced, Some(basic), Some(bearer)) => {
                Some(Self::Enhanced(basic, bearer))
            }
            _ => None,
        }
    }

    /// The access mode.
    pub const fn mode(&self) -> AccessMode {
        match self {
            Self::None => AccessMode::None,
            Self::Basic(_) => AccessMode::Basic,
            Self::Bearer(_) => AccessMode::Bearer,
            Self::Enhanced(..) => AccessMode::Enhanced,
        }
    }

    /// The hash of the Basic pair, if one belongs to the mode.
    pub const fn basic(&self) -> Option<BasicHash> {
        match self {
            Self::Basic(basic) | Self::Enhanced(basic, _) => Some(*basic),
            Self::None | Self::Bearer(_) => None,
        }
    }

    /// The hash of the bearer token, if one belongs to the mode.
    pub const fn bearer(&self) -> Option<BearerHash> {
        match self {
            Self::Bearer(bearer) | Self::Enhanced(_, bearer) => Some(*bearer),
            Self::None | Self::Basic(_) => None,
        }
    }

    /// Which of the presented credentials is right, if any.
    ///
    /// Both hashes are computed and compared whatever was presented and whatever is expected,
    /// so that the time taken tells neither.
    pub(super) fn accept(&self, presented: PresentedCredential<'_>) -> Option<AdmittedBy> {
        let (has_basic, user, password) = match presented {
            PresentedCredential::Basic { user, password } => (true, user, password),
            _ => (false, "", ""),
        };
        let (has_bearer, token) = match presented {
            PresentedCredential::Bearer(token) => (true, token),
            _ => (false, ""),
        };
        let basic = compare(
            has_basic,
            BasicHash::of(user, password).as_bytes(),
            self.basic().map(|hash| *hash.as_bytes()),
        );
        let bearer = compare(
            has_bearer,
            BearerHash::of(token).as_bytes(),
            self.bearer().map(|hash| *hash.as_bytes()),
        );
        if matches!(self, Self::None) {
            return Some(AdmittedBy::Hostname);
        }
        if basic.into() {
            return Some(AdmittedBy::Basic);
        }
        if bearer.into() {
            return Some(AdmittedBy::Bearer);
        }
        None
    }
}

/// What let a call in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdmittedBy {
    /// The hostname alone.
    Hostname,
    /// The Basic pair.
    Basic,
    /// The bearer token.
    Bearer,
}

fn compare(presented: bool, hash: &[u8; 32], expected: Option<[u8; 32]>) -> Choice {
    let is_expected = Choice::from(u8::from(expected.is_some()));
    let equal = hash.ct_eq(&expected.unwrap_or_default());
    Choice::from(u8::from(presented)) & is_expected & equal
}
