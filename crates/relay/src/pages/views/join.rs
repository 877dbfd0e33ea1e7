//! `/join`: somebody else's printer.

use askama::Template;
use latchkey_web::shell::DoorShell;

use super::Site;

/// What an invitation leads to.
#[derive(Debug, Clone)]
pub enum Joining {
    Offered {
        id: String,
        printer: String,
        owner: String,
        /// Whether they may only look.
        watch_only: bool,
        /// The invitation's secret, for the form.
        code: String,
    },
    /// The person owns it.
    Own { printer: String, id: String },
    /// It was used, taken back, or is too old; or it never was one.
    Gone,
}

#[derive(Debug, Clone, Template)]
#[template(path = "relay/join.html")]
pub struct Join {
    pub shell: DoorShell,
    pub site: Site,
    pub email: String,
    pub joining: Joining,
}
