//! `/pair`: a host's code, and whether the host is one's own.

use askama::Template;
use latchkey_web::moment::Moment;
use latchkey_web::shell::DoorShell;

use super::Site;

/// Posts `code`, `then`, `csrf_token` and `answer` (`look`) to `/pair`.
#[derive(Debug, Clone, Template)]
#[template(path = "relay/pair.html")]
pub struct Pair {
    pub shell: DoorShell,
    pub site: Site,
    /// The relay's address, for the command that pairs a host with it.
    pub address: String,
    pub email: String,
    /// As it was typed.
    pub code: String,
    /// Where to go on to; empty for nowhere in particular.
    pub then: String,
    pub problem: Option<PairProblem>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairProblem {
    /// No code looks like what was typed.
    NoCode,
    /// No host waits for it, or no longer.
    Wrong,
    TooMany {
        minutes: u64,
    },
}

impl Pair {
    fn is_wrong(&self) -> bool {
        matches!(self.problem, Some(PairProblem::NoCode | PairProblem::Wrong))
    }
}

/// Posts `code`, `name`, `then`, `csrf_token` and `answer` (`add` or `refuse`) to `/pair`.
#[derive(Debug, Clone, Template)]
#[template(path = "relay/pair_confirm.html")]
pub struct PairConfirm {
    pub shell: DoorShell,
    pub site: Site,
    pub email: String,
    pub code: String,
    /// What the host calls itself.
    pub host_name: String,
    /// From which network the host asked.
    pub network: String,
    /// Whether this browser is in the same one.
    pub same_network: bool,
    pub asked: Moment,
    /// What the host is called, if it is this account's printer already.
    pub again: Option<String>,
    /// What stands in the field.
    pub name: String,
    pub name_wrong: bool,
    pub then: String,
}

/// Nothing was added.
#[derive(Debug, Clone, Template)]
#[template(path = "relay/pair_end.html")]
pub struct PairEnd {
    pub shell: DoorShell,
    pub site: Site,
    pub email: String,
    pub then: String,
    pub ending: PairEnding,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairEnding {
    /// The person said that it is not theirs.
    Refused,
    /// It is another account's printer.
    Taken,
    /// The account has as many printers as its plan allows.
    Full { most: u64 },
}
