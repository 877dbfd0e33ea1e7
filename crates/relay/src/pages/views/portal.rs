//! The pages of the portal: each says who would reach what, and where it goes afterwards.

use askama::Template;
use latchkey_model::access::KeyScope;
use latchkey_model::app::RegisteredApp;
use latchkey_web::moment::Moment;
use latchkey_web::shell::DoorShell;

use super::Site;

/// The app that asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortalApp {
    /// The registered name, or the id as the app wrote it.
    pub name: String,
    pub standing: AppStanding,
    /// Where its logo is, if it has one here.
    pub logo: Option<String>,
    pub developer: Option<String>,
    /// The host of its makers' website.
    pub website: Option<String>,
    /// The registered app whose name or id this one's looks like.
    pub imitates: Option<String>,
    /// What it asks for a key as.
    pub key_name: Option<String>,
}

/// What is known of an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppStanding {
    /// The operator registered it.
    Verified,
    /// The operator registered it for trying things out: anybody can be it.
    Trial,
    /// Nobody has checked it.
    Unverified,
}

impl AppStanding {
    pub fn of(registered: Option<&RegisteredApp>) -> Self {
        match registered {
            Some(app) if app.is_brand() => Self::Verified,
            Some(_) => Self::Trial,
            None => Self::Unverified,
        }
    }
}

impl PortalApp {
    fn verified(&self) -> bool {
        self.standing == AppStanding::Verified
    }

    fn unverified(&self) -> bool {
        self.standing == AppStanding::Unverified
    }

    /// What stands in place of a picture.
    fn initial(&self) -> String {
        let first = self.name.chars().find(|c| c.is_alphanumeric());
        first.map_or_else(|| "?".to_owned(), |first| first.to_uppercase().collect())
    }
}

/// Where a person goes afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortalTarget {
    /// The address as far as a person needs it; missing for our own last page.
    pub shown: Option<String>,
    pub place: TargetPlace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetPlace {
    /// Our own last page, which apps watch for.
    Here,
    /// An app that opens by its own scheme.
    App,
    /// A website.
    Web,
    /// A program on the same device.
    Device,
    /// Another device at home, without encryption.
    Neighbour,
}

/// The first page. Posts `request`, `decision` (`continue` or `cancel`), `csrf_token`.
#[derive(Debug, Clone, Template)]
#[template(path = "relay/portal/welcome.html")]
pub struct PortalWelcome {
    pub shell: DoorShell,
    pub site: Site,
    pub app: PortalApp,
    pub target: PortalTarget,
    pub request: String,
    pub signed_in: bool,
}

/// A printer that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that have nothing to do with each other"
)]
pub struct PortalPrinter {
    pub id: String,
    pub name: String,
    pub online: bool,
    pub last_seen: Option<Moment>,
    /// Somebody else's, who shares it.
    pub shared: bool,
    /// The one the app means.
    pub wanted: bool,
    pub chosen: bool,
}

