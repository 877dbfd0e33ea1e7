//! The relay's pages as plain facts in, HTML out. Who may see what, and what a form does, is
//! decided where these are filled.

mod pair;
mod portal;
mod sign_in;
mod swap;

pub mod samples;

use latchkey_web::shell::{Account, BarShell, DoorShell, NavItem, Place};

pub use pair::{Pair, PairConfirm, PairEnd, PairEnding, PairProblem};
pub use portal::{
    AppStanding, ChooseProblem, EndedWhy, PortalAdd, PortalAllow, PortalApp, PortalChoose,
    PortalComplete, PortalDone, PortalEnded, PortalFault, PortalKey, PortalNoPlan, PortalPrinter,
    PortalRefused, PortalTarget, PortalWelcome, TargetPlace,
};
pub use sign_in::{AskingApp, SignIn, SignInProblem, SignUp, SignUpProblem, WhoMaySignUp};
pub use swap::SwapHost;

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
    Administration,
    Account,
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
        let mut nav = vec![item("/printers", "printer", "Printers", Tab::Printers)];
        if self.administrator {
            nav.push(item("/admin", "users", "Accounts", Tab::Administration));
        }
        nav.push(item("/account", "user", "Account", Tab::Account));
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
