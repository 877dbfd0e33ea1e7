//! `/sign-in`, `/sign-in/again` and `/sign-up`.

use askama::Template;
use latchkey_web::shell::DoorShell;

use super::Site;

/// The app on whose behalf somebody signs in, in the middle of its portal request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskingApp {
    pub name: String,
    /// Whether the operator registered it.
    pub verified: bool,
    /// Where its logo is, if it has one here.
    pub logo: Option<String>,
    /// The request, for the form that turns back to the app without anything.
    pub request: String,
}

/// Posts `email`, `password`, `then`, `csrf_token` to `/sign-in`, or to `/sign-in/again` when
/// somebody is signed in and is asked for the password once more.
#[derive(Debug, Clone, Template)]
#[template(path = "relay/sign_in.html")]
pub struct SignIn {
    pub shell: DoorShell,
    pub site: Site,
    pub app: Option<AskingApp>,
    /// The address as it was typed; the account's when asked again.
    pub email: String,
    pub again: bool,
    /// Where who is asked again goes without typing it.
    pub turn_back: String,
    /// Where to go on to; checked when it is used.
    pub then: String,
    /// Where an account can be made, if it can.
    pub sign_up: Option<String>,
    /// Whether this relay sends e-mail, so that a forgotten password can be replaced.
    pub by_mail: bool,
    pub beside: Beside,
    pub problem: Option<SignInProblem>,
}

/// What there is beside the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Beside {
    /// A passkey would do.
    pub passkey: bool,
    /// A code is asked for.
    pub code: bool,
    /// The password alone is not enough for where they go.
    pub needed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignInProblem {
    /// Address and password do not go together, or the account is suspended.
    WrongPair,
    /// After how many minutes it is worth trying again.
    TooMany { minutes: u64 },
    /// The form was older than the session, or without a cookie.
    Stale,
    /// Too much is being checked at the moment.
    Busy,
    /// The password is right, and the code is not.
    WrongCode,
    /// The code came too late after the password.
    TookTooLong,
}

impl SignIn {
    fn code_wrong(&self) -> bool {
        self.problem == Some(SignInProblem::WrongCode)
    }

    fn wrong(&self) -> bool {
        self.problem == Some(SignInProblem::WrongPair)
    }
}

/// Posts `step`, `code`, `then`, `csrf_token` to `/sign-in/code`.
#[derive(Debug, Clone, Template)]
#[template(path = "relay/sign_in_code.html")]
pub struct SignInCode {
    pub shell: DoorShell,
    pub site: Site,
    pub app: Option<AskingApp>,
    /// By what it is known whose password was right.
    pub step: String,
    pub then: String,
    pub problem: Option<CodeProblem>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeProblem {
    /// It is not the code of now, or was used already.
    Wrong,
    /// After how many minutes it is worth trying again.
    TooMany { minutes: u64 },
}

impl SignInCode {
    fn wrong(&self) -> bool {
        self.problem == Some(CodeProblem::Wrong)
    }
}

/// Who may make an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhoMaySignUp {
    Everybody,
    WithInvitation,
    /// Only who has the console's link.
    FirstAdministrator,
}

/// Posts `email`, `password`, `invitation`, `then`, `csrf_token` to `/sign-up`.
#[derive(Debug, Clone, Template)]
#[template(path = "relay/sign_up.html")]
pub struct SignUp {
    pub shell: DoorShell,
    pub site: Site,
    pub app: Option<AskingApp>,
    pub who: WhoMaySignUp,
    pub email: String,
    pub invitation: String,
    pub then: String,
    /// The sign-in that leads to the same.
    pub sign_in: String,
    pub problem: Option<SignUpProblem>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignUpProblem {
    EmailUnfit,
    EmailTaken,
    PasswordTooShort {
        least: usize,
    },
    PasswordTooLong {
        most: usize,
    },
    /// The invitation is wrong, used or too old.
    NotInvited,
    TooMany {
        minutes: u64,
    },
    Stale,
    Busy,
}

impl SignUp {
    fn email_wrong(&self) -> bool {
        matches!(
            self.problem,
            Some(SignUpProblem::EmailUnfit | SignUpProblem::EmailTaken)
        )
    }

    fn password_wrong(&self) -> bool {
        matches!(
            self.problem,
            Some(SignUpProblem::PasswordTooShort { .. } | SignUpProblem::PasswordTooLong { .. })
        )
    }

    fn not_invited(&self) -> bool {
        self.problem == Some(SignUpProblem::NotInvited)
    }

    /// Whether the field for the invitation is shown.
    fn asks_for_invitation(&self) -> bool {
        self.who == WhoMaySignUp::WithInvitation
    }
}
