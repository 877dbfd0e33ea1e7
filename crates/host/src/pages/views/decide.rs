//! The question an app's request puts, and what came of it.

use askama::Template;
use latchkey_web::shell::DoorShell;

use super::{Access, Group, Pending, Site, Target, Whence};

/// `/plugin/appkeys/auth/<app_token>` and `/latchkey/requests/<user_token>`.
///
/// Posts `decision` (grant, deny, `deny_block`), `scope` (full, view), `redirect` and
/// `csrf_token` to `/latchkey/requests/<user_token>`.
#[derive(Debug, Clone, Template)]
#[template(path = "host/decide.html")]
pub struct Decide {
    pub shell: DoorShell,
    pub site: Site,
    pub pending: Pending,
    /// Who decides; the key will act as them.
    pub user: String,
    pub group: Group,
    /// What is chosen when the page opens.
    pub access: Access,
    /// Whether the app asked for this user by name.
    pub by_name: bool,
    /// Where the app wants the browser to go on to.
    pub target: Option<Target>,
    /// A `redirect` was given that leads nowhere.
    pub target_refused: bool,
}

/// After the decision, or where there is none to be made.
#[derive(Debug, Clone, Template)]
#[template(path = "host/decided.html")]
pub struct Decided {
    pub shell: DoorShell,
    pub site: Site,
    pub outcome: Outcome,
    /// The signed-in person, if any.
    pub user: Option<String>,
    pub target: Option<Target>,
}

impl Decided {
    fn onward(&self) -> Option<&Target> {
        self.target
            .as_ref()
            .filter(|_| self.outcome != Outcome::Gone)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Allowed {
        app: String,
        access: Access,
    },
    Denied {
        app: String,
    },
    /// Denied, and this address is not heard for an hour.
    Blocked {
        app: String,
        address: String,
    },
    /// Timed out, decided elsewhere, or never there: 404.
    Gone,
}
