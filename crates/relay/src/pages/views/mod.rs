//! The relay's pages as plain facts in, HTML out. Who may see what, and what a form does, is
//! decided where these are filled.

mod account;
mod activity;
mod admin;
mod administration;
mod api;
mod confirm;
mod directory;
mod join;
mod live;
mod now;
mod open;
mod pair;
mod portal;
mod printers;
mod recovery;
mod security;
mod sign_in;
mod swap;
mod telling;
mod usage;

pub mod samples;

use latchkey_web::shell::{Account, BarShell, DoorShell, NavItem, Place};

pub use account::{AccountDone, AccountPage, AccountProblem, ListedSession};
pub use activity::{ActivityDay, ActivityLine, ActivityPage, ActivityWhat, DataUsed, DayUsed};
pub use admin::{
    Admin, AdminDone, InviteAccount, ListedAccount, Manage, ManageDone, ManageProblem,
};
pub use administration::{
    AdminApp, AdminApps, AdminAudit, AdminPlans, AdminSystem, AdminTunnels, Allowed, AppDone,
    AppsDone, AuditWho, EndApp, ListedConnection, ListedEntry, ListedPlan, ListedTunnel,
    RegisterForm, RegisteredView,
};
pub use api::Api;
pub use confirm::{EndAccount, EndAtPrinter, Ending};
pub use directory::{AppConnectionsPage, AppSomewhere, Directory, Privacy};
pub use join::{Join, Joining};
pub use live::{LiveEnds, LiveGone, LiveLinkCard, LiveOver, LivePage, ShareLive, ShareTold};
pub use now::{Now, NowHeat, NowJob, Word};
pub use open::{OpenPrinter, Opening};
pub use pair::{Pair, PairConfirm, PairEnd, PairEnding, PairProblem};
pub use portal::{
    AllowProblem, AppStanding, ChooseProblem, EndedWhy, PortalAdd, PortalAllow, PortalApp,
    PortalChoose, PortalComplete, PortalDone, PortalEnded, PortalFault, PortalKey, PortalNoPlan,
    PortalPrinter, PortalRefused, PortalTarget, PortalWelcome, TargetPlace,
};
pub use printers::{
    Copied, Invite, InviteProblem, ListedApp, ListedInvitation, ListedMember, Made, NameProblem,
    Ownership, Presence, PrinterCard, PrinterDone, PrinterPage, Printers, PrintersDone, Rename,
};
pub use recovery::{
    Forgetting, Forgotten, ForgottenProblem, Reset, ResetProblem, Resetting, Verify, Verifying,
};
pub use security::{
    CodesOff, CodesOn, CodesSetUp, ListedNotice, ListedPasskey, RecoveryCodes, SecurityDone,
    SecurityPage,
};
pub use sign_in::{
    AskingApp, Beside, CodeProblem, SignIn, SignInCode, SignInProblem, SignUp, SignUpProblem,
    WhoMaySignUp,
};
pub use swap::SwapHost;
pub use telling::{LetterChoice, ListedWebhook, Telling, WebhookFailure, WebhookHealth};
pub use usage::{UsageCard, UsageLine, WatchedWebcam};

/// What all pages of one answer have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The relay's host name, with a port other than the default.
    pub relay: String,
    /// The token that forms send back.
    pub csrf: String,
}

impl Site {
    /// The head of a page with a door.
    pub fn door(&self) -> DoorShell {
        DoorShell::new(Place::relay(&self.relay))
    }
}

/// The signed-in person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewer {
    pub email: String,
    pub administrator: bool,
}

/// Which part of the navigation a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    Printers,
    Apps,
    Activity,
    Account,
    Administration,
}

impl Viewer {
    /// The head of a page for people who are signed in.
    pub fn bar(&self, site: &Site, tab: Tab) -> BarShell {
        let item = |href, icon, label, of| NavItem {
            href,
            icon,
            label,
            current: of == tab,
            waiting: None,
        };
        let mut nav = vec![
            item("/printers", "printer", "Printers", Tab::Printers),
            item("/app-connections", "blocks", "Apps", Tab::Apps),
            item("/activity", "list", "Activity", Tab::Activity),
            item("/account", "user", "Account", Tab::Account),
        ];
        if self.administrator {
            nav.push(item("/admin", "shield", "Admin", Tab::Administration));
        }
        BarShell {
            place: Place::relay(&site.relay),
            prefix: String::new(),
            home: "/printers",
            nav,
            account: Some(Account {
                href: "/account",
                name: self.email.clone(),
            }),
        }
    }
}

/// That an address is not confirmed yet, where this relay sends e-mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reminder {
    pub email: String,
}

/// The letter that stands for something without a picture.
fn initial(name: &str) -> String {
    let first = name.chars().find(|c| c.is_alphanumeric());
    first.map_or_else(|| "?".to_owned(), |c| c.to_uppercase().collect())
}

/// Bytes as people read them: "312 KB", "9.4 GB".
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KB", "MB", "GB", "TB", "PB"];
    if bytes < 1000 {
        return format!("{bytes} bytes");
    }
    let mut unit = 0;
    // In tenths of the unit.
    let mut tenths = bytes / 100;
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths /= 1000;
        unit += 1;
    }
    let unit = UNITS[unit];
    if tenths < 100 {
        format!("{}.{} {unit}", tenths / 10, tenths % 10)
    } else {
        format!("{} {unit}", tenths / 10)
    }
}

#[cfg(test)]
mod tests {
    use super::{initial, size};

    #[test]
    fn sizes_read_as_people_say_them() {
        for (bytes, expected) in [
            (0, "0 bytes"),
            (999, "999 bytes"),
            (1000, "1.0 KB"),
            (9_999, "9.9 KB"),
            (10_000, "10 KB"),
            (999_999, "999 KB"),
            (1_000_000, "1.0 MB"),
            (9_400_000_000, "9.4 GB"),
            (u64::MAX, "18446 PB"),
        ] {
            assert_eq!(size(bytes), expected);
        }
    }

    #[test]
    fn a_name_without_letters_has_a_sign() {
        assert_eq!(initial("  \u{e9}clair"), "\u{c9}");
        assert_eq!(initial("<>"), "?");
    }
}
