//! `/admin/…` beside accounts: plans, tunnels, registered apps, the audit log, the system.

use askama::Template;
use latchkey_model::plan::Entitlements;
use latchkey_web::moment::Moment;
use latchkey_web::shell::BarShell;

use super::{AppStanding, Site, size};
use crate::doctor::Finding;

/// A plan, with what it allows.
#[derive(Debug, Clone)]
pub struct ListedPlan {
    pub name: String,
    /// New accounts get it.
    pub default: bool,
    pub accounts: u64,
    /// Missing where accounts are on a plan that is no longer configured.
    pub allows: Option<Allowed>,
}

/// What a plan allows, as the page says it.
#[derive(Debug, Clone)]
pub struct Allowed(pub Entitlements);

impl Allowed {
    fn is_without_limit(&self) -> bool {
        let unlimited = Entitlements {
            app_connections: self.0.app_connections,
            webcam_window_seconds: self.0.webcam_window_seconds,
            ..Entitlements::default()
        };
        self.0 == unlimited
    }

    #[expect(
        clippy::unused_self,
        clippy::trivially_copy_pass_by_ref,
        reason = "templates call it like its neighbours, with what they have matched"
    )]
    fn size(&self, bytes: &u64) -> String {
        size(*bytes)
    }
}

#[derive(Debug, Clone, Template)]
#[template(path = "relay/admin/plans.html")]
pub struct AdminPlans {
    pub shell: BarShell,
    pub site: Site,
    pub version: &'static str,
    pub plans: Vec<ListedPlan>,
}

/// A host that is connected.
#[derive(Debug, Clone)]
pub struct ListedTunnel {
    /// Its printer.
    pub id: String,
    /// The ids of its connections: others of the same host are not meant.
    pub tunnel: String,
    pub printer: String,
    pub account: String,
    pub email: String,
    pub version: String,
    pub network: Option<String>,
    pub since: Moment,
    pub connections: Vec<ListedConnection>,
    /// When another one with its key was held off lately, and from where.
    pub copy: Option<(Moment, String)>,
}

/// One of a host's connections.
#[derive(Debug, Clone)]
pub struct ListedConnection {
    pub streams: usize,
    /// Bytes in a second.
    pub rate: u64,
    /// How many milliseconds it took to answer; missing if it did not in time.
    pub answers_in: Option<u64>,
}

impl ListedConnection {
    fn rate(&self) -> String {
        size(self.rate)
    }
}

#[derive(Debug, Clone, Template)]
#[template(path = "relay/admin/tunnels.html")]
pub struct AdminTunnels {
    pub shell: BarShell,
    pub site: Site,
    pub version: &'static str,
    /// One was cut just now.
    pub cut: bool,
    pub open: usize,
    pub list: Vec<ListedTunnel>,
    pub next: Option<String>,
}

/// An app that the operator registered.
#[derive(Debug, Clone)]
pub struct RegisteredView {
    pub id: String,
    /// The id as a part of a path.
    pub path: String,
    pub name: String,
    pub developer: Option<String>,
    pub website: Option<String>,
    pub targets: Vec<String>,
    pub logo: Option<String>,
    pub standing: AppStanding,
    pub since: Moment,
}

impl RegisteredView {
    pub(super) fn initial(&self) -> String {
        super::initial(&self.name)
    }
}

/// The form for a new app, as it was typed.
#[derive(Debug, Clone, Default)]
pub struct RegisterForm {
    pub id: String,
    pub name: String,
    pub developer: String,
    pub website: String,
    pub targets: String,
    /// Why it will not do.
    pub problem: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppsDone {
    Registered,
    Removed,
}

#[derive(Debug, Clone, Template)]
#[template(path = "relay/admin/apps.html")]
pub struct AdminApps {
    pub shell: BarShell,
    pub site: Site,
    pub version: &'static str,
    pub done: Option<AppsDone>,
    pub list: Vec<RegisteredView>,
    pub form: RegisterForm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppDone {
    Changed,
    NewLogo,
    NoLogo,
}

#[derive(Debug, Clone, Template)]
#[template(path = "relay/admin/app.html")]
pub struct AdminApp {
    pub shell: BarShell,
    pub site: Site,
    pub done: Option<AppDone>,
    pub app: RegisteredView,
    pub form: RegisterForm,
    /// Why the picture will not do.
    pub logo_problem: Option<String>,
}

#[derive(Debug, Clone, Template)]
#[template(path = "relay/admin/end_app.html")]
pub struct EndApp {
    pub shell: BarShell,
    pub site: Site,
    pub app: RegisteredView,
}

/// Who did something, or whom it was about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditWho {
    Account {
        id: String,
        email: String,
    },
    /// Only its id is left.
    Gone {
        id: String,
    },
    CommandLine,
    App,
    Relay,
}

#[derive(Debug, Clone)]
pub struct ListedEntry {
    pub number: u64,
    pub at: Moment,
    pub who: AuditWho,
    /// In words.
    pub act: String,
    /// Whom it was about, if it was somebody else.
    pub about: Option<AuditWho>,
    /// The printer's name, or its id if it is gone.
    pub printer: Option<String>,
    pub detail: String,
    /// An address, or after a week its network.
    pub from: Option<String>,
}

#[derive(Debug, Clone, Template)]
#[template(path = "relay/admin/audit.html")]
pub struct AdminAudit {
    pub shell: BarShell,
    pub site: Site,
    pub version: &'static str,
    /// Words and what people read for them.
    pub acts: Vec<(String, String)>,
    /// The word that is looked for.
    pub act: String,
    /// Whose entries are looked for.
    pub email: String,
    /// Nobody has that address.
    pub nobody: bool,
    pub list: Vec<ListedEntry>,
    pub next: Option<String>,
}

#[derive(Debug, Clone, Template)]
#[template(path = "relay/admin/system.html")]
pub struct AdminSystem {
    pub shell: BarShell,
    pub site: Site,
    pub version: &'static str,
    pub started: Moment,
    /// Bytes.
    pub database: u64,
    pub free: Option<u64>,
    pub traffic: u64,
    /// What is configured: label and value.
    pub facts: Vec<(&'static str, String)>,
    pub findings: Vec<Finding>,
}

impl AdminSystem {
    fn database(&self) -> String {
        size(self.database)
    }

    fn free(&self) -> String {
        self.free.map(size).unwrap_or_default()
    }

    fn traffic(&self) -> String {
        size(self.traffic)
    }
}
