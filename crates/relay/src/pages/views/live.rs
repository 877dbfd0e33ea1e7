//! Live links: what anybody sees who has one, and what the printer's owner sees of them.

use askama::Template;
use latchkey_web::moment::Moment;
use latchkey_web::shell::{BarShell, Place};

use super::now::length;
use super::{Now, Site};

/// The head of a page for strangers.
fn bar(relay: &str) -> BarShell {
    BarShell {
        place: Place::relay(relay),
        prefix: String::new(),
        home: "/",
        nav: Vec::new(),
        account: None,
    }
}

/// `/live/{secret}`.
#[derive(Debug, Clone, Template)]
#[template(path = "relay/live.html")]
pub struct LivePage {
    pub shell: BarShell,
    /// The address of this page, below which its pictures are.
    pub path: String,
    pub printer: String,
    pub now: Now,
    /// Whether there is a place for one more who watches the running picture.
    pub has_place: bool,
    pub ends: LiveEnds,
}

/// When a link ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveEnds {
    /// And at this moment at the latest.
    WithPrint(Moment),
    At(Moment),
}

impl LivePage {
    pub fn bar(relay: &str) -> BarShell {
        bar(relay)
    }
}

/// `/live/{secret}` after its print.
#[derive(Debug, Clone, Template)]
#[template(path = "relay/live_over.html")]
pub struct LiveOver {
    pub shell: BarShell,
    pub printer: String,
    pub file: Option<String>,
    pub complete: Option<bool>,
    pub at: Moment,
    pub seconds: Option<u64>,
}

impl LiveOver {
    fn took(&self) -> Option<String> {
        self.seconds.map(length)
    }
}

/// `/live/{secret}` where there is nothing: the same for what has ended and what never was.
#[derive(Debug, Clone, Template)]
#[template(path = "relay/live_gone.html")]
pub struct LiveGone {
    pub shell: BarShell,
}

/// `/printers/{id}/live`.
#[derive(Debug, Clone, Template)]
#[template(path = "relay/share_live.html")]
pub struct ShareLive {
    pub shell: BarShell,
    pub site: Site,
    pub id: String,
    pub name: String,
    /// Whether a print goes on that a link can end with.
    pub has_print: bool,
    pub links: Vec<LiveLinkCard>,
    pub told: Option<ShareTold>,
}

/// A live link in its owner's list.
#[derive(Debug, Clone)]
pub struct LiveLinkCard {
    pub id: String,
    pub url: String,
    /// The app that made it, if one did.
    pub app: Option<String>,
    pub made: Moment,
    pub with_print: bool,
    /// In how many hours it is no longer good.
    pub hours: u64,
    /// How many watch the running picture now.
    pub viewers: usize,
}

impl LiveLinkCard {
    /// "5 hours", "3 days".
    fn good_for(&self) -> String {
        let (count, unit) = match self.hours {
            0..48 => (self.hours.max(1), "hour"),
            hours => (hours / 24, "day"),
        };
        format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
    }
}

/// What was just done, or why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShareTold {
    Made,
    Revoked,
    NoPrint,
    TooMany,
}
