//! Questions before something ends, each on a page of its own.

use askama::Template;
use latchkey_web::shell::BarShell;

use super::{AppStanding, ListedApp, Site};

/// What is about to end.
#[derive(Debug, Clone)]
pub enum Ending {
    AppConnection {
        app: ListedApp,
    },
    /// All that the person may revoke.
    AppConnections {
        count: usize,
        everybodys: bool,
    },
    Printer {
        apps: usize,
        members: usize,
    },
    Member {
        id: String,
        email: String,
        apps: usize,
    },
    Membership {
        owner: String,
        apps: usize,
    },
}

/// Something of a printer.
#[derive(Debug, Clone, Template)]
#[template(path = "relay/end_at_printer.html")]
pub struct EndAtPrinter {
    pub shell: BarShell,
    pub site: Site,
    pub printer_id: String,
    pub printer: String,
    pub ending: Ending,
}

/// An account, one's own or as an administrator.
#[derive(Debug, Clone, Template)]
#[template(path = "relay/end_account.html")]
pub struct EndAccount {
    pub shell: BarShell,
    pub site: Site,
    pub id: String,
    /// Its address, if it is not one's own.
    pub other: Option<String>,
    pub printers: u64,
    pub apps: u64,
    /// Nobody else could run the relay.
    pub last_administrator: bool,
}
