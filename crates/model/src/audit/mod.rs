//! The audit log: who did what, in entries that are chained by their hashes.
//!
//! Each entry's hash covers the one before it, so that nobody changes, removes or reorders what
//! was written without all later hashes telling. A whole address is kept for a while only: the
//! chain covers its network, and the whole one by a salted hash, so that forgetting address and
//! salt changes nothing in the chain, and nobody finds the address out by trying all of them.

mod check;

use std::fmt;
use std::time::Duration;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::chance::Chance;
use crate::clock::Timestamp;

pub use self::check::{AuditCheck, AuditChecked, AuditFault};

/// For so long whole addresses are kept; then their networks alone.
pub const WHOLE_ADDRESSES: Duration = Duration::from_hours(7 * 24);

/// For so long entries are kept.
pub const KEPT: Duration = Duration::from_hours(365 * 24);

/// The hash of an entry with all that came before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainHash([u8; 32]);

impl ChainHash {
    /// What stands before the first entry.
    pub const START: Self = Self([0; 32]);

    /// The hash as it was kept.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes to keep.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = HEXLOWER.decode(text.to_ascii_lowercase().as_bytes()).ok()?;
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

/// How far a log goes: its last entry, and that one's hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditHead {
    /// The last entry's number; 0 of an empty log.
    pub number: u64,
    /// Its hash.
    pub hash: ChainHash,
}

impl AuditHead {
    /// Of a log without entries.
    pub const EMPTY: Self = Self {
        number: 0,
        hash: ChainHash::START,
    };

    /// What is signed with a relay's key, so that nobody else says where a log ends or begins.
    pub fn signed_text(&self, what: &str) -> String {
        format!("{what} {} {}", self.number, self.hash)
    }
}

/// A whole address, with what makes its hash tell nothing once both are forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WholeAddress {
    /// The address.
    pub text: String,
    /// Sixteen random bytes.
    pub salt: [u8; 16],
}

impl WholeAddress {
    /// The address with a salt of its own.
    pub fn new(text: String, chance: &dyn Chance) -> Self {
        let mut salt = [0; 16];
        chance.fill(&mut salt);
        Self { text, salt }
    }

    /// What the chain covers of it.
    pub fn hash(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(b"latchkey audit address 1");
        hasher.update(self.salt);
        hasher.update(self.text.as_bytes());
        hasher.finalize().into()
    }
}

/// What an entry says, in words that a log keeps as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When it was written.
    pub at: Timestamp,
    /// Who did it: an account's id, or a word for what is none.
    pub actor: String,
    /// What was done, by a stable word.
    pub act: String,
    /// Whose account it was about.
    pub account: Option<String>,
    /// Which printer it was about.
    pub printer: Option<String>,
    /// One line more.
    pub detail: String,
    /// From which network.
    pub network: Option<String>,
    /// Of the whole address.
    pub address_hash: Option<[u8; 32]>,
}

impl AuditEntry {
    /// The hash of this entry as number `number` after one with the hash `before`.
    ///
    /// Every field is written with its length, so that no two entries give the same bytes.
    pub fn chained(&self, before: &ChainHash, number: u64) -> ChainHash {
        let mut hasher = Sha256::new();
        hasher.update(b"latchkey audit entry 1");
        hasher.update(before.0);
        hasher.update(number.to_be_bytes());
        hasher.update(self.at.millis().to_be_bytes());
        let address = self.address_hash.as_ref().map(<[u8; 32]>::as_slice);
        let texts = [
            Some(self.actor.as_bytes()),
            Some(self.act.as_bytes()),
            self.account.as_deref().map(str::as_bytes),
            self.printer.as_deref().map(str::as_bytes),
            Some(self.detail.as_bytes()),
            self.network.as_deref().map(str::as_bytes),
            address,
        ];
        for text in texts {
            match text {
                Some(text) => {
                    hasher.update([1]);
                    hasher.update((text.len() as u64).to_be_bytes());
                    hasher.update(text);
                }
                None => hasher.update([0]),
            }
        }
        ChainHash(hasher.finalize().into())
    }
}

