//! `/printers/{id}/open`: on the way to a printer's own web interface.

use askama::Template;
use latchkey_web::moment::Moment;
use latchkey_web::shell::DoorShell;

use super::Site;

/// Whether the way leads anywhere.
#[derive(Debug, Clone)]
pub enum Opening {
    /// By a form that goes to the printer's hostname.
    Ready {
        enter: String,
        /// Good once and for a minute.
        code: String,
        /// Whether a script may send the form.
        by_itself: bool,
    },
    /// The host is not here; when it was last.
    Offline(Option<Moment>),
    /// The owner's account is suspended.
    Rests,
}

#[derive(Debug, Clone, Template)]
#[template(path = "relay/open.html")]
pub struct OpenPrinter {
    pub shell: DoorShell,
    pub site: Site,
    pub email: String,
    pub id: String,
    pub printer: String,
    /// Whether the person may only look.
    pub watch_only: bool,
    pub opening: Opening,
}
