//! `/account`.

use askama::Template;
use latchkey_model::account_session::Factors;
use latchkey_web::moment::Moment;
use latchkey_web::shell::BarShell;

use super::{Reminder, Site, UsageCard};

/// A browser that is signed in.
#[derive(Debug, Clone)]
pub struct ListedSession {
    pub id: String,
    pub device: String,
    pub network: String,
    pub seen: Moment,
    pub since: Moment,
    pub this_one: bool,
}

/// What was just done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountDone {
    PasswordChanged,
    SessionEnded,
    OthersEnded,
    AddressChanged,
    /// A letter is on its way to a new address.
    AddressAsked,
    /// A letter is on its way to the address there is.
    LetterSent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountProblem {
    OldWrong,
    TooMany {
        minutes: u64,
    },
    PasswordTooShort {
        least: usize,
    },
    PasswordTooLong {
        most: usize,
    },
    Differ,
    Busy,
    EmailUnfit,
    EmailTaken,
    /// Too many letters.
    Letters {
        minutes: u64,
    },
}

#[derive(Debug, Clone, Template)]
#[template(path = "relay/account.html")]
pub struct AccountPage {
    pub shell: BarShell,
    pub site: Site,
    pub reminder: Option<Reminder>,
    pub done: Option<AccountDone>,
    pub problem: Option<AccountProblem>,
    pub email: String,
    pub plan: String,
    pub since: Moment,
    /// Whether this relay sends e-mail, and the address is confirmed.
    pub by_mail: bool,
    pub confirmed: bool,
    /// A new address as it was typed.
    pub new_email: String,
    pub sessions: Vec<ListedSession>,
    pub usage: UsageCard,
    /// By what it is guarded beside the password.
    pub factors: Factors,
}

impl AccountPage {
    fn old_wrong(&self) -> bool {
        self.problem == Some(AccountProblem::OldWrong)
    }

    fn size_wrong(&self) -> bool {
        matches!(
            self.problem,
            Some(AccountProblem::PasswordTooShort { .. } | AccountProblem::PasswordTooLong { .. })
        )
    }

    fn differ(&self) -> bool {
        self.problem == Some(AccountProblem::Differ)
    }

    fn email_wrong(&self) -> bool {
        matches!(
            self.problem,
            Some(AccountProblem::EmailUnfit | AccountProblem::EmailTaken)
        )
    }

    fn others(&self) -> bool {
        self.sessions.len() > 1
    }
}
