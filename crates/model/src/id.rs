//! Typed identifiers: public names of things, never secrets.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::chance::{Chance, letters};
use crate::text::{BASE32_LOWER, BASE36_UPPER};

/// A text is not an identifier of the wanted kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not a valid {kind}")]
pub struct ParseIdError {
    /// The wanted kind.
    pub kind: &'static str,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $id:ident, $lengths:expr, $alphabet:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $id(String);

        impl $id {
            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            fn is_valid(text: &str) -> bool {
                $lengths.contains(&text.len()) && text.bytes().all(|b| $alphabet.contains(&b))
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $id {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                Self::try_from(text.to_owned())
            }
        }

        impl TryFrom<String> for $id {
            type Error = ParseIdError;

            fn try_from(text: String) -> Result<Self, ParseIdError> {
                if Self::is_valid(&text) {
                    Ok(Self(text))
                } else {
                    Err(ParseIdError { kind: stringify!($id) })
                }
            }
        }

        impl From<$id> for String {
            fn from(id: $id) -> String {
                id.0
            }
        }

        impl AsRef<str> for $id {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    )*};
}

ids! {
    /// An account at the relay: 20 base32 characters (100 bits).
    AccountId, (20..=20), BASE32_LOWER;
    /// An app connection: 20 base32 characters (100 bits). Not its label, which is secret.
    AppConnectionId, (20..=20), BASE32_LOWER;
    /// A printer: 40 to 60 characters `A–Z0–9`, as apps expect of the local plugin API.
    ///
    /// Public, so it proves nothing: a host proves itself by its key ([`HostId`]).
    PrinterId, (40..=60), BASE36_UPPER;
    /// A host: the SHA-256 of its Ed25519 public key in base32, 52 characters.
    HostId, (52..=52), BASE32_LOWER;
}

const SHORT: usize = 20;
const PRINTER: usize = 48;

impl AccountId {
    /// Makes a new one.
    pub fn generate(chance: &dyn Chance) -> Self {
        Self(letters(chance, BASE32_LOWER, SHORT))
    }
}

impl AppConnectionId {
    /// Makes a new one.
    pub fn generate(chance: &dyn Chance) -> Self {
        Self(letters(chance, BASE32_LOWER, SHORT))
    }
}

impl PrinterId {
    /// Makes a new one.
    pub fn generate(chance: &dyn Chance) -> Self {
        Self(letters(chance, BASE36_UPPER, PRINTER))
    }
}

impl HostId {
    /// The identifier that belongs to an Ed25519 public key.
    pub fn of_public_key(key: &[u8; 32]) -> Self {
        let digest = Sha256::digest(key);
        Self(BASE32_NOPAD.encode(&digest).to_ascii_lowercase())
    }
}
