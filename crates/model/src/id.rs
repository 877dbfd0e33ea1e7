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
    /// An app key: 20 base32 characters (100 bits). Not the key, which is secret.
    AppKeyId, (20..=20), BASE32_LOWER;
    /// A verified session key: 20 base32 characters (100 bits). Not the key, which is secret.
    SessionKeyId, (20..=20), BASE32_LOWER;
    /// A browser's sign-in at a host: 20 base32 characters (100 bits). Not the cookie.
    SessionId, (20..=20), BASE32_LOWER;
    /// A passkey of an account, as we name it: 20 base32 characters (100 bits).
    PasskeyId, (20..=20), BASE32_LOWER;
    /// One print, as its host counts them: 20 base32 characters (100 bits).
    PrintId, (20..=20), BASE32_LOWER;
    /// A live link: 20 base32 characters (100 bits). Not its address, which is secret.
    LiveLinkId, (20..=20), BASE32_LOWER;
    /// A printer: 40 to 60 characters `A–Z0–9`, as apps expect of the local plugin API.
    ///
    /// Public, so it proves nothing: a host proves itself by its key ([`HostId`]).
    PrinterId, (40..=60), BASE36_UPPER;
    /// A host: the SHA-256 of its Ed25519 public key in base32, 52 characters.
    HostId, (52..=52), BASE32_LOWER;
}

const SHORT: usize = 20;
const PRINTER: usize = 48;

macro_rules! short {
    ($($id:ident)*) => {$(
        impl $id {
            /// Makes a new one.
            pub fn generate(chance: &dyn Chance) -> Self {
                Self(letters(chance, BASE32_LOWER, SHORT))
            }
        }
    )*};
}

short! { AccountId AppConnectionId AppKeyId SessionKeyId SessionId PasskeyId PrintId LiveLinkId }

impl PrinterId {
    /// Makes a new one.
    pub fn generate(chance: &dyn Chance) -> Self {
        Self(letters(chance, BASE36_UPPER, PRINTER))
    }
}

impl From<&HostId> for PrinterId {
    /// The printer of a host, which both the host and its relay can work out without asking.
    fn from(host: &HostId) -> Self {
        Self(host.as_str().to_ascii_uppercase())
    }
}

impl HostId {
    /// The identifier that belongs to an Ed25519 public key.
    pub fn of_public_key(key: &[u8; 32]) -> Self {
        let digest = Sha256::digest(key);
        Self(BASE32_NOPAD.encode(&digest).to_ascii_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chance::SeededChance;

    #[test]
    fn account_ids_have_one_spelling() {
        let cases = [
            ("abcdefghijklmnop2345", true),
            ("ABCDEFGHIJKLMNOP2345", false),
            ("abcdefghijklmnop234", false),
            ("abcdefghijklmnop23456", false),
            ("abcdefghijklmnop2 45", false),
            ("abcdefghijklmnop1890", false),
            ("", false),
        ];
        for (text, valid) in cases {
            assert_eq!(text.parse::<AccountId>().is_ok(), valid, "{text}");
        }
    }

    #[test]
    fn printer_ids_are_what_apps_expect_in_the_local_network() {
        let cases = [
            ("A".repeat(39), false),
            ("A".repeat(40), true),
            ("9".repeat(60), true),
            ("A".repeat(61), false),
            ("a".repeat(48), false),
            ("Ä".repeat(24), false),
        ];
        for (text, valid) in cases {
            assert_eq!(text.parse::<PrinterId>().is_ok(), valid, "{text}");
        }
    }

    #[test]
    fn host_id_follows_from_the_public_key() {
        let id = HostId::of_public_key(&[7; 32]);
        assert_eq!(id.as_str().len(), 52);
        assert_eq!(id, HostId::of_public_key(&[7; 32]));
        assert_ne!(id, HostId::of_public_key(&[8; 32]));
        assert_eq!(id.as_str().parse::<HostId>().unwrap(), id);
        let printer = PrinterId::from(&id);
        assert_eq!(printer.as_str().parse::<PrinterId>().unwrap(), printer);
    }

    #[test]
    fn error_names_the_kind_and_not_the_text() {
        let error = "nonsense".parse::<PrinterId>().unwrap_err();
        assert_eq!(error.to_string(), "this is not a valid PrinterId");
    }

    proptest! {
        #[test]
        fn what_is_generated_parses_back(seed: u64) {
            let chance = SeededChance::new(seed);
            let account = AccountId::generate(&chance);
            prop_assert_eq!(account.to_string().parse::<AccountId>().unwrap(), account);
            let connection = AppConnectionId::generate(&chance);
            let json = serde_json::to_string(&connection).unwrap();
            prop_assert_eq!(serde_json::from_str::<AppConnectionId>(&json).unwrap(), connection);
            let printer = PrinterId::generate(&chance);
            prop_assert_eq!(printer.to_string().parse::<PrinterId>().unwrap(), printer);
        }
    }
}
