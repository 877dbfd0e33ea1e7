//! `/apps`, `/privacy` and `/app-connections`.

use askama::Template;
use latchkey_web::shell::{BarShell, DoorShell};

use super::{AppStanding, ListedApp, RegisteredView, Site};

/// The apps that are registered here, for everybody.
#[derive(Debug, Clone, Template)]
#[template(path = "relay/apps.html")]
pub struct Directory {
    pub shell: DoorShell,
    pub site: Site,
    pub apps: Vec<RegisteredView>,
}

/// What whoever runs the relay can see.
#[derive(Debug, Clone, Template)]
#[template(path = "relay/privacy.html")]
pub struct Privacy {
    pub shell: DoorShell,
    pub site: Site,
}

/// An app connection, with where it leads.
#[derive(Debug, Clone)]
pub struct AppSomewhere {
    pub app: ListedApp,
    pub printer: String,
    pub printer_id: String,
}

/// All app connections of a person.
#[derive(Debug, Clone, Template)]
#[template(path = "relay/app_connections.html")]
pub struct AppConnectionsPage {
    pub shell: BarShell,
    pub site: Site,
    pub revoked: bool,
    pub list: Vec<AppSomewhere>,
    /// There are more than are shown.
    pub more: bool,
}