/// Posts `request`, `printer`, `decision` (`continue` or `cancel`), `csrf_token`.
#[derive(Debug, Clone, Template)]
#[template(path = "relay/portal/choose.html")]
pub struct PortalChoose {
    pub shell: DoorShell,
    pub site: Site,
    pub app: PortalApp,
    pub request: String,
    pub printers: Vec<PortalPrinter>,
    /// Where another printer can be added; leads back here.
    pub add: String,
    pub problem: Option<ChooseProblem>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChooseProblem {
    /// None was chosen.
    Nothing,
    /// The chosen one went away in between.
    Gone,
}

/// There is no printer to choose, or not the one the app means. Posts `request`, `decision`
/// (`cancel`), `csrf_token`.
#[derive(Debug, Clone, Template)]
#[template(path = "relay/portal/add.html")]
pub struct PortalAdd {
    pub shell: DoorShell,
    pub site: Site,
    /// The relay's address, for the command that pairs a host with it.
    pub address: String,
    pub app: PortalApp,
    pub request: String,
    /// Where a printer is added; leads back to the portal.
    pub add: String,
    /// Where one of the account's own is chosen instead, if it has one.
    pub choose: Option<String>,
    /// Whether the app speaks to Moonraker.
    pub moonraker: bool,
}

/// The decision. Posts `request`, `printer`, `scope`, `key`, `sure`, `once`, `decision` (`allow`,
/// `deny` or `cancel`), `csrf_token`.
#[derive(Debug, Clone, Template)]
#[template(path = "relay/portal/allow.html")]
pub struct PortalAllow {
    pub shell: DoorShell,
    pub site: Site,
    pub app: PortalApp,
    pub target: PortalTarget,
    pub request: String,
    pub once: String,
    pub printer_id: String,
    pub printer: String,
    /// Whether the person may only watch this printer, and no app of theirs more.
    pub only_watching: bool,
    pub scope: KeyScope,
    /// Whether a key is made, too, if the app asks for one.
    pub with_key: bool,
    /// Without credentials: whoever knows the address is let in.
    pub hostname_only: bool,
    pub problem: Option<AllowProblem>,
    /// Where another printer is chosen.
    pub choose: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllowProblem {
    /// The box that says that the person began this themselves was not ticked.
    NotSure,
    /// The form was sent before with something else in it, of which nothing is left.
    Changed,
    /// More was chosen than the person may do there.
    Lowered,
}

impl PortalAllow {
    fn not_sure(&self) -> bool {
        self.problem == Some(AllowProblem::NotSure)
    }

    fn lowered(&self) -> bool {
        self.problem == Some(AllowProblem::Lowered)
    }

    fn changed(&self) -> bool {
        self.problem == Some(AllowProblem::Changed)
    }
}

/// The last page after a yes. It goes on by itself.
#[derive(Debug, Clone, Template)]
#[template(path = "relay/portal/done.html")]
pub struct PortalDone {
    pub shell: DoorShell,
    pub site: Site,
    pub app: PortalApp,
    pub printer: String,
    /// The printer's page.
    pub manage: String,
    /// The address with what the app needs.
    pub address: String,
    pub key: PortalKey,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortalKey {
    None,
    Made,
    Failed,
}

/// The last page when nothing came of it.
#[derive(Debug, Clone, Template)]
#[template(path = "relay/portal/ended.html")]
pub struct PortalEnded {
    pub shell: DoorShell,
    pub site: Site,
    pub app: PortalApp,
    /// The address that tells the app.
    pub address: String,
    pub why: EndedWhy,
    pub signed_in: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedWhy {
    Cancelled,
    Denied,
    /// The plan has no app connections; not gone on from by itself, for there is something to
    /// read.
    NoPlan,
    /// The account has as many app connections as its plan allows; there is something to read.
    Full,
    /// The relay is at fault.
    Trouble,
}

/// Where apps send people after a 605.
#[derive(Debug, Clone, Template)]
#[template(path = "relay/portal/no_plan.html")]
pub struct PortalNoPlan {
    pub shell: DoorShell,
    pub site: Site,
    /// The app that sent them, if it says.
    pub app: Option<String>,
    /// Whether the signed-in account may have app connections; missing without one.
    pub entitled: Option<bool>,
}

/// The last page of apps that name no other. Says no more than that it is over.
#[derive(Debug, Clone, Template)]
#[template(path = "relay/portal/complete.html")]
pub struct PortalComplete {
    pub shell: DoorShell,
    pub site: Site,
    pub success: bool,
}

/// A request that is put to nobody, and leads nowhere.
#[derive(Debug, Clone, Template)]
#[template(path = "relay/portal/refused.html")]
pub struct PortalRefused {
    pub shell: DoorShell,
    pub site: Site,
    pub why: PortalFault,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortalFault {
    /// Opened without an app.
    NoApp,
    /// The app's id cannot be shown.
    App,
    /// The return address is no place the portal leads to: why, for the app's maker.
    Target(String),
    /// The app is registered, and not for this return address.
    OtherTarget,
    /// The operator did not register the app, and lets no others ask, or not this way.
    Unregistered,
    /// A code was asked for without all that belongs to it.
    Code,
    TooLong,
    /// The last page was shown too long ago, or in another browser.
    Gone,
}
