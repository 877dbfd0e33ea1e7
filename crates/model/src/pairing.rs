//! Pairing: attaching a host to an account, by a code that a person types.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::id::{AccountId, PrinterId};
use crate::printer::HostKey;

/// How long a code is good.
pub const LASTS: Duration = Duration::from_mins(15);
/// How often a host asks how it went.
pub const POLL_EVERY: Duration = Duration::from_secs(5);

/// A host that waits for an account, without the code and without what it asks by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pairing {
    /// The key by which the host proves itself.
    pub host: HostKey,
    /// What the host calls itself.
    pub host_name: String,
    /// From which network it asked.
    pub network: String,
    /// When it asked.
    pub created: Timestamp,
    /// When it is no longer good.
    pub expires: Timestamp,
    /// What a person decided.
    pub outcome: PairingOutcome,
}

impl Pairing {
    /// A host that asks at `now`.
    pub fn new(host: HostKey, host_name: String, network: String, now: Timestamp) -> Self {
        Self {
            host,
            host_name,
            network,
            created: now,
            expires: now.plus(LASTS),
            outcome: PairingOutcome::Waiting,
        }
    }
}

/// What a person decided about a pairing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PairingOutcome {
    /// Nothing yet.
    Waiting,
    /// It is theirs.
    Confirmed {
        /// Who said so.
        account: AccountId,
        /// What the host is at the relay.
        printer: PrinterId,
    },
    /// It is not theirs.
    Refused,
}
