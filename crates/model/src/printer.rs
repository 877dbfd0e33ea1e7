//! Printers: a relay's record of one host and its upstream.

use std::fmt;

use crate::clock::Timestamp;
use crate::id::{AccountId, HostId, PrinterId};
use crate::text;

pub use crate::text::NameError;

/// A printer of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Printer {
    /// Its identifier.
    pub id: PrinterId,
    /// Whose it is.
    pub account: AccountId,
    /// What its owner calls it.
    pub name: PrinterName,
    /// The key by which its host proves itself; missing until paired.
    pub host: Option<HostKey>,
    /// When it was added.
    pub created: Timestamp,
    /// When its host was last seen.
    pub seen: Seen,
    /// Where its host was last found in the owner's network, in the host's own words.
    pub local_address: Option<String>,
}

/// When a printer's host was seen, as far as is kept.
///
/// Whether it is connected *now* is known to whoever holds its tunnel; this is for people, and
/// for what an app is told about the past.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// Since when it is connected; missing while it is not.
    pub online_since: Option<Timestamp>,
    /// When it last connected; missing if it never did.
    pub last_connected: Option<Timestamp>,
    /// When it was last known to be connected: while offline, when it was lost.
    pub last_seen: Option<Timestamp>,
    /// From which network it connected last.
    pub network: Option<String>,
    /// When another running host with the same key was last held off.
    pub copy: Option<CopySeen>,
}

/// A second running host with a printer's key: most likely from a copied memory card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopySeen {
    /// When it was last held off.
    pub at: Timestamp,
    /// From which network it came.
    pub network: String,
}

/// What was noticed of a printer's host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It connected.
    Connected,
    /// It is still connected.
    Alive,
    /// It is no longer connected.
    Lost,
}

/// A host's Ed25519 public key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct HostKey([u8; 32]);

impl HostKey {
    /// Takes the 32 bytes of the key.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes of the key.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The identifier of the host whose key this is.
    pub fn id(&self) -> HostId {
        HostId::of_public_key(&self.0)
    }
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostKey({})", self.id())
    }
}

/// What an owner calls a printer: 1 to 64 characters, none that mislead.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrinterName(String);

impl PrinterName {
    /// Reads a name as a person typed it; surrounding space is dropped.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        text::name(text, 64).map(Self)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PrinterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_has_one_to_64_characters() {
        assert!(PrinterName::parse(&"ü".repeat(64)).is_ok());
        assert_eq!(
            PrinterName::parse(&"ü".repeat(65)),
            Err(NameError::TooLong(64))
        );
        assert_eq!(PrinterName::parse("  "), Err(NameError::Empty));
        assert_eq!(PrinterName::parse(" MK4 ").unwrap().as_str(), "MK4");
    }

    #[test]
    fn key_is_shown_by_its_id() {
        let key = HostKey::from_bytes([9; 32]);
        assert_eq!(format!("{key:?}"), format!("HostKey({})", key.id()));
    }
}
