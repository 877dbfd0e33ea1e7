//! The host's pages as plain facts in, HTML out. Who may see what, and what a form
//! does, is decided where these are filled.

mod account;
mod api;
mod decide;
mod home;
mod keys;
mod relay;
mod session_apps;
mod setup;
mod sign_in;
mod target;
mod users;

pub mod samples;

use std::net::IpAddr;

use latchkey_web::moment::Moment;
use latchkey_web::shell::{Account, BarShell, DoorShell, NavItem, Place};

pub use account::{AccountDone, AccountPage, PasswordProblem, SignedIn};
pub use api::Api;
pub use decide::{Decide, Decided, Outcome};
pub use home::{Camera, Home, Job, Printer, PrinterState, Temperature};
pub use keys::{Key, KeyForm, KeyProblem, Keys, RevokeKey, ShownHow, ShownKey, Used, Whose};
pub use relay::{CodeEnd, RelayCode, RelayPage, RelayProblem, RelayStanding, Unpair};
pub use session_apps::{
    AppFileProblem, AppPlace, EntryOutcome, NewSessionApp, RemoveSessionApp, SessionAppChange,
    SessionAppDone, SessionAppPage, SessionAppProblem, SessionAppRow, SessionApps, SessionKeyEntry,
    Switched,
};
pub use setup::{Setup, SetupForm, SetupProblem, SetupState};
pub use sign_in::{Purpose, SignIn, SignInProblem, UserField};
pub use target::Target;
pub(crate) use users::path_of;
pub use users::{
    End, EndUser, NewUser, UserChange, UserDone, UserPage, UserProblem, UserRow, Users,
};

/// What all pages of one answer have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The name under which the visitor reached the host, with a port other than the default.
    pub host: String,
    pub printer: String,
    /// The public path prefix, without a slash at its end; usually empty.
    pub prefix: String,
    /// The token that forms and scripts send back.
    pub csrf: String,
}

impl Site {
    pub fn door(&self) -> DoorShell {
        DoorShell {
            place: Place::host(&self.host),
            prefix: self.prefix.clone(),
        }
    }
}

/// The signed-in person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewer {
    pub user: String,
    pub group: Group,
    /// Whether requests of apps are shown to them (`PLUGIN_APPKEYS_GRANT`).
    pub may_decide: bool,
    /// How many requests wait for them.
    pub waiting: u32,
}

/// Which part of the navigation a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    Printer,
    Keys,
    Users,
    Relay,
    Account,
}

impl Viewer {
    pub fn is_admin(&self) -> bool {
        self.group == Group::Admins
    }

    pub fn bar(&self, site: &Site, tab: Tab) -> BarShell {
        let item = |href, icon, label, of| NavItem {
            href,
            icon,
            label,
            current: of == tab,
            waiting: None,
        };
        let mut nav = vec![
            item("/latchkey/", "printer", "Printer", Tab::Printer),
            NavItem {
                waiting: self.may_decide.then_some(self.waiting),
                ..item("/latchkey/keys", "key-round", "App keys", Tab::Keys)
            },
        ];
        if self.is_admin() {
            nav.push(item("/latchkey/users", "users", "Users", Tab::Users));
            nav.push(item("/latchkey/relay", "globe", "Remote", Tab::Relay));
        }
        nav.push(item("/latchkey/account", "user", "Account", Tab::Account));
        BarShell {
            place: Place::host(&site.printer),
            prefix: site.prefix.clone(),
            home: "/latchkey/",
            nav,
            account: Some(Account {
                href: "/latchkey/account",
                name: self.user.clone(),
            }),
        }
    }
}

/// A group of users, one of the three there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    Admins,
    Users,
    ReadOnly,
}

impl Group {
    pub const ALL: [Self; 3] = [Self::Users, Self::Admins, Self::ReadOnly];

    /// The value of the field `group`.
    pub fn value(self) -> &'static str {
        match self {
            Self::Admins => "admins",
            Self::Users => "users",
            Self::ReadOnly => "readonly",
        }
    }
}

/// What a key lets its app do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Full,
    View,
}

impl Access {
    /// The value of the field `scope`.
    pub fn value(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::View => "view",
        }
    }
}

/// Where a request came from, as the person deciding sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whence {
    /// From the very address the person uses.
    SameAddress,
    /// From a private or link-local address, or this computer.
    Home,
    Outside,
}

impl Whence {
    pub fn of(asker: IpAddr, viewer: IpAddr) -> Self {
        let (asker, viewer) = (asker.to_canonical(), viewer.to_canonical());
        if asker == viewer {
            return Self::SameAddress;
        }
        let home = match asker {
            IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || v4.is_link_local(),
            IpAddr::V6(v6) => {
                v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local()
            }
        };
        if home { Self::Home } else { Self::Outside }
    }
}

/// An app's request that waits for the viewer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    pub app: String,
    pub user_token: String,
    /// The address it came from.
    pub asked_from: String,
    pub whence: Whence,
    pub asked: Moment,
}

/// Stands where a picture of the app or person would be.
fn initial(name: &str) -> String {
    name.chars()
        .find(|c| c.is_alphanumeric())
        .map_or_else(|| "?".to_owned(), |c| c.to_uppercase().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearness_of_an_address_is_told_right() {
        let of =
            |asker: &str, viewer: &str| Whence::of(asker.parse().unwrap(), viewer.parse().unwrap());
        assert_eq!(of("192.168.1.9", "192.168.1.9"), Whence::SameAddress);
        assert_eq!(of("::ffff:192.168.1.9", "192.168.1.9"), Whence::SameAddress);
        for home in [
            "10.1.2.3",
            "127.0.0.1",
            "169.254.3.3",
            "fd00::1",
            "fe80::1",
            "::1",
        ] {
            assert_eq!(of(home, "192.168.1.9"), Whence::Home, "{home}");
        }
        for outside in ["203.0.113.5", "2001:db8::1", "172.32.0.1", "::ffff:8.8.8.8"] {
            assert_eq!(of(outside, "192.168.1.9"), Whence::Outside, "{outside}");
        }
    }

    #[test]
    fn only_administrators_are_led_to_the_users() {
        let site = samples::site();
        let leads = |group| {
            let viewer = Viewer {
                group,
                ..samples::viewer()
            };
            viewer
                .bar(&site, Tab::Printer)
                .nav
                .iter()
                .any(|item| item.href == "/latchkey/users")
        };
        assert!(leads(Group::Admins) && !leads(Group::Users) && !leads(Group::ReadOnly));
    }
}