/// An entry as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// Counts the entries of a log.
    pub number: u64,
    /// What it says.
    pub entry: AuditEntry,
    /// The whole address, while it is kept.
    pub address: Option<WholeAddress>,
    /// Its hash with all that came before.
    pub hash: ChainHash,
}

impl AuditRecord {
    /// Whether it was written after an entry with this hash, and is as it was then.
    pub fn follows(&self, before: &ChainHash) -> bool {
        self.entry.chained(before, self.number) == self.hash
    }

    /// Whether the whole address, if it is still kept, is the one that was written.
    pub fn has_its_address(&self) -> bool {
        let hash = self.address.as_ref().map(WholeAddress::hash);
        hash.is_none() || hash == self.entry.address_hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::SeededChance;

    fn entry() -> AuditEntry {
        AuditEntry {
            at: Timestamp::from_millis(5),
            actor: "ann".to_owned(),
            act: "signed_in".to_owned(),
            account: Some("bob".to_owned()),
            printer: None,
            detail: String::new(),
            network: Some("203.0.113.0/24".to_owned()),
            address_hash: Some([3; 32]),
        }
    }

    #[test]
    fn every_field_and_the_order_count() {
        let first = entry();
        let hash = first.chained(&ChainHash::START, 1);
        let changed = [
            AuditEntry {
                at: Timestamp::from_millis(6),
                ..entry()
            },
            AuditEntry {
                actor: "anns".to_owned(),
                act: "igned_in".to_owned(),
                ..entry()
            },
            AuditEntry {
                act: "signed_out".to_owned(),
                ..entry()
            },
            AuditEntry {
                account: None,
                printer: Some("bob".to_owned()),
                ..entry()
            },
            AuditEntry {
                printer: Some(String::new()),
                ..entry()
            },
            AuditEntry {
                detail: "x".to_owned(),
                ..entry()
            },
            AuditEntry {
                network: None,
                ..entry()
            },
            AuditEntry {
                address_hash: None,
                ..entry()
            },
        ];
        for other in changed {
            assert_ne!(other.chained(&ChainHash::START, 1), hash, "{other:?}");
        }
        assert_ne!(first.chained(&ChainHash::START, 2), hash);
        assert_ne!(first.chained(&hash, 1), hash);
        assert_eq!(entry().chained(&ChainHash::START, 1), hash);
    }

    #[test]
    fn an_address_may_be_forgotten_and_not_changed() {
        let chance = SeededChance::new(1);
        let whole = WholeAddress::new("203.0.113.7".to_owned(), &chance);
        let entry = AuditEntry {
            address_hash: Some(whole.hash()),
            ..entry()
        };
        let hash = entry.chained(&ChainHash::START, 1);
        let mut record = AuditRecord {
            number: 1,
            entry,
            address: Some(whole.clone()),
            hash,
        };
        assert!(record.follows(&ChainHash::START) && record.has_its_address());
        record.address = None;
        assert!(record.follows(&ChainHash::START) && record.has_its_address());
        record.address = Some(WholeAddress {
            text: "203.0.113.8".to_owned(),
            ..whole.clone()
        });
        assert!(!record.has_its_address());
        let again = WholeAddress::new("203.0.113.7".to_owned(), &chance);
        assert_ne!(again.hash(), whole.hash(), "it cannot be found by trying");
    }

    #[test]
    fn hashes_are_read_as_they_are_shown() {
        let hash = entry().chained(&ChainHash::START, 1);
        assert_eq!(ChainHash::parse(&hash.to_string()), Some(hash));
        for bad in ["", "00", &"g".repeat(64), &"0".repeat(66)] {
            assert_eq!(ChainHash::parse(bad), None, "{bad}");
        }
    }
}
