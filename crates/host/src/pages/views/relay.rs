//! `/latchkey/relay` and `/latchkey/relay/unpair`, for administrators.

use askama::Template;
use latchkey_web::moment::Moment;
use latchkey_web::shell::BarShell;

use super::{Site, Viewer};

/// Posts `url` to `/latchkey/relay`, and nothing more to `/latchkey/relay/stop`.
#[derive(Debug, Clone, Template)]
#[template(path = "host/relay.html")]
pub struct RelayPage {
    pub shell: BarShell,
    pub site: Site,
    pub viewer: Viewer,
    pub standing: RelayStanding,
    /// Who confirmed, and when, as far as is known.
    pub account: Option<String>,
    pub confirmed: Option<Moment>,
    /// What the printer is called at the relay.
    pub printer: Option<String>,
    /// Who of this host paired it; nobody if a command did.
    pub by: Option<String>,
    /// A code that waits to be typed.
    pub code: Option<RelayCode>,
    /// How the last code ended, if it did.
    pub ended: Option<CodeEnd>,
    /// What stands in the form; the configured relay's address cannot be changed.
    pub url: String,
    pub configured: bool,
    pub problem: Option<RelayProblem>,
}

/// How this host stands with its relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelayStanding {
    None,
    Connected {
        relay: String,
        /// How many tunnels there are.
        connections: usize,
        minutes: u64,
    },
    /// The relay does not know this host.
    Unpaired {
        relay: String,
    },
    /// There is no way there just now.
    Away {
        relay: String,
        why: Option<String>,
    },
}

/// A code that is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayCode {
    pub relay: String,
    pub code: String,
    pub link: String,
    pub page: String,
    /// The link as a picture: an element of ours.
    pub picture: Option<String>,
    pub minutes: u64,
    pub seconds: u64,
}

impl RelayCode {
    fn left(&self) -> String {
        format!("{}:{:02}", self.minutes, self.seconds)
    }

    /// The page's address as people type it.
    fn plain_page(&self) -> &str {
        let page = self.page.as_str();
        page.split_once("://").map_or(page, |(_, rest)| rest)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeEnd {
    Confirmed,
    Refused,
    Expired,
    NotKept,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelayProblem {
    /// What was typed is no relay's address.
    Address,
    /// The relay gave no code, for this reason.
    Declined(String),
}

/// `/latchkey/relay/unpair`, which posts to itself.
#[derive(Debug, Clone, Template)]
#[template(path = "host/unpair.html")]
pub struct Unpair {
    pub shell: BarShell,
    pub site: Site,
    pub viewer: Viewer,
    pub relay: String,
}
