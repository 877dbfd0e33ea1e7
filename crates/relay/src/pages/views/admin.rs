//! `/admin`: who has an account here.

use askama::Template;
use latchkey_web::moment::Moment;
use latchkey_web::shell::BarShell;

use super::{ListedInvitation, Made, Site, UsageCard, size};

#[derive(Debug, Clone)]
pub struct ListedAccount {
    pub id: String,
    pub email: String,
    pub since: Moment,
    pub administrator: bool,
    pub plan: String,
    /// Whether the configuration still has the plan.
    pub plan_known: bool,
    pub suspended: bool,
    pub printers: u64,
    pub apps: u64,
    pub seen: Option<Moment>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminDone {
    Removed,
    InvitationTaken,
}

#[derive(Debug, Clone, Template)]
#[template(path = "relay/admin.html")]
pub struct Admin {
    pub shell: BarShell,
    pub site: Site,
    pub version: &'static str,
    pub done: Option<AdminDone>,
    pub accounts: u64,
    pub printers: u64,
    pub online: usize,
    pub apps: u64,
    /// Bytes in a second, over all tunnels.
    pub traffic: u64,
    /// What is looked for.
    pub find: String,
    pub list: Vec<ListedAccount>,
    /// Where the next page begins.
    pub next: Option<String>,
    /// Whether everybody may sign up, so that nobody needs an invitation.
    pub open: bool,
    pub by_mail: bool,
    pub invitations: Vec<ListedInvitation>,
    pub invite: InviteAccount,
}

impl Admin {
    fn traffic(&self) -> String {
        size(self.traffic)
    }
}

/// The form for an invitation, or what it made.
#[derive(Debug, Clone, Default)]
pub struct InviteAccount {
    pub email: String,
    pub unfit: bool,
    /// So many are open.
    pub full: Option<usize>,
    pub made: Option<Made>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManageDone {
    PlanChanged,
    Suspended,
    Unsuspended,
    MadeAdministrator,
    NoLongerAdministrator,
    SecondFactorRemoved,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManageProblem {
    UnknownPlan,
    ReasonMissing,
    ReasonTooLong { most: usize },
    LastAdministrator,
}

#[derive(Debug, Clone, Template)]
#[template(path = "relay/admin_account.html")]
pub struct Manage {
    pub shell: BarShell,
    pub site: Site,
    pub done: Option<ManageDone>,
    pub problem: Option<ManageProblem>,
    pub account: ListedAccount,
    /// It is the administrator's own.
    pub own: bool,
    pub confirmed: bool,
    /// Since when it is suspended, and why.
    pub suspended: Option<(Moment, String)>,
    /// All there are, with what a person should know of each.
    pub plans: Vec<(String, bool)>,
    /// The reason as it was typed.
    pub reason: String,
    pub usage: UsageCard,
}

impl Manage {
    fn reason_wrong(&self) -> bool {
        matches!(
            self.problem,
            Some(ManageProblem::ReasonMissing | ManageProblem::ReasonTooLong { .. })
        )
    }
}
