//! `/account/security`.

use askama::Template;
use latchkey_model::account_notice::NoticeKind;
use latchkey_web::moment::Moment;
use latchkey_web::shell::BarShell;

use super::{CodeProblem, Site};

/// That codes are asked for.
#[derive(Debug, Clone, Copy)]
pub struct CodesOn {
    pub since: Moment,
    /// So many are left.
    pub recovery_codes: u64,
    /// Of so many.
    pub of: usize,
}

#[derive(Debug, Clone)]
pub struct ListedPasskey {
    pub id: String,
    pub name: String,
    pub added: Moment,
    pub used: Option<Moment>,
}

/// Something that happened to the account.
#[derive(Debug, Clone)]
pub struct ListedNotice {
    pub at: Moment,
    pub kind: NoticeKind,
    pub detail: String,
    pub device: String,
    pub network: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecurityDone {
    CodesOff,
    PasskeyAdded,
    PasskeyRemoved,
    /// They wanted to change something of the relay, for which they need a second factor.
    Needed,
}

#[derive(Debug, Clone, Template)]
#[template(path = "relay/security.html")]
pub struct SecurityPage {
    pub shell: BarShell,
    pub site: Site,
    pub done: Option<SecurityDone>,
    pub administrator: bool,
    pub codes: Option<CodesOn>,
    /// Whether this relay can have passkeys.
    pub passkeys_possible: bool,
    /// Whether there is no room for another.
    pub full: bool,
    pub most: u32,
    pub passkeys: Vec<ListedPasskey>,
    pub notices: Vec<ListedNotice>,
}

impl SecurityPage {
    /// Whether somebody should be reminded that there is nothing beside their password.
    fn unguarded(&self) -> bool {
        self.administrator && self.codes.is_none() && self.passkeys.is_empty()
    }
}

/// Posts `code`, `csrf_token` to `/account/security/codes`.
#[derive(Debug, Clone, Template)]
#[template(path = "relay/codes_set_up.html")]
pub struct CodesSetUp {
    pub shell: BarShell,
    pub site: Site,
    /// The secret as an element; none if it is too long for a picture.
    pub picture: Option<String>,
    /// The secret as it is typed, in groups.
    pub groups: Vec<String>,
    pub problem: Option<CodeProblem>,
}

impl CodesSetUp {
    fn wrong(&self) -> bool {
        self.problem == Some(CodeProblem::Wrong)
    }
}

/// The recovery codes, which are shown once.
#[derive(Debug, Clone, Template)]
#[template(path = "relay/recovery_codes.html")]
pub struct RecoveryCodes {
    pub shell: BarShell,
    pub site: Site,
    /// Codes are asked for from this moment on.
    pub just_on: bool,
    pub codes: Vec<String>,
}

/// Posts `csrf_token` to `/account/security/codes/off`.
#[derive(Debug, Clone, Template)]
#[template(path = "relay/codes_off.html")]
pub struct CodesOff {
    pub shell: BarShell,
    pub site: Site,
}
